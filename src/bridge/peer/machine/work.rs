//! PURE. What an agent has us do: the rules of the person and the person decide about it as about our own tools, and
//! what was decided about the agent's own call holds for what it is made of.
//!
//! ```text
//! asked ──► described ──► allowed ──► runs ──► answered
//!              │             ▲
//!              ├──► asks the person
//!              └──► denied: the agent is told why
//! ```

use super::super::protocol::{PeerStep, QuestionNumber, WorkError, WorkProtocol, WorkResult};
use super::PeerMachine;
use super::allowed::{AllowedCall, CANCELLED_REASON};
use super::questions::{PendingQuestion, UNATTENDED_REASON, redact_request};
use crate::agent::approval::ApprovalVerdict;
use crate::dialect::acp::ClientWork;
use crate::event::{
    AgentEvent, Annotation, AnnotationTarget, ApprovalRequest, CallId, CallOutcome, NoticeCode, NoticeLevel,
};
use crate::tool::by_request::CommandExit;

/// Something to be done outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::bridge::peer) enum PeerTask {
    /// Find out what it would do.
    Describe(QuestionNumber, ClientWork),
    Run(QuestionNumber, ClientWork),
    /// Nobody waits for it any more.
    Forget(QuestionNumber),
    StopTerminals,
}

/// A request that is not answered.
pub(super) struct OpenWork {
    number: QuestionNumber,
    pub(super) work: ClientWork,
    /// The call that it belongs to, as the protocol names it, and whether it is one of the agent.
    call: Option<(CallId, bool)>,
}

/// A terminal whose call stands for it.
pub(super) struct OwnTerminal {
    name: String,
    call: CallId,
}

/// The name under which a terminal is known that a request started.
pub(in crate::bridge::peer) fn terminal_name(request: QuestionNumber) -> String {
    format!("terminal-{}", request.0)
}

fn needs_decision(work: &ClientWork) -> bool {
    matches!(work, ClientWork::ReadFile { .. } | ClientWork::WriteFile { .. } | ClientWork::StartTerminal { .. })
}

impl PeerMachine {
    pub(super) fn handle_work(&mut self, number: QuestionNumber, work: ClientWork) {
        let is_cancelled = self.turn.as_ref().is_some_and(|turn| turn.is_cancelled);
        self.open_work.push(OpenWork { number, work: work.clone(), call: None });
        match (needs_decision(&work), is_cancelled) {
            (true, true) => self.refuse_work(number, WorkError::Denied(CANCELLED_REASON.to_owned())),
            (true, false) => self.out.tasks.push(PeerTask::Describe(number, work)),
            (false, _) => self.out.tasks.push(PeerTask::Run(number, work)),
        }
    }

    /// What a request would do is known, or why it can't be done.
    pub(in crate::bridge::peer) fn handle_described(
        &mut self,
        number: QuestionNumber,
        described: Result<ApprovalRequest, String>,
    ) {
        let Some(work) = self.open_work(number).map(|open| open.work.clone()) else { return };
        let mut request = match described {
            Ok(request) => request,
            Err(why) => return self.refuse_work(number, WorkError::Failed(why)),
        };
        redact_request(&mut request);
        let verdict = self.setup.policy.judge(&request.tool, request.kind, request.risk, &request.subject);
        if matches!(work, ClientWork::ReadFile { .. }) {
            return match verdict {
                ApprovalVerdict::Allow => self.out.tasks.push(PeerTask::Run(number, work)),
                ApprovalVerdict::Ask => self.refuse_work(number, WorkError::Denied(UNATTENDED_REASON.to_owned())),
                ApprovalVerdict::Deny(why) => {
                    let text = format!("reading {} was {why}", request.subject);
                    self.notify(NoticeLevel::Info, NoticeCode::Approval, text);
                    self.refuse_work(number, WorkError::Denied(why));
                }
            };
        }
        let verdict = match verdict {
            ApprovalVerdict::Ask if self.allowed_calls().any(|allowed| allowed.covers(&work)) => ApprovalVerdict::Allow,
            verdict => verdict,
        };
        let Some(theirs) = self.place_work(number, &request.tool, &work) else { return };
        let Some(turn) = &mut self.turn else { return };
        let call = turn.reply.map_call(theirs.clone(), &mut self.ids);
        if verdict == ApprovalVerdict::Allow {
            self.emit(AgentEvent::Annotation { on: AnnotationTarget::Call(call), annotation: Annotation::Running {} });
            return self.run_work(number);
        }
        self.emit(AgentEvent::ApprovalRequested { call: call.clone(), request: request.clone() });
        let question = PendingQuestion::of_work(number, (theirs, call.clone()), request);
        if let Some(turn) = &mut self.turn {
            turn.questions.push(question);
        }
        match verdict {
            ApprovalVerdict::Deny(why) => self.deny_by_policy(&call, why),
            ApprovalVerdict::Allow | ApprovalVerdict::Ask if self.setup.is_unattended => {
                self.deny_by_policy(&call, UNATTENDED_REASON.to_owned());
            }
            ApprovalVerdict::Allow | ApprovalVerdict::Ask => {}
        }
    }

    /// Something was done, or could not be.
    pub(in crate::bridge::peer) fn handle_work_done(
        &mut self,
        number: QuestionNumber,
        result: Result<WorkResult, String>,
    ) {
        let Some(at) = self.open_work.iter().position(|open| open.number == number) else { return };
        let open = self.open_work.remove(at);
        if let (ClientWork::WriteFile { .. }, Some((call, false))) = (&open.work, &open.call) {
            let (outcome, text) = match &result {
                Ok(_) => (CallOutcome::Ok, ""),
                Err(why) => (CallOutcome::Failed, why.as_str()),
            };
            self.with_work(|protocol, steps| protocol.finish(call, outcome, text, steps));
        }
        if let (ClientWork::StartTerminal { .. }, Some((call, false)), Err(why)) = (&open.work, &open.call, &result) {
            self.with_work(|protocol, steps| protocol.finish(call, CallOutcome::Failed, why, steps));
        }
        self.with_work(|protocol, steps| protocol.answer_work(number, result.map_err(WorkError::Failed), steps));
    }

    pub(in crate::bridge::peer) fn handle_terminal_output(&mut self, terminal: &str, piece: &str) {
        self.with_work(|protocol, steps| protocol.push_terminal(terminal, piece, steps));
    }

    pub(in crate::bridge::peer) fn handle_terminal_end(&mut self, terminal: &str, exit: &CommandExit) {
        let own = self.own_terminals.iter().position(|own| own.name == terminal);
        let own = own.map(|at| self.own_terminals.remove(at));
        self.with_work(|protocol, steps| {
            let output = protocol.end_terminal(terminal, exit.code);
            if let Some(own) = own {
                let outcome = match (exit.code, &exit.signal) {
                    (Some(0), _) => CallOutcome::Ok,
                    (None, Some(_)) => CallOutcome::Cancelled,
                    _ => CallOutcome::Failed,
                };
                protocol.finish(&own.call, outcome, &output, steps);
            }
        });
    }

    /// The agent no longer waits for something that it wanted to be done.
    pub(super) fn withdraw_work(&mut self, number: QuestionNumber) {
        if self.open_work(number).is_some() {
            self.out.tasks.push(PeerTask::Forget(number));
            self.refuse_work(number, WorkError::Denied("it was taken back".to_owned()));
        }
    }

    /// Nothing that was asked for in this turn is begun any more.
    pub(super) fn refuse_undecided(&mut self) {
        let undecided = |open: &&OpenWork| open.call.is_none() && needs_decision(&open.work);
        let numbers: Vec<QuestionNumber> = self.open_work.iter().filter(undecided).map(|open| open.number).collect();
        for number in numbers {
            self.out.tasks.push(PeerTask::Forget(number));
            self.refuse_work(number, WorkError::Denied(CANCELLED_REASON.to_owned()));
        }
    }

    /// It was allowed.
    pub(super) fn run_work(&mut self, number: QuestionNumber) {
        let Some(open) = self.open_work(number) else { return };
        let (work, call) = (open.work.clone(), open.call.clone());
        if let (ClientWork::StartTerminal { .. }, Some((call, is_theirs))) = (&work, call) {
            let name = terminal_name(number);
            self.with_work(|protocol, _| protocol.begin_terminal(&name, &call));
            if !is_theirs {
                self.own_terminals.push(OwnTerminal { name, call });
            }
        }
        self.out.tasks.push(PeerTask::Run(number, work));
    }

    pub(super) fn refuse_work(&mut self, number: QuestionNumber, why: WorkError) {
        let Some(at) = self.open_work.iter().position(|open| open.number == number) else { return };
        let open = self.open_work.remove(at);
        self.with_work(|protocol, steps| {
            if let Some((call, false)) = &open.call {
                let (WorkError::Denied(words) | WorkError::Failed(words)) = &why;
                protocol.finish(call, CallOutcome::Denied, words, steps);
            }
            protocol.answer_work(number, Err(why), steps);
        });
    }

    fn open_work(&self, number: QuestionNumber) -> Option<&OpenWork> {
        self.open_work.iter().find(|open| open.number == number)
    }

    fn allowed_calls(&self) -> impl Iterator<Item = &AllowedCall> {
        self.turn.iter().flat_map(|turn| &turn.allowed)
    }

    /// Finds the call that a request belongs to.
    fn place_work(&mut self, number: QuestionNumber, tool: &str, work: &ClientWork) -> Option<CallId> {
        if self.turn.is_none() {
            self.begin_turn(false);
        }
        let mut placed = None;
        self.with_work(|protocol, steps| placed = Some(protocol.place(tool, work, steps)));
        let open = self.open_work.iter_mut().find(|open| open.number == number)?;
        open.call.clone_from(&placed);
        placed.map(|(call, _)| call)
    }

    fn with_work(&mut self, act: impl FnOnce(&mut dyn WorkProtocol, &mut Vec<PeerStep>)) {
        self.with_protocol(|protocol, steps| {
            if let Some(work) = protocol.work() {
                act(work, steps);
            }
        });
    }
}
