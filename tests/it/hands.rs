//! What the agent has besides its tools, by the real program and a scripted model: instructions, skills, sub-agents,
//! commands in the background and hooks.

use std::path::PathBuf;
use std::process::Stdio;

use jarvis_tui::event::{AgentEvent, CallOutcome, Envelope, TurnOutcome, grammar};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::attach::CommandOutput;
use crate::support::{ScriptedServer, ServerAct, chunk, end, stream};

/// A home and a repository beside it.
struct HandsBench {
    root: TempDir,
    server: ScriptedServer,
}

impl HandsBench {
    /// With a model that answers each request as the test chooses by its body.
    async fn new(mut choose: impl FnMut(&Value) -> Vec<ServerAct> + Send + 'static) -> Self {
        let answer = move |request: &str| {
            if request.starts_with("POST") {
                choose(&body(request))
            } else {
                vec![crate::support::json("404 Not Found", "{}")]
            }
        };
        let server = ScriptedServer::answering(answer).await;
        let place = Self { root: tempfile::tempdir().unwrap(), server };
        std::fs::create_dir_all(place.at("home")).unwrap();
        std::fs::create_dir_all(place.at("repo/.git")).unwrap();
        place
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        std::fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        std::fs::write(self.at(path), text).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jarvis-tui"));
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("JARVIS_TUI_HOME", self.at("home"))
            .env("OPENAI_BASE_URL", format!("{}/v1", self.server.url()))
            .env("OPENAI_API_KEY", "x")
            .current_dir(self.at("repo"))
            .args(args)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    async fn run(&self, args: &[&str]) -> CommandOutput {
        let output = tokio::time::timeout(std::time::Duration::from_mins(1), self.command(args).output());
        let output = output.await.expect("it ends").unwrap();
        CommandOutput {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    async fn ask(&self, more: &[&str]) -> CommandOutput {
        self.run(&[&["-m", "openai/x", "-p", "hi"], more].concat()).await
    }

    /// Returns the bodies of the requests to the model.
    fn bodies(&self) -> Vec<Value> {
        self.server.asked().iter().filter(|request| request.starts_with("POST")).map(|request| body(request)).collect()
    }

    /// Returns what the model was told first in each request.
    fn systems(&self) -> Vec<String> {
        self.bodies().iter().map(|body| body["messages"][0]["content"].as_str().unwrap_or_default().into()).collect()
    }
}

fn body(request: &str) -> Value {
    request.split_once("\r\n\r\n").and_then(|(_, body)| serde_json::from_str(body).ok()).unwrap_or_default()
}

fn reply(delta: &Value, reason: &str) -> Vec<ServerAct> {
    let frame = |choice: Value| chunk(format!("data: {}\n\n", json!({"choices": [choice]})));
    vec![
        stream(),
        frame(json!({"index": 0, "delta": delta})),
        frame(json!({"index": 0, "delta": {}, "finish_reason": reason})),
        chunk("data: [DONE]\n\n"),
        end(),
    ]
}

fn says(text: &str) -> Vec<ServerAct> {
    reply(&json!({"content": text}), "stop")
}

/// Calls of one reply, each with its name and arguments.
fn calls(calls: &[(&str, Value)]) -> Vec<ServerAct> {
    let call = |(index, (name, args)): (usize, &(&str, Value))| {
        json!({"index": index, "id": format!("c{index}"), "type": "function",
               "function": {"name": name, "arguments": args.to_string()}})
    };
    reply(&json!({"tool_calls": calls.iter().enumerate().map(call).collect::<Vec<_>>()}), "tool_calls")
}

/// Returns the results of calls that a request sends back.
fn results(body: &Value) -> Vec<String> {
    let messages = body["messages"].as_array().into_iter().flatten();
    let results = messages.filter(|message| message["role"] == "tool");
    results.map(|message| message["content"].as_str().unwrap_or_default().to_owned()).collect()
}

fn tool_names(body: &Value) -> Vec<&str> {
    body["tools"].as_array().into_iter().flatten().filter_map(|tool| tool["function"]["name"].as_str()).collect()
}

#[tokio::test]
async fn instructions_of_a_trusted_project_are_told_and_told_anew_when_they_change() {
    let place = HandsBench::new(|_| says("ok")).await;
    place.write("home/AGENTS.md", "Be kind.");
    place.write("repo/AGENTS.md", "Use tabs.");
    let ran = place.ask(&[]).await;
    assert!(ran.err.contains("AGENTS.md is not read") && ran.err.contains("config trust"), "{}", ran.err);
    let trusted = place.run(&["config", "trust"]).await;
    assert!(trusted.out.contains("repo is trusted: the agent reads its instructions"), "{}", trusted.out);
    let ran = place.ask(&[]).await;
    assert_eq!((ran.code, ran.err.contains("not read")), (0, false), "{}", ran.err);
    place.write("repo/AGENTS.md", "Use spaces.");
    place.ask(&["-c"]).await;
    place.ask(&["--system", "Only this.", "--set", "limits.instructions=0"]).await;
    let systems = place.systems();
    let told = |text: &str| systems.iter().map(|system| system.contains(text)).collect::<Vec<_>>();
    assert_eq!(told("Be kind."), [true, true, true, false]);
    assert_eq!(told("Use tabs."), [false, true, false, false]);
    assert_eq!(told("Use spaces."), [false, false, true, false]);
    assert_eq!(systems[3], "Only this.");
    let (near, far) = (systems[1].find("Use tabs.").unwrap(), systems[1].find("Be kind.").unwrap());
    assert!(near < far, "the nearest comes first");
}

#[tokio::test]
async fn a_skill_is_listed_to_the_model_and_loaded_on_demand() {
    let place = HandsBench::new(|body| match results(body).len() {
        0 => calls(&[("skill", json!({"name": "release"}))]),
        _ => says("done"),
    })
    .await;
    let skill = "---\nname: release\ndescription: Makes a release.\n---\nFirst run the checks.";
    place.write("repo/.claude/skills/release/SKILL.md", skill);
    place.write("repo/.claude/skills/release/check.sh", "true");
    let ran = place.ask(&[]).await;
    assert!(!tool_names(&place.bodies()[0]).contains(&"skill"), "there is no trust yet: {}", ran.err);
    place.run(&["config", "trust"]).await;
    let ran = place.ask(&[]).await;
    assert_eq!((ran.code, ran.out.trim()), (0, "done"), "{}", ran.err);
    let bodies = place.bodies();
    let last = bodies.last().unwrap();
    assert!(last.to_string().contains("- release: Makes a release."), "{last}");
    let loaded = &results(last)[0];
    assert!(loaded.contains("First run the checks.") && loaded.contains("check.sh"), "{loaded}");
}

/// Whether a request is one of a sub-agent, and how often it has called.
fn sub_agent_step(body: &Value) -> Option<usize> {
    let system = body["messages"][0]["content"].as_str().unwrap_or_default();
    system.contains("You work for another agent").then(|| results(body).len())
}

impl HandsBench {
    /// Returns the events of the only session.
    fn events(&self) -> Vec<AgentEvent> {
        let logs = std::fs::read_dir(self.at("home/sessions")).unwrap().map(|entry| entry.unwrap().path());
        let logs: Vec<PathBuf> = logs.filter(|path| path.extension().is_some_and(|kind| kind == "jsonl")).collect();
        assert_eq!(logs.len(), 1, "{logs:?}");
        let text = std::fs::read_to_string(&logs[0]).unwrap();
        text.lines().skip(1).map(|line| serde_json::from_str::<Envelope>(line).unwrap().event).collect()
    }
}

#[tokio::test]
async fn sub_agents_work_side_by_side_with_a_context_of_their_own() {
    let bench = HandsBench::new(|body| {
        let prompt = body["messages"].as_array().unwrap()[1]["content"].as_str().unwrap_or_default().to_owned();
        match (sub_agent_step(body), results(body).as_slice()) {
            (Some(0), _) => calls(&[("calculator", json!({"expression": format!("{prompt} * 2")}))]),
            (Some(_), [result]) => says(&format!("{prompt} gives {result}")),
            (None, []) => calls(&[
                ("task", json!({"description": "double 4", "prompt": "4"})),
                ("task", json!({"description": "double 5", "prompt": "5", "tools": ["calculator"]})),
                ("todo", json!({"todos": [{"content": "double", "status": "completed"}]})),
            ]),
            (None, results) => says(&results.join("; ")),
            _ => says("?"),
        }
    })
    .await;
    let ran = bench.ask(&[]).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains("4 gives 4 * 2 = 8") || ran.out.contains("4 gives 8"), "{} {}", ran.out, ran.err);
    assert!(ran.out.contains("5 gives") && ran.out.contains("1 of 1 done"), "{}", ran.out);
    let events = bench.events();
    assert_eq!(grammar::check(&events), []);
    let nested = events.iter().filter(|event| matches!(event, AgentEvent::ToolCallStarted { parent: Some(_), .. }));
    assert_eq!(nested.count(), 2);
    let own: Vec<Value> = bench.bodies().into_iter().filter(|body| sub_agent_step(body) == Some(0)).collect();
    let mut offered: Vec<Vec<&str>> = own.iter().map(tool_names).collect();
    offered.sort_by_key(Vec::len);
    assert_eq!(offered[0], ["calculator"]);
    assert!(!offered[1].contains(&"task") && offered[1].contains(&"shell"), "{:?}", offered[1]);
}

#[tokio::test]
async fn a_program_that_is_killed_leaves_a_session_whose_sub_agent_is_closed() {
    let bench = HandsBench::new(|body| match (sub_agent_step(body), body["messages"].as_array().map_or(0, Vec::len)) {
        (Some(_), _) => {
            vec![stream(), chunk("data: {\"choices\":[{\"delta\":{\"content\":\"half\"}}]}\n\n"), ServerAct::Hang]
        }
        (None, 2) => calls(&[("task", json!({"description": "x", "prompt": "y"}))]),
        _ => says("on again"),
    })
    .await;
    let mut child = bench.command(&["-m", "openai/x", "-p", "hi", "--output-format", "stream-json"]);
    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(child.stdout.take().unwrap()));
    while !lines.next_line().await.unwrap().expect("it goes on").contains("half") {}
    child.kill().await.unwrap();
    let ran = bench.ask(&["-c"]).await;
    assert_eq!((ran.code, ran.out.trim()), (0, "on again"), "{}", ran.err);
    let events = bench.events();
    assert_eq!(grammar::check(&events), []);
    let end = events.iter().find_map(|event| match event {
        AgentEvent::TurnFinished { outcome, .. } => Some(outcome),
        _ => None,
    });
    assert_eq!(end, Some(&TurnOutcome::Interrupted));
    let outcomes: Vec<_> = events
        .iter()
        .filter(|event| matches!(event, AgentEvent::ToolCallFinished { outcome: CallOutcome::Unknown, .. }))
        .collect();
    assert_eq!(outcomes.len(), 1);
}

#[tokio::test]
async fn a_command_in_the_background_is_read_later_and_stopped_with_the_program() {
    let bench = HandsBench::new(|body| match results(body).len() {
        0 => calls(&[("shell", json!({"command": "echo begun; echo $$ > pid; sleep 600", "background": true}))]),
        1 => calls(&[("shell", json!({"command": "until test -s pid; do :; done"}))]),
        2 => calls(&[("task_output", json!({"id": "1"}))]),
        _ => says("seen"),
    })
    .await;
    let ran = bench.ask(&["--yolo"]).await;
    assert_eq!((ran.code, ran.out.trim()), (0, "seen"), "{}", ran.err);
    let told = results(bench.bodies().last().unwrap());
    assert!(told[0].contains("background command 1"), "{told:?}");
    assert!(told[2].starts_with("[running for ") && told[2].ends_with("begun\n"), "{told:?}");
    let pid = std::fs::read_to_string(bench.at("repo/pid")).unwrap();
    let status = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    assert!(status.is_empty() || status.contains(") Z"), "it is gone: {status}");
}

#[tokio::test]
async fn a_hook_denies_a_call_and_is_told_of_the_end_and_no_project_can_set_one() {
    let bench = HandsBench::new(|body| match results(body).len() {
        0 => calls(&[("shell", json!({"command": "touch made"})), ("calculator", json!({"expression": "6*7"}))]),
        _ => says("ok"),
    })
    .await;
    let guard =
        r#"line=$(cat); echo "$line" >> ../told; case $line in *'"shell"'*) echo no shell here >&2; exit 2;; esac"#;
    let settings = format!("[hooks]\nbefore_call = ['''{guard}''']\nturn_end = ['cat > ../ended']\n");
    bench.write("home/config.toml", &settings);
    bench.write("repo/.jarvis/config.toml", "[hooks]\nafter_call = ['touch ../evil']\n");
    bench.run(&["config", "trust"]).await;
    let ran = bench.ask(&["--yolo"]).await;
    assert_eq!((ran.code, ran.out.trim()), (7, "ok"), "{}", ran.err);
    let told = results(bench.bodies().last().unwrap());
    assert!(told[0].contains("denied by a hook: no shell here") && told[1].contains("42"), "{told:?}");
    assert!(!bench.at("repo/made").exists() && !bench.at("evil").exists());
    let read = |name: &str| -> Vec<Value> {
        let text = std::fs::read_to_string(bench.at(name)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    assert_eq!(read("told").len(), 2);
    assert_eq!((&read("ended")[0]["event"], &read("ended")[0]["outcome"]), (&json!("turn_end"), &json!("completed")));
}
