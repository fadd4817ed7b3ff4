//! Token counts and their sums.

use serde::{Deserialize, Serialize};

/// Tokens of one request, or of several added together. Always totals, never differences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    #[serde(default)]
    pub input_tokens: u64,
    #[serde(default)]
    pub output_tokens: u64,
    /// The part of `input_tokens` that came from the server's cache.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cached_tokens: u64,
    /// The part of `output_tokens` that was reasoning.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reasoning_tokens: u64,
    /// True if the counts are estimated from text lengths because the server reported none.
    #[serde(default, skip_serializing_if = "is_false")]
    pub estimated: bool,
}

impl Usage {
    pub fn total(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }

    /// Returns the sum, which is estimated if either part is.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            input_tokens: self.input_tokens.saturating_add(other.input_tokens),
            output_tokens: self.output_tokens.saturating_add(other.output_tokens),
            cached_tokens: self.cached_tokens.saturating_add(other.cached_tokens),
            reasoning_tokens: self.reasoning_tokens.saturating_add(other.reasoning_tokens),
            estimated: self.estimated || other.estimated,
        }
    }
}

/// Estimates the tokens of a text: one per four bytes, and one per wide (CJK) character.
pub fn estimate_tokens(text: &str) -> u64 {
    let wide = text.chars().filter(|c| matches!(*c, '\u{1100}'..='\u{11ff}' | '\u{2e80}'..='\u{d7ff}' | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ffef}' | '\u{20000}'..='\u{3ffff}')).count();
    let wide_bytes: usize = if wide == 0 { 0 } else { wide * 3 };
    let rest = text.len().saturating_sub(wide_bytes);
    (rest.div_ceil(4) + wide) as u64
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_false(b: &bool) -> bool {
    !*b
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_with_one_guess_is_a_guess() {
        let known = Usage { input_tokens: 10, output_tokens: 5, ..Usage::default() };
        let guess = Usage { input_tokens: 1, output_tokens: 2, estimated: true, ..Usage::default() };
        assert_eq!(
            known.plus(guess),
            Usage { input_tokens: 11, output_tokens: 7, estimated: true, ..Usage::default() }
        );
    }

    #[test]
    fn wide_characters_count_one_each() {
        assert_eq!(estimate_tokens("abcdefgh"), 2);
        assert_eq!(estimate_tokens("漢字"), 2);
        assert_eq!(estimate_tokens(""), 0);
    }
}
