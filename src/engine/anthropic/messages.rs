//! PURE. The conversation in the shape that the server accepts.

use std::collections::HashSet;

use serde_json::{Map, json};

use super::super::openai::{args_object, tool_result_text};
use super::super::{HistoryCall, HistoryMessage};
use crate::event::{CallId, CallOutcome, Json, PromptImage};

/// A message under construction.
struct MessageDraft {
    role: &'static str,
    blocks: Vec<Json>,
}

/// Returns the conversation as messages. With `caches`, marks its end with `cache_control`.
pub(super) fn messages(past: &[HistoryMessage], caches: bool) -> Vec<Json> {
    let results: HashSet<&CallId> = past
        .iter()
        .filter_map(|entry| match entry {
            HistoryMessage::Tool { call, .. } => Some(call),
            HistoryMessage::User { .. } | HistoryMessage::Assistant { .. } => None,
        })
        .collect();
    let mut drafts: Vec<MessageDraft> = Vec::new();
    let mut unanswered: HashSet<&CallId> = HashSet::new();
    for entry in past {
        match entry {
            HistoryMessage::User { text, images } => {
                // The vendor has images read best before what is asked about them.
                let text = Some(json!({"type": "text", "text": text})).filter(|_| !text.trim().is_empty());
                append_blocks(&mut drafts, "user", images.iter().map(image_block).chain(text).collect());
            }
            HistoryMessage::Assistant { text, reasoning: _, calls, provider_metadata: metadata } => {
                let ours: Vec<&HistoryCall> =
                    calls.iter().filter(|call| !is_server_call(call) && results.contains(&call.call)).collect();
                unanswered.extend(ours.iter().map(|call| &call.call));
                let kept_blocks = metadata.as_ref().and_then(|metadata| restored_blocks(metadata, text, &ours));
                append_blocks(&mut drafts, "assistant", kept_blocks.unwrap_or_else(|| plain_blocks(text, &ours)));
            }
            HistoryMessage::Tool { call, name: _, output, outcome } => {
                if unanswered.contains(call) {
                    append_blocks(&mut drafts, "user", vec![tool_result(call, output, *outcome)]);
                }
            }
        }
    }
    let last = drafts.len().saturating_sub(1);
    for (at, draft) in drafts.iter_mut().enumerate() {
        if draft.role == "assistant" {
            repair_blocks(&mut draft.blocks, at == last);
        }
    }
    drafts.retain(|draft| !draft.blocks.is_empty());
    if caches
        && let Some(MessageDraft { role: "user", blocks }) = drafts.last_mut()
        && let Some(Json::Object(block)) = blocks.last_mut()
    {
        block.insert("cache_control".into(), json!({"type": "ephemeral"}));
    }
    drafts.into_iter().map(|MessageDraft { role, blocks }| json!({"role": role, "content": content(blocks)})).collect()
}

/// Returns text alone as a string: every server accepts that, while the templates of some fail on a list.
fn content(mut blocks: Vec<Json>) -> Json {
    let is_plain = |block: &Json| {
        block.as_object().is_some_and(|block| block.len() == 2 && block.get("type") == Some(&Json::from("text")))
    };
    if let [block] = blocks.as_mut_slice()
        && is_plain(block)
        && let Some(text @ Json::String(_)) = block.get_mut("text")
    {
        return text.take();
    }
    blocks.into()
}

fn image_block(image: &PromptImage) -> Json {
    let media_type = image.media_type.media_type();
    json!({"type": "image", "source": {"type": "base64", "media_type": media_type, "data": image.base64()}})
}

fn append_blocks(drafts: &mut Vec<MessageDraft>, role: &'static str, mut blocks: Vec<Json>) {
    if let Some(last) = drafts.last_mut().filter(|last| last.role == role) {
        last.blocks.append(&mut blocks);
    } else if !blocks.is_empty() {
        drafts.push(MessageDraft { role, blocks });
    }
}

fn is_server_call(call: &HistoryCall) -> bool {
    call.provider_metadata.as_ref().and_then(|metadata| metadata.get("server")).and_then(Json::as_bool) == Some(true)
}

/// Returns the blocks that the decoder kept, with the client's calls filled in. None if they are another dialect's, or
/// no longer match the conversation.
fn restored_blocks(metadata: &Json, text: &str, calls: &[&HistoryCall]) -> Option<Vec<Json>> {
    let content = metadata.get("content")?.as_array()?;
    let mut rest = text;
    let mut blocks = Vec::new();
    for block in content {
        let kind = block.get("type")?.as_str()?;
        match kind {
            "text" => {
                let text = block.get("text").and_then(Json::as_str).unwrap_or_default();
                rest = rest.strip_prefix(text)?;
                if !text.trim().is_empty() {
                    blocks.push(block.clone());
                }
            }
            "tool_use" => {
                let id = block.get("id").and_then(Json::as_str);
                let known = |call: &&&HistoryCall| {
                    call.provider_metadata.as_ref().and_then(|metadata| metadata.get("id")?.as_str()) == id
                };
                // A call without a result was dropped from the conversation.
                if let (Some(call), Some(block)) = (calls.iter().find(known), block.as_object()) {
                    blocks.push(tool_use(call, block.clone()));
                }
            }
            _ => blocks.push(block.clone()),
        }
    }
    if !rest.trim().is_empty() {
        blocks.push(json!({"type": "text", "text": rest.trim()}));
    }
    Some(blocks)
}

fn plain_blocks(text: &str, calls: &[&HistoryCall]) -> Vec<Json> {
    let text = Some(text.trim_end()).filter(|text| !text.is_empty()).map(|text| json!({"type": "text", "text": text}));
    text.into_iter().chain(calls.iter().map(|call| tool_use(call, Map::new()))).collect()
}

fn tool_use(call: &HistoryCall, mut block: Map<String, Json>) -> Json {
    block.insert("type".into(), "tool_use".into());
    block.insert("id".into(), sanitized_id(&call.call).into());
    block.insert("name".into(), call.name.as_str().into());
    block.insert("input".into(), args_object(call));
    Json::Object(block)
}

fn tool_result(call: &CallId, output: &str, outcome: CallOutcome) -> Json {
    let mut block =
        json!({"type": "tool_result", "tool_use_id": sanitized_id(call), "content": tool_result_text(output, outcome)});
    if outcome != CallOutcome::Ok {
        block["is_error"] = true.into();
    }
    block
}

/// Returns an id in the only accepted form; those of other servers may have other characters.
fn sanitized_id(call: &CallId) -> String {
    call.as_str().chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' }).collect()
}

/// Removes blocks that the server would reject: calls of its tools without a result, unless it was in the middle of one
/// and continues here, and thinking at the end.
fn repair_blocks(blocks: &mut Vec<Json>, goes_on: bool) {
    let word = |block: &Json, key: &str| block.get(key).and_then(Json::as_str).map(str::to_owned);
    let answered: HashSet<String> = blocks.iter().filter_map(|block| word(block, "tool_use_id")).collect();
    let mut called: HashSet<String> = HashSet::new();
    blocks.retain(|block| {
        let kind = word(block, "type").unwrap_or_default();
        if matches!(kind.as_str(), "server_tool_use" | "mcp_tool_use") {
            let id = word(block, "id").unwrap_or_default();
            let keep = goes_on || answered.contains(&id);
            called.insert(id);
            return keep;
        }
        !kind.ends_with("_tool_result") || word(block, "tool_use_id").is_some_and(|id| called.contains(&id))
    });
    if goes_on {
        return;
    }
    while blocks.last().and_then(|block| word(block, "type")).is_some_and(|kind| kind.ends_with("thinking")) {
        blocks.pop();
    }
}
