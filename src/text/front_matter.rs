//! The front matter of a Markdown file: what it says of itself, before its text.

/// Splits the lines between two `---` off, as pairs. Anything else there is left alone.
pub fn split_front_matter(text: &str) -> (Vec<(&str, &str)>, &str) {
    let Some(rest) = text.strip_prefix("---\n") else { return (Vec::new(), text) };
    let Some((head, body)) = rest.split_once("\n---\n").or_else(|| Some((rest.strip_suffix("\n---")?, ""))) else {
        return (Vec::new(), text);
    };
    let facts = head.lines().filter_map(|line| {
        let (key, value) = line.split_once(':')?;
        let value = value.trim();
        let unquoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        let unquoted = unquoted.or_else(|| value.strip_prefix('\'').and_then(|value| value.strip_suffix('\'')));
        Some((key.trim(), unquoted.unwrap_or(value)))
    });
    (facts.collect(), body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_come_off_and_anything_else_stays() {
        let text = "---\nname: a b\ndescription: \"says: it\"\nno pair\n---\nBody\n";
        assert_eq!(split_front_matter(text), (vec![("name", "a b"), ("description", "says: it")], "Body\n"));
        assert_eq!(split_front_matter("---\nname: a\n---"), (vec![("name", "a")], ""));
        for text in ["", "Body", "---\nname: a", "--- \nname: a\n---\nBody"] {
            assert_eq!(split_front_matter(text), (Vec::new(), text));
        }
    }
}
