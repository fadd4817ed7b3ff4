//! What is looked for, as a pattern: words as they are typed, or a regular expression.
//!
//! The invariant: a text is looked through in pieces of bounded size, and the matches are the same whatever the pieces,
//! as long as none is longer than [`MAX_OVERLAP_BYTES`].

use std::ops::Range;

use regex::{Regex, RegexBuilder};

/// The longest match that the end of a piece can't cut.
pub(super) const MAX_OVERLAP_BYTES: usize = 1024;
/// Memory that a pattern may take.
const MAX_PATTERN_BYTES: usize = 1 << 20;
/// What may stand between two words: white space, with the marks of Markdown and the bars of the screen around it.
const WORD_GAP_PATTERN: &str = r"[\s*_~`>│┊]*\s[\s*_~`>│┊]*";

/// Finds matches.
#[derive(Clone, Debug)]
pub struct Matcher {
    regex: Regex,
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        self.regex.as_str() == other.regex.as_str()
    }
}

impl Matcher {
    /// Takes words, or an expression where `regex` says so or the query is written `/…/`. The error is for the person.
    pub fn new(query: &str, regex: bool) -> Result<Option<Self>, String> {
        let slashed = query.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')).filter(|rest| !rest.is_empty());
        let pattern = match slashed {
            Some(pattern) => pattern.to_owned(),
            None if regex => query.to_owned(),
            None => {
                let words: Vec<String> = query.split_whitespace().map(regex::escape).collect();
                words.join(WORD_GAP_PATTERN)
            }
        };
        if pattern.is_empty() {
            return Ok(None);
        }
        let built = RegexBuilder::new(&pattern)
            .case_insensitive(!has_capital(query, slashed.is_some() || regex))
            .multi_line(true)
            .size_limit(MAX_PATTERN_BYTES)
            .dfa_size_limit(MAX_PATTERN_BYTES)
            .build();
        match built {
            Ok(regex) => Ok(Some(Self { regex })),
            Err(error) => Err(error_line(&error)),
        }
    }

    /// Calls `each` with the matches that begin in `from..to`; returns where to go on.
    pub(super) fn scan(&self, text: &str, from: usize, to: usize, mut each: impl FnMut(Range<usize>)) -> usize {
        let to = text.ceil_char_boundary(to);
        let piece = &text[..text.ceil_char_boundary(to.saturating_add(MAX_OVERLAP_BYTES))];
        let mut at = from;
        while at < to {
            match self.regex.find_at(piece, at) {
                Some(found) if found.start() >= to => break,
                Some(found) if found.is_empty() => at = piece.ceil_char_boundary(found.end() + 1),
                Some(found) => {
                    each(found.range());
                    at = found.end();
                }
                None => break,
            }
        }
        at.max(to)
    }

    /// Returns the first match that begins at `at`, a character's start, or behind it. O(text).
    pub fn find_at(&self, text: &str, at: usize) -> Option<Range<usize>> {
        self.regex.find_at(text, at).map(|found| found.range())
    }

    /// Returns all matches in a text that is short.
    pub fn matches(&self, text: &str) -> Vec<Range<usize>> {
        let mut all = Vec::new();
        self.scan(text, 0, text.len(), |range| all.push(range));
        all
    }
}

/// Tells whether a capital was typed, which then counts; a class such as `\S` in an expression is none.
fn has_capital(query: &str, regex: bool) -> bool {
    let mut escaped = false;
    query.chars().any(|c| {
        let capital = c.is_uppercase() && !(regex && escaped);
        escaped = c == '\\' && !escaped;
        capital
    })
}

fn error_line(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => "the regular expression is too large".into(),
        // The parser draws a picture; its last line says what is wrong.
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or_default();
            format!("invalid regular expression: {}", last.trim_start_matches("error:").trim())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(query: &str, text: &str) -> Vec<String> {
        let matcher = Matcher::new(query, false).unwrap().unwrap();
        matcher.matches(text).into_iter().map(|range| text[range].to_owned()).collect()
    }

    #[test]
    fn small_letters_mean_any_and_a_capital_means_itself() {
        assert_eq!(found("foo", "foo Foo FOO"), ["foo", "Foo", "FOO"]);
        assert_eq!(found("Foo", "foo Foo FOO"), ["Foo"]);
        assert_eq!(found(r"/\Sx/", "ax AX"), ["ax", "AX"]);
        assert_eq!(found("größe", "GRÖSSE GRÖßE"), ["GRÖßE"]);
    }

    #[test]
    fn words_are_found_over_line_ends_and_marks() {
        assert_eq!(found("bold text", "**bold** text and bold\n  text"), ["bold** text", "bold\n  text"]);
        assert_eq!(found("a.b (c", "a.b (c axb (c"), ["a.b (c"]);
    }

    #[test]
    fn an_expression_is_written_between_slashes() {
        assert_eq!(found(r"/\d+ms/", "12ms, 7ms"), ["12ms", "7ms"]);
        assert_eq!(found("/", "a/b"), ["/"]);
        assert_eq!(found("//", "a//b"), ["//"]);
        assert_eq!(found("/^b/", "a\nb"), ["b"]);
        assert_eq!(found("/x*/", "axxb"), ["xx"], "nothing is no match");
    }

    #[test]
    fn what_is_no_expression_is_told_in_a_line() {
        let told = Matcher::new("/a(/", false).unwrap_err();
        assert!(told.starts_with("invalid regular expression: ") && !told.contains('\n'), "{told}");
        assert!(Matcher::new("/\\w{9999}{9999}/", false).is_err());
        assert_eq!(Matcher::new("  ", false), Ok(None));
    }

    #[test]
    fn pieces_make_no_difference() {
        let text = "one two ünë one  two\none".repeat(9);
        for query in ["one two", "ë", r"/o\w+\b/"] {
            let matcher = Matcher::new(query, false).unwrap().unwrap();
            for size in [1, 2, 3, 7, 50] {
                let (mut pieces, mut at) = (Vec::new(), 0);
                while at < text.len() {
                    at = matcher.scan(&text, at, (at + size).min(text.len()), |range| pieces.push(range));
                }
                assert_eq!(pieces, matcher.matches(&text), "{query} {size}");
            }
        }
    }
}
