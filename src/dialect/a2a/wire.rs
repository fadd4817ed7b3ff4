//! What a frame holds, in either version: 0.3 names the kind of a result, 1.0 wraps it under its kind. Parts, roles and
//! states differ likewise.

use std::borrow::Cow;

use super::super::error;
use super::super::tree::Tree;
use crate::event::{Fault, FaultKind, Json};

/// One result of a stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Outcome<'a> {
    Task(&'a Tree<'a>),
    Message(&'a Tree<'a>),
    Status(&'a Tree<'a>),
    Artifact(&'a Tree<'a>),
}

/// Finds the result in what a frame holds, and whether it is of version 1.0.
pub(super) fn result<'a>(json: &'a Tree<'a>) -> Option<(Outcome<'a>, bool)> {
    match word(json, "kind") {
        Some("task") => return Some((Outcome::Task(json), false)),
        Some("message") => return Some((Outcome::Message(json), false)),
        Some("status-update") => return Some((Outcome::Status(json), false)),
        Some("artifact-update") => return Some((Outcome::Artifact(json), false)),
        _ => {}
    }
    let object = |keys: [&str; 2]| keys.into_iter().find_map(|key| json.get(key).filter(|value| value.is_object()));
    if let Some(body) = object(["statusUpdate", "status_update"]) {
        return Some((Outcome::Status(body), true));
    }
    if let Some(body) = object(["artifactUpdate", "artifact_update"]) {
        return Some((Outcome::Artifact(body), true));
    }
    if let Some(body) = object(["task", "task"]) {
        return Some((Outcome::Task(body), true));
    }
    if let Some(body) = object(["message", "msg"]).filter(|_| json.get("status").is_none()) {
        return Some((Outcome::Message(body), true));
    }
    // Neither named nor wrapped: only its shape tells.
    let has = |key: &str| json.get(key).is_some_and(|value| value.is_object() || value.is_list());
    let found = match () {
        () if has("artifact") => Outcome::Artifact(json),
        () if has("status") && field(json, "taskId", "task_id").is_some() => Outcome::Status(json),
        () if has("status") => Outcome::Task(json),
        () if has("parts") => Outcome::Message(json),
        () => return None,
    };
    Some((found, false))
}

/// Finds what a server says of the model's end beside the states of the task, in metadata that each names its own way.
pub(super) fn reason(result: Outcome<'_>) -> Option<&str> {
    let (Outcome::Task(holder) | Outcome::Message(holder) | Outcome::Status(holder) | Outcome::Artifact(holder)) =
        result;
    let status = holder.get("status");
    let holders = [Some(holder), holder.get("artifact"), status, status.and_then(|status| status.get("message"))];
    let names = ["finish_reason", "finishReason", "stop_reason", "stopReason"];
    holders.into_iter().flatten().find_map(|holder| noted(holder, &names))
}

/// Returns the code that a server gives a failure of its model beside the words.
pub(super) fn error_code<'a>(message: &'a Tree<'_>) -> Option<&'a str> {
    noted(message, &["error_code", "errorCode"])
}

/// Finds a text in the metadata under a name that ends with one of these.
fn noted<'a>(holder: &'a Tree<'_>, names: &[&str]) -> Option<&'a str> {
    let Some(Tree::Object(metadata)) = holder.get("metadata") else { return None };
    let found = metadata.iter().find(|(key, _)| names.iter().any(|name| key.ends_with(name)))?;
    found.1.as_str().filter(|word| !word.is_empty())
}

/// Reads an error of JSON-RPC or of the REST binding.
pub(super) fn fault(json: &Tree<'_>) -> Option<Fault> {
    let wire = json.get("error").filter(|error| !error.is_null())?.to_json();
    let mut said = error::inner(&wire)?;
    if let Some(more) = wire.get("data").and_then(Json::as_str).map(error::tidy).filter(|more| !more.is_empty()) {
        said.message = format!("{} ({more})", said.message);
    }
    let kind = match wire.get("code").and_then(Json::as_i64) {
        // Bad requests, methods and parameters; no such task; operations or contents it can't do.
        Some(-32700 | -32602..=-32600 | -32005..=-32001 | -32009..=-32007) => Some(FaultKind::BadRequest),
        Some(-32006) => Some(FaultKind::Protocol),
        Some(-32603) => Some(FaultKind::Upstream),
        _ => None,
    };
    let mut fault = error::fault(&said);
    if let Some(kind) = kind {
        fault = Fault::new(kind, format!("the agent did not accept the request: {}", said.message));
        if matches!(kind, FaultKind::Upstream | FaultKind::Protocol) {
            fault = Fault::new(kind, format!("the agent failed: {}", said.message));
        }
    }
    Some(fault)
}

/// Returns a state in the words of 0.3: `TASK_STATE_INPUT_REQUIRED` is `input-required`.
pub(super) fn state(status: &Tree<'_>) -> String {
    let state = word(status, "state").unwrap_or_default();
    let state = state.strip_prefix("TASK_STATE_").unwrap_or(state).to_ascii_lowercase().replace('_', "-");
    if state == "cancelled" { "canceled".into() } else { state }
}

pub(super) fn is_agents(message: &Tree<'_>) -> bool {
    !matches!(word(message, "role"), Some("user" | "ROLE_USER"))
}

/// The parts of a message or artifact: its text, what it thought, and what is neither.
#[derive(Debug, Default)]
pub(super) struct Parts<'a> {
    pub(super) text: Cow<'a, str>,
    pub(super) thought: Cow<'a, str>,
    pub(super) others: Vec<Json>,
}

pub(super) fn parts<'a>(holder: &'a Tree<'_>) -> Parts<'a> {
    let mut read = Parts::default();
    // REST servers of 0.3 call the parts of a message its content.
    for part in holder.get("parts").or_else(|| holder.get("content")).into_iter().flat_map(Tree::list) {
        if let Some(text) = word(part, "text") {
            let thought = match part.get("metadata") {
                Some(Tree::Object(metadata)) => {
                    metadata.iter().any(|(key, value)| key.ends_with("thought") && *value == Tree::Bool(true))
                }
                _ => false,
            };
            let whole = if thought { &mut read.thought } else { &mut read.text };
            if whole.is_empty() {
                *whole = Cow::Borrowed(text);
            } else if !text.is_empty() {
                whole.to_mut().push('\n');
                whole.to_mut().push_str(text);
            }
        } else {
            read.others.extend(other(part));
        }
    }
    read
}

/// Describes a part that is not text. The bytes of a file are not kept.
fn other(part: &Tree<'_>) -> Option<Json> {
    if let Some(data) = part.get("data").filter(|data| !data.is_null()) {
        return Some(serde_json::json!({"kind": "data", "data": data.to_json()}));
    }
    let file = part.get("file").unwrap_or(part);
    let bytes = word(file, "bytes").or_else(|| word(file, "raw"));
    let url = word(file, "uri").or_else(|| word(file, "url"));
    if bytes.is_none() && url.is_none() {
        return None;
    }
    let name = word(file, "name").or_else(|| word(file, "filename"));
    let kind = field(file, "mimeType", "mediaType").and_then(Tree::as_str);
    let mut told = serde_json::json!({"kind": "file"});
    for (key, value) in [("name", name), ("media_type", kind), ("url", url)] {
        if let Some(value) = value {
            told[key] = value.into();
        }
    }
    if let Some(bytes) = bytes {
        // Three bytes in four letters.
        told["bytes"] = (bytes.len() / 4 * 3).into();
    }
    Some(told)
}

pub(super) fn word<'a>(json: &'a Tree<'_>, key: &str) -> Option<&'a str> {
    json.get(key).and_then(Tree::as_str)
}

/// Returns a field under either of its names.
pub(super) fn field<'a>(json: &'a Tree<'a>, one: &str, other: &str) -> Option<&'a Tree<'a>> {
    json.get(one).or_else(|| json.get(other))
}
