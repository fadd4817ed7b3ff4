//! A source that plays a log on the screen of a live session, by a clock that can be scaled, stopped and moved.
//!
//! Envelopes keep their recorded numbers and times; nothing is journaled. Moving is not playing: the hub counts facts
//! as published up to the new place and its subscribers fold them from the log; moving back resets it first.
//! A log that was cut is sealed in memory, for its viewer only.

mod clock;
mod tape;
#[cfg(test)]
mod tests;

use std::io;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinSet, yield_now};
use tokio::time::{Instant, sleep_until};

use super::Live;
use super::hub::{Backlog, Hub, RING_BYTES};
use crate::event::{AgentEvent, Caps, Command, Millis, ReplayState, Seq, Target, Weather};
use crate::journal::Reader;
use clock::Clock;
use tape::Tape;

/// Wishes that wait; see [`Live::commands`].
const WISHES: usize = 64;
/// Facts told at once: a flood is cut here to let a wish through.
const BATCH: usize = 512;
/// Longer waits are taken in pieces, so that no sum of times overflows.
const LONGEST_WAIT: Duration = Duration::from_hours(24);
/// The longest pause before a run of the program, however long it was.
const BETWEEN_RUNS: Millis = Millis(2_000);
const SPEEDS: (f32, f32) = (0.01, 1_000.0);

/// How a replay begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// 1.0 is the original timing.
    pub speed: f32,
    /// Where to begin; what is before is shown at once.
    pub from: Millis,
    /// Pauses longer than this are squeezed to it.
    pub max_idle: Option<Millis>,
    pub paused: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { speed: 1.0, from: Millis(0), max_idle: None, paused: false }
    }
}

/// Plays a log. The task ends when the last clone of the returned handle is gone.
pub fn start(reader: Reader, options: Options, tasks: &mut JoinSet<()>) -> io::Result<Live> {
    let (mut player, live) = Player::new(reader, options)?;
    player.seek(Target::At(options.from));
    tasks.spawn(player.run());
    Ok(live)
}

/// Tells a whole log at once and closes the hub: for prints and exports.
pub fn at_once(reader: Reader) -> io::Result<Live> {
    let (mut player, live) = Player::new(reader, Options::default())?;
    player.seek(Target::End);
    player.hub.close();
    Ok(live)
}

struct Player {
    tape: Tape,
    hub: Hub,
    commands: mpsc::Receiver<Command>,
    weather: watch::Sender<Weather>,
    clock: Clock,
    paused: bool,
    max_idle: Option<Millis>,
    /// Where the pause before the next event began.
    idle_since: f64,
}

impl Player {
    fn new(reader: Reader, options: Options) -> io::Result<(Self, Live)> {
        let session = reader.header().session.clone();
        let hub = Hub::starting_after(Seq(0), Backlog::Journal(reader.clone()), RING_BYTES);
        let (commands, wishes) = mpsc::channel(WISHES);
        let (sender, weather) = watch::channel(Weather::default());
        let player = Self {
            tape: Tape::new(reader)?,
            hub: hub.clone(),
            commands: wishes,
            weather: sender,
            clock: Clock::stopped(speed(options.speed)),
            paused: options.paused,
            max_idle: options.max_idle,
            idle_since: 0.0,
        };
        let caps = Caps { seek: true, ..Caps::default() };
        Ok((player, Live { session, caps, hub, commands, weather }))
    }

    async fn run(mut self) {
        loop {
            let due = self.due();
            // A wish goes before what is due: a flood of events can always be stopped.
            tokio::select! {
                biased;
                wish = self.commands.recv() => match wish {
                    Some(command) => self.apply(&command),
                    None => break,
                },
                () = wait(due) => self.play(),
            }
        }
        self.hub.close();
    }

    fn apply(&mut self, command: &Command) {
        match *command {
            Command::Seek { to } => self.seek(to),
            Command::Speed { factor } if factor.is_finite() => self.clock.set_speed(speed(factor)),
            Command::Pause { paused } => {
                if !paused && self.ended() {
                    self.seek(Target::Start);
                }
                self.paused = paused;
            }
            Command::Step { events } => self.step(events),
            Command::SqueezeIdle { max } => {
                self.max_idle = max;
                if let Some(max) = max {
                    // A pause that lasted longer already ends now, not in the past.
                    self.idle_since = self.idle_since.max(self.clock.now() - max.0 as f64);
                }
            }
            // A replay has nobody to tell.
            Command::Speed { .. }
            | Command::Prepare
            | Command::Prompt { .. }
            | Command::GoOn
            | Command::SendQueued
            | Command::Unqueue { .. }
            | Command::Decide { .. }
            | Command::Cancel
            | Command::SetModel { .. }
            | Command::SetMode { .. }
            | Command::Revoke { .. } => return,
        }
        self.settle();
    }

    /// Returns when the next event is due; never while paused or at the end.
    fn due(&mut self) -> Option<Instant> {
        let position = self.due_position()?;
        (!self.paused).then(|| Instant::now() + self.clock.until(position).min(LONGEST_WAIT))
    }

    /// Returns where on the clock the next event is played: at its time, or earlier when the pause is squeezed.
    fn due_position(&mut self) -> Option<f64> {
        let at = self.tape.peek()?.envelope.at.0 as f64;
        // Between two runs of the program nothing went on, so nobody should have to sit through it.
        let long = at > self.idle_since + BETWEEN_RUNS.0 as f64;
        let away = (long && self.tape.begins_run()).then_some(BETWEEN_RUNS);
        let most = self.max_idle.into_iter().chain(away).min();
        Some(most.map_or(at, |most| at.min(self.idle_since + most.0 as f64)))
    }

    /// Tells all that is due.
    fn play(&mut self) {
        let mut batch = Vec::new();
        while batch.len() < BATCH
            && let Some(due) = self.due_position()
            && self.clock.has_reached(due)
            && let Some(fact) = self.tape.take()
        {
            let at = fact.envelope.at.0 as f64;
            if due < at {
                self.clock.jump(at - due);
            }
            self.idle_since = self.idle_since.max(at);
            batch.push(fact);
        }
        self.hub.publish(batch);
        self.settle();
    }

    fn step(&mut self, events: i64) {
        self.paused = true;
        self.clock.stop();
        let count = usize::try_from(events).unwrap_or(0);
        if count > BATCH {
            self.go(Seq(self.hub.last().0.saturating_add(count as u64)));
        } else if events < 0 {
            self.go(Seq(self.hub.last().0.saturating_sub(events.unsigned_abs())));
        } else {
            let facts: Vec<_> = std::iter::from_fn(|| self.tape.take()).take(count).collect();
            if let Some(last) = facts.last() {
                self.move_clock(last.envelope.at);
            }
            self.hub.publish(facts);
        }
    }

    fn seek(&mut self, to: Target) {
        let now = self.position();
        let at = match to {
            Target::Start => Millis(0),
            Target::End => self.tape.length(),
            Target::At(at) => at,
            Target::By(by) => Millis(now.0.saturating_add_signed(by)),
            Target::Turns(turns) => return self.seek_turn(turns),
            Target::Fraction(part) => Millis(
                self.tape.length().0 / 10_000 * u64::from(part)
                    + self.tape.length().0 % 10_000 * u64::from(part) / 10_000,
            ),
        };
        let last = match to {
            // The first events have time 0 as well, so the start is before them.
            Target::Start => Seq(0),
            _ => self.tape.seq_at(at),
        };
        self.show(last);
        self.move_clock(at.min(self.tape.length()));
        self.settle();
    }

    /// Goes to the beginning of a turn, its prompt included.
    fn seek_turn(&mut self, turns: i64) {
        let index = i64::from(self.tape.turn_of(self.hub.last())).saturating_add(turns);
        let Ok(index @ 1..) = usize::try_from(index) else { return self.seek(Target::Start) };
        let Some(mark) = self.tape.turns().get(index - 1).copied() else { return self.seek(Target::End) };
        self.show(mark.seq);
        self.move_clock(mark.at);
        if matches!(self.tape.peek(), Some(fact) if matches!(fact.envelope.event, AgentEvent::UserMessage { .. })) {
            self.hub.publish(self.tape.take());
        }
        self.settle();
    }

    /// Goes to where an event was the last one told.
    fn go(&mut self, last: Seq) {
        let last = last.min(self.tape.last());
        self.show(last);
        self.move_clock(self.tape.at_of(last));
    }

    /// Makes the hub have told the events up to `last`, and the tape stand behind it.
    fn show(&mut self, last: Seq) {
        if last < self.hub.last() {
            self.hub.reset();
        }
        self.hub.advance(last.min(self.tape.recorded()));
        self.hub.publish(self.tape.added(last));
        self.tape.seek(last);
    }

    fn move_clock(&mut self, at: Millis) {
        self.clock.set(at.0 as f64);
        self.idle_since = at.0 as f64;
    }

    fn ended(&mut self) -> bool {
        self.tape.peek().is_none()
    }

    fn position(&self) -> Millis {
        // The clock is never negative, and past the end of the log there is nothing.
        Millis(self.clock.now() as u64).min(self.tape.length())
    }

    /// Lets the clock run or stand as things are now, and tells how they are.
    fn settle(&mut self) {
        let ended = self.ended();
        if ended && self.clock.now() >= self.tape.length().0 as f64 {
            self.clock.set(self.tape.length().0 as f64);
        }
        let standing = self.paused || ended;
        if standing {
            self.clock.stop();
        } else {
            self.clock.run();
        }
        let position = self.position();
        let replay = ReplayState {
            paused: standing,
            speed: self.clock.speed(),
            position,
            length: self.tape.length(),
            turn: self.tape.turn_of(self.hub.last()),
            turns: u32::try_from(self.tape.turns().len()).unwrap_or(u32::MAX),
            squeeze: self.max_idle,
        };
        self.weather.send_replace(Weather { replay: Some(replay), now: position, ..Weather::default() });
    }
}

/// Waits until then, or for ever. What is late lets others go first.
async fn wait(due: Option<Instant>) {
    match due {
        Some(due) if due <= Instant::now() => yield_now().await,
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

fn speed(factor: f32) -> f32 {
    if factor.is_finite() { factor.clamp(SPEEDS.0, SPEEDS.1) } else { 1.0 }
}
