//! PURE. Turns an answer into events with delays between them, the way a model would stream it.
//!
//! The events are those of one decoded answer: a message, its deltas and calls, a usage report, the end of the turn.
//! The content is decided elsewhere.

use crate::engine::ScriptedEvent;
use crate::event::{
    CallId, ExecutedBy, FinishReason, MessageId, Millis, ReplyEvent, Role, TextKind, TurnOutcome, Usage, UsageScope,
    estimate_tokens,
};

/// Before the first word, as if it had to think.
const FIRST_DELAY_MS: u64 = 250;
/// Total of all delays of a kind. Longer texts come in larger pieces.
const TEXT_BUDGET_MS: u64 = 4200;
const REASONING_BUDGET_MS: u64 = 1200;
const ARGS_BUDGET_MS: u64 = 400;
/// The same for a demonstration, where pieces stay words and delays shrink instead.
const DEMO_BUDGET_MS: u64 = 20_000;
/// A word without end must not become one delta.
const MAX_CHUNK_BYTES: usize = 160;

/// How a text that would take too long is made to fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PacingMode {
    LargerPieces,
    ShorterPauses,
}

/// Builds the events of an answer.
pub(super) struct ScriptBuilder {
    events: Vec<ScriptedEvent>,
    pace: f32,
    message: MessageId,
    call_count: u32,
    has_waited: bool,
    output_tokens: u64,
    reasoning_tokens: u64,
}

impl ScriptBuilder {
    /// Starts a message. `pace` is a factor for all delays: 1 is natural, 0 means none.
    pub(super) fn new(pace: f32) -> Self {
        let pace = if pace.is_finite() { pace.clamp(0.0, 100.0) } else { 0.0 };
        let message = MessageId::from("m1");
        let mut script = Self {
            events: Vec::new(),
            pace,
            message: message.clone(),
            call_count: 0,
            has_waited: false,
            output_tokens: 0,
            reasoning_tokens: 0,
        };
        script.push(0, ReplyEvent::MessageStarted { message, role: Role::Assistant, parent: None });
        script
    }

    pub(super) fn push_reasoning(&mut self, text: &str, fit: PacingMode) {
        let tokens = estimate_tokens(text);
        self.reasoning_tokens += tokens;
        self.output_tokens += tokens;
        for (after, text) in text_chunks(text, REASONING_BUDGET_MS, fit) {
            let message = self.message.clone();
            self.push(after, ReplyEvent::ReasoningDelta { message, text });
        }
    }

    pub(super) fn push_text(&mut self, text: &str, fit: PacingMode) {
        self.output_tokens += estimate_tokens(text);
        for (after, text) in text_chunks(text, TEXT_BUDGET_MS, fit) {
            let message = self.message.clone();
            self.push(after, ReplyEvent::TextDelta { message, text, kind: TextKind::Text });
        }
    }

    pub(super) fn push_call(&mut self, tool: &str, args: &str) {
        self.call_count += 1;
        self.output_tokens += estimate_tokens(tool) + estimate_tokens(args);
        let call = CallId::new(format!("call_{}", self.call_count));
        let started = ReplyEvent::ToolCallStarted {
            call: call.clone(),
            message: self.message.clone(),
            name: Some(tool.to_owned()),
            parent: None,
            executed_by: ExecutedBy::Client,
        };
        self.push(40, started);
        for (after, json) in args_chunks(args) {
            self.push(after, ReplyEvent::ToolArgsDelta { call: call.clone(), json });
        }
        self.push(
            5,
            ReplyEvent::ToolCallReady { call, name: tool.to_owned(), args: args.to_owned(), provider_metadata: None },
        );
    }

    /// Ends the message and the turn.
    pub(super) fn finish(mut self, input_tokens: u64) -> Vec<ScriptedEvent> {
        let finish_reason = if self.call_count > 0 { FinishReason::ToolCalls } else { FinishReason::End };
        let message = self.message.clone();
        self.push(0, ReplyEvent::MessageFinished { message, finish_reason, full_text: None, provider_metadata: None });
        let usage = Usage {
            input_tokens,
            output_tokens: self.output_tokens,
            reasoning_tokens: self.reasoning_tokens,
            estimated: true,
            ..Usage::default()
        };
        self.push(0, ReplyEvent::UsageReported { scope: UsageScope::Request(1), usage });
        self.push(0, ReplyEvent::End { outcome: TurnOutcome::Completed });
        self.events
    }

    fn push(&mut self, after: u64, event: ReplyEvent) {
        let opens = matches!(event, ReplyEvent::MessageStarted { .. });
        let pause = if opens || self.has_waited { after } else { FIRST_DELAY_MS };
        self.has_waited |= !opens;
        let pause = (pause as f64 * f64::from(self.pace)).round() as u64;
        self.events.push(ScriptedEvent { delay: Millis(pause), event });
    }
}

/// Splits a text into pieces of about a word, each with the delay before it in milliseconds.
fn text_chunks(text: &str, budget: u64, fit: PacingMode) -> Vec<(u64, String)> {
    let words = words_with_delays(text);
    let total: u64 = words.iter().map(|(after, _)| after).sum();
    match fit {
        PacingMode::ShorterPauses => {
            // Rounded cumulatively so that the sum is exact: fractions of a millisecond add up over many words.
            let budget = DEMO_BUDGET_MS.min(total);
            let (mut natural, mut spent) = (0, 0);
            words
                .into_iter()
                .map(|(after, word)| {
                    natural += after;
                    let due = natural * budget / total.max(1);
                    let after = due - spent;
                    spent = due;
                    (after, word.to_owned())
                })
                .collect()
        }
        PacingMode::LargerPieces => {
            let together = usize::try_from(total.div_ceil(budget).max(1)).unwrap_or(usize::MAX);
            words
                .chunks(together)
                .map(|piece| {
                    let after = piece.iter().map(|(after, _)| after).sum::<u64>() / together as u64;
                    (after, piece.iter().map(|(_, word)| *word).collect())
                })
                .collect()
        }
    }
}

/// Returns each word with the white space after it, and its delay in milliseconds.
fn words_with_delays(text: &str) -> Vec<(u64, &str)> {
    let mut words = Vec::new();
    let mut rest = text;
    let mut extra = 0;
    while !rest.is_empty() {
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let space = rest.get(end..).map_or(0, |tail| tail.find(|c: char| !c.is_whitespace()).unwrap_or(tail.len()));
        let (piece, tail) = rest.split_at(char_boundary(rest, (end + space).min(MAX_CHUNK_BYTES)));
        words.push((12 + (piece.trim_end().len() as u64).min(13) + extra, piece));
        let ended = piece.trim_end().ends_with(['.', '!', '?', ':']) && piece.ends_with(char::is_whitespace);
        extra = if ended { 50 } else { 0 } + if piece.ends_with("\n\n") { 40 } else { 0 };
        rest = tail;
    }
    words
}

/// Returns the first character boundary at or after this byte, so that a piece is never empty.
fn char_boundary(text: &str, at: usize) -> usize {
    (at.max(1)..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
}

fn args_chunks(args: &str) -> Vec<(u64, String)> {
    const MIN_CHUNK_BYTES: usize = 12;
    const CHUNK_DELAY_MS: u64 = 8;
    let max_chunks = (ARGS_BUDGET_MS / CHUNK_DELAY_MS) as usize;
    let size = MIN_CHUNK_BYTES.max(args.len().div_ceil(max_chunks));
    let mut pieces = Vec::new();
    let mut rest = args;
    while !rest.is_empty() {
        let (piece, tail) = rest.split_at(char_boundary(rest, size.min(rest.len())));
        pieces.push((CHUNK_DELAY_MS, piece.to_owned()));
        rest = tail;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_joined_are_the_text() {
        for text in ["", "one", "  two  words\n\nand é漢字 more. ", &"x".repeat(1000), &"漢".repeat(500), "\n\n\n"]
        {
            for fit in [PacingMode::LargerPieces, PacingMode::ShorterPauses] {
                assert_eq!(text_chunks(text, 100, fit).into_iter().map(|(_, piece)| piece).collect::<String>(), *text);
            }
            assert_eq!(args_chunks(text).into_iter().map(|(_, piece)| piece).collect::<String>(), *text);
        }
    }

    #[test]
    fn words_come_one_by_one_and_a_sentence_end_is_felt() {
        let pieces = text_chunks("Hello there. Next", TEXT_BUDGET_MS, PacingMode::LargerPieces);
        assert_eq!(pieces, [(17, "Hello ".to_owned()), (18, "there. ".to_owned()), (66, "Next".to_owned())]);
    }

    #[test]
    fn a_long_text_comes_in_larger_pieces_within_the_budget() {
        let text = "some words of a long answer. ".repeat(5000);
        let pieces = text_chunks(&text, TEXT_BUDGET_MS, PacingMode::LargerPieces);
        let total: u64 = pieces.iter().map(|(after, _)| after).sum();
        assert!((TEXT_BUDGET_MS / 2..=TEXT_BUDGET_MS).contains(&total), "{total} ms");
    }

    #[test]
    fn a_long_demonstration_keeps_its_words_and_shortens_its_pauses() {
        let text = "some words of a long answer. ".repeat(5000);
        let pieces = text_chunks(&text, TEXT_BUDGET_MS, PacingMode::ShorterPauses);
        assert_eq!(pieces.len(), 30_000);
        assert_eq!(pieces.iter().map(|(after, _)| after).sum::<u64>(), DEMO_BUDGET_MS);
    }
}
