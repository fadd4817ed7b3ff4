use super::*;

fn started(message: &str, parent: Option<&str>) -> AgentEvent {
    AgentEvent::MessageStarted { message: message.into(), role: Role::Assistant, parent: parent.map(CallId::from) }
}

fn text(message: &str, text: &str) -> AgentEvent {
    AgentEvent::TextDelta { message: message.into(), text: text.into(), kind: TextKind::Text }
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

#[test]
fn a_full_text_that_differs_corrects_what_was_streamed() {
    let mut answer = Answer::new(AnswerLimits::NONE);
    for event in [started("a", None), text("a", "so")] {
        answer.observe(&event);
    }
    let full = finished("a", Some("another"));
    assert_eq!(answer.observe(&full), AnswerDelta::Corrected { message: &"a".into(), text: "another" });
}

#[test]
fn a_text_that_is_too_long_to_keep_is_not_compared_with_its_full_text() {
    let mut answer = Answer::new(AnswerLimits { bytes: 4, calls: 1 });
    for event in [started("a", None), text("a", "too long")] {
        answer.observe(&event);
    }
    assert_eq!(answer.observe(&finished("a", Some("another"))), AnswerDelta::Nothing);
}
