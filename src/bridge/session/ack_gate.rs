//! Holds events back until the shared log has them: then the copy here gets them, and only then everybody else.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::LoggedEvent;
use crate::bridge::hub::Hub;
use crate::bridge::shared_log::{AppendError, SharedLog};
use crate::journal::Writer;

/// Batches on their way; with more the source is not asked for events.
const MAX_BATCHES: usize = 64;
/// How soon storing is tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);
/// How long a session that has ended waits for its last events to be stored.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// How storing goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct GateState {
    /// Why events wait, or the copy lacks some.
    pub(super) error: Option<String>,
    /// Another server owns the log: the session ends here, and says nothing more.
    pub(super) lost: Option<String>,
}

/// The session's end of the gate.
pub(super) struct AckGate {
    batches: mpsc::Sender<Vec<Arc<LoggedEvent>>>,
    /// What the channel has no room for.
    waiting: VecDeque<Vec<Arc<LoggedEvent>>>,
    state: watch::Receiver<GateState>,
}

impl AckGate {
    pub(super) fn start(log: Box<dyn SharedLog>, copy: Option<Writer>, hub: Hub, tasks: &mut JoinSet<()>) -> Self {
        let (batches, taken) = mpsc::channel(MAX_BATCHES);
        let (told, state) = watch::channel(GateState::default());
        tasks.spawn(GateTask { log, copy, hub, batches: taken, state: told }.run());
        Self { batches, waiting: VecDeque::new(), state }
    }

    pub(super) fn push(&mut self, events: Vec<Arc<LoggedEvent>>) {
        self.waiting.push_back(events);
        self.flush();
    }

    pub(super) fn flush(&mut self) {
        while let Some(events) = self.waiting.pop_front() {
            if let Err(mpsc::error::TrySendError::Full(events)) = self.batches.try_send(events) {
                return self.waiting.push_front(events);
            }
        }
    }

    /// Returns how storing goes, as it changes.
    pub(super) fn state(&self) -> watch::Receiver<GateState> {
        self.state.clone()
    }

    /// Returns whether so much is on its way that the source has to wait.
    pub(super) fn is_full(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Sends what waits, and waits until everything is stored or can't be; the hub is closed then.
    pub(super) async fn finish(mut self) {
        while let Some(events) = self.waiting.pop_front() {
            if self.batches.send(events).await.is_err() {
                break;
            }
        }
        drop(self.batches);
        while self.state.changed().await.is_ok() {}
    }
}

/// Waits until there is room again; never ready without a gate. Cancel-safe.
pub(super) async fn wait_for_room(gate: Option<&AckGate>) {
    let Some(gate) = gate else { return std::future::pending().await };
    let _ = gate.batches.reserve().await;
}

struct GateTask {
    log: Box<dyn SharedLog>,
    copy: Option<Writer>,
    hub: Hub,
    batches: mpsc::Receiver<Vec<Arc<LoggedEvent>>>,
    state: watch::Sender<GateState>,
}

impl GateTask {
    async fn run(mut self) {
        let mut lost = self.log.lost();
        let why = tokio::select! {
            biased;
            why = &mut lost => Some(why),
            stored = self.store_all() => stored.err(),
        };
        match why {
            Some(why) => {
                tracing::warn!("the session ends here: {why}");
                self.state.send_modify(|state| state.lost = Some(why));
            }
            None => {
                let _ = tokio::time::timeout(CLOSE_TIMEOUT, self.log.release()).await;
            }
        }
        // Whoever opens the copy next must get its lock.
        drop(self.copy);
        self.hub.close();
    }

    /// Stores what comes until the session ends; an error says that another server owns the log.
    async fn store_all(&mut self) -> Result<(), String> {
        let mut taken = Vec::new();
        while self.batches.recv_many(&mut taken, MAX_BATCHES).await > 0 {
            let events: Vec<Arc<LoggedEvent>> = taken.drain(..).flatten().collect();
            if !self.store(&events).await? {
                break;
            }
            let lines: Vec<Bytes> = events.iter().map(|event| event.line.clone()).collect();
            let error = self.copy.as_mut().and_then(|copy| match copy.append(&lines) {
                Ok(()) => copy.save_error(),
                Err(error) => copy.save_error().or_else(|| Some(error.to_string())),
            });
            self.tell(error);
            self.hub.publish(events);
        }
        Ok(())
    }

    /// Returns false if the session ended before the events could be stored.
    async fn store(&mut self, events: &[Arc<LoggedEvent>]) -> Result<bool, String> {
        let mut ended_at = None;
        loop {
            match self.log.append(events).await {
                Ok(()) => return Ok(true),
                Err(AppendError::Lost(why)) => return Err(why),
                Err(AppendError::Unreachable(why)) => self.tell(Some(why)),
            }
            if self.batches.is_closed() && ended_at.get_or_insert_with(Instant::now).elapsed() >= CLOSE_TIMEOUT {
                return Ok(false);
            }
            tokio::time::sleep(RETRY_INTERVAL).await;
        }
    }

    fn tell(&self, error: Option<String>) {
        self.state.send_if_modified(|state| {
            let is_changed = state.error != error;
            state.error = error;
            is_changed
        });
    }
}

#[cfg(test)]
mod tests;
