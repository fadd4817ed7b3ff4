//! The list of how much the model may think, and what sets it without the list.

use super::{LetterUse, OverlayOutcome, OverlayState};
use crate::event::{AgentOption, AgentOptionKind, NoticeLevel};
use crate::store::Store;
use crate::store::action::{Action, ScrollStep};
use crate::store::effect::{ComposerEdit, Effect};
use crate::store::session::OpenedSession;
use crate::store::update::support::{open, require};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EffortList {
    pub selected: usize,
}

impl EffortList {
    /// Returns what may be chosen from; none where the model takes no effort.
    pub fn option(store: &Store) -> Option<&AgentOption> {
        let options = store.session.status.options.iter();
        options.into_iter().find(|option| option.kind == AgentOptionKind::Effort && !option.values.is_empty())
    }
}

impl OverlayState for EffortList {
    fn letter_use(&self, _letter: char) -> LetterUse {
        LetterUse::Command(false)
    }

    fn scroll(&mut self, step: ScrollStep, _end: usize, store: &mut Store) {
        let count = Self::option(store).map_or(0, |option| option.values.len());
        self.selected = step.from(self.selected, count.saturating_sub(1));
    }

    fn rows(&self, store: &Store) -> Option<Vec<String>> {
        let option = Self::option(store)?;
        let row = |value: &crate::event::AgentOptionValue| {
            let mark = if value.value == option.current { ", in use" } else { "" };
            let about = if value.description.is_empty() { String::new() } else { format!(": {}", value.description) };
            format!("{}{mark}{about}", value.name)
        };
        Some(option.values.iter().map(row).collect())
    }

    fn choose_row(&mut self, nth: usize, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        self.selected = nth;
        self.accept(store, fx)
    }

    fn accept(&mut self, store: &mut Store, _fx: &mut Vec<Effect>) -> OverlayOutcome {
        let chosen =
            Self::option(store).and_then(|option| Some((option.id.clone(), option.values.get(self.selected)?)));
        match chosen {
            Some((option, value)) => OverlayOutcome::Then(Action::SetOption { option, value: value.value.clone() }),
            None => OverlayOutcome::Close,
        }
    }
}

pub(in crate::store) fn open_efforts(store: &mut Store) {
    if require(store, |caps| caps.prompt, "the effort can't be changed here") && takes_effort(store) {
        let current = |option: &AgentOption| option.values.iter().position(|value| value.value == option.current);
        let selected = EffortList::option(store).and_then(current).unwrap_or(0);
        open(store, EffortList { selected });
    }
}

/// Sets the level of that name; what is none is given back.
pub(in crate::store) fn set_effort(store: &mut Store, name: &str, fx: &mut Vec<Effect>) {
    if !require(store, |caps| caps.prompt, "the effort can't be changed here") || !takes_effort(store) {
        return;
    }
    let Some(option) = EffortList::option(store) else { return };
    if let Some(value) = option.find(name) {
        let action = (option.id.clone(), value.value.clone());
        send(store, action, fx);
        return;
    }
    let known: Vec<&str> = option.values.iter().map(|value| value.value.as_str()).collect();
    store.toast = Some((NoticeLevel::Warn, format!("unknown effort {name}; use {}", known.join(", "))));
    fx.push(Effect::Composer(ComposerEdit::Restore(format!("/effort {name}"))));
}

/// Sets the next higher level, or the next lower one. What is asked for and not told yet counts.
pub(in crate::store) fn step_effort(store: &mut Store, is_up: bool, fx: &mut Vec<Effect>) {
    if !require(store, |caps| caps.prompt, "the effort can't be changed here") || !takes_effort(store) {
        return;
    }
    let Some(option) = EffortList::option(store) else { return };
    let current = store.session.requested_effort.as_ref().unwrap_or(&option.current);
    let levels: Vec<&str> = option.values.iter().map(|value| value.value.as_str()).collect();
    let levels: Vec<&str> = levels.into_iter().filter(|level| *level != AgentOption::DEFAULT_VALUE).collect();
    let place_of = |name: &str| levels.iter().position(|level| *level == name);
    // What a model does by itself is nearly always the middle.
    let at = place_of(current).or_else(|| place_of("medium")).unwrap_or(levels.len() / 2);
    let next = if is_up { (at + 1).min(levels.len().saturating_sub(1)) } else { at.saturating_sub(1) };
    let Some(level) = levels.get(next) else { return };
    let action = (option.id.clone(), (*level).to_owned());
    send(store, action, fx);
}

fn send(store: &mut Store, (option, value): (String, String), fx: &mut Vec<Effect>) {
    store.toast = Some((NoticeLevel::Info, format!("effort {value}")));
    store.session.requested_effort = Some(value.clone());
    fx.push(Effect::Send(crate::event::Command::SetOption { option, value }));
}

fn takes_effort(store: &mut Store) -> bool {
    let is_there = EffortList::option(store).is_some();
    if !is_there {
        let name = store.session.opened.as_ref().map_or_else(|| "this model".to_owned(), OpenedSession::name);
        store.toast = Some((NoticeLevel::Info, format!("{name} is not known to take an effort")));
    }
    is_there
}
