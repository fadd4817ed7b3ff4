//! Calls with which a server waits for an answer while its reply goes on.

use super::*;
use crate::event::{AnswerKind, OfferedAnswer};

/// A reply in which the server waits with these calls.
fn hold(bench: &mut TurnRig, calls: &[&str], answers: &[&str]) {
    bench.model(ReplyEvent::MessageStarted { message: "m1".into(), role: Role::Assistant, parent: None });
    for id in calls {
        bench.model(started(id));
        bench.model(ready(id, "{}"));
        bench.model(asks(id, id, answers));
    }
}

fn asks(call: &str, request: &str, answers: &[&str]) -> ReplyEvent {
    let offered = |id: &&str| OfferedAnswer { id: (*id).into(), label: (*id).into(), kind: AnswerKind::AllowOnce };
    let (request, reason) = (Json::from(request), Some("may it?".to_owned()));
    let annotation = Annotation::AwaitsAnswer { request, reason, answers: answers.iter().map(offered).collect() };
    ReplyEvent::Annotation { on: ReplyTarget::Call(call.into()), annotation }
}

/// Judges what was asked last, as the driver does.
fn judge_asked(bench: &mut TurnRig, verdict: ApprovalVerdict) {
    let asked = bench.other.iter().rev().find_map(|effect| match effect {
        TurnEffect::JudgeServerCall { call, request } => Some((call.clone(), request.clone())),
        _ => None,
    });
    let (call, request) = asked.expect("something is asked");
    bench.handle(TurnInput::Judged { call, judgment: Ok((request, verdict)) });
}

fn result_of(call: &str, outcome: CallOutcome) -> ReplyEvent {
    ReplyEvent::ToolCallFinished {
        call: call.into(),
        outcome,
        output: CallOutput::from_text("from there"),
        duration: None,
    }
}

fn sent(bench: &TurnRig) -> Vec<(Json, Decision)> {
    let answers = bench.other.iter().filter_map(|effect| match effect {
        TurnEffect::AnswerServer { request, decision } => Some((request.clone(), decision.clone())),
        _ => None,
    });
    answers.collect()
}

fn resolved(bench: &TurnRig) -> Vec<(Decision, DecidedBy)> {
    let events = bench.events.iter().filter_map(|event| match event {
        AgentEvent::ApprovalResolved { decision, by, .. } => Some((decision.clone(), *by)),
        _ => None,
    });
    events.collect()
}

#[test]
fn the_answer_goes_to_the_server_while_its_reply_goes_on() {
    let mut bench = TurnRig::remote();
    hold(&mut bench, &["a"], &[]);
    judge_asked(&mut bench, ApprovalVerdict::Ask);
    assert_eq!(sent(&bench), []);
    decide(&mut bench, "a", Decision::Once);
    decide(&mut bench, "a", Decision::Deny(None));
    assert_eq!(sent(&bench), [(Json::from("a"), Decision::Once)], "the first answer counts");
    // Another permission of the same call.
    bench.model(asks("a", "second", &[]));
    judge_asked(&mut bench, ApprovalVerdict::Ask);
    decide(&mut bench, "a", Decision::Deny(Some("no".into())));
    assert_eq!(sent(&bench)[1], (Json::from("second"), Decision::Deny(Some("no".into()))));
    bench.model(result_of("a", CallOutcome::Denied));
    bench.finish_response(TurnOutcome::Completed);
    bench.check();
    assert_eq!(bench.outcomes(), [("a".into(), CallOutcome::Denied)]);
    assert!(!bench.other.contains(&TurnEffect::RequestModel { round: 2 }), "it is all one reply");
}

#[test]
fn a_rule_answers_at_once_and_nobody_to_ask_means_no() {
    for (verdict, decision) in [
        (ApprovalVerdict::Allow, Decision::Once),
        (ApprovalVerdict::Deny("no".into()), Decision::Deny(Some("no".into()))),
    ] {
        let mut bench = TurnRig::remote();
        hold(&mut bench, &["a"], &[]);
        judge_asked(&mut bench, verdict);
        assert_eq!(sent(&bench), [(Json::from("a"), decision.clone())]);
        assert_eq!(resolved(&bench), [(decision, DecidedBy::Policy)]);
        bench.model(result_of("a", CallOutcome::Ok));
        bench.finish_response(TurnOutcome::Completed);
        bench.check();
    }
    let mut bench = TurnRig::remote();
    hold(&mut bench, &["a"], &[]);
    bench.handle(TurnInput::Undecided { call: "a".into() });
    assert!(matches!(&sent(&bench)[..], [(_, Decision::Deny(Some(_)))]), "{:?}", sent(&bench));
    bench.finish_response(TurnOutcome::Completed);
    bench.check();
}

#[test]
fn a_question_is_answered_by_a_person_with_what_is_offered() {
    let offered = |id: &str| Decision::Offered { id: id.into(), allows: true };
    for (given, told) in [(offered("red"), offered("red")), (offered("mauve"), Decision::Deny(None))] {
        let mut bench = TurnRig::remote();
        hold(&mut bench, &["q"], &["red", "blue"]);
        judge_asked(&mut bench, ApprovalVerdict::Allow);
        assert_eq!(sent(&bench), [], "a rule that allows everything answers no question");
        decide(&mut bench, "q", given);
        assert_eq!(sent(&bench), [(Json::from("q"), told)]);
        bench.finish_response(TurnOutcome::Completed);
        bench.check();
    }
    let mut bench = TurnRig::remote();
    hold(&mut bench, &["q"], &["red"]);
    bench.handle(TurnInput::Undecided { call: "q".into() });
    assert_eq!(sent(&bench), [(Json::from("q"), Decision::Deny(None))], "no reason of ours is an answer");
}

#[test]
fn what_somebody_else_answers_is_asked_no_longer() {
    let running = |call: &str| {
        let (on, annotation) = (ReplyTarget::Call(call.into()), Annotation::Running {});
        ReplyEvent::Annotation { on, annotation }
    };
    for (told, decision) in [
        (running("a"), Decision::Once),
        (result_of("a", CallOutcome::Ok), Decision::Once),
        (result_of("a", CallOutcome::Denied), Decision::Deny(None)),
    ] {
        let mut bench = TurnRig::remote();
        hold(&mut bench, &["a"], &[]);
        judge_asked(&mut bench, ApprovalVerdict::Ask);
        bench.model(told);
        assert_eq!(resolved(&bench), [(decision, DecidedBy::Remote)]);
        decide(&mut bench, "a", Decision::Once);
        assert_eq!(sent(&bench), []);
        bench.finish_response(TurnOutcome::Completed);
        bench.check();
    }
}

#[test]
fn a_reply_that_ends_or_is_left_asks_nothing_any_more() {
    for cancels in [false, true] {
        let mut bench = TurnRig::remote();
        hold(&mut bench, &["a", "b"], &[]);
        judge_asked(&mut bench, ApprovalVerdict::Ask);
        if cancels {
            bench.handle(TurnInput::Cancel);
        } else {
            bench.finish_response(TurnOutcome::Interrupted);
        }
        bench.check();
        assert_eq!(resolved(&bench), [(Decision::Deny(None), DecidedBy::Cancelled)]);
        assert_eq!(sent(&bench), []);
    }
}
