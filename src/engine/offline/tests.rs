use serde_json::json;

use super::*;
use crate::engine::HistoryCall;
use crate::event::{CallId, FinishReason, Json, ReplyEvent, Risk, TurnOutcome, UsageScope};

const TOOLS: &[&str] =
    &["calculator", "read_file", "list_dir", "search", "write_file", "edit_file", "shell", "fetch", "clock"];

fn spec(name: &str) -> ToolSpec {
    ToolSpec { name: name.into(), description: String::new(), parameters: json!({}), risk: Risk::ReadOnly }
}

fn request(past: Vec<HistoryMessage>, tools: &[&str]) -> ModelRequest {
    ModelRequest {
        model: MODEL_NAME.into(),
        history: past,
        tools: tools.iter().map(|name| spec(name)).collect(),
        ..ModelRequest::default()
    }
}

fn user(text: &str) -> HistoryMessage {
    HistoryMessage::user(text)
}

/// A parsed answer. Checks the order of its events.
#[derive(Debug, Default, PartialEq)]
struct CollectedAnswer {
    text: String,
    reasoning: String,
    calls: Vec<(String, Json)>,
    millis: u64,
}

fn collect_answer(beats: &[ScriptedEvent]) -> CollectedAnswer {
    let mut answer = CollectedAnswer::default();
    let (mut opened, mut closed, mut usage, mut ended) = (0, 0, 0, 0);
    let mut finish_reason = None;
    let mut open_calls: Vec<(CallId, String)> = Vec::new();
    for beat in beats {
        assert_eq!(ended, 0, "nothing follows the end of the turn");
        answer.millis += beat.delay.0;
        match &beat.event {
            ReplyEvent::MessageStarted { message, .. } => {
                assert_eq!(message.as_str(), "m1");
                opened += 1;
            }
            ReplyEvent::TextDelta { text, .. } => {
                assert!(opened == 1 && closed == 0 && !text.is_empty());
                answer.text.push_str(text);
            }
            ReplyEvent::ReasoningDelta { text, .. } => {
                assert!(opened == 1 && closed == 0 && !text.is_empty());
                answer.reasoning.push_str(text);
            }
            ReplyEvent::ToolCallStarted { call, .. } => {
                assert!(opened == 1 && closed == 0);
                assert!(!open_calls.iter().any(|(open, _)| open == call));
                open_calls.push((call.clone(), String::new()));
            }
            ReplyEvent::ToolArgsDelta { call, json } => {
                let open = open_calls.iter_mut().find(|(open, _)| open == call).unwrap();
                open.1.push_str(json);
            }
            ReplyEvent::ToolCallReady { call, name, args, .. } => {
                let at = open_calls.iter().position(|(open, _)| open == call).unwrap();
                assert_eq!(open_calls.remove(at).1, *args, "the pieces are the arguments");
                assert_eq!(call.as_str(), format!("call_{}", answer.calls.len() + 1));
                answer.calls.push((name.clone(), serde_json::from_str(args).unwrap()));
            }
            ReplyEvent::MessageFinished { finish_reason: why, .. } => {
                finish_reason = Some(*why);
                closed += 1;
            }
            ReplyEvent::UsageReported { scope, usage: counts } => {
                assert_eq!(*scope, UsageScope::Request(1));
                assert!(counts.estimated && counts.output_tokens > 0);
                usage += 1;
            }
            ReplyEvent::End { outcome } => {
                assert_eq!(*outcome, TurnOutcome::Completed);
                ended += 1;
            }
            other => panic!("an engine does not say {other:?}"),
        }
    }
    assert_eq!((opened, closed, usage, ended), (1, 1, 1, 1));
    assert!(open_calls.is_empty(), "every call is ready");
    assert_eq!(finish_reason, Some(if answer.calls.is_empty() { FinishReason::End } else { FinishReason::ToolCalls }));
    assert!(!(answer.calls.is_empty() && answer.text.is_empty()), "an answer says or does something");
    answer
}

fn reply(request: &ModelRequest, pace: f32) -> CollectedAnswer {
    let ReplyPlan::Scripted(beats) = (OfflineEngine { pace }).plan_reply(request) else { panic!("scripted") };
    collect_answer(&beats)
}

/// Plays a whole turn: `outcome` gives the result of each call.
fn play(prompt: &str, outcome: impl Fn(&str, &Json) -> (String, CallOutcome)) -> (String, Vec<Vec<String>>) {
    let mut past = vec![user(prompt)];
    let mut rounds = Vec::new();
    for _ in 0..10 {
        let answer = reply(&request(past.clone(), TOOLS), 0.0);
        if answer.calls.is_empty() {
            return (answer.text, rounds);
        }
        rounds.push(answer.calls.iter().map(|(name, _)| name.clone()).collect());
        let id = |at: usize| CallId::new(format!("c{}_{at}", rounds.len()));
        let made = answer.calls.iter().enumerate().map(|(at, (name, args))| HistoryCall {
            call: id(at),
            name: name.clone(),
            args: args.to_string(),
            provider_metadata: None,
            approval: None,
        });
        past.push(HistoryMessage::Assistant {
            text: answer.text.clone(),
            reasoning: String::new(),
            calls: made.collect(),
            provider_metadata: None,
        });
        // Results may come in any order.
        for (at, (name, args)) in answer.calls.iter().enumerate().rev() {
            let (output, outcome) = outcome(name, args);
            past.push(HistoryMessage::Tool { call: id(at), name: name.clone(), output, outcome });
        }
    }
    panic!("the turn has no end");
}

fn ok(_: &str, _: &Json) -> (String, CallOutcome) {
    ("42".into(), CallOutcome::Ok)
}

#[test]
fn a_sum_is_worked_out_by_the_tool_and_reported() {
    assert_eq!(play("what is 6 * 7?", ok), ("`6 * 7` = **42**".to_owned(), vec![vec!["calculator".to_owned()]]));
}

#[test]
fn independent_calls_go_out_together_and_dependent_ones_wait() {
    let (_, rounds) = play("write \"a\" to x.txt and then read x.txt\nwhat is 1 + 1?", ok);
    assert_eq!(rounds, [vec!["write_file", "calculator"], vec!["read_file"]]);
}

#[test]
fn what_was_denied_or_failed_is_said_and_ends_the_plan() {
    for (outcome, word) in
        [(CallOutcome::Denied, "Denied"), (CallOutcome::Failed, "failed"), (CallOutcome::Cancelled, "Cancelled")]
    {
        let (text, rounds) =
            play("write \"a\" to x.txt and then read x.txt", |_, _| ("because of that".into(), outcome));
        assert_eq!(rounds.len(), 1, "{outcome:?}");
        assert!(text.contains(word) && text.contains("because of that"), "{text}");
        assert!(text.contains("**Not done:** `x.txt`"), "{text}");
    }
}

#[test]
fn a_failure_beside_a_success_hides_neither() {
    let (text, _) = play("read a.txt\nread b.txt", |_, args| match args["path"].as_str() {
        Some("a.txt") => ("     1\talpha\n".into(), CallOutcome::Ok),
        _ => ("no such file".into(), CallOutcome::Failed),
    });
    assert!(text.contains("alpha") && text.contains("`read_file` **failed** on `b.txt`"), "{text}");
}

#[test]
fn only_tools_that_are_there_are_called() {
    let answer = reply(&request(vec![user("list files\nwhat is 1+1\nrun `ls`")], &["calculator"]), 0.0);
    assert_eq!(answer.calls, [("calculator".to_owned(), json!({"expression": "1+1"}))]);
    let answer = reply(&request(vec![user("run `ls`")], &[]), 0.0);
    assert!(answer.calls.is_empty() && answer.text.contains("`shell`, but it isn't available"), "{}", answer.text);
}

#[test]
fn what_is_left_over_is_answered_after_the_calls() {
    let (text, _) = play("what is 6 * 7\nhow do I connect Ollama?", ok);
    assert!(text.starts_with("`6 * 7` = **42**\n\nFrom the manual: *Connecting a model › Ollama*"), "{text}");
}

#[test]
fn only_the_last_prompt_counts() {
    let call = HistoryCall {
        call: "old".into(),
        name: "calculator".into(),
        args: "{}".into(),
        provider_metadata: None,
        approval: None,
    };
    let past = vec![
        user("what is 1 + 1"),
        HistoryMessage::Assistant {
            text: String::new(),
            reasoning: String::new(),
            calls: vec![call],
            provider_metadata: None,
        },
        HistoryMessage::Tool {
            call: "old".into(),
            name: "calculator".into(),
            output: "2".into(),
            outcome: CallOutcome::Failed,
        },
        HistoryMessage::Assistant {
            text: "it failed".into(),
            reasoning: String::new(),
            calls: Vec::new(),
            provider_metadata: None,
        },
        user("what is 2 + 2"),
    ];
    let answer = reply(&request(past, TOOLS), 0.0);
    assert_eq!(answer.calls, [("calculator".to_owned(), json!({"expression": "2 + 2"}))]);
}

#[test]
fn a_resumed_history_with_holes_does_no_harm() {
    let tool = |call: &str| HistoryMessage::Tool {
        call: call.into(),
        name: "shell".into(),
        output: "x".into(),
        outcome: CallOutcome::Ok,
    };
    for past in [
        Vec::new(),
        vec![tool("a")],
        vec![user("run `ls`"), tool("a"), tool("b")],
        vec![HistoryMessage::Assistant {
            text: "hi".into(),
            reasoning: String::new(),
            calls: Vec::new(),
            provider_metadata: None,
        }],
    ] {
        reply(&request(past, TOOLS), 0.0);
    }
}

#[test]
fn the_tour_thinks_calls_tools_and_answers() {
    let first = reply(&request(vec![user("show me a demo")], TOOLS), 0.0);
    assert!(!first.reasoning.is_empty());
    assert_eq!(first.calls.len(), 3);
    let (text, rounds) = play("show me a demo", ok);
    assert_eq!(rounds.len(), 1);
    assert!(text.contains("# A short tour") && text.contains("What the tools said") && text.contains("42"));
    let bare = reply(&request(vec![user("demo")], &[]), 0.0);
    assert!(bare.calls.is_empty() && bare.text.contains("# A short tour"));
}

#[test]
fn the_same_request_gives_the_same_answer() {
    for prompt in ["hello", "what is 2+2", "demo stream 300", "why is the sky blue?", "how do I quit?"] {
        let request = request(vec![user(prompt)], TOOLS);
        let once = OfflineEngine::default().script(&request);
        assert_eq!(once, OfflineEngine::default().script(&request), "{prompt}");
    }
}

#[test]
fn answers_take_a_natural_time() {
    let millis = |prompt: &str, pace: f32| reply(&request(vec![user(prompt)], TOOLS), pace).millis;
    for prompt in ["hello", "help", "how do I connect Ollama?", "which keys are there?", "show me a demo"] {
        let took = millis(prompt, 1.0);
        assert!((500..=6000).contains(&took), "{prompt}: {took} ms");
        assert_eq!(millis(prompt, 0.0), 0);
        assert_eq!(millis(prompt, f32::NAN), 0);
    }
    assert!((200..=700).contains(&millis("what is 2+2", 1.0)));
    let long = vec![
        user("run `x`"),
        HistoryMessage::Assistant {
            text: String::new(),
            reasoning: String::new(),
            calls: vec![HistoryCall {
                call: "a".into(),
                name: "shell".into(),
                args: r#"{"command":"x"}"#.into(),
                provider_metadata: None,
                approval: None,
            }],
            provider_metadata: None,
        },
        HistoryMessage::Tool {
            call: "a".into(),
            name: "shell".into(),
            output: "many words of output\n".repeat(10_000),
            outcome: CallOutcome::Ok,
        },
    ];
    assert!(reply(&request(long, TOOLS), 1.0).millis <= 6000);
}

#[test]
fn a_written_file_streams_its_arguments_in_pieces() {
    let prompt = format!("write to a.txt:\n{}", "é line of text\n".repeat(400));
    let answer = reply(&request(vec![user(&prompt)], TOOLS), 1.0);
    assert_eq!(answer.calls[0].1["content"].as_str().unwrap().lines().count(), 400);
    assert!(answer.millis < 3000);
}
