//! The model picker: a filter and a list.

use super::{OverlayOutcome, OverlayState};
use crate::store::Store;
use crate::store::action::{Action, ScrollStep};
use crate::store::effect::Effect;
use crate::store::models::{ModelChoice, matching_models};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelPicker {
    pub query: String,
    pub selected: usize,
}

impl ModelPicker {
    /// Returns the models that the query keeps.
    pub fn matching<'a>(&self, store: &'a Store) -> Vec<&'a ModelChoice> {
        matching_models(store.session.models.as_deref().unwrap_or_default(), &self.query)
    }
}

impl OverlayState for ModelPicker {
    fn is_typing(&self) -> bool {
        true
    }

    fn field(&mut self) -> Option<&mut String> {
        Some(&mut self.query)
    }

    fn on_edit(&mut self, _store: &mut Store) {
        self.selected = 0;
    }

    fn scroll(&mut self, step: ScrollStep, _end: usize, store: &mut Store) {
        self.selected = step.from(self.selected, self.matching(store).len().saturating_sub(1));
    }

    /// What is not in the list is taken as it was typed.
    fn accept(&mut self, store: &mut Store, _fx: &mut Vec<Effect>) -> OverlayOutcome {
        let chosen = self.matching(store).get(self.selected).map(|model| (model.name.clone(), model.sets.clone()));
        let typed = self.query.trim();
        match chosen.or_else(|| typed.contains('/').then(|| (typed.to_owned(), None))) {
            Some((_, Some((option, value)))) => OverlayOutcome::Then(Action::SetOption { option, value }),
            Some((model, None)) => OverlayOutcome::Then(Action::SetModel(model)),
            None => OverlayOutcome::Stay,
        }
    }
}
