//! Both Responses surfaces from the view of clients: the real server with a model that acts by the prompt.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Response as Answer, StatusCode as Status};
use axum::routing::post;
use futures_util::{StreamExt, stream};
use jarvis_tui::cli;
use jarvis_tui::config::{self, ConfigSources, Overrides, Paths};
use jarvis_tui::event::ApprovalMode;
use jarvis_tui::runtime::{Frontend, Runtime, ServerPlan};
use jarvis_tui::serve;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::oracle;
use crate::attach::{attach, home};

/// Returns the model's response to a request's last message, as chunks of chat completions.
fn reply(request: &Value) -> Vec<Value> {
    let messages = request["messages"].as_array().unwrap();
    let content = |message: &Value| message["content"].as_str().unwrap_or_default().to_owned();
    let last = messages.last().unwrap();
    let say = |deltas: Vec<Value>, stop: &str| {
        let mut chunks: Vec<Value> =
            deltas.into_iter().map(|delta| json!({"choices": [{"index": 0, "delta": delta}]})).collect();
        chunks.push(json!({"choices": [{"index": 0, "delta": {}, "finish_reason": stop}]}));
        chunks.push(json!({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}));
        chunks
    };
    let text = |text: &str| json!({ "content": text });
    let call = |n: u32, id: &str, name: &str, args: &str| json!({"tool_calls": [{"index": n, "id": id, "type": "function", "function": {"name": name, "arguments": args}}]});
    let results =
        messages.iter().rev().take_while(|message| message["role"] == "tool").map(content).collect::<Vec<_>>();
    let asked = messages.iter().rev().find(|message| message["role"] == "user").map(content).unwrap_or_default();
    let texts = asked.rsplit("\n\n").next().unwrap_or_default();
    match (last["role"].as_str().unwrap(), texts) {
        ("tool", "use your tools") => say(
            vec![text("I see "), text(&format!("{}.", results.iter().min_by_key(|result| result.len()).unwrap()))],
            "stop",
        ),
        (_, "never stop") => say(
            vec![
                text("On. "),
                call(
                    0,
                    &format!("c{}", messages.len()),
                    "calculator",
                    &format!("{{\"expression\":\"1+{}\"}}", messages.len()),
                ),
            ],
            "tool_calls",
        ),
        ("tool", _) => say(vec![text(&format!("It says {}.", results.first().unwrap()))], "stop"),
        (_, "use your tools") => say(
            vec![
                call(0, "a", "calculator", "{\"expression\":\"6*7\"}"),
                call(1, "b", "read_file", "{\"path\":\"nowhere.txt\"}"),
            ],
            "tool_calls",
        ),
        (_, "show resources") => {
            say(vec![call(0, "a", "shell", "{\"command\":\"printf %s \\\"$JARVIS_TOOL_RESOURCES\\\"\"}")], "tool_calls")
        }
        (_, "weather") => say(
            vec![
                call(0, "call_w", "get_weather", "{\"city\":"),
                json!({"tool_calls": [{"index": 0, "function": {"arguments": "\"Oslo\"}"}}]}),
            ],
            "tool_calls",
        ),
        (_, "think") => say(vec![json!({"reasoning_content": "Let me see."}), text("Yes.")], "stop"),
        (_, "too long") => say(vec![text("and so on")], "length"),
        (_, "my name is Ada") => say(vec![text("Noted.")], "stop"),
        (_, "all of it") => {
            let all = messages.iter().filter(|message| message["role"] != "system");
            let all: Vec<String> =
                all.map(|message| format!("{}: {}", message["role"].as_str().unwrap(), content(message))).collect();
            say(vec![text(&all.join(" | "))], "stop")
        }
        _ => say(vec![text("Hello, "), text("you.")], "stop"),
    }
}

async fn model(body: Bytes) -> Answer<Body> {
    let request: Value = serde_json::from_slice(&body).unwrap();
    let last =
        request["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap_or_default().to_owned();
    let mut response = Answer::new(Body::empty());
    if let Some(status) = last.strip_prefix("fail ") {
        *response.status_mut() = Status::from_u16(status.parse().unwrap()).unwrap();
        *response.body_mut() = Body::from(json!({"error": {"message": "it can't be done"}}).to_string());
        return response;
    }
    response.headers_mut().insert("content-type", "text/event-stream".parse().unwrap());
    let chunks =
        reply(&request).into_iter().map(|chunk| format!("data: {chunk}\n\n")).chain(["data: [DONE]\n\n".to_owned()]);
    let chunks_stream = stream::iter(chunks.collect::<Vec<_>>()).map(|chunk| Ok::<_, Infallible>(Bytes::from(chunk)));
    *response.body_mut() = match last.as_str() {
        // Sends some text and then nothing, forever.
        "wait" => Body::from_stream(chunks_stream.take(1).chain(stream::pending())),
        _ => Body::from_stream(chunks_stream),
    };
    response
}

/// The model, and servers in front of it.
struct ResponsesBench {
    home: tempfile::TempDir,
    model: String,
    /// The model's tasks, which end with this.
    _tasks: JoinSet<()>,
    client: Client,
}

struct ResponsesServer {
    url: String,
    stop: oneshot::Sender<()>,
    tasks: JoinSet<()>,
}

impl ResponsesServer {
    async fn stop(mut self) {
        drop(self.stop);
        self.tasks.join_next().await.unwrap().unwrap();
    }
}

impl ResponsesBench {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let model_url = format!("http://{}/v1", listener.local_addr().unwrap());
        let mut tasks = JoinSet::new();
        let app = Router::new().route("/v1/chat/completions", post(model));
        tasks.spawn(async move { axum::serve(listener, app).await.unwrap() });
        let client =
            jarvis_tui::net::http::client_builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap();
        Self { home: tempfile::tempdir().unwrap(), model: model_url, _tasks: tasks, client }
    }

    async fn serve(&self) -> ResponsesServer {
        let home = self.home.path();
        let folder = home.join("work");
        std::fs::create_dir_all(&folder).unwrap();
        let env = |name: &str| (name == "JARVIS_TUI_HOME").then(|| home.display().to_string());
        let paths = Paths::find(&env).unwrap();
        std::fs::create_dir_all(&paths.config).unwrap();
        let engine = format!("[engines.mock]\nkind = \"openai\"\nbase_url = {:?}\nretries = 0\n", self.model);
        std::fs::write(paths.config.join("config.toml"), engine).unwrap();
        let flags =
            Overrides { model: Some("mock/m".to_owned()), mode: Some(ApprovalMode::Full), ..Overrides::default() };
        let loaded =
            config::load(&ConfigSources { paths: &paths, folder: &folder, file: None, env: &env, flags: &flags })
                .unwrap();
        let runtime = Runtime::new(loaded, paths, folder.canonicalize().unwrap(), Frontend::Headless, None);
        let ServerPlan { factory, settings, .. } =
            runtime.plan_server(&cli::ServeArgs::default(), |_| ()).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve::run(listener, serve::ServerState::new(factory, settings), async { drop(stopped.await) }));
        ResponsesServer { url, stop, tasks }
    }

    async fn ask(&self, method: Method, url: &str, body: &Value) -> (u16, String) {
        let mut request = self.client.request(method, url);
        if !body.is_null() {
            request = request.body(body.to_string());
        }
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    async fn post(&self, url: &str, body: &Value) -> (u16, Value) {
        let (status, text) = self.ask(Method::POST, url, body).await;
        (status, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
    }

    async fn get(&self, url: &str) -> (u16, Value) {
        let (status, text) = self.ask(Method::GET, url, &Value::Null).await;
        (status, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
    }

    async fn stream(&self, url: &str, body: &Value) -> Vec<String> {
        let (status, text) = self.ask(if body.is_null() { Method::GET } else { Method::POST }, url, body).await;
        assert_eq!(status, 200, "{text}");
        text.split_terminator("\n\n").map(ToOwned::to_owned).collect()
    }

    fn logs(&self) -> usize {
        std::fs::read_dir(self.home.path().join("sessions")).map_or(0, Iterator::count)
    }
}

fn data(frame: &str) -> Value {
    let data = frame.lines().find_map(|line| line.strip_prefix("data: ")).unwrap_or_else(|| panic!("{frame}"));
    serde_json::from_str(data).unwrap()
}

fn texts(response: &Value) -> Vec<&str> {
    let items = response["output"].as_array().unwrap().iter();
    items.filter_map(|item| item["content"][0]["text"].as_str()).collect()
}

#[tokio::test]
async fn a_stream_cut_at_any_event_goes_on_there_also_after_a_restart() {
    let world = ResponsesBench::new().await;
    let served = world.serve().await;
    let whole = world
        .stream(&format!("{}/v1/responses", served.url), &json!({"input": "use your tools", "stream": true}))
        .await;
    assert!(whole.len() > 20, "{whole:#?}");
    let id = data(&whole[0])["response"]["id"].as_str().unwrap().to_owned();
    let resumed = async |served: &ResponsesServer| {
        let path = format!("{}/v1/responses/{id}?stream=true", served.url);
        assert_eq!(world.stream(&path, &Value::Null).await, whole);
        for after in 0..whole.len() {
            let rest = world.stream(&format!("{path}&starting_after={after}"), &Value::Null).await;
            assert_eq!(rest, whole[after + 1..], "after {after}");
        }
    };
    resumed(&served).await;
    served.stop().await;
    let served = world.serve().await;
    resumed(&served).await;
    let (_, stored) = world.get(&format!("{}/v1/responses/{id}", served.url)).await;
    assert_eq!(stored, data(whole.last().unwrap())["response"]);
    served.stop().await;
}

#[tokio::test]
async fn what_runs_is_watched_cancelled_and_gone_on_from() {
    let world = ResponsesBench::new().await;
    let served = world.serve().await;
    let responses = format!("{}/v1/responses", served.url);
    let (_, begun) = world.post(&responses, &json!({"input": "wait", "background": true})).await;
    assert_eq!(begun["status"], "in_progress");
    let path = format!("{responses}/{}", begun["id"].as_str().unwrap());
    // A reader follows from the start, and sees the end.
    let response = world.client.get(format!("{path}?stream=true")).send().await.unwrap();
    let mut watched = Box::pin(response.bytes_stream());
    let mut seen = String::new();
    while !seen.contains("output_text.delta") {
        seen.push_str(&String::from_utf8_lossy(&watched.next().await.unwrap().unwrap()));
    }
    // What is to follow it waits for its end.
    let going_on = json!({"input": "all of it", "previous_response_id": begun["id"]});
    let (place, nothing) = (format!("{path}/cancel"), json!({}));
    let ((_, on), (status, cancelled)) = tokio::join!(world.post(&responses, &going_on), world.post(&place, &nothing));
    assert_eq!((status, &cancelled["status"]), (200, &json!("cancelled")));
    while let Some(piece) = watched.next().await {
        seen.push_str(&String::from_utf8_lossy(&piece.unwrap()));
    }
    let last = seen.split_terminator("\n\n").last().unwrap();
    assert_eq!(data(last)["response"], cancelled);
    assert!(texts(&on)[0].starts_with("user: wait | assistant: Hello, "), "{on}");
    // In the background it waits as well, and its client may ask how it is, take it back, and go on from it.
    let (_, begun) = world.post(&responses, &json!({"input": "wait", "background": true})).await;
    let after =
        |previous: &Value| json!({"input": "all of it", "background": true, "previous_response_id": previous["id"]});
    let (_, second) = world.post(&responses, &after(&begun)).await;
    let (_, third) = world.post(&responses, &after(&second)).await;
    let (_, unwanted) = world.post(&responses, &after(&begun)).await;
    assert_eq!([&second["status"], &third["status"], &unwanted["status"]], ["queued"; 3]);
    let place = |response: &Value| format!("{responses}/{}", response["id"].as_str().unwrap());
    assert_eq!(world.get(&place(&second)).await.1, second);
    assert_eq!(world.post(&format!("{}/cancel", place(&unwanted)), &json!({})).await.1["status"], "cancelled");
    world.post(&format!("{}/cancel", place(&begun)), &json!({})).await;
    let ended = loop {
        let now = world.get(&place(&third)).await.1;
        if !["queued", "in_progress"].contains(&now["status"].as_str().unwrap()) {
            break now;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((&ended["status"], &ended["id"]), (&json!("completed"), &third["id"]), "{ended}");
    assert!(texts(&ended)[0].contains("user: all of it | assistant:"), "{ended}");
    assert_eq!(world.get(&place(&unwanted)).await.1["status"], "cancelled");
    // Its response may be deleted while it runs.
    let (_, begun) = world.post(&responses, &json!({"input": "wait", "background": true})).await;
    let path = format!("{responses}/{}", begun["id"].as_str().unwrap());
    let (status, deleted) = world.ask(Method::DELETE, &path, &Value::Null).await;
    assert_eq!((status, deleted.contains("\"deleted\":true")), (200, true), "{deleted}");
    assert_eq!(world.get(&path).await.0, 404);
    served.stop().await;
}

#[tokio::test]
async fn what_is_not_to_be_stored_leaves_nothing() {
    let world = ResponsesBench::new().await;
    let served = world.serve().await;
    for path in ["/v1/responses", "/api/v1/responses"] {
        let asked = json!({"model": "mock/m", "input": "hello", "store": false});
        let (status, response) = world.post(&format!("{}{path}", served.url), &asked).await;
        assert_eq!((status, &response["status"]), (200, &json!("completed")));
        let id = response["id"].as_str().unwrap();
        assert_eq!(world.get(&format!("{}{path}/{id}", served.url)).await.0, 404);
    }
    served.stop().await;
    assert_eq!(world.logs(), 0);
}

#[tokio::test]
async fn enclava_has_its_rounds_outputs_and_closing_frame() {
    let world = ResponsesBench::new().await;
    let served = world.serve().await;
    let responses = format!("{}/api/v1/responses", served.url);
    let asked = json!({"model": "mock/m", "input": "use your tools"});
    let frames = world.stream(&format!("{responses}?stream=true"), &asked).await;
    let names: Vec<&str> =
        frames.iter().map(|frame| frame.lines().next().unwrap().trim_start_matches("event: ")).collect();
    assert_eq!((names[0], *names.last().unwrap()), ("response.created", "response.completed"));
    let items: Vec<Value> = frames.iter().map(|frame| data(frame)["item"].clone()).filter(Value::is_object).collect();
    let text: Vec<String> = items
        .iter()
        .map(|item| {
            format!(
                "{} {} {}",
                item["type"].as_str().unwrap(),
                item["call_id"].as_str().unwrap_or_default(),
                item["status"].as_str().unwrap()
            )
        })
        .collect();
    let expected = [
        "function_call a in_progress",
        "function_call b in_progress",
        "function_call_output a completed",
        "function_call_output b failed",
        "message  completed",
    ];
    let mut sorted = text.clone();
    sorted[2..4].sort();
    assert_eq!(sorted, expected, "{text:?}");
    let failed = items.iter().find(|item| item["status"] == "failed").unwrap()["output"].as_str().unwrap();
    assert!(failed.starts_with("{\"error\":") && failed.contains("no such file"), "{failed}");
    let done = data(frames.last().unwrap());
    assert_eq!((&done["output"], &done["output_text"]), (&json!(items), &json!("I see 42.")));
    // Stored although it was streamed, and continued.
    let id = done["id"].as_str().unwrap();
    let (_, stored) = world.get(&format!("{responses}/{id}")).await;
    assert_eq!((&stored["output"], &stored["usage"]["total_tokens"]), (&done["output"], &json!(20)));
    let (_, on) = world.post(&responses, &json!({"input": "all of it", "previous_response_id": id})).await;
    assert_eq!(on["previous_response_id"], id);
    assert!(on["output_text"].as_str().unwrap().starts_with("user: use your tools | assistant:"), "{on}");
    let (_, nobody) = world.post(&responses, &json!({"input": "all of it", "previous_response_id": "resp_0"})).await;
    assert_eq!(nobody["output_text"], "user: all of it");
    served.stop().await;
}

#[tokio::test]
async fn enclavas_rounds_end_without_an_answer_and_tools_see_resources() {
    let world = ResponsesBench::new().await;
    let served = world.serve().await;
    let responses = format!("{}/api/v1/responses", served.url);
    for rounds in [1, 3] {
        let asked = json!({"input": "never stop", "max_tool_calls": rounds});
        let (status, spent) = world.post(&responses, &asked).await;
        assert_eq!((status, &spent["status"]), (200, &json!("completed")), "{spent}");
        let outputs = spent["output"].as_array().unwrap().iter().filter(|item| item["type"] == "function_call_output");
        assert_eq!(outputs.count(), rounds, "{spent}");
    }
    let asked = json!({"input": "show resources", "tool_resources": {"file_search": {"ids": ["v1"]}}});
    let (_, shown) = world.post(&responses, &asked).await;
    assert_eq!(shown["output_text"], "It says {\"file_search\":{\"ids\":[\"v1\"]}}.", "{shown}");
    let (_, shown) = world.post(&responses, &json!({"input": "show resources"})).await;
    assert!(!shown["output_text"].as_str().unwrap().contains("v1"), "{shown}");
    served.stop().await;
}

#[tokio::test]
async fn enclavas_conversations_outlive_the_server() {
    let world = ResponsesBench::new().await;
    let served = world.serve().await;
    let api = format!("{}/api/v1", served.url);
    let items = json!({"items": [{"type": "message", "role": "user", "content": "I am Bob"}], "metadata": {"a": "b"}});
    let (status, begun) = world.post(&format!("{api}/conversations"), &items).await;
    assert_eq!(status, 201);
    let id = begun["id"].as_str().unwrap();
    let asked = json!({"input": "my name is Ada", "conversation": id});
    world.stream(&format!("{api}/responses?stream=true"), &asked).await;
    served.stop().await;
    let served = world.serve().await;
    let api = format!("{}/api/v1", served.url);
    let more = json!({"items": [{"type": "message", "role": "assistant", "content": "And?"}]});
    assert_eq!(world.post(&format!("{api}/conversations/{id}/items"), &more).await.0, 200);
    let (_, on) = world.post(&format!("{api}/responses"), &json!({"input": "all of it", "conversation": id})).await;
    let chunks_stream = "user: I am Bob | user: my name is Ada | assistant: Noted. | assistant: And? | user: all of it";
    assert_eq!((&on["output_text"], &on["conversation"]["id"]), (&json!(chunks_stream), &json!(id)));
    let (_, shown) = world.get(&format!("{api}/conversations/{id}")).await;
    assert_eq!((shown["items"].as_array().unwrap().len(), &shown["metadata"]), (6, &json!({"a": "b"})));
    let (_, listed) = world.get(&format!("{api}/conversations?limit=1")).await;
    assert_eq!(listed["data"][0]["id"], id);
    let (status, _) = world.ask(Method::DELETE, &format!("{api}/conversations/{id}"), &Value::Null).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(world.get(&format!("{api}/conversations/{id}")).await.0, 404);
    assert_eq!(world.get(&format!("{api}/conversations/..%2F..%2Fsessions")).await.0, 404);
    served.stop().await;
}

#[tokio::test]
async fn refusals_have_the_shape_of_their_surface() {
    let world = ResponsesBench::new().await;
    let served = world.serve().await;
    let (status, refused) = world.post(&format!("{}/v1/responses", served.url), &json!({"input": 5})).await;
    assert_eq!(status, 400);
    let keys: Vec<&str> = refused["error"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["message", "type", "param", "code"]);
    let (status, refused) = world.post(&format!("{}/api/v1/responses", served.url), &json!({"input": 5})).await;
    assert_eq!(
        (status, &refused["error"], &refused["details"][0]["location"]),
        (422, &json!("VALIDATION_ERROR"), &json!(["body", "input"]))
    );
    let (status, refused) =
        world.post(&format!("{}/api/v1/responses", served.url), &json!({"input": "fail 500"})).await;
    assert_eq!((status, &refused["error"]), (500, &json!("HTTP_ERROR")));
    let asked = json!({"input": "fail 400"});
    let frames = world.stream(&format!("{}/api/v1/responses?stream=true", served.url), &asked).await;
    let failed = data(frames.last().unwrap());
    assert_eq!((&failed["status"], &failed["error"]["code"]), (&json!("failed"), &json!("internal_error")));
    let (status, nowhere) = world.get(&format!("{}/api/v1/nowhere", served.url)).await;
    assert_eq!((status, &nowhere["error"]), (404, &json!("HTTP_ERROR")));
    served.stop().await;
}

#[tokio::test]
async fn our_own_client_reads_both() {
    let world = ResponsesBench::new().await;
    let served = world.serve().await;
    for (path, dialect) in [("/v1/responses", "openai-responses"), ("/api/v1/responses", "enclava")] {
        let url = format!("{}{path}", served.url);
        let args = [&url, "-m", "jarvis-tui/mock/m", "-p", "use your tools", "--output-format", "json"];
        let text = attach(&home(), &args).await.json();
        assert_eq!((&text["dialect"], &text["text"]), (&json!(dialect), &json!("I see 42.")), "{text}");
        let calls: Vec<(&str, &str)> = text["tool_calls"]
            .as_array()
            .unwrap()
            .iter()
            .map(|call| (call["name"].as_str().unwrap(), call["status"].as_str().unwrap()))
            .collect();
        assert_eq!(calls, [("calculator", "ok"), ("read_file", "failed")], "{text}");
    }
    served.stop().await;
}

#[tokio::test]
async fn the_official_client_finds_nothing_odd() {
    let world = ResponsesBench::new().await;
    let served = world.serve().await;
    oracle::openai("responses.py", &[&format!("{}/v1", served.url)]).await;
    served.stop().await;
}
