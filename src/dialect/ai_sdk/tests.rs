use super::*;
use crate::dialect::ResponseHead;
use crate::event::TurnOutcome;

fn decode(frames: &[&str]) -> Vec<ReplyEvent> {
    let (mut decoder, mut out) = (AiSdkDecoder::default(), Vec::new());
    for data in frames {
        decoder.decode_frame(&SseFrame::data(*data), &mut out);
    }
    decoder.finish(&mut out);
    out
}

fn looks_like(data: &str, header: bool) -> bool {
    let headers = header.then(|| (STREAM_HEADER, "v1".to_owned()));
    let response = ResponseHead::new(200, headers);
    let context = DecodeContext { response, ..DecodeContext::default() };
    evidence(&FirstFrame::new(&SseFrame::data(data), &context)).is_some()
}

#[test]
fn chunks_are_known_by_their_fields_or_by_the_header() {
    for data in [
        r#"{"type":"start"}"#,
        r#"{"type":"start","messageId":"m"}"#,
        r#"{"type":"text-delta","id":"1","delta":"x"}"#,
        r#"{"type":"data-weather","data":{}}"#,
        r#"{"type":"error","errorText":"x"}"#,
    ] {
        assert!(looks_like(data, false), "{data}");
    }
    for data in [
        r#"{"type":"start","runId":"r","from":"AGENT","payload":{}}"#,
        r#"{"type":"text-delta","payload":{"text":"x"}}"#,
        r#"{"type":"error","message":"x"}"#,
        r#"{"type":"text","text":"x"}"#,
        "[DONE]",
    ] {
        assert!(!looks_like(data, false), "{data}");
    }
    assert!(looks_like(r#"{"type":"brand-new"}"#, true) && looks_like("[DONE]", true));
}

#[test]
fn a_stream_is_whole_with_either_of_its_end_marks() {
    let outcome = |frames: &[&str]| match decode(frames).pop() {
        Some(ReplyEvent::End { outcome }) => outcome,
        other => panic!("{other:?}"),
    };
    let text = r#"{"type":"text-delta","id":"1","delta":"x"}"#;
    assert_eq!(outcome(&[text, "[DONE]"]), TurnOutcome::Completed);
    assert_eq!(outcome(&[text, r#"{"type":"finish"}"#]), TurnOutcome::Completed);
    assert_eq!(outcome(&[text]), TurnOutcome::Interrupted);
    let failed = outcome(&[text, r#"{"type":"finish","finishReason":"error"}"#, "[DONE]"]);
    assert!(matches!(failed, TurnOutcome::Failed(_)), "{failed:?}");
}

#[test]
fn a_call_cut_in_its_arguments_is_never_ready() {
    let is_ready = |args: &str, reason: &str| {
        let delta = json!({"type": "tool-input-delta", "toolCallId": "c", "inputTextDelta": args}).to_string();
        let end = json!({"type": "finish", "finishReason": reason}).to_string();
        let mut frames = vec![r#"{"type":"tool-input-start","toolCallId":"c","toolName":"t"}"#, &end];
        if !args.is_empty() {
            frames.insert(1, &delta);
        }
        decode(&frames).iter().any(|event| matches!(event, ReplyEvent::ToolCallReady { .. }))
    };
    assert!(!is_ready(r#"{"a":"#, "length") && !is_ready(r#"{"a":"#, "stop") && !is_ready("", "length"));
    assert!(is_ready(r#"{"a":1}"#, "length") && is_ready("", "tool-calls"));
}

#[test]
fn a_character_cut_in_two_is_joined() {
    let events = decode(&[
        r#"{"type":"text-delta","id":"1","delta":"a\ud83d"}"#,
        r#"{"type":"text-delta","id":"1","delta":"\ude00"}"#,
        "[DONE]",
    ]);
    let text = events.iter().filter_map(|event| match event {
        ReplyEvent::TextDelta { text, .. } => Some(text.as_str()),
        _ => None,
    });
    assert_eq!(text.collect::<String>(), "a\u{1f600}");
}

#[test]
fn texts_that_are_written_side_by_side_are_two_messages() {
    let events = decode(&[
        r#"{"type":"text-start","id":"a"}"#,
        r#"{"type":"text-start","id":"b"}"#,
        r#"{"type":"text-delta","id":"a","delta":"One"}"#,
        r#"{"type":"text-delta","id":"b","delta":"Two"}"#,
        r#"{"type":"text-delta","id":"a","delta":" and a half."}"#,
        "[DONE]",
    ]);
    let text_of = |id: &str| {
        let deltas = events.iter().filter_map(|event| match event {
            ReplyEvent::TextDelta { message, text, .. } if message.as_str() == id => Some(text.as_str()),
            _ => None,
        });
        deltas.collect::<String>()
    };
    assert_eq!((text_of("m1").as_str(), text_of("m2").as_str()), ("One and a half.", "Two"));
}

#[test]
fn the_last_step_ends_as_the_whole_answer_does() {
    let reasons = |frames: &[&str]| {
        let ends = decode(frames).into_iter().filter_map(|event| match event {
            ReplyEvent::MessageFinished { finish_reason, .. } => Some(finish_reason),
            _ => None,
        });
        ends.collect::<Vec<_>>()
    };
    let one = r#"{"type":"text-delta","id":"1","delta":"x"}"#;
    let (start, end) = (r#"{"type":"start-step"}"#, r#"{"type":"finish-step"}"#);
    let cut = r#"{"type":"finish","finishReason":"length"}"#;
    assert_eq!(reasons(&[start, one, end, start, one, end, cut]), [FinishReason::End, FinishReason::Length]);
    let error = r#"{"type":"error","errorText":"boom"}"#;
    assert_eq!(reasons(&[start, one, error, end, "[DONE]"]), [FinishReason::Failed]);
}
