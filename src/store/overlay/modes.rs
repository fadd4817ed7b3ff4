//! What needs asking, to be chosen.
//!
//! The mode that never asks is confirmed once a session, and no single key leads to it. A mode that would answer an ask
//! that waits is chosen from the list, never by the key that goes through them.

use super::{LetterUse, OverlayOutcome, OverlayState};
use crate::event::{AgentOptionKind, ApprovalMode, Command, NoticeLevel};
use crate::store::Store;
use crate::store::action::{Action, ScrollStep};
use crate::store::effect::{ComposerEdit, Effect};
use crate::store::permissions::{is_full_mode_confirmed, mode_description, set_mode};
use crate::store::update::support::{open, require};

/// What is asked before nothing is asked any more.
pub const FULL_MODE_WARNING: &str = "yes: this session runs programs and changes files without asking from now on";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModeList {
    pub selected: usize,
    /// The mode that never asks was chosen and wants to be confirmed: whether that is what is selected.
    pub full_mode_confirm: Option<bool>,
}

impl ModeList {
    fn new(selected: ApprovalMode) -> Self {
        let selected = ApprovalMode::ALL.iter().position(|mode| *mode == selected).unwrap_or(0);
        Self { selected, full_mode_confirm: None }
    }

    /// Returns the next mode that begins with a letter.
    fn next_with(&self, letter: char) -> Option<usize> {
        let count = ApprovalMode::ALL.len();
        (1..=count).map(|by| (self.selected + by) % count).find(|at| {
            ApprovalMode::ALL.get(*at).is_some_and(|mode| mode.name().starts_with(letter.to_ascii_lowercase()))
        })
    }
}

impl OverlayState for ModeList {
    fn letter_use(&self, letter: char) -> LetterUse {
        match self.full_mode_confirm {
            None => LetterUse::Command(self.next_with(letter).is_some()),
            Some(_) => LetterUse::Own,
        }
    }

    fn type_char(&mut self, c: char, _store: &mut Store, _fx: &mut Vec<Effect>) -> OverlayOutcome {
        if let (None, Some(next)) = (self.full_mode_confirm, self.next_with(c)) {
            self.selected = next;
        }
        OverlayOutcome::Stay
    }

    fn scroll(&mut self, step: ScrollStep, _end: usize, store: &mut Store) {
        if let Some(sure) = &mut self.full_mode_confirm {
            *sure = !*sure;
        } else {
            let count = ApprovalMode::ALL.len() + store.session.agent_modes().count();
            self.selected = step.from(self.selected, count - 1);
        }
    }

    fn rows(&self, store: &Store) -> Option<Vec<String>> {
        let current = store.session.mode();
        if self.full_mode_confirm.is_some() {
            return Some(vec![format!("keep the mode {}", current.name()), FULL_MODE_WARNING.to_owned()]);
        }
        let mark = |is_current: bool| if is_current { ", in use" } else { "" };
        let ours = ApprovalMode::ALL
            .into_iter()
            .map(|mode| format!("{}{}: {}", mode.name(), mark(mode == current), mode_description(mode)));
        let theirs = store
            .session
            .agent_modes()
            .map(|(option, value)| format!("{}{}", value.name, mark(value.value == option.current)));
        Some(ours.chain(theirs).collect())
    }

    fn choose_row(&mut self, nth: usize, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        match &mut self.full_mode_confirm {
            Some(sure) => *sure = nth == 1,
            None => self.selected = nth,
        }
        self.accept(store, fx)
    }

    fn accept(&mut self, store: &mut Store, _fx: &mut Vec<Effect>) -> OverlayOutcome {
        if let (None, Some(nth)) = (self.full_mode_confirm, self.selected.checked_sub(ApprovalMode::ALL.len())) {
            return match store.session.agent_modes().nth(nth) {
                Some((option, value)) => {
                    OverlayOutcome::Then(Action::SetOption { option: option.id.clone(), value: value.value.clone() })
                }
                None => OverlayOutcome::Close,
            };
        }
        let mode = ApprovalMode::ALL.get(self.selected).copied().unwrap_or_default();
        match self.full_mode_confirm {
            None if mode == ApprovalMode::Full && !is_full_mode_confirmed(store) => {
                self.full_mode_confirm = Some(false);
                return OverlayOutcome::Stay;
            }
            Some(false) => return OverlayOutcome::Close,
            Some(true) => store.session.is_full_mode_confirmed = true,
            None => {}
        }
        OverlayOutcome::Then(Action::SetMode(mode))
    }
}

pub(in crate::store) fn open_modes(store: &mut Store, selected: Option<ApprovalMode>) {
    if require(store, |caps| caps.prompt, "the mode can't be changed here") {
        let selected = selected.or(store.session.requested_mode).unwrap_or(store.session.mode());
        open(store, ModeList::new(selected));
    }
}

/// Sets what is called so among the agent's own modes; what is not there is given back.
pub(in crate::store) fn set_agent_mode(store: &mut Store, name: &str, fx: &mut Vec<Effect>) {
    let options = &store.session.status.options;
    let of_kind = |kind| options.iter().filter(move |option| option.kind == kind);
    let others = of_kind(AgentOptionKind::Effort).chain(of_kind(AgentOptionKind::Other));
    let found = of_kind(AgentOptionKind::Mode).chain(others).find_map(|option| Some((option, option.find(name)?)));
    if let Some((option, value)) = found {
        let (option, value) = (option.id.clone(), value.value.clone());
        if require(store, |caps| caps.prompt, "the mode can't be changed here") {
            fx.push(Effect::Send(Command::SetOption { option, value }));
        }
        return;
    }
    let ours = ApprovalMode::ALL.into_iter().map(|mode| mode.name().to_owned());
    let theirs =
        of_kind(AgentOptionKind::Mode).flat_map(|option| option.values.iter().map(|value| value.value.clone()));
    let known: Vec<String> = ours.chain(theirs).collect();
    let known = known.split_last().map_or_else(String::new, |(last, first)| format!("{} or {last}", first.join(", ")));
    store.toast = Some((NoticeLevel::Warn, format!("unknown mode {name}; use {known}")));
    fx.push(Effect::Composer(ComposerEdit::Restore(format!("/mode {name}"))));
}

/// Asks whether the mode that never asks is meant.
pub(in crate::store) fn confirm_full_mode(store: &mut Store) {
    open_modes(store, Some(ApprovalMode::Full));
    if let Some(list) = store.focus.top_mut::<ModeList>() {
        *list = ModeList { full_mode_confirm: Some(false), ..ModeList::new(ApprovalMode::Full) };
    }
}

/// Goes to the next mode, but for the one that never asks.
pub(in crate::store) fn cycle_mode(store: &mut Store, fx: &mut Vec<Effect>) {
    let mode = store.session.requested_mode.unwrap_or(store.session.mode()).next_in_cycle();
    if store.session.capabilities().decide && store.tool_calls.pending().next().is_some() {
        open_modes(store, Some(mode));
    } else {
        set_mode(store, mode, fx);
    }
}
