//! The frames of a deep research: no chunks but objects with a `type`. Searches are server calls, the synthesis is the
//! answer. It always ends with `done`, also after an error.

use serde_json::json;

use super::super::FirstFrame;
use super::super::chat::ChatDecoder;
use super::calls::{OpenJarvisCalls, ToolCallEnd, ToolCallStart};
use super::{about_turn, progress_event};
use crate::event::{Annotation, Fault, FaultKind, Json, ReplyEvent, ReplyTarget};

/// Titles listed of one search.
const MAX_TITLES: usize = 50;

const FRAME_TYPES: &[&str] = &[
    "search_call",
    "search_result",
    "clarify_call",
    "clarify_response",
    "system_metrics",
    "synthesis",
    "final_sources",
    "error",
    "done",
];

/// A cheap check before the frame is parsed.
pub(super) fn may_be_research(data: &str) -> bool {
    !data.contains("\"choices\"") && data.contains("\"type\"")
}

/// Returns whether a first frame is of a type that a research has.
pub(super) fn is_research_kind(first: &FirstFrame<'_>) -> bool {
    let kind = first.kind();
    FRAME_TYPES.contains(&kind) && (kind != "error" || first.has("message"))
}

pub(super) fn is_research_frame(json: &Json) -> bool {
    let kind = json.get("type").and_then(Json::as_str).unwrap_or_default();
    // Errors of other servers have an `error` inside, or another field for the message.
    let is_error = kind != "error" || json.get("message").is_some();
    is_error && FRAME_TYPES.contains(&kind) && json.get("choices").is_none() && json.get("error").is_none()
}

pub(super) fn decode(json: &Json, chat: &mut ChatDecoder, calls: &mut OpenJarvisCalls, out: &mut Vec<ReplyEvent>) {
    let text = |key: &str| json.get(key).and_then(Json::as_str).unwrap_or_default();
    let value = |key: &str| json.get(key).cloned().unwrap_or(Json::Null);
    match text("type") {
        "search_call" => start_call("search", &value("arguments"), chat, calls, out),
        "search_result" => {
            let sources = value("sources");
            if let Some(call) = calls.running_call("search").filter(|_| has_entries(&sources)) {
                let (on, annotation) = (ReplyTarget::Call(call), Annotation::Sources(sources));
                out.push(ReplyEvent::Annotation { on, annotation });
            }
            calls.finish(ToolCallEnd::new("search", hits_text(json)), true, chat, out);
        }
        "clarify_call" => start_call("clarify", &json!({"question": value("question")}), chat, calls, out),
        "clarify_response" => {
            calls.finish(ToolCallEnd::new("clarify", text("response").to_owned()), true, chat, out);
        }
        "system_metrics" => {
            let pairs = ["power_w", "energy_j", "duration_s"].map(|key| (key.to_owned(), value(key)));
            let data: serde_json::Map<String, Json> =
                pairs.into_iter().filter(|(_, value)| value.is_number()).collect();
            out.push(about_turn(Annotation::Energy(data.into())));
        }
        "synthesis" => chat.push_delta(text("text"), out),
        "final_sources" => annotate_sources(value("sources"), out),
        "error" => {
            let detail = Some(text("message")).filter(|detail| !detail.is_empty());
            let message = detail.unwrap_or("the research failed; the server gave no reason");
            chat.set_fault(Fault::new(FaultKind::Upstream, message.chars().take(4000).collect::<String>()));
        }
        "done" => {
            annotate_sources(value("sources"), out);
            if let Some(word) = Some(text("finish_reason")).filter(|word| !word.is_empty()) {
                chat.set_finish_reason(word, out);
            }
            chat.finish_stream(json.get("usage"));
        }
        _ => {}
    }
}

fn start_call(
    name: &str,
    arguments: &Json,
    chat: &mut ChatDecoder,
    calls: &mut OpenJarvisCalls,
    out: &mut Vec<ReplyEvent>,
) {
    chat.begin_message(out);
    out.push(progress_event(json!({"step": name, "label": name})));
    // Past the limit of calls only the progress is reported.
    let _ = calls.start(ToolCallStart::new(name, arguments), true, chat, out);
}

fn annotate_sources(data: Json, out: &mut Vec<ReplyEvent>) {
    if has_entries(&data) {
        out.push(about_turn(Annotation::Sources(data)));
    }
}

fn has_entries(list: &Json) -> bool {
    list.as_array().is_some_and(|list| !list.is_empty())
}

/// `3 hits` and their titles, one per line.
fn hits_text(json: &Json) -> String {
    let count = json.get("num_hits").and_then(Json::as_u64);
    let mut text = match count {
        Some(1) => "1 hit".to_owned(),
        Some(n) => format!("{n} hits"),
        None => String::new(),
    };
    let titles = json.get("top_titles").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
    for title in titles.iter().filter_map(Json::as_str).take(MAX_TITLES) {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(title);
    }
    text
}
