//! State shared by all requests: the running sessions, the settings, and shutdown.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use secrecy::SecretString;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::error::ApiError;
use super::factory::{Factory, OneShotSession, OpenRequest};
use super::link_table::{ApprovalLinkSettings, ApprovalLinks};
use super::logins::Logins;
use super::queued_responses::QueuedResponses;
use super::read_links::ReadLinks;
use super::request_counts::RequestCounts;
use super::running_session::{RunningSession, SessionKind};
use super::session_counts::SessionCounts;
use super::turn_queue::{TurnPlace, TurnQueues};
use crate::bridge::SessionHandle;
use crate::bridge::hub::{Hub, Subscription};
use crate::event::{ApprovalMode, Seq, SessionId};

/// How long a released session may take to write its last line.
const LOG_CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Watches a session: gets its name, and its events from those that were there when it was opened.
pub(super) type SessionWatcher = fn(ServerState, SessionId, Subscription) -> BoxFuture<'static, ()>;

/// How the server was started.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub tokens: Tokens,
    /// Allowed origins of web pages, besides our own; `*` allows all.
    pub origins: Vec<String>,
    /// Whether all clients may only watch.
    pub read_only: bool,
    /// What sessions may do without approval; clients can't get more.
    pub mode: ApprovalMode,
    /// Whether the server listens on loopback: the Host header must then name this machine.
    pub loopback: bool,
    /// The origin under which a proxy offers the server, such as `https://chat.example`.
    pub public_origin: Option<String>,
    /// Whether chat completions with tools get named events, as in OpenJarvis.
    pub openjarvis_compat: bool,
    /// How long a link is good that shows one session; none are made without.
    pub read_link_lifetime: Option<Duration>,
    /// One-time links for approvals, if wanted.
    pub approval_links: Option<ApprovalLinkSettings>,
    pub limits: Limits,
}

/// Access tokens. Without any, everyone who reaches the address has access.
#[derive(Clone, Debug, Default)]
pub struct Tokens {
    pub full: Option<SecretString>,
    /// For watching and listing.
    pub read: Option<SecretString>,
}

impl Settings {
    /// Returns whether browsers reach the server by HTTPS only.
    pub(super) fn is_public_secure(&self) -> bool {
        self.public_origin.as_ref().is_some_and(|origin| origin.starts_with("https://"))
    }
}

impl Tokens {
    pub(super) fn are_set(&self) -> bool {
        self.full.is_some() || self.read.is_some()
    }
}

/// Limits of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once.
    pub max_clients: usize,
    /// Running sessions, one-shot sessions included.
    pub max_sessions: usize,
    /// Size of a request's body.
    pub max_body_bytes: usize,
    /// Size of a prompt.
    pub max_prompt_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_clients: 512, max_sessions: 64, max_body_bytes: 8 << 20, max_prompt_bytes: 1 << 20 }
    }
}

/// Shared by all requests; cheap to clone.
#[derive(Clone)]
pub struct ServerState {
    inner: Arc<StateInner>,
}

struct StateInner {
    factory: Arc<dyn Factory>,
    settings: Settings,
    sessions: Mutex<SessionTable>,
    logins: Logins,
    approval_links: ApprovalLinks,
    read_links: ReadLinks,
    queued_responses: QueuedResponses,
    session_watcher: OnceLock<SessionWatcher>,
    request_counts: RequestCounts,
    /// Saved sessions are reopened one at a time: a log has one owner.
    reopen_lock: tokio::sync::Mutex<()>,
    /// Conversations of one-shot requests.
    turn_queues: TurnQueues,
    tasks: TaskTracker,
    shutdown: CancellationToken,
    /// Cancelled when shutdown stops waiting.
    force_stop: CancellationToken,
}

#[derive(Default)]
struct SessionTable {
    running: HashMap<SessionId, Arc<RunningSession>>,
    /// Released sessions; their logs may still be open.
    closing: HashMap<SessionId, Hub>,
    /// Sessions being opened.
    opening_count: usize,
    /// What was counted of those that were released.
    released_counts: SessionCounts,
    /// The session that existed from the start; never released.
    initial_session: Option<SessionId>,
    /// Nobody has connected to it yet.
    first_visit_pending: bool,
}

/// A reserved place for a session that is being opened.
struct OpeningSlot<'a>(&'a ServerState);

impl Drop for OpeningSlot<'_> {
    fn drop(&mut self) {
        let mut sessions = self.0.lock_sessions();
        sessions.opening_count = sessions.opening_count.saturating_sub(1);
    }
}

impl ServerState {
    pub fn new(factory: Arc<dyn Factory>, settings: Settings) -> Self {
        let mut sessions = SessionTable::default();
        if let Some(live) = factory.initial_session() {
            let from = Seq(0);
            sessions.initial_session = Some(live.session.clone());
            sessions.first_visit_pending = true;
            sessions
                .running
                .insert(live.session.clone(), Arc::new(RunningSession::new(live, SessionKind::Shared, from)));
        }
        let shared = StateInner {
            factory,
            settings,
            sessions: Mutex::new(sessions),
            logins: Logins::default(),
            approval_links: ApprovalLinks::default(),
            read_links: ReadLinks::default(),
            queued_responses: QueuedResponses::default(),
            session_watcher: OnceLock::new(),
            request_counts: RequestCounts::default(),
            reopen_lock: tokio::sync::Mutex::new(()),
            turn_queues: TurnQueues::default(),
            tasks: TaskTracker::new(),
            shutdown: CancellationToken::new(),
            force_stop: CancellationToken::new(),
        };
        Self { inner: Arc::new(shared) }
    }

    pub(super) fn factory(&self) -> &dyn Factory {
        self.inner.factory.as_ref()
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// Browsers that are signed in.
    pub(super) fn logins(&self) -> &Logins {
        &self.inner.logins
    }

    /// One-time links for approvals.
    pub(super) fn approval_links(&self) -> &ApprovalLinks {
        &self.inner.approval_links
    }

    /// Links that show one session.
    pub(super) fn read_links(&self) -> &ReadLinks {
        &self.inner.read_links
    }

    /// Has every session from here on be watched.
    pub(super) fn set_session_watcher(&self, watch: SessionWatcher) {
        // Set again, it is the same.
        let _ = self.inner.session_watcher.set(watch);
    }

    pub(super) fn request_counts(&self) -> &RequestCounts {
        &self.inner.request_counts
    }

    /// Returns what was counted of all sessions since the start.
    pub(super) fn session_counts(&self) -> SessionCounts {
        for session in self.running_sessions() {
            session.catch_up();
        }
        // Under one lock, so that a session which is released meanwhile counts once.
        let sessions = self.lock_sessions();
        let mut sum = sessions.released_counts.clone();
        for session in sessions.running.values() {
            sum.add(&session.counts());
        }
        sum
    }

    /// Cancelled when the server shuts down.
    pub(super) fn shutdown(&self) -> &CancellationToken {
        &self.inner.shutdown
    }

    /// Cancelled when sessions must be released, whatever they do.
    pub(super) fn force_stop(&self) -> &CancellationToken {
        &self.inner.force_stop
    }

    /// Runs a background task that shutdown waits for.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.inner.tasks.spawn(task);
    }

    /// Rejects a prompt that is too long.
    pub(super) fn check_prompt(&self, text: &str) -> Result<(), ApiError> {
        let most = self.settings().limits.max_prompt_bytes;
        if text.len() <= most {
            return Ok(());
        }
        Err(ApiError::too_large(format!("the message has {} bytes; at most {most} are accepted", text.len())))
    }

    /// Rejects a mode that allows more without approval than the server's.
    pub(super) fn check_mode(&self, mode: ApprovalMode) -> Result<(), ApiError> {
        let most = self.settings().mode;
        if !mode.is_more_permissive_than(most) {
            return Ok(());
        }
        let text = format!("this server allows at most the mode {} (its --approval-mode)", most.name());
        Err(ApiError::new(403, "mode_not_allowed", text).with_param("mode"))
    }

    /// Waits for a place in a conversation of one-shot requests; `kind` tells names of surfaces apart.
    pub(super) async fn turn_in(&self, kind: &str, conversation: &str) -> TurnPlace {
        self.inner.turn_queues.wait(&format!("{kind}:{conversation}")).await
    }

    /// Returns whether a turn runs or waits in a conversation of one-shot requests.
    pub(super) fn is_turn_waited_for(&self, kind: &str, conversation: &str) -> bool {
        self.inner.turn_queues.is_busy(&format!("{kind}:{conversation}"))
    }

    /// Background responses that have not begun.
    pub(super) fn queued_responses(&self) -> &QueuedResponses {
        &self.inner.queued_responses
    }

    /// Opens a session that clients share.
    pub(super) async fn open_shared(&self, opening: OpenRequest) -> Result<Arc<RunningSession>, ApiError> {
        opening.mode.map_or(Ok(()), |mode| self.check_mode(mode))?;
        let _place = self.reserve_slot()?;
        let live = self.factory().open(opening).await?;
        Ok(self.register(live, SessionKind::Shared, Seq(0)))
    }

    /// Opens a session for a single prompt.
    pub(super) async fn open_one_shot(
        &self,
        request: &super::request::OneShotRequest,
    ) -> Result<(Arc<RunningSession>, bool), ApiError> {
        let _place = self.reserve_slot()?;
        let OneShotSession { handle: live, turn, is_replayed: played } = self.factory().open_one_shot(request).await?;
        Ok((self.register(live, SessionKind::OneShot { turn }, Seq(0)), played))
    }

    /// Returns a session if it is running.
    pub(super) fn find_running(&self, id: &SessionId) -> Option<Arc<RunningSession>> {
        let session = self.lock_sessions().running.get(id).cloned();
        session.filter(|session| !session.handle.hub.is_closed())
    }

    /// Returns a session; a saved one is reopened.
    pub(super) async fn get_or_reopen(&self, id: &SessionId) -> Result<Arc<RunningSession>, ApiError> {
        self.get_or_reopen_in(id, None).await
    }

    /// Returns a session; a saved one is reopened, to work in this folder.
    pub(super) async fn get_or_reopen_in(
        &self,
        id: &SessionId,
        folder: Option<&str>,
    ) -> Result<Arc<RunningSession>, ApiError> {
        if let Some(session) = self.find_running(id) {
            return Ok(session);
        }
        let _one_at_a_time = self.inner.reopen_lock.lock().await;
        if let Some(session) = self.find_running(id) {
            return Ok(session);
        }
        let closing = self.lock_sessions().closing.remove(id);
        if let Some(hub) = closing {
            wait_until_closed(&hub).await;
        }
        let _place = self.reserve_slot()?;
        let live = self.factory().reopen_in(id, folder).await?;
        let from = live.hub.last_seq();
        Ok(self.register(live, SessionKind::Shared, from))
    }

    /// Waits until a session has ended, if it is running.
    pub(super) async fn wait_until_ended(&self, id: &SessionId) {
        let running = self.lock_sessions().running.get(id).map(|session| session.handle.hub.clone());
        let hub = running.or_else(|| self.lock_sessions().closing.get(id).cloned());
        if let Some(hub) = hub {
            let mut subscription = hub.subscribe(hub.last_seq());
            while subscription.next().await.is_some() {}
        }
    }

    /// Reads a saved session without reopening it.
    pub(super) async fn read_saved(&self, id: &SessionId) -> Result<SessionHandle, ApiError> {
        self.factory().read(id).await
    }

    /// Returns whether this is the first client of the session that existed from the start.
    pub(super) fn take_first_visit(&self, id: &SessionId) -> bool {
        let mut sessions = self.lock_sessions();
        sessions.initial_session.as_ref() == Some(id) && std::mem::take(&mut sessions.first_visit_pending)
    }

    /// Returns how many clients follow a session now.
    pub fn reader_count(&self) -> usize {
        self.running_sessions().iter().map(|session| *session.readers().borrow()).sum()
    }

    /// Returns the running sessions.
    pub(super) fn running_sessions(&self) -> Vec<Arc<RunningSession>> {
        self.lock_sessions().running.values().cloned().collect()
    }

    /// Releases a session: it ends once its last holder is gone.
    pub(super) fn release(&self, id: &SessionId) {
        let running = self.lock_sessions().running.get(id).cloned();
        if let Some(session) = running {
            session.catch_up();
        }
        let mut sessions = self.lock_sessions();
        sessions.closing.retain(|_, hub| !hub.is_closed());
        if let Some(session) = sessions.running.remove(id) {
            sessions.closing.insert(id.clone(), session.handle.hub.clone());
            sessions.released_counts.add(&session.counts());
        }
    }

    /// Waits until all sessions and background tasks have ended.
    pub(super) async fn close(&self) {
        self.lock_sessions().running.clear();
        self.force_stop().cancel();
        self.inner.tasks.close();
        let _ = timeout(Duration::from_millis(500), self.inner.tasks.wait()).await;
        self.factory().close().await;
    }

    fn register(&self, live: SessionHandle, kind: SessionKind, from: Seq) -> Arc<RunningSession> {
        let session = Arc::new(RunningSession::new(live, kind, from));
        self.lock_sessions().running.insert(session.id().clone(), Arc::clone(&session));
        if let Some(watch) = self.inner.session_watcher.get() {
            let events = session.handle.hub.subscribe(from);
            self.spawn(watch(self.clone(), session.id().clone(), events));
        }
        session
    }

    /// Reserves a place for one more session. If needed, an idle session without readers is released; it is reopened on
    /// demand.
    fn reserve_slot(&self) -> Result<OpeningSlot<'_>, ApiError> {
        if self.shutdown().is_cancelled() {
            return Err(ApiError {
                retry_after: Some(5),
                ..ApiError::new(503, "closing", "the server is shutting down")
            });
        }
        let ended: Vec<_> =
            self.running_sessions().into_iter().filter(|session| session.handle.hub.is_closed()).collect();
        for session in ended {
            self.release(session.id());
        }
        let most = self.settings().limits.max_sessions;
        let (count, given) = {
            let mut sessions = self.lock_sessions();
            // Counted first, so that concurrent requests see it.
            sessions.opening_count += 1;
            (sessions.running.len() + sessions.opening_count, sessions.initial_session.clone())
        };
        let place = OpeningSlot(self);
        if count <= most {
            return Ok(place);
        }
        let idle = self
            .running_sessions()
            .into_iter()
            .filter(|session| session.kind == SessionKind::Shared && Some(session.id()) != given.as_ref());
        let longest = idle.filter_map(|session| Some((session.idle_since()?, session))).min_by_key(|(since, _)| *since);
        let Some((_, session)) = longest else {
            return Err(ApiError::too_many(format!("{most} sessions are running, which is the limit"), 5));
        };
        self.release(session.id());
        Ok(place)
    }

    fn lock_sessions(&self) -> MutexGuard<'_, SessionTable> {
        // No code under this lock panics halfway, so the data behind a poisoned lock is intact.
        self.inner.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until a session has written its last line.
async fn wait_until_closed(hub: &Hub) {
    let mut subscription = hub.subscribe(hub.last_seq());
    let _ = timeout(LOG_CLOSE_TIMEOUT, async { while subscription.next().await.is_some() {} }).await;
}

/// Waits until no turn runs, at most until `until`; returns false if one still does.
pub(super) async fn wait_until_idle(sessions: &[Arc<RunningSession>], until: Instant) -> bool {
    let ended = async {
        for session in sessions {
            let mut subscription = session.handle.hub.subscribe(session.handle.hub.last_seq());
            while session.is_busy() && subscription.next().await.is_some() {}
        }
    };
    tokio::time::timeout_at(until, ended).await.is_ok()
}

#[cfg(test)]
mod tests;
