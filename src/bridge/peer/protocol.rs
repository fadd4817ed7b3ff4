//! PURE. What a protocol of agent programs has to know: its requests and answers, and what they mean. It reads lines
//! and writes lines; turns, approvals and numbers are [`super::machine`]'s.

use crate::dialect::Decode;
use crate::dialect::acp::PermissionRequest;
use crate::event::{ApprovalMode, CallId, Fault, Json, NoticeCode, NoticeLevel, ReplyEvent, TurnOutcome};

/// One side of a conversation with an agent program.
pub(super) trait PeerProtocol: Send {
    /// Begins: what has to be agreed on before the first prompt.
    fn begin(&mut self, out: &mut Vec<PeerStep>);

    /// Handles a line of the agent.
    fn handle_line(&mut self, line: &str, out: &mut Vec<PeerStep>);

    /// Sends a prompt; its answer ends with [`ReplyEvent::End`].
    fn send_prompt(&mut self, text: &str, out: &mut Vec<PeerStep>);

    /// Answers a question of the agent by one of its answers; without one, the question is dropped.
    fn answer(&mut self, question: QuestionNumber, answer: Option<&str>, out: &mut Vec<PeerStep>);

    /// Notes that a call was denied: that it fails then is no failure.
    fn note_denied(&mut self, call: &CallId);

    /// Asks the agent to stop what it does for the prompt.
    fn cancel(&mut self, out: &mut Vec<PeerStep>);

    /// Ends the reply here, whatever the agent still says of it.
    fn abandon(&mut self, outcome: TurnOutcome, out: &mut Vec<PeerStep>);

    fn set_mode(&mut self, mode: ApprovalMode, out: &mut Vec<PeerStep>);

    fn set_model(&mut self, model: &str, out: &mut Vec<PeerStep>);
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
    /// The agent answers with this model from now on.
    Model(String),
    /// There will be no session.
    Failed(Fault),
    Reply(ReplyEvent),
    /// A prompt of an earlier run, told again.
    PersonSaid(String),
    /// Somebody has to decide.
    Question {
        number: QuestionNumber,
        asked: PermissionRequest,
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
