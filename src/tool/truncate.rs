//! Truncates long output: head and tail stay, and a line between them says what is missing.

use std::collections::VecDeque;
use std::fmt::Write as _;

use crate::net::redact::secret_rules;

pub use crate::text::size;

/// Returns at most about `limit` bytes of `text`, head and tail, cut at line boundaries where possible and at character
/// boundaries otherwise; and whether anything was left out.
pub fn truncate_middle(text: &str, limit: usize) -> (String, bool) {
    if text.len() <= limit {
        return (text.to_owned(), false);
    }
    // The line that says what is missing has to fit as well.
    let remaining = limit.saturating_sub(64);
    let (from, to) = (line_floor(text, remaining * 3 / 5), line_ceil(text, text.len() - remaining * 2 / 5));
    let (from, to) = around_secrets(text, from, to);
    let head = &text[..from];
    let tail = &text[to.max(head.len())..];
    let missing = &text[head.len()..text.len() - tail.len()];
    let mut kept = String::with_capacity(limit + 64);
    kept.push_str(head);
    if !head.is_empty() && !head.ends_with('\n') {
        kept.push('\n');
    }
    let _ = writeln!(kept, "[… {} bytes, {} lines left out …]", missing.len(), lines(missing));
    kept.push_str(tail);
    (kept, true)
}

/// Moves the ends of what is left out apart where one is in the middle of a secret: the rest of it would be known as
/// none.
fn around_secrets(text: &str, from: usize, to: usize) -> (usize, usize) {
    let Some(rules) = secret_rules() else { return (from, to) };
    let start = rules.match_around(text, from).map_or(from, |secret| secret.start);
    let end = rules.match_around(text, to).map_or(to, |secret| secret.end);
    (text.floor_char_boundary(start), text.ceil_char_boundary(end))
}

/// Counts lines, quickly: the omitted part may be very long.
fn lines(text: &str) -> usize {
    let ends = memchr::memchr_iter(b'\n', text.as_bytes()).count();
    ends + usize::from(!text.is_empty() && !text.ends_with('\n'))
}

/// Returns the last line boundary at or before `at`, unless more than half would be lost.
fn line_floor(text: &str, at: usize) -> usize {
    let at = text.floor_char_boundary(at);
    text[..at].rfind('\n').map(|newline| newline + 1).filter(|border| *border >= at / 2).unwrap_or(at)
}

fn line_ceil(text: &str, at: usize) -> usize {
    let at = text.ceil_char_boundary(at);
    let rest = &text[at..];
    rest.find('\n').map(|newline| newline + 1).filter(|skipped| *skipped <= rest.len() / 2).map_or(at, |n| at + n)
}

/// Collects unlimited output in bounded memory: the first `MAX_HEAD_BYTES` bytes and the last `MAX_TAIL_BYTES`.
#[derive(Default)]
pub(super) struct BoundedOutput {
    head: String,
    tail: VecDeque<String>,
    tail_bytes: usize,
    dropped_bytes: u64,
}

const MAX_HEAD_BYTES: usize = 4 << 20;
const MAX_TAIL_BYTES: usize = 4 << 20;
/// A word that is longer is no key.
const MAX_WORD_BYTES: usize = 8 << 10;

impl BoundedOutput {
    /// Adds a piece; returns how many of its bytes went to the head, which takes everything until it is full.
    pub(super) fn push(&mut self, piece: &str) -> usize {
        let remaining = if self.tail.is_empty() { MAX_HEAD_BYTES - self.head.len().min(MAX_HEAD_BYTES) } else { 0 };
        let split = piece.floor_char_boundary(remaining);
        let (head, tail) = piece.split_at(split);
        self.head.push_str(head);
        if !tail.is_empty() {
            self.tail_bytes += tail.len();
            self.tail.push_back(tail.to_owned());
            while let Some(front) = self.tail.front()
                && self.tail_bytes - front.len() >= MAX_TAIL_BYTES
            {
                self.tail_bytes -= front.len();
                self.dropped_bytes += front.len() as u64;
                self.tail.pop_front();
            }
        }
        split
    }

    /// Returns the number of bytes printed, if not all were kept.
    pub(super) fn total_if_truncated(&self) -> Option<u64> {
        let kept = (self.head.len() + self.tail_bytes) as u64;
        (self.dropped_bytes > 0).then(|| kept.saturating_add(self.dropped_bytes))
    }

    /// Leaves out what of a word is on one side of the cut: nobody would know it for a part of a secret.
    fn drop_cut_words(&mut self) {
        let is_near = |length: usize| length <= MAX_WORD_BYTES;
        let end = self.head.trim_end_matches(|c: char| !c.is_whitespace()).len();
        if is_near(self.head.len() - end) {
            self.head.truncate(end);
        }
        let Some(first) = self.tail.front_mut() else { return };
        let start = first.len() - first.trim_start_matches(|c: char| !c.is_whitespace()).len();
        if is_near(start) {
            first.drain(..start);
        }
    }

    pub(super) fn into_text(mut self) -> String {
        self.head.reserve_exact(self.tail_bytes + 64);
        if self.dropped_bytes > 0 {
            self.drop_cut_words();
            let _ = write!(self.head, "\n[… {} left out and not saved …]\n", size(self.dropped_bytes));
        }
        // Freed piece by piece, so that memory never holds two copies.
        while let Some(piece) = self.tail.pop_front() {
            self.head.push_str(&piece);
        }
        self.head
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_text_stays_as_it_is() {
        assert_eq!(truncate_middle("abc", 3), ("abc".into(), false));
        assert_eq!(truncate_middle("", 0), (String::new(), false));
    }

    #[test]
    fn long_text_keeps_whole_lines_at_both_ends() {
        let text: String = (0..1000).fold(String::new(), |mut text, n| {
            let _ = writeln!(text, "line {n}");
            text
        });
        let (kept, cut) = truncate_middle(&text, 300);
        assert!(cut && kept.len() <= 300, "{}", kept.len());
        let lines: Vec<_> = kept.lines().collect();
        assert_eq!((lines[0], lines[lines.len() - 1]), ("line 0", "line 999"));
        let middle = lines.iter().position(|line| line.starts_with("[…")).unwrap();
        let left: usize = lines[middle].split_whitespace().nth(3).unwrap().parse().unwrap();
        assert_eq!(left + lines.len() - 1, 1000);
    }

    #[test]
    fn characters_are_never_cut() {
        let text = "é→😀".repeat(50);
        for limit in 0..text.len() {
            let (kept, cut) = truncate_middle(&text, limit);
            assert!(cut && kept.contains("left out") && kept.len() <= limit.max(64));
        }
    }

    #[test]
    fn a_secret_is_left_out_whole_wherever_the_cut_would_be() {
        let key = format!("{}{}", "ghp", "_q7Zr81KxTn45bVw2YcM09LpDs63HgJf8AaEu");
        let line = "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789AbCdEfGhIjKlMnOpQrStUvWxYz01\n".repeat(12);
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{line}-----END PRIVATE KEY-----");
        for secret in [&key, &pem] {
            for before in (0..1_200).step_by(7) {
                let text = format!("{} {secret} {}", "x".repeat(before), "y".repeat(1_200 - before));
                let (kept, cut) = truncate_middle(&text, 700);
                assert!(cut);
                let parts = [secret.get(..12), secret.get(secret.len() - 12..), secret.get(20..32)];
                let is_whole = kept.contains(secret.as_str());
                assert!(is_whole || parts.iter().flatten().all(|part| !kept.contains(part)), "{before}: {kept}");
            }
        }
    }

    #[test]
    fn endless_output_is_not_cut_in_the_middle_of_a_word() {
        let key = format!("{}{}", "ghp", "_q7Zr81KxTn45bVw2YcM09LpDs63HgJf8AaEu");
        for back in [2, 6, 20, 38] {
            let mut collected = BoundedOutput::default();
            collected.push(&"a\n".repeat((MAX_HEAD_BYTES - back) / 2));
            collected.push(&key);
            for _ in 0..9 {
                collected.push(&"b\n".repeat(1 << 19));
            }
            let text = collected.into_text();
            assert!(
                text.contains("left out") && !text.contains(&key[..8]) && !text.contains(&key[key.len() - 8..]),
                "{back}"
            );
        }
    }

    #[test]
    fn endless_output_stays_stays_bounded_and_keeps_its_end() {
        let mut collected = BoundedOutput::default();
        let piece = "x".repeat(1 << 20);
        let heads: usize = (0..50).map(|_| collected.push(&piece)).sum();
        collected.push("the end");
        assert_eq!((heads, collected.total_if_truncated()), (MAX_HEAD_BYTES, Some((50 << 20) + 7)));
        let text = collected.into_text();
        assert!(
            text.len() < MAX_HEAD_BYTES + MAX_TAIL_BYTES + (2 << 20)
                && text.ends_with("the end")
                && text.contains("left out")
        );
    }
}
