use super::*;
use crate::event::{CallOutput, Fault, FaultKind, Seq};
use crate::telemetry::otlp::traces;
use crate::testkit::events::{
    Opened, call_ready, call_started, message_finished, message_started, text_delta, turn_finished, turn_started,
    user_message,
};

fn mint() -> impl FnMut() -> [u8; 16] {
    let mut next = 0_u8;
    move || {
        next += 1;
        [next; 16]
    }
}

fn spans(tells_content: bool, events: Vec<(u64, AgentEvent)>) -> Vec<Span> {
    let mut tracer = TurnTracer::new("s1".into(), tells_content, |turn| turn.as_str().starts_with("past"), mint());
    let mut out = Vec::new();
    for (nth, (at, event)) in events.into_iter().enumerate() {
        tracer.observe(&Envelope { seq: Seq(nth as u64 + 1), at: Millis(at), event }, &mut out);
    }
    out
}

fn opened_at(wall_ms: u64) -> AgentEvent {
    Opened { wall_ms, engine: "openai-responses", model: "gpt", ..Opened::default() }.event()
}

fn turn_with_a_call() -> Vec<(u64, AgentEvent)> {
    let usage = |n, input_tokens| AgentEvent::UsageReported {
        scope: UsageScope::Request(n),
        usage: Usage { input_tokens, output_tokens: 1, cached_tokens: 2, ..Usage::default() },
    };
    let on_message = |annotation| AgentEvent::Annotation { on: AnnotationTarget::Message("m1".into()), annotation };
    vec![
        (10, opened_at(1_000_010)),
        (100, turn_started("t1")),
        (100, user_message("m0", "what is said")),
        (150, message_started("m1")),
        (150, on_message(Annotation::FirstToken { ms: Millis(50) })),
        (150, on_message(Annotation::ServedBy { id: Some("r1".into()), model: Some("gpt-1".into()) })),
        (150, call_started("c1", "m1", Some("shell"))),
        (160, call_ready("c1", "shell", "{\"command\":\"what is run\"}")),
        (170, message_finished("m1", FinishReason::ToolCalls)),
        (171, usage(1, 10)),
        (
            300,
            AgentEvent::ToolCallFinished {
                call: "c1".into(),
                outcome: CallOutcome::Failed,
                output: CallOutput::from_text("what came of it"),
                duration: Some(Millis(20)),
            },
        ),
        (310, message_started("m2")),
        (320, text_delta("m2", "what is answered")),
        (330, message_finished("m2", FinishReason::End)),
        (331, usage(2, 30)),
        (340, turn_finished("t1", TurnOutcome::Completed)),
    ]
}

fn value<'a>(span: &'a Span, name: &str) -> Option<&'a AttributeValue> {
    span.attributes.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
}

#[test]
fn a_turn_has_its_answers_and_its_calls_below_it() {
    let spans = spans(false, turn_with_a_call());
    let shown: Vec<_> =
        spans.iter().map(|span| (span.name.as_str(), span.start_ms, span.end_ms, span.parent)).collect();
    let turn = Some(spans[0].id);
    assert_eq!(
        shown,
        [
            ("invoke_agent jarvis-tui", 1_000_100, 1_000_340, None),
            ("chat gpt", 1_000_100, 1_000_170, turn),
            ("chat gpt", 1_000_300, 1_000_330, turn),
            ("execute_tool shell", 1_000_280, 1_000_300, turn),
        ]
    );
    assert!(spans.iter().all(|span| span.trace == spans[0].trace));
    let text = |text: &str| AttributeValue::Text(text.into());
    assert_eq!(value(&spans[0], "gen_ai.provider.name"), Some(&text("openai")));
    assert_eq!(value(&spans[0], "gen_ai.usage.input_tokens"), Some(&AttributeValue::Number(40)));
    assert_eq!(value(&spans[1], "gen_ai.usage.input_tokens"), Some(&AttributeValue::Number(10)));
    assert_eq!(value(&spans[1], "gen_ai.response.model"), Some(&text("gpt-1")));
    assert_eq!(value(&spans[1], "gen_ai.response.time_to_first_chunk"), Some(&AttributeValue::Seconds(0.05)));
    assert_eq!((value(&spans[3], "error.type"), spans[3].error.as_deref()), (Some(&text("failed")), Some("failed")));
}

#[test]
fn what_was_said_is_told_only_if_that_is_wanted() {
    let told = |tells| traces(&spans(tells, turn_with_a_call()), "jarvis-tui").to_string();
    for said in ["what is said", "what is run", "what came of it", "what is answered"] {
        assert!(!told(false).contains(said), "{said}");
        assert!(told(true).contains(said), "{said}");
    }
}

#[test]
fn turns_that_a_client_told_of_and_turns_that_run_are_not_told() {
    let past = vec![
        (0, opened_at(5)),
        (1, turn_started("past1")),
        (2, turn_finished("past1", TurnOutcome::Completed)),
        (3, turn_started("t1")),
    ];
    assert_eq!(spans(true, past), []);
}

#[test]
fn a_turn_that_failed_says_why_and_one_that_was_stopped_did_not_fail() {
    let end = |outcome| {
        let spans = spans(false, vec![(0, opened_at(5)), (1, turn_started("t1")), (2, turn_finished("t1", outcome))]);
        (value(&spans[0], "error.type").cloned(), spans[0].error.clone())
    };
    let text = |text: &str| Some(AttributeValue::Text(text.into()));
    assert_eq!(end(TurnOutcome::Completed), (None, None));
    assert_eq!(end(TurnOutcome::Cancelled), (text("cancelled"), None));
    let fault = Fault::new(FaultKind::Network, "nobody there");
    assert_eq!(end(TurnOutcome::Failed(fault)), (text("network"), Some("nobody there".into())));
}

#[test]
fn a_long_text_is_cut() {
    let long = "é".repeat(MAX_CONTENT_BYTES);
    let events = vec![
        (0, opened_at(5)),
        (1, turn_started("t1")),
        (2, message_started("m1")),
        (3, text_delta("m1", &long)),
        (4, message_finished("m1", FinishReason::End)),
        (5, turn_finished("t1", TurnOutcome::Completed)),
    ];
    let spans = spans(true, events);
    let Some(AttributeValue::Text(text)) = value(&spans[1], "gen_ai.output.messages") else { panic!("{spans:?}") };
    assert!((MAX_CONTENT_BYTES..MAX_CONTENT_BYTES + 200).contains(&text.len()), "{}", text.len());
}
