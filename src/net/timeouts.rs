//! How long is waited for a server: the limits, and the timers that measure its silence against them.
//!
//! A limit of zero is no limit. Who waits asks when to look again, and looks then; nothing here sleeps.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::event::{Fault, FaultKind, LinkState, Millis};
use crate::text::human::time_limit;

/// Silence that is worth telling.
const SILENCE_THRESHOLD: Duration = Duration::from_secs(3);
/// The same between keep-alives, which come seconds apart.
pub const KEEP_ALIVE_SILENCE_THRESHOLD: Duration = Duration::from_secs(20);
/// Time with bytes and without anything usable that is worth telling.
const UNPRODUCTIVE_THRESHOLD: Duration = Duration::from_secs(10);
/// When to look again where nothing can change but by what comes.
const MAX_WAKE_INTERVAL: Duration = Duration::from_hours(1);
/// A limit beyond this is none.
const MAX_TIMEOUT: Duration = Duration::from_hours(24 * 365);

/// How long to wait for what, and how often to try. A time of zero is no limit.
#[derive(Clone, Debug)]
pub struct RequestPolicy {
    /// From the request to the first byte. The server loads a model and reads the prompt in silence.
    pub first_byte_timeout: Duration,
    /// Without any byte after that.
    pub idle_timeout: Duration,
    /// Without anything usable.
    pub no_output_timeout: Duration,
    /// Tries after the first.
    pub max_retries: u32,
    /// Whether a request that may have reached the server is sent again.
    pub may_resend: bool,
    /// The session's start; times of [`crate::event::LinkState`] count from it.
    pub epoch: Instant,
    /// Who is woken doesn't wait for the next try any longer; `None` where nobody can ask for that.
    pub retry_now: Option<Arc<Notify>>,
}

impl RequestPolicy {
    pub fn new(epoch: Instant) -> Self {
        Self {
            first_byte_timeout: Duration::from_mins(5),
            idle_timeout: Duration::from_secs(90),
            no_output_timeout: Duration::from_mins(15),
            max_retries: 3,
            may_resend: true,
            epoch,
            retry_now: None,
        }
    }
}

/// How long nothing has come over a connection. Any byte calms it.
#[derive(Clone, Copy, Debug)]
pub struct SilenceTimer {
    last_byte_at: Instant,
}

impl SilenceTimer {
    pub fn new(now: Instant) -> Self {
        Self { last_byte_at: now }
    }

    pub fn note_arrival(&mut self, now: Instant) {
        self.last_byte_at = now;
    }

    /// Returns when the silence began, if it has lasted so long that it is worth telling.
    pub fn silent_since(&self, now: Instant, threshold: Duration) -> Option<Instant> {
        has_passed(self.last_byte_at, threshold, now).then_some(self.last_byte_at)
    }

    pub fn is_timed_out(&self, now: Instant, limit: Duration) -> bool {
        finite_timeout(limit).is_some_and(|limit| has_passed(self.last_byte_at, limit, now))
    }

    /// Says when to look again: at the next of these thresholds, or at the limit.
    pub fn next_wake(&self, now: Instant, thresholds: &[Duration], limit: Duration) -> Instant {
        let marks = thresholds.iter().copied().chain(finite_timeout(limit)).map(|span| self.last_byte_at + span);
        marks.filter(|mark| *mark > now).min().unwrap_or(now + MAX_WAKE_INTERVAL)
    }
}

/// The two watchdogs of a request: what they say now, and when to look again. Any byte calms the first, only something
/// usable the second.
#[derive(Debug)]
pub(super) struct IdleTimers {
    epoch: Instant,
    no_output_timeout: Duration,
    pub(super) sent_at: Instant,
    silence: SilenceTimer,
    last_usable_at: Instant,
    is_connected: bool,
    /// Whether a byte of the answer came.
    pub(super) has_begun: bool,
}

impl IdleTimers {
    /// Watches a try that starts now.
    pub(super) fn new(policy: &RequestPolicy, now: Instant) -> Self {
        Self {
            epoch: policy.epoch,
            no_output_timeout: policy.no_output_timeout,
            sent_at: now,
            silence: SilenceTimer::new(now),
            last_usable_at: now,
            is_connected: false,
            has_begun: false,
        }
    }

    /// Bytes came, or the answer's head.
    pub(super) fn note_arrival(&mut self, now: Instant, is_usable: bool) {
        self.is_connected = true;
        self.silence.note_arrival(now);
        if is_usable {
            self.last_usable_at = now;
        }
    }

    /// Says when something may have changed. `silence` is what the first watchdog allows.
    pub(super) fn next_wake(&self, now: Instant, silence: Duration) -> Instant {
        let thresholds = [SILENCE_THRESHOLD, KEEP_ALIVE_SILENCE_THRESHOLD];
        let wake = self.silence.next_wake(now, &thresholds, silence);
        let no_output = finite_timeout(self.no_output_timeout).map(|limit| self.last_usable_at + limit);
        no_output.filter(|mark| *mark > now).map_or(wake, |mark| mark.min(wake))
    }

    /// Says whether the wait is over, and why.
    pub(super) fn timeout_fault(&self, place: &str, now: Instant, silence: Duration) -> Option<Fault> {
        let has_no_output =
            || finite_timeout(self.no_output_timeout).is_some_and(|limit| has_passed(self.last_usable_at, limit, now));
        let text = if self.silence.is_timed_out(now, silence) {
            let silence = time_limit(silence);
            if self.has_begun {
                format!("{place} sent nothing for {silence} during its response; retry, or raise idle_timeout")
            } else {
                format!(
                    "{place} did not start its response within {silence}; it may be loading a model: retry, or raise first_byte_timeout"
                )
            }
        } else if has_no_output() {
            let limit = time_limit(self.no_output_timeout);
            format!("{place} sends keep-alives but no content for {limit}; retry, or raise no_output_timeout")
        } else {
            return None;
        };
        Some(Fault::new(FaultKind::TimedOut, text))
    }

    /// Says how the line is.
    pub(super) fn link_state(&self, now: Instant, silence: Duration) -> LinkState {
        let is_barren =
            self.has_begun && self.silence.last_byte_at.duration_since(self.last_usable_at) >= UNPRODUCTIVE_THRESHOLD;
        let threshold = if is_barren { KEEP_ALIVE_SILENCE_THRESHOLD } else { SILENCE_THRESHOLD };
        let limit = finite_timeout(silence).map(Into::into);
        match self.silence.silent_since(now, threshold).map(|since| self.session_time(since)) {
            Some(since) if self.has_begun => LinkState::Silent { since, limit },
            Some(since) => LinkState::Waiting { since, limit },
            None if is_barren => LinkState::Unproductive {
                since: self.session_time(self.last_usable_at),
                limit: finite_timeout(self.no_output_timeout).map(Into::into),
            },
            None if self.is_connected => LinkState::Live,
            None => LinkState::Connecting,
        }
    }

    /// Turns an instant into the session's time.
    pub(super) fn session_time(&self, instant: Instant) -> Millis {
        instant.saturating_duration_since(self.epoch).into()
    }
}

fn has_passed(since: Instant, span: Duration, now: Instant) -> bool {
    now.duration_since(since) >= span
}

pub fn finite_timeout(limit: Duration) -> Option<Duration> {
    Some(limit).filter(|limit| !limit.is_zero() && *limit < MAX_TIMEOUT)
}

#[cfg(test)]
mod tests {
    use super::*;

    const THRESHOLDS: [Duration; 1] = [KEEP_ALIVE_SILENCE_THRESHOLD];

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn silence_is_told_from_its_threshold_on_and_over_at_the_limit() {
        let start = Instant::now();
        let mut timer = SilenceTimer::new(start);
        let limit = seconds(60);
        assert_eq!(timer.next_wake(start, &THRESHOLDS, limit), start + seconds(20));
        assert_eq!(timer.silent_since(start + seconds(19), KEEP_ALIVE_SILENCE_THRESHOLD), None);
        assert_eq!(timer.silent_since(start + seconds(20), KEEP_ALIVE_SILENCE_THRESHOLD), Some(start));
        assert_eq!(timer.next_wake(start + seconds(20), &THRESHOLDS, limit), start + limit);
        assert!(!timer.is_timed_out(start + seconds(59), limit) && timer.is_timed_out(start + limit, limit));
        timer.note_arrival(start + seconds(50));
        assert_eq!(timer.silent_since(start + limit, KEEP_ALIVE_SILENCE_THRESHOLD), None);
        assert!(!timer.is_timed_out(start + limit, limit));
    }

    #[test]
    fn without_a_limit_silence_lasts_as_long_as_it_likes() {
        let start = Instant::now();
        let timer = SilenceTimer::new(start);
        let later = start + Duration::from_hours(24);
        for limit in [Duration::ZERO, Duration::MAX] {
            assert!(!timer.is_timed_out(later, limit));
            assert_eq!(timer.next_wake(later, &THRESHOLDS, limit), later + MAX_WAKE_INTERVAL);
        }
    }
}
