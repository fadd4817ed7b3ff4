//! Anthropic Messages, as a stream of events or as one object. A message is a list of content blocks, each announced,
//! written piece by piece and closed; a call is complete when its block is.
//!
//! What the server's own tools do (`server_tool_use`, `mcp_tool_use` and their results) is told as calls that the
//! server runs. Such blocks and signed thinking are kept whole in `MessageFinished::carry` (`{content: [block, …]}`) and
//! go back verbatim; calls carry the id by which that content names them, or `server: true`.
//!
//! `pause_turn` means that the server wants the turn back to go on with it: the message ends with [`Stop::End`] and the
//! annotation `paused`, upon which the agent asks again, with the carried content as the last message.

mod blocks;
mod calls;
mod ending;
mod results;
mod wire;

use serde::Deserialize;
use serde_json::{Map, json};

use self::blocks::{Blocks, Kind};
use self::calls::Calls;
use self::wire::{Delta, Event, Tally};
use super::lax::Obj;
use super::odd::Odd;
use super::speech;
use super::surrogate;
use super::thoughts::{By, Thoughts};
use super::{Context, Decode, Dialect, SseFrame, error};
use crate::event::{AgentEvent, CallId, Fault, Json, MessageId, Role, Scope, Stop, Subject, TextKind};

pub const DIALECT: Dialect = Dialect {
    name: "anthropic",
    decode: |_: &Context| Box::new(Anthropic::new()),
    loses: "results of our own calls, approvals, times, plan and state of the agent",
};

/// The decoder of one answer.
#[derive(Debug)]
pub struct Anthropic {
    message: MessageId,
    open: bool,
    /// A message was closed before the end.
    closed: bool,
    blocks: Blocks,
    calls: Calls,
    thoughts: Thoughts,
    usage: Tally,
    /// The stop reason, once there was one.
    stop: Option<Stop>,
    paused: bool,
    /// Why the model declined, as the server puts it.
    declined: Option<String>,
    overfull: bool,
    filtered: bool,
    fault: Option<Fault>,
    done: bool,
    odd: Odd,
}

impl Default for Anthropic {
    fn default() -> Self {
        Self::new()
    }
}

impl Anthropic {
    pub fn new() -> Self {
        Self {
            message: "m1".into(),
            open: false,
            closed: false,
            blocks: Blocks::default(),
            calls: Calls::default(),
            thoughts: Thoughts::default(),
            usage: Tally::default(),
            stop: None,
            paused: false,
            declined: None,
            overfull: false,
            filtered: false,
            fault: None,
            done: false,
            odd: Odd::default(),
        }
    }

    fn event(&mut self, event: Event<'_>, frame: &SseFrame, marked: bool, out: &mut Vec<AgentEvent>) {
        let (index, data) = (event.index.0, frame.data.as_str());
        let kind = event.kind.some().filter(|_| frame.event != "error");
        match kind.unwrap_or(&frame.event) {
            "content_block_delta" => {
                if let Some(delta) = event.delta.0 {
                    self.delta(index, delta, marked, out);
                }
            }
            "content_block_start" => self.start(index, event.content_block, marked, out),
            "content_block_stop" => self.close(index, out),
            "message_start" => {
                let Some(message) = event.message.0 else { return };
                if let Some(usage) = message.usage.0 {
                    self.usage.take(&usage, false);
                }
                self.whole(message.content.0, marked, out);
                self.stop_reason(message.stop_reason.some(), None, out);
            }
            "message_delta" => {
                if let Some(usage) = event.usage.0 {
                    self.usage.take(&usage, true);
                }
                if let Some(delta) = event.delta.0 {
                    if let Some(usage) = &delta.usage.0 {
                        self.usage.take(usage, true);
                    }
                    self.stop_reason(delta.stop_reason.some(), delta.stop_details.as_ref(), out);
                }
            }
            "message_stop" => {
                if let Some(usage) = event.usage.0.or_else(|| event.message.0?.usage.0) {
                    self.usage.take(&usage, true);
                }
                self.done = true;
            }
            "ping" => {}
            "error" => self.fail(&error::said(data)),
            // The answer in one piece.
            "message" => {
                if let Some(usage) = event.usage.0 {
                    self.usage.take(&usage, true);
                }
                self.whole(event.content.0, marked, out);
                self.stop_reason(event.stop_reason.some(), event.stop_details.as_ref(), out);
                self.done = true;
            }
            other => match error::reported(frame) {
                Some(said) => self.fail(&said),
                None if other.is_empty() => self.odd.met("an object without a type", out),
                None => self.odd.met(other, out),
            },
        }
    }

    /// Takes all content at once. Of what was streamed before, only what is missing is told.
    fn whole(&mut self, content: Vec<Json>, marked: bool, out: &mut Vec<AgentEvent>) {
        let is_again = self.open || self.closed;
        let mut texts = 0;
        for block in content {
            let word = |key: &str| block.get(key).and_then(Json::as_str).unwrap_or_default();
            if is_again {
                let mut split = Vec::new();
                let is_known = match word("type") {
                    "text" => {
                        texts += 1;
                        let text = surrogate::settled(word("text").into(), marked);
                        self.blocks.nth_text(texts - 1).is_some_and(|known| known.speech.whole(&text, &mut split))
                    }
                    "tool_use" | "server_tool_use" | "mcp_tool_use" => self.blocks.has_id(word("id")),
                    _ => true,
                };
                self.emit_split(split, out);
                if is_known {
                    continue;
                }
            }
            self.start(None, Some(block), marked, out);
            self.close(None, out);
        }
    }

    fn start(&mut self, index: Option<u64>, block: Option<Json>, marked: bool, out: &mut Vec<AgentEvent>) {
        let Some(mut wire) = block.filter(Json::is_object) else { return self.odd.met("a block without content", out) };
        surrogate::settle(&mut wire, marked);
        let kind = wire.get("type").and_then(Json::as_str).unwrap_or_default().to_owned();
        let kind = match kind.as_str() {
            "text" => Kind::Text,
            "thinking" => Kind::Thinking,
            "tool_use" if self.blocks.has_id(wire.get("id").and_then(Json::as_str).unwrap_or_default()) => Kind::Twin,
            "tool_use" | "server_tool_use" | "mcp_tool_use" => {
                let Some(call) = self.call(&wire, kind != "tool_use", out) else {
                    return self.odd.met("more tool calls than are followed", out);
                };
                if kind == "tool_use" { Kind::Call(call) } else { Kind::ServerCall(call) }
            }
            kind if kind.ends_with("_tool_result") => {
                self.result(&wire, kind, out);
                Kind::Result
            }
            "redacted_thinking" | "compaction" | "container_upload" | "fallback" => Kind::Other,
            other => {
                self.odd.met(other, out);
                Kind::Other
            }
        };
        self.blocks.announced(&wire);
        // What an announcement holds already is content like any other.
        let said = |key: &str| wire.get(key).and_then(Json::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
        let (text, thinking) = (said("text"), said("thinking"));
        let is_text = kind == Kind::Text;
        let is_thinking = kind == Kind::Thinking;
        let citations = wire.get("citations").and_then(Json::as_array).cloned().unwrap_or_default();
        let wire = match wire {
            Json::Object(wire) => wire,
            _ => Map::new(),
        };
        let Some(block) = self.blocks.add(index, wire, kind) else {
            return self.odd.met("more content blocks than are followed", out);
        };
        if let Some(text) = text.filter(|_| is_text) {
            let mut split = Vec::new();
            block.speech.take(text.into(), false, false, &mut split);
            self.emit_split(split, out);
        } else if let Some(thinking) = thinking.filter(|_| is_thinking) {
            let thinking = block.thought.take(thinking.into(), false).into_owned();
            self.think(By::Field, &thinking, out);
        }
        for citation in citations.into_iter().filter(|_| is_text) {
            self.cite(citation, out);
        }
    }

    fn delta(&mut self, index: Option<u64>, delta: Delta<'_>, marked: bool, out: &mut Vec<AgentEvent>) {
        let kind = delta.kind.some().unwrap_or_default();
        if self.blocks.open(index).is_none() {
            // Its announcement was lost; text is still text.
            let lost = match kind {
                "text_delta" => "text",
                "thinking_delta" => "thinking",
                _ => return self.odd.met("a piece of a block that is not open", out),
            };
            self.start(index, Some(json!({ "type": lost })), false, out);
        }
        let Some(block) = self.blocks.open(index) else { return };
        match kind {
            "text_delta" => {
                let (before, mut split) = (block.speech.said().len(), Vec::new());
                block.speech.take(delta.text.0.unwrap_or_default(), false, marked, &mut split);
                self.keep_said(index, before);
                self.emit_split(split, out);
            }
            "thinking_delta" => {
                let piece = block.thought.take(delta.thinking.0.unwrap_or_default(), marked).into_owned();
                self.blocks.keep_text(index, &piece);
                self.think(By::Field, &piece, out);
            }
            "input_json_delta" => {
                let piece = block.halves.join(delta.partial_json.0.unwrap_or_default(), marked).into_owned();
                let call = match block.kind.clone() {
                    Kind::Call(call) | Kind::ServerCall(call) => Some(call),
                    Kind::Twin => None,
                    _ => return self.odd.met("arguments without a call", out),
                };
                let Some(told) = self.blocks.keep_args(index, &piece) else {
                    return self.odd.met("tool arguments that are too large", out);
                };
                if let Some(call) = call.filter(|call| !told.is_empty() && !self.calls.is_ready(call)) {
                    out.push(AgentEvent::ToolArgsDelta { call, json: told });
                }
            }
            "signature_delta" => {
                let signature = surrogate::settled(delta.signature.0.unwrap_or_default(), marked);
                self.blocks.keep_signature(index, &signature);
            }
            "citations_delta" => {
                let Some(mut citation) = delta.citation else { return };
                surrogate::settle(&mut citation, marked);
                self.blocks.keep_citation(index, citation.clone());
                self.cite(citation, out);
            }
            "compaction_delta" => {
                let content = surrogate::settled(delta.content.0.unwrap_or_default(), marked);
                self.blocks.keep_text(index, &content);
            }
            other => self.odd.met(other, out),
        }
    }

    fn close(&mut self, index: Option<u64>, out: &mut Vec<AgentEvent>) {
        let is_cut = self.stop == Some(Stop::Length);
        let Some(block) = self.blocks.open(index) else { return };
        match block.kind.clone() {
            Kind::Text => {
                let (before, mut split) = (block.speech.said().len(), Vec::new());
                block.speech.settle(&mut split);
                self.keep_said(index, before);
                self.emit_split(split, out);
            }
            Kind::Thinking => {
                let rest = block.thought.settle();
                self.blocks.keep_text(index, &rest);
                self.think(By::Field, &rest, out);
            }
            Kind::Call(call) | Kind::ServerCall(call) => {
                let (id, name) = (block.wire_id().to_owned(), block.name().to_owned());
                block.args.push(&block.halves.rest().map(String::from).unwrap_or_default());
                let (args, more) = block.take_args(is_cut);
                self.calls.ready(&call, name.clone(), args, &id, out);
                for args in more {
                    self.add_call(&id, &name, args, out);
                }
            }
            Kind::Twin => {
                let (id, name) = (block.wire_id().to_owned(), block.name().to_owned());
                let (args, more) = block.take_args(is_cut);
                for args in std::iter::once(args).chain(more) {
                    if !self.calls.knows(&id, &args) {
                        self.add_call(&id, &name, args, out);
                    }
                }
            }
            Kind::Result | Kind::Other => {}
        }
        if let Some(block) = self.blocks.open(index) {
            block.open = false;
        }
    }

    /// Tells a call that is complete and stands in no block of its own.
    fn add_call(&mut self, id: &str, name: &str, args: String, out: &mut Vec<AgentEvent>) {
        match self.call(&json!({ "id": id, "name": name }), false, out) {
            Some(call) => self.calls.ready(&call, name.to_owned(), args, call.as_str(), out),
            None => self.odd.met("more tool calls than are followed", out),
        }
    }

    /// Keeps what a block of text said since then.
    fn keep_said(&mut self, index: Option<u64>, before: usize) {
        let new = self.blocks.open(index).and_then(|block| block.speech.said().get(before..).map(str::to_owned));
        self.blocks.keep_text(index, &new.unwrap_or_default());
    }

    fn emit_split(&mut self, split: Vec<(speech::Kind, String)>, out: &mut Vec<AgentEvent>) {
        for (kind, text) in split {
            match kind {
                speech::Kind::Text => self.emit(false, text, out),
                speech::Kind::Reasoning => self.think(By::Tags, &text, out),
                speech::Kind::Late if !self.open || self.blocks.has_call() => {}
                speech::Kind::Late if self.thoughts.has_field() && !self.thoughts.knows(&text) => {}
                // What was told as text was reasoning; the answer is another message.
                speech::Kind::Late => {
                    self.think(By::Tags, &text, out);
                    (self.open, self.closed) = (false, true);
                    let message = std::mem::replace(&mut self.message, "m2".into());
                    let (stop, full) = (Stop::End, Some(String::new()));
                    out.push(AgentEvent::MessageFinished { message, stop, full, carry: None });
                }
            }
        }
    }

    fn call(&mut self, wire: &Json, by_server: bool, out: &mut Vec<AgentEvent>) -> Option<CallId> {
        self.begin(out);
        self.calls.start(wire, by_server, &self.message, out)
    }

    /// Finishes a call of the server. After a pause the call itself was in the message before, so it is told again.
    fn result(&mut self, wire: &Json, kind: &str, out: &mut Vec<AgentEvent>) {
        let id = wire.get("tool_use_id").and_then(Json::as_str).unwrap_or_default();
        let call = if let Some(call) = self.calls.of_server(id) {
            call
        } else {
            let name = results::tool_of(kind).to_owned();
            let Some(call) = self.call(&json!({ "id": id, "name": name }), true, out) else {
                return self.odd.met("more tool calls than are followed", out);
            };
            self.calls.ready(&call, name, "{}".into(), id, out);
            call
        };
        if let Some((name, args)) = self.blocks.written(&call) {
            self.calls.ready(&call, name, args, id, out);
        }
        let (outcome, text) = results::read(wire);
        self.calls.finish(&call, outcome, text, out);
    }

    fn cite(&mut self, citation: Json, out: &mut Vec<AgentEvent>) {
        self.begin(out);
        let on = Subject::Message(self.message.clone());
        out.push(AgentEvent::Annotated { on, kind: "citation".into(), data: citation });
    }

    fn think(&mut self, by: By, text: &str, out: &mut Vec<AgentEvent>) {
        let text = self.thoughts.take(by, text);
        self.emit(true, text, out);
    }

    fn emit(&mut self, is_thinking: bool, text: String, out: &mut Vec<AgentEvent>) {
        if text.is_empty() {
            return;
        }
        self.begin(out);
        let message = self.message.clone();
        out.push(if is_thinking {
            AgentEvent::ReasoningDelta { message, text }
        } else {
            AgentEvent::TextDelta { message, text, kind: TextKind::Text }
        });
    }

    fn begin(&mut self, out: &mut Vec<AgentEvent>) {
        if !std::mem::replace(&mut self.open, true) {
            let (message, role) = (self.message.clone(), Role::Assistant);
            out.push(AgentEvent::MessageStarted { message, role, parent: None });
        }
    }

    fn fail(&mut self, said: &error::Said) {
        self.fault.get_or_insert_with(|| error::fault(said));
        self.done = true;
    }

    /// Tells what was held back in a stream that was cut.
    fn flush(&mut self, out: &mut Vec<AgentEvent>) {
        let Some(block) = self.blocks.open(None) else { return };
        if block.kind == Kind::Text || block.kind == Kind::Thinking {
            let mut split = Vec::new();
            block.speech.settle(&mut split);
            let rest = block.thought.settle();
            self.emit_split(split, out);
            self.think(By::Field, &rest, out);
        }
    }
}

impl Decode for Anthropic {
    fn frame(&mut self, frame: &SseFrame, out: &mut Vec<AgentEvent>) {
        if self.done {
            return;
        }
        let data = frame.data.trim();
        if data.is_empty() {
            return;
        }
        if data == "[DONE]" {
            self.done = true;
            return;
        }
        let mended = surrogate::lone(data);
        let (text, marked) = (mended.as_deref().unwrap_or(data), mended.is_some());
        if let Ok(Obj(Some(event))) = serde_json::from_str(text) {
            return self.event(event, frame, marked, out);
        }
        // The slow way forgives repeated keys.
        let json: Option<Json> = serde_json::from_str(text).ok();
        match json.as_ref().filter(|json| json.is_object()).and_then(|json| Event::deserialize(json).ok()) {
            Some(event) => self.event(event, frame, marked, out),
            None if frame.event == "error" => self.fail(&error::said(data)),
            None => match error::unread(frame) {
                Some(said) => self.fail(&said),
                None => self.odd.met("data that is not a JSON object", out),
            },
        }
    }

    fn finish(&mut self, out: &mut Vec<AgentEvent>) {
        let stop = self.stop();
        let is_whole = !matches!(stop, Stop::Interrupted | Stop::Failed);
        if is_whole {
            while self.blocks.open(None).is_some() {
                self.close(None, out);
            }
            // An answer that ends otherwise than well is a message even if it is empty.
            if stop != Stop::End || self.paused {
                self.begin(out);
            }
        } else {
            self.flush(out);
        }
        self.remark(stop, out);
        if self.open {
            let blocks = std::mem::take(&mut self.blocks);
            let carry = if is_whole { blocks.carry() } else { None };
            out.push(AgentEvent::MessageFinished { message: self.message.clone(), stop, full: None, carry });
        }
        if let Some(usage) = self.usage.usage() {
            out.push(AgentEvent::UsageReported { scope: Scope::Request(1), usage });
        }
        out.push(AgentEvent::TurnFinished { turn: "t".into(), end: self.end(stop) });
    }

    fn has_failed(&self) -> bool {
        self.fault.is_some()
    }

    fn is_done(&self) -> bool {
        self.done
    }

    fn is_settled(&self) -> bool {
        self.done || self.stop.is_some()
    }
}

#[cfg(test)]
mod tests;
