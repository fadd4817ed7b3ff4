//! PURE. When to draw: a struct without a clock, not an actor.
//!
//! A key asks for now, streaming text for as soon as frames may follow one another, a spinner for later; the earliest
//! request wins. At most one frame in `min_interval`, but what a person typed doesn't wait for that, only for the echo of
//! a key just before it: a few more frames a second are cheaper than a slow echo.
//!
//! To be woken costs about as much as a frame. So text draws as it comes, once the last frame is old enough, and text
//! that came too early waits a little longer than it must: more is likely to come, and draws both. A frame that waited so
//! in vain counts as drawn when it might have been: what comes just after it doesn't wait for that a second time.
//! None when nobody asked, so that idle costs nothing.

use std::time::{Duration, Instant};

use crate::ui::FrameScope;

/// Between two frames that keys asked for. Held keys repeat far slower.
const MIN_KEY_FRAME_INTERVAL: Duration = Duration::from_millis(2);

/// Holds the one deadline of the screen.
#[derive(Debug)]
pub struct FramePacer {
    min_interval: Duration,
    /// When somebody wants a whole frame.
    requested_for: Option<Instant>,
    /// When new text wants to be seen.
    text_requested_for: Option<Instant>,
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
        Self {
            min_interval: least,
            requested_for: None,
            text_requested_for: None,
            is_urgent: false,
            last_drawn: None,
            last_urgent: None,
        }
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

    /// Asks for a frame of what has just come.
    pub fn request_for_stream(&mut self, now: Instant, scope: FrameScope) {
        let wait = match self.last_drawn {
            Some(last) if now < last + self.min_interval => {
                (last + self.min_interval + self.early_text_wait()).saturating_duration_since(now)
            }
            _ => Duration::ZERO,
        };
        let requested = match scope {
            FrameScope::Whole => &mut self.requested_for,
            FrameScope::Text => &mut self.text_requested_for,
        };
        *requested = Some(requested.map_or(now + wait, |wanted| wanted.min(now + wait)));
    }

    /// Returns when to draw; none means sleep for ever.
    pub fn deadline(&self) -> Option<Instant> {
        let wanted = self.requested_for.into_iter().chain(self.text_requested_for).min()?;
        let (last, gap) = if self.is_urgent {
            (self.last_urgent, MIN_KEY_FRAME_INTERVAL.min(self.min_interval))
        } else {
            (self.last_drawn, self.min_interval)
        };
        Some(last.map_or(wanted, |last| wanted.max(last + gap)))
    }

    /// Returns what a frame has to show that is drawn now.
    pub fn scope(&self, now: Instant) -> FrameScope {
        match (self.requested_for, self.text_requested_for) {
            (Some(wanted), Some(_)) if wanted > now => FrameScope::Text,
            (None, Some(_)) => FrameScope::Text,
            _ => FrameScope::Whole,
        }
    }

    /// Takes note of a frame. What was asked for and is not in it is still to be drawn.
    pub fn on_drawn(&mut self, now: Instant, scope: FrameScope) {
        if scope == FrameScope::Whole {
            if self.is_urgent {
                self.last_urgent = Some(now);
            }
            self.requested_for = None;
            self.is_urgent = false;
        }
        let longest_wait = self.last_drawn.map(|last| last + self.min_interval + self.early_text_wait());
        let has_waited = self.text_requested_for.take().is_some_and(|at| Some(at) == longest_wait && at <= now);
        self.last_drawn = Some(if has_waited { now.checked_sub(self.early_text_wait()).unwrap_or(now) } else { now });
    }

    /// Returns how much longer than it must text waits that came too early.
    fn early_text_wait(&self) -> Duration {
        self.min_interval / 4
    }
}

#[cfg(test)]
mod tests {
    use super::FrameScope::{Text, Whole};
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn idle_has_no_deadline() {
        let mut pace = FramePacer::new(100);
        assert_eq!(pace.deadline(), None);
        let now = Instant::now();
        pace.request(now, MS);
        pace.on_drawn(now + MS, Whole);
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
        pace.on_drawn(now, Whole);
        pace.request(now + MS, MS);
        assert_eq!(pace.deadline(), Some(now + 10 * MS));
        pace.request(now + MS, Duration::ZERO);
        assert_eq!(pace.deadline(), Some(now + MS));
        pace.on_drawn(now + MS, Whole);
        pace.request(now + 2 * MS, Duration::ZERO);
        assert_eq!(pace.deadline(), Some(now + MS + MIN_KEY_FRAME_INTERVAL), "the key after it is a burst");
        pace.on_drawn(now + MS + MIN_KEY_FRAME_INTERVAL, Whole);
        pace.request(now + 4 * MS, MS);
        assert_eq!(
            pace.deadline(),
            Some(now + MS + MIN_KEY_FRAME_INTERVAL + 10 * MS),
            "the next one that nobody typed waits again"
        );
    }

    #[test]
    fn text_is_drawn_as_it_comes_once_the_last_frame_is_old_enough() {
        let mut pace = FramePacer::new(100);
        let now = Instant::now();
        pace.request_for_stream(now, Text);
        assert_eq!(pace.deadline(), Some(now));
        pace.on_drawn(now, Whole);
        pace.request_for_stream(now + 6 * MS, Text);
        assert_eq!(pace.deadline(), Some(now + 10 * MS + 10 * MS / 4), "too early: with what comes next, or alone");
        pace.request_for_stream(now + 12 * MS, Text);
        assert_eq!(pace.deadline(), Some(now + 12 * MS));
    }

    #[test]
    fn a_frame_that_waited_in_vain_for_more_text_counts_as_drawn_when_it_might_have_been() {
        let mut pace = FramePacer::new(100);
        let now = Instant::now();
        pace.on_drawn(now, Whole);
        pace.request_for_stream(now + 6 * MS, Text);
        let waited = now + 10 * MS + 10 * MS / 4;
        assert_eq!(pace.deadline(), Some(waited));
        pace.on_drawn(waited, Text);
        pace.request_for_stream(waited + MS, Text);
        assert_eq!(pace.deadline(), Some(waited + 10 * MS), "an interval later, not one and a quarter");
        pace.request_for_stream(now + 20 * MS, Text);
        assert_eq!(pace.deadline(), Some(now + 20 * MS), "frames keep their rate");
        pace.on_drawn(now + 20 * MS, Text);
        pace.request_for_stream(now + 21 * MS, Text);
        assert_eq!(pace.deadline(), Some(now + 30 * MS + 10 * MS / 4), "this one didn't wait");
    }

    #[test]
    fn text_a_little_too_early_never_puts_off_a_frame() {
        let mut pace = FramePacer::new(100);
        let now = Instant::now();
        pace.on_drawn(now, Whole);
        pace.request(now + MS, 10 * MS);
        pace.request_for_stream(now + 2 * MS, Text);
        assert_eq!(pace.deadline(), Some(now + 11 * MS));
        pace.request(now + 3 * MS, Duration::ZERO);
        assert_eq!(pace.deadline(), Some(now + 3 * MS), "and a key doesn't wait for it");
    }

    #[test]
    fn a_frame_of_text_leaves_what_else_was_asked_for_to_its_time() {
        let mut pace = FramePacer::new(100);
        let now = Instant::now();
        pace.on_drawn(now, Whole);
        pace.request(now, 100 * MS);
        pace.request_for_stream(now + 20 * MS, Text);
        assert_eq!((pace.deadline(), pace.scope(now + 20 * MS)), (Some(now + 20 * MS), Text));
        pace.on_drawn(now + 20 * MS, Text);
        assert_eq!((pace.deadline(), pace.scope(now + 100 * MS)), (Some(now + 100 * MS), Whole));
        pace.request_for_stream(now + 95 * MS, Text);
        assert_eq!(pace.scope(now + 100 * MS), Whole, "it shows the text too");
        pace.on_drawn(now + 100 * MS, Whole);
        assert_eq!(pace.deadline(), None);
    }

    #[test]
    fn events_that_are_more_than_text_ask_for_a_whole_frame() {
        let mut pace = FramePacer::new(100);
        let now = Instant::now();
        pace.request_for_stream(now, Text);
        pace.request_for_stream(now, Whole);
        assert_eq!(pace.scope(now), Whole);
    }

    #[test]
    fn a_key_long_after_a_frame_is_drawn_at_once() {
        let mut pace = FramePacer::new(100);
        let now = Instant::now();
        pace.on_drawn(now, Whole);
        pace.request(now + 50 * MS, Duration::ZERO);
        assert_eq!(pace.deadline(), Some(now + 50 * MS));
    }

    #[test]
    fn a_rate_of_zero_is_no_division_by_zero() {
        let mut pace = FramePacer::new(0);
        let now = Instant::now();
        pace.on_drawn(now, Whole);
        pace.request(now, MS);
        assert_eq!(pace.deadline(), Some(now + 1000 * MS));
    }
}
