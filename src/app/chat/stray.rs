//! PURE. Text that somebody types without knowing that a pane has the keyboard, where letters are commands.
//!
//! Letters that mean something there act at once, so they are remembered until the first that means nothing: then all of
//! them are text, and `just do it` arrives whole although `j` and `u` have scrolled. What such a letter opened (a list,
//! the help) takes letters only after a pause: who types on at once is writing.
//!
//! ```text
//! j u s        s means nothing: "jus" is text, and so is all that follows
//! j ⏸ s        j was meant: "s" is text
//! o k          o opens the list of links, k comes too soon to choose one: "ok" is text
//! o ⏸ b ⏎      b is chosen, and Enter opens it
//! ```

use std::time::{Duration, Instant};

/// Keys further apart than this belong to two things.
const PAUSE: Duration = Duration::from_secs(1);
/// Nobody reads what a key has opened within this time.
const SOON: Duration = Duration::from_millis(350);

/// Letters typed outside the composer, as long as they may turn out to be a text.
#[derive(Debug, Default)]
pub(super) struct Stray {
    text: String,
    last: Option<Instant>,
}

impl Stray {
    /// Adds a letter. After a pause it begins anew, unless `whole`: something that the run opened is still open.
    pub(super) fn push(&mut self, c: char, whole: bool, now: Instant) {
        if !whole && !self.within(PAUSE, now) {
            self.text.clear();
        }
        self.text.push(c);
        self.last = Some(now);
    }

    /// Tells whether the last letter was typed just now, so that the next one is no answer to what it did.
    pub(super) fn is_soon(&self, now: Instant) -> bool {
        self.within(SOON, now)
    }

    /// Tells whether no pause was made since the last letter.
    pub(super) fn goes_on(&self, now: Instant) -> bool {
        self.within(PAUSE, now)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    pub(super) fn take(&mut self) -> String {
        std::mem::take(self).text
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.last = None;
    }

    fn within(&self, time: Duration, now: Instant) -> bool {
        self.last.is_some_and(|last| now.saturating_duration_since(last) < time)
    }
}
