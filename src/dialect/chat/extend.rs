//! What the dialects need that are chat completions and more: to see a chunk first, to add words and messages of their
//! own, and to say that the answer is over.

use serde::Deserialize;

use super::ChatDecoder;
use super::provider_metadata::ChatProviderMetadata;
use super::wire::Chunk;
use crate::dialect::lenient::LooseObject;
use crate::dialect::text_assembler::{ChannelAssembler, TextAssembler};
use crate::dialect::{SseFrame, error, surrogate, usage};
use crate::event::{AgentEvent, CallId, Fault, FinishReason, Json, MessageId};

/// What others wrote into chunks: looks at one before it is taken, may take something out of it, and returns the fault
/// that it means.
pub(in crate::dialect) type ChunkHook<'l> = dyn FnMut(&mut Chunk<'_>, &mut Vec<AgentEvent>) -> Option<Fault> + 'l;

/// For the dialects that are chat completions and more.
impl ChatDecoder {
    /// Takes a frame whose chunk somebody wants to see first.
    pub(in crate::dialect) fn decode_with_hook(
        &mut self,
        frame: &SseFrame,
        out: &mut Vec<AgentEvent>,
        look: &mut ChunkHook<'_>,
    ) {
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
            return self.fail(&error::parse_error_data(data));
        }
        if named && !data.contains("\"choices\"") {
            return self.handle_unknown(frame, &frame.event, out);
        }
        if let Ok(LooseObject(Some(chunk))) = serde_json::from_str(data) {
            return self.handle_hooked_chunk(frame, chunk, false, out, look);
        }
        // The slow way forgives lone surrogates and repeated keys.
        let mended = surrogate::mark_lone(data);
        let json: Option<Json> = serde_json::from_str(mended.as_deref().unwrap_or(data)).ok();
        let chunk = json.as_ref().filter(|json| json.is_object()).and_then(|json| Chunk::deserialize(json).ok());
        match chunk {
            Some(chunk) => self.handle_hooked_chunk(frame, chunk, mended.is_some(), out, look),
            None => self.handle_unknown(frame, "data that is not a JSON object", out),
        }
    }

    /// Takes what is no chunk: an error, or something to wonder at.
    fn handle_unknown(&mut self, frame: &SseFrame, name: &str, out: &mut Vec<AgentEvent>) {
        match error::find_error_in_unparsed(frame) {
            Some(said) => self.fail(&said),
            None if matches!(frame.event.as_str(), "ping" | "keepalive" | "keep-alive" | "heartbeat") => {}
            None => self.unknown_frames.report(name, out),
        }
    }

    fn handle_hooked_chunk(
        &mut self,
        frame: &SseFrame,
        mut chunk: Chunk<'_>,
        marked: bool,
        out: &mut Vec<AgentEvent>,
        look: &mut ChunkHook<'_>,
    ) {
        let fault = look(&mut chunk, out);
        let is_strange = chunk.choices.0.is_empty();
        let kind =
            || chunk.object.non_empty().or(chunk.kind.non_empty()).unwrap_or("an object without choices").to_owned();
        let name = if is_strange { kind() } else { String::new() };
        if !self.handle_chunk(chunk, marked, out) {
            self.handle_unknown(frame, &name, out);
        }
        if let Some(fault) = fault {
            self.fault.get_or_insert(fault);
        }
    }

    pub(in crate::dialect) fn message(&self) -> &MessageId {
        &self.message
    }

    /// Takes a piece of text that came otherwise than in a chunk, and may say again what was said.
    pub(in crate::dialect) fn push_delta(&mut self, text: &str, out: &mut Vec<AgentEvent>) {
        self.push_text(Some(text.into()), false, false, out);
    }

    /// Takes text that came otherwise than in a chunk and is certainly new.
    pub(in crate::dialect) fn push_new_text(&mut self, text: &str, out: &mut Vec<AgentEvent>) {
        let mut split = std::mem::take(&mut self.segments);
        self.text.push_new(text, &mut split);
        self.emit_segments(&mut split, out);
        self.segments = split;
    }

    /// The model begins to speak anew: what it says may begin with reasoning again.
    pub(in crate::dialect) fn start_round(&mut self, out: &mut Vec<AgentEvent>) {
        self.flush_channels(out);
        self.text = TextAssembler::default();
        self.reasoning = ChannelAssembler::default();
        self.refusal = ChannelAssembler::default();
    }

    /// What was said so far is a message of its own, and the server ran its calls. Returns whether there was any.
    pub(in crate::dialect) fn next_message(&mut self, out: &mut Vec<AgentEvent>) -> bool {
        self.start_round(out);
        if !std::mem::take(&mut self.open) {
            return false;
        }
        let message = self.advance_message();
        self.provider_metadata = ChatProviderMetadata::default();
        out.push(AgentEvent::MessageFinished {
            message,
            finish_reason: FinishReason::ToolCalls,
            full_text: None,
            provider_metadata: None,
        });
        true
    }

    /// Returns an id for a call that is not in the chunks; none of theirs will be the same.
    pub(in crate::dialect) fn reserve(&mut self, wanted: &str) -> CallId {
        self.calls.reserve(wanted)
    }

    /// Returns whether the answer came to its end and is no error.
    pub(in crate::dialect) fn is_successful(&self) -> bool {
        self.finish_tracker.finish_reason().is_some() && self.fault.is_none()
    }

    /// The format says in a place of its own why the answer ended.
    pub(in crate::dialect) fn set_finish_reason(&mut self, word: &str, out: &mut Vec<AgentEvent>) {
        self.finish_tracker.observe(word, out);
    }

    /// The answer failed; extras may follow.
    pub(in crate::dialect) fn set_fault(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
    }

    /// The end mark came, though not as this format has it.
    pub(in crate::dialect) fn finish_stream(&mut self, wire: Option<&Json>) {
        self.usage = usage::merge(self.usage, wire.and_then(usage::parse));
        self.done = true;
    }
}
