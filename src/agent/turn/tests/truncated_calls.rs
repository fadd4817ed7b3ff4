//! Calls that were cut off with their answer.

use super::*;

/// Feeds a response whose last message has this finish reason, after these calls; `false` ones never became ready.
fn respond_with_finish_reason(bench: &mut TurnRig, stop: FinishReason, calls: &[(&str, &str, bool)]) {
    bench.model(ReplyEvent::MessageStarted { message: "m1".into(), role: Role::Assistant, parent: None });
    for (id, args, is_ready) in calls {
        bench.model(started(id));
        bench.model(ReplyEvent::ToolArgsDelta { call: (*id).into(), json: (*args).to_owned() });
        if *is_ready {
            bench.model(ready(id, args));
        }
    }
    bench.model(ReplyEvent::MessageFinished {
        message: "m1".into(),
        finish_reason: stop,
        full_text: None,
        provider_metadata: None,
    });
    bench.finish_response(TurnOutcome::Completed);
}

fn outputs(bench: &TurnRig) -> Vec<String> {
    let output = |event: &AgentEvent| match event {
        AgentEvent::ToolCallFinished { output, .. } => Some(output.text.clone()),
        _ => None,
    };
    bench.events.iter().filter_map(output).collect()
}

#[test]
fn a_call_that_the_output_limit_cut_off_is_not_run_and_the_model_is_told_why() {
    for is_ready in [true, false] {
        let mut bench = TurnRig::begin();
        respond_with_finish_reason(&mut bench, FinishReason::Length, &[("a", r#"{"text":"half a sen"#, is_ready)]);
        assert_eq!(bench.outcomes(), [("a".to_owned(), CallOutcome::Failed)]);
        let output = &outputs(&bench)[0];
        assert!(
            output.contains("output limit") && output.contains("19 characters") && output.contains("less"),
            "{output}"
        );
        assert!(
            bench.events.iter().any(|event| matches!(event, AgentEvent::ToolCallReady { .. })),
            "it is in the past"
        );
        assert_eq!(bench.other.last(), Some(&TurnEffect::RequestModel { round: 2 }), "the model may try again");
        bench.respond_with_text("shorter");
        bench.check();
    }
}

#[test]
fn a_whole_call_in_an_answer_that_was_cut_off_is_run() {
    let mut bench = TurnRig::begin();
    let calls = [("a", r#"{"n":12}"#, true), ("b", "", true), ("c", r#"{"n":1"#, true)];
    respond_with_finish_reason(&mut bench, FinishReason::Length, &calls);
    let judged = |call: &str| {
        bench.other.iter().any(|step| matches!(step, TurnEffect::Judge { call: it, .. } if *it == call.into()))
    };
    assert!(judged("a") && judged("b") && !judged("c"));
    assert_eq!(bench.outcomes(), [("c".to_owned(), CallOutcome::Failed)]);
}

#[test]
fn the_last_call_of_an_answer_that_was_cut_off_may_have_lost_all_of_its_arguments() {
    for args in ["", "{}", "12"] {
        let mut bench = TurnRig::begin();
        respond_with_finish_reason(&mut bench, FinishReason::Length, &[("a", args, true)]);
        assert_eq!(bench.outcomes(), [("a".to_owned(), CallOutcome::Failed)], "{args:?}");
    }
    let mut bench = TurnRig::begin();
    respond_with_finish_reason(&mut bench, FinishReason::ToolCalls, &[("a", "", true)]);
    assert_eq!(bench.outcomes(), [], "a call without arguments is one");
}

#[test]
fn a_model_whose_calls_never_fit_is_not_asked_for_ever() {
    let mut bench = TurnRig::begin();
    for _ in 0..3 {
        assert!(!bench.machine.is_finished());
        respond_with_finish_reason(&mut bench, FinishReason::Length, &[("a", r#"{"text":"ha"#, true)]);
    }
    assert!(matches!(bench.end(), Some(TurnOutcome::Failed(fault)) if fault.kind == FaultKind::LimitReached));
    bench.check();
}

#[test]
fn a_call_that_fits_between_two_that_do_not_begins_the_count_anew() {
    let mut bench = TurnRig::begin();
    for round in 0..3 {
        respond_with_finish_reason(&mut bench, FinishReason::Length, &[("a", r#"{"text":"ha"#, true)]);
        let id = format!("fits{round}");
        respond_with_finish_reason(&mut bench, FinishReason::ToolCalls, &[(&id, &format!("{{\"n\":{round}}}"), true)]);
        let judged = bench.other.iter().rev().find_map(|step| match step {
            TurnEffect::Judge { call, .. } => Some(call.clone()),
            _ => None,
        });
        let call = judged.unwrap();
        bench.judge(call.as_str(), ApprovalVerdict::Allow);
        bench.done(call.as_str(), CallOutcome::Ok);
    }
    assert!(!bench.machine.is_finished(), "{:?}", bench.end());
}

#[test]
fn calls_of_an_answer_that_was_declined_are_not_run() {
    let mut bench = TurnRig::begin();
    respond_with_finish_reason(&mut bench, FinishReason::Refused, &[("a", r#"{"n":1}"#, true), ("b", r#"{"n"#, false)]);
    assert_eq!(bench.outcomes(), [("a".to_owned(), CallOutcome::Cancelled), ("b".to_owned(), CallOutcome::Cancelled)]);
    assert_eq!(bench.end(), Some(&TurnOutcome::Completed));
    bench.check();
}

#[test]
fn a_half_call_that_another_was_to_run_was_cut_off() {
    let mut bench = TurnRig::remote();
    respond_with_finish_reason(&mut bench, FinishReason::Length, &[("a", r#"{"n":1}"#, true), ("b", r#"{"n"#, true)]);
    assert_eq!(bench.outcomes(), [("a".to_owned(), CallOutcome::Requested), ("b".to_owned(), CallOutcome::Failed)]);
    bench.check();
}
