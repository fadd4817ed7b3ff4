//! Calls of one reply: which run together, which wait for each other.

use super::*;
use crate::event::{Risk, ToolKind};

impl TurnRig {
    /// Tells what a call would do; returns whether it is to be judged.
    fn describe(&mut self, call: &str, kind: ToolKind, subject: &str) -> bool {
        let risk = match kind {
            ToolKind::Edit => Risk::Write,
            ToolKind::Execute => Risk::Execute,
            _ => Risk::ReadOnly,
        };
        let request = ApprovalRequest { kind, risk, ..shell_approval(subject) };
        self.handle(TurnInput::Described { call: call.into(), request });
        self.is_judged(call)
    }

    fn is_judged(&self, call: &str) -> bool {
        let is_this =
            |step: &TurnEffect| matches!(step, TurnEffect::JudgeDescribed { call: id, .. } if *id == call.into());
        self.other.iter().any(is_this)
    }

    /// How often it was to be found out what a call would do.
    fn times_looked_at(&self, call: &str) -> usize {
        let is_this = |step: &&TurnEffect| matches!(step, TurnEffect::Judge { call: id, .. } if *id == call.into());
        self.other.iter().filter(is_this).count()
    }

    fn running(&self) -> Vec<String> {
        let ran = self.other.iter().filter_map(|step| match step {
            TurnEffect::RunTool { call, .. } => Some(call.to_string()),
            _ => None,
        });
        let over: Vec<String> = self.outcomes().into_iter().map(|(call, _)| call).collect();
        ran.filter(|call| !over.contains(call)).collect()
    }

    fn notes(&self, call: &str) -> Vec<&str> {
        let of_this = self.events.iter().filter_map(|event| match event {
            AgentEvent::Annotation { on: AnnotationTarget::Call(id), annotation } if *id == call.into() => {
                Some(annotation)
            }
            _ => None,
        });
        let named = |annotation: &Annotation| match annotation {
            Annotation::Running {} => "running",
            Annotation::Queued {} => "queued",
            _ => "other",
        };
        of_this.map(named).collect()
    }
}

use crate::event::AnnotationTarget;

#[test]
fn calls_that_read_run_together_beside_one_that_waits_for_a_person() {
    let mut bench = TurnRig::begin();
    bench.respond_with_calls(&[("a", "{}"), ("b", "{\"n\":1}"), ("c", "{\"n\":2}")]);
    assert!(bench.describe("a", ToolKind::Execute, "make"));
    bench.judge("a", ApprovalVerdict::Ask);
    for (call, path) in [("b", "x"), ("c", "x")] {
        assert!(bench.describe(call, ToolKind::Read, path));
        bench.judge(call, ApprovalVerdict::Allow);
    }
    assert_eq!(bench.running(), ["b", "c"]);
    assert_eq!((bench.notes("b"), bench.notes("a")), (vec!["running"], vec![]), "what waits doesn't run");
}

#[test]
fn a_call_that_shares_a_file_with_a_change_waits_for_it_and_is_looked_at_anew() {
    for (kind, path, waits) in [
        (ToolKind::Read, "src/x", true),
        (ToolKind::Edit, "src/x", true),
        (ToolKind::Search, ".", true),
        (ToolKind::Read, "src", true),
        (ToolKind::Read, "src/xy", false),
        (ToolKind::Edit, "src/y", false),
        (ToolKind::Read, "/src/x", false),
        (ToolKind::Execute, "src/x", false),
    ] {
        let mut bench = TurnRig::begin();
        bench.respond_with_calls(&[("a", "{}"), ("b", "{\"n\":1}")]);
        assert!(bench.describe("a", ToolKind::Edit, "src/x"));
        bench.judge("a", ApprovalVerdict::Ask);
        assert_eq!(bench.describe("b", kind, path), !waits, "{path}");
        bench.handle(TurnInput::Decided { call: "a".into(), decision: Decision::Once, by: DecidedBy::Person });
        assert_eq!((bench.running(), bench.times_looked_at("b")), (vec!["a".to_owned()], 1), "{path}");
        bench.done("a", CallOutcome::Ok);
        assert_eq!(bench.times_looked_at("b"), if waits { 2 } else { 1 }, "{path}");
        if waits {
            assert!(bench.describe("b", kind, path));
        }
        bench.judge("b", ApprovalVerdict::Allow);
        bench.done("b", CallOutcome::Ok);
        bench.respond_with_text("done");
        bench.check();
    }
}

#[test]
fn a_call_is_not_held_up_by_one_that_turns_out_to_do_something_else() {
    let mut bench = TurnRig::begin();
    bench.respond_with_calls(&[("a", "{}"), ("b", "{\"n\":1}")]);
    assert!(!bench.describe("b", ToolKind::Read, "x"), "nobody knows yet what a does");
    assert!(bench.describe("a", ToolKind::Read, "x"));
    assert!(bench.is_judged("b"));
    assert_eq!(bench.times_looked_at("b"), 1);
}

#[test]
fn calls_that_change_something_run_one_after_another_and_their_clocks_stand_until_then() {
    let mut bench = TurnRig::begin();
    bench.respond_with_calls(&[("a", "{}"), ("b", "{\"n\":1}"), ("c", "{\"n\":2}")]);
    for call in ["a", "b", "c"] {
        assert!(bench.describe(call, ToolKind::Execute, "make"));
    }
    bench.judge("b", ApprovalVerdict::Ask);
    bench.judge("a", ApprovalVerdict::Allow);
    bench.judge("c", ApprovalVerdict::Allow);
    bench.handle(TurnInput::Decided { call: "b".into(), decision: Decision::Once, by: DecidedBy::Person });
    assert_eq!(
        (bench.running(), bench.notes("c"), bench.notes("b")),
        (vec!["a".into()], vec!["queued"], vec!["queued"])
    );
    bench.done("a", CallOutcome::Ok);
    assert_eq!((bench.running(), bench.notes("c")), (vec!["c".to_owned()], vec!["queued", "running"]));
    bench.done("c", CallOutcome::Ok);
    assert_eq!(bench.running(), ["b"]);
    bench.handle(TurnInput::Cancel);
    bench.done("b", CallOutcome::Cancelled);
    bench.check();
}

#[test]
fn what_waits_for_others_is_cancelled_with_the_turn_and_never_runs() {
    let mut bench = TurnRig::begin();
    bench.respond_with_calls(&[("a", "{}"), ("b", "{\"n\":1}"), ("c", "{\"n\":2}")]);
    for (call, kind) in [("a", ToolKind::Edit), ("b", ToolKind::Execute), ("c", ToolKind::Read)] {
        bench.describe(call, kind, "x");
        bench.judge(call, ApprovalVerdict::Allow);
    }
    bench.handle(TurnInput::Cancel);
    bench.done("a", CallOutcome::Cancelled);
    bench.check();
    assert!(bench.outcomes().iter().all(|(_, outcome)| *outcome == CallOutcome::Cancelled));
    assert_eq!(bench.outcomes().len(), 3);
    assert_eq!(bench.other.iter().filter(|step| matches!(step, TurnEffect::RunTool { .. })).count(), 1);
}
