//! Running sessions: their readers, pending approvals, and claimed decisions.
//!
//! Events are folded on demand, from the same hub that everyone reads. Invariant: only the first decision on an
//! approval is forwarded; a later one gets an error that says so.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::time::Instant;

use super::session_counts::SessionCounts;
use crate::bridge::hub::Subscription;
use crate::bridge::{HubItem, SessionHandle};
use crate::event::{AgentEvent, ApprovalMode, ApprovalRequest, CallId, DecidedBy, Decision, Seq, SessionId, TurnId};

/// How many decisions are remembered for late clients.
const MAX_RESOLVED_DECISIONS: usize = 1_000;
/// Events folded at once.
const MAX_BATCH_EVENTS: usize = 4_096;

/// A running session.
pub(super) struct RunningSession {
    pub(super) handle: SessionHandle,
    pub(super) kind: SessionKind,
    readers: watch::Sender<usize>,
    /// Those of them that are clients with a name, by their numbers.
    watchers: watch::Sender<BTreeMap<u64, String>>,
    fold: Mutex<SessionFold>,
}

/// How a session is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SessionKind {
    /// By any client.
    Shared,
    /// For a single prompt; with the turn that answers it, if it isn't the first one after the history.
    OneShot { turn: Option<TurnId> },
}

/// The current state of a session.
#[derive(Clone, Debug, Default)]
pub(super) struct SessionSnapshot {
    pub(super) info: Option<SessionInfo>,
    pub(super) turn: Option<TurnId>,
    /// Pending approvals, oldest first.
    pub(super) pending_approvals: Vec<(CallId, ApprovalRequest)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SessionInfo {
    pub(super) engine: String,
    pub(super) model: String,
    pub(super) mode: ApprovalMode,
    pub(super) folder: String,
}

struct SessionFold {
    events: Subscription,
    snapshot: SessionSnapshot,
    /// Decisions that were forwarded and are not events yet.
    claimed_decisions: HashMap<CallId, Decision>,
    resolved_decisions: VecDeque<(CallId, Decision, DecidedBy)>,
    last_used: Instant,
    counts: SessionCounts,
}

/// The result of deciding an approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DecisionClaim {
    /// It is the first decision.
    First,
    /// Another decision was first.
    Late(Decision, Option<DecidedBy>),
    Unknown,
}

/// A reader of a session; counted until dropped.
pub(super) struct ReaderGuard(watch::Sender<usize>);

impl Drop for ReaderGuard {
    fn drop(&mut self) {
        self.0.send_modify(|readers| *readers = readers.saturating_sub(1));
    }
}

/// A client that follows a session under a name.
pub(super) struct WatcherGuard {
    watchers: watch::Sender<BTreeMap<u64, String>>,
    number: u64,
}

impl Drop for WatcherGuard {
    fn drop(&mut self) {
        self.watchers.send_modify(|watchers| _ = watchers.remove(&self.number));
    }
}

impl RunningSession {
    /// Wraps a session; events up to `from` are not folded.
    pub(super) fn new(live: SessionHandle, kind: SessionKind, from: Seq) -> Self {
        let subscription = live.hub.subscribe(from);
        let fold = SessionFold {
            events: subscription,
            snapshot: SessionSnapshot::default(),
            claimed_decisions: HashMap::new(),
            resolved_decisions: VecDeque::new(),
            last_used: Instant::now(),
            counts: SessionCounts::default(),
        };
        Self {
            handle: live,
            kind,
            readers: watch::Sender::new(0),
            watchers: watch::Sender::default(),
            fold: Mutex::new(fold),
        }
    }

    pub(super) fn id(&self) -> &SessionId {
        &self.handle.session
    }

    /// Counts a reader until the returned value is dropped.
    pub(super) fn add_reader(&self) -> ReaderGuard {
        self.readers.send_modify(|readers| *readers += 1);
        self.lock().last_used = Instant::now();
        ReaderGuard(self.readers.clone())
    }

    /// Names a client that follows the session, until the returned value is dropped.
    pub(super) fn add_watcher(&self, name: String) -> WatcherGuard {
        let mut number = 0;
        self.watchers.send_modify(|watchers| {
            number = watchers.last_key_value().map_or(0, |(last, _)| last + 1);
            watchers.insert(number, name);
        });
        WatcherGuard { watchers: self.watchers.clone(), number }
    }

    pub(super) fn watchers(&self) -> watch::Receiver<BTreeMap<u64, String>> {
        self.watchers.subscribe()
    }

    pub(super) fn readers(&self) -> watch::Receiver<usize> {
        self.readers.subscribe()
    }

    /// Returns the current state.
    pub(super) fn snapshot(&self) -> SessionSnapshot {
        let mut fold = self.lock();
        fold.catch_up();
        fold.snapshot.clone()
    }

    /// Counts what has happened since the last time.
    pub(super) fn catch_up(&self) {
        self.lock().catch_up();
    }

    /// Returns what was counted so far.
    pub(super) fn counts(&self) -> SessionCounts {
        self.lock().counts.clone()
    }

    pub(super) fn is_busy(&self) -> bool {
        let mut fold = self.lock();
        fold.catch_up();
        fold.snapshot.turn.is_some() || !self.handle.status.borrow().queue.is_empty()
    }

    /// Returns since when the session has been unused; `None` while it has readers or a turn runs.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        if *self.readers.borrow() > 0 || self.is_busy() {
            return None;
        }
        Some(self.lock().last_used)
    }

    pub(super) fn touch(&self) {
        self.lock().last_used = Instant::now();
    }

    /// Claims a decision, if it is the first.
    pub(super) fn claim_decision(&self, call: &CallId, decision: &Decision) -> DecisionClaim {
        let mut fold = self.lock();
        fold.catch_up();
        if let Some(first) = fold.claimed_decisions.get(call) {
            return DecisionClaim::Late(first.clone(), None);
        }
        if fold.snapshot.pending_approvals.iter().any(|(waiting, _)| waiting == call) {
            fold.claimed_decisions.insert(call.clone(), decision.clone());
            return DecisionClaim::First;
        }
        match fold.resolved_decisions.iter().rev().find(|(known, _, _)| known == call) {
            Some((_, decision, by)) => DecisionClaim::Late(decision.clone(), Some(*by)),
            None => DecisionClaim::Unknown,
        }
    }

    /// Releases a decision that could not be forwarded.
    pub(super) fn release_decision(&self, call: &CallId) {
        self.lock().claimed_decisions.remove(call);
    }

    /// Returns how an approval was decided.
    pub(super) fn resolution(&self, call: &CallId) -> Option<(Decision, DecidedBy)> {
        let mut fold = self.lock();
        fold.catch_up();
        fold.resolved_decisions
            .iter()
            .rev()
            .find(|(known, _, _)| known == call)
            .map(|(_, decision, by)| (decision.clone(), *by))
    }

    fn lock(&self) -> MutexGuard<'_, SessionFold> {
        // No code under this lock panics halfway, so the data behind a poisoned lock is intact.
        self.fold.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SessionFold {
    fn catch_up(&mut self) {
        let mut got = Vec::new();
        while self.events.try_next_batch(MAX_BATCH_EVENTS, &mut got) {
            for delivery in got.drain(..) {
                match delivery {
                    HubItem::Event(event) => {
                        self.counts.observe(&event.envelope);
                        self.apply(&event.envelope.event);
                    }
                    HubItem::Reset => {
                        (self.snapshot, self.claimed_decisions) = (SessionSnapshot::default(), HashMap::new());
                    }
                }
            }
        }
    }

    fn apply(&mut self, event: &AgentEvent) {
        match event {
            AgentEvent::SessionOpened { engine, model, mode, folder, .. } => {
                let (engine, model, folder) = (engine.clone(), model.clone(), folder.clone());
                self.snapshot.info = Some(SessionInfo { engine, model, mode: *mode, folder });
            }
            AgentEvent::TurnStarted { turn, .. } => self.snapshot.turn = Some(turn.clone()),
            AgentEvent::TurnFinished { .. } => {
                self.snapshot.turn = None;
                self.snapshot.pending_approvals.clear();
                self.claimed_decisions.clear();
            }
            AgentEvent::ApprovalRequested { call, request } => {
                self.snapshot.pending_approvals.push((call.clone(), request.clone()));
            }
            AgentEvent::ApprovalResolved { call, decision, by } => {
                self.snapshot.pending_approvals.retain(|(waiting, _)| waiting != call);
                self.claimed_decisions.remove(call);
                if self.resolved_decisions.len() >= MAX_RESOLVED_DECISIONS {
                    self.resolved_decisions.pop_front();
                }
                self.resolved_decisions.push_back((call.clone(), decision.clone(), *by));
            }
            _ => {}
        }
    }
}
