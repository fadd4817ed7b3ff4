use super::*;
use crate::dialect::{Decode, Encode, SseFrame};
use crate::event::{CallOutcome, FinishReason, Json, NoticeCode, ReplyEvent, Seq, TurnOutcome, UsageScope};
use crate::testkit::events::{
    Opened, call_finished, call_ready, call_started, message_finished, message_started, text_delta, turn_finished,
    turn_started,
};

fn answer(client_tools: bool, events: &[(u64, AgentEvent)]) -> (ModelAnswer, Vec<ModelDelta>) {
    let mut answer = ModelAnswer::new(ModelAnswerOptions { client_tools, ..ModelAnswerOptions::default() });
    let envelope = |(at, event): &(u64, AgentEvent)| Envelope { seq: Seq(1), at: Millis(*at), event: event.clone() };
    let deltas = events.iter().filter_map(|event| answer.observe(&envelope(event))).collect();
    (answer, deltas)
}

fn turn() -> Vec<(u64, AgentEvent)> {
    vec![
        (0, Opened { wall_ms: 1_000_000, engine: "e", model: "m", ..Opened::default() }.event()),
        (10, turn_started("t")),
        (20, message_started("m1")),
        (30, text_delta("m1", "One")),
        (40, call_started("c1", "m1", Some("clock"))),
        (50, call_ready("c1", "clock", "")),
        (60, call_started("c2", "m1", Some("cut"))),
        (70, message_finished("m1", FinishReason::ToolCalls)),
        (80, turn_finished("t", TurnOutcome::Completed)),
    ]
}

#[test]
fn only_the_clients_complete_calls_are_sent() {
    let (sent, deltas) = answer(true, &turn());
    assert_eq!(deltas, [ModelDelta::Text("One".into()), ModelDelta::Call(0), ModelDelta::End]);
    assert_eq!((sent.call_count(), sent.end_word()), (1, Some("tool_calls")));
    assert_eq!(sent.calls().map(AnswerCall::args_object).collect::<Vec<_>>(), [serde_json::json!({})]);
    let (ours, deltas) = answer(false, &turn());
    assert_eq!(deltas, [ModelDelta::Text("One".into()), ModelDelta::End]);
    assert_eq!((ours.call_count(), ours.end_word()), (0, Some("stop")), "what runs here asks nothing of the client");
}

#[test]
fn times_are_those_of_the_events() {
    let (answer, _) = answer(true, &turn());
    assert_eq!((answer.wall_ms(), answer.options.model.as_str()), (1_000_080, "e/m"));
    assert_eq!(answer.durations(), (Millis(70), Millis(20), Millis(50)));
}

/// What a person would see of an answer.
#[derive(Debug, Default, PartialEq)]
pub(in crate::dialect) struct ShownModelAnswer {
    text: String,
    thoughts: String,
    calls: Vec<(String, Json)>,
    /// Input, output, cached, reasoning.
    tokens: (u64, u64, u64, u64),
    finish_reason: Option<FinishReason>,
    is_failed: bool,
}

fn reasoning(text: &str) -> AgentEvent {
    AgentEvent::ReasoningDelta { message: "m1".into(), text: text.into() }
}

fn args(call: &str, json: &str) -> AgentEvent {
    AgentEvent::ToolArgsDelta { call: call.into(), json: json.into() }
}

/// Turns, each with what a client shows of it that runs its own calls.
fn turns() -> Vec<(Vec<AgentEvent>, ShownModelAnswer)> {
    let shown = ShownModelAnswer {
        tokens: (100, 20, 40, 8),
        finish_reason: Some(FinishReason::End),
        ..ShownModelAnswer::default()
    };
    let usage =
        Usage { input_tokens: 100, output_tokens: 20, cached_tokens: 40, reasoning_tokens: 8, ..Usage::default() };
    let counted = AgentEvent::UsageReported { scope: UsageScope::Request(1), usage };
    let done = |how| vec![counted.clone(), turn_finished("t", how)];
    let fault = Fault::new(FaultKind::RateLimited, "too busy");
    let turn = |events: Vec<AgentEvent>, end: Vec<AgentEvent>| {
        [turn_started("t"), message_started("m1")].into_iter().chain(events).chain(end).collect::<Vec<_>>()
    };
    vec![
        (
            turn(
                vec![
                    reasoning("Let me "),
                    reasoning("see."),
                    text_delta("m1", "Hello"),
                    text_delta("m1", ", you \u{1f600}\n"),
                    message_finished("m1", FinishReason::End),
                ],
                done(TurnOutcome::Completed),
            ),
            ShownModelAnswer { text: "Hello, you \u{1f600}\n".into(), thoughts: "Let me see.".into(), ..shown },
        ),
        (
            turn(
                vec![
                    text_delta("m1", "One moment."),
                    call_started("c1", "m1", Some("clock")),
                    call_started("c2", "m1", None),
                    args("c1", "{\"zone\":"),
                    args("c2", "{"),
                    args("c1", "\"UTC\"}"),
                    call_ready("c1", "clock", "{\"zone\":\"UTC\"}"),
                    call_ready("c2", "sum", ""),
                    call_started("c3", "m1", Some("cut")),
                    message_finished("m1", FinishReason::ToolCalls),
                ],
                done(TurnOutcome::Completed),
            ),
            ShownModelAnswer {
                text: "One moment.".into(),
                calls: vec![
                    ("clock".into(), serde_json::json!({"zone": "UTC"})),
                    ("sum".into(), serde_json::json!({})),
                ],
                tokens: shown.tokens,
                finish_reason: Some(FinishReason::ToolCalls),
                ..ShownModelAnswer::default()
            },
        ),
        (
            turn(
                vec![text_delta("m1", "and so on"), message_finished("m1", FinishReason::Length)],
                done(TurnOutcome::Completed),
            ),
            ShownModelAnswer {
                text: "and so on".into(),
                tokens: shown.tokens,
                finish_reason: Some(FinishReason::Length),
                ..ShownModelAnswer::default()
            },
        ),
        (
            turn(
                vec![message_finished("m1", FinishReason::Failed)],
                vec![turn_finished("t", TurnOutcome::Failed(fault))],
            ),
            ShownModelAnswer { is_failed: true, ..ShownModelAnswer::default() },
        ),
        // Cut without an end.
        (turn(Vec::new(), Vec::new()), ShownModelAnswer { is_failed: true, ..ShownModelAnswer::default() }),
    ]
}

/// Encodes a turn; the last element is the whole answer as one frame.
fn frames(mut encoder: Box<dyn Encode>, events: &[AgentEvent]) -> (Vec<SseFrame>, SseFrame) {
    let mut out = Vec::new();
    encoder.start(&mut out);
    let opened = Opened { wall_ms: 1_795_204_274_400, ..Opened::default() }.event();
    for (at, event) in std::iter::once(&opened).chain(events).enumerate() {
        let at = at as u64;
        encoder.encode_event(&Envelope { seq: Seq(at), at: Millis(at * 10), event: event.clone() }, &mut out);
    }
    encoder.finish(&mut out);
    let whole = SseFrame::data(encoder.full_response().1.to_string());
    (out, whole)
}

fn shown(mut decoder: Box<dyn Decode>, frames: &[SseFrame]) -> ShownModelAnswer {
    let (mut seen, mut out) = (ShownModelAnswer::default(), Vec::new());
    for frame in frames {
        decoder.decode_frame(frame, &mut out);
    }
    decoder.finish(&mut out);
    for event in out {
        match event {
            ReplyEvent::TextDelta { text, .. } => seen.text.push_str(&text),
            ReplyEvent::ReasoningDelta { text, .. } => seen.thoughts.push_str(&text),
            ReplyEvent::ToolCallReady { name, args, .. } => {
                seen.calls.push((name, serde_json::from_str(&args).unwrap_or_default()));
            }
            ReplyEvent::MessageFinished { finish_reason, .. } => {
                seen.finish_reason = Some(finish_reason).filter(|reason| *reason != FinishReason::Failed);
            }
            ReplyEvent::UsageReported { usage, .. } => {
                seen.tokens = (usage.input_tokens, usage.output_tokens, usage.cached_tokens, usage.reasoning_tokens);
            }
            ReplyEvent::End { outcome } => seen.is_failed = outcome != TurnOutcome::Completed,
            ReplyEvent::Notice { text, code, .. } => {
                assert_ne!(code, NoticeCode::UnknownFrame, "{text}");
            }
            _ => {}
        }
    }
    seen
}

/// Asserts that a decoder shows of every turn what was encoded, streamed and whole. `counts` drops the counts that the
/// format doesn't have.
pub(in crate::dialect) fn assert_round_trips(
    encoder: impl Fn(ModelAnswerOptions) -> Box<dyn Encode>,
    decoder: impl Fn() -> Box<dyn Decode>,
    counts: impl Fn((u64, u64, u64, u64)) -> (u64, u64, u64, u64),
) {
    for (at, (events, mut expected)) in turns().into_iter().enumerate() {
        let options =
            ModelAnswerOptions { model: "m".into(), sends_thoughts: true, client_tools: true, prompt_tokens: 7 };
        expected.tokens = counts(expected.tokens);
        let (streamed, whole) = frames(encoder(options), &events);
        let without_counts = |mut seen: ShownModelAnswer| {
            // An answer that failed has counted nothing that matters.
            if seen.is_failed {
                (seen.tokens, seen.finish_reason) = ((0, 0, 0, 0), None);
            }
            seen
        };
        assert_eq!(without_counts(shown(decoder(), &streamed)), expected, "turn {at}: {streamed:#?}");
        assert_eq!(
            without_counts(shown(decoder(), std::slice::from_ref(&whole))),
            expected,
            "turn {at}, whole: {whole:?}"
        );
    }
}

/// Encodes a turn with two rounds of a tool that runs here.
pub(in crate::dialect) fn encode_own_rounds(encoder: Box<dyn Encode>) -> (Vec<Json>, Json) {
    let events = [
        turn_started("t"),
        message_started("m1"),
        reasoning("Hm."),
        text_delta("m1", "I look."),
        call_started("c1", "m1", Some("clock")),
        call_ready("c1", "clock", "{}"),
        message_finished("m1", FinishReason::ToolCalls),
        call_finished("c1", CallOutcome::Ok, "noon"),
        message_started("m2"),
        text_delta("m2", "Noon."),
        message_finished("m2", FinishReason::End),
        turn_finished("t", TurnOutcome::Completed),
    ];
    let (frames, whole) = frames(encoder, &events);
    let json = |frame: &SseFrame| serde_json::from_str(&frame.data).unwrap();
    (frames.iter().map(json).collect(), json(&whole))
}
