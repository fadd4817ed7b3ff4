//! The server from the view of its clients: numbered events that survive a restart, commands, and all kinds of errors.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jarvis_tui::bridge::{HubItem, SessionHandle};
use jarvis_tui::cli;
use jarvis_tui::config::{self, ConfigSources, Overrides, Paths};
use jarvis_tui::event::{AgentEvent, ApprovalMode, Command, DecidedBy, Decision, Seq};
use jarvis_tui::runtime::{AttachedSession, Frontend, Runtime, ServerPlan};
use jarvis_tui::serve::{self, Settings};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// A server in this process, on a port of its own.
struct JarvisServer {
    url: String,
    client: Client,
    stop: oneshot::Sender<()>,
    tasks: JoinSet<()>,
}

/// Warnings of all servers here.
static WARNINGS: AtomicUsize = AtomicUsize::new(0);

fn new_runtime(home: &Path, audience: Frontend) -> Runtime {
    let folder = home.join("work");
    std::fs::create_dir_all(&folder).unwrap();
    let env = |name: &str| (name == "JARVIS_TUI_HOME").then(|| home.display().to_string());
    let paths = Paths::find(&env).unwrap();
    let flags = Overrides { model: Some("offline".to_owned()), ..Overrides::default() };
    let loaded =
        config::load(&ConfigSources { paths: &paths, folder: &folder, file: None, env: &env, flags: &flags }).unwrap();
    Runtime::new(loaded, paths, folder.canonicalize().unwrap(), audience, None)
}

impl JarvisServer {
    async fn start(home: &Path) -> Self {
        Self::with(home, &cli::ServeArgs::default(), |_| {}).await
    }

    async fn with(home: &Path, args: &cli::ServeArgs, change: impl FnOnce(&mut Settings)) -> Self {
        // The embedded engine's pauses are skipped.
        let warn = |_: &str| {
            WARNINGS.fetch_add(1, Ordering::Relaxed);
        };
        let serving = new_runtime(home, Frontend::Headless).plan_server(args, warn).await.unwrap();
        let ServerPlan { factory, mut settings, .. } = serving;
        change(&mut settings);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve::run(listener, serve::ServerState::new(factory, settings), async { drop(stopped.await) }));
        let client =
            jarvis_tui::net::http::client_builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap();
        Self { url, client, stop, tasks }
    }

    /// Stops it as a signal does, and waits.
    async fn stop(mut self) {
        drop(self.stop);
        self.tasks.join_next().await.unwrap().unwrap();
    }

    async fn get(&self, path: &str) -> Response {
        self.client.get(format!("{}{path}", self.url)).send().await.unwrap()
    }

    async fn post(&self, path: &str, body: &Value) -> Response {
        self.client.post(format!("{}{path}", self.url)).body(body.to_string()).send().await.unwrap()
    }

    async fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.get(path).await.text().await.unwrap()).unwrap()
    }

    async fn open(&self) -> String {
        let opened = self.post("/v1/sessions", &json!({})).await;
        assert_eq!(opened.status(), StatusCode::CREATED);
        let opened: Value = serde_json::from_str(&opened.text().await.unwrap()).unwrap();
        opened["id"].as_str().unwrap().to_owned()
    }

    async fn send_command(&self, id: &str, command: &Value) -> (u16, Value) {
        let answer = self.post(&format!("/v1/sessions/{id}/commands"), command).await;
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap())
    }

    async fn prompt(&self, id: &str, text: &str) {
        let (status, answer) = self.send_command(id, &json!({ "type": "prompt", "text": text })).await;
        assert_eq!(status, 202, "{answer}");
    }

    /// Opens a session and reads its events from the first.
    async fn watched_session(&self) -> (String, EventReader) {
        let id = self.open().await;
        let events = self.events(&id, 1).await;
        (id, events)
    }

    async fn events(&self, id: &str, from: u64) -> EventReader {
        EventReader::of(self.get(&format!("/v1/sessions/{id}/events?from={from}")).await)
    }
}

/// Reads an SSE stream, a frame at a time.
struct EventReader {
    response: Response,
    rest: String,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct EventFrame {
    event: String,
    id: Option<u64>,
    data: String,
}

impl EventFrame {
    fn event_json(&self) -> Value {
        serde_json::from_str::<Value>(&self.data).unwrap()["event"].clone()
    }
}

impl EventReader {
    fn of(response: Response) -> Self {
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["x-accel-buffering"], "no");
        Self { response, rest: String::new() }
    }

    async fn next(&mut self) -> Option<EventFrame> {
        loop {
            if let Some((frame, rest)) = self.rest.split_once("\n\n") {
                let mut read = EventFrame::default();
                for line in frame.lines() {
                    match line.split_once(": ").unwrap() {
                        ("event", name) => name.clone_into(&mut read.event),
                        ("id", id) => read.id = id.parse().ok(),
                        ("data", data) => data.clone_into(&mut read.data),
                        _ => {}
                    }
                }
                let end = self.rest.len() - rest.len();
                self.rest.drain(..end);
                return Some(read);
            }
            let bytes = self.response.chunk().await.ok()??;
            self.rest.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }

    async fn next_event(&mut self) -> Option<EventFrame> {
        loop {
            match self.next().await {
                Some(frame) if frame.id.is_none() => {}
                other => return other,
            }
        }
    }

    /// Reads up to an event of this name and returns all numbered ones, with that one last if it is numbered.
    async fn until(&mut self, name: &str) -> Vec<EventFrame> {
        let mut events = Vec::new();
        while let Some(frame) = self.next().await {
            let there = frame.event == name;
            events.extend(Some(frame).filter(|frame| frame.id.is_some()));
            if there {
                return events;
            }
        }
        panic!("the stream ended without {name} after {events:?}")
    }
}

#[tokio::test]
async fn a_client_goes_back_goes_on_elsewhere_and_comes_again_and_nothing_is_lost() {
    let home = tempfile::tempdir().unwrap();
    let server = JarvisServer::start(home.path()).await;
    let (id, mut events) = server.watched_session().await;
    server.prompt(&id, "what is 6*7?").await;
    let first = events.until("turn_finished").await;
    server.prompt(&id, "what is 1+1?").await;
    let second = events.until("turn_finished").await;
    let (fork, end) = (first.last().unwrap().id.unwrap(), second.last().unwrap().id.unwrap());
    let (status, answer) = server.send_command(&id, &json!({ "type": "branch", "after": fork })).await;
    assert_eq!(status, 202, "{answer}");
    let began = events.until("branch_started").await;
    assert_eq!(began.last().unwrap().event_json()["after"], json!(fork));
    server.prompt(&id, "what is 2+2?").await;
    let other = events.until("turn_finished").await;
    // In the middle of a turn there is no place to go on.
    server.send_command(&id, &json!({ "type": "branch", "after": end - 1 })).await;
    let refused = events.until("noticed").await.pop().unwrap().event_json();
    assert_eq!(refused["code"], "branch", "{refused}");
    server.send_command(&id, &json!({ "type": "branch", "after": end })).await;
    events.until("branch_started").await;
    server.prompt(&id, "what is 3+3?").await;
    let last = events.until("turn_finished").await;
    let numbers: Vec<u64> = first.iter().chain(&second).chain(&began).chain(&other).filter_map(|one| one.id).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    server.stop().await;

    // Whoever comes later gets every branch, and the session goes on where it was.
    let server = JarvisServer::start(home.path()).await;
    let mut events = server.events(&id, 1).await;
    let mut prompts = Vec::new();
    while let Some(frame) = events.next_event().await {
        let event = frame.event_json();
        if event["type"] == "user_message" {
            prompts.push(event["text"].as_str().unwrap().to_owned());
        }
        if frame.id == last.last().unwrap().id {
            break;
        }
    }
    assert_eq!(prompts, ["what is 6*7?", "what is 1+1?", "what is 2+2?", "what is 3+3?"]);
    let runtime = new_runtime(home.path(), Frontend::Headless);
    let answers = runtime.saved_sessions();
    let handed = answers.hand_off(&id, "markdown").unwrap();
    assert!(
        handed.text.contains("3+3") && handed.text.contains("1+1") && !handed.text.contains("2+2"),
        "{}",
        handed.text
    );
    server.stop().await;
}

#[tokio::test]
async fn a_stream_goes_on_from_every_event_also_after_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let server = JarvisServer::start(home.path()).await;
    let (id, mut events) = server.watched_session().await;
    server.prompt(&id, "what is 6*7?").await;
    let whole = events.until("turn_finished").await;
    let numbers: Vec<u64> = whole.iter().filter_map(|frame| frame.id).collect();
    assert_eq!(numbers, (1..=whole.len() as u64).collect::<Vec<_>>());
    assert!(whole.iter().any(|frame| frame.data.contains("42")));
    for frame in &whole {
        assert_eq!(frame.event_json()["type"], frame.event.as_str());
    }
    server.stop().await;
    assert_eq!(events.next_event().await, None, "the stream ends with the server");
    // As after a restart.
    let server = JarvisServer::start(home.path()).await;
    for have in 0..=whole.len() {
        let mut events = if have % 2 == 0 {
            server.events(&id, have as u64 + 1).await
        } else {
            let url = format!("{}/v1/sessions/{id}/events", server.url);
            EventReader::of(server.client.get(url).header("last-event-id", have.to_string()).send().await.unwrap())
        };
        let more = events.until("caught-up").await;
        let again = &more[..whole.len() - have];
        assert_eq!(again, &whole[have..], "after {have}");
    }
    // The session is still usable.
    let mut events = server.events(&id, whole.len() as u64 + 1).await;
    assert_eq!(events.next_event().await.unwrap().event, "session_opened");
    server.prompt(&id, "what is 6*8?").await;
    assert!(events.until("turn_finished").await.iter().any(|frame| frame.data.contains("48")));
    let listed = server.json("/v1/sessions").await;
    assert_eq!(listed["sessions"][0]["id"], id.as_str());
    assert_eq!(listed["sessions"][0]["title"], "what is 6*7?");
}

#[tokio::test]
async fn a_number_beyond_the_end_is_answered_with_a_reset() {
    let home = tempfile::tempdir().unwrap();
    let server = JarvisServer::start(home.path()).await;
    let id = server.open().await;
    let mut events = server.events(&id, 1_000).await;
    assert_eq!(events.next().await.unwrap().event, "reset");
    assert_eq!(events.until("session_opened").await[0].id, Some(1));
}

#[tokio::test]
async fn of_two_who_decide_the_first_counts_and_the_other_is_told() {
    let home = tempfile::tempdir().unwrap();
    let server = JarvisServer::start(home.path()).await;
    let (id, mut events) = server.watched_session().await;
    server.prompt(&id, "run `echo one`").await;
    let asked = events.until("approval_requested").await;
    let request = asked.last().unwrap().event_json();
    assert!(request["ask"]["expires"].as_u64().unwrap() > 500_000, "nobody may wait for ever: {request}");
    let call = request["call"].clone();
    assert_eq!(server.json(&format!("/v1/sessions/{id}")).await["asks"][0]["call"], call);
    let decide = |decision: &str| json!({ "type": "decide", "call": call, "decision": decision });
    let (once, deny) = (decide("once"), decide("deny"));
    let (one, other) = tokio::join!(server.send_command(&id, &once), server.send_command(&id, &deny));
    let (winner, loser) = if one.0 == 200 { (one, other) } else { (other, one) };
    assert_eq!((winner.0, loser.0), (200, 409), "{winner:?} {loser:?}");
    assert_eq!(loser.1["decision"], winner.1["decision"]);
    let rest = events.until("turn_finished").await;
    let resolved: Vec<_> = rest.iter().filter(|frame| frame.event == "approval_resolved").collect();
    assert_eq!(resolved.len(), 1);
    assert_eq!(resolved[0].event_json()["by"], "remote");
    assert_eq!(resolved[0].event_json()["decision"], winner.1["decision"]);
    assert_eq!(server.send_command(&id, &once).await.0, 409, "later is late as well");
    let unknown = json!({ "type": "decide", "call": "nix", "decision": "once" });
    assert_eq!(server.send_command(&id, &unknown).await.0, 404);
}

#[tokio::test]
async fn a_slow_reader_loses_nothing_and_holds_up_nobody() {
    let home = tempfile::tempdir().unwrap();
    let server = JarvisServer::start(home.path()).await;
    let id = server.open().await;
    let mut slow = server.events(&id, 1).await;
    let mut quick = server.events(&id, 1).await;
    // More than sockets and the ring in memory hold.
    server.prompt(&id, "demo stream 60000").await;
    let all = quick.until("turn_finished").await;
    server.prompt(&id, "what is 6*7?").await;
    quick.until("turn_finished").await;
    let late = slow.until("turn_finished").await;
    assert!(all == late, "{} and {} events", all.len(), late.len());
}

#[tokio::test]
async fn what_a_client_may_not_do_is_refused_with_the_reason() {
    let home = tempfile::tempdir().unwrap();
    let server = JarvisServer::with(home.path(), &cli::ServeArgs::default(), |settings| {
        settings.tokens.full = Some("full".to_owned().into());
        settings.tokens.read = Some("read".to_owned().into());
        settings.limits.max_body_bytes = 2_048;
        settings.limits.max_prompt_bytes = 100;
        settings.limits.max_sessions = 1;
    })
    .await;
    let approval_request = |token: &'static str, path: &str| {
        server.client.get(format!("{}{path}", server.url)).header("authorization", format!("Bearer {token}"))
    };
    let make = |token: &'static str, path: &str, body: String| {
        let request = server.client.post(format!("{}{path}", server.url)).body(body);
        request.header("authorization", format!("Bearer {token}"))
    };
    assert_eq!(server.get("/health").await.status(), 200, "a watchdog has no token");
    let refused = server.get("/v1/sessions").await;
    assert_eq!((refused.status().as_u16(), refused.headers()["www-authenticate"].to_str().unwrap()), (401, "Bearer"));
    assert_eq!(approval_request("wrong", "/v1/info").send().await.unwrap().status(), 401);
    assert_eq!(approval_request("read", "/v1/info").send().await.unwrap().status(), 200);
    assert_eq!(approval_request("full", "/v1/info").header("host", "evil.example").send().await.unwrap().status(), 403);
    assert_eq!(
        approval_request("full", "/v1/info").header("origin", "http://evil.example").send().await.unwrap().status(),
        403
    );
    assert_eq!(make("read", "/v1/sessions", String::new()).send().await.unwrap().status(), 403);
    assert_eq!(make("full", "/v1/sessions", "x".repeat(4_096)).send().await.unwrap().status(), 413);
    assert_eq!(make("full", "/v1/sessions", "{\"nix\":1}".into()).send().await.unwrap().status(), 400);
    let outside = make("full", "/v1/sessions", "{\"folder\":\"/\"}".into()).send().await.unwrap();
    assert_eq!(outside.status(), 403, "{}", outside.text().await.unwrap());
    let opened = make("full", "/v1/sessions", String::new()).send().await.unwrap();
    assert_eq!(opened.status(), 201);
    let opened: Value = serde_json::from_str(&opened.text().await.unwrap()).unwrap();
    let commands = format!("/v1/sessions/{}/commands", opened["id"].as_str().unwrap());
    let long = json!({ "type": "prompt", "text": "x".repeat(101) }).to_string();
    assert_eq!(make("full", &commands, long).send().await.unwrap().status(), 413);
    for wrong in ["{\"type\":\"prompt\",\"text\":\" \"}", "{\"type\":\"nix\"}", "nix", ""] {
        assert_eq!(make("full", &commands, wrong.into()).send().await.unwrap().status(), 400, "{wrong}");
    }
    let seek = "{\"type\":\"seek\",\"to\":\"start\"}";
    assert_eq!(make("full", &commands, seek.into()).send().await.unwrap().status(), 409);
    // It has a reader, so it can't be released for another.
    let events = commands.replace("commands", "events");
    let _watched = approval_request("read", &events).send().await.unwrap();
    let more = make("full", "/v1/sessions", String::new()).send().await.unwrap();
    assert_eq!((more.status().as_u16(), more.headers().contains_key("retry-after")), (429, true));
    assert_eq!(approval_request("full", "/v1/sessions/nix").send().await.unwrap().status(), 404);
    assert_eq!(approval_request("full", "/nix").send().await.unwrap().status(), 404);
    assert_eq!(make("full", "/v1/info", String::new()).send().await.unwrap().status(), 405);
}

#[tokio::test]
async fn no_client_gets_a_freer_mode_than_the_servers() {
    let home = tempfile::tempdir().unwrap();
    for (most, taken, refused) in [
        (ApprovalMode::Plan, &["plan"][..], &["ask", "auto-edit", "full"][..]),
        (ApprovalMode::Ask, &["plan", "ask"], &["auto-edit", "full"]),
        (ApprovalMode::Full, &["plan", "ask", "auto-edit", "full"], &[]),
    ] {
        let server = JarvisServer::with(home.path(), &cli::ServeArgs::default(), |settings| settings.mode = most).await;
        let id = server.open().await;
        for mode in taken {
            assert_eq!(server.post("/v1/sessions", &json!({ "mode": mode })).await.status(), 201, "{mode}");
            assert_eq!(server.send_command(&id, &json!({"type": "set_mode", "mode": mode})).await.0, 202, "{mode}");
        }
        for mode in refused {
            let opened = server.post("/v1/sessions", &json!({ "mode": mode })).await;
            assert_eq!(opened.status(), 403, "{mode}");
            let (status, text) = server.send_command(&id, &json!({"type": "set_mode", "mode": mode})).await;
            let message = text["error"]["message"].as_str().unwrap();
            let text = format!("at most the mode {} (its --approval-mode)", most.name());
            assert!(status == 403 && message.contains(&text), "{message}");
        }
        server.stop().await;
    }
}

/// Sends half a request: the rest never comes.
async fn half(server: &JarvisServer, head: &str) -> tokio::net::TcpStream {
    let address = server.url.strip_prefix("http://").unwrap();
    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
    socket.write_all(head.replace("HOST", address).as_bytes()).await.unwrap();
    socket
}

#[tokio::test]
async fn half_sent_requests_keep_nobody_out() {
    let home = tempfile::tempdir().unwrap();
    let server =
        JarvisServer::with(home.path(), &cli::ServeArgs::default(), |settings| settings.limits.max_clients = 4).await;
    let heads = [
        "",
        "POST /v1/sessions HTTP/1.1\r\nhost: HOST\r\n",
        "POST /v1/sessions HTTP/1.1\r\nhost: HOST\r\ncontent-length: 50\r\n\r\n{",
        "POST /v1/chat/completions HTTP/1.1\r\nhost: HOST\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{",
    ];
    let mut halves = Vec::new();
    for head in heads {
        halves.push(half(&server, head).await);
    }
    // A client that has waited only briefly may just be slow; a new one gets an error and can retry.
    let answered = async {
        loop {
            let client = jarvis_tui::net::http::client_builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
            if client.get(format!("{}/health", server.url)).send().await.is_ok_and(|answer| answer.status() == 200) {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), answered).await.expect("somebody is answered");
    drop(halves);
}

#[tokio::test]
async fn one_client_too_many_is_told_so() {
    let home = tempfile::tempdir().unwrap();
    let server =
        JarvisServer::with(home.path(), &cli::ServeArgs::default(), |settings| settings.limits.max_clients = 1).await;
    let id = server.open().await;
    let _watching = server.events(&id, 1).await;
    // The first connection is idle and may be reused, so this one must be another.
    let other = jarvis_tui::net::http::client_builder().no_proxy().build().unwrap();
    let refused = other.get(format!("{}/health", server.url)).send().await.unwrap();
    assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].to_str().unwrap()), (429, "5"));
}

#[tokio::test]
async fn an_idle_session_makes_room_and_is_opened_again_when_asked_for() {
    let home = tempfile::tempdir().unwrap();
    let server =
        JarvisServer::with(home.path(), &cli::ServeArgs::default(), |settings| settings.limits.max_sessions = 1).await;
    let first = server.open().await;
    let mut events = server.events(&first, 1).await;
    server.prompt(&first, "what is 6*7?").await;
    let event_count = events.until("turn_finished").await.len() as u64;
    drop(events);
    let second = loop {
        // The server notices that the last reader is gone once the connection is closed.
        let opened = server.post("/v1/sessions", &json!({})).await;
        if opened.status() == 201 {
            break serde_json::from_str::<Value>(&opened.text().await.unwrap()).unwrap()["id"].clone();
        }
        tokio::task::yield_now().await;
    };
    assert_ne!(second, first.as_str());
    let mut again = server.events(&first, event_count + 1).await;
    assert_eq!(again.next_event().await.unwrap().event, "session_opened");
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_seals_what_runs_and_ends_every_stream() {
    let home = tempfile::tempdir().unwrap();
    let server = JarvisServer::start(home.path()).await;
    let (id, mut events) = server.watched_session().await;
    server.prompt(&id, "run `echo one`").await;
    events.until("approval_requested").await;
    let end = async {
        let input = events.until("turn_finished").await;
        assert_eq!(input.last().unwrap().event_json()["end"], "cancelled");
        assert_eq!(events.next_event().await, None);
    };
    tokio::join!(server.stop(), end);
}

/// Returns the name and the events of a session of one turn, whose server was stopped.
async fn saved_session(home: &Path) -> (String, Vec<EventFrame>) {
    let server = JarvisServer::start(home).await;
    let (id, mut events) = server.watched_session().await;
    server.prompt(&id, "what is 6*7?").await;
    let whole = events.until("turn_finished").await;
    server.stop().await;
    (id, whole)
}

#[tokio::test]
async fn the_servers_model_answers_for_one_that_nobody_has_unless_the_settings_refuse_that() {
    let home = tempfile::tempdir().unwrap();
    let ask = |model: &str| json!({"model": model, "messages": [{"role": "user", "content": "what is 6*7?"}]});
    let server = JarvisServer::start(home.path()).await;
    let mut logs = Vec::new();
    for model in ["gpt-9", "gpt-9", "jarvis-tui"] {
        let answer = server.post("/v1/chat/completions", &ask(model)).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let session = answer.headers()["x-jarvis-session"].to_str().unwrap().to_owned();
        logs.push(home.path().join("sessions").join(format!("{session}.jsonl")));
    }
    server.stop().await;
    let logs: Vec<String> = logs.iter().map(|log| std::fs::read_to_string(log).unwrap()).collect();
    let told = |log: &String| log.contains(r#"no model is called \"gpt-9\"; offline/guide answers for it"#);
    assert_eq!(logs.iter().map(told).collect::<Vec<_>>(), [true, true, false]);
    let called = |log: &String| log.contains("tool_call_started");
    assert_eq!(logs.iter().map(called).collect::<Vec<_>>(), [false, false, true], "our tools are the agent's");
    assert_eq!(WARNINGS.load(Ordering::Relaxed), 1, "once a name");
    std::fs::write(home.path().join("config.toml"), "[server]\nany_model = false\n").unwrap();
    let server = JarvisServer::start(home.path()).await;
    assert_eq!(server.post("/v1/chat/completions", &ask("gpt-9")).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(server.post("/v1/chat/completions", &ask("offline/guide")).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn who_may_only_watch_opens_nothing() {
    let home = tempfile::tempdir().unwrap();
    let (id, whole) = saved_session(home.path()).await;
    let args = cli::ServeArgs { read_only: true, ..cli::ServeArgs::default() };
    let server = JarvisServer::with(home.path(), &args, |_| {}).await;
    assert_eq!(server.events(&id, 1).await.until("caught-up").await, whole, "nothing was added");
    let over = server.get(&format!("/v1/sessions/{id}/events?from={}", whole.len() + 1)).await;
    assert_eq!(over.status(), 204);
    assert_eq!(server.send_command(&id, &json!({ "type": "cancel" })).await.0, 403);
}

#[tokio::test]
async fn a_recording_is_played_to_whoever_watches() {
    let home = tempfile::tempdir().unwrap();
    let (id, whole) = saved_session(home.path()).await;
    let log = home.path().join("sessions").join(format!("{id}.jsonl"));
    let args = cli::ServeArgs { replay: Some(log), speed: 100.0, ..cli::ServeArgs::default() };
    let server = JarvisServer::with(home.path(), &args, |_| {}).await;
    assert_eq!(server.json("/v1/sessions").await["sessions"][0]["id"], id.as_str());
    let mut events = server.events(&id, 1).await;
    assert_eq!(events.until("turn_finished").await, whole);
    assert_eq!(server.post("/v1/sessions", &json!({})).await.status(), 409);
    // Any client can seek, and all others follow.
    assert_eq!(server.send_command(&id, &json!({ "type": "seek", "to": "start" })).await.0, 202);
    events.until("reset").await;
    assert_eq!(server.send_command(&id, &json!({ "type": "seek", "to": "end" })).await.0, 202);
    assert_eq!(events.until("turn_finished").await, whole);
}

struct AttachedScreen {
    live: SessionHandle,
    events: jarvis_tui::bridge::hub::Subscription,
}

impl AttachedScreen {
    async fn attach(runtime: &Runtime, url: &str) -> Self {
        let typed = cli::AttachArgs { target: Some(url.to_owned()), ..cli::AttachArgs::default() };
        let AttachedSession { handle: live, .. } = runtime.attach(&typed, false).await.unwrap();
        let events = live.hub.subscribe(Seq(0));
        Self { live, events }
    }

    async fn send_command(&self, command: Command) {
        self.live.commands.send(command).await.unwrap();
    }

    async fn until(&mut self, wanted: impl Fn(&AgentEvent) -> bool) -> AgentEvent {
        loop {
            match self.events.next().await.expect("the session goes on") {
                HubItem::Event(event) if wanted(&event.envelope.event) => return event.envelope.event.clone(),
                _ => {}
            }
        }
    }
}

#[tokio::test]
async fn an_attached_screen_does_what_a_local_one_does() {
    let (home, away) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = JarvisServer::start(home.path()).await;
    let runtime = new_runtime(away.path(), Frontend::Tui);
    // There is no session yet, so one is opened.
    let mut screen = AttachedScreen::attach(&runtime, &server.url).await;
    screen.send_command(Command::prompt("run `echo one`")).await;
    let asked = screen.until(|event| matches!(event, AgentEvent::ApprovalRequested { .. })).await;
    let AgentEvent::ApprovalRequested { call, .. } = asked else { panic!("{asked:?}") };
    screen.send_command(Command::prompt("what is 6*7?")).await;
    let mut status = screen.live.status.clone();
    let queued = status.wait_for(|status| !status.queue.is_empty()).await.unwrap().queue.clone();
    assert_eq!(queued[0].text, "what is 6*7?");
    screen.send_command(Command::Decide { call, decision: Decision::Once }).await;
    let resolved = screen.until(|event| matches!(event, AgentEvent::ApprovalResolved { .. })).await;
    assert!(matches!(resolved, AgentEvent::ApprovalResolved { by: DecidedBy::Remote, .. }), "{resolved:?}");
    for _ in 0..2 {
        screen.until(|event| matches!(event, AgentEvent::TurnFinished { .. })).await;
    }
    // Another joins and sees the same.
    let mut other = AttachedScreen::attach(&runtime, &server.url).await;
    for _ in 0..2 {
        other.until(|event| matches!(event, AgentEvent::TurnFinished { .. })).await;
    }
    other.send_command(Command::SetMode { mode: ApprovalMode::Plan }).await;
    screen.until(|event| matches!(event, AgentEvent::SessionOpened { mode, .. } if mode.name() == "plan")).await;
    drop((screen, other));
    runtime.close().await;
    server.stop().await;
}

#[tokio::test]
async fn a_grant_is_seen_on_every_screen_and_taken_back_from_any() {
    let (home, away) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = JarvisServer::start(home.path()).await;
    let runtime = new_runtime(away.path(), Frontend::Tui);
    let mut one = AttachedScreen::attach(&runtime, &server.url).await;
    one.send_command(Command::prompt("run `echo one`")).await;
    let is_asked = |event: &AgentEvent| matches!(event, AgentEvent::ApprovalRequested { .. });
    let AgentEvent::ApprovalRequested { call, .. } = one.until(is_asked).await else { panic!("no ask") };
    let mut two = AttachedScreen::attach(&runtime, &server.url).await;
    two.until(is_asked).await;
    two.send_command(Command::Decide { call: call.clone(), decision: Decision::Session }).await;
    // The approval disappears from the other screen.
    one.until(|event| matches!(event, AgentEvent::ApprovalResolved { call: known, .. } if *known == call)).await;
    let granted = |screen: &AttachedScreen, count: usize| {
        let mut status = screen.live.status.clone();
        async move {
            let has = |status: &jarvis_tui::event::SessionStatus| {
                status.permissions.as_ref().is_some_and(|permissions| permissions.grants.len() == count)
            };
            status.wait_for(has).await.unwrap().permissions.clone().unwrap()
        }
    };
    let seen = granted(&one, 1).await;
    assert_eq!((seen.grants[0].pattern().as_str(), granted(&two, 1).await), ("shell", seen));
    one.send_command(Command::RevokeGrant { pattern: "shell".into() }).await;
    granted(&one, 0).await;
    granted(&two, 0).await;
    drop((one, two));
    runtime.close().await;
    server.stop().await;
}

#[tokio::test]
async fn an_address_of_other_machines_is_not_served_without_a_token() {
    let home = tempfile::tempdir().unwrap();
    let args = cli::ServeArgs { host: Some("0.0.0.0".to_owned()), ..cli::ServeArgs::default() };
    let refused = new_runtime(home.path(), Frontend::Headless).plan_server(&args, |_| ()).await;
    let text = refused.err().expect("it is refused").to_string();
    assert!(text.contains("--token-env"), "{text}");
    let args = cli::ServeArgs { token_env: Some("NOT_SET_ANYWHERE".to_owned()), ..cli::ServeArgs::default() };
    assert!(
        new_runtime(home.path(), Frontend::Headless).plan_server(&args, |_| ()).await.is_err(),
        "a token that is missing is no token"
    );
}

#[tokio::test]
async fn a_session_that_another_program_has_open_is_not_opened_twice() {
    let home = tempfile::tempdir().unwrap();
    let one = JarvisServer::start(home.path()).await;
    let id = one.open().await;
    one.prompt(&id, "what is 6*7?").await;
    one.events(&id, 1).await.until("turn_finished").await;
    let other = JarvisServer::start(home.path()).await;
    let refused = other.get(&format!("/v1/sessions/{id}/events")).await;
    assert_eq!(refused.status(), 409);
    assert!(refused.text().await.unwrap().contains("another jarvis-tui"));
}
