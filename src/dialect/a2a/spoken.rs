//! A message of a task while it is told: reasoning between tags in its text is set apart.

use super::super::speech::{Kind, Speech, words};
use super::tell::{delta, finished};
use crate::event::{AgentEvent, MessageId, Role, Stop};

#[derive(Debug)]
pub(super) struct Spoken {
    id: MessageId,
    speech: Speech,
}

impl Spoken {
    /// Begins a message; `count` counts them.
    pub(super) fn begin(count: &mut u64, out: &mut Vec<AgentEvent>) -> Self {
        Self { id: next(count, out), speech: Speech::default() }
    }

    /// Tells text that is certainly new.
    pub(super) fn say(&mut self, text: &str, count: &mut u64, out: &mut Vec<AgentEvent>) {
        let mut split = Vec::new();
        self.speech.more(text, &mut split);
        self.tell(split, count, out);
    }

    /// Tells a thought that came apart from the text.
    pub(super) fn think(&mut self, text: &str, out: &mut Vec<AgentEvent>) {
        let text = self.speech.thought(text);
        if !text.is_empty() {
            out.push(AgentEvent::ReasoningDelta { message: self.id.clone(), text });
        }
    }

    /// Ends the message: its text is this.
    pub(super) fn correct(mut self, text: &str, count: &mut u64, out: &mut Vec<AgentEvent>) {
        self.settle(count, out);
        out.push(finished(self.id, Stop::End, Some(words(text))));
    }

    pub(super) fn finish(mut self, stop: Stop, count: &mut u64, out: &mut Vec<AgentEvent>) {
        self.settle(count, out);
        out.push(finished(self.id, stop, None));
    }

    fn settle(&mut self, count: &mut u64, out: &mut Vec<AgentEvent>) {
        let mut split = Vec::new();
        self.speech.settle(&mut split);
        self.tell(split, count, out);
    }

    fn tell(&mut self, split: Vec<(Kind, String)>, count: &mut u64, out: &mut Vec<AgentEvent>) {
        for (kind, text) in split {
            let message = self.id.clone();
            match kind {
                Kind::Text => out.push(delta(&message, &text)),
                Kind::Reasoning => out.push(AgentEvent::ReasoningDelta { message, text }),
                // What was told as text was reasoning; the answer is another message.
                Kind::Late => {
                    if !text.is_empty() {
                        out.push(AgentEvent::ReasoningDelta { message: message.clone(), text });
                    }
                    out.push(finished(message, Stop::End, Some(String::new())));
                    self.id = next(count, out);
                }
            }
        }
    }
}

/// Starts the next message.
fn next(count: &mut u64, out: &mut Vec<AgentEvent>) -> MessageId {
    *count += 1;
    let message = MessageId::new(format!("m{count}"));
    out.push(AgentEvent::MessageStarted { message: message.clone(), role: Role::Assistant, parent: None });
    message
}
