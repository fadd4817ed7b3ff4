//! The message of a round: its text in pieces and once more as a whole, with reasoning between tags set apart.

use std::borrow::Cow;

use super::super::speech::{Kind, Speech, words};
use crate::event::{AgentEvent, MessageId, Role, Stop, TextKind};

#[derive(Debug)]
pub(super) struct Round {
    pub(super) message: MessageId,
    /// The wire's id; unknown while only arguments came.
    wire_id: Option<String>,
    speech: Speech,
    /// The wire said the text once more.
    is_repeated: bool,
    pub(super) has_calls: bool,
    /// A call has its output: whatever comes next is another round.
    pub(super) is_over: bool,
}

impl Round {
    /// Begins a message; `messages` counts them.
    pub(super) fn begin(messages: &mut usize, out: &mut Vec<AgentEvent>) -> Self {
        Self {
            message: next(messages, out),
            wire_id: None,
            speech: Speech::default(),
            is_repeated: false,
            has_calls: false,
            is_over: false,
        }
    }

    pub(super) fn wire_id(&self) -> Option<&str> {
        self.wire_id.as_deref()
    }

    /// Takes the wire's id, where it was not known.
    pub(super) fn named(&mut self, wire_id: Option<&str>) {
        if self.wire_id.is_none() {
            self.wire_id = wire_id.map(Into::into);
        }
    }

    pub(super) fn take(&mut self, piece: Cow<'_, str>, marked: bool, messages: &mut usize, out: &mut Vec<AgentEvent>) {
        let mut split = Vec::new();
        self.speech.take(piece, false, marked, &mut split);
        self.tell(split, messages, out);
    }

    /// Takes the whole text: what was not told of it is told, and it is right where it differs.
    pub(super) fn whole(&mut self, whole: &str, messages: &mut usize, out: &mut Vec<AgentEvent>) {
        self.is_repeated = true;
        let mut split = Vec::new();
        if !self.speech.whole(whole, &mut split) {
            self.speech.correct(whole);
        }
        self.tell(split, messages, out);
    }

    /// Ends the message, as its round ended or as told. Returns the wire's id.
    pub(super) fn close(
        mut self,
        stop: Option<Stop>,
        messages: &mut usize,
        out: &mut Vec<AgentEvent>,
    ) -> Option<String> {
        let mut split = Vec::new();
        self.speech.settle(&mut split);
        self.tell(split, messages, out);
        let stop = stop.unwrap_or(if self.has_calls { Stop::ToolCalls } else { Stop::End });
        let full = || self.speech.full().unwrap_or_else(|| words(self.speech.said()));
        let full = self.is_repeated.then(full).filter(|full| !full.is_empty());
        out.push(AgentEvent::MessageFinished { message: self.message, stop, full, carry: None });
        self.wire_id
    }

    fn tell(&mut self, split: Vec<(Kind, String)>, messages: &mut usize, out: &mut Vec<AgentEvent>) {
        for (kind, text) in split {
            let message = self.message.clone();
            match kind {
                Kind::Text => out.push(AgentEvent::TextDelta { message, text, kind: TextKind::Text }),
                Kind::Reasoning => out.push(AgentEvent::ReasoningDelta { message, text }),
                Kind::Late if self.has_calls => {}
                // What was told as text was reasoning; the answer is another message.
                Kind::Late => {
                    if !text.is_empty() {
                        out.push(AgentEvent::ReasoningDelta { message: message.clone(), text });
                    }
                    let (stop, full) = (Stop::End, Some(String::new()));
                    out.push(AgentEvent::MessageFinished { message, stop, full, carry: None });
                    self.message = next(messages, out);
                }
            }
        }
    }
}

/// Starts the next message.
fn next(messages: &mut usize, out: &mut Vec<AgentEvent>) -> MessageId {
    *messages += 1;
    let message = MessageId::new(format!("m{messages}"));
    out.push(AgentEvent::MessageStarted { message: message.clone(), role: Role::Assistant, parent: None });
    message
}
