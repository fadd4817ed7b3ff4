//! What needs asking, to be chosen.
//!
//! The mode that never asks is confirmed once a session, and no single key leads to it. A mode that would answer an ask
//! that waits is chosen from the list, never by the key that goes through them.

use super::{LetterUse, OverlayOutcome, OverlayState};
use crate::event::ApprovalMode;
use crate::store::Store;
use crate::store::action::{Action, ScrollStep};
use crate::store::effect::Effect;
use crate::store::permissions::{is_full_mode_confirmed, set_mode};
use crate::store::update::support::{open, require};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModeList {
    pub selected: usize,
    /// The mode that never asks was chosen and wants to be confirmed: whether that is what is selected.
    pub full_mode_confirm: Option<bool>,
}

impl ModeList {
    fn new(selected: ApprovalMode) -> Self {
        let selected = ApprovalMode::ALL.iter().position(|mode| *mode == selected).unwrap_or(0);
        Self { selected, full_mode_confirm: None }
    }

    /// Returns the next mode that begins with a letter.
    fn next_with(&self, letter: char) -> Option<usize> {
        let count = ApprovalMode::ALL.len();
        (1..=count).map(|by| (self.selected + by) % count).find(|at| {
            ApprovalMode::ALL.get(*at).is_some_and(|mode| mode.name().starts_with(letter.to_ascii_lowercase()))
        })
    }
}

impl OverlayState for ModeList {
    fn letter_use(&self, letter: char) -> LetterUse {
        match self.full_mode_confirm {
            None => LetterUse::Command(self.next_with(letter).is_some()),
            Some(_) => LetterUse::Own,
        }
    }

    fn type_char(&mut self, c: char, _store: &mut Store, _fx: &mut Vec<Effect>) -> OverlayOutcome {
        if let (None, Some(next)) = (self.full_mode_confirm, self.next_with(c)) {
            self.selected = next;
        }
        OverlayOutcome::Stay
    }

    fn scroll(&mut self, step: ScrollStep, _end: usize, _store: &mut Store) {
        match &mut self.full_mode_confirm {
            Some(sure) => *sure = !*sure,
            None => self.selected = step.from(self.selected, ApprovalMode::ALL.len() - 1),
        }
    }

    fn accept(&mut self, store: &mut Store, _fx: &mut Vec<Effect>) -> OverlayOutcome {
        let mode = ApprovalMode::ALL.get(self.selected).copied().unwrap_or_default();
        match self.full_mode_confirm {
            None if mode == ApprovalMode::Full && !is_full_mode_confirmed(store) => {
                self.full_mode_confirm = Some(false);
                return OverlayOutcome::Stay;
            }
            Some(false) => return OverlayOutcome::Close,
            Some(true) => store.session.is_full_mode_confirmed = true,
            None => {}
        }
        OverlayOutcome::Then(Action::SetMode(mode))
    }
}

pub(in crate::store) fn open_modes(store: &mut Store, selected: Option<ApprovalMode>) {
    if require(store, |caps| caps.prompt, "the mode can't be changed here") {
        let selected = selected.or(store.session.requested_mode).unwrap_or(store.session.mode());
        open(store, ModeList::new(selected));
    }
}

/// Asks whether the mode that never asks is meant.
pub(in crate::store) fn confirm_full_mode(store: &mut Store) {
    open_modes(store, Some(ApprovalMode::Full));
    if let Some(list) = store.focus.top_mut::<ModeList>() {
        *list = ModeList { full_mode_confirm: Some(false), ..ModeList::new(ApprovalMode::Full) };
    }
}

/// Goes to the next mode, but for the one that never asks.
pub(in crate::store) fn cycle_mode(store: &mut Store, fx: &mut Vec<Effect>) {
    let mode = store.session.requested_mode.unwrap_or(store.session.mode()).next_in_cycle();
    if store.session.capabilities().decide && store.tool_calls.pending().next().is_some() {
        open_modes(store, Some(mode));
    } else {
        set_mode(store, mode, fx);
    }
}
