//! Anthropic Messages, as a stream of events or as one object. A message is a list of content blocks, each started,
//! streamed and stopped; a call is complete when its block stops.
//!
//! Uses of the server's own tools (`server_tool_use`, `mcp_tool_use` and their results) are calls that the server runs.
//! Such blocks and signed thinking are kept whole in `MessageFinished::provider_metadata` (`{content: [block, …]}`) and
//! sent back verbatim; calls carry the id by which that content names them, or `server: true`.
//!
//! `pause_turn` means that the server wants the turn back to continue it: the message ends with [`FinishReason::End`]
//! and the annotation [`Annotation::Paused`](crate::event::Annotation::Paused), and the agent then sends another request with the kept content as the last message.

mod blocks;
mod calls;
mod emit;
pub mod encode;
mod finish;
mod remarks;
mod results;
mod wire;

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Map, json};

use self::blocks::{ContentBlockKind, ContentBlocks};
use self::calls::AnthropicCalls;
use self::wire::{AnthropicDelta, AnthropicEvent, UsageTotals};
use super::lenient::{LooseObject, LooseStr};
use super::reasoning_dedup::{ReasoningDedup, ReasoningSource};
use super::repeated_frame::RepeatedFrame;
use super::surrogate;
use super::unknown_frames::UnknownFrames;
use super::{Decode, DecodeContext, Dialect, Evidence, FirstFrame, SseFrame, error};
use crate::event::{Fault, FinishReason, Json, MessageId, ReplyEvent, UsageScope};

/// Also `--dialect anthropic`.
pub const DIALECT: Dialect = Dialect {
    name: "anthropic",
    title: "Anthropic Messages",
    decode: |_: &DecodeContext| Box::new(AnthropicDecoder::new()),
    evidence,
    extends: None,
    limitations: "results of our own calls, approvals, times, plan and state of the agent",
};

/// Events of its streams except `ping` and `error`, which others have too.
const EVENTS: &[&str] = &[
    "message_start",
    "message_delta",
    "message_stop",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
];

fn evidence(first: &FirstFrame<'_>) -> Option<Evidence> {
    let (kind, is_typed_error) = (first.kind(), first.has_in("error", "type"));
    let found = if first.name() == "error" && kind == "error" && is_typed_error {
        Evidence::name("a frame named error holds a typed error")
    } else if EVENTS.contains(&first.name()) {
        Evidence::named(first)
    } else if kind == "message" && first.text("role") == "assistant" && has_content_list(first) {
        Evidence::shape("it is a whole message with blocks of content")
    } else if EVENTS.contains(&kind) && !is_foreign_message(first) {
        Evidence::shape(format!("a frame has the type {kind}"))
    } else if kind == "error" && is_typed_error {
        Evidence::shape("a frame has the type error and holds a typed error")
    } else {
        return None;
    };
    Some(found.sharing_errors(first))
}

fn has_content_list(first: &FirstFrame<'_>) -> bool {
    first.object().and_then(|json| json.get("content")).is_some_and(Json::is_array)
}

/// Returns whether a message is another program's, with the names of these events.
fn is_foreign_message(first: &FirstFrame<'_>) -> bool {
    let Some(message) = first.object().and_then(|json| json.get("message")) else { return false };
    let role = message.get("role").and_then(Json::as_str).unwrap_or_default();
    let is_ours = matches!(role, "" | "assistant") && !first.has_in("message", "timestamp");
    !is_ours || !message.is_object()
}

/// Decodes one answer.
#[derive(Debug)]
pub struct AnthropicDecoder {
    message: MessageId,
    open: bool,
    /// A message was already closed.
    closed: bool,
    blocks: ContentBlocks,
    calls: AnthropicCalls,
    reasoning_dedup: ReasoningDedup,
    usage: UsageTotals,
    finish_reason: Option<FinishReason>,
    paused: bool,
    /// Why the model refused, in the server's words.
    refusal_explanation: Option<String>,
    exceeds_context: bool,
    filtered: bool,
    fault: Option<Fault>,
    done: bool,
    unknown_frames: UnknownFrames,
    /// The last delta of a text, with the number of its block.
    last_delta: RepeatedFrame<(Option<u64>, TextDelta)>,
}

/// A delta that is text.
#[derive(Clone, Copy, Debug)]
enum TextDelta {
    Text,
    Thinking,
}

impl Default for AnthropicDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl AnthropicDecoder {
    pub fn new() -> Self {
        Self {
            message: "m1".into(),
            open: false,
            closed: false,
            blocks: ContentBlocks::default(),
            calls: AnthropicCalls::default(),
            reasoning_dedup: ReasoningDedup::default(),
            usage: UsageTotals::default(),
            finish_reason: None,
            paused: false,
            refusal_explanation: None,
            exceeds_context: false,
            filtered: false,
            fault: None,
            done: false,
            unknown_frames: UnknownFrames::default(),
            last_delta: RepeatedFrame::default(),
        }
    }

    fn handle_event(&mut self, event: AnthropicEvent<'_>, frame: &SseFrame, marked: bool, out: &mut Vec<ReplyEvent>) {
        let (index, data) = (event.index.0, frame.data.as_str());
        let kind = event.kind.non_empty().filter(|_| frame.event != "error");
        match kind.unwrap_or(&frame.event) {
            "content_block_delta" => {
                if let Some(delta) = event.delta.0 {
                    self.handle_delta(index, delta, marked, out);
                }
            }
            "content_block_start" => self.start_block(index, event.content_block, marked, out),
            "content_block_stop" => self.close_block(index, out),
            "message_start" => {
                let Some(message) = event.message.0 else { return };
                if let Some(usage) = message.usage.0 {
                    self.usage.observe(&usage, false);
                }
                self.reconcile(message.content.0, marked, out);
                self.handle_stop_reason(message.stop_reason.non_empty(), None, out);
            }
            "message_delta" => {
                if let Some(usage) = event.usage.0 {
                    self.usage.observe(&usage, true);
                }
                if let Some(delta) = event.delta.0 {
                    if let Some(usage) = &delta.usage.0 {
                        self.usage.observe(usage, true);
                    }
                    self.handle_stop_reason(delta.stop_reason.non_empty(), delta.stop_details.as_ref(), out);
                }
            }
            "message_stop" => {
                if let Some(usage) = event.usage.0.or_else(|| event.message.0?.usage.0) {
                    self.usage.observe(&usage, true);
                }
                self.done = true;
            }
            "ping" => {}
            "error" => self.fail(&error::parse_error_data(data)),
            // A response that is not streamed.
            "message" => {
                if let Some(usage) = event.usage.0 {
                    self.usage.observe(&usage, true);
                }
                self.reconcile(event.content.0, marked, out);
                self.handle_stop_reason(event.stop_reason.non_empty(), event.stop_details.as_ref(), out);
                self.done = true;
            }
            other => match error::find_error(frame) {
                Some(server_error) => self.fail(&server_error),
                None if other.is_empty() => self.unknown_frames.report("an object without a type", out),
                None => self.unknown_frames.report(other, out),
            },
        }
    }

    /// Takes the complete content. Only what was not streamed before is emitted.
    fn reconcile(&mut self, content: Vec<Json>, marked: bool, out: &mut Vec<ReplyEvent>) {
        let is_again = self.open || self.closed;
        let mut texts = 0;
        for block in content {
            let word = |key: &str| block.get(key).and_then(Json::as_str).unwrap_or_default();
            if is_again {
                let mut split = Vec::new();
                let is_known = match word("type") {
                    "text" => {
                        texts += 1;
                        let text = surrogate::resolve_marks(word("text").into(), marked);
                        self.blocks
                            .nth_text(texts - 1)
                            .is_some_and(|known| known.assembler.reconcile(&text, &mut split))
                    }
                    "tool_use" | "server_tool_use" | "mcp_tool_use" => self.blocks.has_call_id(word("id")),
                    _ => true,
                };
                self.emit_segments(split, out);
                if is_known {
                    continue;
                }
            }
            self.start_block(None, Some(block), marked, out);
            self.close_block(None, out);
        }
    }

    fn start_block(&mut self, index: Option<u64>, block: Option<Json>, marked: bool, out: &mut Vec<ReplyEvent>) {
        let Some(mut wire) = block.filter(Json::is_object) else {
            return self.unknown_frames.report("a block without content", out);
        };
        surrogate::resolve_marks_in_json(&mut wire, marked);
        let kind = wire.get("type").and_then(Json::as_str).unwrap_or_default().to_owned();
        let kind = match kind.as_str() {
            "text" => ContentBlockKind::Text,
            "thinking" => ContentBlockKind::Thinking,
            "tool_use" if self.blocks.has_call_id(wire.get("id").and_then(Json::as_str).unwrap_or_default()) => {
                ContentBlockKind::DuplicateCall
            }
            "tool_use" | "server_tool_use" | "mcp_tool_use" => {
                let Some(call) = self.start_call(&wire, kind != "tool_use", out) else {
                    return self.unknown_frames.report("too many tool calls", out);
                };
                if kind == "tool_use" { ContentBlockKind::Call(call) } else { ContentBlockKind::ServerCall(call) }
            }
            kind if kind.ends_with("_tool_result") => {
                self.finish_server_call(&wire, kind, out);
                ContentBlockKind::Result
            }
            "redacted_thinking" => ContentBlockKind::Other,
            kind if remarks::emit(kind, &wire, out) => ContentBlockKind::Other,
            other => {
                self.unknown_frames.report(other, out);
                ContentBlockKind::Other
            }
        };
        self.blocks.count_announced(&wire);
        // A start event may already hold content.
        let string_field =
            |key: &str| wire.get(key).and_then(Json::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
        let (text, thinking) = (string_field("text"), string_field("thinking"));
        let is_text = kind == ContentBlockKind::Text;
        let is_thinking = kind == ContentBlockKind::Thinking;
        let citations = wire.get("citations").and_then(Json::as_array).cloned().unwrap_or_default();
        let wire = match wire {
            Json::Object(wire) => wire,
            _ => Map::new(),
        };
        let Some(block) = self.blocks.add(index, wire, kind) else {
            return self.unknown_frames.report("too many content blocks", out);
        };
        if let Some(text) = text.filter(|_| is_text) {
            let mut split = Vec::new();
            block.assembler.push(text.into(), false, false, &mut split);
            self.emit_segments(split, out);
        } else if let Some(thinking) = thinking.filter(|_| is_thinking) {
            let thinking = block.thinking.push(thinking.into(), false).into_owned();
            self.push_reasoning(ReasoningSource::Field, &thinking, out);
        }
        for citation in citations.into_iter().filter(|_| is_text) {
            self.annotate_citation(citation, out);
        }
    }

    fn handle_delta(&mut self, index: Option<u64>, delta: AnthropicDelta<'_>, marked: bool, out: &mut Vec<ReplyEvent>) {
        let kind = delta.kind.non_empty().unwrap_or_default();
        if self.blocks.open(index).is_none() {
            // The start of the block was lost; its text still counts.
            let lost = match kind {
                "text_delta" => "text",
                "thinking_delta" => "thinking",
                _ => return self.unknown_frames.report("a delta of a block that is not open", out),
            };
            self.start_block(index, Some(json!({ "type": lost })), false, out);
        }
        let Some(block) = self.blocks.open(index) else { return };
        match kind {
            "text_delta" => {
                let (before, mut split) = (block.assembler.raw_text().len(), Vec::new());
                block.assembler.push(delta.text.0.unwrap_or_default(), false, marked, &mut split);
                self.record_text(index, before);
                self.emit_segments(split, out);
            }
            "thinking_delta" => {
                let piece = block.thinking.push(delta.thinking.0.unwrap_or_default(), marked).into_owned();
                self.blocks.append_text(index, &piece);
                self.push_reasoning(ReasoningSource::Field, &piece, out);
            }
            "input_json_delta" => {
                let piece = block.surrogates.push(delta.partial_json.0.unwrap_or_default(), marked).into_owned();
                let call = match block.kind.clone() {
                    ContentBlockKind::Call(call) | ContentBlockKind::ServerCall(call) => Some(call),
                    ContentBlockKind::DuplicateCall => None,
                    _ => return self.unknown_frames.report("arguments without a call", out),
                };
                let Some(args_delta) = self.blocks.append_args(index, &piece) else {
                    return self.unknown_frames.report("tool arguments that are too large", out);
                };
                if let Some(call) = call.filter(|call| !args_delta.is_empty() && !self.calls.is_ready(call)) {
                    out.push(ReplyEvent::ToolArgsDelta { call, json: args_delta });
                }
            }
            "signature_delta" => {
                let signature = surrogate::resolve_marks(delta.signature.0.unwrap_or_default(), marked);
                self.blocks.append_signature(index, &signature);
            }
            "citations_delta" => {
                let Some(mut citation) = delta.citation else { return };
                surrogate::resolve_marks_in_json(&mut citation, marked);
                self.blocks.append_citation(index, citation.clone());
                self.annotate_citation(citation, out);
            }
            "compaction_delta" => {
                let content = surrogate::resolve_marks(delta.content.0.unwrap_or_default(), marked);
                self.blocks.append_text(index, &content);
            }
            other => self.unknown_frames.report(other, out),
        }
    }

    fn close_block(&mut self, index: Option<u64>, out: &mut Vec<ReplyEvent>) {
        let is_cut = self.finish_reason == Some(FinishReason::Length);
        let Some(block) = self.blocks.open(index) else { return };
        match block.kind.clone() {
            ContentBlockKind::Text => {
                let (before, mut split) = (block.assembler.raw_text().len(), Vec::new());
                block.assembler.flush(&mut split);
                self.record_text(index, before);
                self.emit_segments(split, out);
            }
            ContentBlockKind::Thinking => {
                let rest = block.thinking.flush();
                self.blocks.append_text(index, &rest);
                self.push_reasoning(ReasoningSource::Field, &rest, out);
            }
            ContentBlockKind::Call(call) | ContentBlockKind::ServerCall(call) => {
                let (id, name) = (block.wire_id().to_owned(), block.name().to_owned());
                block.args.push(&block.surrogates.take_unpaired().map(String::from).unwrap_or_default());
                let (args, more) = block.take_args(is_cut);
                self.calls.mark_ready(&call, name.clone(), args, &id, out);
                for args in more {
                    self.add_call(&id, &name, args, out);
                }
            }
            ContentBlockKind::DuplicateCall => {
                let (id, name) = (block.wire_id().to_owned(), block.name().to_owned());
                let (args, more) = block.take_args(is_cut);
                for args in std::iter::once(args).chain(more) {
                    if !self.calls.has_call(&id, &args) {
                        self.add_call(&id, &name, args, out);
                    }
                }
            }
            ContentBlockKind::Result | ContentBlockKind::Other => {}
        }
        if let Some(block) = self.blocks.open(index) {
            block.open = false;
        }
    }

    /// Emits a complete call that has no block of its own.
    fn add_call(&mut self, id: &str, name: &str, args: String, out: &mut Vec<ReplyEvent>) {
        match self.start_call(&json!({ "id": id, "name": name }), false, out) {
            Some(call) => self.calls.mark_ready(&call, name.to_owned(), args, call.as_str(), out),
            None => self.unknown_frames.report("too many tool calls", out),
        }
    }

    /// Records the text that a block added since then.
    fn record_text(&mut self, index: Option<u64>, before: usize) {
        let new = self.blocks.open(index).and_then(|block| block.assembler.raw_text().get(before..).map(str::to_owned));
        self.blocks.append_text(index, &new.unwrap_or_default());
    }

    fn fail(&mut self, server_error: &error::ServerError) {
        self.fault.get_or_insert_with(|| error::to_fault(server_error));
        self.done = true;
    }

    /// Emits the text held back when the stream was cut.
    fn flush(&mut self, out: &mut Vec<ReplyEvent>) {
        let Some(block) = self.blocks.open(None) else { return };
        if block.kind == ContentBlockKind::Text || block.kind == ContentBlockKind::Thinking {
            let mut split = Vec::new();
            block.assembler.flush(&mut split);
            let rest = block.thinking.flush();
            self.emit_segments(split, out);
            self.push_reasoning(ReasoningSource::Field, &rest, out);
        }
    }
}

impl TextDelta {
    /// Returns the text of an event that is a delta of it, if it stands in the frame as it is.
    fn of<'a>(event: &AnthropicEvent<'a>) -> Option<(Self, &'a str)> {
        let delta = event.delta.0.as_ref().filter(|_| event.kind.non_empty() == Some("content_block_delta"))?;
        let (kind, text) = match delta.kind.non_empty()? {
            "text_delta" => (Self::Text, &delta.text),
            "thinking_delta" => (Self::Thinking, &delta.thinking),
            _ => return None,
        };
        if let Some(Cow::Borrowed(text)) = text.0 { Some((kind, text)) } else { None }
    }

    fn delta(self, text: &str) -> AnthropicDelta<'_> {
        let text = LooseStr(Some(Cow::Borrowed(text)));
        let kind = |name| LooseStr(Some(Cow::Borrowed(name)));
        match self {
            Self::Text => AnthropicDelta { kind: kind("text_delta"), text, ..AnthropicDelta::default() },
            Self::Thinking => {
                AnthropicDelta { kind: kind("thinking_delta"), thinking: text, ..AnthropicDelta::default() }
            }
        }
    }
}

impl Decode for AnthropicDecoder {
    fn decode_frame(&mut self, frame: &SseFrame, out: &mut Vec<ReplyEvent>) {
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
        if let Some((&(index, kind), text)) = self.last_delta.matching(frame) {
            let delta = kind.delta(text);
            return self.handle_delta(index, delta, false, out);
        }
        let repaired = surrogate::mark_if_lone(data);
        let (text, marked) = (repaired.as_deref().unwrap_or(data), repaired.is_some());
        if let Ok(LooseObject(Some(event))) = serde_json::from_str(text) {
            if let Some((kind, text)) = TextDelta::of(&event) {
                self.last_delta.learn(frame, text, &[], (event.index.0, kind));
            }
            return self.handle_event(event, frame, marked, out);
        }
        // The slow path accepts repeated keys.
        let json: Option<Json> = serde_json::from_str(text).ok();
        match json.as_ref().filter(|json| json.is_object()).and_then(|json| AnthropicEvent::deserialize(json).ok()) {
            Some(event) => self.handle_event(event, frame, marked, out),
            None if frame.event == "error" => self.fail(&error::parse_error_data(data)),
            None => match error::find_error_in_unparsed(frame) {
                Some(server_error) => self.fail(&server_error),
                None => self.unknown_frames.report("data that is not a JSON object", out),
            },
        }
    }

    fn finish(&mut self, out: &mut Vec<ReplyEvent>) {
        let finish_reason = self.finish_reason();
        let is_whole = !matches!(finish_reason, FinishReason::Interrupted | FinishReason::Failed);
        if is_whole {
            while self.blocks.open(None).is_some() {
                self.close_block(None, out);
            }
            // An answer with an abnormal end is a message even if it is empty.
            if finish_reason != FinishReason::End || self.paused {
                self.begin_message(out);
            }
        } else {
            self.flush(out);
        }
        self.emit_finish_notice(finish_reason, out);
        if self.open {
            let blocks = std::mem::take(&mut self.blocks);
            let metadata = if is_whole { blocks.provider_metadata() } else { None };
            out.push(ReplyEvent::MessageFinished {
                message: self.message.clone(),
                finish_reason,
                full_text: None,
                provider_metadata: metadata,
            });
        }
        if let Some(usage) = self.usage.usage() {
            out.push(ReplyEvent::UsageReported { scope: UsageScope::Request(1), usage });
        }
        out.push(ReplyEvent::End { outcome: self.turn_outcome(finish_reason) });
    }

    fn has_failed(&self) -> bool {
        self.fault.is_some()
    }

    fn is_done(&self) -> bool {
        self.done
    }

    fn is_complete(&self) -> bool {
        self.done || self.finish_reason.is_some()
    }
}

#[cfg(test)]
mod tests;
