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
//! o ⏸ z        z chooses nothing of three links: "oz" is text
//! ```

use std::time::{Duration, Instant};

use super::ChatController;
use crate::config::keys::Chord;
use crate::store::action::Action;
use crate::store::action_table::ActionHandler;
use crate::store::overlay::LetterUse;
use crate::store::pane::Pane;
use crate::ui::composer::Composer;

/// Keys further apart than this belong to two things.
const MAX_TYPING_GAP: Duration = Duration::from_secs(1);
/// Nobody reads what a key has opened within this time.
const MIN_REACTION_TIME: Duration = Duration::from_millis(350);

/// Letters typed outside the composer, as long as they may turn out to be a text.
#[derive(Debug, Default)]
pub(super) struct StrayTyping {
    text: String,
    last_typed_at: Option<Instant>,
    /// The first was typed into a list that another key had opened.
    in_list: bool,
}

impl StrayTyping {
    /// Adds a letter. After a pause it begins anew, unless something that the run opened is still open.
    pub(super) fn push(&mut self, c: char, in_list: bool, now: Instant) {
        if (!in_list || self.in_list) && !self.is_within(MAX_TYPING_GAP, now) {
            self.text.clear();
        }
        if self.text.is_empty() {
            self.in_list = in_list;
        }
        self.text.push(c);
        self.last_typed_at = Some(now);
    }

    /// Tells whether the last letter was typed just now, so that the next one is no answer to what it did.
    pub(super) fn is_recent(&self, now: Instant) -> bool {
        self.is_within(MIN_REACTION_TIME, now)
    }

    /// Tells whether no pause was made since the last letter.
    pub(super) fn is_continuing(&self, now: Instant) -> bool {
        self.is_within(MAX_TYPING_GAP, now)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    pub(super) fn take(&mut self) -> String {
        std::mem::take(self).text
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.last_typed_at = None;
    }

    fn is_within(&self, time: Duration, now: Instant) -> bool {
        self.last_typed_at.is_some_and(|last| now.saturating_duration_since(last) < time)
    }
}

impl ChatController {
    /// Takes a letter typed outside the composer for text where it means nothing, with those before it that did.
    pub(super) fn handle_stray_char(&mut self, chord: Chord, what: Option<ActionHandler>, now: Instant) -> bool {
        let Some(c) = chord.typed_char().filter(|_| self.store.session.capabilities().prompt) else {
            self.stray_typing.clear();
            return false;
        };
        let (soon, goes_on) = (self.stray_typing.is_recent(now), self.stray_typing.is_continuing(now));
        let letter = match self.store.focus.top() {
            None if self.store.focus.pane == Pane::Composer => return false,
            None => LetterUse::Command(what.is_some_and(|what| self.has_effect(what))),
            Some(overlay) if overlay.state().is_typing() => return false,
            Some(overlay) => match overlay.state().letter_use(c) {
                LetterUse::Match => LetterUse::Command(what.is_some_and(is_match_navigation)),
                LetterUse::CodeBlock => LetterUse::Choice(self.ui.panes.transcript.has_letter(c)),
                letter => letter,
            },
        };
        let is_text = match letter {
            LetterUse::Own | LetterUse::Match | LetterUse::CodeBlock => false,
            LetterUse::Command(means) => {
                self.stray_typing.push(c, false, now);
                !means
            }
            // A list that another key has opened just now was not read yet.
            LetterUse::Choice(chooses) => {
                self.stray_typing.push(c, true, now);
                soon || !chooses
            }
            // What opened by itself or by another key is none of our business.
            LetterUse::Reading(_) if self.stray_typing.is_empty() => false,
            LetterUse::Reading(acts) => {
                self.stray_typing.push(c, true, now);
                goes_on && (soon || !acts)
            }
        };
        if is_text {
            let mut text = self.stray_typing.take();
            if text.is_empty() {
                text.push(c);
            }
            self.write_to_composer(&text);
        }
        is_text
    }

    /// Tells whether a letter of a pane does anything just now: what is done to the chosen item needs one.
    fn has_effect(&self, what: ActionHandler) -> bool {
        match what {
            ActionHandler::View(action) => self.ui.has_effect(&self.store, action),
            ActionHandler::Store(_) => true,
        }
    }

    /// Puts a text that was meant for the composer there, and the keyboard with it; what lies over the composer gives way.
    pub(super) fn write_to_composer(&mut self, text: &str) {
        self.insert_into_composer(|composer| composer.paste(text));
    }

    /// Puts something into the composer, whatever lies over it.
    pub(super) fn insert_into_composer(&mut self, insert: impl FnOnce(&mut Composer)) {
        if self.store.focus.top().is_some() {
            self.run_action(Action::YieldToComposer);
        }
        self.ui.panes.composer.enter_insert_mode();
        insert(&mut self.ui.panes.composer);
        // Whoever writes there already moves nothing, and what is being said stays.
        if self.store.focus.pane != Pane::Composer {
            self.run_action(Action::Focus(Pane::Composer));
        }
    }
}

fn is_match_navigation(what: ActionHandler) -> bool {
    match what {
        ActionHandler::Store(make) => {
            matches!(make(), Action::SearchOlder | Action::SearchNewer | Action::SearchAccept)
        }
        ActionHandler::View(_) => false,
    }
}
