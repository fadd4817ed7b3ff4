//! The shapes of a chat completion chunk, as far as they are read. Every field is optional.

use serde::Deserialize;

use super::super::lax::{Args, Content, List, Num, Obj, Real, Text, Thought};
use crate::event::Json;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::dialect) struct Chunk<'a> {
    #[serde(borrow)]
    pub(in crate::dialect) id: Text<'a>,
    #[serde(borrow)]
    pub(super) object: Text<'a>,
    pub(in crate::dialect) created: Num,
    #[serde(borrow, rename = "type")]
    pub(super) kind: Text<'a>,
    #[serde(borrow)]
    pub(in crate::dialect) choices: List<Choice<'a>>,
    pub(super) usage: Option<Json>,
    /// Google's name for it.
    #[serde(rename = "usageMetadata")]
    pub(super) usage_metadata: Option<Json>,
    /// Groq's place for usage.
    pub(super) x_groq: Obj<Groq>,
    /// llama.cpp's.
    pub(super) timings: Obj<Timings>,
    pub(super) error: Option<Json>,
    #[serde(borrow)]
    pub(super) message: Text<'a>,
    /// OpenJarvis's extras, on its last chunk.
    pub(in crate::dialect) telemetry: Option<Json>,
    pub(in crate::dialect) complexity: Option<Json>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::dialect) struct Choice<'a> {
    pub(super) index: Num,
    #[serde(borrow)]
    pub(in crate::dialect) delta: Obj<Delta<'a>>,
    /// In place of the delta where the answer is not streamed.
    #[serde(borrow)]
    pub(super) message: Obj<Delta<'a>>,
    #[serde(borrow)]
    pub(super) text: Text<'a>,
    #[serde(borrow)]
    pub(in crate::dialect) finish_reason: Text<'a>,
    pub(super) error: Option<Json>,
    /// Moonshot's place for usage.
    pub(super) usage: Option<Json>,
    /// What a managed agent of OpenJarvis is doing.
    pub(in crate::dialect) tool_progress: Option<Json>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::dialect) struct Delta<'a> {
    #[serde(borrow)]
    pub(in crate::dialect) content: Content<'a>,
    #[serde(borrow)]
    pub(super) refusal: Text<'a>,
    #[serde(borrow)]
    pub(super) reasoning_content: Thought<'a>,
    #[serde(borrow)]
    pub(super) reasoning: Thought<'a>,
    #[serde(borrow)]
    pub(super) reasoning_text: Thought<'a>,
    #[serde(borrow)]
    pub(super) thinking: Thought<'a>,
    #[serde(borrow)]
    pub(super) thought: Thought<'a>,
    #[serde(borrow)]
    pub(super) thinking_blocks: Thought<'a>,
    pub(super) reasoning_details: List<Json>,
    #[serde(borrow)]
    pub(super) tool_calls: List<Fragment<'a>>,
    #[serde(borrow)]
    pub(super) function_call: Obj<FunctionWire<'a>>,
    pub(super) usage: Option<Json>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::dialect) struct Fragment<'a> {
    pub(super) index: Num,
    #[serde(borrow)]
    pub(super) id: Text<'a>,
    #[serde(borrow)]
    pub(super) function: Obj<FunctionWire<'a>>,
    /// Google's signatures, wanted back verbatim.
    pub(super) extra_content: Option<Json>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::dialect) struct FunctionWire<'a> {
    #[serde(borrow)]
    pub(super) name: Text<'a>,
    #[serde(borrow)]
    pub(super) arguments: Args<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::dialect) struct Groq {
    pub(super) usage: Option<Json>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::dialect) struct Timings {
    pub(super) cache_n: Num,
    pub(super) prompt_n: Num,
    pub(super) prompt_ms: Real,
    pub(super) predicted_n: Num,
    pub(super) predicted_ms: Real,
    pub(super) predicted_per_second: Real,
}

/// The readable part of one of OpenRouter's reasoning details.
pub(super) fn detail_text(detail: &Json) -> Option<&str> {
    detail.get("text").or_else(|| detail.get("summary")).and_then(Json::as_str)
}
