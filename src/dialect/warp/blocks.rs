//! The kinds of blocks, and their Markdown.

use super::super::borrowed_json::BorrowedJson;
use super::super::plain::code_block;

pub(super) fn block_kind<'a>(block: &'a BorrowedJson<'_>) -> &'a str {
    match block.get("type").and_then(BorrowedJson::as_str) {
        Some("paragraph") | None if block.get("text").and_then(BorrowedJson::as_str).is_some() => "text",
        kind => kind.unwrap_or_default(),
    }
}

pub(super) fn block_text<'a>(block: &'a BorrowedJson<'_>) -> &'a str {
    block.get("text").or_else(|| block.get("content")).and_then(BorrowedJson::as_str).unwrap_or_default()
}

/// Returns the Markdown of a block that is not text.
pub(super) fn to_markdown(block: &BorrowedJson<'_>) -> String {
    let text = |keys: &[&str]| keys.iter().find_map(|key| block.get(key).and_then(BorrowedJson::as_str));
    let pretty_json = || {
        let mut rest = block.to_json();
        if let Some(rest) = rest.as_object_mut() {
            rest.retain(|key, _| key != "streaming");
        }
        code_block("json", &serde_json::to_string_pretty(&rest).unwrap_or_default())
    };
    let body = match block_kind(block) {
        "code" => {
            text(&["code", "content", "text"]).map(|code| (text(&["language", "lang"]).unwrap_or_default(), code))
        }
        "command" => text(&["command", "content", "text"]).map(|command| ("sh", command)),
        "output" => text(&["output", "content", "text"]).map(|output| ("", output)),
        _ => None,
    };
    match body {
        Some((language, body)) if !language.contains(['`', '\n', '\r']) => code_block(language, body.trim_end()),
        _ => pretty_json(),
    }
}

pub(super) fn end_paragraph(text: &mut String) {
    if !text.is_empty() && !text.ends_with("\n\n") {
        text.push_str("\n\n");
    }
}
