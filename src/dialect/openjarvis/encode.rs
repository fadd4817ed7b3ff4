//! A turn as the agent bridge of OpenJarvis 1.0.2 streams it: chat completion chunks with named events of the agent
//! between them.
//!
//! | event | frame |
//! | --- | --- |
//! | the prompt | `agent_turn_start`, `inference_start` |
//! | text | a chunk with `content`, as it comes: the original waits until its agent is done |
//! | the end of a response, with its usage | `inference_end` |
//! | a call runs; a call ended | `tool_call_start`; `tool_call_end`, and `inference_start` after the last one |
//! | the end of the turn | `tool_results`, if there were any, and the chunk with `stop` and the usage |
//! | a turn that failed | one chunk with `stop` and prose: `openjarvis/error_prose.rs` |
//!
//! Calls that were denied before they ran are only in the results. Durations are seconds, except `latency_ms` and
//! `mean_itl_ms`. Left out: reasoning, sub-agents, approvals, notices, annotations. A log without the times at which
//! calls started to run (older ones) has start and end together.

mod inference;

use serde::Serialize;
use serde_json::json;

use self::inference::Inference;
use super::error_prose;
use crate::dialect::chat::chunk::{self, ChunkHead, UsageField};
use crate::dialect::chat::chunk_stream::ChunkStream;
use crate::dialect::{Encode, SseFrame};
use crate::event::answer::AnswerDelta;
use crate::event::{
    AgentEvent, Annotation, AnnotationTarget, CallId, CallOutcome, Envelope, ExecutedBy, FinishReason, Json, MessageId,
    Millis,
};

/// The agent's name in `agent_turn_start`.
const AGENT_NAME: &str = "jarvis-tui";
/// Characters of a result in `tool_call_end`.
const MAX_RESULT_CHARS: usize = 10_240;

/// Encodes one answer.
#[derive(Debug)]
pub struct OpenJarvisEncoder {
    stream: ChunkStream,
    /// Messages in the next request to the model.
    message_count: u64,
    /// The agent's start was sent.
    has_started: bool,
    inference: Option<Inference>,
    /// The response ended; its usage may follow.
    has_response_ended: bool,
    /// In the order in which the model requested them.
    calls: Vec<EncodedOpenJarvisCall>,
}

#[derive(Debug)]
struct EncodedOpenJarvisCall {
    id: CallId,
    message: MessageId,
    name: String,
    args: String,
    is_server_call: bool,
    /// When its start was sent.
    started_at: Option<Millis>,
    /// Its end was sent, or it will never run.
    is_over: bool,
    result: Option<EncodedCallResult>,
}

#[derive(Debug)]
struct EncodedCallResult {
    success: bool,
    output: String,
    /// In seconds; none where it never ran.
    latency_seconds: Option<f64>,
}

#[derive(Serialize)]
struct OpenJarvisDelta<'d> {
    role: Option<&'static str>,
    content: Option<&'d str>,
}

impl EncodedOpenJarvisCall {
    /// The arguments as an object, or as a string where they don't parse as one.
    fn arguments(&self) -> Json {
        match self.args.trim() {
            "" => json!({}),
            args => serde_json::from_str(args).unwrap_or_else(|_| self.args.clone().into()),
        }
    }
}

impl OpenJarvisEncoder {
    /// `messages` counts the messages of the first request, the system prompt included. Fields missing in the head are
    /// filled from the session.
    pub fn new(head: ChunkHead, prompt: u64, messages: u64) -> Self {
        Self {
            stream: ChunkStream::new(head, prompt),
            message_count: messages,
            has_started: false,
            inference: None,
            has_response_ended: false,
            calls: Vec::new(),
        }
    }

    fn send_chunk(&self, role: Option<&'static str>, content: Option<&str>, out: &mut Vec<SseFrame>) {
        out.push(SseFrame::data(self.stream.head.chunk(&OpenJarvisDelta { role, content }, None, UsageField::Absent)));
    }

    fn send_role_chunk(&mut self, out: &mut Vec<SseFrame>) {
        if self.stream.take_start() {
            self.send_chunk(Some("assistant"), None, out);
        }
    }

    fn send_turn_start(&mut self, input: &str, at: Millis, out: &mut Vec<SseFrame>) {
        if !std::mem::replace(&mut self.has_started, true) {
            out.push(named_frame("agent_turn_start", &json!({"agent": AGENT_NAME, "input": input})));
        }
        self.start_inference(at, out);
    }

    fn start_inference(&mut self, at: Millis, out: &mut Vec<SseFrame>) {
        if self.inference.is_none() {
            self.inference = Some(Inference::new(at));
            let start = json!({"model": self.stream.head.model, "message_count": self.message_count});
            out.push(named_frame("inference_start", &start));
        }
    }

    /// Sends the end of a response.
    fn end_inference(&mut self, out: &mut Vec<SseFrame>) {
        if std::mem::take(&mut self.has_response_ended)
            && let Some(inference) = self.inference.take()
        {
            out.push(named_frame("inference_end", &inference.to_json(&self.stream.head.model, &self.calls)));
        }
    }

    fn encode_delta(&mut self, delta: &AnswerDelta<'_>, at: Millis, out: &mut Vec<SseFrame>) {
        if matches!(delta, AnswerDelta::Text { .. } | AnswerDelta::Reasoning { .. })
            && let Some(inference) = &mut self.inference
        {
            inference.record_token(at);
        }
        if let AnswerDelta::Text { message, text, kind, is_first } = *delta {
            let text = self.stream.push_text(message, text, kind);
            for piece in self.stream.pieces(&text, is_first) {
                self.send_chunk(None, Some(piece), out);
            }
        }
    }

    fn encode_message(&mut self, event: &AgentEvent, at: Millis, out: &mut Vec<SseFrame>) {
        match event {
            AgentEvent::UserMessage { text, .. } => self.send_turn_start(text, at, out),
            AgentEvent::MessageStarted { message, .. } if self.stream.answer.is_open(message) => {
                self.end_inference(out);
                self.send_turn_start("", at, out);
                self.message_count += 1;
                if let Some(inference) = &mut self.inference {
                    inference.messages.insert(message.clone());
                }
            }
            // Besides the text as it is sent, with separators, the text as the model wrote it is kept.
            AgentEvent::TextDelta { message, text, .. } => {
                if let Some(inference) =
                    self.inference.as_mut().filter(|inference| inference.messages.contains(message))
                {
                    inference.content.push_str(text);
                }
            }
            // A failed request has no end, as in the original.
            AgentEvent::MessageFinished {
                finish_reason: FinishReason::Cancelled | FinishReason::Interrupted | FinishReason::Failed,
                ..
            } => {}
            AgentEvent::MessageFinished { message, finish_reason, full_text: full, .. } => {
                if let Some(inference) =
                    self.inference.as_mut().filter(|inference| inference.messages.contains(message))
                {
                    inference.finish_reason = *finish_reason;
                    inference.ended_at = Some(at);
                    self.has_response_ended = true;
                    if let Some(full) = full {
                        inference.content.clone_from(full);
                    }
                }
            }
            AgentEvent::UsageReported { usage, .. } => {
                if let Some(inference) = &mut self.inference {
                    inference.usage = *usage;
                }
                self.end_inference(out);
            }
            _ => {}
        }
    }

    fn encode_call(&mut self, event: &AgentEvent, at: Millis, out: &mut Vec<SseFrame>) {
        match event {
            AgentEvent::ToolCallStarted { call, message, name, parent: None, executed_by: ran_by } => {
                if !self.stream.answer.is_open(message) {
                    return;
                }
                if let Some(inference) = &mut self.inference {
                    inference.record_token(at);
                }
                self.calls.push(EncodedOpenJarvisCall {
                    id: call.clone(),
                    message: message.clone(),
                    name: name.clone().unwrap_or_default(),
                    args: String::new(),
                    is_server_call: *ran_by == ExecutedBy::Server,
                    started_at: None,
                    is_over: false,
                    result: None,
                });
            }
            AgentEvent::ToolCallReady { call, name, args, .. } => {
                let Some(call) = self.find(call) else { return };
                name.clone_into(&mut call.name);
                args.clone_into(&mut call.args);
                if call.is_server_call {
                    let id = call.id.clone();
                    self.start_call(&id, at, out);
                }
            }
            AgentEvent::ApprovalResolved { call, decision, .. } if decision.allows() => self.start_call(call, at, out),
            AgentEvent::ToolOutput { call, .. } => self.start_call(call, at, out),
            AgentEvent::Annotation { on: AnnotationTarget::Call(call), annotation: Annotation::Running {} } => {
                self.start_call(call, at, out);
            }
            AgentEvent::ToolCallFinished { call, outcome, output, duration: took } => {
                let ran = took.is_some() || self.find(call).is_some_and(|call| call.started_at.is_some());
                if ran {
                    self.start_call(call, at, out);
                }
                self.end_inference(out);
                self.finish_call(call, *outcome, &output.text, *took, at, out);
            }
            _ => {}
        }
    }

    fn start_call(&mut self, call: &CallId, at: Millis, out: &mut Vec<SseFrame>) {
        self.end_inference(out);
        let Some(call) = self.find(call).filter(|call| call.started_at.is_none() && !call.is_over) else { return };
        call.started_at = Some(at);
        let start = json!({"tool": call.name, "arguments": call.arguments()});
        out.push(named_frame("tool_call_start", &start));
    }

    fn finish_call(
        &mut self,
        call: &CallId,
        outcome: CallOutcome,
        output: &str,
        took: Option<Millis>,
        at: Millis,
        out: &mut Vec<SseFrame>,
    ) {
        // A call that neither ran nor was denied has no result.
        let untold = |call: &&mut EncodedOpenJarvisCall| match outcome {
            CallOutcome::Requested => true,
            CallOutcome::Unknown => call.started_at.is_none(),
            CallOutcome::Ok | CallOutcome::Failed | CallOutcome::Denied | CallOutcome::Cancelled => false,
        };
        let Some(call) = self.find(call).filter(|call| !untold(call)) else { return };
        let first = call.result.is_none();
        let latency = call.started_at.map(|began| took.unwrap_or(at.since(began)).as_secs_f64());
        let success = outcome == CallOutcome::Ok;
        if !std::mem::replace(&mut call.is_over, true)
            && let Some(latency) = latency
        {
            let end = json!({
                "tool": call.name,
                "success": success,
                "latency": latency,
                "result": output.chars().take(MAX_RESULT_CHARS).collect::<String>(),
                "metadata": {"arguments": call.arguments()},
            });
            out.push(named_frame("tool_call_end", &end));
        }
        let measured = call.result.take().and_then(|before| before.latency_seconds);
        call.result =
            Some(EncodedCallResult { success, output: output.to_owned(), latency_seconds: measured.or(latency) });
        if first {
            self.message_count += 1;
        }
        // The turn continues only after calls that ended.
        let ended = matches!(outcome, CallOutcome::Ok | CallOutcome::Failed | CallOutcome::Denied);
        if first && ended && self.inference.is_none() && self.calls.iter().all(|call| call.is_over) {
            self.start_inference(at, out);
        }
    }

    fn find(&mut self, id: &CallId) -> Option<&mut EncodedOpenJarvisCall> {
        self.calls.iter_mut().rfind(|call| call.id == *id)
    }

    fn send_end(&mut self, out: &mut Vec<SseFrame>) {
        self.end_inference(out);
        if let Some(fault) = self.stream.answer.fault() {
            let gap = if self.stream.text.text.is_empty() { "" } else { "\n\n" };
            let prose = format!("{gap}{}", error_prose::from_fault(&fault));
            let delta = OpenJarvisDelta { role: None, content: Some(&prose) };
            return out.push(SseFrame::data(self.stream.head.chunk(&delta, Some("stop"), UsageField::Absent)));
        }
        let results: Vec<Json> = self
            .calls
            .iter()
            .filter_map(|call| Some((call, call.result.as_ref()?)))
            .map(|(call, ended)| {
                // For a call that never ran the original has an integer 0.
                let latency = ended.latency_seconds.map_or(json!(0), |latency| json!(latency * 1000.0));
                json!({
                    "tool_name": call.name,
                    "success": ended.success,
                    "output": ended.output,
                    "latency_ms": latency,
                })
            })
            .collect();
        if !results.is_empty() {
            out.push(named_frame("tool_results", &json!({"results": results})));
        }
        let delta = OpenJarvisDelta { role: None, content: None };
        let usage = UsageField::Present(self.stream.usage());
        let reason = self.stream.answer.finish_word(false);
        out.push(SseFrame::data(self.stream.head.chunk(&delta, Some(reason), usage)));
    }
}

impl Encode for OpenJarvisEncoder {
    fn start(&mut self, out: &mut Vec<SseFrame>) {
        if self.stream.head.is_known() {
            self.send_role_chunk(out);
        }
    }

    fn encode_event(&mut self, envelope: &Envelope, out: &mut Vec<SseFrame>) {
        let (at, event) = (envelope.at, &envelope.event);
        let Some(delta) = self.stream.observe(envelope) else { return };
        self.send_role_chunk(out);
        self.encode_delta(&delta, at, out);
        self.encode_message(event, at, out);
        self.encode_call(event, at, out);
        if self.stream.answer.outcome.is_some() {
            self.send_end(out);
        }
    }

    fn finish(&mut self, out: &mut Vec<SseFrame>) {
        self.send_role_chunk(out);
        if self.stream.answer.mark_interrupted() {
            self.send_end(out);
        }
        out.push(SseFrame::data("[DONE]"));
    }

    fn pacing_delay(&self) -> Option<Millis> {
        self.stream.pacing_delay
    }

    /// Servers of this dialect report errors as `detail`; ours do it both ways.
    fn full_response(&mut self) -> (u16, Json) {
        if let Some(fault) = self.stream.answer.fault() {
            let (status, mut body) = chunk::error_response(&fault);
            if let Some(fields) = body.as_object_mut() {
                fields.insert("detail".into(), fault.message.into());
            }
            return (status, body);
        }
        let text = format!("{}{}", self.stream.text.text, self.stream.refusal.text);
        let message = json!({"role": "assistant", "content": text, "tool_calls": null, "audio": null});
        let reason = self.stream.answer.finish_word(false);
        let mut whole = self.stream.head.completion(&message, reason, self.stream.usage());
        if let Some(fields) = whole.as_object_mut() {
            fields.insert("complexity".into(), Json::Null);
        }
        (200, whole)
    }
}

fn named_frame(event: &str, data: &Json) -> SseFrame {
    SseFrame::named(event, data.to_string())
}

#[cfg(test)]
mod tests;
