//! Calls that a server runs once they are allowed, by its next request.

use super::*;

/// A response with calls that the server runs once they are allowed.
fn respond_with_server_calls(bench: &mut TurnRig, calls: &[&str]) {
    bench.model(ReplyEvent::MessageStarted { message: "m1".into(), role: Role::Assistant, parent: None });
    for id in calls {
        bench.model(started(id));
        bench.model(ready(id, "{}"));
        let annotation = Annotation::NeedsApproval { request: Json::Null, reason: Some("may it?".into()) };
        bench.model(ReplyEvent::Annotation { on: ReplyTarget::Call((*id).into()), annotation });
    }
    bench.finish_response(TurnOutcome::Completed);
}

fn server_result(call: &str) -> ReplyEvent {
    let (call, output) = (call.into(), CallOutput::from_text("from there"));
    ReplyEvent::ToolCallFinished { call, outcome: CallOutcome::Ok, output, duration: None }
}

#[test]
fn a_server_is_told_of_all_decisions_at_once_and_tells_the_results_itself() {
    let mut bench = TurnRig::remote();
    respond_with_server_calls(&mut bench, &["a", "b", "c"]);
    let asked = bench.other.iter().filter(|effect| matches!(effect, TurnEffect::JudgeServerCall { .. })).count();
    assert_eq!(asked, 3);
    for call in ["a", "b", "c"] {
        bench.judge(call, ApprovalVerdict::Ask);
    }
    decide(&mut bench, "a", Decision::Once);
    decide(&mut bench, "b", Decision::Deny(None));
    assert!(!bench.other.contains(&TurnEffect::RequestModel { round: 2 }), "one waits");
    decide(&mut bench, "c", Decision::Deny(None));
    assert!(bench.other.contains(&TurnEffect::RequestModel { round: 2 }));
    assert_eq!(bench.outcomes(), []);
    // Some servers say it all again.
    bench.model(started("a"));
    bench.model(ready("a", "{}"));
    bench.model(server_result("a"));
    bench.model(server_result("b"));
    bench.respond_with_text("done");
    bench.check();
    let expected = [("a", CallOutcome::Ok), ("b", CallOutcome::Denied), ("c", CallOutcome::Denied)];
    assert_eq!(bench.outcomes(), expected.map(|(call, outcome)| (call.to_owned(), outcome)));
    assert!(!bench.other.iter().any(|effect| matches!(effect, TurnEffect::RunTool { .. })));
}

#[test]
fn a_rule_decides_for_a_server_and_the_log_shows_it() {
    for (verdict, allowed) in [(ApprovalVerdict::Allow, true), (ApprovalVerdict::Deny("no".into()), false)] {
        let mut bench = TurnRig::remote();
        respond_with_server_calls(&mut bench, &["a"]);
        bench.judge("a", verdict);
        let decided = bench.events.iter().find_map(|event| match event {
            AgentEvent::ApprovalResolved { decision, by: DecidedBy::Policy, .. } => Some(decision.allows()),
            _ => None,
        });
        assert_eq!(decided, Some(allowed));
        bench.model(server_result("a"));
        bench.respond_with_text("done");
        bench.check();
    }
}

#[test]
fn what_nobody_can_decide_for_a_server_ends_the_turn() {
    let mut bench = TurnRig::remote();
    respond_with_server_calls(&mut bench, &["a", "b"]);
    bench.judge("a", ApprovalVerdict::Allow);
    bench.handle(TurnInput::Undecided { call: "b".into() });
    bench.check();
    assert_eq!(bench.end(), Some(&TurnOutcome::Completed));
    let requested = CallOutcome::Requested;
    assert_eq!(bench.outcomes(), [("b".into(), requested), ("a".into(), requested)]);
}

#[test]
fn a_turn_that_waits_for_a_server_s_approval_can_be_cancelled() {
    let mut bench = TurnRig::remote();
    respond_with_server_calls(&mut bench, &["a", "b"]);
    bench.judge("a", ApprovalVerdict::Ask);
    bench.judge("b", ApprovalVerdict::Ask);
    decide(&mut bench, "a", Decision::Once);
    bench.handle(TurnInput::Cancel);
    bench.check();
    assert_eq!(bench.end(), Some(&TurnOutcome::Cancelled));
    assert!(bench.outcomes().iter().all(|(_, outcome)| *outcome == CallOutcome::Cancelled), "{:?}", bench.outcomes());
}
