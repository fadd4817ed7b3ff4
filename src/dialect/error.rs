//! Errors as servers write them, before a stream and in the middle of one, and the kind of fault each stands for.

mod report;

pub use self::report::find_error;
pub(super) use self::report::{find_error_in_unparsed, is_success, parse_error_data};
use crate::event::{Fault, FaultKind, Json};

/// An error reported by a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerError {
    pub message: String,
    /// `code` and `type`, joined.
    pub code: String,
    /// An HTTP status inside the object.
    pub status: Option<u16>,
}

const MAX_MESSAGE_CHARS: usize = 600;

/// Phrases by which servers report that the conversation is too long.
const CONTEXT_OVERFLOW_PHRASES: &[&str] = &[
    "context length",
    "context_length",
    "context window",
    "context size",
    "maximum context",
    "maximum_context",
    "exceed_context",
    "prompt is too long",
    "input is too long",
    "too many tokens",
    "reduce the length",
    "longer than the model",
    "exceeds the maximum number of tokens",
    "exceeds the limit of tokens",
    "request_too_large",
];

/// Parses the error in a JSON body: `{"error": {"message"}}`, `{"error": "text"}`, `{"detail": …}`, `{"message"}`, or a
/// list with one of these.
pub fn parse(json: &Json) -> Option<ServerError> {
    match json {
        Json::Array(list) => parse_validation_errors(list).or_else(|| list.first().and_then(parse)),
        Json::Object(object) => {
            // `{"error": "CODE", "message": "text"}`.
            if let (Some(Json::String(code)), Some(Json::String(message))) =
                (object.get("error"), object.get("message"))
                && !message.is_empty()
            {
                return Some(ServerError {
                    message: to_single_line(message),
                    code: to_single_line(code),
                    status: None,
                });
            }
            let error = object
                .get("error")
                .and_then(parse_error_object)
                .or_else(|| object.get("detail").and_then(parse_error_object));
            error
                .or_else(|| object.get("errors").and_then(parse_error_object))
                .or_else(|| object.get("message").and_then(|_| parse_error_object(json)))
        }
        _ => None,
    }
}

/// Parses the error object itself, which may be a plain string.
pub fn parse_error_object(json: &Json) -> Option<ServerError> {
    match json {
        Json::String(text) if !text.is_empty() => {
            Some(ServerError { message: to_single_line(text), ..ServerError::default() })
        }
        Json::Array(list) => parse_validation_errors(list).or_else(|| list.first().and_then(parse_error_object)),
        Json::Object(object) => {
            let text = |key: &str| object.get(key).and_then(Json::as_str).filter(|text| !text.is_empty());
            let names = ["message", "msg", "detail", "error"];
            // An error passed on by a router may wrap another one, as an object or as JSON in its message.
            let within = |key: &str| match object.get(key)? {
                Json::String(text) => parse_nested_json(text),
                json => Some(json.clone()).filter(|json| json.is_object() || json.is_array()),
            };
            let nested = || names.into_iter().chain(["errors"]).filter_map(within).find_map(|json| innermost(&json));
            let plain =
                names.into_iter().filter_map(text).find(|text| parse_nested_json(text).is_none()).map(to_single_line);
            let nested = if plain.is_none() { nested() } else { None };
            let message = plain
                .or_else(|| nested.as_ref().map(|inner| inner.message.clone()))
                .or_else(|| names.into_iter().find_map(text).map(to_single_line));
            let codes: Vec<&str> = ["code", "type", "status"].into_iter().filter_map(text).collect();
            let code = match nested {
                Some(inner) if !inner.code.is_empty() => [codes.as_slice(), &[&inner.code]].concat().join(" "),
                _ => codes.join(" "),
            };
            // Routers put the upstream's message next to their own "provider returned error".
            let raw = object.get("metadata").and_then(|metadata| metadata.get("raw")).and_then(Json::as_str);
            let status = object
                .get("code")
                .or_else(|| object.get("status"))
                .and_then(|code| code.as_u64().or_else(|| code.as_str().and_then(|code| code.parse().ok())));
            let message = match (message, raw) {
                (Some(message), Some(raw)) => format!("{message} ({})", to_single_line(raw)),
                (Some(message), None) => message,
                (None, _) if !code.is_empty() => code.clone(),
                (None, _) => return None,
            };
            Some(ServerError {
                message,
                code,
                status: status.and_then(|n| u16::try_from(n).ok()).filter(|n| *n >= 100),
            })
        }
        _ => None,
    }
}

/// Parses the errors of a validator: what is wrong, and where. What it repeats of the request is left out.
fn parse_validation_errors(list: &[Json]) -> Option<ServerError> {
    let mut found: Vec<String> = Vec::new();
    for error in list {
        let place = error.get("loc").or_else(|| error.get("path"))?.as_array()?;
        let words = ["msg", "message"].into_iter().find_map(|key| error.get(key)?.as_str())?;
        let steps = place.iter().map(|step| step.as_str().map_or_else(|| step.to_string(), str::to_owned));
        let place: Vec<String> = steps.filter(|step| step != "body").collect();
        found.push(if place.is_empty() { words.to_owned() } else { format!("{}: {words}", place.join(".")) });
    }
    let code = list.first()?.get("type").or_else(|| list.first()?.get("code")).and_then(Json::as_str);
    let code = to_single_line(code.unwrap_or_default());
    Some(ServerError { message: to_single_line(&found.join(", ")), code, status: None })
}

/// Parses an error that is written as JSON inside the message of another one.
fn parse_nested_json(text: &str) -> Option<Json> {
    let text = text.trim();
    text.starts_with(['{', '[']).then(|| serde_json::from_str(text).ok()).flatten()
}

/// Parses the innermost error; none where it has no message.
fn innermost(json: &Json) -> Option<ServerError> {
    parse(json).or_else(|| parse_error_object(json)).filter(|error| error.message != error.code)
}

/// Returns the kind of fault. The HTTP status decides where there is one, otherwise the text.
pub fn fault_kind(status: Option<u16>, error: &ServerError) -> FaultKind {
    let code = error.code.to_lowercase();
    let message = error.message.to_lowercase();
    let too_long = || CONTEXT_OVERFLOW_PHRASES.iter().any(|phrase| code.contains(phrase) || message.contains(phrase));
    match status.or(error.status) {
        Some(401 | 403) => FaultKind::Auth,
        Some(408 | 504) => FaultKind::TimedOut,
        Some(429) => FaultKind::RateLimited,
        // Some servers fail with 500 when the conversation is too long; a retry would not help.
        Some(400 | 413 | 422 | 500) if too_long() => FaultKind::ContextTooLong,
        Some(413) => FaultKind::ContextTooLong,
        Some(501 | 505) => FaultKind::BadRequest,
        Some(500..) => FaultKind::Upstream,
        Some(400..) => FaultKind::BadRequest,
        _ if too_long() => FaultKind::ContextTooLong,
        _ if code.contains("rate_limit") || code.contains("insufficient_quota") => FaultKind::RateLimited,
        _ if code.contains("auth")
            || code.contains("permission")
            || code.contains("api_key")
            || code.contains("billing") =>
        {
            FaultKind::Auth
        }
        _ if code.contains("invalid_request") || code.contains("badrequest") || code.contains("not_found") => {
            FaultKind::BadRequest
        }
        _ if code.contains("content_filter") || code.contains("policy") => FaultKind::Refused,
        _ if code.contains("timeout") => FaultKind::TimedOut,
        _ => FaultKind::Upstream,
    }
}

/// Returns the fault for an error in the middle of a stream.
pub fn to_fault(error: &ServerError) -> Fault {
    let kind = fault_kind(None, error);
    let message = match kind {
        FaultKind::ContextTooLong => {
            format!("the conversation is too long for the model: {}; start a new session or shorten it", error.message)
        }
        _ => format!("the server reported an error in its response: {}", error.message),
    };
    Fault::new(kind, message)
}

/// Returns a single line of bounded length, without a final period.
pub fn to_single_line(text: &str) -> String {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if line.len() + word.len() > MAX_MESSAGE_CHARS {
            line.extend(word.chars().take(MAX_MESSAGE_CHARS.saturating_sub(line.len())));
            line.push('…');
            return line;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line.truncate(line.trim_end_matches('.').len());
    line
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn errors_are_read_in_every_shape() {
        let message = |json: Json| parse(&json).map(|error| error.message);
        assert_eq!(message(json!({"error": {"message": "No such\nmodel.", "type": "x"}})).unwrap(), "No such model");
        assert_eq!(message(json!({"error": "model not found"})).unwrap(), "model not found");
        assert_eq!(message(json!({"detail": "Not Found"})).unwrap(), "Not Found");
        assert_eq!(message(json!({"detail": [{"loc": [], "msg": "field required"}]})).unwrap(), "field required");
        let missing = |field: &str| json!({"type": "missing", "loc": ["body", field], "msg": "Field required", "input": {"a": 1}});
        let fields = "threadId: Field required, runId: Field required";
        assert_eq!(message(json!({"detail": [missing("threadId"), missing("runId")]})).unwrap(), fields);
        assert_eq!(message(json!([missing("threadId"), missing("runId")])).unwrap(), fields);
        assert_eq!(message(json!({"object": "error", "message": "too big", "code": 400})).unwrap(), "too big");
        assert_eq!(
            message(json!([{"error": {"code": 400, "message": "API key not valid"}}])).unwrap(),
            "API key not valid"
        );
        for nested in [
            json!({"error": {"error": {"message": "boom"}}}),
            json!({"error": {"message": {"error": {"message": "boom"}}}}),
            json!({"error": {"message": "{\"error\": {\"message\": \"boom\", \"code\": 400}}"}}),
            json!({"error": {"code": 500, "errors": [{"message": "boom"}]}}),
            json!({"errors": [{"detail": "boom"}]}),
            json!({"detail": {"error": "boom"}}),
        ] {
            assert_eq!(message(nested.clone()).as_deref(), Some("boom"), "{nested}");
        }
        assert_eq!(message(json!({"error": {"message": "{not JSON"}})).unwrap(), "{not JSON");
        assert_eq!(message(json!({"error": null})), None);
        assert_eq!(message(json!({"choices": []})), None);
    }

    #[test]
    fn words_decide_where_there_is_no_status() {
        let of = |json: Json| fault_kind(None, &parse(&json).unwrap());
        assert_eq!(
            of(json!({"error": {"message": "x", "code": "context_length_exceeded"}})),
            FaultKind::ContextTooLong
        );
        assert_eq!(of(json!({"error": {"message": "x", "type": "rate_limit_error"}})), FaultKind::RateLimited);
        assert_eq!(of(json!({"error": {"message": "x", "code": 502}})), FaultKind::Upstream);
        assert_eq!(of(json!({"error": {"message": "x", "code": "401"}})), FaultKind::Auth);
        assert_eq!(of(json!({"error": {"message": "x", "type": "server_error"}})), FaultKind::Upstream);
    }
}
