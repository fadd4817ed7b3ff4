//! `attach` to what agent programs print: from standard input, from a program that is started, from a file.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::attach::home;

const TIME_LIMIT: std::time::Duration = std::time::Duration::from_mins(1);

/// A line by which a run ends well, and one of a run that was interrupted.
const DONE: &str = r#"{"type":"result","subtype":"success","is_error":false,"result":"Hi","session_id":"s"}"#;
const ABORTED: &str = r#"{"type":"result","subtype":"error_during_execution","is_error":true,"terminal_reason":"aborted_streaming","session_id":"s"}"#;
const HI: &str = r#"{"type":"assistant","message":{"id":"m","role":"assistant","content":[{"type":"text","text":"Hi"}]},"parent_tool_use_id":null,"session_id":"s"}"#;

pub(crate) struct Ran {
    status: ExitStatus,
    out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {} {}", self.out, self.err))
    }

    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }
}

fn golden(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(path)
}

fn command(home: &TempDir, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jarvis-tui"));
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("JARVIS_TUI_HOME", home.path())
        .current_dir(home.path())
        .arg("attach")
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

async fn ran(mut child: Child, input: &[u8]) -> Ran {
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input).await.unwrap();
    }
    let output = tokio::time::timeout(TIME_LIMIT, child.wait_with_output()).await.expect("it ends").unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { status: output.status, out: text(output.stdout), err: text(output.stderr) }
}

pub(crate) async fn piped(home: &TempDir, args: &[&str], input: &[u8]) -> Ran {
    ran(command(home, args).stdin(Stdio::piped()).spawn().unwrap(), input).await
}

async fn run(home: &TempDir, args: &[&str], script: &str) -> Ran {
    let args = [args, &["--", "sh", "-c", script]].concat();
    ran(command(home, &args).stdin(Stdio::null()).spawn().unwrap(), b"").await
}

pub(crate) fn notices<'a>(object: &'a Value, code: &str) -> Vec<&'a str> {
    let all = object["notices"].as_array().unwrap().iter().filter(|notice| notice["code"] == code);
    all.map(|notice| notice["message"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn what_a_program_printed_is_read_alike_from_a_pipe_a_file_and_the_program() {
    let home = home();
    let file = golden("claude-code/claude_tool_partial.ndjson");
    let path = file.to_str().unwrap();
    let json = ["--output-format", "json"];
    let from_pipe = piped(&home, &["-", json[0], json[1]], &std::fs::read(&file).unwrap()).await;
    let from_file = piped(&home, &[path, json[0], json[1]], b"").await;
    let from_program = run(&home, &json, &format!("cat '{path}'")).await;
    for ran in [&from_pipe, &from_file, &from_program] {
        assert_eq!(ran.code(), Some(0), "{}", ran.err);
        let object = ran.json();
        assert_eq!(object["dialect"], "claude-code");
        assert_eq!(object["model"], "claude-sonnet-4-5");
        assert_eq!(object["text"], "I'll read the notes first.\n\nThe notes list two items: milk and **bread**.");
        assert_eq!(object["tool_calls"][0]["name"], "Read");
        assert_eq!(object["usage"]["input_tokens"], 380);
        assert!((object["cost_usd"].as_f64().unwrap() - 0.001_679_4).abs() < 1e-9, "{object}");
    }
}

#[tokio::test]
async fn a_session_that_was_followed_is_logged_and_replayed() {
    let home = home();
    let live = piped(&home, &["-", "--json"], format!("{HI}\n{DONE}\n").as_bytes()).await;
    let logs: Vec<_> =
        std::fs::read_dir(home.path().join("sessions")).unwrap().map(|log| log.unwrap().path()).collect();
    let log = logs.iter().find(|path| path.extension().is_some_and(|ext| ext == "jsonl")).expect("a log");
    let mut replay = Command::new(env!("CARGO_BIN_EXE_jarvis-tui"));
    replay.env("JARVIS_TUI_HOME", home.path()).args(["replay", "--headless", "--json"]).arg(log);
    let output = replay.stdin(Stdio::null()).output().await.unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), live.out);
}

#[tokio::test]
async fn what_came_by_a_pipe_is_recorded_with_its_times() {
    let home = home();
    let input = format!("{HI}\n{DONE}\n");
    let live = piped(&home, &["-", "--record", "take.jsonl", "--output-format", "json"], input.as_bytes()).await;
    let again = piped(&home, &["take.jsonl", "--output-format", "json"], b"").await;
    for ran in [live, again] {
        assert_eq!((ran.code(), ran.json()["text"].as_str()), (Some(0), Some("Hi")), "{}", ran.err);
    }
}

#[tokio::test]
async fn a_stream_without_its_last_line_is_interrupted_whatever_the_exit_code() {
    for script in [format!("echo '{HI}'"), format!("echo '{HI}'; exit 3")] {
        let ran = run(&home(), &["--output-format", "json"], &script).await;
        let object = ran.json();
        assert_eq!(
            (ran.code(), object["outcome"].as_str(), object["text"].as_str()),
            (Some(5), Some("interrupted"), Some("Hi"))
        );
    }
    let ran = piped(&home(), &["-", "--output-format", "json"], format!("{HI}\n").as_bytes()).await;
    assert_eq!((ran.code(), ran.json()["outcome"].as_str()), (Some(5), Some("interrupted")));
}

#[tokio::test]
async fn a_program_tells_its_warnings_and_its_exit_code() {
    let script = format!("echo 'careful now' >&2; echo 'not JSON'; echo '{HI}'; echo '{DONE}'");
    let ran = run(&home(), &["--output-format", "json"], &script).await;
    let object = ran.json();
    assert_eq!((ran.code(), object["outcome"].as_str()), (Some(0), Some("completed")), "{}", ran.err);
    assert_eq!(notices(&object, "stderr"), ["careful now"]);
    assert_eq!(notices(&object, "noise"), ["not JSON"]);
    assert_eq!(notices(&object, "exited"), ["sh exited with code 0"]);
}

#[tokio::test]
async fn a_program_that_fails_after_a_good_end_has_failed() {
    let ran = run(&home(), &["--output-format", "json"], &format!("echo '{HI}'; echo '{DONE}'; exit 3")).await;
    let object = ran.json();
    assert_eq!((ran.code(), object["outcome"].as_str()), (Some(1), Some("failed")));
    assert!(object["error"]["message"].as_str().unwrap().contains("code 3"), "{object}");
    let silent = run(&home(), &["--output-format", "json"], "echo 'no key' >&2; exit 7").await;
    assert_eq!((silent.code(), silent.json()["outcome"].as_str()), (Some(1), Some("failed")), "{}", silent.out);
    assert!(silent.json()["error"]["message"].as_str().unwrap().contains("no key"), "{}", silent.out);
}

#[tokio::test]
async fn what_can_not_be_watched_is_a_mistake_on_the_command_line() {
    let home = home();
    let nowhere = command(&home, &["--", "no-such-program-here"]).stdin(Stdio::null()).spawn().unwrap();
    let nowhere = ran(nowhere, b"").await;
    assert_eq!(nowhere.code(), Some(2));
    assert!(nowhere.err.contains("can't start no-such-program-here"), "{}", nowhere.err);
    for args in [&["-", "-p", "hello"][..], &["-", "--request", "chat"]] {
        let asked = piped(&home, args, b"").await;
        assert_eq!(asked.code(), Some(2), "{args:?}: {}", asked.err);
        assert!(asked.err.contains("only watched"), "{}", asked.err);
    }
}

#[tokio::test]
async fn a_program_gets_the_environment_of_the_person_without_the_tokens_of_our_server() {
    let script = format!(
        r#"test "$ANTHROPIC_API_KEY" = sk-the-persons && test -z "$JARVIS_TUI_SERVER_TOKEN" && echo '{HI}' && echo '{DONE}' && echo "$ANTHROPIC_API_KEY" >&2"#
    );
    let home = home();
    let child = command(&home, &["--output-format", "json", "--", "sh", "-c", &script])
        .env("ANTHROPIC_API_KEY", "sk-the-persons")
        .env("JARVIS_TUI_SERVER_TOKEN", "sk-of-our-server")
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let ran = ran(child, b"").await;
    assert_eq!(ran.json()["outcome"], "completed", "{} {}", ran.out, ran.err);
    assert!(!ran.out.contains("sk-the-persons") && !ran.err.contains("sk-the-persons"), "{} {}", ran.out, ran.err);
}

#[tokio::test]
async fn a_program_reads_the_pipe_on_our_standard_input() {
    let home = home();
    let script = format!("read line; test \"$line\" = 'a prompt' && echo '{HI}' && echo '{DONE}'");
    let ran = piped(&home, &["--output-format", "json", "--", "sh", "-c", &script], b"a prompt\n").await;
    assert_eq!(ran.json()["outcome"], "completed", "{}", ran.err);
}

async fn line_with(lines: &mut Lines<BufReader<ChildStdout>>, word: &str) -> String {
    loop {
        let next = tokio::time::timeout(TIME_LIMIT, lines.next_line()).await.expect("a line in time");
        let line = next.unwrap().unwrap_or_else(|| panic!("no line with {word}"));
        if line.contains(word) {
            return line;
        }
    }
}

fn interrupt(child: &Child) {
    kill(Pid::from_raw(child.id().unwrap().try_into().unwrap()), Signal::SIGINT).unwrap();
}

#[tokio::test]
async fn an_interrupt_goes_to_the_program_and_what_it_still_says_is_kept() {
    let home = home();
    let script =
        format!("bye() {{ echo '{ABORTED}'; exit 0; }}; trap bye INT; echo '{HI}'; while :; do sleep 0.05; done");
    let mut child = command(&home, &["--json", "--", "sh", "-c", &script]).stdin(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    line_with(&mut lines, "\"Hi\"").await;
    interrupt(&child);
    line_with(&mut lines, "exited with code 0").await;
    let end = line_with(&mut lines, "turn_finished").await;
    assert!(end.contains("\"cancelled\""), "{end}");
    assert_eq!(child.wait().await.unwrap().code(), Some(130));
}

#[tokio::test]
async fn a_program_that_ignores_interrupts_ends_with_us() {
    let home = home();
    let script = format!("trap '' INT; echo '{HI}'; echo \"pid $$\" >&2; sleep 1000");
    let mut child = command(&home, &["--json", "--", "sh", "-c", &script]).stdin(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let pid = line_with(&mut lines, "pid ").await;
    let pid = pid.split("pid ").nth(1).unwrap().split(|c: char| !c.is_ascii_digit()).next().unwrap().to_owned();
    let pid = Pid::from_raw(pid.parse().unwrap());
    assert!(kill(pid, None).is_ok());
    let mut errors = child.stderr.take().unwrap();
    interrupt(&child);
    // The second one counts once the first was told.
    let mut told = vec![0; 64];
    let count = errors.read(&mut told).await.unwrap();
    assert!(String::from_utf8_lossy(&told[..count]).contains('✗'), "{told:?}");
    interrupt(&child);
    let status = tokio::time::timeout(TIME_LIMIT, child.wait()).await.expect("it ends").unwrap();
    assert_eq!(status.code(), Some(130));
    assert!(kill(pid, None).is_err(), "the program runs on");
}

/// An agent that speaks ACP: each line of a client is answered in turn. It asks before it writes a file.
const STUB_AGENT: &str = r#"
say() { printf '%s\n' "$1"; }
read line; say '{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":1,"agentInfo":{"name":"stub","version":"1"}}}'
read line; say '{"jsonrpc":"2.0","id":1,"result":{"sessionId":"s"}}'
read line
say '{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"s","update":{"sessionUpdate":"agent_message_chunk","content":{"type":"text","text":"Hi"}}}}'
say '{"jsonrpc":"2.0","id":0,"method":"session/request_permission","params":{"sessionId":"s","toolCall":{"toolCallId":"c","title":"touch made","kind":"execute","rawInput":{"command":"touch made"}},"options":[{"optionId":"y","name":"Yes","kind":"allow_once"},{"optionId":"n","name":"No","kind":"reject_once"}]}}'
read line
case "$line" in
*'"optionId":"y"'*) touch made; status=completed ;;
*) status=failed ;;
esac
say '{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"s","update":{"sessionUpdate":"tool_call_update","toolCallId":"c","status":"'$status'"}}}'
echo 'a remark' >&2
"#;

const STUB_END: &str = r#"say '{"jsonrpc":"2.0","id":2,"result":{"stopReason":"end_turn"}}'; read line"#;

async fn talk(home: &TempDir, args: &[&str], end: &str) -> Ran {
    let args = [&["--request", "acp", "--output-format", "json", "-p", "go"], args].concat();
    run(home, &args, &format!("{STUB_AGENT}{end}")).await
}

#[tokio::test]
async fn an_agent_that_is_talked_with_acts_as_far_as_it_is_allowed_to() {
    for (args, is_made, status, code) in [
        (&[][..], false, "denied", 7),
        (&["--approval-mode", "full"], true, "ok", 0),
        (&["-o", r#"approvals.allow=["shell(touch *)"]"#], true, "ok", 0),
    ] {
        let home = home();
        let ran = talk(&home, args, STUB_END).await;
        let object = ran.json();
        assert_eq!((ran.code(), object["outcome"].as_str()), (Some(code), Some("completed")), "{args:?} {}", ran.err);
        assert_eq!((object["text"].as_str(), object["tool_calls"][0]["status"].as_str()), (Some("Hi"), Some(status)));
        assert_eq!(home.path().join("made").exists(), is_made, "{args:?}");
        assert_eq!(notices(&object, "found").len(), 1);
    }
}

#[tokio::test]
async fn an_agent_that_dies_fails_its_turn() {
    let ran = talk(&home(), &[], "echo 'out of luck' >&2; exit 3").await;
    let object = ran.json();
    assert_eq!((ran.code(), object["outcome"].as_str()), (Some(1), Some("failed")), "{}", ran.err);
    let message = object["error"]["message"].as_str().unwrap();
    assert!(message.contains("code 3") && message.contains("out of luck"), "{message}");
}

#[tokio::test]
async fn an_unknown_agent_is_a_mistake_that_names_the_known_ones() {
    let ran = piped(&home(), &["acp:nobody", "-p", "hello"], b"").await;
    assert_eq!(ran.code(), Some(2));
    assert!(ran.err.contains("opencode"), "{}", ran.err);
}
