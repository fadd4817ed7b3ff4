//! Provider metadata that must go back to the server with the next request, or the model loses its reasoning: collected
//! from pieces, bounded.

use serde_json::json;

use crate::event::Json;

const MAX_METADATA_BYTES: usize = 1024 * 1024;

#[derive(Debug, Default)]
pub(super) struct ChatProviderMetadata {
    reasoning_content: String,
    details: Vec<Json>,
    kept_bytes: usize,
}

impl ChatProviderMetadata {
    pub(super) fn push_reasoning(&mut self, text: &str) {
        self.kept_bytes = self.kept_bytes.saturating_add(text.len());
        if self.kept_bytes <= MAX_METADATA_BYTES {
            self.reasoning_content.push_str(text);
        }
    }

    /// Details are streamed as well: pieces with one index and type are joined.
    pub(super) fn push_detail(&mut self, detail: &Json) {
        self.kept_bytes = self.kept_bytes.saturating_add(detail.to_string().len());
        if self.kept_bytes > MAX_METADATA_BYTES {
            return;
        }
        let same = |last: &Json| ["index", "type"].into_iter().all(|key| last.get(key) == detail.get(key));
        let last = self.details.last_mut().filter(|last| detail.get("index").is_some() && same(last));
        let (Some(Json::Object(last)), Json::Object(more)) = (last, detail) else {
            return self.details.push(detail.clone());
        };
        for (key, value) in more {
            match (last.get_mut(key), value) {
                (Some(Json::String(text)), Json::String(more))
                    if matches!(key.as_str(), "text" | "summary" | "data") =>
                {
                    text.push_str(more);
                }
                (Some(_), Json::Null) => {}
                _ => {
                    last.insert(key.clone(), value.clone());
                }
            }
        }
    }

    /// Some servers reject `reasoning_content` outside a tool loop, so it is only sent back inside one.
    pub(super) fn take(&mut self, has_calls: bool) -> Option<Json> {
        if self.kept_bytes > MAX_METADATA_BYTES {
            return None;
        }
        if !self.details.is_empty() {
            return Some(json!({"reasoning_details": std::mem::take(&mut self.details)}));
        }
        let text = std::mem::take(&mut self.reasoning_content);
        (has_calls && !text.is_empty()).then(|| json!({"reasoning_content": text}))
    }
}
