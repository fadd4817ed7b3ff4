//! Tests of the shell tool: what it gives, and that nothing of a command outlives it.

use super::*;

/// A pipe that the processes of a command hold open as their descriptor 9: its end is theirs.
struct LifeLine {
    receiver: pipe::Receiver,
    /// Keeps the pipe from ending before a command has opened it.
    held: Option<pipe::Sender>,
}

impl LifeLine {
    fn new(folder: &Path) -> Self {
        let path = folder.join("alive");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let receiver = pipe::OpenOptions::new().open_receiver(&path).unwrap();
        Self { receiver, held: Some(pipe::OpenOptions::new().open_sender(&path).unwrap()) }
    }

    /// Waits until a process says that it is there.
    async fn ready(&mut self) {
        let said = tokio::time::timeout(Duration::from_secs(20), self.receiver.read_u8()).await;
        assert_eq!(said.expect("a process begins").unwrap(), b'!');
    }

    /// Waits until no process is left.
    async fn ended(mut self) {
        self.held = None;
        let mut rest = Vec::new();
        let rest = self.receiver.read_to_end(&mut rest);
        tokio::time::timeout(Duration::from_secs(20), rest).await.expect("every process ends").unwrap();
    }
}

#[tokio::test]
async fn the_shell_gives_output_and_status() {
    let mut bench = ToolBench::new();
    for (command, outcome, text) in [
        ("echo out", CallOutcome::Ok, "out\n"),
        ("echo err >&2; exit 3", CallOutcome::Failed, "err\n[exit status 3]"),
        ("true", CallOutcome::Ok, "(no output)"),
        ("kill -9 $$", CallOutcome::Failed, "[killed by signal 9]"),
        ("cat; echo \"$TERM $PAGER $NO_COLOR $GIT_TERMINAL_PROMPT\"", CallOutcome::Ok, "dumb cat 1 0\n"),
        ("(: < /dev/tty) 2>/dev/null || echo no terminal", CallOutcome::Ok, "no terminal\n"),
        ("absent-program 2>/dev/null", CallOutcome::Failed, "[exit status 127]"),
    ] {
        let done = bench.run("shell", json!({"command": command})).await;
        assert_eq!(done, ToolResult { outcome, ..ToolResult::ok(text) }, "{command}");
    }
    let folder = bench.run("shell", json!({"command": "pwd -P"})).await;
    assert_eq!(folder.text.trim(), bench.ctx.folder.display().to_string());
    assert_eq!(bench.live.recv().await, Some(ToolProgress::Output(OutputStream::Stdout, "out\n".into())));
    assert_eq!(bench.live.recv().await, Some(ToolProgress::Output(OutputStream::Stderr, "err\n".into())));
}

#[tokio::test]
async fn output_is_live() {
    let mut bench = ToolBench::new();
    let (shell, ctx) = (tool("shell").await, bench.ctx.clone());
    let args = json!({"command": "echo first; until test -e go; do sleep 0.01; done; echo second"});
    let call = async { shell.run(&args, &ctx).await };
    let watch = async {
        assert_eq!(bench.live.recv().await, Some(ToolProgress::Output(OutputStream::Stdout, "first\n".into())));
        fs::write(bench.folder.path().join("go"), "").unwrap();
    };
    let (done, ()) = tokio::join!(call, watch);
    assert_eq!(done, ToolResult::ok("first\nsecond\n"));
}

/// A command with a grandchild that ignores SIGTERM.
const STUBBORN: &str = "exec 9>alive; echo so far
    bash -c 'trap \"\" TERM; printf ! >&9; while :; do sleep 0.05; done' & wait";

#[tokio::test]
async fn cancelling_ends_the_whole_group_and_keeps_the_output() {
    let bench = ToolBench::new();
    let mut life = LifeLine::new(bench.folder.path());
    let args = json!({"command": STUBBORN});
    let cancel = async {
        life.ready().await;
        bench.ctx.cancel.cancel();
    };
    let (done, ()) = tokio::join!(bench.run("shell", args), cancel);
    assert_eq!(done, ToolResult::cancelled("so far\n[stopped before it finished]"));
    life.ended().await;
}

#[tokio::test]
async fn dropping_the_call_ends_the_whole_group() {
    let bench = ToolBench::new();
    let mut life = LifeLine::new(bench.folder.path());
    let args = json!({"command": STUBBORN});
    tokio::select! {
        done = bench.run("shell", args) => panic!("ended: {}", done.text),
        () = life.ready() => {}
    }
    life.ended().await;
}

#[tokio::test]
async fn what_is_left_in_the_background_is_stopped() {
    for (redirected, done) in [("", "done\n[its background processes were stopped]"), (">/dev/null 2>&1", "done\n")] {
        let bench = ToolBench::new();
        let life = LifeLine::new(bench.folder.path());
        let command = format!("exec 9>alive; sleep 600 {redirected} & echo done");
        assert_eq!(bench.run("shell", json!({"command": command})).await, ToolResult::ok(done));
        life.ended().await;
    }
}

#[tokio::test]
async fn a_command_that_prints_without_end_is_stopped() {
    let ToolBench { ctx, mut live, folder: _folder } = ToolBench::new();
    let (shell, args) = (tool("shell").await, json!({"command": "yes"}));
    // Nobody reads more of the live output: its channel fills up, and cancelling still works.
    let cancel = async {
        assert!(live.recv().await.is_some());
        ctx.cancel.cancel();
    };
    let (done, ()) = tokio::join!(shell.run(&args, &ctx), cancel);
    assert_eq!(done.outcome, CallOutcome::Cancelled);
    assert!(done.text.starts_with("y\ny\n"));
}

#[tokio::test]
async fn huge_output_is_bounded_and_keeps_its_end() {
    let ToolBench { ctx, mut live, folder: _folder } = ToolBench::new();
    let args = json!({"command": "head -c 200000000 /dev/zero | tr '\\0' x; echo; echo the end"});
    let shell = tool("shell").await;
    let call = async {
        let done = shell.run(&args, &ctx).await;
        drop(ctx);
        done
    };
    let count = async {
        let mut bytes = 0;
        while let Some(ToolProgress::Output(_, piece)) = live.recv().await {
            bytes += piece.len();
        }
        bytes
    };
    let (done, live) = tokio::join!(call, count);
    assert_eq!(done.outcome, CallOutcome::Ok);
    assert!(done.text.len() < 9 << 20 && live < 9 << 20, "{} {live}", done.text.len());
    assert!(done.text.contains("left out") && done.text.ends_with("\nthe end\n"));
    assert_eq!(done.printed_bytes, Some(200_000_009));
}

#[tokio::test]
async fn a_command_does_not_see_the_variables_that_hold_keys() {
    let bench = ToolBench::new();
    let done = bench.run("shell", json!({"command": "echo home=${HOME:-none} path=${PATH:+there}"})).await;
    assert_eq!(done.text.trim(), "home=none path=there");
}
