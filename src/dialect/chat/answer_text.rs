//! The answer of a turn as one text: the messages of the agent itself, separated by blank lines, and the usage.
//!
//! Not for calls. Messages with a parent, such as a sub-agent's, are part of the work and not of the answer.

use crate::dialect::answer_usage::AnswerUsage;
use crate::event::{AgentEvent, Fault, FaultKind, FinishReason, MessageId, Role, TextKind, TurnOutcome, Usage};

/// Words that a text must have to be paced when it comes in one piece.
const MIN_PACED_WORDS: usize = 8;
/// Words that are paced: with [`WORD_DELAY_MS`] that takes 12 seconds. The rest follows at once.
const MAX_PACED_WORDS: usize = 1000;
pub(in crate::dialect) const WORD_DELAY_MS: u64 = 12;

/// What an event adds to the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::dialect) enum AnswerTextDelta {
    Text(String),
    Refusal(String),
    Reasoning(String),
}

/// The answer so far.
#[derive(Debug, Default)]
pub(in crate::dialect) struct AnswerText {
    /// Open messages, with the text of each so far.
    open: Vec<(MessageId, String)>,
    /// The message of the last text, and of the last reasoning.
    text_message: Option<MessageId>,
    reasoning_message: Option<MessageId>,
    pub(in crate::dialect) text: String,
    pub(in crate::dialect) refusal: String,
    pub(in crate::dialect) reasoning: String,
    /// Finish reason of the last message.
    pub(in crate::dialect) finish_reason: Option<FinishReason>,
    answer_usage: AnswerUsage,
    /// The outcome of the turn, once known.
    pub(in crate::dialect) outcome: Option<TurnOutcome>,
}

impl AnswerText {
    /// Takes an event and returns what it adds to the answer, and whether that is the first text of its message.
    pub(in crate::dialect) fn observe(&mut self, event: &AgentEvent) -> Option<(AnswerTextDelta, bool)> {
        let first = match event {
            AgentEvent::TextDelta { message, .. } | AgentEvent::MessageFinished { message, .. } => {
                self.is_unsent(message)
            }
            _ => false,
        };
        self.answer_usage.observe(event);
        self.delta(event).map(|piece| (piece, first))
    }

    /// Records that the turn never ended. Returns false where it did.
    pub(in crate::dialect) fn mark_interrupted(&mut self) -> bool {
        let is_cut = self.outcome.is_none();
        self.outcome.get_or_insert(TurnOutcome::Interrupted);
        is_cut
    }

    fn delta(&mut self, event: &AgentEvent) -> Option<AnswerTextDelta> {
        match event {
            AgentEvent::MessageStarted { message, role: Role::Assistant, parent: None } => {
                self.open.push((message.clone(), String::new()));
                None
            }
            AgentEvent::TextDelta { message, text, kind } => self.append(message, text, *kind),
            AgentEvent::ReasoningDelta { message, text } => {
                if text.is_empty() || !self.is_open(message) {
                    return None;
                }
                let gap = separator(&self.reasoning, &mut self.reasoning_message, message);
                let text = format!("{gap}{text}");
                self.reasoning.push_str(&text);
                Some(AnswerTextDelta::Reasoning(text))
            }
            AgentEvent::MessageFinished { message, finish_reason, full_text: full, .. } => {
                let at = self.open.iter().position(|(open, _)| open == message)?;
                self.finish_reason = Some(*finish_reason);
                // The full text may be longer than what was streamed.
                let rest = full.as_deref().and_then(|full| full.strip_prefix(self.open.get(at)?.1.as_str()));
                let piece = rest.and_then(|rest| self.append(message, rest, TextKind::Text));
                self.open.retain(|(open, _)| open != message);
                piece
            }
            AgentEvent::TurnFinished { outcome, .. } => {
                self.outcome = Some(outcome.clone());
                None
            }
            _ => None,
        }
    }

    /// Returns whether this is an open message of the answer.
    pub(in crate::dialect) fn is_open(&self, message: &MessageId) -> bool {
        self.open.iter().any(|(open, _)| open == message)
    }

    /// Returns whether an open message has no text yet.
    fn is_unsent(&self, message: &MessageId) -> bool {
        self.open.iter().any(|(open, text)| open == message && text.is_empty())
    }

    /// Returns the usage of the turn; none where nothing was reported.
    pub(in crate::dialect) fn usage(&self) -> Option<Usage> {
        self.answer_usage.total().filter(|usage| usage.total() > 0)
    }

    /// Returns the fault of a turn that did not complete.
    pub(in crate::dialect) fn fault(&self) -> Option<Fault> {
        match &self.outcome {
            Some(TurnOutcome::Completed) => None,
            Some(TurnOutcome::Failed(fault)) => Some(fault.clone()),
            Some(TurnOutcome::Cancelled) => Some(Fault::new(FaultKind::Upstream, "the turn was cancelled")),
            Some(TurnOutcome::Interrupted) | None => {
                Some(Fault::new(FaultKind::Upstream, "the response was cut off before its end; retry"))
            }
        }
    }

    fn append(&mut self, message: &MessageId, text: &str, kind: TextKind) -> Option<AnswerTextDelta> {
        if text.is_empty() {
            return None;
        }
        self.open.iter_mut().find(|(open, _)| open == message)?.1.push_str(text);
        let whole = if kind == TextKind::Refusal { &mut self.refusal } else { &mut self.text };
        let text = format!("{}{text}", separator(whole, &mut self.text_message, message));
        whole.push_str(&text);
        Some(if kind == TextKind::Refusal { AnswerTextDelta::Refusal(text) } else { AnswerTextDelta::Text(text) })
    }
}

/// Returns the separator between the text so far and that of this message.
fn separator(before: &str, last: &mut Option<MessageId>, message: &MessageId) -> &'static str {
    let other = last.as_ref() != Some(message);
    if other {
        *last = Some(message.clone());
    }
    match other && !before.is_empty() {
        false => "",
        true if before.ends_with("\n\n") => "",
        true if before.ends_with('\n') => "\n",
        true => "\n\n",
    }
}

/// Splits a text that came in one piece into words: on single spaces, each word but the first with the space before it,
/// so that the words joined are the text. A text too short to need pacing stays one piece.
pub(in crate::dialect) fn split_words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut from = 0;
    for (at, _) in text.match_indices(' ').take(MAX_PACED_WORDS - 1) {
        if let Some(word) = text.get(from..at).filter(|word| !word.is_empty()) {
            words.push(word);
        }
        from = at;
    }
    words.extend(text.get(from..));
    if words.len() < MIN_PACED_WORDS { vec![text] } else { words }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::CallId;

    fn started(message: &str, parent: Option<&str>) -> AgentEvent {
        AgentEvent::MessageStarted { message: message.into(), role: Role::Assistant, parent: parent.map(CallId::from) }
    }

    fn text(message: &str, text: &str) -> AgentEvent {
        AgentEvent::TextDelta { message: message.into(), text: text.into(), kind: TextKind::Text }
    }

    fn finished(message: &str, full: Option<&str>) -> AgentEvent {
        let full = full.map(ToOwned::to_owned);
        AgentEvent::MessageFinished {
            message: message.into(),
            finish_reason: FinishReason::End,
            full_text: full,
            provider_metadata: None,
        }
    }

    fn joined(events: &[AgentEvent]) -> String {
        let mut answer = AnswerText::default();
        let pieces: Vec<AnswerTextDelta> =
            events.iter().filter_map(|event| answer.observe(event)).map(|(piece, _)| piece).collect();
        let pieces_text: String = pieces
            .iter()
            .map(|piece| match piece {
                AnswerTextDelta::Text(text) | AnswerTextDelta::Refusal(text) | AnswerTextDelta::Reasoning(text) => {
                    text.as_str()
                }
            })
            .collect();
        assert_eq!(pieces_text, answer.text);
        pieces_text
    }

    #[test]
    fn messages_of_the_answer_stand_apart_and_other_voices_are_left_out() {
        let events = [
            started("a", None),
            text("a", "One"),
            text("a", " moment."),
            finished("a", None),
            started("s", Some("call_1")),
            text("s", "I am another"),
            finished("s", None),
            started("b", None),
            text("b", "Done.\n"),
            finished("b", None),
            started("c", None),
            text("c", "Really."),
        ];
        assert_eq!(joined(&events), "One moment.\n\nDone.\n\nReally.");
    }

    #[test]
    fn what_the_wire_repeats_is_told_only_as_far_as_it_is_new() {
        let events = |full: &str| [started("a", None), text("a", "so"), finished("a", Some(full))];
        assert_eq!(joined(&events("so far")), "so far");
        assert_eq!(joined(&events("so")), "so");
        assert_eq!(joined(&events("another")), "so");
    }

    #[test]
    fn words_joined_are_the_text() {
        let long = "one two  three\nfour five six seven eight nine ";
        assert_eq!(
            split_words(long),
            ["one", " two", " ", " three\nfour", " five", " six", " seven", " eight", " nine", " "]
        );
        assert_eq!(split_words("too short for that"), ["too short for that"]);
        let endless = "a ".repeat(5000);
        assert_eq!((split_words(&endless).len(), split_words(&endless).concat()), (MAX_PACED_WORDS, endless));
        assert_eq!(split_words(""), [""]);
        assert_eq!(split_words(&" ".repeat(9)).concat(), " ".repeat(9));
    }
}
