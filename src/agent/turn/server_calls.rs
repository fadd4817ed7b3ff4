//! PURE. Calls that a server runs once its person allows them. The reply ends with the request; the decision goes back
//! with the next request of the turn, and the reply to that tells the result.

use super::super::assembler::{UnfinishedCall, UnfinishedState};
use super::{CallSlot, CallStage, TurnEffect, TurnMachine};
use crate::agent::approval::ApprovalVerdict;
use crate::event::{
    AgentEvent, ApprovalRequest, CallId, CallOutcome, CallOutput, DecidedBy, Decision, Json, Risk, ToolKind,
    TurnOutcome,
};

/// Characters of a subject.
const MAX_SUBJECT_CHARS: usize = 200;

/// What came of a server's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServerApprovalAnswer {
    Pending,
    Decided { is_allowed: bool },
    Undecided,
}

impl TurnMachine {
    /// Asks for a call that the server wants to run.
    pub(super) fn ask_for_server(&mut self, call: UnfinishedCall, steps: &mut Vec<TurnEffect>) {
        let request = approval_request(&call);
        let UnfinishedCall { call, name, args, .. } = call;
        let server_approval = Some(ServerApprovalAnswer::Pending);
        self.call_slots.push(CallSlot {
            call: call.clone(),
            name,
            args,
            stage: CallStage::Judging,
            effects: None,
            was_held: false,
            server_approval,
        });
        steps.push(TurnEffect::JudgeServerCall { call, request });
    }

    /// Handles the judgment of a call that the server would run. Returns whether it is one.
    pub(super) fn judge_server_call(
        &mut self,
        call: &CallId,
        judgment: &Result<(ApprovalRequest, ApprovalVerdict), String>,
        steps: &mut Vec<TurnEffect>,
    ) -> bool {
        if self.slot(call).is_none_or(|slot| slot.server_approval.is_none()) {
            return false;
        }
        let decided = match judgment {
            Ok((_, ApprovalVerdict::Ask)) => None,
            Ok((_, ApprovalVerdict::Allow)) => Some(Decision::Once),
            Ok((_, ApprovalVerdict::Deny(reason))) | Err(reason) => Some(Decision::Deny(Some(reason.clone()))),
        };
        self.set_stage(call, CallStage::AwaitingApproval);
        if let Ok((request, _)) = judgment {
            let (call, request) = (call.clone(), request.clone());
            steps.push(TurnEffect::Emit(AgentEvent::ApprovalRequested { call, request }));
        }
        if let Some(decision) = decided {
            self.handle_decision(call, decision, DecidedBy::Policy, steps);
        }
        true
    }

    /// Keeps the decision about a call that the server would run. Returns whether it is one.
    pub(super) fn note_server_decision(&mut self, call: &CallId, is_allowed: bool) -> bool {
        let Some(slot) = self.slot_mut(call).filter(|slot| slot.server_approval.is_some()) else { return false };
        slot.server_approval = Some(ServerApprovalAnswer::Decided { is_allowed });
        slot.stage = CallStage::Finished;
        true
    }

    pub(super) fn leave_undecided(&mut self, call: &CallId, steps: &mut Vec<TurnEffect>) {
        if self.deny_held_call(call, steps) {
            return;
        }
        let Some(slot) = self.slot_mut(call).filter(|slot| slot.stage != CallStage::Finished) else { return };
        slot.server_approval = Some(ServerApprovalAnswer::Undecided);
        self.finish_call(call, CallOutcome::Requested, CallOutput::default(), None, steps);
    }

    /// Returns whether the server waits for a decision that nobody here can take.
    pub(super) fn has_undecided(&self) -> bool {
        self.call_slots.iter().any(|slot| slot.server_approval == Some(ServerApprovalAnswer::Undecided))
    }

    /// Ends calls that were decided, since no further reply will.
    pub(super) fn close_decided(&mut self, end: &TurnOutcome, steps: &mut Vec<TurnEffect>) {
        for (call, is_allowed) in self.take_decided() {
            let outcome = match end {
                _ if !is_allowed => CallOutcome::Denied,
                TurnOutcome::Cancelled => CallOutcome::Cancelled,
                _ => CallOutcome::Requested,
            };
            self.finish_call(&call.call, outcome, CallOutput::default(), None, steps);
        }
    }

    /// Empties the slots. Returns the calls whose results the next reply may tell.
    pub(super) fn take_decided(&mut self) -> Vec<(UnfinishedCall, bool)> {
        let decided = std::mem::take(&mut self.call_slots).into_iter().filter_map(|slot| {
            let Some(ServerApprovalAnswer::Decided { is_allowed }) = slot.server_approval else { return None };
            let CallSlot { call, name, args, .. } = slot;
            let (approval_reason, state) = (None, UnfinishedState::NeedsApproval);
            Some((UnfinishedCall { call, name, args, is_ready: true, approval_reason, state }, is_allowed))
        });
        decided.collect()
    }
}

/// Returns what a person is shown: the server's words, and the arguments.
pub(super) fn approval_request(call: &UnfinishedCall) -> ApprovalRequest {
    let args: Json = serde_json::from_str(&call.args).unwrap_or_else(|_| Json::from(call.args.as_str()));
    let reason = call.approval_reason.as_deref().filter(|reason| !reason.trim().is_empty());
    let subject =
        reason.map_or_else(|| args.to_string(), |reason| reason.split_whitespace().collect::<Vec<_>>().join(" "));
    let mut detail = serde_json::to_string_pretty(&args).unwrap_or_default();
    if let Some(reason) = reason.filter(|reason| reason.chars().count() > MAX_SUBJECT_CHARS || reason.contains('\n')) {
        detail = format!("{}\n\n{detail}", reason.trim());
    }
    ApprovalRequest {
        tool: call.name.clone(),
        kind: ToolKind::Other,
        // It runs on the server; what it can do there is not known.
        risk: Risk::Execute,
        subject: subject.chars().take(MAX_SUBJECT_CHARS).collect(),
        folder: String::new(),
        detail,
        pattern: None,
        expires_at: None,
        answers: Vec::new(),
        hunks: 0,
        sandbox: None,
    }
}
