//! PURE. Calls that the output limit cut off.
//!
//! A truncated call would fail as bad JSON, and a model that isn't told why sends the same one again.

use super::TurnEffect;
use crate::agent::assembler::UnfinishedCall;
use crate::event::{AgentEvent, CallOutcome, CallOutput, Fault, FaultKind};

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

/// Fails a call and tells the model why.
pub(super) fn fail(call: &UnfinishedCall, steps: &mut Vec<TurnEffect>) {
    let UnfinishedCall { call, name, args, is_ready, approval_reason: _, state: _ } = call;
    if !is_ready && !name.is_empty() {
        // The history contains only complete calls.
        let (call, name, args) = (call.clone(), name.clone(), args.clone());
        steps.push(TurnEffect::Emit(AgentEvent::ToolCallReady { call, name, args, provider_metadata: None }));
    }
    let arrived = match args.chars().count() {
        0 => "none of its arguments".to_owned(),
        count => format!("only {count} characters of its arguments"),
    };
    let text = format!(
        "not run: your response reached its output limit in the middle of this call, so {arrived} arrived; send less at once, for example a long text in several calls"
    );
    let (call, output) = (call.clone(), CallOutput::from_text(text));
    steps.push(TurnEffect::Emit(AgentEvent::ToolCallFinished {
        call,
        outcome: CallOutcome::Failed,
        output,
        duration: None,
    }));
}
