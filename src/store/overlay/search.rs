//! The search as it is used: the query is written, the reader steps through the matches and stays, or goes back.
//!
//! Not for the looking itself (`store/search.rs`). The invariant: what was unfolded only to show a match is folded again
//! when the reader goes elsewhere, unless they stay there.

use super::{LetterUse, OverlayExtent, OverlayOutcome, OverlayState};
use crate::store::Store;
use crate::store::action::{Action, Context};
use crate::store::effect::Effect;
use crate::store::item_source::ItemField;
use crate::store::pane::Pane;
use crate::store::search::Search;
use crate::store::transcript::{ItemId, ItemKind};
use crate::store::update::support::with;

impl OverlayState for Search {
    fn extent(&self) -> OverlayExtent {
        OverlayExtent::InputRow
    }

    fn key_contexts(&self) -> &'static [Context] {
        if self.is_typing {
            &[Context::Search, Context::Overlay]
        } else {
            &[Context::Matches, Context::Pane(Pane::Transcript)]
        }
    }

    fn is_typing(&self) -> bool {
        self.is_typing
    }

    fn letter_use(&self, _letter: char) -> LetterUse {
        LetterUse::Match
    }

    fn field(&mut self) -> Option<&mut String> {
        if self.is_typing { Some(&mut self.query) } else { None }
    }

    /// Everything is looked at anew, a first slice of it at once.
    fn on_edit(&mut self, store: &mut Store) {
        self.restart(&store.transcript);
        store.focus.last_query.clone_from(&self.query);
        self.work(store);
    }

    /// The query is written; once more, and the reader stays where they are. What is wrong with it is mended, not lost.
    fn accept(&mut self, store: &mut Store, _fx: &mut Vec<Effect>) -> OverlayOutcome {
        if self.is_typing && self.error.is_some() {
            return OverlayOutcome::Stay;
        }
        if self.is_typing && self.matcher().is_some() {
            self.is_typing = false;
            return OverlayOutcome::Stay;
        }
        if self.current_item().is_some() {
            store.focus.pane = Pane::Transcript;
        }
        OverlayOutcome::Close
    }

    /// It is left for where the reader was: what it unfolded is folded again.
    fn close(&mut self, store: &mut Store, _fx: &mut Vec<Effect>) -> OverlayOutcome {
        if let Some((item, before)) = self.unfolded().take() {
            store.transcript.fold(item, before);
        }
        OverlayOutcome::Close
    }

    /// Where the match is that was found, the reader stays.
    fn yield_to_composer(&mut self, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        self.accept(store, fx)
    }

    fn act(&mut self, action: &Action, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        match action {
            Action::SearchOlder => {
                self.older(&store.transcript);
                self.show_match(store);
            }
            Action::SearchNewer => {
                self.newer(&store.transcript);
                self.show_match(store);
            }
            Action::SearchRegex => {
                self.is_regex = !self.is_regex;
                self.on_edit(store);
            }
            Action::SearchAccept => return self.accept(store, fx),
            _ => {}
        }
        OverlayOutcome::Stay
    }

    fn wants_work(&self, store: &Store) -> bool {
        !self.is_done(&store.transcript)
    }

    fn work(&mut self, store: &mut Store) {
        if self.step(&store.transcript, &store.tool_calls) {
            self.show_match(store);
        }
    }

    fn on_items_prepended(&mut self, store: &mut Store) {
        self.restart(&store.transcript);
    }
}

impl Search {
    /// Asks for the match to be shown, unfolding what hides it.
    fn show_match(&mut self, store: &mut Store) {
        let Some(found) = self.current_location(&store.transcript, &store.tool_calls) else { return };
        let Some(item) = store.transcript.item(found.item) else { return };
        let hidden = match item.kind {
            ItemKind::Thinking { .. } | ItemKind::Prompt { .. } | ItemKind::Compaction { .. } => true,
            ItemKind::Call { .. } => found.field != ItemField::Text,
            ItemKind::Answer { .. } | ItemKind::Notice { .. } | ItemKind::TurnSummary { .. } => false,
        };
        let (unfold, choice) = (hidden && store.is_folded(item), item.folded);
        let unfolded = self.unfolded();
        if let Some((item, before)) = unfolded.take_if(|(item, _)| *item != found.item) {
            store.transcript.fold(item, before);
        }
        if unfold {
            store.transcript.fold(found.item, false);
            *unfolded = Some((found.item, choice));
        }
        store.focus.request_place(found.item, found.field, found.range.start);
    }
}

/// Looks for a text, from the item that is being read; without a text, goes on writing the query there is.
pub(in crate::store) fn open_search(store: &mut Store, from: Option<u64>, query: Option<String>) {
    let reopened = with(store, |search: &mut Search, store| {
        search.is_typing = true;
        if let Some(query) = &query {
            search.query.clone_from(query);
            search.on_edit(store);
        }
    });
    if reopened.is_none() {
        let is_typing = query.is_none();
        let mut search = Search::new(query.unwrap_or_default(), is_typing, from.map(ItemId), &store.transcript);
        search.on_edit(store);
        store.focus.push(search);
    }
}
