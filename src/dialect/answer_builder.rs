//! An answer assembled from its events, for dialects that repeat the whole of it at the end.
//!
//! It keeps what fits into [`MAX_KEPT_BYTES`] and records whether anything was dropped. Messages of sub-agents and of
//! other roles than the assistant are not part of the answer. The texts of two messages are separated, in the stream as
//! in the whole.

use std::collections::HashSet;

use serde_json::json;

use super::answer_usage::AnswerUsage;
use crate::event::{
    AgentEvent, CallId, CallOutcome, Fault, FinishReason, Json, MessageId, Millis, NoticeCode, Role, TextKind,
    TurnOutcome,
};

/// Bytes of text, arguments and outputs that are kept, each.
pub(super) const MAX_KEPT_BYTES: usize = 1 << 20;
const MAX_CALLS: usize = 512;

/// Separates the texts of two messages.
pub(super) const MESSAGE_SEPARATOR: &str = "\n\n";

/// What an event changes in the answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum AnswerDelta {
    Nothing,
    /// More text, with the separator where it starts another message.
    Text(String, TextKind),
    Reasoning(String),
    /// The call at this index started.
    CallStarted(usize),
    /// More arguments of the call at this index.
    CallArgs(usize, String),
    /// The arguments are complete; the string is the part that was not emitted yet.
    CallReady(usize, String),
    /// The call at this index ended.
    CallFinished(usize),
    /// The request to the model is retried: number of retries in a row, and the reason.
    Retry(u32, String),
    End(TurnOutcome),
}

#[derive(Debug)]
pub(super) struct AnswerCall {
    pub(super) id: CallId,
    pub(super) name: String,
    /// The arguments so far.
    pub(super) args: String,
    /// Its name came only with the complete arguments.
    pub(super) was_nameless: bool,
    pub(super) ready: bool,
    /// Bytes of arguments that were emitted as deltas.
    emitted_args_bytes: usize,
    pub(super) outcome: Option<CallOutcome>,
    pub(super) output: String,
    pub(super) took: Option<Millis>,
}

impl AnswerCall {
    /// Its state: `started`, `running`, or its outcome.
    pub(super) fn status(&self) -> &'static str {
        match self.outcome {
            Some(CallOutcome::Ok) => "completed",
            Some(outcome) => outcome.name(),
            None if self.ready => "running",
            None => "started",
        }
    }

    /// Returns the complete call in the shape of OpenAI's chunks.
    pub(super) fn to_json(&self) -> Json {
        json!({
            "id": self.id.as_str(), "type": "function", "function": {"name": self.name, "arguments": self.args},
        })
    }

    /// Returns the call with its state and, where it ended, its output.
    pub(super) fn to_json_with_status(&self) -> Json {
        let mut wire = self.to_json();
        wire["status"] = self.status().into();
        if self.outcome.is_some() {
            wire["output"] = self.output.as_str().into();
        }
        if let Some(took) = self.took {
            wire["latency_ms"] = took.0.into();
        }
        wire
    }
}

/// The answer so far.
#[derive(Debug, Default)]
pub(super) struct AnswerBuilder {
    pub(super) text: String,
    pub(super) calls: Vec<AnswerCall>,
    /// Something did not fit.
    pub(super) truncated: bool,
    /// Text did not fit.
    is_text_truncated: bool,
    pub(super) refused: bool,
    pub(super) outcome: Option<TurnOutcome>,
    answer_usage: AnswerUsage,
    finish_reason: Option<FinishReason>,
    /// The message of the last text, and where in the text it starts.
    speaker: Option<(MessageId, usize)>,
    has_text: bool,
    /// Open messages that are not part of the answer.
    foreign_messages: HashSet<MessageId>,
    args_bytes: usize,
    output_bytes: usize,
    retries: u32,
}

impl AnswerBuilder {
    pub(super) fn observe(&mut self, event: &AgentEvent) -> AnswerDelta {
        match event {
            AgentEvent::MessageStarted { message, role, parent } => {
                if *role != Role::Assistant || parent.is_some() {
                    self.foreign_messages.insert(message.clone());
                }
                AnswerDelta::Nothing
            }
            AgentEvent::TextDelta { message, text, kind }
                if !text.is_empty() && !self.foreign_messages.contains(message) =>
            {
                self.refused |= *kind == TextKind::Refusal;
                AnswerDelta::Text(self.append_text(message, text), *kind)
            }
            AgentEvent::ReasoningDelta { message, text }
                if !text.is_empty() && !self.foreign_messages.contains(message) =>
            {
                self.retries = 0;
                AnswerDelta::Reasoning(text.clone())
            }
            AgentEvent::MessageFinished { message, .. } if self.foreign_messages.remove(message) => {
                AnswerDelta::Nothing
            }
            AgentEvent::MessageFinished { message, finish_reason, full_text: full, .. } => {
                self.finish_reason = Some(*finish_reason);
                full.as_deref().map_or(AnswerDelta::Nothing, |full| self.reconcile(message, full))
            }
            AgentEvent::ToolCallStarted { call, name, .. } => {
                self.start_call(call, name.as_deref().unwrap_or_default())
            }
            AgentEvent::ToolArgsDelta { call, json } => self.append_args(call, json),
            AgentEvent::ToolCallReady { call, name, args, .. } => self.finish_args(call, name, args),
            AgentEvent::ToolCallFinished { call, outcome, output, duration: took } => {
                let available = MAX_KEPT_BYTES.saturating_sub(self.output_bytes);
                let Some((at, known)) = self.find(call).and_then(|at| Some((at, self.calls.get_mut(at)?))) else {
                    return AnswerDelta::Nothing;
                };
                known.outcome = Some(*outcome);
                known.took = took.or(known.took);
                let kept = truncate_to_bytes(&output.text, available.saturating_add(known.output.len()));
                self.truncated |= kept.len() < output.text.len();
                self.output_bytes = self.output_bytes.saturating_sub(known.output.len()).saturating_add(kept.len());
                kept.clone_into(&mut known.output);
                AnswerDelta::CallFinished(at)
            }
            AgentEvent::UsageReported { .. } => {
                self.answer_usage.observe(event);
                AnswerDelta::Nothing
            }
            AgentEvent::Notice { code: NoticeCode::Retry | NoticeCode::Recoverable, text, .. } => {
                self.retries = self.retries.saturating_add(1);
                AnswerDelta::Retry(self.retries, text.clone())
            }
            AgentEvent::TurnFinished { outcome: end, .. } => {
                self.outcome = Some(end.clone());
                AnswerDelta::End(end.clone())
            }
            _ => AnswerDelta::Nothing,
        }
    }

    /// Returns the usage in the shape of OpenAI's chunks.
    pub(super) fn usage(&self) -> Option<Json> {
        let usage = self.answer_usage.total()?;
        let mut wire = json!({
            "prompt_tokens": usage.input_tokens,
            "completion_tokens": usage.output_tokens,
            "total_tokens": usage.total(),
        });
        if usage.cached_tokens > 0 {
            wire["prompt_tokens_details"] = json!({"cached_tokens": usage.cached_tokens});
        }
        if usage.reasoning_tokens > 0 {
            wire["completion_tokens_details"] = json!({"reasoning_tokens": usage.reasoning_tokens});
        }
        Some(wire)
    }

    /// Returns the finish reason in the words of OpenAI's chunks. Only calls of the client's own tools count as
    /// `tool_calls`.
    pub(super) fn finish_reason(&self, client_tools: bool) -> &'static str {
        match self.finish_reason {
            Some(FinishReason::Length) => "length",
            Some(FinishReason::Refused) if !self.refused => "content_filter",
            Some(FinishReason::ToolCalls) if client_tools => "tool_calls",
            _ => "stop",
        }
    }

    /// Returns why the answer is incomplete, for formats that have no word for it.
    pub(super) fn incomplete_reason(&self) -> Option<&'static str> {
        Some(self.finish_reason(false)).filter(|reason| *reason != "stop")
    }

    fn find(&self, call: &CallId) -> Option<usize> {
        self.calls.iter().rposition(|known| known.id == *call)
    }

    fn append_text(&mut self, message: &MessageId, text: &str) -> String {
        self.retries = 0;
        let mut appended = String::new();
        if self.speaker.as_ref().is_none_or(|(speaker, _)| speaker != message) {
            if std::mem::replace(&mut self.has_text, true) {
                appended.push_str(MESSAGE_SEPARATOR);
            }
            let begins = self.text.len() + appended.len();
            self.speaker = Some((message.clone(), begins));
        }
        appended.push_str(text);
        self.keep_text(&appended);
        appended
    }

    /// Keeps what fits. Once something was dropped, nothing more is kept.
    fn keep_text(&mut self, text: &str) {
        if self.is_text_truncated {
            return;
        }
        let kept = truncate_to_bytes(text, MAX_KEPT_BYTES.saturating_sub(self.text.len()));
        self.is_text_truncated = kept.len() < text.len();
        self.truncated |= self.is_text_truncated;
        self.text.push_str(kept);
    }

    /// Reconciles the streamed text of a message with its full text: appends the missing rest, or replaces what was
    /// streamed.
    fn reconcile(&mut self, message: &MessageId, full: &str) -> AnswerDelta {
        let streamed = match &self.speaker {
            Some((speaker, begins)) if speaker == message => self.text.get(*begins..),
            _ if full.is_empty() => return AnswerDelta::Nothing,
            _ => return AnswerDelta::Text(self.append_text(message, full), TextKind::Text),
        };
        let Some(streamed) = streamed.filter(|_| !self.is_text_truncated) else { return AnswerDelta::Nothing };
        match full.strip_prefix(streamed) {
            Some("") => AnswerDelta::Nothing,
            Some(missing) => AnswerDelta::Text(self.append_text(message, missing), TextKind::Text),
            None => {
                let begins = self.text.len() - streamed.len();
                self.text.truncate(begins);
                self.keep_text(full);
                AnswerDelta::Nothing
            }
        }
    }

    fn start_call(&mut self, call: &CallId, name: &str) -> AnswerDelta {
        self.retries = 0;
        if self.find(call).is_some() {
            return AnswerDelta::Nothing;
        }
        if self.calls.len() >= MAX_CALLS {
            self.truncated = true;
            return AnswerDelta::Nothing;
        }
        self.calls.push(AnswerCall {
            id: call.clone(),
            name: name.to_owned(),
            args: String::new(),
            was_nameless: name.is_empty(),
            ready: false,
            emitted_args_bytes: 0,
            outcome: None,
            output: String::new(),
            took: None,
        });
        AnswerDelta::CallStarted(self.calls.len() - 1)
    }

    fn append_args(&mut self, call: &CallId, json: &str) -> AnswerDelta {
        let available = MAX_KEPT_BYTES.saturating_sub(self.args_bytes);
        let Some(at) = self.find(call) else { return AnswerDelta::Nothing };
        let Some(known) = self.calls.get_mut(at).filter(|known| !known.ready && !json.is_empty()) else {
            return AnswerDelta::Nothing;
        };
        known.emitted_args_bytes = known.emitted_args_bytes.saturating_add(json.len());
        if json.len() <= available {
            self.args_bytes += json.len();
            known.args.push_str(json);
        }
        AnswerDelta::CallArgs(at, json.to_owned())
    }

    fn finish_args(&mut self, call: &CallId, name: &str, args: &str) -> AnswerDelta {
        let Some(at) = self.find(call) else { return AnswerDelta::Nothing };
        let Some(known) = self.calls.get_mut(at) else { return AnswerDelta::Nothing };
        let missing = args.get(known.emitted_args_bytes..).unwrap_or_default().to_owned();
        name.clone_into(&mut known.name);
        known.ready = true;
        self.args_bytes = self.args_bytes.saturating_sub(known.args.len()).saturating_add(args.len());
        args.clone_into(&mut known.args);
        AnswerDelta::CallReady(at, missing)
    }

    /// Drops arguments that are too large to keep, once they were emitted.
    pub(super) fn drop_large_args(&mut self, at: usize) {
        if self.args_bytes > MAX_KEPT_BYTES
            && let Some(call) = self.calls.get_mut(at)
        {
            self.truncated = true;
            self.args_bytes -= call.args.len();
            call.args = String::new();
        }
    }
}

/// Returns the message and the code of an outcome that is not a success.
pub(super) fn failure_message(outcome: &TurnOutcome) -> Option<(&str, &'static str)> {
    match outcome {
        TurnOutcome::Completed => None,
        TurnOutcome::Cancelled => Some(("the turn was cancelled", "cancelled")),
        TurnOutcome::Interrupted => Some(("the response was cut off before its end", "interrupted")),
        TurnOutcome::Failed(Fault { message, kind, .. }) => Some((message, kind.name())),
    }
}

/// Returns the longest prefix of whole characters that fits.
fn truncate_to_bytes(text: &str, max_bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(max_bytes)).unwrap_or_default()
}
