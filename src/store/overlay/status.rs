//! What is used and why, to be read.

use super::{LetterUse, OverlayState};
use crate::store::Store;
use crate::store::action::ScrollStep;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusText {
    /// Rows scrolled down.
    pub scroll: usize,
}

impl OverlayState for StatusText {
    fn letter_use(&self, _letter: char) -> LetterUse {
        LetterUse::Reading(false)
    }

    fn scroll(&mut self, step: ScrollStep, end: usize, _store: &mut Store) {
        self.scroll = step.from(self.scroll, end);
    }
}
