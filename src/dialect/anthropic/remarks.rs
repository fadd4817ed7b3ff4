//! Blocks that are no part of the answer's words: what the server did meanwhile, and files that it made.
//!
//! Source: the content blocks of the Python package `anthropic`, stable and beta.

use serde_json::json;

use super::super::error::to_single_line;
use crate::event::{Annotation, Json, NoticeCode, NoticeLevel, ReplyEvent, ReplyTarget};

/// Tools of one listing that are named.
const MAX_TOOLS: usize = 32;

/// Tells of a block. Returns false where its kind is not known here.
pub(super) fn emit(kind: &str, block: &Json, out: &mut Vec<ReplyEvent>) -> bool {
    let word = |place: &str| block.pointer(place).and_then(Json::as_str).map(to_single_line).unwrap_or_default();
    let (code, text) = match kind {
        "compaction" => {
            (NoticeCode::Compacting, "the server shortened the conversation to a summary of its own".to_owned())
        }
        "fallback" => {
            let (from, to) = (word("/from/model"), word("/to/model"));
            (NoticeCode::Model, format!("{from} declined to go on; the rest of the answer is by {to}"))
        }
        "mcp_tool_listing" => {
            let tools = block.get("tools").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
            let names = tools.iter().take(MAX_TOOLS).filter_map(|tool| tool.get("name")?.as_str()).map(to_single_line);
            let names: Vec<String> = names.collect();
            (NoticeCode::Tools, format!("{} offers the model: {}", word("/mcp_server_name"), names.join(", ")))
        }
        "tool_addition" | "tool_removal" => {
            let name = [word("/name"), word("/tool/name")].into_iter().find(|name| !name.is_empty());
            let deed = if kind == "tool_addition" { "added" } else { "removed" };
            (NoticeCode::Tools, format!("the server {deed} a tool: {}", name.unwrap_or_else(|| "?".into())))
        }
        "container_upload" => {
            let part = json!({"kind": "file", "file_id": block.get("file_id").cloned().unwrap_or_default()});
            out.push(ReplyEvent::Annotation { on: ReplyTarget::Reply, annotation: Annotation::Part(part) });
            return true;
        }
        _ => return false,
    };
    out.push(ReplyEvent::Notice { level: NoticeLevel::Info, code, text });
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_did_is_told_and_never_shown_as_data() {
        for (block, told) in [
            (json!({"type": "compaction", "content": "…"}), "shortened the conversation"),
            (
                json!({"type": "fallback", "from": {"model": "a"}, "to": {"model": "b"}}),
                "a declined to go on; the rest of the answer is by b",
            ),
            (
                json!({"type": "mcp_tool_listing", "mcp_server_name": "s", "tools": [{"name": "x"}, {"name": "y"}]}),
                "s offers the model: x, y",
            ),
            (json!({"type": "tool_removal", "name": "x"}), "removed a tool: x"),
        ] {
            let mut out = Vec::new();
            assert!(emit(block["type"].as_str().unwrap(), &block, &mut out));
            assert!(
                matches!(&out[..], [ReplyEvent::Notice { level: NoticeLevel::Info, text, .. }] if text.contains(told)),
                "{out:?}"
            );
        }
        let mut out = Vec::new();
        assert!(emit("container_upload", &json!({"file_id": "f"}), &mut out));
        assert!(
            matches!(&out[..], [ReplyEvent::Annotation { annotation: Annotation::Part(part), .. }] if part["file_id"] == "f")
        );
        assert!(!emit("new_block", &json!({}), &mut Vec::new()));
    }
}
