//! Tool items: the tool's name, its arguments as JSON, its outcome and its output as text.
//!
//! An unknown item type that ends in `_call` is a tool of the server's.

use serde_json::{Map, json};

use super::wire::{list_at, text_at};
use crate::event::{CallOutcome, ExecutedBy, Json};
use crate::text::human::binary_size;

/// Results and sources listed of one call.
const MAX_LISTED_LINES: usize = 64;

/// Returns who runs calls of this type: the client runs functions and whatever acts on its own machine.
pub(super) fn ran_by(item_type: &str) -> ExecutedBy {
    match item_type {
        "function_call" | "custom_tool_call" | "computer_call" | "local_shell_call" | "apply_patch_call" => {
            ExecutedBy::Client
        }
        _ => ExecutedBy::Server,
    }
}

/// Returns the tool's name: the item's own, else the one of its type.
pub(super) fn tool_name(item: &Json, item_type: &str) -> String {
    text_at(item, "name").map_or_else(|| type_name(item_type).to_owned(), Into::into)
}

/// Returns the name that the type alone gives; none for tools with names of their own.
pub(super) fn type_name(item_type: &str) -> &str {
    match item_type {
        "function_call" | "custom_tool_call" | "mcp_call" | "mcp_approval_request" => "",
        "mcp_list_tools" => item_type,
        _ => item_type.strip_suffix("_call").unwrap_or(item_type),
    }
}

/// The key for the text of a tool that takes plain text, in our arguments and in the server's item.
pub(super) fn text_key(item_type: &str) -> Option<&'static str> {
    match item_type {
        "code_interpreter_call" => Some("code"),
        "custom_tool_call" => Some("input"),
        _ => None,
    }
}

/// Returns the arguments as JSON text, where the item has them.
pub(super) fn arguments(item: &Json, item_type: &str) -> Option<String> {
    let written = |value: &Json| match value {
        Json::Null => None,
        Json::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let picked = |keys: &[&str]| {
        let pick = |key: &&str| {
            item.get(*key).filter(|value| !value.is_null()).map(|value| ((*key).to_owned(), value.clone()))
        };
        let object: Map<String, Json> = keys.iter().filter_map(pick).collect();
        (!object.is_empty()).then(|| Json::Object(object).to_string())
    };
    if let Some(key) = text_key(item_type) {
        return text_at(item, key).map(|text| json!({ key: text }).to_string());
    }
    match item_type {
        "function_call" | "mcp_call" | "mcp_approval_request" => item.get("arguments").and_then(written),
        "file_search_call" => picked(&["queries"]),
        "image_generation_call" => picked(&["revised_prompt", "size", "quality", "background", "output_format"]),
        "mcp_list_tools" => picked(&["server_label"]),
        "apply_patch_call" => item.get("operation").and_then(written),
        "web_search_call" => {
            let mut action = item.get("action")?.clone();
            // The sources are output.
            action.as_object_mut()?.remove("sources");
            Some(action.to_string())
        }
        _ => ["action", "actions", "arguments", "input"].into_iter().find_map(|key| item.get(key).and_then(written)),
    }
}

/// Parses the outcome of a server call; none where it has not ended, or where its output is an item of its own.
pub(super) fn parse_result(item: &Json, item_type: &str) -> Option<(CallOutcome, String)> {
    if matches!(item_type, "shell_call" | "mcp_approval_request") || ran_by(item_type) == ExecutedBy::Client {
        return None;
    }
    if let Some(error) = item.get("error").filter(|error| !error.is_null()) {
        return Some((CallOutcome::Failed, call_error_text(error)));
    }
    let outcome = match text_at(item, "status") {
        Some("failed") => CallOutcome::Failed,
        Some("incomplete") => CallOutcome::Unknown,
        Some("cancelled") => CallOutcome::Cancelled,
        Some("calling") => CallOutcome::Requested,
        _ => CallOutcome::Ok,
    };
    let lines = |key: &str, line: &dyn Fn(&Json) -> String| {
        list_at(item, key).iter().take(MAX_LISTED_LINES).map(line).collect::<Vec<_>>().join("\n")
    };
    let text = match item_type {
        "web_search_call" => {
            let sources = item.get("action").map(|action| list_at(action, "sources")).unwrap_or_default();
            sources.iter().take(MAX_LISTED_LINES).map(source_line).collect::<Vec<_>>().join("\n")
        }
        "file_search_call" => lines("results", &search_result_line),
        "code_interpreter_call" => lines("outputs", &code_output),
        "image_generation_call" => image_note(item),
        "mcp_list_tools" => lines("tools", &|tool| text_at(tool, "name").unwrap_or("?").to_owned()),
        _ => item.get("output").map(output_text).unwrap_or_default(),
    };
    Some((outcome, text))
}

/// Parses an item that is the output of a call.
pub(super) fn parse_output(item: &Json) -> (CallOutcome, String) {
    let output = item.get("output").unwrap_or(&Json::Null);
    let ended_badly = |part: &Json| match part.get("outcome") {
        Some(Json::Object(outcome)) => {
            outcome.get("type").and_then(Json::as_str) != Some("exit")
                || outcome.get("exit_code").is_some_and(|code| code != 0)
        }
        _ => false,
    };
    let failed = text_at(item, "status") == Some("failed")
        || output.as_array().is_some_and(|parts| parts.iter().any(ended_badly));
    (if failed { CallOutcome::Failed } else { CallOutcome::Ok }, output_text(output))
}

/// Reads the error of a call: a string is the tool's own message, as is the content of its result; else the message.
pub fn call_error_text(error: &Json) -> String {
    if let Some(text) = error.as_str() {
        return text.to_owned();
    }
    if let Some(content) = error.get("content") {
        return output_text(content);
    }
    super::super::error::parse_error_object(error).map_or_else(|| error.to_string(), |said| said.message)
}

/// Returns a string as it is, a list as the texts of its parts, anything else as JSON.
fn output_text(output: &Json) -> String {
    match output {
        Json::Null => String::new(),
        Json::String(text) => text.clone(),
        Json::Array(parts) => parts.iter().map(part_text).collect(),
        other => other.to_string(),
    }
}

fn part_text(part: &Json) -> String {
    if let Some(text) = text_at(part, "text") {
        return text.to_owned();
    }
    let mut text: String = ["stdout", "stderr"].into_iter().filter_map(|key| text_at(part, key)).collect();
    let outcome = part.get("outcome").unwrap_or(&Json::Null);
    let note = match (text_at(outcome, "type"), outcome.get("exit_code").and_then(Json::as_i64)) {
        (Some("timeout"), _) => "timed out\n".to_owned(),
        (_, Some(code)) if code != 0 => format!("exit code {code}\n"),
        _ => return text,
    };
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text + &note
}

fn source_line(source: &Json) -> String {
    let parts = ["title", "url", "name"].into_iter().filter_map(|key| text_at(source, key));
    parts.collect::<Vec<_>>().join(" ")
}

fn search_result_line(result: &Json) -> String {
    let name = text_at(result, "filename").or(text_at(result, "file_id")).unwrap_or("?");
    let score = result.get("score").and_then(Json::as_f64).map(|score| format!(" ({score:.2})")).unwrap_or_default();
    let text = text_at(result, "text").map(|text| format!(": {text}")).unwrap_or_default();
    format!("{name}{score}{text}")
}

fn code_output(output: &Json) -> String {
    match (text_at(output, "logs"), text_at(output, "url")) {
        (Some(logs), _) => logs.trim_end_matches('\n').to_owned(),
        (None, Some(url)) => format!("image: {}", url.chars().take(200).collect::<String>()),
        (None, None) => String::new(),
    }
}

/// Images are not shown, only named.
fn image_note(item: &Json) -> String {
    let Some(result) = text_at(item, "result") else { return String::new() };
    let format = text_at(item, "output_format").unwrap_or("image");
    format!("{format}, {}", binary_size((result.len() / 4 * 3) as u64))
}
