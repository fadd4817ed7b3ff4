//! PURE. When to draw: a struct without a clock, not an actor.
//!
//! A key asks for now, streaming text for soon, a spinner for later; the earliest wish wins. At most one frame in
//! `least`, but what a person typed doesn't wait for that, only for the echo of a key just before it: a few more frames a
//! second are cheaper than a slow echo.
//! None when nobody asked, so that idle costs nothing.

use std::time::{Duration, Instant};

/// Between two frames that keys asked for. Held keys repeat far slower.
const KEY_GAP: Duration = Duration::from_millis(2);

/// Holds the one deadline of the screen.
#[derive(Debug)]
pub struct Pace {
    least: Duration,
    wanted: Option<Instant>,
    /// Somebody asked for now.
    urgent: bool,
    drawn: Option<Instant>,
    /// When the last frame was drawn that somebody asked for.
    echoed: Option<Instant>,
}

impl Pace {
    /// Takes the most frames a second that may be drawn; 0 counts as 1.
    pub fn new(max_fps: u16) -> Self {
        let least = Duration::from_secs(1) / u32::from(max_fps.max(1));
        Self { least, wanted: None, urgent: false, drawn: None, echoed: None }
    }

    /// Returns the least time between two frames that nobody typed for.
    pub fn gap(&self) -> Duration {
        self.least
    }

    /// Asks for a frame; the earliest wish wins, and zero is what a key asks for.
    pub fn want(&mut self, now: Instant, within: Duration) {
        self.urgent |= within.is_zero();
        let at = now + within;
        self.wanted = Some(self.wanted.map_or(at, |wanted| wanted.min(at)));
    }

    /// Returns when to draw; none means sleep for ever.
    pub fn due(&self) -> Option<Instant> {
        let wanted = self.wanted?;
        let (last, gap) = if self.urgent { (self.echoed, KEY_GAP.min(self.least)) } else { (self.drawn, self.least) };
        Some(last.map_or(wanted, |last| wanted.max(last + gap)))
    }

    pub fn drew(&mut self, now: Instant) {
        if self.urgent {
            self.echoed = Some(now);
        }
        self.wanted = None;
        self.urgent = false;
        self.drawn = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn idle_has_no_deadline() {
        let mut pace = Pace::new(100);
        assert_eq!(pace.due(), None);
        let now = Instant::now();
        pace.want(now, MS);
        pace.drew(now + MS);
        assert_eq!(pace.due(), None);
    }

    #[test]
    fn the_earliest_wish_wins() {
        let mut pace = Pace::new(100);
        let now = Instant::now();
        pace.want(now, 80 * MS);
        pace.want(now, 16 * MS);
        pace.want(now, 40 * MS);
        assert_eq!(pace.due(), Some(now + 16 * MS));
    }

    #[test]
    fn a_key_does_not_wait_for_the_gap_that_streaming_keeps() {
        let mut pace = Pace::new(100);
        let now = Instant::now();
        pace.drew(now);
        pace.want(now + MS, MS);
        assert_eq!(pace.due(), Some(now + 10 * MS));
        pace.want(now + MS, Duration::ZERO);
        assert_eq!(pace.due(), Some(now + MS));
        pace.drew(now + MS);
        pace.want(now + 2 * MS, Duration::ZERO);
        assert_eq!(pace.due(), Some(now + MS + KEY_GAP), "the key after it is a burst");
        pace.drew(now + MS + KEY_GAP);
        pace.want(now + 4 * MS, MS);
        assert_eq!(pace.due(), Some(now + MS + KEY_GAP + 10 * MS), "the next one that nobody typed waits again");
    }

    #[test]
    fn a_key_long_after_a_frame_is_drawn_at_once() {
        let mut pace = Pace::new(100);
        let now = Instant::now();
        pace.drew(now);
        pace.want(now + 50 * MS, Duration::ZERO);
        assert_eq!(pace.due(), Some(now + 50 * MS));
    }

    #[test]
    fn a_rate_of_zero_is_no_division_by_zero() {
        let mut pace = Pace::new(0);
        let now = Instant::now();
        pace.drew(now);
        pace.want(now, MS);
        assert_eq!(pace.due(), Some(now + 1000 * MS));
    }
}
