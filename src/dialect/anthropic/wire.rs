//! The shapes of the events, as far as they are read. Every field is optional.

use serde::Deserialize;

use super::super::lax::{List, Num, Obj, Text};
use crate::event::{Json, Usage};

/// An event, or a whole message where the answer is not streamed.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Event<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Text<'a>,
    pub(super) index: Num,
    #[serde(borrow)]
    pub(super) delta: Obj<Delta<'a>>,
    pub(super) content_block: Option<Json>,
    #[serde(borrow)]
    pub(super) message: Obj<Message<'a>>,
    pub(super) usage: Obj<UsageWire>,
    pub(super) error: Option<Json>,
    /// Of a whole message.
    pub(super) content: List<Json>,
    #[serde(borrow)]
    pub(super) stop_reason: Text<'a>,
    pub(super) stop_details: Option<Json>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Message<'a> {
    pub(super) content: List<Json>,
    pub(super) usage: Obj<UsageWire>,
    #[serde(borrow)]
    pub(super) stop_reason: Text<'a>,
}

/// What is added to a block, or, in `message_delta`, to the message.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Delta<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Text<'a>,
    #[serde(borrow)]
    pub(super) text: Text<'a>,
    #[serde(borrow)]
    pub(super) thinking: Text<'a>,
    #[serde(borrow)]
    pub(super) partial_json: Text<'a>,
    #[serde(borrow)]
    pub(super) signature: Text<'a>,
    /// Of a compaction.
    #[serde(borrow)]
    pub(super) content: Text<'a>,
    pub(super) citation: Option<Json>,
    #[serde(borrow)]
    pub(super) stop_reason: Text<'a>,
    pub(super) stop_details: Option<Json>,
    /// Where proxies put it.
    pub(super) usage: Obj<UsageWire>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct UsageWire {
    #[serde(rename = "input_tokens")]
    input: Num,
    #[serde(rename = "output_tokens")]
    output: Num,
    #[serde(rename = "cache_creation_input_tokens")]
    created: Num,
    #[serde(rename = "cache_read_input_tokens")]
    read: Num,
    #[serde(rename = "output_tokens_details")]
    details: Obj<Details>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Details {
    thinking_tokens: Num,
}

/// What was told of the usage so far. Numbers are totals: a later one replaces an earlier one, unless it is a zero
/// that a proxy filled in.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    input: Option<u64>,
    output: Option<u64>,
    created: Option<u64>,
    read: Option<u64>,
    thinking: Option<u64>,
    /// The output was counted at the end; what the start says of it is only a beginning.
    counted: bool,
}

impl Tally {
    pub(super) fn take(&mut self, wire: &UsageWire, is_end: bool) {
        let later = |known: &mut Option<u64>, told: Num| *known = told.0.filter(|n| *n > 0).or(*known).or(told.0);
        later(&mut self.input, wire.input);
        later(&mut self.output, wire.output);
        later(&mut self.created, wire.created);
        later(&mut self.read, wire.read);
        later(&mut self.thinking, wire.details.0.as_ref().map_or(Num(None), |details| details.thinking_tokens));
        self.counted |= is_end && wire.output.0.is_some();
    }

    /// The wire counts what it read from and wrote to its cache beside the input; here all of it is input.
    pub(super) fn usage(&self) -> Option<Usage> {
        let cached_tokens = self.read.unwrap_or(0);
        let fresh = self.input.unwrap_or(0).saturating_add(self.created.unwrap_or(0));
        let usage = Usage {
            input_tokens: fresh.saturating_add(cached_tokens),
            output_tokens: self.output.unwrap_or(0),
            cached_tokens,
            reasoning_tokens: self.thinking.unwrap_or(0),
            estimated: !self.counted,
        };
        (usage.total() > 0).then_some(usage)
    }
}
