//! Commands that go on while the agent does something else: started by `shell`, read and stopped by `task_output` and by
//! the person.
//!
//! Each belongs to the session that started it and ends with it, or with the program: its process group is stopped. Of its
//! output the last part is kept.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::shell::{end_note, run_command};
use super::{ToolContext, ToolProgress};

/// Commands of one session that run at the same time.
const MAX_RUNNING_COMMANDS: usize = 16;
/// Commands of all sessions that are kept after their end.
const MAX_KEPT_COMMANDS: usize = 64;
/// Of the end of its output.
const MAX_OUTPUT_BYTES: usize = 64 * 1024;
/// For all to stop when the program ends.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// The background commands of all sessions.
#[derive(Clone, Debug, Default)]
pub struct BackgroundCommands(Arc<Mutex<CommandSet>>);

#[derive(Debug, Default)]
struct CommandSet {
    commands: Vec<Arc<BackgroundCommand>>,
    tasks: JoinSet<()>,
    last_id: u32,
    is_closed: bool,
}

#[derive(Debug)]
struct BackgroundCommand {
    id: String,
    session: String,
    command: String,
    started_at: Instant,
    cancel: CancellationToken,
    /// How it ended; none while it runs.
    end: watch::Sender<Option<String>>,
    output: Mutex<OutputTail>,
}

#[derive(Debug, Default)]
struct OutputTail {
    text: String,
    printed_bytes: u64,
}

/// How a background command is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackgroundState {
    pub id: String,
    pub command: String,
    /// How long it has been since its start.
    pub age: Duration,
    /// How it ended; none while it runs.
    pub end: Option<String>,
    /// The end of what it printed.
    pub output: String,
}

/// The background commands of one session.
#[derive(Clone, Debug)]
pub struct SessionBackground {
    all: BackgroundCommands,
    session: String,
    /// Told when one has ended.
    ended: mpsc::Sender<String>,
}

impl OutputTail {
    fn push(&mut self, piece: &str) {
        self.printed_bytes = self.printed_bytes.saturating_add(piece.len() as u64);
        self.text.push_str(piece);
        if self.text.len() > 2 * MAX_OUTPUT_BYTES {
            let from = self.text.ceil_char_boundary(self.text.len() - MAX_OUTPUT_BYTES);
            self.text.drain(..from);
        }
    }
}

impl BackgroundCommand {
    fn state(&self) -> BackgroundState {
        let output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        let from = output.text.ceil_char_boundary(output.text.len().saturating_sub(MAX_OUTPUT_BYTES));
        let kept = output.text.get(from..).unwrap_or_default();
        let left_out = output.printed_bytes.saturating_sub(kept.len() as u64);
        let output = if left_out > 0 {
            format!("[… {left_out} bytes before this are left out]\n{kept}")
        } else {
            kept.to_owned()
        };
        let (id, command, end) = (self.id.clone(), self.command.clone(), self.end.borrow().clone());
        BackgroundState { id, command, age: self.started_at.elapsed(), end, output }
    }

    /// Runs it to its end.
    async fn run(self: Arc<Self>, mut ctx: ToolContext, ended: mpsc::Sender<String>) {
        // Capacity 16, as for a call.
        let (sender, mut pieces) = mpsc::channel(16);
        (ctx.progress, ctx.cancel) = (sender, self.cancel.clone());
        let keep = async {
            while let Some(piece) = pieces.recv().await {
                if let ToolProgress::Output(_, text) = piece {
                    self.output.lock().unwrap_or_else(PoisonError::into_inner).push(&text);
                }
            }
        };
        let run = async {
            let result = run_command(&self.command, &ctx).await;
            // The keeper ends with the last sender.
            drop(ctx);
            result
        };
        let (result, ()) = tokio::join!(run, keep);
        let end = match result {
            Ok(end) => end_note(&end),
            Err(error) => format!("it could not be started: {error}"),
        };
        let told = format!("background command {} ended ({end}): {}", self.id, self.command);
        self.end.send_replace(Some(end));
        // Nobody is told of what the person or the agent stopped.
        if !self.cancel.is_cancelled() {
            let _ = ended.try_send(told);
        }
    }
}

impl BackgroundCommands {
    /// Returns those of a session, and where it is told that one has ended.
    pub fn for_session(&self, session: &str) -> (SessionBackground, mpsc::Receiver<String>) {
        // Capacity 64: more ends than anybody reads at once.
        let (ended, ends) = mpsc::channel(64);
        (SessionBackground { all: self.clone(), session: session.to_owned(), ended }, ends)
    }

    /// Returns those of a session, the newest first.
    pub fn list(&self, session: &str) -> Vec<BackgroundState> {
        let set = self.set();
        set.commands.iter().rev().filter(|command| command.session == session).map(|command| command.state()).collect()
    }

    /// Stops one of a session. Returns whether it was running.
    pub fn stop(&self, session: &str, id: &str) -> bool {
        let found = self.find(session, id).filter(|command| command.end.borrow().is_none());
        found.is_some_and(|command| {
            command.cancel.cancel();
            true
        })
    }

    /// Stops all, and waits until they have stopped.
    pub async fn close(&self) {
        let mut tasks = {
            let mut set = self.set();
            set.is_closed = true;
            set.commands.iter().for_each(|command| command.cancel.cancel());
            std::mem::take(&mut set.tasks)
        };
        let all = async { while tasks.join_next().await.is_some() {} };
        if timeout(STOP_TIMEOUT, all).await.is_err() {
            tasks.shutdown().await;
        }
    }

    fn set(&self) -> MutexGuard<'_, CommandSet> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, session: &str, id: &str) -> Option<Arc<BackgroundCommand>> {
        let set = self.set();
        set.commands.iter().find(|command| command.session == session && command.id == id).cloned()
    }
}

impl SessionBackground {
    /// Starts a command with what the call may use; returns what it is called.
    pub(super) fn start(&self, command: &str, ctx: &ToolContext) -> Result<String, String> {
        let mut set = self.all.set();
        if set.is_closed {
            return Err("the program is ending".into());
        }
        while set.tasks.try_join_next().is_some() {}
        let is_running = |command: &&Arc<BackgroundCommand>| command.end.borrow().is_none();
        let of_session = set.commands.iter().filter(|command| command.session == self.session);
        if of_session.filter(is_running).count() >= MAX_RUNNING_COMMANDS {
            return Err(format!("{MAX_RUNNING_COMMANDS} background commands run already; stop one with task_output"));
        }
        if set.commands.len() >= MAX_KEPT_COMMANDS
            && let Some(oldest) = set.commands.iter().position(|command| command.end.borrow().is_some())
        {
            set.commands.remove(oldest);
        }
        set.last_id += 1;
        let started = Arc::new(BackgroundCommand {
            id: set.last_id.to_string(),
            session: self.session.clone(),
            command: command.to_owned(),
            started_at: Instant::now(),
            cancel: CancellationToken::new(),
            end: watch::Sender::new(None),
            output: Mutex::default(),
        });
        set.commands.push(Arc::clone(&started));
        let id = started.id.clone();
        set.tasks.spawn(started.run(ctx.clone(), self.ended.clone()));
        Ok(id)
    }

    /// Returns how one is, once it has ended or that time is over.
    pub(super) async fn wait(&self, id: &str, at_most: Duration) -> Option<BackgroundState> {
        let command = self.all.find(&self.session, id)?;
        let mut end = command.end.subscribe();
        let _ = timeout(at_most, end.wait_for(Option::is_some)).await;
        Some(command.state())
    }

    pub(super) fn stop(&self, id: &str) -> bool {
        self.all.stop(&self.session, id)
    }

    pub(super) fn ids(&self) -> Vec<String> {
        self.all.list(&self.session).into_iter().map(|state| state.id).collect()
    }

    /// Stops all of the session.
    pub fn stop_all(&self) {
        self.ids().iter().for_each(|id| _ = self.stop(id));
    }
}

#[cfg(test)]
mod tests {
    use super::super::checked_path::tests::ctx;
    use super::*;

    async fn ended(background: &SessionBackground, id: &str) -> BackgroundState {
        background.wait(id, Duration::from_mins(1)).await.unwrap()
    }

    #[tokio::test]
    async fn a_command_goes_on_and_its_end_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let (all, ctx) = (BackgroundCommands::default(), ctx(folder.path()));
        let (background, mut ends) = all.for_session("s");
        let id = background.start("echo a; echo b >&2; exit 3", &ctx).unwrap();
        let state = ended(&background, &id).await;
        assert_eq!(state.end.as_deref(), Some("exit status 3"));
        assert!(state.output.contains("a\n") && state.output.contains("b\n"), "{}", state.output);
        assert_eq!(
            ends.recv().await.as_deref(),
            Some("background command 1 ended (exit status 3): echo a; echo b >&2; exit 3")
        );
        assert_eq!((all.list("s").len(), all.list("other").len(), all.stop("s", &id)), (1, 0, false));
    }

    #[tokio::test]
    async fn all_are_stopped_with_the_program_and_their_children_too() {
        let folder = tempfile::tempdir().unwrap();
        let (all, ctx) = (BackgroundCommands::default(), ctx(folder.path()));
        let (background, mut ends) = all.for_session("s");
        let id = background.start("sleep 600 & echo $! > pid; wait", &ctx).unwrap();
        let pid = loop {
            let text = std::fs::read_to_string(folder.path().join("pid")).unwrap_or_default();
            match text.trim().parse::<u32>() {
                Ok(pid) => break pid,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        assert!(all.list("s")[0].end.is_none());
        all.close().await;
        assert_eq!(ended(&background, &id).await.end.as_deref(), Some("stopped"));
        // It was told to end, and ends as soon as it is its turn.
        let is_gone = async {
            loop {
                let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
                if status.is_empty() || status.contains(") Z") {
                    break;
                }
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(20), is_gone).await.unwrap();
        assert!(background.start("true", &ctx).is_err() && ends.try_recv().is_err());
    }

    #[test]
    fn of_endless_output_the_end_is_kept() {
        let mut tail = OutputTail::default();
        for _ in 0..10_000 {
            tail.push("é0123456789é\n");
        }
        assert!(tail.text.len() <= 2 * MAX_OUTPUT_BYTES && tail.text.ends_with("9é\n"));
        assert_eq!(tail.printed_bytes, 150_000);
    }
}
