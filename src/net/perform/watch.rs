//! The two watchdogs of a call: what they say now, and when to look again. Any byte calms the first, only something
//! usable the second. A limit of zero is no limit.

use std::time::Duration;

use tokio::time::Instant;

use super::Patience;
use crate::event::{Fault, FaultKind, LinkState, Millis};

/// Silence that is worth telling.
const SILENT: Duration = Duration::from_secs(3);
/// The same between keep-alives, which come seconds apart.
const SILENT_BETWEEN: Duration = Duration::from_secs(20);
/// Time with bytes and without anything usable that is worth telling.
const UNPRODUCTIVE: Duration = Duration::from_secs(10);
/// When to look again where nothing can change but by what comes.
const NOTHING_DUE: Duration = Duration::from_hours(1);
/// A limit beyond this is none.
const FOREVER: Duration = Duration::from_hours(24 * 365);

#[derive(Debug)]
pub(in crate::net) struct Watch {
    epoch: Instant,
    no_output: Duration,
    pub(in crate::net) asked: Instant,
    last_byte: Instant,
    last_usable: Instant,
    connected: bool,
    /// Whether a byte of the answer came.
    pub(in crate::net) begun: bool,
}

impl Watch {
    /// Watches a try that starts now.
    pub(in crate::net) fn new(patience: &Patience, now: Instant) -> Self {
        Self {
            epoch: patience.epoch,
            no_output: patience.no_output,
            asked: now,
            last_byte: now,
            last_usable: now,
            connected: false,
            begun: false,
        }
    }

    /// Bytes came, or the answer's head.
    pub(in crate::net) fn arrived(&mut self, now: Instant, is_usable: bool) {
        self.connected = true;
        self.last_byte = now;
        if is_usable {
            self.last_usable = now;
        }
    }

    /// Says when something may have changed. `silence` is what the first watchdog allows.
    pub(in crate::net) fn next_look(&self, now: Instant, silence: Duration) -> Instant {
        let limits = [(self.last_byte, limit(silence)), (self.last_usable, limit(self.no_output))];
        let limits = limits.into_iter().filter_map(|(since, limit)| Some(since + limit?));
        let marks = [self.last_byte + SILENT, self.last_byte + SILENT_BETWEEN];
        marks.into_iter().chain(limits).filter(|mark| *mark > now).min().unwrap_or(now + NOTHING_DUE)
    }

    /// Says whether the wait is over, and why.
    pub(in crate::net) fn overdue(&self, place: &str, now: Instant, silence: Duration) -> Option<Fault> {
        let over =
            |since: Instant, limit: Option<Duration>| limit.is_some_and(|limit| now.duration_since(since) >= limit);
        let text = if over(self.last_byte, limit(silence)) {
            let silence = spoken(silence);
            if self.begun {
                format!("{place} fell silent in its answer for {silence}; ask again, or raise idle_timeout")
            } else {
                format!(
                    "{place} did not begin to answer within {silence}; it may be loading a model: try again, or raise \
                     first_byte_timeout"
                )
            }
        } else if over(self.last_usable, limit(self.no_output)) {
            let limit = spoken(self.no_output);
            format!("{place} is alive but said nothing usable for {limit}; ask again, or raise no_output_timeout")
        } else {
            return None;
        };
        Some(Fault::new(FaultKind::TimedOut, text))
    }

    /// Says how the line is.
    pub(in crate::net) fn link(&self, now: Instant, silence: Duration) -> LinkState {
        let is_barren = self.begun && self.last_byte.duration_since(self.last_usable) >= UNPRODUCTIVE;
        let is_quiet = now.duration_since(self.last_byte) >= if is_barren { SILENT_BETWEEN } else { SILENT };
        if is_quiet && !self.begun {
            LinkState::Waiting { since: self.clock(self.last_byte), limit: limit(silence).map(Into::into) }
        } else if is_quiet {
            LinkState::Silent { since: self.clock(self.last_byte), limit: limit(silence).map(Into::into) }
        } else if is_barren {
            LinkState::Unproductive {
                since: self.clock(self.last_usable),
                limit: limit(self.no_output).map(Into::into),
            }
        } else if self.connected {
            LinkState::Live
        } else {
            LinkState::Connecting
        }
    }

    /// Turns an instant into the session's time.
    pub(in crate::net) fn clock(&self, instant: Instant) -> Millis {
        instant.saturating_duration_since(self.epoch).into()
    }
}

pub(in crate::net) fn limit(limit: Duration) -> Option<Duration> {
    Some(limit).filter(|limit| !limit.is_zero() && *limit < FOREVER)
}

pub(in crate::net) fn spoken(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds >= 120 && seconds.is_multiple_of(60) { format!("{} min", seconds / 60) } else { format!("{seconds} s") }
}
