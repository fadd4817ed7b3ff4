//! Where the session is served and the token for it, which is shown this once.

use super::{LetterUse, OverlayState};
use crate::store::Store;
use crate::store::action::ScrollStep;

#[derive(Clone, PartialEq, Eq)]
pub struct ServingText {
    pub url: String,
    pub token: String,
    /// Rows scrolled down.
    pub scroll: usize,
}

/// Without the token: debug output ends up in logs.
impl std::fmt::Debug for ServingText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServingText").field("url", &self.url).finish_non_exhaustive()
    }
}

impl OverlayState for ServingText {
    fn letter_use(&self, _letter: char) -> LetterUse {
        LetterUse::Reading(false)
    }

    fn scroll(&mut self, step: ScrollStep, end: usize, _store: &mut Store) {
        self.scroll = step.from(self.scroll, end);
    }
}
