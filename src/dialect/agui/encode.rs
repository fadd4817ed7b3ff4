//! A turn as a run.
//!
//! | event | frame |
//! | --- | --- |
//! | the start | `RUN_STARTED` |
//! | text, reasoning | `TEXT_MESSAGE_*`, `REASONING_*`, a message each |
//! | a call | `TOOL_CALL_START`, `_ARGS`, `_END`; `TOOL_CALL_RESULT` where it runs here |
//! | a plan | `ACTIVITY_SNAPSHOT` of the type `PLAN` |
//! | an approval | the run is over: `RUN_FINISHED` with an interrupt, which the next run answers |
//! | the end | `RUN_FINISHED` with the usage, or `RUN_ERROR` |
//!
//! A result has no place for how a call ended: its text says so. Sub-agents, notices, times and other annotations are
//! left out.

use std::collections::HashSet;

use serde_json::json;

use crate::dialect::answer::failure_message;
use crate::dialect::{Encode, SseFrame};
use crate::event::answer::{Answer, AnswerDelta, AnswerLimits};
use crate::event::{
    AgentEvent, Annotation, ApprovalRequest, CallId, CallOutcome, Envelope, FinishReason, Json, MessageId, PlanEntry,
    PlanState, TurnOutcome,
};
use crate::text::one_line;

/// Characters of the question of an interrupt.
const MAX_QUESTION_CHARS: usize = 400;

/// What a run is part of.
#[derive(Clone, Debug, Default)]
pub struct AgUiRun {
    pub thread_id: String,
    pub run_id: String,
    /// The session that answers.
    pub session: String,
    /// The tools are the client's: it runs the calls.
    pub client_tools: bool,
    /// Only what follows the approval of this call is sent: the runs before had the rest.
    pub after: Option<CallId>,
}

/// Encodes one run.
#[derive(Debug)]
pub struct AgUiEncoder {
    run: AgUiRun,
    answer: Answer,
    message: Option<OpenPart>,
    /// Calls that were started.
    started: HashSet<CallId>,
    /// What the client has to decide before the turn goes on.
    interrupt: Option<Json>,
    text: String,
}

/// The message that is open in the stream.
#[derive(Debug)]
struct OpenPart {
    id: String,
    is_reasoning: bool,
}

impl AgUiEncoder {
    pub fn new(run: AgUiRun) -> Self {
        Self {
            run,
            answer: Answer::new(AnswerLimits::ONE_FRAME),
            message: None,
            started: HashSet::new(),
            interrupt: None,
            text: String::new(),
        }
    }

    fn encode(&mut self, event: &AgentEvent, out: &mut Vec<SseFrame>) {
        match event {
            AgentEvent::ApprovalRequested { call, request } if self.started.contains(call) => {
                self.interrupt = Some(interrupt(&self.run.session, call, request));
            }
            AgentEvent::MessageStarted { .. } | AgentEvent::MessageFinished { .. } => {}
            AgentEvent::Annotation { annotation: Annotation::Plan(entries), .. } => {
                let steps: Vec<Json> = entries.iter().map(plan_step).collect();
                push(
                    &json!({
                        "type": "ACTIVITY_SNAPSHOT", "messageId": format!("{}-plan", self.run.session),
                        "activityType": "PLAN", "content": {"steps": steps}, "replace": true,
                    }),
                    out,
                );
            }
            _ => {}
        }
        match self.answer.observe(event) {
            AnswerDelta::Text { message, text, .. } => {
                self.text.push_str(text);
                self.push_piece(message, text, false, out);
            }
            AnswerDelta::Corrected { message, text } if !text.is_empty() => {
                self.text.push_str(text);
                self.push_piece(message, &format!("\n\n{text}"), false, out);
            }
            AnswerDelta::Reasoning { message, text } => self.push_piece(message, text, true, out),
            AnswerDelta::CallStarted(at) => self.start_call(at, out),
            AnswerDelta::CallArgs(at, piece) => self.push_args(at, piece, out),
            AnswerDelta::CallReady(at, _) => self.end_args(at, out),
            AnswerDelta::CallFinished(at) => self.finish_call(at, out),
            AnswerDelta::Corrected { .. } | AnswerDelta::Nothing | AnswerDelta::Retry(..) | AnswerDelta::End(_) => {}
        }
        if matches!(event, AgentEvent::MessageFinished { .. }) {
            self.close_message(out);
        }
    }

    /// Ids of messages are the client's to keep apart, also those of other turns.
    fn message_id(&self, message: &MessageId, is_reasoning: bool) -> String {
        let suffix = if is_reasoning { "-reasoning" } else { "" };
        format!("{}-{message}{suffix}", self.run.session)
    }

    fn push_piece(&mut self, message: &MessageId, text: &str, is_reasoning: bool, out: &mut Vec<SseFrame>) {
        let id = self.message_id(message, is_reasoning);
        if self.message.as_ref().is_none_or(|open| open.id != id) {
            self.close_message(out);
            if is_reasoning {
                push(&json!({"type": "REASONING_START", "messageId": id}), out);
                push(&json!({"type": "REASONING_MESSAGE_START", "messageId": id, "role": "reasoning"}), out);
            } else {
                push(&json!({"type": "TEXT_MESSAGE_START", "messageId": id, "role": "assistant"}), out);
            }
            self.message = Some(OpenPart { id: id.clone(), is_reasoning });
        }
        let kind = if is_reasoning { "REASONING_MESSAGE_CONTENT" } else { "TEXT_MESSAGE_CONTENT" };
        push(&json!({"type": kind, "messageId": id, "delta": text}), out);
    }

    fn close_message(&mut self, out: &mut Vec<SseFrame>) {
        let Some(OpenPart { id, is_reasoning }) = self.message.take() else { return };
        if is_reasoning {
            push(&json!({"type": "REASONING_MESSAGE_END", "messageId": id}), out);
            push(&json!({"type": "REASONING_END", "messageId": id}), out);
        } else {
            push(&json!({"type": "TEXT_MESSAGE_END", "messageId": id}), out);
        }
    }

    fn start_call(&mut self, at: usize, out: &mut Vec<SseFrame>) {
        let Some(call) = self.answer.calls.get(at).filter(|call| !call.name.is_empty()) else { return };
        let mut start = json!({"type": "TOOL_CALL_START", "toolCallId": call.id, "toolCallName": call.name});
        // A message of which nothing is in the stream can't be its parent.
        if let Some(open) = self.message.as_ref().filter(|open| !open.is_reasoning) {
            start["parentMessageId"] = open.id.as_str().into();
        }
        self.started.insert(call.id.clone());
        self.close_message(out);
        push(&start, out);
    }

    fn push_args(&self, at: usize, piece: &str, out: &mut Vec<SseFrame>) {
        if let Some(call) = self.answer.calls.get(at).filter(|call| self.started.contains(&call.id)) {
            push(&json!({"type": "TOOL_CALL_ARGS", "toolCallId": call.id, "delta": piece}), out);
        }
    }

    fn end_args(&mut self, at: usize, out: &mut Vec<SseFrame>) {
        if self.answer.calls.get(at).is_some_and(|call| !self.started.contains(&call.id)) {
            self.start_call(at, out);
        }
        let Some(call) = self.answer.calls.get(at) else { return };
        let rest = if call.args.trim().is_empty() { call.parsable_args() } else { call.unstreamed_args() };
        if !rest.is_empty() {
            push(&json!({"type": "TOOL_CALL_ARGS", "toolCallId": call.id, "delta": rest}), out);
        }
        push(&json!({"type": "TOOL_CALL_END", "toolCallId": call.id}), out);
        self.answer.drop_large_args(at);
    }

    fn finish_call(&self, at: usize, out: &mut Vec<SseFrame>) {
        let Some(call) = self.answer.calls.get(at).filter(|call| self.started.contains(&call.id)) else { return };
        // The client runs it.
        let Some(outcome) = call.outcome.filter(|outcome| *outcome != CallOutcome::Requested) else { return };
        let text = if call.output.is_empty() && outcome != CallOutcome::Ok { outcome.label() } else { &call.output };
        let result = json!({
            "type": "TOOL_CALL_RESULT", "messageId": format!("{}-{}-result", self.run.session, call.id),
            "toolCallId": call.id, "content": text, "role": "tool",
        });
        push(&result, out);
    }

    fn finished_frame(&self, outcome: Option<Json>) -> Json {
        let mut frame = json!({"type": "RUN_FINISHED", "threadId": self.run.thread_id, "runId": self.run.run_id});
        if let Some(outcome) = outcome {
            frame["outcome"] = outcome;
        }
        let reason = match self.answer.finish_reason {
            Some(FinishReason::Length) => Some("length"),
            Some(FinishReason::Refused) if !self.answer.is_refusal => Some("content_filter"),
            _ => None,
        };
        if let Some(reason) = reason.filter(|_| self.interrupt.is_none()) {
            frame["finishReason"] = reason.into();
        }
        if let Some(usage) = self.answer.usage() {
            frame["usage"] = json!([{
                "inputTokens": usage.input_tokens, "outputTokens": usage.output_tokens,
                "totalTokens": usage.total(), "cachedInputTokens": usage.cached_tokens,
                "reasoningTokens": usage.reasoning_tokens,
            }]);
        }
        frame
    }
}

impl Encode for AgUiEncoder {
    fn start(&mut self, out: &mut Vec<SseFrame>) {
        push(&json!({"type": "RUN_STARTED", "threadId": self.run.thread_id, "runId": self.run.run_id}), out);
    }

    fn encode_event(&mut self, envelope: &Envelope, out: &mut Vec<SseFrame>) {
        let before = out.len();
        self.encode(&envelope.event, out);
        let Some(after) = &self.run.after else { return };
        out.truncate(before);
        self.interrupt = None;
        if matches!(&envelope.event, AgentEvent::ApprovalRequested { call, .. } if call == after) {
            // The run before has closed what was open.
            (self.message, self.run.after) = (None, None);
        }
    }

    fn is_paused(&self) -> bool {
        self.interrupt.is_some()
    }

    fn finish(&mut self, out: &mut Vec<SseFrame>) {
        self.close_message(out);
        if let Some(interrupt) = &self.interrupt {
            let outcome = json!({"type": "interrupt", "interrupts": [interrupt]});
            return push(&self.finished_frame(Some(outcome)), out);
        }
        self.answer.mark_interrupted();
        match self.answer.outcome.as_ref() {
            Some(TurnOutcome::Cancelled) => push(&self.finished_frame(Some(json!({"type": "cancelled"}))), out),
            outcome => match outcome.and_then(failure_message) {
                Some((text, code)) => push(&json!({"type": "RUN_ERROR", "message": text, "code": code}), out),
                None => push(&self.finished_frame(None), out),
            },
        }
    }

    fn full_response(&mut self) -> (u16, Json) {
        (200, json!({"role": "assistant", "content": self.text}))
    }
}

/// Asks whether a call may run.
fn interrupt(session: &str, call: &CallId, request: &ApprovalRequest) -> Json {
    json!({
        "id": format!("{session}/{call}"),
        "reason": "tool_call",
        "message": one_line(&format!("{}: {}", request.tool, request.subject), MAX_QUESTION_CHARS),
        "toolCallId": call,
        "responseSchema": {
            "type": "object",
            "properties": {"approved": {"type": "boolean"}, "reason": {"type": "string"}},
            "required": ["approved"],
        },
    })
}

/// Returns the session and the call of an interrupt of ours.
pub fn parse_interrupt_id(id: &str) -> Option<(&str, CallId)> {
    let (session, call) = id.split_once('/')?;
    (!session.is_empty() && !call.is_empty()).then(|| (session, CallId::from(call)))
}

fn plan_step(entry: &PlanEntry) -> Json {
    let status = match entry.state {
        PlanState::Pending => "pending",
        PlanState::InProgress => "in_progress",
        PlanState::Done => "completed",
    };
    json!({"title": entry.text, "status": status})
}

fn push(frame: &Json, out: &mut Vec<SseFrame>) {
    out.push(SseFrame::data(frame.to_string()));
}

#[cfg(test)]
mod tests;
