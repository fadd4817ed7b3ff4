//! The events of a turn as enclava's six flat events.
//!
//! One round per message: text and argument deltas as they come, then the message's item, then one item per call, then
//! the outputs as the tools finish. Outputs are JSON text; a failed tool, however it reported that, has the status
//! `failed` and `{"error": …}`. All JSON is ASCII, as in the original.
//!
//! Where a server call ends inside a message, the round ends with it and what follows is the next round: an output
//! can't precede the item of its call and should not wait.

mod response;

use std::collections::HashMap;

use serde_json::json;

use self::response::{EnclavaOutcome, escape_non_ascii};
use super::super::responses::object::{ResponseHead, SessionOpening};
use super::super::{Encode, SseFrame};
use crate::event::answer::{AnswerEvent, AnswerUsage};
use crate::event::{CallId, CallOutcome, CallOutput, Envelope, FinishReason, Json, MessageId, TurnOutcome};

/// Bytes of text and arguments kept to be repeated.
const MAX_KEPT_BYTES: usize = 16 * 1024 * 1024;

/// An open message, as a round.
#[derive(Debug)]
struct EncodedRound {
    message: MessageId,
    /// The item id, once it was sent.
    id: Option<String>,
    text: String,
    /// Bytes of the message that belong to earlier rounds.
    earlier_bytes: usize,
    /// Its calls that have no item yet.
    calls: Vec<CallId>,
}

#[derive(Debug, Default)]
struct EncodedEnclavaCall {
    /// Its message, while that is open.
    message: Option<MessageId>,
    name: Option<String>,
    args: String,
    is_ready: bool,
    /// Index of its item and of its output's item among all items.
    item: Option<usize>,
    output: Option<usize>,
}

/// Encodes one answer.
#[derive(Debug)]
pub struct EnclavaEncoder {
    head: ResponseHead,
    opening: SessionOpening,
    /// Rounds of tool calls after which no answer follows.
    max_rounds: Option<u32>,
    has_started: bool,
    open: Vec<EncodedRound>,
    rounds: u32,
    /// Rounds that had calls.
    tool_rounds: u32,
    calls: HashMap<CallId, EncodedEnclavaCall>,
    items: Vec<Json>,
    /// The text of the last item.
    last_text: Option<String>,
    kept_bytes: usize,
    /// Finish reason of the newest message.
    finish_reason: Option<FinishReason>,
    answer_usage: AnswerUsage,
    outcome: Option<EnclavaOutcome>,
}

impl EnclavaEncoder {
    pub fn new(heading: ResponseHead, most_rounds: Option<u32>) -> Self {
        Self {
            head: heading,
            opening: SessionOpening::default(),
            max_rounds: most_rounds,
            has_started: false,
            open: Vec::new(),
            rounds: 0,
            tool_rounds: 0,
            calls: HashMap::new(),
            items: Vec::new(),
            last_text: None,
            kept_bytes: 0,
            finish_reason: None,
            answer_usage: AnswerUsage::default(),
            outcome: None,
        }
    }

    fn send_event(name: &str, data: &Json, out: &mut Vec<SseFrame>) {
        out.push(SseFrame::named(name, escape_non_ascii(&data.to_string())));
    }

    fn send_created(&mut self, out: &mut Vec<SseFrame>) {
        if !std::mem::replace(&mut self.has_started, true) {
            let created = json!({"id": self.head.id, "object": "response",
                "created_at": self.opening.created_ms() / 1000, "model": self.head.model(&self.opening), "status": "in_progress"});
            Self::send_event("response.created", &created, out);
        }
    }

    fn reserve(&mut self, piece: &str) -> bool {
        self.kept_bytes = self.kept_bytes.saturating_add(piece.len());
        self.kept_bytes <= MAX_KEPT_BYTES
    }

    fn open_round(&mut self, message: &MessageId) -> Option<&mut EncodedRound> {
        self.open.iter_mut().rfind(|round| round.message == *message)
    }

    fn encode_text(&mut self, message: &MessageId, text: &str, out: &mut Vec<SseFrame>) {
        // One round at a time.
        let others = self.open.iter().filter(|round| round.message != *message && round.id.is_some());
        let others: Vec<MessageId> = others.map(|round| round.message.clone()).collect();
        for other in others {
            self.finish_round(&other, out);
        }
        let keeps = self.reserve(text);
        let (nth, wall) = (self.rounds, self.opening.now_ms());
        let Some(round) = self.open_round(message).filter(|_| !text.is_empty()) else { return };
        if keeps {
            round.text.push_str(text);
        }
        let is_new = round.id.is_none();
        let id = round.id.get_or_insert_with(|| format!("msg_{wall:016}_{nth}")).clone();
        self.rounds += u32::from(is_new);
        let delta = json!({"response_id": self.head.id, "item_id": id, "delta": text, "type": "output_text"});
        Self::send_event("response.output_text.delta", &delta, out);
    }

    fn encode_args(&mut self, id: &CallId, piece: &str, out: &mut Vec<SseFrame>) {
        let keeps = self.reserve(piece);
        let Some(call) = self.calls.get_mut(id).filter(|call| !call.is_ready) else { return };
        if keeps {
            call.args.push_str(piece);
        }
        let delta = json!({"response_id": self.head.id, "call_id": id.as_str(), "delta": piece,
            "type": "function_call_arguments"});
        Self::send_event("response.function_call_arguments.delta", &delta, out);
    }

    fn encode_ready(&mut self, id: &CallId, name: &str, args: &str, out: &mut Vec<SseFrame>) {
        let Some(call) = self.calls.get(id).filter(|call| !call.is_ready) else { return };
        match args.strip_prefix(call.args.as_str()) {
            Some("") => {}
            Some(rest) => self.encode_args(id, rest, out),
            None => {}
        }
        let Some(call) = self.calls.get_mut(id) else { return };
        call.is_ready = true;
        call.name = Some(name.to_owned());
        args.clone_into(&mut call.args);
        if call.message.is_none() {
            self.call_item(id, out);
        }
    }

    fn add_item(&mut self, item: Json, out: &mut Vec<SseFrame>) -> usize {
        Self::send_event("response.output_item.added", &json!({"response_id": self.head.id, "item": item}), out);
        self.items.push(item);
        self.items.len() - 1
    }

    /// Sends the item of a call, once.
    fn call_item(&mut self, id: &CallId, out: &mut Vec<SseFrame>) {
        let Some(call) = self.calls.get(id).filter(|call| call.item.is_none()) else { return };
        let name = call.name.as_deref().filter(|name| !name.is_empty()).unwrap_or("unknown");
        let item = json!({"type": "function_call", "id": id.as_str(), "call_id": id.as_str(), "name": name,
            "arguments": call.args, "status": "in_progress"});
        let at = self.add_item(item, out);
        if let Some(call) = self.calls.get_mut(id) {
            call.item = Some(at);
        }
    }

    /// Ends a round: its text as an item, and the calls with complete arguments.
    fn finish_round(&mut self, message: &MessageId, out: &mut Vec<SseFrame>) {
        let Some(round) = self.open_round(message) else { return };
        let (id, text, calls) = (round.id.take(), std::mem::take(&mut round.text), std::mem::take(&mut round.calls));
        round.earlier_bytes += text.len();
        if let Some(id) = id {
            let item = json!({"type": "message", "id": id, "role": "assistant",
                "content": [{"type": "output_text", "text": text}], "status": "completed"});
            self.add_item(item, out);
            self.last_text = Some(text);
        }
        self.tool_rounds += u32::from(!calls.is_empty());
        let (ready, rest): (Vec<CallId>, Vec<CallId>) =
            calls.into_iter().partition(|id| self.calls.get(id).is_some_and(|call| call.is_ready));
        for call in &ready {
            self.call_item(call, out);
        }
        if let Some(round) = self.open_round(message) {
            round.calls = rest;
        }
    }

    fn end_message(&mut self, message: &MessageId, full: Option<&str>, out: &mut Vec<SseFrame>) {
        let kept = self.kept_bytes <= MAX_KEPT_BYTES;
        if let Some((round, full)) = self.open_round(message).zip(full.filter(|full| kept && !full.is_empty())) {
            let full = full.get(round.earlier_bytes..).unwrap_or_default();
            match full.strip_prefix(round.text.as_str()).map(ToOwned::to_owned) {
                Some(rest) => self.encode_text(message, &rest, out),
                // The item corrects what was streamed wrong.
                None => full.clone_into(&mut round.text),
            }
        }
        self.finish_round(message, out);
        self.open.retain(|round| round.message != *message);
        for call in self.calls.values_mut().filter(|call| call.message.as_ref() == Some(message)) {
            call.message = None;
        }
    }

    fn end_call(&mut self, id: &CallId, outcome: CallOutcome, output: &CallOutput, out: &mut Vec<SseFrame>) {
        let Some(call) = self.calls.get(id) else { return };
        let is_cut = !call.is_ready && !matches!(outcome, CallOutcome::Ok | CallOutcome::Failed);
        if is_cut {
            return;
        }
        if let Some(message) = call.message.clone() {
            self.finish_round(&message, out);
        }
        self.call_item(id, out);
        let Some(call) = self.calls.get(id) else { return };
        if outcome == CallOutcome::Requested {
            // The status of calls that nobody runs.
            if let Some(item) = call.item.and_then(|at| self.items.get_mut(at)) {
                item["status"] = "completed".into();
            }
            return;
        }
        let (text, status) = response::encode_output(outcome, &output.text);
        let item = json!({"type": "function_call_output", "id": format!("out_{id}"), "call_id": id.as_str(),
            "output": escape_non_ascii(&text), "status": status});
        // The later outcome counts, though only the closing frame can carry it.
        if let Some(known) = call.output.and_then(|at| self.items.get_mut(at)) {
            *known = item;
            return;
        }
        let at = self.add_item(item, out);
        if let Some(call) = self.calls.get_mut(id) {
            call.output = Some(at);
        }
    }

    fn send_end(&mut self, outcome: &TurnOutcome, out: &mut Vec<SseFrame>) {
        let open: Vec<MessageId> = self.open.iter().map(|round| round.message.clone()).collect();
        for message in open {
            self.end_message(&message, None, out);
        }
        let are_spent = self.max_rounds.is_some_and(|max| self.tool_rounds >= max);
        let outcome = EnclavaOutcome::new(outcome, self.finish_reason, are_spent);
        self.send_created(out);
        let (event, data) = match outcome.error() {
            None => ("response.completed", self.completed_event(&outcome)),
            Some(error) => {
                let id = &self.head.id;
                ("response.failed", json!({"id": id, "object": "response", "status": "failed", "error": error}))
            }
        };
        Self::send_event(event, &data, out);
        self.outcome = Some(outcome);
    }
}

impl Encode for EnclavaEncoder {
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
                let message = message.clone();
                self.open.push(EncodedRound {
                    message,
                    id: None,
                    text: String::new(),
                    earlier_bytes: 0,
                    calls: Vec::new(),
                });
            }
            AnswerEvent::Text { message, text, kind: _ } => self.encode_text(message, text, out),
            AnswerEvent::MessageFinished { message, finish_reason, full_text, .. } => {
                if self.open.iter().any(|round| round.message == *message) {
                    self.finish_reason = Some(finish_reason);
                }
                self.end_message(message, full_text, out);
            }
            AnswerEvent::CallStarted(started) => {
                let (call, round) = (started.call, self.open_round(started.message));
                let message = round.map(|round| {
                    round.calls.push(call.clone());
                    started.message.clone()
                });
                let name = started.name.map(ToOwned::to_owned);
                self.calls.insert(call.clone(), EncodedEnclavaCall { message, name, ..EncodedEnclavaCall::default() });
                self.encode_args(call, "", out);
            }
            AnswerEvent::CallArgs { call, json } => self.encode_args(call, json, out),
            AnswerEvent::CallReady { call, name, args, .. } => self.encode_ready(call, name, args, out),
            AnswerEvent::CallFinished { call, outcome, output, took: _ } => self.end_call(call, outcome, output, out),
            AnswerEvent::TurnFinished(end) => self.send_end(end, out),
            // The format has no place for the rest.
            AnswerEvent::MessageStarted { .. }
            | AnswerEvent::Reasoning { .. }
            | AnswerEvent::Citation { .. }
            | AnswerEvent::Usage
            | AnswerEvent::Retry(_) => {}
        }
    }

    fn finish(&mut self, out: &mut Vec<SseFrame>) {
        if self.outcome.is_none() {
            self.send_end(&TurnOutcome::Interrupted, out);
        }
    }

    fn full_response(&mut self) -> (u16, Json) {
        match self.outcome.as_ref().and_then(EnclavaOutcome::error_response) {
            Some(refusal) => refusal,
            None => (200, self.response()),
        }
    }
}

#[cfg(test)]
mod tests;
