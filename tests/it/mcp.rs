//! MCP from end to end: this program as the client of a server, which is this program as well.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

use crate::attach::home;
use crate::headless::{OFFLINE, command, run};
use crate::serve_acp::{delta, says};
use crate::support::{ScriptedServer, ServerAct, chunk, end, stream};

const PROGRAM: &str = env!("CARGO_BIN_EXE_jarvis-tui");

/// A model that calls a tool and says that it is done.
async fn model(tool: &str, args: &Value) -> ScriptedServer {
    let function = json!({"name": tool, "arguments": args.to_string()});
    let call = json!({"index": 0, "id": "c1", "type": "function", "function": function});
    let calls = vec![
        stream(),
        delta(&json!({"tool_calls": [call]}), None),
        delta(&json!({}), Some("tool_calls")),
        chunk("data: [DONE]\n\n"),
        end(),
    ];
    let answers: Vec<Vec<ServerAct>> = vec![calls, says("Done.")];
    ScriptedServer::routed(vec![("/v1/chat/completions", answers)]).await
}

/// Writes settings with a server that is this program.
fn with_own_server(home: &TempDir) {
    let elsewhere = home.path().join("elsewhere").display().to_string();
    let settings = format!(
        "[mcp.own]\ncommand = [{PROGRAM:?}, \"mcp\", \"serve\", \"--tools-only\"]\nenv = {{ JARVIS_TUI_HOME = {elsewhere:?} }}\n"
    );
    std::fs::write(home.path().join("config.toml"), settings).unwrap();
}

async fn chat(args: &[&str]) -> Value {
    let (home, model) = (home(), model("own__calculator", &json!({"expression": "6 * 7"})).await);
    with_own_server(&home);
    let base = format!("{}/v1", model.url());
    let args: Vec<&str> =
        ["-m", "openai/x", "-p", "hi", "--output-format", "json"].into_iter().chain(args.iter().copied()).collect();
    let ran = run(&home, &args, &[("OPENAI_BASE_URL", &base), ("OPENAI_API_KEY", "x")]).await;
    serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{}\n{}", ran.out, ran.err))
}

#[tokio::test]
async fn a_tool_of_a_server_is_called_where_a_rule_allows_it() {
    for args in [&["--yolo"][..], &["-o", "approvals.allow=[\"own__calculator\"]"]] {
        let told = chat(args).await;
        let call = &told["tool_calls"][0];
        assert_eq!((call["name"].as_str(), call["status"].as_str()), (Some("own__calculator"), Some("ok")), "{told}");
        assert!(call["output"].as_str().unwrap().contains("42"), "{told}");
    }
}

#[tokio::test]
async fn what_a_server_says_of_its_tools_allows_nothing() {
    let told = chat(&[]).await;
    assert_eq!(told["tool_calls"][0]["status"], "denied", "{told}");
}

#[tokio::test]
async fn a_server_is_tried_and_says_why_it_does_not_work() {
    let home = home();
    with_own_server(&home);
    let ran = run(&home, &["mcp", "test", "own"], &[OFFLINE]).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains("revision 2026-07-28") && ran.out.contains("read_file"), "{}", ran.out);
    let broken = "[mcp.broken]\ncommand = [\"sh\", \"-c\", \"echo no key >&2; exit 3\"]\n";
    std::fs::write(home.path().join("config.toml"), broken).unwrap();
    let ran = run(&home, &["mcp", "test"], &[OFFLINE]).await;
    assert_eq!(ran.code, 1);
    assert!(ran.out.contains("exited with code 3") && ran.out.contains("no key"), "{}", ran.out);
    assert_eq!(run(&home, &["mcp", "test", "absent"], &[OFFLINE]).await.code, 2);
}

#[tokio::test]
async fn a_server_is_added_listed_and_removed() {
    let home = home();
    let add = ["mcp", "add", "files", "--env", "K=env:SECRET_K", "--", "npx", "-y", "server"];
    let ran = run(&home, &add, &[OFFLINE]).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    let listed = run(&home, &["mcp", "list"], &[OFFLINE]).await.out;
    let (place, access) = listed.split_once('\n').unwrap();
    assert_eq!(place, "files  npx -y server");
    let says = ["       sandbox: network, writes the folder, ", "       no sandbox ("];
    assert!(says.iter().any(|says| access.starts_with(says)), "{access}");
    assert_eq!(run(&home, &add, &[OFFLINE]).await.code, 3, "there is one already");
    assert_eq!(run(&home, &["mcp", "rm", "files"], &[OFFLINE]).await.code, 0);
    assert!(run(&home, &["mcp", "list"], &[OFFLINE]).await.out.contains("no servers yet"));
}

#[tokio::test]
async fn a_project_that_is_not_trusted_starts_no_server() {
    let home = home();
    std::fs::create_dir_all(home.path().join(".jarvis")).unwrap();
    let settings = "[mcp.evil]\ncommand = [\"sh\", \"-c\", \"touch ran\"]\n";
    std::fs::write(home.path().join(".jarvis/config.toml"), settings).unwrap();
    let ran = run(&home, &["mcp", "test"], &[OFFLINE]).await;
    assert!(ran.out.contains("no servers to try"), "{}", ran.out);
    assert!(!Path::new(&home.path().join("ran")).exists());
}

/// Settings of a server in the language of the shell, which speaks the older revision: what it does before that, and when
/// it is called.
fn scripted(begins: &str, on_call: &str, settings: &str) -> String {
    let script = format!(
        r#"{begins}
say() {{ printf '{{"jsonrpc":"2.0","id":%s,%s}}\n' "$id" "$1"; }}
while read -r x; do
  id=$(printf '%s' "$x" | sed 's/.*"id":\([0-9]*\).*/\1/')
  case "$x" in
    *'"initialize"'*) say '"result":{{"protocolVersion":"2025-11-25","capabilities":{{"tools":{{}}}},"serverInfo":{{"name":"s","version":"1"}}}}';;
    *'"tools/list"'*) say '"result":{{"tools":[{{"name":"t","inputSchema":{{"type":"object"}}}}]}}';;
    *'"tools/call"'*) {on_call};;
    *'"id"'*) say '"error":{{"code":-32601,"message":"no"}}';;
  esac
done
sleep 600"#
    );
    format!("[mcp.s]\ncommand = [\"bash\", \"-c\", {}]\n{settings}\n", json!(script))
}

fn has_sandbox() -> bool {
    let why = jarvis_tui::sandbox::SandboxSupport::here(Path::new(PROGRAM)).why_not();
    why.inspect(|why| println!("skipped: no sandbox here: {why}")).is_none()
}

#[tokio::test]
async fn a_server_writes_and_connects_only_where_the_person_lets_it() {
    if !has_sandbox() {
        return;
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let connects = format!("(exec 3<>/dev/tcp/127.0.0.1/{}) 2>&- && echo on", listener.local_addr().unwrap().port());
    for (settings, expected) in [
        ("", "folder on"),
        ("network = false", "folder"),
        ("write = []", "on"),
        ("write = [\"~/notes\"]\nnetwork = false", "notes"),
        ("sandbox = false\nnetwork = false\nwrite = []", "folder notes on"),
    ] {
        let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let person = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        std::fs::create_dir(person.path().join("notes")).unwrap();
        let told = tempfile::NamedTempFile::new().unwrap();
        let told_path = told.path().display();
        let tries = format!(
            "(: > wrote) 2>&- && echo folder >> {told_path}\n(: > ~/notes/x) 2>&- && echo notes >> {told_path}\n({connects}) >> {told_path}"
        );
        std::fs::write(home.path().join("config.toml"), scripted(&tries, ":", settings)).unwrap();
        let at_home = person.path().display().to_string();
        let ran = run(&home, &["mcp", "test", "s"], &[OFFLINE, ("HOME", &at_home)]).await;
        assert_eq!(ran.code, 0, "{settings}: {}", ran.out);
        let did: Vec<String> =
            std::fs::read_to_string(told.path()).unwrap().split_whitespace().map(str::to_owned).collect();
        assert_eq!(did.join(" "), expected, "{settings}");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn no_server_outlives_the_program_even_if_that_is_killed() {
    for settings in ["", "sandbox = false"] {
        let home = home();
        let pids = tempfile::NamedTempFile::new().unwrap();
        let begins = format!("sleep 600 & echo $! >> {0}; echo $$ >> {0}", pids.path().display());
        let text = scripted(&begins, ":", settings);
        std::fs::write(home.path().join("config.toml"), text).unwrap();
        let model = model("own__none", &json!({})).await;
        let base = format!("{}/v1", model.url());
        let args = ["-m", "openai/x", "-p", "hi", "--yolo"];
        let mut child = command(&home, &args, &[("OPENAI_BASE_URL", &base), ("OPENAI_API_KEY", "x")]).spawn().unwrap();
        let running = || -> Vec<u32> {
            let text = std::fs::read_to_string(pids.path()).unwrap();
            text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
        };
        let is_alive = |pid: &u32| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
        };
        wait_until(|| running().len() == 2).await;
        child.start_kill().unwrap();
        child.wait().await.unwrap();
        wait_until(|| !running().iter().any(is_alive)).await;
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_call_that_was_cut_off_by_a_kill_is_never_repeated_and_the_model_is_told() {
    let home = home();
    let calls = tempfile::NamedTempFile::new().unwrap();
    let on_call = format!("echo call >> {}; sleep 600", calls.path().display());
    std::fs::write(home.path().join("config.toml"), scripted("", &on_call, "")).unwrap();
    let model = model("s__t", &json!({})).await;
    let base = format!("{}/v1", model.url());
    let variables = [("OPENAI_BASE_URL", base.as_str()), ("OPENAI_API_KEY", "x")];
    let mut child = command(&home, &["-m", "openai/x", "-p", "hi", "--yolo"], &variables).spawn().unwrap();
    let count = || std::fs::read_to_string(calls.path()).unwrap().lines().count();
    wait_until(|| count() == 1).await;
    child.start_kill().unwrap();
    child.wait().await.unwrap();
    let ran = run(&home, &["-c", "-m", "openai/x", "-p", "and now?", "--yolo"], &variables).await;
    assert!(ran.out.contains("Done."), "{}\n{}", ran.out, ran.err);
    assert_eq!(count(), 1, "it ran once");
    let asked = model.asked();
    let body = asked.last().unwrap().split_once("\r\n\r\n").unwrap().1;
    let told: Value = serde_json::from_str(body).unwrap();
    let messages = told["messages"].as_array().unwrap();
    let called = messages.iter().any(|message| message["tool_calls"][0]["function"]["name"] == "s__t");
    let result = messages.iter().any(|message| message["role"] == "tool");
    assert!(called && result, "{told}");
}

/// Waits for what another process does; there is nothing that tells.
async fn wait_until(mut holds: impl FnMut() -> bool) {
    let all = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), all).await.expect("it happens");
}

/// A client of `mcp serve` that speaks the older handshake.
struct McpClient {
    _child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl McpClient {
    async fn start(home: &TempDir, capabilities: Value) -> Self {
        let mut child =
            command(home, &["mcp", "serve"], &[OFFLINE]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()).lines());
        let mut client = Self { _child: child, input, output };
        let hello = json!({
            "protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": {"name": "c", "version": "1"}
        });
        let answer = client.ask("initialize", hello).await;
        assert_eq!(answer["result"]["protocolVersion"], "2025-11-25", "{answer}");
        client.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
        client
    }

    async fn send(&mut self, message: &Value) {
        self.input.write_all(format!("{message}\n").as_bytes()).await.unwrap();
    }

    async fn next(&mut self) -> Value {
        let line = tokio::time::timeout(Duration::from_mins(1), self.output.next_line()).await.expect("it answers");
        serde_json::from_str(&line.unwrap().expect("it goes on")).unwrap()
    }

    async fn ask(&mut self, method: &str, params: Value) -> Value {
        self.send(&json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})).await;
        self.next().await
    }
}

#[tokio::test]
async fn what_would_ask_becomes_a_question_of_the_client() {
    for (decision, is_error, words) in [("allow", false, "from a shell"), ("deny", true, "denied")] {
        let home = home();
        let mut client = McpClient::start(&home, json!({"elicitation": {}})).await;
        let call = json!({"name": "shell", "arguments": {"command": "echo from a shell"}});
        let question = client.ask("tools/call", call).await;
        assert_eq!(question["method"], "elicitation/create", "{question}");
        assert!(question["params"]["message"].as_str().unwrap().contains("echo from a shell"));
        let answer = json!({"action": "accept", "content": {"decision": decision}});
        client.send(&json!({"jsonrpc": "2.0", "id": question["id"], "result": answer})).await;
        let done = client.next().await;
        assert_eq!(done["result"]["isError"], is_error, "{done}");
        assert!(done["result"]["content"][0]["text"].as_str().unwrap().contains(words), "{done}");
    }
}

#[tokio::test]
async fn a_client_that_can_not_ask_gets_what_needs_no_approval() {
    let home = home();
    let mut client = McpClient::start(&home, json!({})).await;
    let call = json!({"name": "shell", "arguments": {"command": "touch ran"}});
    let done = client.ask("tools/call", call).await;
    assert!(done["result"]["content"][0]["text"].as_str().unwrap().contains("elicitation"), "{done}");
    assert!(!home.path().join("ran").exists());
    let done = client.ask("tools/call", json!({"name": "calculator", "arguments": {"expression": "6 * 7"}})).await;
    assert!(done["result"]["content"][0]["text"].as_str().unwrap().contains("42"), "{done}");
    let done = client.ask("tools/call", json!({"name": "ask_agent", "arguments": {"prompt": "calc 6 * 7"}})).await;
    assert_eq!(done["result"]["isError"], false, "{done}");
}
