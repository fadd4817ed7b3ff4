//! The vendors' APIs for models from the view of their clients: which models there are, whose tools run, the client's
//! own calls and their results, errors.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use jarvis_tui::serve::{Settings, Tokens};
use serde_json::{Value, json};

use crate::serve_chat::serve;

/// Makes a request of messages, each with its role, and of the client's tool.
type RequestBody = fn(&[(&str, Value)], Option<&str>) -> Value;

/// A vendor's way to ask.
struct Vendor {
    path: &'static str,
    body: RequestBody,
    call: fn() -> Value,
    result: fn(&Value) -> Value,
    /// Where the whole answer has its text, its call and its finish reason.
    text: &'static str,
    called: &'static str,
    reason: (&'static str, &'static str, &'static str),
    /// Where an error has its message.
    error: &'static str,
}

const VENDORS: &[Vendor] = &[
    Vendor {
        path: "/v1/messages",
        body: |messages, tool| {
            let messages: Vec<Value> =
                messages.iter().map(|(role, content)| json!({"role": role, "content": content})).collect();
            let mut body = json!({"model": "m", "max_tokens": 99, "messages": messages});
            if let Some(tool) = tool {
                let theirs = json!({"type": "bash_20250124", "name": "bash"});
                body["tools"] = json!([{"name": tool, "input_schema": {"type": "object"}}, theirs]);
            }
            body
        },
        call: || json!([{"type": "tool_use", "id": "call_1", "name": "forecast", "input": {"city": "Oslo"}}]),
        result: |call| json!([{"type": "tool_result", "tool_use_id": call["id"], "content": "rain"}]),
        text: "/content/0/text",
        called: "/content/0",
        reason: ("/stop_reason", "end_turn", "tool_use"),
        error: "/error/message",
    },
    Vendor {
        path: "/api/chat",
        body: |messages, tool| {
            let message = |(role, content): &(&str, Value)| match (*role, content) {
                ("assistant", Value::Array(calls)) => json!({"role": role, "content": "", "tool_calls": calls}),
                (_, content) if content.is_object() => content.clone(),
                _ => json!({"role": role, "content": content}),
            };
            let messages: Vec<Value> = messages.iter().map(message).collect();
            let mut body = json!({"model": "m", "stream": false, "messages": messages});
            if let Some(tool) = tool {
                body["tools"] = json!([{"type": "function", "function": {"name": tool}}, {"type": "web_search"}]);
            }
            body
        },
        call: || json!([{"function": {"name": "forecast", "arguments": {"city": "Oslo"}}}]),
        result: |_| json!({"role": "tool", "tool_name": "forecast", "content": "rain"}),
        text: "/message/content",
        called: "/message/tool_calls/0/function",
        reason: ("/done_reason", "stop", "stop"),
        error: "/error",
    },
    Vendor {
        path: "/v1beta/models/m:generateContent",
        body: |messages, tool| {
            let content = |(role, content): &(&str, Value)| {
                let role = if *role == "assistant" { "model" } else { role };
                let parts = if content.is_string() { json!([{ "text": content }]) } else { content.clone() };
                json!({"role": role, "parts": parts})
            };
            let mut body = json!({ "contents": messages.iter().map(content).collect::<Vec<_>>() });
            if let Some(tool) = tool {
                body["tools"] = json!([{"functionDeclarations": [{"name": tool}]}, {"googleSearch": {}}]);
            }
            body
        },
        call: || json!([{"functionCall": {"name": "forecast", "args": {"city": "Oslo"}}}]),
        result: |_| json!([{"functionResponse": {"name": "forecast", "response": {"output": "rain"}}}]),
        text: "/candidates/0/content/parts/0/text",
        called: "/candidates/0/content/parts/0/functionCall",
        reason: ("/candidates/0/finishReason", "STOP", "STOP"),
        error: "/error/message",
    },
];

#[tokio::test(start_paused = true)]
async fn a_clients_own_tool_is_called_and_answered() {
    for vendor in VENDORS {
        let served = serve(Settings::default()).await;
        let ask = async |messages: &[(&str, Value)]| {
            let body = (vendor.body)(messages, Some("forecast"));
            let answer = served.post(vendor.path, "", &body.to_string()).await;
            assert_eq!(answer.status, 200, "{}: {}", vendor.path, answer.body());
            answer.json()
        };
        let first = ask(&[("user", json!("weather"))]).await;
        let called = first.pointer(vendor.called).unwrap_or_else(|| panic!("{first}"));
        let args = ["input", "arguments", "args"].into_iter().find_map(|key| called.get(key)).unwrap();
        assert_eq!((&called["name"], args), (&json!("forecast"), &json!({"city": "Oslo"})), "{first}");
        assert_eq!(first.pointer(vendor.reason.0), Some(&json!(vendor.reason.2)));
        let request = served.factory.last_request();
        assert_eq!((request.client_tools.unwrap().len(), request.left_out.len()), (1, 1), "{}", vendor.path);
        assert!(request.ends_with_client);
        let messages = [("user", json!("weather")), ("assistant", (vendor.call)()), ("user", (vendor.result)(called))];
        let second = ask(&messages).await;
        assert_eq!(second.pointer(vendor.text), Some(&json!("It says rain.")), "{second}");
        assert_eq!(second.pointer(vendor.reason.0), Some(&json!(vendor.reason.1)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_bare_model_has_none_of_our_tools_and_errors_are_the_vendors() {
    for vendor in VENDORS {
        let tokens = Tokens { full: Some("secret".into()), read: None };
        let served = serve(Settings { tokens, ..Settings::default() }).await;
        let body = (vendor.body)(&[("user", json!("hello"))], None).to_string();
        let refused = served.post(vendor.path, "", &body).await;
        assert_eq!(refused.status, 401);
        assert_eq!(refused.json().pointer(vendor.error), Some(&json!("a token is required")), "{}", vendor.path);
        for header in ["authorization: Bearer secret", "x-api-key: secret", "x-goog-api-key: secret"] {
            let answer = served.post(vendor.path, &format!("{header}\r\n"), &body).await.json();
            assert_eq!(answer.pointer(vendor.text), Some(&json!("Hello, you.")), "{answer}");
        }
        assert_eq!(served.factory.last_request().client_tools, Some(Vec::new()));
        let failed = (vendor.body)(&[("user", json!("fail rate_limited"))], None).to_string();
        let failed = served.post(vendor.path, "x-api-key: secret\r\n", &failed).await;
        assert_eq!(failed.status, 429);
        assert_eq!(failed.json().pointer(vendor.error), Some(&json!("it broke (for the test)")), "{}", vendor.path);
    }
}

#[tokio::test(start_paused = true)]
async fn streams_are_in_each_vendors_frames() {
    let served = serve(Settings::default()).await;
    let body = |stream: Value| {
        json!({"model": "m", "stream": stream, "messages": [{"role": "user", "content": "hello"}]}).to_string()
    };
    let messages = served.post("/v1/messages?beta=true", "", &body(json!(true))).await.body();
    assert!(messages.starts_with("event: message_start\ndata: {\"type\":\"message_start\""), "{messages}");
    assert!(messages.ends_with("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"), "{messages}");
    let lines = served.post("/api/chat", "", &body(Value::Null)).await;
    assert!(lines.head.contains("content-type: application/x-ndjson"), "{}", lines.head);
    let lines: Vec<Value> = lines.body().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["done"], &lines.last().unwrap()["done"]), (&json!(false), &json!(true)));
    let body = json!({"contents": [{"parts": [{"text": "hello"}]}]}).to_string();
    let events = served.post("/v1beta/models/m:streamGenerateContent?alt=sse", "", &body).await.body();
    assert!(events.starts_with("data: {\"candidates\":[{"), "{events}");
    let list = served.post("/v1beta/models/m:streamGenerateContent", "", &body).await.json();
    assert_eq!(list[0]["candidates"][0]["content"]["parts"][0]["text"], "Hello, you.");
}

#[tokio::test(start_paused = true)]
async fn models_are_listed_as_the_client_knows_them() {
    let served = serve(Settings::default()).await;
    let get = async |path: &str, headers: &str| served.send("GET", path, headers, "").await;
    let names = |list: &Value, key: &str| -> Vec<String> {
        list.as_array().unwrap().iter().map(|row| row[key].as_str().unwrap().to_owned()).collect()
    };
    let expected = ["jarvis-tui", "scripted/m"];
    assert_eq!(names(&get("/v1/models", "").await.json()["data"], "id"), expected);
    let theirs = get("/v1/models", "anthropic-version: 2023-06-01\r\n").await.json();
    assert_eq!(
        (names(&theirs["data"], "id"), &theirs["last_id"]),
        (expected.map(String::from).to_vec(), &json!("scripted/m"))
    );
    assert_eq!(theirs["data"][0]["type"], "model");
    assert_eq!(names(&get("/api/tags", "").await.json()["models"], "model"), expected);
    assert_eq!(names(&get("/api/ps", "").await.json()["models"], "name"), expected);
    let names = names(&get("/v1beta/models", "").await.json()["models"], "name");
    assert_eq!(names, ["models/jarvis-tui", "models/scripted/m"]);
    let stable = get("/v1/models", "x-goog-api-client: x\r\n").await.json();
    assert_eq!(stable["models"][0]["name"], "models/jarvis-tui");
    for path in ["/v1/models/scripted%2Fm", "/v1/models/scripted/m"] {
        assert_eq!(get(path, "").await.json()["id"], "scripted/m", "{path}");
    }
    assert_eq!(get("/v1beta/models/scripted/m", "").await.json()["name"], "models/scripted/m");
    let shown = served.post("/api/show", "", r#"{"model":"jarvis-tui:latest"}"#).await.json();
    assert_eq!(shown["capabilities"], json!(["completion", "tools", "thinking", "vision"]));
    let nobody = get("/v1/models/nobody", "").await;
    assert_eq!((nobody.status, &nobody.json()["error"]["param"]), (404, &json!("model")));
    let nobody = get("/v1/models/nobody", "anthropic-version: 1\r\n").await;
    assert_eq!((nobody.status, &nobody.json()["error"]["type"]), (404, &json!("not_found_error")));
    let nobody = served.post("/api/show", "", r#"{"model":"nobody"}"#).await;
    assert_eq!((nobody.status, nobody.json()), (404, json!({"error": "model 'nobody' not found"})));
    assert_eq!(get("/v1beta/models/nobody", "").await.json()["error"]["status"], "NOT_FOUND");
}

#[tokio::test(start_paused = true)]
async fn what_clients_ask_before_they_begin_is_answered() {
    let served = serve(Settings::default()).await;
    assert_eq!(served.send("HEAD", "/api/hello", "", "").await.status, 200);
    assert_eq!(served.send("GET", "/api/hello", "", "").await.status, 200);
    assert_eq!(served.send("HEAD", "/", "", "").await.status, 200);
    assert!(served.send("GET", "/api/version", "", "").await.json()["version"].is_string());
    let ask = json!({"model": "m", "messages": [{"role": "user", "content": "eight letters, and more of them"}]});
    let counted = served.post("/v1/messages/count_tokens", "", &ask.to_string()).await.json();
    assert_eq!(counted, json!({"input_tokens": 7}));
    let ask = json!({"contents": [{"parts": [{"text": "eight letters, and more of them"}]}]});
    let counted = served.post("/v1beta/models/m:countTokens", "", &ask.to_string()).await.json();
    assert_eq!(counted, json!({"totalTokens": 7}));
    // Clients of the stable version have the same paths behind it.
    let counted = served.post("/v1/models/m:countTokens", "", &ask.to_string()).await.json();
    assert_eq!(counted, json!({"totalTokens": 7}));
    let loaded = served.post("/api/generate", "", r#"{"model":"m"}"#).await.json();
    assert_eq!((&loaded["done"], &loaded["done_reason"]), (&json!(true), &json!("load")));
    // The official client then sends the whole conversation.
    let thread = served.post("/v1/messages", "", r#"{"thread":{"type":"create"}}"#).await;
    let details = json!({"error_code": "thread_unsupported_request", "unsupported": ["thread"]});
    assert_eq!((thread.status, &thread.json()["error"]["details"]), (400, &details));
    let unknown = served.post("/v1beta/models/m:embedContent", "", "{}").await;
    assert_eq!((unknown.status, &unknown.json()["error"]["status"]), (404, &json!("NOT_FOUND")));
    assert_eq!(served.post("/api/pull", "", "{}").await.json(), json!({"error": "unknown path /api/pull"}));
}
