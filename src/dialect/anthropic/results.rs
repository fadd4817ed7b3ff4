//! Output of the server's own tools as text. Each kind of tool has its own shape.

use crate::event::{CallOutcome, Json};

/// Parses a `*_tool_result` block.
pub(super) fn parse_tool_result(block: &Json) -> (CallOutcome, String) {
    let content = block.get("content").unwrap_or(&Json::Null);
    let failed = block.get("is_error").and_then(Json::as_bool) == Some(true) || is_error(content);
    let code = content.get("return_code").and_then(Json::as_i64).unwrap_or(0);
    let outcome = if failed || code != 0 { CallOutcome::Failed } else { CallOutcome::Ok };
    let text = content_text(content);
    if code == 0 {
        return (outcome, text);
    }
    let prefix =
        Some(text.trim_end()).filter(|prefix| !prefix.is_empty()).map_or(String::new(), |prefix| format!("{prefix}\n"));
    (outcome, format!("{prefix}(exit code {code})"))
}

/// Returns the name of the tool that a kind of result belongs to.
pub(super) fn tool_name(kind: &str) -> &str {
    kind.strip_suffix("_tool_result").unwrap_or(kind)
}

fn is_error(content: &Json) -> bool {
    let kind = content.get("type").and_then(Json::as_str).unwrap_or_default();
    kind.ends_with("_error") || content.get("error_code").is_some()
}

/// Returns whether the content is encrypted.
fn is_redacted(content: &Json) -> bool {
    content.get("type").and_then(Json::as_str).is_some_and(|kind| kind.contains("redacted"))
}

fn content_text(content: &Json) -> String {
    let text = |key: &str| content.get(key).and_then(Json::as_str).filter(|text| !text.is_empty());
    match content {
        Json::Null => String::new(),
        Json::String(text) => text.clone(),
        Json::Array(list) => {
            list.iter().map(content_text).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
        }
        // For the model's eyes only.
        Json::Object(_) if is_redacted(content) => String::new(),
        Json::Object(_) if is_error(content) => {
            let parts = [text("error_code"), text("error_message").or_else(|| text("message"))];
            let message = parts.into_iter().flatten().collect::<Vec<_>>().join(": ");
            if message.is_empty() { content.to_string() } else { message }
        }
        Json::Object(object) => {
            if object.contains_key("stdout") || object.contains_key("stderr") {
                return [text("stdout"), text("stderr")].into_iter().flatten().collect::<Vec<_>>().join("\n");
            }
            if let Some(found) = object.get("tool_references") {
                return content_text(found);
            }
            // A fetched page: its title and URL, then its text.
            let page = content.pointer("/content/source/data").and_then(Json::as_str);
            let title = text("title").or_else(|| content.pointer("/content/title").and_then(Json::as_str));
            let head = match (title, text("url")) {
                (Some(title), Some(url)) => Some(format!("{title} — {url}")),
                (title, url) => title.or(url).map(str::to_owned),
            };
            let is_text = content.pointer("/content/source/type").and_then(Json::as_str) == Some("text");
            match (head, page.filter(|_| is_text)) {
                (Some(head), Some(page)) => format!("{head}\n\n{page}"),
                (Some(head), None) => head,
                (None, Some(page)) => page.to_owned(),
                (None, None) => match text("text").or_else(|| text("content")).or_else(|| text("tool_name")) {
                    Some(text) => text.to_owned(),
                    None => content.to_string(),
                },
            }
        }
        Json::Bool(_) | Json::Number(_) => content.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn results_of_every_kind_become_words() {
        let cases = [
            (
                json!({"type": "web_search_tool_result", "content": [
                    {"type": "web_search_result", "title": "Oslo", "url": "https://o", "encrypted_content": "x"},
                    {"type": "web_search_result", "url": "https://p"},
                ]}),
                CallOutcome::Ok,
                "Oslo — https://o\nhttps://p",
            ),
            (
                json!({"content": {"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"}}),
                CallOutcome::Failed,
                "max_uses_exceeded",
            ),
            (
                json!({"content": {"type": "web_fetch_result", "url": "https://o", "content": {
                    "type": "document", "title": "Oslo", "source": {"type": "text", "data": "A city."}}}}),
                CallOutcome::Ok,
                "Oslo — https://o\n\nA city.",
            ),
            (
                json!({"content": {"type": "bash_code_execution_result", "stdout": "a\n", "stderr": "b", "return_code": 2, "content": []}}),
                CallOutcome::Failed,
                "a\n\nb\n(exit code 2)",
            ),
            (
                json!({"content": {"type": "code_execution_result", "stdout": "4\n", "stderr": "", "return_code": 0}}),
                CallOutcome::Ok,
                "4\n",
            ),
            (
                json!({"type": "mcp_tool_result", "is_error": true, "content": [{"type": "text", "text": "no"}]}),
                CallOutcome::Failed,
                "no",
            ),
            (
                json!({"content": {"type": "tool_search_tool_search_result", "tool_references": [
                    {"type": "tool_reference", "tool_name": "clock"}]}}),
                CallOutcome::Ok,
                "clock",
            ),
            (
                json!({"type": "advisor_tool_result", "content": {"type": "advisor_redacted_result", "encrypted_content": "x"}}),
                CallOutcome::Ok,
                "",
            ),
            (json!({"content": {"type": "new", "n": 1}}), CallOutcome::Ok, "{\"type\":\"new\",\"n\":1}"),
            (json!({}), CallOutcome::Ok, ""),
        ];
        for (block, outcome, text) in cases {
            assert_eq!(parse_tool_result(&block), (outcome, text.to_owned()), "{block}");
        }
    }
}
