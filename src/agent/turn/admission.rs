//! Whether a call may run: limits and readable arguments first, then the rules, then the person.

use super::{CallSlot, CallStage, MAX_IDENTICAL_CALLS, TurnEffect, TurnMachine};
use crate::agent::approval::ApprovalVerdict;
use crate::event::{
    AgentEvent, Annotation, AnnotationTarget, ApprovalRequest, CallId, CallOutcome, CallOutput, DecidedBy, Decision,
    Json,
};

impl TurnMachine {
    /// Requests judgment of a call, or returns its outcome and the reason if it can't run.
    pub(super) fn admit(&mut self, slot: &CallSlot, steps: &mut Vec<TurnEffect>) -> Result<(), (CallOutcome, String)> {
        if let Some(most) = self.limits.max_calls.filter(|most| self.admitted_calls >= *most) {
            let were = if most == 1 { "call was" } else { "calls were" };
            let text = format!("not run: {most} {were} allowed for this response; answer with what is known");
            return Err((CallOutcome::Denied, text));
        }
        self.admitted_calls += 1;
        let seen = self.call_counts.entry((slot.name.clone(), slot.args.clone())).or_insert(0);
        *seen += 1;
        if *seen > MAX_IDENTICAL_CALLS {
            let text = format!(
                "loop guard: {} was already called {MAX_IDENTICAL_CALLS} times with these arguments in this turn; use its results or try something else",
                slot.name
            );
            return Err((CallOutcome::Failed, text));
        }
        let written = if slot.args.trim().is_empty() { "{}" } else { slot.args.as_str() };
        match serde_json::from_str::<Json>(written) {
            Ok(args @ Json::Object(_)) => {
                steps.push(TurnEffect::Judge { call: slot.call.clone(), name: slot.name.clone(), args });
                Ok(())
            }
            Ok(_) => Err((CallOutcome::Failed, "invalid arguments: expected a JSON object".to_owned())),
            Err(error) => Err((CallOutcome::Failed, format!("invalid arguments: not JSON ({error})"))),
        }
    }

    pub(super) fn handle_judgment(
        &mut self,
        call: &CallId,
        judgment: Result<(ApprovalRequest, ApprovalVerdict), String>,
        steps: &mut Vec<TurnEffect>,
    ) {
        if self.judge_held_call(call, &judgment, steps) {
            return;
        }
        if !self.slot(call).is_some_and(|slot| slot.stage == CallStage::Judging) {
            return;
        }
        if self.judge_server_call(call, &judgment, steps) {
            return;
        }
        match judgment {
            Err(text) => self.finish_call(call, CallOutcome::Failed, CallOutput::from_text(text), None, steps),
            Ok((_, ApprovalVerdict::Allow)) => {
                let before = steps.len();
                self.run_call(call, None, steps);
                // If somebody was asked, their decision shows that it runs.
                if self.slot(call).is_some_and(|slot| slot.stage == CallStage::Running) {
                    let (on, annotation) = (AnnotationTarget::Call(call.clone()), Annotation::Running {});
                    steps.insert(before, TurnEffect::Emit(AgentEvent::Annotation { on, annotation }));
                }
            }
            Ok((_, ApprovalVerdict::Deny(reason))) => {
                self.finish_call(call, CallOutcome::Denied, CallOutput::from_text(reason), None, steps);
            }
            Ok((request, ApprovalVerdict::Ask)) => {
                self.set_stage(call, CallStage::AwaitingApproval);
                steps.push(TurnEffect::Emit(AgentEvent::ApprovalRequested { call: call.clone(), request }));
            }
        }
    }

    /// The first decision wins; decisions on anything but a pending approval are ignored.
    pub(super) fn handle_decision(
        &mut self,
        call: &CallId,
        decision: Decision,
        by: DecidedBy,
        steps: &mut Vec<TurnEffect>,
    ) {
        if self.decide_held_call(call, &decision, by, steps)
            || !self.slot(call).is_some_and(|slot| slot.stage == CallStage::AwaitingApproval)
        {
            return;
        }
        let is_servers = self.slot(call).is_some_and(|slot| slot.server_approval.is_some());
        let decision = if is_servers { decision.about_whole() } else { decision };
        let hunks = if let Decision::Hunks(hunks) = &decision { Some(hunks.clone()) } else { None };
        let reason = match &decision {
            Decision::Hunks(hunks) if hunks.taken.is_empty() => Some(None),
            Decision::Once | Decision::Session | Decision::Pattern(_) | Decision::Hunks(_) => None,
            Decision::Deny(reason) => Some(reason.clone()),
            // Our tools offer no answers of their own: whatever this is, it is no permission.
            Decision::Offered { .. } => Some(None),
        };
        let decision = if matches!(decision, Decision::Offered { .. }) { Decision::Deny(None) } else { decision };
        steps.push(TurnEffect::Emit(AgentEvent::ApprovalResolved { call: call.clone(), decision, by }));
        if self.note_server_decision(call, reason.is_none()) {
            return;
        }
        match reason {
            None => self.run_call(call, hunks, steps),
            Some(reason) => {
                let text = match (reason, by) {
                    (Some(reason), _) => format!("denied: {reason}"),
                    (None, DecidedBy::Person | DecidedBy::Remote | DecidedBy::Link) => "denied by the user".to_owned(),
                    (None, DecidedBy::TimedOut) => "denied: unanswered in time".to_owned(),
                    (None, DecidedBy::Policy | DecidedBy::Cancelled) => "denied".to_owned(),
                };
                self.finish_call(call, CallOutcome::Denied, CallOutput::from_text(text), None, steps);
            }
        }
    }
}
