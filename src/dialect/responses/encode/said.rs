//! What was said: events by number, and the items they made, as they stand.

use serde_json::{Map, json};

use super::super::super::SseFrame;
use crate::event::Json;

#[derive(Debug)]
pub(super) struct Wire {
    /// What the ids of items have of the answer's.
    key: String,
    /// Number of the next event.
    next: u64,
    /// Items in the order they were added.
    pub(super) items: Vec<Json>,
}

impl Wire {
    pub(super) fn new(key: &str) -> Self {
        Self { key: key.to_owned(), next: 0, items: Vec::new() }
    }

    /// Says one event.
    pub(super) fn say(&mut self, name: &str, fields: Json, out: &mut Vec<SseFrame>) {
        let mut event = Map::new();
        event.insert("type".into(), name.into());
        event.insert("sequence_number".into(), self.next.into());
        if let Json::Object(fields) = fields {
            event.extend(fields);
        }
        self.next += 1;
        out.push(SseFrame::named(name, Json::Object(event).to_string()));
    }

    /// Adds an item, which is made of its id. Returns its place and its id.
    pub(super) fn add(
        &mut self,
        prefix: &str,
        item: impl FnOnce(&str) -> Json,
        out: &mut Vec<SseFrame>,
    ) -> (usize, String) {
        let index = self.items.len();
        let id = format!("{prefix}_{}_{index}", self.key);
        let item = item(&id);
        self.say("response.output_item.added", json!({"output_index": index, "item": item}), out);
        self.items.push(item);
        (index, id)
    }

    pub(super) fn done(&mut self, index: usize, item: Json, out: &mut Vec<SseFrame>) {
        self.say("response.output_item.done", json!({"output_index": index, "item": item}), out);
        if let Some(known) = self.items.get_mut(index) {
            *known = item;
        }
    }
}
