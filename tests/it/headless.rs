//! What scripts rely on: exit codes, the explanation of an incomplete answer, output that can't be written, and how
//! names and JSON from outside reach a terminal.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use jarvis_tui::event::{AgentEvent, Envelope, Millis, Seq};
use serde_json::{Value, json as value};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::attach::{CommandOutput, attach, home, sse};
use crate::support::{ScriptedServer, ServerAct, chunk, head, json, stream};
use crate::testkit::events::{LIVE, Opened, turn_started, user_message};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/headless").join(name)
}

pub(crate) fn command(home: &TempDir, args: &[&str], env: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jarvis-tui"));
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("JARVIS_TUI_HOME", home.path())
        .envs(env.iter().copied())
        .current_dir(home.path())
        .args(args)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

pub(crate) async fn run(home: &TempDir, args: &[&str], env: &[(&str, &str)]) -> CommandOutput {
    let output = command(home, args, env).output();
    let output = tokio::time::timeout(std::time::Duration::from_mins(1), output).await.expect("it ends").unwrap();
    CommandOutput {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

pub(crate) const OFFLINE: (&str, &str) = ("JARVIS_TUI_MODEL", "offline");

/// A chat with its own server, which gives these responses in turn.
async fn chat(answers: Vec<Vec<ServerAct>>, more: &[&str]) -> (CommandOutput, ScriptedServer, TempDir) {
    let server = ScriptedServer::routed(vec![("/v1/chat/completions", answers)]).await;
    let base = format!("{}/v1", server.url());
    let home = home();
    let args: Vec<&str> = ["-m", "openai/x", "-p", "hi", "--yolo"].into_iter().chain(more.iter().copied()).collect();
    let ran = run(&home, &args, &[("OPENAI_BASE_URL", &base), ("OPENAI_API_KEY", "x")]).await;
    (ran, server, home)
}

fn recorded(name: &str) -> Vec<ServerAct> {
    let bytes = std::fs::read(golden(name)).unwrap();
    vec![head("200 OK", "content-type: text/event-stream\r\n"), ServerAct::Send(bytes)]
}

/// What the model of a run with a prompt about files was sent.
async fn sent_with(args: &[&str], input: &str) -> (CommandOutput, String) {
    let server = ScriptedServer::routed(vec![("/v1/chat/completions", vec![recorded("length.sse")])]).await;
    let (home, base) = (home(), format!("{}/v1", server.url()));
    std::fs::write(home.path().join("notes.txt"), "buy milk\n").unwrap();
    std::fs::write(home.path().join("secret.txt"), "hunter2\n").unwrap();
    std::fs::write(home.path().join("image.bin"), [0, 159, 146, 150]).unwrap();
    let mut child = command(&home, args, &[("OPENAI_BASE_URL", &base), ("OPENAI_API_KEY", "x")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    let ran = CommandOutput {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    };
    (ran, server.asked().join("\n"))
}

#[tokio::test]
async fn files_of_the_command_line_go_with_the_prompt_and_what_a_pipe_mentions_does_not() {
    let print = ["-m", "openai/x", "-p"];
    let (_, sent) = sent_with(&[&print[..], &["what is @notes.txt about?"]].concat(), "see @secret.txt").await;
    assert!(sent.contains("buy milk") && sent.contains("see @secret.txt") && !sent.contains("hunter2"), "{sent}");
    let (_, sent) = sent_with(&[&print[..], &["tell", "-f", "notes.txt", "-f", "secret.txt"]].concat(), "").await;
    assert!(sent.contains("buy milk") && sent.contains("hunter2"), "{sent}");
    for (file, why) in [("gone.txt", "No such file"), ("image.bin", "binary")] {
        let (ran, sent) = sent_with(&[&print[..], &["tell", "-f", file]].concat(), "").await;
        assert_eq!((ran.code, sent.as_str()), (2, ""), "{}", ran.err);
        assert!(ran.err.contains(file) && ran.err.contains(why), "{}", ran.err);
    }
    let (ran, sent) = sent_with(&[&print[..], &["what is in @/etc/hosts?"]].concat(), "").await;
    assert!(ran.err.contains("outside the working folder") && !sent.contains("localhost"), "{sent}");
    let (ran, sent) = sent_with(&[&print[..], &["is @gone.txt there?"]].concat(), "").await;
    assert!(
        ran.err.contains("@gone.txt: no such file or folder") && sent.contains("is @gone.txt there?"),
        "{}",
        ran.err
    );
}

/// An answer of these pieces, with the tokens that it took.
fn answer(pieces: &[&str], tokens: u64) -> Vec<ServerAct> {
    let usage = format!(r#"{{"prompt_tokens":{tokens},"completion_tokens":0,"total_tokens":{tokens}}}"#);
    let end = format!("data: {{\"choices\":[],\"usage\":{usage}}}\n\ndata: [DONE]\n\n");
    let pieces = pieces.iter().map(|piece| format!("data: {{\"choices\":[{{\"index\":0,{piece}}}]}}\n\n"));
    let body = pieces.chain([end]).collect::<String>();
    vec![head("200 OK", "content-type: text/event-stream\r\n"), ServerAct::Send(body.into_bytes())]
}

#[tokio::test]
async fn past_a_limit_of_the_settings_a_prompt_is_refused_and_a_turn_is_stopped() {
    let words = [r#""delta":{"content":"hello"}"#, r#""delta":{},"finish_reason":"stop""#];
    let call = r#""delta":{"tool_calls":[{"index":0,"id":"c","function":{"name":"list_dir","arguments":"{}"}}]}"#;
    let calls = [call, r#""delta":{},"finish_reason":"tool_calls""#];
    let answers = vec![answer(&words, 600), answer(&calls, 600), answer(&words, 600)];
    let server = ScriptedServer::routed(vec![("/v1/chat/completions", answers)]).await;
    let (home, base) = (home(), format!("{}/v1", server.url()));
    let env = [("OPENAI_BASE_URL", base.as_str()), ("OPENAI_API_KEY", "x")];
    let ask = async |limit: &str, more: &[&str]| {
        let args = [&["-m", "openai/x", "-p", "hi", "--set", limit][..], more].concat();
        let ran = run(&home, &args, &env).await;
        let asked = server.asked().iter().filter(|request| request.starts_with("POST")).count();
        (ran.code, ran.out.trim().to_owned(), ran.err, asked)
    };
    let (code, out, err, asked) = ask("limits.day_tokens=1000", &[]).await;
    assert_eq!((code, out.as_str(), asked), (0, "hello", 1), "{err}");
    let (code, _, err, asked) = ask("limits.day_tokens=1000", &[]).await;
    assert_eq!((code, asked), (6, 2), "stopped before the next request: {err}");
    assert!(err.contains("the limit for the tokens of today is reached"), "{err}");
    for (limit, what) in [("limits.day_tokens=1000", "tokens of today"), ("limits.session_turns=1", "turns of this")] {
        let (code, out, err, asked) = ask(limit, &["-c"]).await;
        assert_eq!((code, out.as_str(), asked), (6, "", 2), "{limit}: {err}");
        assert!(err.contains(what), "{err}");
    }
    let (code, out, err, _) = ask("limits.day_tokens=100000", &["-c"]).await;
    assert_eq!((code, out.as_str()), (0, "hello"), "{err}");
}

#[tokio::test]
async fn a_session_is_begun_and_found_again_by_its_title() {
    let home = home();
    let session = async |title: &str| {
        let args = ["-s", title, "-p", "what is 6*7", "--output-format", "json"];
        run(&home, &args, &[OFFLINE]).await.json()["session"].as_str().unwrap().to_owned()
    };
    let (first, other) = (session("sums").await, session("more sums").await);
    assert_ne!(first, other);
    assert_eq!(session("sums").await, first);
    let listed = run(&home, &["sessions", "list", "--json"], &[]).await.json();
    let titles: Vec<&str> = listed.as_array().unwrap().iter().map(|one| one["title"].as_str().unwrap()).collect();
    assert_eq!(titles, ["sums", "more sums"]);
    let ran = run(&home, &["-s", " ", "-p", "hi"], &[OFFLINE]).await;
    assert_eq!((ran.code, ran.err.contains("--session needs a title")), (2, true), "{}", ran.err);
    let ran = run(&home, &["-c", "--seq", "3", "-p", "hi"], &[OFFLINE]).await;
    assert_eq!((ran.code, ran.err.contains("--seq shows a place")), (2, true), "{}", ran.err);
}

const AS_JSON: [&str; 2] = ["--output-format", "json"];

#[tokio::test]
async fn an_answer_cut_by_the_output_limit_is_told_in_every_format() {
    let path = golden("length.sse");
    for (format, is_object) in [("text", false), ("json", true), ("stream-json", false)] {
        let ran = attach(&home(), &[path.to_str().unwrap(), "--output-format", format]).await;
        assert_eq!(ran.code, 6, "{format}: {}", ran.err);
        assert!(ran.err.contains("! cut off: the model reached its output limit"), "{format}: {}", ran.err);
        assert!(ran.out.contains("Partial answ"), "{format}");
        if is_object {
            let object = ran.json();
            assert_eq!((&object["outcome"], &object["stop"]), (&value!("completed"), &value!("length")));
            assert!(object["notices"].to_string().contains(r#""code":"output_limit""#), "{object}");
        }
    }
}

#[tokio::test]
async fn a_watched_call_that_was_cut_off_says_so_and_an_ordinary_one_is_no_trouble() {
    let cut = golden("truncated_call.1.sse");
    let ran = attach(&home(), &[cut.to_str().unwrap(), "--output-format", "text"]).await;
    assert!(ran.err.contains("! write_file failed: not run: the response reached its output limit"), "{}", ran.err);
    assert_eq!(ran.code, 6);
    let whole = golden("../chat/arguments_repeated.sse");
    let ran = attach(&home(), &[whole.to_str().unwrap(), "--output-format", "text"]).await;
    assert!(ran.err.contains(": requested, not run") && !ran.err.contains('!'), "{}", ran.err);
    assert_eq!(ran.code, 0, "{}", ran.err);
}

#[tokio::test]
async fn words_that_turned_out_to_be_reasoning_are_told_to_be() {
    let late = golden("../chat/think_end_tag_only.sse");
    let ran = attach(&home(), &[late.to_str().unwrap(), "--output-format", "text"]).await;
    assert!(ran.err.contains("· the text so far is withdrawn; the answer follows"), "{}", ran.err);
    assert_eq!(ran.code, 0);
}

#[tokio::test]
async fn a_call_cut_by_the_output_limit_is_not_run_and_told_to_the_model() {
    let answers = vec![recorded("truncated_call.1.sse"), recorded("truncated_call.2.sse")];
    let (ran, server, home) = chat(answers, &AS_JSON).await;
    let object = ran.json();
    assert_eq!(ran.code, 0, "what the model made of it is the answer: {}", ran.err);
    assert_eq!((&object["text"], &object["stop"]), (&value!("All done."), &value!("end")));
    let output = object["tool_calls"][0]["output"].as_str().unwrap();
    assert!(output.contains("output limit") && output.contains("less"), "{output}");
    assert_eq!(object["notices"][0]["message"], "a call was cut off: the model reached its output limit");
    assert!(ran.err.contains("! a call was cut off"), "{}", ran.err);
    assert!(!home.path().join("out.txt").exists(), "nothing was written");
    let asked = server.asked();
    let request = asked.last().unwrap();
    let body: Value = serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap();
    let messages = body["messages"].as_array().unwrap();
    let result = messages.iter().find(|message| message["role"] == "tool").unwrap();
    assert!(result["content"].as_str().unwrap().contains("output limit"), "{result}");
    let call = messages.iter().find_map(|message| message["tool_calls"][0]["function"]["arguments"].as_str()).unwrap();
    assert!(serde_json::from_str::<Value>(call).unwrap().is_object(), "servers parse it: {call}");
}

#[tokio::test]
async fn an_answer_that_broke_off_keeps_what_was_said() {
    const HALF: &str = r#"data: {"choices":[{"index":0,"delta":{"content":"half"}}]}"#;
    let broken = r#"data: {"error":{"message":"the card burnt","code":500}}"#;
    let failed = vec![stream(), chunk(format!("{HALF}\n\n")), chunk(format!("{broken}\n\n"))];
    let (ran, ..) = chat(vec![failed], &AS_JSON).await;
    let object = ran.json();
    assert_eq!((ran.code, &object["outcome"], &object["stop"]), (1, &value!("failed"), &value!("failed")), "{object}");
    assert_eq!(object["text"], "half");
    assert!(ran.err.contains("the card burnt"), "{}", ran.err);
}

#[tokio::test]
async fn a_filter_and_a_refusal_are_no_success() {
    const WELL: &str = r#"data: {"choices":[{"index":0,"delta":{"content":"Well"}}]}"#;
    const NO: &str = r#"data: {"choices":[{"index":0,"delta":{"refusal":"I can't help with that."}}]}"#;
    let end = |reason: &str| format!(r#"data: {{"choices":[{{"index":0,"delta":{{}},"finish_reason":"{reason}"}}]}}"#);
    let (ran, ..) = chat(vec![sse(&[WELL, &end("content_filter"), "data: [DONE]"])], &AS_JSON).await;
    let object = ran.json();
    assert_eq!((ran.code, &object["outcome"], &object["stop"]), (1, &value!("failed"), &value!("refused")));
    assert_eq!((&object["error"]["kind"], &object["text"]), (&value!("refused"), &value!("Well")));
    assert!(ran.err.contains("filter"), "{}", ran.err);
    let (ran, ..) = chat(vec![sse(&[NO, &end("stop"), "data: [DONE]"])], &AS_JSON).await;
    let object = ran.json();
    assert_eq!((ran.code, &object["outcome"], &object["stop"]), (1, &value!("completed"), &value!("refused")));
    assert_eq!(object["notices"][0]["code"], "refused");
    assert!(ran.err.contains("declined"), "{}", ran.err);
}

#[tokio::test]
async fn the_object_says_the_true_dialect_and_every_kind_of_token() {
    let frames = [
        r#"event: message_start
data: {"type":"message_start","message":{"id":"m","type":"message","role":"assistant","model":"x","content":[],"usage":{"input_tokens":5,"cache_read_input_tokens":7,"output_tokens":1}}}"#,
        r#"event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        r#"event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hi"}}"#,
        r#"event: content_block_stop
data: {"type":"content_block_stop","index":0}"#,
        r#"event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}"#,
        r#"event: message_stop
data: {"type":"message_stop"}"#,
    ];
    let server = ScriptedServer::routed(vec![("/v1/messages", vec![sse(&frames)])]).await;
    let env = [("ANTHROPIC_BASE_URL", server.url()), ("ANTHROPIC_API_KEY", "x".to_owned())];
    let env = env.each_ref().map(|(name, value)| (*name, value.as_str()));
    let home = home();
    let ran = run(&home, &["-m", "anthropic/x", "-p", "hi", "--output-format", "json"], &env).await;
    let object = ran.json();
    assert_eq!((&object["dialect"], &object["text"]), (&value!("anthropic"), &value!("hi")), "{}", ran.err);
    assert_eq!(object["usage"]["cached_tokens"], 7, "{object}");
    assert_eq!(object["usage"]["reasoning_tokens"], 0);
}

/// The table of the README, one run per row except 130, which [`an_interrupt_is_told_by_its_own_code`] covers.
#[tokio::test]
async fn each_exit_code_is_given_for_what_the_table_says() {
    let offline = [OFFLINE];
    let nowhere = "http://127.0.0.1:9/v1/chat/completions";
    let refused =
        ScriptedServer::routed(vec![("/v1/chat/completions", vec![vec![json("401 Unauthorized", "{}")]])]).await;
    let refused = format!("{}/v1/chat/completions", refused.url());
    for (code, args) in [
        (0, &["-p", "what is 6*7"][..]),
        (1, &["sessions", "show", "nothing"]),
        (2, &["--nonsense"]),
        (2, &["login"]),
        (2, &["nonsense", "--help"]),
        (3, &["-p", "hi", "-o", "nonsense.key=1"]),
        (3, &["-C", "/nonsense", "-p", "hi"]),
        (4, &["attach", &refused, "-p", "hi"]),
        (5, &["attach", nowhere, "-p", "hi"]),
        (6, &["-p", "what is 6*7", "--max-rounds", "1"]),
        (7, &["-p", "run `echo hi > made`"]),
    ] {
        let ran = run(&home(), args, &offline).await;
        assert_eq!(ran.code, code, "{args:?}: {} {}", ran.out, ran.err);
        assert!(code == 0 || !ran.err.is_empty(), "{args:?} says why");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn an_interrupt_is_told_by_its_own_code() {
    use nix::sys::signal::{Signal, kill};
    let server = ScriptedServer::start(vec![vec![
        stream(),
        chunk("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"half\"}}]}\n\n"),
        ServerAct::Hang,
    ]])
    .await;
    let (home, base) = (home(), format!("{}/v1", server.url()));
    let env = [("OPENAI_BASE_URL", base.as_str()), ("OPENAI_API_KEY", "x")];
    let mut child = command(&home, &["-m", "openai/x", "-p", "hi"], &env)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 4];
    tokio::io::AsyncReadExt::read_exact(child.stdout.as_mut().unwrap(), &mut first).await.unwrap();
    kill(nix::unistd::Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()), Signal::SIGINT).unwrap();
    let output = child.wait_with_output().await.unwrap();
    assert_eq!((&first, output.status.code()), (b"half", Some(130)));
    assert!(String::from_utf8_lossy(&output.stderr).contains("interrupted"));
}

/// The turn is at a server that never ends it.
#[cfg(unix)]
#[tokio::test]
async fn a_second_interrupt_leaves_at_once() {
    use nix::sys::signal::{Signal, kill};
    let opened = Opened { capabilities: LIVE, ..Opened::default() }.event();
    let held = vec![
        stream(),
        chunk(format!("{}event: caught-up\ndata: {{}}\n\n", native_frame(1, opened))),
        ServerAct::Hold,
        chunk(native_frame(2, turn_started("t1"))),
        chunk(native_frame(3, user_message("m1", "hi"))),
        ServerAct::Hang,
    ];
    let taken = vec![json("202 Accepted", "{}")];
    let server =
        ScriptedServer::routed(vec![("/v1/sessions/s/events", vec![held]), ("/v1/sessions/s/commands", vec![taken])])
            .await;
    let url = format!("{}/v1/sessions/s", server.url());
    let home = home();
    let mut child = command(&home, &["attach", &url, "-p", "hi", "--output-format", "stream-json"], &[])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    server.asked_for("\"prompt\"").await;
    server.go();
    let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(child.stdout.take().unwrap()));
    while !lines.next_line().await.unwrap().expect("the prompt is seen").contains("user_message") {}
    let id = nix::unistd::Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap());
    kill(id, Signal::SIGINT).unwrap();
    server.asked_for("\"cancel\"").await;
    kill(id, Signal::SIGINT).unwrap();
    let output = tokio::time::timeout(std::time::Duration::from_secs(20), child.wait_with_output()).await;
    let output = output.expect("the second is enough").unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
}

fn native_frame(seq: u64, event: AgentEvent) -> String {
    let envelope = Envelope { seq: Seq(seq), at: Millis(seq), event };
    format!("id: {seq}\ndata: {}\n\n", serde_json::to_string(&envelope).unwrap())
}

#[tokio::test]
async fn a_session_elsewhere_that_is_watched_is_explained() {
    const STARTED: &str = r#"data: {"seq":1,"at":0,"event":{"type":"turn_started","turn":"t1","parent":null}}"#;
    const OVER: &str = r#"data: {"seq":2,"at":1,"event":{"type":"turn_finished","turn":"t1","end":"completed"}}"#;
    let over = ServerAct::Send(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n".into());
    let server = ScriptedServer::routed(vec![("/v1/sessions/s/events", vec![sse(&[STARTED, OVER]), vec![over]])]).await;
    let url = format!("{}/v1/sessions/s/events", server.url());
    let ran = attach(&home(), &[&url, "--explain"]).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("is another jarvis-tui (from its path)"), "{}", ran.err);
    assert!(!attach(&home(), &[&url]).await.err.contains("another jarvis-tui"));
}

#[tokio::test]
async fn a_key_that_is_not_set_is_named_when_the_server_wants_one() {
    for (engine, base, path) in [
        ("openai/x", "OPENAI_BASE_URL", "/v1/chat/completions"),
        ("openai-responses/x", "OPENAI_BASE_URL", "/v1/responses"),
        ("anthropic/x", "ANTHROPIC_BASE_URL", "/v1/messages"),
    ] {
        let refusal = || vec![json("401 Unauthorized", "{}")];
        let server = ScriptedServer::routed(vec![(path, vec![refusal(), refusal()])]).await;
        let ran = run(&home(), &["-m", engine, "-p", "hi"], &[(base, &server.url())]).await;
        let key = base.replace("BASE_URL", "API_KEY");
        assert_eq!(ran.code, 4, "{}", ran.err);
        assert!(ran.err.contains(&format!("no API key was sent: {key} is not set")), "{engine}: {}", ran.err);
    }
}

/// The running turn of a watched session is another client's.
#[cfg(unix)]
#[tokio::test]
async fn an_interrupted_watch_leaves_at_once_and_cancels_nothing() {
    use nix::sys::signal::{Signal, kill};
    const OPENED: &str = r#"data: {"seq":1,"at":0,"event":{"type":"turn_started","turn":"t1","parent":null}}"#;
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let events = vec![stream(), chunk(format!("{OPENED}\n\n")), ServerAct::Hang];
        let server = ScriptedServer::routed(vec![("/v1/sessions/s/events", vec![events])]).await;
        let url = format!("{}/v1/sessions/s/events", server.url());
        let home = home();
        let mut child = command(&home, &["attach", &url, "--output-format", "stream-json"], &[])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = [0; 8];
        tokio::io::AsyncReadExt::read_exact(child.stdout.as_mut().unwrap(), &mut first).await.unwrap();
        kill(nix::unistd::Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()), signal).unwrap();
        let output = tokio::time::timeout(std::time::Duration::from_secs(10), child.wait_with_output()).await;
        let output = output.expect("one signal is enough").unwrap();
        assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(server.asked().iter().all(|request| request.starts_with("GET ")), "{:?}", server.asked());
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn no_command_succeeds_whose_output_cannot_be_written() {
    let home = home();
    run(&home, &["-p", "what is 6*7"], &[OFFLINE]).await;
    let log = std::fs::read_dir(home.path().join("sessions")).unwrap().next().unwrap().unwrap().path();
    let log = log.to_str().unwrap();
    let id = Path::new(log).file_stem().unwrap().to_str().unwrap();
    for args in [
        &["sessions", "list"][..],
        &["sessions", "list", "--json"],
        &["sessions", "show", id],
        &["sessions", "show", id, "--json"],
        &["doctor"],
        &["completions", "bash"],
        &["man"],
        &["models"],
        &["models", "--json"],
        &["config", "show"],
        &["config", "path"],
        &["config", "check"],
        &["config", "init"],
        &["frame", log],
        &["replay", log, "--headless"],
        &["replay", log, "--headless", "--json"],
        &["--help"],
        &["--version"],
        &["sessions", "--help"],
        &["-p", "hi"],
        &["-p", "hi", "--json"],
        &["-p", "hi", "--output-format", "json"],
        &["serve", "--port", "0"],
        &["sessions", "rm", id],
    ] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let child = command(&home, args, &[OFFLINE]).stdout(full).stderr(Stdio::piped()).spawn().unwrap();
        let output = child.wait_with_output();
        let output = tokio::time::timeout(std::time::Duration::from_mins(1), output).await.expect("it ends").unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {err}");
        assert!(err.contains("can't be written"), "{args:?}: {err}");
    }
}

#[tokio::test]
async fn one_session_that_cannot_be_removed_keeps_none_of_the_others() {
    let home = home();
    run(&home, &["-p", "what is 6*7"], &[OFFLINE]).await;
    let folder = home.path().join("sessions");
    let log = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let id = log.file_stem().unwrap().to_str().unwrap();
    let ran = run(&home, &["sessions", "rm", "nothing", id, "neither"], &[OFFLINE]).await;
    assert_eq!(ran.code, 1);
    assert!(
        ran.err.contains("nothing") && ran.err.contains("neither") && ran.out.contains(id),
        "{} {}",
        ran.out,
        ran.err
    );
    assert!(!log.exists());
}

#[tokio::test]
async fn an_address_is_repeated_without_what_lets_somebody_in() {
    let server = ScriptedServer::routed(vec![(
        "/v1/info",
        vec![vec![json("200 OK", r#"{"model":"m","agent":"orchestrator","engine":"ollama"}"#)]],
    )])
    .await;
    let place = server.url();
    let place = place.strip_prefix("http://").unwrap();
    let (with_path, origin) =
        (format!("http://me:s3cret@{place}/v1/chat/completions?api_key=k3y"), format!("http://me:s3cret@{place}"));
    for args in [
        &[with_path.as_str(), "--json"][..],
        &[&with_path, "--explain", "--json"],
        &[&origin, "--explain", "--output-format", "text"],
        &[&with_path, "--request", "nonsense"],
        &[&with_path, "--read-only", "--explain"],
        &["ftp//me:s3cret@", "--explain"],
        &[&with_path, "-p", "hi", "--explain"],
    ] {
        let ran = attach(&home(), args).await;
        let output = format!("{}{}", ran.out, ran.err);
        assert!(
            !output.contains("k3y") && (!output.contains("s3cret") || args[0].starts_with("ftp")),
            "{args:?}: {output}"
        );
    }
}

#[tokio::test]
async fn explain_explains_without_a_prompt() {
    let home = home();
    let ran = attach(&home, &["http://127.0.0.1:9/v1/messages", "--explain", "--json"]).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(ran.out, "127.0.0.1:9 at http://127.0.0.1:9/v1/messages: requests by anthropic (from its path)\n");
    let server = ScriptedServer::routed(vec![(
        "/v1/info",
        vec![vec![json("200 OK", r#"{"model":"m","agent":"orchestrator","engine":"ollama"}"#)]],
    )])
    .await;
    let ran = attach(&home, &[&server.url(), "--explain", "--json"]).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains("OpenJarvis") && ran.out.contains("requests by "), "{}", ran.out);
    let ran = attach(&home, &["http://127.0.0.1:9", "--explain", "--json"]).await;
    assert_eq!(ran.code, 5, "{} {}", ran.out, ran.err);
}

#[cfg(unix)]
mod terminal {
    use std::io::Read as _;
    use std::os::unix::ffi::OsStrExt as _;
    use std::path::Path;

    use portable_pty::{CommandBuilder, PtySize, native_pty_system};

    use jarvis_tui::app::terminal_check::TERMINAL_QUERIES;

    use super::home;

    /// Returns what a terminal receives, standard error included.
    fn shown(home: &Path, args: &[&std::ffi::OsStr]) -> String {
        let pair = native_pty_system().openpty(PtySize::default()).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_jarvis-tui"));
        command.args(args);
        command.env_clear();
        command.cwd(home);
        command.env("JARVIS_TUI_HOME", home);
        command.env("JARVIS_TUI_MODEL", "offline");
        command.env("NO_COLOR", "1");
        let mut child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let mut bytes = Vec::new();
        // On Linux, the end of a pty is an error.
        let _ = pair.master.try_clone_reader().unwrap().read_to_end(&mut bytes);
        child.wait().unwrap();
        String::from_utf8(bytes).unwrap()
    }

    fn obeyed(text: &str) -> Option<char> {
        text.chars().find(|c| {
            (c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
                || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
        })
    }

    const HOSTILE: &str = "x\u{9b}2J\u{202e}y\u{1b}[31mz";

    #[test]
    fn names_and_json_from_outside_are_harmless_to_a_terminal() {
        let home = home();
        let hostile = home.path().join(HOSTILE);
        let sessions = home.path().join("sessions");
        std::fs::create_dir_all(&hostile).unwrap();
        std::fs::create_dir_all(&sessions).unwrap();
        let event = |seq: u64, event: &str| format!("{{\"seq\":{seq},\"at\":1,\"event\":{event}}}\n");
        let text = serde_json::to_string(HOSTILE).unwrap();
        let header = format!(
            r#"{{"format":1,"session":"s1","started_at":1,"version":"0","folder":{},"engine":{text},"model":{text}}}"#,
            serde_json::to_string(home.path().to_str().unwrap()).unwrap()
        );
        let log = header
            + "\n"
            + &event(1, r#"{"type":"turn_started","turn":"t1"}"#)
            + &event(2, &format!(r#"{{"type":"user_message","message":"m1","text":{text}}}"#))
            + &event(3, r#"{"type":"message_started","message":"m2","role":"assistant"}"#)
            + &event(4, &format!(r#"{{"type":"text_delta","message":"m2","text":{text}}}"#))
            + &event(5, r#"{"type":"message_finished","message":"m2","stop":"end"}"#)
            + &event(6, r#"{"type":"turn_finished","turn":"t1","end":"completed"}"#);
        let good = home.path().join("log.jsonl");
        std::fs::write(&good, &log).unwrap();
        std::fs::write(sessions.join(format!("{HOSTILE}1.jsonl")), &log).unwrap();
        std::fs::write(sessions.join(format!("{HOSTILE}2.jsonl")), &log).unwrap();
        std::fs::write(sessions.join(format!("bad{HOSTILE}.jsonl")), "no log").unwrap();
        let missing = format!("/nowhere/{HOSTILE}");
        let flag = format!("--{HOSTILE}");
        let good = good.to_str().unwrap();
        for args in [
            &["replay", good, "--headless"][..],
            &["replay", good, "--headless", "--json"],
            &["replay", good, "--headless", "--output-format", "json"],
            &["frame", good, "--size", "40x12"],
            &["sessions", "list", "--all"],
            &["sessions", "list", "--all", "--json"],
            &["sessions", "show", "x"],
            &["sessions", "show", HOSTILE],
            &["sessions", "rm", "x"],
            &["-C", hostile.to_str().unwrap(), "doctor"],
            &["-C", hostile.to_str().unwrap(), "config", "path"],
            &["-C", &missing, "doctor"],
            &["--config", &missing, "config", "path"],
            &["--config", &missing, "-p", "hi"],
            &["replay", &missing],
            &["frame", &missing],
            &[&flag],
            &["sessions", HOSTILE],
            &["-m", HOSTILE, "-p", "hi"],
            &["-o", HOSTILE, "-p", "hi"],
            &["attach", HOSTILE, "-p", "hi"],
            &["attach", "http://127.0.0.1:9/v1/messages", "--dialect", HOSTILE, "-p", "hi"],
            &["-p", HOSTILE, "--json"],
            &["-p", HOSTILE, "--output-format", "json"],
            &["models", "--json"],
            &["config", "show"],
        ] {
            let args: Vec<&std::ffi::OsStr> =
                args.iter().map(|arg| std::ffi::OsStr::from_bytes(arg.as_bytes())).collect();
            // What the doctor asks the terminal is our own.
            let output = shown(home.path(), &args).replace(TERMINAL_QUERIES, "");
            assert!(!output.trim().is_empty(), "{args:?} says something");
            assert_eq!(obeyed(&output), None, "{args:?}: {output:?}");
        }
        let output = shown(home.path(), &["replay".as_ref(), good.as_ref(), "--headless".as_ref(), "--json".as_ref()]);
        assert!(output.contains(r"x\u009b2J\u202ey\u001b[31mz"), "JSON keeps what it means: {output:?}");
    }
}

#[tokio::test]
async fn a_server_whose_log_was_removed_says_so_and_ends_with_its_own_code() {
    use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
    let home = home();
    let mut child = command(&home, &["serve", "--port", "0"], &[OFFLINE])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut shown_text = BufReader::new(child.stdout.take().unwrap()).lines();
    let url = shown_text.next_line().await.unwrap().unwrap().replace("listening on ", "");
    let client = jarvis_tui::net::http::client_builder().no_proxy().build().unwrap();
    let opened = client.post(format!("{url}/v1/sessions")).body("{}").send().await.unwrap().text().await.unwrap();
    let id = serde_json::from_str::<Value>(&opened).unwrap()["id"].as_str().unwrap().to_owned();
    let commands = format!("{url}/v1/sessions/{id}/commands");
    let prompt = value!({ "type": "prompt", "text": "what is 6*7" }).to_string();
    client.post(commands).body(prompt).send().await.unwrap();
    let mut events = client.get(format!("{url}/v1/sessions/{id}/events")).send().await.unwrap();
    let mut output = String::new();
    while !output.contains("turn_finished") {
        output.push_str(&String::from_utf8_lossy(&events.chunk().await.unwrap().unwrap()));
    }
    let log = home.path().join("sessions").join(format!("{id}.jsonl"));
    std::fs::remove_file(&log).unwrap();
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    drop(events);
    let mut error = String::new();
    child.stderr.take().unwrap().read_to_string(&mut error).await.unwrap();
    assert_eq!(child.wait().await.unwrap().code(), Some(8), "{error}");
    assert!(error.contains("the log was removed while in use"), "{error}");
    assert!(log.exists());
}
