use super::*;
use crate::dialect::ai_sdk::DIALECT;
use crate::event::{Annotation, Decision, Fault, FaultKind, Millis, ReplyEvent, Seq, TurnOutcome, UsageScope};
use crate::testkit::events::{
    call_finished, call_ready, call_started, client_call_turn, decided_turn, message_finished, message_started, opened,
    text_delta, turn_finished, turn_started, user_message,
};

fn options() -> UiStreamOptions {
    UiStreamOptions { message_id: "m-1".into(), session: "s1".into(), client_tools: false, after: None }
}

/// The chunks of a stream; it ends early where the client has to decide.
fn chunks(options: UiStreamOptions, events: &[AgentEvent]) -> Vec<Json> {
    let (mut encoder, mut out) = (AiSdkEncoder::new(options), Vec::new());
    encoder.start(&mut out);
    for (event, seq) in events.iter().zip(1..) {
        encoder.encode_event(&Envelope { seq: Seq(seq), at: Millis(seq), event: event.clone() }, &mut out);
        if encoder.is_paused() {
            break;
        }
    }
    encoder.finish(&mut out);
    assert_eq!(out.pop(), Some(SseFrame::data("[DONE]")));
    out.iter().map(|frame| serde_json::from_str(&frame.data).unwrap()).collect()
}

fn kinds(chunks: &[Json]) -> Vec<&str> {
    chunks.iter().map(|chunk| chunk["type"].as_str().unwrap()).collect()
}

fn decode(chunks: &[Json]) -> Vec<ReplyEvent> {
    let (mut decoder, mut out) = ((DIALECT.decode)(&crate::dialect::DecodeContext::default()), Vec::new());
    for chunk in chunks {
        decoder.decode_frame(&SseFrame::data(chunk.to_string()), &mut out);
    }
    decoder.decode_frame(&SseFrame::data("[DONE]"), &mut out);
    decoder.finish(&mut out);
    out
}

fn reasoning(text: &str) -> AgentEvent {
    AgentEvent::ReasoningDelta { message: "m2".into(), text: text.into() }
}

fn turn() -> Vec<AgentEvent> {
    let usage = Usage { input_tokens: 10, output_tokens: 5, cached_tokens: 4, reasoning_tokens: 2, estimated: false };
    vec![
        opened(),
        turn_started("t1"),
        user_message("m1", "go"),
        message_started("m2"),
        reasoning("hm"),
        text_delta("m2", "I "),
        text_delta("m2", "look."),
        call_started("c1", "m2", Some("read_file")),
        AgentEvent::ToolArgsDelta { call: "c1".into(), json: "{\"path\"".into() },
        AgentEvent::ToolArgsDelta { call: "c1".into(), json: ":\"a\"}".into() },
        call_ready("c1", "read_file", r#"{"path":"a"}"#),
        call_started("c2", "m2", None),
        call_ready("c2", "clock", ""),
        message_finished("m2", FinishReason::ToolCalls),
        call_finished("c1", CallOutcome::Ok, "fn a() {}"),
        call_finished("c2", CallOutcome::Failed, "no clock"),
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
    let chunks = chunks(options(), &turn());
    let out = decode(&chunks);
    let (mut texts, mut calls, mut usage) = (String::new(), Vec::new(), None);
    for event in &out {
        match event {
            ReplyEvent::MessageStarted { .. } => texts.push('|'),
            ReplyEvent::TextDelta { text, .. } => texts.push_str(text),
            ReplyEvent::ReasoningDelta { text, .. } => texts.extend(["(", text, ")"]),
            ReplyEvent::ToolCallReady { name, args, .. } => calls.push(format!("{name} {args}")),
            ReplyEvent::ToolCallFinished { outcome, output, .. } => calls.push(format!("{outcome:?} {}", output.text)),
            ReplyEvent::UsageReported { usage: told, .. } => usage = Some((told.total(), told.cached_tokens)),
            ReplyEvent::End { outcome } => assert_eq!(*outcome, TurnOutcome::Completed),
            ReplyEvent::Notice { text, .. } => panic!("{text}"),
            _ => {}
        }
    }
    assert_eq!(texts, "|(hm)I look.|Done.");
    assert_eq!(calls, [r#"read_file {"path":"a"}"#, "clock {}", "Ok fn a() {}", "Failed no clock"]);
    assert_eq!(usage, Some((15, 4)));
}

#[test]
fn blocks_and_steps_are_closed_in_order() {
    let chunks = chunks(options(), &turn());
    assert_eq!(
        kinds(&chunks),
        [
            "start",
            "start-step",
            "reasoning-start",
            "reasoning-delta",
            "reasoning-end",
            "text-start",
            "text-delta",
            "text-delta",
            "text-end",
            "tool-input-start",
            "tool-input-delta",
            "tool-input-delta",
            "tool-input-available",
            "tool-input-start",
            "tool-input-available",
            "tool-output-available",
            "tool-output-error",
            "finish-step",
            "start-step",
            "text-start",
            "text-delta",
            "text-delta",
            "text-end",
            "finish-step",
            "finish",
        ]
    );
    assert!(
        chunks.iter().filter(|chunk| chunk["type"] == "tool-input-available").all(|chunk| chunk["dynamic"] == true)
    );
    assert_eq!(chunks[0]["messageId"], "m-1");
}

#[test]
fn an_approval_ends_the_stream_and_the_next_has_the_rest() {
    let events = decided_turn(Decision::Deny(None), CallOutcome::Denied, "denied by the person");
    let first = chunks(options(), &events);
    assert_eq!(kinds(&first)[7..], ["tool-approval-request", "finish-step", "finish"]);
    let id = first[7]["approvalId"].as_str().unwrap();
    assert_eq!(parse_approval_id(id), Some(("s1", "c1".into())));
    let rest = chunks(UiStreamOptions { after: Some("c1".into()), ..options() }, &events);
    let expected =
        ["start", "tool-output-denied", "start-step", "text-start", "text-delta", "text-end", "finish-step", "finish"];
    assert_eq!(kinds(&rest), expected);
    let asked = decode(&first)
        .into_iter()
        .any(|event| matches!(event, ReplyEvent::Annotation { annotation: Annotation::NeedsApproval { .. }, .. }));
    assert!(asked);
}

#[test]
fn calls_of_the_clients_tools_stay_open_for_it() {
    let chunks = chunks(UiStreamOptions { client_tools: true, ..options() }, &client_call_turn());
    let expected = ["start", "start-step", "tool-input-start", "tool-input-available", "finish-step", "finish"];
    assert_eq!(kinds(&chunks), expected);
    assert_eq!(chunks[3].get("dynamic"), None);
}

#[test]
fn every_end_is_told() {
    let end = |reason, outcome| {
        let events =
            [turn_started("t"), message_started("m"), message_finished("m", reason), turn_finished("t", outcome)];
        let mut chunks = chunks(options(), &events);
        chunks.drain(..3);
        chunks
    };
    let failed = TurnOutcome::Failed(Fault::new(FaultKind::Network, "the line is dead"));
    assert_eq!(end(FinishReason::End, TurnOutcome::Completed), [json!({"type": "finish"})]);
    assert_eq!(end(FinishReason::Length, TurnOutcome::Completed)[0]["finishReason"], "length");
    assert_eq!(end(FinishReason::Refused, TurnOutcome::Completed)[0]["finishReason"], "content-filter");
    assert_eq!(end(FinishReason::Cancelled, TurnOutcome::Cancelled), [json!({"type": "abort"})]);
    let error = end(FinishReason::Failed, failed);
    assert_eq!(error[0], json!({"type": "error", "errorText": "the line is dead"}));
    let cut = chunks(options(), &[turn_started("t"), message_started("m"), text_delta("m", "a")]);
    assert_eq!(cut[6], json!({"type": "error", "errorText": "the response was cut off before its end"}), "{cut:?}");
}

#[test]
fn arguments_that_are_no_json_are_an_error_of_the_call() {
    let events = [
        turn_started("t"),
        message_started("m"),
        call_started("c", "m", Some("shell")),
        call_ready("c", "shell", "{\"com"),
        call_finished("c", CallOutcome::Failed, "bad arguments"),
    ];
    let chunks = chunks(options(), &events);
    assert_eq!((&chunks[3]["type"], &chunks[3]["input"]), (&json!("tool-input-error"), &json!("{\"com")));
    assert_eq!(chunks[4]["errorText"], "bad arguments");
}
