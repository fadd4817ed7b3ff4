//! The parts of what has lines of its own: prompts, reasoning, and what a call asked and printed.
//!
//! Not for Markdown. The invariant: a folded call shows some rows, however long its lines are; which, only the width can
//! tell, so the part has what may be needed of the text and says how many rows of it.

use super::{Part, PartKind, Rows, Told};
use crate::event::Outcome;
use crate::store::tools::{Call, CallState};
use crate::ui::panes::item::about::{about, is_json};
use crate::ui::panes::item::call::looks_like_diff;
use crate::ui::panes::tool_panel::all_of_it;

const PART_LINES: usize = 48;
const PART_BYTES: usize = 6 * 1024;
/// A line of plain text that is longer is cut.
const LONG_LINE: usize = 16 * 1024;
/// Rows that are shown of a folded call.
const FOLDED_DETAIL: u16 = 10;
const FOLDED_OUTPUT: u16 = 3;
const FOLDED_FAILURE: u16 = 8;
/// Bytes that are enough for a row of a wide screen. A file in one line must fold as well.
const ROW_BYTES: usize = 1024;

/// Appends ranges of whole lines.
pub(super) fn line_parts(text: &str, from: usize, to: usize, kind: PartKind, parts: &mut Vec<Part>) {
    let mut start = from;
    let mut at = from;
    let mut lines = 0;
    while at < to {
        let rest = text.as_bytes().get(at..to).unwrap_or(&[]);
        let line = memchr::memchr(b'\n', rest.get(..LONG_LINE).unwrap_or(rest)).map(|newline| at + newline + 1);
        at = line.unwrap_or_else(|| text.floor_char_boundary(at + LONG_LINE).min(to).max(at + 1));
        lines += 1;
        if lines >= PART_LINES || at - start >= PART_BYTES || at >= to {
            parts.push(Part { kind, start: start as u32, end: at as u32, gap: false, open: false });
            start = at;
            lines = 0;
        }
    }
}

/// Appends what a call shows below its headline. Returns the bytes of it.
pub(super) fn call_parts(call: &Call, folded: bool, told: &mut Told, parts: &mut Vec<Part>) -> u64 {
    let mut bytes = 0;
    let detail = call.ask.as_ref().map_or("", |ask| ask.detail.trim_end());
    if shows_detail(detail) {
        bytes += head_parts(detail, folded.then_some(FOLDED_DETAIL), PartKind::Detail, parts);
    } else if told.more_than_headline(call) {
        parts.push(Part::whole(PartKind::About));
    }
    let output = call.output.trim_end();
    if matches!(call.state, CallState::Done(_)) && is_json(output) {
        parts.push(Part { end: output.len() as u32, ..Part::whole(PartKind::Json) });
        return bytes;
    }
    let shown = match (folded, call.state) {
        (false, _) => None,
        (true, CallState::Done(Outcome::Failed)) => Some(FOLDED_FAILURE),
        (true, _) if looks_like_diff(output) => Some(FOLDED_DETAIL),
        (true, _) => Some(FOLDED_OUTPUT),
    };
    if folded && call.state == CallState::Running {
        // What it says now is at its end.
        let lines = usize::from(FOLDED_OUTPUT);
        let start = memchr::memrchr_iter(b'\n', output.as_bytes()).nth(lines - 1).map_or(0, |at| at + 1);
        let start = start.max(output.ceil_char_boundary(output.len().saturating_sub(lines * ROW_BYTES)));
        let kind = PartKind::Output(Rows::Last(FOLDED_OUTPUT));
        if start < output.len() {
            parts.push(Part { start: start as u32, end: output.len() as u32, ..Part::whole(kind) });
        }
        return bytes + (output.len() - start) as u64;
    }
    bytes += head_parts(output, shown, PartKind::Output, parts);
    if all_of_it(call).is_some() {
        parts.push(Part::whole(PartKind::Whole));
    }
    bytes
}

impl Told {
    fn more_than_headline(&mut self, call: &Call) -> bool {
        let now = (call.args_rev, call.state == CallState::Writing);
        if self.of != Some(now) {
            self.more = about(call, usize::MAX).is_some();
            self.of = Some(now);
            self.bytes_read += call.args.len() as u64;
        }
        self.more
    }
}

/// A diff, or anything of several lines; one line is in the headline already.
fn shows_detail(detail: &str) -> bool {
    detail.contains('\n')
}

/// Appends what of a text may be needed for its first rows, or all of it. Returns the bytes of it.
fn head_parts(text: &str, rows: Option<u16>, kind: impl Fn(Rows) -> PartKind, parts: &mut Vec<Part>) -> u64 {
    let Some(rows) = rows else {
        line_parts(text, 0, text.len(), kind(Rows::All), parts);
        return text.len() as u64;
    };
    let most = usize::from(rows);
    let whole = memchr::memchr_iter(b'\n', text.as_bytes()).nth(most.saturating_sub(1)).map_or(text.len(), |at| at + 1);
    let end = whole.min(text.floor_char_boundary(most * ROW_BYTES));
    let hidden = text.get(end..).unwrap_or("");
    let behind = (!hidden.is_empty())
        .then(|| (memchr::memchr_iter(b'\n', hidden.as_bytes()).count() + usize::from(end == whole)) as u32);
    if end > 0 {
        parts.push(Part { end: end as u32, ..Part::whole(kind(Rows::First { rows, behind })) });
    }
    end as u64
}
