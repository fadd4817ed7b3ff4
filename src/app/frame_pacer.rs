//! PURE. When to draw: a struct without a clock, not an actor.
//!
//! A key asks for now, streaming text for as soon as frames may follow one another, a spinner for later; the earliest
//! request wins. At most one frame in `min_interval`, but what a person typed doesn't wait for that, only for the echo of
//! a key just before it: a few more frames a second are cheaper than a slow echo.
//!
//! To be woken costs about as much as a frame. So text draws as it comes, as long as there are no more frames than
//! `min_interval` allows on the whole: what comes evenly and a little slower is drawn each time it comes, and a frame that
//! was late or of something else puts none of it off. Text that came too early waits a little longer than it must: more
//! is likely to come, and draws both. What moves by itself waits for the text beside which it moves, for otherwise both
//! together would be more frames than there may be, and text would wait for the spinner. None when nobody asked, so that
//! idle costs nothing.

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
    /// From when on text is drawn as it comes.
    text_from: Option<Instant>,
    /// When text was drawn last.
    last_text: Option<Instant>,
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
            text_from: None,
            last_text: None,
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
        let (last, requested) = match scope {
            FrameScope::Whole => (self.last_drawn.map(|last| last + self.min_interval), &mut self.requested_for),
            FrameScope::Text => {
                let least = self.last_drawn.map(|last| last + self.min_interval / 4);
                (self.text_from.max(least), &mut self.text_requested_for)
            }
        };
        let at = last.filter(|from| now < *from).map_or(now, |from| from + self.min_interval / 4);
        *requested = Some(requested.map_or(at, |wanted| wanted.min(at)));
    }

    /// Returns when to draw; none means sleep for ever.
    pub fn deadline(&self) -> Option<Instant> {
        let (last, gap) = if self.is_urgent {
            (self.last_urgent, MIN_KEY_FRAME_INTERVAL.min(self.min_interval))
        } else {
            (self.last_drawn, self.min_interval)
        };
        let beside_text = self.last_text.filter(|_| !self.is_urgent).map(|last| last + self.next_text_wait());
        let not_before = last.map(|last| last + gap).max(beside_text);
        let whole = self.requested_for.map(|wanted| not_before.map_or(wanted, |least| wanted.max(least)));
        whole.into_iter().chain(self.text_requested_for).min()
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
        if self.text_requested_for.take().is_some() {
            self.last_text = Some(now);
        }
        self.text_from = self.text_from.map(|from| from + self.min_interval).max(Some(now));
        self.last_drawn = Some(now);
    }

    /// Returns how long after text more of it is waited for, where it comes once a frame.
    fn next_text_wait(&self) -> Duration {
        self.min_interval + self.min_interval / 4
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

    /// Draws what is due up to `until`; returns when.
    fn draw_until(pace: &mut FramePacer, until: Instant, drawn: &mut Vec<Instant>) {
        while let Some(at) = pace.deadline().filter(|at| *at <= until) {
            pace.on_drawn(at, pace.scope(at));
            drawn.push(at);
        }
    }

    /// Lets text come at these times, in ms, and returns when frames were drawn, in ms.
    fn frames_of(arrivals: impl IntoIterator<Item = u32>) -> Vec<u128> {
        let mut pace = FramePacer::new(100);
        let start = Instant::now();
        let mut drawn = Vec::new();
        for at in arrivals {
            let now = start + at * MS;
            draw_until(&mut pace, now.checked_sub(MS / 100).unwrap(), &mut drawn);
            pace.request_for_stream(now, Text);
            draw_until(&mut pace, now, &mut drawn);
        }
        draw_until(&mut pace, start + 10_000 * MS, &mut drawn);
        drawn.iter().map(|at| (*at - start).as_millis()).collect()
    }

    #[test]
    fn text_is_drawn_as_it_comes_while_frames_keep_their_rate() {
        assert_eq!(frames_of([0, 11, 22, 33]), [0, 11, 22, 33]);
        assert_eq!(frames_of([0, 6]), [0, 6], "a frame that was saved before may be used");
        let frames = frames_of((0..1000).step_by(6));
        assert!((100..=102).contains(&frames.len()), "{}", frames.len());
    }

    #[test]
    fn what_moves_by_itself_is_drawn_with_the_text_beside_it_and_alone_where_none_comes() {
        let mut pace = FramePacer::new(100);
        let start = Instant::now();
        let mut drawn = Vec::new();
        for at in (0..110).step_by(11) {
            pace.request_for_stream(start + at * MS, Text);
            draw_until(&mut pace, start + at * MS, &mut drawn);
            if at == 11 {
                pace.request(start + at * MS, 25 * MS);
            }
        }
        assert_eq!(drawn, (0..110).step_by(11).map(|at| start + at * MS).collect::<Vec<_>>());
        assert_eq!(pace.deadline(), None, "the spinner moved with the text");
        pace.request(start + 99 * MS, 5 * MS);
        draw_until(&mut pace, start + 200 * MS, &mut drawn);
        assert_eq!(*drawn.last().unwrap(), start + 99 * MS + (10 + 10 / 4) * MS + MS / 2, "nothing came");
    }

    #[test]
    fn a_late_frame_does_not_put_off_those_after_it() {
        // Drawn every 11 ms; once a frame of something else comes between.
        let mut pace = FramePacer::new(100);
        let start = Instant::now();
        let mut drawn = Vec::new();
        for at in [0, 11, 22, 33, 44] {
            pace.request_for_stream(start + at * MS, Text);
            draw_until(&mut pace, start + at * MS, &mut drawn);
            if at == 11 {
                pace.on_drawn(start + 19 * MS, Whole);
            }
        }
        draw_until(&mut pace, start + 100 * MS, &mut drawn);
        let drawn: Vec<_> = drawn.iter().map(|at| (*at - start).as_millis()).collect();
        assert_eq!(drawn, [0, 11, 22, 33, 44]);
    }

    #[test]
    fn text_that_came_too_early_waits_for_more() {
        let mut pace = FramePacer::new(100);
        let now = Instant::now();
        pace.on_drawn(now, Whole);
        pace.request_for_stream(now + MS, Text);
        assert_eq!(pace.deadline(), Some(now + 5 * MS), "not just behind the last one");
        pace.on_drawn(now + 5 * MS, Text);
        pace.request_for_stream(now + 8 * MS, Text);
        assert_eq!(pace.deadline(), Some(now + 10 * MS + 10 * MS / 4));
        pace.request_for_stream(now + 12 * MS, Text);
        assert_eq!(pace.deadline(), Some(now + 12 * MS));
    }

    #[test]
    fn text_a_little_too_early_never_puts_off_a_frame() {
        let mut pace = FramePacer::new(100);
        let now = Instant::now();
        pace.on_drawn(now, Whole);
        pace.request(now + MS, 10 * MS);
        pace.request_for_stream(now + 2 * MS, Text);
        assert_eq!((pace.deadline(), pace.scope(now + 5 * MS)), (Some(now + 5 * MS), Text));
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
