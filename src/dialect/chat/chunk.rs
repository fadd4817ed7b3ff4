//! Building blocks of chat completions: the head that all chunks of an answer share, a chunk, usage and errors.
//! Requests in this format are refused with the same errors.

use serde::Serialize;
use serde_json::json;

use crate::event::{AgentEvent, Fault, FaultKind, Json, Usage, who_answers};

/// Fields that all chunks of an answer share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkHead {
    /// `chatcmpl-` and 12 hexadecimal digits.
    pub id: String,
    /// Seconds since 1970; 0 until the session says when it started.
    pub created: u64,
    /// As requested; empty until the session names it.
    pub model: String,
}

#[derive(Serialize)]
struct Chunk<'c, D> {
    id: &'c str,
    object: &'static str,
    created: u64,
    model: &'c str,
    choices: &'c [ChunkChoice<'c, D>],
    #[serde(skip_serializing_if = "UsageField::is_absent")]
    usage: UsageField,
}

#[derive(Serialize)]
struct ChunkChoice<'c, D> {
    index: u32,
    delta: &'c D,
    finish_reason: Option<&'static str>,
}

/// The field `usage` of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(in crate::dialect) enum UsageField {
    Absent,
    /// `null`: the usage comes in a chunk of its own.
    Null,
    Present(ChatUsage),
}

impl UsageField {
    fn is_absent(&self) -> bool {
        *self == Self::Absent
    }
}

/// Token counts in the shape of this format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(in crate::dialect) struct ChatUsage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    #[serde(rename = "prompt_tokens_details", skip_serializing_if = "Option::is_none")]
    prompt_details: Option<PromptTokensDetails>,
    #[serde(rename = "completion_tokens_details", skip_serializing_if = "Option::is_none")]
    completion_details: Option<CompletionTokensDetails>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct PromptTokensDetails {
    cached_tokens: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct CompletionTokensDetails {
    reasoning_tokens: u64,
}

impl From<Usage> for ChatUsage {
    fn from(usage: Usage) -> Self {
        Self {
            prompt_tokens: usage.input_tokens,
            completion_tokens: usage.output_tokens,
            total_tokens: usage.total(),
            prompt_details: (usage.cached_tokens > 0)
                .then_some(PromptTokensDetails { cached_tokens: usage.cached_tokens }),
            completion_details: (usage.reasoning_tokens > 0)
                .then_some(CompletionTokensDetails { reasoning_tokens: usage.reasoning_tokens }),
        }
    }
}

impl ChunkHead {
    /// Fills missing fields from the event that opens the session.
    pub(in crate::dialect) fn fill_from(&mut self, event: &AgentEvent) {
        let AgentEvent::SessionOpened { wall_ms: wall, engine, model, .. } = event else { return };
        if self.created == 0 {
            self.created = wall / 1000;
        }
        if self.model.is_empty() {
            self.model = who_answers(engine, model);
        }
    }

    pub(in crate::dialect) fn is_known(&self) -> bool {
        self.created != 0 && !self.model.is_empty()
    }

    /// Returns a chunk with one choice.
    pub(in crate::dialect) fn chunk<D: Serialize>(
        &self,
        delta: &D,
        finish_reason: Option<&'static str>,
        usage: UsageField,
    ) -> String {
        self.write(&[ChunkChoice { index: 0, delta, finish_reason }], usage)
    }

    /// Returns a chunk without choices that only has the usage.
    pub(in crate::dialect) fn usage_chunk(&self, usage: ChatUsage) -> String {
        self.write::<()>(&[], UsageField::Present(usage))
    }

    fn write<D: Serialize>(&self, choices: &[ChunkChoice<'_, D>], usage: UsageField) -> String {
        let Self { id, created, model } = self;
        let chunk = Chunk { id, object: "chat.completion.chunk", created: *created, model, choices, usage };
        // Strings and numbers: this can't fail.
        serde_json::to_string(&chunk).unwrap_or_default()
    }

    /// Returns the whole answer as one object.
    pub(in crate::dialect) fn completion(&self, message: &Json, finish_reason: &str, usage: ChatUsage) -> Json {
        json!({
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": finish_reason}],
            "usage": usage,
        })
    }
}

/// Estimates the usage of an answer for which no server counted tokens: four characters each.
pub(in crate::dialect) fn estimate_usage(prompt: u64, answer: &str) -> Usage {
    let output_tokens = (answer.chars().count() as u64 / 4).max(1);
    Usage { input_tokens: prompt, output_tokens, estimated: true, ..Usage::default() }
}

/// Returns an error in the shape of this format.
pub fn error(message: &str, kind: &str, param: Option<&str>, code: Option<&str>) -> Json {
    json!({"error": {"message": message, "type": kind, "param": param, "code": code}})
}

/// Returns the HTTP status for a fault, if no stream has started yet, and the error.
///
/// A rejected key is ours, not the client's, so it is not a 401. A failure that would repeat is a 4xx, since the
/// official client retries server errors.
pub fn error_response(fault: &Fault) -> (u16, Json) {
    let (status, kind, code) = match fault.kind {
        FaultKind::Auth => (502, "upstream_error", "upstream_auth"),
        FaultKind::RateLimited => (429, "rate_limit_error", "rate_limit_exceeded"),
        FaultKind::ContextTooLong => (400, "invalid_request_error", "context_length_exceeded"),
        FaultKind::BadRequest => (400, "invalid_request_error", "bad_request"),
        FaultKind::TimedOut => (504, "server_error", "timeout"),
        FaultKind::Network => (502, "upstream_error", "network"),
        FaultKind::Protocol => (502, "upstream_error", "protocol"),
        FaultKind::Upstream => (502, "upstream_error", "upstream"),
        FaultKind::Refused => (400, "invalid_request_error", "content_filter"),
        FaultKind::LimitReached => (400, "invalid_request_error", "limit_reached"),
        FaultKind::Tool => (500, "server_error", "tool"),
        FaultKind::Internal => (500, "server_error", "internal"),
    };
    let param = (fault.kind == FaultKind::ContextTooLong).then_some("messages");
    (status, error(&fault.message, kind, param, Some(code)))
}
