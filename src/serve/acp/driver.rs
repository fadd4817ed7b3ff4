//! The agent and the sessions of one client: what the client says in, messages out, and the events of the open sessions
//! between. What carries the messages is `stdio`'s or `remote`'s.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::machine::{AcpAgent, AcpStep, OpenedSession};
use super::options::SessionOptions;
use crate::bridge::HubItem;
use crate::event::{Command, Json, Seq, SessionId};
use crate::serve::error::ApiError;
use crate::serve::factory::SavedSession;
use crate::serve::running_session::{ReaderGuard, RunningSession, WatcherGuard};
use crate::serve::state::ServerState;

/// Events taken at once.
const MAX_BATCH_EVENTS: usize = 512;
/// How long servers may take to say which models they have.
const MODELS_TIMEOUT: Duration = Duration::from_secs(2);
/// How long turns may take to end once the client is gone.
const GONE_TIMEOUT: Duration = Duration::from_secs(5);

/// What reaches the agent.
pub(super) enum AcpInput {
    Line(Vec<u8>),
    /// The client sends no more.
    Gone,
    /// With the models that it could have.
    Opened(u64, Result<(Arc<RunningSession>, Vec<String>), ApiError>),
    Listed(u64, Result<Vec<SavedSession>, ApiError>),
    /// Events of a session, with the number of who watches it.
    Events(SessionId, u64, Vec<HubItem>),
    Ended(SessionId, u64),
}

/// Takes the messages for the client.
pub(super) trait AcpOutput: Send {
    /// Sends messages, in their order. Waits while the client doesn't read.
    fn send(&mut self, messages: Vec<Json>) -> impl Future<Output = std::io::Result<()>> + Send;
}

/// Whose sessions they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SessionOwner {
    /// The client that started this program: what runs is cancelled when it goes.
    Client,
    /// The server: others may be in them, and what runs goes on.
    Server,
}

pub(super) struct AcpServer<O> {
    state: ServerState,
    owner: SessionOwner,
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
    _watcher: WatcherGuard,
    /// The number of who watches it now; events for earlier ones are dropped.
    watch_count: u64,
}

impl<O: AcpOutput> AcpServer<O> {
    /// Creates it; what reaches the agent comes by the channel whose sender is given.
    pub(super) async fn new(
        state: &ServerState,
        owner: SessionOwner,
        output: O,
        sender: mpsc::Sender<AcpInput>,
    ) -> Self {
        let agent = AcpAgent::new(state.settings().mode, state.factory().tool_kinds().await);
        let state = state.clone();
        Self { state, owner, agent, output, sender, tasks: JoinSet::new(), sessions: HashMap::new() }
    }

    /// Serves the client until it is gone or `stop` completes.
    ///
    /// # Errors
    ///
    /// Fails if nothing can be sent any more.
    pub(super) async fn serve(
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
        if self.owner == SessionOwner::Server {
            return Ok(());
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

    /// Lets go of every session.
    pub(super) async fn close(mut self) {
        self.tasks.shutdown().await;
    }

    async fn handle(&mut self, input: AcpInput) -> std::io::Result<()> {
        let mut steps = Vec::new();
        match input {
            AcpInput::Line(line) => self.agent.handle_line(&line, &mut steps),
            AcpInput::Gone => {}
            AcpInput::Opened(number, opened) => {
                let opened = opened.map(|(running, models)| self.keep(running, models));
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

    fn keep(&mut self, running: Arc<RunningSession>, models: Vec<String>) -> OpenedSession {
        let options = SessionOptions::new(models, running.handle.status.borrow().options.clone());
        let (id, last_seq) = (running.id().clone(), running.handle.hub.last_seq());
        let watch_count = self.sessions.get(&id).map_or(0, |open| open.watch_count);
        let (reader, name) = (running.add_reader(), self.agent.client_name().unwrap_or("a client"));
        let watcher = running.add_watcher(name.to_owned());
        self.sessions.insert(id.clone(), OpenSession { running, _reader: reader, _watcher: watcher, watch_count });
        OpenedSession { id, last_seq, options }
    }

    async fn perform(&mut self, steps: Vec<AcpStep>) -> std::io::Result<()> {
        let mut messages = Vec::new();
        for step in steps {
            match step {
                AcpStep::Send(message) => messages.push(message),
                AcpStep::Open(number, opening) => {
                    let (state, sender) = (self.state.clone(), self.sender.clone());
                    self.tasks.spawn(async move {
                        let opened = with_models(&state, state.open_shared(opening).await).await;
                        let _ = sender.send(AcpInput::Opened(number, opened)).await;
                    });
                }
                AcpStep::Load(number, session, folder) => {
                    let (state, sender) = (self.state.clone(), self.sender.clone());
                    self.tasks.spawn(async move {
                        let opened = with_models(&state, open_saved(&state, &session, &folder).await).await;
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
                AcpStep::Command(session, mut command) => {
                    if let Command::Prompt { author, .. } = &mut command {
                        *author =
                            self.agent.client_name().map(str::to_owned).filter(|_| self.owner == SessionOwner::Server);
                    }
                    let open = self.sessions.get(&session);
                    // A full queue means that the session is stuck or gone; its end is told by its events.
                    if open.is_some_and(|open| open.running.handle.commands.try_send(command).is_err()) {
                        tracing::warn!("session {session} takes no commands");
                    }
                }
                AcpStep::Close(session) => {
                    self.sessions.remove(&session);
                    if self.owner == SessionOwner::Client {
                        self.state.release(&session);
                    }
                }
            }
        }
        if messages.is_empty() { Ok(()) } else { self.output.send(messages).await }
    }

    fn watch(&mut self, session: &SessionId) {
        let Some(open) = self.sessions.get_mut(session) else { return };
        open.watch_count += 1;
        let (watcher, sender, session) = (open.watch_count, self.sender.clone(), session.clone());
        let mut events = open.running.handle.hub.subscribe(Seq(0));
        // The client is told one conversation: what other branches say is not of it.
        let path = open.running.handle.hub.shown_path();
        self.tasks.spawn(async move {
            let mut batch = Vec::new();
            while events.next_batch(MAX_BATCH_EVENTS, &mut batch).await {
                let mut items = std::mem::take(&mut batch);
                items.retain(|item| match item {
                    HubItem::Event(logged) => path.tells(logged.envelope.seq, &logged.envelope.event),
                    HubItem::Reset => true,
                });
                if sender.send(AcpInput::Events(session.clone(), watcher, items)).await.is_err() {
                    return;
                }
            }
            let _ = sender.send(AcpInput::Ended(session, watcher)).await;
        });
    }
}

/// Adds the models that can be had; servers that don't answer in time have none.
async fn with_models(
    state: &ServerState,
    opened: Result<Arc<RunningSession>, ApiError>,
) -> Result<(Arc<RunningSession>, Vec<String>), ApiError> {
    let opened = opened?;
    let models = timeout(MODELS_TIMEOUT, state.factory().models()).await.unwrap_or_default();
    Ok((opened, models.into_iter().map(|model| model.id).collect()))
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
