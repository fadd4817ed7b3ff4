use super::*;
use crate::dialect::{Decode as _, SseFrame};
use crate::event::FaultKind;

fn decode(lines: &[&str]) -> Vec<ReplyEvent> {
    let (mut decoder, mut out) = (ClaudeCodeDecoder::default(), Vec::new());
    for line in lines {
        decoder.decode_frame(&SseFrame::data(*line), &mut out);
    }
    decoder.finish(&mut out);
    out
}

fn text(events: &[ReplyEvent]) -> String {
    let pieces = events.iter().filter_map(|event| match event {
        ReplyEvent::TextDelta { text, .. } => Some(text.as_str()),
        _ => None,
    });
    pieces.collect()
}

fn outcome(events: &[ReplyEvent]) -> &TurnOutcome {
    match events.last() {
        Some(ReplyEvent::End { outcome }) => outcome,
        other => panic!("{other:?}"),
    }
}

fn said(words: &str) -> String {
    format!(
        r#"{{"type":"assistant","message":{{"id":"m","content":[{{"type":"text","text":"{words}"}}]}},"session_id":"s"}}"#
    )
}

const RESULT: &str = r#"{"type":"result","subtype":"success","is_error":false,"duration_ms":5,"session_id":"s"}"#;
const FAILED: &str = r#"{"type":"result","subtype":"error_during_execution","is_error":true,"duration_ms":5,"error":{"message":"[API Error: 500 boom]"},"session_id":"s"}"#;

#[test]
fn an_error_that_is_glued_to_the_answer_is_taken_out_of_it() {
    let words = said("Half an answer[API Error: 500 boom]");
    let events = decode(&[&words, FAILED]);
    assert_eq!(text(&events), "Half an answer");
    assert!(matches!(outcome(&events), TurnOutcome::Failed(fault) if fault.kind == FaultKind::Upstream), "{events:?}");
    // Without a failure it was part of the answer.
    for last in [&[&words, RESULT][..], &[&words], &[&words, &said(""), RESULT]] {
        assert_eq!(text(&decode(last)), "Half an answer[API Error: 500 boom]", "{last:?}");
    }
}

#[test]
fn a_beginning_whose_stream_broke_is_no_part_of_the_answer() {
    let delta = r#"{"type":"stream_event","event":{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Half an"}},"session_id":"s"}"#;
    let events = decode(&[delta, &said("Another answer"), RESULT]);
    let whole: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            ReplyEvent::MessageFinished { full_text, .. } => Some(full_text.as_deref()),
            _ => None,
        })
        .collect();
    assert_eq!(whole, [Some(""), None], "{events:?}");
    // One that is repeated goes on.
    assert_eq!(text(&decode(&[delta, &said("Half an answer"), RESULT])), "Half an answer");
}

#[test]
fn an_error_that_streams_at_the_end_of_the_answer_is_taken_out_too() {
    let event = |event: &str| format!(r#"{{"type":"stream_event","event":{event},"session_id":"s"}}"#);
    let delta = |words: &str| {
        event(&format!(
            r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"{words}"}}}}"#
        ))
    };
    let whole = said("Half an answer[API Error: 500 boom]");
    let stop = event(r#"{"type":"content_block_stop","index":0}"#);
    let lines = [delta("Half an "), delta("answer"), delta("[API Error: 500 boom]"), stop, whole];
    let lines: Vec<&str> = lines.iter().map(String::as_str).chain([FAILED]).collect();
    assert_eq!(text(&decode(&lines)), "Half an answer");
}

#[test]
fn a_failure_of_a_sub_agent_is_not_the_end() {
    let nested = r#"{"type":"result","subtype":"error_during_execution","is_error":true,"duration_ms":0,"duration_api_ms":0,"error":{"message":"boom"},"session_id":"s"}"#;
    let events = decode(&[nested, &said("On it goes."), RESULT]);
    assert_eq!((text(&events).as_str(), outcome(&events)), ("On it goes.", &TurnOutcome::Completed));
    assert!(matches!(outcome(&decode(&[nested])), TurnOutcome::Failed(_)));
}

#[test]
fn a_call_that_was_not_permitted_is_denied_when_the_result_says_so() {
    let call = r#"{"type":"assistant","message":{"id":"m","content":[{"type":"tool_use","id":"c","name":"Bash","input":{"command":"x"}}]},"session_id":"s"}"#;
    let refused = r#"{"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"c","is_error":true,"content":"no"}]},"session_id":"s"}"#;
    let result = r#"{"type":"result","subtype":"success","is_error":false,"permission_denials":[{"tool_use_id":"c"}],"session_id":"s"}"#;
    let outcomes: Vec<CallOutcome> = decode(&[call, refused, result])
        .iter()
        .filter_map(|event| match event {
            ReplyEvent::ToolCallFinished { outcome, output, .. } => {
                assert_eq!(output.text, "no");
                Some(*outcome)
            }
            _ => None,
        })
        .collect();
    assert_eq!(outcomes, [CallOutcome::Failed, CallOutcome::Denied]);
}

#[test]
fn warnings_before_the_first_line_of_json_are_kept() {
    let events = decode(&["(node:1) Warning: careful", &said("Hi"), RESULT, "trailing words"]);
    let noise = events.iter().filter(|event| matches!(event, ReplyEvent::Notice { code: NoticeCode::Noise, .. }));
    assert_eq!((noise.count(), outcome(&events)), (1, &TurnOutcome::Completed));
}
