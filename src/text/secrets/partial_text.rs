//! A text as far as it is known, and what may begin in it.

use super::CONTEXT_BYTES;
use super::byte_class::ByteClass;

/// What begins at a place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    No,
    /// More of the text is needed, at least where these characters follow.
    More(Option<ByteClass>),
    Found(Finding),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Where it is not what the rule calls it.
    pub(super) kind: Option<&'static str>,
    /// It was too long to wait for and may go on.
    pub(super) rest: Option<ByteClass>,
}

impl Finding {
    pub(super) fn at(start: usize, end: usize) -> Verdict {
        Verdict::Found(Self { start, end, kind: None, rest: None })
    }
}

/// A text as far as it is known.
#[derive(Clone, Copy)]
pub(super) struct PartialText<'a> {
    pub(super) bytes: &'a [u8],
    /// Whether nothing follows.
    pub(super) is_end: bool,
    /// How many bytes of a secret may wait.
    pub(super) max_held: usize,
}

pub(super) enum RunEnd {
    /// Another character follows, or nothing.
    Closed,
    /// It may go on.
    Open,
    /// It is longer than what may wait.
    Capped,
}

impl<'t> PartialText<'t> {
    /// Returns where the run of a class ends that belongs to what began at `start`.
    pub(super) fn run(&self, start: usize, from: usize, class: ByteClass) -> (usize, RunEnd) {
        let limit = start.saturating_add(self.max_held);
        let end = class.run_end(self.bytes, from, limit);
        if end >= limit {
            (class.run_end(self.bytes, end, usize::MAX), RunEnd::Capped)
        } else if end == self.bytes.len() && !self.is_end {
            (end, RunEnd::Open)
        } else {
            (end, RunEnd::Closed)
        }
    }

    pub(super) fn is_cut_at(&self, end: usize) -> bool {
        self.is_end && end == self.bytes.len()
    }

    pub(super) fn get(&self, at: usize) -> Option<u8> {
        self.bytes.get(at).copied()
    }

    /// Returns the text between two places; empty if there is none.
    pub(super) fn slice(&self, from: usize, to: usize) -> &'t [u8] {
        self.bytes.get(from..to).unwrap_or_default()
    }
}

/// Returns whether a word may begin at a place: what is before it is no letter or digit, or the end of an escape.
pub(super) fn is_boundary(text: &[u8], at: usize) -> bool {
    let before = |back: usize| at.checked_sub(back).and_then(|place| text.get(place)).copied();
    let Some(last) = before(1) else { return true };
    if !last.is_ascii_alphanumeric() {
        return true;
    }
    let is_hex = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_hexdigit());
    let is_escape = before(2) == Some(b'\\') && matches!(last, b'n' | b'r' | b't' | b'f' | b'b');
    let is_percent = before(3) == Some(b'%') && is_hex(before(2)) && is_hex(before(1));
    let is_unicode = before(6) == Some(b'\\') && before(5) == Some(b'u') && (1..=4).all(|back| is_hex(before(back)));
    is_escape || is_percent || is_unicode || ends_a_color(text, at)
}

/// Returns whether an escape sequence of a terminal ends before a place: programs color what they print.
fn ends_a_color(text: &[u8], at: usize) -> bool {
    let from = at.saturating_sub(CONTEXT_BYTES.min(16));
    let before = text.get(from..at.saturating_sub(1)).unwrap_or_default();
    let parameters = before.iter().rev().take_while(|byte| byte.is_ascii_digit() || **byte == b';').count();
    before.get(..before.len() - parameters).is_some_and(|start| start.ends_with(b"\x1b["))
}
