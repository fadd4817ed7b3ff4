//! An answer as the servers of models give it: text, thoughts, and calls for the client to run. What the encoders of
//! their formats have in common.
//!
//! Calls that run here, sub-agents, notices and annotations are left out; the texts of all rounds are sent, separated
//! by blank lines. A call is sent when its arguments are complete, so that one which is cut off is never run.

use super::answer::{JoinedText, MessageGap};
use super::chat::chunk;
use crate::event::answer::{Answer, AnswerCall, AnswerDelta, AnswerLimits};
use crate::event::{AgentEvent, Envelope, Fault, FaultKind, Millis, Usage, who_answers};

/// What the client asked for, as far as its answer depends on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelAnswerOptions {
    /// As requested; empty until the session names it.
    pub model: String,
    /// Thoughts are sent.
    pub sends_thoughts: bool,
    /// The tools are the client's: it runs the calls.
    pub client_tools: bool,
    /// Estimated tokens of the prompt, where no server counts them.
    pub prompt_tokens: u64,
}

/// The answer so far.
#[derive(Debug)]
pub(super) struct ModelAnswer {
    pub(super) options: ModelAnswerOptions,
    pub(super) answer: Answer,
    pub(super) text: JoinedText,
    pub(super) thoughts: JoinedText,
    /// The calls that were sent, by their index in the answer.
    sent_calls: Vec<usize>,
    /// Milliseconds since 1970 at which the session's time is 0.
    opened_at: u64,
    /// Of the last event, of the first and of the first one with content.
    now: Millis,
    begun: Option<Millis>,
    first_content: Option<Millis>,
}

/// What an event adds to the answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ModelDelta {
    Text(String),
    Thought(String),
    /// The call at this index is complete.
    Call(usize),
    End,
}

impl ModelAnswer {
    pub(super) fn new(options: ModelAnswerOptions) -> Self {
        let joined = || JoinedText::new(MessageGap::BlankLine, usize::MAX);
        Self {
            options,
            answer: Answer::new(AnswerLimits::NONE),
            text: joined(),
            thoughts: joined(),
            sent_calls: Vec::new(),
            opened_at: 0,
            now: Millis(0),
            begun: None,
            first_content: None,
        }
    }

    /// Takes the next event and returns what is to be sent.
    pub(super) fn observe(&mut self, envelope: &Envelope) -> Option<ModelDelta> {
        if self.answer.outcome.is_some() {
            return None;
        }
        self.now = envelope.at;
        match &envelope.event {
            AgentEvent::SessionOpened { wall_ms, engine, model, .. } => {
                self.opened_at = wall_ms.saturating_sub(envelope.at.0);
                if self.options.model.is_empty() {
                    self.options.model = who_answers(engine, model);
                }
                return None;
            }
            AgentEvent::TurnStarted { .. } => self.begun = Some(envelope.at),
            _ => {}
        }
        let delta = match self.answer.observe(&envelope.event) {
            AnswerDelta::Text { message, text, .. } => ModelDelta::Text(self.text.push(message, text)),
            AnswerDelta::Reasoning { message, text } if self.options.sends_thoughts => {
                ModelDelta::Thought(self.thoughts.push(message, text))
            }
            AnswerDelta::CallReady(at, _) if self.is_sent(at) => {
                self.sent_calls.push(at);
                ModelDelta::Call(at)
            }
            AnswerDelta::End(_) => return Some(ModelDelta::End),
            _ => return None,
        };
        self.first_content.get_or_insert(envelope.at);
        Some(delta)
    }

    /// Returns whether the client gets this call, which is complete now.
    fn is_sent(&self, at: usize) -> bool {
        let call = self.answer.calls.get(at);
        let is_for_client = self.options.client_tools && call.is_some_and(|call| call.is_client_call);
        is_for_client && call.is_some_and(|call| !call.name.is_empty()) && !self.sent_calls.contains(&at)
    }

    /// The calls that were sent.
    pub(super) fn calls(&self) -> impl Iterator<Item = &AnswerCall> {
        self.sent_calls.iter().filter_map(|at| self.answer.calls.get(*at))
    }

    /// Returns how many calls were sent.
    pub(super) fn call_count(&self) -> usize {
        self.sent_calls.len()
    }

    /// Returns the finish reason in the words of OpenAI's chunks; none where the turn failed.
    pub(super) fn end_word(&self) -> Option<&'static str> {
        self.answer.end_word(!self.sent_calls.is_empty())
    }

    /// Returns why the turn failed, and the HTTP status that stands for it.
    pub(super) fn failure(&self) -> (u16, Fault) {
        let fault = self.answer.fault().unwrap_or_else(|| Fault::new(FaultKind::Internal, "no answer"));
        (chunk::error_response(&fault).0, fault)
    }

    /// Returns the usage, estimated where nobody counted.
    pub(super) fn usage(&self) -> Usage {
        let counted = self.answer.usage().filter(|usage| usage.total() > 0);
        counted.unwrap_or_else(|| chunk::estimate_usage(self.options.prompt_tokens, &self.text.text))
    }

    /// Returns when the last event was, in milliseconds since 1970.
    pub(super) fn wall_ms(&self) -> u64 {
        self.opened_at.saturating_add(self.now.0)
    }

    /// Returns how long the turn took so far: in all, until its first content, and since then.
    pub(super) fn durations(&self) -> (Millis, Millis, Millis) {
        let begun = self.begun.unwrap_or(self.now);
        let first = self.first_content.unwrap_or(self.now);
        let since = |from: Millis, to: Millis| Millis(to.0.saturating_sub(from.0));
        (since(begun, self.now), since(begun, first), since(first, self.now))
    }
}

#[cfg(test)]
pub(super) mod tests;
