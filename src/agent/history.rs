//! PURE. The conversation as an engine wants it, folded from the same events that everyone else sees.

use std::collections::HashMap;

use crate::engine::{Past, PastCall};
use crate::event::{AgentEvent, CallId, Json, MessageId, Outcome, Role, TextKind, TurnEnd, estimate_tokens};

/// Folds events into the conversation so far.
#[derive(Clone, Debug, Default)]
pub struct History {
    entries: Vec<Past>,
    /// Where each turn's entries begin.
    turns: Vec<usize>,
    open: HashMap<MessageId, usize>,
    calls: HashMap<CallId, (usize, String)>,
}

impl History {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn observe(&mut self, event: &AgentEvent) {
        match event {
            AgentEvent::TurnStarted { .. } => {
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
            AgentEvent::SessionOpened { .. }
            | AgentEvent::MessageStarted { .. }
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

    pub fn entries(&self) -> &[Past] {
        &self.entries
    }

    /// Returns the newest entries that fit into about `budget` tokens (an estimate), cut between turns, and how many
    /// turns were left out. The running turn is always whole.
    pub fn within(&self, budget: u64) -> (Vec<Past>, usize) {
        let mut tokens = 0_u64;
        let mut from = self.entries.len();
        let mut left_out = self.turns.len();
        for (kept, start) in self.turns.iter().rev().enumerate() {
            tokens += self.entries[*start..from].iter().map(weight).sum::<u64>();
            if kept > 0 && tokens > budget {
                break;
            }
            from = *start;
            left_out -= 1;
        }
        (self.entries[from..].to_vec(), left_out)
    }

    fn message(&mut self, message: &MessageId) -> Option<&mut Past> {
        let index = *self.open.get(message)?;
        self.entries.get_mut(index)
    }

    fn finish_message(&mut self, message: &MessageId, full: Option<&String>, carried: Option<&Json>) {
        if let Some(Past::Assistant { text, carry, .. }) = self.message(message) {
            if let Some(full) = full {
                text.clone_from(full);
            }
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

fn weight(entry: &Past) -> u64 {
    match entry {
        Past::User { text } => estimate_tokens(text) + 4,
        Past::Assistant { text, calls, .. } => {
            estimate_tokens(text) + 4 + calls.iter().map(|call| estimate_tokens(&call.args) + 8).sum::<u64>()
        }
        Past::Tool { output, .. } => estimate_tokens(output) + 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Output, RanBy, Stop};

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
        assert_eq!(history.within(100_000).1, 0);
        let (kept, left_out) = history.within(100);
        assert_eq!((kept.len(), left_out), (2, 1));
        assert_eq!(history.within(0).0.len(), 2, "the newest turn always stays");
    }
}
