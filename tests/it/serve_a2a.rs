//! A2A of a real server, with a scripted model.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::attach::home;
use crate::hosted::{HostedServer, client};
use crate::serve_acp::{model, runs, says};
use crate::support::{ScriptedServer, ServerAct, stream};

async fn post(server: &HostedServer, path: &str, body: &Value) -> reqwest::Response {
    client().post(format!("{}{path}", server.url)).body(body.to_string()).send().await.unwrap()
}

/// Asks over JSON-RPC and returns the whole answer.
async fn call(server: &HostedServer, method: &str, params: Value) -> Value {
    let body = json!({"jsonrpc": "2.0", "id": "q", "method": method, "params": params});
    post(server, "/a2a", &body).await.json().await.unwrap()
}

/// Asks over JSON-RPC and returns the results of the stream.
async fn stream_of(server: &HostedServer, method: &str, params: Value) -> Vec<Value> {
    let body = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
    let text = post(server, "/a2a", &body).await.text().await.unwrap();
    let frame = |data: &str| {
        let mut frame: Value = serde_json::from_str(data).unwrap();
        assert_eq!(frame["id"], 7);
        frame["result"].take()
    };
    text.split("\n\n").filter_map(|text| text.strip_prefix("data: ")).map(frame).collect()
}

fn message(text: &str, context: Option<&str>, task: Option<&str>) -> Value {
    let mut message = json!({"messageId": "m", "role": "ROLE_USER", "parts": [{"text": text}]});
    if let Some(context) = context {
        message["contextId"] = context.into();
    }
    if let Some(task) = task {
        message["taskId"] = task.into();
    }
    json!({ "message": message })
}

fn state_of(result: &Value) -> &str {
    let holder = result.get("task").or_else(|| result.get("statusUpdate")).unwrap_or(result);
    holder["status"]["state"].as_str().unwrap_or_default()
}

async fn scripted(scripts: Vec<Vec<ServerAct>>) -> ScriptedServer {
    ScriptedServer::routed(vec![("/v1/chat/completions", scripts)]).await
}

#[tokio::test]
async fn a_task_asks_and_the_next_message_to_it_decides() {
    let home = home();
    let model = model("echo made > made.txt").await;
    let server = HostedServer::start(home.path(), Some(&model.url()), &[]).await;
    let card: Value =
        client().get(format!("{}/.well-known/agent-card.json", server.url)).send().await.unwrap().json().await.unwrap();
    assert_eq!(card["supportedInterfaces"][0]["url"], format!("{}/a2a", server.url));

    let first = stream_of(&server, "SendStreamingMessage", message("make it", None, None)).await;
    assert_eq!(state_of(first.last().unwrap()), "TASK_STATE_INPUT_REQUIRED", "{first:?}");
    let (task, context) = (first[0]["task"]["id"].as_str().unwrap(), first[0]["task"]["contextId"].as_str().unwrap());
    assert!(!home.path().join("made.txt").exists(), "it waits for the answer");

    let unclear = call(&server, "SendMessage", message("what is it?", Some(context), Some(task))).await;
    assert_eq!(unclear["error"]["code"], -32602, "{unclear}");
    let other = call(&server, "SendMessage", message("yes", Some("ctx-other"), Some(task))).await;
    assert_eq!(other["error"]["code"], -32602, "{other}");
    let beside = call(&server, "SendMessage", message("yes", Some(context), None)).await;
    assert_eq!(beside["error"]["code"], -32004, "no second turn runs beside one: {beside}");

    let rest = stream_of(&server, "SendStreamingMessage", message("Yes.", Some(context), Some(task))).await;
    assert_eq!((&rest[0]["task"]["id"], state_of(&rest[0])), (&json!(task), "TASK_STATE_WORKING"));
    assert_eq!(rest[0]["task"]["artifacts"][0]["parts"][0]["text"], "I run it.");
    assert_eq!(state_of(rest.last().unwrap()), "TASK_STATE_COMPLETED", "{rest:?}");
    assert_eq!(std::fs::read_to_string(home.path().join("made.txt")).unwrap(), "made\n");

    let over = call(&server, "SubscribeToTask", json!({"id": task})).await;
    assert_eq!(over["error"]["code"], -32004, "{over}");
    let again = call(&server, "SendMessage", message("yes", None, Some(task))).await;
    assert_eq!(again["error"]["code"], -32004, "{again}");
    assert_eq!(call(&server, "CancelTask", json!({"id": task})).await["error"]["code"], -32002);
}

#[tokio::test]
async fn a_context_is_a_conversation_that_survives_a_restart() {
    let home = home();
    let model = scripted(vec![says("First."), says("Second.")]).await;
    let server = HostedServer::start(home.path(), Some(&model.url()), &[]).await;
    let first = call(&server, "SendMessage", message("one", Some("mine"), None)).await;
    let task = &first["result"]["task"];
    assert_eq!((state_of(task), &task["contextId"]), ("TASK_STATE_COMPLETED", &json!("mine")));
    assert_eq!(task["artifacts"][0]["parts"], json!([{"text": "First."}]));
    server.kill().await;

    let server = HostedServer::start(home.path(), Some(&model.url()), &[]).await;
    // The older version, whose client sends no version.
    let mut sent = message("two", Some("mine"), None);
    sent["message"]["parts"] = json!([{"kind": "text", "text": "two"}]);
    let second = call(&server, "message/send", sent).await;
    assert_eq!((&second["result"]["kind"], state_of(&second["result"])), (&json!("task"), "completed"));
    let asked = model.asked();
    let last = asked.last().unwrap();
    assert!(last.contains("one") && last.contains("First.") && last.contains("two"), "{last}");

    let list = client().get(format!("{}/a2a/tasks?contextId=mine&pageSize=1", server.url)).send().await.unwrap();
    assert_eq!(list.headers()["content-type"], "application/a2a+json");
    let list: Value = list.json().await.unwrap();
    assert_eq!((&list["totalSize"], &list["nextPageToken"]), (&json!(2), &json!("1")));
    assert_eq!(list["tasks"][0]["id"], second["result"]["id"], "the newest comes first");
    assert!(list["tasks"][0].get("artifacts").is_none());
    let got = client().get(format!("{}/a2a/tasks/{}", server.url, task["id"].as_str().unwrap()));
    let got: Value = got.send().await.unwrap().json().await.unwrap();
    assert_eq!(got["artifacts"], task["artifacts"]);
}

#[tokio::test]
async fn a_task_goes_on_without_its_client_until_it_is_cancelled() {
    let home = home();
    let hangs = vec![stream(), crate::serve_acp::delta(&json!({"content": "Wait."}), None), ServerAct::Hang];
    let model = scripted(vec![hangs]).await;
    let server = HostedServer::start(home.path(), Some(&model.url()), &[]).await;
    let mut wanted = message("go", None, None);
    wanted["configuration"] = json!({"returnImmediately": true});
    let begun = post(&server, "/a2a/message:send", &wanted).await.json::<Value>().await.unwrap();
    assert_eq!(state_of(&begun), "TASK_STATE_WORKING", "{begun}");
    let task = begun["task"]["id"].as_str().unwrap().to_owned();

    let url = format!("{}/a2a/tasks/{task}:subscribe", server.url);
    let mut following = client().post(url).send().await.unwrap();
    let mut told = String::new();
    while !told.contains("Wait.") {
        told.push_str(std::str::from_utf8(&following.chunk().await.unwrap().unwrap()).unwrap());
    }
    assert!(told.starts_with("data: {\"task\":"), "{told}");
    let cancelled = post(&server, &format!("/a2a/tasks/{task}:cancel"), &json!({})).await;
    let cancelled: Value = cancelled.json().await.unwrap();
    assert_eq!((&cancelled["id"], state_of(&cancelled)), (&json!(task), "TASK_STATE_CANCELED"), "{cancelled}");
    while let Some(bytes) = following.chunk().await.unwrap() {
        told.push_str(std::str::from_utf8(&bytes).unwrap());
    }
    assert!(told.contains("TASK_STATE_CANCELED"), "{told}");
}

#[tokio::test]
async fn a_message_to_a_context_whose_task_runs_waits_for_its_end() {
    let home = home();
    let hangs = vec![stream(), crate::serve_acp::delta(&json!({"content": "Half"}), None), ServerAct::Hang];
    let model = scripted(vec![hangs, says("Second.")]).await;
    let server = HostedServer::start(home.path(), Some(&model.url()), &[]).await;
    let mut wanted = message("one", Some("mine"), None);
    wanted["configuration"] = json!({"returnImmediately": true});
    let begun = post(&server, "/a2a/message:send", &wanted).await.json::<Value>().await.unwrap();
    let task = begun["task"]["id"].as_str().unwrap();

    let body = message("two", Some("mine"), None).to_string();
    let host = server.url.strip_prefix("http://").unwrap();
    let mut second = TcpStream::connect(host).await.unwrap();
    let head = format!(
        "POST /a2a/message:send HTTP/1.1\r\nhost: {host}\r\na2a-version: 1.0\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    second.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    // What is sent later is answered later: by then the message waits.
    let got: Value =
        client().get(format!("{}/a2a/tasks/{task}", server.url)).send().await.unwrap().json().await.unwrap();
    assert_eq!(state_of(&got), "TASK_STATE_WORKING", "{got}");
    post(&server, &format!("/a2a/tasks/{task}:cancel"), &json!({})).await;
    let mut answer = String::new();
    second.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("x-jarvis-queued: 1\r\n") && answer.contains("Second."), "{answer}");
    assert!(model.asked().last().unwrap().contains("one"), "what was said before goes along");
}

#[tokio::test]
async fn who_asks_for_what_is_not_there_is_told_in_the_words_of_the_protocol() {
    let home = home();
    let model = scripted(vec![runs("true")]).await;
    let server = HostedServer::start(home.path(), Some(&model.url()), &[]).await;
    for (method, params, code) in [
        ("GetTask", json!({"id": "nobody"}), -32001),
        ("GetTask", json!({}), -32602),
        ("CreateTaskPushNotificationConfig", json!({}), -32003),
        ("GetExtendedAgentCard", json!({}), -32007),
        ("Dance", json!({}), -32601),
    ] {
        assert_eq!(call(&server, method, params).await["error"]["code"], code, "{method}");
    }
    // A session that is no task.
    let shared: Value = post(&server, "/v1/sessions", &json!({})).await.json().await.unwrap();
    let refused = client().get(format!("{}/a2a/tasks/{}", server.url, shared["id"].as_str().unwrap()));
    let refused = refused.send().await.unwrap();
    assert_eq!(refused.status(), 404);
    let refused: Value = refused.json().await.unwrap();
    assert_eq!(refused["error"]["details"][0]["reason"], "TASK_NOT_FOUND");
    let newer = client().post(format!("{}/a2a/message:send", server.url)).header("a2a-version", "2.0");
    let newer = newer.body(message("go", None, None).to_string()).send().await.unwrap();
    assert_eq!(newer.status(), 400);
    assert!(newer.text().await.unwrap().contains("VERSION_NOT_SUPPORTED"));
}
