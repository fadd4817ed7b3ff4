//! The sessions that run here: who reads them, what they wait for, and who answered first.
//!
//! A room is a session and what must be known of it between two requests. Facts are folded when somebody asks, from
//! the same hub as everyone else's. Invariant: of two answers to one ask the first is sent on, the other is told so.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::time::Instant;

use crate::bridge::hub::Subscription;
use crate::bridge::{HubItem, SessionHandle};
use crate::event::{AgentEvent, ApprovalMode, ApprovalRequest, CallId, DecidedBy, Decision, Seq, SessionId, TurnId};

/// Answers that are remembered, for those who come too late.
const MAX_RESOLVED_DECISIONS: usize = 1_000;
/// Facts folded in one go.
const MAX_BATCH_EVENTS: usize = 4_096;

/// One running session.
pub(super) struct RunningSession {
    pub(super) handle: SessionHandle,
    pub(super) kind: SessionKind,
    readers: watch::Sender<usize>,
    fold: Mutex<SessionFold>,
}

/// Whose session it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SessionKind {
    /// Any client's.
    Shared,
    /// Of one question; the turn that answers it, where that is not the first that was not told as past.
    OneShot { turn: Option<TurnId> },
}

/// What is known of a session now.
#[derive(Clone, Debug, Default)]
pub(super) struct SessionSnapshot {
    pub(super) info: Option<SessionInfo>,
    pub(super) turn: Option<TurnId>,
    /// Asks that wait, oldest first.
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
    /// Answers sent on and not yet facts.
    claimed_decisions: HashMap<CallId, Decision>,
    resolved_decisions: VecDeque<(CallId, Decision, DecidedBy)>,
    last_used: Instant,
}

/// What becomes of an answer to an ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DecisionClaim {
    /// It is the first.
    First,
    /// Another was first.
    Late(Decision, Option<DecidedBy>),
    Unknown,
}

/// Somebody who reads a session; counted until dropped.
pub(super) struct ReaderGuard(watch::Sender<usize>);

impl Drop for ReaderGuard {
    fn drop(&mut self) {
        self.0.send_modify(|readers| *readers = readers.saturating_sub(1));
    }
}

impl RunningSession {
    /// Makes a room of a session; of what was said before `from` nothing is looked at.
    pub(super) fn new(live: SessionHandle, kind: SessionKind, from: Seq) -> Self {
        let facts = live.hub.subscribe(from);
        let fold = SessionFold {
            events: facts,
            snapshot: SessionSnapshot::default(),
            claimed_decisions: HashMap::new(),
            resolved_decisions: VecDeque::new(),
            last_used: Instant::now(),
        };
        Self { handle: live, kind, readers: watch::Sender::new(0), fold: Mutex::new(fold) }
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

    pub(super) fn readers(&self) -> watch::Receiver<usize> {
        self.readers.subscribe()
    }

    /// Returns how things stand.
    pub(super) fn snapshot(&self) -> SessionSnapshot {
        let mut fold = self.lock();
        fold.catch_up();
        fold.snapshot.clone()
    }

    pub(super) fn is_busy(&self) -> bool {
        let mut fold = self.lock();
        fold.catch_up();
        fold.snapshot.turn.is_some() || !self.handle.status.borrow().queue.is_empty()
    }

    /// Returns since when nobody wanted anything of it; nothing while somebody reads or a turn runs.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        if *self.readers.borrow() > 0 || self.is_busy() {
            return None;
        }
        Some(self.lock().last_used)
    }

    pub(super) fn touch(&self) {
        self.lock().last_used = Instant::now();
    }

    /// Takes an answer to an ask, if it is the first.
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

    /// Takes an answer back that could not be sent on.
    pub(super) fn release_decision(&self, call: &CallId) {
        self.lock().claimed_decisions.remove(call);
    }

    /// Returns how an ask was answered.
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
        // Nothing in here panics half-way, so what a poisoned lock guards is whole.
        self.fold.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SessionFold {
    fn catch_up(&mut self) {
        let mut got = Vec::new();
        while self.events.try_next_batch(MAX_BATCH_EVENTS, &mut got) {
            for delivery in got.drain(..) {
                match delivery {
                    HubItem::Event(fact) => self.apply(&fact.envelope.event),
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
            AgentEvent::ApprovalRequested { call, request: ask } => {
                self.snapshot.pending_approvals.push((call.clone(), ask.clone()));
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
