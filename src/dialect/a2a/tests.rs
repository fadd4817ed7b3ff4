use serde_json::json;

use super::*;
use crate::event::{Annotation, MessageId, NoticeCode, ReplyTarget};

fn decode(is_prompted: bool, results: &[Json]) -> Vec<ReplyEvent> {
    let (mut decoder, mut out) = (A2aDecoder::new(is_prompted), Vec::new());
    for result in results {
        let frame = json!({"jsonrpc": "2.0", "id": 1, "result": result});
        decoder.decode_frame(&SseFrame::data(frame.to_string()), &mut out);
    }
    decoder.finish(&mut out);
    out
}

/// The texts of all messages, reconciled, and the outcome.
fn texts_and_outcome(events: &[ReplyEvent]) -> (Vec<String>, TurnOutcome) {
    let mut list: Vec<(MessageId, String)> = Vec::new();
    for event in events {
        match event {
            ReplyEvent::MessageStarted { message, .. } => list.push((message.clone(), String::new())),
            ReplyEvent::TextDelta { message, text, .. } => {
                list.iter_mut().find(|(id, _)| id == message).unwrap().1.push_str(text);
            }
            ReplyEvent::MessageFinished { message, full_text: Some(full), .. } => {
                list.iter_mut().find(|(id, _)| id == message).unwrap().1.clone_from(full);
            }
            ReplyEvent::End { outcome } => {
                return (list.into_iter().map(|(_, text)| text).collect(), outcome.clone());
            }
            _ => {}
        }
    }
    panic!("no end")
}

fn codes(events: &[ReplyEvent]) -> Vec<NoticeCode> {
    events
        .iter()
        .filter_map(|event| match event {
            ReplyEvent::Notice { code, .. } => Some(code.clone()),
            _ => None,
        })
        .collect()
}

fn part(text: &str) -> Json {
    json!([{"kind": "text", "text": text}])
}

fn task() -> Json {
    json!({"kind": "task", "id": "T", "contextId": "C", "status": {"state": "submitted"},
        "history": [{"kind": "message", "role": "user", "messageId": "u", "parts": part("hi")}]})
}

fn status(state: &str, text: &str, last: bool) -> Json {
    let mut status = json!({"state": state});
    if !text.is_empty() {
        status["message"] = json!({"role": "agent", "messageId": format!("id {text}"), "parts": part(text)});
    }
    json!({"kind": "status-update", "taskId": "T", "contextId": "C", "status": status, "final": last})
}

fn artifact(id: &str, text: &str, append: bool, last: bool) -> Json {
    json!({"kind": "artifact-update", "taskId": "T", "contextId": "C",
        "artifact": {"artifactId": id, "parts": part(text)}, "append": append, "lastChunk": last})
}

fn done() -> Json {
    status("completed", "", true)
}

#[test]
fn an_artifact_is_written_piece_by_piece() {
    let events = decode(
        true,
        &[
            task(),
            status("working", "Looking.", false),
            artifact("a", "It is ", false, false),
            artifact("a", "12.", true, true),
            done(),
        ],
    );
    assert_eq!(texts_and_outcome(&events), (vec!["Looking.".into(), "It is 12.".into()], TurnOutcome::Completed));
    let note = ReplyEvent::Annotation {
        on: ReplyTarget::Reply,
        annotation: Annotation::Task { id: "T".into(), context: Some("C".into()) },
    };
    assert_eq!(events.iter().filter(|event| **event == note).count(), 1);
}

#[test]
fn version_one_wraps_its_results_and_ends_without_a_mark() {
    let message = json!({"messageId": "s", "role": "ROLE_AGENT", "parts": [{"text": "Looking."}]});
    let events = decode(
        true,
        &[
            json!({"task": {"id": "T", "contextId": "C", "status": {"state": "TASK_STATE_SUBMITTED"}}}),
            json!({"statusUpdate": {"taskId": "T", "contextId": "C", "status": {"state": "TASK_STATE_WORKING", "message": message}}}),
            json!({"artifactUpdate": {"taskId": "T", "contextId": "C", "artifact": {"artifactId": "a", "parts": [{"text": "12"}]}, "lastChunk": true}}),
            json!({"statusUpdate": {"taskId": "T", "contextId": "C", "status": {"state": "TASK_STATE_COMPLETED"}}}),
        ],
    );
    assert_eq!(texts_and_outcome(&events), (vec!["Looking.".into(), "12".into()], TurnOutcome::Completed));
}

#[test]
fn frames_without_json_rpc_are_the_rest_binding() {
    let mut decoder = A2aDecoder::new(true);
    let mut out = Vec::new();
    let frame = json!({"message": {"messageId": "m", "role": "ROLE_AGENT", "parts": [{"text": "Hi"}]}});
    decoder.decode_frame(&SseFrame::data(frame.to_string()), &mut out);
    decoder.finish(&mut out);
    assert_eq!(texts_and_outcome(&out), (vec!["Hi".into()], TurnOutcome::Completed));
}

#[test]
fn text_that_comes_twice_is_emitted_once() {
    let one = |results: &[Json]| texts_and_outcome(&decode(true, results)).0;
    let last = |text: &str| status("completed", text, true);
    assert_eq!(one(&[artifact("a", "It is 12.", false, true), last("It is 12.")]), ["It is 12."]);
    assert_eq!(
        one(&[
            status("working", "It is 12.", false),
            artifact("a", "It ", false, false),
            artifact("a", "is 12.", true, true),
            done()
        ]),
        ["It is 12."]
    );
    // Deltas in status messages, the whole in an artifact.
    assert_eq!(
        one(&[
            status("working", "Hm.", false),
            status("working", "It ", false),
            status("working", "is 12.", false),
            artifact("a", "It is 12.", false, true),
            done()
        ]),
        ["Hm.", "It ", "is 12."]
    );
    assert_eq!(
        one(&[artifact("a", "one", false, true), artifact("b", "two", false, true), last("one\ntwo")]),
        ["one", "two"]
    );
    assert_eq!(one(&[status("working", "Busy", false), status("working", "Busy", false), done()]), ["Busy"]);
    // A text with only a common prefix is emitted.
    assert_eq!(
        one(&[status("working", "12 results", false), artifact("a", "12", false, true), done()]),
        ["12 results", "12"]
    );
    assert_eq!(
        one(&[
            status("working", "It is", false),
            artifact("a", "It is ", false, false),
            artifact("a", "12", true, true),
            done()
        ]),
        ["It is", "It is 12"]
    );
}

#[test]
fn an_artifact_that_comes_again_replaces_what_it_was() {
    let one = |again: &str| {
        texts_and_outcome(&decode(
            true,
            &[
                artifact("a", "draft", false, false),
                artifact("a", again, false, false),
                artifact("a", "!", true, true),
                done(),
            ],
        ))
        .0
    };
    assert_eq!(one("draft"), ["draft!"]);
    assert_eq!(one("draft two"), ["draft two!"]);
    assert_eq!(one("final"), ["final", "!"]);
}

#[test]
fn the_task_as_a_whole_repeats_and_completes() {
    let whole = json!({"kind": "task", "id": "T", "contextId": "C", "status": {"state": "completed"},
    "artifacts": [{"artifactId": "a", "parts": part("It is 12.")}, {"artifactId": "b", "parts": part("More.")}],
    "history": [
        {"role": "agent", "messageId": "old", "parts": part("an old answer")},
        {"role": "user", "messageId": "u", "parts": part("hi")},
        {"role": "agent", "messageId": "id Looking.", "parts": part("Looking.")},
    ]});
    let frames = [status("working", "Looking.", false), artifact("a", "It is ", false, false), whole];
    assert_eq!(texts_and_outcome(&decode(true, &frames)).0, ["Looking.", "It is 12.", "More."]);
    assert_eq!(texts_and_outcome(&decode(false, &frames[2..])).0, ["an old answer", "Looking.", "It is 12.", "More."]);
}

#[test]
fn a_task_ends_in_one_of_many_ways() {
    let of = |state: &str, text: &str| decode(true, &[status("working", "", false), status(state, text, true)]);
    assert_eq!(texts_and_outcome(&of("canceled", "")).1, TurnOutcome::Cancelled);
    let (texts, end) = texts_and_outcome(&of("failed", "No luck."));
    assert!(texts.is_empty(), "the words are the fault's");
    assert_eq!(end, TurnOutcome::Failed(Fault::new(FaultKind::Upstream, "the agent's task failed: No luck")));
    assert!(matches!(
        texts_and_outcome(&of("rejected", "")).1,
        TurnOutcome::Failed(Fault { kind: FaultKind::Refused, .. })
    ));
    let events_of = of("input-required", "Which city?");
    assert_eq!(texts_and_outcome(&events_of), (vec!["Which city?".into()], TurnOutcome::Completed));
    assert_eq!(codes(&events_of), [NoticeCode::InputRequired]);
    assert_eq!(codes(&of("auth-required", "")), [NoticeCode::AuthRequired]);
    assert_eq!(codes(&of("working", "Still busy")), [NoticeCode::TaskOpen]);
    assert_eq!(
        texts_and_outcome(&decode(true, &[status("working", "half", false)])),
        (vec!["half".into()], TurnOutcome::Interrupted)
    );
}

#[test]
fn errors_of_json_rpc_keep_their_words_and_kind() {
    let of = |error: Json| {
        let (mut decoder, mut out) = (A2aDecoder::new(true), Vec::new());
        decoder.decode_frame(&SseFrame::data(json!({"jsonrpc": "2.0", "id": 1, "error": error}).to_string()), &mut out);
        decoder.finish(&mut out);
        match texts_and_outcome(&out).1 {
            TurnOutcome::Failed(fault) => (fault.kind, fault.message),
            other => panic!("{other:?}"),
        }
    };
    let (kind, message) = of(json!({"code": -32001, "message": "Task not found", "data": "T9"}));
    assert_eq!(
        (kind, message.as_str()),
        (FaultKind::BadRequest, "the agent did not accept the request: Task not found (T9)")
    );
    assert_eq!(of(json!({"code": -32603, "message": "Internal error"})).0, FaultKind::Upstream);
    assert_eq!(of(json!({"code": 429, "message": "slow down"})).0, FaultKind::RateLimited);
}

#[test]
fn parts_that_are_not_text_are_annotations_without_their_bytes() {
    let parts = json!([
        {"kind": "data", "data": {"n": 1}},
        {"kind": "file", "file": {"name": "a.png", "mimeType": "image/png", "bytes": "AAAABBBB"}},
        {"url": "https://h/x", "filename": "x", "mediaType": "text/plain"},
        {"strange": true},
    ]);
    let events = decode(true, &[json!({"kind": "message", "role": "agent", "messageId": "m", "parts": parts})]);
    let parts: Vec<&Json> = events
        .iter()
        .filter_map(|event| match event {
            ReplyEvent::Annotation { annotation: Annotation::Part(data), .. } => Some(data),
            _ => None,
        })
        .collect();
    assert_eq!(
        parts,
        [
            &json!({"kind": "data", "data": {"n": 1}}),
            &json!({"kind": "file", "name": "a.png", "media_type": "image/png", "bytes": 6}),
            &json!({"kind": "file", "name": "x", "media_type": "text/plain", "url": "https://h/x"}),
        ]
    );
    assert_eq!(codes(&events), [NoticeCode::Parts]);
}

#[test]
fn thoughts_are_reasoning_and_a_growing_message_goes_on() {
    let message = |text: &str| {
        let parts = json!([{"text": "hm", "metadata": {"adk_thought": true}}, {"text": text}]);
        json!({"statusUpdate": {"taskId": "T", "status": {"state": "TASK_STATE_WORKING",
            "message": {"messageId": "s", "role": "ROLE_AGENT", "parts": parts}}}})
    };
    let events = decode(true, &[message("Hel"), message("Hello")]);
    assert_eq!(texts_and_outcome(&events).0, ["Hello"]);
    let reasoning_deltas = events.iter().filter(|event| matches!(event, ReplyEvent::ReasoningDelta { .. })).count();
    assert_eq!(reasoning_deltas, 1);
}

#[test]
fn strange_results_do_no_harm() {
    let events = decode(
        true,
        &[json!({}), json!(null), json!({"kind": "task"}), json!({"artifactUpdate": {"artifact": 1}}), task()],
    );
    assert_eq!(texts_and_outcome(&events), (vec![], TurnOutcome::Interrupted));
}
