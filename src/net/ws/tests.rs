use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::net::request::Framing;
use crate::net::traffic::{RecordLine, TrafficRing, TrafficTap, WEBSOCKET_CONTENT_TYPE};

/// What the hand-made server does once it has read the request.
enum ServerScript {
    /// Consents and sends these bytes.
    Consent { extra: &'static str, frames: Vec<u8> },
    /// Answers with these bytes as they are.
    Answer(&'static str),
}

/// Returns the address, and what serves one connection there: it gives the request and what came after it.
async fn serve(plan: ServerScript) -> (String, impl Future<Output = (String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let head = head(&mut stream).await;
        match plan {
            ServerScript::Answer(answer) => stream.write_all(answer.as_bytes()).await.unwrap(),
            ServerScript::Consent { extra, frames } => {
                let key = head.lines().find_map(|line| line.strip_prefix("sec-websocket-key: ")).unwrap();
                let proof = derive_accept_key(key.as_bytes());
                let consent = format!(
                    "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                     sec-websocket-accept: {proof}\r\n{extra}\r\n"
                );
                stream.write_all(consent.as_bytes()).await.unwrap();
                stream.write_all(&frames).await.unwrap();
            }
        }
        stream.shutdown().await.unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        (head, rest)
    };
    (format!("ws://{address}/v1/agents/events?agent_id=a"), served)
}

async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

fn message(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80 | opcode];
    match payload.len() {
        short @ 0..126 => bytes.push(short as u8),
        middle @ 126..65_536 => {
            bytes.push(126);
            bytes.extend((middle as u16).to_be_bytes());
        }
        long => {
            bytes.push(127);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(payload);
    bytes
}

fn text(text: &str) -> Vec<u8> {
    message(1, text.as_bytes())
}

fn close(code: u16, reason: &str) -> Vec<u8> {
    message(8, &[&code.to_be_bytes(), reason.as_bytes()].concat())
}

fn request(url: &str, headers: &[(&str, &str)]) -> HttpRequest {
    let secret = |(name, value): &(&str, &str)| ((*name).to_owned(), HttpHeaderValue::Secret((*value).into()));
    let headers = headers.iter().map(secret).collect();
    HttpRequest::get(url, headers, Framing::Ndjson)
}

/// Opens the feed and hears it to its end.
async fn hear(
    plan: ServerScript,
    headers: &[(&str, &str)],
) -> (Result<Vec<Result<String, Fault>>, Fault>, String, Vec<u8>) {
    let (url, served) = serve(plan).await;
    let listen = async {
        match open(&HttpClient::default(), &request(&url, headers)).await {
            Ok(feed) => Ok(feed.collect().await),
            Err(fault) => Err(fault),
        }
    };
    let (heard, (head, rest)) = tokio::join!(listen, served);
    (heard, head, rest)
}

fn consent(frames: &[Vec<u8>]) -> ServerScript {
    ServerScript::Consent { extra: "", frames: frames.concat() }
}

#[tokio::test]
async fn texts_come_in_order_until_the_server_closes() {
    let frames =
        consent(&[text("one"), message(9, b"?"), message(2, b"\xff"), text(&"x".repeat(70_000)), close(1000, "")]);
    let (heard, head, rest) = hear(frames, &[]).await;
    let heard: Vec<String> = heard.unwrap().into_iter().map(Result::unwrap).collect();
    assert_eq!(heard, ["one".to_owned(), "x".repeat(70_000)]);
    assert!(head.starts_with("GET /v1/agents/events?agent_id=a HTTP/1.1\r\n"), "{head}");
    // The answer to the ping: a masked pong with its one byte.
    assert_eq!(rest.get(..2), Some(&[0x8a, 0x81][..]));
}

#[tokio::test]
async fn messages_can_be_looked_at_without_the_key_and_no_recording_has_them() {
    let reel = TrafficRing::default();
    let http = HttpClient::default().with_tap(TrafficTap::to_ring(reel.clone()));
    let sent = [text("{\n\"type\":\"a\",\"data\":\"sk-12345678\"}"), text("two"), close(1011, "gone")];
    let (url, served) = serve(consent(&sent)).await;
    let listen =
        async { open(&http, &request(&url, &[("authorization", "Bearer sk-12345678")])).await.unwrap().count().await };
    let (heard, _) = tokio::join!(listen, served);
    assert_eq!(heard, 3);
    let lines: Vec<RecordLine> = reel.read_from(0, usize::MAX).entries.into_iter().map(|kept| kept.line).collect();
    let [RecordLine::Response { url, status, content_type, .. }, first, second, RecordLine::End { end, .. }] =
        &lines[..]
    else {
        panic!("{lines:?}")
    };
    assert!(url.starts_with("ws://127.0.0.1:") && url.ends_with("/v1/agents/events?agent_id"), "{url}");
    assert_eq!((*status, content_type.as_str()), (101, WEBSOCKET_CONTENT_TYPE));
    assert_eq!(first.bytes().unwrap(), "{ \"type\":\"a\",\"data\":\"•••\"}\n");
    assert_eq!(second.bytes().unwrap(), "two\n");
    assert!(end.contains("gone"), "{end}");
    assert!(reel.recording_lines().is_empty(), "{:?}", reel.recording_lines());
}

#[tokio::test]
async fn a_feed_that_is_left_ends_in_the_frames_too() {
    let reel = TrafficRing::default();
    let http = HttpClient::default().with_tap(TrafficTap::to_ring(reel.clone()));
    let (url, served) = serve(consent(&[text("one")])).await;
    let listen = async { open(&http, &request(&url, &[])).await.unwrap().next().await.unwrap().unwrap() };
    let (heard, _) = tokio::join!(listen, served);
    assert_eq!(heard, "one");
    let last = reel.read_from(0, usize::MAX).entries.pop().map(|kept| kept.line);
    assert!(matches!(last, Some(RecordLine::End { end, .. }) if end == "no longer listened to"));
}

#[tokio::test]
async fn a_message_in_pieces_is_one() {
    let mut first = text("{\"a\":");
    first[0] = 0x01;
    let mut last = message(0, b"1}");
    last[0] = 0x80;
    let (heard, ..) = hear(consent(&[first, last, close(1001, "bye")]), &[]).await;
    assert_eq!(heard.unwrap(), [Ok("{\"a\":1}".to_owned())]);
}

#[tokio::test]
async fn a_connection_that_breaks_is_a_fault_and_the_end() {
    let (heard, ..) = hear(consent(&[text("one")]), &[]).await;
    let heard = heard.unwrap();
    assert_eq!((heard.len(), &heard[0]), (2, &Ok("one".to_owned())));
    assert!(heard[1].is_err(), "{heard:?}");
}

#[tokio::test]
async fn an_event_beyond_all_measure_is_refused_before_it_is_read() {
    let mut frame = vec![0x81, 127];
    frame.extend((MAX_FRAME_BYTES as u64 + 1).to_be_bytes());
    let (heard, ..) = hear(consent(&[frame]), &[]).await;
    let fault = heard.unwrap().pop().unwrap().unwrap_err();
    assert_eq!(fault.kind, FaultKind::Protocol);
    assert!(fault.message.ends_with("sent a message of more than 8 MiB on its event feed"), "{fault}");
}

#[tokio::test]
async fn a_close_says_why() {
    let (heard, ..) = hear(consent(&[close(1008, "Invalid API key")]), &[]).await;
    let fault = heard.unwrap().pop().unwrap().unwrap_err();
    assert_eq!(fault.kind, FaultKind::Auth);
    assert!(fault.message.contains("Invalid API key"), "{fault}");
    let (heard, ..) = hear(consent(&[close(1011, "")]), &[]).await;
    let fault = heard.unwrap().pop().unwrap().unwrap_err();
    assert_eq!((fault.kind, fault.message.contains("code 1011")), (FaultKind::Upstream, true), "{fault}");
}

#[tokio::test]
async fn the_requests_headers_travel_and_the_server_may_choose_an_offered_subprotocol() {
    let (heard, head, _) = hear(consent(&[close(1000, "")]), &[("authorization", "Bearer oj_sk_1\n")]).await;
    assert!(heard.is_ok() && head.contains("authorization: Bearer oj_sk_1\r\n"), "{head}");
    assert!(!head.contains("sec-websocket-protocol"), "{head}");
    let plan = ServerScript::Consent { extra: "sec-websocket-protocol: events.v1\r\n", frames: close(1000, "") };
    let (heard, head, _) = hear(plan, &[("Sec-WebSocket-Protocol", "events.v1, key.c2s")]).await;
    assert!(heard.is_ok() && head.contains("sec-websocket-protocol: events.v1, key.c2s\r\n"), "{heard:?} {head}");
}

#[tokio::test]
async fn a_server_that_is_no_websocket_is_told_apart() {
    let cases = [
        ("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n", FaultKind::Auth, "403"),
        ("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", FaultKind::BadRequest, "404"),
        (
            "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\nhi",
            FaultKind::BadRequest,
            "is not a WebSocket",
        ),
        (
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: no\r\n\r\n",
            FaultKind::Protocol,
            "without a valid handshake",
        ),
    ];
    for (answer, kind, words) in cases {
        let fault = hear(ServerScript::Answer(answer), &[]).await.0.unwrap_err();
        assert_eq!(fault.kind, kind, "{fault}");
        assert!(fault.message.contains(words), "{fault}");
    }
    let plan = ServerScript::Consent { extra: "sec-websocket-protocol: chat\r\n", frames: Vec::new() };
    let fault = hear(plan, &[]).await.0.unwrap_err();
    assert!(fault.message.contains("was not offered"), "{fault}");
}

#[tokio::test]
async fn nobody_there_is_a_fault() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    drop(listener);
    let fault = open(&HttpClient::default(), &request(&url, &[])).await.err().unwrap();
    assert_eq!(fault.kind, FaultKind::Network);
}

#[test]
fn events_become_the_frames_of_a_stream() {
    let message =
        r#"{"type": "tool_call_start", "timestamp": 1.5, "data": {"tool": "calc", "arguments": {"x": "\ud83d"}}}"#;
    let expected = SseFrame {
        event: "tool_call_start".into(),
        ..SseFrame::data(r#"{"tool": "calc", "arguments": {"x": "\ud83d"}}"#)
    };
    assert_eq!(parse_frame(message), Some(expected));
    assert_eq!(parse_frame(r#"{"type": "tick", "data": null}"#).unwrap().data, "{}");
    for odd in ["", "[]", "{}", "null", "{\"type\": 1}", "nonsense"] {
        assert_eq!(parse_frame(odd), None, "{odd}");
    }
}

#[test]
fn secrets_do_not_print() {
    let call = handshake_request(&request("wss://h/x", &[("authorization", "Bearer oj_sk_secret")]), "k");
    assert_eq!(call.url, "https://h/x");
    assert!(!format!("{call:?}").contains("oj_sk_secret"), "{call:?}");
}
