//! What one frame tells of its dialect. Names first, then the shape of the data.

use std::borrow::Cow;

use super::{error, page};
use crate::dialect::openjarvis::EVENTS;
use crate::dialect::{Context, SseFrame, surrogate};
use crate::event::{Fault, FaultKind, Json};

/// What a frame tells.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Sign {
    /// It is this dialect, because … (a clause).
    Is(&'static str, Cow<'static, str>),
    /// It is no stream at all.
    Fault(Fault),
    Nothing,
}

/// Types of the frames of a deep research.
const RESEARCH: &[&str] = &[
    "search_call",
    "search_result",
    "clarify_call",
    "clarify_response",
    "system_metrics",
    "synthesis",
    "final_sources",
    "done",
];

/// First words of AG-UI's types: `TEXT_MESSAGE_START`, `RUN_STARTED` …
const AG_UI: &[&str] = &[
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

/// Events of Anthropic's streams but for `ping` and `error`, which others have too.
const ANTHROPIC: &[&str] = &[
    "message_start",
    "message_delta",
    "message_stop",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
];

pub(super) fn read_sign(frame: &SseFrame, context: &Context) -> Sign {
    let data = frame.data.trim();
    let json = surrogate::json(data);
    if json.is_none() && context.content_type == "text/html" {
        return Sign::Fault(page());
    }
    if let Some(sign) = named(&frame.event, json.as_ref()) {
        return sign;
    }
    match json {
        Some(Json::Object(object)) => shaped(&Json::Object(object), frame, context),
        // No JSON, so no decoder: shown as it comes.
        None if data.starts_with("{'") => {
            is("plain", "its data are Python dicts, as enclava's tool calling writes them")
        }
        _ => Sign::Nothing,
    }
}

fn is(name: &'static str, why: impl Into<Cow<'static, str>>) -> Sign {
    Sign::Is(name, why.into())
}

fn has(json: Option<&Json>, key: &str) -> bool {
    json.and_then(|json| json.get(key)).is_some_and(|value| !value.is_null())
}

/// Anthropic's errors have a type inside.
fn is_typed_error(json: &Json) -> bool {
    json.get("error").is_some_and(|error| has(Some(error), "type"))
}

/// Whether a message is of another program that has borrowed the names of Anthropic's events.
fn is_strange_message(json: &Json) -> bool {
    let Some(message) = json.get("message") else { return false };
    let is_ours = matches!(text(message, "role"), "" | "assistant") && !has(Some(message), "timestamp");
    !is_ours || !message.is_object()
}

fn text<'a>(json: &'a Json, key: &str) -> &'a str {
    json.get(key).and_then(Json::as_str).unwrap_or_default()
}

fn named(event: &str, json: Option<&Json>) -> Option<Sign> {
    let because = |name: &'static str| Some(is(name, format!("a frame is named {event}")));
    match event {
        "" | "message" | "ping" => None,
        "error" => {
            let json = json?;
            if has(Some(json), "sequence_number") {
                Some(is("openai-responses", "a numbered frame is named error"))
            } else if text(json, "type") == "error" && is_typed_error(json) {
                Some(is("anthropic", "a frame named error holds a typed error"))
            } else if has(Some(json), "recoverable") {
                Some(is("poe", "a frame named error says whether it is recoverable"))
            } else {
                None
            }
        }
        "delta" if has(json, "choices") => Some(is("poe", "chunks come in frames named delta")),
        "complete" if has(json, "content") || has(json, "tool_calls") => because("poe"),
        "endpoint" => {
            let text = "this is the event transport of an MCP server, not a chat; give the URL of a chat endpoint";
            Some(Sign::Fault(Fault::new(FaultKind::Protocol, text)))
        }
        _ if event.starts_with("response.") => Some(responses(event, json?)),
        _ if ANTHROPIC.contains(&event) => because("anthropic"),
        _ if EVENTS.contains(&event) => because("openjarvis"),
        _ => None,
    }
}

/// The official events nest the object or are numbered, enclava's are flat.
fn responses(event: &str, json: &Json) -> Sign {
    if json.get("response").is_some_and(Json::is_object) || has(Some(json), "sequence_number") {
        is("openai-responses", format!("a frame of {event} is nested or numbered"))
    } else {
        is("enclava", format!("a frame of {event} is flat and has no number"))
    }
}

/// The answer in one piece. Only enclava sends the text a second time; only the official one repeats its settings.
fn whole_response(json: &Json) -> Sign {
    const SETTINGS: &[&str] = &["parallel_tool_calls", "tool_choice", "truncation", "incomplete_details"];
    if json.get("output_text").is_some() && SETTINGS.iter().all(|key| json.get(key).is_none()) {
        is("enclava", "it is a whole response that repeats its text")
    } else {
        is("openai-responses", "it is a whole response")
    }
}

fn shaped(json: &Json, frame: &SseFrame, context: &Context) -> Sign {
    let kind = text(json, "type");
    if has(Some(json), "seq") && json.get("event").is_some_and(|event| has(Some(event), "type")) {
        return is("native", "its frames are numbered events of jarvis-tui");
    }
    let has_content = json.get("result").is_some_and(|result| has(Some(result), "content"));
    // What has a method, or content beside no message, is of an MCP server.
    if has(Some(json), "jsonrpc") && json.get("method").is_none() && !has_content {
        return is("a2a", "its frames are JSON-RPC answers");
    }
    let object = text(json, "object");
    if json.get("choices").is_some_and(Json::is_array) || object.starts_with("chat.completion") {
        return is("openai-chat", "its frames are chat completion chunks");
    }
    if object == "response" {
        return whole_response(json);
    }
    if kind == "message" && text(json, "role") == "assistant" && json.get("content").is_some_and(Json::is_array) {
        return is("anthropic", "it is a whole message with blocks of content");
    }
    if json.get("blocks").is_some_and(Json::is_array) {
        return is("warp", "its lines hold blocks");
    }
    let ollama_text = ["message", "response"].iter().any(|key| has(Some(json), key));
    if json.get("done").is_some_and(Json::is_boolean) && ollama_text {
        return is("ollama", "its lines say whether they are done");
    }
    let a2a = ["task", "message", "statusUpdate", "artifactUpdate"];
    let in_context = |json: &Json| ["contextId", "taskId", "messageId"].iter().any(|key| has(Some(json), key));
    if a2a.iter().any(|key| json.get(key).is_some_and(in_context)) {
        return is("a2a", "its frames hold a task, a message or an update");
    }
    if kind == "init" && has(Some(json), "retry") {
        return is("poe", "its first frame says how to reconnect");
    }
    let upper = kind.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
    if upper && AG_UI.iter().any(|word| kind.starts_with(word)) {
        return is("ag-ui", format!("a frame has the type {kind}"));
    }
    if kind.starts_with("response.") {
        return responses(kind, json);
    }
    if ANTHROPIC.contains(&kind) && !is_strange_message(json) {
        return is("anthropic", format!("a frame has the type {kind}"));
    }
    if kind == "error" && is_typed_error(json) {
        return is("anthropic", "a frame has the type error and holds a typed error");
    }
    let is_research = RESEARCH.contains(&kind) || (kind == "error" && has(Some(json), "message"));
    if is_research {
        return is("openjarvis", format!("a frame has the type {kind}, as in a deep research"));
    }
    // From here on it may be an error, in a stream, in a line or in place of one.
    if frame.event != "error"
        && let Some(said) = error::reported(frame)
    {
        if json.get("error").is_some() && context.content_type == "application/x-ndjson" {
            return is("ollama", "a line holds an error");
        }
        return Sign::Fault(error::fault(&said));
    }
    Sign::Nothing
}
