//! How a tool call looks in the transcript: a headline, what was asked, and the output.
//!
//! Not for the tool panel, which has more room. While a person has to decide, nothing of the call is hidden: what
//! `clean` would drop is shown as what it is.

use super::Scene;
use super::about::{About, about, pretty};
use crate::event::{Decision, Outcome, RanBy};
use crate::store::tools::{Call, CallState};
use crate::text::clean::{clean, one_line, visible};
use crate::text::width::{expand_tabs, str_width};
use crate::ui::format::duration;
use crate::ui::lines::laid::{Flow, Laid, Page};
use crate::ui::md::syntax::{Syntax, diff_role};
use crate::ui::panes::subject::subject;
use crate::ui::panes::tool_panel::{all_of_it, outcome_mark};
use crate::ui::panes::transcript::{PartKind, hash};
use crate::ui::theme::{Face, Role};

/// Lines of arguments that a folded call shows, and of JSON that came back.
const FOLDED_ABOUT: usize = 8;
const FOLDED_JSON: usize = 4;
/// Lines that an open one shows.
const LINES: usize = 5000;
/// Room left for the running time, which is drawn over the row.
const TIME_ROOM: usize = 10;
/// With less room for the subject, words after it are left out.
const LEAST_SUBJECT: usize = 14;
pub(super) fn lay(scene: &Scene<'_>, call: &Call) -> Laid {
    let mut page = Page::new(scene.width);
    match scene.part.kind {
        PartKind::CallHead => lay_head(&mut page, call),
        PartKind::Detail => {
            let detail = call.ask.as_ref().map_or("", |ask| &ask.detail);
            let is_diff = detail.starts_with("--- ") || detail.contains("\n@@ ") || detail.starts_with("@@ ");
            let detail = visible(scene.part.source(detail));
            lay_lines(&mut page, &detail, |line| if is_diff { diff_role(line) } else { Role::Source });
        }
        PartKind::Output => {
            let role = if call.state == CallState::Done(Outcome::Failed) { Role::Error } else { Role::Dim };
            let is_diff = looks_like_diff(&call.output) && role != Role::Error;
            lay_lines(&mut page, &printed(scene.part.source(&call.output)), |line| match diff_role(line) {
                Role::Source => role,
                found if is_diff => found,
                _ => role,
            });
        }
        PartKind::About => {
            if let Some(About { text, syntax }) = about(call, page.room().saturating_sub(4)) {
                let text = if call.state == CallState::Waiting { visible(&text) } else { clean(&text) };
                // While a person decides, nothing is left out.
                let folded = scene.folded && call.state != CallState::Waiting;
                lay_code(&mut page, scene, &text, syntax, if folded { FOLDED_ABOUT } else { LINES });
            }
        }
        PartKind::Json => {
            let source = scene.part.source(&call.output);
            let fits = source.len() < page.room().saturating_sub(4);
            let json = if fits { source.to_owned() } else { pretty(source, page.room().saturating_sub(4)) };
            let lines = if scene.folded { FOLDED_JSON } else { LINES };
            lay_code(&mut page, scene, &clean(&json), Syntax::named("json"), lines);
        }
        PartKind::Whole => {
            page.indent("  └ ", Face::new(Role::Border));
            page.flow(&Flow::of(&all_of_it(call).unwrap_or_default(), Role::Dim.into()));
        }
        PartKind::More(lines) => lay_more(&mut page, scene, lines as usize),
        _ => {}
    }
    page.finish()
}

/// Returns a number that changes with the rows of the part, and with nothing else that happens to the call.
pub(super) fn stamp(scene: &Scene<'_>, call: &Call) -> u64 {
    let state = match call.state {
        CallState::Writing => 0,
        CallState::Waiting => 1,
        CallState::Running => 2,
        CallState::Done(outcome) => 3 + outcome as u64,
    };
    match scene.part.kind {
        PartKind::Detail => {
            let detail = call.ask.as_ref().map_or("", |ask| &ask.detail);
            hash(scene.part.source(detail).as_bytes())
        }
        PartKind::Output => {
            let is_diff = u64::from(looks_like_diff(&call.output)) << 32;
            hash(scene.part.source(&call.output).as_bytes()) ^ state ^ is_diff
        }
        PartKind::Json => hash(call.output.as_bytes()) << 1 | u64::from(scene.folded),
        PartKind::About => {
            let look = u64::from(call.state == CallState::Waiting) << 1 | u64::from(scene.folded);
            u64::from(call.args_rev).wrapping_mul(0x9e37_79b9_7f4a_7c15) << 2 | look
        }
        PartKind::More(lines) => u64::from(lines),
        PartKind::Whole => {
            hash(call.output_file.as_deref().unwrap_or("").as_bytes()) ^ call.output_bytes.rotate_left(17)
        }
        _ => {
            // Arguments only grow, and a decision is made once.
            let asked = u64::from(call.ask.is_some()) << 1 | u64::from(call.decision.is_some());
            let took = call.took.map_or(0, |took| took.0 + 1);
            let grown = (call.args.len() as u64) << 6 | asked << 4 | state;
            let noted = (call.sources.len() as u64) << 1 | u64::from(call.foreign);
            hash(call.name.as_bytes())
                ^ noted.rotate_left(52)
                ^ grown.wrapping_mul(0x9e37_79b9_7f4a_7c15)
                ^ took.rotate_left(40)
        }
    }
}

/// Returns whether an output is a unified diff, by its first lines.
pub(in crate::ui::panes) fn looks_like_diff(output: &str) -> bool {
    let head = output.get(..output.floor_char_boundary(2048)).unwrap_or("");
    head.starts_with("diff --git") || head.starts_with("@@ -") || head.contains("\n@@ -")
}

fn lay_head(page: &mut Page, call: &Call) {
    let (glyph, role, word) = status(call);
    page.indent(&format!("{glyph} "), Face::new(role));
    let room = page.room();
    let name = if call.name.is_empty() { "tool" } else { &call.name };
    let name = one_line(name, room.min(40));
    let mut after = Vec::new();
    if call.ran_by == RanBy::Server {
        after.push("remote".to_owned());
    }
    if call.foreign {
        after.push("another client's".to_owned());
    }
    if !word.is_empty() {
        after.push(word);
    }
    match call.sources.len() {
        0 => {}
        1 => after.push("1 source".to_owned()),
        count => after.push(format!("{count} sources")),
    }
    if let (CallState::Done(_), Some(took)) = (call.state, call.took) {
        after.push(duration(took));
    }
    let reserved = if call.state == CallState::Running { TIME_ROOM } else { 0 };
    let about = subject(call);
    let mut after = one_line(&after.join(" · "), room.saturating_sub(str_width(&name) + 2));
    let left = |after: &str| {
        let after = if after.is_empty() { 0 } else { str_width(after) + 2 };
        room.saturating_sub(str_width(&name) + 1 + after + reserved)
    };
    // The mark says how it went; what it was about nothing else says.
    if left(&after) < LEAST_SUBJECT && !about.is_empty() && call.state != CallState::Waiting {
        after.clear();
    }
    let left = left(&after);
    let subject = if left >= 4 { one_line(&about, left) } else { String::new() };
    let between = if subject.is_empty() { "" } else { " " };
    let space = if after.is_empty() { "" } else { "  " };
    let after_role = match call.state {
        CallState::Waiting => Role::Warn,
        CallState::Done(Outcome::Failed) => Role::Error,
        _ => Role::Dim,
    };
    let name_role = if call.foreign { Role::Dim } else { Role::Tool };
    page.pieces([
        (name.as_str(), Face::new(name_role)),
        (between, Face::default()),
        (subject.as_str(), Face::new(if call.foreign { Role::Dim } else { Role::Text })),
        (space, Face::default()),
        (after.as_str(), Face::new(after_role)),
    ]);
}

fn lay_more(page: &mut Page, scene: &Scene<'_>, lines: usize) {
    let key = if scene.fold_key.is_empty() { String::new() } else { format!(" ({})", scene.fold_key) };
    let text = match lines {
        0 => format!("… the rest of the line{key}"),
        1 => format!("… 1 more line{key}"),
        _ => format!("… {lines} more lines{key}"),
    };
    page.indent("  ", Face::default());
    page.pieces([(one_line(&text, page.room()).as_str(), Face::new(Role::Dim))]);
}

/// Lays out the first lines in their colours. Takes a text without characters that may not become cells.
fn lay_code(page: &mut Page, scene: &Scene<'_>, text: &str, mut syntax: Syntax, most: usize) {
    let text = text.trim_end();
    let end = memchr::memchr_iter(b'\n', text.as_bytes()).nth(most.saturating_sub(1)).unwrap_or(text.len());
    let (shown, hidden) = text.split_at(end);
    page.indent("  ", Face::default());
    page.edged(&expand_tabs(shown, 4), ("│ ", "┊ "), Face::new(Role::Border), |line, flow| {
        syntax.line(line, &mut |text, role| flow.push(text, Face::new(role)));
    });
    page.outdent();
    let hidden = memchr::memchr_iter(b'\n', hidden.as_bytes()).count();
    if hidden > 0 {
        lay_more(page, scene, hidden);
    }
}

/// Takes a text without characters that may not become cells.
fn lay_lines(page: &mut Page, text: &str, role_of: impl Fn(&str) -> Role) {
    page.indent("  ", Face::default());
    let text = text.strip_suffix('\n').unwrap_or(text);
    page.edged(&expand_tabs(text, 4), ("│ ", "┊ "), Face::new(Role::Border), |line, flow| {
        flow.push(line, Face::new(role_of(line)));
    });
}

/// Returns what a terminal would have shown of an output in the end: a progress bar redraws its line, and what counts
/// is what it said last.
fn printed(source: &str) -> String {
    let lines: Vec<&str> =
        source.split('\n').map(|line| line.rsplit('\r').find(|piece| !piece.is_empty()).unwrap_or("")).collect();
    clean(&lines.join("\n")).into_owned()
}

/// Returns the glyph of a call's state, its role, and a word where the glyph does not say it all.
fn status(call: &Call) -> (&'static str, Role, String) {
    match call.state {
        CallState::Writing | CallState::Running => ("◌", Role::Accent, String::new()),
        CallState::Waiting => ("?", Role::Warn, "waiting for approval".into()),
        CallState::Done(outcome) => {
            let (mark, role) = outcome_mark(outcome);
            let word = match (outcome, &call.decision) {
                (Outcome::Ok, _) => String::new(),
                (Outcome::Denied, Some((Decision::Deny(Some(reason)), _))) => format!("denied: {reason}"),
                (Outcome::Requested, _) => "asked for, not run".into(),
                (Outcome::Unknown, _) => "its end never came".into(),
                (Outcome::Failed | Outcome::Denied | Outcome::Cancelled, _) => outcome.name().into(),
            };
            (mark, role, word)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Millis;

    fn call(args: &str) -> Call {
        Call::running("shell", args)
    }

    #[test]
    fn a_headline_fits_at_any_width() {
        for width in 1..100 {
            for state in [CallState::Running, CallState::Waiting, CallState::Done(Outcome::Failed)] {
                let mut call = call(r#"{"command":"cargo test --workspace --all-features\nand more"}"#);
                call.state = state;
                call.took = Some(Millis(1234));
                let mut page = Page::new(width);
                lay_head(&mut page, &call);
                let laid = page.finish();
                assert_eq!(laid.rows(), 1);
                assert!(str_width(laid.row_text(0)) <= usize::from(width), "{:?}", laid.row_text(0));
            }
        }
    }
}
