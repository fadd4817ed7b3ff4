//! `attach` and an OpenJarvis server newer than 1.0.2, whose chat doesn't report tools: its event feed and its traces
//! do.
//!
//! The last test runs against a real server if `JARVIS_TUI_OPENJARVIS` is a command that starts one, as in `.ci/run`. To
//! set it up by hand: `pip install "openjarvis[server]==1.0.4"` into a virtual environment `VENV`, then
//! `JARVIS_TUI_OPENJARVIS='VENV/bin/jarvis serve --engine ollama --model mock' cargo test --test it openjarvis`. The test
//! adds `--host` and `--port`, sets a home folder (a second server under the same home is rejected), and acts as its
//! model (`OLLAMA_HOST`).

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json as value};
use tokio::net::TcpListener;

use crate::attach::{attach, home, sse, with};
use crate::oracle;
use crate::support::{ScriptedServer, ServerAct, json, message};

const ROLE: &str = r#"data: {"id":"chatcmpl-0a1b2c3d4e5f","object":"chat.completion.chunk","created":100,"model":"qwen3","choices":[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":null},"finish_reason":null}]}"#;
const TEXT: &str = r#"data: {"id":"chatcmpl-0a1b2c3d4e5f","object":"chat.completion.chunk","created":100,"model":"qwen3","choices":[{"index":0,"delta":{"role":null,"content":"It is 42.","tool_calls":null},"finish_reason":null}]}"#;
const END: &str = r#"data: {"id": "chatcmpl-0a1b2c3d4e5f", "object": "chat.completion.chunk", "created": 100, "model": "qwen3", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}}"#;
const DONE: &str = "data: [DONE]";

fn paths() -> ServerAct {
    json("200 OK", r#"{"paths":{"/v1/tools/{tool_name}/credentials/{key}":{}}}"#)
}

fn event(kind: &str, data: &Value) -> ServerAct {
    message(&value!({"type": kind, "timestamp": 101.5, "data": data}).to_string())
}

/// One calculator call in the form of the feed.
fn called(expression: &str, result: &str, seconds: f64) -> Vec<ServerAct> {
    let args = value!({ "expression": expression });
    let call = value!({"id": "call_0", "name": "calculator", "arguments": args.to_string()});
    vec![
        event("inference_start", &value!({"model": "qwen3", "message_count": 2})),
        event("inference_end", &value!({"model": "qwen3", "latency": 0.2, "tool_calls": [call]})),
        event("tool_call_start", &value!({"tool": "calculator", "arguments": args, "agent": "orchestrator"})),
        event(
            "tool_call_end",
            &value!({"tool": "calculator", "success": true, "latency": seconds, "result": result,
                     "metadata": {"arguments": args}, "agent": "orchestrator"}),
        ),
    ]
}

fn trace(query: &str, expression: &str, result: &str, seconds: f64) -> Value {
    let args = value!({ "expression": expression });
    let call = value!({"id": "call_0", "name": "calculator", "arguments": args.to_string()});
    value!({
        "id": "x", "query": query, "result": "It is 42.", "ended_at": 102.5,
        "steps": [
            {"step_type": "generate", "output": {"tool_calls": [call]}},
            {"step_type": "tool_call", "duration_seconds": seconds, "input": {"tool": "calculator", "arguments": args},
             "output": {"success": true, "result": result}, "metadata": {"arguments": args}},
        ],
    })
}

async fn server(feed: Vec<ServerAct>, traces: &[Value], answer: Vec<ServerAct>) -> ScriptedServer {
    let traces = value!({ "traces": traces }).to_string();
    let savings = r#"{"total_calls":2,"total_tokens":40,"per_provider":[{"label":"B","total_cost":0.5}]}"#;
    ScriptedServer::routed(vec![
        ("/v1/info", vec![vec![json("200 OK", r#"{"model":"qwen3","agent":"orchestrator","engine":"ollama"}"#)]]),
        ("/openapi.json", vec![vec![paths()]]),
        ("/v1/agents/events", vec![feed]),
        ("/v1/traces", vec![vec![json("200 OK", &traces)]]),
        ("/v1/savings", vec![vec![json("200 OK", savings)]]),
        ("/v1/chat/completions", vec![answer]),
    ])
    .await
}

fn answer() -> Vec<ServerAct> {
    sse(&[ROLE, TEXT, END, DONE])
}

fn listened(events: Vec<ServerAct>) -> Vec<ServerAct> {
    let mut acts = vec![ServerAct::Consent];
    acts.extend(events);
    acts.push(ServerAct::Hang);
    acts
}

fn calls(object: &Value) -> Vec<(&str, &str, &str, &Value)> {
    let calls = object["tool_calls"].as_array().unwrap();
    calls
        .iter()
        .map(|call| {
            (
                call["arguments"]["expression"].as_str().unwrap_or_default(),
                call["status"].as_str().unwrap_or_default(),
                call["output"].as_str().unwrap_or_default(),
                &call["duration_ms"],
            )
        })
        .collect()
}

#[tokio::test]
async fn tools_come_from_the_feed_and_the_traces_settle_them() {
    let theirs = called("1+1", "2.0", 0.001);
    let events = [called("6*7", "42.0", 0.004), theirs].concat();
    let traces = [trace("someone else", "1+1", "2.0", 0.001), trace("hello", "6*7", "42.0", 0.004)];
    let server = server(listened(events), &traces, answer()).await;
    let ran = attach(&home(), &with(&server.url(), &["--token-env", "THE_TOKEN"])).await;
    let object = ran.json();
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!((object["text"].as_str(), object["dialect"].as_str()), (Some("It is 42."), Some("openjarvis")));
    assert_eq!(calls(&object), [("6*7", "ok", "42.0", &value!(4))], "{object}");
    let asked = server.asked();
    let of = |path: &str| asked.iter().find(|request| request.contains(path)).unwrap().to_lowercase();
    for path in ["/v1/agents/events", "/v1/traces?limit=", "/openapi.json"] {
        assert!(of(path).contains("authorization: bearer s3cret-token"), "{path}");
    }
    let at = |path: &str| asked.iter().position(|request| request.contains(path)).unwrap();
    assert!(at("/v1/agents/events") < at("/v1/chat/completions"), "nothing is missed");
    assert!(!serde_json::to_string(&object).unwrap().contains("s3cret"));
}

#[tokio::test]
async fn a_feed_that_cannot_be_had_is_said_once_and_fails_nothing() {
    let refused = vec![json("404 Not Found", r#"{"detail":"Not Found"}"#)];
    let broken = vec![ServerAct::Consent, ServerAct::Send(b"\xff\xff\xff".to_vec())];
    for feed in [refused, broken] {
        let server = server(feed, &[trace("hello", "6*7", "42.0", 0.004)], answer()).await;
        let object = attach(&home(), &with(&server.url(), &[])).await.json();
        assert_eq!((object["outcome"].as_str(), object["text"].as_str()), (Some("completed"), Some("It is 42.")));
        assert_eq!(calls(&object), [("6*7", "ok", "42.0", &value!(4))], "{object}");
        let feed_notices = object["notices"].as_array().unwrap().iter().filter(|notice| notice["code"] == "feed");
        assert_eq!(feed_notices.count(), 1, "{object}");
    }
}

#[tokio::test]
async fn no_feed_is_opened_where_it_is_not_needed() {
    let url_of = |server: &ScriptedServer| format!("{}/v1/chat/completions", server.url());
    for given_as_is in [true, false] {
        let server = server(listened(Vec::new()), &[], answer()).await;
        let url = if given_as_is { url_of(&server) } else { server.url() };
        // With our tools, the server's agent is not used.
        let more: &[&str] = if given_as_is { &["-m", "m"] } else { &["--local-tools"] };
        let ran = attach(&home(), &with(&url, more)).await;
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert!(!server.asked().iter().any(|request| request.contains("/v1/agents/events")), "{given_as_is}");
    }
}

/// A model that requests the calculator once per question, then answers.
async fn model() -> ScriptedServer {
    ScriptedServer::answering(|request| vec![json("200 OK", &stub(request))]).await
}

fn stub(request: &str) -> String {
    if request.starts_with("GET /api/tags") {
        return value!({"models": [{"name": "mock", "model": "mock", "size": 1}]}).to_string();
    }
    if !request.starts_with("POST /api/chat") {
        return "{}".into();
    }
    let body: Value = serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap_or_default();
    let messages = body["messages"].as_array().cloned().unwrap_or_default();
    let ran = messages.last().is_some_and(|message| message["role"] == "tool");
    let has_tools = body["tools"].as_array().is_some_and(|tools| !tools.is_empty());
    let message = if has_tools && !ran {
        let call = value!({"function": {"name": "calculator", "arguments": {"expression": "6*7"}}});
        value!({"role": "assistant", "content": "", "tool_calls": [call]})
    } else {
        value!({"role": "assistant", "content": "It is 42."})
    };
    value!({"model": "mock", "created_at": "2026-01-01T00:00:00Z", "message": message, "done": true,
            "done_reason": "stop", "prompt_eval_count": 12, "eval_count": 5, "eval_duration": 1_000_000})
    .to_string()
        + "\n"
}

#[tokio::test]
async fn the_real_server_shows_its_tools() {
    let Ok(command) = std::env::var("JARVIS_TUI_OPENJARVIS") else {
        oracle::missing("OpenJarvis", "JARVIS_TUI_OPENJARVIS names no command that starts a server");
        return;
    };
    let model = model().await;
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let home_of_server = home();
    let mut server = tokio::process::Command::new("sh")
        .args(["-c", &format!("exec {command} --host 127.0.0.1 --port {port}")])
        .env("HOME", home_of_server.path())
        .env("OLLAMA_HOST", model.url())
        .env("DO_NOT_TRACK", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let url = format!("http://127.0.0.1:{port}");
    for _ in 0..240 {
        assert!(server.try_wait().unwrap().is_none(), "the server ended");
        if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let ran = attach(&home(), &with(&url, &[])).await;
    let object = ran.json();
    assert_eq!((ran.code, object["text"].as_str()), (0, Some("It is 42.")), "{object} {}", ran.err);
    let calls = calls(&object);
    assert_eq!(calls.len(), 1, "{object}");
    assert_eq!((calls[0].0, calls[0].1, calls[0].2), ("6*7", "ok", "42.0"), "{object}");
    assert!(calls[0].3.is_u64(), "{object}");
    server.kill().await.unwrap();
    oracle::judged("OpenJarvis", "a server of theirs shows its tools");
}
