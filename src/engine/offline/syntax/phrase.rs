//! PURE. A line cut into words, where what stands in quotes is one word.

/// The words of a line, or some of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Phrase<'a> {
    line: &'a str,
    words: &'a [Word<'a>],
}

/// A word, or what stands in quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word<'a> {
    /// Without quotes.
    pub(super) text: &'a str,
    pub(super) is_quoted: bool,
    /// Where it is in the line, with its quotes.
    start: usize,
    end: usize,
}

/// Cuts a line into words. A quote opens where a word may begin and closes where one may end.
pub(super) fn split(line: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(skipped) = line.get(at..).and_then(|rest| rest.find(|c: char| !c.is_whitespace())) {
        let start = at + skipped;
        let rest = line.get(start..).unwrap_or_default();
        let word = rest.split(char::is_whitespace).next().unwrap_or(rest);
        let (text, length, is_quoted) =
            quoted(rest).map_or((word, word.len(), false), |(inside, length)| (inside, length, true));
        at = start + length;
        words.push(Word { text, is_quoted, start, end: at });
    }
    words
}

/// Returns what stands in the quotes at the start of a text, and how long that is with punctuation behind it.
fn quoted(text: &str) -> Option<(&str, usize)> {
    let open = text.chars().next()?;
    let close = match open {
        '"' | '\'' | '`' => open,
        '“' => '”',
        _ => return None,
    };
    let inside = text.get(open.len_utf8()..)?;
    inside.match_indices(close).find_map(|(at, _)| {
        let rest = inside.get(at + close.len_utf8()..)?;
        let after = rest.trim_start_matches([',', ';', '.', '?', '!', ':']);
        let ends = after.is_empty() || after.starts_with(char::is_whitespace);
        ends.then(|| (inside.get(..at).unwrap_or_default(), text.len() - after.len()))
    })
}

impl<'a> Phrase<'a> {
    pub(super) fn new(line: &'a str, words: &'a [Word<'a>]) -> Self {
        Self { line, words }
    }

    pub(super) fn words(self) -> &'a [Word<'a>] {
        self.words
    }

    /// Returns the text from the first word to the last, as typed.
    pub(super) fn raw(self) -> &'a str {
        match (self.words.first(), self.words.last()) {
            (Some(first), Some(last)) => self.line.get(first.start..last.end).unwrap_or_default(),
            _ => "",
        }
    }

    pub(super) fn take(self, count: usize) -> Self {
        Self { words: self.words.get(..count).unwrap_or(self.words), ..self }
    }

    pub(super) fn skip(self, count: usize) -> Self {
        Self { words: self.words.get(count..).unwrap_or_default(), ..self }
    }

    /// Returns the words after these, if it begins with them.
    pub(super) fn after(self, start: &str) -> Option<Self> {
        let mut count = 0;
        for wanted in start.split(' ') {
            self.is_word(count, wanted).then_some(())?;
            count += 1;
        }
        Some(self.skip(count))
    }

    /// Returns whether the word at an index is this one, in any case and not in quotes.
    pub(super) fn is_word(self, at: usize, word: &str) -> bool {
        self.words.get(at).is_some_and(|one| !one.is_quoted && one.text.eq_ignore_ascii_case(word))
    }

    /// Cuts it at "and then" and ", then".
    pub(super) fn requests(self) -> Vec<Self> {
        let mut parts = Vec::new();
        let mut from = 0;
        for at in 1..self.words.len() {
            let and = self.is_word(at - 1, "and");
            let comma =
                self.words.get(at - 1).is_some_and(|word| self.line.get(..word.end).unwrap_or_default().ends_with(','));
            if self.is_word(at, "then") && (and || comma) && at > from {
                parts.push(self.take(if and { at - 1 } else { at }).skip(from));
                from = at + 1;
            }
        }
        parts.push(self.skip(from));
        parts
    }
}

impl Word<'_> {
    /// Returns the text without the punctuation that ends a sentence.
    pub(super) fn value(&self) -> &str {
        if self.is_quoted || matches!(self.text, "." | "..") {
            return self.text;
        }
        self.text.trim_end_matches(['?', '!', ',', ';', '.', ':'])
    }
}
