//! llama.cpp's measurements of an answer.

use super::wire::LlamaTimings;
use crate::event::{Timing, Usage};

impl LlamaTimings {
    /// Adds to the usage what only the timings hold.
    pub(super) fn fill_usage(&self, usage: Option<Usage>) -> Option<Usage> {
        let cached_tokens = self.cache_n.0.unwrap_or(0);
        let Some(usage) = usage else {
            let input_tokens = self.prompt_n.0.unwrap_or(0).saturating_add(cached_tokens);
            let output_tokens = self.predicted_n.0?;
            return Some(Usage { input_tokens, output_tokens, cached_tokens, ..Usage::default() });
        };
        let is_part = usage.cached_tokens == 0 && cached_tokens <= usage.input_tokens;
        Some(if is_part { Usage { cached_tokens, ..usage } } else { usage })
    }

    pub(super) fn to_timing(&self) -> Option<Timing> {
        let round = |n: f64| (n * 100.0).round() / 100.0;
        let timing = Timing {
            load_ms: None,
            prompt_ms: self.prompt_ms.0.map(round),
            decode_ms: self.predicted_ms.0.map(round),
            tokens_per_second: self.predicted_per_second.0.map(round),
        };
        (timing != Timing::default()).then_some(timing)
    }
}
