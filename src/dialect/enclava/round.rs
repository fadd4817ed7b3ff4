//! The message of a round: its text in deltas and once more as a whole, with reasoning between tags separated.

use std::borrow::Cow;

use super::super::text_assembler::{SegmentKind, TextAssembler, strip_reasoning};
use crate::event::{FinishReason, MessageId, ReplyEvent, Role, TextKind};

#[derive(Debug)]
pub(super) struct Round {
    pub(super) message: MessageId,
    /// The server's id; unknown while only arguments came.
    wire_id: Option<String>,
    assembler: TextAssembler,
    /// The server repeated the text.
    is_repeated: bool,
    pub(super) has_calls: bool,
    /// A call has its output: whatever follows is another round.
    pub(super) is_over: bool,
}

impl Round {
    /// Starts a message; `messages` counts them.
    pub(super) fn begin(messages: &mut usize, out: &mut Vec<ReplyEvent>) -> Self {
        Self {
            message: start_message(messages, out),
            wire_id: None,
            assembler: TextAssembler::default(),
            is_repeated: false,
            has_calls: false,
            is_over: false,
        }
    }

    pub(super) fn wire_id(&self) -> Option<&str> {
        self.wire_id.as_deref()
    }

    /// Sets the server's id where it was unknown.
    pub(super) fn set_wire_id(&mut self, wire_id: Option<&str>) {
        if self.wire_id.is_none() {
            self.wire_id = wire_id.map(Into::into);
        }
    }

    pub(super) fn push_text(
        &mut self,
        piece: Cow<'_, str>,
        marked: bool,
        messages: &mut usize,
        out: &mut Vec<ReplyEvent>,
    ) {
        let mut split = Vec::new();
        self.assembler.push(piece, false, marked, &mut split);
        self.emit_segments(split, messages, out);
    }

    /// Takes the whole text and emits the rest; where the two differ, the whole is right.
    pub(super) fn reconcile(&mut self, whole: &str, messages: &mut usize, out: &mut Vec<ReplyEvent>) {
        self.is_repeated = true;
        let mut split = Vec::new();
        if !self.assembler.reconcile(whole, &mut split) {
            self.assembler.set_correction(whole);
        }
        self.emit_segments(split, messages, out);
    }

    /// Ends the message, with the finish reason of its round or the given one. Returns the server's id.
    pub(super) fn close(
        mut self,
        finish_reason: Option<FinishReason>,
        messages: &mut usize,
        out: &mut Vec<ReplyEvent>,
    ) -> Option<String> {
        let mut split = Vec::new();
        self.assembler.flush(&mut split);
        self.emit_segments(split, messages, out);
        let finish_reason =
            finish_reason.unwrap_or(if self.has_calls { FinishReason::ToolCalls } else { FinishReason::End });
        let full = || self.assembler.corrected_text().unwrap_or_else(|| strip_reasoning(self.assembler.raw_text()));
        let full = self.is_repeated.then(full).filter(|full| !full.is_empty());
        out.push(ReplyEvent::MessageFinished {
            message: self.message,
            finish_reason,
            full_text: full,
            provider_metadata: None,
        });
        self.wire_id
    }

    fn emit_segments(&mut self, split: Vec<(SegmentKind, String)>, messages: &mut usize, out: &mut Vec<ReplyEvent>) {
        for (kind, text) in split {
            let message = self.message.clone();
            match kind {
                SegmentKind::Text => out.push(ReplyEvent::TextDelta { message, text, kind: TextKind::Text }),
                SegmentKind::Reasoning => out.push(ReplyEvent::ReasoningDelta { message, text }),
                SegmentKind::LateReasoning if self.has_calls => {}
                // The text emitted so far was reasoning; the answer is another message.
                SegmentKind::LateReasoning => {
                    if !text.is_empty() {
                        out.push(ReplyEvent::ReasoningDelta { message: message.clone(), text });
                    }
                    let (finish_reason, full) = (FinishReason::End, Some(String::new()));
                    out.push(ReplyEvent::MessageFinished {
                        message,
                        finish_reason,
                        full_text: full,
                        provider_metadata: None,
                    });
                    self.message = start_message(messages, out);
                }
            }
        }
    }
}

fn start_message(messages: &mut usize, out: &mut Vec<ReplyEvent>) -> MessageId {
    *messages += 1;
    let message = MessageId::new(format!("m{messages}"));
    out.push(ReplyEvent::MessageStarted { message: message.clone(), role: Role::Assistant, parent: None });
    message
}
