//! Where the tokens went, or what the model has before it, to be read.

use super::{LetterUse, OverlayState};
use crate::store::Store;
use crate::store::action::ScrollStep;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageReport {
    pub subject: UsageSubject,
    /// Rows scrolled down.
    pub scroll: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageSubject {
    /// All that was used in the session.
    Session,
    /// What fills the context window.
    Context,
}

impl OverlayState for UsageReport {
    fn letter_use(&self, _letter: char) -> LetterUse {
        LetterUse::Reading(false)
    }

    fn scroll(&mut self, step: ScrollStep, end: usize, _store: &mut Store) {
        self.scroll = step.from(self.scroll, end);
    }
}
