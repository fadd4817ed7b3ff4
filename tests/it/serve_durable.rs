//! The durable streams of a real server's sessions.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::attach::home;
use crate::hosted::{HostedServer, client};

const TIME_LIMIT: Duration = Duration::from_mins(1);

async fn post(server: &HostedServer, path: &str, body: &Value) -> reqwest::Response {
    client().post(format!("{}{path}", server.url)).body(body.to_string()).send().await.unwrap()
}

async fn get(stream: &str, query: &str) -> reqwest::Response {
    client().get(format!("{stream}{query}")).send().await.unwrap()
}

fn header<'r>(response: &'r reqwest::Response, name: &str) -> &'r str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

async fn open(server: &HostedServer) -> String {
    let opened: Value = post(server, "/v1/sessions", &json!({})).await.json().await.unwrap();
    format!("{}/v1/sessions/{}", server.url, opened["id"].as_str().unwrap())
}

async fn prompt(session: &str, text: &str) {
    let body = json!({"type": "prompt", "text": text}).to_string();
    assert_eq!(client().post(format!("{session}/commands")).body(body).send().await.unwrap().status(), 202);
}

/// Follows from an offset until a turn is over; returns the events' numbers and where it ended.
async fn follow_turn(stream: &str, offset: &str) -> (Vec<u64>, String) {
    let follow = async {
        let mut response = get(stream, &format!("?offset={offset}&live=sse")).await;
        assert_eq!(header(&response, "content-type"), "text/event-stream");
        let (mut text, mut numbers, mut is_over) = (String::new(), Vec::new(), false);
        loop {
            while let Some((frame, rest)) = text.split_once("\n\n") {
                let data = frame.lines().find_map(|line| line.strip_prefix("data:")).unwrap_or("null");
                let data: Value = serde_json::from_str(data).unwrap();
                for event in data.as_array().into_iter().flatten() {
                    numbers.push(event["seq"].as_u64().unwrap());
                    is_over |= event["event"]["type"] == "turn_finished";
                }
                if is_over && data["streamNextOffset"].is_string() {
                    return (numbers, data["streamNextOffset"].as_str().unwrap().to_owned());
                }
                text = rest.to_owned();
            }
            text.push_str(std::str::from_utf8(&response.chunk().await.unwrap().unwrap()).unwrap());
        }
    };
    tokio::time::timeout(TIME_LIMIT, follow).await.expect("the turn ends")
}

#[tokio::test]
async fn a_session_is_a_durable_stream_that_is_read_from_any_offset_also_after_a_restart() {
    let home = home();
    let server = HostedServer::start(home.path(), None, &[]).await;
    let session = open(&server).await;
    let stream = format!("{session}/stream");
    let first = get(&stream, "").await;
    assert_eq!((first.status().as_u16(), header(&first, "stream-up-to-date")), (200, "true"));
    assert_eq!(header(&first, "stream-closed"), "", "the session goes on");
    let start = header(&first, "stream-next-offset").to_owned();
    assert_eq!(first.json::<Value>().await.unwrap()[0]["event"]["type"], "session_opened");

    prompt(&session, "what is 6*7?").await;
    let (numbers, end) = follow_turn(&stream, &start).await;
    let from = start.parse::<u64>().unwrap() + 1;
    assert_eq!(numbers, (from..from + numbers.len() as u64).collect::<Vec<_>>(), "nothing is missing or doubled");
    assert!(end > start, "{end}");

    let head = client().head(&stream).send().await.unwrap();
    assert_eq!((header(&head, "stream-next-offset"), header(&head, "cache-control")), (&*end, "no-store"));
    let whole = get(&stream, "?offset=-1").await;
    let (tag, body) = (header(&whole, "etag").to_owned(), whole.text().await.unwrap());
    assert!(body.contains("42"), "{body}");
    let known = client().get(format!("{stream}?offset=-1")).header("if-none-match", &tag).send().await.unwrap();
    assert_eq!((known.status().as_u16(), known.text().await.unwrap().as_str()), (304, ""));
    server.kill().await;

    let server = HostedServer::start(home.path(), None, &[]).await;
    let stream = format!("{}{}", server.url, stream.split_once("/v1").map(|(_, path)| format!("/v1{path}")).unwrap());
    let again = get(&stream, &format!("?offset={start}")).await;
    let again: Vec<Value> = again.json().await.unwrap();
    assert_eq!(again.iter().map(|event| event["seq"].as_u64().unwrap()).collect::<Vec<_>>()[..numbers.len()], numbers);
    let now = get(&stream, "?offset=now").await;
    assert_eq!(header(&now, "stream-up-to-date"), "true");
    assert_eq!(now.text().await.unwrap(), "[]");
}

#[tokio::test]
async fn a_long_poll_returns_with_what_comes() {
    let home = home();
    let server = HostedServer::start(home.path(), None, &[]).await;
    let session = open(&server).await;
    let stream = format!("{session}/stream");
    let head = client().head(&stream).send().await.unwrap();
    let start = header(&head, "stream-next-offset").to_owned();
    let query = format!("?offset={start}&live=long-poll&cursor=99999999999");
    let both = async { tokio::join!(get(&stream, &query), prompt(&session, "hello")) };
    let (got, ()) = tokio::time::timeout(TIME_LIMIT, both).await.expect("something comes");
    assert_eq!(got.status(), 200);
    assert!(header(&got, "stream-cursor").parse::<u64>().unwrap() > 99_999_999_999);
    let next = header(&got, "stream-next-offset").to_owned();
    let events: Vec<Value> = got.json().await.unwrap();
    assert_eq!(events[0]["seq"], start.parse::<u64>().unwrap() + 1);
    assert_eq!(events.last().unwrap()["seq"], next.parse::<u64>().unwrap());
}

#[tokio::test]
async fn the_stream_of_a_one_shot_session_closes_with_it() {
    let home = home();
    let server = HostedServer::start(home.path(), None, &[]).await;
    let body = json!({"messages": [{"role": "user", "content": "hello"}], "stream": false});
    let answered = post(&server, "/v1/chat/completions", &body).await;
    let stream = format!("{}/v1/sessions/{}/stream", server.url, header(&answered, "x-jarvis-session"));
    assert_eq!(answered.status(), 200);
    // It ends a moment after its answer; who follows learns that.
    let follow = async {
        let told = get(&stream, "?offset=-1&live=sse").await.text().await.unwrap();
        let last = told.trim_end().rsplit("\n\n").next().unwrap().to_owned();
        assert!(last.contains("\"streamClosed\":true") && !last.contains("streamCursor"), "{last}");
    };
    tokio::time::timeout(TIME_LIMIT, follow).await.expect("the stream ends");
    let whole = get(&stream, "").await;
    assert_eq!((header(&whole, "stream-closed"), header(&whole, "stream-up-to-date")), ("true", "true"));
    let end = header(&whole, "stream-next-offset").to_owned();
    assert!(header(&whole, "etag").ends_with(":c\""));
    let query = format!("?offset={end}&live=long-poll");
    let poll = tokio::time::timeout(Duration::from_secs(15), get(&stream, &query));
    let poll = poll.await.expect("there is nothing to wait for");
    assert_eq!((poll.status().as_u16(), header(&poll, "stream-closed")), (204, "true"));
}

#[tokio::test]
async fn nobody_writes_to_a_stream_and_what_is_not_there_is_refused() {
    let home = home();
    let server = HostedServer::start(home.path(), None, &[]).await;
    let stream = format!("{}/stream", open(&server).await);
    for method in [Method::PUT, Method::POST, Method::DELETE] {
        let refused = client().request(method.clone(), &stream).body("[]").send().await.unwrap();
        assert_eq!((refused.status().as_u16(), header(&refused, "allow")), (405, "GET, HEAD"), "{method}");
        assert_eq!(header(&refused, "x-content-type-options"), "nosniff");
    }
    for (query, status) in [
        ("?offset=", 400),
        ("?offset=1", 400),
        ("?live=sse", 400),
        ("?offset=-1&live=always", 400),
        ("?offset=0000000000009999", 410),
    ] {
        assert_eq!(get(&stream, query).await.status().as_u16(), status, "{query}");
    }
    let nobody = get(&format!("{}/v1/sessions/nobody/stream", server.url), "").await;
    assert_eq!((nobody.status().as_u16(), header(&nobody, "x-content-type-options")), (404, "nosniff"));
}
