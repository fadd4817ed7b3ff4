//! PURE. Letters that are escaped in the arguments of a call, as JSON may write any: a secret in them looks like none.

/// Bytes of `\u` and four digits.
const ESCAPE_BYTES: usize = 6;

/// Reads a JSON text that comes in pieces.
#[derive(Default)]
pub(super) struct EscapeWatch {
    /// What came of an escape.
    begun: Vec<u8>,
}

impl EscapeWatch {
    /// Takes the next piece; returns whether it completes an escape of what keys are made of. Writers escape `<`, `>`, `&`
    /// and quotes for HTML; those are none.
    pub(super) fn hides_letters(&mut self, piece: &str) -> bool {
        if self.begun.is_empty() && !piece.contains('\\') {
            return false;
        }
        for byte in piece.bytes() {
            match self.begun.len() {
                0 if byte != b'\\' => continue,
                1 if byte != b'u' => self.begun.clear(),
                2.. if !byte.is_ascii_hexdigit() => self.begun.clear(),
                _ => self.begun.push(byte),
            }
            if self.begun.len() == ESCAPE_BYTES {
                let digits = std::mem::take(&mut self.begun);
                let digits = digits.get(2..).and_then(|digits| std::str::from_utf8(digits).ok());
                let letter = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).and_then(char::from_u32);
                if letter.is_some_and(|letter| letter.is_ascii_alphanumeric() || "_-+/=.:".contains(letter)) {
                    return true;
                }
            }
        }
        false
    }

    /// Returns how many bytes at the end are of an escape that is not complete.
    pub(super) fn open_len(&self) -> usize {
        self.begun.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_keys_are_made_of_counts_wherever_it_is_cut() {
        for (text, hides) in [
            (r#"{"a":"\u0067hp"}"#, true),
            (r#"{"a":"\\u0067"}"#, false),
            (r#"{"a":"\\\u005f"}"#, true),
            (r#"{"a":"\u003cb\u003e \u00e9 \ud83d\ude00 \n\"\/"}"#, false),
            (r#"{"a":"\u00zz \u"}"#, false),
            (r#"{"a":"\u003d"}"#, true),
        ] {
            for cut in 0..text.len() {
                let (one, two) = text.split_at(cut);
                let mut watch = EscapeWatch::default();
                let told = watch.hides_letters(one) || watch.hides_letters(two);
                assert_eq!(told, hides, "{text} at {cut}");
            }
        }
    }
}
