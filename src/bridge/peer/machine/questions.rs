//! PURE. What an agent asks and who decides: the rules of the person first, then the person. While somebody decides about
//! a call, what the agent says of that call waits.

use super::super::protocol::{QuestionNumber, WorkError};
use super::PeerMachine;
use super::allowed::{AllowedCall, denial_words};
use crate::agent::approval::ApprovalVerdict;
use crate::dialect::acp::PermissionRequest;
use crate::event::{
    AgentEvent, Annotation, AnnotationTarget, ApprovalMode, ApprovalRequest, CallId, DecidedBy, Decision, NoticeCode,
    NoticeLevel, ReplyEvent, Risk, ToolKind,
};
use crate::net::redact_registered;

/// Why nobody can be asked.
pub(super) const UNATTENDED_REASON: &str =
    "approval needs a terminal; allow it with --approval-mode or a rule in [approvals] allow";

pub(super) struct PendingQuestion {
    pub(super) number: QuestionNumber,
    /// The call as the agent names it, and as we do.
    pub(super) theirs: CallId,
    pub(super) call: CallId,
    request: ApprovalRequest,
    is_outside: bool,
    /// What its answer allows the agent; none where we are to do something ourselves.
    allows: Option<AllowedCall>,
}

impl PendingQuestion {
    /// One about something that we are to do.
    pub(super) fn of_work(number: QuestionNumber, (theirs, call): (CallId, CallId), request: ApprovalRequest) -> Self {
        Self { number, theirs, call, request, is_outside: false, allows: None }
    }
}

impl PeerMachine {
    pub(super) fn questions(&self) -> &[PendingQuestion] {
        self.turn.as_ref().map(|turn| &*turn.questions).unwrap_or_default()
    }

    pub(super) fn is_decided_about(&self, theirs: &CallId) -> bool {
        self.questions().iter().any(|question| question.theirs == *theirs)
    }

    pub(super) fn handle_question(&mut self, number: QuestionNumber, asked: PermissionRequest) {
        let allows = AllowedCall::of(&asked);
        let PermissionRequest { call: theirs, mut request, paths, .. } = asked;
        if self.turn.is_none() {
            self.begin_turn(false);
        }
        request.folder.clone_from(&self.setup.folder);
        redact_request(&mut request);
        let is_outside = paths.iter().any(|path| is_outside(path, &self.setup.folder));
        let before = self.questions().iter().find(|question| question.theirs == theirs);
        if let Some(before) = before.map(|question| question.call.clone()) {
            // Asked again: the newer question counts.
            self.resolve(&before, Decision::Deny(None), DecidedBy::Cancelled, None);
        }
        let Some(turn) = &mut self.turn else { return };
        let call = turn.reply.map_call(theirs.clone(), &mut self.ids);
        let is_cancelled = turn.is_cancelled;
        let question =
            PendingQuestion { number, theirs, call: call.clone(), request, is_outside, allows: Some(allows) };
        let verdict = if is_cancelled { ApprovalVerdict::Ask } else { self.judge(&question) };
        if verdict == ApprovalVerdict::Allow
            && let Some(answer) = question.request.offered_answer(&Decision::Once).map(|answer| answer.id.clone())
        {
            if let Some(turn) = &mut self.turn {
                turn.allow(question.allows);
            }
            let on = AnnotationTarget::Call(call);
            self.emit(AgentEvent::Annotation { on, annotation: Annotation::Running {} });
            return self.with_protocol(|protocol, steps| protocol.answer(number, Some(&answer), steps));
        }
        self.emit(AgentEvent::ApprovalRequested { call: call.clone(), request: question.request.clone() });
        if let Some(turn) = &mut self.turn {
            turn.questions.push(question);
        }
        match verdict {
            _ if is_cancelled => self.resolve(&call, Decision::Deny(None), DecidedBy::Cancelled, None),
            ApprovalVerdict::Deny(reason) => self.deny_by_policy(&call, reason),
            ApprovalVerdict::Allow | ApprovalVerdict::Ask if self.setup.is_unattended => {
                self.deny_by_policy(&call, UNATTENDED_REASON.to_owned());
            }
            ApprovalVerdict::Allow | ApprovalVerdict::Ask => {}
        }
    }

    /// Judges by the rules that the person has for our own tools. That the agent asks at all has a reason: what only
    /// reads is not allowed for that alone.
    fn judge(&mut self, question: &PendingQuestion) -> ApprovalVerdict {
        let PendingQuestion { request, is_outside, allows, .. } = question;
        if allows.is_none() {
            return self.setup.policy.judge(&request.tool, request.kind, request.risk, &request.subject);
        }
        let names = policy_names(request);
        let policy = &mut self.setup.policy;
        let verdicts: Vec<ApprovalVerdict> =
            names.iter().map(|name| policy.judge(name, request.kind, request.risk, &request.subject)).collect();
        if let Some(denied) = verdicts.iter().find(|verdict| matches!(verdict, ApprovalVerdict::Deny(_))) {
            return denied.clone();
        }
        let mode = policy.mode;
        let needs_person = match mode {
            ApprovalMode::Full => false,
            ApprovalMode::AutoEdit => request.risk == Risk::ReadOnly || *is_outside,
            ApprovalMode::Ask | ApprovalMode::Plan => request.risk == Risk::ReadOnly,
        };
        let is_allowed = verdicts.contains(&ApprovalVerdict::Allow) && !needs_person;
        if is_allowed { ApprovalVerdict::Allow } else { ApprovalVerdict::Ask }
    }

    pub(super) fn judge_again(&mut self) {
        let waiting = self.turn.as_mut().map(|turn| std::mem::take(&mut turn.questions)).unwrap_or_default();
        let mut verdicts = Vec::new();
        for question in waiting {
            verdicts.push((question.call.clone(), self.judge(&question)));
            if let Some(turn) = &mut self.turn {
                turn.questions.push(question);
            }
        }
        for (call, verdict) in verdicts {
            match verdict {
                ApprovalVerdict::Allow => self.answer_with(&call, Decision::Once, DecidedBy::Policy),
                ApprovalVerdict::Deny(reason) => self.deny_by_policy(&call, reason),
                ApprovalVerdict::Ask => {}
            }
        }
    }

    pub(super) fn deny_by_policy(&mut self, call: &CallId, reason: String) {
        self.answer_with(call, Decision::Deny(Some(reason)), DecidedBy::Policy);
    }

    /// The first decision wins; one about anything but a pending question does nothing.
    pub(super) fn decide(&mut self, call: &CallId, decision: Decision) {
        self.answer_with(call, decision, self.setup.decided_by);
    }

    pub(super) fn answer_with(&mut self, call: &CallId, decision: Decision, by: DecidedBy) {
        let decision = decision.about_whole();
        let Some(question) = self.questions().iter().find(|question| question.call == *call) else { return };
        if question.allows.is_none() {
            let tool = question.request.tool.clone();
            if let Err(text) = self.setup.policy.grant(&tool, &decision, by) {
                let text = format!("still pending: invalid pattern: {text}");
                return self.emit(AgentEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::Pattern, text });
            }
            self.resolve(call, decision.clone(), by, None);
            if decision.allows() {
                self.judge_again();
            }
            return;
        }
        let offered = question.request.offered_answer(&decision).cloned();
        let decision = match (&offered, decision) {
            (Some(answer), Decision::Offered { id, .. }) => Decision::Offered { id, allows: answer.kind.allows() },
            (None, decision) if decision.allows() => {
                let known: Vec<&str> = question.request.answers.iter().map(|answer| answer.label.as_str()).collect();
                let text = format!("still pending: the agent takes one of {}", known.join(", "));
                return self.emit(AgentEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::Approval, text });
            }
            (_, decision) => decision,
        };
        self.resolve(call, decision, by, offered.as_ref().map(|answer| answer.id.as_str()));
    }

    /// Answers a question and lets go what waited for it. Without an answer, the agent is told that it is dropped.
    pub(super) fn resolve(&mut self, call: &CallId, decision: Decision, by: DecidedBy, answer: Option<&str>) {
        let Some(turn) = &mut self.turn else { return };
        let Some(at) = turn.questions.iter().position(|question| question.call == *call) else { return };
        let question = turn.questions.remove(at);
        let is_allowed = decision.allows();
        let denial = denial_words(&decision, by);
        self.emit(AgentEvent::ApprovalResolved { call: call.clone(), decision, by });
        if !is_allowed && by != DecidedBy::Cancelled {
            self.setup.protocol.note_denied(&question.theirs);
        }
        match question.allows {
            None if is_allowed => self.run_work(question.number),
            None => self.refuse_work(question.number, WorkError::Denied(denial)),
            allows @ Some(_) => {
                if let Some(turn) = self.turn.as_mut().filter(|_| is_allowed) {
                    turn.allow(allows);
                }
                self.with_protocol(|protocol, steps| protocol.answer(question.number, answer, steps));
            }
        }
        let Some(turn) = &mut self.turn else { return };
        let is_of = |event: &ReplyEvent| decided_call(event) == Some(&question.theirs);
        let (released, held) = std::mem::take(&mut turn.held).into_iter().partition(is_of);
        turn.held = held;
        for event in released {
            self.assemble(event);
        }
    }
}

/// Blanks secrets out of what is shown to who decides.
pub(super) fn redact_request(request: &mut ApprovalRequest) {
    let labels = request.answers.iter_mut().map(|answer| &mut answer.label);
    for text in [&mut request.tool, &mut request.subject, &mut request.detail].into_iter().chain(labels) {
        redact_registered(text);
    }
}

/// The call that an event belongs to and that has to wait while somebody decides about it.
pub(super) fn decided_call(event: &ReplyEvent) -> Option<&CallId> {
    match event {
        ReplyEvent::ToolArgsDelta { call, .. }
        | ReplyEvent::ToolCallReady { call, .. }
        | ReplyEvent::ToolOutput { call, .. }
        | ReplyEvent::ToolCallFinished { call, .. } => Some(call),
        _ => None,
    }
}

/// The names by which the person's rules know such a call: those of our own tools for it, and its own.
fn policy_names(request: &ApprovalRequest) -> Vec<&str> {
    let ours: &[&str] = match request.kind {
        ToolKind::Execute => &["shell"],
        ToolKind::Edit => &["edit_file", "write_file"],
        ToolKind::Fetch => &["fetch"],
        ToolKind::Read => &["read_file"],
        ToolKind::Search | ToolKind::Other => &[],
    };
    ours.iter().copied().chain([request.tool.as_str()]).collect()
}

/// Returns whether a path names something outside a folder. Links are not followed.
fn is_outside(path: &str, folder: &str) -> bool {
    let path = std::path::Path::new(path);
    let climbs = path.components().any(|part| part == std::path::Component::ParentDir);
    climbs || (path.is_absolute() && !path.starts_with(folder))
}
