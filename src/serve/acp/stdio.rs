//! The streams of the agent: lines of the client in, messages out, and the events of the open sessions between.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::machine::{AcpAgent, AcpStep, OpenedSession};
use crate::bridge::HubItem;
use crate::event::{Json, Seq, SessionId};
use crate::serve::error::ApiError;
use crate::serve::factory::SavedSession;
use crate::serve::run::close_sessions;
use crate::serve::running_session::{ReaderGuard, RunningSession};
use crate::serve::state::ServerState;

/// Bytes of a line of the client: the largest images of a prompt, in base64.
const MAX_LINE_BYTES: u64 = 32 << 20;
/// Events taken at once.
const MAX_BATCH_EVENTS: usize = 512;
/// How long turns may take to end once the client is gone.
const GONE_TIMEOUT: Duration = Duration::from_secs(5);

/// What reaches the agent.
enum AcpInput {
    Line(Vec<u8>),
    /// The client sends no more.
    Gone,
    Opened(u64, Result<Arc<RunningSession>, ApiError>),
    Listed(u64, Result<Vec<SavedSession>, ApiError>),
    /// Events of a session, with the number of who watches it.
    Events(SessionId, u64, Vec<HubItem>),
    Ended(SessionId, u64),
}

/// Serves one client until it is gone or `stop` completes; then closes every session.
///
/// # Errors
///
/// Fails if the output can't be written.
pub async fn run(
    state: ServerState,
    input: impl AsyncBufRead + Send + Unpin + 'static,
    output: impl AsyncWrite + Unpin,
    stop: impl Future<Output = ()>,
) -> std::io::Result<()> {
    // Capacity 64: who reads slowly holds up the events, which the log keeps.
    let (sender, mut inbox) = mpsc::channel(64);
    let mut tasks = JoinSet::new();
    tasks.spawn(read_lines(input, sender.clone()));
    let agent = AcpAgent::new(state.settings().mode, state.factory().tool_kinds().await);
    let mut server = AcpServer { state: state.clone(), agent, output, sender, tasks, sessions: HashMap::new() };
    let served = server.serve(&mut inbox, stop).await;
    let AcpServer { mut tasks, sessions, .. } = server;
    tasks.shutdown().await;
    drop(sessions);
    state.shutdown().cancel();
    close_sessions(&state).await;
    served
}

struct AcpServer<O> {
    state: ServerState,
    agent: AcpAgent,
    output: O,
    sender: mpsc::Sender<AcpInput>,
    tasks: JoinSet<()>,
    sessions: HashMap<SessionId, OpenSession>,
}

struct OpenSession {
    running: Arc<RunningSession>,
    /// While it is open here, no other session takes its place.
    _reader: ReaderGuard,
    /// The number of who watches it now; events for earlier ones are dropped.
    watch_count: u64,
}

impl<O: AsyncWrite + Unpin> AcpServer<O> {
    async fn serve(
        &mut self,
        inbox: &mut mpsc::Receiver<AcpInput>,
        stop: impl Future<Output = ()>,
    ) -> std::io::Result<()> {
        let mut stop = pin!(stop);
        loop {
            let input = tokio::select! {
                biased;
                () = &mut stop => return Ok(()),
                input = inbox.recv() => input,
            };
            match input {
                Some(AcpInput::Gone) | None => break,
                Some(input) => self.handle(input).await?,
            }
            while self.tasks.try_join_next().is_some() {}
        }
        // What was asked is answered, though perhaps nobody listens.
        let mut steps = Vec::new();
        self.agent.handle_gone(&mut steps);
        self.perform(steps).await?;
        let finish = async {
            while !self.agent.is_idle() {
                let Some(input) = inbox.recv().await else { break };
                self.handle(input).await?;
            }
            Ok(())
        };
        timeout(GONE_TIMEOUT, finish).await.unwrap_or(Ok(()))
    }

    async fn handle(&mut self, input: AcpInput) -> std::io::Result<()> {
        let mut steps = Vec::new();
        match input {
            AcpInput::Line(line) => self.agent.handle_line(&line, &mut steps),
            AcpInput::Gone => {}
            AcpInput::Opened(number, opened) => {
                let opened = opened.map(|running| self.keep(running));
                self.agent.handle_opened(number, opened, &mut steps);
            }
            AcpInput::Listed(number, listed) => self.agent.handle_listed(number, listed, &mut steps),
            AcpInput::Events(session, watcher, items) if self.is_watched_by(&session, watcher) => {
                for item in items {
                    if let HubItem::Event(event) = item {
                        self.agent.handle_event(&session, &event.envelope, &mut steps);
                    }
                }
            }
            AcpInput::Ended(session, watcher) if self.is_watched_by(&session, watcher) => {
                self.sessions.remove(&session);
                self.agent.handle_ended(&session, &mut steps);
            }
            AcpInput::Events(..) | AcpInput::Ended(..) => {}
        }
        self.perform(steps).await
    }

    fn is_watched_by(&self, session: &SessionId, watcher: u64) -> bool {
        self.sessions.get(session).is_some_and(|open| open.watch_count == watcher)
    }

    fn keep(&mut self, running: Arc<RunningSession>) -> OpenedSession {
        let (id, last_seq) = (running.id().clone(), running.handle.hub.last_seq());
        let watch_count = self.sessions.get(&id).map_or(0, |open| open.watch_count);
        let reader = running.add_reader();
        self.sessions.insert(id.clone(), OpenSession { running, _reader: reader, watch_count });
        OpenedSession { id, last_seq }
    }

    async fn perform(&mut self, steps: Vec<AcpStep>) -> std::io::Result<()> {
        let mut lines = Vec::new();
        for step in steps {
            match step {
                AcpStep::Send(message) => write_line(&message, &mut lines),
                AcpStep::Open(number, opening) => {
                    let (state, sender) = (self.state.clone(), self.sender.clone());
                    self.tasks.spawn(async move {
                        let opened = state.open_shared(opening).await;
                        let _ = sender.send(AcpInput::Opened(number, opened)).await;
                    });
                }
                AcpStep::Load(number, session, folder) => {
                    let (state, sender) = (self.state.clone(), self.sender.clone());
                    self.tasks.spawn(async move {
                        let opened = open_saved(&state, &session, &folder).await;
                        let _ = sender.send(AcpInput::Opened(number, opened)).await;
                    });
                }
                AcpStep::List(number) => {
                    let (state, sender) = (self.state.clone(), self.sender.clone());
                    self.tasks.spawn(async move {
                        let listed = state.factory().list().await;
                        let _ = sender.send(AcpInput::Listed(number, listed)).await;
                    });
                }
                AcpStep::Watch(session) => self.watch(&session),
                AcpStep::Command(session, command) => {
                    let open = self.sessions.get(&session);
                    // A full queue means that the session is stuck or gone; its end is told by its events.
                    if open.is_some_and(|open| open.running.handle.commands.try_send(command).is_err()) {
                        tracing::warn!("session {session} takes no commands");
                    }
                }
                AcpStep::Close(session) => {
                    self.sessions.remove(&session);
                    self.state.release(&session);
                }
            }
        }
        if lines.is_empty() {
            return Ok(());
        }
        self.output.write_all(&lines).await?;
        self.output.flush().await
    }

    fn watch(&mut self, session: &SessionId) {
        let Some(open) = self.sessions.get_mut(session) else { return };
        open.watch_count += 1;
        let (watcher, sender, session) = (open.watch_count, self.sender.clone(), session.clone());
        let mut events = open.running.handle.hub.subscribe(Seq(0));
        self.tasks.spawn(async move {
            let mut batch = Vec::new();
            while events.next_batch(MAX_BATCH_EVENTS, &mut batch).await {
                let items = std::mem::take(&mut batch);
                if sender.send(AcpInput::Events(session.clone(), watcher, items)).await.is_err() {
                    return;
                }
            }
            let _ = sender.send(AcpInput::Ended(session, watcher)).await;
        });
    }
}

/// Opens a saved session, and waits until it is: what its log left open is closed by then.
async fn open_saved(state: &ServerState, id: &SessionId, folder: &str) -> Result<Arc<RunningSession>, ApiError> {
    let session = state.get_or_reopen_in(id, Some(folder)).await?;
    let mut events = session.handle.hub.subscribe(session.handle.hub.last_seq());
    while session.snapshot().info.is_none() {
        if events.next().await.is_none() {
            return Err(ApiError::internal(format!("session {id} has ended")));
        }
    }
    Ok(session)
}

fn write_line(message: &Json, out: &mut Vec<u8>) {
    out.extend_from_slice(message.to_string().as_bytes());
    out.push(b'\n');
}

/// Reads lines until there are no more. One that is too long is the end: what follows it can't be told apart.
async fn read_lines(mut input: impl AsyncBufRead + Unpin, sender: mpsc::Sender<AcpInput>) {
    loop {
        let mut line = Vec::new();
        let read = (&mut input).take(MAX_LINE_BYTES).read_until(b'\n', &mut line).await;
        let is_whole = line.last() == Some(&b'\n') || (line.len() as u64) < MAX_LINE_BYTES;
        let input = match read {
            Ok(0) | Err(_) => AcpInput::Gone,
            Ok(_) if is_whole => AcpInput::Line(line),
            Ok(_) => {
                tracing::error!("a line of the client is longer than {MAX_LINE_BYTES} bytes");
                AcpInput::Gone
            }
        };
        let is_gone = matches!(input, AcpInput::Gone);
        if sender.send(input).await.is_err() || is_gone {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
