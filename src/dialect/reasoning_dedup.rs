//! Deduplicates reasoning that a server sends twice, in a field of its own and between tags in the text.
//!
//! The source that comes first is emitted; the other is suppressed as long as it repeats that, white space aside, and
//! emitted from where it continues. One that turns out to differ is emitted whole, as a paragraph of its own.

/// Bytes that are compared. Beyond, both are emitted as they come.
const MAX_COMPARED_BYTES: usize = 4 * 1024 * 1024;

/// The source of a piece of reasoning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReasoningSource {
    Field,
    Tags,
}

#[derive(Debug, Default)]
pub(super) struct ReasoningDedup {
    /// Everything emitted, without white space.
    emitted: String,
    /// Whether it ended with white space.
    ends_blank: bool,
    field: ReasoningSourceState,
    tags: ReasoningSourceState,
}

#[derive(Debug, Default)]
struct ReasoningSourceState {
    /// Bytes of the emitted text that this source has repeated.
    matched_bytes: usize,
    /// Its text that was suppressed, since it last added something itself.
    suppressed: String,
    /// It added the newest text.
    is_leading: bool,
    /// It differs from the other source.
    is_divergent: bool,
}

impl ReasoningDedup {
    /// Takes a piece and returns the part to emit.
    pub(super) fn push(&mut self, by: ReasoningSource, piece: &str) -> String {
        let (source, other) = match by {
            ReasoningSource::Field => (&mut self.field, &mut self.tags),
            ReasoningSource::Tags => (&mut self.tags, &mut self.field),
        };
        if source.is_divergent || self.emitted.len() > MAX_COMPARED_BYTES {
            return piece.to_owned();
        }
        let was_behind = source.matched_bytes < self.emitted.len();
        let mut new = None;
        for (at, letter) in piece.char_indices().filter(|(_, letter)| !letter.is_whitespace()) {
            let rest = self.emitted.get(source.matched_bytes..).unwrap_or_default();
            if rest.is_empty() {
                new = Some(at);
                break;
            }
            if !rest.starts_with(letter) {
                source.is_divergent = true;
                let whole = std::mem::take(&mut source.suppressed) + piece;
                return format!("\n\n{}", whole.trim_start());
            }
            source.matched_bytes += letter.len_utf8();
        }
        let Some(new) = new else {
            // White space comes from the leading source.
            if !was_behind && (source.is_leading || other.matched_bytes == 0) {
                self.ends_blank |= !piece.is_empty();
                return piece.to_owned();
            }
            source.suppressed.push_str(piece);
            return String::new();
        };
        let from = if was_behind { piece.get(..new).map_or(new, |known| known.trim_end().len()) } else { 0 };
        let new_text = piece.get(from..).unwrap_or_default();
        let new_text = if self.ends_blank && !source.is_leading { new_text.trim_start() } else { new_text };
        self.emitted.extend(new_text.chars().filter(|letter| !letter.is_whitespace()));
        self.ends_blank = new_text.ends_with(char::is_whitespace);
        source.matched_bytes = self.emitted.len();
        source.suppressed = String::new();
        (source.is_leading, other.is_leading) = (true, false);
        new_text.to_owned()
    }

    /// Returns whether the field had text.
    pub(super) fn has_field(&self) -> bool {
        self.field.matched_bytes > 0 || self.field.is_divergent
    }

    /// Returns whether a text equals what was emitted, up to the end of the shorter one.
    pub(super) fn matches(&self, text: &str) -> bool {
        let mut letters = text.chars().filter(|letter| !letter.is_whitespace());
        let mut known = self.emitted.chars();
        loop {
            match (letters.next(), known.next()) {
                (Some(one), Some(other)) if one == other => {}
                (Some(_), Some(_)) => return false,
                _ => return !self.emitted.is_empty(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn emitted(pieces: &[(ReasoningSource, &str)]) -> String {
        let mut dedup = ReasoningDedup::default();
        pieces.iter().map(|(by, piece)| dedup.push(*by, piece)).collect()
    }

    #[test]
    fn what_comes_in_both_ways_is_emitted_once() {
        use ReasoningSource::{Field, Tags};
        for pieces in [
            &[(Field, "Hm. "), (Field, "So be it."), (Tags, "Hm. So be it.\n")][..],
            &[(Tags, "Hm. So be it."), (Field, "Hm. So be it.")],
            &[(Field, "Hm."), (Tags, "Hm."), (Field, " So"), (Tags, " So"), (Field, " be it."), (Tags, " be it.")],
            &[(Tags, "Hm."), (Field, "Hm. So"), (Tags, " So be"), (Field, " be it.")],
            &[(Field, "Hm. "), (Tags, "Hm.\n"), (Tags, " So be it.")],
        ] {
            assert_eq!(emitted(pieces), "Hm. So be it.", "{pieces:?}");
        }
        assert_eq!(emitted(&[(Field, "a\n"), (Tags, "a\n"), (Field, "\n"), (Tags, "\n"), (Field, "b")]), "a\n\nb");
    }

    #[test]
    fn what_comes_in_one_way_is_told_as_it_comes() {
        for by in [ReasoningSource::Field, ReasoningSource::Tags] {
            assert_eq!(emitted(&[(by, "\n"), (by, "a"), (by, " "), (by, "a a"), (by, "\n")]), "\na a a\n");
        }
    }

    #[test]
    fn another_thought_is_emitted_whole() {
        use ReasoningSource::{Field, Tags};
        let pieces = [(Field, "The person asks."), (Tags, "The "), (Tags, "answer"), (Tags, " is 4.")];
        assert_eq!(emitted(&pieces), "The person asks.\n\nThe answer is 4.");
    }

    #[test]
    fn a_text_that_was_a_thought_is_known() {
        let mut dedup = ReasoningDedup::default();
        assert!(!dedup.matches("Hm"));
        dedup.push(ReasoningSource::Field, "Hm. So be it.");
        assert!(dedup.matches("Hm.\nSo") && dedup.matches("Hm. So be it. Yes") && !dedup.matches("Hello"));
        assert!(dedup.has_field());
    }
}
