//! `attach` to an agent that speaks the Agent Client Protocol at an address.

use serde_json::{Value, json};

use crate::attach::home;
use crate::programs::{Ran, notices, piped};
use crate::testkit::server::{ScriptedServer, ServerAct, chunk, head, json as answer, message, path, stream};

const INIT: &str =
    r#"{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":1,"agentInfo":{"name":"stub","version":"1"}}}"#;
const OPENED: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"sessionId":"s"}}"#;
const SAID: &str = r#"{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"s","update":{"sessionUpdate":"agent_message_chunk","content":{"type":"text","text":"Hi sk-12345678"}}}}"#;
const DONE: &str = r#"{"jsonrpc":"2.0","id":2,"result":{"stopReason":"end_turn"}}"#;

/// Asks at a place, by this scheme.
async fn ask(server: &ScriptedServer, scheme: &str, place: &str, more: &[&str]) -> Ran {
    let address = format!("{scheme}://{}{place}", server.address);
    let args = [&[address.as_str(), "--output-format", "json", "-p", "go"], more].concat();
    piped(&home(), &args, b"").await
}

/// One that answers over a WebSocket as far as this, whatever it is sent.
async fn socket_agent(messages: &[&str], last: ServerAct) -> ScriptedServer {
    let script = [ServerAct::Consent]
        .into_iter()
        .chain(messages.iter().map(|text| message(text)))
        .chain([last, ServerAct::Hang]);
    ScriptedServer::start(vec![script.collect()]).await
}

fn is_socket(request: &str) -> bool {
    request.to_lowercase().contains("upgrade: websocket")
}

#[tokio::test]
async fn an_agent_is_talked_with_over_a_websocket_and_no_key_comes_back() {
    let server = socket_agent(&[INIT, OPENED, SAID, DONE], ServerAct::Hang).await;
    let ran = ask(&server, "ws", "/acp", &["--header", "authorization: Bearer sk-12345678"]).await;
    let object = ran.json();
    assert_eq!((ran.code(), object["outcome"].as_str()), (Some(0), Some("completed")), "{}", ran.err);
    assert_eq!(object["text"], "Hi •••");
    assert_eq!(notices(&object, "found").len(), 1);
    let asked = server.asked();
    assert!(asked[0].contains("authorization: Bearer sk-12345678") && path(&asked[0]) == "/acp", "{asked:?}");
}

#[tokio::test]
async fn a_websocket_that_breaks_interrupts_the_turn() {
    let server = socket_agent(&[INIT, OPENED, SAID], ServerAct::Send(vec![0x88, 0])).await;
    let ran = ask(&server, "ws", "/acp", &[]).await;
    let object = ran.json();
    assert_eq!((ran.code(), object["outcome"].as_str()), (Some(5), Some("interrupted")), "{}", ran.err);
    assert_eq!(object["text"], "Hi sk-12345678");
    assert_eq!(notices(&object, "cut").len(), 1, "{object}");
}

/// One that answers over HTTP; each stream has what it is to tell.
async fn http_agent() -> ScriptedServer {
    ScriptedServer::answering(|request| {
        let events = |messages: &[&str]| {
            let frames = messages.iter().map(|text| chunk(format!("data: {text}\n\n")));
            [stream()].into_iter().chain(frames).chain([ServerAct::Hang]).collect()
        };
        if path(request) != "/acp" || is_socket(request) {
            return vec![answer("404 Not Found", "{}")];
        }
        let is_in_session = request.contains("acp-session-id: s\r\n");
        match (request.split(' ').next().unwrap(), request.contains("acp-connection-id: c\r\n")) {
            ("POST", false) => {
                let length = INIT.len();
                let head =
                    format!("content-type: application/json\r\nacp-connection-id: c\r\ncontent-length: {length}");
                let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n{head}\r\n\r\n{INIT}");
                vec![ServerAct::Send(head.into_bytes())]
            }
            ("GET", true) if is_in_session => events(&[SAID, DONE]),
            ("GET", true) => events(&[OPENED]),
            ("GET", false) => vec![answer("400 Bad Request", r#"{"error":"Missing connection id"}"#)],
            _ => vec![head("202 Accepted", "content-length: 0\r\n")],
        }
    })
    .await
}

#[tokio::test]
async fn an_agent_is_talked_with_over_http_and_found_at_a_bare_address() {
    for place in ["/acp", ""] {
        let server = http_agent().await;
        let ran = ask(&server, "http", place, &["--approval-mode", "full"]).await;
        let object = ran.json();
        assert_eq!((ran.code(), object["outcome"].as_str()), (Some(0), Some("completed")), "{place} {}", ran.err);
        assert_eq!(object["text"], "Hi sk-12345678");
        assert!(server.asked().iter().any(|request| request.starts_with("DELETE /acp")), "{:?}", server.asked());
    }
}

#[tokio::test]
async fn an_address_that_takes_only_a_websocket_gets_one() {
    let server = ScriptedServer::answering(|request| {
        if is_socket(request) {
            let messages = [INIT, OPENED, SAID, DONE].map(message);
            return [ServerAct::Consent].into_iter().chain(messages).chain([ServerAct::Hang]).collect();
        }
        vec![answer("426 Upgrade Required", "{}")]
    })
    .await;
    for place in ["/acp", ""] {
        let ran = ask(&server, "http", place, &[]).await;
        assert_eq!((ran.code(), ran.json()["outcome"].as_str()), (Some(0), Some("completed")), "{place} {}", ran.err);
    }
}

#[tokio::test]
async fn what_is_no_agent_fails_with_its_first_refusal() {
    let refused = json!({"error": {"message": "only for members"}}).to_string();
    let server = ScriptedServer::start(vec![vec![answer("404 Not Found", &refused)]]).await;
    let ran = ask(&server, "http", "/acp", &[]).await;
    let object: Value = ran.json();
    assert_eq!((ran.code(), object["outcome"].as_str()), (Some(1), Some("failed")), "{}", ran.err);
    assert!(object["error"]["message"].as_str().unwrap().contains("only for members"), "{object}");
}

#[tokio::test]
async fn a_conversation_takes_no_flags_of_streams() {
    for flag in ["--local-tools", "--from-seq=1"] {
        let ran = piped(&home(), &["ws://127.0.0.1:1/acp", "-p", "go", flag], b"").await;
        assert_eq!(ran.code(), Some(2), "{}", ran.err);
        assert!(ran.err.contains(flag.trim_end_matches("=1")), "{}", ran.err);
    }
}
