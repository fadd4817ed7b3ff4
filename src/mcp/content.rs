//! What a call returned, as text and data: for the model, and for whoever reads along.
//!
//! Everything is bounded. What is no text is named, with its kind and size.

use rmcp::model::{CallToolResult, ContentBlock, ResourceContents};

use crate::event::CallOutcome;
use crate::text::human::binary_size;
use crate::text::one_line;
use crate::tool::ToolResult;

/// Text of one result that is kept.
const MAX_TEXT_BYTES: usize = 4 << 20;
const MAX_NAME_CELLS: usize = 200;

/// Returns the result of a call.
pub(super) fn tool_result(result: CallToolResult) -> ToolResult {
    let mut text = String::new();
    for block in &result.content {
        push_block(&mut text, block);
    }
    let outcome = if result.is_error == Some(true) { CallOutcome::Failed } else { CallOutcome::Ok };
    if text.is_empty() {
        match &result.structured_content {
            Some(data) => push_text(&mut text, &serde_json::to_string_pretty(data).unwrap_or_default()),
            None => text.push_str("(no output)"),
        }
    }
    ToolResult { outcome, structured: result.structured_content, ..ToolResult::ok(text) }
}

fn push_block(text: &mut String, block: &ContentBlock) {
    match block {
        ContentBlock::Text(block) => push_text(text, &block.text),
        ContentBlock::Image(image) => push_text(text, &named("image", &image.mime_type, &image.data)),
        ContentBlock::Audio(audio) => push_text(text, &named("audio", &audio.mime_type, &audio.data)),
        ContentBlock::Resource(embedded) => push_text(text, &resource_text(&embedded.resource)),
        ContentBlock::ResourceLink(link) => {
            let title = link.title.as_deref().unwrap_or(&link.name);
            push_text(text, &format!("[{}: {}]", one_line(title, MAX_NAME_CELLS), one_line(&link.uri, MAX_NAME_CELLS)));
        }
        _ => push_text(text, "[a part of a kind that is not known here]"),
    }
}

/// Returns a part of a message as text.
pub(super) fn block_text(block: &ContentBlock) -> String {
    let mut text = String::new();
    push_block(&mut text, block);
    text
}

/// Returns a resource with its address before it.
pub(super) fn resource_text(resource: &ResourceContents) -> String {
    match resource {
        ResourceContents::TextResourceContents { uri, text, .. } => {
            format!("{}:\n{text}", one_line(uri, MAX_NAME_CELLS))
        }
        ResourceContents::BlobResourceContents { uri, mime_type, blob, .. } => {
            named(&one_line(uri, MAX_NAME_CELLS), mime_type.as_deref().unwrap_or("data"), blob)
        }
        _ => "[a resource of a kind that is not known here]".to_owned(),
    }
}

/// Returns what stands for data in base64.
fn named(what: &str, kind: &str, data: &str) -> String {
    format!("[{what}: {}, {}]", one_line(kind, MAX_NAME_CELLS), binary_size(data.len() as u64 * 3 / 4))
}

fn push_text(text: &mut String, piece: &str) {
    let room = MAX_TEXT_BYTES.saturating_sub(text.len());
    if room == 0 || piece.is_empty() {
        return;
    }
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(&piece[..piece.floor_char_boundary(room)]);
    if piece.len() > room {
        text.push_str("\n[the rest is left out]");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn result(data: serde_json::Value) -> ToolResult {
        tool_result(serde_json::from_value(data).unwrap())
    }

    #[test]
    fn every_kind_of_content_becomes_text() {
        let done = result(json!({"content": [
            {"type": "text", "text": "one"},
            {"type": "image", "data": "aGVsbG8=", "mimeType": "image/png"},
            {"type": "resource", "resource": {"uri": "file:///a", "text": "inside"}},
            {"type": "resource", "resource": {"uri": "file:///b", "blob": "AAAA", "mimeType": "x/y"}},
            {"type": "resource_link", "uri": "file:///c", "name": "c"},
        ]}));
        assert_eq!(done.outcome, CallOutcome::Ok);
        assert_eq!(
            done.text,
            "one\n[image: image/png, 6 bytes]\nfile:///a:\ninside\n[file:///b: x/y, 3 bytes]\n[c: file:///c]"
        );
    }

    #[test]
    fn an_error_fails_the_call_and_data_stays_data() {
        let done = result(json!({"content": [{"type": "text", "text": "no"}], "isError": true}));
        assert_eq!((done.outcome, done.text.as_str()), (CallOutcome::Failed, "no"));
        let done = result(json!({"content": [], "structuredContent": {"a": 1}}));
        assert_eq!((done.text.as_str(), done.structured), ("{\n  \"a\": 1\n}", Some(json!({"a": 1}))));
        assert_eq!(result(json!({"content": []})).text, "(no output)");
    }

    #[test]
    fn an_endless_result_is_cut() {
        let long = "é".repeat(MAX_TEXT_BYTES);
        let done = result(json!({"content": [{"type": "text", "text": long}, {"type": "text", "text": "more"}]}));
        assert!(done.text.len() < MAX_TEXT_BYTES + 100 && done.text.ends_with("left out]"));
    }
}
