//! The session's time on this screen.
//!
//! Not for pacing frames (`pace.rs`). The invariant: between two weathers it goes on as fast as the session does.

use std::time::Instant;

use crate::event::{Millis, Weather};

/// The session's clock, carried on between two weathers.
pub(super) struct Clock {
    said: Millis,
    at: Instant,
    /// A replay's clock runs faster, slower or not at all.
    factor: f64,
}

impl Clock {
    pub(super) fn new(weather: &Weather, at: Instant) -> Self {
        let factor = weather.replay.map_or(1.0, |replay| if replay.paused { 0.0 } else { f64::from(replay.speed) });
        Self { said: weather.now, at, factor }
    }

    pub(super) fn now(&self, at: Instant) -> Millis {
        let since = at.saturating_duration_since(self.at).as_millis() as f64 * self.factor;
        self.said.plus(Millis(since as u64))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::event::ReplayState;

    fn at(replay: Option<ReplayState>) -> u64 {
        let (began, weather) = (Instant::now(), Weather { now: Millis(100), replay, ..Weather::default() });
        Clock::new(&weather, began).now(began + Duration::from_millis(50)).0
    }

    #[test]
    fn the_sessions_clock_goes_on_between_weathers() {
        let replay = |paused, speed| {
            let (position, length) = (Millis(100), Millis(900));
            Some(ReplayState { paused, speed, position, length, turn: 1, turns: 1, squeeze: None })
        };
        assert_eq!(at(None), 150);
        assert_eq!(at(replay(false, 4.0)), 300);
        assert_eq!(at(replay(true, 4.0)), 100);
    }
}
