//! Reasoning that a server tells in two ways at once, in a field of its own and between tags in the text: told once.
//!
//! Whichever way comes first is told; the other one is hushed as long as it says the same, white space aside, and told
//! from where it says more. One that turns out to say something else is told whole, as a paragraph of its own.

/// Bytes that are compared. Beyond, both are told as they come.
const MOST: usize = 4 * 1024 * 1024;

/// How a piece came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Field,
    Tags,
}

#[derive(Debug, Default)]
pub(super) struct Thoughts {
    /// All that was told, without white space.
    told: String,
    /// Whether the last of it was white space.
    ends_blank: bool,
    field: Way,
    tags: Way,
}

#[derive(Debug, Default)]
struct Way {
    /// Bytes of what was told that it has said as well.
    at: usize,
    /// What it said that was told before, since it told something itself.
    hushed: String,
    /// It told the last new word.
    leads: bool,
    /// It says something else.
    is_apart: bool,
}

impl Thoughts {
    /// Takes a piece and returns what of it is to be told.
    pub(super) fn take(&mut self, by: By, piece: &str) -> String {
        let (way, other) = match by {
            By::Field => (&mut self.field, &mut self.tags),
            By::Tags => (&mut self.tags, &mut self.field),
        };
        if way.is_apart || self.told.len() > MOST {
            return piece.to_owned();
        }
        let was_behind = way.at < self.told.len();
        let mut new = None;
        for (at, letter) in piece.char_indices().filter(|(_, letter)| !letter.is_whitespace()) {
            let rest = self.told.get(way.at..).unwrap_or_default();
            if rest.is_empty() {
                new = Some(at);
                break;
            }
            if !rest.starts_with(letter) {
                way.is_apart = true;
                let whole = std::mem::take(&mut way.hushed) + piece;
                return format!("\n\n{}", whole.trim_start());
            }
            way.at += letter.len_utf8();
        }
        let Some(new) = new else {
            // Blanks are told by the one that leads.
            if !was_behind && (way.leads || other.at == 0) {
                self.ends_blank |= !piece.is_empty();
                return piece.to_owned();
            }
            way.hushed.push_str(piece);
            return String::new();
        };
        let from = if was_behind { piece.get(..new).map_or(new, |known| known.trim_end().len()) } else { 0 };
        let told = piece.get(from..).unwrap_or_default();
        let told = if self.ends_blank && !way.leads { told.trim_start() } else { told };
        self.told.extend(told.chars().filter(|letter| !letter.is_whitespace()));
        self.ends_blank = told.ends_with(char::is_whitespace);
        way.at = self.told.len();
        way.hushed = String::new();
        (way.leads, other.leads) = (true, false);
        told.to_owned()
    }

    /// Whether the field said something.
    pub(super) fn has_field(&self) -> bool {
        self.field.at > 0 || self.field.is_apart
    }

    /// Whether a text says what was told, as far as either goes.
    pub(super) fn knows(&self, text: &str) -> bool {
        let mut letters = text.chars().filter(|letter| !letter.is_whitespace());
        let mut told = self.told.chars();
        loop {
            match (letters.next(), told.next()) {
                (Some(one), Some(other)) if one == other => {}
                (Some(_), Some(_)) => return false,
                _ => return !self.told.is_empty(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(pieces: &[(By, &str)]) -> String {
        let mut thoughts = Thoughts::default();
        pieces.iter().map(|(by, piece)| thoughts.take(*by, piece)).collect()
    }

    #[test]
    fn what_comes_in_both_ways_is_told_once() {
        use By::{Field, Tags};
        for pieces in [
            &[(Field, "Hm. "), (Field, "So be it."), (Tags, "Hm. So be it.\n")][..],
            &[(Tags, "Hm. So be it."), (Field, "Hm. So be it.")],
            &[(Field, "Hm."), (Tags, "Hm."), (Field, " So"), (Tags, " So"), (Field, " be it."), (Tags, " be it.")],
            &[(Tags, "Hm."), (Field, "Hm. So"), (Tags, " So be"), (Field, " be it.")],
            &[(Field, "Hm. "), (Tags, "Hm.\n"), (Tags, " So be it.")],
        ] {
            assert_eq!(told(pieces), "Hm. So be it.", "{pieces:?}");
        }
        assert_eq!(told(&[(Field, "a\n"), (Tags, "a\n"), (Field, "\n"), (Tags, "\n"), (Field, "b")]), "a\n\nb");
    }

    #[test]
    fn what_comes_in_one_way_is_told_as_it_comes() {
        for by in [By::Field, By::Tags] {
            assert_eq!(told(&[(by, "\n"), (by, "a"), (by, " "), (by, "a a"), (by, "\n")]), "\na a a\n");
        }
    }

    #[test]
    fn another_thought_is_told_whole() {
        use By::{Field, Tags};
        let pieces = [(Field, "The person asks."), (Tags, "The "), (Tags, "answer"), (Tags, " is 4.")];
        assert_eq!(told(&pieces), "The person asks.\n\nThe answer is 4.");
    }

    #[test]
    fn a_text_that_was_a_thought_is_known() {
        let mut thoughts = Thoughts::default();
        assert!(!thoughts.knows("Hm"));
        thoughts.take(By::Field, "Hm. So be it.");
        assert!(thoughts.knows("Hm.\nSo") && thoughts.knows("Hm. So be it. Yes") && !thoughts.knows("Hello"));
        assert!(thoughts.has_field());
    }
}
