//! The spine: takes events from one source, merges, numbers, times and seals them, writes them to the log, and only
//! then publishes. Owns the queue of prompts. Knows nothing of what the events mean to anyone.

mod merge;
mod queue;
mod saving;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::event::grammar::Sealer;
use crate::event::{
    AgentEvent, Caps, Command, Envelope, Grant, Level, LinkState, Millis, Permissions, Seq, SessionId, TurnEnd, Weather,
};
use crate::journal::{Part, SessionState, Writer};

use self::merge::merge;
use self::queue::Queue;
pub use self::saving::{Kept, Trouble};
use super::hub::Hub;
use super::{Live, Published};

/// Events taken from the source in one go: they become one write and one wake-up.
const BATCH: usize = 512;

/// Notices that wait for the session to be opened.
const NOTICES: usize = 100;
/// Wishes that may wait for the source; more wait in front of the session.
const OUTBOX: usize = 64;

/// The code of the notice that the log was removed and written anew.
pub const REWRITTEN: &str = "log_rewritten";

/// How it begins in words; the path follows.
pub(super) const REMOVED: &str = "the log was removed while it was in use; it was written anew to";

/// How often a log that couldn't be written is tried again.
pub(super) const RETRY: Duration = Duration::from_secs(3);

/// What a source gives the session.
pub struct Feed {
    /// Capacity 256 by convention: a flooding source is slowed at its socket.
    pub events: mpsc::Receiver<AgentEvent>,
    /// Times count from the epoch of this run.
    pub link: watch::Receiver<LinkState>,
    /// What is allowed and denied; none where the source doesn't say.
    pub permissions: Option<watch::Receiver<Permissions>>,
    pub commands: mpsc::Sender<Command>,
    pub caps: Caps,
}

/// Where a session stands when this run begins.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    pub last: Seq,
    /// The time of that event.
    pub at: Millis,
    /// The session's clock when this run began.
    pub base: Millis,
}

/// What a log says of the session before this run.
#[derive(Debug, Default)]
pub struct Past {
    /// What was left open.
    pub sealer: Sealer,
    /// What is wrong with the log.
    pub notices: Vec<AgentEvent>,
}

/// What a session is made of.
pub struct Setup {
    pub session: SessionId,
    pub hub: Hub,
    /// None where the log can't be kept; `not_saved` then says why.
    pub writer: Option<Writer>,
    pub not_saved: Option<String>,
    pub standing: Standing,
    /// Where prompts are kept that the log has not yet; none where nobody comes back for them.
    pub state: Option<SessionState>,
    /// Prompts of an earlier run. They are held: nothing is sent by itself.
    pub waiting: Vec<String>,
    /// What an earlier run was allowed, as it is saved.
    pub granted: Vec<String>,
    /// Told when the log can't be written, when it can again, and when it was removed.
    pub trouble: Option<Trouble>,
    /// What is found while the log is read.
    pub past: BoxFuture<'static, Past>,
    /// Told to every client first: another folder, for example.
    pub notices: Vec<AgentEvent>,
    pub epoch: Instant,
}

/// Starts the session; its task ends when every [`Live`] is gone or the source ends.
pub fn start(setup: Setup, feed: Feed, tasks: &mut JoinSet<()>) -> Live {
    // Capacity 64: a person's wishes; a full queue means the session is stuck.
    let (commands, wishes) = mpsc::channel(64);
    let first = Weather { not_saved: setup.not_saved.clone(), now: setup.standing.base, ..Weather::default() };
    let (weather, watch) = watch::channel(first);
    let live =
        Live { session: setup.session.clone(), caps: feed.caps, hub: setup.hub.clone(), commands, weather: watch };
    tasks.spawn(run(setup, feed, wishes, weather));
    live
}

async fn run(setup: Setup, mut feed: Feed, mut wishes: mpsc::Receiver<Command>, weather: watch::Sender<Weather>) {
    let Past { sealer, notices } = setup.past.await;
    let mut told = setup.notices;
    told.extend(notices);
    let mut spine = Spine {
        session: setup.session,
        trouble: setup.trouble,
        state: setup.state,
        granted: setup.granted,
        unkept: false,
        rewritten: 0,
        hub: setup.hub,
        writer: setup.writer,
        not_saved: setup.not_saved,
        sealer,
        next: setup.standing.last.next(),
        base: setup.standing.base,
        epoch: setup.epoch,
        last_at: setup.standing.base,
        opened: false,
        has_turns: setup.standing.last > Seq(0),
        queue: Queue::held(setup.waiting),
        outbox: VecDeque::new(),
        notices: told,
        busy: false,
        weather,
    };
    let mut to_source = Some(feed.commands);
    let mut wishes_open = true;
    let mut link_open = true;
    let mut batch = Vec::with_capacity(64);
    // It ended with what was logged last; how long nobody was here is no part of it.
    let left_open = spine.sealer.seal(TurnEnd::Interrupted);
    spine.publish_at(left_open, setup.standing.at);
    spine.say_queue();
    if let Some(why) = spine.not_saved.clone() {
        spine.tell_trouble(Kept::Not(&why));
    }
    loop {
        // Wishes before traffic, so that a flood can't hold up a cancel.
        tokio::select! {
            biased;
            wish = wishes.recv(), if wishes_open && spine.outbox.len() < OUTBOX => {
                if let Some(wish) = wish {
                    spine.wish(wish, to_source.as_ref());
                } else {
                    wishes_open = false;
                    to_source = None;
                }
            }
            // Never awaited alone: a source that is busy telling events takes no wishes, and would wait for us.
            () = room(to_source.as_ref()), if !spine.outbox.is_empty() => spine.send_on(to_source.as_ref()),
            // The disk may have room again; nothing else would notice while the session is idle.
            () = tokio::time::sleep(RETRY), if spine.not_saved.is_some() => spine.retry(),
            changed = feed.link.changed(), if link_open => match changed {
                Ok(()) => {
                    let state = feed.link.borrow_and_update().clone();
                    spine.say_link(state);
                }
                Err(_) => link_open = false,
            },
            Some(permissions) = changed(&mut feed.permissions) => spine.say_permissions(permissions),
            taken = feed.events.recv_many(&mut batch, BATCH) => {
                if taken == 0 {
                    break;
                }
                let ended = batch.iter().any(|event| matches!(event, AgentEvent::TurnFinished { .. }));
                let mut events: Vec<AgentEvent> = std::mem::take(&mut batch);
                // Said after the session was opened: a log begins with that.
                if let Some(AgentEvent::SessionOpened { .. }) = events.first() {
                    events.splice(1..1, std::mem::take(&mut spine.notices));
                    spine.opened = true;
                }
                spine.publish(events);
                if ended {
                    spine.turn_ended(to_source.as_ref());
                }
            }
        }
    }
    let rest = spine.sealer.seal(TurnEnd::Interrupted);
    spine.publish(rest);
    spine.finish();
    spine.hub.close();
}

struct Spine {
    session: SessionId,
    trouble: Option<Trouble>,
    state: Option<SessionState>,
    /// The grants that are saved.
    granted: Vec<String>,
    /// It was said that something of the session can't be kept for its next run.
    unkept: bool,
    /// How often the log was written anew, as far as that was told.
    rewritten: u32,
    hub: Hub,
    writer: Option<Writer>,
    not_saved: Option<String>,
    sealer: Sealer,
    next: Seq,
    base: Millis,
    epoch: Instant,
    last_at: Millis,
    /// This run's `SessionOpened` was told.
    opened: bool,
    /// Something was said in it, now or in an earlier run.
    has_turns: bool,
    queue: Queue,
    /// Wishes that the source has no room for yet.
    outbox: VecDeque<Command>,
    /// Told once the session is opened.
    notices: Vec<AgentEvent>,
    busy: bool,
    weather: watch::Sender<Weather>,
}

impl Spine {
    fn now(&self) -> Millis {
        self.base.plus(self.epoch.elapsed().into())
    }

    fn wish(&mut self, wish: Command, source: Option<&mpsc::Sender<Command>>) {
        match wish {
            Command::Prompt { text } if self.busy || self.queue.goes_first() => match self.queue.add(text) {
                Ok(()) => self.say_queue(),
                Err(full) => self.say(notice(Level::Warn, "queue_full", full)),
            },
            Command::Prompt { text } => self.send_prompt(source, text),
            Command::SendQueued if self.busy => {}
            Command::SendQueued => self.send_next(source),
            // There is nothing to keep waiting: the turn that runs says what comes next.
            Command::GoOn if self.busy || self.queue.goes_first() => {}
            Command::GoOn => {
                self.busy = true;
                self.forward(source, Command::GoOn);
            }
            Command::Unqueue { id } => {
                self.queue.remove(id);
                self.say_queue();
            }
            other => self.forward(source, other),
        }
    }

    /// The prompt counts as waiting until the log has it.
    fn send_prompt(&mut self, source: Option<&mpsc::Sender<Command>>, text: String) {
        self.busy = true;
        self.queue.sent(text.clone());
        self.keep_queue();
        self.forward(source, Command::Prompt { text });
    }

    fn send_next(&mut self, source: Option<&mpsc::Sender<Command>>) {
        if let Some(text) = self.queue.next() {
            self.send_prompt(source, text);
            self.say_queue();
        }
    }

    fn say(&mut self, notice: AgentEvent) {
        if self.opened {
            self.publish(vec![notice]);
        } else if self.notices.len() < NOTICES {
            self.notices.push(notice);
        }
    }

    fn forward(&mut self, source: Option<&mpsc::Sender<Command>>, wish: Command) {
        let Some(source) = source else { return };
        if !self.outbox.is_empty() {
            self.outbox.push_back(wish);
        } else if let Err(mpsc::error::TrySendError::Full(wish)) = source.try_send(wish) {
            self.outbox.push_back(wish);
        }
    }

    fn send_on(&mut self, source: Option<&mpsc::Sender<Command>>) {
        while let Some(wish) = self.outbox.pop_front() {
            match source.map(|source| source.try_send(wish)) {
                Some(Ok(())) => {}
                Some(Err(mpsc::error::TrySendError::Full(wish))) => return self.outbox.push_front(wish),
                // The source went away: its event channel closes next, and that ends the session.
                Some(Err(mpsc::error::TrySendError::Closed(_))) | None => self.outbox.clear(),
            }
        }
    }

    fn turn_ended(&mut self, source: Option<&mpsc::Sender<Command>>) {
        self.sync();
        self.busy = false;
        self.send_next(source);
    }

    fn publish(&mut self, events: Vec<AgentEvent>) {
        let at = self.now().max(self.last_at);
        self.last_at = at;
        self.publish_at(events, at);
    }

    fn publish_at(&mut self, events: Vec<AgentEvent>, at: Millis) {
        if events.is_empty() {
            return;
        }
        let mut published = Vec::with_capacity(events.len());
        let mut logged = false;
        for event in merge(events) {
            match &event {
                AgentEvent::TurnStarted { .. } => self.has_turns = true,
                AgentEvent::UserMessage { .. } => logged |= self.queue.logged(),
                _ => {}
            }
            if let AgentEvent::TurnFinished { end, .. } = &event {
                for closing in self.sealer.close(end) {
                    self.number(closing, at, &mut published);
                }
            }
            self.number(event, at, &mut published);
        }
        self.write(&published);
        self.hub.publish(published);
        if logged {
            self.keep_queue();
        }
        self.tell_rewritten();
    }

    fn number(&mut self, event: AgentEvent, at: Millis, out: &mut Vec<Arc<Published>>) {
        if let Err(breach) = self.sealer.observe(&event) {
            tracing::warn!("event out of order: {breach}");
        }
        let envelope = Envelope { seq: self.next, at, event };
        match serde_json::to_vec(&envelope) {
            Ok(line) => {
                self.next = self.next.next();
                out.push(Arc::new(Published { envelope, line: Bytes::from(line) }));
            }
            Err(error) => tracing::error!("an event could not be written as JSON: {error}"),
        }
    }

    fn say_queue(&mut self) {
        self.keep_queue();
        let now = self.now();
        let (queue, held) = (self.queue.waiting(), self.queue.is_held());
        self.weather.send_if_modified(|weather| {
            let changed = weather.queue != queue || weather.held != held;
            (weather.queue, weather.held, weather.now) = (queue, held, now);
            changed
        });
    }

    fn say_permissions(&mut self, permissions: Permissions) {
        self.keep_grants(&permissions.grants);
        let now = self.now();
        self.weather.send_modify(|weather| {
            weather.permissions = Some(permissions);
            weather.now = now;
        });
    }

    /// Saves what the person allowed until the session ends, for its next run.
    fn keep_grants(&mut self, grants: &[Grant]) {
        let patterns: Vec<String> = grants.iter().map(Grant::pattern).collect();
        let Some(state) = self.state.as_ref().filter(|_| patterns != self.granted) else { return };
        let saved = if grants.is_empty() { state.clear(Part::Grants) } else { state.save(Part::Grants, &grants) };
        match saved {
            Ok(()) => self.granted = patterns,
            Err(error) => self.say_unkept(format!("what you allowed for this session is not kept: {error}")),
        }
    }

    /// Saves the prompts that the log has not, for the next run.
    fn keep_queue(&mut self) {
        let Some(state) = &self.state else { return };
        let texts = self.queue.texts();
        let saved = if texts.is_empty() { state.clear(Part::Queue) } else { state.save(Part::Queue, &texts) };
        if let Err(error) = saved {
            self.say_unkept(format!("the prompts that wait are not kept: {error}"));
        }
    }

    /// Says once that the session's next run will lack something.
    fn say_unkept(&mut self, text: String) {
        if !std::mem::replace(&mut self.unkept, true) {
            self.say(notice(Level::Warn, "not_kept", text));
        }
    }

    /// The source counts from this run's epoch, everyone else on the session's clock.
    fn say_link(&self, state: LinkState) {
        let shift = |time: Millis| self.base.plus(time);
        let link = match state {
            LinkState::Waiting { since, limit } => LinkState::Waiting { since: shift(since), limit },
            LinkState::Loading { since, limit } => LinkState::Loading { since: shift(since), limit },
            LinkState::Silent { since, limit } => LinkState::Silent { since: shift(since), limit },
            LinkState::Unproductive { since, limit } => LinkState::Unproductive { since: shift(since), limit },
            LinkState::Retrying { attempt, at } => LinkState::Retrying { attempt, at: shift(at) },
            same @ (LinkState::Idle | LinkState::Connecting | LinkState::Live | LinkState::Lost(_)) => same,
        };
        let now = self.now();
        self.weather.send_modify(|weather| {
            weather.link = link;
            weather.now = now;
        });
    }
}

/// Waits for what is allowed to change; none once the source is gone.
async fn changed(permissions: &mut Option<watch::Receiver<Permissions>>) -> Option<Permissions> {
    let Some(watch) = permissions else { return std::future::pending().await };
    if watch.changed().await.is_ok() {
        return Some(watch.borrow_and_update().clone());
    }
    *permissions = None;
    None
}

/// Waits until the source can take a wish, or is gone.
async fn room(source: Option<&mpsc::Sender<Command>>) {
    if let Some(source) = source {
        let _ = source.reserve().await;
    }
}

/// Says that something about the session itself went wrong, in the form of a fact.
pub fn notice(level: Level, code: &str, text: impl Into<String>) -> AgentEvent {
    AgentEvent::Noticed { level, code: code.to_owned(), text: text.into() }
}

#[cfg(test)]
mod tests;
