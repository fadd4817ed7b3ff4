use serde_json::json;

use super::*;
use crate::event::{AgentEvent, Annotation, AnnotationTarget, Fault, FaultKind, Millis, Seq, TurnOutcome};
use crate::testkit::events::{Opened, message_finished, message_started, text_delta, turn_finished, turn_started};

fn opened() -> AgentEvent {
    Opened { wall_ms: 1_795_204_274_400, engine: "e", model: "m", ..Opened::default() }.event()
}

fn started() -> AgentEvent {
    turn_started("t1")
}

fn message(text: &str) -> Vec<AgentEvent> {
    vec![message_started("m1"), text_delta("m1", text)]
}

fn encode(turn: &[AgentEvent]) -> (Vec<Json>, ResponsesEncoder) {
    let mut encoder = ResponsesEncoder::new(ResponseHead { id: "resp_1".into(), ..ResponseHead::default() });
    let mut frames = Vec::new();
    encoder.start(&mut frames);
    for (n, event) in turn.iter().enumerate() {
        let envelope = Envelope { seq: Seq(n as u64 + 1), at: Millis(n as u64 * 1000), event: event.clone() };
        encoder.encode_event(&envelope, &mut frames);
    }
    encoder.finish(&mut frames);
    (frames.iter().map(|frame| serde_json::from_str(&frame.data).unwrap()).collect(), encoder)
}

fn closing_event(turn: &[AgentEvent]) -> (String, Json, u16) {
    let (mut events, mut encoder) = encode(turn);
    let mut last = events.pop().unwrap();
    let (status, answer) = encoder.full_response();
    assert!(status != 200 || answer == last["response"], "streamed or not, it is the same");
    (last["type"].as_str().unwrap().to_owned(), last["response"].take(), status)
}

#[test]
fn a_text_is_told_piece_by_piece_and_then_as_a_whole() {
    let mut turn = vec![opened(), started()];
    turn.extend(message("hi"));
    turn.extend([message_finished("m1", FinishReason::End), turn_finished("t1", TurnOutcome::Completed)]);
    let (events, _) = encode(&turn);
    let at = json!({"item_id": "msg_1_0", "output_index": 0, "content_index": 0});
    let with = |kind: &str, n: u64, more: Json| {
        let mut event = json!({"type": kind, "sequence_number": n});
        for fields in [&more, &at] {
            event.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        }
        event
    };
    let part = |text: &str| json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []});
    assert_eq!(
        events[3..7],
        [
            with("response.content_part.added", 3, json!({"part": part("")})),
            with("response.output_text.delta", 4, json!({"delta": "hi", "logprobs": []})),
            with("response.output_text.done", 5, json!({"text": "hi", "logprobs": []})),
            with("response.content_part.done", 6, json!({"part": part("hi")})),
        ]
    );
    let response = &events.last().unwrap()["response"];
    assert_eq!((&response["model"], &response["status"]), (&json!("e/m"), &json!("completed")));
    assert_eq!((&response["created_at"], &response["completed_at"]), (&json!(1_795_204_275), &json!(1_795_204_279)));
    // Nobody counted: four characters per token, and at least one.
    assert_eq!(response["usage"]["output_tokens"], 1);
}

#[test]
fn every_end_has_its_event_status_and_code() {
    let mut cut = vec![opened(), started()];
    cut.extend(message("so"));
    let ended = |finish_reason: FinishReason, outcome: TurnOutcome| {
        let mut turn = cut.clone();
        turn.extend([message_finished("m1", finish_reason), turn_finished("t1", outcome)]);
        let (event, response, status) = closing_event(&turn);
        let why = response["error"]["code"].as_str().or(response["incomplete_details"]["reason"].as_str());
        format!("{event} {} {} {status}", response["status"].as_str().unwrap(), why.unwrap_or("-"))
    };
    let failed = |kind| ended(FinishReason::Failed, TurnOutcome::Failed(Fault::new(kind, "it broke")));
    assert_eq!(ended(FinishReason::End, TurnOutcome::Completed), "response.completed completed - 200");
    assert_eq!(
        ended(FinishReason::Length, TurnOutcome::Completed),
        "response.incomplete incomplete max_output_tokens 200"
    );
    assert_eq!(ended(FinishReason::Cancelled, TurnOutcome::Cancelled), "response.incomplete cancelled - 200");
    assert_eq!(failed(FaultKind::Refused), "response.incomplete incomplete content_filter 200");
    assert_eq!(failed(FaultKind::LimitReached), "response.failed failed server_error 200");
    assert_eq!(failed(FaultKind::RateLimited), "response.failed failed rate_limit_exceeded 429");
    assert_eq!(failed(FaultKind::ContextTooLong), "response.failed failed context_length_exceeded 400");
    assert_eq!(failed(FaultKind::TimedOut), "response.failed failed server_error 504");
    let (event, response, status) = closing_event(&cut);
    assert_eq!((event.as_str(), status), ("response.failed", 503));
    assert_eq!(response["output"][0]["status"], "incomplete", "what came is kept");
}

#[test]
fn a_whole_that_corrects_its_pieces_is_told_as_the_whole() {
    let mut turn = vec![opened(), started()];
    turn.extend(message("helo"));
    turn.push(AgentEvent::MessageFinished {
        message: "m1".into(),
        finish_reason: FinishReason::End,
        full_text: Some("hello".into()),
        provider_metadata: None,
    });
    turn.push(turn_finished("t1", TurnOutcome::Completed));
    let (_, response, _) = closing_event(&turn);
    assert_eq!(response["output"][0]["content"][0]["text"], "hello");
}

#[test]
fn a_citation_stands_where_official_clients_look_for_it() {
    let mut turn = vec![opened(), started()];
    turn.extend(message("So it is."));
    for data in [json!({"url": "https://x.example", "title": "X"}), json!({"cited_text": "nowhere"})] {
        let on = AnnotationTarget::Message("m1".into());
        turn.push(AgentEvent::Annotation { on, annotation: Annotation::Citation(data) });
    }
    turn.extend([message_finished("m1", FinishReason::End), turn_finished("t1", TurnOutcome::Completed)]);
    let (_, response, _) = closing_event(&turn);
    let cited =
        json!([{"type": "url_citation", "start_index": 9, "end_index": 9, "title": "X", "url": "https://x.example"}]);
    assert_eq!(response["output"][0]["content"][0]["annotations"], cited);
}

#[test]
fn text_beyond_what_is_kept_is_still_streamed() {
    let mut turn = vec![opened(), started()];
    turn.extend(message("x"));
    let piece = "y".repeat(MAX_KEPT_BYTES / 4);
    for _ in 0..6 {
        turn.push(AgentEvent::TextDelta { message: "m1".into(), text: piece.clone(), kind: TextKind::Text });
    }
    turn.extend([message_finished("m1", FinishReason::End), turn_finished("t1", TurnOutcome::Completed)]);
    let (events, _) = encode(&turn);
    assert_eq!(events.iter().filter(|event| event["type"] == "response.output_text.delta").count(), 7);
    let kept = events.last().unwrap()["response"]["output"][0]["content"][0]["text"].as_str().unwrap().len();
    assert!(kept <= MAX_KEPT_BYTES, "{kept}");
}

#[test]
fn an_answer_that_was_declined_without_a_word_is_not_complete() {
    let declined = [started()]
        .into_iter()
        .chain(message("I"))
        .chain([message_finished("m1", FinishReason::Refused), turn_finished("t1", TurnOutcome::Completed)]);
    let (event, response, status) = closing_event(&declined.collect::<Vec<_>>());
    assert_eq!((event.as_str(), status), ("response.incomplete", 200));
    assert_eq!(response["incomplete_details"]["reason"], "content_filter");
    assert_eq!(response["output"][0]["status"], "incomplete");
    let refusal = AgentEvent::TextDelta { message: "m1".into(), text: "I can't".into(), kind: TextKind::Refusal };
    let mut said = vec![started(), message("")[0].clone(), refusal];
    said.extend([message_finished("m1", FinishReason::Refused), turn_finished("t1", TurnOutcome::Completed)]);
    assert_eq!(closing_event(&said).0, "response.completed", "a refusal is an answer");
}

#[test]
fn a_call_for_the_client_that_was_cut_off_is_not_said_to_be_complete() {
    let statuses = [FinishReason::Length, FinishReason::Refused, FinishReason::ToolCalls, FinishReason::End].map(
        |finish_reason| {
            let last = call_for_the_client("{\"a\":\"b", finish_reason);
            let reason = last["response"]["incomplete_details"]["reason"].as_str().unwrap_or("-").to_owned();
            format!("{} {reason}", last["response"]["output"][0]["status"].as_str().unwrap())
        },
    );
    // Complete arguments are the client's to reject, even if invalid.
    assert_eq!(statuses, ["incomplete max_output_tokens", "incomplete content_filter", "completed -", "completed -"]);
    assert_eq!(call_for_the_client("{}", FinishReason::Length)["response"]["output"][0]["status"], "completed");
}

/// The closing event of an answer whose only call has these arguments.
fn call_for_the_client(args: &str, finish_reason: FinishReason) -> Json {
    let call: CallId = "c1".into();
    let heading = ResponseHead { id: "resp_1".into(), client_tools: true, ..ResponseHead::default() };
    let (mut encoder, mut frames) = (ResponsesEncoder::new(heading), Vec::new());
    let turn = [
        started(),
        message("")[0].clone(),
        AgentEvent::ToolCallStarted {
            call: call.clone(),
            message: "m1".into(),
            name: Some("write".into()),
            parent: None,
            executed_by: ExecutedBy::Client,
        },
        AgentEvent::ToolCallReady {
            call: call.clone(),
            name: "write".into(),
            args: args.into(),
            provider_metadata: None,
        },
        message_finished("m1", finish_reason),
        AgentEvent::ToolCallFinished {
            call,
            outcome: CallOutcome::Unknown,
            output: CallOutput::default(),
            duration: None,
        },
        turn_finished("t1", TurnOutcome::Completed),
    ];
    for event in turn {
        encoder.encode_event(&Envelope { seq: Seq(1), at: Millis(0), event }, &mut frames);
    }
    encoder.finish(&mut frames);
    serde_json::from_str(&frames.last().unwrap().data).unwrap()
}

#[test]
fn a_quiet_answer_says_its_state_once_more_and_counts_no_event() {
    let mut encoder = ResponsesEncoder::new(ResponseHead { id: "resp_1".into(), ..ResponseHead::default() });
    assert_eq!(encoder.keep_alive(), KeepAlive::Comment, "nothing was said yet");
    let mut frames = Vec::new();
    let mut turn = vec![opened(), started()];
    turn.extend(message("hi"));
    for (n, event) in turn.into_iter().enumerate() {
        encoder.encode_event(&Envelope { seq: Seq(n as u64 + 1), at: Millis(0), event }, &mut frames);
    }
    let last: Json = serde_json::from_str(&frames.last().unwrap().data).unwrap();
    let KeepAlive::Frame(frame) = encoder.keep_alive() else { panic!("clients drop comments") };
    let alive: Json = serde_json::from_str(&frame.data).unwrap();
    assert_eq!((&alive["type"], frame.event.as_str()), (&json!("response.in_progress"), "response.in_progress"));
    assert_eq!(alive["sequence_number"], last["sequence_number"]);
    assert_eq!((&alive["response"]["status"], &alive["response"]["output"]), (&json!("in_progress"), &json!([])));
    assert_eq!(encoder.keep_alive(), KeepAlive::Frame(frame), "it changes nothing");
    encoder.finish(&mut frames);
    assert_eq!(encoder.keep_alive(), KeepAlive::Comment, "it is over");
}
