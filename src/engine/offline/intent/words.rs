//! PURE. A prompt cut into words, with quoted text and code kept whole.
//!
//! Quoted spans and fenced blocks become one private-use character each, so that no rule about words can look into
//! them by accident; [`Masked::restore`] brings the text back as it was typed.

/// First of the characters that stand for a span, and how many there are. A prompt with more keeps the rest as text.
const FIRST: u32 = 0xE000;
const MOST: usize = 6000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A fenced block.
    Block,
    /// Between backticks or quotation marks.
    Quote,
}

#[derive(Debug)]
struct Span {
    kind: Kind,
    whole: String,
    inner: String,
}

/// A prompt whose quoted spans are one character each.
#[derive(Debug, Default)]
pub(super) struct Masked {
    pub(super) text: String,
    spans: Vec<Span>,
}

impl Masked {
    pub(super) fn new(prompt: &str) -> Self {
        let mut masked = Self::default();
        let clean: String = prompt.chars().map(|c| if is_mark(c) { '\u{fffd}' } else { c }).collect();
        let mut lines = clean.lines();
        while let Some(line) = lines.next() {
            let fence = fence_of(line);
            if fence.is_empty() {
                masked.line(line);
                masked.text.push('\n');
                continue;
            }
            let (mut whole, mut inner) = (format!("{line}\n"), String::new());
            for line in lines.by_ref() {
                whole.push_str(line);
                whole.push('\n');
                if line.trim_start().starts_with(fence) && line.trim().chars().all(|c| fence.starts_with(c)) {
                    break;
                }
                inner.push_str(line);
                inner.push('\n');
            }
            let mark = masked.mark(Kind::Block, whole, inner);
            masked.text.push_str(&mark);
            masked.text.push('\n');
        }
        masked
    }

    /// Returns the text with every span as it was typed.
    pub(super) fn restore(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            match self.span(c) {
                Some(span) => out.push_str(&span.whole),
                None => out.push(c),
            }
        }
        out
    }

    fn line(&mut self, line: &str) {
        // A command line is taken as it is.
        if line.trim_start().starts_with(['$', '!']) {
            self.text.push_str(line);
            return;
        }
        let mut rest = line;
        let mut before = ' ';
        while let Some(c) = rest.chars().next() {
            let after = &rest[c.len_utf8()..];
            let close = match c {
                '"' | '`' => Some(c),
                '“' => Some('”'),
                // An apostrophe inside a word opens nothing.
                '\'' if !before.is_alphanumeric() => Some('\''),
                '‘' => Some('’'),
                _ => None,
            };
            let end = close.and_then(|close| {
                after.char_indices().find_map(|(at, one)| {
                    let follows = after[at + one.len_utf8()..].chars().next();
                    let word_goes_on = matches!(close, '\'' | '’') && follows.is_some_and(char::is_alphanumeric);
                    (one == close && !word_goes_on && at > 0).then_some((at, at + one.len_utf8()))
                })
            });
            match end {
                Some((end, past)) if self.spans.len() < MOST => {
                    let whole = rest[..c.len_utf8() + past].to_owned();
                    let mark = self.mark(Kind::Quote, whole, after[..end].to_owned());
                    self.text.push_str(&mark);
                    rest = &after[past..];
                    before = '"';
                }
                _ => {
                    self.text.push(if c == '’' { '\'' } else { c });
                    rest = after;
                    before = c;
                }
            }
        }
    }

    fn mark(&mut self, kind: Kind, whole: String, inner: String) -> String {
        match char::from_u32(FIRST + self.spans.len() as u32) {
            Some(mark) if self.spans.len() < MOST => {
                self.spans.push(Span { kind, whole, inner });
                mark.to_string()
            }
            _ => whole,
        }
    }

    fn span(&self, c: char) -> Option<&Span> {
        is_mark(c).then(|| self.spans.get((u32::from(c) - FIRST) as usize)).flatten()
    }
}

fn is_mark(c: char) -> bool {
    (FIRST..FIRST + MOST as u32).contains(&u32::from(c))
}

fn fence_of(line: &str) -> &'static str {
    let line = line.trim_start();
    ["```", "~~~"].into_iter().find(|fence| line.starts_with(fence)).unwrap_or_default()
}

/// Words of one request, or of a part of it.
#[derive(Clone, Copy)]
pub(super) struct Words<'a> {
    source: &'a Masked,
    text: &'a str,
    list: &'a [Word<'a>],
}

/// One word: where it stands, and as rules compare it (lower case, without the punctuation around it).
pub(super) struct Word<'a> {
    start: usize,
    end: usize,
    raw: &'a str,
    plain: String,
}

/// Cuts a text into words. Bare punctuation is none.
pub(super) fn cut(text: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut from = 0;
    for raw in text.split_whitespace() {
        let start = text.get(from..).and_then(|rest| rest.find(raw)).map_or(from, |at| from + at);
        let end = start + raw.len();
        from = end;
        let plain = bare(raw).to_lowercase();
        if !plain.is_empty() {
            words.push(Word { start, end, raw, plain });
        }
    }
    words
}

/// Takes punctuation off that belongs to the sentence, not to the word.
fn bare(word: &str) -> &str {
    if matches!(word, "." | ".." | "!" | "$") {
        return word;
    }
    word.trim_start_matches(['(', ',']).trim_end_matches([',', ';', ':', '?', '!', '.', ')', '…'])
}

impl<'a> Words<'a> {
    pub(super) fn new(source: &'a Masked, text: &'a str, list: &'a [Word<'a>]) -> Self {
        Self { source, text, list }
    }

    pub(super) fn len(self) -> usize {
        self.list.len()
    }

    pub(super) fn is_empty(self) -> bool {
        self.list.is_empty()
    }

    /// Returns the words as rules compare them.
    pub(super) fn plain(self) -> Vec<&'a str> {
        self.list.iter().map(|word| word.plain.as_str()).collect()
    }

    pub(super) fn from(self, start: usize) -> Self {
        Self { list: self.list.get(start..).unwrap_or_default(), ..self }
    }

    pub(super) fn to(self, end: usize) -> Self {
        Self { list: self.list.get(..end).unwrap_or(self.list), ..self }
    }

    /// Returns whether the word before this place ends a part of the sentence, and with what.
    pub(super) fn stop_before(self, at: usize) -> Option<char> {
        let word = at.checked_sub(1).and_then(|before| self.list.get(before))?;
        word.raw.chars().last().filter(|last| matches!(last, ',' | ';' | '.' | '?' | '!' | ':'))
    }

    /// Returns the text of all words as typed, with what stands between them.
    pub(super) fn raw(self) -> String {
        let (Some(first), Some(last)) = (self.list.first(), self.list.last()) else { return String::new() };
        self.source.restore(self.text.get(first.start..last.end).unwrap_or_default())
    }

    /// Returns the text as typed, from the first word to the end of the line.
    pub(super) fn raw_to_end(self) -> String {
        let start = self.list.first().map_or(self.text.len(), |word| word.start);
        self.source.restore(self.text.get(start..).unwrap_or_default()).trim_end().to_owned()
    }

    /// Returns what the words stand for: the inside of a single quoted span, or else the text without the
    /// punctuation around it.
    pub(super) fn value(self) -> String {
        match self.quoted() {
            Some(inner) => inner.to_owned(),
            None => bare(self.raw().trim()).to_owned(),
        }
    }

    /// Returns the inside when this is a single quoted span or block.
    pub(super) fn quoted(self) -> Option<&'a str> {
        self.span().map(|span| span.inner.as_str())
    }

    pub(super) fn kind(self) -> Option<Kind> {
        self.span().map(|span| span.kind)
    }

    fn span(self) -> Option<&'a Span> {
        let [word] = self.list else { return None };
        let mut chars = word.plain.chars();
        let first = chars.next()?;
        chars.next().is_none().then(|| self.source.span(first)).flatten()
    }

    /// Returns the place of the first block.
    pub(super) fn block(self) -> Option<usize> {
        (0..self.len()).find(|at| self.from(*at).to(1).kind() == Some(Kind::Block))
    }
}
