//! Finds errors that a stream reports, in any format, by what all of them have in common.
//!
//! A frame is an error if it, or what it wraps, says so by its name or type (`error`, `RunError`, `session.error`,
//! `turn.failed`), by its state (`status: failed`, `is_error: true`), or by a field that only errors have (`error`,
//! `errorText`, `errorMessage`, `errors`, `exception`, `detail` alone, the title and status of a problem), or, where it
//! has no type, by an error code or a negated success next to a message. The same signs on a tool, a step or an item
//! are about that one only; fields that are null, false or empty don't count.

use super::{ServerError, parse, parse_error_object, to_single_line};
use crate::dialect::{SseFrame, surrogate};
use crate::event::Json;

/// Fields that only an error has.
const ERROR_FIELDS: &[&str] =
    &["error", "errorText", "errorMessage", "error_message", "error_msg", "errorMsg", "errmsg", "errors", "exception"];
/// Fields under which frames wrap their content.
const WRAPPER_FIELDS: &[&str] =
    &["data", "payload", "properties", "message", "response", "result", "event", "params", "body", "base_resp"];
/// Fields for the message of an error that has no error field.
const MESSAGE_FIELDS: &[&str] = &[
    "message",
    "errorText",
    "errorMessage",
    "error_message",
    "text",
    "content",
    "detail",
    "reason",
    "result",
    "msg",
    "status_msg",
];
/// Fields with codes, and the lowest number of each that means failure.
const FAILURE_CODES: &[(&str, u64)] =
    &[("code", 400), ("status", 400), ("statusCode", 400), ("status_code", 400), ("error_code", 1), ("errcode", 1)];

/// Returns the error that a frame reports, if any.
pub fn find_error(frame: &SseFrame) -> Option<ServerError> {
    let data = frame.data.trim();
    if is_failure_name(&frame.event) {
        return Some(parse_error_data(data));
    }
    if let Some(words) = data.strip_prefix("[ERROR]") {
        return Some(parse_error_data(words));
    }
    if !data.starts_with(['{', '[']) || is_partial_name(&frame.event) {
        return None;
    }
    // Most frames contain none of these words, so they need not be parsed.
    let lower = |word: &str| memchr::memmem::find(data.as_bytes(), word.as_bytes()).is_some();
    if !["rror", "RROR", "ail", "AIL", "xception", "detail", "problem", "code", "uccess"].iter().any(|word| lower(word))
    {
        return None;
    }
    find_error_in(&surrogate::parse_json(data)?, 0)
}

/// Returns the error in data that should have had another shape: here plain text counts as well.
pub(in crate::dialect) fn find_error_in_unparsed(frame: &SseFrame) -> Option<ServerError> {
    let data = frame.data.trim();
    let words = || data.get(..6).filter(|start| start.eq_ignore_ascii_case("error:")).and_then(|_| data.get(6..));
    find_error(frame).or_else(|| words().map(parse_error_data))
}

/// Parses an error of any shape.
pub(in crate::dialect) fn parse_error_data(data: &str) -> ServerError {
    let data = data.trim();
    let json = surrogate::parse_json(data);
    let error = json.as_ref().and_then(|json| find_error_in(json, 0).or_else(|| parse_message(json)));
    error.unwrap_or_else(|| {
        let message = if data.is_empty() || data == "{}" { "no reason given".into() } else { to_single_line(data) };
        ServerError { message, ..ServerError::default() }
    })
}

/// Returns whether a frame reports that the run succeeded after all, despite an error before it.
pub(in crate::dialect) fn is_success(frame: &SseFrame) -> bool {
    let data = frame.data.trim();
    let Some(json) = data.starts_with('{').then(|| surrogate::parse_json(data)).flatten() else { return false };
    let word = |key: &str| json.get(key).and_then(Json::as_str).unwrap_or_default();
    let is_end = matches!(word("type"), "turn.completed" | "run.completed" | "RUN_FINISHED" | "result");
    let is_well = !json.get("is_error").is_some_and(is_true) && find_error_in(&json, 0).is_none();
    let says_well = |key: &str| matches!(word(key), "success" | "succeeded" | "completed" | "");
    is_end && is_well && says_well("status") && says_well("subtype")
}

fn find_error_in(json: &Json, depth: usize) -> Option<ServerError> {
    let object = match json {
        Json::Array(list) if depth == 0 => return list.first().and_then(|first| find_error_in(first, 1)),
        Json::Object(object) => object,
        _ => return None,
    };
    let word = |key: &str| object.get(key).and_then(Json::as_str).unwrap_or_default();
    let names = ["type", "event", "kind", "status", "state", "object"];
    let is_named = names.into_iter().any(|key| is_failure_name(word(key)));
    let is_marked = ["is_error", "isError"].iter().any(|key| object.get(*key).is_some_and(is_true));
    let stopped = ["stopReason", "stop_reason", "finishReason", "finish_reason"].iter().any(|key| word(key) == "error");
    let field = ERROR_FIELDS.iter().find(|key| object.get(**key).is_some_and(is_non_empty));
    // Of a tool, a step or an item.
    let is_part = names.into_iter().any(|key| is_partial_name(word(key))) || object.contains_key("tool_call_id");
    if is_part {
        return None;
    }
    if is_named || is_marked || stopped || field.is_some() {
        return Some(
            parse_message(json)
                .unwrap_or_else(|| ServerError { message: "no reason given".into(), ..ServerError::default() }),
        );
    }
    let is_unnamed = ["type", "event", "kind", "object"].iter().all(|key| word(key).is_empty());
    if is_unnamed && !object.contains_key("choices") && is_denial(object) {
        return parse_message(json);
    }
    // FastAPI's, and a problem as of RFC 9457.
    let is_problem = object.get("status").and_then(Json::as_u64).is_some_and(|status| status >= 400);
    if (object.len() <= 2 && object.get("detail").is_some_and(is_non_empty))
        || (is_problem && object.contains_key("title"))
    {
        return parse_message(json).or_else(|| parse(json));
    }
    if depth >= 2 {
        return None;
    }
    WRAPPER_FIELDS
        .iter()
        .filter_map(|key| object.get(*key))
        .filter(|inside| inside.is_object())
        .find_map(|inside| find_error_in(inside, depth + 1))
}

/// Returns whether an object shows by a code or by a negated success that it is an error.
fn is_denial(object: &serde_json::Map<String, Json>) -> bool {
    let has_words =
        MESSAGE_FIELDS.iter().any(|key| object.get(*key).and_then(Json::as_str).is_some_and(|text| !text.is_empty()));
    let is_coded =
        FAILURE_CODES.iter().any(|(key, least)| object.get(*key).and_then(Json::as_u64).is_some_and(|n| n >= *least));
    let has_no_success = object.get("success").is_some_and(|success| *success == Json::Bool(false));
    has_words && (is_coded || has_no_success)
}

/// Parses the message of what is known to be an error.
fn parse_message(json: &Json) -> Option<ServerError> {
    let Json::Object(object) = json else { return parse_error_object(json) };
    // A code and a message side by side.
    if let Some(error) =
        parse(json).filter(|error| !error.message.is_empty() && object.get("error").is_some_and(Json::is_string))
    {
        return Some(error);
    }
    for key in ERROR_FIELDS {
        let Some(field) = object.get(*key).filter(|field| is_non_empty(field)) else { continue };
        if let Some(error) = parse_nested_message(field) {
            return Some(error);
        }
    }
    let code =
        ["code", "errorCode", "error_type", "error_code", "type"].iter().find_map(|key| object.get(*key)?.as_str());
    let text = |key: &&str| object.get(*key).and_then(Json::as_str).map(str::trim).filter(|text| !text.is_empty());
    if let Some(message) = MESSAGE_FIELDS.iter().find_map(text) {
        let status = object.get("status").or_else(|| object.get("code")).and_then(Json::as_u64);
        let status = status.and_then(|status| u16::try_from(status).ok()).filter(|status| *status >= 100);
        return Some(ServerError {
            message: to_single_line(message),
            code: code.unwrap_or_default().to_owned(),
            status,
        });
    }
    if let Some(title) = object.get("title").and_then(Json::as_str) {
        return Some(ServerError { message: to_single_line(title), ..ServerError::default() });
    }
    let inside = WRAPPER_FIELDS.iter().chain(["detail"].iter()).filter_map(|key| object.get(*key));
    inside.filter(|inside| inside.is_object() || inside.is_array()).find_map(parse_message)
}

/// Parses an error whose message is one or two levels deeper.
fn parse_nested_message(field: &Json) -> Option<ServerError> {
    let below = WRAPPER_FIELDS.iter().filter_map(|key| field.get(*key)).filter(|inside| inside.is_object());
    let below =
        || below.clone().find_map(|inside| parse_error_object(inside).filter(|error| error.message != error.code));
    match parse_error_object(field) {
        // The code alone says less than the nested message.
        Some(error) if error.message == error.code => below().or(Some(error)),
        Some(error) => Some(error),
        None => below().or_else(|| field.as_str().is_none().then(|| parse_plain_text(field)).flatten()),
    }
}

fn parse_plain_text(field: &Json) -> Option<ServerError> {
    is_non_empty(field).then(|| ServerError { message: to_single_line(&field.to_string()), ..ServerError::default() })
}

/// Returns whether a name or state means failure: its last word decides.
fn is_failure_name(name: &str) -> bool {
    if name.len() > 60 || is_partial_name(name) {
        return false;
    }
    let lower = name.to_ascii_lowercase();
    ["error", "failed", "failure", "exception"].iter().any(|word| lower.ends_with(word)) || lower == "fatal"
}

fn is_partial_name(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    ["tool", "step", "item", "retry", "warning", "function", "log"].iter().any(|word| lower.contains(word))
}

fn is_true(json: &Json) -> bool {
    json.as_bool() == Some(true)
}

fn is_non_empty(json: &Json) -> bool {
    match json {
        Json::Null | Json::Bool(false) => false,
        Json::Number(number) => number.as_f64() != Some(0.0),
        Json::String(text) => !text.trim().is_empty(),
        Json::Array(list) => !list.is_empty(),
        Json::Object(object) => !object.is_empty(),
        Json::Bool(true) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_message(event: &str, data: &str) -> Option<String> {
        find_error(&SseFrame::named(event, data)).map(|parsed| parsed.message)
    }

    #[test]
    fn an_error_is_recognised_in_every_shape() {
        for (event, data) in [
            ("error", "boom"),
            ("error", r#"{"error":"RuntimeError","message":"boom"}"#),
            ("error", r#"{"allow_retry":false,"text":"boom."}"#),
            ("error", r#"{"type":"overloaded_error","message":"boom"}"#),
            ("RunError", r#"{"event":"RunError","content":"boom","error_type":"model_provider_error"}"#),
            ("", r#"{"type":"error","errorText":"boom"}"#),
            ("", r#"{"type":"error","message":"boom"}"#),
            ("", r#"{"errorCode":"RuntimeError","errorMessage":"boom","author":"x"}"#),
            ("", r#"{"error":"boom","error_details":{"timestamp":1}}"#),
            ("", r#"{"error":{"message":"boom","code":500}}"#),
            ("", r#"{"error":{"name":"APIError","data":{"message":"boom","statusCode":500}}}"#),
            ("", r#"{"type":"session.error","properties":{"error":{"name":"APIError","data":{"message":"boom"}}}}"#),
            ("", r#"{"type":"turn.failed","error":{"message":"boom"}}"#),
            ("", r#"{"type":"result","status":"error","error":{"type":"unknown","message":"boom"}}"#),
            ("", r#"{"type":"result","subtype":"success","is_error":true,"result":"boom"}"#),
            ("", r#"{"type":"message_end","message":{"role":"assistant","stopReason":"error","errorMessage":"boom"}}"#),
            ("", r#"{"errors":[{"message":"boom"}]}"#),
            ("", r#"{"errors":["boom"]}"#),
            ("", r#"{"detail":"boom"}"#),
            ("", r#"{"detail":[{"loc":["body"],"msg":"boom","type":"missing"}]}"#),
            ("", r#"{"type":"about:blank","title":"Bad","status":400,"detail":"boom"}"#),
            ("", r#"{"object":"error","message":"boom","code":400}"#),
            ("", r#"{"status":"failed","message":"boom"}"#),
            ("", r#"{"type":"error","payload":{"error":{"message":"boom","name":"Error"}}}"#),
            ("", r#"[{"error":{"code":400,"message":"boom"}}]"#),
            ("", "[ERROR] boom"),
            ("", r#"{"code":500,"msg":"boom"}"#),
            ("", r#"{"error_code":18,"error_msg":"boom"}"#),
            ("", r#"{"success":false,"message":"boom"}"#),
            ("", r#"{"base_resp":{"status_code":1004,"status_msg":"boom"}}"#),
        ] {
            assert_eq!(error_message(event, data).as_deref(), Some("boom"), "{event}: {data}");
        }
        assert_eq!(error_message("error", "").as_deref(), Some("no reason given"));
    }

    #[test]
    fn what_only_speaks_of_errors_is_none() {
        for (event, data) in [
            ("", r#"{"error":null,"text":"fine"}"#),
            ("", r#"{"error":"","errors":[],"is_error":false,"errorText":null}"#),
            ("", r#"{"message":"hello, no error here"}"#),
            ("", r#"{"type":"tool_result","is_error":true,"content":"no such file"}"#),
            ("", r#"{"type":"item.completed","item":{"type":"error","message":"a warning"}}"#),
            ("", r#"{"type":"step.failed","error":"x"}"#),
            ("ToolCallError", r#"{"tool":"x","error":"no such file"}"#),
            ("", r#"{"type":"text","text":"the word error, detail, failed"}"#),
            ("", r#"{"detail":"long","id":1,"title":"a book"}"#),
            ("", "an error in prose"),
            ("", r#"{"base_resp":{"status_code":0,"status_msg":"success"}}"#),
            ("", r#"{"code":200,"message":"all is well"}"#),
            ("", r#"{"type":"command","success":false,"message":"exit 1"}"#),
            ("", r#"{"success":true,"message":"done"}"#),
            ("message", "plain"),
        ] {
            assert_eq!(error_message(event, data), None, "{event}: {data}");
        }
    }

    #[test]
    fn plain_words_are_an_error_where_something_else_should_have_come() {
        let parsed = |data: &str| find_error_in_unparsed(&SseFrame::data(data)).map(|parsed| parsed.message);
        assert_eq!(parsed("Error: boom").as_deref(), Some("boom"));
        assert_eq!(parsed("erröns").as_deref(), None);
        assert_eq!(parsed("an error: boom"), None);
    }

    #[test]
    fn a_good_end_is_told_from_a_bad_one() {
        let is = |data: &str| is_success(&SseFrame::data(data));
        assert!(is(r#"{"type":"turn.completed","usage":{}}"#));
        assert!(is(r#"{"type":"result","subtype":"success","is_error":false,"result":"Done."}"#));
        assert!(!is(r#"{"type":"result","subtype":"success","is_error":true,"result":"Done."}"#));
        assert!(!is(r#"{"type":"item.completed"}"#));
        assert!(!is("x"));
    }
}
