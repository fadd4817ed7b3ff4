//! All branches of the session as a tree of prompts; Enter goes on after one.

use std::collections::HashSet;

use super::{LetterUse, OverlayOutcome, OverlayState};
use crate::event::NoticeLevel;
use crate::event::branches::Branches;
use crate::store::Store;
use crate::store::action::ScrollStep;
use crate::store::effect::Effect;
use crate::store::update::branching::go_on_after_turn;
use crate::store::update::support::open;

/// Cells of the lines before a prompt; deeper branches don't go further right.
const MAX_LINES_CELLS: usize = 24;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BranchTree {
    pub rows: Vec<BranchTreeRow>,
    pub selected: usize,
}

/// A turn and the lines that lead to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BranchTreeRow {
    /// Index into [`Branches::turns`].
    pub turn: usize,
    pub lines: String,
    /// The session is on this branch.
    pub is_on_path: bool,
    /// The session goes on after it.
    pub is_head: bool,
}

impl BranchTree {
    /// Draws the tree: a turn that is continued once stands above what continues it, several stand side by side.
    pub fn new(branches: &Branches) -> Self {
        let mut is_on_path = vec![false; branches.turns().len()];
        for turn in branches.line_of(branches.head()) {
            if let Some(flag) = is_on_path.get_mut(turn) {
                *flag = true;
            }
        }
        let mut rows = Vec::with_capacity(branches.turns().len());
        // Turn, the lines before it, and before what follows it. Others have to wait until its line is drawn.
        let mut waiting = Vec::new();
        push_children(branches, None, "", &mut waiting);
        while let Some((turn, lines, below)) = waiting.pop() {
            rows.push(BranchTreeRow {
                turn,
                lines,
                is_on_path: is_on_path.get(turn).copied().unwrap_or(false),
                is_head: branches.head() == Some(turn),
            });
            push_children(branches, Some(turn), &below, &mut waiting);
        }
        let selected = rows.iter().position(|row| row.is_head).unwrap_or(0);
        Self { rows, selected }
    }
}

/// What a branch is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BranchPreview {
    /// The turn with which it parts from the others; none where there is one branch.
    pub parting: Option<usize>,
    /// Its last turn.
    pub tip: usize,
    /// How many turns it has, from the first of the session on.
    pub turns: usize,
}

impl BranchTree {
    /// Returns what there is to know of the branch on which the selected turn is; where several go on from it, of the
    /// one that is shown, else of the newest.
    pub fn preview(&self, branches: &Branches) -> Option<BranchPreview> {
        let mut tip = self.rows.get(self.selected)?.turn;
        let path: HashSet<usize> = branches.line_of(branches.head()).collect();
        let is_on_path = |turn: &&usize| path.contains(*turn);
        loop {
            let next = branches.children(Some(tip));
            let Some(turn) = next.iter().find(is_on_path).or(next.last()) else { break };
            tip = *turn;
        }
        let parting = branches.line_of(Some(tip)).find(|turn| branches.forks(*turn).is_some());
        Some(BranchPreview { parting, tip, turns: branches.line_of(Some(tip)).count() })
    }
}

fn push_children(branches: &Branches, turn: Option<usize>, below: &str, waiting: &mut Vec<(usize, String, String)>) {
    let children = branches.children(turn);
    let is_fork = children.len() > 1 && below.chars().count() < MAX_LINES_CELLS;
    for (nth, child) in children.iter().enumerate().rev() {
        let is_last = nth + 1 == children.len();
        let (before, after) = match (is_fork, is_last) {
            (false, _) => ("", ""),
            (true, false) => ("├─", "│ "),
            (true, true) => ("└─", "  "),
        };
        waiting.push((*child, format!("{below}{before}"), format!("{below}{after}")));
    }
}

impl OverlayState for BranchTree {
    fn letter_use(&self, _letter: char) -> LetterUse {
        LetterUse::Command(false)
    }

    fn scroll(&mut self, step: ScrollStep, _end: usize, _store: &mut Store) {
        self.selected = step.from(self.selected, self.rows.len().saturating_sub(1));
    }

    fn rows(&self, store: &Store) -> Option<Vec<String>> {
        let turns = store.branches.tree().turns();
        let text = |row: &BranchTreeRow| {
            let here = if row.is_head { ", here" } else { "" };
            Some(format!("{}{}{here}", row.lines, turns.get(row.turn)?.prompt))
        };
        Some(self.rows.iter().filter_map(text).collect())
    }

    fn choose_row(&mut self, nth: usize, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        self.selected = nth;
        self.accept(store, fx)
    }

    fn accept(&mut self, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        if let Some(row) = self.rows.get(self.selected) {
            go_on_after_turn(store, row.turn, fx);
        }
        OverlayOutcome::Close
    }
}

/// Shows all branches.
pub(in crate::store) fn open_branch_tree(store: &mut Store) {
    if store.history_progress.is_some() {
        store.toast = Some((NoticeLevel::Info, "earlier turns are still being read: try again in a moment".into()));
        return;
    }
    let tree = BranchTree::new(store.branches.tree());
    if tree.rows.is_empty() {
        store.toast = Some((NoticeLevel::Info, "nothing was said yet".into()));
    } else {
        open(store, tree);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{AgentEvent, Millis, Seq, TurnOutcome};
    use crate::testkit::events::{opened, turn_finished, turn_started, user_message};

    fn folded(steps: &[&str]) -> Branches {
        let mut branches = Branches::default();
        let mut seq = 0;
        let mut add = |event: AgentEvent| {
            seq += 1;
            branches.observe(Seq(seq), Millis(seq), &event);
        };
        add(opened());
        for step in steps {
            match step.strip_prefix('@') {
                Some(after) => add(AgentEvent::BranchStarted { after: Seq(after.parse().unwrap()) }),
                None => [turn_started(step), user_message(step, step), turn_finished(step, TurnOutcome::Completed)]
                    .into_iter()
                    .for_each(&mut add),
            }
        }
        branches
    }

    fn drawn(steps: &[&str]) -> Vec<String> {
        let branches = folded(steps);
        let tree = BranchTree::new(&branches);
        let row = |row: &BranchTreeRow| {
            let sign = if row.is_head {
                "●"
            } else if row.is_on_path {
                "○"
            } else {
                ""
            };
            format!("{}{sign}{}", row.lines, branches.turns()[row.turn].prompt)
        };
        tree.rows.iter().map(row).collect()
    }

    #[test]
    fn a_session_without_branches_is_a_list() {
        assert_eq!(drawn(&["a", "b"]), ["○a", "●b"]);
    }

    #[test]
    fn branches_stand_side_by_side_where_they_part() {
        // a 2-4, b 5-7, 8 back to after a, c 9-11, d 12-14, 15 back to after c, e 16-18
        let rows = drawn(&["a", "b", "@4", "c", "d", "@11", "e"]);
        assert_eq!(rows, ["○a", "├─b", "└─○c", "  ├─d", "  └─●e"]);
    }

    #[test]
    fn the_branch_under_the_cursor_is_told_from_where_it_parts_to_its_last_turn() {
        // As above: a 0, b 1, c 2, d 3, e 4.
        let branches = folded(&["a", "b", "@4", "c", "d", "@11", "e"]);
        let mut tree = BranchTree::new(&branches);
        let mut preview = |row: usize| {
            tree.selected = row;
            tree.preview(&branches).map(|told| (told.parting, told.tip, told.turns))
        };
        assert_eq!(preview(0), Some((Some(4), 4, 3)), "the one that is shown");
        assert_eq!(preview(1), Some((Some(1), 1, 2)));
        assert_eq!(preview(3), Some((Some(3), 3, 3)));
        assert_eq!(preview(9), None);
        let one = folded(&["a", "b"]);
        assert_eq!(BranchTree::new(&one).preview(&one), Some(BranchPreview { parting: None, tip: 1, turns: 2 }));
    }

    #[test]
    fn a_first_prompt_that_was_changed_is_a_tree_of_its_own() {
        assert_eq!(drawn(&["a", "b", "@1", "c"]), ["├─a", "│ b", "└─●c"]);
    }

    #[test]
    fn a_session_that_went_back_to_its_start_is_nowhere_in_the_tree() {
        assert_eq!(drawn(&["a", "@1"]), ["a"]);
    }

    #[test]
    fn a_deep_tree_stays_within_the_list() {
        let mut steps = vec!["a".to_owned()];
        for turn in 0..200 {
            steps.push(format!("@{}", 4 + turn * 4));
            steps.push("b".to_owned());
            steps.push("@4".to_owned());
            steps.push("b".to_owned());
        }
        let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
        assert!(drawn(&steps).iter().all(|row| row.chars().count() < MAX_LINES_CELLS + 8));
    }
}
