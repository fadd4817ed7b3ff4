//! PURE. Converts the log of an earlier stream to the history of the next.

use std::collections::HashMap;

use super::super::request::HistoryBuilder;
use crate::event::{AgentEvent, CallId, CallOutcome, Envelope, MessageId, Role};

/// Returns whether the stream had calls that the client runs.
pub(super) fn has_client_calls(events: &[Envelope]) -> bool {
    events.iter().any(
        |event| matches!(&event.event, AgentEvent::ToolCallFinished { outcome, .. } if *outcome == CallOutcome::Requested),
    )
}

/// Returns the conversation as history: text, calls and their outputs.
pub(super) fn history_of(events: &[Envelope]) -> Vec<AgentEvent> {
    let mut history = HistoryBuilder::new();
    let mut messages: HashMap<MessageId, LoggedMessage> = HashMap::new();
    let mut owners: HashMap<CallId, MessageId> = HashMap::new();
    // Calls may finish before the message that made them.
    let mut early: HashMap<CallId, (String, CallOutcome)> = HashMap::new();
    for event in events {
        match &event.event {
            AgentEvent::UserMessage { text, .. } => history.add_user_message(text.as_str()),
            AgentEvent::MessageStarted { message, role: Role::Assistant, parent: None } => {
                messages.insert(message.clone(), LoggedMessage::default());
            }
            AgentEvent::TextDelta { message, text, .. } => {
                if let Some(message) = messages.get_mut(message) {
                    message.text.push_str(text);
                }
            }
            AgentEvent::ToolCallStarted { call, message, .. } => {
                owners.insert(call.clone(), message.clone());
            }
            AgentEvent::ToolCallReady { call, name, args, .. } => {
                if let Some(message) = owners.remove(call).and_then(|owner| messages.get_mut(&owner)) {
                    message.calls.push((call.as_str().to_owned(), name.clone(), args.clone()));
                }
            }
            AgentEvent::ToolCallFinished { call, outcome, output, .. } => {
                let is_known = history.add_tool_result(call.as_str(), output.text.as_str(), *outcome);
                if !is_known {
                    early.insert(call.clone(), (output.text.clone(), *outcome));
                }
            }
            AgentEvent::MessageFinished { message, full_text: full, .. } => {
                let Some(message) = messages.remove(message) else { continue };
                let text = full.as_deref().unwrap_or(&message.text);
                if text.is_empty() && message.calls.is_empty() {
                    continue;
                }
                let ids: Vec<String> = message.calls.iter().map(|(id, ..)| id.clone()).collect();
                history.add_assistant_message(text, message.calls);
                for id in ids {
                    if let Some((output, outcome)) = early.remove(&CallId::from(id.as_str())) {
                        history.add_tool_result(&id, output, outcome);
                    }
                }
            }
            _ => {}
        }
    }
    history.into_events()
}

#[derive(Default)]
struct LoggedMessage {
    text: String,
    /// Id, name and arguments.
    calls: Vec<(String, String, String)>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Millis, Seq};

    #[test]
    fn what_was_told_can_be_told_again() {
        let mut history = HistoryBuilder::new();
        history.add_user_message("add");
        history.add_assistant_message("let me see", [("a".to_owned(), "sum".to_owned(), "{\"x\":1}".to_owned())]);
        assert!(history.add_tool_result("a", "2", CallOutcome::Ok));
        history.add_assistant_message("it is 2", []);
        history.add_user_message("thanks");
        history.add_assistant_message("any time", []);
        let events = history.into_events();
        let log: Vec<Envelope> = events
            .iter()
            .enumerate()
            .map(|(n, event)| Envelope { seq: Seq(n as u64 + 1), at: Millis(0), event: event.clone() })
            .collect();
        assert_eq!(history_of(&log), events);
        assert!(!has_client_calls(&log));
    }
}
