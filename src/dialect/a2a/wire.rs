//! Shapes of a frame in both versions: 0.3 names the kind of a result in a field, 1.0 wraps the result under its kind.
//! Parts, roles and states differ likewise.

use std::borrow::Cow;

use super::super::borrowed_json::BorrowedJson;
use super::super::error;
use crate::event::{Fault, FaultKind, Json};

/// One result of the stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum StreamResult<'a> {
    Task(&'a BorrowedJson<'a>),
    Message(&'a BorrowedJson<'a>),
    Status(&'a BorrowedJson<'a>),
    Artifact(&'a BorrowedJson<'a>),
}

/// Finds the result in a frame, and whether it has the shape of version 1.0.
pub(super) fn parse_result<'a>(json: &'a BorrowedJson<'a>) -> Option<(StreamResult<'a>, bool)> {
    match non_empty_str(json, "kind") {
        Some("task") => return Some((StreamResult::Task(json), false)),
        Some("message") => return Some((StreamResult::Message(json), false)),
        Some("status-update") => return Some((StreamResult::Status(json), false)),
        Some("artifact-update") => return Some((StreamResult::Artifact(json), false)),
        _ => {}
    }
    let object = |keys: [&str; 2]| keys.into_iter().find_map(|key| json.get(key).filter(|value| value.is_object()));
    if let Some(body) = object(["statusUpdate", "status_update"]) {
        return Some((StreamResult::Status(body), true));
    }
    if let Some(body) = object(["artifactUpdate", "artifact_update"]) {
        return Some((StreamResult::Artifact(body), true));
    }
    if let Some(body) = object(["task", "task"]) {
        return Some((StreamResult::Task(body), true));
    }
    if let Some(body) = object(["message", "msg"]).filter(|_| json.get("status").is_none()) {
        return Some((StreamResult::Message(body), true));
    }
    // Neither named nor wrapped: the shape decides.
    let has = |key: &str| json.get(key).is_some_and(|value| value.is_object() || value.is_array());
    let found = match () {
        () if has("artifact") => StreamResult::Artifact(json),
        () if has("status") && either_field(json, "taskId", "task_id").is_some() => StreamResult::Status(json),
        () if has("status") => StreamResult::Task(json),
        () if has("parts") => StreamResult::Message(json),
        () => return None,
    };
    Some((found, false))
}

/// Finds the model's finish reason in the metadata, where each server names it differently.
pub(super) fn finish_reason_word(result: StreamResult<'_>) -> Option<&str> {
    let (StreamResult::Task(holder)
    | StreamResult::Message(holder)
    | StreamResult::Status(holder)
    | StreamResult::Artifact(holder)) = result;
    let status = holder.get("status");
    let holders = [Some(holder), holder.get("artifact"), status, status.and_then(|status| status.get("message"))];
    let names = ["finish_reason", "finishReason", "stop_reason", "stopReason"];
    holders.into_iter().flatten().find_map(|holder| find_in_metadata(holder, &names))
}

/// Returns the error code that a server adds to the text of a failed model request.
pub(super) fn error_code<'a>(message: &'a BorrowedJson<'_>) -> Option<&'a str> {
    find_in_metadata(message, &["error_code", "errorCode"])
}

/// Finds a string in the metadata under a key with one of these suffixes.
fn find_in_metadata<'a>(holder: &'a BorrowedJson<'_>, names: &[&str]) -> Option<&'a str> {
    let Some(BorrowedJson::Object(metadata)) = holder.get("metadata") else { return None };
    let found = metadata.iter().find(|(key, _)| names.iter().any(|name| key.ends_with(name)))?;
    found.1.as_str().filter(|word| !word.is_empty())
}

/// Parses an error of JSON-RPC or of the REST binding.
pub(super) fn parse_fault(json: &BorrowedJson<'_>) -> Option<Fault> {
    let wire = json.get("error").filter(|error| !error.is_null())?.to_json();
    let mut server_error = error::parse_error_object(&wire)?;
    if let Some(more) =
        wire.get("data").and_then(Json::as_str).map(error::to_single_line).filter(|more| !more.is_empty())
    {
        server_error.message = format!("{} ({more})", server_error.message);
    }
    let kind = match wire.get("code").and_then(Json::as_i64) {
        // Parse error, invalid request, method or parameters; unknown task; unsupported operation or content.
        Some(-32700 | -32602..=-32600 | -32005..=-32001 | -32009..=-32007) => Some(FaultKind::BadRequest),
        Some(-32006) => Some(FaultKind::Protocol),
        Some(-32603) => Some(FaultKind::Upstream),
        _ => None,
    };
    let mut fault = error::to_fault(&server_error);
    if let Some(kind) = kind {
        fault = Fault::new(kind, format!("the agent did not accept the request: {}", server_error.message));
        if matches!(kind, FaultKind::Upstream | FaultKind::Protocol) {
            fault = Fault::new(kind, format!("the agent failed: {}", server_error.message));
        }
    }
    Some(fault)
}

/// Returns a state as 0.3 spells it: `TASK_STATE_INPUT_REQUIRED` is `input-required`.
pub(super) fn normalize_state(status: &BorrowedJson<'_>) -> String {
    let state = non_empty_str(status, "state").unwrap_or_default();
    let state = state.strip_prefix("TASK_STATE_").unwrap_or(state).to_ascii_lowercase().replace('_', "-");
    if state == "cancelled" { "canceled".into() } else { state }
}

pub(super) fn is_from_agent(message: &BorrowedJson<'_>) -> bool {
    !matches!(non_empty_str(message, "role"), Some("user" | "ROLE_USER"))
}

/// The parts of a message or artifact: text, reasoning, and everything else.
#[derive(Debug, Default)]
pub(super) struct MessageParts<'a> {
    pub(super) text: Cow<'a, str>,
    pub(super) reasoning: Cow<'a, str>,
    pub(super) non_text: Vec<Json>,
}

pub(super) fn parse_parts<'a>(holder: &'a BorrowedJson<'_>) -> MessageParts<'a> {
    let mut read = MessageParts::default();
    // REST servers of 0.3 call the parts of a message `content`.
    for part in holder.get("parts").or_else(|| holder.get("content")).into_iter().flat_map(BorrowedJson::elements) {
        if let Some(text) = non_empty_str(part, "text") {
            let reasoning = match part.get("metadata") {
                Some(BorrowedJson::Object(metadata)) => {
                    metadata.iter().any(|(key, value)| key.ends_with("thought") && *value == BorrowedJson::Bool(true))
                }
                _ => false,
            };
            let whole = if reasoning { &mut read.reasoning } else { &mut read.text };
            if whole.is_empty() {
                *whole = Cow::Borrowed(text);
            } else if !text.is_empty() {
                whole.to_mut().push('\n');
                whole.to_mut().push_str(text);
            }
        } else {
            read.non_text.extend(describe_part(part));
        }
    }
    read
}

/// Describes a part that is not text. The bytes of a file are dropped.
fn describe_part(part: &BorrowedJson<'_>) -> Option<Json> {
    if let Some(data) = part.get("data").filter(|data| !data.is_null()) {
        return Some(serde_json::json!({"kind": "data", "data": data.to_json()}));
    }
    let file = part.get("file").unwrap_or(part);
    let bytes = non_empty_str(file, "bytes").or_else(|| non_empty_str(file, "raw"));
    let url = non_empty_str(file, "uri").or_else(|| non_empty_str(file, "url"));
    if bytes.is_none() && url.is_none() {
        return None;
    }
    let name = non_empty_str(file, "name").or_else(|| non_empty_str(file, "filename"));
    let kind = either_field(file, "mimeType", "mediaType").and_then(BorrowedJson::as_str);
    let mut description = serde_json::json!({"kind": "file"});
    for (key, value) in [("name", name), ("media_type", kind), ("url", url)] {
        if let Some(value) = value {
            description[key] = value.into();
        }
    }
    if let Some(bytes) = bytes {
        // Base64 has four letters for three bytes.
        description["bytes"] = (bytes.len() / 4 * 3).into();
    }
    Some(description)
}

pub(super) fn non_empty_str<'a>(json: &'a BorrowedJson<'_>, key: &str) -> Option<&'a str> {
    json.get(key).and_then(BorrowedJson::as_str)
}

/// Returns a field under either of its names.
pub(super) fn either_field<'a>(json: &'a BorrowedJson<'a>, one: &str, other: &str) -> Option<&'a BorrowedJson<'a>> {
    json.get(one).or_else(|| json.get(other))
}
