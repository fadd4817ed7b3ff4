//! The tools from outside: through the table, as the agent calls them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod shell;
mod web;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jarvis_tui::engine::offline::OfflineEngine;
use jarvis_tui::engine::{Engine, HistoryMessage, ModelRequest, ReplyPlan};
use jarvis_tui::event::{
    ApprovalRequest, CallOutcome, Json, OutputStream, Pattern, ReplyEvent, Risk, ToolKind, allow_line,
};
use jarvis_tui::tool::{
    BuiltinTools, RegisteredTool, Registry, SubjectPermission, ToolContext, ToolProgress, ToolResult, ToolSource,
    ToolTimeouts,
};
use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::sync::mpsc::{self, Receiver};
use tokio_util::sync::CancellationToken;

use crate::support::{ScriptedServer, ServerAct, path};

type Progress = Receiver<ToolProgress>;

struct ToolBench {
    folder: tempfile::TempDir,
    ctx: ToolContext,
    live: Progress,
}

impl ToolBench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (sender, live) = mpsc::channel(4096);
        let ctx = ToolContext {
            resources: None,
            approved_hunks: None,
            keep_version: None,
            background: None,
            folder: folder.path().canonicalize().unwrap(),
            extra_folders: Vec::new(),
            hidden_env_vars: ["HOME".to_owned()].into(),
            sandbox: None,
            ask: None,
            check_subject: Arc::new(|_| SubjectPermission::Allowed),
            progress: sender,
            cancel: CancellationToken::new(),
        };
        Self { folder, ctx, live }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    async fn run(&self, name: &str, args: Json) -> ToolResult {
        tool(name).await.run(&args, &self.ctx).await
    }

    async fn ask(&self, name: &str, args: Json) -> Result<ApprovalRequest, String> {
        tool(name).await.approval_request(&args, &self.ctx).await
    }
}

async fn builtin() -> Registry {
    let timeouts = ToolTimeouts { usual: Duration::from_secs(30), command: Duration::from_mins(2) };
    let source: Arc<dyn ToolSource> = Arc::new(BuiltinTools::new(timeouts));
    let mut registry = Registry::new([source]);
    assert_eq!(registry.refresh().await, Vec::<String>::new());
    registry
}

async fn tool(name: &str) -> RegisteredTool {
    builtin().await.get(name).unwrap().clone()
}

#[tokio::test]
async fn nine_tools_with_a_schema_each() {
    let tools = builtin().await;
    let specs: Vec<_> = tools.specs().collect();
    let names: Vec<_> = specs.iter().map(|spec| (spec.name.as_str(), spec.risk)).collect();
    assert_eq!(
        names,
        [
            ("calculator", Risk::ReadOnly),
            ("read_file", Risk::ReadOnly),
            ("list_dir", Risk::ReadOnly),
            ("search", Risk::ReadOnly),
            ("write_file", Risk::Write),
            ("edit_file", Risk::Write),
            ("shell", Risk::Execute),
            ("fetch", Risk::Network),
            ("clock", Risk::ReadOnly),
        ]
    );
    for spec in specs {
        assert!(!spec.description.is_empty());
        assert_eq!(spec.parameters["type"], "object", "{}", spec.name);
        let properties = spec.parameters["properties"].as_object().unwrap();
        for property in properties.values() {
            assert!(property["type"].is_string() && property["description"].is_string(), "{}", spec.name);
        }
        for required in spec.parameters["required"].as_array().into_iter().flatten() {
            assert!(properties.contains_key(required.as_str().unwrap()));
        }
    }
}

#[tokio::test]
async fn readme_and_manual_have_a_line_for_every_tool_and_for_no_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let in_backticks =
        |text: &str| -> BTreeSet<String> { text.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let (_, list) = readme.split_once("The agent has ").unwrap();
    let manual = fs::read_to_string(root.join("assets/manual/tools.md")).unwrap();
    let rows = manual.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    let tools = builtin().await;
    let names: BTreeSet<String> = tools.specs().map(|spec| spec.name.clone()).collect();
    assert_eq!(in_backticks(list.split_once(". ").unwrap().0), names, "README.md");
    assert_eq!(rows.flat_map(in_backticks).collect::<BTreeSet<_>>(), names, "the table in manual/tools.md");
}

/// Returns the text of the embedded engine's answer, and the tools that it calls.
fn ask_the_embedded_engine(prompt: &str, tools: &Registry) -> (String, Vec<String>) {
    let request = ModelRequest {
        history: vec![HistoryMessage::user(prompt)],
        tools: tools.specs().cloned().collect(),
        ..ModelRequest::default()
    };
    let ReplyPlan::Scripted(events) = (OfflineEngine { pace: 0.0 }).plan_reply(&request) else { panic!("a request") };
    let (mut text, mut calls) = (String::new(), Vec::new());
    for scripted in events {
        match scripted.event {
            ReplyEvent::TextDelta { text: piece, .. } => text.push_str(&piece),
            ReplyEvent::ToolCallReady { name, .. } => calls.push(name),
            _ => {}
        }
    }
    (text, calls)
}

#[tokio::test]
async fn the_examples_in_the_help_of_the_embedded_engine_call_every_tool() {
    let tools = builtin().await;
    let (help, _) = ask_the_embedded_engine("help", &tools);
    let examples = help.lines().filter_map(|line| line.split_once(", as in ")).map(|(_, code)| {
        let inside = code.strip_prefix("`` ").and_then(|code| code.strip_suffix(" ``"));
        inside.unwrap_or_else(|| code.trim_matches('`'))
    });
    let called: BTreeSet<String> = examples.flat_map(|example| ask_the_embedded_engine(example, &tools).1).collect();
    assert_eq!(called, tools.specs().map(|spec| spec.name.clone()).collect(), "{help}");
}

#[tokio::test]
async fn wrong_arguments_are_failures_that_name_them() {
    let bench = ToolBench::new();
    for (name, args, word) in [
        ("calculator", json!({}), "`expression`"),
        ("read_file", json!({"path": ["x"]}), "`path`"),
        ("list_dir", json!({"depth": "deep"}), "`depth`"),
        ("search", json!({"path": "."}), "`pattern`"),
        ("write_file", json!({"path": "x"}), "`content`"),
        ("edit_file", json!({"path": "x", "new": "y"}), "`old`"),
        ("shell", json!({"command": "a\u{0}b"}), "`command`"),
        ("fetch", json!({"url": 7}), "7"),
        ("clock", json!({"zone": {}}), "`zone`"),
        ("shell", json!("ls"), "JSON object"),
    ] {
        let done = bench.run(name, args.clone()).await;
        assert_eq!(done.outcome, CallOutcome::Failed, "{name}: {}", done.text);
        assert!(done.text.contains(word), "{name}: {}", done.text);
        if name != "fetch" {
            assert_eq!(bench.ask(name, args).await.unwrap_err(), done.text);
        }
    }
}

#[tokio::test]
async fn the_quiet_tools_answer() {
    let bench = ToolBench::new();
    fs::write(bench.path("a.txt"), "needle\n").unwrap();
    for (name, args, part) in [
        ("calculator", json!({"expression": "3 ft to m"}), "0.9144 m"),
        ("read_file", json!({"path": "a.txt"}), "1\tneedle"),
        ("list_dir", json!({}), "a.txt  7 bytes"),
        ("search", json!({"pattern": "n..dle"}), "a.txt\n1: needle"),
        ("clock", json!({}), "UTC: 2"),
    ] {
        let done = bench.run(name, args.clone()).await;
        assert_eq!(done.outcome, CallOutcome::Ok, "{name}: {}", done.text);
        assert!(done.text.contains(part), "{name}: {}", done.text);
        assert_eq!(bench.ask(name, args).await.unwrap().risk, Risk::ReadOnly);
    }
}

#[tokio::test]
async fn a_written_file_is_whole_keeps_its_mode_and_leaves_nothing_beside_it() {
    use std::os::unix::fs::PermissionsExt;
    let bench = ToolBench::new();
    let args = json!({"path": "new/er/a.sh", "content": "one\ntwo\n"});
    let request = bench.ask("write_file", args.clone()).await.unwrap();
    assert_eq!((request.subject.as_str(), request.risk), ("new/er/a.sh", Risk::Write));
    assert_eq!(request.pattern.as_deref(), Some("write_file(new/er/*)"));
    assert!(request.detail.contains("+one") && request.detail.contains("+++ b/new/er/a.sh"), "{}", request.detail);
    assert!(!bench.path("new").exists(), "asking changes nothing");

    assert_eq!(bench.run("write_file", args).await.outcome, CallOutcome::Ok);
    let path = bench.path("new/er/a.sh");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o750)).unwrap();

    let args = json!({"path": "new/er/a.sh", "content": "one\n2\n"});
    let request = bench.ask("write_file", args.clone()).await.unwrap();
    assert!(request.detail.contains("-two\n+2\n"), "{}", request.detail);
    let done = bench.run("write_file", args).await;
    assert_eq!(done, ToolResult::ok("wrote `new/er/a.sh`: 6 bytes, +1 -1 lines"));
    assert_eq!(fs::read_to_string(&path).unwrap(), "one\n2\n");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o750);
    assert_eq!(fs::read_dir(bench.path("new/er")).unwrap().count(), 1);

    fs::set_permissions(&path, fs::Permissions::from_mode(0o440)).unwrap();
    let done = bench.run("write_file", json!({"path": "new/er/a.sh", "content": ""})).await;
    assert!(done.outcome == CallOutcome::Failed && done.text.contains("read-only"), "{}", done.text);
}

#[tokio::test]
async fn an_edit_shows_its_diff_and_happens_once() {
    let bench = ToolBench::new();
    fs::write(bench.path("a.rs"), "fn a() {}\nfn b() {}\n").unwrap();
    let args = json!({"path": "a.rs", "old": "fn b()", "new": "fn c()"});
    let request = bench.ask("edit_file", args.clone()).await.unwrap();
    assert!(request.detail.contains("-fn b() {}\n+fn c() {}\n"), "{}", request.detail);
    assert_eq!(bench.run("edit_file", args.clone()).await.outcome, CallOutcome::Ok);
    assert_eq!(fs::read_to_string(bench.path("a.rs")).unwrap(), "fn a() {}\nfn c() {}\n");
    let again = bench.run("edit_file", args).await;
    assert!(again.outcome == CallOutcome::Failed && again.text.contains("does not occur"), "{}", again.text);
    let many = json!({"path": "a.rs", "old": "fn", "new": "pub fn"});
    assert!(bench.ask("edit_file", many).await.unwrap_err().contains("2 times, at lines 1, 2"));
    let all = bench.run("edit_file", json!({"path": "a.rs", "old": "fn", "new": "pub fn", "all": "true"})).await;
    assert_eq!(all.outcome, CallOutcome::Ok, "{}", all.text);
    let none = bench.run("edit_file", json!({"path": "b.rs", "old": "x", "new": "y"})).await;
    assert!(none.text.contains("there is a.rs"), "{}", none.text);
}

#[tokio::test]
async fn no_file_tool_leaves_the_folder() {
    let bench = ToolBench::new();
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret");
    fs::write(&secret, "secret\n").unwrap();
    std::os::unix::fs::symlink(outside.path(), bench.path("link")).unwrap();
    std::os::unix::fs::symlink(&secret, bench.path("file")).unwrap();
    let absolute = secret.display().to_string();
    for path in [absolute.as_str(), "link/secret", "file", "../x/secret", "link/../secret"] {
        for (name, args) in [
            ("read_file", json!({"path": path})),
            ("list_dir", json!({"path": path})),
            ("search", json!({"path": path, "pattern": "secret"})),
            ("write_file", json!({"path": path, "content": "x"})),
            ("edit_file", json!({"path": path, "old": "secret", "new": "x"})),
        ] {
            let done = bench.run(name, args.clone()).await;
            assert_eq!(done.outcome, CallOutcome::Failed, "{name} {path}: {}", done.text);
            assert!(done.text.contains("[tools]") && done.text.contains("folders"), "{name} {path}: {}", done.text);
            assert_eq!(bench.ask(name, args).await.unwrap_err(), done.text);
        }
    }
    assert_eq!(fs::read_to_string(&secret).unwrap(), "secret\n");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    // Walking doesn't follow the link either.
    assert!(bench.run("search", json!({"pattern": "secret"})).await.text.starts_with("no matches"));
    assert!(!bench.run("list_dir", json!({"depth": 5})).await.text.contains("secret\n/"));
}

#[tokio::test]
async fn a_link_inside_is_followed_and_kept() {
    let bench = ToolBench::new();
    fs::write(bench.path("real"), "x").unwrap();
    std::os::unix::fs::symlink("real", bench.path("link")).unwrap();
    assert_eq!(bench.run("write_file", json!({"path": "link", "content": "y"})).await.outcome, CallOutcome::Ok);
    assert_eq!(fs::read_to_string(bench.path("real")).unwrap(), "y");
    assert!(bench.path("link").is_symlink());
}

#[tokio::test]
async fn changing_hooks_counts_as_running_programs() {
    let bench = ToolBench::new();
    fs::create_dir_all(bench.path(".git/hooks")).unwrap();
    for path in [".git/hooks/pre-commit", ".GIT/config", ".jarvis/config.toml"] {
        let request = bench.ask("write_file", json!({"path": path, "content": "x"})).await.unwrap();
        assert_eq!(request.risk, Risk::Execute, "{path}");
    }
}

#[tokio::test]
async fn pipes_are_never_opened() {
    let bench = ToolBench::new();
    assert_eq!(bench.run("shell", json!({"command": "mkfifo pipe"})).await.outcome, CallOutcome::Ok);
    for (name, args) in [
        ("read_file", json!({"path": "pipe"})),
        ("write_file", json!({"path": "pipe", "content": "x"})),
        ("edit_file", json!({"path": "pipe", "old": "x", "new": "y"})),
    ] {
        let done = bench.run(name, args).await;
        assert!(
            done.outcome == CallOutcome::Failed && done.text.contains("not a regular file"),
            "{name}: {}",
            done.text
        );
    }
    assert_eq!(bench.run("search", json!({"pattern": "x"})).await.outcome, CallOutcome::Ok);
}

#[tokio::test]
async fn asks_say_everything_and_their_patterns_match() {
    let bench = ToolBench::new();
    fs::create_dir(bench.path("src")).unwrap();
    for (name, args, subject, pattern, detail) in [
        ("shell", json!({"command": "git status -s"}), "git status -s", Some("shell(git status*)"), "git status -s"),
        ("shell", json!({"command": "a; b"}), "a; b", Some("shell(a) shell(b)"), "a; b"),
        ("shell", json!({"command": "a; $b"}), "a; $b", None, "a; $b"),
        ("write_file", json!({"path": "src/x", "content": "y"}), "src/x", Some("write_file(src/*)"), "+y"),
        (
            "fetch",
            json!({"url": "HTTPS://Example.COM/a?b"}),
            "https://example.com/a?b",
            Some("fetch(https://example.com/*)"),
            "a public name",
        ),
        (
            "fetch",
            json!({"url": "http://127.0.0.1:8080/"}),
            "http://127.0.0.1:8080/",
            Some("fetch(http://127.0.0.1:8080/*)"),
            "this machine (loopback)",
        ),
        (
            "fetch",
            json!({"url": "http://192.168.1.1/"}),
            "http://192.168.1.1/",
            Some("fetch(http://192.168.1.1/*)"),
            "the private network",
        ),
    ] {
        let request = bench.ask(name, args).await.unwrap();
        assert_eq!(
            (request.tool.as_str(), request.subject.as_str(), request.pattern.as_deref()),
            (name, subject, pattern)
        );
        assert!(request.detail.contains(detail), "{}", request.detail);
        assert_eq!(request.folder, bench.ctx.folder.display().to_string());
        if let Some(pattern) = request.pattern {
            let patterns = Pattern::parse_list_for(name, &pattern).unwrap();
            let is_line = request.kind == ToolKind::Execute;
            let allows = match &patterns[..] {
                [pattern] => pattern.allows(name, request.kind, subject),
                _ => is_line && allow_line(&patterns.iter().collect::<Vec<_>>(), name, subject).is_some(),
            };
            assert!(allows, "{pattern}");
        }
    }
}

#[tokio::test]
async fn a_cancelled_call_says_so() {
    let bench = ToolBench::new();
    fs::write(bench.path("a"), "x\n").unwrap();
    bench.ctx.cancel.cancel();
    for (name, args) in [
        ("read_file", json!({"path": "a"})),
        ("list_dir", json!({})),
        ("search", json!({"pattern": "x"})),
        ("write_file", json!({"path": "a", "content": "y"})),
        ("edit_file", json!({"path": "a", "old": "x", "new": "y"})),
        ("shell", json!({"command": "echo y > a"})),
        ("fetch", json!({"url": "http://127.0.0.1:9/"})),
    ] {
        assert_eq!(bench.run(name, args).await.outcome, CallOutcome::Cancelled, "{name}");
    }
    assert_eq!(fs::read_to_string(bench.path("a")).unwrap(), "x\n");
}
