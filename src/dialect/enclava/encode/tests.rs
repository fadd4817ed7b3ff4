use serde_json::json;

use super::*;
use crate::event::{AgentEvent, ExecutedBy, Fault, FaultKind, FinishReason, Millis, ReplyEvent, Role, Seq, TextKind};
use crate::testkit::events::{turn_finished, turn_started};

fn encoded(events: &[AgentEvent], max_rounds: Option<u32>) -> (Vec<(String, Json)>, EnclavaEncoder) {
    let mut encoder = EnclavaEncoder::new(ResponseHead { id: "resp_1".into(), ..ResponseHead::default() }, max_rounds);
    let mut frames = Vec::new();
    for (n, event) in events.iter().enumerate() {
        let envelope = Envelope { seq: Seq(n as u64 + 1), at: Millis(5), event: event.clone() };
        encoder.encode_event(&envelope, &mut frames);
    }
    encoder.finish(&mut frames);
    let envelope = frames.into_iter().map(|frame| (frame.event, serde_json::from_str(&frame.data).unwrap()));
    (envelope.collect(), encoder)
}

/// A round with text and one call that ended.
fn round() -> Vec<AgentEvent> {
    let (message, call): (MessageId, CallId) = ("m1".into(), "c1".into());
    vec![
        turn_started("t"),
        AgentEvent::MessageStarted { message: message.clone(), role: Role::Assistant, parent: None },
        AgentEvent::TextDelta { message: message.clone(), text: "é".into(), kind: TextKind::Text },
        AgentEvent::ToolCallStarted {
            call: call.clone(),
            message: message.clone(),
            name: Some("clock".into()),
            parent: None,
            executed_by: ExecutedBy::Client,
        },
        AgentEvent::ToolCallReady {
            call: call.clone(),
            name: "clock".into(),
            args: "{}".into(),
            provider_metadata: None,
        },
        AgentEvent::MessageFinished {
            message,
            finish_reason: FinishReason::ToolCalls,
            full_text: None,
            provider_metadata: None,
        },
        AgentEvent::ToolCallFinished {
            call,
            outcome: CallOutcome::Ok,
            output: CallOutput::from_text("noon"),
            duration: None,
        },
    ]
}

fn failed(kind: FaultKind) -> AgentEvent {
    let outcome = TurnOutcome::Failed(Fault::new(kind, "no more"));
    turn_finished("t", outcome)
}

#[test]
fn a_round_is_its_pieces_its_message_its_calls_and_their_outputs() {
    let mut events = round();
    events.push(turn_finished("t", TurnOutcome::Completed));
    let (told, _) = encoded(&events, None);
    let message = json!({"type": "message", "id": "msg_0000000000000005_0", "role": "assistant",
        "content": [{"type": "output_text", "text": "é"}], "status": "completed"});
    let call = json!({"type": "function_call", "id": "c1", "call_id": "c1", "name": "clock", "arguments": "{}",
        "status": "in_progress"});
    let output = json!({"type": "function_call_output", "id": "out_c1", "call_id": "c1", "output": "\"noon\"",
        "status": "completed"});
    let args = |delta: &str| {
        let data = json!({"response_id": "resp_1", "call_id": "c1", "delta": delta, "type": "function_call_arguments"});
        ("response.function_call_arguments.delta".to_owned(), data)
    };
    let added = |item: &Json| ("response.output_item.added".to_owned(), json!({"response_id": "resp_1", "item": item}));
    let text =
        json!({"response_id": "resp_1", "item_id": "msg_0000000000000005_0", "delta": "é", "type": "output_text"});
    let done = json!({"id": "resp_1", "object": "response", "status": "completed", "output": [message, call, output],
        "output_text": "é"});
    assert_eq!(
        told[1..],
        [
            ("response.output_text.delta".to_owned(), text),
            args(""),
            args("{}"),
            added(&message),
            added(&call),
            added(&output),
            ("response.completed".to_owned(), done),
        ]
    );
}

#[test]
fn rounds_that_are_used_up_complete_and_a_budget_that_is_refuses() {
    let mut spent = round();
    spent.push(failed(FaultKind::LimitReached));
    let (told, mut encoder) = encoded(&spent, Some(1));
    assert_eq!((told.last().unwrap().0.as_str(), encoder.full_response().0), ("response.completed", 200));
    let (told, mut encoder) = encoded(&spent, Some(2));
    let (event, data) = told.last().unwrap();
    assert_eq!((event.as_str(), &data["error"]["type"]), ("response.failed", &json!("budget_exceeded")));
    assert_eq!(encoder.full_response(), (429, json!({"error": "HTTP_ERROR", "message": "no more"})));
    spent.pop();
    spent.push(failed(FaultKind::Upstream));
    let (told, mut encoder) = encoded(&spent, Some(1));
    assert_eq!((&told.last().unwrap().1["error"]["code"], encoder.full_response().0), (&json!("internal_error"), 500));
    assert_eq!(encoder.response()["status"], "failed");
}

#[test]
fn json_is_ascii_and_means_the_same() {
    let text = json!({"a": "é 😀 \u{7f} \u{2028}"});
    let written = escape_non_ascii(&text.to_string());
    assert!(written.is_ascii());
    assert_eq!(serde_json::from_str::<Json>(&written).unwrap(), text);
}

#[test]
fn an_answer_that_was_cut_off_is_not_said_to_be_complete() {
    for (finish_reason, reason) in
        [(FinishReason::Length, "max_output_tokens"), (FinishReason::Refused, "content_filter")]
    {
        let message: MessageId = "m1".into();
        let events = [
            turn_started("t"),
            AgentEvent::MessageStarted { message: message.clone(), role: Role::Assistant, parent: None },
            AgentEvent::TextDelta { message: message.clone(), text: "half".into(), kind: TextKind::Text },
            AgentEvent::MessageFinished { message, finish_reason, full_text: None, provider_metadata: None },
            turn_finished("t", TurnOutcome::Completed),
        ];
        let (told, mut encoder) = encoded(&events, None);
        let (event, last) = told.last().unwrap();
        assert_eq!((event.as_str(), &last["status"]), ("response.completed", &json!("incomplete")));
        assert_eq!(last["incomplete_details"]["reason"], reason);
        let (status, response) = encoder.full_response();
        assert_eq!((status, &response["status"]), (200, &json!("incomplete")));
        let mut decoder = crate::dialect::enclava::EnclavaDecoder::new();
        let mut out = Vec::new();
        for (event, data) in &told {
            crate::dialect::Decode::decode_frame(
                &mut decoder,
                &SseFrame::named(event.as_str(), data.to_string()),
                &mut out,
            );
        }
        crate::dialect::Decode::finish(&mut decoder, &mut out);
        assert!(out.iter().any(
            |event| matches!(event, ReplyEvent::MessageFinished { finish_reason: it, .. } if *it == finish_reason)
        ));
    }
}
