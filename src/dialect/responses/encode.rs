//! The facts of a turn as the official event list has them: an item is added before its deltas and done after, every
//! event has a number, the closing event repeats the whole answer.
//!
//! | fact | item |
//! | --- | --- |
//! | text, refusal | the parts of one `message` a message |
//! | reasoning | a `reasoning` item with one summary part: clients show summaries, few show raw reasoning |
//! | a call that the client runs | `function_call`, done once its arguments are whole |
//! | a call of our own tools, or of a server's | `mcp_call`, done once it ended |
//!
//! Our own tools are `mcp_call` items since that is what the format has for tools that others run: the item holds name,
//! arguments, output, error and a status with `failed` in it. A `function_call` would ask the client to run it, and its
//! output has no way to fail. There is no `error` event: whatever goes wrong in an answer is `response.failed`, which
//! has all that came before it.

mod items;
mod object;
mod said;

use std::collections::HashMap;

use serde_json::json;

use self::items::{Call, Message, Part, Thought, Writing};
use self::object::End;
pub use self::object::Heading;
pub(in crate::dialect) use self::object::Opening;
use self::said::Wire;
use super::super::cost::Cost;
use super::super::{Encode, KeepAlive, SseFrame};
use crate::event::{
    AgentEvent, CallId, Envelope, Json, MessageId, Outcome, Output, RanBy, Role, Stop, Subject, TextKind, TurnEnd,
};

/// Bytes of texts and arguments that are kept to be repeated at the end of an item and of the answer.
const MOST_KEPT: usize = 16 * 1024 * 1024;
/// Citations that are told of one answer.
const MOST_CITATIONS: usize = 512;

/// The encoder of one answer.
#[derive(Debug)]
pub struct Encoder {
    heading: Heading,
    opening: Opening,
    begun: bool,
    wire: Wire,
    /// Open messages of the assistant.
    messages: Vec<Message>,
    calls: HashMap<CallId, Call>,
    kept: usize,
    citations: usize,
    /// How the newest message stopped.
    stop: Option<Stop>,
    /// It said why it declined, which is an answer.
    refused: bool,
    cost: Cost,
    end: Option<End>,
}

impl Encoder {
    pub fn new(heading: Heading) -> Self {
        let wire = Wire::new(heading.key());
        Self {
            heading,
            opening: Opening::default(),
            begun: false,
            wire,
            messages: Vec::new(),
            calls: HashMap::new(),
            kept: 0,
            citations: 0,
            stop: None,
            refused: false,
            cost: Cost::default(),
            end: None,
        }
    }

    fn lifecycle(&mut self, name: &str, status: &str, out: &mut Vec<SseFrame>) {
        let response = self.object(status);
        self.wire.say(name, json!({ "response": response }), out);
    }

    fn begin(&mut self, out: &mut Vec<SseFrame>) {
        if !std::mem::replace(&mut self.begun, true) {
            self.lifecycle("response.created", "in_progress", out);
            self.lifecycle("response.in_progress", "in_progress", out);
        }
    }

    /// Appends to what is repeated later, as far as there is room.
    fn keep(&mut self, piece: &str) -> bool {
        self.kept = self.kept.saturating_add(piece.len());
        self.kept <= MOST_KEPT
    }

    fn text(&mut self, id: &MessageId, text: &str, kind: TextKind, out: &mut Vec<SseFrame>) {
        let Some(at) = self.messages.iter().rposition(|message| message.id == *id) else { return };
        if text.is_empty() {
            return;
        }
        self.end_thought(at, "completed", out);
        self.refused |= kind == TextKind::Refusal;
        let part = Part::new(kind);
        if self.messages[at].writing.is_none() {
            let (index, item_id) = self.wire.add(
                "msg",
                |id| json!({"id": id, "type": "message", "status": "in_progress", "role": "assistant", "content": []}),
                out,
            );
            self.messages[at].writing = Some(Writing { index, id: item_id, parts: Vec::new() });
        }
        let is_other = |writing: &Writing| writing.parts.last().is_none_or(|last| last.kind != kind);
        if self.messages[at].writing.as_ref().is_some_and(is_other) {
            self.end_part(at, out);
            if let Some(writing) = &mut self.messages[at].writing {
                writing.parts.push(part);
                let fields = writing.at(json!({ "part": writing.json() }));
                self.wire.say("response.content_part.added", fields, out);
            }
        }
        let keeps = self.keep(text);
        let Some(writing) = &mut self.messages[at].writing else { return };
        if let Some(part) = writing.parts.last_mut().filter(|_| keeps) {
            part.text.push_str(text);
        }
        let (name, fields) = match kind {
            TextKind::Text => ("response.output_text.delta", json!({"delta": text, "logprobs": []})),
            TextKind::Refusal => ("response.refusal.delta", json!({ "delta": text })),
        };
        let fields = writing.at(fields);
        self.wire.say(name, fields, out);
    }

    fn end_part(&mut self, at: usize, out: &mut Vec<SseFrame>) {
        let Some(writing) = self.messages.get(at).and_then(|message| message.writing.as_ref()) else { return };
        let Some(part) = writing.parts.last() else { return };
        let (name, fields) = match part.kind {
            TextKind::Text => ("response.output_text.done", json!({"text": part.text, "logprobs": []})),
            TextKind::Refusal => ("response.refusal.done", json!({ "refusal": part.text })),
        };
        let (fields, part) = (writing.at(fields), writing.at(json!({ "part": writing.json() })));
        self.wire.say(name, fields, out);
        self.wire.say("response.content_part.done", part, out);
    }

    fn think(&mut self, id: &MessageId, text: &str, out: &mut Vec<SseFrame>) {
        let Some(at) = self.messages.iter().rposition(|message| message.id == *id) else { return };
        if text.is_empty() {
            return;
        }
        if self.messages[at].thought.is_none() {
            let (index, item_id) = self.wire.add(
                "rs",
                |id| json!({"id": id, "type": "reasoning", "status": "in_progress", "summary": []}),
                out,
            );
            let thought = Thought { index, id: item_id, text: String::new() };
            let fields = thought.at(json!({ "part": thought.part() }));
            self.wire.say("response.reasoning_summary_part.added", fields, out);
            self.messages[at].thought = Some(thought);
        }
        let keeps = self.keep(text);
        let Some(thought) = &mut self.messages[at].thought else { return };
        if keeps {
            thought.text.push_str(text);
        }
        let fields = thought.at(json!({ "delta": text }));
        self.wire.say("response.reasoning_summary_text.delta", fields, out);
    }

    fn end_thought(&mut self, at: usize, status: &str, out: &mut Vec<SseFrame>) {
        let Some(thought) = self.messages.get_mut(at).and_then(|message| message.thought.take()) else { return };
        self.wire.say("response.reasoning_summary_text.done", thought.at(json!({ "text": thought.text })), out);
        self.wire.say("response.reasoning_summary_part.done", thought.at(json!({ "part": thought.part() })), out);
        let item = json!({"id": thought.id, "type": "reasoning", "status": status, "summary": [thought.part()]});
        self.wire.done(thought.index, item, out);
    }

    fn end_message(&mut self, id: &MessageId, stop: Stop, full: Option<&str>, out: &mut Vec<SseFrame>) {
        let Some(at) = self.messages.iter().rposition(|message| message.id == *id) else { return };
        self.reconcile(at, full, out);
        let status = match stop {
            Stop::End | Stop::ToolCalls => "completed",
            Stop::Refused if self.refused => "completed",
            Stop::Refused | Stop::Length | Stop::Cancelled | Stop::Interrupted | Stop::Failed => "incomplete",
        };
        self.end_items(at, status, out);
        self.messages.remove(at);
        self.stop = Some(stop);
        if matches!(stop, Stop::End | Stop::ToolCalls) {
            self.end_calls_of(id, out);
        }
    }

    /// A message came to its end, so the arguments of its calls are all that the model wrote, readable or not.
    fn end_calls_of(&mut self, message: &MessageId, out: &mut Vec<SseFrame>) {
        let mut written: Vec<(usize, CallId)> = Vec::new();
        for (id, call) in self.calls.iter_mut().filter(|(_, call)| call.message == *message) {
            call.is_written = true;
            if call.is_theirs && call.is_ready && !call.is_done {
                written.push((call.index(), id.clone()));
            }
        }
        written.sort();
        for (_, id) in written {
            self.hand_over(&id, out);
        }
    }

    /// Says that a call is the client's to run now.
    fn hand_over(&mut self, id: &CallId, out: &mut Vec<SseFrame>) {
        let Some(call) = self.calls.get_mut(id) else { return };
        call.is_done = true;
        let item = call.item_of(id, "completed", None);
        let index = call.index();
        self.wire.done(index, item, out);
    }

    /// Ends the items of a message. What it says after that is another item.
    fn end_items(&mut self, at: usize, status: &str, out: &mut Vec<SseFrame>) {
        self.end_thought(at, status, out);
        self.end_part(at, out);
        let Some(message) = self.messages.get_mut(at) else { return };
        let Some(writing) = message.writing.take() else { return };
        message.before += writing.parts.iter().map(|part| part.text.len()).sum::<usize>();
        let item = json!({"id": writing.id, "type": "message", "status": status, "role": "assistant",
            "content": writing.parts.iter().map(Part::json).collect::<Vec<_>>()});
        self.wire.done(writing.index, item, out);
    }

    /// Says what the pieces lacked of the whole; where they said something else, the closing events correct it.
    fn reconcile(&mut self, at: usize, full: Option<&str>, out: &mut Vec<SseFrame>) {
        let Some(full) = full.filter(|_| self.kept <= MOST_KEPT) else { return };
        let Some(message) = self.messages.get(at) else { return };
        let (id, writing) = (message.id.clone(), message.writing.as_ref());
        let Some(full) = full.get(message.before..) else { return };
        let (kind, rest) = match writing.map(|writing| writing.parts.as_slice()) {
            None => (TextKind::Text, Some(full)),
            Some([only]) => (only.kind, full.strip_prefix(only.text.as_str())),
            Some(_) => return,
        };
        if let Some(rest) = rest {
            return self.text(&id, rest, kind, out);
        }
        let writing = self.messages.get_mut(at).and_then(|message| message.writing.as_mut());
        if let Some(part) = writing.and_then(|writing| writing.parts.last_mut()) {
            full.clone_into(&mut part.text);
        }
    }

    fn cite(&mut self, id: &MessageId, data: &Json, out: &mut Vec<SseFrame>) {
        let message = self.messages.iter_mut().rfind(|message| message.id == *id);
        let Some(writing) = message.and_then(|message| message.writing.as_mut()) else { return };
        let Some(part) = writing.parts.last_mut().filter(|part| part.kind == TextKind::Text) else { return };
        let Some(annotation) = items::annotation(data, &part.text) else { return };
        self.citations += 1;
        if self.citations > MOST_CITATIONS {
            return;
        }
        part.annotations.push(annotation.clone());
        let nth = part.annotations.len() - 1;
        let fields = writing.at(json!({"annotation_index": nth, "annotation": annotation}));
        self.wire.say("response.output_text.annotation.added", fields, out);
    }

    fn start_call(
        &mut self,
        call: &CallId,
        message: &MessageId,
        name: Option<&str>,
        ran_by: RanBy,
        out: &mut Vec<SseFrame>,
    ) {
        if let Some(at) = self.messages.iter().rposition(|open| open.id == *message) {
            self.end_thought(at, "completed", out);
        }
        let is_theirs = self.heading.client_tools && ran_by == RanBy::Us;
        self.calls.insert(call.clone(), Call::new(is_theirs, message.clone()));
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            self.add_call(call, name, out);
        }
    }

    /// Adds the item of a call, whose name is known now.
    fn add_call(&mut self, id: &CallId, name: &str, out: &mut Vec<SseFrame>) {
        let Some(call) = self.calls.get_mut(id).filter(|call| call.at.is_none()) else { return };
        name.clone_into(&mut call.name);
        let blank = Call { args: String::new(), ..call.clone() };
        let (prefix, wire_id) = (call.prefix(), id.clone());
        let (index, item_id) = self.wire.add(prefix, |item_id| blank.item(item_id, &wire_id, "in_progress", None), out);
        let Some(call) = self.calls.get_mut(id) else { return };
        call.at = Some((index, item_id));
        let (is_theirs, args) = (call.is_theirs, call.args.clone());
        if !is_theirs {
            let fields = call.place(json!({}));
            self.wire.say("response.mcp_call.in_progress", fields, out);
        }
        self.say_args(id, &args, out);
    }

    fn say_args(&mut self, id: &CallId, piece: &str, out: &mut Vec<SseFrame>) {
        let Some(call) = self.calls.get(id).filter(|_| !piece.is_empty()) else { return };
        let fields = call.place(json!({ "delta": piece }));
        self.wire.say(&call.event("delta"), fields, out);
    }

    fn args(&mut self, id: &CallId, piece: &str, out: &mut Vec<SseFrame>) {
        let keeps = self.keep(piece);
        let Some(call) = self.calls.get_mut(id).filter(|call| !call.is_ready) else { return };
        if keeps {
            call.args.push_str(piece);
        }
        if call.at.is_some() {
            self.say_args(id, piece, out);
        }
    }

    fn ready(&mut self, id: &CallId, name: &str, args: &str, out: &mut Vec<SseFrame>) {
        let Some(call) = self.calls.get_mut(id).filter(|call| !call.is_ready) else { return };
        if call.at.is_none() {
            args.clone_into(&mut call.args);
            self.add_call(id, name, out);
        } else if let Some(rest) = args.strip_prefix(call.args.as_str()).map(ToOwned::to_owned) {
            call.args.push_str(&rest);
            self.say_args(id, &rest, out);
        } else {
            args.clone_into(&mut call.args);
        }
        self.args_over(id, out);
        // Of arguments that can't be read, the end of the message tells whether they were cut off.
        let is_whole = |call: &Call| call.is_theirs && (call.is_written || has_whole_args(call));
        if self.calls.get(id).is_some_and(is_whole) {
            self.hand_over(id, out);
        }
    }

    fn args_over(&mut self, id: &CallId, out: &mut Vec<SseFrame>) {
        let Some(call) = self.calls.get_mut(id) else { return };
        call.is_ready = true;
        let mut fields = json!({ "arguments": call.args });
        if call.is_theirs {
            fields["name"] = call.name.as_str().into();
        }
        let fields = call.place(fields);
        let name = call.event("done");
        self.wire.say(&name, fields, out);
    }

    fn end_call(&mut self, id: &CallId, outcome: Outcome, output: &Output, out: &mut Vec<SseFrame>) {
        let Some(call) = self.calls.get(id) else { return };
        if call.is_done {
            // The later word settles, though only the closing object can say so.
            if !call.is_theirs {
                let (index, item) = (call.index(), call.ended(id, outcome, output));
                if let Some(known) = self.wire.items.get_mut(index) {
                    *known = item;
                }
            }
            return;
        }
        if call.at.is_none() {
            self.add_call(id, "unknown", out);
        }
        let Some(call) = self.calls.get(id) else { return };
        if call.is_theirs {
            let item = call.item_of(id, "incomplete", None);
            let index = call.index();
            self.wire.done(index, item, out);
        } else {
            // What a server says after its call is another item, as it is when we ran it.
            let (message, is_ready) = (call.message.clone(), call.is_ready);
            if let Some(at) = self.messages.iter().rposition(|open| open.id == message) {
                self.end_items(at, "completed", out);
            }
            if !is_ready {
                self.args_over(id, out);
            }
            let Some(call) = self.calls.get(id) else { return };
            let (index, item, fields) = (call.index(), call.ended(id, outcome, output), call.place(json!({})));
            match outcome {
                Outcome::Ok => self.wire.say("response.mcp_call.completed", fields, out),
                Outcome::Failed | Outcome::Denied => self.wire.say("response.mcp_call.failed", fields, out),
                Outcome::Cancelled | Outcome::Requested | Outcome::Unknown => {}
            }
            self.wire.done(index, item, out);
        }
        if let Some(call) = self.calls.get_mut(id) {
            call.is_done = true;
        }
    }

    /// Closes what is open and says how the answer ended.
    fn end(&mut self, end: End, out: &mut Vec<SseFrame>) {
        self.begin(out);
        let open: Vec<MessageId> = self.messages.iter().map(|message| message.id.clone()).collect();
        for message in open {
            self.end_message(&message, Stop::Interrupted, None, out);
        }
        let mut open: Vec<(usize, CallId)> = self
            .calls
            .iter()
            .filter(|(_, call)| !call.is_done)
            .map(|(id, call)| (call.at.as_ref().map_or(usize::MAX, |at| at.0), id.clone()))
            .collect();
        open.sort();
        for (_, call) in open {
            self.end_call(&call, Outcome::Unknown, &Output::default(), out);
        }
        let (event, status) = end.words();
        self.end = Some(end);
        self.lifecycle(event, status, out);
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
                self.messages.push(Message::new(message.clone()));
            }
            AgentEvent::TextDelta { message, text, kind } => self.text(message, text, *kind, out),
            AgentEvent::ReasoningDelta { message, text } => self.think(message, text, out),
            AgentEvent::MessageFinished { message, stop, full, carry: _ } => {
                self.end_message(message, *stop, full.as_deref(), out);
            }
            AgentEvent::ToolCallStarted { call, message, name, parent: _, ran_by } => {
                self.start_call(call, message, name.as_deref(), *ran_by, out);
            }
            AgentEvent::ToolArgsDelta { call, json } => self.args(call, json, out),
            AgentEvent::ToolCallReady { call, name, args, carry: _ } => self.ready(call, name, args, out),
            AgentEvent::ToolCallFinished { call, outcome, output, took: _ } => {
                self.end_call(call, *outcome, output, out);
            }
            AgentEvent::Annotated { on: Subject::Message(message), kind, data } if kind == "citation" => {
                self.cite(message, data, out);
            }
            AgentEvent::TurnFinished { turn: _, end } => {
                let end = match end {
                    TurnEnd::Completed if self.stop == Some(Stop::Length) => End::Length,
                    TurnEnd::Completed if self.stop == Some(Stop::Refused) && !self.refused => End::Filtered,
                    TurnEnd::Completed => End::Completed,
                    TurnEnd::Cancelled => End::Cancelled,
                    TurnEnd::Interrupted => End::Cut,
                    TurnEnd::Failed(fault) => End::of(fault),
                };
                self.end(end, out);
            }
            // A sub-agent's words are no part of the answer, and the rest the format can't say.
            AgentEvent::MessageStarted { .. }
            | AgentEvent::SessionOpened { .. }
            | AgentEvent::TurnStarted { .. }
            | AgentEvent::UserMessage { .. }
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
            self.end(End::Cut, out);
        }
    }

    /// Some clients give up where no event comes, and their parsers drop comments: so the state is said once more,
    /// under the number it was last said with.
    fn keep_alive(&self) -> KeepAlive {
        if !self.begun || self.end.is_some() {
            return KeepAlive::Comment;
        }
        KeepAlive::Frame(self.wire.repeated("response.in_progress", json!({ "response": self.standing() })))
    }

    fn answer(&mut self) -> (u16, Json) {
        match self.end.as_ref().and_then(End::refusal) {
            Some((status, error)) => (status, json!({ "error": error })),
            None => (200, self.response()),
        }
    }
}

/// Arguments that a client can read, be they none.
fn has_whole_args(call: &Call) -> bool {
    call.args.trim().is_empty() || serde_json::from_str::<serde::de::IgnoredAny>(&call.args).is_ok()
}

#[cfg(test)]
mod tests;
