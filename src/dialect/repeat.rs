//! Text that comes in pieces and then again as a whole, as in many formats' closing frames: told once, corrected where
//! the whole says something else.

/// Bytes of a text that are remembered to be compared. A longer one is trusted as it was streamed.
const MOST: usize = 4 * 1024 * 1024;

/// A text that was told so far, piece by piece.
#[derive(Debug, Default)]
pub(super) struct Told {
    text: String,
    /// Too long to be remembered.
    over: bool,
    /// What the wire said the whole text was, where that is not what was told.
    other: Option<String>,
    repeated: bool,
}

impl Told {
    pub(super) fn add(&mut self, piece: &str) {
        if self.over || self.text.len().saturating_add(piece.len()) > MOST {
            self.over = true;
            self.text = String::new();
        } else {
            self.text.push_str(piece);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty() && !self.over
    }

    /// Whether this and nothing else was told.
    pub(super) fn is(&self, text: &str) -> bool {
        !self.over && self.text == text
    }

    /// Takes the whole text, and returns the piece that is still to be told so that nothing is missing. Where the
    /// whole does not begin with what was told, [`Self::full`] is the correction.
    pub(super) fn whole<'a>(&mut self, whole: &'a str) -> &'a str {
        if self.over {
            return "";
        }
        self.repeated = true;
        self.other = None;
        let rest = whole.strip_prefix(self.text.as_str());
        if rest.is_none() {
            self.other = Some(whole.chars().take(MOST).collect());
        }
        rest.unwrap_or_default()
    }

    /// Returns the whole text where the wire repeated it.
    pub(super) fn full(&self) -> Option<&str> {
        self.repeated.then(|| self.other.as_deref().unwrap_or(&self.text)).filter(|_| !self.over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_tells_only_what_is_missing() {
        let mut told = Told::default();
        told.add("Hel");
        assert_eq!(told.full(), None);
        assert_eq!(told.whole("Hello"), "lo");
        told.add("lo");
        assert_eq!(told.whole("Hello"), "");
        assert_eq!(told.full(), Some("Hello"));
    }

    #[test]
    fn a_whole_that_differs_corrects_what_was_told() {
        let mut told = Told::default();
        told.add("Hello");
        assert_eq!((told.whole("Bye"), told.full()), ("", Some("Bye")));
    }

    #[test]
    fn an_endless_text_is_not_remembered() {
        let mut told = Told::default();
        for _ in 0..5 {
            told.add(&"x".repeat(1024 * 1024));
        }
        assert_eq!((told.is_empty(), told.text.len(), told.whole("x"), told.full()), (false, 0, "", None));
    }
}
