//! The two watchdogs of a call: what they say now, and when to look again. Any byte calms the first, only something
//! usable the second. A limit of zero is no limit.

use std::time::Duration;

use tokio::time::Instant;

use super::RequestPolicy;
use crate::event::{Fault, FaultKind, LinkState, Millis};

/// Silence that is worth telling.
const SILENCE_THRESHOLD: Duration = Duration::from_secs(3);
/// The same between keep-alives, which come seconds apart.
const KEEP_ALIVE_SILENCE_THRESHOLD: Duration = Duration::from_secs(20);
/// Time with bytes and without anything usable that is worth telling.
const UNPRODUCTIVE_THRESHOLD: Duration = Duration::from_secs(10);
/// When to look again where nothing can change but by what comes.
const MAX_WAKE_INTERVAL: Duration = Duration::from_hours(1);
/// A limit beyond this is none.
const MAX_TIMEOUT: Duration = Duration::from_hours(24 * 365);

#[derive(Debug)]
pub(in crate::net) struct IdleTimers {
    epoch: Instant,
    no_output_timeout: Duration,
    pub(in crate::net) sent_at: Instant,
    last_byte_at: Instant,
    last_usable_at: Instant,
    is_connected: bool,
    /// Whether a byte of the answer came.
    pub(in crate::net) has_begun: bool,
}

impl IdleTimers {
    /// Watches a try that starts now.
    pub(in crate::net) fn new(patience: &RequestPolicy, now: Instant) -> Self {
        Self {
            epoch: patience.epoch,
            no_output_timeout: patience.no_output_timeout,
            sent_at: now,
            last_byte_at: now,
            last_usable_at: now,
            is_connected: false,
            has_begun: false,
        }
    }

    /// Bytes came, or the answer's head.
    pub(in crate::net) fn note_arrival(&mut self, now: Instant, is_usable: bool) {
        self.is_connected = true;
        self.last_byte_at = now;
        if is_usable {
            self.last_usable_at = now;
        }
    }

    /// Says when something may have changed. `silence` is what the first watchdog allows.
    pub(in crate::net) fn next_wake(&self, now: Instant, silence: Duration) -> Instant {
        let limits = [
            (self.last_byte_at, finite_timeout(silence)),
            (self.last_usable_at, finite_timeout(self.no_output_timeout)),
        ];
        let limits = limits.into_iter().filter_map(|(since, limit)| Some(since + limit?));
        let marks = [self.last_byte_at + SILENCE_THRESHOLD, self.last_byte_at + KEEP_ALIVE_SILENCE_THRESHOLD];
        marks.into_iter().chain(limits).filter(|mark| *mark > now).min().unwrap_or(now + MAX_WAKE_INTERVAL)
    }

    /// Says whether the wait is over, and why.
    pub(in crate::net) fn timeout_fault(&self, place: &str, now: Instant, silence: Duration) -> Option<Fault> {
        let over =
            |since: Instant, limit: Option<Duration>| limit.is_some_and(|limit| now.duration_since(since) >= limit);
        let text = if over(self.last_byte_at, finite_timeout(silence)) {
            let silence = format_timeout(silence);
            if self.has_begun {
                format!("{place} fell silent in its answer for {silence}; ask again, or raise idle_timeout")
            } else {
                format!(
                    "{place} did not begin to answer within {silence}; it may be loading a model: try again, or raise \
                     first_byte_timeout"
                )
            }
        } else if over(self.last_usable_at, finite_timeout(self.no_output_timeout)) {
            let limit = format_timeout(self.no_output_timeout);
            format!("{place} is alive but said nothing usable for {limit}; ask again, or raise no_output_timeout")
        } else {
            return None;
        };
        Some(Fault::new(FaultKind::TimedOut, text))
    }

    /// Says how the line is.
    pub(in crate::net) fn link_state(&self, now: Instant, silence: Duration) -> LinkState {
        let is_barren =
            self.has_begun && self.last_byte_at.duration_since(self.last_usable_at) >= UNPRODUCTIVE_THRESHOLD;
        let is_quiet = now.duration_since(self.last_byte_at)
            >= if is_barren { KEEP_ALIVE_SILENCE_THRESHOLD } else { SILENCE_THRESHOLD };
        if is_quiet && !self.has_begun {
            LinkState::Waiting {
                since: self.session_time(self.last_byte_at),
                limit: finite_timeout(silence).map(Into::into),
            }
        } else if is_quiet {
            LinkState::Silent {
                since: self.session_time(self.last_byte_at),
                limit: finite_timeout(silence).map(Into::into),
            }
        } else if is_barren {
            LinkState::Unproductive {
                since: self.session_time(self.last_usable_at),
                limit: finite_timeout(self.no_output_timeout).map(Into::into),
            }
        } else if self.is_connected {
            LinkState::Live
        } else {
            LinkState::Connecting
        }
    }

    /// Turns an instant into the session's time.
    pub(in crate::net) fn session_time(&self, instant: Instant) -> Millis {
        instant.saturating_duration_since(self.epoch).into()
    }
}

pub(in crate::net) fn finite_timeout(limit: Duration) -> Option<Duration> {
    Some(limit).filter(|limit| !limit.is_zero() && *limit < MAX_TIMEOUT)
}

pub(in crate::net) fn format_timeout(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds >= 120 && seconds.is_multiple_of(60) { format!("{} min", seconds / 60) } else { format!("{seconds} s") }
}
