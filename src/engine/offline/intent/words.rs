//! PURE. A prompt split into words, with quoted text and code kept whole.
//!
//! Quoted spans and fenced blocks become one private-use character each, so that no rule about words can look into them
//! by accident; [`MaskedPrompt::restore`] brings the text back as it was typed.

/// First of the characters that stand for a span, and their number. Further spans of a prompt stay text.
const FIRST_MARK: u32 = 0xE000;
const MAX_SPANS: usize = 6000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SpanKind {
    /// A fenced block.
    Block,
    /// Between backticks or quotation marks.
    Quote,
}

#[derive(Debug)]
struct MaskedSpan {
    kind: SpanKind,
    typed: String,
    inner: String,
}

/// A prompt whose quoted spans are one character each.
#[derive(Debug, Default)]
pub(super) struct MaskedPrompt {
    pub(super) text: String,
    spans: Vec<MaskedSpan>,
}

impl MaskedPrompt {
    pub(super) fn new(prompt: &str) -> Self {
        let mut masked = Self::default();
        let clean: String = prompt.chars().map(|c| if is_mark(c) { '\u{fffd}' } else { c }).collect();
        let mut lines = clean.lines();
        while let Some(line) = lines.next() {
            let fence = fence_of(line);
            if fence.is_empty() {
                masked.mask_line(line);
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
            let mark = masked.mask(SpanKind::Block, whole, inner);
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
                Some(span) => out.push_str(&span.typed),
                None => out.push(c),
            }
        }
        out
    }

    fn mask_line(&mut self, line: &str) {
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
                Some((end, past)) if self.spans.len() < MAX_SPANS => {
                    let whole = rest[..c.len_utf8() + past].to_owned();
                    let mark = self.mask(SpanKind::Quote, whole, after[..end].to_owned());
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

    fn mask(&mut self, kind: SpanKind, whole: String, inner: String) -> String {
        match char::from_u32(FIRST_MARK + self.spans.len() as u32) {
            Some(mark) if self.spans.len() < MAX_SPANS => {
                self.spans.push(MaskedSpan { kind, typed: whole, inner });
                mark.to_string()
            }
            _ => whole,
        }
    }

    fn span(&self, c: char) -> Option<&MaskedSpan> {
        is_mark(c).then(|| self.spans.get((u32::from(c) - FIRST_MARK) as usize)).flatten()
    }
}

fn is_mark(c: char) -> bool {
    (FIRST_MARK..FIRST_MARK + MAX_SPANS as u32).contains(&u32::from(c))
}

fn fence_of(line: &str) -> &'static str {
    let line = line.trim_start();
    ["```", "~~~"].into_iter().find(|fence| line.starts_with(fence)).unwrap_or_default()
}

/// Words of one request, or of a part of it.
#[derive(Clone, Copy)]
pub(super) struct WordSlice<'a> {
    source: &'a MaskedPrompt,
    text: &'a str,
    words: &'a [PromptWord<'a>],
}

/// One word: its position, and its form for rules (lower case, without the punctuation around it).
pub(super) struct PromptWord<'a> {
    start: usize,
    end: usize,
    raw: &'a str,
    plain: String,
}

/// Splits a text into words. Bare punctuation is dropped.
pub(super) fn split_words(text: &str) -> Vec<PromptWord<'_>> {
    let mut words = Vec::new();
    let mut from = 0;
    for raw in text.split_whitespace() {
        let start = text.get(from..).and_then(|rest| rest.find(raw)).map_or(from, |at| from + at);
        let end = start + raw.len();
        from = end;
        let plain = trim_punctuation(raw).to_lowercase();
        if !plain.is_empty() {
            words.push(PromptWord { start, end, raw, plain });
        }
    }
    words
}

/// Trims punctuation that belongs to the sentence, not to the word.
fn trim_punctuation(word: &str) -> &str {
    if matches!(word, "." | ".." | "!" | "$") {
        return word;
    }
    word.trim_start_matches(['(', ',']).trim_end_matches([',', ';', ':', '?', '!', '.', ')', '…'])
}

impl<'a> WordSlice<'a> {
    pub(super) fn new(source: &'a MaskedPrompt, text: &'a str, list: &'a [PromptWord<'a>]) -> Self {
        Self { source, text, words: list }
    }

    pub(super) fn len(self) -> usize {
        self.words.len()
    }

    pub(super) fn is_empty(self) -> bool {
        self.words.is_empty()
    }

    /// Returns the words in their form for rules.
    pub(super) fn plain(self) -> Vec<&'a str> {
        self.words.iter().map(|word| word.plain.as_str()).collect()
    }

    pub(super) fn skip(self, start: usize) -> Self {
        Self { words: self.words.get(start..).unwrap_or_default(), ..self }
    }

    pub(super) fn take(self, end: usize) -> Self {
        Self { words: self.words.get(..end).unwrap_or(self.words), ..self }
    }

    /// Returns the punctuation with which the word before this index ends a part of the sentence.
    pub(super) fn punctuation_before(self, at: usize) -> Option<char> {
        let word = at.checked_sub(1).and_then(|before| self.words.get(before))?;
        word.raw.chars().last().filter(|last| matches!(last, ',' | ';' | '.' | '?' | '!' | ':'))
    }

    /// Returns the text of all words as typed, with what stands between them.
    pub(super) fn raw(self) -> String {
        let (Some(first), Some(last)) = (self.words.first(), self.words.last()) else { return String::new() };
        self.source.restore(self.text.get(first.start..last.end).unwrap_or_default())
    }

    /// Returns the text as typed, from the first word to the end of the line.
    pub(super) fn raw_to_end(self) -> String {
        let start = self.words.first().map_or(self.text.len(), |word| word.start);
        self.source.restore(self.text.get(start..).unwrap_or_default()).trim_end().to_owned()
    }

    /// Returns the value of the words: the inside of a single quoted span, or else the text without the punctuation
    /// around it.
    pub(super) fn value(self) -> String {
        match self.quoted() {
            Some(inner) => inner.to_owned(),
            None => trim_punctuation(self.raw().trim()).to_owned(),
        }
    }

    /// Returns the inside when this is a single quoted span or block.
    pub(super) fn quoted(self) -> Option<&'a str> {
        self.span().map(|span| span.inner.as_str())
    }

    pub(super) fn kind(self) -> Option<SpanKind> {
        self.span().map(|span| span.kind)
    }

    fn span(self) -> Option<&'a MaskedSpan> {
        let [word] = self.words else { return None };
        let mut chars = word.plain.chars();
        let first = chars.next()?;
        chars.next().is_none().then(|| self.source.span(first)).flatten()
    }

    /// Returns the index of the first block.
    pub(super) fn block_position(self) -> Option<usize> {
        (0..self.len()).find(|at| self.skip(*at).take(1).kind() == Some(SpanKind::Block))
    }
}
