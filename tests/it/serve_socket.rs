//! Responses over a WebSocket of a real server, with a scripted model.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::attach::home;
use crate::hosted::{HostedServer, client, logs};
use crate::serve_acp::says;
use crate::support::ScriptedServer;

const TIME_LIMIT: Duration = Duration::from_mins(1);

struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    async fn open(server: &HostedServer) -> Self {
        let address = server.url.trim_start_matches("http://");
        let stream = TcpStream::connect(address).await.unwrap();
        let (socket, _) =
            tokio_tungstenite::client_async(format!("ws://{address}/v1/responses"), stream).await.unwrap();
        Self(socket)
    }

    async fn send(&mut self, message: &Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    /// Returns the messages up to one of these types.
    async fn until(&mut self, ends: &[&str]) -> Vec<Value> {
        let read = async {
            let mut events: Vec<Value> = Vec::new();
            loop {
                let Message::Text(text) = self.0.next().await.unwrap().unwrap() else { continue };
                events.push(serde_json::from_str(&text).unwrap());
                if ends.iter().any(|end| events.last().unwrap()["type"] == *end) {
                    return events;
                }
            }
        };
        tokio::time::timeout(TIME_LIMIT, read).await.expect("it ends")
    }
}

#[tokio::test]
async fn requests_are_answered_one_after_another_and_an_unstored_one_can_be_continued() {
    let home = home();
    let model = ScriptedServer::routed(vec![("/v1/chat/completions", vec![says("First."), says("Second.")])]).await;
    let server = HostedServer::start(home.path(), Some(&model.url()), &[]).await;
    let mut socket = Socket::open(&server).await;
    let create = |input: &str, previous: &Value| {
        json!({"type": "response.create", "model": "openai/mock", "input": input, "store": false,
            "previous_response_id": previous})
    };
    socket.send(&create("one", &Value::Null)).await;
    let first = socket.until(&["response.completed"]).await;
    assert_eq!(first[0]["type"], "response.created");
    let response = &first.last().unwrap()["response"];
    assert_eq!(response["output"][0]["content"][0]["text"], "First.");

    socket.send(&json!({"type": "response.steer", "response_id": response["id"]})).await;
    let refused = socket.until(&["error"]).await;
    assert_eq!((&refused[0]["status"], &refused[0]["error"]["param"]), (&json!(400), &json!("type")));

    // Both are sent at once; the second waits for the first.
    socket.send(&create("two", &response["id"])).await;
    socket.send(&create("three", &json!("resp_unknown"))).await;
    let second = socket.until(&["response.completed"]).await;
    assert_eq!(second.last().unwrap()["response"]["output"][0]["content"][0]["text"], "Second.");
    let asked = model.asked().pop().unwrap();
    assert!(asked.contains("one") && asked.contains("First.") && asked.contains("two"), "{asked}");
    let unknown = socket.until(&["error"]).await;
    assert_eq!(unknown[0]["error"]["code"], "previous_response_not_found");

    drop(socket);
    let gone = async {
        while !logs(home.path()).is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(TIME_LIMIT, gone).await.expect("what was not to be stored is deleted");
}

#[tokio::test]
async fn the_path_of_the_socket_is_no_page() {
    let home = home();
    let server = HostedServer::start(home.path(), None, &[]).await;
    let got = client().get(format!("{}/v1/responses", server.url)).send().await.unwrap();
    assert_eq!(got.status(), 405);
    let got: Value = got.json().await.unwrap();
    assert_eq!(got["error"]["type"], "invalid_request_error");
}

#[tokio::test]
async fn a_request_that_generates_nothing_brings_its_input_early() {
    let home = home();
    let model = ScriptedServer::routed(vec![("/v1/chat/completions", vec![says("First.")])]).await;
    let server = HostedServer::start(home.path(), Some(&model.url()), &[]).await;
    let mut socket = Socket::open(&server).await;
    let early = json!({"type": "response.create", "model": "openai/mock", "store": false, "generate": false,
        "input": [{"role": "user", "content": "the beginning"}]});
    socket.send(&early).await;
    let warm = socket.until(&["response.completed"]).await;
    assert_eq!((warm.len(), &warm[1]["response"]["output"]), (2, &json!([])));
    assert!(model.asked().is_empty(), "no model is asked");
    let next = json!({"type": "response.create", "model": "openai/mock", "store": false,
        "previous_response_id": warm[1]["response"]["id"], "input": [{"role": "user", "content": "the end"}]});
    socket.send(&next).await;
    let done = socket.until(&["response.completed"]).await;
    assert_eq!(done.last().unwrap()["response"]["output"][0]["content"][0]["text"], "First.");
    let asked = model.asked();
    let asked = asked.last().unwrap();
    let at = |text: &str| asked.find(text).unwrap_or_else(|| panic!("{text} is not in {asked}"));
    assert!(at("the beginning") < at("the end"));
}
