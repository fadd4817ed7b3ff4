//! The palette: a filter and every action, those used most first.

use std::collections::{BTreeMap, HashSet};

use super::{OverlayOutcome, OverlayState};
use crate::store::Store;
use crate::store::action::{Context, ScrollStep};
use crate::store::action_table::{ACTIONS, ActionHandler, ActionSpec};
use crate::store::effect::Effect;
use crate::store::pane::Pane;
use crate::store::update::support::open;
use crate::text::fuzzy::FuzzyQuery;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Palette {
    pub query: String,
    pub selected: usize,
    /// Rows of [`ACTIONS`] that can mean something where it was opened.
    offered: Vec<usize>,
    /// Those that the query keeps, the best first.
    found: Vec<usize>,
}

impl Palette {
    fn new(store: &Store) -> Self {
        let replays = store.session.capabilities().seek;
        let holds = |row: &ActionSpec| match row.context {
            Context::Global => row.name != "palette.open",
            Context::Pane(Pane::Composer) | Context::EmptyComposer => !replays,
            Context::Pane(Pane::Transcript) => true,
            Context::Pane(pane) => pane == store.focus.pane,
            Context::Replay => replays,
            Context::Approval | Context::Search | Context::Matches | Context::Sessions | Context::Overlay => false,
        };
        let mut names = HashSet::new();
        let offered = ACTIONS.iter().enumerate().filter(|(_, row)| holds(row) && names.insert(row.help));
        let mut palette = Self { offered: offered.map(|(place, _)| place).collect(), ..Self::default() };
        palette.filter(store);
        palette
    }

    pub fn found(&self) -> impl ExactSizeIterator<Item = &'static ActionSpec> {
        self.found.iter().map(|place| &ACTIONS[*place])
    }

    /// Those used most come first; where something was typed, among those that fit as well.
    fn filter(&mut self, store: &Store) {
        let uses = |place: &usize| store.action_uses.counts.get(ACTIONS[*place].name).copied().unwrap_or_default();
        let mut by_use = self.offered.clone();
        by_use.sort_by_key(|place| std::cmp::Reverse(uses(place)));
        self.found = if self.query.trim().is_empty() {
            by_use
        } else {
            let texts = by_use.iter().map(|place| searched_text(&ACTIONS[*place]));
            FuzzyQuery::new(&self.query).rank(texts).into_iter().map(|nth| by_use[nth]).collect()
        };
    }
}

fn searched_text(row: &ActionSpec) -> String {
    let Some(command) = &row.slash else { return format!("{} {}", row.help, row.name) };
    format!("{} {} /{} {}", row.help, row.name, command.name, command.aliases.join(" "))
}

impl OverlayState for Palette {
    fn is_typing(&self) -> bool {
        true
    }

    fn field(&mut self) -> Option<&mut String> {
        Some(&mut self.query)
    }

    fn on_edit(&mut self, store: &mut Store) {
        self.selected = 0;
        self.filter(store);
    }

    fn scroll(&mut self, step: ScrollStep, _end: usize, _store: &mut Store) {
        self.selected = step.from(self.selected, self.found.len().saturating_sub(1));
    }

    fn accept(&mut self, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        let Some(row) = self.found().nth(self.selected) else { return OverlayOutcome::Stay };
        add_uses(store, row.name, 1);
        save_action_uses(store, fx);
        match row.handler {
            ActionHandler::Store(make) => OverlayOutcome::Then(make()),
            ActionHandler::View(action) => {
                fx.push(Effect::View(action));
                OverlayOutcome::Close
            }
        }
    }
}

/// Lists every action that can mean something here; how often each was used is asked for once.
pub(in crate::store) fn open_palette(store: &mut Store, fx: &mut Vec<Effect>) {
    if !store.action_uses.is_loaded {
        fx.push(Effect::LoadActionUses);
    }
    let palette = Palette::new(store);
    open(store, palette);
}

fn add_uses(store: &mut Store, name: &str, times: u32) {
    let uses = store.action_uses.counts.entry(name.to_owned()).or_default();
    *uses = uses.saturating_add(times);
}

/// What was not read yet must not be written over.
fn save_action_uses(store: &Store, fx: &mut Vec<Effect>) {
    if store.action_uses.is_loaded {
        fx.push(Effect::SaveActionUses(store.action_uses.counts.clone()));
    }
}

/// Takes the counts of earlier runs.
pub(in crate::store) fn add_action_uses(store: &mut Store, earlier: BTreeMap<String, u32>, fx: &mut Vec<Effect>) {
    if std::mem::replace(&mut store.action_uses.is_loaded, true) {
        return;
    }
    let has_new = !store.action_uses.counts.is_empty();
    for (name, times) in earlier {
        add_uses(store, &name, times);
    }
    if has_new {
        save_action_uses(store, fx);
    }
    let Some(mut palette) = store.focus.find_mut::<Palette>().map(std::mem::take) else { return };
    palette.filter(store);
    if let Some(shown) = store.focus.find_mut::<Palette>() {
        *shown = palette;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::action::{Action, UiAction};
    use crate::store::msg::{Msg, Report};

    fn act(store: &mut Store, action: Action) -> Vec<Effect> {
        let mut fx = Vec::new();
        store.update(Msg::Action(action), &mut fx);
        fx
    }

    fn opened(query: &str) -> Store {
        let mut store = Store::default();
        act(&mut store, Action::OpenPalette);
        for c in query.chars() {
            act(&mut store, Action::OverlayChar(c));
        }
        store
    }

    fn names(store: &Store) -> Vec<&'static str> {
        store.focus.top_as::<Palette>().unwrap().found().map(|row| row.name).collect()
    }

    #[test]
    fn every_action_that_means_something_here_is_offered_once() {
        let names = names(&opened(""));
        for expected in ["model.choose", "transcript.copy", "composer.undo", "app.quit", "session.choose"] {
            assert_eq!(names.iter().filter(|name| **name == expected).count(), 1, "{expected}");
        }
        for other in ["palette.open", "overlay.close", "approval.once", "replay.pause"] {
            assert!(!names.contains(&other), "{other}");
        }
    }

    #[test]
    fn some_letters_find_an_action_by_what_it_does_or_by_its_command() {
        for (query, expected) in [("chomod", "model.choose"), ("/perm", "permissions.open"), ("toc", "outline.open")] {
            assert_eq!(names(&opened(query)).first(), Some(&expected), "{query}");
        }
    }

    #[test]
    fn the_chosen_action_is_done_and_comes_first_the_next_time() {
        let mut store = opened("outline");
        let fx = act(&mut store, Action::OverlayAccept);
        assert!(fx.contains(&Effect::View(UiAction::Outline)), "{fx:?}");
        assert!(store.focus.top().is_none());
        act(&mut store, Action::OpenPalette);
        assert_eq!(names(&store).first(), Some(&"outline.open"));
        let mut store = opened("unfold the last tool output");
        let was = store.fold_outputs;
        act(&mut store, Action::OverlayAccept);
        assert_eq!(store.fold_outputs, !was);
    }

    #[test]
    fn uses_of_earlier_runs_count_and_are_not_lost_to_a_choice_before_they_were_read() {
        let mut store = opened("");
        let told = || Msg::Report(Report::ActionUses([("app.redraw".to_owned(), 3)].into()));
        store.update(told(), &mut Vec::new());
        assert_eq!(names(&store).first(), Some(&"app.redraw"));

        let mut store = opened("outline");
        let saves = |fx: &[Effect]| fx.iter().filter(|effect| matches!(effect, Effect::SaveActionUses(_))).count();
        assert_eq!(saves(&act(&mut store, Action::OverlayAccept)), 0);
        let mut fx = Vec::new();
        store.update(told(), &mut fx);
        let both = [("app.redraw".to_owned(), 3), ("outline.open".to_owned(), 1)].into();
        assert_eq!(fx, [Effect::SaveActionUses(both)]);
    }
}
