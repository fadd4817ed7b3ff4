//! The turn machine as a specification: no IO, no clock, no async.

mod held_calls;
mod server_calls;
mod steering;
mod tool_events;
mod truncated_calls;
mod waiting_calls;

use super::*;
use crate::event::{ExecutedBy, FinishReason, ReplyTarget, Role, TextKind, grammar};
use crate::testkit::events::{
    call_ready, call_started, message_started, opened, shell_approval, text_delta, turn_finished, user_message,
};

struct TurnRig {
    machine: TurnMachine,
    names: IdAllocator,
    events: Vec<AgentEvent>,
    other: Vec<TurnEffect>,
}

impl TurnRig {
    fn begin() -> Self {
        Self::with_rounds(10)
    }

    fn with_rounds(max_rounds: u32) -> Self {
        let mut names = IdAllocator::default();
        let (machine, steps) =
            TurnMachine::begin(&mut names, Some(("hi", Vec::new())), TurnLimits { max_rounds, max_calls: None }, true);
        let mut bench = Self { machine, names, events: vec![opened()], other: Vec::new() };
        bench.take(steps);
        bench
    }

    fn remote() -> Self {
        let mut bench = Self::begin();
        bench.machine.runs_tools = false;
        bench
    }

    fn take(&mut self, steps: Vec<TurnEffect>) {
        for step in steps {
            match step {
                TurnEffect::Emit(event) => self.events.push(event),
                other => self.other.push(other),
            }
        }
    }

    fn handle(&mut self, input: TurnInput) {
        let steps = self.machine.handle(input, &mut self.names);
        self.take(steps);
    }

    fn model(&mut self, event: ReplyEvent) {
        self.handle(TurnInput::Reply(event));
    }

    /// Feeds a response with these calls.
    fn respond_with_calls(&mut self, calls: &[(&str, &str)]) {
        self.model(ReplyEvent::MessageStarted { message: "m1".into(), role: Role::Assistant, parent: None });
        for (id, args) in calls {
            self.model(started(id));
            self.model(ready(id, args));
        }
        self.model(ReplyEvent::MessageFinished {
            message: "m1".into(),
            finish_reason: FinishReason::ToolCalls,
            full_text: None,
            provider_metadata: None,
        });
        self.finish_response(TurnOutcome::Completed);
    }

    fn respond_with_text(&mut self, text: &str) {
        self.model(ReplyEvent::MessageStarted { message: "m1".into(), role: Role::Assistant, parent: None });
        self.model(ReplyEvent::TextDelta { message: "m1".into(), text: text.into(), kind: TextKind::Text });
        self.model(ReplyEvent::MessageFinished {
            message: "m1".into(),
            finish_reason: FinishReason::End,
            full_text: None,
            provider_metadata: None,
        });
        self.finish_response(TurnOutcome::Completed);
    }

    fn finish_response(&mut self, end: TurnOutcome) {
        self.model(ReplyEvent::End { outcome: end });
    }

    fn judge(&mut self, call: &str, verdict: ApprovalVerdict) {
        self.handle(TurnInput::Judged { call: call.into(), judgment: Ok((request(), verdict)) });
    }

    fn done(&mut self, call: &str, outcome: CallOutcome) {
        self.handle(TurnInput::Done {
            call: call.into(),
            outcome,
            output: CallOutput::from_text("out"),
            duration: Millis(5),
        });
    }

    fn outcomes(&self) -> Vec<(String, CallOutcome)> {
        self.events
            .iter()
            .filter_map(|event| match event {
                AgentEvent::ToolCallFinished { call, outcome, .. } => Some((call.to_string(), *outcome)),
                _ => None,
            })
            .collect()
    }

    fn end(&self) -> Option<&TurnOutcome> {
        self.events.iter().find_map(|event| match event {
            AgentEvent::TurnFinished { outcome: end, .. } => Some(end),
            _ => None,
        })
    }

    /// Checks that the turn is over and every event was legal.
    fn check(&self) {
        assert!(self.machine.is_finished());
        assert_eq!(grammar::check(&self.events), [], "{:#?}", self.events);
    }
}

fn request() -> ApprovalRequest {
    shell_approval("ls")
}

fn started(id: &str) -> ReplyEvent {
    ReplyEvent::ToolCallStarted {
        call: id.into(),
        message: "m1".into(),
        name: Some("shell".into()),
        parent: None,
        executed_by: ExecutedBy::Client,
    }
}

fn ready(id: &str, args: &str) -> ReplyEvent {
    ReplyEvent::ToolCallReady { call: id.into(), name: "shell".into(), args: args.into(), provider_metadata: None }
}

#[test]
fn an_answer_without_calls_ends_the_turn() {
    let mut bench = TurnRig::begin();
    bench.respond_with_text("hello");
    bench.check();
    assert_eq!(bench.end(), Some(&TurnOutcome::Completed));
    assert_eq!(bench.other, [TurnEffect::RequestModel { round: 1 }, TurnEffect::Finished]);
}

#[test]
fn parallel_calls_are_all_over_before_the_model_is_asked_again() {
    let mut bench = TurnRig::begin();
    bench.respond_with_calls(&[("a", "{}"), ("b", "{\"x\":1}")]);
    bench.judge("a", ApprovalVerdict::Allow);
    bench.judge("b", ApprovalVerdict::Allow);
    let running =
        |event: &&AgentEvent| matches!(event, AgentEvent::Annotation { annotation: Annotation::Running {}, .. });
    assert_eq!(bench.events.iter().filter(running).count(), 2, "nobody was asked, so nobody else says that they run");
    bench.done("b", CallOutcome::Ok);
    assert!(!bench.other.contains(&TurnEffect::RequestModel { round: 2 }));
    bench.done("a", CallOutcome::Failed);
    assert!(bench.other.contains(&TurnEffect::RequestModel { round: 2 }));
    bench.respond_with_text("done");
    bench.check();
    assert_eq!(bench.outcomes(), [("b".into(), CallOutcome::Ok), ("a".into(), CallOutcome::Failed)]);
}

#[test]
fn nothing_runs_before_the_reply_is_over() {
    let mut bench = TurnRig::begin();
    bench.model(ReplyEvent::MessageStarted { message: "m1".into(), role: Role::Assistant, parent: None });
    bench.model(started("a"));
    bench.model(ready("a", "{}"));
    assert_eq!(bench.other, [TurnEffect::RequestModel { round: 1 }]);
    bench.finish_response(TurnOutcome::Interrupted);
    bench.check();
    assert_eq!(bench.outcomes(), [("a".into(), CallOutcome::Requested)]);
    assert_eq!(bench.end(), Some(&TurnOutcome::Interrupted));
}

#[test]
fn arguments_that_are_no_json_object_fail_and_the_model_is_told() {
    let mut bench = TurnRig::begin();
    bench.respond_with_calls(&[("a", "{oops"), ("b", "[1]")]);
    assert_eq!(bench.outcomes(), [("a".into(), CallOutcome::Failed), ("b".into(), CallOutcome::Failed)]);
    assert!(bench.other.contains(&TurnEffect::RequestModel { round: 2 }));
}

#[test]
fn an_empty_argument_text_means_no_arguments() {
    let mut bench = TurnRig::begin();
    bench.respond_with_calls(&[("a", "")]);
    assert!(bench.other.contains(&TurnEffect::Judge {
        call: "a".into(),
        name: "shell".into(),
        args: serde_json::json!({})
    }));
}

#[test]
fn the_same_call_is_refused_after_three_times() {
    let mut bench = TurnRig::begin();
    for round in 0..MAX_IDENTICAL_CALLS {
        bench.respond_with_calls(&[("a", "{}")]);
        let id = if round == 0 { "a".to_owned() } else { format!("a_{}", round + 1) };
        bench.judge(&id, ApprovalVerdict::Allow);
        bench.done(&id, CallOutcome::Ok);
    }
    bench.respond_with_calls(&[("a", "{}")]);
    assert_eq!(bench.outcomes().last().unwrap().1, CallOutcome::Failed);
}

#[test]
fn rounds_are_capped() {
    let mut bench = TurnRig::with_rounds(1);
    bench.respond_with_calls(&[("a", "{}")]);
    bench.judge("a", ApprovalVerdict::Allow);
    bench.done("a", CallOutcome::Ok);
    bench.check();
    assert!(matches!(bench.end(), Some(TurnOutcome::Failed(fault)) if fault.kind == FaultKind::LimitReached));
}

#[test]
fn calls_are_capped_and_the_model_is_told() {
    let mut bench = TurnRig::with_rounds(9);
    bench.machine.limits.max_calls = Some(2);
    bench.respond_with_calls(&[("a", "{}")]);
    bench.judge("a", ApprovalVerdict::Allow);
    bench.done("a", CallOutcome::Ok);
    bench.respond_with_calls(&[("b", "{\"n\":1}"), ("c", "{\"n\":2}")]);
    bench.judge("b", ApprovalVerdict::Allow);
    bench.done("b", CallOutcome::Ok);
    bench.respond_with_text("that is all");
    bench.check();
    let outcomes: Vec<CallOutcome> = bench.outcomes().into_iter().map(|(_, outcome)| outcome).collect();
    assert_eq!(outcomes, [CallOutcome::Ok, CallOutcome::Denied, CallOutcome::Ok]);
    assert_eq!((bench.end(), bench.machine.round()), (Some(&TurnOutcome::Completed), 3));
}

#[test]
fn the_first_answer_to_an_ask_wins() {
    let mut bench = TurnRig::begin();
    bench.respond_with_calls(&[("a", "{}")]);
    bench.judge("a", ApprovalVerdict::Ask);
    let deny = Decision::Deny(Some("not now".into()));
    bench.handle(TurnInput::Decided { call: "a".into(), decision: deny, by: DecidedBy::Person });
    bench.handle(TurnInput::Decided { call: "a".into(), decision: Decision::Once, by: DecidedBy::Remote });
    bench.respond_with_text("fine");
    bench.check();
    assert_eq!(bench.outcomes(), [("a".into(), CallOutcome::Denied)]);
    let resolved = bench.events.iter().filter(|event| matches!(event, AgentEvent::ApprovalResolved { .. })).count();
    assert_eq!(resolved, 1);
    assert!(!bench.other.iter().any(|step| matches!(step, TurnEffect::RunTool { .. })));
}

#[test]
fn cancelling_an_answer_drops_the_model_and_closes_the_message() {
    let mut bench = TurnRig::begin();
    bench.model(ReplyEvent::MessageStarted { message: "m1".into(), role: Role::Assistant, parent: None });
    bench.model(started("a"));
    bench.handle(TurnInput::Cancel);
    bench.check();
    assert!(bench.other.contains(&TurnEffect::DropResponse));
    assert_eq!(bench.outcomes(), [("a".into(), CallOutcome::Cancelled)]);
    assert_eq!(bench.end(), Some(&TurnOutcome::Cancelled));
}

#[test]
fn an_interrupted_tool_still_reports_its_outcome() {
    let mut bench = TurnRig::begin();
    bench.respond_with_calls(&[("a", "{}"), ("b", "{\"x\":1}")]);
    bench.judge("a", ApprovalVerdict::Allow);
    bench.judge("b", ApprovalVerdict::Ask);
    bench.handle(TurnInput::Cancel);
    assert!(!bench.machine.is_finished(), "the running tool has not answered yet");
    assert!(bench.other.contains(&TurnEffect::StopTools));
    bench.done("a", CallOutcome::Cancelled);
    bench.check();
    assert_eq!(bench.outcomes(), [("b".into(), CallOutcome::Cancelled), ("a".into(), CallOutcome::Cancelled)]);
}

#[test]
fn a_second_cancel_does_not_wait_for_tools() {
    let mut bench = TurnRig::begin();
    bench.respond_with_calls(&[("a", "{}")]);
    bench.judge("a", ApprovalVerdict::Allow);
    bench.handle(TurnInput::Cancel);
    bench.handle(TurnInput::Cancel);
    bench.check();
    assert_eq!(bench.end(), Some(&TurnOutcome::Cancelled));
}

#[test]
fn a_fault_ends_the_turn_as_it_is() {
    let mut bench = TurnRig::begin();
    let fault = Fault::new(FaultKind::ContextTooLong, "8192 tokens");
    bench.finish_response(TurnOutcome::Failed(fault.clone()));
    bench.check();
    assert_eq!(bench.end(), Some(&TurnOutcome::Failed(fault)));
}

#[test]
fn a_silent_model_is_noticed_once() {
    let notice = ReplyEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::EmptyAnswer, text: "nothing".into() };
    for notice in [None, Some(notice)] {
        let mut bench = TurnRig::begin();
        if let Some(notice) = notice {
            bench.model(notice);
        }
        bench.finish_response(TurnOutcome::Completed);
        bench.check();
        let is_notice = |event: &&AgentEvent| matches!(event, AgentEvent::Notice { code: NoticeCode::EmptyAnswer, .. });
        assert_eq!(bench.events.iter().filter(is_notice).count(), 1);
    }
}

#[test]
fn what_the_server_ran_is_passed_on_and_not_run_again() {
    let mut bench = TurnRig::remote();
    bench.model(ReplyEvent::MessageStarted { message: "m1".into(), role: Role::Assistant, parent: None });
    bench.model(ReplyEvent::ToolCallStarted {
        call: "a".into(),
        message: "m1".into(),
        name: Some("search".into()),
        parent: None,
        executed_by: ExecutedBy::Server,
    });
    bench.model(ready("a", "{}"));
    for outcome in [CallOutcome::Unknown, CallOutcome::Ok] {
        bench.model(ReplyEvent::ToolCallFinished {
            call: "a".into(),
            outcome,
            output: CallOutput::from_text("found"),
            duration: None,
        });
    }
    bench.model(ReplyEvent::MessageFinished {
        message: "m1".into(),
        finish_reason: FinishReason::End,
        full_text: None,
        provider_metadata: None,
    });
    bench.finish_response(TurnOutcome::Completed);
    bench.check();
    assert_eq!(bench.outcomes().last(), Some(&("a".into(), CallOutcome::Ok)));
    assert_eq!(bench.other, [TurnEffect::RequestModel { round: 1 }, TurnEffect::Finished]);
}

#[test]
fn a_reply_that_the_server_paused_is_given_back_until_the_rounds_are_used_up() {
    let mut bench = TurnRig::with_rounds(2);
    let paused = || ReplyEvent::Annotation { on: ReplyTarget::Message("m1".into()), annotation: Annotation::Paused {} };
    bench.other.clear();
    bench.model(paused());
    bench.respond_with_text("looking");
    assert_eq!(bench.other, [TurnEffect::RequestModel { round: 2 }]);
    assert_eq!(bench.end(), None);
    let mut other = TurnRig::with_rounds(2);
    other.model(paused());
    other.respond_with_text("looking");
    other.respond_with_text("found");
    assert_eq!(other.end(), Some(&TurnOutcome::Completed));
    bench.model(paused());
    bench.respond_with_text("looking");
    assert!(matches!(bench.end(), Some(TurnOutcome::Failed(Fault { kind: FaultKind::LimitReached, .. }))));
    bench.check();
}

#[test]
fn calls_of_a_remote_that_are_not_ours_to_run_stay_requests() {
    let mut bench = TurnRig::remote();
    bench.respond_with_calls(&[("a", "{}")]);
    bench.check();
    assert_eq!(bench.outcomes(), [("a".into(), CallOutcome::Requested)]);
    assert_eq!(bench.end(), Some(&TurnOutcome::Completed));
}

#[test]
fn a_paused_reply_that_requests_calls_of_others_is_not_given_back() {
    let mut bench = TurnRig::remote();
    bench.model(ReplyEvent::Annotation { on: ReplyTarget::Reply, annotation: Annotation::Paused {} });
    bench.respond_with_calls(&[("a", "{}")]);
    bench.check();
    assert_eq!(bench.outcomes(), [("a".into(), CallOutcome::Requested)]);
    assert_eq!(bench.end(), Some(&TurnOutcome::Completed));
}

fn decide(bench: &mut TurnRig, call: &str, decision: Decision) {
    bench.handle(TurnInput::Decided { call: call.into(), decision, by: DecidedBy::Person });
}

#[test]
fn a_question_in_place_of_an_answer_is_no_empty_response() {
    for (code, told) in [(NoticeCode::InputRequired, 0), (NoticeCode::Retry, 1)] {
        let mut bench = TurnRig::remote();
        bench.model(ReplyEvent::Notice { level: NoticeLevel::Warn, code, text: "Which city?".into() });
        bench.finish_response(TurnOutcome::Completed);
        bench.check();
        let is_empty = |event: &&AgentEvent| matches!(event, AgentEvent::Notice { code: NoticeCode::EmptyAnswer, .. });
        assert_eq!(bench.events.iter().filter(is_empty).count(), told);
    }
}
