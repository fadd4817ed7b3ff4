//! Waiting for a server while the watchdogs run, and telling whoever listens what is heard and how the line is.
//!
//! Not for what comes over the line. The invariant: what has come counts before the clock, since after a suspend both
//! are ready.

use std::pin::pin;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::redact::Redactor;
use super::redact::events::EventRedactor;
use super::request::HttpRequest;
use super::timeouts::{IdleTimers, RequestPolicy};
use crate::event::{Fault, LinkState, ReplyEvent};
use crate::text::display_url::origin;

/// What is told while a request runs.
#[derive(Clone, Debug, PartialEq)]
pub enum RequestEvent {
    Event(ReplyEvent),
    Link(LinkState),
}

/// What a wait came to.
pub(super) enum WaitOutcome<T> {
    Ready(T),
    TimedOut(Fault),
    /// Nobody listens any more.
    ReceiverDropped,
}

pub(super) struct Watchdog<'a> {
    /// Whom the wait is for, as it may be shown.
    pub(super) origin: String,
    pub(super) policy: &'a RequestPolicy,
    pub(super) out: &'a mpsc::Sender<RequestEvent>,
    /// How the line is, as it was told last.
    pub(super) last_link_state: LinkState,
    pub(super) timers: IdleTimers,
    redactor: EventRedactor,
}

impl<'a> Watchdog<'a> {
    /// Waits for the answer to a call.
    pub(super) fn new(call: &HttpRequest, patience: &'a RequestPolicy, out: &'a mpsc::Sender<RequestEvent>) -> Self {
        Self {
            origin: origin(&call.url),
            policy: patience,
            out,
            last_link_state: LinkState::Idle,
            timers: IdleTimers::new(patience, Instant::now()),
            redactor: Redactor::for_request(call).event_redactor(),
        }
    }

    /// A try starts now.
    pub(super) async fn start_attempt(&mut self) {
        self.restart_timers();
        self.send_link_state(LinkState::Connecting).await;
    }

    /// Likewise, and how the line is stays told.
    pub(super) fn restart_timers(&mut self) {
        self.timers = IdleTimers::new(self.policy, Instant::now());
    }

    /// Waits for something. `silence` is what the first watchdog allows.
    pub(super) async fn wait<T>(&mut self, what: impl Future<Output = T>, silence: Duration) -> WaitOutcome<T> {
        let mut what = pin!(what);
        let out = self.out;
        loop {
            let wake = self.timers.next_wake(Instant::now(), silence);
            tokio::select! {
                biased;
                got = &mut what => return WaitOutcome::Ready(got),
                () = out.closed() => return WaitOutcome::ReceiverDropped,
                () = tokio::time::sleep_until(wake) => {}
            }
            let now = Instant::now();
            if let Some(fault) = self.timers.timeout_fault(&self.origin, now, silence) {
                return WaitOutcome::TimedOut(fault);
            }
            self.send_link_state(self.timers.link_state(now, silence)).await;
        }
    }

    /// Lets time pass, until somebody wants the next try at once. Returns false if nobody listens any more.
    pub(super) async fn pause(&self, delay: Duration) -> bool {
        let asked = async {
            match &self.policy.retry_now {
                Some(asked) => asked.notified().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.out.closed() => false,
            () = asked => true,
            () = tokio::time::sleep(delay) => true,
        }
    }

    /// Bytes came, or the answer's head.
    pub(super) async fn note_arrival(&mut self, is_usable: bool) {
        let now = Instant::now();
        self.timers.note_arrival(now, is_usable);
        self.send_link_state(self.timers.link_state(now, self.policy.idle_timeout)).await;
    }

    /// Returns false if nobody listens any more.
    pub(super) async fn send_events(&mut self, events: &mut Vec<ReplyEvent>) -> bool {
        let mut told = Vec::with_capacity(events.len());
        for event in events.drain(..) {
            self.redactor.push(event, &mut told);
        }
        for event in told {
            if self.out.send(RequestEvent::Event(event)).await.is_err() {
                return false;
            }
        }
        true
    }

    pub(super) async fn send_link_state(&mut self, link: LinkState) {
        if link != self.last_link_state {
            self.last_link_state = link.clone();
            // A closed channel is noticed where it matters.
            let _ = self.out.send(RequestEvent::Link(link)).await;
        }
    }
}
