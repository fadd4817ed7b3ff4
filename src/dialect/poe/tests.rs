use super::*;
use crate::event::{Annotation, FinishReason, NoticeCode, TurnOutcome};

fn frame(id: Option<u64>, event: &str, data: &str) -> SseFrame {
    SseFrame { event: event.into(), id: id.map(|id| id.to_string()), retry: None, data: data.into() }
}

fn init() -> SseFrame {
    frame(None, "", r#"{"type":"init","retry":3000}"#)
}

fn delta(id: u64, text: &str) -> SseFrame {
    let data =
        json!({"choices": [{"index": 0, "delta": {"content": text, "tool_calls": null}, "finish_reason": null}]});
    frame(Some(id), "delta", &data.to_string())
}

fn complete(id: u64, text: &str) -> SseFrame {
    frame(Some(id), "complete", &json!({"content": text, "tool_calls": [], "metadata": {}}).to_string())
}

fn error(recoverable: bool) -> SseFrame {
    frame(None, "error", &json!({"error": "no luck", "recoverable": recoverable, "attempt": 1}).to_string())
}

fn decode(frames: &[SseFrame]) -> Vec<ReplyEvent> {
    let (mut decoder, mut out) = (PoeDecoder::new(), Vec::new());
    for frame in frames {
        decoder.decode_frame(frame, &mut out);
    }
    decoder.finish(&mut out);
    out
}

/// The streamed text, the repeated one, and the outcome.
fn shown(frames: &[SseFrame]) -> (String, Option<String>, TurnOutcome) {
    let (mut text, mut whole, mut end) = (String::new(), None, TurnOutcome::Cancelled);
    for event in decode(frames) {
        match event {
            ReplyEvent::TextDelta { text: piece, .. } => text.push_str(&piece),
            ReplyEvent::MessageFinished { full_text: full, .. } => whole = full,
            ReplyEvent::End { outcome: answer } => end = answer,
            _ => {}
        }
    }
    (text, whole, end)
}

#[test]
fn the_repeated_text_is_not_told_again() {
    let answer = shown(&[init(), delta(0, "Poe "), delta(1, "says"), complete(2, "Poe says")]);
    assert_eq!(answer, ("Poe says".into(), Some("Poe says".into()), TurnOutcome::Completed));
}

#[test]
fn what_is_missing_behind_our_own_text_is_added() {
    let answer = shown(&[init(), delta(0, "Poe "), complete(2, "Poe says")]);
    assert_eq!(answer, ("Poe says".into(), Some("Poe says".into()), TurnOutcome::Completed));
}

#[test]
fn text_of_other_streams_never_replaces_ours() {
    for whole in ["first answer second", "second answer of another", "something else"] {
        let answer = shown(&[init(), delta(4, "second"), complete(5, whole)]);
        assert_eq!(answer, ("second".into(), None, TurnOutcome::Completed), "{whole}");
    }
    let silent = shown(&[init(), complete(4, "first answer")]);
    assert_eq!(silent, (String::new(), None, TurnOutcome::Completed));
}

#[test]
fn an_answer_missed_before_a_resume_is_taken_from_the_end() {
    let answer = shown(&[complete(9, "all of it")]);
    assert_eq!(answer, ("all of it".into(), Some("all of it".into()), TurnOutcome::Completed));
    let late = shown(&[delta(3, "of it"), complete(4, "all of it")]);
    assert_eq!(late, ("of it".into(), None, TurnOutcome::Completed));
}

#[test]
fn a_recoverable_error_is_a_notice_and_a_fatal_one_wins_over_complete() {
    let frames = [init(), delta(0, "a"), error(true), delta(1, "b"), complete(2, "ab")];
    assert_eq!(shown(&frames).2, TurnOutcome::Completed);
    let notices: Vec<_> = decode(&frames)
        .into_iter()
        .filter_map(|event| match event {
            ReplyEvent::Notice { code, text, .. } => Some((code, text)),
            _ => None,
        })
        .collect();
    assert_eq!(
        notices,
        [(NoticeCode::Recoverable, "the server had a problem (attempt 1) and continues: no luck".to_owned())]
    );
    let (text, _, end) = shown(&[init(), delta(0, "a"), error(true), error(false), complete(1, "a")]);
    assert_eq!(text, "a");
    assert!(matches!(end, TurnOutcome::Failed(fault) if fault.message.contains("no luck")));
}

#[test]
fn a_stream_without_its_end_is_interrupted_unless_the_model_said_it_was_done() {
    assert_eq!(shown(&[init(), delta(0, "a")]).2, TurnOutcome::Interrupted);
    let finish = frame(Some(1), "delta", r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#);
    assert_eq!(shown(&[init(), delta(0, "a"), finish]).2, TurnOutcome::Completed);
}

#[test]
fn calls_come_from_deltas_or_else_from_the_end() {
    let fragments = json!([
        {"index": 0, "id": "c1", "function": {"name": "clock", "arguments": "{\"z"}},
        {"index": 0, "function": {"arguments": "\":1}"}},
    ]);
    let whole = json!({"content": "", "tool_calls": fragments, "metadata": {"model": "M"}}).to_string();
    let chunk = json!({"choices": [{"index": 0, "delta": {"tool_calls": fragments}}]}).to_string();
    for frames in [
        vec![init(), frame(Some(0), "complete", &whole)],
        vec![init(), frame(Some(0), "delta", &chunk), frame(Some(1), "complete", &whole)],
    ] {
        let events = decode(&frames);
        let ready: Vec<_> = events
            .iter()
            .filter_map(|event| match event {
                ReplyEvent::ToolCallReady { call, args, .. } => Some((call.as_str(), args.as_str())),
                _ => None,
            })
            .collect();
        assert_eq!(ready, [("c1", "{\"z\":1}")]);
        assert!(
            events.iter().any(|event| matches!(
                event,
                ReplyEvent::MessageFinished { finish_reason: FinishReason::ToolCalls, .. }
            ))
        );
        assert!(events.contains(&ReplyEvent::Annotation {
            on: ReplyTarget::Reply,
            annotation: Annotation::ServedBy { id: None, model: Some("M".into()) },
        }));
    }
}

#[test]
fn bare_strings_and_strangers_do_no_harm() {
    let frames = [
        init(),
        frame(Some(0), "delta", "plain words"),
        frame(Some(1), "delta", "\" quoted\""),
        frame(None, "ping", "{}"),
        frame(None, "", "junk"),
        frame(None, "error", "junk"),
    ];
    let (text, _, end) = shown(&frames);
    assert_eq!(text, "plain words quoted");
    assert!(matches!(end, TurnOutcome::Failed(_)));
}
