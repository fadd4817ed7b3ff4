use super::*;

fn decode(frames: &[(&str, &str)], content_type: &str) -> (Vec<ReplyEvent>, &'static str) {
    let context = DecodeContext { response: ResponseHead::from_content_type(content_type), ..DecodeContext::default() };
    let mut detector = Detector::new(context);
    let mut out = Vec::new();
    for (event, data) in frames {
        detector.decode_frame(&SseFrame { event: (*event).into(), ..SseFrame::data(*data) }, &mut out);
    }
    detector.finish(&mut out);
    (out, detector.name())
}

fn fault(frames: &[(&str, &str)], content_type: &str) -> Fault {
    match decode(frames, content_type).0.last() {
        Some(ReplyEvent::End { outcome: TurnOutcome::Failed(fault) }) => fault.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_refusal_in_place_of_a_stream_is_a_fault_with_its_words() {
    let reported = fault(&[("", r#"{"detail":"Missing Authorization header"}"#)], "application/json");
    assert!(reported.message.ends_with("Missing Authorization header"), "{reported}");
    let reported = fault(&[("", r#"{"error":"HTTP_ERROR","message":"Valid API key required"}"#)], "application/json");
    assert!(reported.message.contains("Valid API key required"), "{reported}");
    assert!(fault(&[("", "<html><body>")], "text/html").message.contains("web page"));
    assert!(fault(&[("", "<!DOCTYPE html>")], "").message.contains("web page"));
    assert!(fault(&[("error", "no such model.")], "").message.ends_with("no such model"));
    assert!(fault(&[("endpoint", "/messages?session=1")], "").message.contains("MCP"));
}

#[test]
fn nothing_at_all_is_an_interrupted_turn() {
    let interrupted = [ReplyEvent::End { outcome: TurnOutcome::Interrupted }];
    assert_eq!(decode(&[], "text/event-stream").0, interrupted);
}

fn notices(frames: &[(&str, &str)]) -> (Vec<String>, &'static str) {
    let (events, name) = decode(frames, "");
    let text = |event: &ReplyEvent| match event {
        ReplyEvent::Notice { code: NoticeCode::Dialect | NoticeCode::Misfit, text, .. } => Some(text.clone()),
        _ => None,
    };
    (events.iter().filter_map(text).collect(), name)
}

const CHUNK: &str = r#"{"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"a"}}]}"#;

#[test]
fn first_frames_tell_the_dialect() {
    let cases = [
        ("response.created", r#"{"response":{},"sequence_number":0}"#, "openai-responses"),
        ("response.created", r#"{"id":"r","status":"in_progress"}"#, "enclava"),
        ("response.failed", r#"{"id":"r","status":"failed","error":{"message":"x"}}"#, "enclava"),
        ("error", r#"{"type":"error","error":{"type":"overloaded_error","message":"x"}}"#, "anthropic"),
        ("error", r#"{"code":"x","message":"y","sequence_number":3}"#, "openai-responses"),
        ("error", r#"{"error":"x","recoverable":true,"attempt":1}"#, "poe"),
        ("message_start", r#"{"type":"message_start"}"#, "anthropic"),
        ("tool_call_start", r#"{"tool":"f"}"#, "openjarvis"),
        ("delta", CHUNK, "poe"),
        ("complete", r#"{"content":"x","tool_calls":[],"metadata":{}}"#, "poe"),
        ("", r#"{"type":"init","retry":3000}"#, "poe"),
        ("", r#"{"type":"RUN_STARTED","threadId":"t"}"#, "ag-ui"),
        ("", r#"{"type":"synthesis","text":"x"}"#, "openjarvis"),
        ("", r#"{"type":"error","message":"x"}"#, "openjarvis"),
        ("", r#"{"jsonrpc":"2.0","id":1,"result":{"kind":"task"}}"#, "a2a"),
        ("", r#"{"statusUpdate":{"taskId":"t","status":{}}}"#, "a2a"),
        ("", r#"{"message":{"content":"x"},"done":false}"#, "ollama"),
        ("", r#"{"blocks":[],"streaming":true}"#, "warp"),
        ("", r#"{"seq":1,"at":0,"event":{"type":"turn_started"}}"#, "native"),
        ("", "{'id': 'x'}", "plain"),
    ];
    for (event, data, dialect) in cases {
        let frame = SseFrame { event: event.into(), ..SseFrame::data(data) };
        match examine_frame(&frame, &DecodeContext::default()) {
            FrameVerdict::Dialect(found, why) => assert_eq!(found.name, dialect, "{data}: {why:?}"),
            FrameVerdict::NoStream(_) | FrameVerdict::Inconclusive => panic!("{data}"),
        }
    }
}

#[test]
fn names_count_before_shapes_and_pings_decide_nothing() {
    let (texts, name) = notices(&[("ping", "{}"), ("", "not json"), ("agent_turn_start", CHUNK)]);
    assert_eq!(name, "openjarvis");
    assert_eq!(texts, ["looks like OpenJarvis because a frame is named agent_turn_start"]);
}

#[test]
fn chat_completions_may_turn_out_to_be_openjarvis() {
    assert_eq!(notices(&[("", CHUNK)]).1, "openai-chat");
    let (texts, name) = notices(&[("", CHUNK), ("inference_start", r#"{"model":"m"}"#), ("", CHUNK)]);
    assert_eq!(name, "openjarvis");
    assert_eq!(
        texts,
        [
            "looks like OpenAI chat completions because its frames are chat completion chunks",
            "looks like OpenJarvis because a frame is named inference_start"
        ]
    );
}

#[test]
fn a_frame_of_another_dialect_is_emitted_once_and_harms_nothing() {
    let warp = r#"{"blocks":[]}"#;
    let (texts, name) =
        notices(&[("", CHUNK), ("message_start", "{}"), ("", warp), ("message_stop", "{}"), ("", CHUNK)]);
    assert_eq!((texts.len(), name), (2, "openai-chat"), "{texts:?}");
    assert!(texts[1].starts_with("the stream is read as OpenAI chat completions, but "), "{texts:?}");
}

#[test]
fn what_is_held_back_is_bounded_and_shown_in_the_end() {
    let long = "x".repeat(MAX_HELD_BYTES);
    assert_eq!(notices(&[("", long.as_str())]).1, "plain");
    let few: Vec<(&str, &str)> = (0..MAX_HELD_FRAMES).map(|_| ("", "hello")).collect();
    let (events, name) = decode(&few, "");
    let texts = events.iter().filter(|event| matches!(event, ReplyEvent::TextDelta { .. })).count();
    assert_eq!((texts, name), (MAX_HELD_FRAMES, "plain"));
}

#[test]
fn a_named_dialect_is_taken_or_refused() {
    assert_eq!(
        Detector::with_dialect("ollama", DecodeContext::default()).map(|detector| detector.name()),
        Some("ollama")
    );
    assert!(Detector::with_dialect("nonsense", DecodeContext::default()).is_none());
}

#[test]
fn a_server_of_tools_is_named_and_not_read_as_an_agent() {
    let mut detector = Detector::new(DecodeContext::default());
    let mut out = Vec::new();
    let progress =
        r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p1","progress":1}}"#;
    let result = r#"{"jsonrpc":"2.0","id":2,"result":{"content":[{"text":"done","type":"text"}],"isError":false}}"#;
    for data in [progress, result] {
        detector.decode_frame(&SseFrame::named("message", data), &mut out);
    }
    detector.finish(&mut out);
    assert!(
        matches!(&out[..], [ReplyEvent::End { outcome: TurnOutcome::Failed(fault) }] if fault.message.contains("MCP server")),
        "{out:?}"
    );
}

#[test]
fn a_format_that_is_only_known_by_sight_is_named_and_shown_as_it_came() {
    for (data, name) in [
        (r#"{"event":"message","task_id":"t","answer":"Hi"}"#, "Dify"),
        (r#"{"message_type":"assistant_message","id":"m","content":"Hi"}"#, "Letta"),
        (r#"{"type":"Message","message":{"role":"assistant","content":[]}}"#, "goose"),
        (r#"{"id":1,"source":"agent","action":"message","args":{}}"#, "OpenHands"),
    ] {
        let mut detector = Detector::new(DecodeContext::default());
        let mut out = Vec::new();
        detector.decode_frame(&SseFrame::data(data), &mut out);
        detector.finish(&mut out);
        assert_eq!(detector.name(), "plain", "{data}");
        let is_named = |event: &ReplyEvent| matches!(event, ReplyEvent::Notice { code: NoticeCode::Dialect, text, .. } if text.contains(name));
        assert!(out.iter().any(is_named), "{name}: {out:?}");
    }
}
