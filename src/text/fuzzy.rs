//! Finds texts by some of their letters, in order.

use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

/// Words that each must be found, in any order; the letters of a word in their order, with others between them. Case
/// counts for words with a capital, accents for words with one.
pub struct FuzzyQuery {
    pattern: Pattern,
    matcher: Matcher,
    buffer: Vec<char>,
}

impl FuzzyQuery {
    pub fn new(query: &str) -> Self {
        let pattern =
            Pattern::new(query, CaseMatching::Smart, Normalization::Smart, nucleo_matcher::pattern::AtomKind::Fuzzy);
        Self { pattern, matcher: Matcher::new(Config::DEFAULT), buffer: Vec::new() }
    }

    /// Returns how well a text fits, more is better; `None` where it doesn't. Whole words and their beginnings count
    /// most.
    pub fn score(&mut self, text: &str) -> Option<u32> {
        self.pattern.score(Utf32Str::new(text, &mut self.buffer), &mut self.matcher)
    }

    /// Returns the places of those that fit, the best first; equal ones stay in their order.
    pub fn rank<T: AsRef<str>>(&mut self, texts: impl IntoIterator<Item = T>) -> Vec<usize> {
        let mut found: Vec<(u32, usize)> = texts
            .into_iter()
            .enumerate()
            .filter_map(|(place, text)| Some((self.score(text.as_ref())?, place)))
            .collect();
        found.sort_by_key(|&(score, place)| (std::cmp::Reverse(score), place));
        found.into_iter().map(|(_, place)| place).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rank(query: &str, texts: &[&str]) -> Vec<usize> {
        FuzzyQuery::new(query).rank(texts)
    }

    #[test]
    fn letters_in_order_are_found_and_whole_words_come_first() {
        assert_eq!(rank("", &["b", "a"]), [0, 1]);
        assert_eq!(rank("tgl", &["toggle tools", "quit"]), [0]);
        assert_eq!(rank("search", &["some earth", "sea of rich", "search the transcript"]), [2, 1]);
        assert_eq!(rank("mode", &["some order", "choose the mode"]), [1, 0]);
    }

    #[test]
    fn words_are_found_in_any_order_and_case_counts_only_where_it_is_written() {
        assert_eq!(rank("rust fix", &["Fix the Rust build", "fix it"]), [0]);
        assert_eq!(rank("Rust", &["rust", "Rust"]), [1]);
        assert_eq!(rank("uber", &["über alles"]), [0]);
        assert_eq!(rank("über", &["uber"]), [0; 0]);
    }
}
