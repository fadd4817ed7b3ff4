//! Where the tokens of a session went: by turn, by tool, by sub-agent, and what the conversation is made of.
//!
//! Turns have what [`UsageStats`] says of them. What no source reports (the share of a tool's output, of a sub-agent's
//! words) is counted in bytes, and whoever shows it says that tokens made of these are a guess.

use std::collections::{BTreeMap, HashMap};

use super::usage::UsageStats;
use crate::event::{AgentEvent, CallId, MessageId, Usage};

/// Characters kept of a prompt.
const MAX_PROMPT_CHARS: usize = 80;
/// Turns kept one by one; earlier ones are added up.
const MAX_TURN_RECORDS: usize = 500;
/// Tools and sub-agents counted by name; others count together.
const MAX_TALLIED_NAMES: usize = 100;
/// The name of those beyond.
const OTHER_NAME: &str = "others";

#[derive(Clone, Debug, Default, PartialEq)]
pub struct UsageLedger {
    turns: Vec<TurnRecord>,
    /// Turns before those, added up.
    earlier: Option<TurnRecord>,
    tools: BTreeMap<String, ToolTally>,
    sub_agents: BTreeMap<String, ToolTally>,
    pub prompt_bytes: u64,
    pub answer_bytes: u64,
    /// The names of the calls of the running turn, and the calls whose sub-agents write its messages.
    names: HashMap<CallId, String>,
    nested: HashMap<MessageId, String>,
}

/// A turn, and what it took.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TurnRecord {
    /// How many turns these are; 1 but for the earlier ones.
    pub count: u32,
    /// The beginning of its prompt, raw.
    pub prompt: String,
    pub usage: Usage,
    /// US dollars; none where a price is not known.
    pub cost: Option<f64>,
}

/// What went through calls of one name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ToolTally {
    pub calls: u64,
    /// What the model wrote for them: arguments, or a sub-agent's words.
    pub written_bytes: u64,
    /// What they returned.
    pub output_bytes: u64,
}

impl ToolTally {
    pub fn bytes(self) -> u64 {
        self.written_bytes.saturating_add(self.output_bytes)
    }
}

impl UsageLedger {
    /// Returns the turns in their order; the first may stand for many.
    pub fn turns(&self) -> impl DoubleEndedIterator<Item = &TurnRecord> {
        self.earlier.iter().chain(&self.turns)
    }

    /// Returns what went through each tool, the most first.
    pub fn tools(&self) -> Vec<(&str, ToolTally)> {
        most_first(&self.tools)
    }

    /// Returns what sub-agents wrote, by the tool that started them, the most first.
    pub fn sub_agents(&self) -> Vec<(&str, ToolTally)> {
        most_first(&self.sub_agents)
    }

    /// Folds a fact that the meters have folded already.
    pub fn on_event(&mut self, event: &AgentEvent, meters: &UsageStats) {
        match event {
            AgentEvent::TurnStarted { .. } => self.start_turn(),
            AgentEvent::UserMessage { text, .. } => {
                self.prompt_bytes = self.prompt_bytes.saturating_add(text.len() as u64);
                if let Some(turn) = self.turns.last_mut().filter(|turn| turn.prompt.is_empty()) {
                    turn.prompt = text.trim().chars().take(MAX_PROMPT_CHARS).collect();
                }
            }
            AgentEvent::MessageStarted { message, parent: Some(call), .. } => {
                let name = self.names.get(call).cloned().unwrap_or_else(|| "sub-agent".to_owned());
                tally(&mut self.sub_agents, &name).calls += 1;
                self.nested.insert(message.clone(), name);
            }
            AgentEvent::TextDelta { message, text, .. } | AgentEvent::ReasoningDelta { message, text } => {
                match self.nested.get(message) {
                    Some(name) => tally(&mut self.sub_agents, name).written_bytes += text.len() as u64,
                    None => self.answer_bytes = self.answer_bytes.saturating_add(text.len() as u64),
                }
            }
            AgentEvent::ToolCallReady { call, name, args, .. } => {
                let tool = tally(&mut self.tools, name);
                tool.calls += 1;
                tool.written_bytes += args.len() as u64;
                self.names.insert(call.clone(), name.clone());
            }
            AgentEvent::ToolCallFinished { call, output, .. } => {
                if let Some(name) = self.names.get(call) {
                    tally(&mut self.tools, name).output_bytes += output.text.len() as u64;
                }
            }
            AgentEvent::UsageReported { .. } | AgentEvent::Annotation { .. } => self.take_meters(meters),
            AgentEvent::TurnFinished { .. } => {
                self.take_meters(meters);
                self.names.clear();
                self.nested.clear();
            }
            _ => {}
        }
    }

    fn start_turn(&mut self) {
        if self.turns.len() >= MAX_TURN_RECORDS {
            let oldest = self.turns.remove(0);
            self.earlier = Some(match self.earlier.take() {
                Some(sum) => TurnRecord {
                    count: sum.count.saturating_add(1),
                    usage: sum.usage.plus(oldest.usage),
                    cost: sum.cost.zip(oldest.cost).map(|(sum, cost)| sum + cost),
                    prompt: String::new(),
                },
                None => TurnRecord { prompt: String::new(), ..oldest },
            });
        }
        self.turns.push(TurnRecord { count: 1, ..TurnRecord::default() });
    }

    /// The meters hold the running turn, or the last.
    fn take_meters(&mut self, meters: &UsageStats) {
        if let Some(turn) = self.turns.last_mut() {
            (turn.usage, turn.cost) = (meters.turn(), meters.turn_cost());
        }
    }
}

fn tally<'a>(tallies: &'a mut BTreeMap<String, ToolTally>, name: &str) -> &'a mut ToolTally {
    let is_other = tallies.len() >= MAX_TALLIED_NAMES && !tallies.contains_key(name);
    tallies.entry(if is_other { OTHER_NAME.to_owned() } else { name.to_owned() }).or_default()
}

fn most_first(tallies: &BTreeMap<String, ToolTally>) -> Vec<(&str, ToolTally)> {
    let mut all: Vec<_> = tallies.iter().map(|(name, tally)| (name.as_str(), *tally)).collect();
    all.sort_by_key(|(_, tally)| std::cmp::Reverse(tally.bytes()));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Envelope, Millis, Role, Seq, TurnOutcome, UsageScope};
    use crate::store::Store;
    use crate::store::msg::Msg;
    use crate::testkit::events::{Opened, message_started, text_delta, turn_finished, turn_started, user_message};

    fn folded(events: Vec<AgentEvent>) -> Store {
        let mut store = Store::default();
        for (seq, event) in (1..).zip(events) {
            store.update(Msg::Event(Envelope { seq: Seq(seq), at: Millis(seq), event }), &mut Vec::new());
        }
        store
    }

    fn reported(input_tokens: u64, output_tokens: u64) -> AgentEvent {
        let usage = Usage { input_tokens, output_tokens, ..Usage::default() };
        AgentEvent::UsageReported { scope: UsageScope::Request(1), usage }
    }

    #[test]
    fn each_turn_has_what_was_reported_of_it() {
        let store = folded(vec![
            Opened { price: Some((1.0, 2.0)), ..Opened::default() }.event(),
            turn_started("t1"),
            user_message("u1", "  first  "),
            reported(100, 10),
            turn_finished("t1", TurnOutcome::Completed),
            turn_started("t2"),
            user_message("u2", "second"),
            reported(300, 30),
        ]);
        let turns: Vec<_> = store.usage_ledger.turns().collect();
        let found: Vec<_> = turns.iter().map(|turn| (turn.prompt.as_str(), turn.usage.total(), turn.cost)).collect();
        assert_eq!(found, [("first", 110, Some(120.0 / 1e6)), ("second", 330, Some(360.0 / 1e6))]);
    }

    #[test]
    fn what_goes_through_tools_and_sub_agents_is_counted_by_their_names() {
        let call = |name: &str, args: &str| AgentEvent::ToolCallReady {
            call: "c1".into(),
            name: name.into(),
            args: args.into(),
            provider_metadata: None,
        };
        let nested =
            AgentEvent::MessageStarted { message: "n1".into(), role: Role::Assistant, parent: Some("c1".into()) };
        let started = AgentEvent::ToolCallStarted {
            call: "c1".into(),
            message: "m1".into(),
            name: None,
            parent: None,
            executed_by: crate::event::ExecutedBy::Client,
        };
        let store = folded(vec![
            Opened::default().event(),
            turn_started("t1"),
            message_started("m1"),
            text_delta("m1", "12345"),
            started,
            call("task", "{}"),
            nested,
            text_delta("n1", "sub-agent"),
        ]);
        let ledger = &store.usage_ledger;
        assert_eq!(ledger.tools(), [("task", ToolTally { calls: 1, written_bytes: 2, output_bytes: 0 })]);
        assert_eq!(ledger.sub_agents(), [("task", ToolTally { calls: 1, written_bytes: 9, output_bytes: 0 })]);
        assert_eq!(ledger.answer_bytes, 5);
    }

    #[test]
    fn a_very_long_session_adds_its_first_turns_up() {
        let mut ledger = UsageLedger::default();
        for nth in 0..MAX_TURN_RECORDS + 3 {
            ledger.on_event(&turn_started(&format!("t{nth}")), &UsageStats::default());
        }
        let turns: Vec<_> = ledger.turns().collect();
        assert_eq!((turns.len(), turns[0].count), (MAX_TURN_RECORDS + 1, 3));
    }
}
