//! PURE. Gives messages, turns and calls ids that are unique in the session, whatever ids a decoder uses.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use crate::event::{AgentEvent, AnnotationTarget, CallId, MessageId, TurnId};

/// Knows every id used so far. Rebuilt from the log when a session is resumed.
#[derive(Clone, Debug, Default)]
pub struct IdAllocator {
    last_turn: u64,
    last_message: u64,
    /// Hashes of the calls' ids: one that is new and seems known only gets a longer name.
    known_calls: HashSet<u64>,
    hasher: RandomState,
    /// The decoder's message ids of the current response, and ours for them.
    response_messages: HashMap<MessageId, MessageId>,
    response_calls: HashMap<CallId, CallId>,
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

    /// Forgets the decoder's ids: each response starts over.
    pub fn begin_response(&mut self) {
        self.response_messages.clear();
        self.response_calls.clear();
    }

    pub fn map_message(&mut self, theirs: &MessageId) -> MessageId {
        if let Some(ours) = self.response_messages.get(theirs) {
            return ours.clone();
        }
        let ours = self.new_message();
        self.response_messages.insert(theirs.clone(), ours.clone());
        ours
    }

    /// Returns our id for a call of the current response: the model's id, made unique where a server repeats one.
    pub fn map_call(&mut self, theirs: &CallId) -> CallId {
        if let Some(ours) = self.response_calls.get(theirs) {
            return ours.clone();
        }
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
        self.response_calls.insert(theirs.clone(), ours.clone());
        ours
    }
}

/// Mapping the events of the current response.
impl IdAllocator {
    /// Replaces the decoder's ids in an event by ours; `of` is the turn it belongs to.
    pub fn map_event(&mut self, mut event: AgentEvent, of: &TurnId) -> AgentEvent {
        match &mut event {
            AgentEvent::UserMessage { message, .. }
            | AgentEvent::TextDelta { message, .. }
            | AgentEvent::ReasoningDelta { message, .. }
            | AgentEvent::MessageFinished { message, .. } => *message = self.map_message(message),
            AgentEvent::MessageStarted { message, parent, .. } => {
                *message = self.map_message(message);
                *parent = parent.take().map(|call| self.map_call(&call));
            }
            AgentEvent::ToolCallStarted { call, message, parent, .. } => {
                *call = self.map_call(call);
                *message = self.map_message(message);
                *parent = parent.take().map(|call| self.map_call(&call));
            }
            AgentEvent::ToolArgsDelta { call, .. }
            | AgentEvent::ToolCallReady { call, .. }
            | AgentEvent::ToolOutput { call, .. }
            | AgentEvent::ToolCallFinished { call, .. }
            | AgentEvent::ApprovalRequested { call, .. }
            | AgentEvent::ApprovalResolved { call, .. } => *call = self.map_call(call),
            AgentEvent::Annotation { on, .. } => match on {
                AnnotationTarget::Turn(turn) => turn.clone_from(of),
                AnnotationTarget::Message(message) => *message = self.map_message(message),
                AnnotationTarget::Call(call) => *call = self.map_call(call),
            },
            AgentEvent::TurnStarted { turn, .. } | AgentEvent::TurnFinished { turn, .. } => turn.clone_from(of),
            AgentEvent::SessionOpened { .. }
            | AgentEvent::UsageReported { .. }
            | AgentEvent::Notice { .. }
            | AgentEvent::Unknown(_) => {}
        }
        event
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_call_id_gets_a_name_of_its_own() {
        let mut names = IdAllocator::default();
        assert_eq!(names.map_call(&"call_a".into()).as_str(), "call_a");
        assert_eq!(names.map_call(&"call_a".into()).as_str(), "call_a");
        names.begin_response();
        assert_eq!(names.map_call(&"call_a".into()).as_str(), "call_a_2");
        names.begin_response();
        assert_eq!(names.map_call(&"".into()).as_str(), "call_3");
    }
}
