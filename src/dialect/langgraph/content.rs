//! Reads LangChain's messages: their kind, text, reasoning and results, in every form that they are serialized in.

use super::super::finish_reason::WireFinishReason;
use crate::event::{CallOutcome, FinishReason, Json};

/// Whose message it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MessageKind {
    Assistant,
    /// The result of a call.
    Tool,
    User,
    /// A system prompt, a removal and the like.
    Other,
}

/// Returns the fields of a message: LangChain's own form wraps them.
pub(super) fn fields(message: &Json) -> &Json {
    message.get("kwargs").filter(|_| message.get("lc").is_some()).unwrap_or(message)
}

/// Returns the kind of a message, and whether it calls itself a piece of one.
pub(super) fn kind(message: &Json) -> (MessageKind, bool) {
    let name = match message.get("id") {
        Some(Json::Array(path)) if message.get("lc").is_some() => path.last().and_then(Json::as_str),
        _ => message.get("type").or_else(|| message.get("role")).and_then(Json::as_str),
    };
    let name = name.unwrap_or_default();
    let is_piece = name.ends_with("Chunk");
    let kind = match name.trim_end_matches("Chunk").trim_end_matches("Message") {
        "ai" | "AI" | "assistant" | "Chat" => MessageKind::Assistant,
        "tool" | "Tool" | "function" | "Function" => MessageKind::Tool,
        "human" | "Human" | "user" => MessageKind::User,
        _ => MessageKind::Other,
    };
    (kind, is_piece)
}

/// Returns the id of a message; empty where it has none.
pub(super) fn id(fields: &Json) -> &str {
    fields.get("id").and_then(Json::as_str).unwrap_or_default()
}

/// Returns what is equal in the ids that the modes give one message: a run's name with or without a prefix, and the
/// number of the answer behind it.
pub(super) fn bare_id(id: &str) -> &str {
    const UUID_BYTES: usize = 36;
    let bare = ["lc_run--", "run--", "run-"].iter().find_map(|prefix| id.strip_prefix(prefix)).unwrap_or(id);
    match bare.get(UUID_BYTES..).and_then(|rest| rest.strip_prefix('-')) {
        Some(number) if number.bytes().all(|byte| byte.is_ascii_digit()) => bare.get(..UUID_BYTES).unwrap_or(bare),
        _ => bare,
    }
}

/// Returns the text and the reasoning of a message or a piece of one.
pub(super) fn texts(fields: &Json) -> (String, String) {
    let (mut text, mut reasoning) = (String::new(), String::new());
    match fields.get("content") {
        Some(Json::String(content)) => text.push_str(content),
        Some(Json::Array(blocks)) => blocks.iter().for_each(|block| add_block(block, &mut text, &mut reasoning)),
        _ => {}
    }
    if reasoning.is_empty()
        && let Some(told) = fields.pointer("/additional_kwargs/reasoning_content").and_then(Json::as_str)
    {
        reasoning.push_str(told);
    }
    (text, reasoning)
}

/// Adds the text of a block: vendors' own blocks are among them.
fn add_block(block: &Json, text: &mut String, reasoning: &mut String) {
    if let Json::String(words) = block {
        return text.push_str(words);
    }
    let word = |key: &str| block.get(key).and_then(Json::as_str);
    match word("type").unwrap_or_default() {
        "thinking" => reasoning.push_str(word("thinking").unwrap_or_default()),
        "reasoning" | "reasoning_content" => {
            let summary = block.get("summary").and_then(Json::as_array).into_iter().flatten();
            let told = word("reasoning").or_else(|| block.pointer("/reasoning_content/text")?.as_str());
            reasoning.push_str(told.unwrap_or_default());
            summary.filter_map(|part| part.get("text")?.as_str()).for_each(|part| reasoning.push_str(part));
        }
        "text" | "text_delta" | "output_text" | "" => text.push_str(word("text").unwrap_or_default()),
        _ => {}
    }
}

/// Returns the result that a tool's message holds, as text.
pub(super) fn tool_text(fields: &Json) -> String {
    match fields.get("content") {
        Some(Json::String(text)) => text.clone(),
        Some(Json::Array(blocks)) => {
            let is_text = |block: &Json| block.is_string() || block.get("text").is_some_and(Json::is_string);
            if blocks.iter().all(is_text) { texts(fields).0 } else { Json::from(blocks.clone()).to_string() }
        }
        None | Some(Json::Null) => String::new(),
        Some(other) => other.to_string(),
    }
}

pub(super) fn tool_outcome(fields: &Json) -> CallOutcome {
    if fields.get("status").and_then(Json::as_str) == Some("error") { CallOutcome::Failed } else { CallOutcome::Ok }
}

/// Returns the word for why a message is over.
pub(super) fn reason(fields: &Json) -> Option<&str> {
    let metadata = fields.get("response_metadata")?;
    let keys = ["finish_reason", "stop_reason", "done_reason", "finishReason", "stopReason"];
    keys.iter().find_map(|key| metadata.get(*key)?.as_str())
}

/// Returns why a message is over, if that is not how an answer should end.
pub(super) fn early_reason(fields: &Json) -> Option<FinishReason> {
    reason(fields).and_then(parse_early_reason)
}

/// Returns what a word means, if it is not how an answer should end.
pub(super) fn parse_early_reason(word: &str) -> Option<FinishReason> {
    let reason = WireFinishReason::parse(word).to_finish_reason();
    matches!(reason, FinishReason::Length | FinishReason::Refused).then_some(reason)
}
