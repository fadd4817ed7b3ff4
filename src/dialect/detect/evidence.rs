//! The evidence that one frame gives of its dialect. Event names first, then the shape of the data.

use std::borrow::Cow;

use super::{error, web_page_fault};
use crate::dialect::openjarvis::BUS_EVENTS;
use crate::dialect::{DecodeContext, SseFrame, surrogate};
use crate::event::{Fault, FaultKind, Json};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum DialectEvidence {
    /// It is this dialect, because … (a clause).
    Dialect(&'static str, Cow<'static, str>),
    /// It is not a stream at all.
    Fault(Fault),
    Inconclusive,
}

/// Values of `type` in the frames of a deep research.
const RESEARCH_TYPES: &[&str] = &[
    "search_call",
    "search_result",
    "clarify_call",
    "clarify_response",
    "system_metrics",
    "synthesis",
    "final_sources",
    "done",
];

/// Prefixes of AG-UI's types: `TEXT_MESSAGE_START`, `RUN_STARTED` …
const AG_UI_TYPE_PREFIXES: &[&str] = &[
    "RUN_",
    "STEP_",
    "TEXT_",
    "TOOL_",
    "STATE_",
    "MESSAGES_",
    "ACTIVITY_",
    "REASONING_",
    "THINKING_",
    "SUBAGENT_",
    "RAW",
    "CUSTOM",
];

/// Events of Anthropic's streams except `ping` and `error`, which others have too.
const ANTHROPIC_EVENTS: &[&str] = &[
    "message_start",
    "message_delta",
    "message_stop",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
];

pub(super) fn examine_frame(frame: &SseFrame, context: &DecodeContext) -> DialectEvidence {
    let data = frame.data.trim();
    let json = surrogate::parse_json(data);
    if json.is_none() && context.response.content_type() == "text/html" {
        return DialectEvidence::Fault(web_page_fault());
    }
    if let Some(sign) = from_event_name(&frame.event, json.as_ref()) {
        return sign;
    }
    match json {
        Some(Json::Object(object)) => from_shape(&Json::Object(object), frame, context),
        // Not JSON, so no decoder: shown as it came.
        None if data.starts_with("{'") => {
            identified("plain", "its data is Python dicts, as enclava's tool calling writes them")
        }
        _ => DialectEvidence::Inconclusive,
    }
}

fn identified(name: &'static str, why: impl Into<Cow<'static, str>>) -> DialectEvidence {
    DialectEvidence::Dialect(name, why.into())
}

fn has(json: Option<&Json>, key: &str) -> bool {
    json.and_then(|json| json.get(key)).is_some_and(|value| !value.is_null())
}

/// Returns whether an error has a type, as Anthropic's do.
fn is_typed_error(json: &Json) -> bool {
    json.get("error").is_some_and(|error| has(Some(error), "type"))
}

/// Returns whether a message is another program's, with the names of Anthropic's events.
fn is_foreign_message(json: &Json) -> bool {
    let Some(message) = json.get("message") else { return false };
    let is_ours = matches!(str_field(message, "role"), "" | "assistant") && !has(Some(message), "timestamp");
    !is_ours || !message.is_object()
}

fn str_field<'a>(json: &'a Json, key: &str) -> &'a str {
    json.get(key).and_then(Json::as_str).unwrap_or_default()
}

fn from_event_name(event: &str, json: Option<&Json>) -> Option<DialectEvidence> {
    let because = |name: &'static str| Some(identified(name, format!("a frame is named {event}")));
    match event {
        "" | "message" | "ping" => None,
        "error" => {
            let json = json?;
            if has(Some(json), "sequence_number") {
                Some(identified("openai-responses", "a numbered frame is named error"))
            } else if str_field(json, "type") == "error" && is_typed_error(json) {
                Some(identified("anthropic", "a frame named error holds a typed error"))
            } else if has(Some(json), "recoverable") {
                Some(identified("poe", "a frame named error says whether it is recoverable"))
            } else {
                None
            }
        }
        "delta" if has(json, "choices") => Some(identified("poe", "chunks come in frames named delta")),
        "complete" if has(json, "content") || has(json, "tool_calls") => because("poe"),
        "endpoint" => {
            let text = "this is the event transport of an MCP server, not a chat; give the URL of a chat endpoint";
            Some(DialectEvidence::Fault(Fault::new(FaultKind::Protocol, text)))
        }
        _ if event.starts_with("response.") => Some(from_responses_event(event, json?)),
        _ if ANTHROPIC_EVENTS.contains(&event) => because("anthropic"),
        _ if BUS_EVENTS.contains(&event) => because("openjarvis"),
        _ => None,
    }
}

/// The official events nest the object or are numbered, enclava's are flat.
fn from_responses_event(event: &str, json: &Json) -> DialectEvidence {
    if json.get("response").is_some_and(Json::is_object) || has(Some(json), "sequence_number") {
        identified("openai-responses", format!("a frame of {event} is nested or numbered"))
    } else {
        identified("enclava", format!("a frame of {event} is flat and has no number"))
    }
}

/// A response that is not streamed. Only enclava repeats the text; only the official one repeats its settings.
fn from_full_response(json: &Json) -> DialectEvidence {
    const SETTING_KEYS: &[&str] = &["parallel_tool_calls", "tool_choice", "truncation", "incomplete_details"];
    if json.get("output_text").is_some() && SETTING_KEYS.iter().all(|key| json.get(key).is_none()) {
        identified("enclava", "it is a whole response that repeats its text")
    } else {
        identified("openai-responses", "it is a whole response")
    }
}

fn from_shape(json: &Json, frame: &SseFrame, context: &DecodeContext) -> DialectEvidence {
    let kind = str_field(json, "type");
    if has(Some(json), "seq") && json.get("event").is_some_and(|event| has(Some(event), "type")) {
        return identified("native", "its frames are numbered events of jarvis-tui");
    }
    let has_content = json.get("result").is_some_and(|result| has(Some(result), "content"));
    // An object with a method, or with content but no message, is an MCP server's.
    if has(Some(json), "jsonrpc") && json.get("method").is_none() && !has_content {
        return identified("a2a", "its frames are JSON-RPC answers");
    }
    let object = str_field(json, "object");
    if json.get("choices").is_some_and(Json::is_array) || object.starts_with("chat.completion") {
        return identified("openai-chat", "its frames are chat completion chunks");
    }
    if object == "response" {
        return from_full_response(json);
    }
    if kind == "message" && str_field(json, "role") == "assistant" && json.get("content").is_some_and(Json::is_array) {
        return identified("anthropic", "it is a whole message with blocks of content");
    }
    if json.get("blocks").is_some_and(Json::is_array) {
        return identified("warp", "its lines hold blocks");
    }
    let ollama_text = ["message", "response"].iter().any(|key| has(Some(json), key));
    if json.get("done").is_some_and(Json::is_boolean) && ollama_text {
        return identified("ollama", "its lines say whether they are done");
    }
    let a2a = ["task", "message", "statusUpdate", "artifactUpdate"];
    let in_context = |json: &Json| ["contextId", "taskId", "messageId"].iter().any(|key| has(Some(json), key));
    if a2a.iter().any(|key| json.get(key).is_some_and(in_context)) {
        return identified("a2a", "its frames hold a task, a message or an update");
    }
    if kind == "init" && has(Some(json), "retry") {
        return identified("poe", "its first frame says how to reconnect");
    }
    let upper = kind.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
    if upper && AG_UI_TYPE_PREFIXES.iter().any(|word| kind.starts_with(word)) {
        return identified("ag-ui", format!("a frame has the type {kind}"));
    }
    if kind.starts_with("response.") {
        return from_responses_event(kind, json);
    }
    if ANTHROPIC_EVENTS.contains(&kind) && !is_foreign_message(json) {
        return identified("anthropic", format!("a frame has the type {kind}"));
    }
    if kind == "error" && is_typed_error(json) {
        return identified("anthropic", "a frame has the type error and holds a typed error");
    }
    let is_research = RESEARCH_TYPES.contains(&kind) || (kind == "error" && has(Some(json), "message"));
    if is_research {
        return identified("openjarvis", format!("a frame has the type {kind}, as in a deep research"));
    }
    // From here on it may be an error: in a stream, in a line or instead of one.
    if frame.event != "error"
        && let Some(server_error) = error::find_error(frame)
    {
        if json.get("error").is_some() && context.response.content_type() == "application/x-ndjson" {
            return identified("ollama", "a line holds an error");
        }
        return DialectEvidence::Fault(error::to_fault(&server_error));
    }
    DialectEvidence::Inconclusive
}
