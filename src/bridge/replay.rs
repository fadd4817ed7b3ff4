//! An event source that plays a log as if the session were live, by a clock that can be sped up, paused and moved.
//!
//! Envelopes keep their recorded numbers and times; nothing is written to a log. Seeking is not playing: the hub marks
//! events as published up to the new position and its subscribers fold them from the log; seeking back resets it first.
//! A log that was cut is sealed in memory only.

mod clock;
mod replay_log;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet, spawn_blocking, yield_now};
use tokio::time::{Instant, sleep_until};

use super::SessionHandle;
use super::hub::{Backlog, DEFAULT_RING_BYTES, Hub};
use crate::event::branches::BranchPath;
use crate::event::timeline::{MomentKind, Timeline};
use crate::event::{
    AgentEvent, Capabilities, Command, LoopRange, Millis, ReplayStatus, SeekTarget, Seq, SessionStatus,
};
use crate::journal::Reader;
use clock::ReplayClock;
use replay_log::ReplayLog;

/// Pending commands; see [`SessionHandle::commands`].
const COMMAND_QUEUE_CAPACITY: usize = 64;
/// Events published at once. A flood is cut here so that a command can get through.
const MAX_BATCH_EVENTS: usize = 512;
/// Longer waits are split, so that adding times never overflows.
const MAX_WAIT: Duration = Duration::from_hours(24);
/// The longest pause played before a run of the program, however long it really was.
const MAX_GAP_BETWEEN_RUNS: Millis = Millis(2_000);
const SPEED_RANGE: (f32, f32) = (0.01, 1_000.0);

/// How a replay begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReplayOptions {
    /// 1.0 is the original timing.
    pub speed: f32,
    /// Where to begin; earlier events are shown at once.
    pub from: Millis,
    /// Longer pauses are shortened to this.
    pub max_idle: Option<Millis>,
    pub paused: bool,
}

impl Default for ReplayOptions {
    fn default() -> Self {
        Self { speed: 1.0, from: Millis(0), max_idle: None, paused: false }
    }
}

/// Plays a log. The task ends when the last clone of the returned handle is dropped.
pub fn start(reader: Reader, options: ReplayOptions, tasks: &mut JoinSet<()>) -> io::Result<SessionHandle> {
    let (mut player, live) = ReplayPlayer::new(reader, options)?;
    player.seek(SeekTarget::At(options.from));
    tasks.spawn(player.run());
    Ok(live)
}

/// Publishes a whole log at once and closes the hub: for printing and exports.
pub fn start_finished(reader: Reader) -> io::Result<SessionHandle> {
    let (mut player, live) = ReplayPlayer::new(reader, ReplayOptions::default())?;
    player.seek(SeekTarget::End);
    player.hub.close();
    Ok(live)
}

struct ReplayPlayer {
    log: ReplayLog,
    hub: Hub,
    commands: mpsc::Receiver<Command>,
    status: watch::Sender<SessionStatus>,
    clock: ReplayClock,
    paused: bool,
    max_idle: Option<Millis>,
    looped: LoopRange,
    /// The clock is before the end of the loop: who seeks past it leaves it until it is back.
    is_in_loop: bool,
    timeline: Option<Arc<Timeline>>,
    /// Where to seek once the timeline is known.
    wanted_moment: Option<SeekTarget>,
    /// Where the pause before the next event began.
    idle_since: f64,
    /// The branch that is shown.
    path: BranchPath,
}

impl ReplayPlayer {
    fn new(reader: Reader, options: ReplayOptions) -> io::Result<(Self, SessionHandle)> {
        let session = reader.header().session.clone();
        let hub = Hub::starting_after(Seq(0), Backlog::Journal(reader.clone()), DEFAULT_RING_BYTES);
        let (commands, command_receiver) = mpsc::channel(COMMAND_QUEUE_CAPACITY);
        let (sender, status) = watch::channel(SessionStatus::default());
        let path = reader.branch_starts(Seq(u64::MAX))?.active_path();
        let log = ReplayLog::new(reader)?;
        if !path.is_everything() {
            hub.choose_path(path.clone());
        }
        let player = Self {
            log,
            hub: hub.clone(),
            commands: command_receiver,
            status: sender,
            clock: ReplayClock::new_stopped(clamp_speed(options.speed)),
            paused: options.paused,
            max_idle: options.max_idle,
            looped: LoopRange::default(),
            is_in_loop: false,
            timeline: None,
            wanted_moment: None,
            idle_since: 0.0,
            path,
        };
        let capabilities = Capabilities { seek: true, ..Capabilities::default() };
        Ok((player, SessionHandle { session, capabilities, hub, commands, status }))
    }

    async fn run(mut self) {
        let reader = self.log.reader().clone();
        let mut scan = Some(spawn_blocking(move || reader.timeline()));
        loop {
            self.heed_path();
            let due = self.next_due();
            // Commands come before due events, so that a flood of events can always be stopped.
            tokio::select! {
                biased;
                command = self.commands.recv() => match command {
                    Some(command) => self.apply(&command),
                    None => break,
                },
                timeline = scanned(&mut scan) => self.use_timeline(timeline),
                () = wait_until(due) => self.play(),
            }
        }
        self.hub.close();
    }

    /// The branch may be chosen after the replay was opened.
    fn heed_path(&mut self) {
        let chosen = self.hub.chosen_path();
        if let Some(chosen) = chosen.filter(|chosen| *chosen != self.path) {
            self.path = chosen;
        }
    }

    fn apply(&mut self, command: &Command) {
        match *command {
            Command::Seek { to } => self.seek(to),
            Command::SetSpeed { factor } if factor.is_finite() => self.clock.set_speed(clamp_speed(factor)),
            Command::SetPaused { paused } => {
                if !paused && self.is_at_end() {
                    self.seek(SeekTarget::Start);
                }
                self.paused = paused;
            }
            Command::Step { events } => self.step(events),
            Command::SetLoop { range } => {
                self.looped = range;
                self.is_in_loop = range.ends().is_some_and(|(_, to)| self.position() < to);
            }
            Command::CapIdle { max } => {
                self.max_idle = max;
                if let Some(max) = max {
                    // A pause that has already lasted longer ends now, not in the past.
                    self.idle_since = self.idle_since.max(self.clock.now() - max.0 as f64);
                }
            }
            // These need a live source.
            Command::SetSpeed { .. }
            | Command::WarmUp
            | Command::Branch { .. }
            | Command::Reconnect
            | Command::Prompt { .. }
            | Command::Steer { .. }
            | Command::Note { .. }
            | Command::Mark { .. }
            | Command::KeepRun { .. }
            | Command::Continue
            | Command::Compact { .. }
            | Command::UndoCompaction { .. }
            | Command::SendQueued
            | Command::DequeuePrompt { .. }
            | Command::Decide { .. }
            | Command::DecideByLink { .. }
            | Command::Cancel
            | Command::SetModel { .. }
            | Command::SetMode { .. }
            | Command::SetTitle { .. }
            | Command::SetOption { .. }
            | Command::RevokeGrant { .. } => return,
        }
        self.update_status();
    }

    /// Returns when the next event or the end of the loop is due; `None` while paused or at the end.
    fn next_due(&mut self) -> Option<Instant> {
        let (event, end) = (self.next_due_position(), self.loop_end());
        let position = event.zip(end).map(|(event, end)| event.min(end)).or(event).or(end)?;
        (!self.paused).then(|| Instant::now() + self.clock.duration_until(position).min(MAX_WAIT))
    }

    /// Returns the clock position at which the next event is played: its recorded time, or earlier when the pause is
    /// shortened.
    fn next_due_position(&mut self) -> Option<f64> {
        let (seq, at) = (self.log.peek()?.envelope.seq, self.log.peek()?.envelope.at.0 as f64);
        // What is on another branch is not played.
        if !self.path.contains(seq) {
            return Some(at.min(self.idle_since));
        }
        // Nothing happened between two runs of the program, so that pause is not played in full.
        let long = at > self.idle_since + MAX_GAP_BETWEEN_RUNS.0 as f64;
        let away = (long && self.log.is_run_start()).then_some(MAX_GAP_BETWEEN_RUNS);
        let most = self.max_idle.into_iter().chain(away).min();
        Some(most.map_or(at, |most| at.min(self.idle_since + most.0 as f64)))
    }

    /// Returns where the loop goes back to its beginning, while it is played.
    fn loop_end(&self) -> Option<f64> {
        let (_, to) = self.looped.ends()?;
        self.is_in_loop.then_some(to.0 as f64)
    }

    /// Publishes all events that are due, or begins the loop again.
    fn play(&mut self) {
        let end = self.loop_end();
        if let Some(end) = end
            && self.clock.has_reached(end)
            && self.next_due_position().is_none_or(|due| due > end || !self.clock.has_reached(due))
            && let Some(from) = self.looped.from
        {
            return self.seek(SeekTarget::At(from));
        }
        let mut batch = Vec::new();
        while batch.len() < MAX_BATCH_EVENTS
            && let Some(due) = self.next_due_position()
            && self.clock.has_reached(due)
            && end.is_none_or(|end| due <= end)
            && let Some(event) = self.log.take()
        {
            let at = event.envelope.at.0 as f64;
            if due < at {
                self.clock.advance(at - due);
            }
            self.idle_since = self.idle_since.max(at);
            batch.push(event);
        }
        self.hub.publish(batch);
        self.update_status();
    }

    fn step(&mut self, events: i64) {
        self.paused = true;
        self.clock.stop();
        let count = usize::try_from(events).unwrap_or(0);
        if count > MAX_BATCH_EVENTS {
            self.seek_to_seq(Seq(self.hub.last_seq().0.saturating_add(count as u64)));
        } else if events < 0 {
            self.seek_to_seq(Seq(self.hub.last_seq().0.saturating_sub(events.unsigned_abs())));
        } else {
            let batch: Vec<_> = std::iter::from_fn(|| self.log.take()).take(count).collect();
            if let Some(last) = batch.last() {
                self.set_clock(last.envelope.at);
            }
            self.hub.publish(batch);
        }
    }

    fn seek(&mut self, to: SeekTarget) {
        let now = self.position();
        let at = match to {
            SeekTarget::Start => Millis(0),
            SeekTarget::End => self.log.length(),
            SeekTarget::At(at) => at,
            SeekTarget::By(by) => Millis(now.0.saturating_add_signed(by)),
            SeekTarget::Turns(turns) => return self.seek_turn(turns),
            SeekTarget::Tools(_) | SeekTarget::Errors(_) | SeekTarget::Marks(_) | SeekTarget::Waits(_) => {
                return self.seek_moment(to);
            }
            SeekTarget::Fraction(part) => Millis(
                self.log.length().0 / 10_000 * u64::from(part)
                    + self.log.length().0 % 10_000 * u64::from(part) / 10_000,
            ),
        };
        let last = match to {
            // The first events have time 0 as well, so the start is before them.
            SeekTarget::Start => Seq(0),
            _ => self.log.seq_at(at),
        };
        self.publish_up_to(last);
        self.set_clock(at.min(self.log.length()));
        self.update_status();
    }

    /// Seeks to the beginning of a turn, its prompt included.
    fn seek_turn(&mut self, turns: i64) {
        let index = i64::from(self.log.turn_of(self.hub.last_seq())).saturating_add(turns);
        let Ok(index @ 1..) = usize::try_from(index) else { return self.seek(SeekTarget::Start) };
        let Some(mark) = self.log.turns().get(index - 1).copied() else { return self.seek(SeekTarget::End) };
        self.publish_up_to(mark.seq);
        self.set_clock(mark.at);
        if matches!(self.log.peek(), Some(event) if matches!(event.envelope.event, AgentEvent::UserMessage { .. })) {
            self.hub.publish(self.log.take());
        }
        self.update_status();
    }

    /// Seeks to what stands out; where there is none the replay stays.
    fn seek_moment(&mut self, to: SeekTarget) {
        let Some(timeline) = &self.timeline else {
            self.wanted_moment = Some(to);
            return;
        };
        let (kind, steps) = match to {
            SeekTarget::Tools(steps) => (MomentKind::Call, steps),
            SeekTarget::Errors(steps) => (MomentKind::Error, steps),
            SeekTarget::Marks(steps) => (MomentKind::Mark, steps),
            SeekTarget::Waits(steps) => (MomentKind::Wait { until: Millis(0) }, steps),
            _ => return,
        };
        if let Some(moment) = timeline.step(kind, self.hub.last_seq(), steps) {
            self.seek_to_seq(moment.seq);
            self.update_status();
        }
    }

    fn use_timeline(&mut self, timeline: io::Result<Timeline>) {
        let timeline = timeline.unwrap_or_else(|error| {
            tracing::warn!(%error, "the log can't be read");
            Timeline::default()
        });
        self.timeline = Some(Arc::new(timeline.along(|seq| self.path.contains(seq))));
        if let Some(to) = self.wanted_moment.take() {
            self.seek_moment(to);
        }
        self.update_status();
    }

    /// Seeks to just after an event.
    fn seek_to_seq(&mut self, last: Seq) {
        let last = last.min(self.log.last_seq());
        self.publish_up_to(last);
        self.set_clock(self.log.time_of(last));
    }

    /// Marks events up to `last` as published and moves the read position behind it.
    fn publish_up_to(&mut self, last: Seq) {
        let recorded = last.min(self.log.last_recorded());
        if last < self.hub.last_seq() {
            self.hub.rewind(recorded);
        } else {
            self.hub.advance(recorded);
        }
        self.hub.publish(self.log.closing_events_up_to(last));
        self.log.seek(last);
    }

    fn set_clock(&mut self, at: Millis) {
        self.clock.set(at.0 as f64);
        self.idle_since = at.0 as f64;
        self.is_in_loop = self.looped.ends().is_some_and(|(_, to)| at < to);
    }

    fn is_at_end(&mut self) -> bool {
        self.log.peek().is_none()
    }

    fn position(&self) -> Millis {
        // The clock is never negative, and never past the end of the log.
        Millis(self.clock.now() as u64).min(self.log.length())
    }

    /// Starts or stops the clock as the state requires, and publishes the status.
    fn update_status(&mut self) {
        let ended = self.is_at_end() && self.loop_end().is_none();
        if ended && self.clock.now() >= self.log.length().0 as f64 {
            self.clock.set(self.log.length().0 as f64);
        }
        let resume_point = self.paused || ended;
        if resume_point {
            self.clock.stop();
        } else {
            self.clock.run();
        }
        let position = self.position();
        let replay = ReplayStatus {
            paused: resume_point,
            speed: self.clock.speed(),
            position,
            length: self.log.length(),
            turn: self.log.turn_of(self.hub.last_seq()),
            turns: u32::try_from(self.log.turns().len()).unwrap_or(u32::MAX),
            max_idle: self.max_idle,
            looped: self.looped,
        };
        self.status.send_replace(SessionStatus {
            replay: Some(replay),
            timeline: self.timeline.clone(),
            now: position,
            ..SessionStatus::default()
        });
    }
}

/// Waits for the timeline, if it is being made.
async fn scanned(scan: &mut Option<JoinHandle<io::Result<Timeline>>>) -> io::Result<Timeline> {
    let Some(work) = scan else { return std::future::pending().await };
    let timeline = work.await.unwrap_or_else(|error| Err(io::Error::other(error)));
    *scan = None;
    timeline
}

/// Waits until `due`, or forever. If it has passed already, other tasks run first.
async fn wait_until(due: Option<Instant>) {
    match due {
        Some(due) if due <= Instant::now() => yield_now().await,
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

fn clamp_speed(factor: f32) -> f32 {
    if factor.is_finite() { factor.clamp(SPEED_RANGE.0, SPEED_RANGE.1) } else { 1.0 }
}
