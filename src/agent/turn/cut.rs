//! PURE. Calls of a message that the output limit cut off, or that the model did not go on with.
//!
//! What the limit cut off would fail as bad JSON, and a model that isn't told why sends the same again.

use crate::event::cut::{CUT_OFF, DECLINED, is_whole};
use crate::event::{AgentEvent, CallId, Fault, FaultKind, Outcome, Output, Stop};

use super::{Machine, Slot, Stage, Step};

/// Replies in a row that end in the middle of their calls; after that many the turn is over, since each costs the most
/// that a reply can cost.
pub(super) const MOST_IN_A_ROW: u32 = 3;

/// Says that a turn ends since the model does not get its calls into one answer.
pub(super) fn gave_up() -> Fault {
    let text = format!(
        "the output limit cut off the calls of {MOST_IN_A_ROW} answers in a row, so they were not run; ask for the work \
         in smaller steps, or choose a model with a larger output limit"
    );
    Fault::new(FaultKind::LimitReached, text)
}

impl Machine {
    /// Ends the calls that the output limit cut off, telling the model why. Returns whether there were any.
    pub(super) fn refuse_cut(&mut self, steps: &mut Vec<Step>) -> bool {
        let cut: Vec<Slot> = self
            .slots
            .iter()
            .enumerate()
            .filter(|(at, slot)| self.stopped(slot, Stop::Length) && !self.is_whole(*at))
            .map(|(_, slot)| slot.clone())
            .collect();
        for slot in &cut {
            if !self.runs_tools {
                self.finish_call(&slot.call, Outcome::Failed, Output::of(CUT_OFF), None, steps);
                continue;
            }
            if slot.stage == Stage::Writing && !slot.name.is_empty() {
                // The conversation has only calls that were complete.
                steps.push(Step::Emit(AgentEvent::ToolCallReady {
                    call: slot.call.clone(),
                    name: slot.name.clone(),
                    args: slot.args.clone(),
                    carry: None,
                }));
            }
            let arrived = match slot.args.chars().count() {
                0 => "none of its arguments".to_owned(),
                count => format!("only {count} characters of its arguments"),
            };
            let text = format!(
                "not run: your answer reached its output limit in the middle of this call, so {arrived} arrived; send \
                 less at once, for example a long text in several calls"
            );
            self.finish_call(&slot.call, Outcome::Failed, Output::of(text), None, steps);
        }
        self.runs_tools && cut.iter().any(|slot| !slot.name.is_empty())
    }

    /// Ends the calls of a message that the model or a filter broke off: what it had begun is not what it wants.
    pub(super) fn refuse_declined(&mut self, steps: &mut Vec<Step>) {
        let declined: Vec<CallId> =
            self.slots.iter().filter(|slot| self.stopped(slot, Stop::Refused)).map(|slot| slot.call.clone()).collect();
        for call in declined {
            self.finish_call(&call, Outcome::Cancelled, Output::of(DECLINED), None, steps);
        }
    }

    /// Returns whether this call is one to run, of a message that stopped so.
    fn stopped(&self, slot: &Slot, stop: Stop) -> bool {
        matches!(slot.stage, Stage::Writing | Stage::Ready)
            && self.stops.iter().any(|(message, how)| *message == slot.message && *how == stop)
    }

    fn is_whole(&self, at: usize) -> bool {
        let Some(slot) = self.slots.get(at) else { return false };
        let is_last = self.slots.iter().skip(at + 1).all(|later| later.message != slot.message);
        is_whole(&slot.args, is_last, slot.stage == Stage::Ready)
    }
}
