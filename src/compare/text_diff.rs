//! The difference of two texts, line by line.

use similar::{ChangeTag, TextDiff};

/// Lines of each text that are compared; a comparison costs their product at worst.
const MAX_LINES: usize = 2_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiffTag {
    Same,
    /// Only in the first.
    Removed,
    /// Only in the second.
    Added,
    /// Beyond what is compared.
    Uncompared,
}

impl DiffTag {
    pub fn sign(self) -> &'static str {
        match self {
            Self::Same => " ",
            Self::Removed => "-",
            Self::Added => "+",
            Self::Uncompared => "?",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiffLine {
    pub tag: DiffTag,
    /// Without its newline.
    pub text: String,
}

/// Returns the lines of both texts as one sequence; empty where they are equal.
pub fn text_diff(first: &str, second: &str) -> Vec<DiffLine> {
    if first == second {
        return Vec::new();
    }
    let lines = |text: &str| -> (Vec<String>, usize) {
        let all = text.lines().count();
        (text.lines().take(MAX_LINES).map(str::to_owned).collect(), all.saturating_sub(MAX_LINES))
    };
    let ((first, first_rest), (second, second_rest)) = (lines(first), lines(second));
    let (first_refs, second_refs): (Vec<&str>, Vec<&str>) =
        (first.iter().map(String::as_str).collect(), second.iter().map(String::as_str).collect());
    let diff = TextDiff::from_slices(&first_refs, &second_refs);
    let mut out: Vec<DiffLine> = diff
        .iter_all_changes()
        .map(|change| DiffLine {
            tag: match change.tag() {
                ChangeTag::Equal => DiffTag::Same,
                ChangeTag::Delete => DiffTag::Removed,
                ChangeTag::Insert => DiffTag::Added,
            },
            text: change.value().to_string(),
        })
        .collect();
    let rest = first_rest.max(second_rest);
    if rest > 0 {
        out.push(DiffLine { tag: DiffTag::Uncompared, text: format!("up to {rest} more lines are not compared") });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(first: &str, second: &str) -> Vec<String> {
        text_diff(first, second).iter().map(|line| format!("{}{}", line.tag.sign(), line.text)).collect()
    }

    #[test]
    fn lines_are_told_in_order_and_equal_texts_have_none() {
        assert_eq!(shown("a\nb\nc", "a\nx\nc\n"), [" a", "-b", "+x", " c"]);
        assert_eq!(shown("", "a"), ["+a"]);
        assert!(shown("same\n", "same\n").is_empty());
    }

    #[test]
    fn a_very_long_text_is_compared_to_a_limit_and_says_so() {
        let (long, other) = ("x\n".repeat(MAX_LINES + 7), "x\n".repeat(MAX_LINES));
        let lines = shown(&long, &other);
        assert_eq!(lines.len(), MAX_LINES + 1);
        assert_eq!(lines.last().unwrap(), "?up to 7 more lines are not compared");
    }
}
