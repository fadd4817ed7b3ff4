//! Finds texts by some of their letters, in order.

use fuzzy_matcher::FuzzyMatcher as _;
use fuzzy_matcher::skim::SkimMatcherV2;

/// Words that each must be found, in any order; the letters of a word in their order, with others between them. Case
/// counts for words with a capital.
pub struct FuzzyQuery {
    words: Vec<String>,
    matcher: SkimMatcherV2,
}

impl FuzzyQuery {
    pub fn new(query: &str) -> Self {
        let words = query.split_whitespace().map(str::to_owned).collect();
        Self { words, matcher: SkimMatcherV2::default().smart_case() }
    }

    /// Returns how well a text fits, more is better; `None` where it doesn't. Whole words and their beginnings count
    /// most.
    pub fn score(&self, text: &str) -> Option<i64> {
        self.words.iter().try_fold(0i64, |sum, word| Some(sum.saturating_add(self.matcher.fuzzy_match(text, word)?)))
    }

    /// Returns the places of those that fit, the best first; equal ones stay in their order.
    pub fn rank<T: AsRef<str>>(&self, texts: impl IntoIterator<Item = T>) -> Vec<usize> {
        let mut found: Vec<(i64, usize)> = texts
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
        assert_eq!(rank("über", &["uber", "über alles"]), [1]);
    }
}
