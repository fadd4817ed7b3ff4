//! Waiting for a server while the watchdogs run, and telling whoever listens what is heard and how the line is.
//!
//! Not for what comes over the line. The invariant: what has come counts before the clock, since after a suspend both
//! are ready.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::pin;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::call::HttpCall;
use super::perform::watch::Watch;
use super::perform::{Heard, Patience};
use super::redact::Redactor;
use super::redact::events::Pieces;
use crate::event::{AgentEvent, Fault, LinkState};
use crate::text::address::origin;

/// What a wait came to.
pub(super) enum Got<T> {
    It(T),
    Overdue(Fault),
    /// Nobody listens any more.
    Nobody,
}

pub(super) struct Vigil<'a> {
    /// Whom the wait is for, as it may be shown.
    pub(super) place: String,
    pub(super) patience: &'a Patience,
    pub(super) out: &'a mpsc::Sender<Heard>,
    /// How the line is, as it was told last.
    pub(super) told: LinkState,
    pub(super) watch: Watch,
    pieces: Pieces,
}

impl<'a> Vigil<'a> {
    /// Waits for the answer to a call.
    pub(super) fn new(call: &HttpCall, patience: &'a Patience, out: &'a mpsc::Sender<Heard>) -> Self {
        Self {
            place: origin(&call.url),
            patience,
            out,
            told: LinkState::Idle,
            watch: Watch::new(patience, Instant::now()),
            pieces: Redactor::of(call).pieces(),
        }
    }

    /// A try starts now.
    pub(super) async fn begin(&mut self) {
        self.restart();
        self.tell_link(LinkState::Connecting).await;
    }

    /// Likewise, and how the line is stays told.
    pub(super) fn restart(&mut self) {
        self.watch = Watch::new(self.patience, Instant::now());
    }

    /// Waits for something. `silence` is what the first watchdog allows.
    pub(super) async fn wait<T>(&mut self, what: impl Future<Output = T>, silence: Duration) -> Got<T> {
        let mut what = pin!(what);
        let out = self.out;
        loop {
            let wake = self.watch.next_look(Instant::now(), silence);
            tokio::select! {
                biased;
                got = &mut what => return Got::It(got),
                () = out.closed() => return Got::Nobody,
                () = tokio::time::sleep_until(wake) => {}
            }
            let now = Instant::now();
            if let Some(fault) = self.watch.overdue(&self.place, now, silence) {
                return Got::Overdue(fault);
            }
            self.tell_link(self.watch.link(now, silence)).await;
        }
    }

    /// Bytes came, or the answer's head.
    pub(super) async fn arrived(&mut self, is_usable: bool) {
        let now = Instant::now();
        self.watch.arrived(now, is_usable);
        self.tell_link(self.watch.link(now, self.patience.idle)).await;
    }

    /// Returns false if nobody listens any more.
    pub(super) async fn tell(&mut self, events: &mut Vec<AgentEvent>) -> bool {
        let mut told = Vec::with_capacity(events.len());
        for event in events.drain(..) {
            self.pieces.pass(event, &mut told);
        }
        for event in told {
            if self.out.send(Heard::Event(event)).await.is_err() {
                return false;
            }
        }
        true
    }

    pub(super) async fn tell_link(&mut self, link: LinkState) {
        if link != self.told {
            self.told = link.clone();
            // A closed channel is noticed where it matters.
            let _ = self.out.send(Heard::Link(link)).await;
        }
    }
    /// A number that differs between clients and tries of a URL.
    pub(super) fn noise(&self, url: &str, failed: u32) -> u64 {
        let mut hasher = DefaultHasher::new();
        url.hash(&mut hasher);
        failed.hash(&mut hasher);
        self.patience.epoch.elapsed().as_nanos().hash(&mut hasher);
        hasher.finish()
    }
}
