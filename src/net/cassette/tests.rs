use std::fs;
use std::time::Duration;

use bytes::Bytes;
use secrecy::SecretString;
use serde_json::{Value, json as value};
use tempfile::TempDir;

use super::*;
use crate::event::Json;
use crate::net::HttpClient;
use crate::net::request::{Framing, HttpHeaderValue};
use crate::testkit::server::{ScriptedServer, ServerAct, chunk, end, json, stream};

fn post(base: &str, body: &Json) -> HttpRequest {
    HttpRequest {
        method: HttpMethod::Post,
        url: format!("{base}/v1/chat?key=abc"),
        headers: vec![("authorization".into(), HttpHeaderValue::Secret(SecretString::from("Bearer sk-12345678x")))],
        body: Some(body.to_string().into()),
        framing: Framing::Sse,
    }
}

fn get(base: &str) -> HttpRequest {
    HttpRequest { method: HttpMethod::Get, url: format!("{base}/v1/models"), body: None, ..post(base, &Json::Null) }
}

fn open(folder: &TempDir, mode: CassetteMode) -> Cassette {
    let stand_ins = vec![(folder.path().display().to_string(), "{folder}")];
    Cassette::open(&folder.path().join("c.jsonl"), mode, 1000.0, stand_ins).unwrap()
}

fn client(cassette: &Cassette) -> HttpClient {
    HttpClient::default().with_cassette(Some(cassette.clone()))
}

/// The bytes of an answer, and what broke it.
async fn heard(http: &HttpClient, call: &HttpRequest) -> Result<(Bytes, Option<String>), RequestFailure> {
    let mut answer = http.open_stream(call).await?;
    let mut bytes = Vec::new();
    while let Some(next) = answer.body.next().await {
        match next {
            Ok(piece) => bytes.extend_from_slice(&piece),
            Err(failure) => return Ok((bytes.into(), Some(failure.fault.message))),
        }
    }
    Ok((bytes.into(), None))
}

fn lines(folder: &TempDir) -> Vec<Value> {
    let text = fs::read_to_string(folder.path().join("c.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn write(folder: &TempDir, lines: &[Value]) {
    let text: Vec<String> = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(folder.path().join("c.jsonl"), text.concat()).unwrap();
}

fn tape(body: &Json, parts: &[Value]) -> Vec<Value> {
    let request = value!({"n": 1, "request": {"method": "POST", "url": "http://h/v1/chat?key", "body": body}});
    let head = [value!({"kind": "cassette", "format": 1}), request];
    head.into_iter().chain(parts.iter().cloned()).collect()
}

fn sse(pieces: &[&[u8]]) -> Vec<ServerAct> {
    [stream()].into_iter().chain(pieces.iter().map(chunk)).chain([end()]).collect()
}

#[tokio::test]
async fn what_was_recorded_is_played_byte_by_byte_without_a_server() {
    let pieces: [&[u8]; 4] = [b"data: one\n", b"\ndata: \xf0\x9f", b"\x98\x80\n\n", b"\xff\xfe"];
    let server = ScriptedServer::start(vec![sse(&pieces), vec![json("200 OK", r#"{"data":[]}"#)]]).await;
    let folder = tempfile::tempdir().unwrap();
    let (base, body) = (server.url(), value!({"messages": ["hi"]}));
    let recorded = open(&folder, CassetteMode::Auto);
    assert!(!recorded.is_playing());
    let said = heard(&client(&recorded), &post(&base, &body)).await.unwrap();
    let listed = client(&recorded).get_json(&get(&base).url, &[], Duration::from_secs(5)).await.unwrap();
    drop(server);

    let played = open(&folder, CassetteMode::Auto);
    assert!(played.is_playing(), "the file is there");
    assert_eq!(heard(&client(&played), &post(&base, &body)).await.unwrap(), said);
    assert_eq!((said.0.as_ref(), said.1), (pieces.concat().as_slice(), None));
    for _ in 0..2 {
        let again = client(&played).get_json(&get(&base).url, &[], Duration::from_secs(5)).await.unwrap();
        assert_eq!(again, listed, "a list may be asked for as often as need be");
    }
    let failure = heard(&client(&played), &post(&base, &body)).await.unwrap_err();
    assert!(failure.fault.message.contains("recorded once, and that was played"), "{}", failure.fault);
    let parts = lines(&folder);
    let chunks = parts.iter().filter(|line| line.get("chunk").or(line.get("base64")).is_some()).count();
    assert!(chunks >= 2, "{parts:?}");
}

#[tokio::test]
async fn refusals_retries_and_broken_answers_are_played_in_their_order() {
    let busy = json("503 Service Unavailable", r#"{"error":{"message":"too busy"}}"#);
    let broken = vec![stream(), chunk(b"data: half"), ServerAct::Reset];
    let server = ScriptedServer::start(vec![vec![busy], broken]).await;
    let folder = tempfile::tempdir().unwrap();
    let call = post(&server.url(), &value!({"n": 1}));
    let mut told = Vec::new();
    for mode in [CassetteMode::Record, CassetteMode::Play] {
        let http = client(&open(&folder, mode));
        let refused = heard(&http, &call).await.unwrap_err();
        let cut = heard(&http, &call).await.unwrap();
        told.push((refused, cut));
    }
    assert_eq!(told[0], told[1]);
    assert!(told[0].0.is_retryable && told[0].0.fault.message.contains("too busy"), "{:?}", told[0].0);
    assert_eq!(told[0].1.0.as_ref(), b"data: half");
    assert!(told[0].1.1.as_ref().is_some_and(|why| why.contains("was lost")), "{:?}", told[0].1);
}

#[tokio::test]
async fn nobody_there_is_played_for_a_prompt_and_not_kept_of_a_probe() {
    let folder = tempfile::tempdir().unwrap();
    let (base, body) = ("http://127.0.0.1:9", value!({}));
    let recorded = client(&open(&folder, CassetteMode::Record));
    assert!(recorded.get_json(&get(base).url, &[], Duration::from_secs(5)).await.is_err());
    assert!(!folder.path().join("c.jsonl").exists(), "nothing to keep yet");
    let refused = heard(&recorded, &post(base, &body)).await.unwrap_err();
    assert_eq!(lines(&folder).len(), 3);
    let played = client(&open(&folder, CassetteMode::Play));
    assert_eq!(heard(&played, &post(base, &body)).await.unwrap_err(), refused);
}

#[tokio::test]
async fn a_cassette_holds_no_secret_wherever_it_was_cut() {
    let key = format!("{}{}", "ghp", "_q7Zr81KxTn45bVw2YcM09LpDs63HgJf8AaEu");
    let answer = format!("data: {{\"t\":\"you sent sk-12345678x, found {key}.\"}}\n\n");
    for cut in [8, 30, 40, 60] {
        let (one, two) = answer.as_bytes().split_at(cut);
        let cookie = "set-cookie: id=hunter2hunter2\r\nx-ratelimit-left: 7\r\n";
        let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream\r\n{cookie}\r\n");
        let acts = [head.as_bytes(), one, two].map(|bytes| ServerAct::Send(bytes.to_vec()));
        let server = ScriptedServer::start(vec![acts.to_vec()]).await;
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().display();
        let body = value!({"messages": [format!("use {key} in {place}")], "env": {"DB_PASSWORD": "hunter2hunter2"}});
        let call = post(&server.url(), &body);
        let (bytes, _) = heard(&client(&open(&folder, CassetteMode::Record)), &call).await.unwrap();
        assert_eq!(bytes, answer.as_bytes(), "the running turn has it as it is");
        let kept = fs::read_to_string(folder.path().join("c.jsonl")).unwrap();
        for secret in [&key, "sk-12345678x", "hunter2hunter2", "abc", &place.to_string()] {
            assert!(!kept.contains(secret), "{secret} at {cut}: {kept}");
        }
        assert!(kept.contains("[redacted:github-token:") && kept.contains("{folder}") && kept.contains("ratelimit"));
        // The same key is needed by nobody who plays it.
        let keyless = HttpRequest { headers: Vec::new(), ..call };
        let (played, _) = heard(&client(&open(&folder, CassetteMode::Play)), &keyless).await.unwrap();
        assert!(String::from_utf8_lossy(&played).contains("you sent "), "{played:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_takes_as_long_as_it_took() {
    let folder = tempfile::tempdir().unwrap();
    let parts = [
        value!({"n": 1, "at": 20_000, "response": {"status": 200, "headers": {"content-type": "text/event-stream"}}}),
        value!({"n": 1, "at": 30_000, "chunk": "data: a\n\n"}),
        value!({"n": 1, "at": 90_000, "chunk": "data: b\n\n"}),
        value!({"n": 1, "at": 100_000, "end": "eof"}),
    ];
    write(&folder, &tape(&value!({"a": 1}), &parts));
    for (speed, unit) in [(1.0, 1000), (10.0, 100)] {
        let cassette = Cassette::open(&folder.path().join("c.jsonl"), CassetteMode::Play, speed, Vec::new()).unwrap();
        let began = Instant::now();
        let mut answer = client(&cassette).open_stream(&post("http://h", &value!({"a": 1}))).await.unwrap();
        let mut times = vec![began.elapsed().as_millis() / unit];
        while answer.body.next().await.is_some() {
            times.push(began.elapsed().as_millis() / unit);
        }
        times.push(began.elapsed().as_millis() / unit);
        assert_eq!(times, [20, 30, 90, 100]);
    }
}

#[tokio::test]
async fn a_miss_says_which_field_differs_from_the_nearest_request() {
    let folder = tempfile::tempdir().unwrap();
    let body =
        value!({"model": "m", "t": 1, "messages": [{"role": "user", "content": "please list the files in src"}]});
    let mut kept = tape(&body, &[]);
    kept.push(
        value!({"n": 2, "request": {"method": "POST", "url": "http://h/v1/chat?key", "body": {"model": "other"}}}),
    );
    kept.push(value!({"n": 3, "request": {"method": "GET", "url": "http://h/v1/models", "body": null}}));
    write(&folder, &kept);
    let http = client(&open(&folder, CassetteMode::Play));
    let mut told = Vec::new();
    let changes: [fn(&mut Json); 6] = [
        |body| body["messages"][0]["content"] = "please list the files in tests".into(),
        |body| body["model"] = "n".into(),
        |body| drop(body.as_object_mut().unwrap().remove("t")),
        |body| body["messages"].as_array_mut().unwrap().push("more".into()),
        |body| (body["t"], body["seed"]) = (2.into(), 7.into()),
        |body| *body = Json::Null,
    ];
    for change in changes {
        let mut asked = body.clone();
        change(&mut asked);
        let failure = heard(&http, &post("http://h", &asked)).await.unwrap_err();
        assert!(!failure.is_retryable);
        let text = failure.fault.message.replace(&folder.path().display().to_string(), "");
        told.push(text.split("nearest is ").nth(1).unwrap().split("; to record").next().unwrap().to_owned());
    }
    let elsewhere = heard(&http, &post("http://i", &body)).await.unwrap_err().fault.message;
    told.push(elsewhere.split("nearest is ").nth(1).unwrap().split(';').next().unwrap().to_owned());
    assert_eq!(
        told,
        [
            "number 1, where messages[0].content from character 25 is …\"st the files in src\", and here …\"st the files in tests\"",
            "number 1, where model is \"m\", and here \"n\"",
            "number 1, where t is 1, and here absent",
            "number 1, where messages is 1 item, and here 2 items",
            "number 1, where t is 1, and here 2 (and one more value differs)",
            "number 1, where the body is {\"model\":\"m\",\"t\":1,\"messages\":[{\"role\":\"user\",\"content\":\"pl…, and here null",
            "number 1, where the URL is \"http://h/v1/chat?key\", and here \"http://i/v1/chat?key\"",
        ]
    );
}

#[test]
fn marks_of_another_machine_are_the_same_and_what_is_no_cassette_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mark = |code: &str| value!({"a": [format!("x [redacted:github-token:{code}] y [redacted:")]});
    let request = |body| RecordedRequest { method: "GET".into(), url: "u".into(), headers: Vec::new(), body };
    assert!(difference::is_same(&request(mark("12ab34cd")), &request(mark("98765432"))));
    assert!(!difference::is_same(&request(mark("12ab34cd")), &request(value!({"a": ["x"]}))));
    let path = folder.path().join("c.jsonl");
    let refused = |text: &str| {
        fs::write(&path, text).unwrap();
        Cassette::open(&path, CassetteMode::Auto, 1.0, Vec::new()).unwrap_err().to_string()
    };
    assert!(refused("").contains("its first line doesn't say so"));
    assert!(refused("{\"kind\":\"recording\",\"format\":1}\n").contains("something else"));
    assert!(refused("{\"kind\":\"cassette\",\"format\":9}\n").contains("newer"));
    assert!(
        refused("{\"kind\":\"cassette\",\"format\":1}\n{\"n\":1,\"end\":\"eof\"}\n").contains("line 2: it belongs to")
    );
    assert!(refused("{\"kind\":\"cassette\",\"format\":1}\nnonsense\n").contains("line 2: "));
    // A torn last line is what a program leaves that is killed.
    fs::write(&path, "{\"kind\":\"cassette\",\"format\":1}\n{\"n\":1,\"requ").unwrap();
    assert!(Cassette::open(&path, CassetteMode::Auto, 1.0, Vec::new()).unwrap().describe().contains("(0 recorded)"));
    fs::remove_file(&path).unwrap();
    assert!(Cassette::open(&path, CassetteMode::Play, 1.0, Vec::new()).is_err());
}

#[tokio::test]
async fn an_answer_that_was_left_before_its_end_is_no_whole_one_when_it_is_played() {
    let server = ScriptedServer::start(vec![vec![stream(), chunk(b"data: a\n\n"), ServerAct::Hang]]).await;
    let folder = tempfile::tempdir().unwrap();
    let call = post(&server.url(), &value!({}));
    let http = client(&open(&folder, CassetteMode::Record));
    let mut answer = http.open_stream(&call).await.unwrap();
    assert!(answer.body.next().await.unwrap().is_ok());
    drop(answer);
    let (bytes, why) = heard(&client(&open(&folder, CassetteMode::Play)), &call).await.unwrap();
    assert_eq!(bytes.as_ref(), b"data: a\n\n");
    assert!(why.is_some_and(|why| why.contains("not waited for when it was recorded")));
}

#[tokio::test]
async fn a_disk_that_takes_nothing_fails_the_request() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing/c.jsonl");
    let cassette = Cassette::open(&path, CassetteMode::Record, 1.0, Vec::new()).unwrap();
    let failure = heard(&client(&cassette), &post("http://127.0.0.1:9", &value!({}))).await.unwrap_err();
    assert!(failure.fault.message.contains("missing/c.jsonl can't be written"), "{}", failure.fault);
}
