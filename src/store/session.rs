//! What is known about the session as a whole: who answers, what it may do, whether it works, how the line is.

use crate::event::{AgentEvent, Caps, Millis, Mode, TurnId, Weather, who_answers};

use super::msg::ModelChoice;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct SessionState {
    /// What the last `SessionOpened` said; none before the first.
    pub opened: Option<Opened>,
    pub phase: Phase,
    /// What time it was when, since a session may go on another day.
    walls: Vec<(Millis, u64)>,
    /// The person asked to stop; shown until the turn has ended.
    pub cancelling: bool,
    pub weather: Weather,
    /// The source's clock at the last fact, weather or tick.
    pub now: Millis,
    /// What the model picker offers; none until asked and answered.
    pub models: Option<Vec<ModelChoice>>,
    /// A mode asked for and not confirmed yet.
    pub wanted_mode: Option<Mode>,
    /// The person said that the mode that never asks is meant.
    pub full_confirmed: bool,
    /// Facts of a newer format that were skipped.
    pub unknown_events: u64,
    /// No more facts come.
    pub over: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Opened {
    pub engine: String,
    pub model: String,
    pub why: String,
    pub mode: Mode,
    pub folder: String,
    pub caps: Caps,
    /// Wall time of the run's start, milliseconds since 1970.
    pub started: u64,
    /// The model's context window in tokens, where it is known.
    pub window: Option<u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    #[default]
    Idle,
    Working {
        turn: TurnId,
        since: Millis,
    },
    /// A turn runs, and a person has to decide before it goes on.
    WaitingApproval {
        turn: TurnId,
        since: Millis,
    },
}

impl Phase {
    pub fn is_idle(&self) -> bool {
        *self == Self::Idle
    }
}

impl Opened {
    /// Returns who answers, in words.
    pub fn name(&self) -> String {
        who_answers(&self.engine, &self.model)
    }
}

impl SessionState {
    /// Returns what the source can be asked to do; before it spoke, prompts are assumed to be welcome. What a recorded
    /// session could do then says nothing about its replay.
    pub fn caps(&self) -> Caps {
        if self.weather.replay.is_some() {
            return Caps { seek: true, ..Caps::default() };
        }
        if self.weather.watch_only || self.over {
            return Caps::default();
        }
        self.opened.as_ref().map_or(Caps { prompt: true, ..Caps::default() }, |opened| opened.caps)
    }

    pub fn mode(&self) -> Mode {
        self.opened.as_ref().map(|opened| opened.mode).unwrap_or_default()
    }

    /// Moves the clock on; it never runs backwards but for a reset.
    pub fn clock(&mut self, now: Millis) {
        self.now = self.now.max(now);
    }

    /// Says in words what a second `SessionOpened` changes: a stable code and a text.
    pub fn change(&self, event: &AgentEvent) -> Option<(&'static str, String)> {
        let AgentEvent::SessionOpened { engine, model, why, mode, window, .. } = event else { return None };
        let old = self.opened.as_ref()?;
        if old.engine != *engine || old.model != *model {
            let why = if why.is_empty() { String::new() } else { format!(" ({why})") };
            return Some(("model", format!("the model is now {engine}/{model}{why}")));
        }
        if old.mode != *mode {
            return Some(("mode", format!("the mode is now {}", mode.name())));
        }
        // The server has told how much fits; the usage bar shows it.
        if old.window.is_none() && window.is_some() {
            return None;
        }
        Some(("continued", format!("session continued with {engine}/{model}")))
    }

    /// Takes from `whole` what only the whole past tells.
    pub fn take_past_of(&mut self, whole: Self) {
        self.opened = whole.opened;
        self.unknown_events = whole.unknown_events;
        self.walls = whole.walls;
    }

    /// Returns the wall time of a moment on the session's clock, in milliseconds since 1970.
    pub fn wall(&self, at: Millis) -> Option<u64> {
        let after = self.walls.partition_point(|(then, _)| *then <= at);
        let (then, wall) = self.walls.get(after.saturating_sub(1))?;
        Some(wall.saturating_add(at.since(*then).0))
    }

    pub fn on(&mut self, at: Millis, event: &AgentEvent) {
        self.clock(at);
        match event {
            AgentEvent::SessionOpened { wall, engine, model, why, mode, folder, caps, window, .. } => {
                self.wanted_mode = None;
                self.opened = Some(Opened {
                    engine: engine.clone(),
                    model: model.clone(),
                    why: why.clone(),
                    mode: *mode,
                    folder: folder.clone(),
                    caps: *caps,
                    started: *wall,
                    window: *window,
                });
                self.walls.push((at, *wall));
            }
            AgentEvent::TurnStarted { turn, parent: _ } => {
                self.phase = Phase::Working { turn: turn.clone(), since: at };
                self.cancelling = false;
            }
            AgentEvent::TurnFinished { .. } => {
                self.phase = Phase::Idle;
                self.cancelling = false;
            }
            AgentEvent::Unknown(_) => self.unknown_events = self.unknown_events.saturating_add(1),
            AgentEvent::UserMessage { .. }
            | AgentEvent::MessageStarted { .. }
            | AgentEvent::TextDelta { .. }
            | AgentEvent::ReasoningDelta { .. }
            | AgentEvent::MessageFinished { .. }
            | AgentEvent::ToolCallStarted { .. }
            | AgentEvent::ToolArgsDelta { .. }
            | AgentEvent::ToolCallReady { .. }
            | AgentEvent::ApprovalRequested { .. }
            | AgentEvent::ApprovalResolved { .. }
            | AgentEvent::ToolOutput { .. }
            | AgentEvent::ToolCallFinished { .. }
            | AgentEvent::Annotated { .. }
            | AgentEvent::UsageReported { .. }
            | AgentEvent::Noticed { .. } => {}
        }
    }

    /// Tells whether somebody must decide before the turn goes on.
    pub fn wait(&mut self, waiting: bool) {
        match (&self.phase, waiting) {
            (Phase::Working { turn, since }, true) => {
                self.phase = Phase::WaitingApproval { turn: turn.clone(), since: *since };
            }
            (Phase::WaitingApproval { turn, since }, false) => {
                self.phase = Phase::Working { turn: turn.clone(), since: *since };
            }
            _ => {}
        }
    }

    /// Forgets what facts said; weather and the list of models are not facts.
    pub fn reset(&mut self) {
        *self = Self { weather: std::mem::take(&mut self.weather), models: self.models.take(), ..Self::default() };
    }
}
