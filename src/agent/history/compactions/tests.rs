mod branches;

use std::collections::HashSet;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::agent::history::{FittedHistory, ReadLog, token_estimate};
use crate::event::{AgentEvent, CallOutcome, CompactionTrigger, Envelope, FinishReason, Millis, Seq, TurnOutcome};
use crate::testkit::events::{
    Opened, call_finished, call_ready, call_started, message_finished, message_started, text_delta, turn_finished,
    turn_started, user_message,
};

const LIMITS: CompactionLimits = CompactionLimits { keep: 40, read: 1_000 };

#[derive(Clone, Debug)]
enum SessionStep {
    /// A prompt of so many words, an answer with calls; of each whether its result comes.
    Turn {
        words: usize,
        results: Vec<bool>,
        outcome: TurnOutcome,
    },
    Compact {
        keep: u64,
        asked: bool,
        has_summary: bool,
    },
    /// The n-th compaction from the last, if it counts.
    Undo(usize),
    SwitchModel(bool),
}

fn step() -> impl Strategy<Value = SessionStep> {
    let outcome = prop_oneof![
        4 => Just(TurnOutcome::Completed),
        1 => Just(TurnOutcome::Cancelled),
        1 => Just(TurnOutcome::Interrupted),
    ];
    prop_oneof![
        6 => (0_usize..60, prop::collection::vec(any::<bool>(), 0..4), outcome)
            .prop_map(|(words, results, outcome)| SessionStep::Turn { words, results, outcome }),
        3 => (0_u64..200, any::<bool>(), any::<bool>())
            .prop_map(|(keep, asked, has_summary)| SessionStep::Compact { keep, asked, has_summary }),
        2 => (0_usize..3).prop_map(SessionStep::Undo),
        1 => any::<bool>().prop_map(SessionStep::SwitchModel),
    ]
}

/// A session that runs, what was logged of it, and what is expected.
#[derive(Default)]
struct Session {
    history: History,
    log: Vec<Envelope>,
    turns: usize,
    /// How many turns each compaction that counts covers.
    covered: Vec<(usize, TurnId)>,
    /// Every compaction so far.
    made: Vec<TurnId>,
}

impl Session {
    fn observe(&mut self, event: AgentEvent) {
        self.history.observe(&event);
        let seq = Seq(self.log.len() as u64 + 1);
        self.log.push(Envelope { seq, at: Millis(0), event });
    }

    fn take(&mut self, step: SessionStep) {
        match step {
            SessionStep::Turn { words, results, outcome } => self.run_turn(words, &results, outcome),
            SessionStep::Compact { keep, asked, has_summary } => {
                let limits = CompactionLimits { keep, ..LIMITS };
                let Some(plan) = self.history.plan_compaction(limits, asked) else { return };
                let covered = plan.turns as usize;
                assert!(covered > self.covered.last().map_or(0, |(covered, _)| *covered), "it covers more than before");
                assert_eq!(plan.through, turn_id(covered));
                self.covered.push((covered, plan.through.clone()));
                self.made.push(plan.through.clone());
                self.observe(AgentEvent::Compacted(Box::new(Compaction {
                    through: plan.through,
                    turns: plan.turns,
                    unread_turns: 0,
                    summary: has_summary.then(|| format!("the first {covered}")),
                    cut_reason: None,
                    tokens_before: plan.tokens_before,
                    tokens_after: plan.tokens_kept,
                    trigger: CompactionTrigger::Person,
                })));
            }
            SessionStep::Undo(nth) => {
                let Some(through) = self.made.iter().rev().nth(nth).cloned() else { return };
                if let Some(first) = self.covered.iter().position(|(_, known)| *known == through) {
                    self.covered.truncate(first);
                }
                self.observe(AgentEvent::CompactionUndone { through });
            }
            SessionStep::SwitchModel(first) => {
                let model = if first { "m1" } else { "m2" };
                self.observe(Opened { model, ..Opened::default() }.event());
            }
        }
    }

    fn run_turn(&mut self, words: usize, results: &[bool], outcome: TurnOutcome) {
        self.turns += 1;
        let id = format!("t{}", self.turns);
        self.observe(turn_started(&id));
        self.observe(user_message(&format!("u{id}"), &format!("{} {}", self.turns, "word ".repeat(words))));
        self.observe(message_started(&format!("m{id}")));
        self.observe(text_delta(&format!("m{id}"), "answer"));
        for (nth, has_result) in results.iter().enumerate() {
            let call = format!("c{id}-{nth}");
            self.observe(call_started(&call, &format!("m{id}"), Some("run")));
            self.observe(call_ready(&call, "run", "{}"));
            if *has_result {
                self.observe(call_finished(&call, CallOutcome::Ok, &"output ".repeat(words)));
            }
        }
        self.observe(message_finished(&format!("m{id}"), FinishReason::End));
        self.observe(turn_finished(&id, outcome));
    }

    /// What the agent of the next run has, with what a request of this budget needs read back.
    fn resumed(&self, budget: u64) -> History {
        let mut history = History::new();
        self.log.iter().for_each(|logged| history.observe_logged(logged));
        let log = self.log.clone();
        let read: ReadLog = Arc::new(move |from, through, tell| {
            log.iter().filter(|logged| (from..=through).contains(&logged.seq)).for_each(tell);
            Ok(())
        });
        if let Some(turns) = history.unread_turns(budget) {
            history.restore(turns.read(&read).unwrap());
        }
        history
    }
}

fn turn_id(number: usize) -> TurnId {
    TurnId::new(format!("t{number}"))
}

/// Fails unless every result has its call before it, and every call its result.
fn check_pairing(messages: &[HistoryMessage]) {
    let (mut open, mut known) = (HashSet::new(), HashSet::new());
    for entry in messages {
        match entry {
            HistoryMessage::Assistant { calls, .. } => {
                for call in calls {
                    assert!(known.insert(call.call.clone()), "{} is there twice", call.call);
                    open.insert(call.call.clone());
                }
            }
            HistoryMessage::Tool { call, .. } => assert!(open.remove(call), "{call} has a result without a call"),
            HistoryMessage::User { .. } => {}
        }
    }
    assert!(open.is_empty(), "{open:?} have no result");
}

fn prompt_numbers(messages: &[HistoryMessage]) -> Vec<usize> {
    let number = |entry: &HistoryMessage| match entry {
        HistoryMessage::User { text, .. } => text.split(' ').next()?.parse().ok(),
        _ => None,
    };
    messages.iter().filter_map(number).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_was_summed_up_or_undone_a_request_is_whole_in_order_and_fits(
        steps in prop::collection::vec(step(), 1..14),
        budget in 20_u64..400,
    ) {
        let mut session = Session::default();
        for step in steps {
            session.take(step);
            let covered = session.covered.last().map_or(0, |(covered, _)| *covered);
            let unlimited = session.history.fit_to_window(u64::MAX);
            check_pairing(&unlimited.messages);
            prop_assert_eq!(unlimited.dropped_turns, 0);
            prop_assert_eq!(prompt_numbers(&unlimited.messages), (covered + 1..=session.turns).collect::<Vec<_>>());
            let fitted = session.history.fit_to_window(budget);
            check_pairing(&fitted.messages);
            let numbers = prompt_numbers(&fitted.messages);
            let first = covered + 1 + fitted.dropped_turns;
            prop_assert_eq!(&numbers, &(first..=session.turns).collect::<Vec<_>>());
            let tokens: u64 = fitted.messages.iter().map(token_estimate).sum();
            prop_assert!(tokens <= budget || numbers.len() <= 1, "{} tokens of {}", tokens, budget);
            let FittedHistory { messages, .. } = session.resumed(budget).fit_to_window(budget);
            prop_assert_eq!(messages, fitted.messages);
        }
    }
}

fn session_of(words: &[usize]) -> Session {
    let mut session = Session::default();
    for words in words {
        session.run_turn(*words, &[], TurnOutcome::Completed);
    }
    session
}

#[test]
fn a_plan_keeps_the_newest_turns_and_reads_as_many_of_the_others_as_it_may() {
    let session = session_of(&[40, 40, 40, 10, 10]);
    let plan = |limits, asked| {
        let plan = session.history.plan_compaction(limits, asked)?;
        Some((plan.turns, plan.unread_turns, plan.source.turns.len()))
    };
    let limits = |keep, read| CompactionLimits { keep, read };
    assert_eq!(plan(limits(60, 1_000), false), Some((3, 0, 3)));
    assert_eq!(plan(limits(60, 150), false), Some((3, 1, 2)));
    assert_eq!(plan(limits(60, 0), false), Some((3, 2, 1)), "one is always read");
    assert_eq!(plan(limits(1_000, 1_000), false), None, "everything may stay");
    assert_eq!(plan(limits(1_000, 1_000), true), Some((4, 0, 4)), "who asks gets it but for the last");
    let one = session_of(&[40]);
    assert_eq!(one.history.plan_compaction(limits(1_000, 1_000), true).unwrap().turns, 1);
    assert!(History::new().plan_compaction(limits(0, 0), true).is_none());
}

#[test]
fn the_source_has_turns_that_are_only_in_the_log_and_the_summary_before() {
    let mut session = session_of(&[1, 1, 1, 1]);
    session.take(SessionStep::Compact { keep: 45, asked: false, has_summary: true });
    let covered = session.covered[0].0;
    session.run_turn(1, &[], TurnOutcome::Completed);
    let log = session.log.clone();
    let read: ReadLog = Arc::new(move |from, through, tell| {
        log.iter().filter(|logged| (from..=through).contains(&logged.seq)).for_each(tell);
        Ok(())
    });
    let mut history = History::new();
    session.log.iter().for_each(|logged| history.observe_logged(logged));
    let plan = history.plan_compaction(CompactionLimits { keep: 0, read: 1_000 }, false).unwrap();
    let SummarySource { summary, logged, turns } = plan.source;
    assert_eq!(summary, Some(format!("the first {covered}")));
    let mut all = logged.unwrap().read_messages(&read).unwrap();
    all.extend(turns);
    let numbers: Vec<usize> = all.iter().flat_map(|turn| prompt_numbers(turn)).collect();
    assert_eq!(numbers, (covered + 1..=5).collect::<Vec<_>>());
}
