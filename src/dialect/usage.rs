//! Token counts under the names that servers give them.
//!
//! Where the input count excludes cached tokens, which depends on the names of the other counts, the sum is used:
//! [`Usage::input_tokens`] is the whole input.

use crate::event::{Json, Usage};

/// Input counts that include cached tokens: OpenAI's, Vertex's, Gemini's.
const INCLUSIVE_INPUT_KEYS: &[&str] = &[
    "prompt_tokens",
    "promptTokens",
    "promptTokenCount",
    "prompt_token_count",
    "prompt_eval_count",
    "total_input_tokens",
];
/// Input counts for which the other names decide: OpenAI Responses and Anthropic, Bedrock's Converse and its invocation
/// metrics.
const INPUT_KEYS: &[&str] = &["input_tokens", "inputTokens", "inputTokenCount", "input_token_count", "input"];
const OUTPUT_KEYS: &[&str] = &[
    "completion_tokens",
    "output_tokens",
    "outputTokens",
    "completionTokens",
    "outputTokenCount",
    "output_token_count",
    "candidatesTokenCount",
    "candidates_token_count",
    "generated_tokens",
    "eval_count",
    "total_output_tokens",
    "output",
];
/// Tokens that the provider read from its cache, included in the input.
const CACHED_KEYS: &[&str] = &[
    "/prompt_tokens_details/cached_tokens",
    "/input_tokens_details/cached_tokens",
    "/promptTokensDetails/cachedTokens",
    "/inputTokensDetails/cachedTokens",
    "/inputTokenDetails/cacheReadTokens",
    "/input_token_details/cache_read",
    "/prompt_cache_hit_tokens",
    "/cached_tokens",
    "/cachedTokens",
    "/cachedInputTokens",
    "/cached_input_tokens",
    "/num_cached_tokens",
    "/cache_read_tokens",
    "/cachedContentTokenCount",
    "/cached_content_token_count",
    "/total_cached_tokens",
];
/// The same, next to an input that excludes them.
const CACHE_READ_KEYS: &[&str] = &[
    "/cache_read_input_tokens",
    "/cacheReadInputTokens",
    "/cacheReadInputTokenCount",
    "/cacheReadTokens",
    "/cacheRead",
    "/cache/read",
];
/// Tokens that the provider wrote to its cache, next to such an input.
const CACHE_WRITE_KEYS: &[&str] = &[
    "/cache_creation_input_tokens",
    "/cacheCreationInputTokens",
    "/cacheWriteInputTokens",
    "/cacheWriteInputTokenCount",
    "/cacheWriteTokens",
    "/cacheWrite",
    "/cache/write",
];
const REASONING_KEYS: &[&str] = &[
    "/completion_tokens_details/reasoning_tokens",
    "/output_tokens_details/reasoning_tokens",
    "/output_tokens_details/thinking_tokens",
    "/completionTokensDetails/reasoningTokens",
    "/outputTokensDetails/reasoningTokens",
    "/outputTokenDetails/reasoningTokens",
    "/output_token_details/reasoning",
    "/reasoning_tokens",
    "/reasoning_output_tokens",
    "/reasoningTokens",
    "/reasoningOutputTokens",
];
/// Reasoning that is not included in the output: Vertex's and Gemini's.
const EXTRA_REASONING_KEYS: &[&str] = &["/thoughtsTokenCount", "/thoughts_token_count", "/total_thought_tokens"];

/// Parses an object of counts. None where it counts nothing.
pub(super) fn parse(wire: &Json) -> Option<Usage> {
    if !wire.is_object() {
        return None;
    }
    // Cohere's counts are one level deeper.
    if let Some(inner) = ["tokens", "billed_units"].into_iter().filter_map(|key| wire.get(key)).find_map(parse) {
        let cached = wire.get("cached_tokens").and_then(parse_count).unwrap_or(0);
        return Some(Usage { cached_tokens: inner.cached_tokens.max(cached), ..inner });
    }
    let field = |names: &[&str]| names.iter().find_map(|name| parse_count(wire.get(name)?));
    let place = |paths: &[&str]| paths.iter().find_map(|path| parse_count(wire.pointer(path)?).filter(|n| *n > 0));
    let total = field(&["total_tokens", "totalTokens", "totalTokenCount", "total_token_count"]);
    let whole = field(INCLUSIVE_INPUT_KEYS);
    let (read, written) = (place(CACHE_READ_KEYS), place(CACHE_WRITE_KEYS).unwrap_or(0));
    let input = whole.or_else(|| {
        let apart = place(CACHED_KEYS).is_none();
        let cached = if apart { read.unwrap_or(0).saturating_add(written) } else { 0 };
        Some(field(INPUT_KEYS)?.saturating_add(cached))
    });
    let extra_reasoning = place(EXTRA_REASONING_KEYS).unwrap_or(0);
    // With a known input, a missing output is the rest of the total.
    let output = field(OUTPUT_KEYS).map(|output| output.saturating_add(extra_reasoning));
    let output = output.or_else(|| Some(total?.saturating_sub(input?)));
    let usage = Usage {
        input_tokens: input.or_else(|| Some(total?.saturating_sub(output?))).unwrap_or(0),
        output_tokens: output.unwrap_or(0),
        cached_tokens: place(CACHED_KEYS).or(read).unwrap_or(0),
        reasoning_tokens: place(REASONING_KEYS).unwrap_or(extra_reasoning),
        estimated: false,
    };
    (usage.total() > 0).then_some(usage)
}

/// Merges two reports. Counts are totals: a later one replaces an earlier one, unless it is a zero that a server filled
/// in.
pub(super) fn merge(known: Option<Usage>, reported: Option<Usage>) -> Option<Usage> {
    let (Some(known), Some(reported)) = (known, reported) else { return reported.or(known) };
    let pick = |old: u64, new: u64| if new > 0 { new } else { old };
    Some(Usage {
        input_tokens: pick(known.input_tokens, reported.input_tokens),
        output_tokens: pick(known.output_tokens, reported.output_tokens),
        cached_tokens: pick(known.cached_tokens, reported.cached_tokens),
        reasoning_tokens: pick(known.reasoning_tokens, reported.reasoning_tokens),
        estimated: reported.estimated,
    })
}

/// Parses an integer, also as a float or in a string.
fn parse_count(wire: &Json) -> Option<u64> {
    let number = wire.as_u64().or_else(|| wire.as_str()?.parse().ok());
    number.or_else(|| wire.as_f64().filter(|n| *n >= 0.0).map(|n| n as u64))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn counts(wire: &Json) -> (u64, u64, u64, u64) {
        let usage = parse(wire).unwrap_or_default();
        (usage.input_tokens, usage.output_tokens, usage.cached_tokens, usage.reasoning_tokens)
    }

    #[test]
    fn counts_are_read_under_every_name() {
        for (wire, expected) in [
            (json!({"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}), (9, 3, 0, 0)),
            (json!({"prompt_tokens": 1200, "completion_tokens": 34, "cached_tokens": 1000}), (1200, 34, 1000, 0)),
            (
                json!({"prompt_tokens": 9, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 8}}),
                (9, 3, 8, 0),
            ),
            (json!({"prompt_tokens": 9, "completion_tokens": 3, "prompt_cache_hit_tokens": 8}), (9, 3, 8, 0)),
            // Agno's metrics.
            (json!({"input_tokens": 9, "output_tokens": 3, "total_tokens": 12, "cache_read_tokens": 8}), (9, 3, 8, 0)),
            (
                json!({"input_tokens": 9, "output_tokens": 5, "input_tokens_details": {"cached_tokens": 8},
                    "output_tokens_details": {"reasoning_tokens": 4}}),
                (9, 5, 8, 4),
            ),
            // Anthropic's names exclude the cache from the input, but not where the input has OpenAI's name.
            (
                json!({"input_tokens": 9, "output_tokens": 5, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 7}),
                (116, 5, 100, 0),
            ),
            (json!({"prompt_tokens": 109, "completion_tokens": 5, "cache_read_input_tokens": 100}), (109, 5, 100, 0)),
            (json!({"inputTokens": 9, "outputTokens": 5, "totalTokens": 14, "cacheReadInputTokens": 3}), (12, 5, 3, 0)),
            (json!({"inputTokenCount": 9, "outputTokenCount": 5, "invocationLatency": 3}), (9, 5, 0, 0)),
            (
                json!({"promptTokenCount": 9, "candidatesTokenCount": 5, "thoughtsTokenCount": 4, "cachedContentTokenCount": 2}),
                (9, 9, 2, 4),
            ),
            (json!({"prompt_tokens": 9, "total_tokens": 12}), (9, 3, 0, 0)),
            (
                json!({"billed_units": {"input_tokens": 1}, "tokens": {"input_tokens": 9, "output_tokens": "3"}, "cached_tokens": 4.0}),
                (9, 3, 4, 0),
            ),
            (
                json!({"total_input_tokens": 9, "total_output_tokens": 5, "total_thought_tokens": 4, "total_cached_tokens": 2}),
                (9, 9, 2, 4),
            ),
            (json!({"prompt_tokens": 0, "completion_tokens": 0}), (0, 0, 0, 0)),
            (json!({"prompt_tokens": null, "completion_tokens": 3.0}), (0, 3, 0, 0)),
        ] {
            assert_eq!(counts(&wire), expected, "{wire}");
        }
    }

    #[test]
    fn a_later_zero_hides_nothing() {
        let one = parse(&json!({"prompt_tokens": 9, "completion_tokens": 1, "cached_tokens": 4}));
        let two = parse(&json!({"prompt_tokens": 0, "completion_tokens": 5}));
        let both = merge(one, two).unwrap();
        assert_eq!((both.input_tokens, both.output_tokens, both.cached_tokens), (9, 5, 4));
        assert_eq!(merge(one, None), one);
    }
}
