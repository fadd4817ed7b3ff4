//! The MCP servers: how each is, what it offers, and how one that failed is mended.

use super::{LetterUse, OverlayState};
use crate::event::McpServerStatus;
use crate::store::Store;
use crate::store::action::ScrollStep;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct McpServerList {
    pub servers: Vec<McpServerStatus>,
    /// Rows scrolled down.
    pub scroll: usize,
}

impl OverlayState for McpServerList {
    fn letter_use(&self, _letter: char) -> LetterUse {
        LetterUse::Reading(false)
    }

    fn scroll(&mut self, step: ScrollStep, end: usize, _store: &mut Store) {
        self.scroll = step.from(self.scroll, end);
    }
}
