//! What is known about the session as a whole: who answers, what it may do, whether it works, how the line is.

use crate::event::{
    AgentEvent, AgentOption, AgentOptionKind, AgentOptionValue, Annotation, AnnotationTarget, ApprovalMode,
    Capabilities, Millis, NoticeCode, QueuedPrompt, ReplayStatus, SessionStatus, TurnId, who_answers,
};

use super::models::{ModelChoice, agent_models};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct SessionState {
    /// What the last `SessionOpened` said; none before the first.
    pub opened: Option<OpenedSession>,
    /// The title that the person gave it, raw.
    pub title: Option<String>,
    pub phase: Phase,
    /// What time it was when, since a session may go on another day.
    wall_times: Vec<(Millis, u64)>,
    /// The person asked to stop; shown until the turn has ended.
    pub cancelling: bool,
    /// As the source last said it.
    pub status: SessionStatus,
    pending: PendingChanges,
    /// The source's clock at the last fact, weather or tick.
    pub now: Millis,
    /// What the model picker offers; none until asked and answered.
    pub models: Option<Vec<ModelChoice>>,
    /// A model asked for and not answered yet.
    pub requested_model: Option<String>,
    /// The effort that was asked for and is not told yet.
    pub requested_effort: Option<String>,
    /// A mode asked for and not confirmed yet.
    pub requested_mode: Option<ApprovalMode>,
    /// The person said that the mode that never asks is meant.
    pub is_full_mode_confirmed: bool,
    /// Facts of a newer format that were skipped.
    pub unknown_events: u64,
    /// No more facts come.
    pub is_over: bool,
}

/// What the person changed of the status: shown at once, and gone with the next status, which tells what came of it.
#[derive(Clone, Debug, Default, PartialEq)]
struct PendingChanges {
    /// What is left of the queue, where prompts were taken back.
    queue: Option<Vec<QueuedPrompt>>,
    replay: Option<ReplayStatus>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct OpenedSession {
    pub engine: String,
    pub model: String,
    pub reason: String,
    pub mode: ApprovalMode,
    pub folder: String,
    pub capabilities: Capabilities,
    /// Wall time of the run's start, milliseconds since 1970.
    pub started_at: u64,
    /// The model's context window in tokens, where it is known.
    pub context_window: Option<u64>,
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

impl OpenedSession {
    /// Returns who answers, in words.
    pub fn name(&self) -> String {
        who_answers(&self.engine, &self.model)
    }
}

impl SessionState {
    /// Returns what the source can be asked to do; before it spoke, prompts are assumed to be welcome. What a recorded
    /// session could do then says nothing about its replay.
    pub fn capabilities(&self) -> Capabilities {
        if self.status.replay.is_some() {
            return Capabilities { seek: true, ..Capabilities::default() };
        }
        if self.status.read_only || self.is_over {
            return Capabilities::default();
        }
        self.opened.as_ref().map_or(Capabilities { prompt: true, images: true, ..Capabilities::default() }, |opened| {
            opened.capabilities
        })
    }

    /// Returns the prompts that wait, less those that were just taken back.
    pub fn queue(&self) -> &[QueuedPrompt] {
        self.pending.queue.as_ref().unwrap_or(&self.status.queue)
    }

    /// Returns how the replay goes, as it was just asked to.
    pub fn replay(&self) -> Option<ReplayStatus> {
        self.pending.replay.or(self.status.replay)
    }

    pub(super) fn set_status(&mut self, status: SessionStatus) {
        let are_new = self.status.options != status.options;
        self.status = status;
        if are_new {
            self.list_agent_models();
        }
        self.pending = PendingChanges::default();
    }

    /// Takes back a prompt that waits, counted from the first, which is 1; none is the last.
    pub(super) fn dequeue(&mut self, nth: Option<usize>) -> Option<QueuedPrompt> {
        let mut left = self.queue().to_vec();
        let at = nth.unwrap_or(left.len()).checked_sub(1).filter(|at| *at < left.len())?;
        let taken = left.remove(at);
        self.pending.queue = Some(left);
        Some(taken)
    }

    /// Shows a replay as it will be once the source has done what it was asked.
    pub(super) fn expect_replay(&mut self, replay: ReplayStatus) {
        self.pending.replay = Some(replay);
    }

    /// Lists the models that the agent itself offers, if it does.
    pub(super) fn list_agent_models(&mut self) {
        let engine = self.opened.as_ref().map_or("", |opened| opened.engine.as_str());
        if let Some(models) = agent_models(engine, &self.status.options) {
            self.models = Some(models);
        }
    }

    /// Returns what of an agent is set in the list of modes: everything but its models and efforts.
    pub fn agent_modes(&self) -> impl Iterator<Item = (&AgentOption, &AgentOptionValue)> {
        let is_listed = |option: &&AgentOption| matches!(option.kind, AgentOptionKind::Mode | AgentOptionKind::Other);
        let listed = self.status.options.iter().filter(is_listed);
        listed.flat_map(|option| option.values.iter().map(move |value| (option, value)))
    }

    pub fn mode(&self) -> ApprovalMode {
        self.opened.as_ref().map(|opened| opened.mode).unwrap_or_default()
    }

    /// Moves the clock on; it never runs backwards but for a reset.
    pub fn advance_clock(&mut self, now: Millis) {
        self.now = self.now.max(now);
    }

    /// Says in words what a second `SessionOpened` changes: a stable code and a text.
    pub fn describe_change(&self, event: &AgentEvent) -> Option<(NoticeCode, String)> {
        let AgentEvent::SessionOpened {
            engine,
            model,
            engine_reason: why,
            mode,
            context_window: window,
            capabilities,
            ..
        } = event
        else {
            return None;
        };
        let old = self.opened.as_ref()?;
        if old.engine != *engine || old.model != *model {
            let why = if why.is_empty() { String::new() } else { format!(" ({why})") };
            return Some((NoticeCode::Model, format!("the model is now {engine}/{model}{why}")));
        }
        if old.mode != *mode {
            return Some((NoticeCode::Mode, format!("the mode is now {}", mode.name())));
        }
        // The server has told how much fits, which the usage bar shows, or that its model takes no images.
        let has_told_images = old.capabilities.images && !capabilities.images;
        if has_told_images || old.context_window.is_none() && window.is_some() {
            return None;
        }
        Some((NoticeCode::Continued, format!("session continued with {engine}/{model}")))
    }

    /// Takes from `whole` what only the whole past tells.
    pub fn adopt_past(&mut self, whole: Self) {
        self.opened = whole.opened;
        self.title = self.title.take().or(whole.title);
        self.unknown_events = whole.unknown_events;
        self.wall_times = whole.wall_times;
    }

    /// Returns the wall time of a moment on the session's clock, in milliseconds since 1970.
    pub fn wall_time(&self, at: Millis) -> Option<u64> {
        let after = self.wall_times.partition_point(|(then, _)| *then <= at);
        let (then, wall) = self.wall_times.get(after.saturating_sub(1))?;
        Some(wall.saturating_add(at.since(*then).0))
    }

    /// Sees a fact of another branch: time passes there too.
    pub(super) fn on_elsewhere(&mut self, at: Millis, event: &AgentEvent) {
        self.advance_clock(at);
        if let AgentEvent::SessionOpened { wall_ms, .. } = event {
            self.wall_times.push((at, *wall_ms));
        }
    }

    pub fn on_event(&mut self, at: Millis, event: &AgentEvent) {
        self.advance_clock(at);
        match event {
            AgentEvent::SessionOpened {
                wall_ms: wall,
                engine,
                model,
                engine_reason: why,
                mode,
                folder,
                capabilities: caps,
                context_window: window,
                ..
            } => {
                (self.requested_mode, self.requested_model) = (None, None);
                self.opened = Some(OpenedSession {
                    engine: engine.clone(),
                    model: model.clone(),
                    reason: why.clone(),
                    mode: *mode,
                    folder: folder.clone(),
                    capabilities: *caps,
                    started_at: *wall,
                    context_window: *window,
                });
                self.wall_times.push((at, *wall));
            }
            AgentEvent::TurnStarted { turn, parent: _ } => {
                self.phase = Phase::Working { turn: turn.clone(), since: at };
                self.cancelling = false;
            }
            AgentEvent::TurnFinished { .. } => {
                self.phase = Phase::Idle;
                self.cancelling = false;
            }
            AgentEvent::Annotation { on: AnnotationTarget::Session, annotation: Annotation::Title(title) } => {
                self.title = Some(title.clone()).filter(|title| !title.is_empty());
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
            | AgentEvent::Annotation { .. }
            | AgentEvent::UsageReported { .. }
            | AgentEvent::BranchStarted { .. }
            | AgentEvent::Compacted(_)
            | AgentEvent::CompactionUndone { .. }
            | AgentEvent::Notice { .. } => {}
        }
    }

    /// Tells whether somebody must decide before the turn goes on.
    pub fn set_waiting(&mut self, waiting: bool) {
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
        *self = Self {
            status: std::mem::take(&mut self.status),
            pending: std::mem::take(&mut self.pending),
            models: self.models.take(),
            ..Self::default()
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::events::{LIVE, Opened};

    #[test]
    fn only_a_session_that_was_left_is_said_to_be_continued() {
        let mut session = SessionState::default();
        let takes_images = Capabilities { images: true, ..LIVE };
        let first = Opened { capabilities: takes_images, ..Opened::default() };
        session.on_event(Millis(0), &first.event());
        let told_window = Opened { context_window: Some(8192), ..first };
        assert_eq!(session.describe_change(&told_window.event()), None);
        let told_images = Opened { capabilities: LIVE, ..first };
        assert_eq!(session.describe_change(&told_images.event()), None);
        let again = Some((NoticeCode::Continued, "session continued with offline/guide".to_owned()));
        assert_eq!(session.describe_change(&first.event()), again);
        session.on_event(Millis(9), &told_images.event());
        assert_eq!(session.describe_change(&first.event()), again, "a new run asks the server anew");
    }
}
