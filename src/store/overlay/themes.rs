//! The list of themes. The one under the cursor is shown at once, and holds when it is chosen.

use super::{LetterUse, OverlayOutcome, OverlayState};
use crate::store::Store;
use crate::store::action::{Action, ScrollStep};
use crate::store::command_argument::THEMES;
use crate::store::effect::Effect;
use crate::store::update::support::open;

/// What is known of themes outside this file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThemeList {
    /// The one that holds.
    pub current: String,
    /// Those that the person wrote.
    pub own: Vec<String>,
}

impl ThemeList {
    /// Returns all of them, each with what it is.
    pub fn rows(&self) -> impl Iterator<Item = (&str, &str)> {
        THEMES.iter().copied().chain(self.own.iter().map(|name| (name.as_str(), "yours")))
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThemePicker {
    pub selected: usize,
    /// To be shown, and not asked for yet.
    wanted: Option<String>,
}

impl ThemePicker {
    fn select(&mut self, selected: usize, store: &Store) {
        if selected != self.selected {
            self.selected = selected;
            self.wanted = store.themes.rows().nth(selected).map(|(name, _)| name.to_owned());
        }
    }

    /// Returns the next theme that begins with a letter.
    fn next_with(&self, letter: char, store: &Store) -> Option<usize> {
        let count = store.themes.rows().count();
        let begins = |at: &usize| store.themes.rows().nth(*at).is_some_and(|(name, _)| name.starts_with(letter));
        (1..=count).map(|by| (self.selected + by) % count).find(begins)
    }
}

impl OverlayState for ThemePicker {
    fn letter_use(&self, _letter: char) -> LetterUse {
        LetterUse::Command(true)
    }

    fn type_char(&mut self, c: char, store: &mut Store, _fx: &mut Vec<Effect>) -> OverlayOutcome {
        if let Some(next) = self.next_with(c.to_ascii_lowercase(), store) {
            self.select(next, store);
        }
        OverlayOutcome::Stay
    }

    fn scroll(&mut self, step: ScrollStep, _end: usize, store: &mut Store) {
        let last = store.themes.rows().count().saturating_sub(1);
        self.select(step.from(self.selected, last), store);
    }

    fn rows(&self, store: &Store) -> Option<Vec<String>> {
        let row = |(name, about): (&str, &str)| {
            let mark = if name == store.themes.current { ", in use" } else { "" };
            format!("{name}{mark}: {about}")
        };
        Some(store.themes.rows().map(row).collect())
    }

    fn choose_row(&mut self, nth: usize, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        self.selected = nth;
        self.accept(store, fx)
    }

    fn accept(&mut self, store: &mut Store, _fx: &mut Vec<Effect>) -> OverlayOutcome {
        match store.themes.rows().nth(self.selected) {
            Some((name, _)) => OverlayOutcome::Then(Action::SetTheme(Some(name.to_owned()))),
            None => OverlayOutcome::Close,
        }
    }

    fn ask(&mut self, fx: &mut Vec<Effect>) {
        fx.extend(self.wanted.take().map(Effect::PreviewTheme));
    }
}

pub(in crate::store) fn open_themes(store: &mut Store, fx: &mut Vec<Effect>) {
    let selected = store.themes.rows().position(|(name, _)| name == store.themes.current).unwrap_or(0);
    open(store, ThemePicker { selected, wanted: None });
    fx.push(Effect::ListThemes);
}
