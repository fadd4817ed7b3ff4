//! PURE. What a request asks of a session of its own, whatever the dialect it came in.

use std::collections::HashMap;

use crate::event::{
    AgentEvent, CallId, Json, MessageId, Outcome, Output, RanBy, Role, Stop, TextKind, ToolSpec, Tuning, TurnEnd,
    TurnId,
};

/// One question, with everything that the client wants to be known.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ask {
    /// What was said before, as the facts of finished turns: they follow the opening of the session in its log.
    pub past: Vec<AgentEvent>,
    /// None where the past ends with results of the client's tools: the model goes on from there.
    pub prompt: Option<String>,
    /// In place of our system prompt.
    pub system: Option<String>,
    pub model: Option<String>,
    /// The client's own tools: the model may call them, the calls go back to the client, and ours are not offered.
    pub client_tools: Option<Vec<ToolSpec>>,
    /// Rounds of tool calls before the answer must come.
    pub max_rounds: Option<u32>,
    /// Calls of tools that are run; a model that wants more is told.
    pub max_calls: Option<u32>,
    pub tuning: Tuning,
    /// What the client gives tools to work with, as it names it; tools find it in their context.
    pub resources: Option<Json>,
    /// Goes on when nobody reads it any more.
    pub stays: bool,
}

/// How the turns begin that a client told as past.
const PAST: &str = "past";

/// Returns whether a turn was told as past.
pub fn is_told(turn: &TurnId) -> bool {
    turn.as_str().starts_with(PAST)
}

/// Writes down what was said before as facts.
#[derive(Debug, Default)]
pub struct Told {
    facts: Vec<AgentEvent>,
    turn: Option<TurnId>,
    turns: u32,
    messages: u32,
    /// Calls without a result, in order.
    open: Vec<CallId>,
}

impl Told {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn user(&mut self, text: impl Into<String>) {
        self.end();
        self.begin();
        let message = self.message();
        self.facts.push(AgentEvent::UserMessage { message, text: text.into() });
    }

    /// What the assistant said, and its calls: id, name and the arguments as it wrote them.
    pub fn assistant(&mut self, text: &str, calls: impl IntoIterator<Item = (String, String, String)>) {
        self.begin();
        self.settle();
        let message = self.message();
        let started = AgentEvent::MessageStarted { message: message.clone(), role: Role::Assistant, parent: None };
        self.facts.push(started);
        if !text.is_empty() {
            let (message, text) = (message.clone(), text.to_owned());
            self.facts.push(AgentEvent::TextDelta { message, text, kind: TextKind::Text });
        }
        for (id, name, args) in calls {
            let call = CallId::from(id.as_str());
            self.facts.push(AgentEvent::ToolCallStarted {
                call: call.clone(),
                message: message.clone(),
                name: Some(name.clone()),
                parent: None,
                ran_by: RanBy::Us,
            });
            self.facts.push(AgentEvent::ToolCallReady { call: call.clone(), name, args, carry: None });
            self.open.push(call);
        }
        let stop = if self.open.is_empty() { Stop::End } else { Stop::ToolCalls };
        self.facts.push(AgentEvent::MessageFinished { message, stop, full: None, carry: None });
    }

    /// What a call gave. False where no such call is open.
    pub fn result(&mut self, id: &str, output: impl Into<String>, outcome: Outcome) -> bool {
        let Some(index) = self.open.iter().position(|call| *call == CallId::from(id)) else { return false };
        let call = self.open.remove(index);
        let output = Output { text: output.into(), ..Output::default() };
        self.facts.push(AgentEvent::ToolCallFinished { call, outcome, output, took: None });
        true
    }

    /// Returns the call that has waited longest for its result.
    pub fn waiting(&self) -> Option<&CallId> {
        self.open.first()
    }

    /// Takes over what a session said: its past and its turns. Calls that nobody ran wait for their results once more,
    /// as long as no new turn begins. `carries` keeps what a model wants back verbatim, which no other can read.
    pub fn again<'a>(&mut self, facts: impl IntoIterator<Item = &'a AgentEvent>, carries: bool) {
        let mut taken = Taken::default();
        for fact in facts {
            self.take(fact, &mut taken, carries);
        }
        self.close(&mut taken);
    }

    /// Returns whether a call waits for its result.
    pub fn is_open(&self, id: &str) -> bool {
        self.open.iter().any(|call| call.as_str() == id)
    }

    /// How many facts there are so far.
    pub fn count(&self) -> usize {
        self.facts.len()
    }

    /// Returns the facts, every turn closed.
    pub fn facts(mut self) -> Vec<AgentEvent> {
        self.end();
        self.facts
    }

    fn take(&mut self, fact: &AgentEvent, taken: &mut Taken, carries: bool) {
        let carried = |carry: &Option<Json>| carry.clone().filter(|_| carries);
        match fact {
            AgentEvent::TurnStarted { .. } => {
                self.close(taken);
                self.end();
                self.begin();
            }
            AgentEvent::UserMessage { text, .. } => {
                self.begin();
                let message = self.message();
                self.facts.push(AgentEvent::UserMessage { message, text: text.clone() });
            }
            AgentEvent::MessageStarted { message: theirs, role, parent } => {
                self.begin();
                let message = self.message();
                taken.messages.insert(theirs.clone(), message.clone());
                taken.open.push(message.clone());
                self.facts.push(AgentEvent::MessageStarted { message, role: *role, parent: parent.clone() });
            }
            AgentEvent::TextDelta { message, text, kind } => {
                let Some(message) = taken.open_message(message) else { return };
                if let Some(AgentEvent::TextDelta { message: last, text: told, kind: of }) = self.facts.last_mut()
                    && (&*last, &*of) == (&message, kind)
                {
                    return told.push_str(text);
                }
                self.facts.push(AgentEvent::TextDelta { message, text: text.clone(), kind: *kind });
            }
            AgentEvent::ReasoningDelta { message, text } => {
                let Some(message) = taken.open_message(message) else { return };
                if let Some(AgentEvent::ReasoningDelta { message: last, text: told }) = self.facts.last_mut()
                    && *last == message
                {
                    return told.push_str(text);
                }
                self.facts.push(AgentEvent::ReasoningDelta { message, text: text.clone() });
            }
            AgentEvent::MessageFinished { message, stop, full, carry } => {
                let Some(message) = taken.open_message(message) else { return };
                taken.open.retain(|open| *open != message);
                let (full, carry) = (full.clone(), carried(carry));
                self.facts.push(AgentEvent::MessageFinished { message, stop: *stop, full, carry });
            }
            AgentEvent::ToolCallStarted { call, message, name, parent, ran_by } => {
                let Some(message) = taken.messages.get(message).cloned() else { return };
                taken.calls.push(call.clone());
                let (call, name, parent, ran_by) = (call.clone(), name.clone(), parent.clone(), *ran_by);
                self.facts.push(AgentEvent::ToolCallStarted { call, message, name, parent, ran_by });
            }
            AgentEvent::ToolCallReady { call, name, args, carry } if taken.calls.contains(call) => {
                let (call, name, args, carry) = (call.clone(), name.clone(), args.clone(), carried(carry));
                self.facts.push(AgentEvent::ToolCallReady { call, name, args, carry });
            }
            AgentEvent::ToolCallFinished { call, outcome, output, took } if taken.calls.contains(call) => {
                taken.calls.retain(|running| running != call);
                if *outcome == Outcome::Requested {
                    return self.open.push(call.clone());
                }
                let (call, outcome, output, took) = (call.clone(), *outcome, output.clone(), *took);
                self.facts.push(AgentEvent::ToolCallFinished { call, outcome, output, took });
            }
            AgentEvent::TurnFinished { .. } => self.close(taken),
            // What was measured, asked and noticed on the way is no part of what was said.
            _ => {}
        }
    }

    /// Closes what the turn left open that was taken over last.
    fn close(&mut self, taken: &mut Taken) {
        for message in std::mem::take(&mut taken.open) {
            let (stop, full, carry) = (Stop::Interrupted, None, None);
            self.facts.push(AgentEvent::MessageFinished { message, stop, full, carry });
        }
        for call in std::mem::take(&mut taken.calls) {
            let (outcome, output) = (Outcome::Unknown, Output::default());
            self.facts.push(AgentEvent::ToolCallFinished { call, outcome, output, took: None });
        }
        taken.messages.clear();
    }

    fn begin(&mut self) {
        if self.turn.is_none() {
            self.turns += 1;
            let turn = TurnId::from(format!("{PAST}{}", self.turns).as_str());
            self.facts.push(AgentEvent::TurnStarted { turn: turn.clone(), parent: None });
            self.turn = Some(turn);
        }
    }

    fn end(&mut self) {
        self.settle();
        if let Some(turn) = self.turn.take() {
            self.facts.push(AgentEvent::TurnFinished { turn, end: TurnEnd::Completed });
        }
    }

    fn settle(&mut self) {
        for call in std::mem::take(&mut self.open) {
            let (outcome, output) = (Outcome::Requested, Output::default());
            self.facts.push(AgentEvent::ToolCallFinished { call, outcome, output, took: None });
        }
    }

    fn message(&mut self) -> MessageId {
        self.messages += 1;
        MessageId::from(format!("{PAST}.m{}", self.messages).as_str())
    }
}

/// What is open of a session that is taken over.
#[derive(Debug, Default)]
struct Taken {
    /// Names there and here.
    messages: HashMap<MessageId, MessageId>,
    open: Vec<MessageId>,
    calls: Vec<CallId>,
}

impl Taken {
    fn open_message(&self, theirs: &MessageId) -> Option<MessageId> {
        self.messages.get(theirs).filter(|message| self.open.contains(message)).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::grammar::Sealer;

    #[test]
    fn what_was_said_before_is_grammatical_even_with_calls_nobody_answered() {
        let mut told = Told::new();
        told.user("add");
        let calls = ["a", "b"].map(|id| (id.to_owned(), "sum".to_owned(), "{}".to_owned()));
        told.assistant("let me see", calls);
        assert!(told.result("b", "2", Outcome::Ok));
        assert!(!told.result("b", "again", Outcome::Ok), "a call has one result");
        told.assistant("done", []);
        told.user("thanks");
        let facts = told.facts();
        let mut sealer = Sealer::new();
        let _ = sealer.observe(&AgentEvent::TurnStarted { turn: "t".into(), parent: None });
        let _ = sealer.observe(&AgentEvent::TurnFinished { turn: "t".into(), end: TurnEnd::Completed });
        for fact in &facts {
            assert_eq!(sealer.observe(fact), Ok(()), "{fact:?}");
        }
        assert!(sealer.seal(TurnEnd::Interrupted).is_empty());
        let turns = facts.iter().filter(|fact| matches!(fact, AgentEvent::TurnFinished { .. })).count();
        assert_eq!(turns, 2);
    }
    #[test]
    fn a_session_taken_over_waits_for_the_results_that_it_lacked() {
        let mut told = Told::new();
        told.user("add");
        let calls = ["a", "b"].map(|id| (id.to_owned(), "sum".to_owned(), "{}".to_owned()));
        told.assistant("let me see", calls);
        assert!(told.result("a", "1", Outcome::Ok));
        let before = told.facts();
        // And once more, cut in the middle of a message.
        let cut = before.iter().position(|fact| matches!(fact, AgentEvent::TextDelta { .. })).unwrap();
        let mut told = Told::new();
        told.again(&before[..=cut], false);
        told.again(&before, false);
        assert!(told.is_open("b") && !told.is_open("a"));
        assert!(told.result("b", "2", Outcome::Ok));
        let facts = told.facts();
        let mut sealer = Sealer::new();
        let _ = sealer.observe(&AgentEvent::TurnStarted { turn: "t".into(), parent: None });
        let _ = sealer.observe(&AgentEvent::TurnFinished { turn: "t".into(), end: TurnEnd::Completed });
        for fact in &facts {
            assert_eq!(sealer.observe(fact), Ok(()), "{fact:?}");
        }
        let ended = |id: &str, of: Outcome| {
            let is = |fact: &&AgentEvent| matches!(fact, AgentEvent::ToolCallFinished { call, outcome, .. } if call.as_str() == id && *outcome == of);
            facts.iter().filter(is).count()
        };
        assert_eq!((ended("a", Outcome::Ok), ended("b", Outcome::Ok), ended("b", Outcome::Requested)), (1, 1, 0));
    }
}
