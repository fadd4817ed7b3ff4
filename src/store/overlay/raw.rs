//! The source of an item as it came, to be read and copied.

use super::{LetterUse, OverlayOutcome, OverlayState};
use crate::event::NoticeLevel;
use crate::store::Store;
use crate::store::action::ScrollStep;
use crate::store::effect::Effect;
use crate::store::links::COPY_KEY;
use crate::store::transcript::{ItemId, ItemKind, TranscriptItem};
use crate::store::update::copy::copy_item;
use crate::store::update::support::open;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawText {
    pub item: ItemId,
    /// Rows scrolled down.
    pub scroll: usize,
}

impl OverlayState for RawText {
    fn letter_use(&self, letter: char) -> LetterUse {
        LetterUse::Reading(letter == COPY_KEY)
    }

    fn type_char(&mut self, c: char, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        if c == COPY_KEY {
            copy_item(store, self.item.0, fx);
        }
        OverlayOutcome::Stay
    }

    fn scroll(&mut self, step: ScrollStep, end: usize, _store: &mut Store) {
        self.scroll = step.from(self.scroll, end);
    }
}

/// Shows an item as it came; without one, the last answer.
pub(in crate::store) fn open_raw(store: &mut Store, item: Option<u64>) {
    let last = |item: &TranscriptItem<'_>| matches!(item.kind, ItemKind::Answer { text, .. } if !text.is_empty());
    let last = || store.transcript.items().iter().rev().find(last).map(|item| item.id);
    match item.map(ItemId).or_else(last) {
        Some(item) => open(store, RawText { item, scroll: 0 }),
        None => store.toast = Some((NoticeLevel::Info, "nothing to show".into())),
    }
}
