use super::*;

fn decode(lines: &[&str]) -> Vec<ReplyEvent> {
    let (mut decoder, mut out) = (WarpDecoder::new(), Vec::new());
    for line in lines {
        decoder.decode_frame(&SseFrame::data(*line), &mut out);
    }
    decoder.finish(&mut out);
    out
}

fn text(events: &[ReplyEvent]) -> String {
    let mut whole = String::new();
    for event in events {
        match event {
            ReplyEvent::TextDelta { text, .. } => whole.push_str(text),
            ReplyEvent::MessageFinished { full_text: Some(full), .. } => whole.clone_from(full),
            _ => {}
        }
    }
    whole
}

#[test]
fn the_last_line_replaces_what_was_streamed() {
    let events = decode(&[
        r#"{"blocks":[{"type":"text","text":"Hel","streaming":true}],"streaming":true}"#,
        r#"{"blocks":[{"type":"text","text":"Hello!","streaming":false}],"streaming":false,"complete":true}"#,
    ]);
    assert_eq!(text(&events), "Hello!");
    let events = decode(&[
        r#"{"blocks":[{"type":"text","text":"Hallo","streaming":true}],"streaming":true}"#,
        r#"{"blocks":[{"type":"text","text":"Hello!","streaming":false}],"streaming":false,"complete":true}"#,
    ]);
    assert_eq!(text(&events), "Hello!");
    assert!(events.iter().any(|event| matches!(event, ReplyEvent::MessageFinished { full_text: Some(_), .. })));
}

#[test]
fn blocks_that_are_not_text_are_shown_and_stand_apart() {
    let streamed = decode(&[
        r#"{"blocks":[{"type":"text","text":"See:","streaming":true}],"streaming":true}"#,
        r#"{"blocks":[{"type":"code","language":"rust","code":"fn f() {}\n"}],"streaming":true}"#,
        r#"{"blocks":[{"type":"table","rows":[[1]]}],"streaming":true}"#,
        r#"{"blocks":[{"type":"text","text":"Done."}],"streaming":true}"#,
    ]);
    let table = "```json\n{\n  \"type\": \"table\",\n  \"rows\": [\n    [\n      1\n    ]\n  ]\n}\n```";
    let expected = format!("See:\n\n```rust\nfn f() {{}}\n```\n\n{table}\n\nDone.");
    assert_eq!(text(&streamed), expected);
    let whole = decode(&[
        r#"{"blocks":[{"type":"text","text":"See:"},{"type":"code","language":"rust","code":"fn f() {}\n"},{"type":"table","rows":[[1]]},{"type":"text","text":"Done."}],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#,
    ]);
    assert_eq!(text(&whole), expected);
    assert!(whole.iter().any(|event| matches!(event, ReplyEvent::UsageReported { usage, .. } if usage.total() == 7)));
}

#[test]
fn a_stream_without_its_last_line_was_cut_and_an_error_block_fails() {
    let cut = decode(&[r#"{"blocks":[{"type":"text","text":"Hel"}],"streaming":true}"#]);
    assert_eq!(cut.last(), Some(&ReplyEvent::End { outcome: TurnOutcome::Interrupted }));
    let failed = decode(&[r#"{"blocks":[{"type":"error","message":"no bot of that name"}],"streaming":true}"#]);
    let Some(ReplyEvent::End { outcome: TurnOutcome::Failed(fault) }) = failed.last() else { panic!("{failed:?}") };
    assert_eq!(fault.message, "no bot of that name");
}

#[test]
fn reasoning_is_emitted_once() {
    let events = decode(&[
        r#"{"blocks":[{"type":"text","text":"<think>hm</think>Yes","streaming":true}],"streaming":true}"#,
        r#"{"blocks":[{"type":"text","text":"<think>hm</think>Yes"}],"streaming":false,"complete":true}"#,
    ]);
    let reasoning: String = events
        .iter()
        .filter_map(|event| match event {
            ReplyEvent::ReasoningDelta { text, .. } => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!((reasoning.as_str(), text(&events).as_str()), ("hm", "Yes"));
}
