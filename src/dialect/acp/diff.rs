//! A change of a file as a unified diff, bounded in work whatever the texts are.

use std::fmt::Write as _;

use similar::TextDiff;

/// Lines of both texts that are compared one by one.
const MAX_COMPARED_LINES: usize = 4000;
/// Bytes of a diff that are kept.
const MAX_DIFF_BYTES: usize = 64 * 1024;

/// Returns what changes a file from one text to the other.
pub(super) fn unified_diff(path: &str, before: &str, after: &str) -> String {
    let lines = |text: &str| memchr::memchr_iter(b'\n', text.as_bytes()).count() + 1;
    let (removed, added) = (lines(before), lines(after));
    let mut diff = if removed + added <= MAX_COMPARED_LINES {
        let lines = TextDiff::from_lines(before, after);
        lines.unified_diff().context_radius(3).header(&format!("a/{path}"), &format!("b/{path}")).to_string()
    } else {
        replacement(path, (before, removed), (after, added))
    };
    if diff.len() > MAX_DIFF_BYTES {
        let hidden = diff.len() - MAX_DIFF_BYTES;
        diff.truncate(diff.floor_char_boundary(MAX_DIFF_BYTES));
        // Writing to a string doesn't fail.
        let _ = write!(diff, "\n[… {hidden} more bytes]\n");
    }
    diff
}

/// The whole of one text in place of the whole of the other.
fn replacement(path: &str, (before, removed): (&str, usize), (after, added): (&str, usize)) -> String {
    let mut diff = format!("--- a/{path}\n+++ b/{path}\n@@ -1,{removed} +1,{added} @@\n");
    for (sign, text) in [('-', before), ('+', after)] {
        for line in text.lines() {
            if diff.len() > MAX_DIFF_BYTES {
                return diff;
            }
            diff.push(sign);
            diff.push_str(line);
            diff.push('\n');
        }
    }
    diff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_change_is_a_hunk_and_a_large_one_is_bounded() {
        let diff = unified_diff("n.txt", "- milk\n- bread\n", "- milk\n- butter\n");
        assert_eq!(diff, "--- a/n.txt\n+++ b/n.txt\n@@ -1,2 +1,2 @@\n - milk\n-- bread\n+- butter\n");
        let large = |word: &str| format!("{word} of the lines of a text\n").repeat(9000);
        let diff = unified_diff("n.txt", &large("one"), &large("two"));
        assert!(diff.starts_with("--- a/n.txt\n+++ b/n.txt\n@@ -1,9001 +1,9001 @@\n-one of"), "{}", &diff[..80]);
        assert!(diff.len() < MAX_DIFF_BYTES + 100 && diff.ends_with("more bytes]\n"));
    }
}
