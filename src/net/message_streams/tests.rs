use super::*;
use crate::testkit::server::{ScriptedServer, ServerAct, chunk, head, json, path, stream};

const INIT: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{}}"#;
const INIT_ANSWER: &str = r#"{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":1}}"#;

fn request(url: String) -> HttpRequest {
    HttpRequest { method: HttpMethod::Get, url, headers: Vec::new(), body: None, framing: Framing::Any }
}

fn initialized() -> Vec<ServerAct> {
    let answer = format!(
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json\r\nAcp-Connection-Id: conn-1\r\n\
         set-cookie: node=a; Path=/\r\ncontent-length: {}\r\n\r\n{INIT_ANSWER}",
        INIT_ANSWER.len()
    );
    vec![ServerAct::Send(answer.into_bytes())]
}

fn accepted() -> Vec<ServerAct> {
    vec![head("202 Accepted", "content-length: 0\r\n")]
}

fn events(messages: &[&str]) -> Vec<ServerAct> {
    let frames = messages.iter().map(|message| chunk(format!("data: {message}\n\n")));
    [stream()].into_iter().chain(frames).chain([ServerAct::Hang]).collect()
}

fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    request.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// An agent with one stream for the connection and one for the session `s`; each has these messages.
async fn agent(of_connection: &'static [&'static str], of_session: &'static [&'static str]) -> ScriptedServer {
    ScriptedServer::answering(move |request| {
        assert_eq!(path(request), "/acp");
        let method = request.split(' ').next().unwrap();
        match (method, header(request, "acp-connection-id"), header(request, "acp-session-id")) {
            ("POST", None, None) => initialized(),
            ("POST" | "DELETE", Some("conn-1"), _) => accepted(),
            ("GET", Some("conn-1"), None) => events(of_connection),
            ("GET", Some("conn-1"), Some("s")) => events(of_session),
            _ => vec![json("400 Bad Request", r#"{"error":"Missing connection id"}"#)],
        }
    })
    .await
}

fn open(server: &ScriptedServer) -> MessageStreams {
    MessageStreams::open(&HttpClient::default(), &request(format!("{}/acp", server.url())))
}

async fn next(streams: &mut MessageStreams) -> String {
    streams.next().await.unwrap().unwrap()
}

#[tokio::test]
async fn a_conversation_is_posted_and_heard_on_the_streams_of_its_connection_and_session() {
    let opened = r#"{"jsonrpc":"2.0","id":1,"result":{"sessionId":"s"}}"#;
    let asked = r#"{"jsonrpc":"2.0","id":7,"method":"session/request_permission","params":{"sessionId":"s"}}"#;
    let server = agent(
        &[r#"{"jsonrpc":"2.0","id":1,"result":{"sessionId":"s"}}"#],
        &[r#"{"jsonrpc":"2.0","id":7,"method":"session/request_permission","params":{"sessionId":"s"}}"#],
    )
    .await;
    let mut streams = open(&server);
    streams.send(INIT.to_owned());
    assert_eq!(next(&mut streams).await, INIT_ANSWER);
    streams.send(r#"{"jsonrpc":"2.0","id":1,"method":"session/new","params":{"cwd":"/"}}"#.to_owned());
    assert_eq!((next(&mut streams).await, next(&mut streams).await), (opened.to_owned(), asked.to_owned()));
    // The answer itself does not name the session.
    streams.send(r#"{"jsonrpc":"2.0","id":7,"result":{"outcome":{"outcome":"cancelled"}}}"#.to_owned());
    streams.close();
    assert!(streams.next().await.is_none());
    let asked = server.asked();
    let of = |text: &str| asked.iter().find(|request| request.contains(text)).unwrap_or_else(|| panic!("{asked:?}"));
    assert_eq!(header(of("\"outcome\""), "acp-session-id"), Some("s"));
    assert_eq!(header(of("session/new"), "acp-session-id"), None);
    assert_eq!(header(of("session/new"), "cookie"), Some("node=a"));
    assert_eq!(header(of("DELETE /acp"), "acp-connection-id"), Some("conn-1"));
}

#[tokio::test(start_paused = true)]
async fn what_is_told_of_a_loaded_session_comes_before_its_answer() {
    let mut streams = MessageStreams::open(&HttpClient::default(), &request("http://h/acp".to_owned()));
    let session = Some("s".to_owned());
    streams.awaited.insert("1".to_owned(), AwaitedRequest { session: session.clone(), is_load: true });
    // The answer is there first, on the other stream.
    let answer = r#"{"jsonrpc":"2.0","id":1,"result":null}"#;
    streams.handle_message(answer.to_owned(), None);
    for nth in 0..2 {
        let update = format!(r#"{{"jsonrpc":"2.0","method":"session/update","params":{{"nth":{nth}}}}}"#);
        tokio::time::advance(STREAM_QUIET_TIME / 2).await;
        let event = StreamEvent::Messages(vec![update.clone()]);
        streams.handle_item(StreamItem { session: session.clone(), event });
        assert_eq!(next(&mut streams).await, update);
    }
    assert_eq!(next(&mut streams).await, answer);
}

#[tokio::test]
async fn a_refused_request_is_answered_and_the_conversation_goes_on() {
    let server = ScriptedServer::answering(|request| {
        match (request.split(' ').next().unwrap(), request.contains("session/load")) {
            ("POST", true) => vec![json("404 Not Found", r#"{"error":"Unknown session id"}"#)],
            ("POST", false) if request.contains("initialize") => initialized(),
            ("GET", _) if header(request, "acp-session-id").is_some() => {
                vec![json("404 Not Found", r#"{"error":"Unknown session id"}"#)]
            }
            ("GET", _) => events(&[]),
            _ => accepted(),
        }
    })
    .await;
    let mut streams = open(&server);
    streams.send(INIT.to_owned());
    next(&mut streams).await;
    streams.send(r#"{"jsonrpc":"2.0","id":1,"method":"session/load","params":{"sessionId":"s"}}"#.to_owned());
    let answer: Json = serde_json::from_str(&next(&mut streams).await).unwrap();
    assert_eq!(answer["id"], 1);
    assert!(answer["error"]["message"].as_str().unwrap().contains("Unknown session id"), "{answer}");
}

#[tokio::test]
async fn a_stream_that_ends_is_the_end_of_the_conversation() {
    let server = ScriptedServer::answering(|request| match request.split(' ').next().unwrap() {
        "POST" => initialized(),
        _ => vec![stream(), crate::testkit::server::end()],
    })
    .await;
    let mut streams = open(&server);
    streams.send(INIT.to_owned());
    next(&mut streams).await;
    let failure = streams.next().await.unwrap().unwrap_err();
    assert!(failure.fault.message.contains("closed the connection"), "{failure:?}");
    assert!(streams.next().await.is_none());
}

#[tokio::test]
async fn what_answers_otherwise_is_no_agent() {
    for answer in [json("200 OK", "{}"), json("200 OK", INIT_ANSWER), json("405 Method Not Allowed", "{}")] {
        let server = ScriptedServer::start(vec![vec![answer]]).await;
        let mut streams = open(&server);
        streams.send(INIT.to_owned());
        assert!(streams.next().await.unwrap().is_err());
    }
}
