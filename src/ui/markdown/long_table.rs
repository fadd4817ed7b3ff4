//! Long tables are laid out in parts, so that a row more costs the same whatever the number of rows before it.
//!
//! Not for laying out. The invariant: where a table is cut depends on its text alone, not on how it came in.

use super::table::column_count;

/// A table that is longer is cut into parts of about this size, at the ends of rows.
const MAX_PART_BYTES: usize = 8 * 1024;
/// Nor has a part more cells than about this, those included that a short row lacks: they are laid out like others.
const MAX_PART_CELLS: usize = 8 * 1024;
/// A head that is longer would be read too often.
const MAX_HEAD_BYTES: usize = 2 * 1024;

/// A table of which parts were taken off already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LongTable {
    /// Where the table starts.
    pub(super) head: usize,
    /// Where its first row starts: behind its names and the line below them.
    pub(super) body: usize,
    /// Where its first part ends, which says how wide its columns are.
    pub(super) sample: usize,
    /// The most rows of a part, its head not counted.
    rows: usize,
}

impl LongTable {
    /// Looks at the table that starts there; none where it can't be cut.
    pub(super) fn at(text: &str, head: usize) -> Option<Self> {
        let bytes = text.as_bytes().get(head..)?;
        let mut ends = memchr::memchr_iter(b'\n', bytes.get(..MAX_HEAD_BYTES).unwrap_or(bytes));
        let (names, rule) = (head + ends.next()? + 1, head + ends.next()? + 1);
        let rows = MAX_PART_CELLS / column_count(text.get(names..rule)?);
        Some(Self { head, body: rule, sample: head, rows: rows.max(1) })
    }

    /// Returns what makes a table of rows that stand alone.
    pub(super) fn lead(self, text: &str) -> &str {
        text.get(self.head..self.body).unwrap_or("")
    }

    /// Returns where the rows from `start` on are cut, if there are enough of them before `end`.
    pub(super) fn cut(self, text: &str, start: usize, end: usize, most: usize) -> Option<usize> {
        let rows = text.as_bytes().get(start..end)?;
        let lines = self.rows + if start == self.head { 2 } else { 0 };
        let part = rows.get(..MAX_PART_BYTES).unwrap_or(rows);
        if let Some(at) = memchr::memchr_iter(b'\n', part).nth(lines - 1) {
            return Some(start + at + 1);
        }
        let rest = rows.get(MAX_PART_BYTES - 1..most.min(rows.len())).filter(|rest| !rest.is_empty())?;
        match memchr::memchr(b'\n', rest) {
            Some(at) => Some(start + MAX_PART_BYTES + at),
            None if rows.len() >= most => Some(text.floor_char_boundary(start + most)),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::MAX_PART_CELLS;
    use crate::ui::markdown::{BlockKind, Splitter};

    fn table(rows: usize) -> String {
        let mut text = String::from("Before.\n\n| name | value |\n|---|---|\n");
        for row in 0..rows {
            let _ = writeln!(text, "| row {row} | {} |", row * 7);
        }
        text
    }

    #[test]
    fn a_long_table_is_read_once_and_cut_the_same_however_it_comes() {
        for after in ["", "\n", "\nAfter.\n", "# After\n", "\n| other | table |\n|---|---|\n| a | b |\n"] {
            let text = table(5000) + after;
            let whole = Splitter::split(&text);
            assert!(whole.stable().iter().all(|block| block.end - block.start < 9 * 1024));
            assert!(whole.bytes_read() < text.len() as u64 * 3, "{} of {}", whole.bytes_read(), text.len());
            for step in [1000, 7001] {
                let mut splitter = Splitter::default();
                let mut at = 0;
                while at < text.len() {
                    at = (at + step).min(text.len());
                    splitter.advance(&text[..at]);
                    assert!(whole.stable().starts_with(splitter.stable()), "{after:?} at {at}");
                }
                splitter.finish(&text);
                assert_eq!(splitter.stable(), whole.stable(), "{after:?}");
            }
            let joined: String = whole.stable().iter().map(|block| block.source(&text)).collect();
            assert_eq!(joined.replace('\n', ""), text.replace('\n', ""));
        }
    }

    #[test]
    fn parts_of_a_table_with_short_rows_have_few_cells_however_they_come() {
        for columns in [8, 30, 100, 127] {
            let head = "|a".repeat(columns) + "|\n" + &"|-".repeat(columns) + "|\n";
            for row in ["|b|\n", "b\n", "|b|c|\n"] {
                let text = format!("{head}{}\nAfter.\n", row.repeat(40_000 / row.len()));
                let whole = Splitter::split(&text);
                let (after, parts) = whole.stable().split_last().unwrap();
                assert_eq!((after.kind, after.source(&text)), (BlockKind::Paragraphs, "After.\n"));
                for part in parts {
                    let BlockKind::TableRows { first, .. } = part.kind else { panic!("{part:?}") };
                    let rows = part.source(&text).lines().count() - if first { 2 } else { 0 };
                    assert!(rows > 0 && rows * columns <= MAX_PART_CELLS, "{rows} rows of {columns} columns");
                }
                let mut splitter = Splitter::default();
                for at in (0..text.len()).step_by(501) {
                    splitter.advance(&text[..at]);
                    assert!(whole.stable().starts_with(splitter.stable()), "{columns} {row:?} at {at}");
                }
                splitter.finish(&text);
                assert_eq!(splitter.stable(), whole.stable());
                assert!(splitter.bytes_read() < text.len() as u64 * 12, "{columns} {row:?} {}", splitter.bytes_read());
            }
        }
    }

    #[test]
    fn parts_know_their_table_and_only_the_first_has_the_head() {
        let text = table(2000) + "\nAfter.\n";
        let splitter = Splitter::split(&text);
        let rows: Vec<_> = splitter.stable().iter().filter(|b| matches!(b.kind, BlockKind::TableRows { .. })).collect();
        assert!(rows.len() > 2);
        for (index, block) in rows.iter().enumerate() {
            let BlockKind::TableRows { first, open, head, sample } = block.kind else { continue };
            assert_eq!((first, open, block.gap), (index == 0, false, index == 0));
            assert_eq!((head, sample), (rows[0].start, rows[0].end));
        }
        let after = splitter.stable().last().unwrap();
        assert!(after.kind == BlockKind::Paragraphs && after.gap);
    }

    #[test]
    fn a_row_without_an_end_is_cut_too() {
        let text = table(3) + &"word ".repeat(100_000);
        let splitter = Splitter::split(&text);
        assert!(splitter.stable().iter().all(|block| block.end - block.start <= 64 * 1024));
        assert!(splitter.bytes_read() < text.len() as u64 * 8);
    }
}
