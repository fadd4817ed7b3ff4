//! A turn as a task.
//!
//! | event | in the stream |
//! | --- | --- |
//! | the start | the task, with the prompt in its history |
//! | text of a message | an artifact in pieces; a corrected text replaces it |
//! | reasoning | a status with a message that is marked as a thought, once it is whole |
//! | a call, its result | a status whose message has a part of data: `tool_calls`, `tool_results` |
//! | an approval | the status that input is required, with the question; the stream ends |
//! | the end | the final status; usage and finish reason are in its metadata |
//!
//! A client that comes back gets the task as it stands, and then what follows. Sub-agents, plans, notices and other
//! annotations are left out.

use serde_json::json;

use super::shapes::{A2aState, A2aVersion};
use crate::dialect::answer::failure_message;
use crate::dialect::wall_time::rfc3339;
use crate::dialect::{Encode, SseFrame};
use crate::event::answer::{Answer, AnswerDelta, AnswerLimits};
use crate::event::{
    AgentEvent, ApprovalRequest, CallId, CallOutcome, Envelope, FaultKind, Json, MessageId, Seq, TurnOutcome,
};
use crate::text::one_line;

/// Characters of the question about an approval.
const MAX_QUESTION_CHARS: usize = 400;
/// Bytes of the thoughts before one answer or call that are told.
const MAX_REASONING_BYTES: usize = 1 << 20;

/// What a task is part of, and how it is told.
#[derive(Clone, Debug, Default)]
pub struct A2aTask {
    pub id: String,
    pub context: String,
    pub version: A2aVersion,
    /// The id of the request that is answered, where answers are those of JSON-RPC.
    pub rpc_id: Option<Json>,
    /// The stream begins with the task as it stands after this event.
    pub begin_at: Option<Seq>,
    /// The client has decided about this call.
    pub decided: Option<CallId>,
    /// The stream goes on where the client has to decide: it waits for the end.
    pub never_pauses: bool,
}

/// Encodes one task.
#[derive(Debug)]
pub struct A2aEncoder {
    task: A2aTask,
    answer: Answer,
    /// The session's start in milliseconds since 1970.
    started_ms: u64,
    /// The event that is encoded.
    seq: Seq,
    now_ms: u64,
    has_begun: bool,
    prompt: Option<(MessageId, String)>,
    artifacts: Vec<A2aArtifact>,
    reasoning: String,
    /// Approvals that wait for the client.
    pending: Vec<(CallId, ApprovalRequest)>,
}

#[derive(Debug)]
struct A2aArtifact {
    id: MessageId,
    text: String,
}

impl A2aEncoder {
    pub fn new(task: A2aTask) -> Self {
        Self {
            task,
            answer: Answer::new(AnswerLimits::ONE_FRAME),
            started_ms: 0,
            seq: Seq(0),
            now_ms: 0,
            has_begun: false,
            prompt: None,
            artifacts: Vec::new(),
            reasoning: String::new(),
            pending: Vec::new(),
        }
    }

    /// Returns the state of the task.
    pub fn state(&self) -> A2aState {
        match &self.answer.outcome {
            Some(TurnOutcome::Completed) => A2aState::Completed,
            Some(TurnOutcome::Cancelled) => A2aState::Canceled,
            Some(TurnOutcome::Failed(fault)) if fault.kind == FaultKind::Refused => A2aState::Rejected,
            Some(TurnOutcome::Failed(_) | TurnOutcome::Interrupted) => A2aState::Failed,
            None if self.pending.is_empty() => A2aState::Working,
            None => A2aState::InputRequired,
        }
    }

    /// Returns the call that waits for the client's decision.
    pub fn pending_call(&self) -> Option<&CallId> {
        self.pending.first().map(|(call, _)| call)
    }

    /// Records that nothing follows: a task that is not over never will be.
    pub fn mark_interrupted(&mut self) {
        self.pending.clear();
        self.answer.mark_interrupted();
    }

    /// Returns the milliseconds since 1970 of the last event.
    pub fn updated_ms(&self) -> u64 {
        self.started_ms.saturating_add(self.now_ms)
    }

    /// Returns the task as it stands, without a wrapping.
    pub fn task_json(&self, history_length: Option<u64>, with_artifacts: bool) -> Json {
        let version = self.task.version;
        let mut task = json!({"id": self.task.id, "contextId": self.task.context, "status": self.status_json()});
        if with_artifacts && !self.artifacts.is_empty() {
            let artifacts = self.artifacts.iter().map(|artifact| self.artifact_json(&artifact.id, &artifact.text));
            task["artifacts"] = artifacts.collect();
        }
        if let Some((message, text)) = self.prompt.as_ref().filter(|_| history_length != Some(0)) {
            task["history"] = json!([self.message_json(message.as_str(), true, &[version.text_part(text)])]);
        }
        if let Some(metadata) = self.end_metadata() {
            task["metadata"] = metadata;
        }
        version.with_kind(task, "task")
    }

    fn encode(&mut self, event: &AgentEvent, out: &mut Vec<SseFrame>) {
        match event {
            AgentEvent::SessionOpened { wall_ms, .. } => self.started_ms = wall_ms.saturating_sub(self.now_ms),
            AgentEvent::UserMessage { message, text } if self.prompt.is_none() => {
                self.prompt = Some((message.clone(), text.clone()));
            }
            AgentEvent::ApprovalRequested { call, request } if self.task.decided.as_ref() != Some(call) => {
                self.pending.push((call.clone(), request.clone()));
                self.push_status(out);
            }
            AgentEvent::ApprovalResolved { call, .. } => self.pending.retain(|(waiting, _)| waiting != call),
            AgentEvent::TurnFinished { .. } => self.pending.clear(),
            _ => {}
        }
        match self.answer.observe(event) {
            AnswerDelta::Text { message, text, .. } => self.push_text(message, text, out),
            AnswerDelta::Corrected { message, text } => self.replace_text(message, text, out),
            AnswerDelta::Reasoning { text, .. } if self.reasoning.len() < MAX_REASONING_BYTES => {
                self.reasoning.push_str(text);
            }
            AnswerDelta::CallReady(at, _) => self.push_call(at, out),
            AnswerDelta::CallFinished(at) => self.push_result(at, out),
            AnswerDelta::End(_) => {
                self.push_reasoning(out);
                self.push_status(out);
            }
            AnswerDelta::Reasoning { .. }
            | AnswerDelta::CallStarted(_)
            | AnswerDelta::CallArgs(..)
            | AnswerDelta::Nothing
            | AnswerDelta::Retry(..) => {}
        }
        if let AgentEvent::MessageFinished { message, .. } = event {
            self.end_artifact(message, out);
        }
    }

    fn push_text(&mut self, message: &MessageId, text: &str, out: &mut Vec<SseFrame>) {
        self.push_reasoning(out);
        let known = self.artifacts.iter_mut().find(|artifact| artifact.id == *message);
        let append = known.is_some();
        match known {
            Some(artifact) => artifact.text.push_str(text),
            None => self.artifacts.push(A2aArtifact { id: message.clone(), text: text.to_owned() }),
        }
        self.push_artifact(message, text, append, false, out);
    }

    fn replace_text(&mut self, message: &MessageId, text: &str, out: &mut Vec<SseFrame>) {
        if let Some(artifact) = self.artifacts.iter_mut().find(|artifact| artifact.id == *message) {
            text.clone_into(&mut artifact.text);
            self.push_artifact(message, text, false, false, out);
        }
    }

    fn end_artifact(&self, message: &MessageId, out: &mut Vec<SseFrame>) {
        if self.artifacts.iter().any(|artifact| artifact.id == *message) {
            self.push_artifact(message, "", true, true, out);
        }
    }

    fn push_artifact(&self, id: &MessageId, text: &str, append: bool, is_last: bool, out: &mut Vec<SseFrame>) {
        let update = json!({
            "taskId": self.task.id, "contextId": self.task.context, "artifact": self.artifact_json(id, text),
            "append": append, "lastChunk": is_last,
        });
        self.push(update, "artifactUpdate", "artifact-update", out);
    }

    /// Tells what was thought before, as a whole.
    fn push_reasoning(&mut self, out: &mut Vec<SseFrame>) {
        let text = std::mem::take(&mut self.reasoning);
        if text.is_empty() {
            return;
        }
        let mut part = self.task.version.text_part(&text);
        part["metadata"] = json!({"thought": true});
        self.push_working(&format!("{}-{}-thought", self.task.id, self.seq.0), &[part], out);
    }

    fn push_call(&mut self, at: usize, out: &mut Vec<SseFrame>) {
        self.push_reasoning(out);
        if let Some(call) = self.answer.calls.get(at) {
            let data = json!({"tool_calls": [
                {"toolCallId": call.id, "name": call.name, "args": call.args_object()}
            ]});
            self.push_data(&data, out);
        }
        self.answer.drop_large_args(at);
    }

    fn push_result(&self, at: usize, out: &mut Vec<SseFrame>) {
        let Some(call) = self.answer.calls.get(at) else { return };
        let Some(outcome) = call.outcome.filter(|outcome| *outcome != CallOutcome::Requested) else { return };
        let text = if call.output.is_empty() && outcome != CallOutcome::Ok { outcome.label() } else { &call.output };
        let status = if outcome == CallOutcome::Ok { "success" } else { "error" };
        let data = json!({"tool_results": [
            {"toolCallId": call.id, "name": call.name, "content": text, "status": status}
        ]});
        self.push_data(&data, out);
    }

    fn push_data(&self, data: &Json, out: &mut Vec<SseFrame>) {
        let part = self.task.version.data_part(data);
        self.push_working(&format!("{}-{}", self.task.id, self.seq.0), &[part], out);
    }

    /// Tells what the agent is doing.
    fn push_working(&self, message: &str, parts: &[Json], out: &mut Vec<SseFrame>) {
        let message = self.message_json(message, false, parts);
        let status = json!({
            "state": A2aState::Working.name(self.task.version), "message": message, "timestamp": self.timestamp(),
        });
        self.push_status_update(&status, false, out);
    }

    /// Tells the state of the task.
    fn push_status(&self, out: &mut Vec<SseFrame>) {
        let is_over = self.state().is_terminal() || !self.task.never_pauses;
        self.push_status_update(&self.status_json(), is_over, out);
    }

    fn push_status_update(&self, status: &Json, is_final: bool, out: &mut Vec<SseFrame>) {
        let mut update = json!({"taskId": self.task.id, "contextId": self.task.context, "status": status});
        if self.task.version == A2aVersion::V0_3 {
            update["final"] = is_final.into();
        }
        if let Some(metadata) = self.end_metadata() {
            update["metadata"] = metadata;
        }
        self.push(update, "statusUpdate", "status-update", out);
    }

    fn status_json(&self) -> Json {
        let version = self.task.version;
        let mut status = json!({"state": self.state().name(version), "timestamp": self.timestamp()});
        let failure = self.answer.outcome.as_ref().and_then(failure_message);
        let id = format!("{}-{}", self.task.id, self.seq.0);
        if let Some((text, code)) = failure {
            let mut message = self.message_json(&id, false, &[version.text_part(text)]);
            message["metadata"] = json!({ "error_code": code });
            status["message"] = message;
        } else if let Some((call, request)) = self.pending.first() {
            let asked = one_line(&format!("{}: {}", request.tool, request.subject), MAX_QUESTION_CHARS);
            let text = format!("May this run? {asked}\nAnswer yes or no, in a message with this taskId.");
            let data = json!({"approval": {
                "toolCallId": call, "name": request.tool, "subject": request.subject, "detail": request.detail,
                "folder": request.folder,
            }});
            status["message"] = self.message_json(&id, false, &[version.text_part(&text), version.data_part(&data)]);
        }
        status
    }

    /// Returns what is known of a turn that is over: its usage, and why the answer ended if not by itself.
    fn end_metadata(&self) -> Option<Json> {
        self.answer.outcome.as_ref()?;
        let mut metadata = json!({});
        if let Some(usage) = self.answer.usage() {
            metadata["usage"] = json!({
                "input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens,
                "total_tokens": usage.total(),
            });
        }
        if let Some(word) = self.answer.incomplete_word() {
            metadata["finish_reason"] = word.into();
        }
        metadata.as_object().is_some_and(|fields| !fields.is_empty()).then_some(metadata)
    }

    fn artifact_json(&self, id: &MessageId, text: &str) -> Json {
        json!({"artifactId": id, "name": "answer", "parts": [self.task.version.text_part(text)]})
    }

    fn message_json(&self, id: &str, is_user: bool, parts: &[Json]) -> Json {
        let message = json!({
            "messageId": id, "role": self.task.version.role(is_user), "parts": parts, "taskId": self.task.id,
            "contextId": self.task.context,
        });
        self.task.version.with_kind(message, "message")
    }

    fn timestamp(&self) -> String {
        rfc3339(self.updated_ms())
    }

    /// Begins the stream with the task as it stands.
    fn begin(&mut self, out: &mut Vec<SseFrame>) {
        if !self.has_begun {
            self.has_begun = true;
            let task = self.task_json(None, true);
            let task = if self.task.version == A2aVersion::V1_0 { json!({ "task": task }) } else { task };
            out.push(SseFrame::data(self.answer_json(task).to_string()));
        }
    }

    fn push(&self, body: Json, field: &str, kind: &str, out: &mut Vec<SseFrame>) {
        let result = self.task.version.wrap(body, field, kind);
        out.push(SseFrame::data(self.answer_json(result).to_string()));
    }

    /// Returns the answer with this result.
    pub fn answer_json(&self, result: Json) -> Json {
        match &self.task.rpc_id {
            Some(id) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
            None => result,
        }
    }
}

impl Encode for A2aEncoder {
    fn encode_event(&mut self, envelope: &Envelope, out: &mut Vec<SseFrame>) {
        (self.seq, self.now_ms) = (envelope.seq, envelope.at.0);
        let before = out.len();
        self.encode(&envelope.event, out);
        if self.has_begun {
            return;
        }
        // What came so far is part of the task that the stream begins with.
        out.truncate(before);
        let is_due = match envelope.event {
            // The prompt comes next.
            AgentEvent::SessionOpened { .. } | AgentEvent::TurnStarted { .. } => false,
            _ => self.task.begin_at.is_none_or(|seq| envelope.seq >= seq),
        };
        if is_due {
            self.begin(out);
        }
    }

    fn is_paused(&self) -> bool {
        self.has_begun && !self.pending.is_empty() && !self.task.never_pauses
    }

    fn finish(&mut self, out: &mut Vec<SseFrame>) {
        let is_cut = self.pending.is_empty() && self.answer.mark_interrupted();
        if self.has_begun && is_cut {
            self.push_status(out);
        }
        self.begin(out);
    }

    fn full_response(&mut self) -> (u16, Json) {
        let task = self.task_json(None, true);
        let task = if self.task.version == A2aVersion::V1_0 { json!({ "task": task }) } else { task };
        (200, self.answer_json(task))
    }
}

#[cfg(test)]
mod tests;
