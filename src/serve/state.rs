//! What all requests share: the running sessions, the settings, and who ends what.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secrecy::SecretString;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::factory::{Answering, Factory, Opening};
use super::refuse::Refused;
use super::room::{Kind, Room};
use crate::bridge::Live;
use crate::bridge::hub::Hub;
use crate::event::{Mode, Seq, SessionId};

/// How long a session that was put aside may take to write its last line.
const CLOSING: Duration = Duration::from_secs(5);

/// How the server was started.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub tokens: Tokens,
    /// Origins of web pages that may ask, besides our own; `*` is every one.
    pub origins: Vec<String>,
    /// Whoever may ask may only watch.
    pub read_only: bool,
    /// What sessions may do unasked; no client gets more.
    pub mode: Mode,
    /// The address is this machine's own: who asks must name it so.
    pub loopback: bool,
    /// Named events on chat completions for whoever sends tools, as OpenJarvis has it.
    pub openjarvis: bool,
    pub limits: Limits,
}

/// Who may ask. Without any token everyone who reaches the address may.
#[derive(Clone, Debug, Default)]
pub struct Tokens {
    pub full: Option<SecretString>,
    /// May watch and list.
    pub read: Option<SecretString>,
}

/// Where the server says no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once.
    pub clients: usize,
    /// Sessions that run at once, those of one question included.
    pub sessions: usize,
    /// Bytes of a request.
    pub body: usize,
    /// Bytes of a prompt.
    pub message: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { clients: 512, sessions: 64, body: 8 << 20, message: 1 << 20 }
    }
}

/// Shared by all requests; cheap to clone.
#[derive(Clone)]
pub struct State {
    shared: Arc<Shared>,
}

struct Shared {
    factory: Arc<dyn Factory>,
    settings: Settings,
    rooms: Mutex<Rooms>,
    /// Saved sessions are opened one after another: a log has one owner.
    gate: tokio::sync::Mutex<()>,
    tasks: TaskTracker,
    stop: CancellationToken,
    /// Cancelled when nothing is waited for any more.
    gone: CancellationToken,
}

#[derive(Default)]
struct Rooms {
    running: HashMap<SessionId, Arc<Room>>,
    /// Put aside; their logs may still be open.
    closing: HashMap<SessionId, Hub>,
    /// Being opened.
    coming: usize,
    /// The one that was there from the start; never put aside.
    given: Option<SessionId>,
    /// Nobody came to see it yet.
    unseen: bool,
}

/// A place among the sessions that may run, kept for one that is being opened.
struct Place<'a>(&'a State);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut rooms = self.0.rooms();
        rooms.coming = rooms.coming.saturating_sub(1);
    }
}

impl State {
    pub fn new(factory: Arc<dyn Factory>, settings: Settings) -> Self {
        let mut rooms = Rooms::default();
        if let Some(live) = factory.given() {
            let from = Seq(0);
            rooms.given = Some(live.session.clone());
            rooms.unseen = true;
            rooms.running.insert(live.session.clone(), Arc::new(Room::new(live, Kind::Shared, from)));
        }
        let shared = Shared {
            factory,
            settings,
            rooms: Mutex::new(rooms),
            gate: tokio::sync::Mutex::new(()),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            gone: CancellationToken::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    pub(super) fn factory(&self) -> &dyn Factory {
        self.shared.factory.as_ref()
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// Cancelled when the server goes down.
    pub(super) fn stop(&self) -> &CancellationToken {
        &self.shared.stop
    }

    /// Cancelled when sessions must be let go, whatever they do.
    pub(super) fn gone(&self) -> &CancellationToken {
        &self.shared.gone
    }

    /// Runs something beside the requests; it is waited for at the end.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.shared.tasks.spawn(task);
    }

    /// Refuses a text that is too long to be a prompt.
    pub(super) fn check_message(&self, text: &str) -> Result<(), Refused> {
        let most = self.settings().limits.message;
        if text.len() <= most {
            return Ok(());
        }
        Err(Refused::too_large(format!("the message has {} bytes; {most} are taken", text.len())))
    }

    /// Refuses a mode in which more is done unasked than whoever started the server allowed.
    pub(super) fn check_mode(&self, mode: Mode) -> Result<(), Refused> {
        let most = self.settings().mode;
        if !mode.is_freer_than(most) {
            return Ok(());
        }
        let text = format!("this server allows at most the mode {} (its --approval-mode)", most.name());
        Err(Refused::new(403, "mode_not_allowed", text).about("mode"))
    }

    /// Opens a session that clients share.
    pub(super) async fn open(&self, opening: Opening) -> Result<Arc<Room>, Refused> {
        opening.mode.map_or(Ok(()), |mode| self.check_mode(mode))?;
        let _place = self.make_room()?;
        let live = self.factory().open(opening).await?;
        Ok(self.enter(live, Kind::Shared, Seq(0)))
    }

    /// Opens a session for one question.
    pub(super) async fn ask(&self, ask: &super::ask::Ask) -> Result<(Arc<Room>, bool), Refused> {
        let _place = self.make_room()?;
        let Answering { live, turn, played } = self.factory().ask(ask).await?;
        Ok((self.enter(live, Kind::One { turn }, Seq(0)), played))
    }

    /// Returns a session if it runs.
    pub(super) fn running(&self, id: &SessionId) -> Option<Arc<Room>> {
        let room = self.rooms().running.get(id).cloned();
        room.filter(|room| !room.live.hub.is_closed())
    }

    /// Returns a session; one that was saved is opened again.
    pub(super) async fn room(&self, id: &SessionId) -> Result<Arc<Room>, Refused> {
        if let Some(room) = self.running(id) {
            return Ok(room);
        }
        let _one_at_a_time = self.shared.gate.lock().await;
        if let Some(room) = self.running(id) {
            return Ok(room);
        }
        let closing = self.rooms().closing.remove(id);
        if let Some(hub) = closing {
            closed(&hub).await;
        }
        let _place = self.make_room()?;
        let live = self.factory().reopen(id).await?;
        let from = live.hub.last();
        Ok(self.enter(live, Kind::Shared, from))
    }

    /// Waits until a session has ended, if it runs at all.
    pub(super) async fn ended(&self, id: &SessionId) {
        let running = self.rooms().running.get(id).map(|room| room.live.hub.clone());
        let hub = running.or_else(|| self.rooms().closing.get(id).cloned());
        if let Some(hub) = hub {
            let mut facts = hub.subscribe(hub.last());
            while facts.next().await.is_some() {}
        }
    }

    /// Reads a saved session, without opening it.
    pub(super) async fn saved(&self, id: &SessionId) -> Result<Live, Refused> {
        self.factory().read(id).await
    }

    /// Returns whether this is the first who comes to see the session that was there from the start.
    pub(super) fn is_first(&self, id: &SessionId) -> bool {
        let mut rooms = self.rooms();
        rooms.given.as_ref() == Some(id) && std::mem::take(&mut rooms.unseen)
    }

    /// Returns the rooms there are.
    pub(super) fn all(&self) -> Vec<Arc<Room>> {
        self.rooms().running.values().cloned().collect()
    }

    /// Forgets a session: it ends once the last that holds it is gone.
    pub(super) fn leave(&self, id: &SessionId) {
        let mut rooms = self.rooms();
        rooms.closing.retain(|_, hub| !hub.is_closed());
        if let Some(room) = rooms.running.remove(id) {
            rooms.closing.insert(id.clone(), room.live.hub.clone());
        }
    }

    /// Waits until all sessions have ended, and for whatever runs beside the requests.
    pub(super) async fn close(&self) {
        self.rooms().running.clear();
        self.gone().cancel();
        self.shared.tasks.close();
        let _ = timeout(Duration::from_millis(500), self.shared.tasks.wait()).await;
        self.factory().close().await;
    }

    fn enter(&self, live: Live, kind: Kind, from: Seq) -> Arc<Room> {
        let room = Arc::new(Room::new(live, kind, from));
        self.rooms().running.insert(room.id().clone(), Arc::clone(&room));
        room
    }

    /// Sees to it that one more session may run. One that nobody reads and that does nothing is put aside; it is
    /// opened again when somebody asks for it.
    fn make_room(&self) -> Result<Place<'_>, Refused> {
        if self.stop().is_cancelled() {
            return Err(Refused { retry_after: Some(5), ..Refused::new(503, "closing", "the server is going down") });
        }
        let ended: Vec<_> = self.all().into_iter().filter(|room| room.live.hub.is_closed()).collect();
        for room in ended {
            self.leave(room.id());
        }
        let most = self.settings().limits.sessions;
        let (count, given) = {
            let mut rooms = self.rooms();
            // Counted first: whoever comes meanwhile sees it.
            rooms.coming += 1;
            (rooms.running.len() + rooms.coming, rooms.given.clone())
        };
        let place = Place(self);
        if count <= most {
            return Ok(place);
        }
        let idle = self.all().into_iter().filter(|room| room.kind == Kind::Shared && Some(room.id()) != given.as_ref());
        let longest = idle.filter_map(|room| Some((room.idle_since()?, room))).min_by_key(|(since, _)| *since);
        let Some((_, room)) = longest else {
            return Err(Refused::busy(format!("{most} sessions are running, and no more may"), 5));
        };
        self.leave(room.id());
        Ok(place)
    }

    fn rooms(&self) -> MutexGuard<'_, Rooms> {
        // Nothing in here panics half-way, so what a poisoned lock guards is whole.
        self.shared.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until a session has written its last line.
async fn closed(hub: &Hub) {
    let mut facts = hub.subscribe(hub.last());
    let _ = timeout(CLOSING, async { while facts.next().await.is_some() {} }).await;
}

/// Waits until no turn runs, but no longer than `until`; false if one still does.
pub(super) async fn quiet(rooms: &[Arc<Room>], until: Instant) -> bool {
    let ended = async {
        for room in rooms {
            let mut facts = room.live.hub.subscribe(room.live.hub.last());
            while room.is_busy() && facts.next().await.is_some() {}
        }
    };
    tokio::time::timeout_at(until, ended).await.is_ok()
}
