//! Outcomes of calls and answers in enclava's format.

use serde_json::json;

use super::super::error;
use crate::event::{CallOutcome, Fault, FaultKind, Json, Usage};

/// Parses the outcome of a call. The output is JSON text: a string is shown without quotes, null as nothing.
pub(super) fn parse_call_outcome(output: Option<&Json>, status: Option<&str>) -> (CallOutcome, String) {
    let json_and_text = match output {
        Some(Json::String(text)) => {
            serde_json::from_str(text).ok().map_or_else(|| (json!(text), text.clone()), |json| (json, text.clone()))
        }
        Some(json) => (json.clone(), json.to_string()),
        None => (Json::Null, String::new()),
    };
    let (json, text) = json_and_text;
    let is_error = |key: &str| match json.get(key) {
        Some(Json::String(text)) => !text.is_empty(),
        Some(Json::Object(object)) => !object.is_empty(),
        _ => false,
    };
    let failed = status == Some("failed") || is_error("error") || is_error("error_message");
    let text = match json {
        Json::Null => String::new(),
        Json::String(text) => text,
        _ => text,
    };
    (if failed { CallOutcome::Failed } else { CallOutcome::Ok }, text)
}

/// A refusal for lack of credit is not a server fault, and a retry does not help.
pub(super) fn parse_fault(server_error: &error::ServerError) -> Fault {
    if server_error.code.contains("budget") {
        return Fault::new(
            FaultKind::LimitReached,
            format!("the server's budget is used up: {}", server_error.message),
        );
    }
    error::to_fault(server_error)
}

pub(super) fn parse_usage(json: &Json) -> Option<Usage> {
    json.get("usage").and_then(super::super::usage::parse)
}
