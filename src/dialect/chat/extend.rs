//! Hooks for dialects that extend chat completions: to inspect chunks first, to add text and messages of their own, and
//! to end the answer.

use serde::Deserialize;

use super::ChatDecoder;
use super::provider_metadata::ChatProviderMetadata;
use super::wire::Chunk;
use crate::dialect::lenient::LooseObject;
use crate::dialect::text_assembler::{ChannelAssembler, TextAssembler};
use crate::dialect::{SseFrame, error, surrogate, usage};
use crate::event::{CallId, Fault, FinishReason, Json, MessageId, ReplyEvent};

/// What a server may change with every chunk, and nothing here reads.
const UNREAD_KEYS: [&str; 2] = ["created", "obfuscation"];

/// Inspects a chunk before it is handled, may take its own extensions out of it, and returns the fault that they
/// report.
pub(in crate::dialect) type ChunkHook<'l> = dyn FnMut(&mut Chunk<'_>, &mut Vec<ReplyEvent>) -> Option<Fault> + 'l;

impl ChatDecoder {
    /// Decodes a frame, after the hook has seen its chunk.
    pub(in crate::dialect) fn decode_with_hook(
        &mut self,
        frame: &SseFrame,
        out: &mut Vec<ReplyEvent>,
        look: &mut ChunkHook<'_>,
    ) {
        if self.done {
            return;
        }
        let data = frame.data.trim();
        // An event without data is a keep-alive.
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
        if let Ok(LooseObject(Some(chunk))) = serde_json::from_str::<LooseObject<Chunk<'_>>>(data) {
            if let Some((field, text)) = chunk.token() {
                self.token_chunk.learn(frame, text, &UNREAD_KEYS, field);
            }
            return self.handle_hooked_chunk(frame, chunk, false, out, look);
        }
        // The slow path accepts lone surrogates and repeated keys.
        let repaired = surrogate::mark_lone(data);
        let json: Option<Json> = serde_json::from_str(repaired.as_deref().unwrap_or(data)).ok();
        let chunk = json.as_ref().filter(|json| json.is_object()).and_then(|json| Chunk::deserialize(json).ok());
        match chunk {
            Some(chunk) => self.handle_hooked_chunk(frame, chunk, repaired.is_some(), out, look),
            None => self.handle_unknown(frame, "data that is not a JSON object", out),
        }
    }

    /// Handles a frame that is not a chunk: an error, or an unknown frame.
    fn handle_unknown(&mut self, frame: &SseFrame, name: &str, out: &mut Vec<ReplyEvent>) {
        match error::find_error_in_unparsed(frame) {
            Some(server_error) => self.fail(&server_error),
            None if matches!(frame.event.as_str(), "ping" | "keepalive" | "keep-alive" | "heartbeat") => {}
            None => self.unknown_frames.report(name, out),
        }
    }

    fn handle_hooked_chunk(
        &mut self,
        frame: &SseFrame,
        mut chunk: Chunk<'_>,
        marked: bool,
        out: &mut Vec<ReplyEvent>,
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

    /// Adds text from outside the chunks, which may repeat earlier text.
    pub(in crate::dialect) fn push_delta(&mut self, text: &str, out: &mut Vec<ReplyEvent>) {
        self.push_text(Some(text.into()), false, false, out);
    }

    /// Adds text from outside the chunks that is known to be new.
    pub(in crate::dialect) fn push_new_text(&mut self, text: &str, out: &mut Vec<ReplyEvent>) {
        let mut split = std::mem::take(&mut self.segments);
        self.text.push_new(text, &mut split);
        self.emit_segments(&mut split, out);
        self.segments = split;
    }

    /// Starts a round of the model: its text may start with reasoning again.
    pub(in crate::dialect) fn start_round(&mut self, out: &mut Vec<ReplyEvent>) {
        self.flush_channels(out);
        self.text = TextAssembler::default();
        self.reasoning = ChannelAssembler::default();
        self.refusal = ChannelAssembler::default();
    }

    /// Ends the current message, whose calls the server ran. Returns whether there was one.
    pub(in crate::dialect) fn next_message(&mut self, out: &mut Vec<ReplyEvent>) -> bool {
        self.start_round(out);
        if !std::mem::take(&mut self.open) {
            return false;
        }
        let message = self.advance_message();
        self.provider_metadata = ChatProviderMetadata::default();
        out.push(ReplyEvent::MessageFinished {
            message,
            finish_reason: FinishReason::ToolCalls,
            full_text: None,
            provider_metadata: None,
        });
        true
    }

    /// Reserves an id for a call that is not in the chunks, unique among those that are.
    pub(in crate::dialect) fn reserve(&mut self, preferred: &str) -> CallId {
        self.calls.reserve(preferred)
    }

    /// Returns whether the answer reached its end without a fault.
    pub(in crate::dialect) fn is_successful(&self) -> bool {
        self.finish_tracker.finish_reason().is_some() && self.fault.is_none()
    }

    /// Sets the finish reason, where the format has it outside the chunks.
    pub(in crate::dialect) fn set_finish_reason(&mut self, word: &str, out: &mut Vec<ReplyEvent>) {
        self.finish_tracker.observe(word, out);
    }

    /// Records that the answer failed; extras may follow.
    pub(in crate::dialect) fn set_fault(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
    }

    /// Ends the stream at an end mark of another form.
    pub(in crate::dialect) fn finish_stream(&mut self, wire: Option<&Json>) {
        self.usage = usage::merge(self.usage, wire.and_then(usage::parse));
        self.done = true;
    }
}
