//! Shapes of a chat completion chunk, as far as they are read. Every field is optional.

use std::borrow::Cow;

use serde::Deserialize;

use super::super::lenient::{
    LooseContent, LooseF64, LooseJson, LooseList, LooseObject, LooseReasoning, LooseStr, LooseU64,
};
use crate::event::Json;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::dialect) struct Chunk<'a> {
    #[serde(borrow)]
    pub(in crate::dialect) id: LooseStr<'a>,
    #[serde(borrow)]
    pub(super) object: LooseStr<'a>,
    pub(in crate::dialect) created: LooseU64,
    #[serde(borrow, rename = "type")]
    pub(super) kind: LooseStr<'a>,
    #[serde(borrow)]
    pub(in crate::dialect) choices: LooseList<Choice<'a>>,
    pub(super) usage: Option<Json>,
    /// Google's name for the usage.
    #[serde(rename = "usageMetadata")]
    pub(super) usage_metadata: Option<Json>,
    /// Where Groq puts the usage.
    pub(super) x_groq: LooseObject<GroqExtension>,
    /// Where llama.cpp puts its measurements.
    pub(super) timings: LooseObject<LlamaTimings>,
    pub(super) error: Option<Json>,
    #[serde(borrow)]
    pub(super) message: LooseStr<'a>,
    /// OpenJarvis's additions to its last chunk.
    pub(in crate::dialect) telemetry: Option<Json>,
    pub(in crate::dialect) complexity: Option<Json>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::dialect) struct Choice<'a> {
    pub(super) index: LooseU64,
    #[serde(borrow)]
    pub(in crate::dialect) delta: LooseObject<ChatDelta<'a>>,
    /// Instead of the delta, where the response is not streamed.
    #[serde(borrow)]
    pub(super) message: LooseObject<Box<ChatDelta<'a>>>,
    #[serde(borrow)]
    pub(super) text: LooseStr<'a>,
    #[serde(borrow)]
    pub(in crate::dialect) finish_reason: LooseStr<'a>,
    pub(super) error: Option<Json>,
    /// Where Moonshot puts the usage.
    pub(super) usage: Option<Json>,
    /// Progress of a managed agent of OpenJarvis.
    pub(in crate::dialect) tool_progress: Option<Json>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::dialect) struct ChatDelta<'a> {
    #[serde(borrow)]
    pub(in crate::dialect) content: LooseContent<'a>,
    #[serde(borrow)]
    pub(super) refusal: LooseStr<'a>,
    #[serde(borrow)]
    pub(super) reasoning_content: LooseReasoning<'a>,
    #[serde(borrow)]
    pub(super) reasoning: LooseReasoning<'a>,
    #[serde(borrow)]
    pub(super) reasoning_text: LooseReasoning<'a>,
    #[serde(borrow)]
    pub(super) thinking: LooseReasoning<'a>,
    #[serde(borrow)]
    pub(super) thought: LooseReasoning<'a>,
    #[serde(borrow)]
    pub(super) thinking_blocks: LooseReasoning<'a>,
    pub(super) reasoning_details: LooseList<Json>,
    #[serde(borrow)]
    pub(super) tool_calls: LooseList<ChatCallFragment<'a>>,
    #[serde(borrow)]
    pub(super) function_call: LooseObject<ChatFunction<'a>>,
    pub(super) usage: Option<Json>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::dialect) struct ChatCallFragment<'a> {
    pub(super) index: LooseU64,
    #[serde(borrow)]
    pub(super) id: LooseStr<'a>,
    #[serde(borrow)]
    pub(super) function: LooseObject<ChatFunction<'a>>,
    /// Google's signatures, which must go back verbatim.
    pub(super) extra_content: Option<Json>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::dialect) struct ChatFunction<'a> {
    #[serde(borrow)]
    pub(super) name: LooseStr<'a>,
    #[serde(borrow)]
    pub(super) arguments: LooseJson<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::dialect) struct GroqExtension {
    pub(super) usage: Option<Json>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::dialect) struct LlamaTimings {
    pub(super) cache_n: LooseU64,
    pub(super) prompt_n: LooseU64,
    pub(super) prompt_ms: LooseF64,
    pub(super) predicted_n: LooseU64,
    pub(super) predicted_ms: LooseF64,
    pub(super) predicted_per_second: LooseF64,
}

/// The one string that a token's chunk has, by the field of the delta that holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenField {
    Content,
    ReasoningContent,
    Reasoning,
}

impl TokenField {
    /// Returns a delta with this field alone.
    pub(super) fn delta(self, text: &str) -> ChatDelta<'_> {
        let text = Some(Cow::Borrowed(text));
        match self {
            Self::Content => {
                ChatDelta { content: LooseContent { text, ..LooseContent::default() }, ..ChatDelta::default() }
            }
            Self::ReasoningContent => ChatDelta { reasoning_content: LooseReasoning(text), ..ChatDelta::default() },
            Self::Reasoning => ChatDelta { reasoning: LooseReasoning(text), ..ChatDelta::default() },
        }
    }
}

impl<'a> Chunk<'a> {
    /// Returns the text and its field, where the chunk says nothing but a token. None also where the text was not
    /// borrowed.
    pub(super) fn token(&self) -> Option<(TokenField, &'a str)> {
        let Self {
            id: _,
            object,
            created: _,
            kind: _,
            choices,
            usage: None,
            usage_metadata: None,
            x_groq: LooseObject(None),
            timings: LooseObject(None),
            error: None,
            message: _,
            telemetry: None,
            complexity: None,
        } = self
        else {
            return None;
        };
        let [
            Choice {
                index: LooseU64(None | Some(0)),
                delta: LooseObject(Some(delta)),
                message: LooseObject(None),
                text: LooseStr(None),
                finish_reason,
                error: None,
                usage: None,
                tool_progress: None,
            },
        ] = &choices.0[..]
        else {
            return None;
        };
        let says_more = object.non_empty() == Some("error") || finish_reason.non_empty().is_some();
        if says_more { None } else { delta.token() }
    }
}

impl<'a> ChatDelta<'a> {
    fn token(&self) -> Option<(TokenField, &'a str)> {
        let Self {
            content: LooseContent { text, reasoning: None, refusal: None },
            refusal: LooseStr(None),
            reasoning_content,
            reasoning,
            reasoning_text: LooseReasoning(None),
            thinking: LooseReasoning(None),
            thought: LooseReasoning(None),
            thinking_blocks: LooseReasoning(None),
            reasoning_details: LooseList(details),
            tool_calls: LooseList(calls),
            function_call: LooseObject(None),
            usage: None,
        } = self
        else {
            return None;
        };
        let fields = [
            (TokenField::Content, text),
            (TokenField::ReasoningContent, &reasoning_content.0),
            (TokenField::Reasoning, &reasoning.0),
        ];
        let mut said = fields
            .into_iter()
            .filter_map(|(field, text)| Some((field, text.as_ref()?)))
            .filter(|(_, text)| !text.is_empty());
        match (said.next(), said.next()) {
            (Some((field, Cow::Borrowed(text))), None) if details.is_empty() && calls.is_empty() => Some((field, text)),
            _ => None,
        }
    }
}

/// The readable part of one of OpenRouter's reasoning details.
pub(super) fn detail_text(detail: &Json) -> Option<&str> {
    detail.get("text").or_else(|| detail.get("summary")).and_then(Json::as_str)
}
