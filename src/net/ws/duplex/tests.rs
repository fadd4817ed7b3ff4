use super::*;
use crate::net::request::{Framing, HttpMethod};
use crate::testkit::server::{ScriptedServer, ServerAct, json, message};

fn request(url: String) -> HttpRequest {
    HttpRequest { method: HttpMethod::Get, url, headers: Vec::new(), body: None, framing: Framing::Any }
}

fn open(server: &ScriptedServer) -> MessageSocket {
    MessageSocket::open(&HttpClient::default(), &request(server.url().replace("http", "ws")))
}

/// What a client has to send for a text: its frame without the mask.
fn unmasked(frame: &[u8]) -> String {
    let (mask, body) = frame[2..].split_at(4);
    body.iter().zip(mask.iter().cycle()).map(|(byte, mask)| char::from(byte ^ mask)).collect()
}

#[tokio::test]
async fn messages_travel_both_ways_and_what_was_queued_is_sent_before_the_end() {
    let server = ScriptedServer::start(vec![vec![
        ServerAct::Consent,
        ServerAct::Read(2 + 4 + 5),
        message("one"),
        message("two"),
        ServerAct::Read(2 + 4 + 3),
        // An end without a reason.
        ServerAct::Read(2 + 4),
    ]])
    .await;
    let mut socket = open(&server);
    socket.send("hello".to_owned());
    assert_eq!(socket.next().await.unwrap().unwrap(), "one");
    assert_eq!(socket.next().await.unwrap().unwrap(), "two");
    let sent = server.asked().pop().unwrap();
    assert_eq!(unmasked(&sent.chars().map(|c| c as u8).collect::<Vec<_>>()), "hello");
    socket.send("bye".to_owned());
    socket.close();
    let _ = socket.next().await;
    assert!(socket.next().await.is_none());
    let told: Vec<Vec<u8>> = server.asked()[2..].iter().map(|sent| sent.chars().map(|c| c as u8).collect()).collect();
    assert_eq!((unmasked(&told[0]).as_str(), told[1][0]), ("bye", 0x88));
}

#[tokio::test]
async fn a_connection_that_breaks_is_a_failure_and_then_nothing() {
    let server =
        ScriptedServer::start(vec![vec![ServerAct::Consent, message("one"), ServerAct::Hold, ServerAct::Reset]]).await;
    let mut socket = open(&server);
    assert_eq!(socket.next().await.unwrap().unwrap(), "one");
    server.go();
    let failure = socket.next().await.unwrap().unwrap_err();
    assert_eq!(failure.fault.kind, FaultKind::Network, "{failure:?}");
    assert!(socket.next().await.is_none());
}

#[tokio::test]
async fn a_refusal_is_told_with_the_servers_words() {
    let server =
        ScriptedServer::start(vec![vec![json("404 Not Found", r#"{"error":{"message":"nobody here"}}"#)]]).await;
    let failure = open(&server).next().await.unwrap().unwrap_err();
    assert!(failure.fault.message.contains("404") && failure.fault.message.contains("nobody here"), "{failure:?}");
}
