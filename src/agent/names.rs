//! PURE. Gives messages, turns and calls names that are unique in the session, whatever a decoder called them.

use std::collections::{HashMap, HashSet};

use crate::event::{AgentEvent, CallId, MessageId, Subject, TurnId};

/// Knows every name given so far. Rebuilt from the log when a session is resumed.
#[derive(Clone, Debug, Default)]
pub struct Names {
    turns: u64,
    messages: u64,
    calls: HashSet<CallId>,
    /// The decoder's names of the reply that is coming in, and ours for them.
    reply_messages: HashMap<MessageId, MessageId>,
    reply_calls: HashMap<CallId, CallId>,
}

impl Names {
    /// Takes note of the names in an event of the past.
    pub fn observe(&mut self, event: &AgentEvent) {
        match event {
            AgentEvent::TurnStarted { .. } => self.turns += 1,
            AgentEvent::UserMessage { .. } | AgentEvent::MessageStarted { .. } => self.messages += 1,
            AgentEvent::ToolCallStarted { call, .. } => {
                self.calls.insert(call.clone());
            }
            _ => {}
        }
    }

    pub fn turn(&mut self) -> TurnId {
        self.turns += 1;
        TurnId::new(format!("t{}", self.turns))
    }

    pub fn message(&mut self) -> MessageId {
        self.messages += 1;
        MessageId::new(format!("m{}", self.messages))
    }

    /// Forgets the decoder's names: a new reply uses them afresh.
    pub fn new_reply(&mut self) {
        self.reply_messages.clear();
        self.reply_calls.clear();
    }

    pub fn reply_message(&mut self, theirs: &MessageId) -> MessageId {
        if let Some(ours) = self.reply_messages.get(theirs) {
            return ours.clone();
        }
        let ours = self.message();
        self.reply_messages.insert(theirs.clone(), ours.clone());
        ours
    }

    /// Returns our name for a call of the running reply: the model's id, made unique where a server repeats one.
    pub fn reply_call(&mut self, theirs: &CallId) -> CallId {
        if let Some(ours) = self.reply_calls.get(theirs) {
            return ours.clone();
        }
        let mut ours = theirs.clone();
        let mut copy = 2;
        while ours.as_str().is_empty() || self.calls.contains(&ours) {
            ours = if theirs.as_str().is_empty() {
                CallId::new(format!("call_{}", self.calls.len() + copy - 1))
            } else {
                CallId::new(format!("{theirs}_{copy}"))
            };
            copy += 1;
        }
        self.calls.insert(ours.clone());
        self.reply_calls.insert(theirs.clone(), ours.clone());
        ours
    }
}

/// For the events of the running reply.
impl Names {
    /// Gives an event of a decoder our names in place of its own; `turn` is the one it belongs to.
    pub fn own(&mut self, mut event: AgentEvent, of: &TurnId) -> AgentEvent {
        match &mut event {
            AgentEvent::UserMessage { message, .. }
            | AgentEvent::TextDelta { message, .. }
            | AgentEvent::ReasoningDelta { message, .. }
            | AgentEvent::MessageFinished { message, .. } => *message = self.reply_message(message),
            AgentEvent::MessageStarted { message, parent, .. } => {
                *message = self.reply_message(message);
                *parent = parent.take().map(|call| self.reply_call(&call));
            }
            AgentEvent::ToolCallStarted { call, message, parent, .. } => {
                *call = self.reply_call(call);
                *message = self.reply_message(message);
                *parent = parent.take().map(|call| self.reply_call(&call));
            }
            AgentEvent::ToolArgsDelta { call, .. }
            | AgentEvent::ToolCallReady { call, .. }
            | AgentEvent::ToolOutput { call, .. }
            | AgentEvent::ToolCallFinished { call, .. }
            | AgentEvent::ApprovalRequested { call, .. }
            | AgentEvent::ApprovalResolved { call, .. } => *call = self.reply_call(call),
            AgentEvent::Annotated { on, .. } => match on {
                Subject::Turn(turn) => turn.clone_from(of),
                Subject::Message(message) => *message = self.reply_message(message),
                Subject::Call(call) => *call = self.reply_call(call),
            },
            AgentEvent::TurnStarted { turn, .. } | AgentEvent::TurnFinished { turn, .. } => turn.clone_from(of),
            AgentEvent::SessionOpened { .. }
            | AgentEvent::UsageReported { .. }
            | AgentEvent::Noticed { .. }
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
        let mut names = Names::default();
        assert_eq!(names.reply_call(&"call_a".into()).as_str(), "call_a");
        assert_eq!(names.reply_call(&"call_a".into()).as_str(), "call_a");
        names.new_reply();
        assert_eq!(names.reply_call(&"call_a".into()).as_str(), "call_a_2");
        names.new_reply();
        assert_eq!(names.reply_call(&"".into()).as_str(), "call_3");
    }
}
