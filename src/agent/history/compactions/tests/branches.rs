//! Compactions in a session that goes back and forth: at every place the model is sent what it was sent there.

use std::sync::Arc;

use proptest::prelude::*;

use super::{LIMITS, Session, check_pairing};
use crate::agent::history::compactions::CompactionLimits;
use crate::agent::history::{History, HistoryMessage, ReadLog};
use crate::event::branches::{BranchPath, Branches};
use crate::event::grammar::Sealer;
use crate::event::{AgentEvent, Compaction, CompactionTrigger, Envelope, Millis, Seq, TurnId, TurnOutcome};

#[derive(Clone, Debug)]
enum PersonStep {
    Turn {
        words: usize,
        results: Vec<bool>,
    },
    Compact {
        keep: u64,
        has_summary: bool,
    },
    /// The compaction that counts.
    Undo,
    /// Goes on after one of the places so far, counted from the end.
    Branch(usize),
}

fn step() -> impl Strategy<Value = PersonStep> {
    prop_oneof![
        5 => (0_usize..40, prop::collection::vec(any::<bool>(), 0..3))
            .prop_map(|(words, results)| PersonStep::Turn { words, results }),
        3 => (0_u64..120, any::<bool>()).prop_map(|(keep, has_summary)| PersonStep::Compact { keep, has_summary }),
        1 => Just(PersonStep::Undo),
        3 => (0_usize..30).prop_map(PersonStep::Branch),
    ]
}

/// What the model would be sent there.
#[derive(Clone, Debug, PartialEq)]
struct KnownPast {
    messages: Vec<HistoryMessage>,
    compaction: Option<TurnId>,
}

impl KnownPast {
    fn of(history: &History) -> Self {
        Self { messages: history.fit_to_window(u64::MAX).messages, compaction: history.last_compaction().cloned() }
    }
}

fn branches_of(log: &[Envelope]) -> Branches {
    let mut branches = Branches::default();
    for logged in log {
        branches.observe(logged.seq, logged.at, &logged.event);
    }
    branches
}

/// Reads a history along a path, as a session does that is resumed or goes back.
fn read_along(log: &[Envelope], path: BranchPath) -> History {
    let mut history = History::on_path(path);
    for logged in log {
        history.observe_logged(logged);
    }
    read_back(&mut history, log);
    history
}

/// Reads back what a request has room for, as is done before each.
fn read_back(history: &mut History, log: &[Envelope]) {
    let all = log.to_vec();
    let read: ReadLog = Arc::new(move |from, through, tell| {
        all.iter().filter(|logged| (from..=through).contains(&logged.seq)).for_each(tell);
        Ok(())
    });
    if let Some(turns) = history.unread_turns(u64::MAX) {
        history.restore(turns.read(&read).unwrap());
    }
}

fn compact(session: &mut Session, keep: u64, has_summary: bool) {
    let Some(plan) = session.history.plan_compaction(CompactionLimits { keep, ..LIMITS }, true) else { return };
    session.observe(AgentEvent::Compacted(Box::new(Compaction {
        summary: has_summary.then(|| format!("summary {}", session.log.len())),
        through: plan.through,
        turns: plan.turns,
        unread_turns: 0,
        cut_reason: None,
        tokens_before: plan.tokens_before,
        tokens_after: plan.tokens_kept,
        trigger: CompactionTrigger::Person,
    })));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_place_is_reachable_again_as_it_was_whatever_was_summed_up_on_which_branch(
        steps in prop::collection::vec(step(), 1..16),
        cut in 0_usize..200,
    ) {
        let mut session = Session::default();
        let mut places = vec![(Seq(0), KnownPast::of(&session.history))];
        for step in steps {
            match step {
                PersonStep::Turn { words, results } => session.run_turn(words, &results, TurnOutcome::Completed),
                PersonStep::Compact { keep, has_summary } => compact(&mut session, keep, has_summary),
                PersonStep::Undo => {
                    let Some(through) = session.history.last_compaction().cloned() else { continue };
                    session.observe(AgentEvent::CompactionUndone { through });
                }
                PersonStep::Branch(back) => {
                    let after = places[places.len() - 1 - back % places.len()].0;
                    session.observe(AgentEvent::BranchStarted { after });
                    let path = branches_of(&session.log).path_to(after);
                    session.history = read_along(&session.log, path);
                }
            }
            read_back(&mut session.history, &session.log);
            let here = KnownPast::of(&session.history);
            check_pairing(&here.messages);
            let resumed = read_along(&session.log, branches_of(&session.log).active_path());
            prop_assert_eq!(&KnownPast::of(&resumed), &here, "a resumed session has what the running one has");
            places.push((Seq(session.log.len() as u64), here));
        }
        let branches = branches_of(&session.log);
        for (seq, place) in &places {
            let again = read_along(&session.log, branches.path_to(*seq));
            prop_assert_eq!(&KnownPast::of(&again), place, "back at {}", seq.0);
        }
        // Killed anywhere: what is left is a session with numbers that are unbroken and calls that have their results.
        let mut killed = session.log[..cut.min(session.log.len())].to_vec();
        let mut sealer = Sealer::new();
        for logged in &killed {
            let _ = sealer.observe(&logged.event);
        }
        for event in sealer.seal(TurnOutcome::Interrupted) {
            killed.push(Envelope { seq: Seq(killed.len() as u64 + 1), at: Millis(0), event });
        }
        let left = read_along(&killed, branches_of(&killed).active_path());
        check_pairing(&left.fit_to_window(u64::MAX).messages);
        prop_assert!(killed.iter().zip(1..).all(|(logged, seq)| logged.seq == Seq(seq)));
    }
}
