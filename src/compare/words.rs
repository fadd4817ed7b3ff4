//! A turn and a call in a line.

use super::align::{AlignedTurn, CallState};
use super::fold::{ComparedCall, ComparedSession, ComparedTurn};
use crate::event::{CallOutcome, Millis};
use crate::text::one_line;

/// Columns of what is quoted in a line.
pub(super) const QUOTE_COLUMNS: usize = 70;

pub(super) fn sides<'a>(
    turn: &AlignedTurn,
    a: &'a ComparedSession,
    b: &'a ComparedSession,
) -> (Option<&'a ComparedTurn>, Option<&'a ComparedTurn>) {
    (turn.a.and_then(|at| a.turns.get(at)), turn.b.and_then(|at| b.turns.get(at)))
}

pub(super) fn figures_text(turn: &ComparedTurn) -> String {
    let mut figures = Vec::new();
    if turn.outcome_name() != "completed" {
        figures.push(turn.outcome_name().to_owned());
    }
    figures.push(seconds(turn.duration));
    figures.extend(turn.first_token.map(|first| format!("first token {}ms", first.0)));
    figures.extend(turn.rate.map(|rate| format!("{rate:.0} tok/s")));
    figures.extend(turn.usage.map(|usage| format!("{} in, {} out", usage.input_tokens, usage.output_tokens)));
    figures.extend(turn.cost.map(|cost| format!("${cost:.4}")));
    if !turn.calls.is_empty() {
        figures.push(plural(turn.calls.len(), "call"));
    }
    figures.join(" · ")
}

pub(super) fn call_text(call: &ComparedCall, state: CallState) -> String {
    let outcome = call.outcome.map_or("unfinished", CallOutcome::name);
    let what = match state {
        CallState::OtherOutput => format!(" → {}", call.output),
        CallState::OtherOutcome => format!(" → {outcome}"),
        CallState::Same | CallState::OtherArgs | CallState::OnlyA | CallState::OnlyB => String::new(),
    };
    one_line(&format!("{} {}{what}", call.name, call.args), QUOTE_COLUMNS)
}

pub(super) fn plural(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

pub(super) fn seconds(time: Millis) -> String {
    format!("{:.1}s", time.as_secs_f64())
}
