//! Our client against our server, in every dialect that both speak: the client shows what the server's own log
//! contains, however the bytes are cut in transit.

use std::path::Path;
use std::process::Stdio;

use jarvis_tui::event::{AgentEvent, TurnOutcome};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::hosted::{HostedServer, RechunkingProxy, client, logs, program, read_events};
use crate::support::{ScriptedServer, ServerAct, chunk, end, json as answer, stream};

/// A way to request an answer, and what it preserves.
struct DialectRoute {
    name: &'static str,
    path: &'static str,
    request: Option<&'static str>,
    /// The dialect that the client reports; on our own stream, the one the server decoded.
    dialect: &'static str,
    /// Flags of the server.
    flags: &'static [&'static str],
    header: Option<&'static str>,
    calls: bool,
    usage: bool,
    /// The client makes the server keep the session.
    keeps: bool,
}

const PLAIN: DialectRoute = DialectRoute {
    name: "",
    path: "",
    request: None,
    dialect: "",
    flags: &[],
    header: None,
    calls: true,
    usage: true,
    keeps: true,
};

const ROUTES: &[DialectRoute] = &[
    DialectRoute { name: "native", path: "/v1/sessions/", dialect: "openai-chat", ..PLAIN },
    DialectRoute {
        name: "chat",
        path: "/v1/chat/completions",
        request: Some("chat"),
        dialect: "openai-chat",
        calls: false,
        ..PLAIN
    },
    DialectRoute {
        name: "bridge",
        path: "/v1/chat/completions",
        request: Some("openjarvis-bridge"),
        dialect: "openjarvis",
        flags: &["--openjarvis-compat"],
        ..PLAIN
    },
    DialectRoute {
        name: "bridge by header",
        path: "/v1/chat/completions",
        request: Some("chat"),
        dialect: "openjarvis",
        header: Some("X-Jarvis-Events: agent"),
        ..PLAIN
    },
    DialectRoute {
        name: "responses",
        path: "/v1/responses",
        request: Some("responses"),
        dialect: "openai-responses",
        keeps: false,
        ..PLAIN
    },
    DialectRoute {
        name: "anthropic",
        path: "/v1/messages",
        request: Some("anthropic"),
        dialect: "anthropic",
        calls: false,
        ..PLAIN
    },
    DialectRoute {
        name: "ollama",
        path: "/api/chat",
        request: Some("ollama"),
        dialect: "ollama",
        calls: false,
        ..PLAIN
    },
    DialectRoute {
        name: "gemini",
        path: "/v1beta/models/jarvis-tui:streamGenerateContent",
        request: Some("gemini"),
        dialect: "gemini",
        calls: false,
        ..PLAIN
    },
    DialectRoute {
        name: "enclava",
        path: "/api/v1/responses",
        request: Some("enclava"),
        dialect: "enclava",
        usage: false,
        keeps: false,
        ..PLAIN
    },
    DialectRoute { name: "poe", path: "/v1/stream", request: Some("poe"), dialect: "poe", ..PLAIN },
    DialectRoute { name: "poe without its end", path: "/v1/stream?aggregate=0", dialect: "poe", ..PLAIN },
    DialectRoute { name: "warp", path: "/v1/stream?format=warp", request: Some("poe"), dialect: "warp", ..PLAIN },
];

fn home() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn says(text: &str) -> ServerAct {
    chunk(format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"content": text}}]})))
}

fn round(texts: &[&str], calls: &[(&str, &str)], reason: &str) -> Vec<ServerAct> {
    let mut acts = vec![stream()];
    acts.extend(texts.iter().map(|text| says(text)));
    for (at, (name, args)) in calls.iter().enumerate() {
        let function = json!({"name": name, "arguments": args});
        let call = json!({"index": at, "id": format!("c{at}"), "type": "function", "function": function});
        let delta = json!({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]});
        acts.push(chunk(format!("data: {delta}\n\n")));
    }
    let usage = json!({"prompt_tokens": 110, "completion_tokens": 70, "total_tokens": 180});
    let last = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}], "usage": usage});
    acts.extend([chunk(format!("data: {last}\n\n")), chunk("data: [DONE]\n\n"), end()]);
    acts
}

/// A turn with everything: text around two calls, one of which fails, and characters of all lengths.
fn rich() -> Vec<Vec<ServerAct>> {
    let calls = [("calculator", r#"{"expression":"6*7"}"#), ("calculator", r#"{"expression":"6*"}"#)];
    vec![
        round(&["Let me ", "see."], &calls, "tool_calls"),
        round(&["One more."], &[("clock", "{}")], "tool_calls"),
        round(&["It is ", "**42**,\n\n```rust\nlet x = \"wörld 🌤\";\n```\n", "漢字."], &[], "stop"),
    ]
}

/// What a person sees of an answer.
#[derive(Debug, PartialEq)]
struct SeenAnswer {
    outcome: String,
    /// Of all messages, without white space.
    text: String,
    calls: Vec<(String, Value, String, String)>,
    usage: Option<(u64, u64)>,
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect()
}

/// Times differ between two runs, and some formats wrap errors.
fn output_of(tool: &str, output: &str) -> String {
    let wrapped = serde_json::from_str::<Value>(output).ok();
    let error = wrapped.as_ref().and_then(|output| output.get("error")?.as_str());
    if tool == "clock" { "a time".to_owned() } else { error.unwrap_or(output).to_owned() }
}

fn logged(events: &[AgentEvent], way: &DialectRoute) -> SeenAnswer {
    let mut seen = SeenAnswer { outcome: String::new(), text: String::new(), calls: Vec::new(), usage: None };
    let mut ids = Vec::new();
    for event in events {
        match event {
            AgentEvent::TextDelta { text, .. } => seen.text.push_str(text),
            AgentEvent::ToolCallReady { call, name, args, .. } if way.calls => {
                ids.push(call.clone());
                let args = serde_json::from_str(args).unwrap();
                seen.calls.push((name.clone(), args, String::new(), String::new()));
            }
            AgentEvent::ToolCallFinished { call, outcome, output, .. } if way.calls => {
                let at = ids.iter().position(|id| id == call).unwrap();
                outcome.name().clone_into(&mut seen.calls[at].2);
                seen.calls[at].3 = output_of(&seen.calls[at].0, &output.text);
            }
            AgentEvent::UsageReported { usage, .. } if way.usage => {
                let sum = seen.usage.get_or_insert((0, 0));
                *sum = (sum.0 + usage.input_tokens, sum.1 + usage.output_tokens);
            }
            AgentEvent::TurnFinished { outcome: end, .. } => {
                let outcome = match end {
                    TurnOutcome::Completed => "completed",
                    TurnOutcome::Cancelled => "cancelled",
                    TurnOutcome::Interrupted => "interrupted",
                    TurnOutcome::Failed(_) => "failed",
                };
                outcome.clone_into(&mut seen.outcome);
            }
            _ => {}
        }
    }
    seen.text = squeezed(&seen.text);
    // Some servers estimate the usage of a failed turn.
    seen.usage = seen.usage.filter(|_| seen.outcome == "completed");
    // Calls of one round run in parallel, and some dialects report them as they begin.
    seen.calls.sort_by_key(|call| format!("{call:?}"));
    seen
}

fn shown(object: &Value, way: &DialectRoute) -> SeenAnswer {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let texts: String = list(&object["messages"]).iter().map(|message| text(&message["text"])).collect();
    let call = |call: &Value| {
        (
            text(&call["name"]),
            call["arguments"].clone(),
            text(&call["status"]),
            output_of(&text(&call["name"]), &text(&call["output"])),
        )
    };
    let usage = &object["usage"];
    let tokens = usage["input_tokens"].as_u64().zip(usage["output_tokens"].as_u64());
    let mut calls: Vec<_> = list(&object["tool_calls"]).iter().map(call).filter(|_| way.calls).collect();
    calls.sort_by_key(|call| format!("{call:?}"));
    SeenAnswer {
        outcome: text(&object["outcome"]),
        text: squeezed(&texts),
        calls,
        usage: tokens.filter(|(input, output)| way.usage && input + output > 0 && object["outcome"] == "completed"),
    }
}

fn command(here: &Path, url: &str, way: &DialectRoute, format: &str) -> Command {
    let mut command = program(here);
    command.args(["attach", url, "-p", "what is 6*7?", "--output-format", format, "-m", "jarvis-tui"]);
    if let Some(request) = way.request {
        command.args(["--request", request]);
    }
    if let Some(header) = way.header {
        command.args(["-H", header]);
    }
    command
}

async fn attach(url: &str, way: &DialectRoute) -> Value {
    let here = home();
    let mut command = command(here.path(), url, way, "json");
    let ran = tokio::time::timeout(std::time::Duration::from_mins(2), command.output()).await.unwrap().unwrap();
    serde_json::from_slice(&ran.stdout)
        .unwrap_or_else(|error| panic!("{}: {error}: {}", way.name, String::from_utf8_lossy(&ran.stderr)))
}

/// Returns the URL for a route; creates a session if it needs one.
async fn place(server: &HostedServer, way: &DialectRoute) -> String {
    if way.path != "/v1/sessions/" {
        return way.path.to_owned();
    }
    let opened = client().post(format!("{}/v1/sessions", server.url)).body("{}").send().await.unwrap();
    let opened: Value = serde_json::from_str(&opened.text().await.unwrap()).unwrap();
    format!("/v1/sessions/{}", opened["id"].as_str().unwrap())
}

/// Sends the prompt by this route, and compares the result with the log of the session that answered.
///
/// If no log is kept, the result is compared with another route's log.
async fn same(
    way: &DialectRoute,
    server: &HostedServer,
    home: &Path,
    sizes: &'static [usize],
    text: &mut Vec<AgentEvent>,
) -> SeenAnswer {
    let before = logs(home);
    let place = place(server, way).await;
    let through = RechunkingProxy::before(&server.url, sizes).await;
    let object = attach(&format!("{}{place}", through.url), way).await;
    // The last line is written before it is published.
    match logs(home).into_iter().find(|log| !before.contains(log)) {
        Some(log) => *text = read_events(&log),
        None => assert!(!way.keeps, "{}: no session answered: {object}", way.name),
    }
    let (log, shown) = (logged(text, way), shown(&object, way));
    assert_eq!(shown, log, "{}: {object}", way.name);
    // Gemini's error alone looks like anybody's.
    let is_known = way.name != "gemini" || shown.outcome == "completed";
    assert_eq!(object["dialect"], if is_known { way.dialect } else { "plain" }, "{}", way.name);
    shown
}

const WHOLE: &[usize] = &[usize::MAX];
const BYTES: &[usize] = &[1];
const ODD_SIZES: &[usize] = &[1, 7, 3, 31, 2, 127, 5, 13, 1, 61];

async fn every_route(sizes: &'static [usize], scripts: fn() -> Vec<Vec<ServerAct>>) -> Vec<SeenAnswer> {
    let (mut all, mut text) = (Vec::new(), Vec::new());
    for way in ROUTES {
        let home = home();
        let model = ScriptedServer::routed(vec![("/v1/chat/completions", scripts())]).await;
        let server = HostedServer::start(home.path(), Some(&model.url()), way.flags).await;
        all.push(same(way, &server, home.path(), sizes, &mut text).await);
    }
    all
}

#[tokio::test]
async fn what_is_shown_is_what_the_log_says_in_every_dialect() {
    for seen in every_route(WHOLE, rich).await {
        assert!(seen.text.contains("wörld🌤") && seen.outcome == "completed", "{seen:?}");
        assert!(seen.calls.is_empty() || seen.calls.len() == 3);
    }
}

#[tokio::test]
async fn it_does_not_matter_how_the_bytes_are_cut_on_their_way() {
    every_route(BYTES, rich).await;
    every_route(ODD_SIZES, rich).await;
}

#[tokio::test]
async fn a_turn_that_fails_fails_in_every_dialect() {
    let refused = || vec![vec![answer("400 Bad Request", r#"{"error":{"message":"no such thing"}}"#)]];
    for seen in every_route(WHOLE, refused).await {
        assert_eq!((seen.outcome.as_str(), seen.calls.len()), ("failed", 0));
    }
}

/// Our own stream is the exception: its client waits for the server to come back.
#[tokio::test]
async fn a_server_that_dies_is_never_an_end_in_any_dialect() {
    for way in ROUTES.iter().filter(|way| way.name != "native") {
        let (here, there) = (home(), home());
        let held = vec![stream(), says("Half an "), says("answer"), ServerAct::Hang];
        let model = ScriptedServer::routed(vec![("/v1/chat/completions", vec![held])]).await;
        let server = HostedServer::start(there.path(), Some(&model.url()), way.flags).await;
        let url = format!("{}{}", server.url, way.path);
        let mut child = command(here.path(), &url, way, "stream-json").stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut text = String::new();
        while text != "Half an answer" {
            let line = lines.next_line().await.unwrap().expect("text comes");
            let line: Value = serde_json::from_str(&line).unwrap();
            if line["event"]["type"] == "text_delta" {
                text.push_str(line["event"]["text"].as_str().unwrap());
            }
        }
        server.kill().await;
        let mut end = Value::Null;
        while let Some(line) = lines.next_line().await.unwrap() {
            end = serde_json::from_str(&line).unwrap();
        }
        assert_eq!(child.wait().await.unwrap().code(), Some(5), "{}: {end}", way.name);
    }
}

#[tokio::test]
async fn a_recording_is_played_in_every_dialect() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo.jsonl");
    let demo = demo.to_str().unwrap();
    let events: Vec<AgentEvent> = read_events(Path::new(demo));
    let first: Vec<AgentEvent> = events
        .iter()
        .skip_while(|event| !matches!(event, AgentEvent::TurnStarted { .. }))
        .take(1 + events.iter().position(|event| matches!(event, AgentEvent::TurnFinished { .. })).unwrap())
        .cloned()
        .collect();
    let end = first.iter().position(|event| matches!(event, AgentEvent::TurnFinished { .. })).unwrap();
    for way in ROUTES.iter().filter(|way| way.name != "native") {
        let home = home();
        let mut flags = vec!["--replay", demo, "--speed", "100"];
        flags.extend(way.flags);
        let server = HostedServer::start(home.path(), None, &flags).await;
        let object = attach(&format!("{}{}", server.url, way.path), way).await;
        assert_eq!(shown(&object, way), logged(&first[..=end], way), "{}: {object}", way.name);
    }
}
