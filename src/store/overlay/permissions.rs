//! What is allowed and denied, as a list; a grant can be taken back.

use super::{LetterUse, OverlayOutcome, OverlayState};
use crate::event::{Command, Grant, NoticeLevel};
use crate::store::Store;
use crate::store::action::{Action, ScrollStep};
use crate::store::effect::Effect;
use crate::store::permissions::{PermissionEntry, entries, grants};
use crate::store::update::support::require;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PermissionList {
    pub selected: usize,
}

impl PermissionList {
    /// Takes back the selected grant; what it allowed is asked about from the next call on.
    fn revoke_selected(&self, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        match grants(store).get(self.selected).map(Grant::pattern) {
            None => {
                let text = "no grant to take back; change rules in the settings";
                store.toast = Some((NoticeLevel::Info, text.into()));
            }
            Some(pattern) => {
                if require(store, |caps| caps.decide, "nothing can be taken back here: this session is read-only") {
                    fx.push(Effect::Send(Command::RevokeGrant { pattern }));
                }
            }
        }
        OverlayOutcome::Stay
    }
}

impl OverlayState for PermissionList {
    fn letter_use(&self, _letter: char) -> LetterUse {
        LetterUse::Command(false)
    }

    fn backspace(&mut self, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        self.revoke_selected(store, fx)
    }

    fn scroll(&mut self, step: ScrollStep, _end: usize, store: &mut Store) {
        self.selected = step.from(self.selected, entries(store).len().saturating_sub(1));
    }

    fn rows(&self, store: &Store) -> Option<Vec<String>> {
        let row = |entry: &PermissionEntry| {
            let verb = if entry.is_allowed { "allowed" } else { "denied" };
            format!("{verb}: {}, {}, {}", entry.subject, entry.scope, entry.origin)
        };
        Some(entries(store).iter().map(row).collect())
    }

    /// Of what is listed only a grant can be taken back.
    fn choose_row(&mut self, nth: usize, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        self.selected = nth;
        self.revoke_selected(store, fx)
    }

    fn act(&mut self, action: &Action, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        match action {
            Action::RevokeGrant => self.revoke_selected(store, fx),
            _ => OverlayOutcome::Stay,
        }
    }
}
