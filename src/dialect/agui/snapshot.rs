//! `MESSAGES_SNAPSHOT`: the conversation as the agent has it. Streamed messages are recognized by id or by exact text
//! and only completed; the others are emitted, except those before our own prompt.

use super::super::agent_calls::{AgentCallStart, AgentCalls};
use super::messages::{AgUiMessages, Speaker};
use crate::event::{CallOutcome, ExecutedBy, Json, ReplyEvent, Role};

/// Newest messages of one snapshot that are read.
const MAX_MESSAGES: usize = 1024;

pub(super) fn reconcile(
    list: &[Json],
    is_prompted: bool,
    messages: &mut AgUiMessages,
    calls: &mut AgentCalls,
    out: &mut Vec<ReplyEvent>,
) {
    let role = |message: &Json| message.get("role").and_then(Json::as_str).unwrap_or_default().to_owned();
    let prompt = list.iter().rposition(|message| role(message) == "user").filter(|_| is_prompted);
    let from = prompt.map_or(0, |at| at + 1).max(list.len().saturating_sub(MAX_MESSAGES));
    for message in list.iter().skip(from) {
        match role(message).as_str() {
            "assistant" => reconcile_assistant(message, messages, calls, out),
            "tool" => reconcile_result(message, messages, calls, out),
            "reasoning" if !messages.has_open_reasoning() => {
                let text = content_text(message.get("content"));
                messages.push_reasoning(message_id(message), text.into(), false, &Speaker::default(), out);
            }
            _ => {}
        }
    }
}

fn reconcile_assistant(message: &Json, messages: &mut AgUiMessages, calls: &mut AgentCalls, out: &mut Vec<ReplyEvent>) {
    let text = content_text(message.get("content"));
    let calls_field = message.get("toolCalls").or_else(|| message.get("tool_calls"));
    let calls_field = calls_field.and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
    let additions: Vec<&Json> =
        calls_field.iter().filter(|call| !message_id(call).is_some_and(|id| calls.is_known(id))).collect();
    let known =
        message_id(message).and_then(|id| messages.find_by_wire_id(id)).or_else(|| messages.find_by_text(&text));
    if let Some(at) = known {
        let is_open = messages.is_open(at);
        let missing = messages.get(at).map(|known| text.strip_prefix(known.text.as_str()).map(str::to_owned));
        match missing {
            Some(Some(missing)) if is_open => messages.add_text(at, &missing, out),
            Some(None) if is_open && !text.is_empty() => {
                if let Some(known) = messages.get(at) {
                    known.full_text = Some(text);
                }
            }
            _ => {}
        }
    } else if !text.is_empty() {
        let at = messages.open_for_text(message_id(message), Role::Assistant, &Speaker::default(), out);
        messages.add_text(at, &text, out);
        if additions.is_empty() {
            messages.close(at, None, out);
        }
    }
    for call in calls_field {
        let arguments = call.get("function").unwrap_or(call).get("arguments").and_then(Json::as_str);
        if let (Some(wire), Some(arguments)) = (message_id(call), arguments) {
            // Of a call whose pieces were lost.
            calls.complete(wire, None, arguments, out);
        }
    }
    for call in additions {
        let function = call.get("function").unwrap_or(call);
        let word = |key: &str| function.get(key).and_then(Json::as_str);
        let owner = messages.open_for_call(message_id(message), &Speaker::default(), out);
        let wire = message_id(call).unwrap_or_default();
        calls.start(
            AgentCallStart {
                wire_id: wire,
                name: word("name"),
                message: owner,
                parent: None,
                ran_by: ExecutedBy::Client,
            },
            out,
        );
        let _ = calls.push_args(wire, word("arguments").unwrap_or("{}").into(), false, out);
        calls.mark_ready(wire, out);
    }
}

fn reconcile_result(message: &Json, messages: &mut AgUiMessages, calls: &mut AgentCalls, out: &mut Vec<ReplyEvent>) {
    let word = |key: &str| message.get(key).and_then(Json::as_str).filter(|text| !text.is_empty());
    let Some(wire) = word("toolCallId").or_else(|| word("tool_call_id")) else { return };
    if calls.is_running(wire) {
        let outcome = if word("error").is_some() { CallOutcome::Failed } else { CallOutcome::Ok };
        let text = content_text(message.get("content"));
        let text = if text.is_empty() { word("error").unwrap_or_default().to_owned() } else { text };
        calls.finish(wire, outcome, text, out);
        messages.end_round(&Speaker::default(), out);
    }
}

fn message_id(message: &Json) -> Option<&str> {
    message.get("id").and_then(Json::as_str).filter(|id| !id.is_empty())
}

/// Returns a string, or the joined texts of a list of parts.
fn content_text(content: Option<&Json>) -> String {
    match content {
        Some(Json::String(text)) => text.clone(),
        Some(Json::Array(parts)) => parts.iter().filter_map(|part| part.get("text")?.as_str()).collect(),
        _ => String::new(),
    }
}
