use proptest::prelude::*;

use super::*;
use crate::event::{Annotation, AnnotationTarget, TurnOutcome};
use crate::testkit::branching::{BranchingSession, BranchingStep, steps};
use crate::testkit::events::{opened, turn_finished, turn_started, user_message};

fn folded(log: &[AgentEvent]) -> Branches {
    let mut branches = Branches::default();
    for (seq, event) in (1..).zip(log) {
        branches.observe(Seq(seq), Millis(seq), event);
    }
    branches
}

fn prompts_of(branches: &Branches, turn: Option<usize>) -> Vec<String> {
    let mut prompts: Vec<_> = branches.line_of(turn).map(|index| branches.turns()[index].prompt.clone()).collect();
    prompts.reverse();
    prompts
}

proptest! {
    #[test]
    fn every_state_of_a_session_is_reachable_again(steps in steps()) {
        let model = BranchingSession::of(&steps);
        let branches = folded(&model.log);
        for (after, conversation) in &model.states {
            prop_assert!(branches.is_boundary(*after));
            prop_assert_eq!(&model.prompts_on(&branches.path_to(*after)), conversation);
            prop_assert_eq!(&prompts_of(&branches, branches.turn_at(*after)), conversation);
        }
        prop_assert_eq!(&model.prompts_on(&branches.active_path()), &model.conversation);
        prop_assert_eq!(&prompts_of(&branches, branches.head()), &model.conversation);
        prop_assert_eq!(branches.redo_target(), model.left.last().map(|(seq, _)| *seq));
    }

    #[test]
    fn a_log_that_is_cut_anywhere_has_the_branches_it_had_then(steps in steps(), cut in 0_usize..400) {
        let model = BranchingSession::of(&steps);
        let cut = cut.min(model.log.len());
        let (mut short, whole) = (folded(&model.log[..cut]), folded(&model.log));
        for (after, conversation) in model.states.iter().filter(|(seq, _)| seq.0 <= cut as u64) {
            prop_assert_eq!(&model.prompts_on(&short.path_to(*after)), conversation);
        }
        for (seq, event) in (1..).zip(&model.log).skip(cut) {
            short.observe(Seq(seq), Millis(seq), event);
        }
        prop_assert_eq!(short, whole);
    }

    #[test]
    fn every_turn_is_on_the_line_of_a_tip_and_keeps_its_place(steps in steps()) {
        let model = BranchingSession::of(&steps);
        let branches = folded(&model.log);
        let mut reached: Vec<usize> = branches.tips().into_iter().flat_map(|tip| branches.line_of(Some(tip))).collect();
        reached.sort_unstable();
        reached.dedup();
        prop_assert_eq!(reached, (0..branches.turns().len()).collect::<Vec<_>>());
        for (index, turn) in branches.turns().iter().enumerate() {
            prop_assert_eq!(branches.turn_at(turn.last), Some(index));
            prop_assert_eq!(branches.turn_at(turn.before()), turn.parent);
            let others = branches.turns().iter().filter(|other| other.parent == turn.parent).count();
            prop_assert_eq!(branches.forks(index).map_or(1, <[usize]>::len), others);
            prop_assert!(branches.forks(index).is_none_or(|forks| forks.contains(&index)));
        }
    }

    #[test]
    fn starts_that_make_no_sense_harm_nothing(log in prop::collection::vec((0_u8..4, 0_u64..30), 0..30)) {
        let log: Vec<AgentEvent> = log
            .into_iter()
            .map(|(kind, n)| match kind {
                0 => AgentEvent::BranchStarted { after: Seq(n) },
                1 => turn_started("t"),
                2 => turn_finished("t", TurnOutcome::Completed),
                _ => user_message("m", "hi"),
            })
            .collect();
        let branches = folded(&log);
        for seq in 0..=log.len() as u64 {
            let path = branches.path_to(Seq(seq));
            prop_assert!(path.ranges().windows(2).all(|pair| pair[0].1 < pair[1].0));
            prop_assert_eq!(path.contains(Seq(seq)), seq > 0);
            branches.line_of(branches.turn_at(Seq(seq))).count();
        }
    }
}

#[test]
fn a_session_that_never_branches_is_one_path() {
    let model = BranchingSession::of(&[BranchingStep::Prompt(1), BranchingStep::Note, BranchingStep::Prompt(0)]);
    let branches = folded(&model.log);
    assert!(branches.active_path().is_everything());
    assert!(branches.starts().is_empty());
    assert_eq!(branches.tips(), [1]);
    let first = &branches.turns()[0];
    assert_eq!((first.first.0, first.last.0, first.calls), (2, 11, 1), "the note after it belongs to it");
}

#[test]
fn what_is_said_of_the_whole_session_counts_on_every_branch() {
    let mut starts = BranchStarts::default();
    starts.add(Seq(10), Seq(4));
    let path = starts.active_path();
    let title = AgentEvent::Annotation { on: AnnotationTarget::Session, annotation: Annotation::Title("x".into()) };
    assert!(path.tells(Seq(7), &title));
    assert!(!path.tells(Seq(7), &opened()));
    assert!(path.tells(Seq(4), &opened()) && path.tells(Seq(99), &opened()));
}

#[test]
fn undone_twice_is_redone_twice() {
    let steps = [
        BranchingStep::Prompt(0),
        BranchingStep::Prompt(0),
        BranchingStep::Prompt(0),
        BranchingStep::Branch(1),
        BranchingStep::Branch(3),
    ];
    let model = BranchingSession::of(&steps);
    let mut branches = folded(&model.log);
    assert_eq!(prompts_of(&branches, branches.head()), ["prompt 1"]);
    for expected in [2, 3] {
        let after = branches.redo_target().unwrap();
        let next = branches.last_seq().next();
        branches.observe(next, Millis(0), &AgentEvent::BranchStarted { after });
        assert_eq!(prompts_of(&branches, branches.head()).len(), expected);
    }
    assert_eq!(branches.redo_target(), None);
}

#[test]
fn no_branch_begins_in_a_turn() {
    let model = BranchingSession::of(&[BranchingStep::Prompt(2)]);
    let branches = folded(&model.log);
    let places: Vec<u64> = (0..=12).filter(|seq| branches.is_boundary(Seq(*seq))).collect();
    assert_eq!(places, [0, 1, 12]);
    let running = folded(&model.log[..4]);
    assert!(!running.is_boundary(Seq(1)), "a turn is running");
}

#[test]
fn it_is_a_short_line() {
    let event = AgentEvent::BranchStarted { after: Seq(9) };
    let text = r#"{"type":"branch_started","after":9}"#;
    assert_eq!(serde_json::to_string(&event).unwrap(), text);
    assert_eq!(serde_json::from_str::<AgentEvent>(text).unwrap(), event);
}
