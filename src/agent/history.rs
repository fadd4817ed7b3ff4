//! PURE. The conversation as an engine wants it, folded from the same events that everyone else sees.
//!
//! Invariant: a turn that is over has a result for every call and no empty message, so any engine takes it. What a
//! model wants back verbatim is kept only for as long as that model answers.

use std::collections::HashMap;

use crate::engine::{Past, PastCall};
use crate::event::{AgentEvent, CallId, FaultKind, Json, MessageId, Outcome, Role, TextKind, TurnEnd, estimate_tokens};
use crate::tool::caps::head_tail;

/// What is kept of an old output where the running turn alone is too much for the model's window, in bytes.
const SHORTENED: usize = 400;

/// Folds events into the conversation so far.
#[derive(Clone, Debug, Default)]
pub struct History {
    entries: Vec<Past>,
    /// Where each turn's entries begin.
    turns: Vec<usize>,
    open: HashMap<MessageId, usize>,
    calls: HashMap<CallId, (usize, String)>,
    in_turn: bool,
    /// The last turn's prompt was refused and is no part of the conversation.
    left_out: bool,
    /// Engine and model that answer now.
    speaker: Option<(String, String)>,
}

/// What fits into a window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fitting {
    pub past: Vec<Past>,
    /// Oldest turns that were left out.
    pub left_out: usize,
    /// Outputs of the running turn that were shortened.
    pub shortened: usize,
}

impl History {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn observe(&mut self, event: &AgentEvent) {
        match event {
            AgentEvent::SessionOpened { engine, model, .. } => self.speaks(engine, model),
            AgentEvent::TurnStarted { .. } => {
                // A log that was cut may lack the end of a turn.
                self.finish_turn(&TurnEnd::Interrupted);
                self.in_turn = true;
                self.turns.push(self.entries.len());
                self.open.clear();
                self.calls.clear();
            }
            AgentEvent::UserMessage { text, .. } => self.entries.push(Past::User { text: text.clone() }),
            AgentEvent::MessageStarted { message, role: Role::Assistant, parent: None } => {
                self.open.insert(message.clone(), self.entries.len());
                self.entries.push(Past::Assistant {
                    text: String::new(),
                    reasoning: String::new(),
                    calls: Vec::new(),
                    carry: None,
                });
            }
            AgentEvent::TextDelta { message, text: piece, kind: TextKind::Text | TextKind::Refusal } => {
                if let Some(Past::Assistant { text, .. }) = self.message(message) {
                    text.push_str(piece);
                }
            }
            AgentEvent::ReasoningDelta { message, text: piece } => {
                if let Some(Past::Assistant { reasoning, .. }) = self.message(message) {
                    reasoning.push_str(piece);
                }
            }
            AgentEvent::MessageFinished { message, full, carry, .. } => {
                self.finish_message(message, full.as_ref(), carry.as_ref());
            }
            AgentEvent::ToolCallStarted { call, message, .. } => {
                if let Some(index) = self.open.get(message) {
                    self.calls.insert(call.clone(), (*index, String::new()));
                }
            }
            AgentEvent::ToolCallReady { call, name, args, carry } => {
                let Some((index, known)) = self.calls.get_mut(call) else { return };
                known.clone_from(name);
                if let Some(Past::Assistant { calls, .. }) = self.entries.get_mut(*index) {
                    calls.push(PastCall {
                        call: call.clone(),
                        name: name.clone(),
                        args: args.clone(),
                        carry: carry.clone(),
                    });
                }
            }
            AgentEvent::ToolCallFinished { call, outcome, output, .. } => {
                self.finish_call(call, *outcome, &output.text);
            }
            AgentEvent::TurnFinished { end, .. } => self.finish_turn(end),
            AgentEvent::MessageStarted { .. }
            | AgentEvent::ToolArgsDelta { .. }
            | AgentEvent::ApprovalRequested { .. }
            | AgentEvent::ApprovalResolved { .. }
            | AgentEvent::ToolOutput { .. }
            | AgentEvent::Annotated { .. }
            | AgentEvent::UsageReported { .. }
            | AgentEvent::Noticed { .. }
            | AgentEvent::Unknown(_) => {}
        }
    }

    /// Returns whether the last turn's prompt was left out, once.
    pub fn take_left_out(&mut self) -> bool {
        std::mem::take(&mut self.left_out)
    }

    pub fn entries(&self) -> &[Past] {
        &self.entries
    }

    /// Returns the newest entries that fit into about `budget` tokens (an estimate). Old turns are left out whole; of
    /// the running turn only outputs are shortened, the oldest first and the newest last.
    pub fn within(&self, budget: u64) -> Fitting {
        let mut tokens = 0_u64;
        let mut from = self.entries.len();
        let mut left_out = self.turns.len();
        for (kept, start) in self.turns.iter().rev().enumerate() {
            let more = self.entries[*start..from].iter().map(weight).sum::<u64>();
            // The newest turn stays; one that goes on without a prompt is nothing yet, so the one before does.
            if kept > 0 && from < self.entries.len() && tokens + more > budget {
                break;
            }
            tokens += more;
            from = *start;
            left_out -= 1;
        }
        let mut past = self.entries[from..].to_vec();
        let mut shortened = 0;
        if tokens > budget {
            shortened = shorten(&mut past, tokens, budget);
        }
        Fitting { past, left_out, shortened }
    }

    /// Another model can make nothing of what the one before wanted back, and its server may refuse it.
    fn speaks(&mut self, engine: &str, model: &str) {
        let speaker = (engine.to_owned(), model.to_owned());
        if self.speaker.replace(speaker.clone()).is_none_or(|before| before == speaker) {
            return;
        }
        for entry in &mut self.entries {
            if let Past::Assistant { calls, carry, .. } = entry {
                *carry = None;
                for call in calls {
                    call.carry = None;
                }
            }
        }
    }

    fn message(&mut self, message: &MessageId) -> Option<&mut Past> {
        let index = *self.open.get(message)?;
        self.entries.get_mut(index)
    }

    fn finish_message(&mut self, message: &MessageId, full: Option<&String>, carried: Option<&Json>) {
        if let Some(Past::Assistant { text, reasoning, carry, .. }) = self.message(message) {
            if let Some(full) = full {
                text.clone_from(full);
            }
            // They grew by doubling, and are kept for as long as the session.
            text.shrink_to_fit();
            reasoning.shrink_to_fit();
            *carry = carried.cloned();
        }
    }

    fn finish_call(&mut self, call: &CallId, outcome: Outcome, output: &str) {
        let Some((_, name)) = self.calls.get(call) else { return };
        if name.is_empty() {
            return;
        }
        // The later report settles.
        for entry in self.entries.iter_mut().rev() {
            if let Past::Tool { call: known, output: text, outcome: how, .. } = entry
                && known == call
            {
                output.clone_into(text);
                *how = outcome;
                return;
            }
        }
        self.entries.push(Past::Tool { call: call.clone(), name: name.clone(), output: output.to_owned(), outcome });
    }

    /// Makes the turn acceptable to engines: no empty assistant message, no call without a result.
    fn finish_turn(&mut self, end: &TurnEnd) {
        if !std::mem::take(&mut self.in_turn) {
            return;
        }
        let start = self.turns.last().copied().unwrap_or(0).min(self.entries.len());
        let mut turn = self.entries.split_off(start);
        let answered: Vec<CallId> = turn
            .iter()
            .filter_map(|entry| match entry {
                Past::Tool { call, .. } => Some(call.clone()),
                Past::User { .. } | Past::Assistant { .. } => None,
            })
            .collect();
        for entry in &mut turn {
            if let Past::Assistant { calls, .. } = entry {
                calls.retain(|call| answered.contains(&call.call));
            }
        }
        turn.retain(|entry| match entry {
            Past::Assistant { text, calls, carry, .. } => !text.is_empty() || !calls.is_empty() || carry.is_some(),
            Past::User { .. } | Past::Tool { .. } => true,
        });
        // Sent again with every later prompt, it would be refused again.
        self.left_out = matches!(end, TurnEnd::Failed(fault) if is_refused(fault.kind))
            && turn.iter().all(|entry| matches!(entry, Past::User { .. }))
            && !turn.is_empty();
        if self.left_out {
            turn.clear();
        }
        if *end != TurnEnd::Completed
            && let Some(Past::Assistant { text, calls, .. }) = turn.last_mut()
            && calls.is_empty()
        {
            text.push_str("\n\n[interrupted]");
        }
        self.entries.append(&mut turn);
        self.open.clear();
        self.calls.clear();
    }
}

/// Tells whether what was sent is the reason. A missing key or a server that is down is not.
fn is_refused(kind: FaultKind) -> bool {
    matches!(kind, FaultKind::ContextTooLong | FaultKind::BadRequest | FaultKind::Refused)
}

fn weight(entry: &Past) -> u64 {
    match entry {
        Past::User { text } => estimate_tokens(text) + 4,
        Past::Assistant { text, calls, .. } => {
            estimate_tokens(text) + 4 + calls.iter().map(|call| estimate_tokens(&call.args) + 8).sum::<u64>()
        }
        Past::Tool { output, .. } => estimate_tokens(output) + 8,
    }
}

/// Shortens outputs until the whole fits, and returns how many. Those that the model has not seen yet go last, and
/// share what room is left.
fn shorten(past: &mut [Past], mut tokens: u64, budget: u64) -> usize {
    let seen = past.iter().rposition(|entry| matches!(entry, Past::Assistant { .. })).unwrap_or(0);
    let mut shortened = 0;
    let (old, new) = past.split_at_mut(seen);
    let outputs = new.iter().filter(|entry| matches!(entry, Past::Tool { .. })).count() as u64;
    let mut cut = |entry: &mut Past, limit: usize| {
        let Past::Tool { output, .. } = entry else { return };
        let before = estimate_tokens(output);
        let (short, was_cut) = head_tail(output, limit);
        if tokens > budget && was_cut {
            tokens = tokens.saturating_sub(before.saturating_sub(estimate_tokens(&short)));
            *output = short;
            shortened += 1;
        }
    };
    for entry in old {
        cut(entry, SHORTENED);
    }
    // About four bytes a token; half of the budget is for what came last.
    let share = usize::try_from(budget.saturating_mul(2) / outputs.max(1)).unwrap_or(usize::MAX);
    for entry in new {
        cut(entry, share.max(SHORTENED));
    }
    shortened
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Fault, Output, RanBy, Stop};

    fn fold(events: &[AgentEvent]) -> History {
        let mut history = History::new();
        for event in events {
            history.observe(event);
        }
        history
    }

    fn turn(id: &str, text: &str, end: TurnEnd) -> Vec<AgentEvent> {
        let message = MessageId::new(format!("{id}-m"));
        vec![
            AgentEvent::TurnStarted { turn: id.into(), parent: None },
            AgentEvent::UserMessage { message: "u".into(), text: format!("ask {id}") },
            AgentEvent::MessageStarted { message: message.clone(), role: Role::Assistant, parent: None },
            AgentEvent::TextDelta { message: message.clone(), text: text.into(), kind: TextKind::Text },
            AgentEvent::MessageFinished { message, stop: Stop::End, full: None, carry: None },
            AgentEvent::TurnFinished { turn: id.into(), end },
        ]
    }

    #[test]
    fn calls_and_results_come_back_as_the_engine_wants_them() {
        let history = fold(&[
            AgentEvent::TurnStarted { turn: "t1".into(), parent: None },
            AgentEvent::UserMessage { message: "m1".into(), text: "time?".into() },
            AgentEvent::MessageStarted { message: "m2".into(), role: Role::Assistant, parent: None },
            AgentEvent::ToolCallStarted {
                call: "c1".into(),
                message: "m2".into(),
                name: None,
                parent: None,
                ran_by: RanBy::Us,
            },
            AgentEvent::ToolCallReady { call: "c1".into(), name: "clock".into(), args: "{}".into(), carry: None },
            AgentEvent::MessageFinished { message: "m2".into(), stop: Stop::ToolCalls, full: None, carry: None },
            AgentEvent::ToolCallFinished {
                call: "c1".into(),
                outcome: Outcome::Ok,
                output: Output::of("noon"),
                took: None,
            },
        ]);
        assert_eq!(
            history.entries(),
            [
                Past::User { text: "time?".into() },
                Past::Assistant {
                    text: String::new(),
                    reasoning: String::new(),
                    calls: vec![PastCall { call: "c1".into(), name: "clock".into(), args: "{}".into(), carry: None }],
                    carry: None,
                },
                Past::Tool { call: "c1".into(), name: "clock".into(), output: "noon".into(), outcome: Outcome::Ok },
            ]
        );
    }

    #[test]
    fn an_interrupted_answer_stays_and_says_so() {
        let history = fold(&turn("t1", "half", TurnEnd::Interrupted));
        assert!(
            matches!(&history.entries()[1], Past::Assistant { text, .. } if text == "half\n\n[interrupted]"),
            "{history:?}"
        );
    }

    #[test]
    fn old_turns_are_left_out_whole_when_the_budget_is_short() {
        let mut events = turn("t1", &"x".repeat(4000), TurnEnd::Completed);
        events.extend(turn("t2", "short", TurnEnd::Completed));
        let history = fold(&events);
        assert_eq!(history.within(100_000).left_out, 0);
        let kept = history.within(100);
        assert_eq!((kept.past.len(), kept.left_out), (2, 1));
        assert_eq!(history.within(0).past.len(), 2, "the newest turn always stays");
    }

    #[test]
    fn a_turn_that_goes_on_keeps_the_one_before_however_long() {
        let mut events = turn("t1", &"x".repeat(4000), TurnEnd::Completed);
        events.push(AgentEvent::TurnStarted { turn: "t2".into(), parent: None });
        assert_eq!(fold(&events).within(10).past.len(), 2);
    }

    fn opened(engine: &str, model: &str) -> AgentEvent {
        AgentEvent::SessionOpened {
            wall: 0,
            engine: engine.into(),
            model: model.into(),
            why: String::new(),
            mode: crate::event::Mode::Ask,
            folder: String::new(),
            version: String::new(),
            caps: crate::event::Caps::default(),
            window: None,
            price: None,
        }
    }

    /// One round: a message that makes a call, and what the call gave.
    fn round(number: usize, output: &str) -> Vec<AgentEvent> {
        let (message, call) = (MessageId::new(format!("m{number}")), CallId::new(format!("c{number}")));
        let carry = Some(Json::from(number));
        vec![
            AgentEvent::MessageStarted { message: message.clone(), role: Role::Assistant, parent: None },
            AgentEvent::ToolCallStarted {
                call: call.clone(),
                message: message.clone(),
                name: None,
                parent: None,
                ran_by: RanBy::Us,
            },
            AgentEvent::ToolCallReady { call: call.clone(), name: "x".into(), args: "{}".into(), carry: carry.clone() },
            AgentEvent::MessageFinished { message, stop: Stop::ToolCalls, full: None, carry },
            AgentEvent::ToolCallFinished { call, outcome: Outcome::Ok, output: Output::of(output), took: None },
        ]
    }

    fn running_turn(outputs: &[&str]) -> Vec<AgentEvent> {
        let mut events = vec![
            AgentEvent::TurnStarted { turn: "t1".into(), parent: None },
            AgentEvent::UserMessage { message: "u1".into(), text: "go".into() },
        ];
        events.extend(outputs.iter().enumerate().flat_map(|(number, output)| round(number, output)));
        events
    }

    fn outputs(past: &[Past]) -> Vec<usize> {
        past.iter()
            .filter_map(|entry| if let Past::Tool { output, .. } = entry { Some(output.len()) } else { None })
            .collect()
    }

    #[test]
    fn a_running_turn_that_is_too_long_loses_old_outputs_first() {
        let long = "x".repeat(8_000);
        let history = fold(&running_turn(&[&long, &long, &long]));
        let kept = history.within(4_500);
        assert_eq!(kept.shortened, 1);
        assert_eq!(outputs(&kept.past)[1..], [8_000, 8_000]);
        assert!(outputs(&kept.past)[0] <= SHORTENED);
        let kept = history.within(1_000);
        assert_eq!((kept.shortened, kept.past.len()), (3, history.entries().len()), "every call keeps its result");
        assert!(outputs(&kept.past)[2] <= 2_000 && kept.past.iter().map(weight).sum::<u64>() <= 1_000);
    }

    #[test]
    fn a_prompt_that_was_refused_leaves_the_conversation() {
        let failed = |kind| TurnEnd::Failed(Fault::new(kind, "x"));
        let answered = fold(&turn("t1", "first", TurnEnd::Completed));
        for (kind, leaves) in [
            (FaultKind::ContextTooLong, true),
            (FaultKind::BadRequest, true),
            (FaultKind::Refused, true),
            (FaultKind::Auth, false),
            (FaultKind::Network, false),
        ] {
            let mut history = answered.clone();
            for event in [
                AgentEvent::TurnStarted { turn: "t2".into(), parent: None },
                AgentEvent::UserMessage { message: "u2".into(), text: "x".repeat(9000) },
                AgentEvent::TurnFinished { turn: "t2".into(), end: failed(kind) },
            ] {
                history.observe(&event);
            }
            assert_eq!(history.entries() == answered.entries(), leaves, "{kind:?}");
            assert_eq!((history.take_left_out(), history.take_left_out()), (leaves, false), "{kind:?}");
        }
        // What was answered in part stays: its results are needed.
        let mut partly = running_turn(&["1"]);
        partly.push(AgentEvent::TurnFinished { turn: "t1".into(), end: failed(FaultKind::ContextTooLong) });
        let mut history = fold(&partly);
        assert!(!history.entries().is_empty() && !history.take_left_out());
    }

    #[test]
    fn another_model_is_not_given_what_the_one_before_wanted_back() {
        let carried = |history: &History| {
            history.entries().iter().any(|entry| {
                matches!(entry, Past::Assistant { calls, carry, .. }
                    if carry.is_some() || calls.iter().any(|call| call.carry.is_some()))
            })
        };
        let mut history = fold(&[opened("a", "x")]);
        for event in running_turn(&["1"]) {
            history.observe(&event);
        }
        history.observe(&opened("a", "x"));
        assert!(carried(&history), "the mode was switched, not the model");
        history.observe(&opened("a", "y"));
        assert!(!carried(&history));
    }

    #[test]
    fn a_turn_without_its_end_has_no_call_without_a_result() {
        let mut events = running_turn(&["1"]);
        let answered = events.len();
        events.extend(round(7, "never"));
        events.truncate(answered + 4);
        events.extend(turn("t2", "next", TurnEnd::Completed));
        let history = fold(&events);
        let calls: usize = history
            .entries()
            .iter()
            .map(|entry| if let Past::Assistant { calls, .. } = entry { calls.len() } else { 0 })
            .sum();
        assert_eq!((calls, outputs(history.entries()).len()), (1, 1), "{history:?}");
    }
}
