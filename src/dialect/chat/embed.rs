//! What the dialects need that are chat completions and more: to see a chunk first, to add words and messages of their
//! own, and to say that the answer is over.

use serde::Deserialize;

use super::Chat;
use super::carry::Carry;
use super::wire::Chunk;
use crate::dialect::lax::Obj;
use crate::dialect::speech::{Speech, Voice};
use crate::dialect::{SseFrame, error, surrogate, usage};
use crate::event::{AgentEvent, CallId, Fault, Json, MessageId, Stop};

/// What others wrote into chunks: looks at one before it is taken, may take something out of it, and returns the fault
/// that it means.
pub(in crate::dialect) type Look<'l> = dyn FnMut(&mut Chunk<'_>, &mut Vec<AgentEvent>) -> Option<Fault> + 'l;

/// For the dialects that are chat completions and more.
impl Chat {
    /// Takes a frame whose chunk somebody wants to see first.
    pub(in crate::dialect) fn frame_seen(&mut self, frame: &SseFrame, out: &mut Vec<AgentEvent>, look: &mut Look<'_>) {
        if self.done {
            return;
        }
        let data = frame.data.trim();
        // An event without data is a sign of life.
        if data.is_empty() && frame.event != "error" {
            return;
        }
        if data == "[DONE]" {
            self.done = true;
            return;
        }
        let named = !matches!(frame.event.as_str(), "" | "message" | "error" | "data" | "completion" | "chunk");
        if frame.event == "error" {
            return self.fail(&error::said(data));
        }
        if named && !data.contains("\"choices\"") {
            return self.stranger(frame, &frame.event, out);
        }
        if let Ok(Obj(Some(chunk))) = serde_json::from_str(data) {
            return self.seen_chunk(frame, chunk, false, out, look);
        }
        // The slow way forgives lone surrogates and repeated keys.
        let mended = surrogate::mark(data);
        let json: Option<Json> = serde_json::from_str(mended.as_deref().unwrap_or(data)).ok();
        let chunk = json.as_ref().filter(|json| json.is_object()).and_then(|json| Chunk::deserialize(json).ok());
        match chunk {
            Some(chunk) => self.seen_chunk(frame, chunk, mended.is_some(), out, look),
            None => self.stranger(frame, "data that is not a JSON object", out),
        }
    }

    /// Takes what is no chunk: an error, or something to wonder at.
    fn stranger(&mut self, frame: &SseFrame, name: &str, out: &mut Vec<AgentEvent>) {
        match error::unread(frame) {
            Some(said) => self.fail(&said),
            None if matches!(frame.event.as_str(), "ping" | "keepalive" | "keep-alive" | "heartbeat") => {}
            None => self.odd.met(name, out),
        }
    }

    fn seen_chunk(
        &mut self,
        frame: &SseFrame,
        mut chunk: Chunk<'_>,
        marked: bool,
        out: &mut Vec<AgentEvent>,
        look: &mut Look<'_>,
    ) {
        let fault = look(&mut chunk, out);
        let is_strange = chunk.choices.0.is_empty();
        let kind = || chunk.object.some().or(chunk.kind.some()).unwrap_or("an object without choices").to_owned();
        let name = if is_strange { kind() } else { String::new() };
        if !self.chunk(chunk, marked, out) {
            self.stranger(frame, &name, out);
        }
        if let Some(fault) = fault {
            self.fault.get_or_insert(fault);
        }
    }

    pub(in crate::dialect) fn message(&self) -> &MessageId {
        &self.message
    }

    /// Takes a piece of text that came otherwise than in a chunk, and may say again what was said.
    pub(in crate::dialect) fn piece(&mut self, text: &str, out: &mut Vec<AgentEvent>) {
        self.say(Some(text.into()), false, false, out);
    }

    /// Takes text that came otherwise than in a chunk and is certainly new.
    pub(in crate::dialect) fn text(&mut self, text: &str, out: &mut Vec<AgentEvent>) {
        let mut split = std::mem::take(&mut self.split);
        self.text.more(text, &mut split);
        self.emit_split(&mut split, out);
        self.split = split;
    }

    /// The model begins to speak anew: what it says may begin with reasoning again.
    pub(in crate::dialect) fn new_round(&mut self, out: &mut Vec<AgentEvent>) {
        self.close_text(out);
        self.text = Speech::default();
        self.reasoning = Voice::default();
        self.refusal = Voice::default();
    }

    /// What was said so far is a message of its own, and the server ran its calls. Returns whether there was any.
    pub(in crate::dialect) fn next_message(&mut self, out: &mut Vec<AgentEvent>) -> bool {
        self.new_round(out);
        if !std::mem::take(&mut self.open) {
            return false;
        }
        let message = self.following();
        self.carry = Carry::default();
        out.push(AgentEvent::MessageFinished { message, stop: Stop::ToolCalls, full: None, carry: None });
        true
    }

    /// Returns an id for a call that is not in the chunks; none of theirs will be the same.
    pub(in crate::dialect) fn reserve(&mut self, wanted: &str) -> CallId {
        self.calls.reserve(wanted)
    }

    /// Returns whether the answer came to its end and is no error.
    pub(in crate::dialect) fn is_well(&self) -> bool {
        self.verdict.stop().is_some() && self.fault.is_none()
    }

    /// The format says in a place of its own why the answer ended.
    pub(in crate::dialect) fn ended_for(&mut self, word: &str, out: &mut Vec<AgentEvent>) {
        self.verdict.take(word, out);
    }

    /// The answer failed; extras may follow.
    pub(in crate::dialect) fn break_off(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
    }

    /// The end mark came, though not as this format has it.
    pub(in crate::dialect) fn end(&mut self, wire: Option<&Json>) {
        self.usage = usage::later(self.usage, wire.and_then(usage::read));
        self.done = true;
    }
}
