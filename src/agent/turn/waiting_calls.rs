//! PURE. Which calls of one reply wait for others of it.
//!
//! ```text
//! described ─► shares a file with an earlier call that isn't over, and one of the two changes it: held, and described
//!    │         anew once that is over, for the file may be another then
//!    ▼
//! judged ─► allowed ─► changes or runs something while another such call runs: queued, its clock stands
//!                └───► runs
//! ```
//!
//! All other calls run together, an approval that is pending holds up nothing but what shares its file. Their results go
//! back in the order of the calls, whatever ends first.

use super::{CallSlot, CallStage, TurnEffect, TurnMachine};
use crate::event::{
    AgentEvent, Annotation, AnnotationTarget, ApprovalRequest, CallId, HunkDecision, Json, Risk, ToolKind,
};

/// What a call would do, as far as it matters to the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CallEffects {
    /// The file or folder that it reads or changes.
    file: Option<String>,
    changes_file: bool,
    /// It changes or runs something: such calls run one after another.
    is_exclusive: bool,
}

impl CallEffects {
    fn of(request: &ApprovalRequest) -> Self {
        let is_about_file = matches!(request.kind, ToolKind::Read | ToolKind::Edit | ToolKind::Search);
        Self {
            file: is_about_file.then(|| request.subject.clone()),
            changes_file: request.kind == ToolKind::Edit,
            is_exclusive: matches!(request.risk, Risk::Write | Risk::Execute),
        }
    }

    fn shares_file(&self, other: &Self) -> bool {
        let (Some(one), Some(other_file)) = (&self.file, &other.file) else { return false };
        (self.changes_file || other.changes_file) && (is_within(one, other_file) || is_within(other_file, one))
    }
}

/// Returns whether a path is the folder or below it. `.` is the working folder, and with it every relative path.
fn is_within(path: &str, folder: &str) -> bool {
    let folder = folder.trim_end_matches('/');
    path == folder
        || folder == "." && !path.starts_with('/')
        || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

impl TurnMachine {
    /// Notes what a call would do. It is judged at once, unless it has to wait for an earlier one.
    pub(super) fn handle_description(&mut self, call: &CallId, request: ApprovalRequest, steps: &mut Vec<TurnEffect>) {
        let Some(slot) = self.slot_mut(call).filter(|slot| slot.stage == CallStage::Judging) else { return };
        slot.effects = Some(CallEffects::of(&request));
        slot.stage = CallStage::Described(Box::new(request));
        self.judge_described(steps);
    }

    /// Has those judged that were described and wait for nothing, and those described anew that waited.
    pub(super) fn judge_described(&mut self, steps: &mut Vec<TurnEffect>) {
        for at in 0..self.call_slots.len() {
            let Some(wait) = self.call_slots.get(at).and_then(|slot| self.wait_of(at, slot)) else { continue };
            let Some(slot) = self.call_slots.get_mut(at) else { continue };
            match wait {
                Wait::ForDescription => {}
                Wait::ForFile if slot.was_held => {}
                Wait::ForFile => {
                    slot.was_held = true;
                    let (on, annotation) = (AnnotationTarget::Call(slot.call.clone()), Annotation::Queued {});
                    steps.push(TurnEffect::Emit(AgentEvent::Annotation { on, annotation }));
                }
                Wait::Over if std::mem::take(&mut slot.was_held) => {
                    (slot.stage, slot.effects) = (CallStage::Judging, None);
                    let (call, name, args) = (slot.call.clone(), slot.name.clone(), slot.args_json());
                    steps.push(TurnEffect::Judge { call, name, args });
                }
                Wait::Over => {
                    let stage = std::mem::replace(&mut slot.stage, CallStage::Judging);
                    if let CallStage::Described(request) = stage {
                        steps.push(TurnEffect::JudgeDescribed { call: slot.call.clone(), request: *request });
                    }
                }
            }
        }
    }

    /// Returns what a call waits for that was described; none for any other.
    fn wait_of(&self, at: usize, slot: &CallSlot) -> Option<Wait> {
        let effects = slot.effects.as_ref().filter(|_| matches!(slot.stage, CallStage::Described(_)))?;
        let mut wait = Wait::Over;
        let earlier = self.call_slots.iter().take(at);
        for other in earlier.filter(|other| other.stage != CallStage::Finished && other.server_approval.is_none()) {
            match &other.effects {
                Some(theirs) if effects.shares_file(theirs) => return Some(Wait::ForFile),
                None if effects.file.is_some() => wait = Wait::ForDescription,
                Some(_) | None => {}
            }
        }
        Some(wait)
    }

    /// Runs a call that may run, or has it wait while another changes or runs something.
    pub(super) fn run_call(&mut self, call: &CallId, hunks: Option<HunkDecision>, steps: &mut Vec<TurnEffect>) {
        let is_taken = self.exclusive_call_runs();
        let Some(slot) = self.slot_mut(call) else { return };
        if is_taken && slot.effects.as_ref().is_some_and(|effects| effects.is_exclusive) {
            slot.stage = CallStage::Queued(hunks);
            let (on, annotation) = (AnnotationTarget::Call(call.clone()), Annotation::Queued {});
            self.queued_calls.push_back(call.clone());
            return steps.push(TurnEffect::Emit(AgentEvent::Annotation { on, annotation }));
        }
        slot.stage = CallStage::Running;
        let (call, name, args) = (slot.call.clone(), slot.name.clone(), slot.args_json());
        steps.push(TurnEffect::RunTool { call, name, args, hunks });
    }

    /// Runs the call that waits longest, once nothing else changes or runs something.
    pub(super) fn run_queued(&mut self, steps: &mut Vec<TurnEffect>) {
        while !self.exclusive_call_runs()
            && let Some(call) = self.queued_calls.pop_front()
        {
            let Some(slot) = self.slot_mut(&call) else { continue };
            // It may have been cancelled.
            let stage = std::mem::replace(&mut slot.stage, CallStage::Finished);
            let CallStage::Queued(hunks) = stage else {
                slot.stage = stage;
                continue;
            };
            let (on, annotation) = (AnnotationTarget::Call(call.clone()), Annotation::Running {});
            steps.push(TurnEffect::Emit(AgentEvent::Annotation { on, annotation }));
            self.run_call(&call, hunks, steps);
        }
    }

    fn exclusive_call_runs(&self) -> bool {
        let is_exclusive = |slot: &CallSlot| slot.effects.as_ref().is_some_and(|effects| effects.is_exclusive);
        self.call_slots.iter().any(|slot| slot.stage == CallStage::Running && is_exclusive(slot))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    Over,
    /// It isn't known yet what an earlier call would do.
    ForDescription,
    ForFile,
}

impl CallSlot {
    pub(super) fn args_json(&self) -> Json {
        let written = if self.args.trim().is_empty() { "{}" } else { self.args.as_str() };
        serde_json::from_str(written).unwrap_or(Json::Null)
    }
}
