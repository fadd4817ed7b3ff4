//! PURE. Parses what is asked: an operation, who asks in which form, and the message that is sent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::errors::{
    CONTENT_NOT_SUPPORTED, INVALID_REQUEST, METHOD_NOT_FOUND, PARSE_ERROR, PUSH_NOT_SUPPORTED, VERSION_NOT_SUPPORTED,
};
use crate::dialect::a2a::shapes::A2aVersion;
use crate::dialect::yes_no::{NO_WORDS, YES_NO_KEYS, YES_WORDS};
use crate::event::{Decision, Json, PromptContext, PromptImage};
use crate::serve::error::ApiError;
use crate::serve::fields::{Fields, get_array, get_bool, get_object, get_object_at, get_string, get_value, wrong_type};
use crate::serve::image_parts::ClientPrompt;

/// Limit of the name of a context.
const MAX_CONTEXT_BYTES: usize = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum A2aOperation {
    Send,
    SendStreaming,
    GetTask,
    ListTasks,
    CancelTask,
    Subscribe,
    PushConfig,
    ExtendedCard,
}

/// In which form the caller gets its answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct A2aCaller {
    pub(super) version: A2aVersion,
    /// The id of its request of JSON-RPC; none over REST.
    pub(super) rpc_id: Option<Json>,
}

/// A request of JSON-RPC.
#[derive(Debug, PartialEq)]
pub(super) struct A2aRpc {
    pub(super) caller: A2aCaller,
    pub(super) operation: A2aOperation,
    pub(super) params: Fields,
}

/// A message that is sent.
#[derive(Debug, Default, PartialEq)]
pub(super) struct A2aSend {
    pub(super) prompt: ClientPrompt,
    pub(super) task: Option<String>,
    pub(super) context: Option<String>,
    pub(super) model: Option<String>,
    /// What it says to a task that asks for an approval; none where it says neither yes nor no.
    pub(super) decision: Option<Decision>,
    /// The answer is the task as it is just begun.
    pub(super) returns_at_once: bool,
}

/// Parses a request of JSON-RPC. An error comes with the id that its answer names.
pub(super) fn parse_rpc(body: &[u8]) -> Result<A2aRpc, Box<(Json, ApiError)>> {
    let unnamed = |code, text: String| Box::new((Json::Null, ApiError::new(400, code, text)));
    let json: Json = serde_json::from_slice(body)
        .map_err(|error| unnamed(PARSE_ERROR, format!("the body of the request is not JSON: {error}")))?;
    let Json::Object(mut fields) = json else {
        return Err(unnamed(INVALID_REQUEST, "the body must be one request of JSON-RPC".into()));
    };
    let id = match fields.get("id") {
        Some(id @ (Json::String(_) | Json::Number(_))) => id.clone(),
        _ => return Err(unnamed(INVALID_REQUEST, "id must be a string or a number".into())),
    };
    let refuse = |code, text: String| Box::new((id.clone(), ApiError::new(400, code, text)));
    if fields.get("jsonrpc").and_then(Json::as_str) != Some("2.0") {
        return Err(refuse(INVALID_REQUEST, "jsonrpc must be \"2.0\"".into()));
    }
    let Some(method) = fields.get("method").and_then(Json::as_str) else {
        return Err(refuse(INVALID_REQUEST, "method must be a string".into()));
    };
    let Some((operation, version)) = parse_method(method) else {
        return Err(refuse(METHOD_NOT_FOUND, format!("there is no method {method:?}")));
    };
    let params = match fields.remove("params") {
        Some(Json::Object(params)) => params,
        None | Some(Json::Null) => Fields::new(),
        Some(_) => return Err(Box::new((id, ApiError::bad_request("params must be an object")))),
    };
    Ok(A2aRpc { caller: A2aCaller { version, rpc_id: Some(id) }, operation, params })
}

/// The versions have names of their own for the same.
fn parse_method(method: &str) -> Option<(A2aOperation, A2aVersion)> {
    let v1 = |operation| Some((operation, A2aVersion::V1_0));
    let v0_3 = |operation| Some((operation, A2aVersion::V0_3));
    match method {
        "SendMessage" => v1(A2aOperation::Send),
        "SendStreamingMessage" => v1(A2aOperation::SendStreaming),
        "GetTask" => v1(A2aOperation::GetTask),
        "ListTasks" => v1(A2aOperation::ListTasks),
        "CancelTask" => v1(A2aOperation::CancelTask),
        "SubscribeToTask" => v1(A2aOperation::Subscribe),
        "GetExtendedAgentCard" => v1(A2aOperation::ExtendedCard),
        "CreateTaskPushNotificationConfig"
        | "GetTaskPushNotificationConfig"
        | "ListTaskPushNotificationConfigs"
        | "DeleteTaskPushNotificationConfig" => v1(A2aOperation::PushConfig),
        "message/send" => v0_3(A2aOperation::Send),
        "message/stream" => v0_3(A2aOperation::SendStreaming),
        "tasks/get" => v0_3(A2aOperation::GetTask),
        "tasks/list" => v0_3(A2aOperation::ListTasks),
        "tasks/cancel" => v0_3(A2aOperation::CancelTask),
        "tasks/resubscribe" => v0_3(A2aOperation::Subscribe),
        "agent/getAuthenticatedExtendedCard" => v0_3(A2aOperation::ExtendedCard),
        _ if method.starts_with("tasks/pushNotificationConfig/") => v0_3(A2aOperation::PushConfig),
        _ => None,
    }
}

/// Refuses a version that is not spoken here.
pub(super) fn check_version(wanted: Option<&str>) -> Result<(), ApiError> {
    let Some(wanted) = wanted.map(str::trim).filter(|wanted| !wanted.is_empty()) else { return Ok(()) };
    let mut numbers = wanted.splitn(3, '.');
    if matches!((numbers.next(), numbers.next()), (Some("1"), Some("0")) | (Some("0"), Some("3"))) {
        return Ok(());
    }
    let text = format!("A2A version {wanted:?} is not spoken here; 1.0 and 0.3 are");
    Err(ApiError::new(400, VERSION_NOT_SUPPORTED, text))
}

/// Parses the parameters of a message that is sent.
pub(super) fn parse_send(params: &Fields) -> Result<A2aSend, ApiError> {
    let Some(message) = get_object(params, "message")? else {
        return Err(ApiError::bad_request("message is missing").with_param("message"));
    };
    let word = |name: &str| {
        get_string(message, name, "message").map(|word| word.filter(|word| !word.is_empty()).map(str::to_owned))
    };
    let (task, context) = (word("taskId")?, word("contextId")?);
    if context.as_ref().is_some_and(|context| context.len() > MAX_CONTEXT_BYTES) {
        let wanted = format!("a string of at most {MAX_CONTEXT_BYTES} bytes");
        return Err(wrong_type("message.contextId", &wanted));
    }
    let (prompt, data_decision) = read_parts(message)?;
    let decision = data_decision.or_else(|| decision_of_text(&prompt.text));
    let (mut returns_at_once, configuration) = (false, get_object(params, "configuration")?);
    if let Some(configuration) = configuration {
        let blocking = get_bool(configuration, "blocking")?;
        returns_at_once = get_bool(configuration, "returnImmediately")?.unwrap_or(blocking == Some(false));
        let push = ["taskPushNotificationConfig", "pushNotificationConfig"];
        if push.iter().any(|name| get_value(configuration, name).is_some()) {
            return Err(push_not_supported());
        }
    }
    let metadata = [get_object(params, "metadata")?, get_object_at(message, "metadata", "message")?];
    let mut model = None;
    for metadata in metadata.into_iter().flatten() {
        model = model.or(get_string(metadata, "model", "metadata")?.filter(|model| !model.is_empty()));
    }
    Ok(A2aSend { prompt, task, context, model: model.map(str::to_owned), decision, returns_at_once })
}

pub(super) fn push_not_supported() -> ApiError {
    ApiError::new(400, PUSH_NOT_SUPPORTED, "there are no push notifications here; subscribe to the task")
}

/// Returns what the parts of a message say, and the decision in a part of data.
fn read_parts(message: &Fields) -> Result<(ClientPrompt, Option<Decision>), ApiError> {
    let (mut prompt, mut decision) = (ClientPrompt::default(), None);
    for (nth, part) in get_array(message, "parts", "message")?.iter().enumerate() {
        let at = format!("message.parts[{nth}]");
        let Json::Object(part) = part else { return Err(wrong_type(&at, "an object")) };
        if let Some(text) = get_string(part, "text", &at)? {
            push_text(text, &mut prompt.text);
        } else if let Some(data) = get_value(part, "data") {
            decision = decision.or(decision_of_data(data));
            push_text(&data.to_string(), &mut prompt.text);
        } else {
            read_file(part, &at, &mut prompt)?;
        }
    }
    if prompt.text.trim().is_empty() {
        return Err(ApiError::bad_request("message.parts must hold a text").with_param("message.parts"));
    }
    Ok((prompt, decision))
}

/// Reads a file: version 0.3 has it in `file`. Nothing is fetched.
fn read_file(part: &Fields, at: &str, prompt: &mut ClientPrompt) -> Result<(), ApiError> {
    let unsupported = |why: String| ApiError::new(400, CONTENT_NOT_SUPPORTED, format!("{at}: {why}")).with_param(at);
    let file = get_object_at(part, "file", at)?.unwrap_or(part);
    let either =
        |one: &str, other: &str| Ok::<_, ApiError>(get_string(file, one, at)?.or(get_string(file, other, at)?));
    let Some(bytes) = either("raw", "bytes")? else {
        return Err(unsupported("only text, data and files in base64 are taken; nothing is fetched".into()));
    };
    let name = either("filename", "name")?.unwrap_or("file");
    if either("mediaType", "mimeType")?.is_some_and(|kind| kind.starts_with("text/")) {
        let text = STANDARD.decode(bytes).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let text = text.ok_or_else(|| unsupported("this file is no text in base64".into()))?;
        push_text(&format!("{name}:\n{text}"), &mut prompt.text);
        return Ok(());
    }
    let image =
        PromptImage::from_base64(bytes).map_err(|why| unsupported(format!("{why}; files are texts or images")))?;
    prompt.images.push(PromptContext::from_image(name.to_owned(), image));
    Ok(())
}

fn push_text(text: &str, out: &mut String) {
    if !out.is_empty() && !text.is_empty() {
        out.push('\n');
    }
    out.push_str(text);
}

fn decision_of_data(data: &Json) -> Option<Decision> {
    let approved = YES_NO_KEYS.iter().find_map(|key| data.get(key)?.as_bool())?;
    let reason = data.get("reason").and_then(Json::as_str).map(str::to_owned);
    Some(if approved { Decision::Once } else { Decision::Deny(reason) })
}

/// Only a word that stands alone is a yes; a no may have its reason behind it.
fn decision_of_text(text: &str) -> Option<Decision> {
    let text = text.trim();
    let is = |word: &str, words: &[&str]| words.contains(&word.to_lowercase().trim_end_matches(['.', '!']));
    if is(text, YES_WORDS) {
        return Some(Decision::Once);
    }
    let (word, reason) = text.split_once([',', ':', ';', '.', '\n']).unwrap_or((text, ""));
    let reason = Some(reason.trim().to_owned()).filter(|reason| !reason.is_empty());
    is(word.trim(), NO_WORDS).then_some(Decision::Deny(reason))
}

#[cfg(test)]
mod tests;
