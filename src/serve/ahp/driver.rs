//! One connection: the messages of its client, and the events of the sessions that it subscribed to.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{broadcast, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::host::AhpHost;
use super::ledger::{ActionPlace, AhpLedger};
use super::machine::{AhpMachine, AhpStep, CreatedSession, Dispatched};
use super::origins::ExpectedEvent;
use super::session::{AhpSession, PlacedAction};
use crate::bridge::HubItem;
use crate::bridge::hub::Subscription;
use crate::dialect::ahp::encode::AhpOrigin;
use crate::event::{AgentEvent, CallId, Command, Decision, Seq, SessionId};
use crate::serve::error::ApiError;
use crate::serve::factory::{Model, OpenRequest, SavedSession};
use crate::serve::running_session::{DecisionClaim, ReaderGuard, RunningSession, WatcherGuard};
use crate::serve::state::ServerState;
use crate::serve::websocket::ClientSocket;

/// Events taken at once.
const MAX_BATCH_EVENTS: usize = 512;

/// What reaches the machine beside messages.
enum AhpInput {
    Ledger(Option<AhpLedger>),
    Models(Vec<Model>),
    Listed(u64, Result<Vec<SavedSession>, ApiError>),
    Created(u64, Result<CreatedSession, ApiError>),
    Followed(SessionId, Result<Box<FoldedSession>, ApiError>),
    /// Events of a session, with the number of who watches it.
    Events(SessionId, u64, Vec<HubItem>),
    Ended(SessionId, u64),
}

/// A session up to its newest event.
struct FoldedSession {
    running: Arc<RunningSession>,
    session: AhpSession,
    /// The actions that the client does not have.
    missed: Vec<PlacedAction>,
    events: Subscription,
}

struct AhpOpenSession {
    running: Arc<RunningSession>,
    /// While it is open here, no other session takes its place.
    _reader: ReaderGuard,
    _watcher: WatcherGuard,
    /// The number of who watches it; events for others are dropped.
    watch: u64,
    watching: AbortHandle,
}

impl Drop for AhpOpenSession {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

struct AhpConnection {
    state: ServerState,
    host: Arc<AhpHost>,
    machine: AhpMachine,
    sender: mpsc::Sender<AhpInput>,
    tasks: JoinSet<()>,
    sessions: HashMap<SessionId, AhpOpenSession>,
    watch_count: u64,
    /// The number of this connection, once its client is known.
    registered: Option<u64>,
    /// Ends this connection for a later one of its client.
    end: CancellationToken,
}

/// Serves a client until it is gone. What runs goes on without it.
pub(super) async fn serve(state: ServerState, host: Arc<AhpHost>, mut socket: ClientSocket) {
    host.load_names(&state).await;
    // Capacity 16: batches of events; who watches waits while the client does not read.
    let (sender, mut inbox) = mpsc::channel(16);
    let mut news = host.news();
    let mut connection = AhpConnection {
        machine: AhpMachine::new(Arc::clone(&host)),
        state,
        host,
        sender,
        tasks: JoinSet::new(),
        sessions: HashMap::new(),
        watch_count: 0,
        registered: None,
        end: CancellationToken::new(),
    };
    let (end, shutdown) = (connection.end.clone(), connection.state.shutdown().clone());
    loop {
        let mut steps = Vec::new();
        // What the client says comes before events, so that a flood can't delay a cancel.
        tokio::select! {
            biased;
            () = end.cancelled() => break,
            () = shutdown.cancelled() => break,
            line = socket.next() => match line {
                Some(line) => connection.machine.handle_line(line.as_bytes(), &mut steps),
                None => break,
            },
            told = news.recv() => match told {
                Ok(told) => connection.machine.handle_news(told, &mut steps),
                // It will list the sessions again, as the protocol has it.
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => break,
            },
            Some(input) = inbox.recv() => connection.handle(input, &mut steps),
        }
        if connection.perform(steps, &mut socket).await.is_err() {
            break;
        }
        while connection.tasks.try_join_next().is_some() {}
    }
    connection.close().await;
    socket.close().await;
}

impl AhpConnection {
    async fn close(mut self) {
        self.tasks.shutdown().await;
        if let Some(number) = self.registered {
            let client = self.machine.client_id().to_owned();
            self.host.park(&client, number, self.machine.into_ledger());
        }
    }

    fn handle(&mut self, input: AhpInput, steps: &mut Vec<AhpStep>) {
        match input {
            AhpInput::Ledger(ledger) => self.machine.handle_ledger(ledger, steps),
            AhpInput::Models(models) => self.machine.handle_models(&models, steps),
            AhpInput::Listed(number, listed) => self.machine.handle_listed(number, listed, steps),
            AhpInput::Created(number, created) => self.machine.handle_created(number, created, steps),
            AhpInput::Followed(id, followed) => {
                let followed = followed.map(|folded| self.keep(&id, *folded));
                self.machine.handle_followed(&id, followed, steps);
            }
            AhpInput::Events(id, watch, items) if self.is_watched_by(&id, watch) => {
                for item in items {
                    match item {
                        HubItem::Event(event) => {
                            let origin = self.host.origins.of(&id, &event.envelope);
                            self.machine.handle_event(&id, &event.envelope, origin.as_deref(), steps);
                        }
                        // A recording went back: what the client has is no longer so.
                        HubItem::Reset => self.machine.handle_ended(&id),
                    }
                }
            }
            AhpInput::Ended(id, watch) if self.is_watched_by(&id, watch) => {
                self.sessions.remove(&id);
                self.machine.handle_ended(&id);
            }
            AhpInput::Events(..) | AhpInput::Ended(..) => {}
        }
    }

    fn is_watched_by(&self, id: &SessionId, watch: u64) -> bool {
        self.sessions.get(id).is_some_and(|open| open.watch == watch)
    }

    fn keep(&mut self, id: &SessionId, folded: FoldedSession) -> (AhpSession, Vec<PlacedAction>) {
        let FoldedSession { running, session, missed, mut events } = folded;
        self.watch_count += 1;
        let (watch, sender) = (self.watch_count, self.sender.clone());
        let (reader, name) = (running.add_reader(), self.machine.client_name().unwrap_or("a client").to_owned());
        let session_id = id.clone();
        let watching = self.tasks.spawn(async move {
            let mut batch = Vec::new();
            while events.next_batch(MAX_BATCH_EVENTS, &mut batch).await {
                let items = std::mem::take(&mut batch);
                if sender.send(AhpInput::Events(session_id.clone(), watch, items)).await.is_err() {
                    return;
                }
            }
            let _ = sender.send(AhpInput::Ended(session_id, watch)).await;
        });
        let open = AhpOpenSession { _reader: reader, _watcher: running.add_watcher(name), running, watch, watching };
        self.sessions.insert(id.clone(), open);
        (session, missed)
    }

    async fn perform(&mut self, steps: Vec<AhpStep>, socket: &mut ClientSocket) -> std::io::Result<()> {
        for step in steps {
            match step {
                AhpStep::Send(message) => socket.send(message.to_string()).await?,
                AhpStep::Register(client) => self.registered = Some(self.host.connect(&client, self.end.clone())),
                AhpStep::KeepName(line) => AhpHost::keep_name(&self.state, line),
                AhpStep::Announce(told) => self.host.announce(told),
                AhpStep::Unfollow(id) => _ = self.sessions.remove(&id),
                AhpStep::Dispose(id) => {
                    self.sessions.remove(&id);
                    self.state.release(&id);
                }
                AhpStep::Command(id, command, expected, origin, dispatched) => {
                    if let Err(why) = self.command(&id, command, expected, origin) {
                        self.reject(&dispatched, &why, socket).await?;
                    }
                }
                AhpStep::Decide(id, call, decision, origin, dispatched) => {
                    if let Err(why) = self.decide(&id, &call, decision, origin) {
                        self.reject(&dispatched, &why, socket).await?;
                    }
                }
                AhpStep::Dequeue(id, text) => self.dequeue(&id, &text),
                step @ (AhpStep::TakeLedger(_)
                | AhpStep::ListModels
                | AhpStep::ListSessions(_)
                | AhpStep::Create(..)
                | AhpStep::Follow(..)) => self.begin(step),
            }
        }
        Ok(())
    }

    /// Begins what takes time; its result comes as an input.
    fn begin(&mut self, step: AhpStep) {
        let (state, host, sender) = (self.state.clone(), Arc::clone(&self.host), self.sender.clone());
        self.tasks.spawn(async move {
            let input = match step {
                AhpStep::TakeLedger(client) => AhpInput::Ledger(host.take_ledger(&client).await),
                AhpStep::ListModels => AhpInput::Models(state.factory().models().await),
                AhpStep::ListSessions(number) => AhpInput::Listed(number, state.factory().list().await),
                AhpStep::Create(number, opening) => AhpInput::Created(number, create(&state, opening).await),
                AhpStep::Follow(id, after) => {
                    let folded = fold(&state, &host, &id, after).await;
                    AhpInput::Followed(id, folded.map(Box::new))
                }
                _ => return,
            };
            let _ = sender.send(input).await;
        });
    }

    fn command(
        &self,
        id: &SessionId,
        command: Command,
        expected: Option<ExpectedEvent>,
        origin: AhpOrigin,
    ) -> Result<(), String> {
        let open = self.sessions.get(id).ok_or("the session has ended")?;
        if let Command::Prompt { text, .. } | Command::Steer { text, .. } = &command {
            if !open.running.handle.capabilities.prompt {
                return Err("this session takes no prompts".to_owned());
            }
            self.state.check_prompt(text).map_err(|error| error.message)?;
        }
        let room = open.running.handle.commands.try_reserve();
        // A full queue means that the session is stuck or gone.
        let room = room.map_err(|_| "the session is not accepting commands right now")?;
        // Before it is sent: its event may come at once.
        if let Some(expected) = expected {
            self.host.origins.expect(id, expected, origin);
        }
        room.send(command);
        Ok(())
    }

    fn decide(&self, id: &SessionId, call: &CallId, decision: Decision, origin: AhpOrigin) -> Result<(), String> {
        let open = self.sessions.get(id).ok_or("the session has ended")?;
        match open.running.claim_decision(call, &decision) {
            DecisionClaim::First => {}
            DecisionClaim::Late(..) => return Err("already decided".to_owned()),
            DecisionClaim::Unknown => return Err(format!("nobody is asked about {call}")),
        }
        let expected = Some(ExpectedEvent::Decision(call.clone()));
        let sent = self.command(id, Command::Decide { call: call.clone(), decision }, expected, origin);
        if sent.is_err() {
            open.running.release_decision(call);
        }
        sent
    }

    /// Takes the prompt of these words out of the queue, the last one where there are several.
    fn dequeue(&self, id: &SessionId, text: &str) {
        let Some(open) = self.sessions.get(id) else { return };
        let queued = open
            .running
            .handle
            .status
            .borrow()
            .queue
            .iter()
            .rev()
            .find(|queued| queued.text == text)
            .map(|queued| queued.id);
        if let Some(id) = queued {
            // A session that takes no commands is about to end.
            let _ = open.running.handle.commands.try_send(Command::DequeuePrompt { id });
        }
    }

    async fn reject(&mut self, dispatched: &Dispatched, why: &str, socket: &mut ClientSocket) -> std::io::Result<()> {
        let mut steps = Vec::new();
        self.machine.reject(dispatched, why, &mut steps);
        for step in steps {
            if let AhpStep::Send(message) = step {
                socket.send(message.to_string()).await?;
            }
        }
        Ok(())
    }
}

/// Opens a session, and waits until it is.
async fn create(state: &ServerState, opening: OpenRequest) -> Result<CreatedSession, ApiError> {
    let running = state.open_shared(opening).await?;
    let id = running.id().clone();
    let mut events = running.handle.hub.subscribe(Seq(0));
    while let Some(item) = events.next().await {
        if let HubItem::Event(event) = item
            && let AgentEvent::SessionOpened { wall_ms, folder, .. } = &event.envelope.event
        {
            return Ok(CreatedSession { id, folder: folder.clone(), wall_ms: *wall_ms });
        }
    }
    Err(ApiError::internal(format!("session {id} ended before it was open")))
}

/// Opens a session, and folds what is in its log so far. O(log).
async fn fold(
    state: &ServerState,
    host: &AhpHost,
    id: &SessionId,
    after: Option<ActionPlace>,
) -> Result<FoldedSession, ApiError> {
    let running = state.get_or_reopen(id).await?;
    let ended = || ApiError::internal(format!("session {id} has ended"));
    let mut newer = running.handle.hub.subscribe(running.handle.hub.last_seq());
    // What an earlier run left open is closed by then.
    while running.snapshot().info.is_none() {
        newer.next().await.ok_or_else(ended)?;
    }
    let (mut session, mut missed) = (AhpSession::new(host.names.uris_of(id)), Vec::new());
    let (mut events, through) = (running.handle.hub.subscribe(Seq(0)), running.handle.hub.last_seq());
    let mut batch = Vec::new();
    while events.seq() < through && events.next_batch(MAX_BATCH_EVENTS, &mut batch).await {
        for item in batch.drain(..) {
            let HubItem::Event(event) = item else { continue };
            let origin = host.origins.of(id, &event.envelope);
            let actions = session.handle_event(&event.envelope, origin.as_deref());
            missed.extend(actions.into_iter().filter(|(place, _)| after.is_some_and(|after| *place > after)));
        }
        // Others are served meanwhile.
        tokio::task::yield_now().await;
    }
    Ok(FoldedSession { running, session, missed, events })
}
