//! Words of a line, as a shell tells them apart: by blanks, and quotes keep them together.

/// Splits what followed a command as a shell would; a quote that isn't closed reaches to the end.
pub fn split_words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut is_open) = (Vec::new(), String::new(), None, false);
    for c in text.chars() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            (c, Some(_)) => word.push(c),
            ('"' | '\'', None) => (quote, is_open) = (Some(c), true),
            (c, None) if c.is_whitespace() => {
                if is_open || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                is_open = false;
            }
            (c, None) => word.push(c),
        }
    }
    if is_open || !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_keep_words_together() {
        assert_eq!(split_words(r#" a  "b c" d'e f'g "" "#), ["a", "b c", "de fg", ""]);
        assert_eq!(split_words("\"open to the end"), ["open to the end"]);
        assert!(split_words("  ").is_empty());
    }
}
