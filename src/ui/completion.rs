//! What the text in the composer may become, and which of it is chosen.

use crate::store::slash::{self, CommandInfo};

use super::composer::Composer;

/// Commands that the text begun with a slash can become. Gone once the text is anything else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completion {
    text: String,
    offers: Vec<&'static CommandInfo>,
    chosen: usize,
}

/// Bytes of the longest text that can be a command.
const LONGEST: usize = 64;

impl Completion {
    /// Looks at the text again; the choice starts over when it changed.
    pub fn follow(&mut self, composer: &Composer) {
        let text = if composer.is_empty() { String::new() } else { composer.text() };
        if text == self.text {
            return;
        }
        self.offers = if text.len() <= LONGEST { slash::complete(&text) } else { Vec::new() };
        self.text = text;
        self.chosen = 0;
    }

    pub fn offers(&self) -> &[&'static CommandInfo] {
        &self.offers
    }

    pub fn chosen(&self) -> usize {
        self.chosen
    }

    pub fn is_open(&self) -> bool {
        !self.offers.is_empty()
    }

    /// Sends the offers away until the text changes.
    pub fn close(&mut self) {
        self.offers.clear();
        self.chosen = 0;
    }

    pub fn up(&mut self) {
        self.chosen = self.chosen.checked_sub(1).unwrap_or(self.offers.len().saturating_sub(1));
    }

    pub fn down(&mut self) {
        self.chosen = (self.chosen + 1) % self.offers.len().max(1);
    }

    /// Returns the chosen command in full.
    pub fn take(&self) -> Option<String> {
        let command = self.offers.get(self.chosen)?;
        let space = if command.argument.is_empty() { "" } else { " " };
        Some(format!("/{}{space}", command.name))
    }
}
