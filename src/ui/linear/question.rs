//! Questions and lists as lines, with a number before each answer.

use std::fmt::Write as _;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::event::ApprovalRequest;
use crate::store::Store;
use crate::store::approval::ApprovalChoice;
use crate::store::outline::OutlineSubject;
use crate::store::overlay::Overlay;
use crate::store::overlay::approval::{ApprovalDialog, ApprovalInput};
use crate::text::hunks::hunk_ranges;
use crate::text::{one_line, visible, visible_line};
use crate::ui::Ui;
use crate::ui::overlays::{self, OverlayViews};
use crate::ui::pane::OverlayScreen;
use crate::ui::panes::approval::{choice_effect, title};

/// Lines of what is asked about; the rest is shown on demand.
const MAX_DETAIL_LINES: usize = 20;
/// Rows of a list that are read out; with more, part of a name is typed.
const MAX_LISTED_ROWS: usize = 30;
const MAX_ROW_CELLS: usize = 160;
/// Size of the page on which a text is laid out.
const PAGE_COLUMNS: u16 = 100;
const MAX_PAGE_ROWS: u16 = 400;

/// What waits for a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What is printed when it comes up.
    pub text: String,
    /// What stands before the line that answers it.
    pub label: &'static str,
}

/// Returns what the overlay on top asks; none where there is none, or where it only shows a text.
pub fn question(store: &Store) -> Option<Question> {
    let top = store.focus.top()?;
    if let Overlay::Approval(dialog) = top {
        return approval(store, dialog);
    }
    if let Overlay::Title(field) = top {
        let text = format!("Title of the session, now: {}\n", one_line(&field.text, MAX_ROW_CELLS));
        return Some(Question { text, label: "Title: " });
    }
    let rows = top.state().rows(store)?;
    let is_filtered = top.state().is_typing();
    let mut text = format!("{}\n", list_title(top, rows.len()));
    for (nth, row) in rows.iter().take(MAX_LISTED_ROWS).enumerate() {
        _ = writeln!(text, "{}. {}", nth + 1, one_line(row, MAX_ROW_CELLS));
    }
    match rows.len().saturating_sub(MAX_LISTED_ROWS) {
        0 => {}
        more => _ = writeln!(text, "{more} more."),
    }
    let filter = if is_filtered { ", part of a name to look for," } else { "" };
    _ = writeln!(text, "Type a number{filter} or an empty line to leave the list.");
    Some(Question { text, label: "Number: " })
}

fn list_title(top: &Overlay, rows: usize) -> String {
    let name = match top {
        Overlay::Models(_) => "Models",
        Overlay::Modes(list) if list.full_mode_confirm.is_some() => "Never ask?",
        Overlay::Modes(_) => "Modes",
        Overlay::Links(_) => "Links and files, to open",
        Overlay::Outline(outline) => match outline.subject {
            OutlineSubject::Everything => "Outline, newest first",
            OutlineSubject::Marks => "Marks and notes, newest first",
        },
        Overlay::PromptHistory(_) => "Earlier prompts",
        Overlay::Sessions(picker) if picker.is_loading() => "Sessions, being looked for",
        Overlay::Sessions(_) => "Sessions",
        Overlay::SessionsSearch(search) if search.found().is_none() => "Texts, being looked for",
        Overlay::SessionsSearch(_) => "Texts of all sessions",
        Overlay::Permissions(_) => "Permissions; a number takes a grant back",
        Overlay::Palette(_) => "Actions",
        Overlay::Agents(_) => "Sub-agents",
        Overlay::Efforts(_) => "Effort",
        Overlay::Themes(_) => "Themes",
        Overlay::Rewind(_) => "Prompts to go back to, newest last",
        Overlay::FileRestore(_) => "Files that the agent changed; a number does it, or takes a file out or in",
        Overlay::BranchTree(_) => "Branches",
        _ => "Choices",
    };
    match rows {
        0 => format!("{name}: none"),
        rows => format!("{name}: {rows}"),
    }
}

fn approval(store: &Store, dialog: &ApprovalDialog) -> Option<Question> {
    let ask = store.tool_calls.get(&dialog.call)?.approval_request()?;
    let feedback =
        dialog.feedback.as_ref().map_or(String::new(), |told| format!("{}\n", one_line(&visible(told), 300)));
    Some(match dialog.input {
        ApprovalInput::Choosing => {
            let mut text = feedback + &about(ask, MAX_DETAIL_LINES);
            for (nth, choice) in ApprovalChoice::all_for(ask).into_iter().enumerate() {
                _ = writeln!(text, "{}. {}", nth + 1, choice_effect(ask, choice));
            }
            text.push_str("Type a number and Enter. Other text waits as your next prompt.\n");
            Question { text, label: "Answer: " }
        }
        ApprovalInput::Hunks | ApprovalInput::Note => hunk_question(ask, dialog, feedback)?,
        ApprovalInput::Reason => Question {
            text: format!("{feedback}Why not? The model gets this reason; an empty line denies without one.\n"),
            label: "Reason: ",
        },
        ApprovalInput::Written => Question { text: format!("{feedback}Type the answer.\n"), label: "Answer: " },
        ApprovalInput::Pattern => Question {
            text: format!(
                "{feedback}What to allow for this session: {}\nAn empty line allows that; or type another pattern.\n",
                visible_line(&dialog.pattern)
            ),
            label: "Pattern: ",
        },
    })
}

fn hunk_question(ask: &ApprovalRequest, dialog: &ApprovalDialog, feedback: String) -> Option<Question> {
    let review = dialog.review.as_ref()?;
    let (at, mark) = (review.current(), review.marks().get(review.current())?);
    let state = match mark.is_taken {
        Some(true) => "taken",
        Some(false) => "left out",
        None => "open",
    };
    let mut text = feedback;
    _ = writeln!(text, "Hunk {} of {}, {state}: {}", at + 1, review.marks().len(), visible_line(&ask.subject));
    let hunk = hunk_ranges(&ask.detail).get(at).map_or("", |range| &ask.detail[range.clone()]);
    for line in hunk.lines() {
        _ = writeln!(text, "{}", visible(line));
    }
    if !mark.note.is_empty() {
        _ = writeln!(text, "Note: {}", visible_line(&mark.note));
    }
    let (taken, left_out, open) = review.counts();
    _ = writeln!(text, "{taken} taken, {left_out} left out, {open} open.");
    text.push_str("Type take, leave, note and a text, next, previous, take rest, leave rest, apply, or back.\n");
    Some(Question { text, label: "Hunk: " })
}

/// Says what is asked for, with at most so many lines of what it is about.
pub fn about(ask: &ApprovalRequest, most: usize) -> String {
    let mut text = format!("Approval needed: {}\n", title(ask));
    let repeated = ask.detail.trim() == ask.subject.trim();
    let lines = ask.subject.trim_end().split('\n').map(|line| visible_line(line).into_owned());
    let folder = (!ask.folder.is_empty()).then(|| format!("In folder {}", visible_line(&ask.folder)));
    let detail = if repeated { "" } else { ask.detail.trim_end() };
    let detail = detail.split('\n').filter(|_| !detail.is_empty()).map(|line| visible(line).into_owned());
    let sandbox = ask.sandbox.iter().map(|note| format!("Sandbox: {}", visible_line(&note.text)));
    let all: Vec<String> = lines.chain(sandbox).chain(folder).chain(detail).collect();
    for line in all.iter().take(most) {
        text.push_str(line);
        text.push('\n');
    }
    match all.len().saturating_sub(most) {
        0 => {}
        1 => text.push_str("1 more line: choose to show it in full.\n"),
        more => _ = writeln!(text, "{more} more lines: choose to show it in full."),
    }
    text
}

/// Returns the text that the overlay on top shows, without its frame.
pub fn overlay_text(store: &Store, ui: &mut Ui) -> String {
    let Some(overlay) = store.focus.top() else { return String::new() };
    let page = Rect::new(0, 0, PAGE_COLUMNS, MAX_PAGE_ROWS);
    let mut buffer = Buffer::empty(page);
    let Ui { panes, theme, key_hints, raw, agent, changes, .. } = ui;
    let screen = OverlayScreen { store, key_hints, theme: *theme, stage: page, input: page };
    let mut views = OverlayViews { raw, agent, changes, approval: &panes.approval, has_code_letters: false };
    overlays::draw(overlay, &screen, &mut views, &mut buffer);
    let rows = (0..page.height).map(|y| {
        (0..page.width).filter_map(|x| buffer.cell((x, y))).map(ratatui::buffer::Cell::symbol).collect::<String>()
    });
    let is_frame = |c: char| c == ' ' || ('\u{2500}'..='\u{257f}').contains(&c);
    let mut text = String::new();
    for row in rows {
        let is_bottom = row.trim_start().starts_with(['└', '╰']);
        let row = row.trim_matches(is_frame);
        if !row.is_empty() && !is_bottom {
            text.push_str(row);
            text.push('\n');
        }
    }
    text
}
