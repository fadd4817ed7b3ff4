//! The palette: a filter and every action, those used most first.

use std::collections::{BTreeMap, HashSet};

use super::{OverlayOutcome, OverlayState};
use crate::store::Store;
use crate::store::action::{Action, Context, ScrollStep};
use crate::store::action_table::{ACTIONS, ActionHandler, ActionSpec, NUMBERED_TAB_HELP, NUMBERED_TENTH_HELP};
use crate::store::effect::{ComposerEdit, Effect};
use crate::store::pane::Pane;
use crate::store::slash::CommandOffer;
use crate::store::update::support::open;
use crate::text::fuzzy::FuzzyQuery;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Palette {
    pub query: String,
    pub selected: usize,
    /// What can mean something where it was opened.
    offered: Vec<PaletteEntry>,
    /// Those that the query keeps, the best first.
    found: Vec<PaletteEntry>,
}

/// Something that can be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PaletteEntry {
    /// A row of [`ACTIONS`].
    Action(usize),
    /// A command that the person wrote.
    Own(CommandOffer),
}

impl PaletteEntry {
    /// Returns the action, unless it is a command of the person's.
    pub fn action(&self) -> Option<&'static ActionSpec> {
        match self {
            Self::Action(place) => ACTIONS.get(*place),
            Self::Own(_) => None,
        }
    }

    /// Returns what it does, in words.
    pub fn about(&self) -> &str {
        match self {
            Self::Action(place) => ACTIONS.get(*place).map_or("", |row| row.help),
            Self::Own(command) => &command.about,
        }
    }

    /// Returns the command that does it.
    pub fn command(&self) -> Option<&str> {
        match self {
            Self::Action(place) => ACTIONS.get(*place)?.slash.as_ref().map(|command| command.name),
            Self::Own(command) => Some(&command.name),
        }
    }

    /// Returns the name under which its uses are counted.
    fn counted_name(&self) -> String {
        match self {
            Self::Action(place) => ACTIONS.get(*place).map_or_else(String::new, |row| row.name.to_owned()),
            Self::Own(command) => format!("/{}", command.name),
        }
    }

    fn searched_text(&self) -> String {
        match self {
            Self::Action(place) => ACTIONS.get(*place).map_or_else(String::new, searched_text),
            Self::Own(command) => format!("{} /{}", command.about, command.name),
        }
    }
}

impl Palette {
    fn new(store: &Store) -> Self {
        let replays = store.session.capabilities().seek;
        let has_tabs = !store.tabs.tabs.is_empty();
        let holds = |row: &ActionSpec| match row.context {
            Context::Global if row.name.starts_with("tab.") => has_tabs && row.help != NUMBERED_TAB_HELP,
            Context::Global => row.name != "palette.open",
            Context::Pane(Pane::Composer) | Context::EmptyComposer => !replays,
            Context::Pane(Pane::Transcript) => true,
            Context::Pane(pane) => pane == store.focus.pane,
            Context::Replay => replays && row.help != NUMBERED_TENTH_HELP,
            Context::Approval
            | Context::Hunks
            | Context::Search
            | Context::Matches
            | Context::Sessions
            | Context::Overlay => false,
        };
        let mut names = HashSet::new();
        let offered = ACTIONS.iter().enumerate().filter(|(_, row)| holds(row) && names.insert(row.help));
        let own = store.user_commands.iter().filter(|_| !replays).map(CommandOffer::own).map(PaletteEntry::Own);
        let offered = offered.map(|(place, _)| PaletteEntry::Action(place)).chain(own).collect();
        let mut palette = Self { offered, ..Self::default() };
        palette.filter(store);
        palette
    }

    pub fn found(&self) -> impl ExactSizeIterator<Item = &PaletteEntry> {
        self.found.iter()
    }

    /// Those used most come first; where something was typed, among those that fit as well.
    fn filter(&mut self, store: &Store) {
        let uses =
            |entry: &PaletteEntry| store.action_uses.counts.get(&entry.counted_name()).copied().unwrap_or_default();
        let mut by_use = self.offered.clone();
        by_use.sort_by_cached_key(|entry| std::cmp::Reverse(uses(entry)));
        self.found = if self.query.trim().is_empty() {
            by_use
        } else {
            let texts = by_use.iter().map(PaletteEntry::searched_text);
            let places = FuzzyQuery::new(&self.query).rank(texts);
            places.into_iter().filter_map(|nth| by_use.get(nth).cloned()).collect()
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

    fn rows(&self, _store: &Store) -> Option<Vec<String>> {
        let row = |entry: &PaletteEntry| match entry.command() {
            Some(command) => format!("{}, /{command}", entry.about()),
            None => entry.about().to_owned(),
        };
        Some(self.found().map(row).collect())
    }

    fn choose_row(&mut self, nth: usize, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        self.selected = nth;
        self.accept(store, fx)
    }

    fn accept(&mut self, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        let Some(entry) = self.found().nth(self.selected).cloned() else { return OverlayOutcome::Stay };
        add_uses(store, &entry.counted_name(), 1);
        save_action_uses(store, fx);
        match (entry.action().map(|row| row.handler), entry) {
            (Some(ActionHandler::Store(make)), _) => OverlayOutcome::Then(make()),
            (Some(ActionHandler::View(action)), _) => {
                fx.push(Effect::View(action));
                OverlayOutcome::Close
            }
            // What may follow is written first.
            (None, PaletteEntry::Own(command)) if !command.argument.is_empty() => {
                fx.push(Effect::Composer(ComposerEdit::Restore(format!("/{} ", command.name))));
                OverlayOutcome::Close
            }
            (None, PaletteEntry::Own(command)) => OverlayOutcome::Then(Action::Submit(format!("/{}", command.name))),
            (None, PaletteEntry::Action(_)) => OverlayOutcome::Stay,
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
    use crate::store::action::UiAction;
    use crate::store::msg::{Msg, Report};
    use crate::store::user_commands::UserCommand;

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
        store.focus.top_as::<Palette>().unwrap().found().filter_map(|entry| Some(entry.action()?.name)).collect()
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

    #[test]
    fn a_command_of_the_person_is_run_or_waits_for_what_follows_it() {
        let own = |name: &str, text: &str| UserCommand::parse(name, text, "yours").unwrap();
        let mut store = Store {
            user_commands: vec![own("greet", "Say hello."), own("review", "---\nargument-hint: FILE\n---\nSee $1")],
            ..Store::default()
        };
        for (query, expected) in [("say hello", None), ("see $1", Some("/review "))] {
            act(&mut store, Action::OpenPalette);
            query.chars().for_each(|c| _ = act(&mut store, Action::OverlayChar(c)));
            let fx = act(&mut store, Action::OverlayAccept);
            let written = fx.iter().find_map(|effect| match effect {
                Effect::Composer(ComposerEdit::Restore(text)) if text.ends_with(' ') => Some(text.as_str()),
                _ => None,
            });
            assert_eq!(written, expected, "{fx:?}");
            assert!(store.focus.top().is_none());
        }
    }
}
