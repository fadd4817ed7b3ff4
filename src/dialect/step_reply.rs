//! A reply in steps, each one request to the model, as the AI SDK and its kin tell it: blocks of text and reasoning under
//! ids that may come again in another step, and calls.
//!
//! A step's first reasoning and text and its calls are one message; every other block is a message of its own.

use super::agent_reply::{AgentReply, MessageHandle};
use crate::event::{CallOutcome, ExecutedBy, ReplyEvent};

/// Blocks that are open at a time; the oldest is forgotten.
const MAX_OPEN_BLOCKS: usize = 64;

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StepBlockKind {
    Text,
    Reasoning,
}

/// A block that has not ended.
#[derive(Debug)]
struct OpenBlock {
    kind: StepBlockKind,
    wire_id: String,
    message: MessageHandle,
}

#[derive(Debug, Default)]
pub(super) struct StepReply {
    pub(super) reply: AgentReply,
    /// The message that the next block or call belongs to, where it fits.
    current: Option<MessageHandle>,
    /// The messages of the step.
    step: Vec<MessageHandle>,
    blocks: Vec<OpenBlock>,
}

impl StepReply {
    /// Returns the message of a block; the start of one may be missing.
    pub(super) fn block(&mut self, kind: StepBlockKind, id: &str, out: &mut Vec<ReplyEvent>) -> MessageHandle {
        let known = self.blocks.iter().rfind(|block| block.kind == kind && block.wire_id == id);
        match known.map(|block| block.message).filter(|message| self.reply.is_open(*message)) {
            Some(message) => message,
            None => self.start_block(kind, id, out),
        }
    }

    pub(super) fn start_block(&mut self, kind: StepBlockKind, id: &str, out: &mut Vec<ReplyEvent>) -> MessageHandle {
        self.end_block(kind, id);
        let has_block = |message: MessageHandle| {
            let in_the_way = |other: StepBlockKind| other == StepBlockKind::Text || kind == StepBlockKind::Reasoning;
            self.blocks.iter().any(|block| block.message == message && in_the_way(block.kind))
        };
        let fits = |message: &MessageHandle| {
            self.reply.is_open(*message) && !self.reply.has_spoken(*message) && !has_block(*message)
        };
        let message = match self.current.filter(fits) {
            Some(message) => message,
            None => self.next_message(out),
        };
        if self.blocks.len() >= MAX_OPEN_BLOCKS {
            self.blocks.remove(0);
        }
        self.blocks.push(OpenBlock { kind, wire_id: id.to_owned(), message });
        message
    }

    pub(super) fn end_block(&mut self, kind: StepBlockKind, id: &str) {
        self.blocks.retain(|block| block.kind != kind || block.wire_id != id);
    }

    /// Begins a message. Those before stay open to the end of the step, which may be taken back.
    fn next_message(&mut self, out: &mut Vec<ReplyEvent>) -> MessageHandle {
        let message = self.reply.begin(None, out);
        self.step.push(message);
        self.current = Some(message);
        message
    }

    /// Ends a step: what follows is another message.
    pub(super) fn end_step(&mut self, out: &mut Vec<ReplyEvent>) {
        for message in self.step.drain(..) {
            self.reply.close(message, None, out);
        }
        self.current = None;
        self.blocks.clear();
    }

    /// Takes back what the step has said so far.
    pub(super) fn reset_step(&mut self, out: &mut Vec<ReplyEvent>) {
        for message in std::mem::take(&mut self.step) {
            self.reply.discard(message, out);
        }
        self.end_step(out);
    }

    /// Starts a call unless it has been.
    pub(super) fn start_call(&mut self, wire: &str, name: Option<&str>, ran_by: ExecutedBy, out: &mut Vec<ReplyEvent>) {
        if self.reply.calls.is_running(wire) {
            return;
        }
        let message = match self.current.filter(|message| self.reply.is_open(*message)) {
            Some(message) => message,
            None => self.next_message(out),
        };
        self.reply.start_call(message, wire, name, ran_by, out);
    }

    /// Ends a call; one that was never started is of an earlier reply, and was approved since.
    pub(super) fn finish_call(&mut self, wire: &str, outcome: CallOutcome, text: String, out: &mut Vec<ReplyEvent>) {
        if !self.reply.calls.is_known(wire) {
            self.start_call(wire, None, ExecutedBy::Server, out);
        }
        self.reply.calls.finish(wire, outcome, text, out);
    }
}
