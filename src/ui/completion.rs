//! What the text in the composer may become, and which of it is chosen.

use crate::store::action_table::SlashCommand;
use crate::store::slash;

/// Commands that the text begun with a slash can become. Gone once the text is anything else.
#[derive(Clone, Debug, Default)]
pub struct Completion {
    text: String,
    candidates: Vec<&'static SlashCommand>,
    selected: usize,
}

/// Bytes of the longest text that can be a command.
const MAX_COMMAND_BYTES: usize = 64;

impl Completion {
    /// Looks at the text again; the choice starts over when it changed.
    pub fn update(&mut self, text: String) {
        if text == self.text {
            return;
        }
        self.candidates = if text.len() <= MAX_COMMAND_BYTES { slash::complete(&text) } else { Vec::new() };
        self.text = text;
        self.selected = 0;
    }

    pub fn candidates(&self) -> &[&'static SlashCommand] {
        &self.candidates
    }

    pub fn selected(&self) -> usize {
        self.selected
    }

    pub fn is_open(&self) -> bool {
        !self.candidates.is_empty()
    }

    /// Sends the offers away until the text changes.
    pub fn close(&mut self) {
        self.candidates.clear();
        self.selected = 0;
    }

    pub fn up(&mut self) {
        self.selected = self.selected.checked_sub(1).unwrap_or(self.candidates.len().saturating_sub(1));
    }

    pub fn down(&mut self) {
        self.selected = (self.selected + 1) % self.candidates.len().max(1);
    }

    /// Returns the chosen command in full.
    pub fn take(&self) -> Option<String> {
        let command = self.candidates.get(self.selected)?;
        let space = if command.argument.is_empty() { "" } else { " " };
        Some(format!("/{}{space}", command.name))
    }
}
