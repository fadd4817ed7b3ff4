//! OpenAI chat completions, as a stream of chunks or as one object. Most servers speak it, each with deviations: every
//! field may be missing, null or of another type, and unknown values are never fatal.
//!
//! A message starts with its first content, not with the empty role chunk; it ends with the stream, since usage and
//! even text may follow the finish reason. Call ids are the server's; where there are none they are `call_1`, ….
//!
//! A `message` holds a whole: of what it repeats, only the missing part is emitted. Next to deltas, or at the end, it
//! is right where the two differ; alone in each chunk, it may also be a delta under the wrong name.

mod calls;
pub mod chunk;
pub(super) mod chunk_stream;
pub mod encode;
mod extend;
mod provider_metadata;
mod timings;
pub(super) mod wire;

use std::borrow::Cow;

use serde_json::json;

use self::calls::ChatCalls;
use self::provider_metadata::ChatProviderMetadata;
use self::wire::{ChatCallFragment, ChatDelta, Chunk, LlamaTimings, TokenField};
use super::finish_reason::{self, FinishTracker};
use super::lenient::{LooseObject, LooseU64};
use super::repeated_frame::RepeatedFrame;
use super::surrogate;
use super::text_assembler::{ChannelAssembler, SegmentKind, TextAssembler};
use super::unknown_frames::UnknownFrames;
use super::{Decode, Dialect, Evidence, FirstFrame, SseFrame, error, usage};
use crate::event::{
    Annotation, Fault, FaultKind, FinishReason, Json, MessageId, ReplyEvent, ReplyTarget, TextKind, TurnOutcome, Usage,
    UsageScope,
};

/// Also `--dialect openai-chat`.
pub const DIALECT: Dialect = Dialect {
    name: "openai-chat",
    title: "OpenAI chat completions",
    decode: |_| Box::new(ChatDecoder::new()),
    evidence,
    extends: None,
    limitations: "call durations and results: the client runs the calls",
};

fn evidence(first: &FirstFrame<'_>) -> Option<Evidence> {
    let has_choices = first.object()?.get("choices").is_some_and(Json::is_array);
    let is_chunk = has_choices || first.text("object").starts_with("chat.completion");
    is_chunk.then(|| Evidence::shape("its frames are chat completion chunks"))
}

/// Decodes one answer.
#[derive(Debug)]
pub struct ChatDecoder {
    message: MessageId,
    /// Messages closed so far.
    closed_messages: u32,
    open: bool,
    text: TextAssembler,
    reasoning: ChannelAssembler,
    refusal: ChannelAssembler,
    calls: ChatCalls,
    /// Calls come under their old name as well, with the same content.
    has_duplicate_calls: bool,
    /// The message has text, and it has reasoning.
    has_text: bool,
    has_reasoning: bool,
    /// There were deltas, so a message repeats them.
    has_deltas: bool,
    finish_tracker: FinishTracker,
    usage: Option<Usage>,
    timings: Option<LlamaTimings>,
    provider_metadata: ChatProviderMetadata,
    fault: Option<Fault>,
    done: bool,
    unknown_frames: UnknownFrames,
    segments: Vec<(SegmentKind, String)>,
    /// The last chunk that was a token and nothing else.
    token_chunk: RepeatedFrame<TokenField>,
}

impl Default for ChatDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl ChatDecoder {
    pub fn new() -> Self {
        Self {
            message: "m1".into(),
            closed_messages: 0,
            open: false,
            text: TextAssembler::default(),
            reasoning: ChannelAssembler::default(),
            refusal: ChannelAssembler::default(),
            calls: ChatCalls::default(),
            has_duplicate_calls: false,
            has_text: false,
            has_reasoning: false,
            has_deltas: false,
            finish_tracker: FinishTracker::default(),
            usage: None,
            timings: None,
            provider_metadata: ChatProviderMetadata::default(),
            fault: None,
            done: false,
            unknown_frames: UnknownFrames::default(),
            segments: Vec::new(),
            token_chunk: RepeatedFrame::default(),
        }
    }

    /// Handles a chunk. Returns false for an object without any known field.
    fn handle_chunk(&mut self, chunk: Chunk<'_>, marked: bool, out: &mut Vec<ReplyEvent>) -> bool {
        // A chunk without choices is a usage-only chunk or a keep-alive of a router.
        let mut known = chunk.object.non_empty() == Some("chat.completion.chunk");
        for (position, choice) in chunk.choices.0.into_iter().enumerate() {
            known = true;
            if choice.index.0.unwrap_or(position as u64) != 0 {
                self.unknown_frames.report("a second choice", out);
                continue;
            }
            let is_last = choice.finish_reason.non_empty().is_some();
            let within = [choice.delta.0.as_ref(), choice.message.0.as_deref()];
            let within = within.into_iter().flatten().find_map(|part| usage::parse(part.usage.as_ref()?));
            self.usage = usage::merge(self.usage, within);
            if let Some(delta) = choice.delta.0 {
                self.handle_delta(delta, is_last, marked, out);
            }
            if let Some(message) = choice.message.0 {
                let is_whole = self.has_deltas || chunk.object.non_empty() == Some("chat.completion") || is_last;
                self.reconcile_message(*message, is_whole, marked, out);
            }
            self.push_text(choice.text.0, is_last, marked, out);
            if let Some(reason) = choice.finish_reason.non_empty() {
                self.finish_tracker.observe(reason, out);
            }
            self.usage = usage::merge(self.usage, choice.usage.as_ref().and_then(usage::parse));
            if let Some(server_error) = choice.error.as_ref().and_then(error::parse_error_object) {
                self.fail(&server_error);
            }
        }
        let groq = chunk.x_groq.0.and_then(|groq| groq.usage);
        if let Some(wire) = chunk.usage.or(groq).or(chunk.usage_metadata) {
            known = true;
            self.usage = usage::merge(self.usage, usage::parse(&wire));
        }
        if let Some(timings) = chunk.timings.0 {
            known = true;
            self.timings = Some(timings);
        }
        // vLLM once wrote its errors without an `error` object around them.
        let bare = (chunk.object.non_empty() == Some("error"))
            .then(|| json!({"message": chunk.message.non_empty(), "type": chunk.kind.non_empty()}));
        if let Some(server_error) = chunk.error.as_ref().or(bare.as_ref()).and_then(error::parse_error_object) {
            known = true;
            self.fail(&server_error);
        }
        known
    }

    fn handle_delta(&mut self, delta: ChatDelta<'_>, is_last: bool, marked: bool, out: &mut Vec<ReplyEvent>) {
        self.push_reasoning(&delta, marked, out);
        self.has_deltas |= delta.content.non_empty().is_some();
        // Text held back in one channel came before what follows in the other.
        if delta.content.non_empty().is_some_and(|text| !text.is_empty()) {
            let rest = self.refusal.flush();
            self.push_refusal(rest, out);
        }
        self.push_text(delta.content.text, is_last, marked, out);
        let refusals = [delta.refusal.0, delta.content.refusal];
        if let Some(refusal) = refusals.into_iter().flatten().find(|text| !text.is_empty()) {
            self.flush_text(out);
            let text = self.refusal.push(refusal, marked).into_owned();
            self.push_refusal(text, out);
        }
        let fragments = delta.tool_calls.0;
        self.has_deltas |= !fragments.is_empty();
        self.has_duplicate_calls |= !fragments.is_empty() && delta.function_call.0.is_some();
        for (position, fragment) in fragments.into_iter().enumerate() {
            self.push_call_fragment(&fragment, position, marked, out);
        }
        // Some servers repeat a call under its old name.
        if let Some(function) = delta.function_call.0.filter(|_| !self.has_duplicate_calls) {
            let (index, function) = (LooseU64(Some(0)), LooseObject(Some(function)));
            self.push_call_fragment(
                &ChatCallFragment { index, function, ..ChatCallFragment::default() },
                0,
                marked,
                out,
            );
        }
    }

    /// Handles a message, which repeats everything so far and may hold more.
    fn reconcile_message(&mut self, message: ChatDelta<'_>, is_whole: bool, marked: bool, out: &mut Vec<ReplyEvent>) {
        let reasoning = reasoning_text(&message);
        for detail in message.reasoning_details.0.iter().filter(|_| self.reasoning.is_empty()) {
            self.provider_metadata.push_detail(detail);
        }
        if !reasoning.is_empty() {
            let rest = self.reasoning.reconcile(reasoning, is_whole, marked);
            if message.reasoning_content.non_empty().is_some() {
                self.provider_metadata.push_reasoning(&rest);
            }
            let rest = self.text.push_reasoning(&rest);
            self.emit_reasoning(rest, out);
        }
        if let Some(text) = message.content.text.filter(|text| !text.is_empty()) {
            let text = surrogate::resolve_marks(text, marked);
            let mut split = std::mem::take(&mut self.segments);
            if !self.text.reconcile(&text, &mut split) {
                if is_whole {
                    self.text.set_correction(&text);
                } else {
                    self.text.push(text, false, false, &mut split);
                }
            }
            self.emit_segments(&mut split, out);
            self.segments = split;
        }
        let refusals = [message.refusal.0, message.content.refusal];
        if let Some(refusal) = refusals.into_iter().flatten().find(|text| !text.is_empty()) {
            let text = self.refusal.reconcile(refusal, is_whole, marked);
            self.push_refusal(text, out);
        }
        let mut fragments = message.tool_calls.0;
        if let Some(function) = message.function_call.0.filter(|_| fragments.is_empty()) {
            fragments.push(ChatCallFragment { function: LooseObject(Some(function)), ..ChatCallFragment::default() });
        }
        for (position, fragment) in fragments.into_iter().enumerate().filter(|(_, it)| it.function.0.is_some()) {
            self.begin_message(out);
            let taken = if is_whole {
                self.calls.reconcile_call(&fragment, position, marked, &self.message, out)
            } else {
                self.calls.push_fragment(&fragment, position, marked, &self.message, out)
            };
            if let Err(odd) = taken {
                self.unknown_frames.report(odd, out);
            }
        }
    }

    fn push_call_fragment(
        &mut self,
        fragment: &ChatCallFragment<'_>,
        position: usize,
        marked: bool,
        out: &mut Vec<ReplyEvent>,
    ) {
        if fragment.function.0.is_none() {
            return;
        }
        self.begin_message(out);
        if let Err(odd) = self.calls.push_fragment(fragment, position, marked, &self.message, out) {
            self.unknown_frames.report(odd, out);
        }
    }

    fn push_reasoning(&mut self, delta: &ChatDelta<'_>, marked: bool, out: &mut Vec<ReplyEvent>) {
        for detail in &delta.reasoning_details.0 {
            self.provider_metadata.push_detail(detail);
        }
        let text = reasoning_text(delta);
        if text.is_empty() {
            return;
        }
        let text = self.reasoning.push(text, marked);
        if delta.reasoning_content.non_empty().is_some() {
            self.provider_metadata.push_reasoning(&text);
        }
        let text = self.text.push_reasoning(&text);
        self.emit_reasoning(text, out);
    }

    fn push_refusal(&mut self, text: String, out: &mut Vec<ReplyEvent>) {
        if !text.is_empty() {
            self.finish_tracker.mark_refused();
            // A possible start of a tag turned out to be text: it comes first.
            self.flush_text(out);
            self.emit_text(text, TextKind::Refusal, out);
        }
    }

    fn push_text(&mut self, content: Option<Cow<'_, str>>, is_last: bool, marked: bool, out: &mut Vec<ReplyEvent>) {
        let Some(content) = content.filter(|content| !content.is_empty()) else { return };
        let mut split = std::mem::take(&mut self.segments);
        self.text.push(content, is_last, marked, &mut split);
        self.emit_segments(&mut split, out);
        self.segments = split;
    }

    fn emit_segments(&mut self, split: &mut Vec<(SegmentKind, String)>, out: &mut Vec<ReplyEvent>) {
        for (kind, text) in split.drain(..) {
            match kind {
                SegmentKind::Reasoning => self.emit_reasoning(text, out),
                SegmentKind::Text => self.emit_text(text, TextKind::Text, out),
                SegmentKind::LateReasoning => self.convert_to_reasoning(text, out),
            }
        }
    }

    /// Emits the text so far as reasoning, since it turned out to be that; what follows is another message.
    fn convert_to_reasoning(&mut self, text: String, out: &mut Vec<ReplyEvent>) {
        if !self.open || !self.calls.is_empty() {
            return;
        }
        self.emit_reasoning(text, out);
        (self.open, self.has_text) = (false, false);
        let message = self.advance_message();
        out.push(ReplyEvent::MessageFinished {
            message,
            finish_reason: FinishReason::End,
            full_text: Some(String::new()),
            provider_metadata: None,
        });
    }

    /// Returns the id of the current message; the next one gets another id.
    fn advance_message(&mut self) -> MessageId {
        self.closed_messages += 1;
        std::mem::replace(&mut self.message, MessageId::new(format!("m{}", self.closed_messages + 1)))
    }

    fn emit_text(&mut self, text: String, kind: TextKind, out: &mut Vec<ReplyEvent>) {
        self.begin_message(out);
        self.has_text |= !text.trim().is_empty();
        out.push(ReplyEvent::TextDelta { message: self.message.clone(), text, kind });
    }

    fn emit_reasoning(&mut self, text: String, out: &mut Vec<ReplyEvent>) {
        if text.is_empty() {
            return;
        }
        self.begin_message(out);
        self.has_reasoning = true;
        out.push(ReplyEvent::ReasoningDelta { message: self.message.clone(), text });
    }

    pub(super) fn begin_message(&mut self, out: &mut Vec<ReplyEvent>) {
        if !std::mem::replace(&mut self.open, true) {
            let role = crate::event::Role::Assistant;
            out.push(ReplyEvent::MessageStarted { message: self.message.clone(), role, parent: None });
        }
    }

    fn fail(&mut self, server_error: &error::ServerError) {
        self.fault.get_or_insert_with(|| error::to_fault(server_error));
        self.done = true;
    }

    /// Emits text held back, since nothing that follows can complete a tag or a character.
    pub(super) fn flush_channels(&mut self, out: &mut Vec<ReplyEvent>) {
        let rest = self.text.push_reasoning(&self.reasoning.flush());
        self.emit_reasoning(rest, out);
        self.flush_text(out);
        let rest = self.refusal.flush();
        self.push_refusal(rest, out);
    }

    fn flush_text(&mut self, out: &mut Vec<ReplyEvent>) {
        let mut split = std::mem::take(&mut self.segments);
        self.text.flush(&mut split);
        self.emit_segments(&mut split, out);
        self.segments = split;
    }
}

/// Returns the reasoning in a delta. Servers with two fields for it put the same text into both, so the first one wins.
fn reasoning_text<'a>(delta: &'a ChatDelta<'_>) -> Cow<'a, str> {
    let names = [&delta.reasoning_content, &delta.reasoning, &delta.reasoning_text, &delta.thinking, &delta.thought];
    if let Some(text) = names.into_iter().find_map(|text| text.non_empty()).or(delta.content.reasoning.as_deref()) {
        return Cow::Borrowed(text);
    }
    let details: String = delta.reasoning_details.0.iter().filter_map(wire::detail_text).collect();
    if details.is_empty() { delta.thinking_blocks.non_empty().unwrap_or_default().into() } else { details.into() }
}

impl Decode for ChatDecoder {
    fn decode_frame(&mut self, frame: &SseFrame, out: &mut Vec<ReplyEvent>) {
        match self.token_chunk.matching(frame).filter(|_| !self.done) {
            Some((field, text)) => self.handle_delta(field.delta(text), false, false, out),
            None => self.decode_with_hook(frame, out, &mut |_, _| None),
        }
    }

    fn finish(&mut self, out: &mut Vec<ReplyEvent>) {
        self.flush_channels(out);
        let reported = self.finish_tracker.finish_reason().is_some() || self.done;
        self.fault = self.fault.take().or_else(|| self.finish_tracker.fault());
        let has_calls = !self.calls.is_empty();
        let finish_reason = match &self.fault {
            Some(_) => FinishReason::Failed,
            None if !reported => FinishReason::Interrupted,
            None => self.finish_tracker.finish_reason_with(has_calls),
        };
        if finish_reason::is_worth_showing(finish_reason) {
            self.begin_message(out);
        }
        if let Some(timings) = self.timings.take() {
            let on = if self.open { ReplyTarget::Message(self.message.clone()) } else { ReplyTarget::Reply };
            self.usage = timings.fill_usage(self.usage);
            let annotation = timings.to_timing().map(Annotation::Timing);
            out.extend(annotation.map(|annotation| ReplyEvent::Annotation { on, annotation }));
        }
        // There was reasoning and nothing else.
        if finish_reason == FinishReason::End && self.has_reasoning && !self.has_text {
            out.push(finish_reason::empty_response_notice());
        }
        if self.open {
            if !matches!(finish_reason, FinishReason::Interrupted | FinishReason::Failed) {
                self.calls.finish_all(finish_reason == FinishReason::Length, &self.message, out);
            }
            let metadata = self.provider_metadata.take(has_calls);
            let full = self.text.corrected_text().filter(|_| self.closed_messages == 0);
            out.push(ReplyEvent::MessageFinished {
                message: self.message.clone(),
                finish_reason,
                full_text: full,
                provider_metadata: metadata,
            });
        } else if finish_reason == FinishReason::End && self.closed_messages == 0 && !self.has_reasoning {
            out.push(finish_reason::empty_response_notice());
        }
        if let Some(usage) = self.usage.take() {
            out.push(ReplyEvent::UsageReported { scope: UsageScope::Request(1), usage });
        }
        let outcome = match (self.fault.take(), finish_reason) {
            (Some(fault), _) => TurnOutcome::Failed(fault),
            (None, FinishReason::Interrupted) => TurnOutcome::Interrupted,
            (None, _) if self.finish_tracker.is_filtered() => {
                TurnOutcome::Failed(Fault::new(FaultKind::Refused, finish_reason::CONTENT_FILTER_MESSAGE))
            }
            _ => TurnOutcome::Completed,
        };
        out.push(ReplyEvent::End { outcome });
    }

    fn has_failed(&self) -> bool {
        self.fault.is_some()
    }

    fn is_done(&self) -> bool {
        self.done
    }

    fn is_complete(&self) -> bool {
        self.done || self.finish_tracker.finish_reason().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(
        frames: &[SseFrame],
        each: impl Fn(&mut ChatDecoder, &SseFrame, &mut Vec<ReplyEvent>),
    ) -> Vec<ReplyEvent> {
        let (mut decoder, mut events) = (ChatDecoder::new(), Vec::new());
        for frame in frames {
            each(&mut decoder, frame, &mut events);
        }
        decoder.finish(&mut events);
        events
    }

    #[test]
    fn chunks_that_are_a_token_and_nothing_else_say_the_same_parsed_or_not() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/chat");
        let recordings = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut streams: Vec<Vec<SseFrame>> = Vec::new();
        for path in recordings.filter(|path| path.extension().is_some_and(|ending| ending == "sse")) {
            let recording = String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
            let data = recording.lines().filter_map(|line| line.strip_prefix("data: "));
            streams.push(data.map(SseFrame::data).collect());
        }
        let field = |name: &str, text: &str| json!({"choices": [{"index": 0, "delta": {name: text}}]}).to_string();
        let of = |names: [&str; 3]| {
            let words = ["a ", "b", "b", "<think>", "x", "</think>", " ü", "\n", "\\", "a b", "\u{1f600}"];
            let tokens = words.iter().enumerate().map(|(at, word)| field(names[at % 3], word));
            tokens.chain(["[DONE]".to_owned(), field(names[0], "after the end")]).map(SseFrame::data).collect()
        };
        streams.push(of(["content"; 3]));
        streams.push(of(["reasoning_content", "reasoning_content", "content"]));
        streams.push(of(["reasoning"; 3]));
        streams.push(of(["thinking", "content", "refusal"]));
        assert!(streams.len() > 20, "{}", streams.len());
        let mut unparsed = 0;
        for frames in &streams {
            let whole = decode(frames, |decoder, frame, out| decoder.decode_with_hook(frame, out, &mut |_, _| None));
            assert_eq!(decode(frames, ChatDecoder::decode_frame), whole);
            let mut decoder = ChatDecoder::new();
            for frame in frames {
                unparsed += usize::from(decoder.token_chunk.matching(frame).is_some());
                decoder.decode_frame(frame, &mut Vec::new());
            }
        }
        assert!(unparsed > 40, "{unparsed} chunks were not parsed");
    }
}
