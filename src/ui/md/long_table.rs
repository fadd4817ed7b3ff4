//! Long tables are laid out in parts, so that a row more costs the same whatever the number of rows before it.
//!
//! Not for laying out. The invariant: where a table is cut depends on its text alone, not on how it came in.

/// A table that is longer is cut into parts of about this size, at the ends of rows.
pub(super) const PART_BYTES: usize = 8 * 1024;
/// A head that is longer would be read too often.
const LONGEST_HEAD: usize = 2 * 1024;

/// A table of which parts were taken off already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LongTable {
    /// Where the table starts.
    pub(super) head: usize,
    /// Where its first row starts: behind its names and the line below them.
    pub(super) body: usize,
    /// Where its first part ends, which says how wide its columns are.
    pub(super) sample: usize,
}

impl LongTable {
    /// Looks at the table that starts there; none where it can't be cut.
    pub(super) fn at(text: &str, head: usize) -> Option<Self> {
        let bytes = text.as_bytes().get(head..)?;
        let body = memchr::memchr_iter(b'\n', bytes.get(..LONGEST_HEAD).unwrap_or(bytes)).nth(1)?;
        Some(Self { head, body: head + body + 1, sample: head })
    }

    /// Returns what makes a table of rows that stand alone.
    pub(super) fn lead(self, text: &str) -> &str {
        text.get(self.head..self.body).unwrap_or("")
    }
}

/// Returns where the rows from `start` on are cut, if there are enough of them before `end`.
pub(super) fn cut(text: &str, start: usize, end: usize, most: usize) -> Option<usize> {
    let rows = text.as_bytes().get(start..end)?;
    let rest = rows.get(PART_BYTES - 1..most.min(rows.len())).filter(|rest| !rest.is_empty())?;
    match memchr::memchr(b'\n', rest) {
        Some(at) => Some(start + PART_BYTES + at),
        None if rows.len() >= most => Some(text.floor_char_boundary(start + most)),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use crate::ui::md::{BlockKind, Splitter};

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
    fn parts_know_their_table_and_only_the_first_has_the_head() {
        let text = table(2000) + "\nAfter.\n";
        let splitter = Splitter::split(&text);
        let rows: Vec<_> = splitter.stable().iter().filter(|b| matches!(b.kind, BlockKind::Rows { .. })).collect();
        assert!(rows.len() > 2);
        for (index, block) in rows.iter().enumerate() {
            let BlockKind::Rows { first, open, head, sample } = block.kind else { continue };
            assert_eq!((first, open, block.gap), (index == 0, false, index == 0));
            assert_eq!((head, sample), (rows[0].start, rows[0].end));
        }
        let after = splitter.stable().last().unwrap();
        assert!(after.kind == BlockKind::Flow && after.gap);
    }

    #[test]
    fn a_row_without_an_end_is_cut_too() {
        let text = table(3) + &"word ".repeat(100_000);
        let splitter = Splitter::split(&text);
        assert!(splitter.stable().iter().all(|block| block.end - block.start <= 64 * 1024));
        assert!(splitter.bytes_read() < text.len() as u64 * 8);
    }
}
