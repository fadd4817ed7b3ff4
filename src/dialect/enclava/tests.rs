use super::*;

fn frame(event: &str, data: &str) -> SseFrame {
    SseFrame { event: event.into(), ..SseFrame::data(data) }
}

fn decode(frames: &[(&str, &str)]) -> Vec<ReplyEvent> {
    let mut decoder = EnclavaDecoder::new();
    let mut out = Vec::new();
    for (event, data) in frames {
        decoder.decode_frame(&frame(event, data), &mut out);
    }
    decoder.finish(&mut out);
    out
}

fn text(item: &str, delta: &str) -> String {
    format!(r#"{{"response_id":"r","item_id":"{item}","delta":"{delta}","type":"output_text"}}"#)
}

fn added(item: &str) -> String {
    format!(r#"{{"response_id":"r","item":{item}}}"#)
}

fn call(id: &str, name: &str) -> String {
    format!(
        r#"{{"type":"function_call","id":"{id}","call_id":"{id}","name":"{name}","arguments":"{{}}","status":"in_progress"}}"#
    )
}

fn output(id: &str, output: &str, status: &str) -> String {
    let output = serde_json::to_string(output).unwrap();
    format!(
        r#"{{"type":"function_call_output","id":"out_{id}","call_id":"{id}","output":{output},"status":"{status}"}}"#
    )
}

const TEXT: &str = "response.output_text.delta";
const ARGS: &str = "response.function_call_arguments.delta";
const ITEM: &str = "response.output_item.added";
const DONE: &str = "response.completed";

/// One line per event, enough to compare.
fn lines(events: &[ReplyEvent]) -> Vec<String> {
    let line = |event: &ReplyEvent| match event {
        ReplyEvent::MessageStarted { message, .. } => format!("+{message}"),
        ReplyEvent::TextDelta { message, text, .. } => format!("{message}: {text}"),
        ReplyEvent::MessageFinished { message, finish_reason, full_text: full, .. } => {
            format!("-{message} {finish_reason:?} {full:?}")
        }
        ReplyEvent::ToolCallStarted { call, message, name, executed_by: ran_by, .. } => {
            format!("{message} calls {call} {name:?} {ran_by:?}")
        }
        ReplyEvent::ToolArgsDelta { call, json } => format!("{call} << {json}"),
        ReplyEvent::ToolCallReady { call, name, args, .. } => format!("{call} = {name} {args}"),
        ReplyEvent::ToolCallFinished { call, outcome, output, .. } => format!("{call} {outcome:?} {}", output.text),
        ReplyEvent::End { outcome: TurnOutcome::Failed(fault) } => {
            format!("failed {:?} {fault}", fault.kind)
        }
        ReplyEvent::End { outcome: end } => format!("{end:?}"),
        ReplyEvent::Notice { code, .. } => format!("notice {code}"),
        other => serde_json::to_string(other).unwrap(),
    };
    events.iter().map(line).collect()
}

#[test]
fn rounds_are_messages_and_the_end_repeats_nothing() {
    let whole = format!(
        r#"{{"status":"completed","output":[{{"type":"message","id":"a_0","content":[{{"type":"output_text","text":"Let me."}}]}},{},{},{{"type":"message","id":"a_1","content":[{{"type":"output_text","text":"Done."}}]}}],"output_text":"Done."}}"#,
        call("c", "clock"),
        output("c", "{\"t\": 1}", "completed")
    );
    let events = decode(&[
        (
            "response.created",
            r#"{"id":"resp_1","object":"response","created_at":1,"model":"opal","status":"in_progress"}"#,
        ),
        (TEXT, &text("a_0", "Let ")),
        (ARGS, r#"{"response_id":"r","call_id":"c","delta":"","type":"function_call_arguments"}"#),
        (TEXT, &text("a_0", "me.")),
        (ARGS, r#"{"response_id":"r","call_id":"c","delta":"{}","type":"function_call_arguments"}"#),
        (
            ITEM,
            &added(
                r#"{"type":"message","id":"a_0","role":"assistant","content":[{"type":"output_text","text":"Let me."}]}"#,
            ),
        ),
        (ITEM, &added(&call("c", "clock"))),
        (ITEM, &added(&output("c", "{\"t\": 1}", "completed"))),
        (TEXT, &text("a_1", "Done.")),
        (
            ITEM,
            &added(
                r#"{"type":"message","id":"a_1","role":"assistant","content":[{"type":"output_text","text":"Done."}]}"#,
            ),
        ),
        (DONE, &whole),
    ]);
    assert_eq!(
        lines(&events),
        [
            r#"{"Annotation":{"on":"Reply","annotation":{"kind":"served_by","data":{"id":"resp_1","model":"opal"}}}}"#,
            "+m1",
            "m1: Let ",
            "m1 calls c None Server",
            "m1: me.",
            "c << {}",
            "c = clock {}",
            "c Ok {\"t\": 1}",
            "-m1 ToolCalls Some(\"Let me.\")",
            "+m2",
            "m2: Done.",
            "-m2 End Some(\"Done.\")",
            "Completed",
        ]
    );
}

#[test]
fn a_call_id_with_an_output_is_another_call_when_seen_again() {
    let round = |text: &str| [added(&call("call_0", "clock")), added(&output("call_0", text, "completed"))];
    let ([one, one_out], [two, two_out]) = (round("1"), round("2"));
    let whole = format!(
        r#"{{"status":"completed","output":[{},{},{},{}],"output_text":null}}"#,
        call("call_0", "clock"),
        output("call_0", "1", "completed"),
        call("call_0", "clock"),
        output("call_0", "2", "completed")
    );
    let frames = [(ITEM, &one[..]), (ITEM, &one_out), (ITEM, &two), (ITEM, &two_out), (DONE, &whole)];
    assert_eq!(
        lines(&decode(&frames)),
        [
            "+m1",
            "m1 calls call_0 Some(\"clock\") Server",
            "call_0 = clock {}",
            "call_0 Ok 1",
            "-m1 ToolCalls None",
            "+m2",
            "m2 calls call_0_2 Some(\"clock\") Server",
            "call_0_2 = clock {}",
            "call_0_2 Ok 2",
            "-m2 ToolCalls None",
            "Completed",
        ]
    );
    // The closing frame completes what the stream lost.
    let short = lines(&decode(&[(ITEM, &one), (DONE, &whole)]));
    assert_eq!(short.iter().filter(|line| line.contains("Ok")).collect::<Vec<_>>(), ["call_0 Ok 1", "call_0_2 Ok 2"]);
}

#[test]
fn outcomes_are_read_from_status_and_output() {
    let cases = [
        ("\"sunny\"", "completed", "Ok sunny"),
        ("null", "completed", "Ok "),
        ("{\"error\": \"no such city\"}", "failed", "Failed {\"error\": \"no such city\"}"),
        ("{\"error\": \"no such city\"}", "completed", "Failed {\"error\": \"no such city\"}"),
        ("{\"error\": null, \"rows\": 2}", "completed", "Ok {\"error\": null, \"rows\": 2}"),
        ("{\"error\": 0.25}", "completed", "Ok {\"error\": 0.25}"),
        ("not JSON", "completed", "Ok not JSON"),
    ];
    for (text, status, expected) in cases {
        let lines = lines(&decode(&[(ITEM, &added(&call("c", "x"))), (ITEM, &added(&output("c", text, status)))]));
        assert!(lines.contains(&format!("c {expected}")), "{text}: {lines:?}");
    }
}

#[test]
fn a_refusal_for_money_is_a_limit() {
    let data = r#"{"id":"r","object":"response","status":"failed","error":{"type":"budget_exceeded","code":"budget_exceeded","message":"Budget exceeded"}}"#;
    assert_eq!(
        lines(&decode(&[("response.failed", data)])),
        ["failed LimitReached the server's budget is used up: Budget exceeded"]
    );
}

#[test]
fn a_failure_keeps_the_text_so_far() {
    let failed = r#"{"status":"failed","error":{"type":"internal_error","code":"internal_error","message":"list index\nout of range"}}"#;
    assert_eq!(
        lines(&decode(&[(TEXT, &text("a", "half")), ("response.failed", failed), (TEXT, &text("a", "late"))])),
        [
            "+m1",
            "m1: half",
            "-m1 Failed None",
            "failed Upstream the server reported an error in its response: list index out of range",
        ]
    );
}

#[test]
fn an_end_without_an_end_mark_is_an_interruption() {
    assert_eq!(lines(&decode(&[])), ["Interrupted"]);
    let lines = lines(&decode(&[(TEXT, &text("a", "half")), (ITEM, &added(&call("c", "x")))]));
    assert_eq!(lines[lines.len() - 2..], ["-m1 Interrupted None", "Interrupted"]);
}

#[test]
fn an_emoji_cut_between_deltas_is_whole() {
    let item = r#"{"type":"message","id":"a","content":[{"type":"output_text","text":"a\ud83d\ude00b"}]}"#;
    let whole = lines(&decode(&[(TEXT, &text("a", r"a\ud83d")), (TEXT, &text("a", r"\ude00b")), (ITEM, &added(item))]));
    assert_eq!(whole[1..3], ["m1: a", "m1: 😀b"]);
    assert_eq!(whole[3], "-m1 Interrupted Some(\"a😀b\")");
    let lines = lines(&decode(&[(TEXT, &text("a", r"a\ud83d"))]));
    assert_eq!(lines[1..3], ["m1: a", "m1: \u{fffd}"]);
}

#[test]
fn calls_that_nobody_runs_are_requests_and_may_get_their_output_late() {
    let left = call("c", "x").replace("in_progress", "completed");
    let end = r#"{"status":"completed","output":[],"output_text":""}"#;
    let unasked = lines(&decode(&[(ITEM, &added(&left)), (DONE, end)]));
    assert!(unasked.contains(&"c Requested ".to_owned()), "{unasked:?}");
    let late = r#"{"type":"function_call_output","id":"out_0","call_id":"c","output":"\"ok\""}"#;
    let mut decoder = EnclavaDecoder::new();
    let mut out = Vec::new();
    decoder.decode_frame(&frame(ITEM, &added(&left)), &mut out);
    decoder.decode_frame(&frame(DONE, end), &mut out);
    assert!(decoder.is_complete() && !decoder.is_done());
    decoder.decode_frame(&frame(ITEM, &added(late)), &mut out);
    assert!(decoder.is_done());
    decoder.finish(&mut out);
    assert!(lines(&out).contains(&"c Ok ok".to_owned()), "{out:?}");
}

#[test]
fn a_whole_answer_is_read_as_well() {
    let data = format!(
        r#"{{"id":"r","object":"response","model":"o","status":"completed","output":[{},{},{{"type":"message","id":"a","content":[{{"type":"output_text","text":"Hi"}}]}}],"output_text":"Hi","usage":{{"input_tokens":3,"output_tokens":2,"total_tokens":5}}}}"#,
        call("c", "x"),
        output("c", "1", "completed")
    );
    assert_eq!(
        lines(&decode(&[("", &data)]))[1..],
        [
            "+m1",
            "m1 calls c Some(\"x\") Server",
            "c = x {}",
            "c Ok 1",
            "-m1 ToolCalls None",
            "+m2",
            "m2: Hi",
            "-m2 End Some(\"Hi\")",
            r#"{"UsageReported":{"scope":"turn","usage":{"input_tokens":3,"output_tokens":2}}}"#,
            "Completed",
        ]
    );
}

#[test]
fn odd_frames_are_emitted_once_and_harm_nothing() {
    let lines = lines(&decode(&[
        ("response.mystery", "{}"),
        ("response.mystery", "{}"),
        (TEXT, "not json"),
        (TEXT, "[]"),
        (TEXT, r#"{"delta":null,"item_id":7}"#),
        (ITEM, r#"{"item":null}"#),
        (ITEM, r#"{"item":{"type":"ring"}}"#),
        ("ping", ""),
        ("", "[DONE]"),
    ]));
    assert_eq!(lines.iter().filter(|line| *line == "notice unknown_frame").count(), 4, "{lines:?}");
    assert_eq!(lines.last().unwrap(), "Interrupted");
}

#[test]
fn text_before_the_last_calls_is_emitted_once_though_no_answer_follows() {
    let message =
        r#"{"type":"message","id":"msg_0","role":"assistant","content":[{"type":"output_text","text":"so"}]}"#;
    let all = format!("[{message},{},{}]", call("c", "clock"), output("c", "\"noon\"", "completed"));
    let done = format!(r#"{{"id":"r","object":"response","status":"completed","output":{all},"output_text":"so"}}"#);
    let events = decode(&[
        (TEXT, &text("msg_0", "so")),
        (ITEM, &added(message)),
        (ITEM, &added(&call("c", "clock"))),
        (ITEM, &added(&output("c", "\"noon\"", "completed"))),
        (DONE, &done),
    ]);
    assert_eq!(
        lines(&events).iter().filter(|line| line.contains("so")).count(),
        2,
        "a piece and the whole: {events:?}"
    );
}
