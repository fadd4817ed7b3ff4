//! PURE. What an agent is told before the first prompt of a client that brings a conversation along: the client's
//! instructions, and what was said so far.

use std::collections::HashMap;
use std::fmt::Write as _;

use crate::event::{AgentEvent, Annotation, AnnotationTarget, CallId, MessageId, TextKind, add_context};

/// Bytes of what a call came to that are repeated.
const MAX_OUTPUT_BYTES: usize = 4 * 1024;

/// Returns the words before the prompt; none where there is nothing to say.
pub fn preamble(instructions: Option<&str>, history: &[AgentEvent]) -> Option<String> {
    let mut text = String::new();
    // Writing to a string doesn't fail.
    if let Some(instructions) = instructions.map(str::trim).filter(|instructions| !instructions.is_empty()) {
        let _ = write!(text, "Instructions for this conversation:\n\n{instructions}\n\n");
    }
    let said = said(history);
    if !said.is_empty() {
        let _ = write!(text, "What was said in this conversation before:\n\n{said}");
    }
    if text.is_empty() {
        return None;
    }
    text.push_str("The user says now:\n");
    Some(text)
}

fn said(history: &[AgentEvent]) -> String {
    let mut parts: Vec<(&str, String)> = Vec::new();
    let mut places: HashMap<&MessageId, usize> = HashMap::new();
    let mut calls: HashMap<&CallId, &str> = HashMap::new();
    for event in history {
        match event {
            AgentEvent::UserMessage { message, text } => {
                places.insert(message, parts.len());
                parts.push(("User", text.clone()));
            }
            AgentEvent::Annotation {
                on: AnnotationTarget::Message(message),
                annotation: Annotation::PromptContext(context),
            } => {
                if let Some((_, text)) = places.get(message).and_then(|place| parts.get_mut(*place)) {
                    *text = add_context(text, context);
                }
            }
            AgentEvent::TextDelta { message, text, kind: TextKind::Text } => {
                let place = *places.entry(message).or_insert_with(|| {
                    parts.push(("Assistant", String::new()));
                    parts.len() - 1
                });
                if let Some((_, whole)) = parts.get_mut(place) {
                    whole.push_str(text);
                }
            }
            AgentEvent::ToolCallReady { call, name, args, .. } => {
                calls.insert(call, name);
                parts.push(("Assistant", format!("[called {name} with {args}]")));
            }
            AgentEvent::ToolCallFinished { call, output, .. } => {
                let name = calls.get(call).copied().unwrap_or("a tool");
                let end = output.text.floor_char_boundary(MAX_OUTPUT_BYTES);
                let shown = output.text.get(..end).unwrap_or_default();
                parts.push(("Tool", format!("[{name} returned] {shown}")));
            }
            _ => {}
        }
    }
    let spoken = parts.into_iter().filter(|(_, text)| !text.trim().is_empty());
    let mut told = String::new();
    for (who, text) in spoken {
        // Writing to a string doesn't fail.
        let _ = write!(told, "{who}: {}\n\n", text.trim());
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{CallOutcome, CallOutput};
    use crate::testkit::events::{message_started, text_delta, user_message};

    #[test]
    fn a_conversation_is_told_in_its_order_with_the_instructions_first() {
        let finished = AgentEvent::ToolCallFinished {
            call: "c".into(),
            outcome: CallOutcome::Ok,
            output: CallOutput { text: "ü".repeat(MAX_OUTPUT_BYTES), ..CallOutput::default() },
            duration: None,
        };
        let ready = AgentEvent::ToolCallReady {
            call: "c".into(),
            name: "read".into(),
            args: "{}".into(),
            provider_metadata: None,
        };
        let history = [
            user_message("m1", "what is in it?"),
            message_started("m2"),
            text_delta("m2", "I "),
            text_delta("m2", "look."),
            ready,
            finished,
            message_started("m3"),
            text_delta("m3", "Words."),
        ];
        let told = preamble(Some(" Be brief. "), &history).unwrap();
        let output = "ü".repeat(MAX_OUTPUT_BYTES / 2);
        let expected = format!(
            "Instructions for this conversation:\n\nBe brief.\n\nWhat was said in this conversation before:\n\n\
             User: what is in it?\n\nAssistant: I look.\n\nAssistant: [called read with {{}}]\n\n\
             Tool: [read returned] {output}\n\nAssistant: Words.\n\nThe user says now:\n"
        );
        assert_eq!(told, expected);
    }

    #[test]
    fn a_prompt_without_a_past_stands_alone() {
        assert_eq!(preamble(Some("  "), &[]), None);
        assert_eq!(preamble(None, &[]), None);
    }
}
