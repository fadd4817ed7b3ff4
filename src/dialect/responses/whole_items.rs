//! Complete items in announcements and closing frames: matched with those that were streamed, and emitted where they
//! are new. Of a tool's item that is its name, its arguments as JSON, its outcome and its output as text.
//!
//! An unknown item type that ends in `_call` is a tool of the server's.

use serde_json::{Map, json};

use super::emitter::ResponsesEmitter;
use super::items::{ResponsesItemKind, TextChannel, ran_by, text_key};
use super::{list_at, text_at};
use crate::dialect::error;
use crate::dialect::unknown_frames::UnknownFrames;
use crate::event::{CallOutcome, ExecutedBy, Json, NoticeCode, NoticeLevel, ReplyEvent};
use crate::text::human::binary_size;

/// Items and parts of one list that are read.
pub(super) const MAX_LISTED: usize = 4096;
/// Results and sources listed of one call.
const MAX_LISTED_LINES: usize = 64;

/// Takes an item at its start or complete. `nth` counts the items of its kind where a list has them all.
pub(super) fn reconcile_item(
    emitter: &mut ResponsesEmitter,
    odd: &mut UnknownFrames,
    json: &Json,
    index: Option<u64>,
    done: bool,
    nth: Option<usize>,
    out: &mut Vec<ReplyEvent>,
) {
    let item_type = text_at(json, "type").unwrap_or_default();
    let id = text_at(json, "id");
    let Some(kind) = ResponsesItemKind::parse(item_type) else {
        // The end of the answer lists it again.
        if done && emitter.items.was_told(id) {
            return;
        }
        match (item_type, text_at(json, "encrypted_content")) {
            ("compaction" | "compaction_summary", Some(_)) if done => {
                emitter.provider_metadata.record_item(emitter.items.list.len(), None, None, json);
                let text = "the server shortened the conversation to a summary of its own".to_owned();
                out.push(ReplyEvent::Notice { level: NoticeLevel::Info, code: NoticeCode::Compacting, text });
            }
            ("compaction" | "compaction_summary", _) => {}
            ("additional_tools", _) if done => report_tools(json, out),
            // Ours, and the start of one that comes whole.
            ("additional_tools" | "mcp_approval_response", _) => {}
            _ => odd.report(if item_type.is_empty() { "an item without a type" } else { item_type }, out),
        }
        return;
    };
    let items = &mut emitter.items;
    let call_id = text_at(json, "call_id");
    // One id may stand for two calls of two items; items whose id changed keep their position.
    let by_id = id.and_then(|id| items.find_id(id, kind));
    let by_call = call_id.filter(|_| kind == ResponsesItemKind::Call).and_then(|id| items.find_call(id));
    let by_call = by_call.filter(|at| items.may_be_at(*at, index));
    let known = by_id.or(by_call);
    let known =
        known.or_else(|| if done { items.find(id, index, kind) } else { items.find_announced(id, index, kind) });
    let known = known.or_else(|| {
        let mut of_kind = items.list.iter().enumerate().filter(|(_, item)| item.kind == kind);
        of_kind.nth(nth?).map(|(at, _)| at)
    });
    let Some(at) = known.or_else(|| items.add(id, index, kind, item_type)) else {
        return odd.report("too many output items", out);
    };
    let Some(item) = items.get(at).filter(|item| !item.is_done) else { return };
    item.id = item.id.take().or_else(|| id.map(Into::into));
    item.index = item.index.or(index);
    // Servers that announce only complete items never send the event that ends one.
    let is_finished = matches!(text_at(json, "status"), Some("completed" | "failed"));
    let is_told_whole = match kind {
        ResponsesItemKind::Message => is_finished && !list_at(json, "content").is_empty(),
        ResponsesItemKind::Output => is_finished,
        ResponsesItemKind::Reasoning | ResponsesItemKind::Call => false,
    };
    let is_whole = done || is_told_whole;
    item.is_done = is_whole;
    match kind {
        ResponsesItemKind::Message | ResponsesItemKind::Reasoning if is_whole => {
            reconcile_content(emitter, at, json, out);
        }
        ResponsesItemKind::Message | ResponsesItemKind::Reasoning => {}
        ResponsesItemKind::Call => reconcile_call(emitter, at, json, item_type, is_whole, out),
        ResponsesItemKind::Output => reconcile_call_output(emitter, at, json, is_whole, out),
    }
    if is_whole && kind == ResponsesItemKind::Message {
        emitter.note_item_over(at, out);
    }
    if is_whole && (kind != ResponsesItemKind::Call || ran_by(item_type) == ExecutedBy::Client) {
        let message = emitter.items.get(at).and_then(|item| item.message.clone());
        emitter.provider_metadata.record_item(at, Some(kind), message.as_ref(), json);
    }
}

/// Names the tools that the server lets the model use from here on.
fn report_tools(json: &Json, out: &mut Vec<ReplyEvent>) {
    let text = format!("the server added tools: {}", tool_names(json).join(", "));
    out.push(ReplyEvent::Notice { level: NoticeLevel::Info, code: NoticeCode::Tools, text });
}

/// Returns the names of the tools that an item lists; of one without a name, its type.
fn tool_names(json: &Json) -> Vec<String> {
    let name = |tool: &Json| {
        let name = text_at(tool, "name").or_else(|| text_at(tool, "server_label")).or_else(|| text_at(tool, "type"));
        error::to_single_line(name.unwrap_or("?"))
    };
    list_at(json, "tools").iter().take(MAX_LISTED_LINES).map(name).collect()
}

/// Reconciles the texts of a complete message or reasoning item.
fn reconcile_content(emitter: &mut ResponsesEmitter, at: usize, json: &Json, out: &mut Vec<ReplyEvent>) {
    let parts = list_at(json, "summary").iter().map(|part| (part, true));
    let parts = parts.chain(list_at(json, "content").iter().map(|part| (part, false)));
    let mut seen: Vec<TextChannel> = Vec::new();
    for (part, is_summary) in parts.take(MAX_LISTED) {
        let Some((channel, text)) = part_text(part, is_summary) else { continue };
        let nth = seen.iter().filter(|known| **known == channel).count();
        seen.push(channel);
        let Some(item) = emitter.items.get(at) else { return };
        let index = item.nth_index(channel, nth);
        let is_cited = item.part(channel, index).is_none_or(|part| part.is_cited);
        emitter.reconcile_text(at, channel, index, text, out);
        for annotation in list_at(part, "annotations").iter().filter(|_| !is_cited) {
            emitter.emit_citation(at, annotation, out);
        }
    }
    if let Some(text) = json.get("content").and_then(Json::as_str) {
        emitter.reconcile_text(at, TextChannel::Text, 0, text, out);
    }
}

fn reconcile_call(
    emitter: &mut ResponsesEmitter,
    at: usize,
    json: &Json,
    item_type: &str,
    is_whole: bool,
    out: &mut Vec<ReplyEvent>,
) {
    if let Some(call) = emitter.items.call(at) {
        item_type.clone_into(&mut call.tool);
        call.wire_id = call.wire_id.take().or_else(|| text_at(json, "call_id").map(Into::into));
        if call.name.is_empty() {
            call.name = tool_name(json, item_type);
        }
    }
    if let Some(request) = text_at(json, "approval_request_id") {
        emitter.continue_call(at, request);
    }
    emitter.start(at, out);
    if !is_whole {
        return;
    }
    if let Some(args) = arguments(json, item_type).filter(|args| !args.is_empty()) {
        emitter.reconcile_args(at, args, out);
    }
    // Arguments that were cut off at the output limit must not be run.
    let is_cut = ran_by(item_type) == ExecutedBy::Client && text_at(json, "status") == Some("incomplete");
    if !is_cut {
        emitter.mark_ready(at, text_at(json, "id"), out);
    }
    if let Some((outcome, text)) = parse_result(json, item_type) {
        emitter.finish_call(at, outcome, text, out);
    }
    if item_type == "mcp_approval_request" {
        emitter.ask_approval(at, json, out);
    }
}

/// Handles an output item: of a shell's call, or of a function that the server ran after all.
fn reconcile_call_output(
    emitter: &mut ResponsesEmitter,
    at: usize,
    json: &Json,
    is_whole: bool,
    out: &mut Vec<ReplyEvent>,
) {
    let target = match text_at(json, "call_id") {
        Some(id) => emitter.items.find_call(id),
        // A search that the server makes itself has no id.
        None if text_at(json, "type") == Some("tool_search_output") => emitter.items.newest_call("tool_search_call"),
        None => None,
    };
    let Some(item) = emitter.items.get(at) else { return };
    item.output_of = item.output_of.or(target);
    let target = item.output_of;
    if let Some(target) = target.filter(|_| is_whole) {
        let (outcome, text) = parse_output(json);
        emitter.mark_ready(target, None, out);
        emitter.finish_call(target, outcome, text, out);
    }
}

/// Returns channel and text of a part of a message, of reasoning, or of its summary.
pub(super) fn part_text(part: &Json, is_summary: bool) -> Option<(TextChannel, &str)> {
    let text = || text_at(part, "text");
    match text_at(part, "type").unwrap_or_default() {
        "refusal" => Some((TextChannel::Refusal, text_at(part, "refusal").or_else(text)?)),
        "reasoning_text" => Some((TextChannel::Reasoning, text()?)),
        _ if is_summary => Some((TextChannel::Summary, text()?)),
        "output_text" | "text" => Some((TextChannel::Text, text()?)),
        "output_audio" => Some((TextChannel::Text, text_at(part, "transcript")?)),
        _ => None,
    }
}

/// Returns the tool's name: the item's own, else the one of its type.
fn tool_name(item: &Json, item_type: &str) -> String {
    text_at(item, "name").map_or_else(|| type_name(item_type).to_owned(), Into::into)
}

/// Returns the name that the type alone gives; none for tools with names of their own.
fn type_name(item_type: &str) -> &str {
    match item_type {
        "function_call" | "custom_tool_call" | "mcp_call" | "mcp_approval_request" => "",
        "mcp_list_tools" => item_type,
        _ => item_type.strip_suffix("_call").unwrap_or(item_type),
    }
}

/// Returns the arguments as JSON text, where the item has them.
fn arguments(item: &Json, item_type: &str) -> Option<String> {
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
fn parse_result(item: &Json, item_type: &str) -> Option<(CallOutcome, String)> {
    if matches!(item_type, "shell_call" | "mcp_approval_request" | "tool_search_call" | "program")
        || ran_by(item_type) == ExecutedBy::Client
    {
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
fn parse_output(item: &Json) -> (CallOutcome, String) {
    let output = item.get("output").or_else(|| item.get("result")).unwrap_or(&Json::Null);
    if text_at(item, "type") == Some("tool_search_output") {
        return (CallOutcome::Ok, tool_names(item).join("\n"));
    }
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
    error::parse_error_object(error).map_or_else(|| error.to_string(), |said| said.message)
}

/// Returns a string as it is, a list as the texts of its parts, anything else as JSON.
fn output_text(output: &Json) -> String {
    match output {
        Json::Null => String::new(),
        Json::String(text) => text.clone(),
        Json::Array(parts) => parts.iter().map(output_part_text).collect(),
        other => other.to_string(),
    }
}

fn output_part_text(part: &Json) -> String {
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
