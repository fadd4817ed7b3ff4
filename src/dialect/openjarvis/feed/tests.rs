use super::*;
use crate::dialect::{Decode, DecodeContext, ResponseHead};
use crate::event::{Annotation, CallId, CallOutcome, TurnOutcome};

const ROLE: &str = r#"{"id":"chatcmpl-0a1b2c3d4e5f","object":"chat.completion.chunk","created":100,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":null},"finish_reason":null}]}"#;
const TEXT: &str = r#"{"id":"chatcmpl-0a1b2c3d4e5f","object":"chat.completion.chunk","created":100,"model":"m","choices":[{"index":0,"delta":{"content":"It is 42."},"finish_reason":null}]}"#;
const END: &str = r#"{"id":"chatcmpl-0a1b2c3d4e5f","object":"chat.completion.chunk","created":100,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;

struct FeedBench {
    decode: OpenJarvisDecoder,
    out: Vec<ReplyEvent>,
}

impl FeedBench {
    fn begin() -> Self {
        let context = DecodeContext {
            prompt: Some("what is 6*7".into()),
            path: "/v1/chat/completions".into(),
            response: ResponseHead::from_content_type("text/event-stream"),
            ..DecodeContext::default()
        };
        let mut chat = Self { decode: OpenJarvisDecoder::tentative(&context), out: Vec::new() };
        chat.decode.decode_frame(&SseFrame::data(ROLE), &mut chat.out);
        chat
    }

    fn receive(mut self, name: &str, data: &Json) -> Self {
        let frame = SseFrame { event: name.into(), ..SseFrame::data(data.to_string()) };
        self.decode.decode_feed(&frame, &mut self.out);
        self
    }

    fn request_calls(self, calls: &Json) -> Self {
        let data = json!({"model": "m", "latency": 0.5, "tool_calls": calls});
        self.receive("inference_start", &json!({"model": "m", "message_count": 2})).receive("inference_end", &data)
    }

    fn start_call(self, expression: &str) -> Self {
        let data = json!({"tool": "calculator", "arguments": {"expression": expression}, "agent": "orchestrator"});
        self.receive("tool_call_start", &data)
    }

    fn end_call(self, expression: &str, result: &str, latency: f64) -> Self {
        let data = json!({
            "tool": "calculator", "success": true, "latency": latency, "result": result,
            "metadata": {"arguments": {"expression": expression}}, "agent": "orchestrator",
        });
        self.receive("tool_call_end", &data)
    }

    fn done(mut self, records: &[Json]) -> Vec<ReplyEvent> {
        for data in [TEXT, END, "[DONE]"] {
            self.decode.decode_frame(&SseFrame::data(data), &mut self.out);
        }
        let records: Vec<Option<&Json>> = records.iter().map(Some).collect();
        self.decode.reconcile_from_records(&records, &mut self.out);
        self.decode.finish(&mut self.out);
        self.out
    }
}

fn requested(id: &str, name: &str, args: &Json) -> Json {
    json!({"id": id, "name": name, "arguments": args.to_string()})
}

/// As a server writes it: of calls that run in parallel, all inputs are those of the last.
fn step(input: &str, expression: &str, result: &str, seconds: f64) -> Json {
    json!({
        "step_type": "tool_call", "timestamp": 101.5, "duration_seconds": seconds,
        "input": {"tool": "calculator", "arguments": {"expression": input}},
        "output": {"success": true, "result": result}, "metadata": {"arguments": {"expression": expression}},
    })
}

fn trace(query: &str, ended: f64, requested: &Json, steps: Vec<Json>) -> Json {
    let generate = json!({"step_type": "generate", "output": {"tool_calls": requested}});
    let steps: Vec<Json> = [generate].into_iter().chain(steps).collect();
    json!({"query": query, "ended_at": ended, "result": "It is 42.", "steps": steps})
}

fn traces(traces: &[Json]) -> Json {
    json!({"traces": traces})
}

fn started(events: &[ReplyEvent]) -> Vec<(CallId, String)> {
    let started = |event: &ReplyEvent| match event {
        ReplyEvent::ToolCallReady { call, args, .. } => Some((call.clone(), args.clone())),
        _ => None,
    };
    events.iter().filter_map(started).collect()
}

fn ended(events: &[ReplyEvent]) -> Vec<(CallOutcome, String, Option<u64>)> {
    let ended = |event: &ReplyEvent| match event {
        ReplyEvent::ToolCallFinished { outcome, output, duration: took, .. } => {
            Some((*outcome, output.text.clone(), took.map(|took| took.0)))
        }
        _ => None,
    };
    events.iter().filter_map(ended).collect()
}

fn foreign(events: &[ReplyEvent]) -> usize {
    events
        .iter()
        .filter(|event| matches!(event, ReplyEvent::Annotation { annotation: Annotation::Foreign(true), .. }))
        .count()
}

fn six_times_seven() -> Json {
    json!([requested("call_0", "calculator", &json!({"expression": "6*7"}))])
}

fn ok(result: &str, ms: u64) -> (CallOutcome, String, Option<u64>) {
    (CallOutcome::Ok, result.into(), Some(ms))
}

#[test]
fn a_call_is_shown_as_it_happens_and_its_trace_says_nothing_twice() {
    let chat = FeedBench::begin().request_calls(&six_times_seven()).start_call("6*7");
    assert_eq!(started(&chat.out).len(), 1, "shown before it ended");
    let record = traces(&[trace("what is 6*7", 102.0, &six_times_seven(), vec![step("6*7", "6*7", "42.0", 0.004)])]);
    let events = chat.end_call("6*7", "42.0", 0.004).done(&[record]);
    assert_eq!(started(&events), [("call_0".into(), r#"{"expression":"6*7"}"#.to_owned())]);
    assert_eq!(ended(&events), [ok("42.0", 4)]);
    assert_eq!(foreign(&events), 0);
    assert!(matches!(events.last(), Some(ReplyEvent::End { outcome: TurnOutcome::Completed })));
}

#[test]
fn what_the_feed_did_not_bring_comes_with_the_trace() {
    let calls = json!([
        requested("call_0", "calculator", &json!({"expression": "6*7"})),
        requested("call_1", "calculator", &json!({"expression": "1+1"})),
        requested("call_2", "no_such_tool", &json!({"x": 1})),
    ]);
    let steps = vec![step("1+1", "6*7", "42.0", 0.004), step("1+1", "1+1", "2.0", 0.003)];
    let record = traces(&[trace(" what is 6*7 ", 102.0, &calls, steps)]);
    let events = FeedBench::begin().done(&[record]);
    let args: Vec<String> = started(&events).into_iter().map(|(_, args)| args).collect();
    assert_eq!(args, [r#"{"expression":"6*7"}"#, r#"{"expression":"1+1"}"#, r#"{"x":1}"#]);
    assert_eq!(ended(&events), [ok("42.0", 4), ok("2.0", 3), (CallOutcome::Requested, String::new(), None)]);
}

#[test]
fn two_clients_at_once_are_told_apart() {
    // We connect while another client's agent is at work; ours starts after it.
    let chat = FeedBench::begin()
        .receive("inference_end", &json!({"model": "m", "tool_calls": six_times_seven()}))
        .start_call("6*7")
        .end_call("6*7", "42.0", 0.001)
        .request_calls(&six_times_seven())
        .start_call("6*7")
        .end_call("6*7", "42.0", 0.002);
    assert_eq!(started(&chat.out), [], "nothing says whose it is");
    let record = traces(&[
        trace("what is 6*7", 103.0, &six_times_seven(), vec![step("6*7", "6*7", "42.0", 0.002)]),
        trace("another question", 102.0, &six_times_seven(), vec![step("6*7", "6*7", "42.0", 0.001)]),
    ]);
    let events = chat.done(&[record]);
    assert_eq!(ended(&events), [ok("42.0", 2)]);
    assert!(!events.iter().any(|event| matches!(event, ReplyEvent::Notice { .. })), "others are no news");
}

#[test]
fn a_call_that_was_shown_and_is_anothers_is_marked() {
    let chat = FeedBench::begin().request_calls(&six_times_seven()).start_call("6*7").end_call("6*7", "42.0", 0.001);
    let record = traces(&[trace("what is 6*7", 103.0, &json!([]), vec![])]);
    let events = chat.done(&[record]);
    assert_eq!((started(&events).len(), foreign(&events)), (1, 1));
}

#[test]
fn of_the_same_prompt_asked_twice_the_trace_that_holds_our_calls_counts() {
    let steps = |seconds: f64| vec![step("6*7", "6*7", "42.0", seconds)];
    let record = traces(&[
        trace("what is 6*7", 103.0, &six_times_seven(), steps(0.9)),
        trace("what is 6*7", 102.0, &six_times_seven(), steps(0.002)),
    ]);
    let chat = FeedBench::begin().request_calls(&six_times_seven()).start_call("6*7").end_call("6*7", "42.0", 0.002);
    let events = chat.done(&[record]);
    assert_eq!((ended(&events), foreign(&events)), (vec![ok("42.0", 2)], 0));
}

#[test]
fn the_trace_of_an_older_turn_is_not_taken_for_ours() {
    let mut chat = FeedBench::begin();
    let old = traces(&[trace("what is 6*7", 99.0, &six_times_seven(), vec![step("6*7", "6*7", "42.0", 0.1)])]);
    assert!(!chat.decode.reconcile_from_records(&[Some(&old)], &mut chat.out), "worth asking again");
    assert_eq!(started(&chat.out), []);
    assert!(chat.decode.reconcile_from_records(&[Some(&traces(&[]))], &mut chat.out), "a server without traces is not");
    assert!(chat.decode.reconcile_from_records(&[None], &mut chat.out));
}

#[test]
fn without_a_trace_what_may_be_anothers_is_counted_and_not_shown() {
    let chat = FeedBench::begin().start_call("6*7").end_call("1+1", "2.0", 0.1).start_call("3+3");
    let events = chat.done(&[]);
    assert_eq!(started(&events).len(), 1);
    let lost =
        |event: &ReplyEvent| matches!(event, ReplyEvent::Notice { text, .. } if text.starts_with("2 tool calls"));
    assert!(events.iter().any(lost), "{events:?}");
}

#[test]
fn an_agent_that_begins_with_another_prompt_is_anothers() {
    let turn = |input: &str| json!({"agent": "orchestrator", "input": input});
    let ours = FeedBench::begin().receive("agent_turn_start", &turn("what is 6*7")).start_call("6*7");
    assert_eq!(started(&ours.out).len(), 1);
    let theirs = FeedBench::begin().receive("agent_turn_start", &turn("something else")).start_call("6*7");
    assert_eq!(started(&theirs.out).len(), 0);
}

#[test]
fn what_the_server_counted_is_emitted_once_with_the_dearest_alternative() {
    let savings = json!({"total_calls": 6, "total_tokens": 637, "per_provider": [
        {"label": "A", "total_cost": 0.001}, {"label": "B", "total_cost": 0.007}, {"label": "C"},
    ]});
    let energy = json!({"total_energy_j": 0.0, "avg_power_w": 12.5});
    let events = FeedBench::begin().done(&[traces(&[]), savings, energy]);
    let totals: Vec<&Json> = events
        .iter()
        .filter_map(|event| match event {
            ReplyEvent::Annotation { annotation: Annotation::Totals(data), .. } => Some(data),
            _ => None,
        })
        .collect();
    let expected = json!({"requests": 6, "tokens": 637, "saved_usd": 0.007, "against": "B", "power_w": 12.5});
    assert_eq!(totals, [&expected]);
    assert_eq!(server_totals(Some(&json!("odd")), None), None);
}

#[test]
fn odd_records_are_no_trouble() {
    for odd in [
        json!(7),
        json!({"traces": [1, {"query": "what is 6*7"}, {"query": "what is 6*7", "steps": [{}, 3, {"step_type": "tool_call"}]}]}),
        json!({"traces": {"a": 1}}),
    ] {
        let events = FeedBench::begin().done(&[odd]);
        assert!(matches!(events.last(), Some(ReplyEvent::End { outcome: TurnOutcome::Completed })));
    }
}
