//! The events of a turn in the official format: an item is added before its deltas and done after, every event has a
//! number, the closing event repeats the whole answer.
//!
//! | event | item |
//! | --- | --- |
//! | text, refusal | the parts of one `message` per message |
//! | reasoning | a `reasoning` item with one summary part: clients show summaries, few show raw reasoning |
//! | a call that the client runs | `function_call`, done once its arguments are complete |
//! | a call of our own tools, or of a server's | `mcp_call`, done once it ended |
//!
//! Our own tools are `mcp_call` items since those are the format's tools that others run: the item holds name,
//! arguments, output, error and a status that may be `failed`. A `function_call` would ask the client to run it, and
//! its output can't express failure. There is no `error` event: whatever fails in an answer is `response.failed`, which
//! repeats everything before it.

mod output_items;

use std::collections::HashMap;

use serde_json::json;

use self::output_items::{
    EncodedMessage, EncodedResponsesCall, MessageItem, MessagePart, ReasoningItem, ResponsesEventWriter,
};
use super::super::{Encode, KeepAlive, SseFrame};
use super::object::{self, ResponseHead, ResponseState, ResponsesOutcome, SessionOpening};
use crate::event::answer::{AnswerEvent, AnswerUsage, StartedCall};
use crate::event::{CallId, CallOutcome, CallOutput, Envelope, ExecutedBy, FinishReason, Json, MessageId, TextKind};

/// Bytes of text and arguments kept to be repeated at the end of an item and of the answer.
const MAX_KEPT_BYTES: usize = 16 * 1024 * 1024;
/// Citations sent in one answer.
const MAX_CITATIONS: usize = 512;
/// The name of a call of which none is known: the format wants one.
const UNKNOWN_NAME: &str = "unknown";

/// Encodes one answer.
#[derive(Debug)]
pub struct ResponsesEncoder {
    head: ResponseHead,
    opening: SessionOpening,
    has_started: bool,
    writer: ResponsesEventWriter,
    /// Open messages of the assistant.
    messages: Vec<EncodedMessage>,
    calls: HashMap<CallId, EncodedResponsesCall>,
    kept_bytes: usize,
    citations: usize,
    /// Finish reason of the newest message.
    finish_reason: Option<FinishReason>,
    /// The refusal has a text, so it is an answer.
    refused: bool,
    answer_usage: AnswerUsage,
    outcome: Option<ResponsesOutcome>,
}

impl ResponsesEncoder {
    pub fn new(heading: ResponseHead) -> Self {
        let wire = ResponsesEventWriter::new(heading.id_prefix());
        Self {
            head: heading,
            opening: SessionOpening::default(),
            has_started: false,
            writer: wire,
            messages: Vec::new(),
            calls: HashMap::new(),
            kept_bytes: 0,
            citations: 0,
            finish_reason: None,
            refused: false,
            answer_usage: AnswerUsage::default(),
            outcome: None,
        }
    }

    /// The response as stored, however it ended.
    pub fn response(&self) -> Json {
        self.response_object(self.outcome.as_ref().map_or("in_progress", |end| end.event_and_status().1))
    }

    fn response_object(&self, status: &str) -> Json {
        self.state(&self.writer.items).to_json(status)
    }

    /// The response as it was created, without the output since: that may be large, and clients have it.
    fn in_progress(&self) -> Json {
        self.state(&[]).to_json("in_progress")
    }

    fn state<'r>(&'r self, output: &'r [Json]) -> ResponseState<'r> {
        let outcome = self.outcome.as_ref();
        let usage = outcome.map(|_| self.head.usage(&self.answer_usage, self.kept_bytes));
        ResponseState { head: &self.head, opening: &self.opening, outcome, output, usage }
    }

    fn send_lifecycle(&mut self, name: &str, status: &str, out: &mut Vec<SseFrame>) {
        let response = self.response_object(status);
        self.writer.send(name, json!({ "response": response }), out);
    }

    fn send_created(&mut self, out: &mut Vec<SseFrame>) {
        if !std::mem::replace(&mut self.has_started, true) {
            self.send_lifecycle("response.created", "in_progress", out);
            self.send_lifecycle("response.in_progress", "in_progress", out);
        }
    }

    /// Reserves room to repeat a piece later. Returns false where there is none left.
    fn reserve(&mut self, piece: &str) -> bool {
        self.kept_bytes = self.kept_bytes.saturating_add(piece.len());
        self.kept_bytes <= MAX_KEPT_BYTES
    }

    fn encode_text(&mut self, id: &MessageId, text: &str, kind: TextKind, out: &mut Vec<SseFrame>) {
        let Some(at) = self.messages.iter().rposition(|message| message.id == *id) else { return };
        if text.is_empty() {
            return;
        }
        self.end_reasoning(at, "completed", out);
        self.refused |= kind == TextKind::Refusal;
        let part = MessagePart::new(kind);
        if self.messages[at].open_item.is_none() {
            let (index, item_id) =
                self.writer.add_item("msg", |id| object::message_item(id, "in_progress", "assistant", &[]), out);
            self.messages[at].open_item = Some(MessageItem { index, id: item_id, parts: Vec::new() });
        }
        let is_other = |writing: &MessageItem| writing.parts.last().is_none_or(|last| last.kind != kind);
        if self.messages[at].open_item.as_ref().is_some_and(is_other) {
            self.end_part(at, out);
            if let Some(writing) = &mut self.messages[at].open_item {
                writing.parts.push(part);
                let fields = writing.with_position(json!({ "part": writing.to_json() }));
                self.writer.send("response.content_part.added", fields, out);
            }
        }
        let keeps = self.reserve(text);
        let Some(writing) = &mut self.messages[at].open_item else { return };
        if let Some(part) = writing.parts.last_mut().filter(|_| keeps) {
            part.text.push_str(text);
        }
        let (name, fields) = match kind {
            TextKind::Text => ("response.output_text.delta", json!({"delta": text, "logprobs": []})),
            TextKind::Refusal => ("response.refusal.delta", json!({ "delta": text })),
        };
        let fields = writing.with_position(fields);
        self.writer.send(name, fields, out);
    }

    fn end_part(&mut self, at: usize, out: &mut Vec<SseFrame>) {
        let Some(writing) = self.messages.get(at).and_then(|message| message.open_item.as_ref()) else { return };
        let Some(part) = writing.parts.last() else { return };
        let (name, fields) = match part.kind {
            TextKind::Text => ("response.output_text.done", json!({"text": part.text, "logprobs": []})),
            TextKind::Refusal => ("response.refusal.done", json!({ "refusal": part.text })),
        };
        let (fields, part) =
            (writing.with_position(fields), writing.with_position(json!({ "part": writing.to_json() })));
        self.writer.send(name, fields, out);
        self.writer.send("response.content_part.done", part, out);
    }

    fn encode_reasoning(&mut self, id: &MessageId, text: &str, out: &mut Vec<SseFrame>) {
        let Some(at) = self.messages.iter().rposition(|message| message.id == *id) else { return };
        if text.is_empty() {
            return;
        }
        if self.messages[at].reasoning.is_none() {
            let (index, item_id) = self.writer.add_item(
                "rs",
                |id| json!({"id": id, "type": "reasoning", "status": "in_progress", "summary": []}),
                out,
            );
            let reasoning = ReasoningItem { index, id: item_id, text: String::new() };
            let fields = reasoning.with_position(json!({ "part": reasoning.to_part() }));
            self.writer.send("response.reasoning_summary_part.added", fields, out);
            self.messages[at].reasoning = Some(reasoning);
        }
        let keeps = self.reserve(text);
        let Some(reasoning) = &mut self.messages[at].reasoning else { return };
        if keeps {
            reasoning.text.push_str(text);
        }
        let fields = reasoning.with_position(json!({ "delta": text }));
        self.writer.send("response.reasoning_summary_text.delta", fields, out);
    }

    fn end_reasoning(&mut self, at: usize, status: &str, out: &mut Vec<SseFrame>) {
        let Some(reasoning) = self.messages.get_mut(at).and_then(|message| message.reasoning.take()) else { return };
        self.writer.send(
            "response.reasoning_summary_text.done",
            reasoning.with_position(json!({ "text": reasoning.text })),
            out,
        );
        self.writer.send(
            "response.reasoning_summary_part.done",
            reasoning.with_position(json!({ "part": reasoning.to_part() })),
            out,
        );
        let item = json!({"id": reasoning.id, "type": "reasoning", "status": status, "summary": [reasoning.to_part()]});
        self.writer.finish_item(reasoning.index, item, out);
    }

    fn end_message(
        &mut self,
        id: &MessageId,
        finish_reason: FinishReason,
        full: Option<&str>,
        out: &mut Vec<SseFrame>,
    ) {
        let Some(at) = self.messages.iter().rposition(|message| message.id == *id) else { return };
        self.reconcile(at, full, out);
        let status = match finish_reason {
            FinishReason::End | FinishReason::ToolCalls => "completed",
            FinishReason::Refused if self.refused => "completed",
            FinishReason::Refused
            | FinishReason::Length
            | FinishReason::Cancelled
            | FinishReason::Interrupted
            | FinishReason::Failed => "incomplete",
        };
        self.end_items(at, status, out);
        self.messages.remove(at);
        self.finish_reason = Some(finish_reason);
        if matches!(finish_reason, FinishReason::End | FinishReason::ToolCalls) {
            self.end_calls(id, out);
        }
    }

    /// Ends the calls of a finished message: their arguments are all that the model wrote, valid or not.
    fn end_calls(&mut self, message: &MessageId, out: &mut Vec<SseFrame>) {
        let mut written: Vec<(usize, CallId)> = Vec::new();
        for (id, call) in self.calls.iter_mut().filter(|(_, call)| call.message == *message) {
            call.is_fully_written = true;
            if call.is_client_call && call.is_ready && !call.is_done {
                written.push((call.index(), id.clone()));
            }
        }
        written.sort();
        for (_, id) in written {
            self.finish_client_call(&id, out);
        }
    }

    /// Marks a call as the client's to run now.
    fn finish_client_call(&mut self, id: &CallId, out: &mut Vec<SseFrame>) {
        let Some(call) = self.calls.get_mut(id) else { return };
        call.is_done = true;
        let item = call.item_of(id, "completed", None);
        let index = call.index();
        self.writer.finish_item(index, item, out);
    }

    /// Ends the items of a message. Its later text is another item.
    fn end_items(&mut self, at: usize, status: &str, out: &mut Vec<SseFrame>) {
        self.end_reasoning(at, status, out);
        self.end_part(at, out);
        let Some(message) = self.messages.get_mut(at) else { return };
        let Some(writing) = message.open_item.take() else { return };
        message.earlier_bytes += writing.parts.iter().map(|part| part.text.len()).sum::<usize>();
        let content: Vec<Json> = writing.parts.iter().map(MessagePart::to_json).collect();
        let item = object::message_item(&writing.id, status, "assistant", &content);
        self.writer.finish_item(writing.index, item, out);
    }

    /// Sends what the deltas lacked of the whole; where they differed, the closing events correct it.
    fn reconcile(&mut self, at: usize, full: Option<&str>, out: &mut Vec<SseFrame>) {
        let Some(full) = full.filter(|_| self.kept_bytes <= MAX_KEPT_BYTES) else { return };
        let Some(message) = self.messages.get(at) else { return };
        let (id, writing) = (message.id.clone(), message.open_item.as_ref());
        let Some(full) = full.get(message.earlier_bytes..) else { return };
        let (kind, rest) = match writing.map(|writing| writing.parts.as_slice()) {
            None => (TextKind::Text, Some(full)),
            Some([only]) => (only.kind, full.strip_prefix(only.text.as_str())),
            Some(_) => return,
        };
        if let Some(rest) = rest {
            return self.encode_text(&id, rest, kind, out);
        }
        let writing = self.messages.get_mut(at).and_then(|message| message.open_item.as_mut());
        if let Some(part) = writing.and_then(|writing| writing.parts.last_mut()) {
            full.clone_into(&mut part.text);
        }
    }

    fn add_citation(&mut self, id: &MessageId, data: &Json, out: &mut Vec<SseFrame>) {
        let message = self.messages.iter_mut().rfind(|message| message.id == *id);
        let Some(writing) = message.and_then(|message| message.open_item.as_mut()) else { return };
        let Some(part) = writing.parts.last_mut().filter(|part| part.kind == TextKind::Text) else { return };
        let Some(annotation) = output_items::citation_annotation(data, &part.text) else { return };
        self.citations += 1;
        if self.citations > MAX_CITATIONS {
            return;
        }
        part.annotations.push(annotation.clone());
        let nth = part.annotations.len() - 1;
        let fields = writing.with_position(json!({"annotation_index": nth, "annotation": annotation}));
        self.writer.send("response.output_text.annotation.added", fields, out);
    }

    fn start_call(&mut self, started: &StartedCall<'_>, out: &mut Vec<SseFrame>) {
        let StartedCall { call, message, name, executed_by, has_parent: _ } = *started;
        if let Some(at) = self.messages.iter().rposition(|open| open.id == *message) {
            self.end_reasoning(at, "completed", out);
        }
        let is_theirs = self.head.client_tools && executed_by == ExecutedBy::Client;
        self.calls.insert(call.clone(), EncodedResponsesCall::new(is_theirs, message.clone()));
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            self.add_call(call, name, out);
        }
    }

    /// Adds the item of a call, whose name is now known.
    fn add_call(&mut self, id: &CallId, name: &str, out: &mut Vec<SseFrame>) {
        let Some(call) = self.calls.get_mut(id).filter(|call| call.position.is_none()) else { return };
        let name = if name.is_empty() { UNKNOWN_NAME } else { name };
        name.clone_into(&mut call.name);
        let blank = EncodedResponsesCall { args: String::new(), ..call.clone() };
        let (prefix, wire_id) = (call.event_prefix(), id.clone());
        let (index, item_id) =
            self.writer.add_item(prefix, |item_id| blank.item(item_id, &wire_id, "in_progress", None), out);
        let Some(call) = self.calls.get_mut(id) else { return };
        call.position = Some((index, item_id));
        let (is_theirs, args) = (call.is_client_call, call.args.clone());
        if !is_theirs {
            let fields = call.with_position(json!({}));
            self.writer.send("response.mcp_call.in_progress", fields, out);
        }
        self.send_args(id, &args, out);
    }

    fn send_args(&mut self, id: &CallId, piece: &str, out: &mut Vec<SseFrame>) {
        let Some(call) = self.calls.get(id).filter(|_| !piece.is_empty()) else { return };
        let fields = call.with_position(json!({ "delta": piece }));
        self.writer.send(&call.event_name("delta"), fields, out);
    }

    fn encode_args(&mut self, id: &CallId, piece: &str, out: &mut Vec<SseFrame>) {
        let keeps = self.reserve(piece);
        let Some(call) = self.calls.get_mut(id).filter(|call| !call.is_ready) else { return };
        if keeps {
            call.args.push_str(piece);
        }
        if call.position.is_some() {
            self.send_args(id, piece, out);
        }
    }

    fn encode_ready(&mut self, id: &CallId, name: &str, args: &str, out: &mut Vec<SseFrame>) {
        let Some(call) = self.calls.get_mut(id).filter(|call| !call.is_ready) else { return };
        if call.position.is_none() {
            args.clone_into(&mut call.args);
            self.add_call(id, name, out);
        } else if let Some(rest) = args.strip_prefix(call.args.as_str()).map(ToOwned::to_owned) {
            call.args.push_str(&rest);
            self.send_args(id, &rest, out);
        } else {
            args.clone_into(&mut call.args);
        }
        self.finish_args(id, out);
        // The end of the message shows whether invalid arguments were cut off.
        let is_whole =
            |call: &EncodedResponsesCall| call.is_client_call && (call.is_fully_written || has_whole_args(call));
        if self.calls.get(id).is_some_and(is_whole) {
            self.finish_client_call(id, out);
        }
    }

    fn finish_args(&mut self, id: &CallId, out: &mut Vec<SseFrame>) {
        let Some(call) = self.calls.get_mut(id) else { return };
        call.is_ready = true;
        let mut fields = json!({ "arguments": call.args });
        if call.is_client_call {
            fields["name"] = call.name.as_str().into();
        }
        let fields = call.with_position(fields);
        let name = call.event_name("done");
        self.writer.send(&name, fields, out);
    }

    fn end_call(&mut self, id: &CallId, outcome: CallOutcome, output: &CallOutput, out: &mut Vec<SseFrame>) {
        let Some(call) = self.calls.get(id) else { return };
        if call.is_done {
            // The later outcome counts, though only the closing object can carry it.
            if !call.is_client_call {
                let (index, item) = (call.index(), call.finished_item(id, outcome, output));
                if let Some(known) = self.writer.items.get_mut(index) {
                    *known = item;
                }
            }
            return;
        }
        if call.position.is_none() {
            self.add_call(id, UNKNOWN_NAME, out);
        }
        let Some(call) = self.calls.get(id) else { return };
        if call.is_client_call {
            let item = call.item_of(id, "incomplete", None);
            let index = call.index();
            self.writer.finish_item(index, item, out);
        } else {
            // Text after a server's call is another item, as it is after a call of ours.
            let (message, is_ready) = (call.message.clone(), call.is_ready);
            if let Some(at) = self.messages.iter().rposition(|open| open.id == message) {
                self.end_items(at, "completed", out);
            }
            if !is_ready {
                self.finish_args(id, out);
            }
            let Some(call) = self.calls.get(id) else { return };
            let (index, item, fields) =
                (call.index(), call.finished_item(id, outcome, output), call.with_position(json!({})));
            match outcome {
                CallOutcome::Ok => self.writer.send("response.mcp_call.completed", fields, out),
                CallOutcome::Failed | CallOutcome::Denied => self.writer.send("response.mcp_call.failed", fields, out),
                CallOutcome::Cancelled | CallOutcome::Requested | CallOutcome::Unknown => {}
            }
            self.writer.finish_item(index, item, out);
        }
        if let Some(call) = self.calls.get_mut(id) {
            call.is_done = true;
        }
    }

    /// Closes what is open and sends the end of the answer.
    fn send_end(&mut self, end: ResponsesOutcome, out: &mut Vec<SseFrame>) {
        self.send_created(out);
        let open: Vec<MessageId> = self.messages.iter().map(|message| message.id.clone()).collect();
        for message in open {
            self.end_message(&message, FinishReason::Interrupted, None, out);
        }
        let mut open: Vec<(usize, CallId)> = self
            .calls
            .iter()
            .filter(|(_, call)| !call.is_done)
            .map(|(id, call)| (call.position.as_ref().map_or(usize::MAX, |at| at.0), id.clone()))
            .collect();
        open.sort();
        for (_, call) in open {
            self.end_call(&call, CallOutcome::Unknown, &CallOutput::default(), out);
        }
        let (event, status) = end.event_and_status();
        self.outcome = Some(end);
        self.send_lifecycle(event, status, out);
    }
}

impl Encode for ResponsesEncoder {
    fn encode_event(&mut self, envelope: &Envelope, out: &mut Vec<SseFrame>) {
        if self.outcome.is_some() {
            return;
        }
        if self.opening.observe(envelope) {
            return;
        }
        self.answer_usage.observe(&envelope.event);
        self.send_created(out);
        let Some(event) = AnswerEvent::of(&envelope.event) else { return };
        match event {
            AnswerEvent::MessageStarted { message, has_parent: false } => {
                self.messages.push(EncodedMessage::new(message.clone()));
            }
            AnswerEvent::Text { message, text, kind } => self.encode_text(message, text, kind, out),
            AnswerEvent::Reasoning { message, text } => self.encode_reasoning(message, text, out),
            AnswerEvent::MessageFinished { message, finish_reason, full_text, .. } => {
                self.end_message(message, finish_reason, full_text, out);
            }
            AnswerEvent::CallStarted(started) => self.start_call(&started, out),
            AnswerEvent::CallArgs { call, json } => self.encode_args(call, json, out),
            AnswerEvent::CallReady { call, name, args, .. } => self.encode_ready(call, name, args, out),
            AnswerEvent::CallFinished { call, outcome, output, took: _ } => self.end_call(call, outcome, output, out),
            AnswerEvent::Citation { message, data } => self.add_citation(message, data, out),
            AnswerEvent::TurnFinished(outcome) => {
                let end = ResponsesOutcome::new(outcome, self.finish_reason, self.refused);
                self.send_end(end, out);
            }
            // The format has no place for the rest.
            AnswerEvent::MessageStarted { .. } | AnswerEvent::Usage | AnswerEvent::Retry(_) => {}
        }
    }

    fn finish(&mut self, out: &mut Vec<SseFrame>) {
        if self.outcome.is_none() {
            self.send_end(ResponsesOutcome::Interrupted, out);
        }
    }

    /// Some clients give up without events, and their parsers drop comments: so the state is repeated, under the number
    /// of the last event.
    fn keep_alive(&self) -> KeepAlive {
        if !self.has_started || self.outcome.is_some() {
            return KeepAlive::Comment;
        }
        KeepAlive::Frame(self.writer.repeat_last("response.in_progress", json!({ "response": self.in_progress() })))
    }

    fn full_response(&mut self) -> (u16, Json) {
        match self.outcome.as_ref().and_then(ResponsesOutcome::error_response) {
            Some((status, error)) => (status, json!({ "error": error })),
            None => (200, self.response()),
        }
    }
}

/// Returns whether a client can parse the arguments; empty ones count.
fn has_whole_args(call: &EncodedResponsesCall) -> bool {
    call.args.trim().is_empty() || serde_json::from_str::<serde::de::IgnoredAny>(&call.args).is_ok()
}

#[cfg(test)]
mod tests;
