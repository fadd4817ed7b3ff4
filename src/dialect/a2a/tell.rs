//! The events of a task in short, and the words for how it stands.

use super::super::{error, surrogate};
use crate::event::{AgentEvent, Json, Level, MessageId, Stop, Subject, TextKind};

pub(super) fn settled(text: &str, marked: bool) -> String {
    surrogate::settled(text.into(), marked).into_owned()
}

pub(super) fn delta(message: &MessageId, text: &str) -> AgentEvent {
    AgentEvent::TextDelta { message: message.clone(), text: text.to_owned(), kind: TextKind::Text }
}

pub(super) fn finished(message: MessageId, stop: Stop, full: Option<String>) -> AgentEvent {
    AgentEvent::MessageFinished { message, stop, full, carry: None }
}

pub(super) fn annotate(kind: &str, data: Json, out: &mut Vec<AgentEvent>) {
    out.push(AgentEvent::Annotated { on: Subject::Turn("t".into()), kind: kind.into(), data });
}

pub(super) fn failure(what: &str, words: &str) -> String {
    let words = error::tidy(words);
    if words.is_empty() { format!("{what}; it does not say why") } else { format!("{what}: {words}") }
}

pub(super) fn waits(state: &str, words: &str, out: &mut Vec<AgentEvent>) {
    let (code, what) = match state {
        "auth-required" => ("auth_required", "the agent waits until it is authorised"),
        _ => ("input_required", "the agent waits for your answer"),
    };
    let words = error::tidy(words);
    let text = if words.is_empty() { what.to_owned() } else { format!("{what}: {words}") };
    out.push(AgentEvent::Noticed { level: Level::Warn, code: code.into(), text });
}
