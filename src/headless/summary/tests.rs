use super::*;
use crate::event::{CallId, CallOutput, Role, Seq, UsageScope};
use crate::testkit::events::{
    self, Opened, call_ready, call_started, message_finished, message_started, turn_finished, turn_started,
};

fn run(events: Vec<AgentEvent>) -> RunSummary {
    let mut summary = RunSummary::new("s", "agent");
    for (index, event) in events.into_iter().enumerate() {
        summary.observe(&Envelope { seq: Seq(index as u64 + 1), at: Millis(index as u64 * 10), event });
    }
    summary
}

fn ended(end: TurnOutcome) -> RunSummary {
    run(vec![turn_started("t1"), turn_finished("t1", end)])
}

#[test]
fn how_a_call_ended_is_said_without_an_empty_reason() {
    assert_eq!(call_outcome_line("clock", CallOutcome::Requested, ""), "· clock: requested, not run");
    assert_eq!(call_outcome_line("clock", CallOutcome::Unknown, ""), "! clock: never finished");
    assert_eq!(call_outcome_line("clock", CallOutcome::Cancelled, ""), "! clock cancelled");
    assert_eq!(call_outcome_line("clock", CallOutcome::Denied, "denied: not now"), "! clock denied: not now");
    assert_eq!(call_outcome_line("clock", CallOutcome::Failed, "no\nhands"), "! clock failed: no hands");
}

#[test]
fn the_object_has_every_field_of_the_promise() {
    let message = |id: &str, text: &str| {
        vec![message_started(id), events::text_delta(id, text), message_finished(id, FinishReason::End)]
    };
    let usage = |n| Usage { input_tokens: n, output_tokens: 1, ..Usage::default() };
    let mut events = vec![turn_started("t1")];
    events.extend(message("m1", "one"));
    events.push(call_started("c1", "m1", None));
    events.push(call_ready("c1", "clock", "{bad"));
    events.push(AgentEvent::ToolCallFinished {
        call: "c1".into(),
        outcome: CallOutcome::Failed,
        output: CallOutput::from_text("no"),
        duration: Some(Millis(4)),
    });
    events.push(AgentEvent::UsageReported { scope: UsageScope::Request(1), usage: usage(10) });
    events.push(AgentEvent::UsageReported { scope: UsageScope::Request(1), usage: usage(11) });
    events.push(AgentEvent::UsageReported { scope: UsageScope::Request(2), usage: usage(5) });
    events.extend(message("m2", "two"));
    events.push(turn_finished("t1", TurnOutcome::Completed));
    let object = run(events).to_json();
    assert_eq!(object["text"], "one\n\ntwo");
    assert_eq!(object["outcome"], "completed");
    assert_eq!(object["usage"]["input_tokens"], 16, "a repeated report counts once");
    assert_eq!(
        object["tool_calls"][0],
        json!({ "id": "c1", "name": "clock", "arguments": "{bad", "status": "failed", "output": "no",
                "duration_ms": 4 })
    );
    assert_eq!(object["error"], Value::Null);
    assert_eq!(object["link"], json!({ "attempts": 0, "resumed": 0, "gaps": 0 }));
}

#[test]
fn the_dialect_is_what_was_told_before_what_a_name_suggests() {
    let opened = |engine: &str| Opened { engine, ..Opened::default() }.event();
    let annotation = AgentEvent::Annotation {
        on: AnnotationTarget::Turn("t1".into()),
        annotation: Annotation::Dialect { name: "ollama".into(), because: String::new() },
    };
    assert_eq!(run(vec![opened("work")]).to_json()["dialect"], "openai-chat");
    assert_eq!(run(vec![opened("work"), annotation]).to_json()["dialect"], "ollama");
    assert_eq!(run(vec![opened("offline")]).to_json()["dialect"], "native");
    assert_eq!(run(vec![opened("anthropic")]).to_json()["dialect"], "anthropic");
}

#[test]
fn settings_that_name_no_engine_are_a_mistake_in_the_settings() {
    let notice = AgentEvent::Notice { level: NoticeLevel::Error, code: NoticeCode::NoEngine, text: "x".into() };
    let end = |kind| turn_finished("t", TurnOutcome::Failed(Fault::new(kind, "x")));
    assert_eq!(run(vec![notice.clone(), end(FaultKind::BadRequest)]).exit_code(), 3);
    assert_eq!(run(vec![notice, end(FaultKind::Auth)]).exit_code(), 4);
    assert_eq!(run(vec![end(FaultKind::BadRequest)]).exit_code(), 1);
}

/// A message with these parts and this finish reason, in a completed turn.
fn stopped(parts: &[AgentEvent], stop: FinishReason) -> RunSummary {
    let mut events = vec![turn_started("t1"), message_started("m1")];
    events.extend_from_slice(parts);
    events.push(message_finished("m1", stop));
    events.push(turn_finished("t1", TurnOutcome::Completed));
    run(events)
}

fn text_delta(kind: TextKind) -> AgentEvent {
    AgentEvent::TextDelta { message: "m1".into(), text: "Partial answ".into(), kind }
}

#[test]
fn an_answer_that_was_cut_off_is_not_taken_for_a_whole_one() {
    let thought = AgentEvent::ReasoningDelta { message: "m1".into(), text: "hm".into() };
    let call = call_started("c1", "m1", Some("write_file"));
    for (parts, words) in [
        (vec![text_delta(TextKind::Text)], "cut off"),
        (vec![thought], "while thinking"),
        (vec![text_delta(TextKind::Text), call], "a call was cut off"),
        (vec![], "no answer"),
    ] {
        let summary = stopped(&parts, FinishReason::Length);
        let object = summary.to_json();
        assert_eq!((&object["outcome"], &object["stop"]), (&json!("completed"), &json!("length")), "{object}");
        assert_eq!(object["notices"][0]["code"], "output_limit");
        assert!(object["notices"][0]["message"].as_str().unwrap().contains(words), "{object}");
        assert_eq!(summary.exit_code(), 6);
    }
}

#[test]
fn an_answer_that_was_declined_says_so_once() {
    let summary = stopped(&[text_delta(TextKind::Refusal)], FinishReason::Refused);
    assert_eq!(summary.to_json()["stop"], "refused");
    assert_eq!(summary.to_json()["notices"][0]["message"], "the model declined to answer this");
    assert_eq!(summary.exit_code(), 1);
    let annotation =
        AgentEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::Refused, text: "for its reasons".into() };
    let notices = stopped(&[annotation], FinishReason::Refused).to_json()["notices"].clone();
    assert_eq!(notices, json!([{ "code": "refused", "message": "for its reasons", "count": 1 }]));
}

#[test]
fn how_the_last_message_of_the_answer_stopped_counts_and_the_one_before_is_remembered() {
    let message = |id: &str, parent: Option<CallId>, stop| {
        [AgentEvent::MessageStarted { message: id.into(), role: Role::Assistant, parent }, message_finished(id, stop)]
    };
    let mut events = vec![turn_started("t1")];
    events.extend(message("m1", None, FinishReason::Length));
    events.extend(message("m2", None, FinishReason::End));
    events.extend(message("m3", Some("c1".into()), FinishReason::Length));
    events.push(turn_finished("t1", TurnOutcome::Completed));
    let summary = run(events);
    assert_eq!((summary.exit_code(), &summary.to_json()["stop"]), (0, &json!("end")));
    assert_eq!(summary.to_json()["notices"][0]["count"], 2);
}

#[test]
fn the_usage_says_what_was_cached_and_thought() {
    let usage = Usage { input_tokens: 9, output_tokens: 5, cached_tokens: 7, reasoning_tokens: 3, ..Usage::default() };
    let object =
        run(vec![turn_started("t1"), AgentEvent::UsageReported { scope: UsageScope::Request(1), usage }]).to_json();
    assert_eq!((&object["usage"]["cached_tokens"], &object["usage"]["reasoning_tokens"]), (&json!(7), &json!(3)));
}

#[test]
fn a_refusal_begins_a_paragraph_of_its_own() {
    let summary = stopped(
        &[text_delta(TextKind::Text), text_delta(TextKind::Refusal), text_delta(TextKind::Refusal)],
        FinishReason::Refused,
    );
    assert_eq!(summary.to_json()["text"], "Partial answ\n\nPartial answPartial answ");
}

#[test]
fn an_answer_without_an_end_says_why() {
    let why = |summary: RunSummary| summary.to_json()["error"].clone();
    let broke = json!({ "kind": "interrupted", "message": "the answer was cut short" });
    assert_eq!(why(ended(TurnOutcome::Interrupted)), broke);
    assert_eq!(why(run(Vec::new())), broke);
    let cut = AgentEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::Cut, text: "http://h hung up".into() };
    assert_eq!(why(run(vec![cut]))["message"], "http://h hung up");
    assert_eq!(why(ended(TurnOutcome::Cancelled)), Value::Null);
}

#[test]
fn exit_codes_follow_the_end_of_the_turn() {
    let failed = |kind| ended(TurnOutcome::Failed(Fault::new(kind, "x"))).exit_code();
    assert_eq!(ended(TurnOutcome::Completed).exit_code(), 0);
    assert_eq!(failed(FaultKind::Upstream), 1);
    assert_eq!(failed(FaultKind::Auth), 4);
    assert_eq!(failed(FaultKind::TimedOut), 5);
    assert_eq!(failed(FaultKind::LimitReached), 6);
    assert_eq!(ended(TurnOutcome::Interrupted).exit_code(), 5);
    assert_eq!(ended(TurnOutcome::Cancelled).exit_code(), 130);
}
