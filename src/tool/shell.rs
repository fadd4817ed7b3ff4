//! Runs a shell command in a session and process group of its own.
//!
//! The command has no terminal: it can neither read the person's keys nor write on their screen. Output is streamed as
//! it comes and kept in bounded memory. Whatever ends the call (the command itself, a cancel, a drop) ends the group.
//!
//! Where the machine has a sandbox ([`crate::sandbox`]) the command runs inside of it, below a supervisor that ends every
//! process that came of it. Without one, a process that deliberately leaves the group survives.

mod place;

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use place::CommandPlace;

use super::args::ToolArgs;
use super::truncate::BoundedOutput;
use super::{CallDescription, SubjectPermission, Tool, ToolContext, ToolProgress, ToolResult, ToolTimeouts};
use crate::event::command_line::{CommandLine, CommandPart};
use crate::event::{CallOutcome, Json, OutputStream, Risk, ToolKind, ToolSpec};
use crate::sandbox::{ConfinedChild, SandboxRules, SandboxedCommand};
use crate::text::one_line;

pub(super) struct Shell;

/// Limit of a client's resources in the environment.
const MAX_RESOURCES_BYTES: usize = 32 * 1024;
/// From SIGTERM to SIGKILL.
const KILL_GRACE_PERIOD: Duration = Duration::from_millis(700);
/// How long to wait for output of background processes after the command ended.
const BACKGROUND_OUTPUT_TIMEOUT: Duration = Duration::from_millis(300);
const SIGTERM: i32 = 15;
/// Cells of the reason why a command has to run outside.
const MAX_REASON_CELLS: usize = 200;

impl Tool for Shell {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: "shell".into(),
            description: "Runs a command with bash in the working folder and returns its output. There is no terminal \
                          and no input; processes that it leaves behind are stopped when it ends. With `background` it \
                          goes on while you do something else, and task_output tells what it printed. Usually it runs \
                          in a sandbox: it writes only in the folder and in /tmp, and has no network."
                .into(),
            parameters: json!({
                "type": "object",
                "properties": {
                    "command": {"type": "string", "description": "The command line."},
                    "background": {"type": "boolean", "description": "For servers, watchers and what takes long."},
                    "outside_sandbox": {"type": "boolean", "description": "Asks the person whether it may run outside \
                        of the sandbox. Only for what was refused inside, and with a reason."},
                    "reason": {"type": "string", "description": "Why it has to run outside, in a few words."}
                },
                "required": ["command"]
            }),
            risk: Risk::Execute,
        }
    }

    fn kind(&self) -> ToolKind {
        ToolKind::Execute
    }

    fn timeout(&self, timeouts: ToolTimeouts) -> Duration {
        timeouts.command
    }

    fn describe<'a>(&'a self, args: &'a Json, ctx: &'a ToolContext) -> BoxFuture<'a, Result<CallDescription, String>> {
        Box::pin(async move {
            let command = parse_command(args)?;
            let goes_on =
                if is_background(args)? { "\n\n(in the background, until it ends or is stopped)" } else { "" };
            let place = CommandPlace::of(ctx, asks_to_leave(args)).await;
            Ok(CallDescription {
                detail: format!("{command}{goes_on}"),
                similar: similar_commands(&command),
                sandbox: place.note(reason_to_leave(args).as_deref()),
                ..CallDescription::new(Risk::Execute, command)
            })
        })
    }

    fn run<'a>(&'a self, args: &'a Json, ctx: &'a ToolContext) -> BoxFuture<'a, ToolResult> {
        Box::pin(async move {
            let command = match parse_command(args) {
                Ok(command) => command,
                Err(error) => return ToolResult::failed(error),
            };
            if ctx.cancel.is_cancelled() {
                return ToolResult::cancelled("cancelled before it started");
            }
            let leaves = asks_to_leave(args);
            if is_background(args).unwrap_or_default() {
                return start_in_background(&command, ctx, leaves);
            }
            let place = CommandPlace::of(ctx, leaves).await;
            let advice = "repeat the call with `outside_sandbox` to ask the person whether it may run outside";
            match start(&command, ctx, &place) {
                Ok(running) => run(running, ctx).await.into_result(&place, advice),
                Err(error) => ToolResult::failed(format!("the shell could not be started: {error}")),
            }
        })
    }
}

fn is_background(args: &Json) -> Result<bool, String> {
    ToolArgs::new(args)?.boolean(&["background", "run_in_background"])
}

fn start_in_background(command: &str, ctx: &ToolContext, leaves: bool) -> ToolResult {
    let Some(background) = &ctx.background else {
        return ToolResult::failed("nothing can run in the background here");
    };
    let sandbox = ctx.sandbox.clone().filter(|_| !leaves);
    match background.start(command, &ToolContext { sandbox, ..ctx.clone() }) {
        Ok(id) => ToolResult::ok(format!("runs as background command {id}; task_output tells what it prints")),
        Err(why) => ToolResult::failed(why),
    }
}

fn asks_to_leave(args: &Json) -> bool {
    args.get("outside_sandbox").and_then(Json::as_bool).unwrap_or(false)
}

fn reason_to_leave(args: &Json) -> Option<String> {
    let reason = args.get("reason")?.as_str()?.trim();
    (!reason.is_empty()).then(|| one_line(reason, MAX_REASON_CELLS))
}

fn parse_command(args: &Json) -> Result<String, String> {
    let command = ToolArgs::new(args)?.string(&["command", "cmd"])?;
    if command.trim().is_empty() {
        return Err("the argument `command` is empty".into());
    }
    Ok(command.trim().to_owned())
}

/// Returns "commands like this one", written with `*`, for each part of a command line; nothing for a line with a part
/// that can't be described so, or that may run more than what stands there.
fn similar_commands(command: &str) -> Vec<String> {
    let line = CommandLine::read(command);
    let similar: Option<Vec<String>> = line.parts_with_rules().map(similar_command).collect();
    let mut similar = similar.filter(|_| line.unread.is_none()).unwrap_or_default();
    let mut known = HashSet::new();
    similar.retain(|glob| known.insert(glob.clone()));
    similar
}

/// Returns the narrowest rule that is of use again. If the first words say little about what a command does, it is this
/// exact command.
fn similar_command(part: &CommandPart) -> Option<String> {
    const SUBCOMMAND_PROGRAMS: &[&str] = &[
        "apt",
        "brew",
        "bun",
        "cargo",
        "deno",
        "docker",
        "dotnet",
        "gh",
        "git",
        "go",
        "helm",
        "just",
        "kubectl",
        "make",
        "mvn",
        "npm",
        "pip",
        "pnpm",
        "podman",
        "poetry",
        "rustup",
        "systemctl",
        "terraform",
        "uv",
        "yarn",
    ];
    const HARMLESS_PROGRAMS: &[&str] = &[
        "basename", "cat", "cd", "date", "df", "diff", "dirname", "du", "echo", "file", "grep", "head", "id", "jq",
        "ls", "nl", "printf", "ps", "pwd", "pytest", "realpath", "rg", "stat", "tail", "tree", "true", "uname", "uniq",
        "wc", "which", "whoami",
    ];
    if part.text.contains(['\n', '*']) {
        return None;
    }
    let exact = || (part.text.len() <= 200).then(|| part.text.clone());
    if !part.is_literal() || part.is_redirection() {
        return exact();
    }
    let mut words = part.words();
    let first = words.next()?;
    let is_verb = |word: &&str| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    };
    if SUBCOMMAND_PROGRAMS.contains(&first)
        && let Some(verb) = words.next().filter(is_verb)
    {
        return Some(format!("{first} {verb}*"));
    }
    if HARMLESS_PROGRAMS.contains(&first) {
        return Some(format!("{first} *"));
    }
    exact()
}

/// How a command ended, and what it printed.
pub(super) struct CommandEnd {
    /// None if it could not be stopped.
    pub(super) status: Option<io::Result<ExitStatus>>,
    pub(super) text: String,
    /// Bytes that were printed, if that was too much to keep.
    pub(super) printed_bytes: Option<u64>,
    pub(super) is_cancelled: bool,
    left_running: bool,
}

/// Returns how a command ended, in words.
pub(super) fn end_note(end: &CommandEnd) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match &end.status {
        _ if end.is_cancelled => "stopped".into(),
        Some(Ok(status)) => match (status.code(), status.signal()) {
            (Some(code), _) => format!("exit status {code}"),
            (None, Some(signal)) => format!("killed by signal {signal}"),
            (None, None) => "no exit status".into(),
        },
        Some(Err(error)) => format!("waiting for it failed: {error}"),
        None => "it could not be stopped".into(),
    }
}

impl CommandEnd {
    /// `advice` is what to do where the sandbox was in the way.
    fn into_result(self, place: &CommandPlace, advice: &str) -> ToolResult {
        let mut done = if self.is_cancelled {
            ToolResult::cancelled(append_note(self.text, "stopped before it finished"))
        } else {
            result_of(self.status, self.text, self.left_running)
        };
        if done.outcome == CallOutcome::Failed
            && let Some(refused) = place.refusal(&done.text)
        {
            done.text = append_note(done.text, &format!("{refused}; {advice}"));
        }
        ToolResult { printed_bytes: self.printed_bytes, ..done }
    }
}

/// Runs a command line of the person, who needs nobody's approval, as the tool would.
pub async fn run_for_person(
    command: &str,
    folder: &Path,
    hidden_env_vars: &Arc<[String]>,
    sandbox: Option<Arc<SandboxRules>>,
    progress: mpsc::Sender<ToolProgress>,
    cancel: CancellationToken,
) -> ToolResult {
    let ctx = ToolContext {
        folder: folder.to_owned(),
        extra_folders: Vec::new(),
        hidden_env_vars: Arc::clone(hidden_env_vars),
        sandbox,
        check_subject: Arc::new(|_| SubjectPermission::Allowed),
        resources: None,
        approved_hunks: None,
        keep_version: None,
        background: None,
        ask: None,
        progress,
        cancel,
    };
    // `!!` is for what the sandbox is in the way of.
    let outside = command.strip_prefix('!');
    let place = CommandPlace::of(&ctx, outside.is_some()).await;
    match start(outside.unwrap_or(command).trim(), &ctx, &place) {
        Ok(running) => run(running, &ctx).await.into_result(&place, "`!!` in place of `!` runs it outside"),
        Err(error) => ToolResult::failed(format!("the shell could not be started: {error}")),
    }
}

/// Runs a command line in the folder of the context; its output is told as it comes.
///
/// # Errors
///
/// Fails if there is no shell, or no such folder.
pub(super) async fn run_command(command: &str, ctx: &ToolContext) -> io::Result<CommandEnd> {
    let place = CommandPlace::of(ctx, false).await;
    Ok(run(start(command, ctx, &place)?, ctx).await)
}

fn start(command: &str, ctx: &ToolContext, place: &CommandPlace) -> io::Result<ConfinedChild> {
    let inside = place.supervised("bash", command);
    let hidden = place.hidden_variables();
    let spawn = |shell: &str| {
        let mut process = SandboxedCommand::or_plain(inside.as_ref(), shell, ["-c", command]);
        process
            .current_dir(&ctx.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env("NO_COLOR", "1")
            .env("TERM", "dumb")
            .env("PAGER", "cat")
            .env("GIT_PAGER", "cat")
            .env("GIT_TERMINAL_PROMPT", "0");
        // Longer values don't fit into the environment.
        match ctx.resources.as_ref().map(ToString::to_string).filter(|given| given.len() <= MAX_RESOURCES_BYTES) {
            Some(given) => process.env("JARVIS_TOOL_RESOURCES", given),
            None => process.env_remove("JARVIS_TOOL_RESOURCES"),
        };
        // The command's output is logged and sent to the model.
        for name in ctx.hidden_env_vars.iter().chain(&hidden) {
            process.env_remove(name);
        }
        ConfinedChild::start(process, inside.is_some())
    };
    match spawn("bash") {
        Err(error) if error.kind() == io::ErrorKind::NotFound => spawn("sh"),
        other => other,
    }
}

/// Runs a command to its end, and ends what it started.
async fn run(mut running: ConfinedChild, ctx: &ToolContext) -> CommandEnd {
    let mut stdout = OutputPipe::new(running.child.stdout().take(), OutputStream::Stdout);
    let mut stderr = OutputPipe::new(running.child.stderr().take(), OutputStream::Stderr);
    let mut output = BoundedOutput::default();
    let mut status = None;
    let mut cancelled = false;
    // What happens at `deadline`: first the group is killed, then waiting for output ends.
    let mut deadline: Option<Instant> = None;
    let mut killed = false;
    let mut left_running = false;

    while status.is_none() || stdout.is_open() || stderr.is_open() {
        // Endings come before output: a command that prints endlessly has to be stoppable. Standard output comes
        // before standard error, which can't be starved: a full pipe stops the command.
        tokio::select! {
            biased;
            () = ctx.cancel.cancelled(), if !cancelled => {
                cancelled = true;
                let _ = running.child.signal(SIGTERM);
                deadline = Some(Instant::now() + KILL_GRACE_PERIOD);
            }
            () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                if killed {
                    break;
                }
                killed = true;
                left_running = status.is_some() && !cancelled;
                running.end_now();
                deadline = Some(Instant::now() + KILL_GRACE_PERIOD);
            }
            // The process itself, not the group: waiting for the group would block if this process adopts orphans.
            ended = running.child.inner_mut().wait(), if status.is_none() => {
                status = Some(ended);
                if deadline.is_none() {
                    deadline = Some(Instant::now() + BACKGROUND_OUTPUT_TIMEOUT);
                }
            }
            piece = stdout.read() => forward(&piece, stdout.stream, &mut output, status.is_some(), ctx).await,
            piece = stderr.read() => forward(&piece, stderr.stream, &mut output, status.is_some(), ctx).await,
        }
    }
    // Processes that closed their output may be left.
    running.end_now();
    let printed_bytes = output.total_if_truncated();
    CommandEnd { status, text: output.into_text(), printed_bytes, is_cancelled: cancelled, left_running }
}

fn result_of(status: Option<io::Result<ExitStatus>>, text: String, left_running: bool) -> ToolResult {
    match status {
        Some(Ok(status)) => {
            let text = if left_running { append_note(text, "its background processes were stopped") } else { text };
            result_of_exit(status, text)
        }
        Some(Err(error)) => ToolResult::failed(append_note(text, &format!("waiting for it failed: {error}"))),
        None => ToolResult::failed(append_note(text, "it could not be stopped")),
    }
}

fn result_of_exit(status: ExitStatus, text: String) -> ToolResult {
    use std::os::unix::process::ExitStatusExt;
    if status.success() {
        return ToolResult::ok(if text.is_empty() { "(no output)".into() } else { text });
    }
    ToolResult::failed(match (status.code(), status.signal()) {
        (Some(code), _) => append_note(text, &format!("exit status {code}")),
        (None, Some(signal)) => append_note(text, &format!("killed by signal {signal}")),
        (None, None) => append_note(text, "it exited without a status"),
    })
}

fn append_note(mut text: String, note: &str) -> String {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push('[');
    text.push_str(note);
    text.push(']');
    text
}

/// Keeps a piece and forwards it. A slow receiver slows the command down, but never a cancel or the end.
async fn forward(piece: &str, stream: OutputStream, output: &mut BoundedOutput, ended: bool, ctx: &ToolContext) {
    let live = output.push(piece);
    if live == 0 || ctx.cancel.is_cancelled() {
        return;
    }
    let piece = ToolProgress::Output(stream, piece[..live].to_owned());
    if ended {
        let _ = ctx.progress.try_send(piece);
        return;
    }
    tokio::select! {
        biased;
        () = ctx.cancel.cancelled() => {}
        _ = ctx.progress.send(piece) => {}
    }
}

/// An output stream of the command, as text. The bytes of a character split between two reads wait for the rest.
struct OutputPipe<R> {
    reader: Option<R>,
    stream: OutputStream,
    buffer: Box<[u8]>,
    /// Bytes at the start of `buffer` that wait.
    pending_bytes: usize,
}

impl<R: AsyncRead + Unpin> OutputPipe<R> {
    fn new(reader: Option<R>, stream: OutputStream) -> Self {
        Self { reader, stream, buffer: vec![0; 16 << 10].into(), pending_bytes: 0 }
    }

    fn is_open(&self) -> bool {
        self.reader.is_some()
    }

    /// Returns the next piece; never completes once the pipe is closed. Cancel-safe.
    async fn read(&mut self) -> String {
        let Some(reader) = &mut self.reader else { return std::future::pending().await };
        let Ok(length @ 1..) = reader.read(&mut self.buffer[self.pending_bytes..]).await else {
            self.reader = None;
            return String::from_utf8_lossy(&self.buffer[..self.pending_bytes]).into_owned();
        };
        let bytes = &self.buffer[..self.pending_bytes + length];
        let whole = complete_chars_len(bytes);
        let text = String::from_utf8_lossy(&bytes[..whole]).into_owned();
        let end = bytes.len();
        self.buffer.copy_within(whole..end, 0);
        self.pending_bytes = end - whole;
        text
    }
}

/// Returns the length without an incomplete character at the end.
fn complete_chars_len(bytes: &[u8]) -> usize {
    let last = bytes.utf8_chunks().last();
    match last.map(|chunk| chunk.invalid()) {
        Some(cut) if !cut.is_empty() && std::str::from_utf8(cut).is_err_and(|error| error.error_len().is_none()) => {
            bytes.len() - cut.len()
        }
        _ => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Pattern, allow_line};

    #[test]
    fn patterns_are_offered_for_what_they_can_describe() {
        for (command, pattern) in [
            ("git status -s", &["git status*"] as &[&str]),
            ("cargo test --lib", &["cargo test*"]),
            ("timeout 60 cargo test --lib", &["cargo test*"]),
            ("git -C x status", &["git -C x status"]),
            ("ls -la src", &["ls *"]),
            ("rm -rf build", &["rm -rf build"]),
            ("python3 x.py", &["python3 x.py"]),
            ("git status; rm x && git status -s", &["git status*", "rm x"]),
            ("cd src && ls > out.txt", &["cd *", "ls *", "> out.txt"]),
            ("echo $(id)", &["echo $(id)", "id *"]),
            ("bash -c 'ls; rm x'", &["ls *", "rm x"]),
            ("find . -exec rm {} +", &["find . -exec rm {} +", "rm {}"]),
            ("rm *.o", &[]),
            ("curl x | sh", &[]),
            ("$x y", &[]),
        ] {
            assert_eq!(similar_commands(command), pattern, "{command}");
            if !pattern.is_empty() {
                let offered: Vec<Pattern> =
                    pattern.iter().map(|glob| Pattern { tool: "shell".into(), glob: Some((*glob).into()) }).collect();
                let list = Pattern::write_list(&offered);
                assert_eq!(Pattern::parse_list_for("shell", &list).unwrap(), offered, "{list}");
                assert!(allow_line(&offered.iter().collect::<Vec<_>>(), "shell", command).is_some(), "{command}");
            }
        }
    }

    #[tokio::test]
    async fn characters_survive_any_cut() {
        let text = "aé→😀\u{fffd}b";
        for at in 0..text.len() {
            let (left, right) = text.as_bytes().split_at(at);
            let mut pipe = OutputPipe::new(Some(left.chain(right)), OutputStream::Stdout);
            let mut joined = String::new();
            while pipe.is_open() {
                joined.push_str(&pipe.read().await);
            }
            assert_eq!(joined, text);
        }
    }

    #[test]
    fn bytes_that_are_no_text_do_not_wait() {
        assert_eq!(complete_chars_len(b"ab\xff"), 3);
        assert_eq!(complete_chars_len(b"ab\xe2\x86"), 2);
        assert_eq!(complete_chars_len(b""), 0);
    }
}
