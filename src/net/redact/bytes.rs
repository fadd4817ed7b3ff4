//! PURE. Blanks secrets out of the bytes of a stream, as they are kept: also one that is cut between two pieces, that is
//! escaped as JSON may be, or that comes over several frames as the ends and beginnings of one field.
//!
//! What may hold the beginning of a secret waits for the next bytes, so kept bytes lag a frame behind at times; never
//! more than [`MAX_HELD_BYTES`]. Frames are not parsed, only their strings are found. A string without an escape that
//! goes on no other one is looked at where it stands: nothing of it is copied.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use secrecy::SecretString;

use super::located_bytes::LocatedBytes;
use super::scan::{SecretFinder, open_end};
use crate::event::Millis;
use crate::text::secrets::{CONTEXT_BYTES, SecretRules};

/// Bytes that wait at most.
const MAX_HELD_BYTES: usize = 64 * 1024;
/// So much of a secret is waited for at the end of a field's string. A single letter is no sign: if it was the first of
/// a secret, it is kept and the rest is not.
const MIN_HELD_PREFIX_BYTES: usize = 2;
/// Fields whose ends are remembered.
const MAX_TRACKED_FIELDS: usize = 32;

/// The bytes of one answer.
#[derive(Default)]
pub(in crate::net) struct ByteRedactor {
    finder: SecretFinder,
    /// What waits, and when it came.
    held: VecDeque<(Millis, Vec<u8>)>,
    /// Where the first of them begins in the stream.
    start: usize,
    /// Where the stream ends so far.
    end: usize,
    /// What is blanked out; with the first range of a secret what stands for it.
    redactions: Vec<(Range<usize>, Option<String>)>,
    /// The end of the bytes as they are, that may be the beginning of a secret.
    tail: OpenText,
    scanner: JsonStringScanner,
    /// The same of each field's strings.
    open_fields: HashMap<Vec<u8>, OpenText>,
}

/// The end of a text: what is looked back at, and what may be the beginning of a secret.
#[derive(Default)]
struct OpenText {
    letters: LocatedBytes,
    /// What is before is decided.
    decided: usize,
}

impl OpenText {
    /// Returns how much of it is open.
    fn open_len(&self) -> usize {
        self.letters.len() - self.decided
    }

    /// Returns where what is open begins; none if nothing is.
    fn open_start(&self) -> Option<usize> {
        self.letters.places(self.decided..self.letters.len()).next().map(|place| place.start)
    }

    fn start(&self) -> Option<usize> {
        self.open_start().or_else(|| self.letters.start())
    }
}

/// Finds strings in JSON, wherever it is cut.
#[derive(Default)]
struct JsonStringScanner {
    in_string: bool,
    /// What came of an escape.
    escape: Vec<u8>,
    /// What came of the string, as far as it must be remembered.
    bytes: LocatedBytes,
    /// The string before, while only white space and a colon came behind it.
    field_name: Vec<u8>,
    has_name: bool,
    is_value: bool,
}

impl ByteRedactor {
    pub(super) fn new(secrets: Vec<SecretString>) -> Self {
        Self::with_rules(secrets, None)
    }

    /// Finds these secrets, and what the rules say.
    pub(super) fn with_rules(secrets: Vec<SecretString>, rules: Option<Arc<SecretRules>>) -> Self {
        Self { finder: SecretFinder { secrets, rules }, ..Self::default() }
    }

    /// Takes bytes that came and returns those that can be kept.
    pub(in crate::net) fn push(&mut self, at: Millis, bytes: &[u8]) -> Vec<(Millis, Vec<u8>)> {
        if self.finder.is_empty() {
            return vec![(at, bytes.to_owned())];
        }
        let begin = self.end;
        self.end += bytes.len();
        self.held.push_back((at, bytes.to_owned()));
        self.redact_plain(bytes, begin);
        let mut read = 0;
        while read < bytes.len() {
            read = if self.scanner.in_string {
                self.read_string(bytes, read, begin)
            } else {
                self.scanner.find(bytes, read)
            };
        }
        self.forget_fields();
        let inside = self.redact_open_string();
        let min = if self.finder.rules.is_some() { 1 } else { MIN_HELD_PREFIX_BYTES };
        let open = self.open_fields.values().filter(|open| open.open_len() >= min).chain([&self.tail]);
        let safe = open.filter_map(OpenText::open_start).min().unwrap_or(self.end);
        self.release(safe.min(inside))
    }

    /// Looks through the bytes as they are.
    fn redact_plain(&mut self, bytes: &[u8], begin: usize) {
        let mut plain = std::mem::take(&mut self.tail);
        plain.letters.extend(bytes, begin);
        self.tail = self.redact_whole(plain, false);
    }

    /// Reads a string from `from` on, up to its end, an escape, or the end of the bytes; returns how far.
    fn read_string(&mut self, bytes: &[u8], from: usize, begin: usize) -> usize {
        let text = &mut self.scanner;
        if !text.escape.is_empty() {
            text.escape.push(bytes[from]);
            if let Some(letter) = unescape(&text.escape) {
                let width = text.escape.len();
                text.bytes.push(letter, begin + from + 1 - width, width);
                text.escape.clear();
            }
            return from + 1;
        }
        let rest = &bytes[from..];
        let stop = memchr::memchr3(b'"', b'\\', b'\n', rest).unwrap_or(rest.len());
        // Also the end of a line: a string that is not closed there is none.
        let stop = memchr::memchr(b'\r', &rest[..stop]).unwrap_or(stop);
        let piece = &rest[..stop];
        match rest.get(stop) {
            None => text.bytes.extend_up_to(MAX_HELD_BYTES, piece, begin + from),
            Some(b'"') => {
                self.end_string(piece, begin + from);
                return from + stop + 1;
            }
            Some(b'\\') => {
                text.bytes.extend_up_to(MAX_HELD_BYTES, piece, begin + from);
                text.escape.push(b'\\');
            }
            Some(_) => text.in_string = false,
        }
        from + stop + 1
    }

    /// A string ends with `piece`, which stands at `place`.
    fn end_string(&mut self, piece: &[u8], place: usize) {
        let text = &mut self.scanner;
        text.in_string = false;
        if !std::mem::take(&mut text.is_value) {
            text.bytes.extend_up_to(MAX_HELD_BYTES, piece, place);
            text.field_name.clear();
            text.field_name.extend_from_slice(text.bytes.as_slice());
            text.has_name = true;
            return;
        }
        if !std::mem::take(&mut text.has_name) {
            return;
        }
        let before =
            if self.open_fields.is_empty() { None } else { self.open_fields.remove(text.field_name.as_slice()) };
        // What is whole in it was found among the bytes as they are.
        let is_plain = before.is_none() && text.bytes.len() == 0 && self.finder.rules.is_none();
        if is_plain && open_end(piece, &self.finder.secrets, 0) == piece.len() {
            return;
        }
        let mut whole = before.unwrap_or_default();
        text.bytes.extend_up_to(MAX_HELD_BYTES, piece, place);
        whole.letters.append(&mut text.bytes);
        let open = self.redact_whole(whole, false);
        if open.letters.len() > 0 {
            self.open_fields.insert(self.scanner.field_name.clone(), open);
        }
    }

    /// Forgets the ends of fields that are too long ago, or too many.
    fn forget_fields(&mut self) {
        self.open_fields.retain(|_, open| open.start().is_some_and(|place| place + MAX_HELD_BYTES > self.end));
        while self.open_fields.len() > MAX_TRACKED_FIELDS {
            let oldest = self.open_fields.iter().min_by_key(|(_, open)| open.start()).map(|(name, _)| name.clone());
            let Some(oldest) = oldest else { break };
            self.open_fields.remove(&oldest);
        }
    }

    /// Settles what came of a string that is not over; returns where a secret may begin in it, the end if none does.
    fn redact_open_string(&mut self) -> usize {
        if !(self.scanner.in_string && self.scanner.is_value && self.scanner.has_name) {
            return self.end;
        }
        let mut whole = self.open_fields.remove(self.scanner.field_name.as_slice()).unwrap_or_default();
        whole.letters.append(&mut self.scanner.bytes);
        let open = self.redact_whole(whole, false);
        let start = open.open_start().unwrap_or(self.end - self.scanner.escape.len());
        // The rest of the string is added to it.
        self.open_fields.insert(self.scanner.field_name.clone(), open);
        start
    }

    /// Returns what still waits: nothing follows.
    pub(in crate::net) fn finish(&mut self) -> Vec<(Millis, Vec<u8>)> {
        let open: Vec<_> =
            self.open_fields.drain().map(|(_, open)| open).chain([std::mem::take(&mut self.tail)]).collect();
        for text in open {
            self.redact_whole(text, true);
        }
        self.release(self.end)
    }

    /// Blanks whole secrets out; returns the end that may be the beginning of one.
    fn redact_whole(&mut self, text: OpenText, is_end: bool) -> OpenText {
        let found = self.finder.find(text.letters.as_slice(), text.decided, is_end, MAX_HELD_BYTES);
        for (range, mark) in found.whole {
            self.mark_redacted(&text.letters, range, mark);
        }
        // Without rules nothing is looked back at.
        let context = if self.finder.rules.is_some() { CONTEXT_BYTES } else { 0 };
        let from = found.open.saturating_sub(context);
        OpenText { letters: text.letters.split_off(from), decided: found.open - from }
    }

    fn mark_redacted(&mut self, letters: &LocatedBytes, range: Range<usize>, mark: String) {
        // What was kept already is not blanked out any more.
        let start = self.start;
        let mut mark = Some(mark);
        for place in letters.places(range).filter(|place| place.end > start) {
            self.redactions.push((place.start.max(start)..place.end, mark.take()));
        }
    }

    /// Returns the pieces that lie wholly before a place.
    fn release(&mut self, safe: usize) -> Vec<(Millis, Vec<u8>)> {
        self.redactions.sort_by_key(|(range, mark)| (range.start, mark.is_none()));
        let mut done = Vec::new();
        while let Some((at, piece)) = self.held.pop_front() {
            let end = self.start + piece.len();
            if end > safe {
                self.held.push_front((at, piece));
                break;
            }
            let kept = if self.redactions.is_empty() { piece } else { self.apply_redactions(&piece) };
            done.push((at, kept));
            self.start = end;
        }
        let start = self.start;
        self.redactions.retain(|(range, _)| range.end > start);
        done
    }

    fn apply_redactions(&self, piece: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(piece.len());
        let mut at = self.start;
        for (range, mark) in self.redactions.iter().filter(|(range, _)| range.start < self.start + piece.len()) {
            let (from, to) = (range.start.max(self.start), range.end.min(self.start + piece.len()));
            if from < at || from >= to {
                continue;
            }
            out.extend_from_slice(&piece[at - self.start..from - self.start]);
            if let Some(mark) = mark.as_ref().filter(|_| range.start == from) {
                out.extend_from_slice(mark.as_bytes());
            }
            at = to;
        }
        out.extend_from_slice(&piece[at - self.start..]);
        out
    }
}

impl JsonStringScanner {
    /// Looks for the beginning of a string from `from` on; returns how far it read.
    fn find(&mut self, bytes: &[u8], from: usize) -> usize {
        for (nth, byte) in bytes.iter().enumerate().skip(from) {
            match byte {
                b'"' => {
                    self.in_string = true;
                    self.bytes.clear();
                    self.escape.clear();
                    return nth + 1;
                }
                b':' if self.has_name => self.is_value = true,
                b' ' | b'\t' => {}
                _ => (self.has_name, self.is_value) = (false, false),
            }
        }
        bytes.len()
    }
}

/// Returns what a whole escape means, as far as it is one byte; zero for others, which no secret has.
fn unescape(escape: &[u8]) -> Option<u8> {
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
        let mut bytes = ByteRedactor::new(vec![KEY.to_owned().into()]);
        let mut out: Vec<_> = pieces.iter().flat_map(|piece| bytes.push(Millis(0), piece.as_bytes())).collect();
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
        let mut bytes = ByteRedactor::new(vec![KEY.to_owned().into()]);
        assert_eq!(bytes.push(Millis(1), b"\xff\xfe\"a\":\"s\"").len(), 1);
        assert_eq!(bytes.push(Millis(2), b"{\"a\":\"ask\"}").len(), 0, "it may go on");
        assert_eq!(bytes.push(Millis(3), b"{\"a\":\"ed\"}").iter().map(|(at, _)| at.0).collect::<Vec<_>>(), [2, 3]);
        bytes.push(Millis(4), b"{\"a\":\"sk\"}");
        let filler = vec![b' '; MAX_HELD_BYTES];
        assert_eq!(bytes.push(Millis(5), &filler).len(), 2, "it did not go on");
    }
}
