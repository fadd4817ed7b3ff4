//! Provider metadata that goes back with the next request, since nothing is stored at the server: encrypted reasoning,
//! and its place in the answer.
//!
//! A message's metadata is `{"responses": {"model"?, "items": […]}}`. Reasoning is verbatim except for its id: with an
//! id, the server would look for an item that it never stored. Messages and calls are only referred to, their content
//! is in the conversation.

use serde_json::{Map, json};

use super::items::ResponsesItemKind;
use super::wire::{list_at, text_at};
use crate::event::{Json, MessageId};

const MAX_METADATA_BYTES: usize = 1024 * 1024;

#[derive(Debug)]
struct MetadataEntry {
    item: usize,
    message: Option<MessageId>,
    json: Json,
}

#[derive(Debug, Default)]
pub(super) struct ResponsesProviderMetadata {
    entries: Vec<MetadataEntry>,
    kept_bytes: usize,
    /// It has content that must be sent back.
    is_needed: bool,
}

impl ResponsesProviderMetadata {
    /// Records a complete item.
    pub(super) fn record_item(
        &mut self,
        item: usize,
        kind: Option<ResponsesItemKind>,
        message: Option<&MessageId>,
        json: &Json,
    ) {
        let mut entry = Map::new();
        let mut keep = |key: &str| {
            if let Some(value) = json.get(key).filter(|value| !value.is_null()) {
                entry.insert(key.to_owned(), value.clone());
            }
        };
        keep("type");
        match kind {
            Some(ResponsesItemKind::Message) => {
                keep("phase");
                self.is_needed |= json.get("phase").is_some_and(Json::is_string);
            }
            Some(ResponsesItemKind::Call) => keep("id"),
            // Encrypted reasoning, or the server's compaction of a long conversation.
            Some(ResponsesItemKind::Reasoning) | None if text_at(json, "encrypted_content").is_some() => {
                self.is_needed = true;
                keep("summary");
                keep("content");
                keep("encrypted_content");
            }
            // Servers that run open models send their reasoning in plain text, and need the id.
            Some(ResponsesItemKind::Reasoning) if !list_at(json, "content").is_empty() => {
                self.is_needed = true;
                keep("id");
                keep("summary");
                keep("content");
            }
            Some(ResponsesItemKind::Reasoning | ResponsesItemKind::Output) | None => return,
        }
        let json = Json::Object(entry);
        self.kept_bytes = self.kept_bytes.saturating_add(json.to_string().len());
        if self.kept_bytes <= MAX_METADATA_BYTES {
            self.entries.push(MetadataEntry { item, message: message.cloned(), json });
        }
    }

    /// Returns whether calls must carry the ids of their items.
    pub(super) fn is_needed(&self) -> bool {
        self.is_needed
    }

    /// Assigns the items before a message's content to that message.
    pub(super) fn assign_message(&mut self, message: &MessageId) {
        for entry in self.entries.iter_mut().filter(|entry| entry.message.is_none()) {
            entry.message = Some(message.clone());
        }
    }

    /// Takes the metadata of a message.
    pub(super) fn take_for(&mut self, message: &MessageId, model: Option<&str>) -> Option<Json> {
        if !self.is_needed || self.kept_bytes > MAX_METADATA_BYTES {
            return None;
        }
        let mut mine: Vec<&MetadataEntry> =
            self.entries.iter().filter(|entry| entry.message.as_ref() == Some(message)).collect();
        mine.sort_by_key(|entry| entry.item);
        if !mine.iter().any(|entry| {
            entry.json.as_object().is_some_and(|object| object.keys().any(|key| key != "type" && key != "id"))
        }) {
            return None;
        }
        let items: Vec<&Json> = mine.into_iter().map(|entry| &entry.json).collect();
        let mut metadata = json!({ "items": items });
        if let Some(model) = model {
            metadata["model"] = model.into();
        }
        Some(json!({ "responses": metadata }))
    }
}
