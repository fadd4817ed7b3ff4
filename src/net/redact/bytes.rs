//! PURE. Blanks secrets out of the bytes of a stream, as they are kept: also one that is cut between two pieces, that is
//! escaped as JSON may be, or that comes over several frames as the ends and beginnings of one field.
//!
//! What may hold the beginning of a secret waits for the next bytes, so kept bytes lag a frame behind at times; never
//! more than [`MOST`]. Frames are not parsed, only their strings are found.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;

use secrecy::SecretString;

use super::DOTS;
use super::scan::scan;
use crate::event::Millis;

/// Bytes that wait at most.
const MOST: usize = 64 * 1024;
/// So much of a secret is waited for at the end of a field's string. A single letter is no sign: if it was the first of
/// a secret, it is kept and the rest is not.
const LEAST: usize = 2;
/// Fields whose ends are remembered.
const FIELDS: usize = 32;

/// The bytes of one answer.
#[derive(Default)]
pub(in crate::net) struct Bytes {
    secrets: Vec<SecretString>,
    /// What waits, and when it came.
    waiting: VecDeque<(Millis, Vec<u8>)>,
    /// Where the first of them begins in the stream.
    start: usize,
    /// Where the stream ends so far.
    end: usize,
    /// What is blanked out; the first range of a secret is told by dots.
    blanks: Vec<(Range<usize>, bool)>,
    /// The end of the bytes as they are, that may be the beginning of a secret.
    tail: Vec<Letter>,
    text: Strings,
    /// The same of each field's strings.
    fields: HashMap<Vec<u8>, Vec<Letter>>,
}

/// A byte of a text and where it stands in the stream.
type Letter = (u8, Range<usize>);

/// Finds strings in JSON, wherever it is cut.
#[derive(Default)]
struct Strings {
    inside: bool,
    /// What came of an escape.
    escape: Vec<u8>,
    letters: Vec<Letter>,
    /// The string before, while only white space and a colon came behind it.
    name: Option<Vec<u8>>,
    is_value: bool,
}

impl Bytes {
    pub(super) fn new(secrets: Vec<SecretString>) -> Self {
        Self { secrets, ..Self::default() }
    }

    /// Takes bytes that came and returns those that can be kept.
    pub(in crate::net) fn pass(&mut self, at: Millis, bytes: &[u8]) -> Vec<(Millis, Vec<u8>)> {
        if self.secrets.is_empty() {
            return vec![(at, bytes.to_owned())];
        }
        let begin = self.end;
        self.end += bytes.len();
        self.waiting.push_back((at, bytes.to_owned()));
        let mut plain = std::mem::take(&mut self.tail);
        plain.extend(bytes.iter().enumerate().map(|(n, byte)| (*byte, begin + n..begin + n + 1)));
        self.tail = self.settle(plain);
        for (n, byte) in bytes.iter().enumerate() {
            if let Some((name, letters)) = self.text.take(*byte, begin + n) {
                let mut whole = self.fields.remove(&name).unwrap_or_default();
                whole.extend(letters);
                let open = self.settle(whole);
                if !open.is_empty() {
                    self.fields.insert(name, open);
                }
            }
        }
        self.fields.retain(|_, open| open.first().is_some_and(|(_, place)| place.start + MOST > self.end));
        while self.fields.len() > FIELDS {
            let Some(oldest) = self.fields.iter().min_by_key(|(_, open)| begin_of(open)).map(|(name, _)| name.clone())
            else {
                break;
            };
            self.fields.remove(&oldest);
        }
        let inside = self.settle_open_string();
        let open = self.fields.values().filter(|open| open.len() >= LEAST).chain([&self.tail]);
        let safe = open.filter_map(|open| begin_of(open)).min().unwrap_or(self.end);
        self.release(safe.min(inside))
    }

    /// Settles what came of a string that is not over; returns where a secret may begin in it, the end if none does.
    fn settle_open_string(&mut self) -> usize {
        let Some(name) = self.text.name.clone().filter(|_| self.text.inside && self.text.is_value) else {
            return self.end;
        };
        let mut whole = self.fields.remove(&name).unwrap_or_default();
        whole.append(&mut self.text.letters);
        self.text.letters = self.settle(whole);
        begin_of(&self.text.letters).unwrap_or(self.end - self.text.escape.len())
    }

    /// Returns what still waits: nothing follows.
    pub(in crate::net) fn finish(&mut self) -> Vec<(Millis, Vec<u8>)> {
        let open: Vec<_> = self.fields.drain().map(|(_, open)| open).chain([std::mem::take(&mut self.tail)]).collect();
        for letters in open.iter().filter(|open| open.len() >= super::PART) {
            self.blank(letters);
        }
        self.release(self.end)
    }

    /// Blanks whole secrets out; returns the end that may be the beginning of one.
    fn settle(&mut self, letters: Vec<Letter>) -> Vec<Letter> {
        let text: Vec<u8> = letters.iter().map(|(byte, _)| *byte).collect();
        let found = scan(&text, &self.secrets);
        for range in found.whole {
            self.blank(letters.get(range).unwrap_or_default());
        }
        letters.into_iter().skip(found.open).collect()
    }

    fn blank(&mut self, letters: &[Letter]) {
        // What was kept already is not blanked out any more.
        let waiting = letters.iter().filter(|(_, place)| place.start >= self.start);
        for (n, (_, place)) in waiting.enumerate() {
            self.blanks.push((place.clone(), n == 0));
        }
    }

    /// Returns the pieces that lie wholly before a place.
    fn release(&mut self, safe: usize) -> Vec<(Millis, Vec<u8>)> {
        self.blanks.sort_by_key(|(range, is_first)| (range.start, !is_first));
        let mut done = Vec::new();
        while let Some((at, piece)) = self.waiting.pop_front() {
            let end = self.start + piece.len();
            if end > safe {
                self.waiting.push_front((at, piece));
                break;
            }
            done.push((at, self.blanked(&piece)));
            self.start = end;
        }
        let start = self.start;
        self.blanks.retain(|(range, _)| range.end > start);
        done
    }

    fn blanked(&self, piece: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(piece.len());
        let mut at = self.start;
        for (range, is_first) in self.blanks.iter().filter(|(range, _)| range.start < self.start + piece.len()) {
            let (from, to) = (range.start.max(self.start), range.end.min(self.start + piece.len()));
            if from < at || from >= to {
                continue;
            }
            out.extend_from_slice(&piece[at - self.start..from - self.start]);
            if *is_first && range.start == from {
                out.extend_from_slice(DOTS.as_bytes());
            }
            at = to;
        }
        out.extend_from_slice(&piece[at - self.start..]);
        out
    }
}

fn begin_of(letters: &[Letter]) -> Option<usize> {
    letters.first().map(|(_, place)| place.start)
}

impl Strings {
    /// Takes a byte; returns a field's name and string when that is over.
    fn take(&mut self, byte: u8, at: usize) -> Option<(Vec<u8>, Vec<Letter>)> {
        if !self.inside {
            match byte {
                b'"' => {
                    self.inside = true;
                    self.letters.clear();
                    self.escape.clear();
                }
                b':' if self.name.is_some() => self.is_value = true,
                // Also the end of a line: a string that is not closed there is none.
                b' ' | b'\t' => {}
                _ => (self.name, self.is_value) = (None, false),
            }
            return None;
        }
        if !self.escape.is_empty() {
            self.escape.push(byte);
            if let Some(letter) = unescaped(&self.escape) {
                self.letters.push((letter, at + 1 - self.escape.len()..at + 1));
                self.escape.clear();
            }
            return None;
        }
        match byte {
            b'\\' => self.escape.push(byte),
            b'"' => {
                self.inside = false;
                let letters = std::mem::take(&mut self.letters);
                if std::mem::take(&mut self.is_value) {
                    return Some((self.name.take()?, letters));
                }
                self.name = Some(letters.into_iter().map(|(byte, _)| byte).collect());
            }
            b'\n' | b'\r' => self.inside = false,
            byte if self.letters.len() < MOST => self.letters.push((byte, at..at + 1)),
            _ => {}
        }
        None
    }
}

/// Returns what a whole escape means, as far as it is one byte; zero for others, which no secret has.
fn unescaped(escape: &[u8]) -> Option<u8> {
    match escape {
        [b'\\', b'u'] => None,
        [b'\\', b'u', digits @ ..] if digits.len() < 4 => None,
        [b'\\', b'u', digits @ ..] => {
            let code = std::str::from_utf8(digits).ok().and_then(|digits| u8::from_str_radix(digits, 16).ok());
            Some(code.unwrap_or(0))
        }
        [b'\\', byte @ (b'/' | b'"' | b'\\')] => Some(*byte),
        _ => Some(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "sk-12345/78-abcdef";

    fn kept(pieces: &[&str]) -> String {
        let mut bytes = Bytes::new(vec![KEY.to_owned().into()]);
        let mut out: Vec<_> = pieces.iter().flat_map(|piece| bytes.pass(Millis(0), piece.as_bytes())).collect();
        out.extend(bytes.finish());
        String::from_utf8(out.into_iter().flat_map(|(_, piece)| piece).collect()).unwrap()
    }

    fn frame(text: &str) -> String {
        format!("data: {{\"id\":\"x\",\"delta\":{{\"content\":\"{text}\"}}}}\n\n")
    }

    #[test]
    fn a_key_that_is_cut_between_pieces_is_blanked_out() {
        let whole = format!("data: you sent {KEY}, sorry\n\n");
        for cut in 0..whole.len() {
            assert_eq!(kept(&[&whole[..cut], &whole[cut..]]), "data: you sent •••, sorry\n\n", "{cut}");
        }
        let escaped = frame(&KEY.replace('/', "\\/").replace('-', "\\u002d"));
        for cut in 0..escaped.len() {
            assert_eq!(kept(&[&escaped[..cut], &escaped[cut..]]), frame("•••"), "{cut}");
        }
    }

    #[test]
    fn a_key_that_comes_over_several_frames_is_blanked_out() {
        for first in 1..KEY.len() {
            for second in first..KEY.len() {
                let frames =
                    [frame(&format!("a {}", &KEY[..first])), frame(&KEY[first..second]), frame(&KEY[second..])];
                let whole: Vec<&str> = frames.iter().map(String::as_str).collect();
                let said = kept(&whole).replace("a s\"", "a \"");
                assert_eq!(said.replace("•••", ""), format!("{}{}{}", frame("a "), frame(""), frame("")));
                assert_eq!(said.matches("•••").count(), 1);
            }
        }
        let letters: Vec<String> = KEY.chars().map(|letter| frame(&letter.to_string())).collect();
        let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
        assert_eq!(kept(&letters).replace("•••", ""), format!("{}{}", frame("s"), frame("").repeat(KEY.len() - 1)));
    }

    #[test]
    fn other_bytes_stay_as_they_are_and_hardly_wait() {
        let frames = [frame("ask"), frame("sk"), frame("-1 is \\u00e9 \\\\ no"), frame("key\\n"), "\"open\n\"".into()];
        let whole: Vec<&str> = frames.iter().map(String::as_str).collect();
        assert_eq!(kept(&whole), frames.concat());
        let mut bytes = Bytes::new(vec![KEY.to_owned().into()]);
        assert_eq!(bytes.pass(Millis(1), b"\xff\xfe\"a\":\"s\"").len(), 1);
        assert_eq!(bytes.pass(Millis(2), b"{\"a\":\"ask\"}").len(), 0, "it may go on");
        assert_eq!(bytes.pass(Millis(3), b"{\"a\":\"ed\"}").iter().map(|(at, _)| at.0).collect::<Vec<_>>(), [2, 3]);
        bytes.pass(Millis(4), b"{\"a\":\"sk\"}");
        let filler = vec![b' '; MOST];
        assert_eq!(bytes.pass(Millis(5), &filler).len(), 2, "it did not go on");
    }
}
