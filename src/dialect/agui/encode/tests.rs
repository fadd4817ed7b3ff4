use super::*;
use crate::dialect::agui::DIALECT;
use crate::event::{Decision, Fault, FaultKind, Millis, ReplyEvent, Seq, Usage, UsageScope};
use crate::testkit::events::{
    call_finished, call_ready, call_started, client_call_turn, decided_turn, message_finished, message_started, opened,
    text_delta, turn_finished, turn_started, user_message,
};

fn run() -> AgUiRun {
    AgUiRun { thread_id: "th".into(), run_id: "r1".into(), session: "s1".into(), client_tools: false, after: None }
}

/// The frames of a run; it ends early where the client has to decide.
fn frames(run: AgUiRun, events: &[AgentEvent]) -> Vec<Json> {
    let (mut encoder, mut out) = (AgUiEncoder::new(run), Vec::new());
    encoder.start(&mut out);
    for (event, seq) in events.iter().zip(1..) {
        encoder.encode_event(&Envelope { seq: Seq(seq), at: Millis(seq), event: event.clone() }, &mut out);
        if encoder.is_paused() {
            break;
        }
    }
    encoder.finish(&mut out);
    out.iter().map(|frame| serde_json::from_str(&frame.data).unwrap()).collect()
}

fn kinds(frames: &[Json]) -> Vec<&str> {
    frames.iter().map(|frame| frame["type"].as_str().unwrap()).collect()
}

fn decode(frames: &[Json]) -> Vec<ReplyEvent> {
    let (mut decoder, mut out) = ((DIALECT.decode)(&crate::dialect::DecodeContext::default()), Vec::new());
    for frame in frames {
        decoder.decode_frame(&SseFrame::data(frame.to_string()), &mut out);
    }
    decoder.finish(&mut out);
    out
}

fn turn() -> Vec<AgentEvent> {
    let usage = Usage { input_tokens: 10, output_tokens: 5, cached_tokens: 4, reasoning_tokens: 2, estimated: false };
    let plan = vec![PlanEntry { text: "look".into(), state: PlanState::Done }];
    vec![
        opened(),
        turn_started("t1"),
        user_message("m1", "go"),
        message_started("m2"),
        AgentEvent::ReasoningDelta { message: "m2".into(), text: "hm".into() },
        text_delta("m2", "I "),
        text_delta("m2", "look."),
        call_started("c1", "m2", Some("read_file")),
        AgentEvent::ToolArgsDelta { call: "c1".into(), json: "{\"path\"".into() },
        call_ready("c1", "read_file", r#"{"path":"a"}"#),
        call_started("c2", "m2", None),
        call_ready("c2", "clock", ""),
        message_finished("m2", FinishReason::ToolCalls),
        call_finished("c1", CallOutcome::Ok, "fn a() {}"),
        call_finished("c2", CallOutcome::Failed, "no clock"),
        AgentEvent::Annotation { on: crate::event::AnnotationTarget::Session, annotation: Annotation::Plan(plan) },
        message_started("m3"),
        text_delta("m3", "Do"),
        AgentEvent::MessageFinished {
            message: "m3".into(),
            finish_reason: FinishReason::End,
            full_text: Some("Done.".into()),
            provider_metadata: None,
        },
        AgentEvent::UsageReported { scope: UsageScope::Request(1), usage },
        turn_finished("t1", TurnOutcome::Completed),
    ]
}

#[test]
fn our_own_client_reads_all_of_a_turn() {
    let out = decode(&frames(run(), &turn()));
    let (mut texts, mut calls, mut usage, mut activities) = (String::new(), Vec::new(), None, 0);
    for event in &out {
        match event {
            ReplyEvent::MessageStarted { .. } => texts.push('|'),
            ReplyEvent::TextDelta { text, .. } => texts.push_str(text),
            ReplyEvent::ReasoningDelta { text, .. } => texts.extend(["(", text, ")"]),
            ReplyEvent::ToolCallReady { name, args, .. } => calls.push(format!("{name} {args}")),
            ReplyEvent::ToolCallFinished { outcome, output, .. } => calls.push(format!("{outcome:?} {}", output.text)),
            ReplyEvent::UsageReported { usage: told, .. } => usage = Some((told.total(), told.cached_tokens)),
            ReplyEvent::Annotation { annotation: Annotation::Activity(_), .. } => activities += 1,
            ReplyEvent::End { outcome } => assert_eq!(*outcome, TurnOutcome::Completed),
            ReplyEvent::Notice { text, .. } => panic!("{text}"),
            _ => {}
        }
    }
    assert_eq!(texts.replace('|', ""), "(hm)I look.Done.", "{out:#?}");
    assert_eq!(calls, [r#"read_file {"path":"a"}"#, "clock {}", "Ok fn a() {}", "Ok no clock"]);
    assert_eq!((usage, activities), (Some((15, 4)), 1));
}

#[test]
fn each_message_is_closed_before_the_next_part() {
    let frames = frames(run(), &turn());
    assert_eq!(
        kinds(&frames),
        [
            "RUN_STARTED",
            "REASONING_START",
            "REASONING_MESSAGE_START",
            "REASONING_MESSAGE_CONTENT",
            "REASONING_MESSAGE_END",
            "REASONING_END",
            "TEXT_MESSAGE_START",
            "TEXT_MESSAGE_CONTENT",
            "TEXT_MESSAGE_CONTENT",
            "TEXT_MESSAGE_END",
            "TOOL_CALL_START",
            "TOOL_CALL_ARGS",
            "TOOL_CALL_ARGS",
            "TOOL_CALL_END",
            "TOOL_CALL_START",
            "TOOL_CALL_ARGS",
            "TOOL_CALL_END",
            "TOOL_CALL_RESULT",
            "TOOL_CALL_RESULT",
            "ACTIVITY_SNAPSHOT",
            "TEXT_MESSAGE_START",
            "TEXT_MESSAGE_CONTENT",
            "TEXT_MESSAGE_CONTENT",
            "TEXT_MESSAGE_END",
            "RUN_FINISHED",
        ]
    );
    assert_eq!((&frames[10]["parentMessageId"], &frames[6]["messageId"]), (&json!("s1-m2"), &json!("s1-m2")));
}

#[test]
fn an_approval_is_an_interrupt_and_the_next_run_has_the_rest() {
    let events = decided_turn(Decision::Once, CallOutcome::Ok, "a");
    let first = frames(run(), &events);
    let last = first.last().unwrap();
    let interrupt = &last["outcome"]["interrupts"][0];
    assert_eq!((&last["type"], &last["outcome"]["type"]), (&json!("RUN_FINISHED"), &json!("interrupt")));
    assert_eq!((&interrupt["message"], &interrupt["toolCallId"]), (&json!("shell: ls"), &json!("c1")));
    assert_eq!(parse_interrupt_id(interrupt["id"].as_str().unwrap()), Some(("s1", "c1".into())));
    let rest = frames(AgUiRun { run_id: "r2".into(), after: Some("c1".into()), ..run() }, &events);
    let expected = [
        "RUN_STARTED",
        "TOOL_CALL_RESULT",
        "TEXT_MESSAGE_START",
        "TEXT_MESSAGE_CONTENT",
        "TEXT_MESSAGE_END",
        "RUN_FINISHED",
    ];
    assert_eq!(kinds(&rest), expected);
    assert_eq!(rest[0]["runId"], "r2");
    let asked = decode(&first)
        .into_iter()
        .any(|event| matches!(event, ReplyEvent::Annotation { annotation: Annotation::NeedsApproval { .. }, .. }));
    assert!(asked);
}

#[test]
fn calls_of_the_clients_tools_have_no_result_here() {
    let frames = frames(AgUiRun { client_tools: true, ..run() }, &client_call_turn());
    assert_eq!(kinds(&frames), ["RUN_STARTED", "TOOL_CALL_START", "TOOL_CALL_ARGS", "TOOL_CALL_END", "RUN_FINISHED"]);
}

#[test]
fn every_end_is_told() {
    let end = |reason, outcome| {
        let events =
            [turn_started("t"), message_started("m"), message_finished("m", reason), turn_finished("t", outcome)];
        frames(run(), &events).pop().unwrap()
    };
    let failed = TurnOutcome::Failed(Fault::new(FaultKind::Network, "the line is dead"));
    assert_eq!(end(FinishReason::End, TurnOutcome::Completed).get("outcome"), None);
    assert_eq!(end(FinishReason::Length, TurnOutcome::Completed)["finishReason"], "length");
    assert_eq!(end(FinishReason::Cancelled, TurnOutcome::Cancelled)["outcome"], json!({"type": "cancelled"}));
    let error = json!({"type": "RUN_ERROR", "message": "the line is dead", "code": "network"});
    assert_eq!(end(FinishReason::Failed, failed), error);
    let cut = frames(run(), &[turn_started("t"), message_started("m"), text_delta("m", "a")]);
    assert_eq!(kinds(&cut)[3..], ["TEXT_MESSAGE_END", "RUN_ERROR"]);
}
