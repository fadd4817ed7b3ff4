//! PURE. What a protocol of agent programs has to know: its requests and answers, and what they mean. It reads lines
//! and writes lines; turns, approvals and numbers are [`super::machine`]'s.

use crate::dialect::Decode;
use crate::dialect::acp::{ClientWork, PermissionRequest};
use crate::event::{
    AgentOption, ApprovalMode, CallId, CallOutcome, Fault, Json, NoticeCode, NoticeLevel, PromptImage, ReplyEvent,
    TurnOutcome,
};
use crate::tool::by_request::CommandExit;

/// The newest session of the folder.
pub const LAST_SESSION: &str = "last";

/// What a session begins with.
#[derive(Clone, Debug, Default)]
pub struct PeerSession {
    pub folder: String,
    /// A session that the agent keeps, [`LAST_SESSION`], or none for a new one.
    pub session: Option<String>,
    pub model: Option<String>,
    pub mode: ApprovalMode,
    /// Where the agent doesn't keep the session, another one is begun.
    pub starts_afresh: bool,
    /// The agent runs elsewhere, not with the person's rights.
    pub is_remote: bool,
    /// Names this client to a host that has several: unique and opaque.
    pub client_id: String,
    pub clock: PeerClock,
}

/// Tells the time of day, to protocols whose messages hold it.
#[derive(Clone, Copy, Debug)]
pub struct PeerClock(pub fn() -> u64);

impl Default for PeerClock {
    fn default() -> Self {
        Self(|| 0)
    }
}

impl PeerClock {
    /// Returns milliseconds since 1970.
    pub(super) fn now_ms(self) -> u64 {
        (self.0)()
    }
}

/// One side of a conversation with an agent program.
pub(super) trait PeerProtocol: Send {
    /// Begins: what has to be agreed on before the first prompt.
    fn begin(&mut self, out: &mut Vec<PeerStep>);

    /// Begins anew on another connection, with the session that was open. Returns false where the agent doesn't keep it.
    fn begin_again(&mut self, out: &mut Vec<PeerStep>) -> bool;

    /// Returns the agent's own name of the session, once it is open and can be opened again by it.
    fn session(&self) -> Option<&str> {
        None
    }

    /// Returns whether the agent says when a turn is over that was not begun here.
    fn tells_ends(&self) -> bool {
        false
    }

    /// Parses a line of the agent; none for one that is no message, which is told as it is.
    fn parse_line(&mut self, line: &str, out: &mut Vec<ReplyEvent>) -> Option<Json>;

    fn handle_message(&mut self, message: &Json, out: &mut Vec<PeerStep>);

    /// Handles a line of the agent.
    fn handle_line(&mut self, line: &str, out: &mut Vec<PeerStep>) {
        let mut noise = Vec::new();
        let message = self.parse_line(line, &mut noise);
        out.extend(noise.into_iter().map(PeerStep::Reply));
        if let Some(message) = message {
            self.handle_message(&message, out);
        }
    }

    /// Sends a prompt and its images; its answer ends with [`ReplyEvent::End`].
    fn send_prompt(&mut self, text: &str, images: &[&PromptImage], out: &mut Vec<PeerStep>);

    /// Puts what the person says into the running turn; its end is told by [`PeerStep::Steered`]. Returns false where the
    /// agent takes nothing just now.
    fn steer(&mut self, _text: &str, _images: &[&PromptImage], _out: &mut Vec<PeerStep>) -> bool {
        false
    }

    /// Returns whether the agent has a way to take something into a running turn.
    fn can_steer(&self) -> bool {
        false
    }

    /// Returns whether the agent takes images, once it has said what it is capable of.
    fn takes_images(&self) -> bool {
        false
    }

    /// Answers a question of the agent by one of its answers; without one, the question is dropped.
    fn answer(&mut self, question: QuestionNumber, answer: Option<&str>, out: &mut Vec<PeerStep>);

    /// Notes that a call was denied: that it fails then is no failure.
    fn note_denied(&mut self, call: &CallId);

    /// Asks the agent to stop what it does for the prompt.
    fn cancel(&mut self, out: &mut Vec<PeerStep>);

    /// Ends the reply here, whatever the agent still says of it.
    fn abandon(&mut self, outcome: TurnOutcome, out: &mut Vec<PeerStep>);

    /// Returns the part about work, where agents have their client work.
    fn work(&mut self) -> Option<&mut dyn WorkProtocol> {
        None
    }

    fn set_mode(&mut self, mode: ApprovalMode, out: &mut Vec<PeerStep>);

    fn set_model(&mut self, model: &str, out: &mut Vec<PeerStep>);

    /// Sets one of the agent's own settings, by its id; the value is one of its values, or what a person calls it.
    fn set_option(&mut self, option: &str, value: &str, out: &mut Vec<PeerStep>);
}

/// What a protocol has to know where its agents have their client work: see [`PeerStep::Work`].
pub(super) trait WorkProtocol {
    /// Returns the call that a request belongs to, and whether it is one of the agent's own.
    fn place(&mut self, tool: &str, work: &ClientWork, out: &mut Vec<PeerStep>) -> (CallId, bool);

    /// A terminal runs for a call.
    fn begin_terminal(&mut self, terminal: &str, call: &CallId);

    fn push_terminal(&mut self, terminal: &str, piece: &str, out: &mut Vec<PeerStep>);

    /// A terminal has ended. Returns what it printed.
    fn end_terminal(&mut self, terminal: &str, exit_code: Option<i32>) -> String;

    /// Ends a call that stands for a request.
    fn finish(&mut self, call: &CallId, outcome: CallOutcome, output: &str, out: &mut Vec<PeerStep>);

    /// Answers a request; the error is in words for the agent.
    fn answer_work(&mut self, request: QuestionNumber, result: Result<WorkResult, WorkError>, out: &mut Vec<PeerStep>);
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum WorkResult {
    Text(String),
    /// A terminal was started, with this name.
    Terminal(String),
    /// What a terminal printed, and how it ended if it did.
    Output {
        text: String,
        is_cut: bool,
        exit: Option<CommandExit>,
    },
    Exited(CommandExit),
    Done,
}

/// Why a request was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum WorkError {
    /// By a rule, the mode or the person.
    Denied(String),
    Failed(String),
}

/// Tells the questions of an agent apart: its own ids may repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct QuestionNumber(pub(super) u64);

/// What comes of a line, or of what the person wants.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum PeerStep {
    Send(Json),
    /// Prompts may be sent from now on.
    Opened {
        model: String,
    },
    /// The agent doesn't have the session any more: another one is being opened in its place.
    Afresh,
    /// The agent answers with this model from now on.
    Model(String),
    /// What may be set, and how it is set now.
    Options(Vec<AgentOption>),
    /// There will be no session.
    Failed(Fault),
    Reply(ReplyEvent),
    /// The agent took what was put into the running turn, or did not: then it is still to be said.
    Steered {
        is_taken: bool,
    },
    /// A prompt of an earlier run, told again.
    PersonSaid(String),
    /// Somebody has to decide.
    Question {
        number: QuestionNumber,
        asked: PermissionRequest,
    },
    /// It wants us to do something.
    Work {
        number: QuestionNumber,
        work: ClientWork,
    },
    /// The agent no longer waits for the answer.
    Withdrawn(QuestionNumber),
}

impl PeerStep {
    pub(super) fn notice(level: NoticeLevel, code: NoticeCode, text: impl Into<String>) -> Self {
        Self::Reply(ReplyEvent::Notice { level, code, text: text.into() })
    }
}

/// Ends a reply; where the agent never said how, this is its outcome.
pub(super) fn end_reply(decoder: &mut dyn Decode, outcome: TurnOutcome, out: &mut Vec<PeerStep>) {
    let mut events = Vec::new();
    decoder.finish(&mut events);
    if let Some(ReplyEvent::End { outcome: told }) = events.last_mut()
        && *told == TurnOutcome::Interrupted
    {
        *told = outcome;
    }
    out.extend(events.into_iter().map(PeerStep::Reply));
}
