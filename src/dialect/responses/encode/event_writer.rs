//! The events sent so far by number, and the items that they describe, in their current state.

use serde_json::{Map, json};

use super::super::super::SseFrame;
use crate::event::Json;

fn event(name: &str, number: u64, fields: Json) -> SseFrame {
    let mut event = Map::new();
    event.insert("type".into(), name.into());
    event.insert("sequence_number".into(), number.into());
    if let Json::Object(fields) = fields {
        event.extend(fields);
    }
    SseFrame::named(name, Json::Object(event).to_string())
}

#[derive(Debug)]
pub(super) struct ResponsesEventWriter {
    /// The part of the answer's id that the ids of its items share.
    id_prefix: String,
    /// Number of the next event.
    next_number: u64,
    /// Items in the order in which they were added.
    pub(super) items: Vec<Json>,
}

impl ResponsesEventWriter {
    pub(super) fn new(key: &str) -> Self {
        Self { id_prefix: key.to_owned(), next_number: 0, items: Vec::new() }
    }

    /// Sends one event.
    pub(super) fn send(&mut self, name: &str, fields: Json, out: &mut Vec<SseFrame>) {
        out.push(event(name, self.next_number, fields));
        self.next_number += 1;
    }

    /// Returns an event with the number of the last one: it is not counted.
    pub(super) fn repeat_last(&self, name: &str, fields: Json) -> SseFrame {
        event(name, self.next_number.saturating_sub(1), fields)
    }

    /// Adds an item, which is built from its id. Returns its index and its id.
    pub(super) fn add_item(
        &mut self,
        prefix: &str,
        item: impl FnOnce(&str) -> Json,
        out: &mut Vec<SseFrame>,
    ) -> (usize, String) {
        let index = self.items.len();
        let id = format!("{prefix}_{}_{index}", self.id_prefix);
        let item = item(&id);
        self.send("response.output_item.added", json!({"output_index": index, "item": item}), out);
        self.items.push(item);
        (index, id)
    }

    pub(super) fn finish_item(&mut self, index: usize, item: Json, out: &mut Vec<SseFrame>) {
        self.send("response.output_item.done", json!({"output_index": index, "item": item}), out);
        if let Some(known) = self.items.get_mut(index) {
            *known = item;
        }
    }
}
