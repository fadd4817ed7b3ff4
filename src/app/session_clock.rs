//! The session's time on this screen.
//!
//! Not for pacing frames (`frame_pacer.rs`). The invariant: between two weathers it goes on as fast as the session
//! does.

use std::time::Instant;

use crate::event::{Millis, SessionStatus};

/// The session's clock, carried on between two weathers.
pub(super) struct SessionClock {
    reported: Millis,
    reported_at: Instant,
    /// A replay's clock runs faster, slower or not at all.
    speed: f64,
}

impl SessionClock {
    pub(super) fn new(weather: &SessionStatus, at: Instant) -> Self {
        let factor = weather.replay.map_or(1.0, |replay| if replay.paused { 0.0 } else { f64::from(replay.speed) });
        Self { reported: weather.now, reported_at: at, speed: factor }
    }

    pub(super) fn now(&self, at: Instant) -> Millis {
        let since = at.saturating_duration_since(self.reported_at).as_millis() as f64 * self.speed;
        self.reported.plus(Millis(since as u64))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::event::{LoopRange, ReplayStatus};

    fn at(replay: Option<ReplayStatus>) -> u64 {
        let (began, weather) = (Instant::now(), SessionStatus { now: Millis(100), replay, ..SessionStatus::default() });
        SessionClock::new(&weather, began).now(began + Duration::from_millis(50)).0
    }

    #[test]
    fn the_sessions_clock_goes_on_between_status_updates() {
        let replay = |paused, speed| {
            let (position, length) = (Millis(100), Millis(900));
            Some(ReplayStatus {
                paused,
                speed,
                position,
                length,
                turn: 1,
                turns: 1,
                max_idle: None,
                looped: LoopRange::default(),
            })
        };
        assert_eq!(at(None), 150);
        assert_eq!(at(replay(false, 4.0)), 300);
        assert_eq!(at(replay(true, 4.0)), 100);
    }
}
