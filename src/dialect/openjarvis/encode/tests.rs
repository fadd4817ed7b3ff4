use super::*;
use crate::event::{
    Annotation, ApprovalRequest, CallOutput, DecidedBy, Decision, Fault, FaultKind, Risk, Seq, ToolKind, TurnOutcome,
    Usage, UsageScope,
};
use crate::testkit::events::{
    call_ready, call_started, message_finished as finished, message_started as started, shell_approval,
    text_delta as text, turn_finished, user_message,
};

const CHUNK: &str =
    r#"{"id":"chatcmpl-0a1b2c3d4e5f","object":"chat.completion.chunk","created":7,"model":"m","choices":[{"index":0,"#;

fn encoder() -> OpenJarvisEncoder {
    OpenJarvisEncoder::new(ChunkHead { id: "chatcmpl-0a1b2c3d4e5f".into(), created: 7, model: "m".into() }, 5, 2)
}

fn encode(events: Vec<(u64, AgentEvent)>) -> Vec<(String, String)> {
    let (mut encoder, mut out) = (encoder(), Vec::new());
    encoder.start(&mut out);
    for (seq, (at, event)) in events.into_iter().enumerate() {
        encoder.encode_event(&Envelope { seq: Seq(seq as u64 + 1), at: Millis(at), event }, &mut out);
    }
    encoder.finish(&mut out);
    out.into_iter()
        .map(|frame| {
            let data = frame.data.strip_prefix(CHUNK).unwrap_or(&frame.data).to_owned();
            (frame.event, data)
        })
        .collect()
}

fn user(text: &str) -> AgentEvent {
    user_message("u", text)
}

fn usage(n: u32, input: u64, output: u64) -> AgentEvent {
    let usage = Usage { input_tokens: input, output_tokens: output, ..Usage::default() };
    AgentEvent::UsageReported { scope: UsageScope::Request(n), usage }
}

fn call(id: &str, name: &str, args: &str) -> [AgentEvent; 2] {
    [call_started(id, "a", Some(name)), call_ready(id, name, args)]
}

fn done(id: &str, outcome: CallOutcome, output: &str, took: Option<u64>) -> AgentEvent {
    let output = CallOutput::from_text(output);
    AgentEvent::ToolCallFinished { call: id.into(), outcome, output, duration: took.map(Millis) }
}

fn names(frames: &[(String, String)]) -> Vec<&str> {
    frames.iter().map(|(event, data)| if event.is_empty() { &data[..data.len().min(6)] } else { event }).collect()
}

#[test]
fn a_turn_with_a_call_is_told_as_the_bridge_tells_it() {
    let mut events = vec![(0, user("what time?")), (20, started("a"))];
    events.extend(call("c", "clock", r#"{"zone":"UTC"}"#).map(|event| (30, event)));
    events.extend([
        (40, finished("a", FinishReason::ToolCalls)),
        (40, usage(1, 10, 4)),
        (50, done("c", CallOutcome::Ok, "noon", Some(3))),
        (60, started("b")),
        (70, text("b", "It is noon.")),
        (80, finished("b", FinishReason::End)),
        (80, usage(2, 20, 4)),
        (80, turn_finished("t", TurnOutcome::Completed)),
    ]);
    let frames = encode(events);
    let inference = |n: usize| serde_json::from_str::<Json>(&frames[n].1).unwrap();
    let (first, second) = (inference(3), inference(8));
    let keys: Vec<&String> = first.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "model",
            "latency",
            "usage",
            "ttft",
            "throughput_tok_per_sec",
            "energy_per_output_token_joules",
            "throughput_per_watt",
            "energy_joules",
            "power_watts",
            "gpu_utilization_pct",
            "gpu_memory_used_gb",
            "gpu_temperature_c",
            "prefill_latency_seconds",
            "decode_latency_seconds",
            "prefill_energy_joules",
            "decode_energy_joules",
            "mean_itl_ms",
            "energy_method",
            "energy_vendor",
            "content",
            "tool_calls",
            "tool_results",
            "content_blocks",
            "finish_reason"
        ]
    );
    assert_eq!(first["tool_calls"], json!([{"id": "c", "name": "clock", "arguments": r#"{"zone":"UTC"}"#}]));
    assert_eq!(
        (&first["latency"], &first["ttft"], &first["throughput_tok_per_sec"]),
        (&json!(0.04), &json!(0.03), &json!(100.0))
    );
    assert_eq!(
        first["usage"],
        json!({"prompt_tokens": 10, "prompt_tokens_evaluated": 10, "completion_tokens": 4, "total_tokens": 14})
    );
    assert_eq!((&second["content"], &second["finish_reason"]), (&json!("It is noon."), &json!("stop")));
    let frame = |event: &str, data: &str| (event.to_owned(), data.to_owned());
    let mut rest = frames;
    rest.remove(8);
    rest.remove(3);
    assert_eq!(
        rest,
        [
            frame("", r#""delta":{"role":"assistant","content":null},"finish_reason":null}]}"#),
            frame("agent_turn_start", r#"{"agent":"jarvis-tui","input":"what time?"}"#),
            frame("inference_start", r#"{"model":"m","message_count":2}"#),
            frame("tool_call_start", r#"{"tool":"clock","arguments":{"zone":"UTC"}}"#),
            frame(
                "tool_call_end",
                r#"{"tool":"clock","success":true,"latency":0.003,"result":"noon","metadata":{"arguments":{"zone":"UTC"}}}"#
            ),
            frame("inference_start", r#"{"model":"m","message_count":4}"#),
            frame("", r#""delta":{"role":null,"content":"It is noon."},"finish_reason":null}]}"#),
            frame(
                "tool_results",
                r#"{"results":[{"tool_name":"clock","success":true,"output":"noon","latency_ms":3.0}]}"#
            ),
            frame(
                "",
                r#""delta":{"role":null,"content":null},"finish_reason":"stop"}],"usage":{"prompt_tokens":30,"completion_tokens":8,"total_tokens":38}}"#
            ),
            frame("", "[DONE]"),
        ]
    );
}

#[test]
fn a_call_is_started_when_it_begins_to_run_not_when_it_ends() {
    let [asked, ready] = call("c1", "search", "{}");
    let (on, annotation) = (AnnotationTarget::Call("c1".into()), Annotation::Running {});
    let running = AgentEvent::Annotation { on, annotation };
    let mut events = vec![user("where?"), started("a"), asked, ready, finished("a", FinishReason::ToolCalls)];
    let starts = |events: &[AgentEvent]| {
        let (mut encoder, mut out) = (encoder(), Vec::new());
        for event in events {
            encoder.encode_event(&Envelope { seq: Seq(1), at: Millis(0), event: event.clone() }, &mut out);
        }
        out.iter().filter(|frame| frame.event == "tool_call_start").count()
    };
    assert_eq!(starts(&events), 0, "it may still be refused");
    events.push(running);
    assert_eq!(starts(&events), 1);
    events.push(done("c1", CallOutcome::Ok, "here", Some(3)));
    assert_eq!(starts(&events), 1, "once");
}

#[test]
fn refused_calls_are_only_in_the_results_which_stand_in_the_order_of_the_requests() {
    let mut events = vec![(0, user("do it")), (1, started("a"))];
    for (id, name) in [("c1", "shell"), ("c2", "read_file"), ("c3", "write_file")] {
        events.extend(call(id, name, "{}").map(|event| (1, event)));
    }
    let ask =
        ApprovalRequest { tool: "write_file".into(), kind: ToolKind::Edit, risk: Risk::Write, ..shell_approval("x") };
    let resolved = AgentEvent::ApprovalResolved { call: "c3".into(), decision: Decision::Once, by: DecidedBy::Remote };
    events.extend([
        (2, finished("a", FinishReason::ToolCalls)),
        (3, done("c1", CallOutcome::Denied, "denied: no rule allows it", None)),
        (3, AgentEvent::ApprovalRequested { call: "c3".into(), request: ask }),
        (9, done("c2", CallOutcome::Ok, &"é".repeat(11_000), Some(6))),
        (10, resolved),
        (12, done("c3", CallOutcome::Failed, "disk full", Some(2))),
        (13, started("b")),
        (14, finished("b", FinishReason::End)),
        (15, turn_finished("t", TurnOutcome::Completed)),
    ]);
    let frames = encode(events);
    assert_eq!(
        names(&frames),
        [
            "\"delta",
            "agent_turn_start",
            "inference_start",
            "inference_end",
            "tool_call_start",
            "tool_call_end",
            "tool_call_start",
            "tool_call_end",
            "inference_start",
            "inference_end",
            "tool_results",
            "\"delta",
            "[DONE]"
        ]
    );
    let json = |n: usize| serde_json::from_str::<Json>(&frames[n].1).unwrap();
    assert_eq!(json(5)["result"].as_str().unwrap().chars().count(), 10_240, "cut by characters");
    assert_eq!(json(6)["tool"], "write_file", "its start is told when it was allowed");
    let results = json(10)["results"].as_array().unwrap().clone();
    assert_eq!(
        results[0].to_string(),
        r#"{"tool_name":"shell","success":false,"output":"denied: no rule allows it","latency_ms":0}"#
    );
    assert_eq!(results[1]["output"].as_str().unwrap().chars().count(), 11_000, "uncut");
    assert_eq!((&results[2]["success"], &results[2]["latency_ms"]), (&json!(false), &json!(2.0)));
}

#[test]
fn a_turn_that_fails_is_one_chunk_of_prose_without_counts_or_results() {
    let prose = |kind: FaultKind| {
        let end = TurnOutcome::Failed(Fault::new(kind, "it broke"));
        let frames = encode(vec![
            (0, user("hi")),
            (1, started("a")),
            (2, finished("a", FinishReason::Failed)),
            (2, turn_finished("t", end)),
        ]);
        assert_eq!(names(&frames), ["\"delta", "agent_turn_start", "inference_start", "\"delta", "[DONE]"]);
        let chunk = frames[3].1.strip_prefix(r#""delta":{"role":null,"content":""#).unwrap();
        chunk.strip_suffix(r#""},"finish_reason":"stop"}]}"#).unwrap().to_owned()
    };
    assert_eq!(prose(FaultKind::Upstream), "Sorry, an error occurred: it broke");
    assert_eq!(prose(FaultKind::BadRequest), "The model returned an error: it broke");
    assert_eq!(
        prose(FaultKind::ContextTooLong),
        "The input is too long for the model's context window. Please try a shorter message."
    );
}

#[test]
fn an_answer_without_a_word_has_no_chunk_of_text_and_counts_all_the_same() {
    let frames = encode(vec![
        (0, user("hi")),
        (1, started("a")),
        (2, finished("a", FinishReason::End)),
        (2, turn_finished("t", TurnOutcome::Completed)),
    ]);
    assert_eq!(
        names(&frames),
        ["\"delta", "agent_turn_start", "inference_start", "inference_end", "\"delta", "[DONE]"]
    );
    assert!(frames[4].1.ends_with(r#""usage":{"prompt_tokens":5,"completion_tokens":1,"total_tokens":6}}"#));
}

#[test]
fn an_answer_that_was_cut_off_says_why_it_ended() {
    for (finish_reason, reason) in
        [(FinishReason::Length, "length"), (FinishReason::Refused, "content_filter"), (FinishReason::End, "stop")]
    {
        let events = [
            user("x"),
            started("a"),
            text("a", "half"),
            finished("a", finish_reason),
            usage(1, 1, 1),
            turn_finished("t", TurnOutcome::Completed),
        ];
        let frames = encode(events.iter().map(|event| (0, event.clone())).collect());
        let reasons: Vec<&str> = frames
            .iter()
            .filter_map(|(_, data)| data.split("\"finish_reason\":\"").nth(1)?.split('"').next())
            .collect();
        assert_eq!(reasons, [reason, reason], "of the request and of the answer: {frames:?}");
    }
}
