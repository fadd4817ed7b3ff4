//! `attach` against servers that behave badly: each checks its requests, and none may hang, flood or crash the program.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json as value};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::task::JoinSet;

use crate::support::{ScriptedServer, ServerAct, chunk, end, stream};

const HI: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n";
const STOP: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

async fn attach(args: &[&str]) -> (Value, String) {
    let home = TempDir::new().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_jarvis-tui"))
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("JARVIS_TUI_HOME", home.path())
        .current_dir(home.path())
        .arg("attach")
        .args(args)
        .args(["--output-format", "json"])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_mins(1), output).await.expect("it ends").unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out} {err}")), err.into_owned())
}

/// Watches the server, which must get requests for a stream and nothing else.
async fn watch(server: &ScriptedServer) -> (Value, Vec<String>) {
    let url = format!("{}/stream", server.url());
    let (object, _) = attach(&[&url]).await;
    let asked = server.asked();
    for request in &asked {
        let request = request.to_lowercase();
        assert!(request.starts_with("get /stream http/1.1\r\n"), "{request}");
        for header in ["accept: text/event-stream", "accept-encoding: identity", "host: 127.0.0.1:"] {
            assert!(request.contains(header), "{header}: {request}");
        }
        assert!(request.ends_with("\r\n\r\n"), "a GET has no body: {request}");
    }
    (object, asked)
}

/// Sends a prompt to the server, which must get exactly one request.
async fn send_prompt(server: &ScriptedServer, more: &[&str]) -> Value {
    let url = format!("{}/v1/chat/completions", server.url());
    let (object, _) = attach(&[&[url.as_str(), "-m", "m", "-p", "hello"], more].concat()).await;
    let asked = server.asked();
    assert_eq!(asked.len(), 1, "a turn is never sent twice");
    let (head, body) = asked[0].split_once("\r\n\r\n").unwrap();
    let head = head.to_lowercase();
    assert!(
        head.starts_with("post /v1/chat/completions ") && head.contains("content-type: application/json"),
        "{head}"
    );
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!((&body["stream"], &body["messages"][0]["content"]), (&value!(true), &value!("hello")));
    object
}

fn error(object: &Value) -> &str {
    object["error"]["message"].as_str().or(object["error"].as_str()).unwrap_or_else(|| panic!("no error: {object}"))
}

#[tokio::test]
async fn a_line_of_64_mb_is_refused_with_its_limit_and_read_no_further() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/stream", listener.local_addr().unwrap());
    let mut server = JoinSet::new();
    server.spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let _ = socket.read(&mut [0; 4096]).await;
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
        let _ = socket.write_all(format!("{head}{HI}data: ").as_bytes()).await;
        let mut sent = 0;
        while sent < 64 && socket.write_all(&vec![b'x'; 1 << 20]).await.is_ok() {
            sent += 1;
        }
        sent
    });
    let (object, _) = attach(&[&url]).await;
    assert!(error(&object).contains("8 MiB") && error(&object).contains("ask for less"), "{object}");
    assert_eq!((&object["text"], &object["outcome"]), (&value!("hi"), &value!("failed")), "{object}");
    // Data buffered by the kernel counts as sent, too.
    let sent = server.join_next().await.unwrap().unwrap();
    assert!(sent < 32, "{sent} MiB were taken");
}

#[tokio::test]
async fn one_byte_at_a_time_is_the_same_answer() {
    let mut script = vec![stream()];
    script.extend(format!("\u{feff}{HI}: still here\r\n{STOP}").bytes().map(|byte| chunk([byte])));
    script.push(end());
    let (object, asked) = watch(&ScriptedServer::start(vec![script]).await).await;
    assert_eq!((&object["text"], &object["outcome"]), (&value!("hi"), &value!("completed")), "{object}");
    assert_eq!(asked.len(), 1);
}

#[tokio::test]
async fn fields_of_wrong_types_hurt_nobody() {
    let mut script = vec![stream(), chunk(HI)];
    for data in [
        r#"{"choices":"x"}"#,
        r#"{"choices":[{"delta":[1,2]}]}"#,
        r#"{"choices":[[]],"usage":"many"}"#,
        r#"{"choices":[{"index":{},"delta":{"content":{"a":1},"tool_calls":{"x":1}},"finish_reason":7}]}"#,
        "7",
        "null",
        "[[[[",
        "",
        "\u{0}\u{1b}[2J",
    ] {
        script.push(chunk(format!("event: \u{1b}]0;x\u{7}\nid: {data}\nretry: x\ndata: {data}\n\ndata: {data}\n\n")));
    }
    script.extend([chunk(STOP), end()]);
    let (object, _) = watch(&ScriptedServer::start(vec![script]).await).await;
    assert_eq!(object["outcome"], "completed", "{object}");
    assert!(object["text"].as_str().unwrap().starts_with("hi"), "{object}");
}

#[tokio::test]
async fn a_busy_stream_is_opened_again_when_it_says() {
    let busy = |wait: &str| {
        vec![ServerAct::Send(
            format!("HTTP/1.1 429 Too Many Requests\r\nretry-after: {wait}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
                .into(),
        )]
    };
    let fine = vec![stream(), chunk(HI), chunk(STOP), end()];
    let (object, asked) = watch(&ScriptedServer::start(vec![busy("0"), fine]).await).await;
    assert_eq!((&object["text"], asked.len()), (&value!("hi"), 2), "{object}");
    // Without a person, a long wait is reported with its length instead.
    let object = send_prompt(&ScriptedServer::start(vec![busy("3600")]).await, &[]).await;
    assert_eq!(object["outcome"], "failed", "{object}");
    assert!(error(&object).contains("429") && error(&object).contains("60 min"), "{object}");
}

#[tokio::test]
async fn a_stall_is_cut_only_by_the_limit_that_was_set() {
    let server = ScriptedServer::start(vec![vec![stream(), chunk(HI), ServerAct::Hang]]).await;
    let object = send_prompt(&server, &["--idle-timeout", "1s"]).await;
    assert_eq!((&object["text"], &object["outcome"]), (&value!("hi"), &value!("failed")), "{object}");
    assert!(error(&object).contains("sent nothing") && error(&object).contains("1 s"), "{object}");
    server.hung_up().await;
}

#[tokio::test]
async fn a_reset_and_a_cut_in_mid_frame_keep_the_text() {
    for cut in ["", "data: {\"choices\":[{\"delta\":{\"content\":\"lo", "data: {\"choices\":[{\"delta\":{}}]}\n"] {
        let server = ScriptedServer::start(vec![vec![stream(), chunk(HI), chunk(cut)]]).await;
        let object = send_prompt(&server, &[]).await;
        assert_eq!((&object["text"], &object["outcome"]), (&value!("hi"), &value!("interrupted")), "{object}");
    }
    // A reset may overtake data that was sent before it.
    let server = ScriptedServer::start(vec![vec![stream(), chunk(HI), ServerAct::Reset]]).await;
    let object = send_prompt(&server, &[]).await;
    assert!([value!("interrupted"), value!("failed")].contains(&object["outcome"]), "{object}");
    assert!([value!("hi"), value!("")].contains(&object["text"]), "{object}");
}

#[tokio::test]
async fn a_stream_that_begins_anew_after_a_reset_is_a_gap_and_not_twice_the_text() {
    let first = vec![stream(), chunk("retry: 10\n\n"), chunk(HI), ServerAct::Reset];
    let second = vec![stream(), chunk(HI), chunk(STOP), end()];
    let (object, asked) = watch(&ScriptedServer::start(vec![first, second]).await).await;
    assert_eq!(asked.len(), 2, "{object}");
    assert_eq!(object["text"], "hi", "{object}");
}

#[tokio::test]
async fn nothing_more_to_say_is_an_end() {
    let gone = ServerAct::Send(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n".to_vec());
    let first = vec![stream(), chunk("retry: 10\n\n"), chunk(HI)];
    let (object, asked) = watch(&ScriptedServer::start(vec![first, vec![gone]]).await).await;
    assert_eq!((asked.len(), &object["text"]), (2, &value!("hi")), "{object}");
}
