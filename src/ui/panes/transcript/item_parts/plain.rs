//! The parts of what has lines of its own: prompts, reasoning, and what a call asked and printed.
//!
//! Not for Markdown. The invariant: a folded call shows some rows, however long its lines are; which, only the width can
//! tell, so the part has what may be needed of the text and says how many rows of it.

use super::{ArgsPreview, ItemPart, PartKind, RowLimit};
use crate::event::{CallOutcome, Decision};
use crate::store::output_view::OutputView;
use crate::store::tool_calls::{CallState, ToolCall};
use crate::ui::panes::item::call::looks_like_diff;
use crate::ui::panes::item::call_preview::{call_preview, is_json};
use crate::ui::panes::tool_panel::full_output_hint;

const MAX_PART_LINES: usize = 48;
const MAX_PART_BYTES: usize = 6 * 1024;
/// A line of plain text that is longer is cut.
const MAX_LINE_BYTES: usize = 16 * 1024;
/// Rows that are shown of a folded call.
const FOLDED_DETAIL_ROWS: u16 = 10;
const FOLDED_OUTPUT_ROWS: u16 = 3;
/// Lines that are shown of a folded prompt, and the most bytes of each.
const PROMPT_HEAD_LINES: usize = 5;
const PROMPT_TAIL_LINES: usize = 2;
const MAX_PROMPT_LINE_BYTES: usize = 400;
const FOLDED_FAILURE_ROWS: u16 = 8;
/// Bytes that are enough for a row of a wide screen. A file in one line must fold as well.
const MAX_ROW_BYTES: usize = 1024;

/// Appends ranges of whole lines.
pub(super) fn line_parts(text: &str, from: usize, to: usize, kind: PartKind, parts: &mut Vec<ItemPart>) {
    let mut start = from;
    let mut at = from;
    let mut lines = 0;
    while at < to {
        let rest = text.as_bytes().get(at..to).unwrap_or(&[]);
        let line = memchr::memchr(b'\n', rest.get(..MAX_LINE_BYTES).unwrap_or(rest)).map(|newline| at + newline + 1);
        at = line.unwrap_or_else(|| text.floor_char_boundary(at + MAX_LINE_BYTES).min(to).max(at + 1));
        lines += 1;
        if lines >= MAX_PART_LINES || at - start >= MAX_PART_BYTES || at >= to {
            parts.push(ItemPart { kind, start: start as u32, end: at as u32, gap: false, open: false });
            start = at;
            lines = 0;
        }
    }
}

/// Appends the beginning and the end of a long prompt, and between them what stands for the rest. Returns the bytes that
/// are shown.
pub(super) fn folded_prompt_parts(text: &str, parts: &mut Vec<ItemPart>) -> u64 {
    let bytes = text.as_bytes();
    let head = memchr::memchr_iter(b'\n', bytes).nth(PROMPT_HEAD_LINES - 1).map_or(text.len(), |at| at + 1);
    let head = head.min(text.floor_char_boundary(PROMPT_HEAD_LINES * MAX_PROMPT_LINE_BYTES));
    let tail = memchr::memrchr_iter(b'\n', bytes).nth(PROMPT_TAIL_LINES - 1).map_or(0, |at| at + 1);
    let tail = tail.max(text.ceil_char_boundary(text.len().saturating_sub(PROMPT_TAIL_LINES * MAX_PROMPT_LINE_BYTES)));
    let part =
        |kind, start: usize, end: usize| ItemPart { start: start as u32, end: end as u32, ..ItemPart::whole(kind) };
    if head >= tail {
        line_parts(text, 0, text.len(), PartKind::Prompt, parts);
        return text.len() as u64;
    }
    parts.push(part(PartKind::Prompt, 0, head));
    parts.push(part(PartKind::PromptRest, head, tail));
    parts.push(part(PartKind::Prompt, tail, text.len()));
    (head + text.len() - tail) as u64
}

/// Appends what a call shows below its headline. Returns the bytes of it.
pub(super) fn call_parts(
    call: &ToolCall,
    view: OutputView,
    is_asked_above: bool,
    told: &mut ArgsPreview,
    parts: &mut Vec<ItemPart>,
) -> u64 {
    let mut bytes = 0;
    // The ask that is open shows it.
    let folded = view != OutputView::Full;
    if is_asked_above || (view == OutputView::Hidden && hides_output(call)) {
        return bytes;
    }
    let detail = call.approval_request().map_or("", |ask| ask.detail.trim_end());
    let mut output = call.output.trim_end();
    let is_done = matches!(call.state, CallState::Done(_));
    if shows_detail(detail) {
        bytes += head_parts(detail, folded.then_some(FOLDED_DETAIL_ROWS), PartKind::Detail, parts);
        // Of one that was taken in part, the words before say which; its hunks stand above.
        if let Some((Decision::Hunks(_), _)) = call.decision()
            && let Some((words, _)) = output.split_once("\napplied:\n")
        {
            output = words;
        }
        // An edit shows its diff once.
        if let Some(first) = diff_start(detail).and_then(|diff| output.find(diff)) {
            output = output.get(..first).unwrap_or(output).trim_end();
            while let Some((rest, _)) = output.rsplit_once('\n').filter(|(_, name)| is_file_name(name)) {
                output = rest.trim_end();
            }
            output = if is_file_name(output) { "" } else { output };
        }
    } else if !(is_done && looks_like_diff(output)) && told.more_than_headline(call) {
        parts.push(ItemPart::whole(PartKind::Preview));
    }
    if matches!(call.state, CallState::Done(_)) && is_json(output) {
        parts.push(ItemPart { end: output.len() as u32, ..ItemPart::whole(PartKind::Json) });
        return bytes;
    }
    let shown = match (folded, call.state) {
        (false, _) => None,
        (true, CallState::Done(CallOutcome::Failed)) => Some(FOLDED_FAILURE_ROWS),
        (true, _) if looks_like_diff(output) => Some(FOLDED_DETAIL_ROWS),
        (true, _) => Some(FOLDED_OUTPUT_ROWS),
    };
    if folded && call.state == CallState::Running {
        // What it says now is at its end.
        let lines = usize::from(FOLDED_OUTPUT_ROWS);
        let start = memchr::memrchr_iter(b'\n', output.as_bytes()).nth(lines - 1).map_or(0, |at| at + 1);
        let start = start.max(output.ceil_char_boundary(output.len().saturating_sub(lines * MAX_ROW_BYTES)));
        let kind = PartKind::Output(RowLimit::Last(FOLDED_OUTPUT_ROWS));
        if start < output.len() {
            parts.push(ItemPart { start: start as u32, end: output.len() as u32, ..ItemPart::whole(kind) });
        }
        return bytes + (output.len() - start) as u64;
    }
    bytes += head_parts(output, shown, PartKind::Output, parts);
    if full_output_hint(call).is_some() {
        parts.push(ItemPart::whole(PartKind::FullOutput));
    }
    bytes
}

/// Why a call failed is shown all the same, and what somebody has to decide.
pub(in crate::ui::panes) fn hides_output(call: &ToolCall) -> bool {
    !matches!(call.state, CallState::AwaitingApproval | CallState::Done(CallOutcome::Failed))
}

impl ArgsPreview {
    fn more_than_headline(&mut self, call: &ToolCall) -> bool {
        let now = (call.args_rev, call.state == CallState::Writing);
        if self.as_of != Some(now) {
            self.has_more = call_preview(call, usize::MAX).is_some();
            self.as_of = Some(now);
            self.bytes_read += call.args.len() as u64;
        }
        self.has_more
    }
}

fn is_file_name(line: &str) -> bool {
    line.starts_with("--- ") || line.starts_with("+++ ")
}

/// Returns the first place of a diff with what it changes; the names of its file may be written otherwise.
fn diff_start(detail: &str) -> Option<&str> {
    let start = if detail.starts_with("@@ ") { 0 } else { memchr::memmem::find(detail.as_bytes(), b"\n@@ ")? + 1 };
    detail.get(start..)
}

/// A diff, or anything of several lines; one line is in the headline already.
fn shows_detail(detail: &str) -> bool {
    detail.contains('\n')
}

/// Appends what of a text may be needed for its first rows, or all of it. Returns the bytes of it.
fn head_parts(text: &str, rows: Option<u16>, kind: impl Fn(RowLimit) -> PartKind, parts: &mut Vec<ItemPart>) -> u64 {
    let Some(rows) = rows else {
        line_parts(text, 0, text.len(), kind(RowLimit::All), parts);
        return text.len() as u64;
    };
    let most = usize::from(rows);
    // A line more than is shown: alone, it is not worth folding.
    let whole = memchr::memchr_iter(b'\n', text.as_bytes()).nth(most).map_or(text.len(), |at| at + 1);
    let end = whole.min(text.floor_char_boundary((most + 1) * MAX_ROW_BYTES));
    let hidden = text.get(end..).unwrap_or("");
    let behind = (!hidden.is_empty())
        .then(|| (memchr::memchr_iter(b'\n', hidden.as_bytes()).count() + usize::from(end == whole)) as u32);
    if end > 0 {
        parts.push(ItemPart { end: end as u32, ..ItemPart::whole(kind(RowLimit::First { rows, behind })) });
    }
    end as u64
}
