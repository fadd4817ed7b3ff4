//! PURE. What sub-agents say, message by message, as output of the call of the agent that they work for.

use std::collections::HashMap;

use crate::event::{AgentEvent, CallId, MessageId, TextKind};

/// Bytes of a message that are kept.
const MAX_TEXT_BYTES: usize = 8 * 1024;

#[derive(Debug, Default)]
pub(super) struct SubAgentTexts {
    messages: HashMap<MessageId, SubAgentText>,
    /// For which call of the agent a sub-agent makes one.
    calls: HashMap<CallId, CallId>,
}

#[derive(Debug)]
struct SubAgentText {
    call: CallId,
    text: String,
}

impl SubAgentTexts {
    /// Returns whether a message is of a sub-agent.
    pub(super) fn said(&self, message: &MessageId) -> bool {
        self.messages.contains_key(message)
    }

    /// Takes an event of the session; returns what was said with it, and in which call of the agent.
    pub(super) fn observe(&mut self, event: &AgentEvent) -> Option<(CallId, String)> {
        match event {
            AgentEvent::TurnStarted { .. } => *self = Self::default(),
            AgentEvent::MessageStarted { message, parent: Some(parent), .. } => {
                let call = self.calls.get(parent).unwrap_or(parent).clone();
                self.messages.insert(message.clone(), SubAgentText { call, text: String::new() });
            }
            AgentEvent::ToolCallStarted { call, message, .. } => {
                if let Some(by) = self.messages.get(message) {
                    self.calls.insert(call.clone(), by.call.clone());
                }
            }
            AgentEvent::TextDelta { message, text, kind: TextKind::Text } => {
                let message = self.messages.get_mut(message).filter(|said| said.text.len() < MAX_TEXT_BYTES)?;
                message.text.push_str(text);
            }
            AgentEvent::MessageFinished { message, full_text, .. } => {
                let said = self.messages.get_mut(message)?;
                let text = std::mem::take(&mut said.text);
                let text = full_text.as_deref().unwrap_or(&text).trim();
                return (!text.is_empty()).then(|| (said.call.clone(), format!("{text}\n\n")));
            }
            _ => {}
        }
        None
    }
}
