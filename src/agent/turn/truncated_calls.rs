//! PURE. Calls of a message that was cut off by the output limit, or that the model broke off.
//!
//! A truncated call would fail as bad JSON, and a model that isn't told why sends the same one again.

use crate::event::incomplete_call::{DECLINED_CALL_OUTPUT, TRUNCATED_CALL_OUTPUT, are_args_complete};
use crate::event::{AgentEvent, CallId, CallOutcome, CallOutput, Fault, FaultKind, FinishReason};

use super::{CallSlot, CallStage, TurnEffect, TurnMachine};

/// How many responses in a row may end in the middle of their calls before the turn fails, since each has the highest
/// cost that a response can have.
pub(super) const MAX_TRUNCATED_RESPONSES: u32 = 3;

/// The fault of a turn whose calls don't fit into one response.
pub(super) fn truncation_fault() -> Fault {
    let text = format!(
        "the output limit cut off the calls of {MAX_TRUNCATED_RESPONSES} responses in a row, so they were not run; ask for the work \
         in smaller steps, or choose a model with a larger output limit"
    );
    Fault::new(FaultKind::LimitReached, text)
}

impl TurnMachine {
    /// Fails the calls that the output limit cut off and tells the model why. Returns whether there were any.
    pub(super) fn fail_truncated_calls(&mut self, steps: &mut Vec<TurnEffect>) -> bool {
        let cut: Vec<CallSlot> = self
            .call_slots
            .iter()
            .enumerate()
            .filter(|(at, slot)| self.ended_with(slot, FinishReason::Length) && !self.has_complete_args(*at))
            .map(|(_, slot)| slot.clone())
            .collect();
        for slot in &cut {
            if !self.runs_tools {
                self.finish_call(
                    &slot.call,
                    CallOutcome::Failed,
                    CallOutput::from_text(TRUNCATED_CALL_OUTPUT),
                    None,
                    steps,
                );
                continue;
            }
            if slot.stage == CallStage::Writing && !slot.name.is_empty() {
                // The history contains only complete calls.
                steps.push(TurnEffect::Emit(AgentEvent::ToolCallReady {
                    call: slot.call.clone(),
                    name: slot.name.clone(),
                    args: slot.args.clone(),
                    provider_metadata: None,
                }));
            }
            let arrived = match slot.args.chars().count() {
                0 => "none of its arguments".to_owned(),
                count => format!("only {count} characters of its arguments"),
            };
            let text = format!(
                "not run: your response reached its output limit in the middle of this call, so {arrived} arrived; send less at once, for example a long text in several calls"
            );
            self.finish_call(&slot.call, CallOutcome::Failed, CallOutput::from_text(text), None, steps);
        }
        self.runs_tools && cut.iter().any(|slot| !slot.name.is_empty())
    }

    /// Ends the calls of a message that the model or a filter broke off: its unfinished calls aren't meant to run.
    pub(super) fn cancel_declined_calls(&mut self, steps: &mut Vec<TurnEffect>) {
        let declined: Vec<CallId> = self
            .call_slots
            .iter()
            .filter(|slot| self.ended_with(slot, FinishReason::Refused))
            .map(|slot| slot.call.clone())
            .collect();
        for call in declined {
            self.finish_call(&call, CallOutcome::Cancelled, CallOutput::from_text(DECLINED_CALL_OUTPUT), None, steps);
        }
    }

    /// Returns whether this call is to be run and belongs to a message with this finish reason.
    fn ended_with(&self, slot: &CallSlot, stop: FinishReason) -> bool {
        matches!(slot.stage, CallStage::Writing | CallStage::Ready)
            && self.finish_reasons.iter().any(|(message, how)| *message == slot.message && *how == stop)
    }

    fn has_complete_args(&self, at: usize) -> bool {
        let Some(slot) = self.call_slots.get(at) else { return false };
        let is_last = self.call_slots.iter().skip(at + 1).all(|later| later.message != slot.message);
        are_args_complete(&slot.args, is_last, slot.stage == CallStage::Ready)
    }
}
