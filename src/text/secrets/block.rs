//! Secrets with an inner structure: private keys in PEM, JSON web tokens, tokens of bots, bearer tokens.

use super::byte_class::ByteClass;
use super::partial_text::{Finding, PartialText, RunEnd, Verdict};
use super::value::{is_mixed, is_plausible};

/// Characters of a label between `-----BEGIN ` and `-----`.
const MAX_LABEL_BYTES: usize = 48;
/// A line of a key has at least so many characters in base64; anything shorter is a word.
const MIN_KEY_LINE_BYTES: usize = 16;
/// Words in a row that are no lines of a key: headers, numbers of lines, marks of a difference.
const MAX_WORDS_IN_KEY: usize = 8;
const PEM_LINE: ByteClass = ByteClass::of("A-Za-z0-9+/=");
/// What a key that is too long to wait for goes on with; its end marker does not belong to it.
const PEM_REST: ByteClass = ByteClass::of("A-Za-z0-9+/=\n\r\t \\");
const PEM_END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";

/// Decides about what stands behind `-----BEGIN `: a private key goes up to its end marker, or to where it is cut off.
pub(super) fn judge_private_key(text: PartialText<'_>, at: usize, after: usize) -> Verdict {
    const LABEL: ByteClass = ByteClass::of("A-Z0-9 ");
    let label_end = LABEL.run_end(text.bytes, after, after + MAX_LABEL_BYTES);
    let label = text.slice(after, label_end);
    let dashes = text.slice(label_end, (label_end + DASHES.len()).min(text.bytes.len()));
    let is_open = label_end + dashes.len() == text.bytes.len() && dashes.len() < DASHES.len();
    if is_open && DASHES.starts_with(dashes) && !text.is_end {
        return Verdict::More(None);
    }
    if dashes != DASHES || memchr::memmem::find(label, b"PRIVATE KEY").is_none() {
        return Verdict::No;
    }
    let mut words = KeyWords { text, at: label_end + DASHES.len() };
    let (mut short, mut key_end) = (0, None);
    loop {
        if words.at - at >= text.max_held && key_end.is_some() {
            let end = PEM_REST.run_end(text.bytes, words.at, usize::MAX);
            return Verdict::Found(Finding { start: at, end, kind: None, rest: Some(PEM_REST) });
        }
        match words.next() {
            KeyWord::Line(end) => (short, key_end) = (0, Some(end)),
            KeyWord::Short(end) => {
                short += 1;
                // The last line of a key is as long as it happens to be.
                if short == 1 && key_end.is_some() {
                    key_end = Some(end);
                }
            }
            KeyWord::End(end) => return if key_end.is_some() { Finding::at(at, end) } else { Verdict::No },
            KeyWord::Other => return key_end.map_or(Verdict::No, |end| Finding::at(at, end)),
            KeyWord::Open if text.is_end => return key_end.map_or(Verdict::No, |end| Finding::at(at, end)),
            KeyWord::Open => return Verdict::More(None),
        }
        if short > MAX_WORDS_IN_KEY {
            return key_end.map_or(Verdict::No, |end| Finding::at(at, end));
        }
    }
}

/// Reads what stands in a key word by word.
struct KeyWords<'t> {
    text: PartialText<'t>,
    at: usize,
}

enum KeyWord {
    /// A line in base64, which ends there.
    Line(usize),
    Short(usize),
    /// The end marker, with what belongs to it.
    End(usize),
    /// No word of a key.
    Other,
    /// The text ends here.
    Open,
}

impl KeyWords<'_> {
    fn next(&mut self) -> KeyWord {
        self.skip_blanks();
        let bytes = self.text.bytes;
        let rest = bytes.get(self.at..).unwrap_or_default();
        if rest.is_empty() {
            return KeyWord::Open;
        }
        if rest[0] == b'-' {
            return self.read_dashes(rest);
        }
        let end = PEM_LINE.run_end(bytes, self.at, usize::MAX);
        let length = end - self.at;
        if length == 0 {
            // What headers and marks at the beginning of a line are made of.
            let is_mark = matches!(rest[0], b':' | b',' | b'.' | b'>' | b'|' | b'#' | b'*' | b'_' | b'(' | b')' | b'@');
            if !is_mark {
                return KeyWord::Other;
            }
            self.at += 1;
            return KeyWord::Short(self.at);
        }
        if end == bytes.len() && !self.text.is_end {
            return KeyWord::Open;
        }
        self.at = end;
        if length >= MIN_KEY_LINE_BYTES { KeyWord::Line(end) } else { KeyWord::Short(end) }
    }

    fn read_dashes(&mut self, rest: &[u8]) -> KeyWord {
        if rest.len() < PEM_END.len() && PEM_END.starts_with(rest) {
            return KeyWord::Open;
        }
        if !rest.starts_with(PEM_END) {
            self.at += 1;
            return KeyWord::Short(self.at);
        }
        let label = rest.get(PEM_END.len()..).unwrap_or_default();
        let window = label.get(..label.len().min(MAX_LABEL_BYTES + DASHES.len())).unwrap_or_default();
        match memchr::memmem::find(window, DASHES) {
            Some(length) => KeyWord::End(self.at + PEM_END.len() + length + DASHES.len()),
            None if window.len() < MAX_LABEL_BYTES + DASHES.len() && !self.text.is_end => KeyWord::Open,
            None => KeyWord::End(self.at),
        }
    }

    /// Skips white space, also where it is escaped, once or twice.
    fn skip_blanks(&mut self) {
        let bytes = self.text.bytes;
        loop {
            match bytes.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                Some(b'\\') => {
                    let mut end = self.at;
                    while bytes.get(end) == Some(&b'\\') {
                        end += 1;
                    }
                    match bytes.get(end) {
                        Some(b'n' | b'r' | b't') => self.at = end + 1,
                        // A backslash alone at the end waits for its letter.
                        None if !self.text.is_end => {
                            self.at = bytes.len();
                            return;
                        }
                        _ => self.at = end,
                    }
                }
                _ => return,
            }
        }
    }
}

const MIN_JWT_BYTES: usize = 36;
const MIN_JWT_PART_BYTES: usize = 8;
const MAX_JWT_PARTS: usize = 5;

/// Decides about `eyJ`, the beginning of a JSON object in base64: of parts with dots between them, it is a token.
pub(super) fn judge_jwt(text: PartialText<'_>, at: usize) -> Verdict {
    let (mut end, run) = text.run(at, at, ByteClass::DOTTED);
    if matches!(run, RunEnd::Open) {
        return Verdict::More(Some(ByteClass::DOTTED));
    }
    let is_cut = text.is_cut_at(end);
    while text.get(end - 1) == Some(b'.') && end > at + 1 {
        end -= 1;
    }
    let parts: Vec<&[u8]> = text.slice(at, end).split(|byte| *byte == b'.').collect();
    let has_body = parts.get(1).is_some_and(|part| part.len() >= MIN_JWT_PART_BYTES);
    let is_whole = parts.len() >= 3 || parts.get(1).is_some_and(|part| part.starts_with(b"ey")) || is_cut;
    let is_token = has_body
        && is_whole
        && parts.len() <= MAX_JWT_PARTS
        && parts[0].len() >= MIN_JWT_PART_BYTES
        && end - at >= MIN_JWT_BYTES;
    if !is_token {
        return Verdict::No;
    }
    let rest = matches!(run, RunEnd::Capped).then_some(ByteClass::DOTTED);
    Verdict::Found(Finding { start: at, end, kind: None, rest })
}

/// Decides about the token of a bot: a number in base64 of 24 to 28 characters, a time of 6, a signature of 27 to 45.
pub(super) fn judge_discord_token(text: PartialText<'_>, at: usize) -> Verdict {
    let mut from = at;
    for (class, min, max, is_last) in
        [(ByteClass::ALNUM, 24, 28, false), (ByteClass::DASHED, 6, 6, false), (ByteClass::DASHED, 27, 45, true)]
    {
        let end = class.run_end(text.bytes, from, from + max + 1);
        let length = end - from;
        if length > max {
            return Verdict::No;
        }
        if end == text.bytes.len() && !text.is_end {
            return Verdict::More(Some(class)).filter_length(length, max);
        }
        if length < min {
            return Verdict::No;
        }
        if is_last {
            return Finding::at(at, end);
        }
        if text.get(end) != Some(b'.') {
            return Verdict::No;
        }
        from = end + 1;
    }
    Verdict::No
}

impl Verdict {
    /// What is as long as it may be is decided with the next character.
    fn filter_length(self, length: usize, max: usize) -> Self {
        if length < max { self } else { Self::More(None) }
    }
}

const MIN_BEARER_BYTES: usize = 16;

/// Decides about the token behind `Bearer `.
pub(super) fn judge_bearer(text: PartialText<'_>, at: usize, after: usize) -> Verdict {
    let (mut end, run) = text.run(at, after, ByteClass::TOKEN);
    if matches!(run, RunEnd::Open) {
        return Verdict::More(Some(ByteClass::TOKEN));
    }
    while end > after && text.get(end - 1) == Some(b'.') {
        end -= 1;
    }
    let token = text.slice(after, end);
    if token.len() < MIN_BEARER_BYTES || !is_mixed(token) || !is_plausible(token) {
        return Verdict::No;
    }
    let rest = matches!(run, RunEnd::Capped).then_some(ByteClass::TOKEN);
    Verdict::Found(Finding { start: after, end, kind: None, rest })
}
