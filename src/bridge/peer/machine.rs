//! PURE. A conversation with an agent program: prompts become turns, what the agent says becomes their events, and what
//! it asks is judged by our rules and then by the person. No IO and no clock; [`PeerOutput`] says what to do.
//!
//! ```text
//! opening ──► ready ──prompt──► in a turn ──End──► ready
//!    └──────────┴─────────────────┴──closed──► gone: each prompt fails and says why
//!               └─────────────────┴──lost────► gone: a prompt connects again, if the agent kept the session
//!
//! A program that is hosted is lost when it ends: the next prompt starts it again. It is gone until it is needed first.
//! ```
//!
//! What comes outside a turn (an agent may work in the background) is a turn without a prompt, which ends when the
//! agent is quiet.

mod allowed;
mod prompts;
mod questions;
mod turns;
mod work;

use std::collections::VecDeque;

use super::protocol::{PeerProtocol, PeerStep};
use crate::agent::approval::ApprovalPolicy;
use crate::agent::assembler::ReplyAssembler;
use crate::agent::ids::IdAllocator;
use crate::bridge::session::UnsentPrompt;
use crate::event::{
    AgentEvent, AgentOption, ApprovalMode, CallId, Capabilities, Command, DecidedBy, Decision, Fault, FaultKind,
    NoticeCode, NoticeLevel, Permissions, ReplyEvent, TurnId, TurnOutcome, without_context,
};
use crate::net::{EventRedactor, redact_registered, registered_event_redactor};
use allowed::AllowedCall;
use questions::PendingQuestion;
use work::{OpenWork, OwnTerminal};
pub(super) use work::{PeerTask, terminal_name};

/// Events of calls that wait for decisions; more are dropped.
const MAX_HELD_EVENTS: usize = 1000;
/// Settings that wait for the session to be open.
const MAX_WAITING_SETTINGS: usize = 16;
/// Calls of a turn whose permission is remembered.
const MAX_ALLOWED_CALLS: usize = 1000;

/// What is known about who is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PeerLink {
    Connecting,
    /// A prompt was sent and nothing has come back yet.
    Waiting,
    Live,
    Idle,
}

/// What to do next, in this order: the end of the connection, a new one, lines to the agent, then events, then the state of the connection.
#[derive(Debug, Default)]
pub(super) struct PeerOutput {
    pub(super) ends_connection: bool,
    pub(super) connects_again: bool,
    pub(super) lines: Vec<String>,
    pub(super) events: Vec<AgentEvent>,
    pub(super) link: Option<PeerLink>,
    /// What is to be done here.
    pub(super) tasks: Vec<PeerTask>,
}

enum PeerStage {
    /// The prompt that waits for the session.
    Opening(Option<UnsentPrompt>),
    Ready,
    Gone {
        fault: Fault,
        /// Only the connection is.
        is_lost: bool,
    },
}

struct PeerTurn {
    id: TurnId,
    reply: ReplyAssembler,
    is_prompted: bool,
    is_cancelled: bool,
    questions: Vec<PendingQuestion>,
    /// Events of calls that somebody decides about.
    held: Vec<ReplyEvent>,
    /// What was allowed so far.
    allowed: Vec<AllowedCall>,
    /// What the agent was told meanwhile and has not answered yet. What it doesn't take the session sends as a prompt.
    steers: VecDeque<UnsentPrompt>,
}

impl PeerTurn {
    fn allow(&mut self, call: Option<AllowedCall>) {
        if self.allowed.len() < MAX_ALLOWED_CALLS {
            self.allowed.extend(call);
        }
    }
}

/// What a machine is made of.
pub(super) struct PeerMachineSetup {
    pub(super) protocol: Box<dyn PeerProtocol>,
    /// The first event.
    pub(super) opened: AgentEvent,
    pub(super) policy: ApprovalPolicy,
    /// Nobody can decide: what needs that is denied.
    pub(super) is_unattended: bool,
    pub(super) decided_by: DecidedBy,
    pub(super) folder: String,
    /// An earlier session is told before the first prompt.
    pub(super) loads_session: bool,
    /// A connection that is lost can be made again.
    pub(super) can_connect_again: bool,
    /// Knows the ids of the session's past.
    pub(super) ids: IdAllocator,
    pub(super) hosting: Option<PeerHosting>,
}

/// How a program is hosted: it is started when it is needed, and again when it has ended.
#[derive(Clone, Debug, Default)]
pub(super) struct PeerHosting {
    /// Only a prompt or a setting starts it.
    pub(super) starts_late: bool,
    /// It is to know of turns: they were in an earlier run of the session.
    pub(super) has_past: bool,
    /// Goes before the first prompt, and is none of its words.
    pub(super) preamble: Option<String>,
}

/// What may change of how the session was opened.
struct ChangeableOpening<'a> {
    mode: &'a mut ApprovalMode,
    model: &'a mut String,
    capabilities: &'a mut Capabilities,
}

pub(super) struct PeerMachine {
    setup: PeerMachineSetup,
    stage: PeerStage,
    turn: Option<PeerTurn>,
    /// What is told of the session was told before.
    is_resuming: bool,
    ids: IdAllocator,
    redactor: EventRedactor,
    out: PeerOutput,
    /// What of the agent may be set.
    options: Vec<AgentOption>,
    open_work: Vec<OpenWork>,
    own_terminals: Vec<OwnTerminal>,
    /// Settings that wait for the session to be open.
    waiting_settings: Vec<Command>,
}

impl PeerMachine {
    /// Begins the conversation.
    pub(super) fn new(mut setup: PeerMachineSetup) -> Self {
        let mut machine = Self {
            ids: std::mem::take(&mut setup.ids),
            setup,
            stage: PeerStage::Opening(None),
            turn: None,
            is_resuming: false,
            redactor: registered_event_redactor(),
            out: PeerOutput::default(),
            options: Vec::new(),
            open_work: Vec::new(),
            own_terminals: Vec::new(),
            waiting_settings: Vec::new(),
        };
        machine.emit(machine.setup.opened.clone());
        if machine.setup.hosting.as_ref().is_some_and(|hosting| hosting.starts_late) {
            let fault = Fault::new(FaultKind::Upstream, "the agent was not started yet");
            machine.stage = PeerStage::Gone { fault, is_lost: true };
            return machine;
        }
        machine.out.connects_again = machine.setup.hosting.is_some();
        machine.out.link = Some(PeerLink::Connecting);
        machine.with_protocol(|protocol, steps| protocol.begin(steps));
        machine
    }

    /// Takes what is to be done.
    pub(super) fn take_output(&mut self) -> PeerOutput {
        std::mem::take(&mut self.out)
    }

    /// Returns whether a turn without a prompt waits for the agent to be quiet.
    pub(super) fn awaits_quiet(&self) -> bool {
        self.turn.as_ref().is_some_and(|turn| !turn.is_prompted && turn.questions.is_empty())
            && !self.setup.protocol.tells_ends()
            && !matches!(self.stage, PeerStage::Opening(_))
    }

    pub(super) fn permissions(&self) -> Permissions {
        self.setup.policy.permissions()
    }

    /// Returns the agent's own name of the session.
    pub(super) fn agent_session(&self) -> Option<&str> {
        self.setup.protocol.session()
    }

    /// Returns the calls that somebody has to decide about.
    pub(super) fn open_questions(&self) -> impl Iterator<Item = &CallId> {
        self.questions().iter().map(|question| &question.call)
    }

    /// Nobody has decided in time.
    pub(super) fn expire(&mut self, call: &CallId) {
        self.answer_with(call, Decision::Deny(None), DecidedBy::TimedOut);
    }

    pub(super) fn options(&self) -> &[AgentOption] {
        &self.options
    }

    pub(super) fn handle_line(&mut self, line: &str) {
        self.with_protocol(|protocol, steps| protocol.handle_line(line, steps));
    }

    /// The agent has said nothing for a while.
    pub(super) fn handle_quiet(&mut self) {
        if self.awaits_quiet() {
            self.abandon(TurnOutcome::Completed);
        }
    }

    /// Says something about the program.
    pub(super) fn notify(&mut self, level: NoticeLevel, code: NoticeCode, text: String) {
        self.perform(PeerStep::notice(level, code, text));
    }

    /// The agent is gone, and this is why.
    pub(super) fn handle_closed(&mut self, fault: Fault) {
        if !matches!(self.stage, PeerStage::Gone { .. }) {
            self.out.tasks.push(PeerTask::StopTerminals);
            self.fail(fault);
        }
    }

    /// The connection is gone, and this is why: what the agent still says of the turn is not heard.
    pub(super) fn handle_lost(&mut self, fault: Fault) {
        if !matches!(self.stage, PeerStage::Ready) {
            return self.handle_closed(fault);
        }
        self.out.tasks.push(PeerTask::StopTerminals);
        let fault = redacted(fault);
        self.emit(AgentEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::Cut, text: fault.message.clone() });
        self.stage = PeerStage::Gone { fault, is_lost: true };
        if let Some(turn) = &self.turn {
            let outcome = if turn.is_cancelled { TurnOutcome::Cancelled } else { TurnOutcome::Interrupted };
            self.abandon(outcome);
        }
        self.out.link = Some(PeerLink::Idle);
    }

    /// Connects again, for a prompt if there is one, where the agent kept the session or a program can be started.
    /// Returns whether that is so.
    fn connect_again(&mut self, prompt: Option<&UnsentPrompt>) -> bool {
        if !self.setup.can_connect_again || !matches!(self.stage, PeerStage::Gone { is_lost: true, .. }) {
            return false;
        }
        let mut steps = Vec::new();
        if !self.setup.protocol.begin_again(&mut steps) {
            return false;
        }
        self.stage = PeerStage::Opening(prompt.cloned());
        self.is_resuming = true;
        self.out.connects_again = true;
        self.out.lines.clear();
        self.out.link = Some(PeerLink::Connecting);
        for step in steps {
            self.perform(step);
        }
        true
    }

    pub(super) fn handle_command(&mut self, command: Command) {
        match command {
            Command::Prompt { text, context, .. } => self.begin_prompt(&UnsentPrompt::new(text, context)),
            Command::Steer { text, context } => self.steer(UnsentPrompt::new(text, context)),
            Command::Continue => {
                self.begin_turn(true);
                let text = "this agent goes on only with a prompt: write one";
                self.finish_turn(TurnOutcome::Failed(Fault::new(FaultKind::BadRequest, text)));
            }
            Command::Compact { .. } => {
                self.begin_turn(true);
                let text =
                    "this agent keeps the conversation itself: ask it to compact it, by its own command if it has one";
                self.finish_turn(TurnOutcome::Failed(Fault::new(FaultKind::BadRequest, text)));
            }
            Command::Decide { call, decision } => self.decide(&call, decision),
            Command::DecideByLink { call, decision } => self.answer_with(&call, decision, DecidedBy::Link),
            Command::Cancel => self.cancel(),
            Command::SetMode { mode } => self.set_mode(mode),
            Command::SetModel { .. } | Command::SetOption { .. } if self.delays_settings() => {
                if self.waiting_settings.len() < MAX_WAITING_SETTINGS {
                    self.waiting_settings.push(command);
                }
                self.connect_again(None);
            }
            Command::SetModel { model } => {
                let name = self.name();
                let model = model.strip_prefix(&format!("{name}/")).unwrap_or(&model).to_owned();
                self.with_protocol(|protocol, steps| protocol.set_model(&model, steps));
            }
            Command::SetOption { option, value } => {
                self.with_protocol(|protocol, steps| protocol.set_option(&option, &value, steps));
            }
            Command::Branch { .. } => {
                let text = format!("{} keeps the conversation itself, so it can't go back", self.name());
                self.notify(NoticeLevel::Warn, NoticeCode::Branch, text);
            }
            // The session itself takes the title.
            Command::SetTitle { .. }
            | Command::UndoCompaction { .. }
            | Command::WarmUp
            | Command::Reconnect
            | Command::Note { .. }
            | Command::Mark { .. }
            | Command::KeepRun { .. }
            | Command::RevokeGrant { .. }
            | Command::SendQueued
            | Command::DequeuePrompt { .. }
            | Command::Seek { .. }
            | Command::SetSpeed { .. }
            | Command::SetPaused { .. }
            | Command::Step { .. }
            | Command::SetLoop { .. }
            | Command::CapIdle { .. } => {}
        }
    }

    /// Returns whether a program that is hosted has to be asked for its settings first.
    fn delays_settings(&self) -> bool {
        self.setup.hosting.is_some() && !matches!(self.stage, PeerStage::Ready)
    }

    /// Ends a program that does not stop what it does: whatever it still did would be beside the next turn.
    fn end_program(&mut self) {
        let fault = Fault::new(FaultKind::Upstream, format!("{} did not stop and was ended", self.name()));
        self.out.ends_connection = true;
        self.stage = PeerStage::Gone { fault, is_lost: true };
    }

    /// Nobody listens any more: what runs is cancelled.
    pub(super) fn handle_left(&mut self) {
        if self.turn.is_some() {
            self.cancel();
        }
    }

    fn name(&self) -> &str {
        match &self.setup.opened {
            AgentEvent::SessionOpened { engine, .. } => engine,
            _ => "",
        }
    }

    fn emit(&mut self, event: AgentEvent) {
        self.out.events.push(event);
    }

    fn with_protocol(&mut self, act: impl FnOnce(&mut dyn PeerProtocol, &mut Vec<PeerStep>)) {
        let mut steps = Vec::new();
        act(&mut *self.setup.protocol, &mut steps);
        for step in steps {
            self.perform(step);
        }
    }

    fn perform(&mut self, step: PeerStep) {
        match step {
            PeerStep::Send(message) => self.out.lines.push(message.to_string()),
            PeerStep::Opened { model } => self.handle_opened(model),
            PeerStep::Steered { is_taken } => self.handle_steered(is_taken),
            PeerStep::Afresh => self.handle_afresh(),
            PeerStep::Model(model) => self.change_opened(|opened| *opened.model = model),
            PeerStep::Options(options) => self.options = options,
            PeerStep::Failed(fault) => self.fail(fault),
            PeerStep::PersonSaid(_) if self.skips_history() => {}
            PeerStep::Reply(event) if self.skips_history() && !matches!(event, ReplyEvent::Notice { .. }) => {}
            PeerStep::Reply(event) => {
                let mut clean = Vec::new();
                self.redactor.push(event, &mut clean);
                for event in clean {
                    self.handle_reply_event(event);
                }
            }
            PeerStep::PersonSaid(mut text) => {
                redact_registered(&mut text);
                self.begin_turn(false);
                // An agent repeats what it was sent.
                self.tell_prompt(without_context(&text), Vec::new());
            }
            PeerStep::Question { number, asked } => self.handle_question(number, asked),
            PeerStep::Work { number, work } => self.handle_work(number, work),
            PeerStep::Withdrawn(number) => {
                let call = self.questions().iter().find(|question| question.number == number);
                if let Some(call) = call.map(|question| question.call.clone()) {
                    self.resolve(&call, Decision::Deny(None), DecidedBy::Cancelled, None);
                } else {
                    self.withdraw_work(number);
                }
            }
        }
    }

    /// Returns whether an earlier session is being told to nobody: without a screen, only the answer counts.
    fn skips_history(&self) -> bool {
        let is_told_before = self.is_resuming || (self.setup.is_unattended && self.setup.loads_session);
        is_told_before && matches!(self.stage, PeerStage::Opening(_))
    }

    fn handle_opened(&mut self, model: String) {
        // What was told of earlier turns is over.
        if self.turn.as_ref().is_some_and(|turn| !turn.is_prompted) {
            self.abandon(TurnOutcome::Completed);
        }
        let (takes_images, can_steer) = (self.setup.protocol.takes_images(), self.setup.protocol.can_steer());
        self.change_opened(|opened| {
            *opened.model = model;
            opened.capabilities.images = takes_images;
            opened.capabilities.steer = can_steer;
        });
        let waiting = self.take_waiting_prompt();
        self.stage = PeerStage::Ready;
        if std::mem::take(&mut self.is_resuming) {
            let text = match self.setup.hosting {
                Some(_) => "the agent was started again and has loaded the session",
                None => "connected again: the agent kept the session; what it did meanwhile is not shown",
            };
            self.notify(NoticeLevel::Info, NoticeCode::Resumed, text.to_owned());
        }
        for setting in std::mem::take(&mut self.waiting_settings) {
            self.handle_command(setting);
        }
        match waiting {
            Some(prompt) => self.send_prompt(&prompt),
            None => self.out.link = Some(PeerLink::Idle),
        }
    }

    fn handle_afresh(&mut self) {
        self.is_resuming = false;
        if self.setup.hosting.as_ref().is_some_and(|hosting| hosting.has_past) {
            let text =
                "the agent doesn't keep this session: it starts afresh and knows nothing of what was said before";
            self.notify(NoticeLevel::Warn, NoticeCode::Conversation, text.to_owned());
        }
    }

    /// Tells what has changed of how the session was opened.
    fn change_opened(&mut self, change: impl FnOnce(ChangeableOpening<'_>)) {
        let before = self.setup.opened.clone();
        if let AgentEvent::SessionOpened { mode, model, capabilities, .. } = &mut self.setup.opened {
            change(ChangeableOpening { mode, model, capabilities });
        }
        if before != self.setup.opened {
            self.emit(self.setup.opened.clone());
        }
    }

    fn set_mode(&mut self, mode: ApprovalMode) {
        self.setup.policy.mode = mode;
        self.change_opened(|opened| *opened.mode = mode);
        self.with_protocol(|protocol, steps| protocol.set_mode(mode, steps));
        self.judge_again();
    }

    /// There is no agent any more.
    fn fail(&mut self, fault: Fault) {
        let fault = redacted(fault);
        self.take_waiting_prompt();
        // What could not be reached this time may be the next.
        let is_lost = self.is_resuming || self.setup.hosting.is_some();
        self.waiting_settings.clear();
        self.stage = PeerStage::Gone { fault: fault.clone(), is_lost };
        match &self.turn {
            Some(turn) => {
                let outcome =
                    if turn.is_cancelled { TurnOutcome::Cancelled } else { TurnOutcome::Failed(fault.clone()) };
                self.abandon(outcome);
            }
            None => {
                self.emit(AgentEvent::Notice {
                    level: NoticeLevel::Error,
                    code: NoticeCode::NoEngine,
                    text: fault.message,
                });
            }
        }
        self.out.link = Some(PeerLink::Idle);
    }
}

fn redacted(mut fault: Fault) -> Fault {
    redact_registered(&mut fault.message);
    fault
}

#[cfg(test)]
mod tests;
