//! Items and their parts as JSON objects, in the order of fields of the official server. Answers are made of them, and
//! so are the items of stored requests.

use serde_json::json;

use crate::event::Json;

/// A part of a user's message.
pub fn input_text(text: &str) -> Json {
    json!({"type": "input_text", "text": text})
}

/// A part of an assistant's message.
pub fn output_text(text: &str, annotations: &[Json]) -> Json {
    json!({"type": "output_text", "text": text, "annotations": annotations})
}

/// A `message`.
pub fn message_item(id: &str, status: &str, role: &str, content: &[Json]) -> Json {
    json!({"id": id, "type": "message", "status": status, "role": role, "content": content})
}

/// A `function_call`, which the client runs.
pub fn function_call_item(id: &str, status: &str, call_id: &str, name: &str, arguments: &str) -> Json {
    json!({"id": id, "type": "function_call", "status": status, "call_id": call_id, "name": name,
        "arguments": arguments})
}

/// What the client returned of a `function_call`.
pub fn function_call_output_item(id: &str, call_id: &str, output: &str) -> Json {
    json!({"id": id, "type": "function_call_output", "status": "completed", "call_id": call_id, "output": output})
}

/// A list of items with the ids of its ends.
pub fn list_object(items: &[Json], has_more: bool) -> Json {
    json!({"object": "list", "data": items, "first_id": item_id(items.first()), "last_id": item_id(items.last()),
        "has_more": has_more})
}

fn item_id(item: Option<&Json>) -> &str {
    item.and_then(|item| item.get("id")?.as_str()).unwrap_or_default()
}
