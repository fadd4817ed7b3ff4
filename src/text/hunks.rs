//! The hunks of a unified diff of one file: where each begins and ends, and what was noted on them as one text.
//!
//! Format: the unified format of GNU diff and git. Lines are counted as the headers say, so that a line of the file that
//! looks like a header is none.

use std::fmt::Write as _;
use std::ops::Range;

/// Returns where each hunk stands in a diff, its header included, in their order. O(diff).
pub fn hunk_ranges(diff: &str) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let (mut old, mut new) = (0, 0);
    let mut at = 0;
    for line in diff.split_inclusive('\n') {
        if old == 0 && new == 0 {
            if let Some(counts) = line_counts(line) {
                (old, new) = counts;
                ranges.push(at..at);
            }
        } else {
            let (of_old, of_new) = match line.as_bytes().first() {
                Some(b'-') => (1, 0),
                Some(b'+') => (0, 1),
                Some(b'\\') => (0, 0),
                _ => (1, 1),
            };
            (old, new) = (old.saturating_sub(of_old), new.saturating_sub(of_new));
        }
        at += line.len();
        if let Some(last) = ranges.last_mut() {
            last.end = at;
        }
    }
    ranges
}

/// Returns the header of a hunk: its first line.
pub fn hunk_header(hunk: &str) -> &str {
    hunk.lines().next().unwrap_or("")
}

/// Returns the notes on hunks of a diff as one text, a line of origin before each; none if there are none.
pub fn notes_text<'a>(diff: &str, notes: impl IntoIterator<Item = (u32, &'a str)>) -> Option<String> {
    let ranges = hunk_ranges(diff);
    let mut text = String::new();
    for (hunk, note) in notes {
        let header = (hunk as usize).checked_sub(1).and_then(|nth| ranges.get(nth));
        let header = header.map_or("", |range| hunk_header(&diff[range.clone()]));
        let separator = if text.is_empty() { "" } else { "\n" };
        let place = if header.is_empty() { String::new() } else { format!(" ({header})") };
        let _ = write!(text, "{separator}on hunk {hunk}{place}: {}", note.trim());
    }
    (!text.is_empty()).then_some(text)
}

/// Reads how many lines of the old and of the new text a hunk has: `@@ -12,7 +12,8 @@`.
fn line_counts(line: &str) -> Option<(u64, u64)> {
    let (sides, _) = line.strip_prefix("@@ -")?.split_once(" @@")?;
    let (old, new) = sides.split_once(" +")?;
    let count = |side: &str| {
        let (start, count) = side.split_once(',').unwrap_or((side, "1"));
        start.parse::<u64>().ok()?;
        count.parse().ok()
    };
    Some((count(old)?, count(new)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIFF: &str = "--- a/x\n+++ b/x\n@@ -1,2 +1,3 @@\n a\n+@@ -1 +1 @@\n b\n@@ -9 +10,0 @@ fn f()\n-gone\n\\ No newline at end of file\n";

    #[test]
    fn hunks_end_where_their_lines_do() {
        let hunks: Vec<&str> = hunk_ranges(DIFF).into_iter().map(|range| &DIFF[range]).collect();
        assert_eq!(
            hunks,
            ["@@ -1,2 +1,3 @@\n a\n+@@ -1 +1 @@\n b\n", "@@ -9 +10,0 @@ fn f()\n-gone\n\\ No newline at end of file\n"]
        );
        for text in ["", "no diff", "@@", "@@ -1 +x @@", "--- a\n+++ b\n"] {
            assert!(hunk_ranges(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn notes_are_one_text_that_says_where_each_belongs() {
        let text = notes_text(DIFF, [(1, "keep this "), (2, "why?"), (7, "?")]);
        let expected = "on hunk 1 (@@ -1,2 +1,3 @@): keep this\non hunk 2 (@@ -9 +10,0 @@ fn f()): why?\non hunk 7: ?";
        assert_eq!(text.as_deref(), Some(expected));
        assert_eq!(notes_text(DIFF, []), None);
    }
}
