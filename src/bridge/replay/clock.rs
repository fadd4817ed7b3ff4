//! The clock of a replay: milliseconds on the recorded session's clock, run at any speed.

use std::time::Duration;

use tokio::time::Instant;

/// Timers are at best this exact, in milliseconds.
const TIMER_TOLERANCE_MS: f64 = 0.01;

#[derive(Clone, Copy, Debug)]
pub(super) struct ReplayClock {
    /// The position at `since`.
    position: f64,
    /// When it was last started; `None` while it is stopped.
    since: Option<Instant>,
    speed: f32,
}

impl ReplayClock {
    pub(super) fn new_stopped(speed: f32) -> Self {
        Self { position: 0.0, since: None, speed }
    }

    pub(super) fn now(&self) -> f64 {
        let passed = self.since.map_or(Duration::ZERO, |since| since.elapsed());
        self.position + passed.as_secs_f64() * 1_000.0 * f64::from(self.speed)
    }

    pub(super) fn speed(&self) -> f32 {
        self.speed
    }

    pub(super) fn set(&mut self, position: f64) {
        self.position = position.max(0.0);
        self.since = self.since.map(|_| Instant::now());
    }

    pub(super) fn advance(&mut self, by: f64) {
        self.position += by;
    }

    pub(super) fn set_speed(&mut self, speed: f32) {
        self.set(self.now());
        self.speed = speed;
    }

    pub(super) fn run(&mut self) {
        self.since = self.since.or_else(|| Some(Instant::now()));
    }

    pub(super) fn stop(&mut self) {
        self.position = self.now();
        self.since = None;
    }

    pub(super) fn has_reached(&self, position: f64) -> bool {
        self.now() + TIMER_TOLERANCE_MS >= position
    }

    /// Returns how long a running clock takes to reach `position`.
    pub(super) fn duration_until(&self, position: f64) -> Duration {
        let left = (position - self.now()).max(0.0) / 1_000.0 / f64::from(self.speed);
        Duration::try_from_secs_f64(left).unwrap_or(Duration::MAX)
    }
}
