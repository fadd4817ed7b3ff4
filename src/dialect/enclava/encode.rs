//! The facts of a turn in enclava's six flat events.
//!
//! One round a message: text and argument deltas as they come, then the message's item, then one item a call, then the
//! outputs as the tools end. Outputs are JSON text; a tool that failed, however it said so, has the status `failed` and
//! `{"error": …}`. All JSON is ASCII, as there.
//!
//! Where a server's own call ends inside a message, the round ends with it, and what follows is the next: an output
//! can't come before the item of its call, and nobody should wait for it.

mod object;

use std::collections::HashMap;

use serde_json::json;

use self::object::{End, ascii};
use super::super::cost::Cost;
use super::super::responses::encode::{Heading, Opening};
use super::super::{Encode, KeepAlive, SseFrame};
use crate::event::{AgentEvent, CallId, Envelope, Json, MessageId, Outcome, Output, Role, Stop, TurnEnd};

/// Bytes of texts and arguments that are kept to be repeated.
const MOST_KEPT: usize = 16 * 1024 * 1024;

/// A message that is open, as a round.
#[derive(Debug)]
struct Round {
    message: MessageId,
    /// The wire's id, once it was said.
    id: Option<String>,
    text: String,
    /// Bytes of the message that were said in rounds before this.
    before: usize,
    /// Its calls that have no item yet.
    calls: Vec<CallId>,
}

#[derive(Debug, Default)]
struct Call {
    /// The message it is in, while that is open.
    message: Option<MessageId>,
    name: Option<String>,
    args: String,
    is_ready: bool,
    /// Where its item and its output's item stand among all items.
    item: Option<usize>,
    output: Option<usize>,
}

/// The encoder of one answer.
#[derive(Debug)]
pub struct Encoder {
    heading: Heading,
    opening: Opening,
    /// Rounds of tool calls after which there is no answer.
    most_rounds: Option<u32>,
    begun: bool,
    open: Vec<Round>,
    rounds: u32,
    /// Rounds that had calls.
    tool_rounds: u32,
    calls: HashMap<CallId, Call>,
    items: Vec<Json>,
    /// What was said last.
    last_text: Option<String>,
    kept: usize,
    /// How the newest message stopped.
    stop: Option<Stop>,
    cost: Cost,
    end: Option<End>,
}

impl Encoder {
    pub fn new(heading: Heading, most_rounds: Option<u32>) -> Self {
        Self {
            heading,
            opening: Opening::default(),
            most_rounds,
            begun: false,
            open: Vec::new(),
            rounds: 0,
            tool_rounds: 0,
            calls: HashMap::new(),
            items: Vec::new(),
            last_text: None,
            kept: 0,
            stop: None,
            cost: Cost::default(),
            end: None,
        }
    }

    fn say(name: &str, data: &Json, out: &mut Vec<SseFrame>) {
        out.push(SseFrame::named(name, ascii(&data.to_string())));
    }

    fn begin(&mut self, out: &mut Vec<SseFrame>) {
        if !std::mem::replace(&mut self.begun, true) {
            let created = json!({"id": self.heading.id, "object": "response",
                "created_at": self.opening.created() / 1000, "model": self.heading.model(&self.opening), "status": "in_progress"});
            Self::say("response.created", &created, out);
        }
    }

    fn keep(&mut self, piece: &str) -> bool {
        self.kept = self.kept.saturating_add(piece.len());
        self.kept <= MOST_KEPT
    }

    fn round(&mut self, message: &MessageId) -> Option<&mut Round> {
        self.open.iter_mut().rfind(|round| round.message == *message)
    }

    fn text(&mut self, message: &MessageId, text: &str, out: &mut Vec<SseFrame>) {
        // One round at a time.
        let others = self.open.iter().filter(|round| round.message != *message && round.id.is_some());
        let others: Vec<MessageId> = others.map(|round| round.message.clone()).collect();
        for other in others {
            self.settle(&other, out);
        }
        let keeps = self.keep(text);
        let (nth, wall) = (self.rounds, self.opening.now());
        let Some(round) = self.round(message).filter(|_| !text.is_empty()) else { return };
        if keeps {
            round.text.push_str(text);
        }
        let is_new = round.id.is_none();
        let id = round.id.get_or_insert_with(|| format!("msg_{wall:016}_{nth}")).clone();
        self.rounds += u32::from(is_new);
        let delta = json!({"response_id": self.heading.id, "item_id": id, "delta": text, "type": "output_text"});
        Self::say("response.output_text.delta", &delta, out);
    }

    fn args(&mut self, id: &CallId, piece: &str, out: &mut Vec<SseFrame>) {
        let keeps = self.keep(piece);
        let Some(call) = self.calls.get_mut(id).filter(|call| !call.is_ready) else { return };
        if keeps {
            call.args.push_str(piece);
        }
        let delta = json!({"response_id": self.heading.id, "call_id": id.as_str(), "delta": piece,
            "type": "function_call_arguments"});
        Self::say("response.function_call_arguments.delta", &delta, out);
    }

    fn ready(&mut self, id: &CallId, name: &str, args: &str, out: &mut Vec<SseFrame>) {
        let Some(call) = self.calls.get(id).filter(|call| !call.is_ready) else { return };
        match args.strip_prefix(call.args.as_str()) {
            Some("") => {}
            Some(rest) => self.args(id, rest, out),
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

    fn item(&mut self, item: Json, out: &mut Vec<SseFrame>) -> usize {
        Self::say("response.output_item.added", &json!({"response_id": self.heading.id, "item": item}), out);
        self.items.push(item);
        self.items.len() - 1
    }

    /// Says the item of a call, once.
    fn call_item(&mut self, id: &CallId, out: &mut Vec<SseFrame>) {
        let Some(call) = self.calls.get(id).filter(|call| call.item.is_none()) else { return };
        let name = call.name.as_deref().unwrap_or("unknown");
        let item = json!({"type": "function_call", "id": id.as_str(), "call_id": id.as_str(), "name": name,
            "arguments": call.args, "status": "in_progress"});
        let at = self.item(item, out);
        if let Some(call) = self.calls.get_mut(id) {
            call.item = Some(at);
        }
    }

    /// Ends a round: its text as an item, and the calls whose arguments are whole.
    fn settle(&mut self, message: &MessageId, out: &mut Vec<SseFrame>) {
        let Some(round) = self.round(message) else { return };
        let (id, text, calls) = (round.id.take(), std::mem::take(&mut round.text), std::mem::take(&mut round.calls));
        round.before += text.len();
        if let Some(id) = id {
            let item = json!({"type": "message", "id": id, "role": "assistant",
                "content": [{"type": "output_text", "text": text}], "status": "completed"});
            self.item(item, out);
            self.last_text = Some(text);
        }
        self.tool_rounds += u32::from(!calls.is_empty());
        let (ready, rest): (Vec<CallId>, Vec<CallId>) =
            calls.into_iter().partition(|id| self.calls.get(id).is_some_and(|call| call.is_ready));
        for call in &ready {
            self.call_item(call, out);
        }
        if let Some(round) = self.round(message) {
            round.calls = rest;
        }
    }

    fn end_message(&mut self, message: &MessageId, full: Option<&str>, out: &mut Vec<SseFrame>) {
        let kept = self.kept <= MOST_KEPT;
        if let Some((round, full)) = self.round(message).zip(full.filter(|full| kept && !full.is_empty())) {
            let full = full.get(round.before..).unwrap_or_default();
            match full.strip_prefix(round.text.as_str()).map(ToOwned::to_owned) {
                Some(rest) => self.text(message, &rest, out),
                // What was said wrong is corrected by the item.
                None => full.clone_into(&mut round.text),
            }
        }
        self.settle(message, out);
        self.open.retain(|round| round.message != *message);
        for call in self.calls.values_mut().filter(|call| call.message.as_ref() == Some(message)) {
            call.message = None;
        }
    }

    fn end_call(&mut self, id: &CallId, outcome: Outcome, output: &Output, out: &mut Vec<SseFrame>) {
        let Some(call) = self.calls.get(id) else { return };
        let is_cut = !call.is_ready && !matches!(outcome, Outcome::Ok | Outcome::Failed);
        if is_cut {
            return;
        }
        if let Some(message) = call.message.clone() {
            self.settle(&message, out);
        }
        self.call_item(id, out);
        let Some(call) = self.calls.get(id) else { return };
        if outcome == Outcome::Requested {
            // Said of calls that nobody runs.
            if let Some(item) = call.item.and_then(|at| self.items.get_mut(at)) {
                item["status"] = "completed".into();
            }
            return;
        }
        let (text, status) = object::output(outcome, &output.text);
        let item = json!({"type": "function_call_output", "id": format!("out_{id}"), "call_id": id.as_str(),
            "output": ascii(&text), "status": status});
        // The later word settles, though only the closing frame can say so.
        if let Some(known) = call.output.and_then(|at| self.items.get_mut(at)) {
            *known = item;
            return;
        }
        let at = self.item(item, out);
        if let Some(call) = self.calls.get_mut(id) {
            call.output = Some(at);
        }
    }

    fn end(&mut self, end: &TurnEnd, out: &mut Vec<SseFrame>) {
        let open: Vec<MessageId> = self.open.iter().map(|round| round.message.clone()).collect();
        for message in open {
            self.end_message(&message, None, out);
        }
        let are_spent = self.most_rounds.is_some_and(|most| self.tool_rounds >= most);
        let end = End::of(end, self.stop, are_spent);
        self.begin(out);
        let (event, data) = match end.error() {
            None => ("response.completed", self.completed(&end)),
            Some(error) => {
                let id = &self.heading.id;
                ("response.failed", json!({"id": id, "object": "response", "status": "failed", "error": error}))
            }
        };
        Self::say(event, &data, out);
        self.end = Some(end);
    }
}

impl Encode for Encoder {
    /// The first event names the model, which need not be known yet.
    fn start(&mut self, _out: &mut Vec<SseFrame>) {}

    fn fact(&mut self, told: &Envelope, out: &mut Vec<SseFrame>) {
        if self.end.is_some() {
            return;
        }
        if self.opening.observe(told) {
            return;
        }
        self.cost.observe(&told.event);
        self.begin(out);
        match &told.event {
            AgentEvent::MessageStarted { message, role: Role::Assistant, parent: None } => {
                let message = message.clone();
                self.open.push(Round { message, id: None, text: String::new(), before: 0, calls: Vec::new() });
            }
            AgentEvent::TextDelta { message, text, kind: _ } => self.text(message, text, out),
            AgentEvent::MessageFinished { message, stop, full, carry: _ } => {
                if self.open.iter().any(|round| round.message == *message) {
                    self.stop = Some(*stop);
                }
                self.end_message(message, full.as_deref(), out);
            }
            AgentEvent::ToolCallStarted { call, message, name, parent: _, ran_by: _ } => {
                let round = self.round(message);
                let message = round.map(|round| {
                    round.calls.push(call.clone());
                    message.clone()
                });
                self.calls.insert(call.clone(), Call { message, name: name.clone(), ..Call::default() });
                self.args(call, "", out);
            }
            AgentEvent::ToolArgsDelta { call, json } => self.args(call, json, out),
            AgentEvent::ToolCallReady { call, name, args, carry: _ } => self.ready(call, name, args, out),
            AgentEvent::ToolCallFinished { call, outcome, output, took: _ } => {
                self.end_call(call, *outcome, output, out);
            }
            AgentEvent::TurnFinished { turn: _, end } => self.end(end, out),
            // A sub-agent's words are no part of the answer, and the rest the format can't say.
            AgentEvent::MessageStarted { .. }
            | AgentEvent::SessionOpened { .. }
            | AgentEvent::TurnStarted { .. }
            | AgentEvent::UserMessage { .. }
            | AgentEvent::ReasoningDelta { .. }
            | AgentEvent::ApprovalRequested { .. }
            | AgentEvent::ApprovalResolved { .. }
            | AgentEvent::ToolOutput { .. }
            | AgentEvent::Annotated { .. }
            | AgentEvent::UsageReported { .. }
            | AgentEvent::Noticed { .. }
            | AgentEvent::Unknown(_) => {}
        }
    }

    fn finish(&mut self, out: &mut Vec<SseFrame>) {
        if self.end.is_none() {
            self.end(&TurnEnd::Interrupted, out);
        }
    }

    fn keep_alive(&self) -> KeepAlive {
        KeepAlive::Comment
    }

    fn answer(&mut self) -> (u16, Json) {
        match self.end.as_ref().and_then(End::refusal) {
            Some(refusal) => refusal,
            None => (200, self.response()),
        }
    }
}

#[cfg(test)]
mod tests;
