//! The output items of an answer while they stream, and the writer that numbers the events about them.

use serde_json::{Map, json};

use super::super::object;
use crate::dialect::SseFrame;
use crate::event::{CallId, CallOutcome, CallOutput, Json, MessageId, TextKind};

/// The server label of our tools.
const MCP_SERVER_LABEL: &str = "jarvis-tui";

/// An open message of the assistant: its text, and its latest reasoning.
#[derive(Debug)]
pub(super) struct EncodedMessage {
    pub(super) id: MessageId,
    pub(super) open_item: Option<MessageItem>,
    pub(super) reasoning: Option<ReasoningItem>,
    /// Bytes of its text in items that are done.
    pub(super) earlier_bytes: usize,
}

impl EncodedMessage {
    pub(super) fn new(id: MessageId) -> Self {
        Self { id, open_item: None, reasoning: None, earlier_bytes: 0 }
    }
}

/// A `message` item. Only its last part is open.
#[derive(Debug)]
pub(super) struct MessageItem {
    pub(super) index: usize,
    pub(super) id: String,
    pub(super) parts: Vec<MessagePart>,
}

impl MessageItem {
    /// Adds the position of the open part to an event's fields.
    pub(super) fn with_position(&self, mut fields: Json) -> Json {
        fields["item_id"] = self.id.as_str().into();
        fields["output_index"] = self.index.into();
        fields["content_index"] = self.parts.len().saturating_sub(1).into();
        fields
    }

    /// The open part in its current state.
    pub(super) fn to_json(&self) -> Json {
        self.parts.last().map_or(Json::Null, MessagePart::to_json)
    }
}

#[derive(Debug)]
pub(super) struct MessagePart {
    pub(super) kind: TextKind,
    pub(super) text: String,
    pub(super) annotations: Vec<Json>,
}

impl MessagePart {
    pub(super) fn new(kind: TextKind) -> Self {
        Self { kind, text: String::new(), annotations: Vec::new() }
    }

    pub(super) fn to_json(&self) -> Json {
        match self.kind {
            TextKind::Text => {
                let mut part = object::output_text(&self.text, &self.annotations);
                part["logprobs"] = json!([]);
                part
            }
            TextKind::Refusal => json!({"type": "refusal", "refusal": self.text}),
        }
    }
}

/// A `reasoning` item.
#[derive(Debug)]
pub(super) struct ReasoningItem {
    pub(super) index: usize,
    pub(super) id: String,
    pub(super) text: String,
}

impl ReasoningItem {
    pub(super) fn with_position(&self, mut fields: Json) -> Json {
        fields["item_id"] = self.id.as_str().into();
        fields["output_index"] = self.index.into();
        fields["summary_index"] = 0.into();
        fields
    }

    pub(super) fn to_part(&self) -> Json {
        json!({"type": "summary_text", "text": self.text})
    }
}

/// A `function_call` or an `mcp_call`.
#[derive(Clone, Debug)]
pub(super) struct EncodedResponsesCall {
    /// The client runs it.
    pub(super) is_client_call: bool,
    pub(super) message: MessageId,
    pub(super) name: String,
    pub(super) args: String,
    /// Its item's index and id, once it was added.
    pub(super) position: Option<(usize, String)>,
    pub(super) is_ready: bool,
    /// Its message ended without being cut off.
    pub(super) is_fully_written: bool,
    pub(super) is_done: bool,
}

impl EncodedResponsesCall {
    pub(super) fn new(is_theirs: bool, message: MessageId) -> Self {
        let (name, args) = (String::new(), String::new());
        Self {
            is_client_call: is_theirs,
            message,
            name,
            args,
            position: None,
            is_ready: false,
            is_fully_written: false,
            is_done: false,
        }
    }

    pub(super) fn event_prefix(&self) -> &'static str {
        if self.is_client_call { "fc" } else { "mcp" }
    }

    /// The name of an event about its arguments.
    pub(super) fn event_name(&self, step: &str) -> String {
        let kind = if self.is_client_call { "function_call" } else { "mcp_call" };
        format!("response.{kind}_arguments.{step}")
    }

    pub(super) fn index(&self) -> usize {
        self.position.as_ref().map_or(0, |at| at.0)
    }

    pub(super) fn with_position(&self, mut fields: Json) -> Json {
        if let Some((index, id)) = &self.position {
            fields["item_id"] = id.as_str().into();
            fields["output_index"] = (*index).into();
        }
        fields
    }

    /// Its item; `result` is the output and the error.
    pub(super) fn item(&self, id: &str, call: &CallId, status: &str, result: Option<(Json, Json)>) -> Json {
        if self.is_client_call {
            return object::function_call_item(id, status, call.as_str(), &self.name, &self.args);
        }
        let (output, error) = result.unwrap_or_default();
        json!({"id": id, "type": "mcp_call", "status": status, "server_label": MCP_SERVER_LABEL, "name": self.name,
            "arguments": self.args, "output": output, "error": error, "approval_request_id": null})
    }

    pub(super) fn item_of(&self, call: &CallId, status: &str, result: Option<(Json, Json)>) -> Json {
        self.item(self.position.as_ref().map_or("", |at| &at.1), call, status, result)
    }

    /// Its finished item. The output of a failed call is the error; that of a stopped call stays output.
    pub(super) fn finished_item(&self, call: &CallId, outcome: CallOutcome, output: &CallOutput) -> Json {
        let text = || Json::from(output.text.as_str());
        let reason = |otherwise: &str| {
            let text = if output.text.is_empty() { otherwise } else { output.text.as_str() };
            json!({"type": "mcp_tool_execution_error", "content": [{"type": "text", "text": text}]})
        };
        let (status, result) = match outcome {
            CallOutcome::Ok => ("completed", (text(), Json::Null)),
            CallOutcome::Failed => ("failed", (Json::Null, reason("the tool failed without an error message"))),
            CallOutcome::Denied => ("failed", (Json::Null, reason("denied"))),
            CallOutcome::Cancelled | CallOutcome::Unknown => ("incomplete", (text(), Json::Null)),
            CallOutcome::Requested => ("calling", (Json::Null, Json::Null)),
        };
        self.item_of(call, status, Some(result))
    }
}

/// Returns a citation as an annotation that the official clients know; none where it has no source.
pub(super) fn citation_annotation(data: &Json, text: &str) -> Option<Json> {
    let kind = data.get("type").and_then(Json::as_str).unwrap_or_default();
    if matches!(kind, "file_citation" | "container_file_citation" | "file_path") {
        return Some(data.clone());
    }
    let field = |key: &str| data.get(key).and_then(Json::as_str);
    let url = field("url")?;
    let end = text.chars().count();
    let place = |key: &str, or: usize| data.get(key).and_then(Json::as_u64).map_or(Json::from(or), Json::from);
    let (start_index, end_index) = (place("start_index", end), place("end_index", end));
    let title = field("title").unwrap_or(url);
    Some(
        json!({"type": "url_citation", "start_index": start_index, "end_index": end_index, "title": title, "url": url}),
    )
}

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
