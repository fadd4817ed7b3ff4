//! The response object, its items and their parts, in the order of fields of the official server; how an answer ends,
//! and the errors that replace it. The items of stored requests are made of the same.

use serde_json::{Map, json};

use crate::event::answer::AnswerUsage;
use crate::event::{
    AgentEvent, Envelope, Fault, FaultKind, FinishReason, Json, Millis, TurnOutcome, Usage, who_answers,
};

/// A part of a user's message.
pub fn input_text(text: &str) -> Json {
    json!({"type": "input_text", "text": text})
}

/// A part of an assistant's message.
pub fn output_text(text: &str, annotations: &[Json]) -> Json {
    json!({"type": "output_text", "text": text, "annotations": annotations})
}

/// A `message`.
pub fn message_item(id: &str, status: &str, role: &str, content: &[Json]) -> Json {
    json!({"id": id, "type": "message", "status": status, "role": role, "content": content})
}

/// A `function_call`, which the client runs.
pub fn function_call_item(id: &str, status: &str, call_id: &str, name: &str, arguments: &str) -> Json {
    json!({"id": id, "type": "function_call", "status": status, "call_id": call_id, "name": name,
        "arguments": arguments})
}

/// What the client returned of a `function_call`.
pub fn function_call_output_item(id: &str, call_id: &str, output: &str) -> Json {
    json!({"id": id, "type": "function_call_output", "status": "completed", "call_id": call_id, "output": output})
}

/// A list of items with the ids of its ends.
pub fn list_object(items: &[Json], has_more: bool) -> Json {
    json!({"object": "list", "data": items, "first_id": item_id(items.first()), "last_id": item_id(items.last()),
        "has_more": has_more})
}

fn item_id(item: Option<&Json>) -> &str {
    item.and_then(|item| item.get("id")?.as_str()).unwrap_or_default()
}

/// The id of an answer, and the fields of its request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResponseHead {
    /// `resp_…`.
    pub id: String,
    /// As requested. Without it, the model of the session.
    pub model: Option<String>,
    /// The client runs the calls.
    pub client_tools: bool,
    /// Estimated tokens of the request, for engines that don't count.
    pub prompt_tokens: u64,
    /// Fields of the response object that repeat the request.
    pub echo: Map<String, Json>,
}

/// What the event that opens the session says of the answer, and the time of the latest event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::dialect) struct SessionOpening {
    /// Wall time of the session's start, in milliseconds since 1970.
    pub(in crate::dialect) session_started_ms: Option<u64>,
    /// The model of the session.
    model: String,
    /// When the turn started.
    created: Option<Millis>,
    last_event_at: Millis,
}

impl SessionOpening {
    /// Records an event that opens the session; returns false for all others, which are part of the turn.
    pub(in crate::dialect) fn observe(&mut self, envelope: &Envelope) -> bool {
        self.last_event_at = envelope.at;
        let AgentEvent::SessionOpened { wall_ms: wall, engine, model, .. } = &envelope.event else {
            self.created.get_or_insert(envelope.at);
            return false;
        };
        self.session_started_ms.get_or_insert(wall.saturating_sub(envelope.at.0));
        self.model = who_answers(engine, model);
        true
    }

    /// The wall time at which the turn started, in milliseconds since 1970.
    pub(in crate::dialect) fn created_ms(&self) -> u64 {
        self.wall_ms(self.created.unwrap_or_default())
    }

    /// The wall time of the latest event, in milliseconds since 1970.
    pub(in crate::dialect) fn now_ms(&self) -> u64 {
        self.wall_ms(self.last_event_at)
    }

    fn wall_ms(&self, at: Millis) -> u64 {
        self.session_started_ms.unwrap_or(0).saturating_add(at.0)
    }
}

impl ResponseHead {
    pub(in crate::dialect) fn model<'a>(&'a self, opening: &'a SessionOpening) -> &'a str {
        self.model.as_deref().unwrap_or(&opening.model)
    }

    /// Returns the usage of an answer of so many bytes, estimated where nobody counted.
    pub(in crate::dialect) fn usage(&self, counted: &AnswerUsage, answer_bytes: usize) -> Usage {
        counted.total().unwrap_or_else(|| Usage {
            input_tokens: self.prompt_tokens,
            output_tokens: (answer_bytes as u64 / 4).max(1),
            estimated: true,
            ..Usage::default()
        })
    }

    /// Prefix of the item ids: those of two answers must differ, since items are sent back.
    pub(in crate::dialect) fn id_prefix(&self) -> &str {
        self.id.strip_prefix("resp_").unwrap_or(&self.id)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum ResponsesOutcome {
    Completed,
    /// The output limit was reached.
    Length,
    ContentFiltered,
    Cancelled,
    /// The turn never ended.
    Interrupted,
    Failed(Fault),
}

impl ResponsesOutcome {
    /// `is_refusal` says that the refusal has a text, so it is an answer.
    pub(super) fn new(outcome: &TurnOutcome, finish_reason: Option<FinishReason>, is_refusal: bool) -> Self {
        match outcome {
            TurnOutcome::Completed if finish_reason == Some(FinishReason::Length) => Self::Length,
            TurnOutcome::Completed if finish_reason == Some(FinishReason::Refused) && !is_refusal => {
                Self::ContentFiltered
            }
            TurnOutcome::Completed => Self::Completed,
            TurnOutcome::Cancelled => Self::Cancelled,
            TurnOutcome::Interrupted => Self::Interrupted,
            TurnOutcome::Failed(fault) if fault.kind == FaultKind::Refused => Self::ContentFiltered,
            TurnOutcome::Failed(fault) => Self::Failed(fault.clone()),
        }
    }

    /// The closing event and the status in it. Only cancelled answers have no event.
    pub(super) fn event_and_status(&self) -> (&'static str, &'static str) {
        match self {
            Self::Completed => ("response.completed", "completed"),
            Self::Length | Self::ContentFiltered => ("response.incomplete", "incomplete"),
            Self::Cancelled => ("response.incomplete", "cancelled"),
            Self::Interrupted | Self::Failed(_) => ("response.failed", "failed"),
        }
    }

    /// The HTTP status and body of an error, instead of the response object. At the output limit the response is still
    /// useful, so there is none.
    pub(super) fn error_response(&self) -> Option<(u16, Json)> {
        let (status, kind) = match self {
            Self::Completed | Self::Length | Self::ContentFiltered | Self::Cancelled => return None,
            Self::Interrupted => (503, "server_error"),
            Self::Failed(fault) => match fault.kind {
                FaultKind::LimitReached => return None,
                FaultKind::RateLimited => (429, "rate_limit_error"),
                FaultKind::ContextTooLong | FaultKind::BadRequest => (400, "invalid_request_error"),
                FaultKind::TimedOut => (504, "server_error"),
                FaultKind::Auth | FaultKind::Network | FaultKind::Protocol | FaultKind::Upstream => {
                    (502, "server_error")
                }
                FaultKind::Refused | FaultKind::Tool | FaultKind::Internal => (500, "server_error"),
            },
        };
        let (code, message) = self.error()?;
        Some((status, json!({"message": message, "type": kind, "param": null, "code": code})))
    }

    /// The error's code and message. The codes are OpenAI's.
    pub(super) fn error(&self) -> Option<(&'static str, &str)> {
        match self {
            Self::Completed | Self::Length | Self::ContentFiltered | Self::Cancelled => None,
            Self::Interrupted => Some(("server_error", "the response was cut off before its end; retry")),
            Self::Failed(fault) => {
                let code = match fault.kind {
                    FaultKind::RateLimited => "rate_limit_exceeded",
                    FaultKind::ContextTooLong => "context_length_exceeded",
                    FaultKind::BadRequest => "invalid_prompt",
                    _ => "server_error",
                };
                Some((code, &fault.message))
            }
        }
    }
}

/// Fields that clients expect even where the request did not set them.
fn default_fields() -> Map<String, Json> {
    let blank = json!({
        "background": false, "conversation": null, "instructions": null, "max_output_tokens": null,
        "max_tool_calls": null, "metadata": {}, "parallel_tool_calls": true, "previous_response_id": null,
        "reasoning": {"effort": null, "summary": null}, "service_tier": "default", "store": true, "temperature": 1.0,
        "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [], "top_p": 1.0,
        "truncation": "disabled", "user": null,
    });
    if let Json::Object(blank) = blank { blank } else { Map::new() }
}

/// A response in one of its states.
#[derive(Debug)]
pub(super) struct ResponseState<'r> {
    pub(super) head: &'r ResponseHead,
    pub(super) opening: &'r SessionOpening,
    /// None while it is in progress.
    pub(super) outcome: Option<&'r ResponsesOutcome>,
    pub(super) output: &'r [Json],
    /// Known at the end.
    pub(super) usage: Option<Usage>,
}

impl ResponseState<'_> {
    pub(super) fn to_json(&self, status: &str) -> Json {
        let created = self.opening.created_ms() / 1000;
        let completed_at = if status == "completed" { json!(self.opening.now_ms() / 1000) } else { Json::Null };
        let error = self.outcome.and_then(ResponsesOutcome::error);
        let error = error.map_or(Json::Null, |(code, message)| json!({"code": code, "message": message}));
        let details = match self.outcome {
            Some(ResponsesOutcome::Length) => json!({"reason": "max_output_tokens"}),
            Some(ResponsesOutcome::ContentFiltered) => json!({"reason": "content_filter"}),
            _ => Json::Null,
        };
        let mut object = Map::new();
        let head = [
            ("id", json!(self.head.id)),
            ("object", json!("response")),
            ("created_at", json!(created)),
            ("status", json!(status)),
            ("completed_at", completed_at),
            ("error", error),
            ("incomplete_details", details),
            ("model", json!(self.head.model(self.opening))),
            ("output", json!(self.output)),
            ("usage", self.usage.map_or(Json::Null, usage_json)),
        ];
        object.extend(head.map(|(key, value)| (key.to_owned(), value)));
        object.extend(default_fields());
        object.extend(self.head.echo.clone());
        Json::Object(object)
    }
}

fn usage_json(usage: Usage) -> Json {
    json!({
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.total(),
    })
}
