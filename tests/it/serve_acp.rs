//! `jarvis-tui acp` as an editor runs it: a program whose standard streams speak the protocol, with a scripted model.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

use crate::attach::home;
use crate::hosted::program;
use crate::support::{ScriptedServer, ServerAct, chunk, end, stream};

const TIME_LIMIT: Duration = Duration::from_mins(1);

pub(crate) fn delta(delta: &Value, reason: Option<&str>) -> ServerAct {
    let choice = json!({"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]});
    chunk(format!("data: {choice}\n\n"))
}

pub(crate) fn says(text: &str) -> Vec<ServerAct> {
    vec![
        stream(),
        delta(&json!({"content": text}), None),
        delta(&json!({}), Some("stop")),
        chunk("data: [DONE]\n\n"),
        end(),
    ]
}

/// Says that it runs a command, and asks for that.
pub(crate) fn runs(command: &str) -> Vec<ServerAct> {
    let args = json!({"command": command}).to_string();
    let call = json!({"index": 0, "id": "c1", "type": "function", "function": {"name": "shell", "arguments": args}});
    vec![
        stream(),
        delta(&json!({"content": "I run it."}), None),
        delta(&json!({"tool_calls": [call]}), None),
        delta(&json!({}), Some("tool_calls")),
        chunk("data: [DONE]\n\n"),
        end(),
    ]
}

/// A model that runs a command and says that it is done.
pub(crate) async fn model(command: &str) -> ScriptedServer {
    ScriptedServer::routed(vec![("/v1/chat/completions", vec![runs(command), says("Done.")])]).await
}

/// An editor and its agent.
struct Editor {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    request_count: u64,
}

impl Editor {
    fn start(home: &Path, model: &ScriptedServer) -> Self {
        let mut command = program(home);
        command.env("OPENAI_BASE_URL", format!("{}/v1", model.url())).env("OPENAI_API_KEY", "x");
        command.args(["acp", "-m", "openai/mock"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, input, output: BufReader::new(output).lines(), request_count: 0 }
    }

    async fn send(&mut self, message: &Value) {
        self.input.write_all(format!("{message}\n").as_bytes()).await.unwrap();
    }

    async fn next(&mut self) -> Value {
        let line = tokio::time::timeout(TIME_LIMIT, self.output.next_line()).await.expect("it goes on").unwrap();
        serde_json::from_str(&line.expect("it has not ended")).unwrap()
    }

    async fn request(&mut self, method: &str, params: Value) -> u64 {
        self.request_count += 1;
        let id = self.request_count;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})).await;
        id
    }

    /// Returns the result of a request, and the updates before it. Questions are answered with this option, or end it.
    async fn until(&mut self, id: u64, option: Option<&str>) -> (Value, Vec<Value>) {
        let mut updates = Vec::new();
        loop {
            let message = self.next().await;
            match message["method"].as_str() {
                Some("session/request_permission") => {
                    let Some(option) = option else { return (message, updates) };
                    let result = json!({"outcome": {"outcome": "selected", "optionId": option}});
                    self.send(&json!({"jsonrpc": "2.0", "id": message["id"], "result": result})).await;
                }
                Some(_) => updates.push(message["params"]["update"].clone()),
                None if message["id"] == id => return (message["result"].clone(), updates),
                None => panic!("{message}"),
            }
        }
    }

    async fn ask(&mut self, method: &str, params: Value) -> (Value, Vec<Value>) {
        let id = self.request(method, params).await;
        self.until(id, Some("once")).await
    }
}

fn prompt(session: &Value, text: &str) -> Value {
    json!({"sessionId": session, "prompt": [{"type": "text", "text": text}]})
}

fn kinds(updates: &[Value]) -> Vec<&str> {
    updates.iter().filter_map(|update| update["sessionUpdate"].as_str()).collect()
}

#[tokio::test]
async fn a_turn_with_an_approval_is_finished_and_a_cut_one_is_loaded_whole() {
    let home = home();
    let folder = home.path().canonicalize().unwrap();
    let opening = json!({"cwd": folder, "mcpServers": []});
    let first = model("echo made > made.txt").await;
    let mut editor = Editor::start(home.path(), &first);
    assert_eq!(editor.ask("initialize", json!({"protocolVersion": 1})).await.0["protocolVersion"], 1);
    let session = editor.ask("session/new", opening.clone()).await.0["sessionId"].clone();
    let (answer, updates) = editor.ask("session/prompt", prompt(&session, "make it")).await;
    assert_eq!(answer["stopReason"], "end_turn");
    assert_eq!(std::fs::read_to_string(folder.join("made.txt")).unwrap(), "made\n");
    assert!(kinds(&updates).contains(&"tool_call"), "{updates:?}");
    drop(editor);

    let second = model("echo again").await;
    let mut editor = Editor::start(home.path(), &second);
    let mut loading = opening.clone();
    loading["sessionId"] = session.clone();
    let (loaded, past) = editor.ask("session/load", loading.clone()).await;
    assert_eq!(loaded["modes"]["currentModeId"], "ask");
    let expected = ["user_message_chunk", "agent_message_chunk", "tool_call", "tool_call_update", "tool_call_update"];
    assert_eq!(kinds(&past)[..5], expected);
    // Cut while the agent asks.
    let id = editor.request("session/prompt", prompt(&session, "again")).await;
    let (question, seen) = editor.until(id, None).await;
    assert_eq!(question["params"]["toolCall"]["rawInput"]["command"], "echo again");
    editor.child.kill().await.unwrap();

    let third = model("unused").await;
    let mut editor = Editor::start(home.path(), &third);
    let (_, all) = editor.ask("session/load", loading.clone()).await;
    let seq = |update: &Value| update["_meta"]["jarvis-tui"]["seq"].as_u64();
    let numbered: Vec<&Value> = seen.iter().filter(|update| seq(update).is_some()).collect();
    assert!(numbered.iter().all(|update| all.contains(update)), "nothing that was seen is lost\n{seen:#?}\n{all:#?}");
    let last = numbered.iter().filter_map(|update| seq(update)).max().unwrap();
    loading["_meta"] = json!({"jarvis-tui": {"after": last}});
    let (_, mut rest) = editor.ask("session/load", loading).await;
    // It follows the answer of the load before.
    rest.retain(|update| update["sessionUpdate"] != "available_commands_update");
    let known = all.iter().position(|update| seq(update) > Some(last)).unwrap();
    assert_eq!(rest[..], all[known..all.len()], "what was missed, and nothing else");
    let listed = editor.ask("session/list", json!({"cwd": folder})).await.0;
    assert_eq!(listed["sessions"][0]["sessionId"], session);
    drop(editor.input);
    assert_eq!(editor.child.wait().await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn our_own_client_talks_with_it() {
    let home = home();
    let model = ScriptedServer::routed(vec![("/v1/chat/completions", vec![says("Hello, you.")])]).await;
    let mut command = program(home.path());
    command.env("OPENAI_BASE_URL", format!("{}/v1", model.url())).env("OPENAI_API_KEY", "x");
    command.args(["attach", "--request", "acp", "--output-format", "json", "-p", "hi", "--"]);
    command.args([env!("CARGO_BIN_EXE_jarvis-tui"), "acp", "-m", "openai/mock"]);
    let ran = tokio::time::timeout(TIME_LIMIT, command.output()).await.unwrap().unwrap();
    let error = String::from_utf8_lossy(&ran.stderr).into_owned();
    let object: Value = serde_json::from_slice(&ran.stdout).unwrap_or_else(|_| panic!("{error}"));
    assert_eq!(
        (object["text"].as_str(), object["outcome"].as_str()),
        (Some("Hello, you."), Some("completed")),
        "{error}"
    );
}
