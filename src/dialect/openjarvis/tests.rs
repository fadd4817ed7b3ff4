use super::*;
use crate::event::{Annotation, CallOutcome, TurnOutcome};

const ROLE: &str = r#"{"id":"chatcmpl-0a1b2c3d4e5f","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":null},"finish_reason":null}]}"#;
const END: &str = r#"{"id":"chatcmpl-0a1b2c3d4e5f","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;

fn decode(prompt: &str, frames: &[(&str, &str)]) -> Vec<ReplyEvent> {
    let context =
        DecodeContext { prompt: Some(prompt.into()), path: "/v1/chat/completions".into(), ..DecodeContext::default() };
    let (mut decoder, mut out) = (OpenJarvisDecoder::tentative(&context), Vec::new());
    for (event, data) in frames {
        decoder.decode_frame(&SseFrame { event: (*event).into(), ..SseFrame::data(*data) }, &mut out);
    }
    decoder.finish(&mut out);
    out
}

fn started(events: &[ReplyEvent]) -> usize {
    events.iter().filter(|event| matches!(event, ReplyEvent::ToolCallStarted { .. })).count()
}

fn ends(events: &[ReplyEvent]) -> Vec<(CallOutcome, String, u64)> {
    let end = |event: &ReplyEvent| match event {
        ReplyEvent::ToolCallFinished { outcome, output, duration: took, .. } => {
            Some((*outcome, output.text.clone(), took.map_or(0, |took| took.0)))
        }
        _ => None,
    };
    events.iter().filter_map(end).collect()
}

const TURN: (&str, &str) = ("agent_turn_start", r#"{"agent":"orchestrator","input":"hi"}"#);
const START: (&str, &str) = ("tool_call_start", r#"{"tool":"f","arguments":{"a":1}}"#);
const STOP: (&str, &str) =
    ("tool_call_end", r#"{"tool":"f","success":true,"latency":0.25,"result":"one","metadata":{"arguments":{"a":1}}}"#);

#[test]
fn a_call_is_told_as_it_happens_and_results_that_say_the_same_add_nothing() {
    let results =
        ("tool_results", r#"{"results":[{"tool_name":"f","success":true,"output":"one","latency_ms":250.0}]}"#);
    let events = decode("hi", &[("", ROLE), TURN, START, STOP, results, ("", END), ("", "[DONE]")]);
    assert_eq!(ends(&events), [(CallOutcome::Ok, "one".to_owned(), 250)]);
    assert_eq!(started(&events), 1);
}

#[test]
fn nobody_elses_call_is_told_and_ours_comes_with_the_results() {
    let other = ("agent_turn_start", r#"{"agent":"orchestrator","input":"something else"}"#);
    let foreign = ("tool_call_start", r#"{"tool":"f","arguments":{"a":2}}"#);
    let before = [("", ROLE), TURN, other, foreign, START, STOP];
    assert_eq!(started(&decode("hi", &before)), 0);
    let results =
        ("tool_results", r#"{"results":[{"tool_name":"f","success":true,"output":"one","latency_ms":250.0}]}"#);
    let events = decode("hi", &[&before[..], &[results, ("", END), ("", "[DONE]")]].concat());
    assert_eq!(ends(&events), [(CallOutcome::Ok, "one".to_owned(), 250)]);
    let args = |event: &ReplyEvent| matches!(event, ReplyEvent::ToolCallReady { args, .. } if args == r#"{"a":1}"#);
    assert!(events.iter().any(args), "{events:?}");
}

#[test]
fn a_server_that_changes_the_prompt_loses_no_call() {
    let results =
        ("tool_results", r#"{"results":[{"tool_name":"f","success":true,"output":"one","latency_ms":250.0}]}"#);
    let start = [("", ROLE), TURN, START, STOP];
    let whole = [&start[..], &[results, ("", END), ("", "[DONE]")]].concat();
    // With the results, or where the stream is cut before them.
    for frames in [&whole[..], &start] {
        assert_eq!(ends(&decode("hi, and more", frames)), [(CallOutcome::Ok, "one".to_owned(), 250)]);
    }
    // A turn that completed without results had no calls.
    let none = [&start[..], &[("", END), ("", "[DONE]")]].concat();
    assert_eq!(ends(&decode("hi, and more", &none)), []);
}

#[test]
fn a_call_that_was_told_and_is_in_no_result_is_marked() {
    let results = ("tool_results", r#"{"results":[{"tool_name":"g","success":true,"output":"","latency_ms":1.0}]}"#);
    let events = decode("hi", &[("", ROLE), TURN, START, STOP, results, ("", END), ("", "[DONE]")]);
    let marks = events
        .iter()
        .filter(|event| matches!(event, ReplyEvent::Annotation { annotation: Annotation::Foreign(true), .. }));
    assert_eq!((marks.count(), started(&events)), (1, 2));
}

#[test]
fn seconds_are_the_bridges_and_milliseconds_the_managed_agents() {
    let managed =
        decode("hi", &[START, ("tool_call_end", r#"{"tool":"f","success":true,"latency":25.4,"result":"x"}"#)]);
    // The path identifies the bridge.
    assert_eq!(ends(&managed), [(CallOutcome::Ok, "x".to_owned(), 25_400)]);
    let context = DecodeContext { path: "/v1/managed-agents/1/messages".into(), ..DecodeContext::default() };
    for context in [context, DecodeContext::default()] {
        let (mut decoder, mut out) = (OpenJarvisDecoder::new(&context), Vec::new());
        for (event, data) in [START, ("tool_call_end", r#"{"tool":"f","latency":25.4,"result":"x"}"#)] {
            decoder.decode_frame(&SseFrame { event: event.into(), ..SseFrame::data(data) }, &mut out);
        }
        assert_eq!(ends(&out), [(CallOutcome::Ok, "x".to_owned(), 25)]);
    }
}

#[test]
fn prose_of_errors_is_an_answer_on_other_servers() {
    let words = r#"{"id":"chatcmpl-A1","created":1,"choices":[{"index":0,"delta":{"content":"Sorry, an error occurred: x"},"finish_reason":"stop"}]}"#;
    let events = decode("hi", &[("", words), ("", "[DONE]")]);
    assert_eq!(events.last(), Some(&ReplyEvent::End { outcome: TurnOutcome::Completed }));
    let events =
        decode("hi", &[("", ROLE), ("", &words.replace("chatcmpl-A1", "chatcmpl-0a1b2c3d4e5f")), ("", "[DONE]")]);
    assert!(matches!(events.last(), Some(ReplyEvent::End { outcome: TurnOutcome::Failed(_) })), "{events:?}");
}

#[test]
fn a_flood_of_calls_is_bounded() {
    let frames: Vec<(&str, &str)> = [("", ROLE), TURN].into_iter().chain((0..2000).map(|_| START)).collect();
    assert_eq!(started(&decode("hi", &frames)), 256);
}
