//! Chat completions from the view of clients: raw, with our own client in both dialects, and with the official one.
//!
//! The server is the real one on a port of its own; its sessions are real, with an agent that acts by the prompt.
//! Unless another program takes part, time is paused while there is work: keep-alives take no time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jarvis_tui::dialect::SseFrame;
use jarvis_tui::event::{AgentEvent, Command, Fault, FaultKind, TurnOutcome};
use jarvis_tui::net::request::Framing;
use jarvis_tui::net::sse::FrameSplitter;
use jarvis_tui::serve::error::ApiError;
use jarvis_tui::serve::factory::Model;
use jarvis_tui::serve::request::OneShotRequest;
use jarvis_tui::serve::{ServerState, Settings, run};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::attach::{attach, home};
use crate::oracle;
use crate::support::{ScriptedServer, ServerAct as Sent, head};
use crate::testkit::events::{Opened, turn_finished, turn_started, user_message};
use crate::testkit::factory::TestFactory;
use crate::testkit::session::TestSource;

/// What the agent does for a prompt, in order.
enum AgentAct {
    Say(Value),
    Quiet(Duration),
    End(TurnOutcome),
}

fn message(n: u32, deltas: Vec<Value>, stop: &str, tokens: (u32, u32)) -> Vec<AgentAct> {
    let id = format!("m{n}");
    let mut events = vec![json!({"type": "message_started", "message": id, "role": "assistant"})];
    events.extend(deltas.into_iter().map(|mut delta| {
        delta["message"] = json!(id);
        delta
    }));
    events.push(json!({"type": "message_finished", "message": id, "stop": stop}));
    let usage = json!({"input_tokens": tokens.0, "output_tokens": tokens.1});
    events.push(json!({"type": "usage_reported", "scope": {"request": n}, "usage": usage}));
    events.into_iter().map(AgentAct::Say).collect()
}

fn text(text: &str) -> Value {
    json!({"type": "text_delta", "text": text})
}

fn call(id: &str, name: &str, pieces: &[&str]) -> Vec<Value> {
    let mut events = vec![json!({"type": "tool_call_started", "call": id, "name": name})];
    events.extend(pieces.iter().map(|piece| json!({"type": "tool_args_delta", "call": id, "json": piece})));
    events.push(json!({"type": "tool_call_ready", "call": id, "name": name, "args": pieces.concat()}));
    events
}

fn answer(request: &OneShotRequest) -> Vec<AgentAct> {
    let whole = "this whole answer came in one piece after  a long time of thinking";
    let prompt = request.prompt.clone().unwrap_or_default();
    let failed = |kind: FaultKind| AgentAct::End(TurnOutcome::Failed(Fault::new(kind, "it broke (for the test)")));
    let done = || AgentAct::End(TurnOutcome::Completed);
    let with_quiet = |quiet: u64| {
        let mut acts = message(1, vec![text("so … "), text("there")], "end", (7, 3));
        acts.insert(2, AgentAct::Quiet(Duration::from_secs(quiet)));
        acts
    };
    let mut acts = match (&request.client_tools, prompt.as_str()) {
        (_, "hello") => message(1, vec![text("Hello"), text(", you.")], "end", (7, 3)),
        (_, "think") => {
            let thought = json!({"type": "reasoning_delta", "text": "Let me see."});
            message(1, vec![thought, text("Yes.")], "end", (7, 3))
        }
        (_, "in one piece") => message(1, vec![text(whole)], "end", (7, 3)),
        (_, "in one long piece") => message(1, vec![text(&"word ".repeat(900))], "end", (7, 3)),
        (_, "in one piece, and more") => {
            let mut acts = message(1, vec![text(whole)], "end", (7, 3));
            acts.extend(message(2, vec![text("More.")], "end", (7, 3)));
            acts
        }
        (_, "be quiet for a while") => with_quiet(25),
        (_, "be quiet for ever") => with_quiet(100_000),
        (_, "too much") => message(1, vec![text("and so on")], "length", (7, 3)),
        (_, "something bad") => {
            let mut acts = message(1, vec![text("First")], "refused", (7, 3));
            acts.push(failed(FaultKind::Refused));
            return acts;
        }
        (_, "use your tools") => {
            let mut deltas = vec![text("One moment.")];
            deltas.extend(call("c1", "clock", &["{\"zone\":", "\"UTC\"}"]));
            deltas.extend(call("c2", "shell", &["{\"command\":\"rm\"}"]));
            let mut acts = message(1, deltas, "tool_calls", (10, 4));
            let end = |id: &str, outcome: &str, output: &str, took: Value| {
                let output = json!({"text": output});
                AgentAct::Say(
                    json!({"type": "tool_call_finished", "call": id, "outcome": outcome, "output": output, "took": took}),
                )
            };
            acts.push(end("c2", "denied", "denied: no rule allows it", Value::Null));
            acts.push(end("c1", "ok", "noon", json!(3)));
            acts.extend(message(2, vec![text("It is"), text(" noon.")], "end", (20, 4)));
            acts
        }
        (_, fail) if fail.starts_with("fail ") => {
            let kind: FaultKind = serde_json::from_value(json!(fail.trim_start_matches("fail "))).unwrap();
            let mut acts = message(1, vec![text("So far")], "failed", (0, 0));
            acts.push(failed(kind));
            return acts;
        }
        (Some(tools), "weather") => {
            message(1, call("call_1", &tools[0].name, &["{\"city\"", ":\"Oslo\"}"]), "tool_calls", (9, 5))
        }
        (Some(_), "") => {
            let result = request.history.iter().rev().find_map(|event| match event {
                AgentEvent::ToolCallFinished { output, .. } => Some(output.text.clone()),
                _ => None,
            });
            message(1, vec![text(&format!("It says {}.", result.unwrap_or_default()))], "end", (9, 5))
        }
        _ => {
            let events = request.history.iter().filter_map(|event| match event {
                AgentEvent::UserMessage { text, .. } | AgentEvent::TextDelta { text, .. } => Some(text.clone()),
                _ => None,
            });
            let all: Vec<String> = request.system_prompt.clone().into_iter().chain(events).chain([prompt]).collect();
            message(1, vec![text(&all.join(" | "))], "end", (7, 3))
        }
    };
    acts.push(done());
    acts
}

/// Acts by the prompt.
fn agent(request: OneShotRequest, source: TestSource) -> Result<BoxFuture<'static, ()>, ApiError> {
    if request.prompt.as_deref() == Some("no such model") {
        return Err(ApiError::new(404, "model_not_found", "there is no such model").with_param("model"));
    }
    Ok(Box::pin(act(request, source)))
}

async fn act(request: OneShotRequest, mut source: TestSource) {
    let opened = Opened { wall_ms: 1_795_204_274_400, engine: "scripted", model: "m", ..Opened::default() };
    source.send([opened.event()].into_iter().chain(request.history.clone())).await;
    let mut turn = vec![turn_started("t1")];
    match source.commands.recv().await {
        Some(Command::Prompt { text, .. }) => turn.push(user_message("m0", &text)),
        Some(Command::Continue) => {}
        other => panic!("{other:?}"),
    }
    source.send(turn).await;
    let TestSource { events, mut commands, .. } = source;
    for act in answer(&request) {
        match act {
            AgentAct::Say(event) => {
                let event = serde_json::from_value(event.clone()).unwrap_or_else(|error| panic!("{error}: {event}"));
                let _ = events.send(event).await;
            }
            AgentAct::Quiet(time) => tokio::select! {
                () = tokio::time::sleep(time) => {}
                command = commands.recv() => {
                    assert!(matches!(command, Some(Command::Cancel) | None), "{command:?}");
                    let _ = events.send(turn_finished("t1", TurnOutcome::Cancelled)).await;
                    return;
                }
            },
            AgentAct::End(end) => {
                let _ = events.send(turn_finished("t1", end)).await;
            }
        }
    }
    while commands.recv().await.is_some() {}
}

pub(crate) struct ChatServer {
    address: SocketAddr,
    pub(crate) factory: Arc<TestFactory>,
    /// Stops the server.
    stop: Arc<Notify>,
    _task: JoinSet<()>,
}

pub(crate) async fn serve(settings: Settings) -> ChatServer {
    let model = Model { id: "scripted/m".into(), engine: "scripted".into(), remark: String::new() };
    let factory = Arc::new(TestFactory::with_agent(agent, vec![model]));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let state = ServerState::new(factory.clone(), settings);
    let mut task = JoinSet::new();
    let stop = Arc::new(Notify::new());
    let stopped = Arc::clone(&stop);
    task.spawn(run(listener, state, async move { stopped.notified().await }));
    ChatServer { address, factory, stop, _task: task }
}

/// A response as it came: the pieces of the body are the server's writes.
pub(crate) struct RawResponse {
    pub(crate) status: u16,
    pub(crate) head: String,
    pieces: Vec<Vec<u8>>,
    /// On the paused clock.
    took: Duration,
}

impl RawResponse {
    pub(crate) fn body(&self) -> String {
        String::from_utf8(self.pieces.concat()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body()).unwrap_or_else(|error| panic!("{error}: {}", self.body()))
    }

    fn frames(&self) -> Vec<SseFrame> {
        let (mut frames, mut out) = (FrameSplitter::new(Framing::Sse), Vec::new());
        frames.push(&self.pieces.concat(), &mut out).unwrap();
        frames.finish(&mut out);
        out
    }

    /// Returns the names of the frames; for chunks, the first word of their content.
    fn names(&self) -> Vec<String> {
        let name = |frame: SseFrame| {
            let Ok(json) = serde_json::from_str::<Value>(&frame.data) else { return frame.data };
            let choice = &json["choices"][0];
            match (frame.event.as_str(), choice["finish_reason"].as_str()) {
                ("", None) if json.get("error").is_some() => "error".to_owned(),
                ("", None) if choice["delta"]["role"] == "assistant" => "role".to_owned(),
                ("", None) => "text".to_owned(),
                ("", Some(reason)) => reason.to_owned(),
                (event, _) => event.to_owned(),
            }
        };
        let mut names: Vec<String> = self.frames().into_iter().map(name).collect();
        names.dedup();
        names
    }
}

impl ChatServer {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) async fn post(&self, path: &str, headers: &str, body: &str) -> RawResponse {
        self.send("POST", path, headers, body).await
    }

    pub(crate) async fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> RawResponse {
        let began = Instant::now();
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        let (host, length) = (self.address, body.len());
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
        );
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut got = Vec::new();
        socket.read_to_end(&mut got).await.unwrap();
        let took = began.elapsed();
        let at = got.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(got[..at].to_vec()).unwrap().to_lowercase();
        let mut rest = &got[at + 4..];
        let mut pieces = Vec::new();
        if head.contains("transfer-encoding: chunked") {
            while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
                let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
                pieces.push(rest[end + 2..end + 2 + size].to_vec());
                rest = &rest[end + 4 + size..];
            }
            assert_eq!(pieces.pop(), Some(Vec::new()), "the end was said");
        } else {
            pieces.push(rest.to_vec());
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        RawResponse { status, head, pieces, took }
    }

    async fn chat(&self, body: Value) -> RawResponse {
        self.post("/v1/chat/completions", "", &body.to_string()).await
    }

    async fn stream(&self, prompt: &str) -> RawResponse {
        self.chat(json!({"stream": true, "messages": [{"role": "user", "content": prompt}]})).await
    }

    async fn bridge(&self, prompt: &str) -> RawResponse {
        let body = json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": prompt}]});
        self.post("/v1/chat/completions", "X-Jarvis-Events: agent\r\n", &body.to_string()).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_chunks_and_nothing_but_chunks() {
    let served = serve(Settings::default()).await;
    let answer = served.stream("use your tools").await;
    assert_eq!((answer.status, answer.names()), (200, ["role", "text", "stop", "[DONE]"].map(Into::into).to_vec()));
    for header in
        ["content-type: text/event-stream", "cache-control: no-cache", "x-accel-buffering: no", "x-jarvis-session: s1"]
    {
        assert!(answer.head.contains(header), "{}", answer.head);
    }
    let body = answer.body();
    for line in body.lines() {
        assert!(line.is_empty() || line.starts_with("data: "), "{line}");
    }
    assert!(body.contains(r#""created":1795204274,"#), "when the session began: {body}");
    assert!(body.contains(r#""model":"scripted/m""#), "nobody asked for a model: {body}");
    let whole = served.chat(json!({"messages": [{"role": "user", "content": "hello"}]})).await.json();
    assert_eq!(whole["choices"][0]["message"]["content"], "Hello, you.");
    assert_eq!(whole["model"], "scripted/m");
}

#[tokio::test(start_paused = true)]
async fn a_quiet_stream_gives_a_comment_without_a_blank_line() {
    let served = serve(Settings::default()).await;
    for answer in [served.stream("be quiet for a while").await, served.bridge("be quiet for a while").await] {
        let body = answer.body();
        assert_eq!(body.matches(": keep-alive\n").count(), 2, "{body}");
        assert!(!body.contains("keep-alive\n\n"), "{body}");
        assert!(body.contains(": keep-alive\ndata: {"), "the next frame follows at once: {body}");
        assert_eq!(answer.took.as_secs(), 25);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_one_piece_is_paced_and_one_that_goes_on_is_not() {
    let served = serve(Settings::default()).await;
    let text = |answer: &RawResponse| -> (String, usize) {
        let texts = answer.frames().into_iter().filter_map(|frame| {
            let json = serde_json::from_str::<Value>(&frame.data).ok()?;
            json["choices"][0]["delta"]["content"].as_str().filter(|text| !text.is_empty()).map(ToOwned::to_owned)
        });
        let texts: Vec<String> = texts.collect();
        (texts.concat(), texts.len())
    };
    let answer = served.stream("in one piece").await;
    let whole = "this whole answer came in one piece after  a long time of thinking";
    assert_eq!(text(&answer), (whole.to_owned(), 14));
    assert!(answer.took >= Duration::from_millis(13 * 12), "{:?}", answer.took);
    assert!(answer.pieces.len() > 6, "{} writes", answer.pieces.len());
    let answer = served.stream("in one piece, and more").await;
    assert_eq!(text(&answer), (format!("{whole}\n\nMore."), 15));
    assert!(answer.took < Duration::from_millis(13 * 12), "{:?}", answer.took);
    // A server that shuts down no longer paces its frames.
    let stopping = async {
        tokio::time::sleep(Duration::from_millis(600)).await;
        served.stop.notify_one();
    };
    let (answer, ()) = tokio::join!(served.stream("in one long piece"), stopping);
    assert_eq!((text(&answer).0.len(), answer.names().pop().as_deref()), (5 * 900, Some("[DONE]")));
    assert!(answer.took < Duration::from_secs(1), "{:?}", answer.took);
    let served = serve(Settings::default()).await;
    let answer = served.chat(json!({"messages": [{"content": "in one piece"}]})).await;
    assert!(answer.took < Duration::from_millis(12), "nobody watches: {:?}", answer.took);
}

#[tokio::test(start_paused = true)]
async fn named_events_come_where_they_are_asked_for() {
    let named = [
        "role",
        "agent_turn_start",
        "inference_start",
        "text",
        "inference_end",
        "tool_call_start",
        "tool_call_end",
        "inference_start",
        "text",
        "inference_end",
        "tool_results",
        "stop",
        "[DONE]",
    ];
    let served = serve(Settings::default()).await;
    assert_eq!(served.bridge("use your tools").await.names(), named);
    let tools = json!([{"type": "function", "function": {"name": "x"}}]);
    let body = |tools: &Value| {
        json!({"stream": true, "tools": tools, "messages": [{"role": "user", "content": "use your tools"}]}).to_string()
    };
    let path = "/v1/chat/completions";
    let by_query = served.post(&format!("{path}?a=b&events=agent"), "", &body(&tools)).await;
    assert_eq!(by_query.names(), named);
    assert_eq!(served.factory.last_request().client_tools, None, "our tools are offered");
    assert!(!served.post(path, "", &body(&json!([]))).await.names().contains(&"tool_results".to_owned()));

    let compat = serve(Settings { openjarvis_compat: true, ..Settings::default() }).await;
    assert_eq!(compat.post(path, "", &body(&tools)).await.names(), named);
    assert!(!compat.post(path, "", &body(&json!([]))).await.names().contains(&"tool_results".to_owned()));
    let whole = json!({"tools": tools, "messages": [{"role": "user", "content": "use your tools"}]});
    let whole = compat.chat(whole).await.json();
    assert_eq!(whole["choices"][0]["message"]["content"], "One moment.\n\nIt is noon.");
    assert_eq!(whole["choices"][0]["finish_reason"], "stop");
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_fails_is_an_error_here_and_prose_there() {
    let served = serve(Settings::default()).await;
    let plain = served.stream("fail upstream").await;
    assert_eq!(plain.names(), ["role", "text", "error", "[DONE]"]);
    assert_eq!(plain.status, 200);
    let bridge = served.bridge("fail upstream").await;
    assert_eq!(
        bridge.names(),
        ["role", "agent_turn_start", "inference_start", "text", "stop", "[DONE]"],
        "{}",
        bridge.body()
    );
    assert!(
        bridge
            .body()
            .contains(r#""content":"\n\nSorry, an error occurred: it broke (for the test)"},"finish_reason":"stop""#)
    );
    let whole = served.chat(json!({"messages": [{"content": "fail rate_limited"}]})).await;
    assert_eq!(whole.status, 429);
    assert_eq!(whole.json()["error"]["code"], "rate_limit_exceeded");
}

#[tokio::test(start_paused = true)]
async fn odd_requests_get_clear_answers() {
    let served = serve(Settings::default()).await;
    let path = "/v1/chat/completions";
    let odd = |body: &'static str| served.post(path, "", body);
    let refused = |answer: &RawResponse| {
        let error = answer.json()["error"].clone();
        assert!(error["message"].as_str().is_some_and(|text| !text.is_empty()), "{error}");
        (answer.status, error["type"].as_str().unwrap().to_owned(), error["param"].as_str().map(ToOwned::to_owned))
    };
    let bad = |param: Option<&str>| (400, "invalid_request_error".to_owned(), param.map(ToOwned::to_owned));
    assert_eq!(refused(&odd("").await), bad(None));
    assert_eq!(refused(&odd("{\"messages\":").await), bad(None));
    assert_eq!(refused(&odd("[]").await), bad(None));
    assert_eq!(refused(&odd("{}").await), bad(Some("messages")));
    assert_eq!(refused(&odd(r#"{"messages":[{"content":7}]}"#).await), bad(Some("messages[0].content")));
    assert_eq!(refused(&odd(r#"{"messages":[{"content":"x"}],"stream":1}"#).await), bad(Some("stream")));
    let get = refused(&served.post("/v1/chat/nowhere", "", "").await);
    assert_eq!(get, (404, "invalid_request_error".to_owned(), None));
    let nobody =
        odd(r#"{"model":"x","messages":[{"role":"wizard","content":null},{"content":"no such model"}]}"#).await;
    assert_eq!(refused(&nobody), (404, "invalid_request_error".to_owned(), Some("model".to_owned())));
    // Errors have the other format too, on request.
    let bridge = served.post(path, "x-jarvis-events: agent\r\n", "{}").await;
    assert_eq!(bridge.json()["detail"], "messages is missing");
    assert_eq!(bridge.json()["error"]["param"], "messages");
    // Unknown fields are ignored.
    let fine = odd(
        r#"{"model":null,"stream":null,"n":1,"stop":["x"],"metadata":{"a":1},"tools":null,"max_tokens":null,
            "stream_options":null,"messages":[{"role":"tool-ish","name":"x","content":[]},{"role":"user","content":"hello"}]}"#,
    );
    assert_eq!(fine.await.json()["choices"][0]["message"]["content"], "Hello, you.");
}

#[tokio::test(start_paused = true)]
async fn what_the_client_asks_reaches_the_agent() {
    let served = serve(Settings::default()).await;
    let body = json!({
        "model": "openai/gpt", "max_completion_tokens": 9,
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hello"}],
        "tools": [{"type": "function", "function": {"name": "one"}}, {"type": "function", "function": {"name": "two"}}],
        "tool_choice": {"type": "function", "function": {"name": "two"}},
    });
    let answer = served.post("/v1/chat/completions", "x-jarvis-stay: 1\r\n", &body.to_string()).await.json();
    assert_eq!(answer["model"], "openai/gpt");
    let request = served.factory.last_request();
    assert_eq!(
        (
            request.model.as_deref(),
            request.sampling.max_output_tokens,
            request.system_prompt.as_deref(),
            request.keep_running
        ),
        (Some("openai/gpt"), Some(9), Some("be brief"), true)
    );
    let names: Vec<String> = request.client_tools.unwrap().into_iter().map(|spec| spec.name).collect();
    assert_eq!(names, ["two"]);
}

#[tokio::test(start_paused = true)]
async fn a_turn_ends_with_a_client_that_can_not_come_back() {
    let served = serve(Settings::default()).await;
    for (path, stored, ends) in [
        ("/v1/chat/completions", true, true),
        ("/v1/chat/completions?events=agent", true, false),
        ("/v1/responses", false, true),
        ("/v1/responses", true, false),
    ] {
        let body = json!({"messages": [{"role": "user", "content": "hello"}], "input": "hello", "store": stored});
        assert_eq!(served.post(path, "", &body.to_string()).await.status, 200);
        assert_eq!(served.factory.last_request().ends_with_client, ends, "{path}, stored: {stored}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_takes_nothing_with_it_but_its_own_turn() {
    let served = serve(Settings::default()).await;
    let mut socket = TcpStream::connect(served.address).await.unwrap();
    let body = json!({"stream": true, "messages": [{"content": "be quiet for ever"}]}).to_string();
    let head =
        format!("POST /v1/chat/completions HTTP/1.1\r\nhost: {}\r\ncontent-length: {}", served.address, body.len());
    socket.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).await.unwrap();
    let mut first = [0; 16];
    socket.read_exact(&mut first).await.unwrap();
    assert!(first.starts_with(b"HTTP/1.1 200"));
    drop(socket);
    assert_eq!(served.stream("hello").await.names(), ["role", "text", "stop", "[DONE]"]);
    // Its turn is cancelled once it has had no reader for a while, and its session ends.
    let mut tasks = std::mem::take(&mut *served.factory.tasks.lock().unwrap());
    let ended = async { while tasks.join_next().await.is_some() {} };
    tokio::time::timeout(Duration::from_mins(5), ended).await.expect("every task ends");
}

/// Runs our own program against the server and returns its JSON.
async fn attach_to(served: &ChatServer, path: &str, args: &[&str]) -> Value {
    let url = format!("http://{}{path}", served.address);
    attach(&home(), &[&[url.as_str()], args, &["--output-format", "json"]].concat()).await.json()
}

#[tokio::test]
async fn our_own_client_reads_both_dialects() {
    let served = serve(Settings::default()).await;
    let chat = attach_to(&served, "/v1/chat/completions", &["-m", "m", "-p", "use your tools"]).await;
    assert_eq!(
        (&chat["dialect"], &chat["outcome"], &chat["text"]),
        (&json!("openai-chat"), &json!("completed"), &json!("One moment.\n\nIt is noon.")),
        "{chat}"
    );
    assert_eq!((&chat["usage"]["input_tokens"], &chat["usage"]["output_tokens"]), (&json!(30), &json!(8)), "{chat}");

    let path = "/v1/chat/completions?events=agent";
    let bridge = attach_to(&served, path, &["-m", "m", "-p", "use your tools"]).await;
    assert_eq!(
        (&bridge["dialect"], &bridge["outcome"], &bridge["text"]),
        (&json!("openjarvis"), &json!("completed"), &json!("One moment.\n\nIt is noon.")),
        "{bridge}"
    );
    let calls: Vec<(String, String)> = bridge["tool_calls"]
        .as_array()
        .unwrap_or_else(|| panic!("{bridge}"))
        .iter()
        .map(|call| (call["name"].as_str().unwrap().to_owned(), call["status"].as_str().unwrap().to_owned()))
        .collect();
    assert_eq!(calls, [("clock".to_owned(), "ok".to_owned()), ("shell".to_owned(), "failed".to_owned())]);

    for path in ["/v1/chat/completions", path] {
        let failed = attach_to(&served, path, &["-m", "m", "-p", "fail upstream"]).await;
        assert_eq!(failed["outcome"], "failed", "{failed}");
        assert!(failed.to_string().contains("it broke (for the test)"), "{failed}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_official_client_finds_nothing_odd() {
    // On paused time a quiet stream gets its keep-alives at once; the client gets those bytes.
    let quiet = serve(Settings::default()).await.stream("be quiet for a while").await.body();
    assert!(quiet.contains(": keep-alive\n"));
    tokio::time::resume();
    let kept = ScriptedServer::start(vec![vec![
        head("200 OK", "content-type: text/event-stream\r\n"),
        Sent::Send(quiet.into()),
    ]]);
    let (kept, served) = (kept.await, serve(Settings::default()).await);
    oracle::openai("chat.py", &[&format!("http://{}/v1", served.address), &format!("{}/v1", kept.url())]).await;
}
