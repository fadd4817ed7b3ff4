//! A turn as a UI message stream.
//!
//! | event | chunk |
//! | --- | --- |
//! | the start | `start` with the message's id; a message is a step |
//! | text, reasoning | `text-*`, `reasoning-*`, a block each |
//! | a call | `tool-input-start`, `-delta`, `-available`; `tool-output-available`, `-error` or `-denied` |
//! | an approval | `tool-approval-request`, and the stream ends: the client answers in its next request |
//! | the end | `finish` with the usage in the metadata, or `error`, or `abort`; then `[DONE]` |
//!
//! Tools that run here are `dynamic`: the client has no type for them. Clients of version 5 refuse fields that they don't
//! know, so only those that the format had then are sent with an answer that is complete. Sub-agents, notices and times
//! are left out.

use std::collections::HashSet;

use serde_json::json;

use crate::dialect::answer::failure_message;
use crate::dialect::{Encode, SseFrame};
use crate::event::answer::{Answer, AnswerDelta, AnswerLimits};
use crate::event::{
    AgentEvent, CallId, CallOutcome, Envelope, FinishReason, Json, MessageId, Role, TurnOutcome, Usage,
};

/// What a stream is part of.
#[derive(Clone, Debug, Default)]
pub struct UiStreamOptions {
    /// The id of the message that the client builds.
    pub message_id: String,
    /// The session whose approvals are asked.
    pub session: String,
    /// The tools are the client's: it runs the calls.
    pub client_tools: bool,
    /// Only what follows the approval of this call is sent: the client has what was before.
    pub after: Option<CallId>,
}

/// Encodes one answer.
#[derive(Debug)]
pub struct AiSdkEncoder {
    options: UiStreamOptions,
    answer: Answer,
    block: Option<UiBlock>,
    block_count: u64,
    has_step: bool,
    is_paused: bool,
    /// Calls that were started, and those whose approval the client was asked for.
    started: HashSet<CallId>,
    asked: HashSet<CallId>,
    text: String,
}

/// The open part of the message.
#[derive(Debug)]
struct UiBlock {
    id: String,
    kind: &'static str,
    message: MessageId,
}

/// Names the approval of a call, for the client to send back.
pub fn approval_id(session: &str, call: &CallId) -> String {
    format!("{session}/{call}")
}

/// Returns the session and the call of an approval.
pub fn parse_approval_id(id: &str) -> Option<(&str, CallId)> {
    let (session, call) = id.split_once('/')?;
    (!session.is_empty() && !call.is_empty()).then(|| (session, CallId::from(call)))
}

impl AiSdkEncoder {
    pub fn new(options: UiStreamOptions) -> Self {
        Self {
            options,
            answer: Answer::new(AnswerLimits::ONE_FRAME),
            block: None,
            block_count: 0,
            has_step: false,
            is_paused: false,
            started: HashSet::new(),
            asked: HashSet::new(),
            text: String::new(),
        }
    }

    fn encode(&mut self, event: &AgentEvent, out: &mut Vec<SseFrame>) {
        match event {
            AgentEvent::MessageStarted { role: Role::Assistant, parent: None, .. } => {
                self.end_step(out);
                self.has_step = true;
                push(&json!({"type": "start-step"}), out);
            }
            AgentEvent::ApprovalRequested { call, .. } if self.started.contains(call) => {
                self.close_block(out);
                self.asked.insert(call.clone());
                let id = approval_id(&self.options.session, call);
                push(&json!({"type": "tool-approval-request", "approvalId": id, "toolCallId": call}), out);
                self.is_paused = true;
            }
            _ => {}
        }
        match self.answer.observe(event) {
            AnswerDelta::Text { message, text, .. } => {
                self.text.push_str(text);
                self.push_piece("text", message, text, out);
            }
            AnswerDelta::Corrected { message, text } if !text.is_empty() => {
                self.close_block(out);
                self.text.push_str(text);
                self.push_piece("text", message, text, out);
            }
            AnswerDelta::Reasoning { message, text } => self.push_piece("reasoning", message, text, out),
            AnswerDelta::CallStarted(at) => self.start_call(at, out),
            AnswerDelta::CallArgs(at, piece) => self.push_args(at, piece, out),
            AnswerDelta::CallReady(at, _) => self.end_args(at, out),
            AnswerDelta::CallFinished(at) => self.finish_call(at, out),
            AnswerDelta::Corrected { .. } | AnswerDelta::Nothing | AnswerDelta::Retry(..) | AnswerDelta::End(_) => {}
        }
    }

    fn push_piece(&mut self, kind: &'static str, message: &MessageId, text: &str, out: &mut Vec<SseFrame>) {
        if self.block.as_ref().is_none_or(|block| block.kind != kind || block.message != *message) {
            self.close_block(out);
            self.block_count += 1;
            let id = format!("{kind}-{}", self.block_count);
            push(&json!({"type": format!("{kind}-start"), "id": id}), out);
            self.block = Some(UiBlock { id, kind, message: message.clone() });
        }
        if let Some(block) = &self.block {
            push(&json!({"type": format!("{kind}-delta"), "id": block.id, "delta": text}), out);
        }
    }

    fn close_block(&mut self, out: &mut Vec<SseFrame>) {
        if let Some(UiBlock { id, kind, .. }) = self.block.take() {
            push(&json!({"type": format!("{kind}-end"), "id": id}), out);
        }
    }

    fn end_step(&mut self, out: &mut Vec<SseFrame>) {
        self.close_block(out);
        if std::mem::take(&mut self.has_step) {
            push(&json!({"type": "finish-step"}), out);
        }
    }

    fn start_call(&mut self, at: usize, out: &mut Vec<SseFrame>) {
        let Some(call) = self.answer.calls.get(at).filter(|call| !call.name.is_empty()) else { return };
        let mut start = json!({"type": "tool-input-start", "toolCallId": call.id, "toolName": call.name});
        let id = call.id.clone();
        self.mark_dynamic(&mut start);
        self.close_block(out);
        push(&start, out);
        self.started.insert(id);
    }

    fn push_args(&self, at: usize, piece: &str, out: &mut Vec<SseFrame>) {
        if let Some(call) = self.answer.calls.get(at).filter(|call| self.started.contains(&call.id)) {
            push(&json!({"type": "tool-input-delta", "toolCallId": call.id, "inputTextDelta": piece}), out);
        }
    }

    fn end_args(&mut self, at: usize, out: &mut Vec<SseFrame>) {
        if self.answer.calls.get(at).is_some_and(|call| !self.started.contains(&call.id)) {
            self.start_call(at, out);
        }
        let Some(call) = self.answer.calls.get(at) else { return };
        let mut chunk = json!({"toolCallId": call.id, "toolName": call.name});
        match serde_json::from_str::<Json>(call.parsable_args()) {
            Ok(input) => {
                chunk["type"] = "tool-input-available".into();
                chunk["input"] = input;
            }
            Err(error) => {
                chunk["type"] = "tool-input-error".into();
                chunk["input"] = call.args.as_str().into();
                chunk["errorText"] = format!("the arguments are no JSON: {error}").into();
            }
        }
        self.mark_dynamic(&mut chunk);
        push(&chunk, out);
        self.answer.drop_large_args(at);
    }

    fn finish_call(&self, at: usize, out: &mut Vec<SseFrame>) {
        let Some(call) = self.answer.calls.get(at).filter(|call| self.started.contains(&call.id)) else { return };
        let mut chunk = json!({"toolCallId": call.id});
        match call.outcome {
            // The client runs it.
            None | Some(CallOutcome::Requested) => return,
            Some(CallOutcome::Ok) => {
                chunk["type"] = "tool-output-available".into();
                chunk["output"] = call.output.as_str().into();
            }
            // Asked for by clients that know it.
            Some(CallOutcome::Denied) if self.asked.contains(&call.id) => {
                return push(&json!({"type": "tool-output-denied", "toolCallId": call.id}), out);
            }
            Some(outcome) => {
                chunk["type"] = "tool-output-error".into();
                chunk["errorText"] =
                    if call.output.is_empty() { outcome.label().into() } else { call.output.as_str().into() };
            }
        }
        self.mark_dynamic(&mut chunk);
        push(&chunk, out);
    }

    fn mark_dynamic(&self, chunk: &mut Json) {
        if !self.options.client_tools {
            chunk["dynamic"] = true.into();
        }
    }

    fn finish_chunk(&self) -> Json {
        let mut chunk = json!({"type": "finish"});
        let reason = match self.answer.finish_reason {
            Some(FinishReason::Length) => Some("length"),
            Some(FinishReason::Refused) if !self.answer.is_refusal => Some("content-filter"),
            _ => None,
        };
        if let Some(reason) = reason.filter(|_| !self.is_paused) {
            chunk["finishReason"] = reason.into();
        }
        if let Some(usage) = self.answer.usage() {
            chunk["messageMetadata"] = json!({"usage": usage_json(&usage)});
        }
        chunk
    }
}

impl Encode for AiSdkEncoder {
    fn start(&mut self, out: &mut Vec<SseFrame>) {
        push(&json!({"type": "start", "messageId": self.options.message_id}), out);
    }

    fn encode_event(&mut self, envelope: &Envelope, out: &mut Vec<SseFrame>) {
        let before = out.len();
        self.encode(&envelope.event, out);
        let Some(after) = &self.options.after else { return };
        out.truncate(before);
        self.is_paused = false;
        if matches!(&envelope.event, AgentEvent::ApprovalRequested { call, .. } if call == after) {
            // The stream before has closed all that was open.
            (self.block, self.has_step, self.options.after) = (None, false, None);
        }
    }

    fn is_paused(&self) -> bool {
        self.is_paused
    }

    fn finish(&mut self, out: &mut Vec<SseFrame>) {
        self.end_step(out);
        if !self.is_paused {
            self.answer.mark_interrupted();
        }
        match self.answer.outcome.as_ref().and_then(failure_message) {
            Some(_) if self.answer.outcome == Some(TurnOutcome::Cancelled) => push(&json!({"type": "abort"}), out),
            Some((text, _)) => {
                push(&json!({"type": "error", "errorText": text}), out);
                push(&self.finish_chunk(), out);
            }
            None => push(&self.finish_chunk(), out),
        }
        out.push(SseFrame::data("[DONE]"));
    }

    fn full_response(&mut self) -> (u16, Json) {
        let parts = json!([{"type": "text", "text": self.text}]);
        (200, json!({"id": self.options.message_id, "role": "assistant", "parts": parts}))
    }
}

fn push(chunk: &Json, out: &mut Vec<SseFrame>) {
    out.push(SseFrame::data(chunk.to_string()));
}

fn usage_json(usage: &Usage) -> Json {
    json!({
        "inputTokens": usage.input_tokens, "outputTokens": usage.output_tokens, "totalTokens": usage.total(),
        "cachedInputTokens": usage.cached_tokens, "reasoningTokens": usage.reasoning_tokens,
    })
}

#[cfg(test)]
mod tests;
