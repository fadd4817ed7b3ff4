//! The sessions that run here: who reads them, what they wait for, and who answered first.
//!
//! A room is a session and what must be known of it between two requests. Facts are folded when somebody asks, from
//! the same hub as everyone else's. Invariant: of two answers to one ask the first is sent on, the other is told so.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::time::Instant;

use crate::bridge::hub::Subscription;
use crate::bridge::{Delivery, Live};
use crate::event::{AgentEvent, Ask, CallId, DecidedBy, Decision, Mode, Seq, SessionId, TurnId};

/// Answers that are remembered, for those who come too late.
const REMEMBERED: usize = 1_000;
/// Facts folded in one go.
const BATCH: usize = 4_096;

/// One running session.
pub(super) struct Room {
    pub(super) live: Live,
    pub(super) kind: Kind,
    readers: watch::Sender<usize>,
    fold: Mutex<Fold>,
}

/// Whose session it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Any client's.
    Shared,
    /// Of one question; the turn that answers it, where that is not the first that was not told as past.
    One { turn: Option<TurnId> },
}

/// What is known of a session now.
#[derive(Clone, Debug, Default)]
pub(super) struct Now {
    pub(super) opened: Option<Opened>,
    pub(super) turn: Option<TurnId>,
    /// Asks that wait, oldest first.
    pub(super) asks: Vec<(CallId, Ask)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Opened {
    pub(super) engine: String,
    pub(super) model: String,
    pub(super) mode: Mode,
    pub(super) folder: String,
}

struct Fold {
    facts: Subscription,
    now: Now,
    /// Answers sent on and not yet facts.
    claimed: HashMap<CallId, Decision>,
    resolved: VecDeque<(CallId, Decision, DecidedBy)>,
    used: Instant,
}

/// What becomes of an answer to an ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// It is the first.
    First,
    /// Another was first.
    Late(Decision, Option<DecidedBy>),
    Unknown,
}

/// Somebody who reads a session; counted until dropped.
pub(super) struct Reading(watch::Sender<usize>);

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.send_modify(|readers| *readers = readers.saturating_sub(1));
    }
}

impl Room {
    /// Makes a room of a session; of what was said before `from` nothing is looked at.
    pub(super) fn new(live: Live, kind: Kind, from: Seq) -> Self {
        let facts = live.hub.subscribe(from);
        let fold = Fold {
            facts,
            now: Now::default(),
            claimed: HashMap::new(),
            resolved: VecDeque::new(),
            used: Instant::now(),
        };
        Self { live, kind, readers: watch::Sender::new(0), fold: Mutex::new(fold) }
    }

    pub(super) fn id(&self) -> &SessionId {
        &self.live.session
    }

    /// Counts a reader until the returned value is dropped.
    pub(super) fn read(&self) -> Reading {
        self.readers.send_modify(|readers| *readers += 1);
        self.lock().used = Instant::now();
        Reading(self.readers.clone())
    }

    pub(super) fn readers(&self) -> watch::Receiver<usize> {
        self.readers.subscribe()
    }

    /// Returns how things stand.
    pub(super) fn now(&self) -> Now {
        let mut fold = self.lock();
        fold.catch_up();
        fold.now.clone()
    }

    pub(super) fn is_busy(&self) -> bool {
        let mut fold = self.lock();
        fold.catch_up();
        fold.now.turn.is_some() || !self.live.weather.borrow().queue.is_empty()
    }

    /// Returns since when nobody wanted anything of it; nothing while somebody reads or a turn runs.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        if *self.readers.borrow() > 0 || self.is_busy() {
            return None;
        }
        Some(self.lock().used)
    }

    pub(super) fn touch(&self) {
        self.lock().used = Instant::now();
    }

    /// Takes an answer to an ask, if it is the first.
    pub(super) fn claim(&self, call: &CallId, decision: &Decision) -> Claim {
        let mut fold = self.lock();
        fold.catch_up();
        if let Some(first) = fold.claimed.get(call) {
            return Claim::Late(first.clone(), None);
        }
        if fold.now.asks.iter().any(|(waiting, _)| waiting == call) {
            fold.claimed.insert(call.clone(), decision.clone());
            return Claim::First;
        }
        match fold.resolved.iter().rev().find(|(known, _, _)| known == call) {
            Some((_, decision, by)) => Claim::Late(decision.clone(), Some(*by)),
            None => Claim::Unknown,
        }
    }

    /// Takes an answer back that could not be sent on.
    pub(super) fn unclaim(&self, call: &CallId) {
        self.lock().claimed.remove(call);
    }

    /// Returns how an ask was answered.
    pub(super) fn resolution(&self, call: &CallId) -> Option<(Decision, DecidedBy)> {
        let mut fold = self.lock();
        fold.catch_up();
        fold.resolved.iter().rev().find(|(known, _, _)| known == call).map(|(_, decision, by)| (decision.clone(), *by))
    }

    fn lock(&self) -> MutexGuard<'_, Fold> {
        // Nothing in here panics half-way, so what a poisoned lock guards is whole.
        self.fold.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fold {
    fn catch_up(&mut self) {
        let mut got = Vec::new();
        while self.facts.try_batch(BATCH, &mut got) {
            for delivery in got.drain(..) {
                match delivery {
                    Delivery::Fact(fact) => self.fact(&fact.envelope.event),
                    Delivery::Reset => (self.now, self.claimed) = (Now::default(), HashMap::new()),
                }
            }
        }
    }

    fn fact(&mut self, event: &AgentEvent) {
        match event {
            AgentEvent::SessionOpened { engine, model, mode, folder, .. } => {
                let (engine, model, folder) = (engine.clone(), model.clone(), folder.clone());
                self.now.opened = Some(Opened { engine, model, mode: *mode, folder });
            }
            AgentEvent::TurnStarted { turn, .. } => self.now.turn = Some(turn.clone()),
            AgentEvent::TurnFinished { .. } => {
                self.now.turn = None;
                self.now.asks.clear();
                self.claimed.clear();
            }
            AgentEvent::ApprovalRequested { call, ask } => self.now.asks.push((call.clone(), ask.clone())),
            AgentEvent::ApprovalResolved { call, decision, by } => {
                self.now.asks.retain(|(waiting, _)| waiting != call);
                self.claimed.remove(call);
                if self.resolved.len() >= REMEMBERED {
                    self.resolved.pop_front();
                }
                self.resolved.push_back((call.clone(), decision.clone(), *by));
            }
            _ => {}
        }
    }
}
