//! `/acp` of a server, over HTTP and over a WebSocket: our own client talks with it, and what is wrong is refused.

use serde_json::{Value, json};

use crate::attach::home;
use crate::hosted::{HostedServer, client};
use crate::programs::piped;
use crate::serve_acp::model;

#[tokio::test]
async fn a_client_talks_with_the_agent_over_http_and_over_a_websocket() {
    for scheme in ["http", "ws"] {
        let model = model("echo over-there").await;
        let (theirs, ours) = (home(), home());
        std::fs::create_dir(theirs.path().join("work")).unwrap();
        let server = HostedServer::start(theirs.path(), Some(&model.url()), &["--approval-mode", "full"]).await;
        let address = server.url.replace("http://", &format!("{scheme}://"));
        // The folder is where the client is; the server takes those that it may use.
        let ran = piped(&theirs, &[&format!("{address}/acp"), "--output-format", "json", "-p", "run it"], b"").await;
        let object = ran.json();
        assert_eq!((ran.code(), object["outcome"].as_str()), (Some(0), Some("completed")), "{scheme} {}", ran.err);
        assert_eq!(object["text"], "I run it.\n\nDone.", "{object}");
        assert_eq!(object["tool_calls"][0]["status"], "ok", "{object}");
        let ran = piped(&ours, &[&format!("{address}/acp"), "--output-format", "json", "-p", "run it"], b"").await;
        assert_eq!((ran.code(), ran.json()["outcome"].as_str()), (Some(1), Some("failed")), "{}", ran.err);
        let why = ran.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(why.contains("outside the folders of this server"), "{why}");
    }
}

/// A client that posts its messages.
struct PostingClient {
    place: String,
    client: reqwest::Client,
    connection: Option<String>,
}

impl PostingClient {
    fn new(server: &HostedServer) -> Self {
        Self { place: format!("{}/acp", server.url), client: client(), connection: None }
    }

    fn request(&self, method: reqwest::Method) -> reqwest::RequestBuilder {
        let request = self.client.request(method, &self.place);
        match &self.connection {
            Some(connection) => request.header("acp-connection-id", connection),
            None => request,
        }
    }

    async fn post(&self, message: &Value) -> reqwest::Response {
        let request = self.request(reqwest::Method::POST).header("content-type", "application/json");
        request.body(message.to_string()).send().await.unwrap()
    }

    async fn connect(&mut self) -> Value {
        let initialize = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"protocolVersion": 1}});
        let response = self.post(&initialize).await;
        assert_eq!(response.status(), 200);
        self.connection = Some(response.headers()["acp-connection-id"].to_str().unwrap().to_owned());
        serde_json::from_str(&response.text().await.unwrap()).unwrap()
    }

    async fn stream(&self, session: Option<&str>) -> MessageReader {
        let mut request = self.request(reqwest::Method::GET).header("accept", "text/event-stream");
        if let Some(session) = session {
            request = request.header("acp-session-id", session);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        MessageReader { response, rest: String::new() }
    }
}

struct MessageReader {
    response: reqwest::Response,
    rest: String,
}

impl MessageReader {
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.rest.find("\n\n") {
                let frame: String = self.rest.drain(..end + 2).collect();
                match frame.trim_end().strip_prefix("data: ") {
                    Some(data) => return Some(serde_json::from_str(data).unwrap()),
                    None => continue,
                }
            }
            let more = self.response.chunk().await.unwrap()?;
            self.rest.push_str(std::str::from_utf8(&more).unwrap());
        }
    }
}

#[tokio::test]
async fn what_a_client_missed_comes_by_the_number_of_its_last_event_on_another_connection() {
    let home = home();
    let server = HostedServer::start(home.path(), None, &[]).await;
    let mut first = PostingClient::new(&server);
    assert_eq!(first.connect().await["result"]["agentCapabilities"]["loadSession"], true);
    let mut answers = first.stream(None).await;
    let cwd = home.path().canonicalize().unwrap();
    let open = json!({"jsonrpc": "2.0", "id": 1, "method": "session/new", "params": {"cwd": cwd, "mcpServers": []}});
    assert_eq!(first.post(&open).await.status(), 202);
    let opened = answers.next().await.unwrap();
    let session = opened["result"]["sessionId"].as_str().unwrap().to_owned();
    let mut updates = first.stream(Some(&session)).await;
    let prompt = json!({"sessionId": session, "prompt": [{"type": "text", "text": "hello"}]});
    first.post(&json!({"jsonrpc": "2.0", "id": 2, "method": "session/prompt", "params": prompt})).await;
    let (mut all, mut last) = (Vec::new(), 0);
    loop {
        let message = updates.next().await.unwrap();
        if message["id"] == 2 {
            break assert_eq!(message["result"]["stopReason"], "end_turn");
        }
        last = message["params"]["update"]["_meta"]["jarvis-tui"]["seq"].as_u64().unwrap_or(last);
        all.push(message["params"]["update"].clone());
    }
    assert_eq!(first.request(reqwest::Method::DELETE).send().await.unwrap().status(), 202);
    assert!(answers.next().await.is_none(), "the connection is over");
    let gone = first.post(&json!({"jsonrpc": "2.0", "id": 3, "method": "session/list", "params": {}})).await;
    assert_eq!(gone.status(), 404);

    let chunks = |updates: &[Value]| -> Vec<Value> {
        let is_text = |update: &&Value| update["sessionUpdate"] == "agent_message_chunk";
        updates.iter().filter(is_text).map(|update| update["content"]["text"].clone()).collect()
    };
    let seq = |update: &Value| update["_meta"]["jarvis-tui"]["seq"].as_u64();
    let middle = all.iter().filter_map(seq).nth(1).unwrap();
    for (after, is_all) in [(0, true), (middle, false), (last, false)] {
        let mut again = PostingClient::new(&server);
        again.connect().await;
        let (mut answers, mut updates) = (again.stream(None).await, again.stream(Some(&session)).await);
        let meta = json!({"jarvis-tui": {"after": after}});
        let load = json!({"sessionId": session, "cwd": cwd, "mcpServers": [], "_meta": meta});
        again.post(&json!({"jsonrpc": "2.0", "id": 9, "method": "session/load", "params": load})).await;
        assert!(answers.next().await.unwrap()["result"].is_object());
        let close = json!({"jsonrpc": "2.0", "id": 10, "method": "session/close", "params": {"sessionId": session}});
        again.post(&close).await;
        let mut told = Vec::new();
        loop {
            let message = updates.next().await.unwrap();
            if message["id"] == 10 {
                break;
            }
            told.push(message["params"]["update"].clone());
        }
        assert!(told.iter().filter_map(seq).all(|seq| seq > after), "after {after}: {told:?}");
        let missed: String = chunks(&told).iter().filter_map(Value::as_str).collect();
        let whole: String = chunks(&all).iter().filter_map(Value::as_str).collect();
        assert!(if is_all { missed == whole } else { whole.ends_with(&missed) && missed != whole }, "{missed:?}");
    }
}

#[tokio::test]
async fn what_is_no_message_of_a_connection_is_refused() {
    let home = home();
    let server = HostedServer::start(home.path(), None, &[]).await;
    let mut client = PostingClient::new(&server);
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "session/list", "params": {}});
    assert_eq!(client.post(&list).await.status(), 400, "there is no connection");
    assert_eq!(client.post(&json!([list])).await.status(), 400, "a batch");
    let plain = client.request(reqwest::Method::POST).body(list.to_string()).send().await.unwrap();
    assert_eq!(plain.status(), 415);
    assert_eq!(client.request(reqwest::Method::GET).send().await.unwrap().status(), 406);
    client.connection = Some("another".into());
    assert_eq!(client.post(&list).await.status(), 404);
    assert_eq!(client.request(reqwest::Method::DELETE).send().await.unwrap().status(), 404);
    client.connection = None;
    client.connect().await;
    let session = json!({"jsonrpc": "2.0", "id": 2, "method": "session/prompt", "params": {"sessionId": "a"}});
    let named = client.request(reqwest::Method::POST).header("content-type", "application/json");
    let mixed = named.header("acp-session-id", "b").body(session.to_string()).send().await.unwrap();
    assert_eq!(mixed.status(), 400);
    let old = client
        .request(reqwest::Method::GET)
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "8");
    assert_eq!(old.send().await.unwrap().status(), 426);
}
