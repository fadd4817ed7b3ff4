//! The turn machine as a specification: no IO, no clock, no async.

use super::*;
use crate::event::{Risk, Role, Subject, TextKind, grammar};

struct Bench {
    machine: Machine,
    names: Names,
    events: Vec<AgentEvent>,
    other: Vec<Step>,
}

impl Bench {
    fn begin() -> Self {
        Self::with_rounds(10)
    }

    fn with_rounds(max_rounds: u32) -> Self {
        let mut names = Names::default();
        let (machine, steps) = Machine::begin(&mut names, Some("hi"), Limits { rounds: max_rounds, calls: None }, true);
        let mut bench = Self { machine, names, events: vec![opened()], other: Vec::new() };
        bench.take(steps);
        bench
    }

    fn of_a_remote() -> Self {
        let mut bench = Self::begin();
        bench.machine.runs_tools = false;
        bench
    }

    fn take(&mut self, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Emit(event) => self.events.push(event),
                other => self.other.push(other),
            }
        }
    }

    fn give(&mut self, input: Input) {
        let steps = self.machine.handle(input, &mut self.names);
        self.take(steps);
    }

    fn model(&mut self, event: AgentEvent) {
        self.give(Input::Model(event));
    }

    /// One reply that makes these calls.
    fn reply_with_calls(&mut self, calls: &[(&str, &str)]) {
        self.model(AgentEvent::MessageStarted { message: "m1".into(), role: Role::Assistant, parent: None });
        for (id, args) in calls {
            self.model(started(id));
            self.model(ready(id, args));
        }
        self.model(AgentEvent::MessageFinished {
            message: "m1".into(),
            stop: Stop::ToolCalls,
            full: None,
            carry: None,
        });
        self.reply_over(TurnEnd::Completed);
    }

    fn reply_with_text(&mut self, text: &str) {
        self.model(AgentEvent::MessageStarted { message: "m1".into(), role: Role::Assistant, parent: None });
        self.model(AgentEvent::TextDelta { message: "m1".into(), text: text.into(), kind: TextKind::Text });
        self.model(AgentEvent::MessageFinished { message: "m1".into(), stop: Stop::End, full: None, carry: None });
        self.reply_over(TurnEnd::Completed);
    }

    fn reply_over(&mut self, end: TurnEnd) {
        self.model(AgentEvent::TurnFinished { turn: "t".into(), end });
    }

    fn judge(&mut self, call: &str, verdict: Verdict) {
        self.give(Input::Judged { call: call.into(), judgement: Ok((ask(), verdict)) });
    }

    fn done(&mut self, call: &str, outcome: Outcome) {
        self.give(Input::Done { call: call.into(), outcome, output: Output::of("out"), took: Millis(5) });
    }

    fn outcomes(&self) -> Vec<(String, Outcome)> {
        self.events
            .iter()
            .filter_map(|event| match event {
                AgentEvent::ToolCallFinished { call, outcome, .. } => Some((call.to_string(), *outcome)),
                _ => None,
            })
            .collect()
    }

    fn end(&self) -> Option<&TurnEnd> {
        self.events.iter().find_map(|event| match event {
            AgentEvent::TurnFinished { end, .. } => Some(end),
            _ => None,
        })
    }

    /// The turn is over and everything it said was legal.
    fn check(&self) {
        assert!(self.machine.is_over());
        assert_eq!(grammar::check(&self.events), [], "{:#?}", self.events);
    }
}

fn opened() -> AgentEvent {
    AgentEvent::SessionOpened {
        wall: 0,
        engine: "x".into(),
        model: "x".into(),
        why: String::new(),
        mode: crate::event::Mode::Ask,
        folder: String::new(),
        version: String::new(),
        caps: crate::event::Caps::default(),
        window: None,
        price: None,
    }
}

fn ask() -> Ask {
    Ask {
        tool: "shell".into(),
        risk: Risk::Execute,
        subject: "ls".into(),
        folder: "/".into(),
        detail: String::new(),
        pattern: None,
        expires: None,
    }
}

fn started(id: &str) -> AgentEvent {
    AgentEvent::ToolCallStarted {
        call: id.into(),
        message: "m1".into(),
        name: Some("shell".into()),
        parent: None,
        ran_by: RanBy::Us,
    }
}

fn ready(id: &str, args: &str) -> AgentEvent {
    AgentEvent::ToolCallReady { call: id.into(), name: "shell".into(), args: args.into(), carry: None }
}

#[test]
fn an_answer_without_calls_ends_the_turn() {
    let mut bench = Bench::begin();
    bench.reply_with_text("hello");
    bench.check();
    assert_eq!(bench.end(), Some(&TurnEnd::Completed));
    assert_eq!(bench.other, [Step::AskModel { round: 1 }, Step::Over]);
}

#[test]
fn parallel_calls_are_all_over_before_the_model_is_asked_again() {
    let mut bench = Bench::begin();
    bench.reply_with_calls(&[("a", "{}"), ("b", "{\"x\":1}")]);
    bench.judge("a", Verdict::Allow);
    bench.judge("b", Verdict::Allow);
    let running = |event: &&AgentEvent| matches!(event, AgentEvent::Annotated { kind, .. } if kind == "running");
    assert_eq!(bench.events.iter().filter(running).count(), 2, "nobody was asked, so nobody else says that they run");
    bench.done("b", Outcome::Ok);
    assert!(!bench.other.contains(&Step::AskModel { round: 2 }));
    bench.done("a", Outcome::Failed);
    assert!(bench.other.contains(&Step::AskModel { round: 2 }));
    bench.reply_with_text("done");
    bench.check();
    assert_eq!(bench.outcomes(), [("b".into(), Outcome::Ok), ("a".into(), Outcome::Failed)]);
}

#[test]
fn nothing_runs_before_the_reply_is_over() {
    let mut bench = Bench::begin();
    bench.model(AgentEvent::MessageStarted { message: "m1".into(), role: Role::Assistant, parent: None });
    bench.model(started("a"));
    bench.model(ready("a", "{}"));
    assert_eq!(bench.other, [Step::AskModel { round: 1 }]);
    bench.reply_over(TurnEnd::Interrupted);
    bench.check();
    assert_eq!(bench.outcomes(), [("a".into(), Outcome::Requested)]);
    assert_eq!(bench.end(), Some(&TurnEnd::Interrupted));
}

#[test]
fn arguments_that_are_no_json_object_fail_and_the_model_is_told() {
    let mut bench = Bench::begin();
    bench.reply_with_calls(&[("a", "{oops"), ("b", "[1]")]);
    assert_eq!(bench.outcomes(), [("a".into(), Outcome::Failed), ("b".into(), Outcome::Failed)]);
    assert!(bench.other.contains(&Step::AskModel { round: 2 }));
}

#[test]
fn an_empty_argument_text_means_no_arguments() {
    let mut bench = Bench::begin();
    bench.reply_with_calls(&[("a", "")]);
    assert!(bench.other.contains(&Step::Judge { call: "a".into(), name: "shell".into(), args: serde_json::json!({}) }));
}

#[test]
fn the_same_call_is_refused_after_three_times() {
    let mut bench = Bench::begin();
    for round in 0..SAME_CALLS {
        bench.reply_with_calls(&[("a", "{}")]);
        let id = if round == 0 { "a".to_owned() } else { format!("a_{}", round + 1) };
        bench.judge(&id, Verdict::Allow);
        bench.done(&id, Outcome::Ok);
    }
    bench.reply_with_calls(&[("a", "{}")]);
    assert_eq!(bench.outcomes().last().unwrap().1, Outcome::Failed);
}

#[test]
fn rounds_are_capped() {
    let mut bench = Bench::with_rounds(1);
    bench.reply_with_calls(&[("a", "{}")]);
    bench.judge("a", Verdict::Allow);
    bench.done("a", Outcome::Ok);
    bench.check();
    assert!(matches!(bench.end(), Some(TurnEnd::Failed(fault)) if fault.kind == FaultKind::LimitReached));
}

#[test]
fn calls_are_capped_and_the_model_is_told() {
    let mut bench = Bench::with_rounds(9);
    bench.machine.limits.calls = Some(2);
    bench.reply_with_calls(&[("a", "{}")]);
    bench.judge("a", Verdict::Allow);
    bench.done("a", Outcome::Ok);
    bench.reply_with_calls(&[("b", "{\"n\":1}"), ("c", "{\"n\":2}")]);
    bench.judge("b", Verdict::Allow);
    bench.done("b", Outcome::Ok);
    bench.reply_with_text("that is all");
    bench.check();
    let outcomes: Vec<Outcome> = bench.outcomes().into_iter().map(|(_, outcome)| outcome).collect();
    assert_eq!(outcomes, [Outcome::Ok, Outcome::Denied, Outcome::Ok]);
    assert_eq!((bench.end(), bench.machine.round()), (Some(&TurnEnd::Completed), 3));
}

#[test]
fn the_first_answer_to_an_ask_wins() {
    let mut bench = Bench::begin();
    bench.reply_with_calls(&[("a", "{}")]);
    bench.judge("a", Verdict::Ask);
    let deny = Decision::Deny(Some("not now".into()));
    bench.give(Input::Decided { call: "a".into(), decision: deny, by: DecidedBy::Person });
    bench.give(Input::Decided { call: "a".into(), decision: Decision::Once, by: DecidedBy::Remote });
    bench.reply_with_text("fine");
    bench.check();
    assert_eq!(bench.outcomes(), [("a".into(), Outcome::Denied)]);
    let resolved = bench.events.iter().filter(|event| matches!(event, AgentEvent::ApprovalResolved { .. })).count();
    assert_eq!(resolved, 1);
    assert!(!bench.other.iter().any(|step| matches!(step, Step::Run { .. })));
}

#[test]
fn cancelling_an_answer_drops_the_model_and_closes_the_message() {
    let mut bench = Bench::begin();
    bench.model(AgentEvent::MessageStarted { message: "m1".into(), role: Role::Assistant, parent: None });
    bench.model(started("a"));
    bench.give(Input::Cancel);
    bench.check();
    assert!(bench.other.contains(&Step::DropModel));
    assert_eq!(bench.outcomes(), [("a".into(), Outcome::Cancelled)]);
    assert_eq!(bench.end(), Some(&TurnEnd::Cancelled));
}

#[test]
fn an_interrupted_tool_still_reports_its_outcome() {
    let mut bench = Bench::begin();
    bench.reply_with_calls(&[("a", "{}"), ("b", "{\"x\":1}")]);
    bench.judge("a", Verdict::Allow);
    bench.judge("b", Verdict::Ask);
    bench.give(Input::Cancel);
    assert!(!bench.machine.is_over(), "the running tool has not answered yet");
    assert!(bench.other.contains(&Step::StopTools));
    bench.done("a", Outcome::Cancelled);
    bench.check();
    assert_eq!(bench.outcomes(), [("b".into(), Outcome::Cancelled), ("a".into(), Outcome::Cancelled)]);
}

#[test]
fn a_second_cancel_does_not_wait_for_tools() {
    let mut bench = Bench::begin();
    bench.reply_with_calls(&[("a", "{}")]);
    bench.judge("a", Verdict::Allow);
    bench.give(Input::Cancel);
    bench.give(Input::Cancel);
    bench.check();
    assert_eq!(bench.end(), Some(&TurnEnd::Cancelled));
}

#[test]
fn a_fault_ends_the_turn_as_it_is() {
    let mut bench = Bench::begin();
    let fault = Fault::new(FaultKind::ContextTooLong, "8192 tokens");
    bench.reply_over(TurnEnd::Failed(fault.clone()));
    bench.check();
    assert_eq!(bench.end(), Some(&TurnEnd::Failed(fault)));
}

#[test]
fn a_silent_model_is_noticed_once() {
    let told = AgentEvent::Noticed { level: Level::Warn, code: "empty_answer".into(), text: "nothing".into() };
    for told in [None, Some(told)] {
        let mut bench = Bench::begin();
        if let Some(told) = told {
            bench.model(told);
        }
        bench.reply_over(TurnEnd::Completed);
        bench.check();
        let is_notice =
            |event: &&AgentEvent| matches!(event, AgentEvent::Noticed { code, .. } if code == "empty_answer");
        assert_eq!(bench.events.iter().filter(is_notice).count(), 1);
    }
}

#[test]
fn what_the_server_ran_is_passed_on_and_not_run_again() {
    let mut bench = Bench::of_a_remote();
    bench.model(AgentEvent::MessageStarted { message: "m1".into(), role: Role::Assistant, parent: None });
    bench.model(AgentEvent::ToolCallStarted {
        call: "a".into(),
        message: "m1".into(),
        name: Some("search".into()),
        parent: None,
        ran_by: RanBy::Server,
    });
    bench.model(ready("a", "{}"));
    for outcome in [Outcome::Unknown, Outcome::Ok] {
        bench.model(AgentEvent::ToolCallFinished {
            call: "a".into(),
            outcome,
            output: Output::of("found"),
            took: None,
        });
    }
    bench.model(AgentEvent::MessageFinished { message: "m1".into(), stop: Stop::End, full: None, carry: None });
    bench.reply_over(TurnEnd::Completed);
    bench.check();
    assert_eq!(bench.outcomes().last(), Some(&("a".into(), Outcome::Ok)));
    assert_eq!(bench.other, [Step::AskModel { round: 1 }, Step::Over]);
}

#[test]
fn a_reply_that_the_server_paused_is_given_back_until_the_rounds_are_used_up() {
    let mut bench = Bench::with_rounds(2);
    let paused = || AgentEvent::Annotated {
        on: Subject::Message("m1".into()),
        kind: PAUSED.into(),
        data: serde_json::json!({}),
    };
    bench.other.clear();
    bench.model(paused());
    bench.reply_with_text("looking");
    assert_eq!(bench.other, [Step::AskModel { round: 2 }]);
    assert_eq!(bench.end(), None);
    let mut other = Bench::with_rounds(2);
    other.model(paused());
    other.reply_with_text("looking");
    other.reply_with_text("found");
    assert_eq!(other.end(), Some(&TurnEnd::Completed));
    bench.model(paused());
    bench.reply_with_text("looking");
    assert!(matches!(bench.end(), Some(TurnEnd::Failed(Fault { kind: FaultKind::LimitReached, .. }))));
    bench.check();
}

#[test]
fn calls_of_a_remote_that_are_not_ours_to_run_stay_requests() {
    let mut bench = Bench::of_a_remote();
    bench.reply_with_calls(&[("a", "{}")]);
    bench.check();
    assert_eq!(bench.outcomes(), [("a".into(), Outcome::Requested)]);
    assert_eq!(bench.end(), Some(&TurnEnd::Completed));
}

/// One reply whose last message stops so, after these calls; `false` ones never became ready.
fn reply_that_stops(bench: &mut Bench, stop: Stop, calls: &[(&str, &str, bool)]) {
    bench.model(AgentEvent::MessageStarted { message: "m1".into(), role: Role::Assistant, parent: None });
    for (id, args, is_ready) in calls {
        bench.model(started(id));
        bench.model(AgentEvent::ToolArgsDelta { call: (*id).into(), json: (*args).to_owned() });
        if *is_ready {
            bench.model(ready(id, args));
        }
    }
    bench.model(AgentEvent::MessageFinished { message: "m1".into(), stop, full: None, carry: None });
    bench.reply_over(TurnEnd::Completed);
}

fn outputs(bench: &Bench) -> Vec<String> {
    let output = |event: &AgentEvent| match event {
        AgentEvent::ToolCallFinished { output, .. } => Some(output.text.clone()),
        _ => None,
    };
    bench.events.iter().filter_map(output).collect()
}

#[test]
fn a_call_that_the_output_limit_cut_off_is_not_run_and_the_model_is_told_why() {
    for is_ready in [true, false] {
        let mut bench = Bench::begin();
        reply_that_stops(&mut bench, Stop::Length, &[("a", r#"{"text":"half a sen"#, is_ready)]);
        assert_eq!(bench.outcomes(), [("a".to_owned(), Outcome::Failed)]);
        let told = &outputs(&bench)[0];
        assert!(told.contains("output limit") && told.contains("19 characters") && told.contains("less"), "{told}");
        assert!(
            bench.events.iter().any(|event| matches!(event, AgentEvent::ToolCallReady { .. })),
            "it is in the past"
        );
        assert_eq!(bench.other.last(), Some(&Step::AskModel { round: 2 }), "the model may try again");
        bench.reply_with_text("shorter");
        bench.check();
    }
}

#[test]
fn a_whole_call_in_an_answer_that_was_cut_off_is_run() {
    let mut bench = Bench::begin();
    let calls = [("a", r#"{"n":12}"#, true), ("b", "", true), ("c", r#"{"n":1"#, true)];
    reply_that_stops(&mut bench, Stop::Length, &calls);
    let judged =
        |call: &str| bench.other.iter().any(|step| matches!(step, Step::Judge { call: it, .. } if *it == call.into()));
    assert!(judged("a") && judged("b") && !judged("c"));
    assert_eq!(bench.outcomes(), [("c".to_owned(), Outcome::Failed)]);
}

#[test]
fn the_last_call_of_an_answer_that_was_cut_off_may_have_lost_all_of_its_arguments() {
    for args in ["", "{}", "12"] {
        let mut bench = Bench::begin();
        reply_that_stops(&mut bench, Stop::Length, &[("a", args, true)]);
        assert_eq!(bench.outcomes(), [("a".to_owned(), Outcome::Failed)], "{args:?}");
    }
    let mut bench = Bench::begin();
    reply_that_stops(&mut bench, Stop::ToolCalls, &[("a", "", true)]);
    assert_eq!(bench.outcomes(), [], "a call without arguments is one");
}

#[test]
fn a_model_whose_calls_never_fit_is_not_asked_for_ever() {
    let mut bench = Bench::begin();
    for _ in 0..3 {
        assert!(!bench.machine.is_over());
        reply_that_stops(&mut bench, Stop::Length, &[("a", r#"{"text":"ha"#, true)]);
    }
    assert!(matches!(bench.end(), Some(TurnEnd::Failed(fault)) if fault.kind == FaultKind::LimitReached));
    bench.check();
}

#[test]
fn a_call_that_fits_between_two_that_do_not_begins_the_count_anew() {
    let mut bench = Bench::begin();
    for round in 0..3 {
        reply_that_stops(&mut bench, Stop::Length, &[("a", r#"{"text":"ha"#, true)]);
        let id = format!("fits{round}");
        reply_that_stops(&mut bench, Stop::ToolCalls, &[(&id, &format!("{{\"n\":{round}}}"), true)]);
        let judged = bench.other.iter().rev().find_map(|step| match step {
            Step::Judge { call, .. } => Some(call.clone()),
            _ => None,
        });
        let call = judged.unwrap();
        bench.judge(call.as_str(), Verdict::Allow);
        bench.done(call.as_str(), Outcome::Ok);
    }
    assert!(!bench.machine.is_over(), "{:?}", bench.end());
}

#[test]
fn calls_of_an_answer_that_was_declined_are_not_run() {
    let mut bench = Bench::begin();
    reply_that_stops(&mut bench, Stop::Refused, &[("a", r#"{"n":1}"#, true), ("b", r#"{"n"#, false)]);
    assert_eq!(bench.outcomes(), [("a".to_owned(), Outcome::Cancelled), ("b".to_owned(), Outcome::Cancelled)]);
    assert_eq!(bench.end(), Some(&TurnEnd::Completed));
    bench.check();
}

#[test]
fn a_half_call_that_another_was_to_run_was_cut_off() {
    let mut bench = Bench::of_a_remote();
    reply_that_stops(&mut bench, Stop::Length, &[("a", r#"{"n":1}"#, true), ("b", r#"{"n"#, true)]);
    assert_eq!(bench.outcomes(), [("b".to_owned(), Outcome::Failed), ("a".to_owned(), Outcome::Requested)]);
    bench.check();
}
