//! What the person says while a turn runs.

use super::*;

fn steer(text: &str) -> TurnInput {
    TurnInput::Steer { text: text.into(), context: Vec::new() }
}

/// Returns what the person said and what became of calls, in order.
fn told(rig: &TurnRig) -> Vec<String> {
    let told = rig.events.iter().filter_map(|event| match event {
        AgentEvent::UserMessage { text, .. } => Some(text.clone()),
        AgentEvent::ToolCallFinished { call, .. } => Some(format!("{call} done")),
        AgentEvent::TurnFinished { outcome, .. } => Some(format!("{outcome:?}")),
        _ => None,
    });
    told.collect()
}

fn rounds(rig: &TurnRig) -> usize {
    rig.other.iter().filter(|effect| matches!(effect, TurnEffect::RequestModel { .. })).count()
}

#[test]
fn it_goes_with_the_next_request_behind_the_results_of_the_calls() {
    let mut rig = TurnRig::begin();
    rig.respond_with_calls(&[("c1", "{}")]);
    rig.judge("c1", ApprovalVerdict::Allow);
    rig.handle(steer("look at b.rs"));
    rig.handle(steer("and c.rs"));
    assert_eq!((told(&rig), rounds(&rig)), (vec!["hi".to_owned()], 1));
    rig.done("c1", CallOutcome::Ok);
    assert_eq!(told(&rig), ["hi", "c1 done", "look at b.rs", "and c.rs"]);
    assert_eq!(rounds(&rig), 2);
    rig.respond_with_text("done");
    rig.check();
}

#[test]
fn an_answer_that_would_be_the_last_is_followed_by_one_more() {
    let mut rig = TurnRig::begin();
    rig.handle(steer("in French"));
    rig.respond_with_text("hello");
    assert_eq!((told(&rig), rounds(&rig)), (vec!["hi".to_owned(), "in French".to_owned()], 2));
    rig.respond_with_text("bonjour");
    assert_eq!(rig.end(), Some(&TurnOutcome::Completed));
    rig.check();
}

#[test]
fn what_no_request_takes_along_is_not_told() {
    let mut rig = TurnRig::begin();
    rig.handle(steer("too late"));
    rig.handle(TurnInput::Cancel);
    assert_eq!(told(&rig), ["hi", "Cancelled"]);
    rig.check();
    let mut rig = TurnRig::with_rounds(1);
    rig.handle(steer("too late"));
    rig.respond_with_text("hello");
    assert_eq!(told(&rig).len(), 2, "the limit of requests holds");
    assert!(matches!(rig.end(), Some(TurnOutcome::Failed(_))));
    rig.check();
}
