//! Rows that have more cells than their table has columns: what is beyond them would not be shown.
//!
//! Mostly such a row is one whose author did not know that a bar ends a cell in code as well (`a|b`), or wrote `||` for
//! "or". The invariant: nothing but backslashes before bars is added, and only in rows that have too many cells.

use std::borrow::Cow;
use std::ops::Range;

use pulldown_cmark::{Event, Parser, Tag};

use crate::ui::markdown::options;

/// Returns the text with backslashes before the bars that are no ends of cells.
pub(in crate::ui::markdown) fn escape_extra_bars(source: &str) -> Cow<'_, str> {
    if !may_have_too_many(source) {
        return Cow::Borrowed(source);
    }
    let mut columns = 0;
    let mut literal = Vec::new();
    for (event, range) in Parser::new_ext(source, options()).into_offset_iter() {
        match event {
            Event::Start(Tag::Table(alignments)) => columns = alignments.len(),
            Event::Start(Tag::TableRow) => {
                let row = source.get(range.clone()).unwrap_or("");
                literal.extend(literal_bars(row, columns).into_iter().map(|at| range.start + at));
            }
            _ => {}
        }
    }
    if literal.is_empty() {
        return Cow::Borrowed(source);
    }
    let mut out = String::with_capacity(source.len() + literal.len());
    let mut done = 0;
    for at in literal {
        out.push_str(source.get(done..at).unwrap_or(""));
        out.push('\\');
        done = at;
    }
    out.push_str(source.get(done..).unwrap_or(""));
    Cow::Owned(out)
}

/// Returns whether a line has more cells than the rule above it. Looks at each byte once, and takes no line for a row for
/// sure.
fn may_have_too_many(source: &str) -> bool {
    if memchr::memchr(b'|', source.as_bytes()).is_none() {
        return false;
    }
    let mut columns = None;
    for line in source.lines() {
        let row = line.trim_start_matches([' ', '\t', '>']).trim_end();
        if is_rule(row) {
            columns = Some(cell_count(&bar_positions(row), row));
        } else if columns.is_some_and(|columns| cell_count(&bar_positions(row), row) > columns) {
            return true;
        }
    }
    false
}

/// Returns whether a line, less what stands around it, can be the one below the names of a table.
pub(in crate::ui::markdown) fn is_rule(row: &str) -> bool {
    // Most lines end here: with another mark.
    row.bytes().all(|byte| b"|:- \t".contains(&byte)) && row.contains('-')
}

/// Returns how many columns a row has: at least one.
pub(in crate::ui::markdown) fn column_count(row: &str) -> usize {
    let row = row.trim();
    cell_count(&bar_positions(row), row)
}

/// Returns where the bars of a row stand that have no backslash before them.
fn bar_positions(row: &str) -> Vec<usize> {
    let bytes = row.as_bytes();
    let escaped = |at: usize| at > 0 && bytes[at - 1] == b'\\';
    memchr::memchr_iter(b'|', bytes).filter(|at| !escaped(*at)).collect()
}

/// Returns the bars between cells: those at the ends of the row are around them.
fn inner_bars(bars: &[usize], row: &str) -> Range<usize> {
    let first = usize::from(bars.first() == Some(&0));
    let last = bars.len() - usize::from(bars.len() > first && bars.last() == Some(&(row.len() - 1)));
    first..last
}

fn cell_count(bars: &[usize], row: &str) -> usize {
    inner_bars(bars, row).len() + 1
}

/// Returns which bars of a row with too many cells are text. Sorted.
fn literal_bars(row: &str, columns: usize) -> Vec<usize> {
    let start = row.len() - row.trim_start().len();
    let row = row.trim();
    let mut bars = bar_positions(row);
    let mut literal = Vec::new();
    // In the order of how sure it is that they are no ends of cells: those in code, doubled ones, the last.
    if cell_count(&bars, row) > columns {
        let code = code_spans(row);
        move_literal_bars(&mut bars, &mut literal, |at, _| {
            code.get(code.partition_point(|span| span.end <= at)).is_some_and(|span| span.contains(&at))
        });
    }
    if cell_count(&bars, row) > columns + 1 {
        let ends = inner_bars(&bars, row);
        let inner: Vec<usize> = bars.get(ends).unwrap_or(&[]).to_vec();
        let is_inner = |at: usize| inner.binary_search(&at).is_ok();
        let doubled = |at: usize| is_inner(at) && (is_inner(at + 1) || at > 0 && is_inner(at - 1));
        let found = inner.iter().filter(|at| doubled(**at)).count();
        if inner.len() - found + 1 >= columns {
            move_literal_bars(&mut bars, &mut literal, |at, _| doubled(at));
        }
    }
    if cell_count(&bars, row) > columns {
        let ends = inner_bars(&bars, row);
        let kept = ends.start + columns.saturating_sub(1);
        move_literal_bars(&mut bars, &mut literal, |_, nth| (kept..ends.end).contains(&nth));
    }
    literal.sort_unstable();
    literal.into_iter().map(|at| start + at).collect()
}

/// Moves bars that are text from the one list to the other.
fn move_literal_bars(bars: &mut Vec<usize>, literal: &mut Vec<usize>, is_text: impl Fn(usize, usize) -> bool) {
    let mut nth = 0;
    bars.retain(|at| {
        let text = is_text(*at, nth);
        nth += 1;
        if text {
            literal.push(*at);
        }
        !text
    });
}

/// Returns where code stands in a row: between as many marks as it was opened with.
fn code_spans(row: &str) -> Vec<Range<usize>> {
    let bytes = row.as_bytes();
    let mut runs: Vec<Range<usize>> = Vec::new();
    for at in memchr::memchr_iter(b'`', bytes) {
        match runs.last_mut() {
            Some(run) if run.end == at => run.end += 1,
            _ if at > 0 && bytes[at - 1] == b'\\' => {}
            _ => runs.push(at..at + 1),
        }
    }
    let mut spans = Vec::new();
    let mut from = 0;
    while let Some(open) = runs.get(from) {
        let close = runs.iter().skip(from + 1).take(64).position(|run| run.len() == open.len());
        from += 1;
        if let Some(close) = close.and_then(|at| runs.get(from + at).map(|run| (from + at, run))) {
            spans.push(open.end..close.1.start);
            from = close.0 + 1;
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_that_end_no_cell_are_text() {
        let cases = [
            // In code.
            ("| alt | `a|b` | matches |", "| alt | `a\\|b` | matches |"),
            ("alt | ``a`|`b`` | x", "alt | ``a`\\|`b`` | x"),
            // For "or".
            ("| or | x || y | logical |", "| or | x \\|\\| y | logical |"),
            // What is left over goes to the last cell.
            ("| a | b | c | d | e |", "| a | b | c \\| d \\| e |"),
            ("a | b | c | d", "a | b | c \\| d"),
            // As many as there are columns, or fewer: as the specification says.
            ("| a | `b | c` |", "| a | `b | c` |"),
            ("| a || c |", "| a || c |"),
            ("| a |", "| a |"),
            ("| a \\| b | c | d |", "| a \\| b | c | d |"),
        ];
        let head = "| x | y | z |\n|---|---|---|\n";
        for (row, expected) in cases {
            for (before, each) in [("", ""), ("> ", "> "), ("- ", "  ")] {
                let text = |row: &str| {
                    format!("{before}{}\n{each}{row}\n", head.trim_end().replace('\n', &format!("\n{each}")))
                };
                assert_eq!(escape_extra_bars(&text(row)), text(expected), "{row}");
            }
        }
        let no_table = "a || b\n\n--\n\nc | d | e\n";
        assert_eq!(escape_extra_bars(no_table), no_table);
    }
}
