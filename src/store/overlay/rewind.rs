//! The prompts of this branch, the newest last; Enter takes one back into the composer and goes on from before it.

use super::{LetterUse, OverlayOutcome, OverlayState};
use crate::event::NoticeLevel;
use crate::event::branches::TurnNode;
use crate::store::Store;
use crate::store::action::ScrollStep;
use crate::store::effect::Effect;
use crate::store::update::branching::{can_branch, prompted_turns, rewind_to};
use crate::store::update::support::open;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RewindList {
    /// The turns to go back to, as indexes into the tree, the newest last.
    pub turns: Vec<usize>,
    pub selected: usize,
}

impl RewindList {
    pub fn new(store: &Store) -> Self {
        let turns = prompted_turns(store);
        Self { selected: turns.len().saturating_sub(1), turns }
    }

    /// Returns a turn of the list.
    pub fn turn<'a>(&self, nth: usize, store: &'a Store) -> Option<&'a TurnNode> {
        store.branches.tree().turns().get(*self.turns.get(nth)?)
    }
}

impl OverlayState for RewindList {
    fn letter_use(&self, _letter: char) -> LetterUse {
        LetterUse::Command(false)
    }

    fn scroll(&mut self, step: ScrollStep, _end: usize, _store: &mut Store) {
        self.selected = step.from(self.selected, self.turns.len().saturating_sub(1));
    }

    fn rows(&self, store: &Store) -> Option<Vec<String>> {
        Some((0..self.turns.len()).filter_map(|nth| Some(self.turn(nth, store)?.prompt.clone())).collect())
    }

    fn choose_row(&mut self, nth: usize, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        self.selected = nth;
        self.accept(store, fx)
    }

    fn accept(&mut self, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        if let Some(turn) = self.turns.get(self.selected) {
            rewind_to(store, *turn, fx);
        }
        OverlayOutcome::Close
    }
}

/// Lists the prompts to go back to.
pub(in crate::store) fn open_rewind(store: &mut Store) {
    if !can_branch(store) {
        return;
    }
    let list = RewindList::new(store);
    if list.turns.is_empty() {
        store.toast = Some((NoticeLevel::Info, "no prompt to go back to yet".into()));
    } else {
        open(store, list);
    }
}
