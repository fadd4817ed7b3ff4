//! The prompts of all sessions: a filter, and those that fit, the newest first.

use super::{OverlayOutcome, OverlayState};
use crate::store::Store;
use crate::store::action::ScrollStep;
use crate::store::effect::{ComposerEdit, Effect};
use crate::text::fuzzy::FuzzyQuery;

/// Bytes at the beginning of a prompt in which letters are looked for; words are looked for in all of it.
const MAX_FUZZY_BYTES: usize = 300;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PromptHistory {
    pub query: String,
    pub selected: usize,
    /// The newest first.
    prompts: Vec<String>,
    /// Those that the query keeps.
    found: Vec<usize>,
}

impl PromptHistory {
    /// Takes the prompts, older first.
    pub(in crate::store) fn new(mut prompts: Vec<String>) -> Self {
        prompts.reverse();
        let found = (0..prompts.len()).collect();
        Self { prompts, found, ..Self::default() }
    }

    pub fn found(&self) -> impl ExactSizeIterator<Item = &str> {
        self.found.iter().map(|place| self.prompts[*place].as_str())
    }

    pub fn total(&self) -> usize {
        self.prompts.len()
    }

    /// Those with every word of the query come before those that only have its letters in their order.
    fn filter(&mut self) {
        let words: Vec<String> = self.query.split_whitespace().map(str::to_lowercase).collect();
        let fuzzy = FuzzyQuery::new(&self.query);
        let (mut exact, mut similar) = (Vec::new(), Vec::new());
        for (place, prompt) in self.prompts.iter().enumerate() {
            let text = prompt.to_lowercase();
            let beginning = &prompt[..prompt.floor_char_boundary(MAX_FUZZY_BYTES)];
            if words.iter().all(|word| text.contains(word)) {
                exact.push(place);
            } else if fuzzy.score(beginning).is_some() {
                similar.push(place);
            }
        }
        exact.append(&mut similar);
        self.found = exact;
    }
}

impl OverlayState for PromptHistory {
    fn is_typing(&self) -> bool {
        true
    }

    fn field(&mut self) -> Option<&mut String> {
        Some(&mut self.query)
    }

    fn on_edit(&mut self, _store: &mut Store) {
        self.selected = 0;
        self.filter();
    }

    fn scroll(&mut self, step: ScrollStep, _end: usize, _store: &mut Store) {
        self.selected = step.from(self.selected, self.found.len().saturating_sub(1));
    }

    fn rows(&self, _store: &Store) -> Option<Vec<String>> {
        Some(self.found().map(str::to_owned).collect())
    }

    fn choose_row(&mut self, nth: usize, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        self.selected = nth;
        self.accept(store, fx)
    }

    fn accept(&mut self, _store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        let Some(prompt) = self.found().nth(self.selected) else { return OverlayOutcome::Stay };
        fx.push(Effect::Composer(ComposerEdit::Recall(prompt.to_owned())));
        OverlayOutcome::Close
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::action::Action;
    use crate::store::msg::Msg;

    fn act(store: &mut Store, action: Action) -> Vec<Effect> {
        let mut fx = Vec::new();
        store.update(Msg::Action(action), &mut fx);
        fx
    }

    fn opened(query: &str) -> Store {
        let mut store = Store::default();
        let prompts = ["fix the build", "what is 6*7?", "Fix\nthe tests", "find a box"];
        act(&mut store, Action::OpenPromptHistory(prompts.map(str::to_owned).to_vec()));
        for c in query.chars() {
            act(&mut store, Action::OverlayChar(c));
        }
        store
    }

    fn found(store: &Store) -> Vec<&str> {
        store.focus.top_as::<PromptHistory>().unwrap().found().collect()
    }

    #[test]
    fn the_newest_come_first_and_words_before_letters() {
        assert_eq!(found(&opened("")), ["find a box", "Fix\nthe tests", "what is 6*7?", "fix the build"]);
        assert_eq!(found(&opened("fix")), ["Fix\nthe tests", "fix the build", "find a box"]);
        assert_eq!(found(&opened("tests fix")), ["Fix\nthe tests"]);
        assert_eq!(found(&opened("zzz")), [""; 0]);
    }

    #[test]
    fn the_chosen_one_goes_to_the_composer_and_esc_changes_nothing() {
        let mut store = opened("build");
        let recalled = Effect::Composer(ComposerEdit::Recall("fix the build".into()));
        assert_eq!(act(&mut store, Action::OverlayAccept), [recalled]);
        assert!(store.focus.top().is_none());
        let mut store = opened("zzz");
        assert_eq!(act(&mut store, Action::OverlayAccept), []);
        assert_eq!(act(&mut store, Action::CloseOverlay), []);
        assert!(store.focus.top().is_none());
    }
}
