//! PURE. Gives messages, turns and calls ids that are unique in the session.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use crate::event::{AgentEvent, CallId, MessageId, TurnId};

/// Knows every id used so far. Rebuilt from the log when a session is resumed.
#[derive(Clone, Debug, Default)]
pub struct IdAllocator {
    last_turn: u64,
    last_message: u64,
    /// Hashes of the calls' ids: one that is new and seems known only gets a longer name.
    known_calls: HashSet<u64>,
    hasher: RandomState,
}

impl IdAllocator {
    /// Records the ids in a past event.
    pub fn observe(&mut self, event: &AgentEvent) {
        match event {
            AgentEvent::TurnStarted { .. } => self.last_turn += 1,
            AgentEvent::UserMessage { .. } | AgentEvent::MessageStarted { .. } => self.last_message += 1,
            AgentEvent::ToolCallStarted { call, .. } => {
                self.known_calls.insert(self.hasher.hash_one(call));
            }
            _ => {}
        }
    }

    pub fn new_turn(&mut self) -> TurnId {
        self.last_turn += 1;
        TurnId::new(format!("t{}", self.last_turn))
    }

    pub fn new_message(&mut self) -> MessageId {
        self.last_message += 1;
        MessageId::new(format!("m{}", self.last_message))
    }

    /// Returns an id for a call: the one that its reply gives it, made unique where a server repeats one.
    pub fn new_call(&mut self, theirs: &CallId) -> CallId {
        let mut ours = theirs.clone();
        let mut copy = 2;
        while ours.as_str().is_empty() || self.known_calls.contains(&self.hasher.hash_one(&ours)) {
            ours = if theirs.as_str().is_empty() {
                CallId::new(format!("call_{}", self.known_calls.len() + copy - 1))
            } else {
                CallId::new(format!("{theirs}_{copy}"))
            };
            copy += 1;
        }
        self.known_calls.insert(self.hasher.hash_one(&ours));
        ours
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_call_id_gets_a_name_of_its_own() {
        let mut ids = IdAllocator::default();
        assert_eq!(ids.new_call(&"call_a".into()).as_str(), "call_a");
        assert_eq!(ids.new_call(&"call_a".into()).as_str(), "call_a_2");
        assert_eq!(ids.new_call(&"".into()).as_str(), "call_3");
    }
}
