//! The model picker: a filter and a list.

use super::{OverlayOutcome, OverlayState};
use crate::store::Store;
use crate::store::action::{Action, ScrollStep};
use crate::store::effect::Effect;
use crate::store::models::{ModelChoice, matching_models, nearest_models};
use crate::store::session::OpenedSession;
use crate::store::update::support::{open, require};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelPicker {
    pub query: String,
    pub selected: usize,
    /// The query is a name that was no model's: until it is edited, those nearest to it come first.
    pub is_unknown_name: bool,
}

impl ModelPicker {
    /// Returns the models that the query keeps.
    pub fn matching<'a>(&self, store: &'a Store) -> Vec<&'a ModelChoice> {
        let models = store.session.models.as_deref().unwrap_or_default();
        if self.is_unknown_name { nearest_models(models, &self.query) } else { matching_models(models, &self.query) }
    }
}

/// Lists the models; those nearest to a name that was no model's come first.
pub(in crate::store) fn open_models(store: &mut Store, unknown: Option<String>, fx: &mut Vec<Effect>) {
    if require(store, |caps| caps.prompt, "the model can't be changed here") {
        store.session.list_agent_models();
        let is_unknown_name = unknown.as_ref().is_some_and(|name| !name.is_empty());
        open(store, ModelPicker { query: unknown.unwrap_or_default(), is_unknown_name, ..ModelPicker::default() });
        fx.push(Effect::ListModels);
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
        (self.selected, self.is_unknown_name) = (0, false);
    }

    fn scroll(&mut self, step: ScrollStep, _end: usize, store: &mut Store) {
        self.selected = step.from(self.selected, self.matching(store).len().saturating_sub(1));
    }

    fn rows(&self, store: &Store) -> Option<Vec<String>> {
        let current = store.session.opened.as_ref().map(OpenedSession::name);
        let row = |model: &ModelChoice| {
            let is_current = model.is_current || current.as_deref() == Some(&model.name);
            let parts =
                [model.name.as_str(), &model.remark, &model.facts.trouble, if is_current { "in use" } else { "" }];
            parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
        };
        Some(self.matching(store).into_iter().map(row).collect())
    }

    fn choose_row(&mut self, nth: usize, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        self.selected = nth;
        self.accept(store, fx)
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
