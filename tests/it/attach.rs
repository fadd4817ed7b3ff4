//! `attach` from the view of a script, against scripted servers that keep the requests they get.
//!
//! To run it against a real server: `pip install "openjarvis[server]==1.0.2"`, start any server that speaks Ollama's
//! protocol as its model (`OLLAMA_HOST` names it), `jarvis serve --host 127.0.0.1 --port 18790 --engine ollama`, then
//! `jarvis-tui attach http://127.0.0.1:18790 --request openjarvis-bridge -m MODEL -p "what is 6*7" --explain`. For
//! version 1.0.4 see `attach_openjarvis.rs`.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json as value};
use tempfile::TempDir;
use tokio::process::Command;

use crate::support::{ScriptedServer, ServerAct, chunk, end, head, json, stream};

pub(crate) struct CommandOutput {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl CommandOutput {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {} {}", self.out, self.err))
    }
}

pub(crate) async fn attach(home: &TempDir, args: &[&str]) -> CommandOutput {
    let output = Command::new(env!("CARGO_BIN_EXE_jarvis-tui"))
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("JARVIS_TUI_HOME", home.path())
        .env("THE_TOKEN", "s3cret-token")
        // Nothing listens on that port: local servers must not be reached through a proxy.
        .env("http_proxy", "http://127.0.0.1:9")
        .env("HTTP_PROXY", "http://127.0.0.1:9")
        .env("ALL_PROXY", "http://127.0.0.1:9")
        .current_dir(home.path())
        .arg("attach")
        .args(args)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(std::time::Duration::from_mins(1), output).await.expect("it ends").unwrap();
    CommandOutput {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

pub(crate) fn home() -> TempDir {
    tempfile::tempdir().unwrap()
}

pub(crate) fn sse(frames: &[&str]) -> Vec<ServerAct> {
    let mut acts = vec![stream()];
    acts.extend(frames.iter().map(|frame| chunk(format!("{frame}\n\n"))));
    acts.push(end());
    acts
}

fn golden(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(path)).unwrap()
}

fn body(request: &str) -> Value {
    serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap()
}

const HI: &str = r#"data: {"choices":[{"delta":{"role":"assistant","content":"hi"}}]}"#;
const STOP: &str = r#"data: {"choices":[{"delta":{},"finish_reason":"stop"}]}"#;
const DONE: &str = "data: [DONE]";
const CALL: &str = r#"data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"calculator","arguments":"{\"expression\":\"6*7\"}"}}]}}]}"#;
const CALLED: &str = r#"data: {"choices":[{"delta":{},"finish_reason":"tool_calls"}]}"#;

const JSON: [&str; 4] = ["-p", "hello", "--output-format", "json"];

pub(crate) fn with<'a>(url: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [url].into_iter().chain(JSON).chain(more.iter().copied()).collect()
}

#[tokio::test]
async fn a_full_url_is_asked_as_it_is_and_tells_its_dialect() {
    let server = ScriptedServer::start(vec![sse(&[HI, STOP, DONE])]).await;
    let url = format!("{}/odd/path?x=1", server.url());
    let args = with(&url, &["--token-env", "THE_TOKEN", "--header", "X-Team: blue", "-m", "m1", "--explain"]);
    let ran = attach(&home(), &args).await;
    let object = ran.json();
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(object["source"], "remote");
    assert_eq!(object["dialect"], "openai-chat");
    assert_eq!(object["model"], "m1");
    assert_eq!(object["text"], "hi");
    assert!(ran.err.contains(" because "), "{}", ran.err);
    let asked = server.asked();
    assert_eq!(asked.len(), 1);
    let request = asked[0].to_lowercase();
    assert!(request.starts_with("post /odd/path?x=1 "), "{request}");
    assert!(request.contains("authorization: bearer s3cret-token") && request.contains("x-team: blue"), "{request}");
    assert!(request.contains("accept-encoding: identity"), "{request}");
    assert_eq!(body(&asked[0])["messages"], value!([{"role": "user", "content": "hello"}]));
    assert!(body(&asked[0]).get("tools").is_none());
}

#[tokio::test]
async fn a_bare_origin_is_found_out() {
    let stream = golden("openjarvis/agent104_calc.sse");
    let answer = vec![
        head("200 OK", "content-type: text/event-stream; charset=utf-8\r\n"),
        ServerAct::Send(stream.into_bytes()),
    ];
    let info = json("200 OK", r#"{"model":"qwen3","agent":"orchestrator","engine":"ollama"}"#);
    let page = vec![head("200 OK", "content-type: text/html\r\n"), ServerAct::Send(b"<!doctype html>".to_vec())];
    let server = ScriptedServer::routed(vec![
        ("/v1/info", vec![vec![info]]),
        ("/api/tags", vec![page.clone()]),
        ("/.well-known/agent-card.json", vec![page]),
        ("/v1/chat/completions", vec![answer]),
    ])
    .await;
    let ran = attach(&home(), &with(&server.url(), &["--explain"])).await;
    let object = ran.json();
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(object["dialect"], "openjarvis", "{object}");
    assert_eq!(object["model"], "qwen3");
    assert_eq!(object["outcome"], "completed");
    assert!(ran.err.contains("OpenJarvis"), "{}", ran.err);
    assert!(server.asked().iter().any(|request| request.starts_with("POST /v1/chat/completions ")));
}

#[tokio::test]
async fn what_a_remote_wants_run_stays_a_request_unless_tools_are_local() {
    let scripts = || vec![sse(&[CALL, CALLED, DONE]), sse(&[HI, STOP, DONE])];
    let server = ScriptedServer::start(scripts()).await;
    let url = format!("{}/v1/chat/completions", server.url());
    let ran = attach(&home(), &with(&url, &["-m", "m"])).await;
    let object = ran.json();
    assert_eq!(object["tool_calls"][0]["status"], "requested", "{object}");
    assert_eq!(object["tool_calls"][0]["duration_ms"], Value::Null);
    assert_eq!((ran.code, server.asked().len()), (0, 1));

    let server = ScriptedServer::start(scripts()).await;
    let url = format!("{}/v1/chat/completions", server.url());
    let object = attach(&home(), &with(&url, &["-m", "m", "--local-tools"])).await.json();
    assert_eq!(object["tool_calls"][0]["status"], "ok", "{object}");
    assert_eq!(object["text"], "hi");
    let asked = server.asked();
    assert!(!body(&asked[0])["tools"].as_array().unwrap().is_empty());
    let sent = body(&asked[1]);
    let last = sent["messages"].as_array().unwrap().last().unwrap();
    assert_eq!((last["role"].as_str(), last["tool_call_id"].as_str()), (Some("tool"), Some("c1")));
    assert!(last["content"].as_str().unwrap().contains("42"), "{last}");
}

#[tokio::test]
async fn a_turn_is_never_sent_twice_and_keeps_its_text() {
    let cut = vec![stream(), chunk(format!("{HI}\n\n"))];
    let server = ScriptedServer::start(vec![cut]).await;
    let url = format!("{}/v1/chat/completions", server.url());
    let ran = attach(&home(), &with(&url, &["-m", "m"])).await;
    let object = ran.json();
    assert_eq!((object["outcome"].as_str(), object["text"].as_str()), (Some("interrupted"), Some("hi")));
    assert_eq!((ran.code, server.asked().len()), (5, 1));

    let busy = vec![head("429 Too Many Requests", "retry-after: 1\r\ncontent-length: 0\r\n")];
    let gone = vec![];
    for (script, code) in [(busy, 1), (gone, 5)] {
        let server = ScriptedServer::start(vec![script]).await;
        let url = format!("{}/v1/chat/completions", server.url());
        let ran = attach(&home(), &with(&url, &["-m", "m"])).await;
        assert_eq!((ran.code, server.asked().len()), (code, 1), "{}", ran.err);
    }
}

#[tokio::test]
async fn a_refusal_is_one_line_that_says_what_to_try() {
    let page =
        |text: &str| vec![head("200 OK", "content-type: text/html\r\n"), ServerAct::Send(text.as_bytes().to_vec())];
    let moved = vec![head("302 Found", "location: http://127.0.0.1:9/elsewhere\r\ncontent-length: 0\r\n")];
    for (script, code, word) in [
        (vec![json("401 Unauthorized", r#"{"detail":"Missing Authorization header"}"#)], 4, "Missing Authorization"),
        (vec![json("401 Unauthorized", r#"{"detail":"Invalid API key"}"#)], 4, "check the token"),
        (vec![json("404 Not Found", r#"{"detail":"Not Found"}"#)], 1, "attach to the bare address"),
        (vec![json("405 Method Not Allowed", r#"{"detail":"Method Not Allowed"}"#)], 1, "--method get"),
        (vec![json("422 Unprocessable Entity", r#"{"detail":[{"msg":"Field required"}]}"#)], 1, "Field required"),
        (vec![json("500 Internal Server Error", "oops")], 1, "500"),
        (vec![json("200 OK", r#"{"status":"ok"}"#)], 5, "JSON"),
        (page("<!doctype html>"), 5, "web page"),
        (moved, 1, "elsewhere"),
    ] {
        let server = ScriptedServer::start(vec![script]).await;
        let url = format!("{}/v1/chat/completions", server.url());
        let ran = attach(&home(), &[&url, "-m", "m", "-p", "hi", "--token-env", "THE_TOKEN"]).await;
        assert_eq!(ran.code, code, "{word}: {}", ran.err);
        assert!(ran.err.contains(word) && ran.err.lines().count() == 1, "{word}: {}", ran.err);
        assert!(!ran.err.contains("s3cret"));
        assert_eq!(server.asked().len(), 1, "{word}");
    }
}

#[tokio::test]
async fn a_watched_stream_goes_on_where_it_broke() {
    let frame = |id: u32, text: &str, finish: &str| {
        format!("id: {id}\ndata: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}},\"finish_reason\":{finish}}}]}}")
    };
    let (a, b, c) = (frame(0, "a", "null"), frame(1, "b", "null"), frame(2, "c", "\"stop\""));
    let first = vec![stream(), chunk("retry: 10\n\n"), chunk(format!("{a}\n\n{b}\n\n"))];
    let second = sse(&[&b, &c]);
    let server = ScriptedServer::start(vec![first, second]).await;
    let url = format!("{}/stream", server.url());
    let ran = attach(&home(), &[&url, "--output-format", "json"]).await;
    let object = ran.json();
    assert_eq!((object["text"].as_str(), object["outcome"].as_str()), (Some("abc"), Some("completed")), "{object}");
    assert_eq!(object["link"], value!({"attempts": 1, "resumed": 1, "gaps": 0}));
    let asked = server.asked();
    assert!(asked[0].starts_with("GET /stream ") && !asked[0].to_lowercase().contains("last-event-id"));
    assert!(asked[1].to_lowercase().contains("last-event-id: 1"), "{}", asked[1]);
}

#[tokio::test]
async fn a_watched_stream_is_as_many_turns_as_it_holds_answers() {
    let second = HI.replace("hi", "again");
    let server = ScriptedServer::start(vec![sse(&[HI, STOP, DONE, ": still here", &second, STOP, DONE])]).await;
    let url = format!("{}/stream", server.url());
    let ran = attach(&home(), &[&url, "--output-format", "json"]).await;
    assert_eq!(
        ran.json()["messages"],
        value!([{"role": "assistant", "text": "hi"}, {"role": "assistant", "text": "again"}])
    );
    assert_eq!((ran.code, server.asked().len()), (0, 1), "{}", ran.err);
    let turns = attach(&home(), &[&url, "--json"]).await;
    let ended = turns.out.lines().filter(|line| line.contains("turn_finished")).count();
    assert_eq!(ended, 2, "{}", turns.out);
}

#[tokio::test]
async fn a_json_body_in_place_of_a_stream_is_an_answer() {
    for (file, path, dialect, text) in [
        ("anthropic/whole_body.body", "/v1/messages", "anthropic", "Let me see."),
        ("openai-responses/whole_body.body", "/v1/responses", "openai-responses", "It rains — é😀."),
        ("enclava/whole_body.body", "/api/v1/responses", "enclava", "It is noon."),
        ("ollama/whole_body.body", "/api/chat", "ollama", "Hello."),
        ("chat/whole_body.body", "/v1/chat/completions", "openai-chat", "Hello."),
        ("a2a/whole_body_1_0.body", "/message:stream", "a2a", "Done."),
    ] {
        let server = ScriptedServer::start(vec![vec![json("200 OK", &golden(file))]]).await;
        let url = format!("{}{path}", server.url());
        let ran = attach(&home(), &with(&url, &["-m", "m"])).await;
        let object = ran.json();
        assert_eq!(
            (object["dialect"].as_str(), object["text"].as_str()),
            (Some(dialect), Some(text)),
            "{file}: {object}"
        );
        assert_eq!((ran.code, object["outcome"].as_str()), (0, Some("completed")), "{file}: {}", ran.err);
    }
}

#[tokio::test]
async fn a_recording_plays_as_it_was_and_holds_no_secret() {
    let home = home();
    let server = ScriptedServer::start(vec![sse(&[HI, CALL, CALLED, DONE])]).await;
    let url = format!("{}/v1/chat/completions?api_key=k3y-in-query", server.url());
    let args = with(&url, &["-m", "m", "--token-env", "THE_TOKEN", "--record", "bytes.jsonl"]);
    let live = attach(&home, &args).await.json();
    let recording = std::fs::read_to_string(home.path().join("bytes.jsonl")).unwrap();
    assert!(!recording.contains("s3cret") && !recording.contains("k3y-in-query"), "{recording}");
    let first: Value = serde_json::from_str(recording.lines().next().unwrap()).unwrap();
    assert_eq!((first["kind"].as_str(), first["status"].as_u64()), (Some("recording"), Some(200)));
    let played = attach(&home, &["bytes.jsonl", "--output-format", "json"]).await.json();
    for key in ["text", "dialect", "outcome", "tool_calls"] {
        assert_eq!(played[key], live[key], "{key}");
    }
}

#[tokio::test]
async fn a_file_of_plain_bytes_is_read_by_what_it_is() {
    let home = home();
    for (golden_file, dialect) in [
        ("openjarvis/bridge102_calc.sse", "openjarvis"),
        ("ollama/ollama_thinking_tools.ndjson", "ollama"),
        ("chat/openai_chat_tool_calls.sse", "openai-chat"),
    ] {
        std::fs::write(home.path().join("bytes"), golden(golden_file)).unwrap();
        let ran = attach(&home, &["bytes", "--output-format", "json", "--explain"]).await;
        assert_eq!((ran.json()["dialect"].as_str(), ran.code), (Some(dialect), 0), "{golden_file}: {}", ran.err);
    }
    std::fs::write(home.path().join("bytes"), golden("chat/text.sse")).unwrap();
    let pinned = attach(&home, &["bytes", "--output-format", "json", "--dialect", "openjarvis"]).await.json();
    assert_eq!(pinned["dialect"], "openjarvis");
}

#[tokio::test]
async fn a_remote_has_a_name_and_settings_of_its_own() {
    let home = home();
    let server = ScriptedServer::start(vec![sse(&[HI, STOP, DONE])]).await;
    let settings = format!(
        "[remotes.office]\nurl = \"{}/v1/chat/completions\"\ntoken = \"env:THE_TOKEN\"\nmodel = \"big\"\nheaders = {{ \"x-team\" = \"blue\" }}\n",
        server.url()
    );
    std::fs::write(home.path().join("config.toml"), settings).unwrap();
    let object = attach(&home, &with("office", &[])).await.json();
    assert_eq!((object["engine"].as_str(), object["model"].as_str()), (Some("office"), Some("big")));
    let request = server.asked()[0].to_lowercase();
    assert!(request.contains("bearer s3cret-token") && request.contains("x-team: blue"), "{request}");
}

#[tokio::test]
async fn what_cant_be_meant_is_a_usage_error() {
    let home = home();
    std::fs::write(home.path().join("bytes"), "data: x\n\n").unwrap();
    for (args, word) in [
        (&["nowhere"][..], "not a URL"),
        (&["http://127.0.0.1:9/v1/chat/completions"], "-p"),
        (&["bytes", "-p", "hi"], "read-only"),
        (&["bytes", "--from-seq", "3"], "--from-seq"),
        (&["http://127.0.0.1:9/x", "--request", "get", "-p", "hi"], "read-only"),
        (&["http://127.0.0.1:9/x", "-p", "hi", "--dialect", "klingon"], "openai-chat"),
        (&["http://127.0.0.1:9/x", "-p", "hi", "--token-env", "NOT_SET"], "NOT_SET"),
        (&["http://127.0.0.1:9/x", "-p", "hi", "--header", "nonsense"], "NAME"),
        (&["http://127.0.0.1:9/x", "-p", "hi", "--request", "poe", "--local-tools"], "--local-tools"),
    ] {
        let ran = attach(&home, args).await;
        assert_eq!(ran.code, 2, "{args:?}: {}", ran.err);
        assert!(ran.err.contains(word) && ran.err.lines().count() == 1, "{args:?}: {}", ran.err);
    }
    let ran = attach(&home, &["http://127.0.0.1:9", "-p", "hi"]).await;
    assert_eq!(ran.code, 5, "{}", ran.err);
}

#[tokio::test]
async fn another_jarvis_tui_is_mirrored_event_by_event() {
    let log = golden("journal/v1.jsonl");
    let is_fact = |line: &&str| serde_json::from_str::<Value>(line).is_ok_and(|json| json.get("seq").is_some());
    let input: Vec<&str> = log.lines().filter(is_fact).collect();
    let mut past = String::new();
    for event in &input {
        let _ = write!(past, "data: {event}\n\n");
    }
    past.push_str("event: caught-up\ndata: {}\n\n");
    let events = vec![head("200 OK", "content-type: text/event-stream\r\n"), ServerAct::Send(past.into_bytes())];
    let over = vec![head("204 No Content", "")];
    let server = ScriptedServer::routed(vec![
        ("/v1/info", vec![vec![json("200 OK", r#"{"name":"jarvis-tui","version":"1"}"#)]]),
        ("/v1/sessions", vec![vec![json("200 OK", r#"{"sessions":[{"id":"s1"},{"id":"s2"}]}"#)]]),
        ("/v1/sessions/s1/events", vec![events, over]),
    ])
    .await;
    let home = home();
    let ran = attach(&home, &[&server.url(), "--read-only", "--json"]).await;
    assert_eq!(ran.out.lines().count(), input.len(), "{}", ran.err);
    for (printed, event) in ran.out.lines().zip(&input) {
        let (printed, event): (Value, Value) =
            (serde_json::from_str(printed).unwrap(), serde_json::from_str(event).unwrap());
        assert_eq!((&printed["seq"], &printed["at"]), (&event["seq"], &event["at"]));
    }
    let saved = std::fs::read_dir(home.path().join("sessions")).unwrap().next().unwrap().unwrap().path();
    let header: Value = serde_json::from_str(std::fs::read_to_string(saved).unwrap().lines().next().unwrap()).unwrap();
    assert!(header["mirror_of"].as_str().unwrap().ends_with("/v1/sessions/s1"), "{header}");
    let gone = attach(&home, &[&server.url(), "--session", "nope", "--read-only", "--json"]).await;
    assert_eq!((gone.code, gone.out.as_str()), (1, ""), "{}", gone.err);
}
