//! Gemini's `streamGenerateContent`, as server-sent events or as one list: each frame has the next parts of a candidate.
//! Calls come whole, counts are those of the whole answer so far, and the last frame of a candidate says why it ended.
//!
//! The model checks that its thoughts' signatures come back with its calls, so they are kept with them.
//!
//! Source: the REST reference of the Gemini API and the types of the Python package `google-genai`.

pub mod encode;

use serde_json::json;

use super::agent_reply::{AgentReply, MessageHandle, annotate, result_text};
use super::reply_end::ReplyEnd;
use super::{Decode, Dialect, Evidence, FirstFrame, SseFrame, error, surrogate};
use crate::event::{Annotation, CallOutcome, ExecutedBy, Fault, FaultKind, Json, ReplyEvent};

/// Also `--dialect gemini`.
pub const DIALECT: Dialect = Dialect {
    name: "gemini",
    title: "Gemini",
    decode: |_| Box::<GeminiDecoder>::default(),
    evidence,
    extends: None,
    limitations: "other candidates than the first, call times, ids of calls in older versions",
};

fn evidence(first: &FirstFrame<'_>) -> Option<Evidence> {
    let json = first.json.as_ref()?;
    let chunk = json.get(0).unwrap_or(json);
    let has_candidates = chunk.get("candidates").is_some_and(Json::is_array);
    let is_blocked = chunk.get("promptFeedback").is_some_and(Json::is_object);
    let is_count = chunk.get("usageMetadata").is_some() && chunk.get("modelVersion").is_some();
    (has_candidates || is_blocked || is_count).then(|| Evidence::shape("a frame has candidates"))
}

/// Decodes one answer.
#[derive(Debug, Default)]
pub struct GeminiDecoder {
    reply: AgentReply,
    message: Option<MessageHandle>,
    call_count: usize,
    /// The id of code that the model runs.
    running_code: Option<String>,
    end: ReplyEnd,
}

impl GeminiDecoder {
    fn handle_chunk(&mut self, chunk: &Json, marked: bool, out: &mut Vec<ReplyEvent>) {
        // Some gateways wrap it.
        let chunk = chunk.get("response").filter(|inner| inner.get("candidates").is_some()).unwrap_or(chunk);
        if let Some(server_error) = chunk.get("error").and_then(error::parse_error_object) {
            self.end.fail(&server_error);
            return;
        }
        self.end.take_usage(chunk.get("usageMetadata"));
        if let Some(why) = chunk.pointer("/promptFeedback/blockReason").and_then(Json::as_str) {
            let words = chunk.pointer("/promptFeedback/blockReasonMessage").and_then(Json::as_str);
            let text = format!("the prompt was blocked: {}", error::to_single_line(words.unwrap_or(why)));
            self.end.fail_with(Fault::new(FaultKind::Refused, text));
        }
        let candidates = chunk.get("candidates").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        let is_first = |candidate: &&Json| candidate.get("index").and_then(Json::as_u64).unwrap_or(0) == 0;
        let Some(candidate) = candidates.iter().find(is_first) else {
            let is_known =
                ["candidates", "usageMetadata", "promptFeedback"].iter().any(|key| chunk.get(*key).is_some());
            if !is_known {
                self.end.unknown_frames.report("a frame without candidates", out);
            }
            return;
        };
        for part in candidate.pointer("/content/parts").and_then(Json::as_array).into_iter().flatten() {
            self.handle_part(part, marked, out);
        }
        self.note_sources(candidate);
        if let Some(word) = candidate.get("finishReason").and_then(Json::as_str) {
            self.end.has_ended = true;
            self.end.finish_tracker.observe(word, out);
        }
    }

    fn handle_part(&mut self, part: &Json, marked: bool, out: &mut Vec<ReplyEvent>) {
        if let Some(text) = part.get("text").and_then(Json::as_str) {
            if text.is_empty() {
                return;
            }
            let is_thought = part.get("thought") == Some(&Json::Bool(true));
            let message = self.message_for(is_thought, out);
            if is_thought {
                self.reply.push_reasoning(message, text.into(), marked, out);
            } else {
                self.reply.push_text(message, text.into(), marked, out);
            }
            return;
        }
        let mut part = part.clone();
        surrogate::resolve_marks_in_json(&mut part, marked);
        if let Some(call) = part.get("functionCall") {
            self.call_count += 1;
            let wire = call.get("id").and_then(Json::as_str).filter(|id| !id.is_empty());
            let wire = wire.map_or_else(|| format!("call_{}", self.call_count), str::to_owned);
            let name = call.get("name").and_then(Json::as_str);
            let args = call.get("args").filter(|args| !args.is_null()).map(result_text).unwrap_or_default();
            let message = self.message(out);
            self.reply.start_call(message, &wire, name, ExecutedBy::Client, out);
            if let Some(signature) = part.get("thoughtSignature") {
                self.reply.calls.keep_metadata(&wire, json!({ "thought_signature": signature }));
            }
            self.reply.calls.complete(&wire, name, &args, out);
        } else if let Some(code) = part.get("executableCode") {
            self.call_count += 1;
            let wire = format!("code_{}", self.call_count);
            let message = self.message(out);
            self.reply.start_call(message, &wire, Some("code_execution"), ExecutedBy::Server, out);
            self.reply.calls.complete(&wire, None, &code.to_string(), out);
            self.running_code = Some(wire);
        } else if let Some(result) = part.get("codeExecutionResult") {
            let Some(wire) = self.running_code.take() else { return };
            let is_ok = result.get("outcome").and_then(Json::as_str).is_none_or(|word| word.ends_with("OK"));
            let outcome = if is_ok { CallOutcome::Ok } else { CallOutcome::Failed };
            self.reply.calls.finish(&wire, outcome, result.get("output").map(result_text).unwrap_or_default(), out);
            // What the model says of the result is another message.
            if let Some(message) = self.message.take() {
                self.reply.close(message, None, out);
            }
        } else if let Some(file) = part.get("inlineData").or_else(|| part.get("fileData")) {
            let described = json!({ "kind": "file", "mediaType": file.get("mimeType"), "url": file.get("fileUri") });
            annotate(Annotation::Part(described), out);
        }
    }

    fn message(&mut self, out: &mut Vec<ReplyEvent>) -> MessageHandle {
        match self.message.filter(|message| self.reply.is_open(*message)) {
            Some(message) => message,
            None => *self.message.insert(self.reply.begin(None, out)),
        }
    }

    /// Returns the message for more text: thoughts after an answer belong to another one.
    fn message_for(&mut self, is_thought: bool, out: &mut Vec<ReplyEvent>) -> MessageHandle {
        if let Some(message) = self.message.filter(|message| is_thought && self.reply.has_spoken(*message)) {
            self.reply.close(message, None, out);
            self.message = None;
        }
        self.message(out)
    }

    fn note_sources(&mut self, candidate: &Json) {
        let chunks = candidate.pointer("/groundingMetadata/groundingChunks").and_then(Json::as_array);
        for chunk in chunks.into_iter().flatten() {
            if let Some(web) = chunk.get("web").or_else(|| chunk.get("retrievedContext")) {
                self.end.note_source(web.get("title"), web.get("uri"));
            }
        }
    }
}

impl Decode for GeminiDecoder {
    fn decode_frame(&mut self, frame: &SseFrame, out: &mut Vec<ReplyEvent>) {
        let data = frame.data.trim();
        if data.is_empty() || data == "[DONE]" {
            return;
        }
        let repaired = surrogate::mark_if_lone(data);
        match serde_json::from_str::<Json>(repaired.as_deref().unwrap_or(data)) {
            Ok(Json::Array(chunks)) => {
                for chunk in &chunks {
                    self.handle_chunk(chunk, repaired.is_some(), out);
                }
            }
            Ok(chunk) if chunk.is_object() => self.handle_chunk(&chunk, repaired.is_some(), out),
            _ => self.end.report_unparsed(frame, out),
        }
    }

    fn finish(&mut self, out: &mut Vec<ReplyEvent>) {
        self.end.finish(&mut self.reply, out);
    }

    fn has_failed(&self) -> bool {
        self.end.has_failed()
    }

    /// Counts may follow the reason.
    fn is_done(&self) -> bool {
        false
    }

    fn is_complete(&self) -> bool {
        self.end.has_ended
    }
}
