//! Bedrock's ConverseStream: named events of one message, of content blocks under an index, in AWS's binary frames.
//! After the reason to stop comes `metadata` with the counts.
//!
//! Exceptions come as errors, and the events of `InvokeModelWithResponseStream` as those of the model's own API; the
//! frames are cut so.
//!
//! Source: the types of `ConverseStreamOutput` in the Bedrock Runtime API (botocore's service model), and recordings of
//! a server that mocks it.

use serde_json::json;

use super::agent_reply::{annotate, capped, result_text};
use super::reply_end::ReplyEnd;
use super::step_reply::{StepBlockKind, StepReply};
use super::{Decode, Dialect, Evidence, FirstFrame, SseFrame, error, surrogate};
use crate::event::{Annotation, CallOutcome, ExecutedBy, Json, ReplyEvent};

/// Also `--dialect bedrock`.
pub const DIALECT: Dialect = Dialect {
    name: "bedrock",
    title: "Bedrock's ConverseStream",
    decode: |_| Box::<BedrockDecoder>::default(),
    evidence,
    extends: None,
    limitations: "call times, redacted reasoning, what guardrails traced",
};

fn evidence(first: &FirstFrame<'_>) -> Option<Evidence> {
    let is_one = match first.name() {
        "messageStart" => first.has("role"),
        "contentBlockStart" | "contentBlockDelta" | "contentBlockStop" => first.has("contentBlockIndex"),
        "messageStop" => first.has("stopReason"),
        "metadata" => first.has_in("usage", "inputTokens"),
        _ => false,
    };
    is_one.then(|| Evidence::named(first))
}

/// Blocks whose call is remembered.
const MAX_CALL_BLOCKS: usize = 1024;

/// Decodes one answer.
#[derive(Debug, Default)]
pub struct BedrockDecoder {
    steps: StepReply,
    /// The ids of calls by their block, and whether the block is the result of one.
    calls: Vec<(u64, String, bool)>,
    /// The pieces of a result.
    result: String,
    end: ReplyEnd,
    /// The counts came, after which there is nothing.
    has_counts: bool,
}

impl BedrockDecoder {
    fn handle_event(&mut self, name: &str, event: &Json, marked: bool, out: &mut Vec<ReplyEvent>) {
        let index = event.get("contentBlockIndex").and_then(Json::as_u64).unwrap_or(0);
        match name {
            "contentBlockDelta" => {
                if let Some(delta) = event.get("delta") {
                    self.handle_delta(index, delta, marked, out);
                }
            }
            "contentBlockStart" => {
                let mut start = event.get("start").cloned().unwrap_or_default();
                surrogate::resolve_marks_in_json(&mut start, marked);
                self.handle_start(index, &start, out);
            }
            "contentBlockStop" => self.handle_stop(index, out),
            "messageStop" => {
                self.end.has_ended = true;
                if let Some(word) = event.get("stopReason").and_then(Json::as_str) {
                    self.end.finish_tracker.observe(word, out);
                }
            }
            "metadata" => {
                self.end.take_usage(event.get("usage"));
                self.has_counts = true;
                if let Some(ms) = event.pointer("/metrics/latencyMs").and_then(Json::as_f64) {
                    annotate(Annotation::Telemetry(json!({ "total_ms": ms })), out);
                }
            }
            "messageStart" => {}
            other => {
                self.end.unknown_frames.report(if other.is_empty() { "a frame without a name" } else { other }, out);
            }
        }
    }

    fn handle_start(&mut self, index: u64, start: &Json, out: &mut Vec<ReplyEvent>) {
        let word = |json: &Json, key: &str| json.get(key).and_then(Json::as_str).unwrap_or_default().to_owned();
        let (call, result) = (start.get("toolUse"), start.get("toolResult"));
        let Some(block) = call.or(result) else { return };
        let wire = word(block, "toolUseId");
        if self.calls.len() >= MAX_CALL_BLOCKS {
            self.calls.remove(0);
        }
        self.calls.push((index, wire.clone(), call.is_none()));
        if call.is_some() {
            let is_server = block.get("type").and_then(Json::as_str) == Some("server_tool_use");
            let ran_by = if is_server { ExecutedBy::Server } else { ExecutedBy::Client };
            self.steps.start_call(&wire, Some(&word(block, "name")), ran_by, out);
        }
    }

    fn handle_delta(&mut self, index: u64, delta: &Json, marked: bool, out: &mut Vec<ReplyEvent>) {
        let block = index.to_string();
        if let Some(text) = delta.get("text").and_then(Json::as_str) {
            if !text.is_empty() {
                let message = self.steps.block(StepBlockKind::Text, &block, out);
                self.steps.reply.push_text(message, text.into(), marked, out);
            }
        } else if let Some(reasoning) = delta.get("reasoningContent") {
            let text = reasoning.get("text").and_then(Json::as_str).filter(|text| !text.is_empty());
            if let Some(text) = text {
                let message = self.steps.block(StepBlockKind::Reasoning, &block, out);
                self.steps.reply.push_reasoning(message, text.into(), marked, out);
            }
        } else if let Some(call) = delta.get("toolUse") {
            let wire = self.calls.iter().rfind(|(at, _, _)| *at == index).map(|(_, wire, _)| wire.clone());
            let piece = call.get("input").and_then(Json::as_str).unwrap_or_default();
            if !piece.is_empty()
                && let Err(odd) = self.steps.reply.calls.push_args(&wire.unwrap_or_default(), piece.into(), marked, out)
            {
                self.end.unknown_frames.report(odd, out);
            }
        } else {
            let mut delta = delta.clone();
            surrogate::resolve_marks_in_json(&mut delta, marked);
            self.handle_rare_delta(&delta, out);
        }
    }

    fn handle_rare_delta(&mut self, delta: &Json, out: &mut Vec<ReplyEvent>) {
        if let Some(citation) = delta.get("citation") {
            let url = citation.pointer("/location/web/url");
            self.end.note_source(citation.get("title"), url);
        } else if let Some(parts) = delta.get("toolResult").and_then(Json::as_array) {
            for part in parts {
                self.result
                    .push_str(&part.get("text").or_else(|| part.get("json")).map(result_text).unwrap_or_default());
            }
        } else if delta.get("image").is_some() {
            let kind = delta.pointer("/image/format").and_then(Json::as_str).unwrap_or("*");
            annotate(Annotation::Part(json!({ "kind": "file", "mediaType": format!("image/{kind}") })), out);
        } else {
            let name = "contentBlockDelta".into();
            annotate(Annotation::Custom { name, value: capped(delta) }, out);
        }
    }

    fn handle_stop(&mut self, index: u64, out: &mut Vec<ReplyEvent>) {
        let block = index.to_string();
        self.steps.end_block(StepBlockKind::Text, &block);
        self.steps.end_block(StepBlockKind::Reasoning, &block);
        let Some(at) = self.calls.iter().rposition(|(known, _, _)| *known == index) else { return };
        let (_, wire, is_result) = self.calls.remove(at);
        if is_result {
            self.steps.finish_call(&wire, CallOutcome::Ok, std::mem::take(&mut self.result), out);
            // What is said of the result is another message.
            self.steps.end_step(out);
        } else {
            self.steps.reply.calls.mark_ready(&wire, out);
        }
    }
}

impl Decode for BedrockDecoder {
    fn decode_frame(&mut self, frame: &SseFrame, out: &mut Vec<ReplyEvent>) {
        if frame.event == "error" {
            return self.end.fail(&error::parse_error_data(&frame.data));
        }
        if let Some((event, marked)) = self.end.parse_object(frame, out) {
            self.handle_event(&frame.event, &event, marked, out);
        }
    }

    fn finish(&mut self, out: &mut Vec<ReplyEvent>) {
        self.end.finish(&mut self.steps.reply, out);
    }

    fn has_failed(&self) -> bool {
        self.end.has_failed()
    }

    fn is_done(&self) -> bool {
        self.has_counts && self.end.has_ended
    }

    fn is_complete(&self) -> bool {
        self.end.has_ended
    }
}
