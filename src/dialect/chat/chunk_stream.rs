//! What encoders of chat completion chunks have in common: the head, the answer so far and its texts, the pace.

use super::chunk::{self, ChatUsage, ChunkHead};
use crate::dialect::answer::{JoinedText, MessageGap, WORD_DELAY_MS, split_words};
use crate::event::answer::{Answer, AnswerDelta, AnswerLimits};
use crate::event::{Envelope, MessageId, Millis, TextKind};

#[derive(Debug)]
pub(in crate::dialect) struct ChunkStream {
    pub(in crate::dialect) head: ChunkHead,
    pub(in crate::dialect) answer: Answer,
    pub(in crate::dialect) text: JoinedText,
    pub(in crate::dialect) refusal: JoinedText,
    pub(in crate::dialect) reasoning: JoinedText,
    pub(in crate::dialect) pacing_delay: Option<Millis>,
    /// Estimated tokens of the prompt, where no server counts them.
    prompt_tokens: u64,
    /// The first chunk was sent.
    has_started: bool,
}

impl ChunkStream {
    /// Fields missing in the head are filled from the session.
    pub(in crate::dialect) fn new(head: ChunkHead, prompt_tokens: u64) -> Self {
        let joined = || JoinedText::new(MessageGap::BlankLine, usize::MAX);
        Self {
            head,
            answer: Answer::new(AnswerLimits::NONE),
            text: joined(),
            refusal: joined(),
            reasoning: joined(),
            pacing_delay: None,
            prompt_tokens,
            has_started: false,
        }
    }

    /// Returns true once, for the chunk that starts the answer.
    pub(in crate::dialect) fn take_start(&mut self) -> bool {
        !std::mem::replace(&mut self.has_started, true)
    }

    /// Takes the next event and returns what it adds; none once the answer is over.
    pub(in crate::dialect) fn observe<'e>(&mut self, envelope: &'e Envelope) -> Option<AnswerDelta<'e>> {
        self.pacing_delay = None;
        if self.answer.outcome.is_some() {
            return None;
        }
        self.head.fill_from(&envelope.event);
        Some(self.answer.observe(&envelope.event))
    }

    /// Adds text and returns it as it is to be sent.
    pub(in crate::dialect) fn push_text(&mut self, message: &MessageId, text: &str, kind: TextKind) -> String {
        match kind {
            TextKind::Text => self.text.push(message, text),
            TextKind::Refusal => self.refusal.push(message, text),
        }
    }

    /// Returns the pieces in which a text is sent: the first of a message comes in words, which are paced.
    pub(in crate::dialect) fn pieces<'t>(&mut self, text: &'t str, is_first: bool) -> Vec<&'t str> {
        let pieces = if is_first { split_words(text) } else { vec![text] };
        self.pacing_delay = (pieces.len() > 1).then_some(Millis(WORD_DELAY_MS));
        pieces
    }

    /// Returns the usage, estimated where nobody counted.
    pub(in crate::dialect) fn usage(&self) -> ChatUsage {
        let counted = self.answer.usage().filter(|usage| usage.total() > 0);
        counted.unwrap_or_else(|| chunk::estimate_usage(self.prompt_tokens, &self.text.text)).into()
    }
}
