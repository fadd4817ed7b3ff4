//! The last line of a run.

use super::super::finish_reason::WireFinishReason;
use super::super::program_reply::{cost_event, to_run_fault, word};
use super::super::usage;
use crate::event::{
    Annotation, Fault, FaultKind, FinishReason, Json, Millis, ReplyEvent, ReplyTarget, TurnOutcome, Usage, UsageScope,
};

#[derive(Debug)]
pub(super) struct RunResult {
    pub(super) outcome: TurnOutcome,
    pub(super) finish_reason: Option<FinishReason>,
    usage: Option<Usage>,
    cost_usd: Option<f64>,
    first_token: Option<Millis>,
}

impl RunResult {
    pub(super) fn parse(line: &Json, was_interrupted: bool, error_words: Option<String>) -> Self {
        Self {
            outcome: outcome(line, was_interrupted, error_words),
            finish_reason: finish_reason(word(line, "stop_reason")),
            usage: line.get("usage").filter(|usage| usage.is_object()).map(parse_usage),
            cost_usd: line.get("total_cost_usd").and_then(Json::as_f64),
            first_token: line.get("ttft_ms").and_then(Json::as_u64).map(Millis),
        }
    }

    /// Returns whether the line says that nothing took any time.
    pub(super) fn took_no_time(line: &Json) -> bool {
        ["duration_ms", "duration_api_ms"].iter().all(|key| line.get(*key).and_then(Json::as_u64) == Some(0))
    }

    /// Returns the calls that were not permitted.
    pub(super) fn denied_calls(line: &Json) -> impl Iterator<Item = &str> {
        let denials = line.get("permission_denials").and_then(Json::as_array).into_iter().flatten();
        denials.map(|denial| word(denial, "tool_use_id"))
    }

    pub(super) fn report(&self, out: &mut Vec<ReplyEvent>) {
        if let Some(usage) = self.usage {
            out.push(ReplyEvent::UsageReported { scope: UsageScope::Turn, usage });
        }
        out.extend(self.cost_usd.map(cost_event));
        if let Some(ms) = self.first_token {
            out.push(ReplyEvent::Annotation { on: ReplyTarget::Reply, annotation: Annotation::FirstToken { ms } });
        }
    }
}

/// Returns what a stop reason means; none where it says nothing.
pub(super) fn finish_reason(word: &str) -> Option<FinishReason> {
    let reason = Some(word).filter(|word| !word.is_empty()).map(WireFinishReason::parse)?;
    (reason != WireFinishReason::Unknown).then(|| reason.to_finish_reason())
}

/// The state `success` may stand beside an error, and an interrupt beside an exit code of 0.
fn outcome(line: &Json, was_interrupted: bool, error_words: Option<String>) -> TurnOutcome {
    let (subtype, why) = (word(line, "subtype"), word(line, "terminal_reason"));
    let has_failed = line.get("is_error").and_then(Json::as_bool) == Some(true) || subtype.starts_with("error");
    if !has_failed {
        return TurnOutcome::Completed;
    }
    if why.starts_with("aborted") || (was_interrupted && subtype == "error_during_execution") {
        return TurnOutcome::Interrupted;
    }
    let errors = line.get("errors").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str);
    let told = [word(line, "result"), line.get("error").map_or("", |error| word(error, "message"))];
    let words = told.into_iter().find(|text| !text.trim().is_empty()).map(str::to_owned).or(error_words);
    let words = words.unwrap_or_else(|| errors.collect::<Vec<_>>().join("; "));
    if let Some(limit) = subtype.strip_prefix("error_max_") {
        let limit = limit.replace('_', " ");
        let words = if words.is_empty() { format!("the program reached its limit of {limit}") } else { words };
        return TurnOutcome::Failed(Fault::new(FaultKind::LimitReached, words));
    }
    let words = if words.is_empty() { subtype.replace('_', " ") } else { words };
    TurnOutcome::Failed(to_run_fault(&words, line.get("api_error_status").and_then(Json::as_u64)))
}

/// Counts with a total that is no more than input and output include what was cached; that is Qwen Code's way.
fn parse_usage(wire: &Json) -> Usage {
    let count = |key: &str| wire.get(key).and_then(Json::as_u64).unwrap_or_default();
    let mut usage = usage::parse(wire).unwrap_or_default();
    let whole = count("input_tokens").saturating_add(count("output_tokens"));
    if wire.get("total_tokens").and_then(Json::as_u64) == Some(whole) {
        usage.input_tokens = count("input_tokens");
    }
    usage
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(line: &Json) -> TurnOutcome {
        RunResult::parse(line, false, None).outcome
    }

    #[test]
    fn what_is_called_a_success_may_be_a_failure_and_an_interrupt_is_neither() {
        let failed = |line: Json| match of(&line) {
            TurnOutcome::Failed(fault) => (fault.kind, fault.message),
            other => panic!("{other:?}"),
        };
        let error =
            json!({"subtype": "success", "is_error": true, "result": "API Error: 401 no", "api_error_status": 401});
        assert_eq!(failed(error), (FaultKind::Auth, "API Error: 401 no".to_owned()));
        let turns = json!({"subtype": "error_max_turns", "is_error": true});
        assert_eq!(failed(turns).0, FaultKind::LimitReached);
        let aborted =
            json!({"subtype": "error_during_execution", "is_error": true, "terminal_reason": "aborted_tools"});
        assert_eq!(of(&aborted), TurnOutcome::Interrupted);
        assert_eq!(of(&json!({"subtype": "success", "is_error": false})), TurnOutcome::Completed);
    }

    #[test]
    fn input_is_the_whole_input_however_it_is_counted() {
        let apart = json!({"input_tokens": 9, "output_tokens": 5, "cache_read_input_tokens": 100});
        let within =
            json!({"input_tokens": 109, "output_tokens": 5, "cache_read_input_tokens": 100, "total_tokens": 114});
        for wire in [apart, within] {
            let usage = parse_usage(&wire);
            assert_eq!((usage.input_tokens, usage.cached_tokens), (109, 100), "{wire}");
        }
    }
}
