//! The saved sessions that the picker offers, and what of one it shows beforehand.

use std::collections::VecDeque;

use crate::event::{AgentEvent, Role, SessionId};

/// Messages that a preview keeps.
const MAX_PREVIEW_MESSAGES: usize = 8;
/// Bytes kept of each, from its beginning.
const MAX_MESSAGE_BYTES: usize = 2000;

/// A saved session, as far as a person chooses by it. All texts are raw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionChoice {
    pub id: SessionId,
    /// The title that it was given, else the first line of its first prompt; none before that.
    pub title: Option<String>,
    pub folder: String,
    /// Who answered last, in words.
    pub engine: String,
    /// When it was last used, in words.
    pub age: String,
    /// How many turns it has, where that was counted.
    pub turns: Option<u64>,
}

impl SessionChoice {
    /// Returns what a query looks at.
    pub fn searched_text(&self) -> String {
        let title = self.title.as_deref().unwrap_or_default();
        format!("{title} {} {} {} {}", self.folder, self.engine, self.age, self.id)
    }
}

/// What was said in a session, raw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreviewMessage {
    /// Whether the person said it.
    pub is_prompt: bool,
    pub text: String,
}

/// Returns the last prompts and answers of some events; a message whose beginning is not among them is left out.
pub fn preview_messages(events: impl Iterator<Item = AgentEvent>) -> Vec<PreviewMessage> {
    let mut messages: VecDeque<PreviewMessage> = VecDeque::new();
    let mut open = None;
    let mut push = |message| {
        messages.push_back(message);
        if messages.len() > MAX_PREVIEW_MESSAGES {
            messages.pop_front();
        }
    };
    for event in events {
        match event {
            AgentEvent::UserMessage { text, .. } => {
                push(PreviewMessage { is_prompt: true, text: beginning(&text).to_owned() });
            }
            AgentEvent::MessageStarted { message, role: Role::Assistant, parent: None } => {
                open = Some((message, String::new()));
            }
            AgentEvent::TextDelta { message, text, .. } => {
                if let Some((_, answer)) = open.as_mut().filter(|(id, _)| *id == message)
                    && answer.len() < MAX_MESSAGE_BYTES
                {
                    answer.push_str(&text);
                }
            }
            AgentEvent::MessageFinished { message, full_text, .. } => {
                if let Some((_, answer)) = open.take_if(|(id, _)| *id == message) {
                    let text = full_text.unwrap_or(answer);
                    if !text.trim().is_empty() {
                        push(PreviewMessage { is_prompt: false, text: beginning(&text).to_owned() });
                    }
                }
            }
            _ => {}
        }
    }
    messages.into()
}

fn beginning(text: &str) -> &str {
    let text = text.trim();
    text.get(..text.floor_char_boundary(MAX_MESSAGE_BYTES)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::FinishReason;
    use crate::testkit::events::{message_finished, message_started, text_delta, user_message};

    #[test]
    fn a_preview_has_the_last_prompts_and_answers() {
        let mut events = vec![text_delta("m0", "the end of something"), message_finished("m0", FinishReason::End)];
        for nth in 1..=9 {
            let answer = format!("m{nth}");
            events.extend([
                user_message(&format!("u{nth}"), &format!("question {nth}")),
                message_started(&answer),
                text_delta(&answer, "answer "),
                text_delta(&answer, &nth.to_string()),
                message_finished(&answer, FinishReason::End),
            ]);
        }
        let messages = preview_messages(events.into_iter());
        assert_eq!(messages.len(), MAX_PREVIEW_MESSAGES);
        assert_eq!(messages[0], PreviewMessage { is_prompt: true, text: "question 6".into() });
        assert_eq!(messages[7], PreviewMessage { is_prompt: false, text: "answer 9".into() });
    }

    #[test]
    fn a_preview_is_short_whatever_was_said() {
        let long = "é".repeat(MAX_MESSAGE_BYTES);
        let deltas = (0..100).map(|_| text_delta("m1", &long));
        let events = [user_message("u1", &long), message_started("m1")].into_iter().chain(deltas);
        let messages = preview_messages(events.chain([message_finished("m1", FinishReason::End)]));
        assert_eq!(messages.len(), 2);
        assert!(messages.iter().all(|message| message.text.len() == MAX_MESSAGE_BYTES));
    }
}
