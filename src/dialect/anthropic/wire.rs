//! Shapes of the events, as far as they are read. Every field is optional.

use serde::Deserialize;

use super::super::lenient::{LooseList, LooseObject, LooseStr, LooseU64};
use crate::event::{Json, Usage};

/// An event, or a whole message where the response is not streamed.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AnthropicEvent<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: LooseStr<'a>,
    pub(super) index: LooseU64,
    #[serde(borrow)]
    pub(super) delta: LooseObject<AnthropicDelta<'a>>,
    pub(super) content_block: Option<Json>,
    #[serde(borrow)]
    pub(super) message: LooseObject<AnthropicMessage<'a>>,
    pub(super) usage: LooseObject<AnthropicUsage>,
    pub(super) error: Option<Json>,
    /// Of a whole message.
    pub(super) content: LooseList<Json>,
    #[serde(borrow)]
    pub(super) stop_reason: LooseStr<'a>,
    pub(super) stop_details: Option<Json>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AnthropicMessage<'a> {
    pub(super) content: LooseList<Json>,
    pub(super) usage: LooseObject<AnthropicUsage>,
    #[serde(borrow)]
    pub(super) stop_reason: LooseStr<'a>,
}

/// The delta of a block or, in `message_delta`, of the message.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AnthropicDelta<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: LooseStr<'a>,
    #[serde(borrow)]
    pub(super) text: LooseStr<'a>,
    #[serde(borrow)]
    pub(super) thinking: LooseStr<'a>,
    #[serde(borrow)]
    pub(super) partial_json: LooseStr<'a>,
    #[serde(borrow)]
    pub(super) signature: LooseStr<'a>,
    /// Of a compaction.
    #[serde(borrow)]
    pub(super) content: LooseStr<'a>,
    pub(super) citation: Option<Json>,
    #[serde(borrow)]
    pub(super) stop_reason: LooseStr<'a>,
    pub(super) stop_details: Option<Json>,
    /// Where proxies put it.
    pub(super) usage: LooseObject<AnthropicUsage>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AnthropicUsage {
    #[serde(rename = "input_tokens")]
    input: LooseU64,
    #[serde(rename = "output_tokens")]
    output: LooseU64,
    #[serde(rename = "cache_creation_input_tokens")]
    cache_written: LooseU64,
    #[serde(rename = "cache_read_input_tokens")]
    cache_read: LooseU64,
    #[serde(rename = "output_tokens_details")]
    details: LooseObject<OutputDetails>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OutputDetails {
    thinking_tokens: LooseU64,
}

/// Usage so far. Counts are totals: a later one replaces an earlier one, unless it is a zero that a proxy filled in.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct UsageTotals {
    input: Option<u64>,
    output: Option<u64>,
    cache_written: Option<u64>,
    cache_read: Option<u64>,
    thinking: Option<u64>,
    /// The final output count came; the one in the start event is only preliminary.
    is_final_output: bool,
}

impl UsageTotals {
    pub(super) fn observe(&mut self, wire: &AnthropicUsage, is_end: bool) {
        let later = |known: &mut Option<u64>, reported: LooseU64| {
            *known = reported.0.filter(|n| *n > 0).or(*known).or(reported.0);
        };
        later(&mut self.input, wire.input);
        later(&mut self.output, wire.output);
        later(&mut self.cache_written, wire.cache_written);
        later(&mut self.cache_read, wire.cache_read);
        later(&mut self.thinking, wire.details.0.as_ref().map_or(LooseU64(None), |details| details.thinking_tokens));
        self.is_final_output |= is_end && wire.output.0.is_some();
    }

    /// The format counts cache reads and writes separately from the input; here all of it is input.
    pub(super) fn usage(&self) -> Option<Usage> {
        let cached_tokens = self.cache_read.unwrap_or(0);
        let fresh = self.input.unwrap_or(0).saturating_add(self.cache_written.unwrap_or(0));
        let usage = Usage {
            input_tokens: fresh.saturating_add(cached_tokens),
            output_tokens: self.output.unwrap_or(0),
            cached_tokens,
            reasoning_tokens: self.thinking.unwrap_or(0),
            estimated: !self.is_final_output,
        };
        (usage.total() > 0).then_some(usage)
    }
}
