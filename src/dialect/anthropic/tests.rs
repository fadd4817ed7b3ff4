use super::*;
use crate::event::{Annotation, CallOutcome, CallOutput, ExecutedBy, FaultKind, TurnOutcome};

fn decode(frames: &[&str]) -> Vec<ReplyEvent> {
    let (mut decoder, mut out) = (AnthropicDecoder::new(), Vec::new());
    for data in frames {
        decoder.decode_frame(&SseFrame::data(*data), &mut out);
    }
    decoder.finish(&mut out);
    out
}

fn start(index: u32, block: &str) -> String {
    format!(r#"{{"type":"content_block_start","index":{index},"content_block":{block}}}"#)
}

fn delta(index: u32, delta: &str) -> String {
    format!(r#"{{"type":"content_block_delta","index":{index},"delta":{delta}}}"#)
}

fn stop(index: u32) -> String {
    format!(r#"{{"type":"content_block_stop","index":{index}}}"#)
}

fn reason(reason: &str) -> String {
    format!(r#"{{"type":"message_delta","delta":{{"stop_reason":"{reason}"}},"usage":{{"output_tokens":7}}}}"#)
}

const START: &str = r#"{"type":"message_start","message":{"usage":{"input_tokens":25,"output_tokens":1,"cache_read_input_tokens":100,"cache_creation_input_tokens":10}}}"#;
const STOP: &str = r#"{"type":"message_stop"}"#;

fn run(frames: &[String]) -> Vec<ReplyEvent> {
    let whole: Vec<&str> = [START].into_iter().chain(frames.iter().map(String::as_str)).collect();
    decode(&whole)
}

fn finished(events: &[ReplyEvent]) -> (FinishReason, Option<Json>) {
    events
        .iter()
        .find_map(|event| match event {
            ReplyEvent::MessageFinished { finish_reason, provider_metadata: metadata, .. } => {
                Some((*finish_reason, metadata.clone()))
            }
            _ => None,
        })
        .unwrap()
}

fn outcome(events: &[ReplyEvent]) -> &TurnOutcome {
    match events.last() {
        Some(ReplyEvent::End { outcome }) => outcome,
        other => panic!("{other:?}"),
    }
}

fn text(events: &[ReplyEvent]) -> String {
    events
        .iter()
        .filter_map(|event| match event {
            ReplyEvent::TextDelta { text, .. } => Some(text.as_str()),
            _ => None,
        })
        .collect()
}

#[test]
fn signed_and_hidden_thinking_are_carried_in_order_with_the_call() {
    let events = run(&[
        start(0, r#"{"type":"thinking","thinking":"","signature":""}"#),
        delta(0, r#"{"type":"thinking_delta","thinking":"Hm"}"#),
        delta(0, r#"{"type":"signature_delta","signature":"Eq"}"#),
        stop(0),
        start(1, r#"{"type":"redacted_thinking","data":"xx"}"#),
        stop(1),
        start(2, r#"{"type":"text","text":""}"#),
        delta(2, r#"{"type":"text_delta","text":"So."}"#),
        stop(2),
        start(3, r#"{"type":"tool_use","id":"toolu_1","name":"clock","input":{}}"#),
        delta(3, r#"{"type":"input_json_delta","partial_json":"{\"z\":"}"#),
        delta(3, r#"{"type":"input_json_delta","partial_json":"1}"}"#),
        stop(3),
        reason("tool_use"),
        STOP.into(),
    ]);
    let (finish_reason, metadata) = finished(&events);
    assert_eq!(finish_reason, FinishReason::ToolCalls);
    assert_eq!(
        metadata,
        Some(json!({"content": [
            {"type": "thinking", "thinking": "Hm", "signature": "Eq"},
            {"type": "redacted_thinking", "data": "xx"},
            {"type": "text", "text": "So."},
            {"type": "tool_use", "id": "toolu_1", "name": "clock"},
        ]}))
    );
    assert!(events.contains(&ReplyEvent::ToolCallReady {
        call: "toolu_1".into(),
        name: "clock".into(),
        args: "{\"z\":1}".into(),
        provider_metadata: Some(json!({"id": "toolu_1"})),
    }));
}

#[test]
fn text_and_calls_alone_need_no_carry() {
    let events = run(&[
        start(0, r#"{"type":"text","text":"Hi"}"#),
        stop(0),
        start(1, r#"{"type":"tool_use","id":"t","name":"clock","input":{"z":1}}"#),
        stop(1),
        reason("tool_use"),
        STOP.into(),
    ]);
    assert_eq!(finished(&events), (FinishReason::ToolCalls, None));
    assert_eq!(text(&events), "Hi");
    assert!(events.iter().any(|event| matches!(event, ReplyEvent::ToolCallReady { args, .. } if args == "{\"z\":1}")));
}

#[test]
fn a_tool_of_the_server_is_a_call_the_server_ran() {
    let search = r#"{"type":"server_tool_use","id":"s1","name":"web_search","input":{}}"#;
    let found = r#"{"type":"web_search_tool_result","tool_use_id":"s1","content":[{"type":"web_search_result","title":"Oslo","url":"https://o","encrypted_content":"e"}]}"#;
    let events = run(&[
        start(0, search),
        delta(0, r#"{"type":"input_json_delta","partial_json":"{\"query\":\"oslo\"}"}"#),
        stop(0),
        start(1, found),
        stop(1),
        start(2, r#"{"type":"text","text":"","citations":[]}"#),
        delta(2, r#"{"type":"text_delta","text":"12°"}"#),
        delta(2, r#"{"type":"citations_delta","citation":{"type":"web_search_result_location","url":"https://o"}}"#),
        stop(2),
        reason("end_turn"),
        STOP.into(),
    ]);
    let (finish_reason, metadata) = finished(&events);
    assert_eq!(finish_reason, FinishReason::End);
    let found: Json = serde_json::from_str(found).unwrap();
    assert_eq!(
        metadata.unwrap()["content"],
        json!([
            {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "oslo"}},
            found,
            {"type": "text", "text": "12°", "citations": [{"type": "web_search_result_location", "url": "https://o"}]},
        ])
    );
    assert!(events.contains(&ReplyEvent::ToolCallFinished {
        call: "s1".into(),
        outcome: CallOutcome::Ok,
        output: CallOutput::from_text("Oslo — https://o"),
        duration: None,
    }));
    assert!(
        events.iter().any(|event| matches!(event, ReplyEvent::ToolCallStarted { executed_by: ExecutedBy::Server, .. }))
    );
    assert!(
        events.iter().any(|event| matches!(event, ReplyEvent::Annotation { annotation: Annotation::Citation(_), .. }))
    );
}

#[test]
fn a_pause_is_marked_and_its_open_call_is_told_again_with_its_result() {
    let paused = run(&[
        start(0, r#"{"type":"server_tool_use","id":"s1","name":"web_search","input":{"query":"oslo"}}"#),
        stop(0),
        reason("pause_turn"),
        STOP.into(),
    ]);
    let (finish_reason, metadata) = finished(&paused);
    assert_eq!((finish_reason, outcome(&paused)), (FinishReason::End, &TurnOutcome::Completed));
    assert_eq!(metadata.unwrap()["content"][0]["input"], json!({"query": "oslo"}));
    assert!(
        paused.iter().any(|event| matches!(event, ReplyEvent::Annotation { annotation: Annotation::Paused {}, .. }))
    );
    assert!(
        paused.iter().any(|event| matches!(event, ReplyEvent::ToolCallFinished { outcome: CallOutcome::Unknown, .. }))
    );
    let resumed = run(&[
        start(0, r#"{"type":"web_search_tool_result","tool_use_id":"s1","content":[]}"#),
        stop(0),
        reason("end_turn"),
        STOP.into(),
    ]);
    assert!(
        resumed
            .iter()
            .any(|event| matches!(event, ReplyEvent::ToolCallStarted { name: Some(name), .. } if name == "web_search"))
    );
    assert!(resumed.iter().any(|event| matches!(event, ReplyEvent::ToolCallFinished { outcome: CallOutcome::Ok, .. })));
}

#[test]
fn usage_is_cumulative_and_counts_the_cache_as_input() {
    let usage = |events: &[ReplyEvent]| {
        events.iter().find_map(|event| match event {
            ReplyEvent::UsageReported { usage, .. } => Some(*usage),
            _ => None,
        })
    };
    let whole = usage(&run(&[reason("end_turn"), reason("end_turn"), STOP.into()])).unwrap();
    assert_eq!((whole.input_tokens, whole.cached_tokens, whole.output_tokens, whole.estimated), (135, 100, 7, false));
    assert!(usage(&run(&[])).unwrap().estimated, "the start only knows the beginning of the output");
}

#[test]
fn stop_reasons_keep_their_meaning() {
    let of = |word: &str| {
        let events = run(&[start(0, r#"{"type":"text","text":"x"}"#), stop(0), reason(word), STOP.into()]);
        let kind = match outcome(&events) {
            TurnOutcome::Failed(fault) => Some(fault.kind),
            _ => None,
        };
        (finished(&events).0, kind)
    };
    assert_eq!(of("end_turn"), (FinishReason::End, None));
    assert_eq!(of("stop_sequence"), (FinishReason::End, None));
    assert_eq!(of("max_tokens"), (FinishReason::Length, None));
    assert_eq!(of("refusal"), (FinishReason::Refused, None));
    assert_eq!(of("model_context_window_exceeded"), (FinishReason::Length, Some(FaultKind::ContextTooLong)));
    assert_eq!(of("something_new"), (FinishReason::End, None));
}

#[test]
fn errors_end_the_answer_and_keep_their_kind() {
    let of = |kind: &str| {
        let error = format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"Sorry"}}}}"#);
        let events = decode(&[&error, STOP]);
        match outcome(&events) {
            TurnOutcome::Failed(fault) => fault.kind,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(of("overloaded_error"), FaultKind::Upstream);
    assert_eq!(of("api_error"), FaultKind::Upstream);
    assert_eq!(of("rate_limit_error"), FaultKind::RateLimited);
    assert_eq!(of("authentication_error"), FaultKind::Auth);
    assert_eq!(of("permission_error"), FaultKind::Auth);
    assert_eq!(of("billing_error"), FaultKind::Auth);
    assert_eq!(of("invalid_request_error"), FaultKind::BadRequest);
    assert_eq!(of("not_found_error"), FaultKind::BadRequest);
    assert_eq!(of("request_too_large"), FaultKind::ContextTooLong);
    assert_eq!(of("timeout_error"), FaultKind::TimedOut);
    let late = run(&[
        start(0, r#"{"type":"text","text":"half"}"#),
        r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#.into(),
    ]);
    assert_eq!((text(&late).as_str(), finished(&late)), ("half", (FinishReason::Failed, None)));
}

#[test]
fn a_cut_stream_is_interrupted_and_carries_nothing() {
    let events = run(&[
        start(0, r#"{"type":"thinking","thinking":"Hm","signature":"Eq"}"#),
        stop(0),
        start(1, r#"{"type":"tool_use","id":"t","name":"clock","input":{}}"#),
        delta(1, r#"{"type":"input_json_delta","partial_json":"{\"z"}"#),
    ]);
    assert_eq!(finished(&events), (FinishReason::Interrupted, None));
    assert_eq!(outcome(&events), &TurnOutcome::Interrupted);
    assert!(!events.iter().any(|event| matches!(event, ReplyEvent::ToolCallReady { .. })));
}

#[test]
fn an_answer_in_one_piece_is_read_too() {
    let events = decode(&[
        r#"{"type":"message","role":"assistant","content":[{"type":"text","text":"Hi"},{"type":"tool_use","id":"t","name":"clock","input":{}}],"stop_reason":"tool_use","usage":{"input_tokens":3,"output_tokens":4}}"#,
    ]);
    assert_eq!((text(&events).as_str(), finished(&events).0), ("Hi", FinishReason::ToolCalls));
    assert_eq!(outcome(&events), &TurnOutcome::Completed);
}

#[test]
fn strange_frames_do_no_harm() {
    let events = run(&[
        r#"{"type":"content_block_delta","index":9,"delta":{"type":"text_delta","text":"lost start"}}"#.into(),
        r#"{"type":"content_block_delta","index":9,"delta":{"type":"input_json_delta","partial_json":"{"}}"#.into(),
        r#"{"type":"content_block_start","index":18446744073709551615,"content_block":{"type":"new_thing","a":1}}"#
            .into(),
        r#"{"type":"content_block_start","index":1,"content_block":null}"#.into(),
        r#"{"type":"content_block_delta"}"#.into(),
        r#"{"type":"ping"}"#.into(),
        "[1]".into(),
        "nonsense".into(),
        r#"{"type":"content_block_delta","index":9,"delta":{"type":"text_delta","text":"\ud83d"}}"#.into(),
        r#"{"type":"content_block_delta","index":9,"delta":{"type":"text_delta","text":"\ude00"}}"#.into(),
        reason("end_turn"),
        STOP.into(),
    ]);
    assert_eq!(text(&events), "lost start😀");
    assert_eq!(outcome(&events), &TurnOutcome::Completed);
}
