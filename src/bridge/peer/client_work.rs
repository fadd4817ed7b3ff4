//! Does what an agent has its client do, once it may: files through the tools' own limits, commands as the shell tool
//! runs them. A terminal runs until it ends, is stopped, or the session is over.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::machine::{PeerTask, terminal_name};
use super::protocol::{QuestionNumber, WorkResult};
use crate::dialect::acp::ClientWork;
use crate::event::{ApprovalRequest, CallOutcome, Json};
use crate::tool::by_request::{CommandExit, LineRange, in_folder, read_text, run_command};
use crate::tool::{Registry, SubjectPermission, ToolContext, ToolProgress};

/// Terminals that are kept until the agent lets go of them.
const MAX_TERMINALS: usize = 32;
/// Bytes of output that a terminal keeps, the newest; an agent may want fewer.
const MAX_OUTPUT_BYTES: usize = 1024 * 1024;

/// What files and commands are worked with.
pub struct PeerTools {
    /// The tools by which requests are described.
    pub tools: Registry,
    pub folder: PathBuf,
    /// Further folders that file tools may use, canonical.
    pub extra_folders: Vec<PathBuf>,
    /// Environment variables that are hidden from commands because they hold keys.
    pub hidden_env_vars: Arc<[String]>,
}

/// What came of it.
pub(super) enum WorkEvent {
    Described(QuestionNumber, Result<ApprovalRequest, String>),
    Done(QuestionNumber, Result<WorkResult, String>),
    Output(String, String),
    Ended(String, CommandExit),
}

pub(super) struct ClientWorker {
    setup: PeerTools,
    is_listed: bool,
    tasks: JoinSet<()>,
    sender: mpsc::Sender<WorkEvent>,
    events: mpsc::Receiver<WorkEvent>,
    /// What is known at once.
    ready: VecDeque<WorkEvent>,
    running: HashMap<QuestionNumber, CancellationToken>,
    terminals: HashMap<String, ClientTerminal>,
}

struct ClientTerminal {
    output: String,
    is_cut: bool,
    max_bytes: usize,
    exit: Option<CommandExit>,
    cancel: CancellationToken,
    waiting: Vec<QuestionNumber>,
}

impl ClientWorker {
    pub(super) fn new(setup: PeerTools) -> Self {
        // A terminal that prints faster than is told waits.
        let (sender, events) = mpsc::channel(64);
        let (tasks, ready) = (JoinSet::new(), VecDeque::new());
        let (running, terminals) = (HashMap::new(), HashMap::new());
        Self { setup, is_listed: false, tasks, sender, events, ready, running, terminals }
    }

    pub(super) async fn start(&mut self, task: PeerTask) {
        match task {
            PeerTask::Describe(number, work) => self.describe(number, &work).await,
            PeerTask::Run(number, work) => self.run(number, work),
            PeerTask::Forget(number) => {
                if let Some(cancel) = self.running.remove(&number) {
                    cancel.cancel();
                }
                self.terminals.values_mut().for_each(|terminal| terminal.waiting.retain(|waiting| *waiting != number));
            }
            PeerTask::StopTerminals => self.terminals.values().for_each(|terminal| terminal.cancel.cancel()),
        }
    }

    /// Returns the next thing that happened; never where nothing runs. Cancel-safe.
    pub(super) async fn next(&mut self) -> WorkEvent {
        if let Some(event) = self.ready.pop_front() {
            return event;
        }
        while self.tasks.try_join_next().is_some() {}
        // The other end is held here.
        let Some(event) = self.events.recv().await else { return std::future::pending().await };
        match &event {
            WorkEvent::Output(name, piece) => {
                if let Some(terminal) = self.terminals.get_mut(name) {
                    terminal.push(piece);
                }
            }
            WorkEvent::Ended(name, exit) => self.note_end(name, exit),
            WorkEvent::Done(number, _) => {
                self.running.remove(number);
            }
            WorkEvent::Described(..) => {}
        }
        event
    }

    fn context(&self, cancel: CancellationToken, progress: mpsc::Sender<ToolProgress>) -> ToolContext {
        ToolContext {
            folder: self.setup.folder.clone(),
            extra_folders: self.setup.extra_folders.clone(),
            hidden_env_vars: Arc::clone(&self.setup.hidden_env_vars),
            // What the agent itself does is not confined, and it can't ask to leave.
            sandbox: None,
            // None of these leads to a second subject.
            check_subject: Arc::new(|_| SubjectPermission::NeedsApproval),
            resources: None,
            approved_hunks: None,
            keep_version: None,
            background: None,
            ask: None,
            progress,
            cancel,
        }
    }

    async fn describe(&mut self, number: QuestionNumber, work: &ClientWork) {
        if !std::mem::replace(&mut self.is_listed, true) {
            // The built-in ones are listed at once.
            self.setup.tools.refresh().await;
        }
        let (name, args): (&str, Json) = match work {
            ClientWork::ReadFile { path, .. } => ("read_file", json!({ "path": path })),
            ClientWork::WriteFile { path, content } => ("write_file", json!({"path": path, "content": content})),
            ClientWork::StartTerminal { command, .. } => ("shell", json!({ "command": command })),
            _ => return,
        };
        let Some(tool) = self.setup.tools.get(name).cloned() else {
            return self.ready.push_back(WorkEvent::Described(number, Err(format!("there is no tool {name} here"))));
        };
        let folder = match work {
            ClientWork::StartTerminal { folder, .. } => folder.clone(),
            _ => None,
        };
        let (ctx, sender) = (self.context(CancellationToken::new(), mpsc::channel(1).0), self.sender.clone());
        self.tasks.spawn(async move {
            let described = async {
                let ctx = match &folder {
                    Some(folder) => in_folder(folder, &ctx)?,
                    None => ctx,
                };
                tool.approval_request(&args, &ctx).await
            };
            let _ = sender.send(WorkEvent::Described(number, described.await)).await;
        });
    }

    fn run(&mut self, number: QuestionNumber, work: ClientWork) {
        let done = match work {
            ClientWork::ReadFile { path, first_line, line_count } => {
                let lines = LineRange { first: first_line, count: line_count };
                return self.spawn(number, move |ctx| async move {
                    read_text(&path, lines, &ctx).await.map(WorkResult::Text)
                });
            }
            ClientWork::WriteFile { path, content } => {
                let tool = self.setup.tools.get("write_file").cloned();
                return self.spawn(number, move |ctx| async move {
                    let tool = tool.ok_or("there is no tool write_file here")?;
                    let done = tool.run(&json!({"path": path, "content": content}), &ctx).await;
                    match done.outcome {
                        CallOutcome::Ok => Ok(WorkResult::Done),
                        _ => Err(done.text),
                    }
                });
            }
            ClientWork::StartTerminal { command, folder, max_output_bytes } => {
                self.start_terminal(number, command, folder.as_deref(), max_output_bytes)
            }
            ClientWork::AwaitTerminal(name) => match self.terminals.get_mut(&name) {
                Some(ClientTerminal { exit: None, waiting, .. }) => return waiting.push(number),
                Some(ClientTerminal { exit: Some(exit), .. }) => Ok(WorkResult::Exited(exit.clone())),
                None => Err(no_terminal(&name)),
            },
            ClientWork::ReadTerminal(name) => {
                self.terminals.get(&name).map(ClientTerminal::output).ok_or(no_terminal(&name))
            }
            ClientWork::KillTerminal(name) => self.stop(&name).map(|()| WorkResult::Done),
            ClientWork::ReleaseTerminal(name) => {
                let stopped = self.stop(&name).map(|()| WorkResult::Done);
                if let Some(released) = self.terminals.remove(&name) {
                    let exit = released.exit.unwrap_or_default();
                    let waiting = released.waiting.into_iter();
                    let done = waiting.map(|number| WorkEvent::Done(number, Ok(WorkResult::Exited(exit.clone()))));
                    self.ready.extend(done);
                }
                stopped
            }
        };
        self.ready.push_back(WorkEvent::Done(number, done));
    }

    fn stop(&mut self, name: &str) -> Result<(), String> {
        let terminal = self.terminals.get(name).ok_or(no_terminal(name))?;
        terminal.cancel.cancel();
        Ok(())
    }

    fn spawn<F>(&mut self, number: QuestionNumber, work: impl FnOnce(ToolContext) -> F + Send + 'static)
    where
        F: Future<Output = Result<WorkResult, String>> + Send,
    {
        let cancel = CancellationToken::new();
        let ctx = self.context(cancel.clone(), mpsc::channel(1).0);
        self.running.insert(number, cancel);
        let sender = self.sender.clone();
        self.tasks.spawn(async move {
            let done = work(ctx).await;
            let _ = sender.send(WorkEvent::Done(number, done)).await;
        });
    }

    fn start_terminal(
        &mut self,
        number: QuestionNumber,
        command: String,
        folder: Option<&str>,
        max_bytes: Option<usize>,
    ) -> Result<WorkResult, String> {
        if self.terminals.len() >= MAX_TERMINALS {
            return Err(format!("{MAX_TERMINALS} terminals are open: release some first"));
        }
        let (cancel, name) = (CancellationToken::new(), terminal_name(number));
        // Capacity as for a tool of our own.
        let (progress, mut pieces) = mpsc::channel(16);
        let ctx = self.context(cancel.clone(), progress);
        let ctx = match folder {
            Some(folder) => in_folder(folder, &ctx)?,
            None => ctx,
        };
        let (sender, of) = (self.sender.clone(), name.clone());
        self.tasks.spawn(async move {
            let run = async move {
                let ended = run_command(&command, &ctx).await;
                drop(ctx);
                ended
            };
            let tell = async {
                while let Some(progress) = pieces.recv().await {
                    if let ToolProgress::Output(_, piece) = progress {
                        let _ = sender.send(WorkEvent::Output(of.clone(), piece)).await;
                    }
                }
            };
            let (ended, ()) = tokio::join!(run, tell);
            let exit =
                ended.unwrap_or_else(|why| CommandExit { code: Some(127), output: why, ..CommandExit::default() });
            let _ = sender.send(WorkEvent::Ended(of, exit)).await;
        });
        let max_bytes = max_bytes.unwrap_or(MAX_OUTPUT_BYTES).min(MAX_OUTPUT_BYTES);
        let (output, waiting) = (String::new(), Vec::new());
        let terminal = ClientTerminal { output, is_cut: false, max_bytes, exit: None, cancel, waiting };
        self.terminals.insert(name.clone(), terminal);
        Ok(WorkResult::Terminal(name))
    }

    fn note_end(&mut self, name: &str, exit: &CommandExit) {
        let Some(terminal) = self.terminals.get_mut(name) else { return };
        terminal.output.clear();
        terminal.is_cut = exit.is_cut;
        terminal.push(&exit.output);
        terminal.exit = Some(CommandExit { output: String::new(), ..exit.clone() });
        let waiting = std::mem::take(&mut terminal.waiting).into_iter();
        let told = terminal.exit.clone().unwrap_or_default();
        self.ready.extend(waiting.map(|number| WorkEvent::Done(number, Ok(WorkResult::Exited(told.clone())))));
    }
}

impl ClientTerminal {
    /// Adds a piece; the oldest output gives way.
    fn push(&mut self, piece: &str) {
        self.output.push_str(piece);
        let excess = self.output.len().saturating_sub(self.max_bytes);
        if excess > 0 {
            self.is_cut = true;
            self.output.drain(..self.output.ceil_char_boundary(excess));
        }
    }

    fn output(&self) -> WorkResult {
        WorkResult::Output { text: self.output.clone(), is_cut: self.is_cut, exit: self.exit.clone() }
    }
}

fn no_terminal(name: &str) -> String {
    format!("there is no terminal {name:?}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tool::{BuiltinTools, ToolSource, ToolTimeouts};

    const LIMIT: std::time::Duration = std::time::Duration::from_secs(30);

    fn worker(folder: &std::path::Path) -> ClientWorker {
        let timeouts = ToolTimeouts { usual: LIMIT, command: LIMIT };
        let source: Arc<dyn ToolSource> = Arc::new(BuiltinTools::new(timeouts));
        ClientWorker::new(PeerTools {
            tools: Registry::new([source]),
            folder: folder.canonicalize().unwrap(),
            extra_folders: Vec::new(),
            hidden_env_vars: ["PEER_TEST_SECRET".to_owned()].into(),
        })
    }

    fn terminal(command: &str, max_output_bytes: Option<usize>) -> ClientWork {
        ClientWork::StartTerminal { command: command.into(), folder: None, max_output_bytes }
    }

    /// Runs until a request is answered; returns the answer and what terminals printed until then.
    async fn done(worker: &mut ClientWorker, wanted: u64) -> (Result<WorkResult, String>, String) {
        let mut printed = String::new();
        loop {
            match worker.next().await {
                WorkEvent::Done(number, result) if number == QuestionNumber(wanted) => return (result, printed),
                WorkEvent::Output(_, piece) => printed.push_str(&piece),
                WorkEvent::Done(..) | WorkEvent::Described(..) | WorkEvent::Ended(..) => {}
            }
        }
    }

    async fn run(worker: &mut ClientWorker, number: u64, work: ClientWork) -> (Result<WorkResult, String>, String) {
        worker.start(PeerTask::Run(QuestionNumber(number), work)).await;
        done(worker, number).await
    }

    #[tokio::test]
    async fn a_terminal_is_waited_for_read_and_released() {
        let folder = tempfile::tempdir().unwrap();
        let mut worker = worker(folder.path());
        let (started, _) = run(&mut worker, 1, terminal("echo \"one $PEER_TEST_SECRET\"; exit 3", None)).await;
        let name = terminal_name(QuestionNumber(1));
        assert_eq!(started, Ok(WorkResult::Terminal(name.clone())));
        let (exited, printed) = run(&mut worker, 2, ClientWork::AwaitTerminal(name.clone())).await;
        let exit = CommandExit { code: Some(3), ..CommandExit::default() };
        assert_eq!((exited, printed.as_str()), (Ok(WorkResult::Exited(exit.clone())), "one \n"));
        let (read, _) = run(&mut worker, 3, ClientWork::ReadTerminal(name.clone())).await;
        assert_eq!(read, Ok(WorkResult::Output { text: "one \n".into(), is_cut: false, exit: Some(exit) }));
        assert_eq!(run(&mut worker, 4, ClientWork::ReleaseTerminal(name.clone())).await.0, Ok(WorkResult::Done));
        assert!(run(&mut worker, 5, ClientWork::ReadTerminal(name)).await.0.is_err(), "it is gone");
    }

    #[tokio::test]
    async fn a_killed_terminal_ends_and_who_waited_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let mut worker = worker(folder.path());
        run(&mut worker, 1, terminal("echo begun; exec sleep 1000", None)).await.0.unwrap();
        let name = terminal_name(QuestionNumber(1));
        worker.start(PeerTask::Run(QuestionNumber(2), ClientWork::AwaitTerminal(name.clone()))).await;
        worker.start(PeerTask::Run(QuestionNumber(3), ClientWork::KillTerminal(name))).await;
        let (exited, _) = done(&mut worker, 2).await;
        assert!(
            matches!(exited, Ok(WorkResult::Exited(CommandExit { code: None, signal: Some(_), .. }))),
            "{exited:?}"
        );
    }

    #[tokio::test]
    async fn the_newest_output_stays_within_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let mut worker = worker(folder.path());
        run(&mut worker, 1, terminal("printf 'é%.0s' $(seq 100); printf end", Some(10))).await.0.unwrap();
        let name = terminal_name(QuestionNumber(1));
        run(&mut worker, 2, ClientWork::AwaitTerminal(name.clone())).await.0.unwrap();
        let (read, _) = run(&mut worker, 3, ClientWork::ReadTerminal(name)).await;
        let Ok(WorkResult::Output { text, is_cut: true, .. }) = read else { panic!("{read:?}") };
        assert_eq!(text, "éééend");
    }

    #[tokio::test]
    async fn what_a_request_would_do_is_described_by_our_own_tools() {
        let folder = tempfile::tempdir().unwrap();
        let mut worker = worker(folder.path());
        let path = folder.path().canonicalize().unwrap().join("a.txt").display().to_string();
        let write = |path: &str| ClientWork::WriteFile { path: path.into(), content: "new\n".into() };
        let outside =
            ClientWork::StartTerminal { command: "ls".into(), folder: Some("/".into()), max_output_bytes: None };
        for (number, work, expected) in [
            (1, write(&path), Some(("write_file", "a.txt"))),
            (2, write("/etc/x"), None),
            (3, terminal("ls -l", None), Some(("shell", "ls -l"))),
            (4, outside, None),
            (5, ClientWork::ReadFile { path: "/etc/passwd".into(), first_line: None, line_count: None }, None),
        ] {
            worker.start(PeerTask::Describe(QuestionNumber(number), work)).await;
            let WorkEvent::Described(of, described) = worker.next().await else { panic!("{number}") };
            assert_eq!(of, QuestionNumber(number));
            let told = described.as_ref().ok().map(|request| (request.tool.as_str(), request.subject.as_str()));
            assert_eq!(told, expected, "{described:?}");
        }
        assert_eq!(run(&mut worker, 6, write(&path)).await.0, Ok(WorkResult::Done));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new\n");
    }
}
