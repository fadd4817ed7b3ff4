//! The answer of a turn, folded from its events, for everyone who needs it in another form: encoders, summaries, the
//! agent's own history.
//!
//! [`AnswerEvent`] says which events are part of an answer. [`Answer`] folds them and says what each one adds
//! ([`AnswerDelta`]): an encoder sends that, and in the end what the fold holds. Messages with a parent, such as a
//! sub-agent's, are part of the work and not of the answer.

mod call;
mod usage;

pub use self::call::AnswerCall;
pub use self::usage::AnswerUsage;
use super::{
    AgentEvent, Annotation, AnnotationTarget, CallId, CallOutcome, CallOutput, ExecutedBy, Fault, FaultKind,
    FinishReason, Json, MessageId, Millis, NoticeCode, Role, TextKind, TurnOutcome, Usage,
};

/// An event that is part of an answer.
#[derive(Clone, Copy, Debug)]
pub enum AnswerEvent<'e> {
    MessageStarted {
        message: &'e MessageId,
        /// A message of a sub-agent.
        has_parent: bool,
    },
    Text {
        message: &'e MessageId,
        text: &'e str,
        kind: TextKind,
    },
    Reasoning {
        message: &'e MessageId,
        text: &'e str,
    },
    MessageFinished {
        message: &'e MessageId,
        finish_reason: FinishReason,
        full_text: Option<&'e str>,
        provider_metadata: Option<&'e Json>,
    },
    CallStarted(StartedCall<'e>),
    CallArgs {
        call: &'e CallId,
        json: &'e str,
    },
    CallReady {
        call: &'e CallId,
        name: &'e str,
        args: &'e str,
        provider_metadata: Option<&'e Json>,
    },
    CallFinished {
        call: &'e CallId,
        outcome: CallOutcome,
        output: &'e CallOutput,
        took: Option<Millis>,
    },
    Citation {
        message: &'e MessageId,
        data: &'e Json,
    },
    Usage,
    /// The request to the model is made again, for this reason.
    Retry(&'e str),
    TurnFinished(&'e TurnOutcome),
}

#[derive(Clone, Copy, Debug)]
pub struct StartedCall<'e> {
    pub call: &'e CallId,
    pub message: &'e MessageId,
    pub name: Option<&'e str>,
    /// A call of a sub-agent.
    pub has_parent: bool,
    pub executed_by: ExecutedBy,
}

impl<'e> AnswerEvent<'e> {
    pub fn of(event: &'e AgentEvent) -> Option<Self> {
        Some(match event {
            AgentEvent::MessageStarted { message, role: Role::Assistant, parent } => {
                Self::MessageStarted { message, has_parent: parent.is_some() }
            }
            AgentEvent::TextDelta { message, text, kind } => Self::Text { message, text, kind: *kind },
            AgentEvent::ReasoningDelta { message, text } => Self::Reasoning { message, text },
            AgentEvent::MessageFinished { message, finish_reason, full_text, provider_metadata } => {
                Self::MessageFinished {
                    message,
                    finish_reason: *finish_reason,
                    full_text: full_text.as_deref(),
                    provider_metadata: provider_metadata.as_ref(),
                }
            }
            AgentEvent::ToolCallStarted { call, message, name, parent, executed_by } => {
                Self::CallStarted(StartedCall {
                    call,
                    message,
                    name: name.as_deref(),
                    has_parent: parent.is_some(),
                    executed_by: *executed_by,
                })
            }
            AgentEvent::ToolArgsDelta { call, json } => Self::CallArgs { call, json },
            AgentEvent::ToolCallReady { call, name, args, provider_metadata } => {
                Self::CallReady { call, name, args, provider_metadata: provider_metadata.as_ref() }
            }
            AgentEvent::ToolCallFinished { call, outcome, output, duration } => {
                Self::CallFinished { call, outcome: *outcome, output, took: *duration }
            }
            AgentEvent::Annotation {
                on: AnnotationTarget::Message(message),
                annotation: Annotation::Citation(data),
            } => Self::Citation { message, data },
            AgentEvent::UsageReported { .. } => Self::Usage,
            AgentEvent::Notice { code: NoticeCode::Retry | NoticeCode::Recoverable, text, .. } => Self::Retry(text),
            AgentEvent::TurnFinished { turn: _, outcome } => Self::TurnFinished(outcome),
            // Of others than the assistant.
            AgentEvent::MessageStarted { .. }
            | AgentEvent::SessionOpened { .. }
            | AgentEvent::TurnStarted { .. }
            | AgentEvent::UserMessage { .. }
            | AgentEvent::ApprovalRequested { .. }
            | AgentEvent::ApprovalResolved { .. }
            | AgentEvent::ToolOutput { .. }
            | AgentEvent::Annotation { .. }
            | AgentEvent::Notice { .. }
            | AgentEvent::BranchStarted { .. }
            | AgentEvent::Compacted(_)
            | AgentEvent::CompactionUndone { .. }
            | AgentEvent::Unknown(_) => return None,
        })
    }
}

/// What an event adds to the answer.
#[derive(Debug, PartialEq, Eq)]
pub enum AnswerDelta<'e> {
    Nothing,
    /// More text of a message; `is_first` where it had none.
    Text {
        message: &'e MessageId,
        text: &'e str,
        kind: TextKind,
        is_first: bool,
    },
    /// The message has this text, and not the one that was streamed.
    Corrected {
        message: &'e MessageId,
        text: &'e str,
    },
    Reasoning {
        message: &'e MessageId,
        text: &'e str,
    },
    /// The call at this index started.
    CallStarted(usize),
    /// More arguments of the call at this index.
    CallArgs(usize, &'e str),
    /// The arguments of the call at this index are complete; these were streamed before.
    CallReady(usize, String),
    /// The call at this index ended.
    CallFinished(usize),
    /// The request to the model is retried: number of retries in a row, and the reason.
    Retry(u32, &'e str),
    End(&'e TurnOutcome),
}

/// How much of an answer is kept.
#[derive(Clone, Copy, Debug)]
pub struct AnswerLimits {
    /// Bytes of text, arguments and outputs, each.
    pub bytes: usize,
    pub calls: usize,
}

impl AnswerLimits {
    pub const NONE: Self = Self { bytes: usize::MAX, calls: usize::MAX };
    /// For formats that repeat the whole in one frame.
    pub const ONE_FRAME: Self = Self { bytes: 1 << 20, calls: 512 };
}

/// The answer so far.
#[derive(Clone, Debug)]
pub struct Answer {
    limits: AnswerLimits,
    pub calls: Vec<AnswerCall>,
    /// Something of the calls did not fit.
    pub are_calls_truncated: bool,
    /// There is a text of a refusal.
    pub is_refusal: bool,
    /// Finish reason of the last message.
    pub finish_reason: Option<FinishReason>,
    pub outcome: Option<TurnOutcome>,
    usage: AnswerUsage,
    open: Vec<OpenMessage>,
    args_bytes: usize,
    output_bytes: usize,
    retries: u32,
}

#[derive(Clone, Debug)]
struct OpenMessage {
    id: MessageId,
    /// What was streamed of it; nothing where that is more than is kept.
    streamed: Option<String>,
}

impl Answer {
    pub fn new(limits: AnswerLimits) -> Self {
        Self {
            limits,
            calls: Vec::new(),
            are_calls_truncated: false,
            is_refusal: false,
            finish_reason: None,
            outcome: None,
            usage: AnswerUsage::default(),
            open: Vec::new(),
            args_bytes: 0,
            output_bytes: 0,
            retries: 0,
        }
    }

    /// Takes an event and returns what it adds.
    pub fn observe<'e>(&mut self, event: &'e AgentEvent) -> AnswerDelta<'e> {
        match AnswerEvent::of(event) {
            Some(AnswerEvent::MessageStarted { message, has_parent: false }) => {
                self.open.push(OpenMessage { id: message.clone(), streamed: Some(String::new()) });
                AnswerDelta::Nothing
            }
            Some(AnswerEvent::Text { message, text, kind }) => self.append_text(message, text, kind),
            Some(AnswerEvent::Reasoning { message, text }) if !text.is_empty() && self.is_open(message) => {
                self.retries = 0;
                AnswerDelta::Reasoning { message, text }
            }
            Some(AnswerEvent::MessageFinished { message, finish_reason, full_text, .. }) => {
                let Some(at) = self.open.iter().position(|open| open.id == *message) else {
                    return AnswerDelta::Nothing;
                };
                self.finish_reason = Some(finish_reason);
                let delta = full_text.map_or(AnswerDelta::Nothing, |full| self.reconcile(at, message, full));
                self.open.remove(at);
                delta
            }
            Some(AnswerEvent::CallStarted(started)) => self.start_call(&started),
            Some(AnswerEvent::CallArgs { call, json }) => self.append_args(call, json),
            Some(AnswerEvent::CallReady { call, name, args, .. }) => self.finish_args(call, name, args),
            Some(AnswerEvent::CallFinished { call, outcome, output, took }) => {
                self.finish_call(call, outcome, &output.text, took)
            }
            Some(AnswerEvent::Usage) => {
                self.usage.observe(event);
                AnswerDelta::Nothing
            }
            Some(AnswerEvent::Retry(why)) => {
                self.retries = self.retries.saturating_add(1);
                AnswerDelta::Retry(self.retries, why)
            }
            Some(AnswerEvent::TurnFinished(outcome)) => {
                self.outcome = Some(outcome.clone());
                AnswerDelta::End(outcome)
            }
            Some(AnswerEvent::MessageStarted { .. } | AnswerEvent::Reasoning { .. } | AnswerEvent::Citation { .. })
            | None => AnswerDelta::Nothing,
        }
    }

    /// Records that the turn never ended. Returns false where it did.
    pub fn mark_interrupted(&mut self) -> bool {
        let is_cut = self.outcome.is_none();
        self.outcome.get_or_insert(TurnOutcome::Interrupted);
        is_cut
    }

    /// Returns whether this is an open message of the answer.
    pub fn is_open(&self, message: &MessageId) -> bool {
        self.open.iter().any(|open| open.id == *message)
    }

    /// Returns the usage of the turn; none where nothing was reported.
    pub fn usage(&self) -> Option<Usage> {
        self.usage.total()
    }

    /// Returns the fault of a turn that did not complete.
    pub fn fault(&self) -> Option<Fault> {
        match &self.outcome {
            Some(TurnOutcome::Completed) => None,
            Some(TurnOutcome::Failed(fault)) => Some(fault.clone()),
            Some(TurnOutcome::Cancelled) => Some(Fault::new(FaultKind::Upstream, "the turn was cancelled")),
            Some(TurnOutcome::Interrupted) | None => {
                Some(Fault::new(FaultKind::Upstream, "the response was cut off before its end; retry"))
            }
        }
    }

    /// Drops arguments that are too large to keep, once they were emitted.
    pub fn drop_large_args(&mut self, at: usize) {
        if self.args_bytes > self.limits.bytes
            && let Some(call) = self.calls.get_mut(at)
        {
            self.are_calls_truncated = true;
            self.args_bytes -= call.args.len();
            call.args = String::new();
        }
    }

    fn append_text<'e>(&mut self, message: &'e MessageId, text: &'e str, kind: TextKind) -> AnswerDelta<'e> {
        let Some(open) = self.open.iter_mut().find(|open| open.id == *message && !text.is_empty()) else {
            return AnswerDelta::Nothing;
        };
        let is_first = open.streamed.as_ref().is_some_and(String::is_empty);
        if let Some(streamed) = &mut open.streamed {
            streamed.push_str(text);
        }
        open.streamed.take_if(|streamed| streamed.len() > self.limits.bytes);
        self.retries = 0;
        self.is_refusal |= kind == TextKind::Refusal;
        AnswerDelta::Text { message, text, kind, is_first }
    }

    /// Returns what the full text of a message adds to what was streamed, or that it is another.
    fn reconcile<'e>(&mut self, at: usize, message: &'e MessageId, full: &'e str) -> AnswerDelta<'e> {
        let Some(streamed) = self.open.get(at).and_then(|open| open.streamed.as_deref()) else {
            return AnswerDelta::Nothing;
        };
        match full.strip_prefix(streamed) {
            Some(missing) => self.append_text(message, missing, TextKind::Text),
            None => AnswerDelta::Corrected { message, text: full },
        }
    }

    fn find(&self, call: &CallId) -> Option<usize> {
        self.calls.iter().rposition(|known| known.id == *call)
    }

    fn start_call<'e>(&mut self, started: &StartedCall<'_>) -> AnswerDelta<'e> {
        self.retries = 0;
        if self.find(started.call).is_some() {
            return AnswerDelta::Nothing;
        }
        if self.calls.len() >= self.limits.calls {
            self.are_calls_truncated = true;
            return AnswerDelta::Nothing;
        }
        let is_own = !started.has_parent && self.is_open(started.message);
        self.calls.push(AnswerCall::new(started, is_own));
        AnswerDelta::CallStarted(self.calls.len() - 1)
    }

    fn append_args<'e>(&mut self, call: &CallId, json: &'e str) -> AnswerDelta<'e> {
        let available = self.limits.bytes.saturating_sub(self.args_bytes);
        let Some(at) = self.find(call) else { return AnswerDelta::Nothing };
        let Some(known) = self.calls.get_mut(at).filter(|known| !known.is_ready && !json.is_empty()) else {
            return AnswerDelta::Nothing;
        };
        known.streamed_args_bytes = known.streamed_args_bytes.saturating_add(json.len());
        if json.len() <= available {
            self.args_bytes += json.len();
            known.args.push_str(json);
        }
        AnswerDelta::CallArgs(at, json)
    }

    fn finish_args<'e>(&mut self, call: &CallId, name: &str, args: &str) -> AnswerDelta<'e> {
        let Some(at) = self.find(call) else { return AnswerDelta::Nothing };
        let Some(known) = self.calls.get_mut(at) else { return AnswerDelta::Nothing };
        name.clone_into(&mut known.name);
        known.is_ready = true;
        self.args_bytes = self.args_bytes.saturating_sub(known.args.len()).saturating_add(args.len());
        let streamed = std::mem::replace(&mut known.args, args.to_owned());
        AnswerDelta::CallReady(at, streamed)
    }

    fn finish_call<'e>(
        &mut self,
        call: &CallId,
        outcome: CallOutcome,
        output: &str,
        took: Option<Millis>,
    ) -> AnswerDelta<'e> {
        let available = self.limits.bytes.saturating_sub(self.output_bytes);
        let Some((at, known)) = self.find(call).and_then(|at| Some((at, self.calls.get_mut(at)?))) else {
            return AnswerDelta::Nothing;
        };
        known.outcome = Some(outcome);
        known.took = took.or(known.took);
        let limit = available.saturating_add(known.output.len());
        let kept = output.get(..output.floor_char_boundary(limit)).unwrap_or_default();
        self.are_calls_truncated |= kept.len() < output.len();
        self.output_bytes = self.output_bytes.saturating_sub(known.output.len()).saturating_add(kept.len());
        kept.clone_into(&mut known.output);
        AnswerDelta::CallFinished(at)
    }
}

#[cfg(test)]
mod tests;
