use super::*;
use crate::event::answer::{AnswerDelta, AnswerLimits};
use crate::event::{AgentEvent, CallId, Role};
use crate::testkit::events::text_delta as text;

fn started(message: &str, parent: Option<&str>) -> AgentEvent {
    AgentEvent::MessageStarted { message: message.into(), role: Role::Assistant, parent: parent.map(CallId::from) }
}

fn finished(message: &str, full: Option<&str>) -> AgentEvent {
    let full = full.map(ToOwned::to_owned);
    AgentEvent::MessageFinished {
        message: message.into(),
        finish_reason: FinishReason::End,
        full_text: full,
        provider_metadata: None,
    }
}

fn joined(events: &[AgentEvent]) -> String {
    let mut answer = Answer::new(AnswerLimits::NONE);
    let mut joined = JoinedText::new(MessageGap::BlankLine, usize::MAX);
    let mut told = String::new();
    for event in events {
        if let AnswerDelta::Text { message, text, .. } = answer.observe(event) {
            told.push_str(&joined.push(message, text));
        }
    }
    assert_eq!(told, joined.text);
    told
}

#[test]
fn messages_of_the_answer_stand_apart_and_other_voices_are_left_out() {
    let events = [
        started("a", None),
        text("a", "One"),
        text("a", " moment."),
        finished("a", None),
        started("s", Some("call_1")),
        text("s", "I am another"),
        finished("s", None),
        started("b", None),
        text("b", "Done.\n"),
        finished("b", None),
        started("c", None),
        text("c", "Really."),
    ];
    assert_eq!(joined(&events), "One moment.\n\nDone.\n\nReally.");
}

#[test]
fn what_the_wire_repeats_is_told_only_as_far_as_it_is_new() {
    let events = |full: &str| [started("a", None), text("a", "so"), finished("a", Some(full))];
    assert_eq!(joined(&events("so far")), "so far");
    assert_eq!(joined(&events("so")), "so");
    assert_eq!(joined(&events("another")), "so");
}
