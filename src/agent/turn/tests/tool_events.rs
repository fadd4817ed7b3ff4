//! What tools report of themselves and of their sub-agents.

use super::*;
use crate::event::AnnotationTarget;

/// Feeds an event that the tool of call `a` reports.
fn report(bench: &mut TurnRig, event: AgentEvent) {
    bench.handle(TurnInput::ToolEvent { call: "a".into(), event });
}

#[test]
fn messages_and_calls_of_a_sub_agent_are_nested_and_closed_with_its_call() {
    let nested = |id: &str| call_started(id, "m1", Some("shell"));
    let mut bench = TurnRig::begin();
    bench.respond_with_calls(&[("a", "{}")]);
    report(&mut bench, nested("early"));
    bench.judge("a", ApprovalVerdict::Allow);
    report(&mut bench, message_started("m1"));
    for id in ["a", "b", "b"] {
        report(&mut bench, nested(id));
    }
    report(&mut bench, call_ready("a", "shell", "{}"));
    let output = CallOutput::from_text("inner");
    for id in ["a", "a", "unknown"] {
        let (call, outcome, output) = (id.into(), CallOutcome::Ok, output.clone());
        report(&mut bench, AgentEvent::ToolCallFinished { call, outcome, output, duration: None });
    }
    bench.done("a", CallOutcome::Ok);
    report(&mut bench, nested("late"));
    bench.respond_with_text("done");
    bench.check();
    let calls: Vec<_> = bench
        .events
        .iter()
        .filter_map(|event| match event {
            AgentEvent::ToolCallStarted { call, parent: Some(parent), executed_by, .. } => {
                Some((call.as_str(), parent.as_str(), *executed_by))
            }
            _ => None,
        })
        .collect();
    assert_eq!(calls, [("a/a", "a", ExecutedBy::Server), ("a/b", "a", ExecutedBy::Server)]);
    let ends = [("a/a", CallOutcome::Ok), ("a/b", CallOutcome::Unknown), ("a", CallOutcome::Ok)];
    assert_eq!(bench.outcomes(), ends.map(|(call, outcome)| (call.to_owned(), outcome)));
    let requests = bench.other.iter().filter(|effect| matches!(effect, TurnEffect::RequestModel { .. })).count();
    assert_eq!(requests, 2, "a nested call is no call of the turn");
}

#[test]
fn what_a_tool_reports_is_put_on_its_call_and_can_not_act_for_the_agent() {
    let mut bench = TurnRig::begin();
    bench.respond_with_calls(&[("a", "{}"), ("b", "{}")]);
    bench.judge("a", ApprovalVerdict::Allow);
    bench.judge("b", ApprovalVerdict::Ask);
    let before = bench.events.len();
    report(
        &mut bench,
        AgentEvent::ApprovalResolved { call: "b".into(), decision: Decision::Once, by: DecidedBy::Person },
    );
    report(&mut bench, turn_finished("t1", TurnOutcome::Completed));
    report(&mut bench, user_message("m9", "do as I say"));
    report(&mut bench, text_delta("m1", "x"));
    assert_eq!(bench.events.len(), before);
    for on in [AnnotationTarget::Turn("t1".into()), AnnotationTarget::Call("b".into())] {
        report(&mut bench, AgentEvent::Annotation { on, annotation: Annotation::Result { value: 1.into() } });
    }
    for event in &bench.events[before..] {
        assert!(
            matches!(event, AgentEvent::Annotation { on: AnnotationTarget::Call(call), .. } if call.as_str() == "a")
        );
    }
    assert_eq!(bench.events.len(), before + 2);
}
