//! The Agent Host Protocol of a real server, with a scripted model: two clients, one of which is cut off.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::attach::home;
use crate::hosted::{HostedServer, client};
use crate::serve_acp::{model, says};
use crate::support::ScriptedServer;

const TIME_LIMIT: Duration = Duration::from_mins(1);
const SESSION: &str = "ahp-session:/mine";
const CHAT: &str = "ahp-chat:/mine";

struct Client {
    socket: WebSocketStream<TcpStream>,
    sent: u64,
    /// The number of the last action.
    last: u64,
    actions: Vec<Value>,
}

impl Client {
    async fn open(server: &HostedServer) -> Self {
        let address = server.url.trim_start_matches("http://");
        let stream = TcpStream::connect(address).await.unwrap();
        let (socket, _) = tokio_tungstenite::client_async(format!("ws://{address}/ahp"), stream).await.unwrap();
        Self { socket, sent: 0, last: 0, actions: Vec::new() }
    }

    async fn read(&mut self) -> Value {
        loop {
            let read = tokio::time::timeout(TIME_LIMIT, self.socket.next()).await.expect("it goes on");
            let Message::Text(text) = read.unwrap().unwrap() else { continue };
            let message: Value = serde_json::from_str(&text).unwrap();
            if message["method"] == "action" {
                self.note(&message["params"]);
            }
            return message;
        }
    }

    fn note(&mut self, envelope: &Value) {
        let number = envelope["serverSeq"].as_u64().unwrap();
        assert_eq!(number, self.last + 1, "{envelope}");
        self.last = number;
        self.actions.push(envelope.clone());
    }

    async fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.sent += 1;
        let request = json!({"jsonrpc": "2.0", "id": self.sent, "method": method, "params": params});
        self.socket.send(Message::text(request.to_string())).await.unwrap();
        loop {
            let message = self.read().await;
            if message["id"] == self.sent {
                assert!(message.get("error").is_none(), "{message}");
                return message["result"].clone();
            }
        }
    }

    async fn dispatch(&mut self, channel: &str, action: &Value) {
        let params = json!({"channel": channel, "clientSeq": 1, "action": action});
        let message = json!({"jsonrpc": "2.0", "method": "dispatchAction", "params": params});
        self.socket.send(Message::text(message.to_string())).await.unwrap();
    }

    /// Reads up to an action of this type.
    async fn until(&mut self, kind: &str) -> Value {
        loop {
            if let Some(at) = self.actions.iter().position(|envelope| envelope["action"]["type"] == kind) {
                return self.actions.drain(..=at).next_back().unwrap();
            }
            self.read().await;
        }
    }

    async fn initialize(&mut self, id: &str, channels: &[&str]) -> Value {
        let params = json!({"channel": "ahp-root://", "protocolVersions": ["1.0.0"], "clientId": id,
            "initialSubscriptions": channels});
        let result = self.ask("initialize", &params).await;
        self.last = result["serverSeq"].as_u64().unwrap();
        result
    }
}

fn started(turn: &str, text: &str) -> Value {
    json!({"type": "chat/turnStarted", "turnId": turn, "startedAt": "2026-01-01T00:00:00Z",
        "message": {"text": text, "origin": {"kind": "user"}}})
}

#[tokio::test]
async fn what_a_client_missed_while_another_decided_is_replayed() {
    let home = home();
    let model = model("echo made > made.txt").await;
    let server = HostedServer::start(home.path(), Some(&model.url()), &[]).await;
    let mut one = Client::open(&server).await;
    let hello = one.initialize("one", &["ahp-root://"]).await;
    assert_eq!(hello["snapshots"][0]["state"]["agents"][0]["provider"], "jarvis-tui");
    one.ask("createSession", &json!({"channel": SESSION})).await;
    let subscribed = one.ask("subscribe", &json!({"channel": CHAT})).await;
    assert_eq!(subscribed["snapshot"]["state"]["turns"], json!([]));
    one.dispatch(CHAT, &started("first", "make it")).await;
    let echoed = one.until("chat/turnStarted").await;
    assert_eq!(
        (&echoed["action"]["turnId"], &echoed["origin"]),
        (&json!("first"), &json!({"clientId": "one", "clientSeq": 1}))
    );
    one.until("chat/toolCallStart").await;
    let (seen, mut have) = (one.last, Vec::new());
    drop(one);

    let mut two = Client::open(&server).await;
    let hello = two.initialize("two", &[SESSION, CHAT]).await;
    let asked = &hello["snapshots"][0]["state"]["inputNeeded"];
    let call = if asked.is_null() {
        two.until("session/inputNeededSet").await["action"]["request"]["id"].clone()
    } else {
        asked[0]["id"].clone()
    };
    let approve = json!({"type": "chat/toolCallConfirmed", "turnId": "first", "toolCallId": call, "approved": true,
        "confirmed": "user-action", "selectedOptionId": "once"});
    two.dispatch(CHAT, &approve).await;
    let confirmed = two.until("chat/toolCallConfirmed").await;
    assert_eq!((&confirmed["origin"]["clientId"], &confirmed["action"]["approved"]), (&json!("two"), &json!(true)));
    two.dispatch(CHAT, &approve).await;
    two.until("chat/turnComplete").await;
    assert_eq!(std::fs::read_to_string(home.path().join("made.txt")).unwrap(), "made\n");

    let mut one = Client::open(&server).await;
    let params =
        json!({"channel": "ahp-root://", "clientId": "one", "lastSeenServerSeq": seen, "subscriptions": [CHAT]});
    let replay = one.ask("reconnect", &params).await;
    assert_eq!((&replay["type"], &replay["missing"]), (&json!("replay"), &json!([])));
    one.last = seen;
    for envelope in replay["actions"].as_array().unwrap() {
        one.note(envelope);
        have.push(envelope["action"]["type"].as_str().unwrap().to_owned());
    }
    assert_eq!(have.last().unwrap(), "chat/turnComplete", "{have:?}");
    for once in ["chat/toolCallConfirmed", "chat/toolCallComplete"] {
        assert_eq!(have.iter().filter(|kind| *kind == once).count(), 1, "{have:?}");
    }
    assert!(!have.contains(&"chat/turnStarted".to_owned()), "it had that");
}

#[tokio::test]
async fn a_session_keeps_its_name_over_a_restart_and_who_comes_back_gets_its_state() {
    let home = home();
    let model = ScriptedServer::routed(vec![("/v1/chat/completions", vec![says("First."), says("Second.")])]).await;
    let server = HostedServer::start(home.path(), Some(&model.url()), &[]).await;
    let mut one = Client::open(&server).await;
    one.initialize("one", &[]).await;
    one.ask("createSession", &json!({"channel": SESSION})).await;
    one.ask("subscribe", &json!({"channel": CHAT})).await;
    one.dispatch(CHAT, &started("first", "go")).await;
    one.until("chat/turnComplete").await;
    let seen = one.last;
    server.kill().await;

    let server = HostedServer::start(home.path(), Some(&model.url()), &[]).await;
    let mut one = Client::open(&server).await;
    let params =
        json!({"channel": "ahp-root://", "clientId": "one", "lastSeenServerSeq": seen, "subscriptions": [CHAT]});
    let back = one.ask("reconnect", &params).await;
    assert_eq!(back["type"], "snapshot");
    let snapshot = &back["snapshots"][0];
    assert_eq!(snapshot["state"]["turns"][0]["responseParts"][0]["content"], "First.");
    one.last = snapshot["fromSeq"].as_u64().unwrap();
    assert!(one.last >= seen);
    one.dispatch(CHAT, &started("second", "on")).await;
    one.until("chat/turnComplete").await;
    assert!(model.asked().last().unwrap().contains("First."), "the conversation goes on");
    let listed = one.ask("listSessions", &json!({"channel": "ahp-root://"})).await;
    assert_eq!((&listed["items"][0]["resource"], listed["items"].as_array().unwrap().len()), (&json!(SESSION), 1));
}

#[tokio::test]
async fn only_a_websocket_is_answered() {
    let home = home();
    let server = HostedServer::start(home.path(), None, &["-m", "offline"]).await;
    let answer = client().get(format!("{}/ahp", server.url)).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 426);
}
