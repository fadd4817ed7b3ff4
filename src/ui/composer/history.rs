//! The prompts that the composer remembers.

use std::mem;

/// Prompts remembered, and their bytes in all.
pub(super) const MAX_HISTORY_PROMPTS: usize = 1000;
const MAX_HISTORY_BYTES: usize = 16 << 20;

/// Prompts of this session and of those before, within limits.
#[derive(Debug, Default)]
pub(super) struct RememberedPrompts {
    /// Older first, each text once.
    prompts: Vec<String>,
    /// Remembered since [`Self::take_unsaved`].
    unsaved: Vec<String>,
}

impl RememberedPrompts {
    pub(super) fn prompts(&self) -> &[String] {
        &self.prompts
    }

    /// Returns the place of a prompt.
    pub(super) fn position(&self, text: &str) -> Option<usize> {
        self.prompts.iter().rposition(|known| known == text)
    }

    /// Remembers a text as the newest; nothing where it is blank.
    pub(super) fn remember(&mut self, text: &str) {
        if text.trim().is_empty() {
            return;
        }
        self.push(text.to_owned());
        self.trim();
        self.unsaved.push(text.to_owned());
    }

    /// Puts older prompts before those that are known.
    pub(super) fn put_before(&mut self, earlier: Vec<String>) {
        for text in mem::replace(&mut self.prompts, earlier) {
            self.push(text);
        }
        self.trim();
    }

    /// Takes over what another knows; returns whether that was something else.
    pub(super) fn adopt(&mut self, other: &Self) -> bool {
        let differs = self.prompts != other.prompts;
        if differs {
            self.prompts.clone_from(&other.prompts);
        }
        differs
    }

    pub(super) fn take_unsaved(&mut self) -> Vec<String> {
        mem::take(&mut self.unsaved)
    }

    fn push(&mut self, text: String) {
        self.prompts.retain(|other| *other != text);
        self.prompts.push(text);
    }

    fn trim(&mut self) {
        let mut bytes = 0_usize;
        let fits = |text: &&String| {
            bytes = bytes.saturating_add(text.len());
            bytes <= MAX_HISTORY_BYTES
        };
        let kept = self.prompts.iter().rev().take(MAX_HISTORY_PROMPTS).take_while(fits).count();
        self.prompts.drain(..self.prompts.len() - kept);
    }
}
