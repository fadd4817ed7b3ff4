//! PURE. When to draw: a struct without a clock, not an actor.
//!
//! A key asks for now, streaming text for soon, a spinner for later; the earliest request wins. At most one frame in
//! `min_interval`, but what a person typed doesn't wait for that, only for the echo of a key just before it: a few more
//! frames a second are cheaper than a slow echo.
//! None when nobody asked, so that idle costs nothing.

use std::time::{Duration, Instant};

/// Between two frames that keys asked for. Held keys repeat far slower.
const MIN_KEY_FRAME_INTERVAL: Duration = Duration::from_millis(2);

/// Holds the one deadline of the screen.
#[derive(Debug)]
pub struct FramePacer {
    min_interval: Duration,
    requested_for: Option<Instant>,
    /// Somebody asked for now.
    is_urgent: bool,
    last_drawn: Option<Instant>,
    /// When the last frame was drawn that somebody asked for.
    last_urgent: Option<Instant>,
}

impl FramePacer {
    /// Takes the most frames a second that may be drawn; 0 counts as 1.
    pub fn new(max_fps: u16) -> Self {
        let least = Duration::from_secs(1) / u32::from(max_fps.max(1));
        Self { min_interval: least, requested_for: None, is_urgent: false, last_drawn: None, last_urgent: None }
    }

    /// Returns the least time between two frames that nobody typed for.
    pub fn min_interval(&self) -> Duration {
        self.min_interval
    }

    /// Asks for a frame; the earliest request wins, and zero is what a key asks for.
    pub fn request(&mut self, now: Instant, within: Duration) {
        self.is_urgent |= within.is_zero();
        let at = now + within;
        self.requested_for = Some(self.requested_for.map_or(at, |wanted| wanted.min(at)));
    }

    /// Returns when to draw; none means sleep for ever.
    pub fn deadline(&self) -> Option<Instant> {
        let wanted = self.requested_for?;
        let (last, gap) = if self.is_urgent {
            (self.last_urgent, MIN_KEY_FRAME_INTERVAL.min(self.min_interval))
        } else {
            (self.last_drawn, self.min_interval)
        };
        Some(last.map_or(wanted, |last| wanted.max(last + gap)))
    }

    pub fn on_drawn(&mut self, now: Instant) {
        if self.is_urgent {
            self.last_urgent = Some(now);
        }
        self.requested_for = None;
        self.is_urgent = false;
        self.last_drawn = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn idle_has_no_deadline() {
        let mut pace = FramePacer::new(100);
        assert_eq!(pace.deadline(), None);
        let now = Instant::now();
        pace.request(now, MS);
        pace.on_drawn(now + MS);
        assert_eq!(pace.deadline(), None);
    }

    #[test]
    fn the_earliest_request_wins() {
        let mut pace = FramePacer::new(100);
        let now = Instant::now();
        pace.request(now, 80 * MS);
        pace.request(now, 16 * MS);
        pace.request(now, 40 * MS);
        assert_eq!(pace.deadline(), Some(now + 16 * MS));
    }

    #[test]
    fn a_key_does_not_wait_for_the_gap_that_streaming_keeps() {
        let mut pace = FramePacer::new(100);
        let now = Instant::now();
        pace.on_drawn(now);
        pace.request(now + MS, MS);
        assert_eq!(pace.deadline(), Some(now + 10 * MS));
        pace.request(now + MS, Duration::ZERO);
        assert_eq!(pace.deadline(), Some(now + MS));
        pace.on_drawn(now + MS);
        pace.request(now + 2 * MS, Duration::ZERO);
        assert_eq!(pace.deadline(), Some(now + MS + MIN_KEY_FRAME_INTERVAL), "the key after it is a burst");
        pace.on_drawn(now + MS + MIN_KEY_FRAME_INTERVAL);
        pace.request(now + 4 * MS, MS);
        assert_eq!(
            pace.deadline(),
            Some(now + MS + MIN_KEY_FRAME_INTERVAL + 10 * MS),
            "the next one that nobody typed waits again"
        );
    }

    #[test]
    fn a_key_long_after_a_frame_is_drawn_at_once() {
        let mut pace = FramePacer::new(100);
        let now = Instant::now();
        pace.on_drawn(now);
        pace.request(now + 50 * MS, Duration::ZERO);
        assert_eq!(pace.deadline(), Some(now + 50 * MS));
    }

    #[test]
    fn a_rate_of_zero_is_no_division_by_zero() {
        let mut pace = FramePacer::new(0);
        let now = Instant::now();
        pace.on_drawn(now);
        pace.request(now, MS);
        assert_eq!(pace.deadline(), Some(now + 1000 * MS));
    }
}
