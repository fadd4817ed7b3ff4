//! One text of several messages, and words of a text that is paced.

use crate::event::MessageId;

/// Separates the texts of two messages.
pub(in crate::dialect) const MESSAGE_SEPARATOR: &str = "\n\n";

/// Words that a text must have to be paced when it comes in one piece.
const MIN_PACED_WORDS: usize = 8;
/// Words that are paced: with [`WORD_DELAY_MS`] that takes 12 seconds. The rest follows at once.
const MAX_PACED_WORDS: usize = 1000;
pub(in crate::dialect) const WORD_DELAY_MS: u64 = 12;

/// What stands between two messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dialect) enum MessageGap {
    /// [`MESSAGE_SEPARATOR`].
    Separator,
    /// What the text lacks of a blank line at its end.
    BlankLine,
}

/// The texts of messages, in the order in which they came.
#[derive(Debug)]
pub(in crate::dialect) struct JoinedText {
    pub(in crate::dialect) text: String,
    /// Text did not fit: from then on, nothing is kept.
    pub(in crate::dialect) is_truncated: bool,
    gap: MessageGap,
    max_bytes: usize,
    /// The message of the last text, and where in the text it starts.
    last: Option<(MessageId, usize)>,
}

impl JoinedText {
    pub(in crate::dialect) fn new(gap: MessageGap, max_bytes: usize) -> Self {
        Self { text: String::new(), is_truncated: false, gap, max_bytes, last: None }
    }

    /// Adds text of a message, and returns it with what separates it from the message before.
    pub(in crate::dialect) fn push(&mut self, message: &MessageId, text: &str) -> String {
        let mut added = String::new();
        if self.last.as_ref().is_none_or(|(last, _)| last != message) {
            if self.last.is_some() {
                added.push_str(self.separator());
            }
            self.last = Some((message.clone(), self.text.len() + added.len()));
        }
        added.push_str(text);
        self.keep(&added);
        added
    }

    /// Replaces the text of the last message, where it is this one.
    pub(in crate::dialect) fn replace(&mut self, message: &MessageId, text: &str) {
        if let Some((_, begins)) = self.last.as_ref().filter(|(last, _)| last == message && !self.is_truncated) {
            self.text.truncate(*begins);
            self.keep(text);
        }
    }

    fn separator(&self) -> &'static str {
        match self.gap {
            MessageGap::Separator => MESSAGE_SEPARATOR,
            MessageGap::BlankLine if self.text.ends_with("\n\n") => "",
            MessageGap::BlankLine if self.text.ends_with('\n') => "\n",
            MessageGap::BlankLine => MESSAGE_SEPARATOR,
        }
    }

    fn keep(&mut self, text: &str) {
        if self.is_truncated {
            return;
        }
        let kept = truncate_to_bytes(text, self.max_bytes.saturating_sub(self.text.len()));
        self.is_truncated = kept.len() < text.len();
        self.text.push_str(kept);
    }
}

/// Splits a text that came in one piece into words: on single spaces, each word but the first with the space before it,
/// so that the words joined are the text. A text too short to need pacing stays one piece.
pub(in crate::dialect) fn split_words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut from = 0;
    for (at, _) in text.match_indices(' ').take(MAX_PACED_WORDS - 1) {
        if let Some(word) = text.get(from..at).filter(|word| !word.is_empty()) {
            words.push(word);
        }
        from = at;
    }
    words.extend(text.get(from..));
    if words.len() < MIN_PACED_WORDS { vec![text] } else { words }
}

/// Returns the longest prefix of whole characters that fits.
pub(in crate::dialect) fn truncate_to_bytes(text: &str, max_bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(max_bytes)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_joined_are_the_text() {
        let long = "one two  three\nfour five six seven eight nine ";
        assert_eq!(
            split_words(long),
            ["one", " two", " ", " three\nfour", " five", " six", " seven", " eight", " nine", " "]
        );
        assert_eq!(split_words("too short for that"), ["too short for that"]);
        let endless = "a ".repeat(5000);
        assert_eq!((split_words(&endless).len(), split_words(&endless).concat()), (MAX_PACED_WORDS, endless));
        assert_eq!(split_words(""), [""]);
        assert_eq!(split_words(&" ".repeat(9)).concat(), " ".repeat(9));
    }

    #[test]
    fn a_gap_is_a_separator_or_what_is_missing_of_a_blank_line() {
        let joined = |gap| {
            let mut joined = JoinedText::new(gap, usize::MAX);
            for (message, text) in [("a", "One\n"), ("b", "Two\n\n"), ("b", "."), ("c", "Three")] {
                joined.push(&message.into(), text);
            }
            joined.text
        };
        assert_eq!(joined(MessageGap::Separator), "One\n\n\nTwo\n\n.\n\nThree");
        assert_eq!(joined(MessageGap::BlankLine), "One\n\nTwo\n\n.\n\nThree");
    }

    #[test]
    fn what_does_not_fit_is_dropped_with_everything_after_it_and_still_returned() {
        let mut joined = JoinedText::new(MessageGap::Separator, 4);
        assert_eq!(joined.push(&"a".into(), "so"), "so");
        assert_eq!(joined.push(&"b".into(), "far"), "\n\nfar");
        assert_eq!(joined.push(&"b".into(), "!"), "!");
        joined.replace(&"b".into(), "");
        assert_eq!((joined.text.as_str(), joined.is_truncated), ("so\n\n", true));
    }
}
