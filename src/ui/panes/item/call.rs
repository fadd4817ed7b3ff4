//! How a tool call looks in the transcript: a headline, what was asked, and the output.
//!
//! Not for the tool panel, which has more room. While a person has to decide, nothing of the call is hidden: what
//! `clean` would drop is shown as what it is.

use std::borrow::Cow;

use super::PartContext;
use super::call_preview::{CallPreview, call_preview, pretty_json};
use crate::event::{CallOutcome, Decision, ExecutedBy};
use crate::store::output_view::OutputView;
use crate::store::tool_calls::{CallState, ToolCall};
use crate::text::clean::{clean, one_line};
use crate::text::visible;
use crate::text::width::{expand_tabs, str_width};
use crate::text::wrap::wrap_hard;
use crate::ui::diff::{DiffView, lay_diff};
use crate::ui::format::{count, duration};
use crate::ui::markdown::syntax::Syntax;
use crate::ui::panes::subject::{short_subject, subject, work_done};
use crate::ui::panes::terminal_output::final_output;
use crate::ui::panes::tool_panel::{full_output_hint, outcome_mark};
use crate::ui::panes::transcript::{PartKind, RowLimit, hides_output, quick_hash};
use crate::ui::text_layout::laid_out::{LaidOut, LayoutBuilder, StyledText};
use crate::ui::theme::{Role, TextStyle};

/// Rows of arguments that a folded call shows, and of JSON that came back.
const FOLDED_PREVIEW_ROWS: usize = 8;
const FOLDED_JSON_ROWS: usize = 4;
/// Lines that an open one shows.
const MAX_LINES: usize = 5000;
/// Room left for the running time, which is drawn over the row.
const TIME_CELLS: usize = 10;
/// With less room for the subject, words after it are left out.
const MIN_SUBJECT_CELLS: usize = 14;
/// What stands before each line of code or output, and before what is left of a long one.
const OUTPUT_EDGES: (&str, &str) = ("│ ", "┊ ");

pub(super) fn lay_out(scene: &PartContext<'_>, call: &ToolCall) -> LaidOut {
    let mut page = LayoutBuilder::new(scene.width);
    match scene.part.kind {
        PartKind::CallHead => {
            let agent = scene.store.sub_agents.get(&call.id);
            lay_head(&mut page, call, is_hidden(scene, call), agent.map(work_done));
        }
        PartKind::Detail(rows) => {
            let detail = call.approval_request().map_or("", |ask| &ask.detail);
            let is_diff = detail.starts_with("--- ") || detail.contains("\n@@ ") || detail.starts_with("@@ ");
            let text = visible(scene.part.source(detail));
            if is_diff {
                let path = call.approval_request().map_or("", |ask| &ask.subject);
                let before = visible(detail.get(..scene.part.start as usize).unwrap_or(""));
                lay_diff_part(&mut page, scene, &text, &before, path, rows);
            } else {
                lay_lines(&mut page, scene, &text, rows, |_| Role::Source);
            }
        }
        PartKind::Output(rows) => {
            let role = if call.state == CallState::Done(CallOutcome::Failed) { Role::Error } else { Role::Dim };
            // The words before it are none.
            let has_begun = call.output.get(..scene.part.end as usize).is_some_and(|text| text.contains("@@ "));
            let is_diff = has_begun && looks_like_diff(&call.output) && role != Role::Error;
            let text = final_output(scene.part.source(&call.output));
            if is_diff {
                let before = final_output(call.output.get(..scene.part.start as usize).unwrap_or(""));
                lay_diff_part(&mut page, scene, &text, &before, &subject(call), rows);
            } else {
                lay_lines(&mut page, scene, &text, rows, |_| role);
            }
        }
        PartKind::Preview => {
            if let Some(CallPreview { text, syntax }) = call_preview(call, page.room().saturating_sub(4)) {
                let text = if call.state == CallState::AwaitingApproval { visible(&text) } else { clean(&text) };
                // While a person decides, nothing is left out.
                let folded = scene.folded && call.state != CallState::AwaitingApproval;
                if syntax == Syntax::named("diff") {
                    let rows = if folded {
                        RowLimit::First { rows: FOLDED_PREVIEW_ROWS as u16, behind: None }
                    } else {
                        RowLimit::All
                    };
                    lay_diff_part(&mut page, scene, &text, "", &subject(call), rows);
                    return page.finish();
                }
                lay_code(&mut page, scene, &text, syntax, folded.then_some(FOLDED_PREVIEW_ROWS));
            }
        }
        PartKind::Json => {
            let source = scene.part.source(&call.output);
            let fits = source.len() < page.room().saturating_sub(4);
            let json = if fits { source.to_owned() } else { pretty_json(source, page.room().saturating_sub(4)) };
            lay_code(&mut page, scene, &clean(&json), Syntax::named("json"), scene.folded.then_some(FOLDED_JSON_ROWS));
        }
        PartKind::FullOutput => {
            page.indent("  └ ", TextStyle::new(Role::Border));
            page.add_wrapped(&StyledText::of(&full_output_hint(call).unwrap_or_default(), Role::Dim.into()));
        }
        _ => {}
    }
    page.finish()
}

/// Returns a number that changes with the rows of the part, and with nothing else that happens to the call.
pub(super) fn stamp(scene: &PartContext<'_>, call: &ToolCall) -> u64 {
    let state = match call.state {
        CallState::Writing => 0,
        CallState::AwaitingApproval => 1,
        CallState::Running => 2,
        CallState::Done(outcome) => 3 + outcome as u64,
    };
    match scene.part.kind {
        PartKind::Detail(rows) => {
            let detail = call.approval_request().map_or("", |ask| &ask.detail);
            quick_hash(scene.part.source(detail).as_bytes()) ^ rows_stamp(rows)
        }
        PartKind::Output(rows) => {
            let is_diff = u64::from(looks_like_diff(&call.output)) << 32;
            quick_hash(scene.part.source(&call.output).as_bytes()) ^ state ^ is_diff ^ rows_stamp(rows)
        }
        PartKind::Json => quick_hash(call.output.as_bytes()) << 1 | u64::from(scene.folded),
        PartKind::Preview => {
            let look = u64::from(call.state == CallState::AwaitingApproval) << 1 | u64::from(scene.folded);
            u64::from(call.args_rev).wrapping_mul(0x9e37_79b9_7f4a_7c15) << 2 | look
        }
        PartKind::FullOutput => {
            quick_hash(call.output_file().unwrap_or("").as_bytes()) ^ call.output_bytes.rotate_left(17)
        }
        _ => {
            // Arguments only grow, and a decision is made once.
            let asked = u64::from(call.approval_request().is_some()) << 1 | u64::from(call.decision().is_some());
            let took = call.duration.map_or(0, |took| took.0 + 1);
            let grown = (call.args.len() as u64) << 6 | asked << 4 | state;
            let noted = (call.sources().len() as u64) << 3
                | u64::from(call.shows_secrets()) << 2
                | u64::from(is_hidden(scene, call)) << 1
                | u64::from(call.is_foreign);
            // What a sub-agent did so far stands there, too.
            let agent = scene.store.sub_agents.get(&call.id).map_or(0, |agent| {
                agent.tokens().count.wrapping_mul(0xff51_afd7_ed55_8ccd) ^ u64::from(agent.call_count) << 31
            });
            agent
                ^ quick_hash(call.name.as_bytes())
                ^ noted.rotate_left(52)
                ^ grown.wrapping_mul(0x9e37_79b9_7f4a_7c15)
                ^ took.rotate_left(40)
        }
    }
}

fn rows_stamp(rows: RowLimit) -> u64 {
    match rows {
        RowLimit::All => 0,
        RowLimit::First { rows, behind } => u64::from(rows) << 33 ^ behind.map_or(0, |lines| u64::from(lines) + 1) << 8,
        RowLimit::Last(rows) => u64::from(rows) << 49,
    }
}

/// Returns whether an output is a unified diff, by its first lines.
pub(in crate::ui::panes) fn looks_like_diff(output: &str) -> bool {
    let head = output.get(..output.floor_char_boundary(2048)).unwrap_or("");
    head.starts_with("diff --git") || head.starts_with("@@ -") || head.contains("\n@@ -")
}

/// Returns whether nothing but the headline is shown.
fn is_hidden(scene: &PartContext<'_>, call: &ToolCall) -> bool {
    scene.store.output_view(scene.item) == OutputView::Hidden && hides_output(call)
}

/// Lays out the headline; where nothing else is shown, it tells how much there is.
fn lay_head(page: &mut LayoutBuilder, call: &ToolCall, is_hidden: bool, of_agent: Option<String>) {
    let (glyph, role, word) = status(call);
    page.indent(&format!("{glyph} "), TextStyle::new(role));
    let room = page.room();
    let name = if call.name.is_empty() { "tool" } else { &call.name };
    let name = one_line(name, room.min(40));
    let mut after = Vec::new();
    if call.executed_by == ExecutedBy::Server {
        after.push("remote".to_owned());
    }
    if call.is_foreign {
        after.push("another client's".to_owned());
    }
    if !word.is_empty() {
        after.push(word);
    }
    after.extend(of_agent);
    match call.sources().len() {
        0 => {}
        1 => after.push("1 source".to_owned()),
        sources => after.push(format!("{sources} sources")),
    }
    match call.output.trim_end().lines().count() {
        _ if !is_hidden || !matches!(call.state, CallState::Done(_)) => {}
        0 => {}
        1 => after.push("1 line".to_owned()),
        lines => after.push(format!("{} lines", count(lines as u64))),
    }
    if let (CallState::Done(_), Some(took)) = (call.state, call.duration) {
        after.push(duration(took));
    }
    let reserved = if call.state == CallState::Running { TIME_CELLS } else { 0 };
    let about = subject(call);
    let mut after = one_line(&after.join(" · "), room.saturating_sub(str_width(&name) + 2));
    let left = |after: &str| {
        let after = if after.is_empty() { 0 } else { str_width(after) + 2 };
        room.saturating_sub(str_width(&name) + 1 + after + reserved)
    };
    // The mark says how it went; what it was about nothing else says.
    if left(&after) < MIN_SUBJECT_CELLS && !about.is_empty() && call.state != CallState::AwaitingApproval {
        after.clear();
    }
    let left = left(&after);
    let subject = if left >= 4 { short_subject(call, left) } else { String::new() };
    let between = if subject.is_empty() { "" } else { " " };
    let space = if after.is_empty() { "" } else { "  " };
    let after_role = match call.state {
        CallState::AwaitingApproval => Role::Warn,
        CallState::Done(CallOutcome::Failed) => Role::Error,
        _ => Role::Dim,
    };
    let name_role = if call.is_foreign { Role::Dim } else { Role::Tool };
    page.add_row([
        (name.as_str(), TextStyle::new(name_role)),
        (between, TextStyle::default()),
        (subject.as_str(), TextStyle::new(if call.is_foreign { Role::Dim } else { Role::Text })),
        (space, TextStyle::default()),
        (after.as_str(), TextStyle::new(after_role)),
    ]);
}

fn lay_more(page: &mut LayoutBuilder, scene: &PartContext<'_>, lines: usize) {
    let key = if scene.fold_key.is_empty() { String::new() } else { format!(" ({})", scene.fold_key) };
    let text = match lines {
        0 => format!("… the rest of the line{key}"),
        1 => format!("… 1 more line{key}"),
        _ => format!("… {lines} more lines{key}"),
    };
    page.indent("  ", TextStyle::default());
    page.add_row([(one_line(&text, page.room()).as_str(), TextStyle::new(Role::Dim))]);
}

/// Lays out code in its colours: the first rows, or all lines that are shown at all. Takes a text without characters that
/// may not become cells.
fn lay_code(page: &mut LayoutBuilder, scene: &PartContext<'_>, text: &str, mut syntax: Syntax, rows: Option<usize>) {
    let text = text.trim_end();
    page.indent("  ", TextStyle::default());
    let (shown, hidden) = if let Some(rows) = rows {
        head(text, page.edged_room(OUTPUT_EDGES), rows, true)
    } else {
        let end = memchr::memchr_iter(b'\n', text.as_bytes()).nth(MAX_LINES - 1).unwrap_or(text.len());
        let (shown, hidden) = text.split_at(end);
        (expand_tabs(shown, 4), (!hidden.is_empty()).then(|| lines_in(hidden)))
    };
    page.add_edged(&shown, OUTPUT_EDGES, TextStyle::new(Role::Border), |line, flow| {
        syntax.line(line, &mut |text, role| flow.push(text, TextStyle::new(role)));
    });
    page.outdent();
    if let Some(hidden) = hidden {
        lay_more(page, scene, hidden);
    }
}

/// Lays out a part of a diff of the file with that path. Takes a text without characters that may not become cells.
fn lay_diff_part(
    page: &mut LayoutBuilder,
    scene: &PartContext<'_>,
    text: &str,
    before: &str,
    path: &str,
    rows: RowLimit,
) {
    let (most, behind) = match rows {
        RowLimit::All => (usize::MAX, None),
        RowLimit::First { rows, behind } => (usize::from(rows), behind),
        RowLimit::Last(rows) => (usize::from(rows), None),
    };
    let text = text.strip_suffix('\n').unwrap_or(text);
    page.indent("  ", TextStyle::default());
    let hidden = lay_diff(page, text, DiffView { path, before, rows: most, is_all: behind.is_none() });
    page.outdent();
    let hidden = hidden + behind.map_or(0, |lines| lines as usize);
    if hidden > 0 {
        lay_more(page, scene, hidden);
    }
}

/// Takes a text without characters that may not become cells.
fn lay_lines(
    page: &mut LayoutBuilder,
    scene: &PartContext<'_>,
    text: &str,
    rows: RowLimit,
    role_of: impl Fn(&str) -> Role,
) {
    page.indent("  ", TextStyle::default());
    let text = text.strip_suffix('\n').unwrap_or(text);
    let room = page.edged_room(OUTPUT_EDGES);
    let (shown, hidden) = match rows {
        RowLimit::All => (expand_tabs(text, 4), None),
        RowLimit::First { rows, behind } => head(text, room, usize::from(rows), behind.is_none()),
        RowLimit::Last(rows) => (tail(text, room, usize::from(rows)), None),
    };
    page.add_edged(&shown, OUTPUT_EDGES, TextStyle::new(Role::Border), |line, flow| {
        flow.push(line, TextStyle::new(role_of(line)));
    });
    page.outdent();
    let behind = if let RowLimit::First { behind, .. } = rows { behind.map(|lines| lines as usize) } else { None };
    if hidden.is_some() || behind.is_some() {
        lay_more(page, scene, hidden.unwrap_or(0) + behind.unwrap_or(0));
    }
}

/// Returns as much of a text as fills so many rows, its tabs expanded, and how many lines begin in what is left of it, if
/// anything is. A single row is not left: where the text `is_all`, to say that there is more would take as much room.
fn head(text: &str, room: usize, rows: usize, is_all: bool) -> (Cow<'_, str>, Option<usize>) {
    let lines = memchr::memchr_iter(b'\n', text.as_bytes()).nth(rows).unwrap_or(text.len());
    // More bytes than the rows can show: the rest need not be looked at.
    let most = text.floor_char_boundary((rows + 1) * (room + 16) * 4);
    let (text, rest) = text.split_at(lines.min(most));
    let text = expand_tabs(text, 4);
    let wrapped = wrap_hard(&text, room);
    if is_all && rest.is_empty() && wrapped.len() <= rows + 1 {
        return (text, None);
    }
    let end = wrapped.get(rows.saturating_sub(1)).map_or(text.len(), |row| row.end);
    let left = text.get(end..).unwrap_or("");
    let hidden = (!left.is_empty() || !rest.is_empty()).then(|| lines_in(left) + lines_in(rest));
    let shown = match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[..end]),
        Cow::Owned(mut text) => {
            text.truncate(end);
            Cow::Owned(text)
        }
    };
    (shown, hidden)
}

/// Returns as much of a text as fills so many rows, from its end, its tabs expanded.
fn tail(text: &str, room: usize, rows: usize) -> Cow<'_, str> {
    let text = expand_tabs(text, 4);
    let all = wrap_hard(&text, room);
    let start = all.len().checked_sub(rows).and_then(|first| all.get(first)).map_or(0, |row| row.start);
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[start..]),
        Cow::Owned(text) => Cow::Owned(text[start..].to_owned()),
    }
}

/// Returns how many lines begin behind the first byte of a text.
fn lines_in(text: &str) -> usize {
    memchr::memchr_iter(b'\n', text.as_bytes()).count()
}

/// Returns the glyph of a call's state, its role, and a word where the glyph does not say it all.
fn status(call: &ToolCall) -> (&'static str, Role, String) {
    match call.state {
        CallState::Writing | CallState::Running => ("◌", Role::Accent, String::new()),
        CallState::AwaitingApproval => ("?", Role::Warn, "waiting for approval".into()),
        CallState::Done(outcome) => {
            let (mark, role) = outcome_mark(outcome);
            let word = match (outcome, call.decision()) {
                (CallOutcome::Ok, Some((Decision::Hunks(hunks), _))) => {
                    let all = call.approval_request().map_or(0, |ask| ask.hunks);
                    format!("{} of {all} hunks", hunks.taken.len())
                }
                (CallOutcome::Ok, _) => String::new(),
                (CallOutcome::Denied, Some((Decision::Deny(Some(reason)), _))) => format!("denied: {reason}"),
                (outcome, _) => outcome.label().into(),
            };
            (mark, role, word)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Millis;

    fn call(args: &str) -> ToolCall {
        ToolCall::running("shell", args)
    }

    #[test]
    fn a_headline_fits_at_any_width() {
        for width in 1..100 {
            for state in [CallState::Running, CallState::AwaitingApproval, CallState::Done(CallOutcome::Failed)] {
                let mut call = call(r#"{"command":"cargo test --workspace --all-features\nand more"}"#);
                call.state = state;
                call.duration = Some(Millis(1234));
                let mut page = LayoutBuilder::new(width);
                lay_head(&mut page, &call, width % 2 == 0, None);
                let laid = page.finish();
                assert_eq!(laid.rows(), 1);
                assert!(str_width(laid.row_text(0)) <= usize::from(width), "{:?}", laid.row_text(0));
            }
        }
    }
}
