//! The UI message stream of the AI SDK, versions 5 to 7: unnamed frames, each a chunk with a `type` in lower case, ended
//! by `[DONE]`; servers in other languages write it too.
//!
//! The format does not say beforehand whether the server or its client runs a call, so each starts as the
//! client's, and one without a result at the end is requested from the client. Usage has no place in the format; where an
//! app puts it into the message's metadata, it is read. After an error the stream goes on to its end.
//!
//! Source: the chunk types of `UIMessageChunk` in the npm package `ai`, and recordings.

pub mod encode;
mod replay;
mod wire;

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::json;

use self::replay::ReplayFilter;
use self::wire::ChunkFields;
use super::agent_reply::{annotate, ask_person, capped, result_text};
use super::lenient::{LooseObject, LooseStr};
use super::repeated_frame::RepeatedFrame;
use super::reply_end::ReplyEnd;
use super::step_reply::{StepBlockKind, StepReply};
use super::{Decode, DecodeContext, Dialect, Evidence, FirstFrame, ResponseHead, SseFrame, error, surrogate};
use crate::event::{Annotation, CallOutcome, ExecutedBy, FinishReason, Json, MessageId, ReplyEvent, Role, TextKind};

/// Also `--dialect ai-sdk`.
pub const DIALECT: Dialect = Dialect {
    name: "ai-sdk",
    title: "the AI SDK's UI stream",
    decode: |context: &DecodeContext| Box::new(AiSdkDecoder::new(context)),
    evidence,
    extends: None,
    limitations: "usage, unless the app sends it as metadata; call times",
};

/// The header that names the stream and its version.
const STREAM_HEADER: &str = "x-vercel-ai-ui-message-stream";

/// Types, each with a field that it has.
const CHUNK_FIELDS: &[(&str, &str)] = &[
    ("text-start", "id"),
    ("text-delta", "delta"),
    ("text-end", "id"),
    ("reasoning-start", "id"),
    ("reasoning-delta", "delta"),
    ("reasoning-end", "id"),
    ("tool-input-start", "toolCallId"),
    ("tool-input-delta", "inputTextDelta"),
    ("tool-input-available", "toolCallId"),
    ("tool-input-error", "toolCallId"),
    ("tool-output-available", "toolCallId"),
    ("tool-output-error", "toolCallId"),
    ("tool-output-denied", "toolCallId"),
    ("tool-approval-request", "approvalId"),
    ("tool-approval-response", "approvalId"),
    ("source-url", "sourceId"),
    ("source-document", "sourceId"),
    ("file", "mediaType"),
    ("message-metadata", "messageMetadata"),
    ("error", "errorText"),
];

/// Fields that a first chunk may have.
const START_FIELDS: &[&str] = &["type", "messageId", "messageMetadata"];

fn evidence(first: &FirstFrame<'_>) -> Option<Evidence> {
    let kind = first.kind();
    if first.context.response.header(STREAM_HEADER).is_some() && (!kind.is_empty() || first.frame.data == "[DONE]") {
        return Some(Evidence::header(format!("the response has the header {STREAM_HEADER}")));
    }
    let is_one = match kind {
        "start" | "start-step" | "finish-step" | "abort" => {
            let mut keys = first.object().and_then(Json::as_object)?.keys();
            keys.all(|key| START_FIELDS.contains(&key.as_str()))
        }
        kind if kind.starts_with("data-") => first.has("data"),
        kind => CHUNK_FIELDS.iter().any(|(name, field)| *name == kind && first.has(field)),
    };
    is_one.then(|| Evidence::shape(format!("a frame has the type {kind}")))
}

/// Decodes one message of the assistant.
#[derive(Debug, Default)]
pub struct AiSdkDecoder {
    steps: StepReply,
    end: ReplyEnd,
    done: bool,
    steering_count: u64,
    replay: ReplayFilter,
    /// The last delta of a text, with its type and the id of its block.
    last_delta: RepeatedFrame<(&'static str, Option<String>)>,
}

impl AiSdkDecoder {
    fn new(context: &DecodeContext) -> Self {
        let mut decoder = Self::default();
        decoder.steps.reply.calls.adopt(&context.open_calls);
        decoder
    }

    fn handle_chunk(&mut self, kind: &str, head: ChunkFields<'_>, text: &str, marked: bool, out: &mut Vec<ReplyEvent>) {
        match kind {
            "text-delta" => {
                let message = self.steps.block(StepBlockKind::Text, head.id.0.as_deref().unwrap_or_default(), out);
                self.steps.reply.push_text(message, head.delta.0.unwrap_or_default(), marked, out);
            }
            "reasoning-delta" => {
                let message = self.steps.block(StepBlockKind::Reasoning, head.id.0.as_deref().unwrap_or_default(), out);
                self.steps.reply.push_reasoning(message, head.delta.0.unwrap_or_default(), marked, out);
            }
            "text-start" | "reasoning-start" | "text-end" | "reasoning-end" => {
                let id = head.id.0.as_deref().unwrap_or_default();
                let block = if kind.starts_with("text") { StepBlockKind::Text } else { StepBlockKind::Reasoning };
                if kind.ends_with("start") {
                    self.steps.start_block(block, id, out);
                } else {
                    self.steps.end_block(block, id);
                }
            }
            "tool-input-delta" => {
                let Some(wire) = head.tool_call_id.non_empty() else {
                    return self.end.unknown_frames.report("a call without an id", out);
                };
                self.start_call(wire, &head, out);
                let piece = head.input_text_delta.0.clone().unwrap_or_default();
                if let Err(odd) = self.steps.reply.calls.push_args(wire, piece, marked, out) {
                    self.end.unknown_frames.report(odd, out);
                }
            }
            _ => {
                let mut json: Json = serde_json::from_str(text).unwrap_or_default();
                surrogate::resolve_marks_in_json(&mut json, marked);
                if kind.starts_with("tool-") {
                    self.handle_tool(kind, &head, &json, out);
                } else {
                    self.handle_rare(kind, &json, out);
                }
            }
        }
    }

    fn start_call(&mut self, wire: &str, head: &ChunkFields<'_>, out: &mut Vec<ReplyEvent>) {
        let ran_by = if head.provider_executed.0 { ExecutedBy::Server } else { ExecutedBy::Client };
        self.steps.start_call(wire, head.tool_name.non_empty(), ran_by, out);
    }

    fn handle_tool(&mut self, kind: &str, head: &ChunkFields<'_>, json: &Json, out: &mut Vec<ReplyEvent>) {
        let wire = head.tool_call_id.non_empty().unwrap_or_default();
        let field = |key: &str| json.get(key).cloned().unwrap_or_default();
        let error_text = || result_text(&field("errorText"));
        match kind {
            "tool-approval-response" => {}
            _ if wire.is_empty() => self.end.unknown_frames.report("a call without an id", out),
            "tool-input-start" => self.start_call(wire, head, out),
            "tool-input-available" | "tool-input-error" => {
                self.start_call(wire, head, out);
                let input = field("input");
                let input = if input.is_null() { String::new() } else { result_text(&input) };
                self.steps.reply.calls.complete(wire, head.tool_name.non_empty(), &input, out);
                if kind == "tool-input-error" {
                    self.steps.finish_call(wire, CallOutcome::Failed, error_text(), out);
                }
            }
            "tool-output-available" if json.get("preliminary") == Some(&Json::Bool(true)) => {
                self.steps.reply.calls.show_output(wire, &result_text(&field("output")), out);
            }
            "tool-output-available" => {
                self.steps.finish_call(wire, CallOutcome::Ok, result_text(&field("output")), out);
            }
            "tool-output-error" => self.steps.finish_call(wire, CallOutcome::Failed, error_text(), out),
            "tool-output-denied" => self.steps.finish_call(wire, CallOutcome::Denied, String::new(), out),
            "tool-approval-request" if json.get("isAutomatic") == Some(&Json::Bool(true)) => {}
            "tool-approval-request" => {
                let name = self.steps.reply.calls.name(wire).unwrap_or_default();
                let about = format!("the call {wire} {name}");
                let reason = json.get("reason").and_then(Json::as_str);
                let question = reason.map_or_else(|| format!("may it run {}?", about.trim_end()), str::to_owned);
                self.steps.reply.calls.ask_approval(wire, capped(json), reason.map(str::to_owned), out);
                ask_person(std::slice::from_ref(json), &[question], out);
            }
            other => self.end.unknown_frames.report(other, out),
        }
    }

    fn handle_rare(&mut self, kind: &str, json: &Json, out: &mut Vec<ReplyEvent>) {
        let field = |key: &str| json.get(key).cloned().unwrap_or_default();
        match kind {
            "start" | "message-metadata" => self.note_metadata(json),
            "start-step" => self.steps.end_step(out),
            // How it ended is told later, if it was the last one.
            "finish-step" => {}
            "reset-step" => self.steps.reset_step(out),
            "finish" => {
                self.note_metadata(json);
                self.end.has_ended = true;
                // The default of a model that gives none.
                if let Some(word) = json.get("finishReason").and_then(Json::as_str).filter(|word| *word != "unknown") {
                    self.end.finish_tracker.observe(word, out);
                }
            }
            "abort" => self.end.is_aborted = true,
            "error" => {
                let server_error = error::find_error(&SseFrame::named("error", json.to_string()));
                self.end.fail(&server_error.unwrap_or_default());
            }
            "source-url" | "source-document" => {
                let mut source = json!({ "ref": field("sourceId") });
                for key in ["title", "url", "filename"] {
                    if json.get(key).is_some_and(Json::is_string) {
                        source[key] = field(key);
                    }
                }
                self.end.add_source(source);
            }
            "file" | "reasoning-file" => annotate(Annotation::Part(file_part(json)), out),
            kind if kind.starts_with("data-") || kind == "custom" => {
                let value = json.get("data").unwrap_or(json);
                annotate(Annotation::Custom { name: kind.into(), value: capped(value) }, out);
            }
            kind if kind.starts_with("steering-message") => self.show_steering(json, out),
            "" => self.end.unknown_frames.report("a frame without a type", out),
            other => self.end.unknown_frames.report(other, out),
        }
    }

    /// Shows what somebody said to the agent meanwhile.
    fn show_steering(&mut self, json: &Json, out: &mut Vec<ReplyEvent>) {
        let parts = json.get("parts").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        let texts: Vec<&str> = parts.iter().filter_map(|part| part.get("text")?.as_str()).collect();
        for file in parts.iter().filter(|part| part.get("mediaType").is_some()) {
            annotate(Annotation::Part(file_part(file)), out);
        }
        if texts.is_empty() {
            return;
        }
        self.steering_count += 1;
        let message = MessageId::new(format!("steering{}", self.steering_count));
        out.push(ReplyEvent::MessageStarted { message: message.clone(), role: Role::User, parent: None });
        let (text, kind) = (texts.join("\n"), TextKind::Text);
        out.push(ReplyEvent::TextDelta { message: message.clone(), text, kind });
        let (finish_reason, full_text, provider_metadata) = (FinishReason::End, None, None);
        out.push(ReplyEvent::MessageFinished { message, finish_reason, full_text, provider_metadata });
    }

    /// Takes the usage out of the app's own metadata.
    fn note_metadata(&mut self, json: &Json) {
        let Some(metadata) = json.get("messageMetadata") else { return };
        let named = ["totalUsage", "usage", "total_usage", "tokenUsage"].iter().find_map(|key| metadata.get(*key));
        self.end.take_usage(Some(named.unwrap_or(metadata)));
    }
}

/// Describes a file; the bytes of a `data:` URL are left out.
fn file_part(json: &Json) -> Json {
    let mut part = json!({ "kind": "file" });
    for key in ["mediaType", "filename", "url"] {
        match json.get(key).and_then(Json::as_str) {
            Some(url) if url.starts_with("data:") => part["bytes"] = url.len().into(),
            Some(text) => part[key] = text.into(),
            None => {}
        }
    }
    part
}

impl Decode for AiSdkDecoder {
    fn begin_response(&mut self, _: &ResponseHead) {
        self.replay.restart();
    }

    fn decode_frame(&mut self, frame: &SseFrame, out: &mut Vec<ReplyEvent>) {
        let data = frame.data.trim();
        if self.done || data.is_empty() || self.replay.is_repeated(data) {
            return;
        }
        if data == "[DONE]" {
            self.done = true;
            return;
        }
        if let Some(((kind, block), text)) = self.last_delta.take_matching(frame) {
            let id = LooseStr(block.as_deref().map(Cow::Borrowed));
            let head = ChunkFields { id, delta: LooseStr(Some(Cow::Borrowed(text))), ..ChunkFields::default() };
            self.handle_chunk(kind, head, "", false, out);
            return self.last_delta.put_back((kind, block));
        }
        let repaired = surrogate::mark_if_lone(data);
        let (text, marked) = (repaired.as_deref().unwrap_or(data), repaired.is_some());
        if let Ok(LooseObject(Some(head))) = serde_json::from_str::<LooseObject<ChunkFields<'_>>>(text) {
            let kind = head.kind.0.as_deref().unwrap_or_default().to_owned();
            let is_delta = ["text-delta", "reasoning-delta"].into_iter().find(|name| *name == kind);
            if let (Some(name), Some(Cow::Borrowed(text))) = (is_delta, &head.delta.0) {
                self.last_delta.learn(frame, text, &[], (name, head.id.0.as_deref().map(str::to_owned)));
            }
            return self.handle_chunk(&kind, head, text, marked, out);
        }
        // The slow path accepts repeated keys.
        let json: Option<Json> = serde_json::from_str(text).ok();
        match json.as_ref().filter(|json| json.is_object()).and_then(|json| ChunkFields::deserialize(json).ok()) {
            Some(head) => {
                let kind = head.kind.0.as_deref().unwrap_or_default().to_owned();
                self.handle_chunk(&kind, head, text, marked, out);
            }
            None => self.end.report_unparsed(frame, out),
        }
    }

    fn finish(&mut self, out: &mut Vec<ReplyEvent>) {
        self.end.has_ended |= self.done;
        self.end.finish(&mut self.steps.reply, out);
    }

    fn has_failed(&self) -> bool {
        self.end.has_failed()
    }

    fn is_done(&self) -> bool {
        self.done
    }

    fn is_complete(&self) -> bool {
        self.done || self.end.has_ended
    }
}

#[cfg(test)]
mod tests;
