//! Where pieces of a text begin and end: lines, blank lines, and where a piece that is too long is cut.
//!
//! Not for what a piece is.

use crate::ui::markdown::nesting::WIDE_TABLE_COLUMNS;
use crate::ui::markdown::table::{column_count, is_rule};

/// Longer blocks are cut, at the end of a line, so that no text makes a token expensive.
pub(super) const MAX_BLOCK_BYTES: usize = 64 * 1024;
/// Nor has a block more cells of tables: whole rows of that length have no more, but rows may lack nearly all of theirs.
const MAX_BLOCK_CELLS: usize = MAX_BLOCK_BYTES / 2;
/// What the parser is given at once. A block of the longest kind fits, and what follows it; what is cut off is read again.
const PARSE_WINDOW_BYTES: usize = MAX_BLOCK_BYTES + MAX_BLOCK_BYTES / 4;

/// Returns the end of what is parsed at once: whole lines.
pub(super) fn window_end(text: &str, start: usize, end: usize) -> usize {
    let full = start + PARSE_WINDOW_BYTES;
    if full >= end {
        return end;
    }
    let bytes = text.as_bytes();
    // With too little before a long line, nothing could be told of what comes before it, and it would never be reached.
    if let Some(at) = bytes.get(start..full).and_then(|bytes| memchr::memrchr(b'\n', bytes))
        && at > MAX_BLOCK_BYTES
    {
        return start + at + 1;
    }
    // A line as long as that is cut anyway; how it begins says what it is.
    text.floor_char_boundary(full)
}

/// Returns where a block that is too long is cut: after a line, else after a word, else anywhere between characters.
pub(super) fn cut_point(text: &str, start: usize, end: usize) -> Option<usize> {
    let full = start + MAX_BLOCK_BYTES;
    let block = text.get(start..text.floor_char_boundary(end.min(full))).unwrap_or("");
    if let Some(cut) = max_cells_end(block).map(|at| start + at).filter(|cut| *cut < end) {
        return Some(cut);
    }
    cut_by_size(text, start, end)
}

/// Returns where a block without tables is cut that is too long.
pub(super) fn cut_by_size(text: &str, start: usize, end: usize) -> Option<usize> {
    let full = start + MAX_BLOCK_BYTES;
    if end <= full {
        return None;
    }
    let bytes = text.as_bytes().get(start..full).unwrap_or(&[]);
    if let Some(at) = memchr::memrchr(b'\n', bytes).or_else(|| memchr::memrchr(b' ', bytes)) {
        return Some(start + at + 1);
    }
    Some(text.floor_char_boundary(full))
}

/// Returns the end of the line with which a block has as many cells of wide tables as it may have.
fn max_cells_end(block: &str) -> Option<usize> {
    let (mut at, mut cells, mut wide) = (0, 0, 0);
    for line in block.split_inclusive('\n') {
        at += line.len();
        let row = line.trim_start_matches([' ', '\t', '>']).trim_end();
        if row.is_empty() {
            wide = 0;
        } else if is_rule(row) {
            wide = Some(column_count(row)).filter(|columns| *columns >= WIDE_TABLE_COLUMNS).unwrap_or(0);
        } else {
            cells += wide;
        }
        if cells >= MAX_BLOCK_CELLS {
            return Some(at);
        }
    }
    None
}

/// Returns the end of a block's last line that isn't blank.
pub(super) fn content_end(text: &str, start: usize, end: usize, limit: usize) -> usize {
    let bytes = text.as_bytes();
    let mut end = end.min(limit);
    if end > start && bytes.get(end - 1) != Some(&b'\n') {
        let rest = bytes.get(end..limit).unwrap_or(&[]);
        end = memchr::memchr(b'\n', rest).map_or(limit, |at| end + at + 1);
    }
    while end > start && ends_blank(text, end) {
        let before = bytes.get(start..end - 1).unwrap_or(&[]);
        let Some(newline) = memchr::memrchr(b'\n', before) else { break };
        end = start + newline + 1;
    }
    end
}

pub(super) fn line_start(source: &str, at: usize) -> usize {
    source.as_bytes().get(..at).and_then(|before| memchr::memrchr(b'\n', before)).map_or(0, |newline| newline + 1)
}

/// Returns whether the line that ends at `end` is blank.
pub(super) fn ends_blank(text: &str, end: usize) -> bool {
    let Some(before) = text.get(..end).and_then(|before| before.strip_suffix('\n')) else { return false };
    let line = memchr::memrchr(b'\n', before.as_bytes()).map_or(0, |at| at + 1);
    before.get(line..).is_some_and(|line| line.trim().is_empty())
}
