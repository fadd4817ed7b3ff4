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
use crate::event::ApprovalMode;
use crate::store::action::{Action, ActionHandler, UiAction};
use crate::store::focus::Overlay;
use crate::store::links;
use crate::store::pane::Pane;

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
        let is_text = match self.store.focus.top() {
            None if self.store.focus.pane == Pane::Composer => false,
            Some(Overlay::Search(search)) if search.is_typing => return false,
            // Among the matches a letter goes to another match, or is text.
            Some(Overlay::Search(_)) => {
                self.stray_typing.push(c, false, now);
                !what.is_some_and(is_match_navigation)
            }
            None => {
                self.stray_typing.push(c, false, now);
                !what.is_some_and(|what| self.has_effect(what))
            }
            // These lists take few letters or none: the others were meant for the composer.
            Some(Overlay::Permissions { .. }) if what.is_none() => true,
            Some(Overlay::Modes { full_mode_confirm: None, .. }) if what.is_none() => {
                self.stray_typing.push(c, false, now);
                !ApprovalMode::ALL.iter().any(|mode| mode.name().starts_with(c.to_ascii_lowercase()))
            }
            Some(Overlay::Links { links, .. }) => {
                let chooses = links::index_of_letter(c).is_some_and(|nth| nth < links.len()) || c == links::COPY_KEY;
                self.stray_typing.push(c, true, now);
                soon || !chooses
            }
            Some(Overlay::CodePicker) => {
                self.stray_typing.push(c, true, now);
                soon || !self.ui.transcript.has_letter(c)
            }
            // What else opened by itself or by another key is none of our business.
            Some(_) if self.stray_typing.is_empty() => return false,
            Some(Overlay::Raw { .. } | Overlay::Help { .. }) => {
                self.stray_typing.push(c, true, now);
                goes_on && (soon || c != links::COPY_KEY)
            }
            Some(_) => false,
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
            ActionHandler::View(UiAction::CopySelected) => match self.store.focus.pane {
                Pane::ToolPanel => self.ui.tools.call(&self.store).is_some(),
                Pane::Transcript | Pane::Composer => self.ui.transcript.selected().is_some(),
            },
            ActionHandler::View(UiAction::SearchAgain) => !self.store.focus.last_query.is_empty(),
            ActionHandler::View(_) | ActionHandler::Store(_) => true,
        }
    }

    /// Puts a text that was meant for the composer there, and the keyboard with it; what lies over the composer closes.
    pub(super) fn write_to_composer(&mut self, text: &str) {
        self.ui.composer.paste(text);
        self.sync_composer();
        if matches!(
            self.store.focus.top(),
            Some(
                Overlay::Links { .. }
                    | Overlay::CodePicker
                    | Overlay::Raw { .. }
                    | Overlay::Help { .. }
                    | Overlay::Permissions { .. }
                    | Overlay::Modes { .. }
            )
        ) {
            self.run_action(Action::CloseOverlay);
        }
        // Where the match is that was found, the reader stays.
        if matches!(self.store.focus.top(), Some(Overlay::Search(_))) {
            self.run_action(Action::SearchAccept);
        }
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
