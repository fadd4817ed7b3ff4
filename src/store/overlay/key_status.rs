//! Where keys are expected and whether they are there, to be read. No key is ever taken here: what is typed is kept.

use super::{LetterUse, OverlayState};
use crate::store::Store;
use crate::store::action::ScrollStep;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyStatusText {
    /// Rows scrolled down.
    pub scroll: usize,
}

impl OverlayState for KeyStatusText {
    fn letter_use(&self, _letter: char) -> LetterUse {
        LetterUse::Reading(false)
    }

    fn scroll(&mut self, step: ScrollStep, end: usize, _store: &mut Store) {
        self.scroll = step.from(self.scroll, end);
    }
}
