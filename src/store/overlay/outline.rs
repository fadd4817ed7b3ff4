//! The outline as a list to jump from.

use super::{OverlayOutcome, OverlayState};
use crate::event::NoticeLevel;
use crate::store::Store;
use crate::store::action::ScrollStep;
use crate::store::effect::Effect;
use crate::store::item_source::ItemField;
use crate::store::outline::{Outline, OutlineSubject};
use crate::store::transcript::ItemId;
use crate::store::update::support::open;

impl OverlayState for Outline {
    fn is_typing(&self) -> bool {
        true
    }

    fn field(&mut self) -> Option<&mut String> {
        Some(&mut self.query)
    }

    fn on_edit(&mut self, _store: &mut Store) {
        self.filter();
    }

    /// The newest is the first and stands at the bottom.
    fn scroll(&mut self, step: ScrollStep, _end: usize, _store: &mut Store) {
        self.select(match step {
            ScrollStep::Back(rows) => self.selected.saturating_add(rows),
            ScrollStep::Forward(rows) => self.selected.saturating_sub(rows),
        });
    }

    fn accept(&mut self, store: &mut Store, _fx: &mut Vec<Effect>) -> OverlayOutcome {
        let Some(entry) = self.entry(self.selected) else { return OverlayOutcome::Stay };
        store.focus.request_place(entry.item, ItemField::Text, entry.offset);
        OverlayOutcome::Close
    }

    fn rows(&self, _store: &Store) -> Option<Vec<String>> {
        Some((0..self.len()).filter_map(|nth| Some(self.entry(nth)?.text.clone())).collect())
    }

    fn choose_row(&mut self, nth: usize, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        self.select(nth);
        self.accept(store, fx)
    }

    fn wants_work(&self, _store: &Store) -> bool {
        !self.is_done()
    }

    fn work(&mut self, store: &mut Store) {
        self.step(store);
    }

    fn on_items_prepended(&mut self, store: &mut Store) {
        self.restart(&store.transcript);
    }
}

/// Lists the prompts and headings, or what is marked, from the one that is being read.
pub(in crate::store) fn open_outline(store: &mut Store, subject: OutlineSubject, from: Option<u64>) {
    let mut outline = Outline::new(subject, from.map(ItemId), &store.transcript);
    outline.step(store);
    if subject == OutlineSubject::Marks && outline.is_done() && outline.is_empty() {
        let text = "no marks yet: m marks the selected item, # and a line makes a note";
        store.toast = Some((NoticeLevel::Info, text.into()));
        return;
    }
    open(store, outline);
}
