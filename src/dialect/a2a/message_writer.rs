//! Writes one message of a task and separates reasoning between tags from its text.

use super::super::text_assembler::{SegmentKind, TextAssembler, strip_reasoning};
use super::events::{message_finished, text_delta};
use crate::event::{FinishReason, MessageId, ReplyEvent, Role};

#[derive(Debug)]
pub(super) struct A2aMessageWriter {
    id: MessageId,
    assembler: TextAssembler,
}

impl A2aMessageWriter {
    /// Starts a message; `count` numbers the messages.
    pub(super) fn begin(count: &mut u64, out: &mut Vec<ReplyEvent>) -> Self {
        Self { id: start_message(count, out), assembler: TextAssembler::default() }
    }

    /// Emits text that is known to be new.
    pub(super) fn push_text(&mut self, text: &str, count: &mut u64, out: &mut Vec<ReplyEvent>) {
        let mut split = Vec::new();
        self.assembler.push_new(text, &mut split);
        self.emit_segments(split, count, out);
    }

    /// Emits reasoning that came separately from the text.
    pub(super) fn push_reasoning(&mut self, text: &str, out: &mut Vec<ReplyEvent>) {
        let text = self.assembler.push_reasoning(text);
        if !text.is_empty() {
            out.push(ReplyEvent::ReasoningDelta { message: self.id.clone(), text });
        }
    }

    /// Finishes the message with this as its whole text.
    pub(super) fn finish_with(mut self, text: &str, count: &mut u64, out: &mut Vec<ReplyEvent>) {
        self.flush(count, out);
        out.push(message_finished(self.id, FinishReason::End, Some(strip_reasoning(text))));
    }

    pub(super) fn finish(mut self, finish_reason: FinishReason, count: &mut u64, out: &mut Vec<ReplyEvent>) {
        self.flush(count, out);
        out.push(message_finished(self.id, finish_reason, None));
    }

    fn flush(&mut self, count: &mut u64, out: &mut Vec<ReplyEvent>) {
        let mut split = Vec::new();
        self.assembler.flush(&mut split);
        self.emit_segments(split, count, out);
    }

    fn emit_segments(&mut self, split: Vec<(SegmentKind, String)>, count: &mut u64, out: &mut Vec<ReplyEvent>) {
        for (kind, text) in split {
            let message = self.id.clone();
            match kind {
                SegmentKind::Text => out.push(text_delta(&message, &text)),
                SegmentKind::Reasoning => out.push(ReplyEvent::ReasoningDelta { message, text }),
                // The text emitted so far was reasoning; the answer is another message.
                SegmentKind::LateReasoning => {
                    if !text.is_empty() {
                        out.push(ReplyEvent::ReasoningDelta { message: message.clone(), text });
                    }
                    out.push(message_finished(message, FinishReason::End, Some(String::new())));
                    self.id = start_message(count, out);
                }
            }
        }
    }
}

fn start_message(count: &mut u64, out: &mut Vec<ReplyEvent>) -> MessageId {
    *count += 1;
    let message = MessageId::new(format!("m{count}"));
    out.push(ReplyEvent::MessageStarted { message: message.clone(), role: Role::Assistant, parent: None });
    message
}
