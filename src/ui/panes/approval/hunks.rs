//! The hunks of a diff, decided one by one.
//!
//! ```text
//! ╭─ edit_file wants to change a file ──────────────╮
//! │ src/a.rs · hunk 2 of 3                          │
//! │ ✓ [?] ✗                                         │
//! │                                                 │
//! │   10   fn a() {                                 │
//! │   11 -     one                                  │
//! │   11 +     two                                  │
//! │                                                 │
//! │ note: why?                                      │
//! │ y take · n leave out · c note · ] next · [ …    │
//! │ Enter: apply 1 of 3 hunks                       │
//! ╰────────────────────────── 1–3 of 3 rows · ↑↓ ───╯
//! ```

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{border, title};
use crate::event::ApprovalRequest;
use crate::store::overlay::approval::{ApprovalDialog, ApprovalInput, HunkReview};
use crate::text::hunks::hunk_ranges;
use crate::text::width::str_width;
use crate::text::{one_line, visible, visible_line};
use crate::ui::diff::{DiffView, lay_diff};
use crate::ui::key_hints::KeyHints;
use crate::ui::paint::{RowWriter, draw_box};
use crate::ui::pane::{DrawnOverlay, OverlayScreen};
use crate::ui::panes::filter_list::tail;
use crate::ui::text_layout::laid_out::LayoutBuilder;
use crate::ui::theme::{Role, Theme};

/// With fewer rows there are no gaps.
const MIN_AIRY_ROWS: u16 = 12;

/// Draws the hunk on the screen, what was said of all, and what the keys do.
pub(super) fn draw_hunks(approval: &ApprovalDialog, screen: &OverlayScreen<'_>, buf: &mut Buffer) -> DrawnOverlay {
    let OverlayScreen { store, key_hints, theme, stage: area, .. } = *screen;
    let ask = store.tool_calls.get(&approval.call).and_then(|call| call.approval_request());
    let (Some(ask), Some(review)) = (ask, &approval.review) else { return DrawnOverlay::default() };
    let inner = Rect {
        x: area.x + 2,
        y: area.y + 1,
        width: area.width.saturating_sub(4),
        height: area.height.saturating_sub(2),
    };
    let gap = u16::from(inner.height >= MIN_AIRY_ROWS);
    let (below, above) = (3, 2 + gap);
    let rows = usize::from(inner.height.saturating_sub(above + gap + below));
    let mut page = LayoutBuilder::new(inner.width.max(1));
    let view = DiffView { path: &ask.subject, before: "", rows: usize::MAX, is_all: true };
    lay_diff(&mut page, &visible(hunk_text(ask, review).trim_end_matches('\n')), view);
    let laid = page.finish();
    let all = laid.rows() as usize;
    let end = all.saturating_sub(rows);
    let first = review.scroll.min(end);
    let last = (first + rows).min(all);
    let footer = format!("{}–{last} of {all} rows · ↑↓", (first + 1).min(last));
    let inner = draw_box(&title(ask), &footer, border(ask.risk), theme, area, buf);
    draw_head(ask, review, theme, inner, buf);
    for (row, nth) in (first..last).enumerate() {
        laid.draw_row(nth as u32, inner.x, inner.y + above + row as u16, inner.width, theme, buf);
    }
    let foot = Rect { y: inner.bottom().saturating_sub(below), height: below, ..inner }.intersection(inner);
    let is_guarded = store.is_guarded();
    DrawnOverlay { cursor: draw_foot(approval, review, key_hints, (theme, is_guarded), foot, buf), scroll_end: end }
}

fn hunk_text<'a>(ask: &'a ApprovalRequest, review: &HunkReview) -> &'a str {
    hunk_ranges(&ask.detail).get(review.current()).map_or("", |range| &ask.detail[range.clone()])
}

/// The file, which hunk it is, and a mark for each: the one on the screen is in brackets.
fn draw_head(ask: &ApprovalRequest, review: &HunkReview, theme: Theme, area: Rect, buf: &mut Buffer) {
    let (at, all) = (review.current(), review.marks().len());
    let place = format!(" · hunk {} of {all}", at + 1);
    let room = usize::from(area.width).saturating_sub(str_width(&place));
    let mut pen = RowWriter::new(buf, area, 0);
    pen.write(&one_line(&visible_line(&ask.subject), room), theme.style(Role::Tool));
    pen.write(&place, theme.style(Role::Dim));
    // Two cells each, and two for the brackets; the one on the screen is always among them.
    let most = usize::from(area.width.saturating_sub(2) / 2).max(1);
    let first = at.saturating_sub(most / 2).min(all.saturating_sub(most));
    let mut pen = RowWriter::new(buf, area, 1);
    for (nth, mark) in review.marks().iter().enumerate().skip(first).take(most) {
        let (glyph, role) = match mark.is_taken {
            Some(true) => ("✓", Role::Ok),
            Some(false) => ("✗", Role::Error),
            None => ("?", Role::Warn),
        };
        if nth == at {
            pen.write("[", theme.style(Role::Key)).write(glyph, theme.style(role)).write("]", theme.style(Role::Key));
        } else {
            pen.write(glyph, theme.style(role));
        }
        pen.skip(1);
    }
}

/// The note, the keys and what Enter does.
fn draw_foot(
    approval: &ApprovalDialog,
    review: &HunkReview,
    labels: &KeyHints,
    (theme, is_guarded): (Theme, bool),
    area: Rect,
    buf: &mut Buffer,
) -> Option<(u16, u16)> {
    let note = review.marks().get(review.current()).map_or("", |mark| mark.note.as_str());
    let mut cursor = None;
    let is_writing = approval.input == ApprovalInput::Note;
    if is_writing || !note.is_empty() {
        let mut pen = RowWriter::new(buf, area, 0);
        pen.write("note:", theme.style(Role::Dim)).skip(1);
        let room = pen.room().saturating_sub(1);
        pen.write(tail(&visible_line(note), room), theme.style(Role::Text));
        cursor = is_writing.then(|| (pen.column().min(area.right().saturating_sub(1)), area.y));
    }
    let mut pen = RowWriter::new(buf, area, 1);
    let keys = [
        ("hunks.take", "take"),
        ("hunks.leave", "leave out"),
        ("hunks.note", "note"),
        ("hunks.next", "next"),
        ("hunks.previous", "previous"),
        ("hunks.take-rest", "take the rest"),
        ("hunks.leave-rest", "leave the rest"),
    ];
    for (action, what) in keys.into_iter().filter(|_| !is_writing) {
        let key = labels.keys_of(action);
        if key.is_empty() || pen.room() < str_width(key) + str_width(what) + 1 {
            continue;
        }
        pen.write(key, theme.style(Role::Key)).skip(1).write(what, theme.style(Role::Dim)).skip(2);
    }
    let (text, role) = enter_effect(approval, review, labels);
    let role = if is_guarded && role == Role::Text { Role::Dim } else { role };
    RowWriter::new(buf, area, 2).write_truncated(&text, 0, theme.style(role));
    cursor
}

fn enter_effect(approval: &ApprovalDialog, review: &HunkReview, labels: &KeyHints) -> (String, Role) {
    if let Some(told) = &approval.feedback {
        return (one_line(&visible(told), 300), Role::Error);
    }
    let (enter, esc) = (&labels.accept, &labels.close);
    if approval.input == ApprovalInput::Note {
        return (format!("{enter}: keep this note for the model · {esc} back"), Role::Text);
    }
    let (taken, left_out, open) = review.counts();
    let text = match (taken, left_out, open) {
        (taken, left_out, 1..) => {
            return (format!("{taken} taken, {left_out} left out, {open} open · {esc} back"), Role::Dim);
        }
        (0, _, 0) => format!("{enter}: deny the call, with the notes as the reason · {esc} back"),
        (taken, 0, 0) => format!("{enter}: apply all {taken} hunks · {esc} back"),
        (taken, left_out, 0) => {
            format!("{enter}: apply {taken} of {} hunks, tell the model so · {esc} back", taken + left_out)
        }
    };
    (text, Role::Text)
}
