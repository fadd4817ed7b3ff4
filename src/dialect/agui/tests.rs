mod interrupts;
mod sent_again;

use super::super::OpenCall;
use super::*;
use crate::event::{CallId, CallOutput, MessageId, NoticeCode};

fn decode(is_prompted: bool, frames: &[Json]) -> Vec<ReplyEvent> {
    let context = DecodeContext { prompt: is_prompted.then(String::new), ..DecodeContext::default() };
    decode_with(&context, frames)
}

fn decode_with(context: &DecodeContext, frames: &[Json]) -> Vec<ReplyEvent> {
    let (mut decoder, mut out) = (AgUiDecoder::new(context), Vec::new());
    for frame in frames {
        decoder.decode_frame(&SseFrame::data(frame.to_string()), &mut out);
    }
    decoder.finish(&mut out);
    out
}

/// A finished run around these events.
fn run(frames: &[Json]) -> Vec<ReplyEvent> {
    let mut whole = vec![json!({"type": "RUN_STARTED", "threadId": "t", "runId": "r"})];
    whole.extend_from_slice(frames);
    whole.push(json!({"type": "RUN_FINISHED", "threadId": "t", "runId": "r"}));
    decode(true, &whole)
}

/// A message: id, speaker, text, reasoning, finish reason.
#[derive(Debug, Default, PartialEq)]
struct DecodedMessage {
    id: String,
    parent: Option<CallId>,
    text: String,
    reasoning: String,
    finish_reason: Option<FinishReason>,
    full: Option<String>,
}

fn messages(events: &[ReplyEvent]) -> Vec<DecodedMessage> {
    let mut list: Vec<DecodedMessage> = Vec::new();
    for event in events {
        let find = |list: &mut Vec<DecodedMessage>, id: &MessageId| {
            list.iter().position(|decoded| decoded.id == id.as_str()).unwrap()
        };
        match event {
            ReplyEvent::MessageStarted { message, parent, .. } => {
                list.push(DecodedMessage {
                    id: message.to_string(),
                    parent: parent.clone(),
                    ..DecodedMessage::default()
                });
            }
            ReplyEvent::TextDelta { message, text, .. } => {
                let at = find(&mut list, message);
                list[at].text.push_str(text);
            }
            ReplyEvent::ReasoningDelta { message, text } => {
                let at = find(&mut list, message);
                list[at].reasoning.push_str(text);
            }
            ReplyEvent::MessageFinished { message, finish_reason, full_text: full, .. } => {
                let at = find(&mut list, message);
                assert_eq!(list[at].finish_reason.replace(*finish_reason), None, "finished twice");
                list[at].full.clone_from(full);
            }
            _ => {}
        }
    }
    list
}

fn texts(events: &[ReplyEvent]) -> Vec<String> {
    messages(events).into_iter().map(|message| message.text).collect()
}

fn finished(events: &[ReplyEvent]) -> Vec<(String, CallOutcome, String)> {
    events
        .iter()
        .filter_map(|event| match event {
            ReplyEvent::ToolCallFinished { call, outcome, output: CallOutput { text, .. }, .. } => {
                Some((call.to_string(), *outcome, text.clone()))
            }
            _ => None,
        })
        .collect()
}

fn ready(events: &[ReplyEvent]) -> Vec<(String, String, String)> {
    events
        .iter()
        .filter_map(|event| match event {
            ReplyEvent::ToolCallReady { call, name, args, .. } => Some((call.to_string(), name.clone(), args.clone())),
            _ => None,
        })
        .collect()
}

fn outcome(events: &[ReplyEvent]) -> &TurnOutcome {
    match events.last() {
        Some(ReplyEvent::End { outcome }) => outcome,
        other => panic!("{other:?}"),
    }
}

fn text(kind: &str, id: &str, delta: &str) -> Json {
    json!({"type": format!("TEXT_MESSAGE_{kind}"), "messageId": id, "delta": delta})
}

#[allow(clippy::needless_pass_by_value)]
fn call(kind: &str, id: &str, rest: Json) -> Json {
    let mut event = json!({"type": format!("TOOL_CALL_{kind}"), "toolCallId": id});
    event.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    event
}

fn annotation(events: &[ReplyEvent], kind: &str) -> Vec<Json> {
    events
        .iter()
        .filter_map(|event| match event {
            ReplyEvent::Annotation { annotation, .. } => Some(serde_json::to_value(annotation).unwrap()),
            _ => None,
        })
        .filter_map(|mut json| (json["kind"] == kind).then(|| json["data"].take()))
        .collect()
}

#[test]
fn reasoning_and_calls_without_words_make_one_message_and_the_answer_another() {
    let events = run(&[
        json!({"type": "REASONING_MESSAGE_START", "messageId": "m0"}),
        json!({"type": "REASONING_MESSAGE_CONTENT", "messageId": "m0", "delta": "Hm."}),
        json!({"type": "REASONING_MESSAGE_END", "messageId": "m0"}),
        call("START", "c1", json!({"toolCallName": "search", "parentMessageId": "x"})),
        call("ARGS", "c1", json!({"delta": "{\"q\":"})),
        call("ARGS", "c1", json!({"delta": "1}"})),
        call("END", "c1", json!({})),
        call("RESULT", "c1", json!({"messageId": "y", "content": "12", "role": "tool"})),
        text("START", "z", ""),
        text("CONTENT", "z", "It is "),
        text("CONTENT", "z", "12."),
        text("END", "z", ""),
    ]);
    let decoded = |id: &str, text: &str, reasoning: &str, finish_reason| DecodedMessage {
        id: id.into(),
        text: text.into(),
        reasoning: reasoning.into(),
        finish_reason: Some(finish_reason),
        ..DecodedMessage::default()
    };
    assert_eq!(
        messages(&events),
        [decoded("m1", "", "Hm.", FinishReason::ToolCalls), decoded("m2", "It is 12.", "", FinishReason::End)]
    );
    assert_eq!(ready(&events), [("c1".into(), "search".into(), "{\"q\":1}".into())]);
    assert_eq!(finished(&events), [("c1".into(), CallOutcome::Ok, "12".into())]);
    assert_eq!(outcome(&events), &TurnOutcome::Completed);
}

#[test]
fn a_call_without_a_result_stays_a_request() {
    let events = run(&[
        text("START", "a", ""),
        text("CONTENT", "a", "Look:"),
        text("END", "a", ""),
        call("START", "c1", json!({"toolCallName": "show", "parentMessageId": "a"})),
        call("END", "c1", json!({})),
    ]);
    assert_eq!(ready(&events), [("c1".into(), "show".into(), "{}".to_owned())]);
    assert_eq!(finished(&events), []);
    assert!(events.iter().any(|event| matches!(
        event,
        ReplyEvent::ToolCallStarted { message, executed_by: ExecutedBy::Client, .. } if message.as_str() == "m1"
    )));
}

#[test]
fn chunks_start_and_end_by_themselves() {
    let events = run(&[
        json!({"type": "TEXT_MESSAGE_CHUNK", "messageId": "a", "role": "assistant", "delta": "Hel"}),
        json!({"type": "STATE_SNAPSHOT", "snapshot": {"a": 1}}),
        json!({"type": "TEXT_MESSAGE_CHUNK", "delta": "lo"}),
        json!({"type": "TOOL_CALL_CHUNK", "toolCallId": "c1", "toolCallName": "f", "parentMessageId": "a", "delta": "{\"x\""}),
        json!({"type": "TOOL_CALL_CHUNK", "delta": ":1}"}),
        json!({"type": "TOOL_CALL_CHUNK", "toolCallId": "c2", "toolCallName": "g", "delta": "{}"}),
        json!({"type": "TEXT_MESSAGE_CHUNK", "messageId": "b", "delta": "Bye"}),
    ]);
    assert_eq!(texts(&events).join("|").replace("||", "|"), "Hello|Bye");
    assert_eq!(ready(&events), [("c1".into(), "f".into(), "{\"x\":1}".into()), ("c2".into(), "g".into(), "{}".into())]);
}

#[test]
fn the_old_names_of_reasoning_are_understood() {
    let events = run(&[
        json!({"type": "THINKING_START", "title": "x"}),
        json!({"type": "THINKING_TEXT_MESSAGE_START"}),
        json!({"type": "THINKING_TEXT_MESSAGE_CONTENT", "delta": "Hm"}),
        json!({"type": "THINKING_TEXT_MESSAGE_END"}),
        json!({"type": "THINKING_END"}),
        text("CONTENT", "a", "So."),
    ]);
    let [decoded] = &messages(&events)[..] else { panic!("{events:?}") };
    assert_eq!((decoded.text.as_str(), decoded.reasoning.as_str()), ("So.", "Hm"));
}

#[test]
fn a_run_ends_well_badly_cancelled_or_waiting() {
    let finish = |outcome: Json| {
        decode(true, &[json!({"type": "RUN_FINISHED", "threadId": "t", "runId": "r", "outcome": outcome})])
    };
    assert_eq!(outcome(&finish(json!({"type": "success", "pendingToolCallIds": ["c"]}))), &TurnOutcome::Completed);
    assert_eq!(outcome(&finish(json!({"type": "cancelled"}))), &TurnOutcome::Cancelled);
    assert_eq!(outcome(&finish(json!("cancelled"))), &TurnOutcome::Cancelled);
    let waits =
        finish(json!({"type": "interrupt", "interrupts": [{"id": "i", "reason": "approval", "message": "May I?"}]}));
    assert_eq!(outcome(&waits), &TurnOutcome::Completed);
    assert!(waits.iter().any(|event| matches!(
        event,
        ReplyEvent::Notice { code: NoticeCode::InputRequired, text, .. } if text.ends_with("May I?")
    )));
    assert_eq!(annotation(&waits, "interrupt").len(), 1);
    let failed = decode(
        true,
        &[
            text("CONTENT", "a", "half"),
            json!({"type": "RUN_ERROR", "message": "Out of luck.", "code": "RATE_LIMIT"}),
            json!({"type": "RUN_FINISHED", "threadId": "t", "runId": "r"}),
        ],
    );
    assert!(matches!(outcome(&failed), TurnOutcome::Failed(fault) if fault.message.contains("Out of luck")));
    assert_eq!(messages(&failed)[0].finish_reason, Some(FinishReason::Failed));
    assert_eq!(outcome(&decode(true, &[text("CONTENT", "a", "half")])), &TurnOutcome::Interrupted);
}

#[test]
fn a_run_inside_the_run_does_not_end_it() {
    let run = |kind: &str, id: &str| json!({"type": kind, "threadId": "t", "runId": id});
    let frames = [run("RUN_STARTED", "r1"), run("RUN_STARTED", "r2"), run("RUN_FINISHED", "r2")];
    assert_eq!(outcome(&decode(true, &frames)), &TurnOutcome::Interrupted);
    let frames = [run("RUN_STARTED", "r1"), run("RUN_FINISHED", "r1"), run("RUN_STARTED", "r2")];
    assert_eq!(outcome(&decode(true, &frames)), &TurnOutcome::Interrupted, "the second run was cut");
}

#[test]
fn what_we_said_is_not_told_back_but_shown_to_a_watcher() {
    let frames = [
        json!({"type": "TEXT_MESSAGE_START", "messageId": "u", "role": "user"}),
        text("CONTENT", "u", "hi"),
        text("END", "u", ""),
        text("CONTENT", "a", "yo"),
    ];
    assert_eq!(texts(&decode(true, &frames)), ["yo"]);
    assert_eq!(texts(&decode(false, &frames)), ["hi", "yo"]);
}

#[test]
fn a_subagent_speaks_for_the_call_that_began_it_or_for_one_of_its_own() {
    let of = |run: &str, mut event: Json| {
        event["subagentRunId"] = run.into();
        event
    };
    let events = run(&[
        call("START", "c1", json!({"toolCallName": "delegate"})),
        call("END", "c1", json!({})),
        json!({"type": "SUBAGENT_STARTED", "subagentRunId": "s1", "name": "researcher", "parentToolCallId": "c1"}),
        of("s1", text("CONTENT", "x", "Looking.")),
        of("s1", call("START", "c2", json!({"toolCallName": "search"}))),
        of("s1", call("RESULT", "c2", json!({"content": "found"}))),
        json!({"type": "SUBAGENT_FINISHED", "subagentRunId": "s1", "result": "done"}),
        json!({"type": "SUBAGENT_STARTED", "subagentRunId": "s2", "name": "writer", "description": "writes"}),
        of("s2", text("CONTENT", "y", "Writing.")),
        json!({"type": "SUBAGENT_ERROR", "subagentRunId": "s2", "message": "no ink"}),
        text("CONTENT", "z", "All done."),
    ]);
    let decoded: Vec<_> = messages(&events)
        .into_iter()
        .filter(|decoded| !decoded.text.is_empty())
        .map(|decoded| (decoded.text, decoded.parent.map(|parent| parent.to_string())))
        .collect();
    assert_eq!(
        decoded,
        [
            ("Looking.".into(), Some("c1".into())),
            ("Writing.".into(), Some("subagent s2".into())),
            ("All done.".into(), None),
        ]
    );
    assert!(events.iter().any(|event| matches!(
        event,
        ReplyEvent::ToolCallStarted { call, parent: Some(parent), .. } if call.as_str() == "c2" && parent.as_str() == "c1"
    )));
    assert_eq!(
        finished(&events),
        [("c2".into(), CallOutcome::Ok, "found".into()), ("subagent s2".into(), CallOutcome::Failed, "no ink".into())]
    );
}

#[test]
fn state_steps_and_custom_events_are_annotations_and_raw_ones_are_counted() {
    let events = run(&[
        json!({"type": "STEP_STARTED", "stepName": "plan"}),
        json!({"type": "STATE_DELTA", "delta": [{"op": "add", "path": "/a", "value": 1}]}),
        json!({"type": "STATE_SNAPSHOT", "snapshot": "x".repeat(MAX_ANNOTATION_BYTES)}),
        json!({"type": "ACTIVITY_SNAPSHOT", "messageId": "p", "activityType": "PLAN", "content": {"steps": []}}),
        json!({"type": "CUSTOM", "name": "note", "value": {"a": 1}}),
        json!({"type": "RAW", "event": {"x": 1}}),
        json!({"type": "RAW", "event": {"x": 1}}),
        json!({"type": "SOMETHING_NEW"}),
    ]);
    assert_eq!(annotation(&events, "step"), [json!({"name": "plan", "state": "started"})]);
    assert_eq!(
        annotation(&events, "state"),
        [json!({"patch": [{"op": "add", "path": "/a", "value": 1}]}), json!({"bytes": MAX_ANNOTATION_BYTES + 2})]
    );
    assert_eq!(annotation(&events, "activity"), [json!({"id": "p", "type": "PLAN", "content": {"steps": []}})]);
    assert_eq!(
        annotation(&events, "custom"),
        [json!({"name": "note", "value": {"a": 1}}), json!({"name": "raw events", "value": 2})]
    );
}

#[test]
fn usage_of_all_models_is_added_up() {
    let events = decode(
        true,
        &[json!({"type": "RUN_FINISHED", "usage": [
            {"provider": "p", "model": "a", "inputTokens": 10, "outputTokens": 2},
            {"provider": "p", "model": "b", "inputTokens": 1, "outputTokens": 3, "reasoningTokens": 2},
        ]})],
    );
    let usage = events.iter().find_map(|event| match event {
        ReplyEvent::UsageReported { usage, .. } => {
            Some((usage.input_tokens, usage.output_tokens, usage.reasoning_tokens))
        }
        _ => None,
    });
    assert_eq!(usage, Some((11, 5, 2)));
}

#[test]
fn encrypted_reasoning_is_kept_for_the_way_back() {
    let events = run(&[
        json!({"type": "REASONING_MESSAGE_START", "messageId": "r"}),
        json!({"type": "REASONING_ENCRYPTED_VALUE", "subtype": "message", "entityId": "r", "encryptedValue": "zz"}),
    ]);
    let metadata = events.iter().find_map(|event| match event {
        ReplyEvent::MessageFinished { provider_metadata: metadata, .. } => metadata.clone(),
        _ => None,
    });
    let value = json!({"subtype": "message", "entityId": "r", "encryptedValue": "zz"});
    assert_eq!(metadata, Some(json!({"encrypted_values": [value]})));
}

#[test]
fn several_arguments_in_one_stay_with_their_call_when_old_calls_are_forgotten() {
    let mut frames = Vec::new();
    for n in 0..4095 {
        frames.push(call("START", &format!("c{n}"), json!({"toolCallName": "old"})));
        frames.push(call("END", &format!("c{n}"), json!({})));
    }
    frames.push(call("START", "last", json!({"toolCallName": "sum"})));
    frames.push(call("ARGS", "last", json!({"delta": r#"{"a":1}{"a":2}{"a":3}"#})));
    frames.push(call("END", "last", json!({})));
    let decoded = ready(&run(&frames));
    let last: Vec<_> = decoded[4095..].iter().map(|(_, name, args)| (name.as_str(), args.as_str())).collect();
    assert_eq!(last, [("sum", r#"{"a":1}"#), ("sum", r#"{"a":2}"#), ("sum", r#"{"a":3}"#)]);
}

#[test]
fn the_result_of_a_call_that_was_approved_since_belongs_to_that_call() {
    let open_calls = vec![OpenCall { wire_id: "c1".into(), name: "rm".into() }];
    let events = decode_with(
        &DecodeContext { prompt: Some("go".into()), open_calls, ..DecodeContext::default() },
        &[
            json!({"type": "RUN_STARTED", "threadId": "t", "runId": "r"}),
            json!({"type": "TOOL_CALL_START", "toolCallId": "c1", "toolCallName": "rm"}),
            json!({"type": "TOOL_CALL_ARGS", "toolCallId": "c1", "delta": "{}"}),
            json!({"type": "TOOL_CALL_END", "toolCallId": "c1"}),
            json!({"type": "TOOL_CALL_RESULT", "toolCallId": "c1", "content": "gone"}),
            json!({"type": "RUN_FINISHED", "threadId": "t", "runId": "r"}),
        ],
    );
    let finished = ReplyEvent::ToolCallFinished {
        call: "c1".into(),
        outcome: CallOutcome::Ok,
        output: CallOutput::from_text("gone"),
        duration: None,
    };
    assert_eq!(events, [finished, ReplyEvent::End { outcome: TurnOutcome::Completed }]);
}

#[test]
fn arguments_of_which_a_piece_was_lost_are_completed_by_a_snapshot() {
    let call =
        json!({"id": "c1", "type": "function", "function": {"name": "weather", "arguments": r#"{"city": "Paris"}"#}});
    let lost = [
        json!({"type": "TOOL_CALL_START", "toolCallId": "c1", "toolCallName": "weather", "parentMessageId": "a"}),
        json!({"type": "TOOL_CALL_ARGS", "toolCallId": "c1", "delta": r#"{"city":"#}),
        json!({"type": "TOOL_CALL_END", "toolCallId": "c1"}),
        json!({"type": "TOOL_CALL_RESULT", "toolCallId": "c1", "content": "12"}),
    ];
    let snapshot = json!({"type": "MESSAGES_SNAPSHOT", "messages": [
        {"id": "u", "role": "user", "content": "?"}, {"id": "a", "role": "assistant", "content": "", "toolCalls": [call]},
        {"id": "t", "role": "tool", "toolCallId": "c1", "content": "12"},
    ]});
    let told = |frames: &[Json]| {
        let events = run(frames);
        let kinds = events.iter().filter_map(|event| match event {
            ReplyEvent::ToolCallReady { args, .. } => Some(format!("ready {args}")),
            ReplyEvent::ToolCallFinished { output, .. } => Some(format!("finished {}", output.text)),
            _ => None,
        });
        kinds.collect::<Vec<_>>()
    };
    let whole = [&lost[..], &[snapshot]].concat();
    assert_eq!(told(&whole), [r#"ready {"city": "Paris"}"#, "finished 12"]);
    assert_eq!(told(&lost), [r#"ready {"city":"#, "finished 12"], "it is told all the same");
}
