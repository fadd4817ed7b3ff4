//! PURE. Calls with which a server waits for an answer while its reply goes on: the answer goes to it at once, by a
//! request of its own, and the reply tells what became of the call.
//!
//! Somebody else may answer first; then what the reply says of the call shows it.

use super::super::assembler::UnfinishedCall;
use super::server_calls::approval_request;
use super::{TurnEffect, TurnMachine};
use crate::agent::approval::ApprovalVerdict;
use crate::event::{
    AgentEvent, Annotation, AnnotationTarget, ApprovalRequest, CallId, CallOutcome, DecidedBy, Decision, Json, Risk,
};

/// Why nobody can be asked.
const UNATTENDED_REASON: &str =
    "approval needs a terminal; allow it with --approval-mode or a rule in [approvals] allow";
/// Calls that wait at once; the server waits in vain for answers to more.
const MAX_HELD_CALLS: usize = 64;

/// A call that waits.
#[derive(Clone, Debug)]
pub(super) struct HeldCall {
    call: CallId,
    /// As the server wrote it.
    request: Json,
    shown: ApprovalRequest,
    stage: HeldStage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HeldStage {
    Judging,
    Waiting,
    Answered,
}

impl TurnMachine {
    /// Emits an event of the reply, and asks where the server waits for an answer.
    pub(super) fn emit_of_reply(&mut self, event: AgentEvent, steps: &mut Vec<TurnEffect>) {
        match &event {
            AgentEvent::ToolCallFinished { call, outcome, .. } => {
                self.settle_held_call(call, *outcome != CallOutcome::Denied, steps);
            }
            AgentEvent::ToolOutput { call, .. } => self.settle_held_call(call, true, steps),
            // Its answer shows that it runs.
            AgentEvent::Annotation { on: AnnotationTarget::Call(call), annotation: Annotation::Running {} }
                if self.held_calls.iter().any(|held| held.call == *call) =>
            {
                return self.settle_held_call(call, true, steps);
            }
            _ => {}
        }
        let asked = match &event {
            AgentEvent::Annotation {
                on: AnnotationTarget::Call(call),
                annotation: Annotation::AwaitsAnswer { request, reason, answers },
            } => Some((call.clone(), request.clone(), reason.clone(), answers.clone())),
            _ => None,
        };
        steps.push(TurnEffect::Emit(event));
        if let Some((call, request, approval_reason, answers)) = asked
            && let Some(known) = self.reply.open_call(&call).filter(|known| known.is_ready)
        {
            let shown = approval_request(&UnfinishedCall { approval_reason, ..known });
            // A question does nothing.
            let risk = if answers.is_empty() { shown.risk } else { Risk::ReadOnly };
            self.ask_for_held_call(call, request, ApprovalRequest { risk, answers, ..shown }, steps);
        }
    }

    fn ask_for_held_call(&mut self, call: CallId, request: Json, shown: ApprovalRequest, steps: &mut Vec<TurnEffect>) {
        // A call may need several permissions, one after another.
        self.held_calls.retain(|held| held.call != call || held.stage != HeldStage::Answered);
        if self.held_calls.iter().any(|held| held.call == call) || self.held_calls.len() >= MAX_HELD_CALLS {
            return;
        }
        let stage = HeldStage::Judging;
        self.held_calls.push(HeldCall { call: call.clone(), request, shown: shown.clone(), stage });
        steps.push(TurnEffect::JudgeServerCall { call, request: shown });
    }

    /// Handles the judgment of a call that waits. Returns whether it is one.
    pub(super) fn judge_held_call(
        &mut self,
        call: &CallId,
        judgment: &Result<(ApprovalRequest, ApprovalVerdict), String>,
        steps: &mut Vec<TurnEffect>,
    ) -> bool {
        let Some(held) = self.held_call(call, HeldStage::Judging) else { return false };
        held.stage = HeldStage::Waiting;
        let decision = match judgment {
            Ok((_, ApprovalVerdict::Ask)) => None,
            // A rule lets a call run; it answers no question.
            Ok((_, ApprovalVerdict::Allow)) if !held.shown.answers.is_empty() => None,
            Ok((_, ApprovalVerdict::Allow)) => Some(Decision::Once),
            // Nor is its reason an answer.
            Ok((_, ApprovalVerdict::Deny(reason))) | Err(reason) => {
                Some(Decision::Deny(Some(reason.clone()).filter(|_| held.shown.answers.is_empty())))
            }
        };
        if let Ok((request, _)) = judgment {
            held.shown = request.clone();
        }
        let (call, request) = (held.call.clone(), held.shown.clone());
        steps.push(TurnEffect::Emit(AgentEvent::ApprovalRequested { call: call.clone(), request }));
        if let Some(decision) = decision {
            self.decide_held_call(&call, &decision, DecidedBy::Policy, steps);
        }
        true
    }

    /// Sends the decision about a call that waits. Returns whether it is one.
    pub(super) fn decide_held_call(
        &mut self,
        call: &CallId,
        decision: &Decision,
        by: DecidedBy,
        steps: &mut Vec<TurnEffect>,
    ) -> bool {
        let Some(held) = self.held_call(call, HeldStage::Waiting) else { return false };
        held.stage = HeldStage::Answered;
        let decision = match decision {
            Decision::Offered { id, .. } if !held.shown.answers.iter().any(|answer| answer.id == *id) => {
                Decision::Deny(None)
            }
            decision => decision.clone().about_whole(),
        };
        let (request, call, told) = (held.request.clone(), call.clone(), decision.clone());
        steps.push(TurnEffect::Emit(AgentEvent::ApprovalResolved { call, decision: told, by }));
        steps.push(TurnEffect::AnswerServer { request, decision });
        true
    }

    /// Denies a call that waits for an answer that nobody here can give. Returns whether it is one.
    pub(super) fn deny_held_call(&mut self, call: &CallId, steps: &mut Vec<TurnEffect>) -> bool {
        let judgment = match self.held_call(call, HeldStage::Judging) {
            Some(held) => Ok((held.shown.clone(), ApprovalVerdict::Deny(UNATTENDED_REASON.to_owned()))),
            None => return false,
        };
        self.judge_held_call(call, &judgment, steps)
    }

    /// Ends what waits, since the server no longer does.
    pub(super) fn drop_held_calls(&mut self, steps: &mut Vec<TurnEffect>) {
        for held in std::mem::take(&mut self.held_calls) {
            if held.stage == HeldStage::Waiting {
                let (call, decision, by) = (held.call, Decision::Deny(None), DecidedBy::Cancelled);
                steps.push(TurnEffect::Emit(AgentEvent::ApprovalResolved { call, decision, by }));
            }
        }
    }

    /// The reply shows that a call waits no longer. Where nobody here has answered, somebody else did.
    fn settle_held_call(&mut self, call: &CallId, is_allowed: bool, steps: &mut Vec<TurnEffect>) {
        if let Some(held) = self.held_call(call, HeldStage::Waiting) {
            held.stage = HeldStage::Answered;
            let decision = if is_allowed { Decision::Once } else { Decision::Deny(None) };
            let (call, by) = (call.clone(), DecidedBy::Remote);
            steps.push(TurnEffect::Emit(AgentEvent::ApprovalResolved { call, decision, by }));
        }
    }

    fn held_call(&mut self, call: &CallId, stage: HeldStage) -> Option<&mut HeldCall> {
        self.held_calls.iter_mut().find(|held| held.call == *call && held.stage == stage)
    }
}
