//! PURE. Turns an answer into events with pauses between them, the way a model would stream it.
//!
//! The events are those of one decoded answer: a message, its deltas and calls, a usage report, the end of the turn.
//! What is said is decided elsewhere.

use crate::engine::Beat;
use crate::event::{
    AgentEvent, CallId, MessageId, Millis, RanBy, Role, Scope, Stop, TextKind, TurnEnd, Usage, estimate_tokens,
};

/// Before the first word, as if it had to think.
const FIRST_PAUSE: u64 = 250;
/// Most that all pauses of a kind may take together. Longer texts come in larger pieces.
const TEXT_BUDGET: u64 = 4200;
const REASONING_BUDGET: u64 = 1200;
const ARGS_BUDGET: u64 = 400;
/// The same for a demonstration, where pieces stay words and pauses shrink instead.
const SHOW_BUDGET: u64 = 20_000;
/// In bytes: a word without end must not become one delta.
const LONGEST_PIECE: usize = 160;

/// How a text that would take too long is made to fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    LargerPieces,
    ShorterPauses,
}

/// An answer being written.
pub(super) struct Script {
    beats: Vec<Beat>,
    pace: f32,
    message: MessageId,
    calls: u32,
    waited: bool,
    output_tokens: u64,
    reasoning_tokens: u64,
}

impl Script {
    /// Starts a message. `pace` stretches all pauses: 1 is natural, 0 leaves none.
    pub(super) fn new(pace: f32) -> Self {
        let pace = if pace.is_finite() { pace.clamp(0.0, 100.0) } else { 0.0 };
        let message = MessageId::from("m1");
        let mut script = Self {
            beats: Vec::new(),
            pace,
            message: message.clone(),
            calls: 0,
            waited: false,
            output_tokens: 0,
            reasoning_tokens: 0,
        };
        script.push(0, AgentEvent::MessageStarted { message, role: Role::Assistant, parent: None });
        script
    }

    pub(super) fn think(&mut self, text: &str, fit: Fit) {
        let tokens = estimate_tokens(text);
        self.reasoning_tokens += tokens;
        self.output_tokens += tokens;
        for (after, text) in paced(text, REASONING_BUDGET, fit) {
            let message = self.message.clone();
            self.push(after, AgentEvent::ReasoningDelta { message, text });
        }
    }

    pub(super) fn say(&mut self, text: &str, fit: Fit) {
        self.output_tokens += estimate_tokens(text);
        for (after, text) in paced(text, TEXT_BUDGET, fit) {
            let message = self.message.clone();
            self.push(after, AgentEvent::TextDelta { message, text, kind: TextKind::Text });
        }
    }

    pub(super) fn call(&mut self, tool: &str, args: &str) {
        self.calls += 1;
        self.output_tokens += estimate_tokens(tool) + estimate_tokens(args);
        let call = CallId::new(format!("call_{}", self.calls));
        let started = AgentEvent::ToolCallStarted {
            call: call.clone(),
            message: self.message.clone(),
            name: Some(tool.to_owned()),
            parent: None,
            ran_by: RanBy::Us,
        };
        self.push(40, started);
        for (after, json) in paced_args(args) {
            self.push(after, AgentEvent::ToolArgsDelta { call: call.clone(), json });
        }
        self.push(5, AgentEvent::ToolCallReady { call, name: tool.to_owned(), args: args.to_owned(), carry: None });
    }

    /// Ends the message and the turn.
    pub(super) fn finish(mut self, input_tokens: u64) -> Vec<Beat> {
        let stop = if self.calls > 0 { Stop::ToolCalls } else { Stop::End };
        let message = self.message.clone();
        self.push(0, AgentEvent::MessageFinished { message, stop, full: None, carry: None });
        let usage = Usage {
            input_tokens,
            output_tokens: self.output_tokens,
            reasoning_tokens: self.reasoning_tokens,
            estimated: true,
            ..Usage::default()
        };
        self.push(0, AgentEvent::UsageReported { scope: Scope::Request(1), usage });
        self.push(0, AgentEvent::TurnFinished { turn: "t".into(), end: TurnEnd::Completed });
        self.beats
    }

    fn push(&mut self, after: u64, event: AgentEvent) {
        let opens = matches!(event, AgentEvent::MessageStarted { .. });
        let pause = if opens || self.waited { after } else { FIRST_PAUSE };
        self.waited |= !opens;
        let pause = (pause as f64 * f64::from(self.pace)).round() as u64;
        self.beats.push(Beat { after: Millis(pause), event });
    }
}

/// Cuts a text into pieces of about a word, each with the pause before it.
fn paced(text: &str, budget: u64, fit: Fit) -> Vec<(u64, String)> {
    let words = words(text);
    let total: u64 = words.iter().map(|(after, _)| after).sum();
    match fit {
        Fit::ShorterPauses => {
            // Rounded so that the sum comes out right: fractions of a millisecond add up over many words.
            let budget = SHOW_BUDGET.min(total);
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
        Fit::LargerPieces => {
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

/// Returns each word with the white space behind it, and how long it takes to come.
fn words(text: &str) -> Vec<(u64, &str)> {
    let mut words = Vec::new();
    let mut rest = text;
    let mut extra = 0;
    while !rest.is_empty() {
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let space = rest.get(end..).map_or(0, |tail| tail.find(|c: char| !c.is_whitespace()).unwrap_or(tail.len()));
        let (piece, tail) = rest.split_at(char_boundary(rest, (end + space).min(LONGEST_PIECE)));
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

fn paced_args(args: &str) -> Vec<(u64, String)> {
    const PIECE: usize = 12;
    const PAUSE: u64 = 8;
    let most = (ARGS_BUDGET / PAUSE) as usize;
    let size = PIECE.max(args.len().div_ceil(most));
    let mut pieces = Vec::new();
    let mut rest = args;
    while !rest.is_empty() {
        let (piece, tail) = rest.split_at(char_boundary(rest, size.min(rest.len())));
        pieces.push((PAUSE, piece.to_owned()));
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
            for fit in [Fit::LargerPieces, Fit::ShorterPauses] {
                assert_eq!(paced(text, 100, fit).into_iter().map(|(_, piece)| piece).collect::<String>(), *text);
            }
            assert_eq!(paced_args(text).into_iter().map(|(_, piece)| piece).collect::<String>(), *text);
        }
    }

    #[test]
    fn words_come_one_by_one_and_a_sentence_end_is_felt() {
        let pieces = paced("Hello there. Next", TEXT_BUDGET, Fit::LargerPieces);
        assert_eq!(pieces, [(17, "Hello ".to_owned()), (18, "there. ".to_owned()), (66, "Next".to_owned())]);
    }

    #[test]
    fn a_long_text_comes_in_larger_pieces_within_the_budget() {
        let text = "some words of a long answer. ".repeat(5000);
        let pieces = paced(&text, TEXT_BUDGET, Fit::LargerPieces);
        let total: u64 = pieces.iter().map(|(after, _)| after).sum();
        assert!((TEXT_BUDGET / 2..=TEXT_BUDGET).contains(&total), "{total} ms");
    }

    #[test]
    fn a_long_demonstration_keeps_its_words_and_shortens_its_pauses() {
        let text = "some words of a long answer. ".repeat(5000);
        let pieces = paced(&text, TEXT_BUDGET, Fit::ShorterPauses);
        assert_eq!(pieces.len(), 30_000);
        assert_eq!(pieces.iter().map(|(after, _)| after).sum::<u64>(), SHOW_BUDGET);
    }
}
