//! The center of the bridge: takes events from one source, merges, redacts, numbers, times and seals them, writes them to the
//! log, and only then publishes them. Owns the prompt queue. Doesn't interpret the events any further.

mod ack_gate;
mod kept_state;
mod merge;
mod queue;
mod redaction;
mod saving;
mod scrub;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::event::branches::Branches;
use crate::event::grammar::Sealer;
use crate::event::{
    AgentEvent, AgentOption, AgentOptionKind, Annotation, AnnotationTarget, Capabilities, Command, Envelope, LinkState,
    Millis, NO_ENGINE, NoticeCode, NoticeLevel, Permissions, Seq, SessionId, SessionStatus, TurnOutcome,
};
use crate::journal::{SessionSettings, StateStore, Writer};

use self::ack_gate::AckGate;
use self::merge::merge;
use self::queue::PromptQueue;
pub use self::queue::UnsentPrompt;
use self::redaction::Redaction;
pub use self::saving::{SaveEvent, SaveListener};
pub use self::scrub::Scrubber;
use super::hub::Hub;
use super::shared_log::SharedLog;
use super::{LoggedEvent, SessionHandle};

/// Events taken from the source at once: they become one write and one wake-up.
const MAX_BATCH_EVENTS: usize = 512;

/// Notices that wait for the session to be opened.
const MAX_PENDING_NOTICES: usize = 100;
/// Commands that may wait for the source; more wait in the session's own channel.
const MAX_OUTBOX_COMMANDS: usize = 64;

/// The beginning of the text of a [`NoticeCode::LogRewritten`]; the path follows.
pub(super) const REMOVED: &str = "the log was removed while in use; it was rewritten to";

/// How often writing the log is retried after an error.
pub(super) const SAVE_RETRY_INTERVAL: Duration = Duration::from_secs(3);

/// The channels between a source and its session.
pub struct SourceHandle {
    /// Capacity 256 by convention: a fast source is slowed down at its socket.
    pub events: mpsc::Receiver<AgentEvent>,
    /// Times count from the epoch of this run.
    pub link: watch::Receiver<LinkState>,
    /// What is allowed and denied; `None` if the source doesn't report it.
    pub permissions: Option<watch::Receiver<Permissions>>,
    /// What its agent lets its client set; `None` if there is no such thing.
    pub options: Option<watch::Receiver<Vec<AgentOption>>>,
    pub commands: mpsc::Sender<Command>,
    pub capabilities: Capabilities,
}

/// Where a session stands when this run begins.
#[derive(Clone, Debug, Default)]
pub struct ResumePoint {
    pub last_seq: Seq,
    /// The time of that event.
    pub at: Millis,
    /// The session's clock when this run began.
    pub base: Millis,
}

/// What the log tells about the session before this run.
#[derive(Debug, Default)]
pub struct PriorSession {
    /// What was left open.
    pub sealer: Sealer,
    pub branches: Branches,
    /// What is wrong with the log.
    pub notices: Vec<AgentEvent>,
}

/// What a session is made of.
pub struct SessionSetup {
    pub session: SessionId,
    pub hub: Hub,
    /// `None` if the log can't be kept; `save_error` then has the reason.
    pub writer: Option<Writer>,
    pub save_error: Option<String>,
    /// Where the log really is, if servers share it; what is written here is a copy then.
    pub shared_log: Option<Box<dyn SharedLog>>,
    pub resume_point: ResumePoint,
    /// Keeps prompts that are not yet in the log; `None` if they need not survive this run.
    pub state_store: Option<StateStore>,
    /// Prompts of an earlier run. They are held: nothing is sent until the person says so.
    pub queued_prompts: Vec<UnsentPrompt>,
    /// Grants of an earlier run, as they were saved.
    pub saved_grants: Vec<String>,
    /// Called when the log can't be written, when it can again, and when it was removed.
    pub save_listener: Option<SaveListener>,
    /// Resolves to what reading the log found.
    pub prior: BoxFuture<'static, PriorSession>,
    /// Sent to every client first: that the working folder differs, for example.
    pub notices: Vec<AgentEvent>,
    pub epoch: Instant,
}

/// Starts the session. Its task ends when every [`SessionHandle`] is dropped or the source ends.
pub fn start(mut setup: SessionSetup, feed: SourceHandle, tasks: &mut JoinSet<()>) -> SessionHandle {
    // Capacity 64: commands come from people; a full queue means the session is stuck.
    let (commands, command_receiver) = mpsc::channel(64);
    let first = SessionStatus {
        save_error: setup.save_error.clone(),
        now: setup.resume_point.base,
        ..SessionStatus::default()
    };
    let (status, watch) = watch::channel(first);
    let (log, hub) = (setup.shared_log.take(), setup.hub.clone());
    let gate = log.map(|log| AckGate::start(log, setup.writer.take(), hub, tasks));
    let live = SessionHandle {
        session: setup.session.clone(),
        capabilities: feed.capabilities,
        hub: setup.hub.clone(),
        commands,
        status: watch,
    };
    tasks.spawn(run(setup, gate, feed, command_receiver, status));
    live
}

async fn run(
    setup: SessionSetup,
    gate: Option<AckGate>,
    mut feed: SourceHandle,
    mut command_receiver: mpsc::Receiver<Command>,
    status: watch::Sender<SessionStatus>,
) {
    let PriorSession { sealer, branches, notices } = setup.prior.await;
    let mut pending_notices = setup.notices;
    pending_notices.extend(notices);
    let mut actor = SessionActor {
        session: setup.session,
        save_listener: setup.save_listener,
        state_store: setup.state_store,
        saved_grants: setup.saved_grants,
        settings: None,
        unsaved_settings: Arc::default(),
        has_reported_state_error: false,
        state_syncs: JoinSet::new(),
        reported_rewrites: 0,
        hub: setup.hub,
        writer: setup.writer,
        gate,
        save_error: setup.save_error,
        sealer,
        branches,
        next_seq: setup.resume_point.last_seq.next(),
        base: setup.resume_point.base,
        epoch: setup.epoch,
        last_at: setup.resume_point.base,
        is_opened: false,
        has_turns: setup.resume_point.last_seq > Seq(0),
        queue: PromptQueue::restore_held(setup.queued_prompts),
        outbox: VecDeque::new(),
        notices: pending_notices,
        redaction: Redaction::default(),
        is_turn_running: false,
        status,
    };
    let mut to_source = Some(feed.commands);
    let mut wishes_open = true;
    let mut link_open = true;
    let mut is_lost = false;
    let mut gate_state = actor.gate.as_ref().map(AckGate::state);
    let mut batch = Vec::with_capacity(64);
    // The turn ended with its last logged event; the time between the runs doesn't count.
    let left_open = actor.sealer.seal(TurnOutcome::Interrupted);
    actor.publish_at(left_open, setup.resume_point.at);
    actor.publish_queue();
    if let Some(why) = actor.save_error.clone() {
        actor.notify_save_listener(SaveEvent::Failed(&why));
    }
    loop {
        // Commands come before events, so that a flood can't delay a cancel.
        tokio::select! {
            biased;
            command = command_receiver.recv(), if wishes_open && actor.outbox.len() < MAX_OUTBOX_COMMANDS => {
                if let Some(command) = command {
                    actor.handle_command(command, to_source.as_ref());
                } else {
                    wishes_open = false;
                    to_source = None;
                }
            }
            // Never awaited alone: a source that is busy sending events takes no commands, and each would wait for the
            // other.
            () = wait_for_capacity(to_source.as_ref()), if !actor.outbox.is_empty() => actor.flush_outbox(to_source.as_ref()),
            // The disk may have space again; nothing else would notice while the session is idle.
            () = tokio::time::sleep(SAVE_RETRY_INTERVAL), if actor.save_error.is_some() => actor.retry(),
            changed = feed.link.changed(), if link_open => match changed {
                Ok(()) => {
                    let state = feed.link.borrow_and_update().clone();
                    actor.publish_link(state);
                }
                Err(_) => link_open = false,
            },
            Some(state) = changed(&mut gate_state) => {
                if state.lost.is_some() {
                    is_lost = true;
                    break;
                }
                actor.set_save_error(state.error);
            }
            () = ack_gate::wait_for_room(actor.gate.as_ref()), if actor.is_gate_full() => {
                actor.gate.iter_mut().for_each(AckGate::flush);
            }
            Some(synced) = actor.state_syncs.join_next() => actor.note_state_synced(synced),
            Some(permissions) = changed(&mut feed.permissions) => actor.publish_permissions(permissions),
            Some(options) = changed(&mut feed.options) => actor.publish_options(options),
            taken = feed.events.recv_many(&mut batch, MAX_BATCH_EVENTS), if !actor.is_gate_full() => {
                if taken == 0 {
                    break;
                }
                let ended = batch.iter().rev().find_map(|event| match event {
                    AgentEvent::TurnFinished { outcome, .. } => Some(*outcome == TurnOutcome::Cancelled),
                    _ => None,
                });
                let mut events: Vec<AgentEvent> = std::mem::take(&mut batch);
                // Sent after `SessionOpened`: a log begins with that.
                if let Some(AgentEvent::SessionOpened { .. }) = events.first() {
                    events.splice(1..1, std::mem::take(&mut actor.notices));
                    actor.is_opened = true;
                }
                actor.publish(events);
                if let Some(is_interrupted) = ended {
                    actor.turn_ended(is_interrupted, to_source.as_ref());
                }
            }
        }
    }
    // Who owns the log now seals it.
    if !is_lost {
        let rest = actor.sealer.seal(TurnOutcome::Interrupted);
        actor.publish(rest);
        actor.finish_log();
    }
    // The source stops before anybody else may go on.
    drop((feed.events, to_source));
    if let Some(gate) = actor.gate.take() {
        gate.finish().await;
    }
    actor.hub.close();
    while actor.state_syncs.join_next().await.is_some() {}
}

struct SessionActor {
    session: SessionId,
    save_listener: Option<SaveListener>,
    state_store: Option<StateStore>,
    /// The grants that are saved.
    saved_grants: Vec<String>,
    /// Model, mode and effort as they are, and whether that is saved.
    settings: Option<(SessionSettings, bool)>,
    /// What another thread is to save next.
    unsaved_settings: Arc<Mutex<Option<SessionSettings>>>,
    /// Whether it was reported that some state can't be kept for the next run.
    has_reported_state_error: bool,
    /// State that is in place and on its way to the disk.
    state_syncs: JoinSet<Result<(), String>>,
    /// How many rewrites of the log have been reported.
    reported_rewrites: u32,
    hub: Hub,
    writer: Option<Writer>,
    /// Writes the log in place of the writer, where servers share it.
    gate: Option<AckGate>,
    save_error: Option<String>,
    sealer: Sealer,
    branches: Branches,
    next_seq: Seq,
    base: Millis,
    epoch: Instant,
    last_at: Millis,
    /// Whether this run's `SessionOpened` was published.
    is_opened: bool,
    /// Whether the session has a turn, from this run or an earlier one.
    has_turns: bool,
    queue: PromptQueue,
    /// Commands that the source has no room for yet.
    outbox: VecDeque<Command>,
    /// Published once the session is opened.
    notices: Vec<AgentEvent>,
    redaction: Redaction,
    is_turn_running: bool,
    status: watch::Sender<SessionStatus>,
}

impl SessionActor {
    fn now(&self) -> Millis {
        self.base.plus(self.epoch.elapsed().into())
    }

    fn handle_command(&mut self, command: Command, source: Option<&mpsc::Sender<Command>>) {
        match command {
            Command::Prompt { text, context, author } if self.is_turn_running || self.queue.blocks_new_prompts() => {
                match self.queue.push(UnsentPrompt::of(text, context, author)) {
                    Ok(()) => self.publish_queue(),
                    Err(full) => self.publish_when_open(notice(NoticeLevel::Warn, NoticeCode::QueueFull, full)),
                }
            }
            Command::Prompt { text, context, author } => {
                self.send_prompt(source, UnsentPrompt::of(text, context, author));
            }
            Command::Steer { text, context } if self.is_turn_running => {
                let prompt = UnsentPrompt::new(text.clone(), context.clone());
                self.queue.mark_steering(prompt);
                self.publish_queue();
                self.forward(source, Command::Steer { text, context });
            }
            // It comes too late.
            Command::Steer { text, context } => {
                self.handle_command(Command::Prompt { text, context, author: None }, source);
            }
            Command::SendQueued if self.is_turn_running => {}
            Command::SendQueued => self.send_next(source),
            // There is nothing to continue: the running turn decides what comes next.
            Command::Continue if self.is_turn_running || self.queue.blocks_new_prompts() => {}
            Command::Continue => {
                self.is_turn_running = true;
                self.forward(source, Command::Continue);
            }
            Command::Compact { .. } if self.is_turn_running => {
                let text = "a turn is running: /compact when it is over".to_owned();
                self.publish_when_open(notice(NoticeLevel::Warn, NoticeCode::Compacting, text));
            }
            Command::Compact { instructions } => {
                self.is_turn_running = true;
                self.forward(source, Command::Compact { instructions });
            }
            Command::Branch { after } => self.branch(after, source),
            Command::DequeuePrompt { id } => {
                self.queue.remove(id);
                self.publish_queue();
            }
            Command::KeepRun { call, run } => self.publish_when_open(AgentEvent::Annotation {
                on: AnnotationTarget::Call(call),
                annotation: Annotation::PersonRun(run),
            }),
            Command::Note { text } => self.publish_when_open(notice(NoticeLevel::Info, NoticeCode::Note, text)),
            Command::Mark { seq, set } => self.publish_when_open(AgentEvent::Annotation {
                on: AnnotationTarget::Session,
                annotation: Annotation::Mark { seq, set },
            }),
            Command::SetTitle { title } => self.publish_when_open(title_annotation(&title)),
            other => self.forward(source, other),
        }
    }

    /// The source begins the branch, for it has to forget what is on the other.
    fn branch(&mut self, after: Seq, source: Option<&mpsc::Sender<Command>>) {
        let why_not = if self.is_turn_running {
            "a turn is running: stop it before going back"
        } else if !self.branches.is_boundary(after) {
            "a branch begins between two turns, and there is no such place"
        } else {
            return self.forward(source, Command::Branch { after });
        };
        self.publish_when_open(notice(NoticeLevel::Warn, NoticeCode::Branch, why_not));
    }

    /// The prompt counts as queued until the log has it.
    fn send_prompt(&mut self, source: Option<&mpsc::Sender<Command>>, prompt: UnsentPrompt) {
        self.is_turn_running = true;
        self.queue.mark_in_flight(prompt.clone());
        self.save_queue();
        let (text, context) = prompt.into_parts();
        self.forward(source, Command::Prompt { text, context, author: None });
    }

    fn send_next(&mut self, source: Option<&mpsc::Sender<Command>>) {
        if let Some(prompt) = self.queue.pop_next() {
            self.send_prompt(source, prompt);
            self.publish_queue();
        }
    }

    /// A log begins with `SessionOpened`: before that it waits.
    fn publish_when_open(&mut self, event: AgentEvent) {
        if self.is_opened {
            self.publish(vec![event]);
        } else if self.notices.len() < MAX_PENDING_NOTICES {
            self.notices.push(event);
        }
    }

    fn forward(&mut self, source: Option<&mpsc::Sender<Command>>, command: Command) {
        let Some(source) = source else { return };
        if !self.outbox.is_empty() {
            self.outbox.push_back(command);
        } else if let Err(mpsc::error::TrySendError::Full(command)) = source.try_send(command) {
            self.outbox.push_back(command);
        }
    }

    fn flush_outbox(&mut self, source: Option<&mpsc::Sender<Command>>) {
        while let Some(command) = self.outbox.pop_front() {
            match source.map(|source| source.try_send(command)) {
                Some(Ok(())) => {}
                Some(Err(mpsc::error::TrySendError::Full(command))) => return self.outbox.push_front(command),
                // The source is gone: its event channel closes next, and that ends the session.
                Some(Err(mpsc::error::TrySendError::Closed(_))) | None => self.outbox.clear(),
            }
        }
    }

    fn turn_ended(&mut self, is_interrupted: bool, source: Option<&mpsc::Sender<Command>>) {
        self.sync();
        self.is_turn_running = false;
        self.queue.return_steers();
        if is_interrupted {
            // Who interrupts wants to say something first.
            self.queue.hold();
            self.publish_queue();
        } else {
            self.send_next(source);
        }
    }

    fn publish(&mut self, events: Vec<AgentEvent>) {
        let at = self.now().max(self.last_at);
        self.last_at = at;
        self.publish_at(events, at);
    }

    fn publish_at(&mut self, events: Vec<AgentEvent>, at: Millis) {
        if events.is_empty() {
            return;
        }
        let mut published = Vec::with_capacity(events.len());
        let mut logged = false;
        let mut redacted = Vec::with_capacity(events.len());
        for event in merge(events) {
            self.redaction.push(event, &mut redacted);
        }
        for event in redacted {
            let mut author_note = None;
            match &event {
                AgentEvent::TurnStarted { .. } => self.has_turns = true,
                AgentEvent::SessionOpened { engine, model, mode, .. } => {
                    let model = if engine == NO_ENGINE { String::new() } else { format!("{engine}/{model}") };
                    let effort = self.settings.as_ref().and_then(|(known, _)| known.effort.clone());
                    let settings = SessionSettings { model, mode: *mode, effort };
                    if self.settings.as_ref().is_none_or(|(known, _)| *known != settings) {
                        self.settings = Some((settings, false));
                    }
                }
                AgentEvent::UserMessage { message, .. } => {
                    let prompt = self.queue.mark_logged();
                    logged |= prompt.is_some();
                    let author = prompt.as_ref().and_then(UnsentPrompt::author);
                    author_note = author.map(|author| AgentEvent::Annotation {
                        on: AnnotationTarget::Message(message.clone()),
                        annotation: Annotation::Author(author.to_owned()),
                    });
                }
                _ => {}
            }
            if let AgentEvent::TurnFinished { outcome: end, .. } = &event {
                for closing in self.sealer.close_contents(end) {
                    self.push_numbered(closing, at, &mut published);
                }
            }
            self.push_numbered(event, at, &mut published);
            if let Some(note) = author_note {
                self.push_numbered(note, at, &mut published);
            }
        }
        self.append_to_log(&published);
        self.publish_unredacted_asks();
        match &mut self.gate {
            None => self.hub.publish(published),
            Some(gate) => gate.push(published),
        }
        if logged {
            self.publish_queue();
        }
        if self.has_turns {
            self.save_settings();
        }
        self.report_rewrite();
    }

    fn is_gate_full(&self) -> bool {
        self.gate.as_ref().is_some_and(AckGate::is_full)
    }

    fn push_numbered(&mut self, event: AgentEvent, at: Millis, out: &mut Vec<Arc<LoggedEvent>>) {
        if let Err(violation) = self.sealer.observe(&event) {
            tracing::warn!("event out of order: {violation}");
        }
        let envelope = Envelope { seq: self.next_seq, at, event };
        match serde_json::to_vec(&envelope) {
            Ok(line) => {
                self.next_seq = self.next_seq.next();
                self.branches.observe(envelope.seq, at, &envelope.event);
                out.push(Arc::new(LoggedEvent { envelope, line: Bytes::from(line) }));
            }
            Err(error) => tracing::error!("an event could not be written as JSON: {error}"),
        }
    }

    fn publish_queue(&mut self) {
        self.save_queue();
        let now = self.now();
        let (queue, held, steering) = (self.queue.waiting(), self.queue.is_held(), self.queue.steering());
        self.status.send_if_modified(|status| {
            let changed = status.queue != queue || status.queue_held != held || status.steering != steering;
            (status.queue, status.queue_held, status.steering, status.now) = (queue, held, steering, now);
            changed
        });
    }

    /// What really runs is shown to the person who decides, here and nowhere else.
    fn publish_unredacted_asks(&self) {
        let asks = self.redaction.unredacted_asks();
        self.status.send_if_modified(|status| {
            let is_changed = status.unredacted_asks != asks;
            if is_changed {
                status.unredacted_asks = asks.to_vec();
            }
            is_changed
        });
    }

    fn publish_permissions(&mut self, permissions: Permissions) {
        self.save_grants(&permissions.grants);
        let now = self.now();
        self.status.send_modify(|status| {
            status.permissions = Some(permissions);
            status.now = now;
        });
    }

    fn publish_options(&mut self, options: Vec<AgentOption>) {
        let effort = options.iter().find(|option| option.kind == AgentOptionKind::Effort);
        // A model that takes none leaves it as it was for the next one.
        if let (Some(option), Some((known, is_saved))) = (effort, &mut self.settings) {
            let wanted = Some(option.current.clone()).filter(|value| value != AgentOption::DEFAULT_VALUE);
            if known.effort != wanted {
                (known.effort, *is_saved) = (wanted, false);
            }
        }
        if self.has_turns {
            self.save_settings();
        }
        let now = self.now();
        self.status.send_modify(|status| {
            status.options = options;
            status.now = now;
        });
    }

    /// The source counts from this run's epoch; everything else uses the session's clock.
    fn publish_link(&self, state: LinkState) {
        let shift = |time: Millis| self.base.plus(time);
        let link = match state {
            LinkState::Waiting { since, limit } => LinkState::Waiting { since: shift(since), limit },
            LinkState::Loading { since, limit } => LinkState::Loading { since: shift(since), limit },
            LinkState::Silent { since, limit } => LinkState::Silent { since: shift(since), limit },
            LinkState::Unproductive { since, limit } => LinkState::Unproductive { since: shift(since), limit },
            LinkState::Retrying { attempt, at } => LinkState::Retrying { attempt, at: shift(at) },
            same @ (LinkState::Idle | LinkState::Connecting | LinkState::Live | LinkState::Lost(_)) => same,
        };
        let now = self.now();
        self.status.send_modify(|status| {
            status.link = link;
            status.now = now;
        });
    }
}

/// Waits for a change of what the source reports; `None` once the source is gone.
async fn changed<T: Clone>(reported: &mut Option<watch::Receiver<T>>) -> Option<T> {
    let Some(watch) = reported else { return std::future::pending().await };
    if watch.changed().await.is_ok() {
        return Some(watch.borrow_and_update().clone());
    }
    *reported = None;
    None
}

/// Waits until the source can take a command, or is gone.
async fn wait_for_capacity(source: Option<&mpsc::Sender<Command>>) {
    if let Some(source) = source {
        let _ = source.reserve().await;
    }
}

/// Characters kept of a title.
const MAX_TITLE_CHARS: usize = 200;

/// Creates the annotation that names a session: the first line of `title`, without control characters.
pub fn title_annotation(title: &str) -> AgentEvent {
    let line = title.trim().lines().next().unwrap_or_default().trim_end();
    let title = line.chars().filter(|c| !c.is_control()).take(MAX_TITLE_CHARS).collect();
    AgentEvent::Annotation { on: AnnotationTarget::Session, annotation: Annotation::Title(title) }
}

/// Creates a notice about the session itself.
pub fn notice(level: NoticeLevel, code: NoticeCode, text: impl Into<String>) -> AgentEvent {
    AgentEvent::Notice { level, code, text: text.into() }
}

#[cfg(test)]
mod tests;
