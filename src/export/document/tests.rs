use super::*;
use crate::event::{CallOutput, TextKind};
use crate::testkit::events::{
    call_finished, call_ready, call_started, message_finished, message_started, opened, text_delta, turn_finished,
    turn_started, user_message,
};

fn fold(events: impl IntoIterator<Item = AgentEvent>) -> Document {
    let envelopes: Vec<Envelope> = events
        .into_iter()
        .zip(1..)
        .map(|(event, seq)| Envelope { seq: Seq(seq), at: Millis(seq * 1000), event })
        .collect();
    Document::fold(None, &envelopes)
}

/// What each item is, in a word, and its text.
fn told(document: &Document) -> Vec<(&'static str, &str)> {
    document
        .items
        .iter()
        .map(|item| match &item.body {
            ItemBody::Opened { engine, .. } => ("opened", engine.as_str()),
            ItemBody::Prompt { text, .. } => ("prompt", text.as_str()),
            ItemBody::Answer { text, .. } => ("answer", text.as_str()),
            ItemBody::Reasoning { text } => ("reasoning", text.as_str()),
            ItemBody::Call(call) => ("call", call.output.text.as_str()),
            ItemBody::Plan(_) => ("plan", ""),
            ItemBody::Notice { text, .. } => ("notice", text.as_str()),
            ItemBody::TurnEnd(_) => ("end", ""),
        })
        .collect()
}

fn full(message: &str, text: &str) -> AgentEvent {
    let AgentEvent::MessageFinished { message, finish_reason, provider_metadata, .. } =
        message_finished(message, FinishReason::End)
    else {
        unreachable!()
    };
    AgentEvent::MessageFinished { message, finish_reason, full_text: Some(text.into()), provider_metadata }
}

#[test]
fn a_run_of_one_voice_is_an_item_and_a_call_ends_it() {
    let document = fold([
        opened(),
        turn_started("t1"),
        user_message("u1", "  \nmend it\nnow"),
        message_started("m1"),
        AgentEvent::ReasoningDelta { message: "m1".into(), text: "hm".into() },
        text_delta("m1", "I "),
        text_delta("m1", "look"),
        call_started("c1", "m1", Some("shell")),
        text_delta("m1", "Done"),
        call_ready("c1", "shell", "{}"),
        message_finished("m1", FinishReason::End),
        call_finished("c1", CallOutcome::Ok, "a"),
        turn_finished("t1", TurnOutcome::Completed),
    ]);
    let expected = [
        ("opened", "offline"),
        ("prompt", "  \nmend it\nnow"),
        ("reasoning", "hm"),
        ("answer", "I look"),
        ("call", "a"),
        ("answer", "Done"),
        ("end", ""),
    ];
    assert_eq!(told(&document), expected);
    assert_eq!(document.title.as_deref(), Some("mend it"));
    let answer = &document.items[3];
    assert_eq!((answer.at, answer.until), (Millis(6000), Millis(7000)));
    assert_eq!(answer.growth, [(Millis(6000), 2), (Millis(7000), 6)]);
    assert_eq!((document.turns, document.is_open, document.last_seq), (1, false, Seq(13)));
}

#[test]
fn the_text_that_the_wire_repeats_is_the_one_that_counts() {
    let streamed = |texts: &[&str], whole: &str| {
        let mut events = vec![message_started("m1")];
        for (nth, text) in texts.iter().enumerate() {
            if nth > 0 {
                events.push(call_started(&format!("c{nth}"), "m1", None));
            }
            events.push(text_delta("m1", text));
        }
        events.push(full("m1", whole));
        let document = fold(events);
        told(&document).into_iter().filter(|(kind, _)| *kind == "answer").map(|(_, text)| text.to_owned()).collect()
    };
    let cases: [(&[&str], &str, &[&str]); 7] = [
        (&["ab"], "ab", &["ab"]),
        (&[], "ab", &["ab"]),
        (&["ax"], "ab", &["ab"]),
        (&["ab"], "", &[]),
        (&["a", "b"], "ab", &["a", "b"]),
        (&["a", "x"], "ab", &["a", "b"]),
        (&["x", "b"], "ab", &["ab"]),
    ];
    for (texts, whole, expected) in cases {
        let found: Vec<String> = streamed(texts, whole);
        assert_eq!(found, expected, "{texts:?} {whole:?}");
    }
}

#[test]
fn a_call_keeps_what_came_live_where_its_end_has_none_and_the_end_of_the_turn_closes_it() {
    let output = |call: &str, text: &str| AgentEvent::ToolOutput {
        call: call.into(),
        stream: crate::event::OutputStream::Stdout,
        text: text.into(),
    };
    let document = fold([
        turn_started("t1"),
        message_started("m1"),
        call_started("c1", "m1", Some("shell")),
        call_started("c2", "m1", Some("shell")),
        output("c1", "live"),
        AgentEvent::ToolCallFinished {
            call: "c1".into(),
            outcome: CallOutcome::Cancelled,
            output: CallOutput::default(),
            duration: Some(Millis(7)),
        },
        turn_finished("t1", TurnOutcome::Cancelled),
    ]);
    let calls: Vec<_> = document
        .items
        .iter()
        .filter_map(|item| match &item.body {
            ItemBody::Call(call) => Some((call.number, call.output.text.as_str(), call.outcome, call.duration)),
            _ => None,
        })
        .collect();
    let expected =
        [(1, "live", Some(CallOutcome::Cancelled), Some(Millis(7))), (2, "", Some(CallOutcome::Unknown), None)];
    assert_eq!(calls, expected);
}

#[test]
fn work_of_a_sub_agent_and_what_is_marked_is_told() {
    let child = |call: &str| AgentEvent::ToolCallStarted {
        call: call.into(),
        message: "m2".into(),
        name: Some("list_dir".into()),
        parent: Some("c1".into()),
        executed_by: crate::event::ExecutedBy::Client,
    };
    let mark = |seq, set| AgentEvent::Annotation {
        on: AnnotationTarget::Session,
        annotation: Annotation::Mark { seq: Seq(seq), set },
    };
    let document = fold([
        message_started("m1"),
        call_started("c1", "m1", Some("task")),
        AgentEvent::MessageStarted { message: "m2".into(), role: Role::Assistant, parent: Some("c1".into()) },
        AgentEvent::TextDelta { message: "m2".into(), text: "I help".into(), kind: TextKind::Text },
        child("c2"),
        mark(4, true),
        mark(2, true),
        mark(2, false),
    ]);
    let items: Vec<_> = document.items.iter().map(|item| (item.is_sub, item.is_marked)).collect();
    assert_eq!(items, [(false, false), (true, true), (true, false)]);
}
