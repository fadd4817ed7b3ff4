//! PURE. One session as its client sees it: which prompt runs and which wait, what of the past is still to be sent, and
//! which approvals are open.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::options::SessionOptions;
use super::replies::{INTERNAL_ERROR_CODE, message_update};
use crate::dialect::acp::AcpEncoder;
use crate::event::{
    AgentEvent, ApprovalRequest, CallId, Command, Envelope, Json, NoticeCode, NoticeLevel, PromptContext, Seq,
    ToolKind, who_answers,
};

/// Prompts that may wait for the running one.
const MAX_WAITING_PROMPTS: usize = 16;

/// What a session wants to be done.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum SessionStep {
    /// A `session/update`.
    Update(Json),
    /// Something for the person that is no part of the answer.
    Tell(NoticeLevel, String),
    Command(Command),
    /// The answer of a request: its result, or the code and the message of its error.
    Answer(Json, Result<Json, (i64, String)>),
    Ask(CallId, ApprovalRequest),
    /// It was decided without the client.
    Withdraw(CallId),
    /// The request that opened it can be answered: all of the past is sent.
    Opened(Json),
}

/// A prompt of the client: the id of its request, and what it asks for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ClientTurn {
    pub(super) request: Json,
    pub(super) work: TurnWork,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum TurnWork {
    Prompt {
        text: String,
        context: Vec<PromptContext>,
    },
    /// A command that the session takes in place of a prompt.
    SetModel(String),
}

/// The turn that was sent to the session.
#[derive(Debug)]
struct SentTurn {
    turn: ClientTurn,
    has_begun: bool,
    is_cancelled: bool,
}

/// The past that a client asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Catchup {
    /// The id of the request that is answered when it was sent.
    pub(super) request: Json,
    /// The last event of the past.
    pub(super) through: Seq,
    /// Events up to here are not sent: the client has them.
    pub(super) after: Seq,
}

#[derive(Debug)]
pub(super) struct AcpSession {
    pub(super) encoder: AcpEncoder,
    pub(super) folder: String,
    pub(super) options: SessionOptions,
    /// Whether images may go with a prompt; none until that is known.
    pub(super) takes_images: Option<bool>,
    catchup: Option<Catchup>,
    sent: Option<SentTurn>,
    waiting: VecDeque<ClientTurn>,
    is_turn_running: bool,
    /// Approvals that the past left open, by the order of their requests.
    open_approvals: Vec<(CallId, ApprovalRequest)>,
}

impl AcpSession {
    pub(super) fn new(
        kinds: Arc<HashMap<String, ToolKind>>,
        folder: String,
        catchup: Option<Catchup>,
        options: SessionOptions,
    ) -> Self {
        Self {
            encoder: AcpEncoder::new(kinds),
            folder,
            options,
            takes_images: None,
            catchup,
            sent: None,
            waiting: VecDeque::new(),
            is_turn_running: false,
            open_approvals: Vec::new(),
        }
    }

    /// Answers at once where there is no past.
    pub(super) fn begin(&mut self, out: &mut Vec<SessionStep>) {
        if self.catchup.as_ref().is_some_and(|catchup| catchup.through == Seq(0)) {
            self.finish_catchup(out);
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.sent.is_none() && self.waiting.is_empty() && self.catchup.is_none()
    }

    /// Returns whether the past is still being sent.
    pub(super) fn is_catching_up(&self) -> bool {
        self.catchup.is_some()
    }

    /// Takes a prompt: it runs now, or after the one that runs.
    pub(super) fn prompt(&mut self, turn: ClientTurn, out: &mut Vec<SessionStep>) -> Result<(), String> {
        if self.waiting.len() >= MAX_WAITING_PROMPTS {
            return Err(format!("{MAX_WAITING_PROMPTS} prompts wait already; cancel the running one first"));
        }
        self.waiting.push_back(turn);
        self.send_next(out);
        Ok(())
    }

    /// Cancels the running prompt, and those that wait.
    pub(super) fn cancel(&mut self, out: &mut Vec<SessionStep>) {
        if let Some(sent) = &mut self.sent {
            sent.is_cancelled = true;
        }
        if self.sent.is_some() || self.is_turn_running {
            out.push(SessionStep::Command(Command::Cancel));
        }
        for turn in std::mem::take(&mut self.waiting) {
            out.push(SessionStep::Answer(turn.request, Ok(cancelled())));
        }
    }

    pub(super) fn handle_event(&mut self, envelope: &Envelope, out: &mut Vec<SessionStep>) {
        let is_past = self.catchup.is_some();
        let is_known = self.catchup.as_ref().is_some_and(|catchup| envelope.seq <= catchup.after);
        let updates = self.encoder.encode(envelope, is_past);
        if !is_known {
            out.extend(updates.into_iter().map(SessionStep::Update));
        }
        self.follow(&envelope.event, is_past, out);
        if self.catchup.as_ref().is_some_and(|catchup| envelope.seq >= catchup.through) {
            self.finish_catchup(out);
        }
    }

    /// Handles that the session is over: nothing is answered any more.
    pub(super) fn end(&mut self, why: &str, out: &mut Vec<SessionStep>) {
        let failed = |request| SessionStep::Answer(request, Err((INTERNAL_ERROR_CODE, why.to_owned())));
        out.extend(self.catchup.take().map(|catchup| failed(catchup.request)));
        out.extend(self.sent.take().map(|sent| failed(sent.turn.request)));
        out.extend(std::mem::take(&mut self.waiting).into_iter().map(|turn| failed(turn.request)));
    }

    fn finish_catchup(&mut self, out: &mut Vec<SessionStep>) {
        let Some(catchup) = self.catchup.take() else { return };
        out.push(SessionStep::Opened(catchup.request));
        out.extend(self.open_approvals.drain(..).map(|(call, request)| SessionStep::Ask(call, request)));
    }

    fn follow(&mut self, event: &AgentEvent, is_past: bool, out: &mut Vec<SessionStep>) {
        match event {
            AgentEvent::SessionOpened { engine, model, capabilities, folder, .. } => {
                self.takes_images = Some(capabilities.images);
                self.folder.clone_from(folder);
                self.options.set_model(engine, model);
                self.end_model_switch(|| format!("The model is {}.", who_answers(engine, model)), out);
            }
            AgentEvent::TurnStarted { .. } => self.is_turn_running = true,
            AgentEvent::UserMessage { text: said, .. } => {
                if let Some(SentTurn {
                    turn: ClientTurn { work: TurnWork::Prompt { text, .. }, .. }, has_begun, ..
                }) = &mut self.sent
                {
                    *has_begun |= said == text;
                }
            }
            AgentEvent::ApprovalRequested { call, request } if is_past => {
                self.open_approvals.push((call.clone(), request.clone()));
            }
            AgentEvent::ApprovalRequested { call, request } => {
                out.push(SessionStep::Ask(call.clone(), request.clone()));
            }
            AgentEvent::ApprovalResolved { call, .. } => {
                self.open_approvals.retain(|(open, _)| open != call);
                out.push(SessionStep::Withdraw(call.clone()));
            }
            AgentEvent::Notice { level, code: NoticeCode::Model, text } if !is_past && self.is_switching_model() => {
                let text = text.clone();
                let is_refused = *level == NoticeLevel::Error;
                self.end_model_switch(|| if is_refused { format!("The model stays: {text}") } else { text }, out);
            }
            AgentEvent::Notice { level, text, .. } if !is_past => out.push(SessionStep::Tell(*level, text.clone())),
            AgentEvent::TurnFinished { .. } => self.end_turn(out),
            _ => {}
        }
    }

    fn is_switching_model(&self) -> bool {
        self.sent.as_ref().is_some_and(|sent| matches!(sent.turn.work, TurnWork::SetModel(_)))
    }

    fn end_model_switch(&mut self, say: impl FnOnce() -> String, out: &mut Vec<SessionStep>) {
        if !self.is_switching_model() {
            return;
        }
        let Some(sent) = self.sent.take() else { return };
        out.push(SessionStep::Update(message_update(&say())));
        let result = if sent.is_cancelled { cancelled() } else { serde_json::json!({"stopReason": "end_turn"}) };
        out.push(SessionStep::Answer(sent.turn.request, Ok(result)));
        self.send_next(out);
    }

    fn end_turn(&mut self, out: &mut Vec<SessionStep>) {
        self.is_turn_running = false;
        self.open_approvals.clear();
        if let Some(sent) = self.sent.take_if(|sent| sent.has_begun) {
            let answer = if sent.is_cancelled { Ok(cancelled()) } else { self.encoder.prompt_answer() };
            out.push(SessionStep::Answer(sent.turn.request, answer));
        }
        self.send_next(out);
    }

    fn send_next(&mut self, out: &mut Vec<SessionStep>) {
        if self.sent.is_some() || self.is_turn_running || self.catchup.is_some() {
            return;
        }
        let Some(turn) = self.waiting.pop_front() else { return };
        out.push(SessionStep::Command(match &turn.work {
            TurnWork::Prompt { text, context } => {
                Command::Prompt { text: text.clone(), context: context.clone(), author: None }
            }
            TurnWork::SetModel(model) => Command::SetModel { model: model.clone() },
        }));
        self.sent = Some(SentTurn { turn, has_begun: false, is_cancelled: false });
    }
}

fn cancelled() -> Json {
    serde_json::json!({"stopReason": "cancelled"})
}
