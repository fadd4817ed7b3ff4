//! What needs asking: the mode, and what was allowed or denied beside it.
//!
//! The mode that never asks is confirmed once a session, and no single key leads to it. A mode that would answer an ask
//! that waits is chosen from the list, never by the key that goes through them.

use crate::event::{Command, DecidedBy, Grant, Level, Mode, Permissions, RuleKind, StandingRule};

use super::Store;
use super::effect::Effect;
use super::focus::Overlay;
use super::wishes::{can, close, open};

/// Returns what a mode does, in one line.
pub fn mode_in_words(mode: Mode) -> &'static str {
    match mode {
        Mode::Ask => "reads here; asks before it writes, runs a program or reaches another host",
        Mode::AutoEdit => "reads and changes files here; asks before it runs a program or reaches another host",
        Mode::Plan => "only reads; everything else is denied",
        Mode::Full => "never asks: runs every program and changes every file unasked",
    }
}

/// Something that is allowed or denied without asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub allowed: bool,
    /// The pattern, or what it is about in words.
    pub what: String,
    /// How far and how long it holds.
    pub scope: &'static str,
    pub origin: String,
    /// Calls that it decided, where that is counted.
    pub uses: Option<u64>,
}

/// Returns everything that decides about a call without asking: the grants first, in the order of [`grants`], then the
/// rules of the settings, then what the mode and the program itself say.
pub fn entries(store: &Store) -> Vec<Entry> {
    let granted = |grant: &Grant| {
        let who = if grant.by == DecidedBy::Remote { "a client" } else { "you" };
        Entry {
            allowed: true,
            what: grant.pattern(),
            scope: if grant.glob.is_some() { "what matches, this session" } else { "every call, this session" },
            origin: format!("{who}{}", if grant.earlier { ", in an earlier run" } else { "" }),
            uses: Some(grant.uses),
        }
    };
    let rule = |rule: &StandingRule| Entry {
        allowed: rule.kind == RuleKind::Allow,
        what: rule.pattern.clone(),
        scope: "always",
        origin: rule.origin.clone(),
        uses: Some(rule.uses),
    };
    let rules = store.session.weather.permissions.as_ref().map_or(&[][..], |told| &told.rules);
    let mut entries: Vec<Entry> = grants(store).iter().map(granted).chain(rules.iter().map(rule)).collect();
    if store.session.weather.permissions.is_some() {
        let mode = store.session.mode();
        let built_in = |allowed, what: &str, origin: &str| Entry {
            allowed,
            what: what.to_owned(),
            scope: "always",
            origin: origin.to_owned(),
            uses: None,
        };
        let by_mode = |allowed, what| Entry { scope: "in this mode", ..built_in(allowed, what, mode.name()) };
        entries.push(built_in(true, "reading in the working folder", "built in"));
        match mode {
            Mode::Ask => {}
            Mode::AutoEdit => entries.push(by_mode(true, "changing files in the working folder")),
            Mode::Plan => entries.push(by_mode(false, "everything but reading")),
            Mode::Full => entries.push(by_mode(true, "everything that no rule denies")),
        }
    }
    entries
}

/// Returns the grants of the session, oldest first.
pub fn grants(store: &Store) -> &[Grant] {
    store.session.weather.permissions.as_ref().map_or(&[], |told: &Permissions| &told.grants)
}

pub(super) fn set_mode(store: &mut Store, mode: Mode, fx: &mut Vec<Effect>) {
    if can(store, |caps| caps.prompt, "the mode can't be changed here") {
        store.session.wanted_mode = Some(mode);
        fx.push(Effect::Send(Command::SetMode { mode }));
    }
}

/// Goes to the next mode, but for the one that never asks.
pub(super) fn next_mode(store: &mut Store, fx: &mut Vec<Effect>) {
    let mode = store.session.wanted_mode.unwrap_or(store.session.mode()).following();
    if store.session.caps().decide && store.tools.pending().next().is_some() {
        open_modes(store, Some(mode));
    } else {
        set_mode(store, mode, fx);
    }
}

/// Returns whether the mode that never asks was confirmed, or is the session's anyway.
pub(super) fn may_never_ask(store: &Store) -> bool {
    store.session.full_confirmed || store.session.mode() == Mode::Full
}

pub(super) fn open_modes(store: &mut Store, selected: Option<Mode>) {
    if can(store, |caps| caps.prompt, "the mode can't be changed here") {
        let selected = selected.or(store.session.wanted_mode).unwrap_or(store.session.mode());
        let selected = Mode::ALL.iter().position(|mode| *mode == selected).unwrap_or(0);
        open(store, Overlay::Modes { selected, sure: None });
    }
}

/// Asks whether the mode that never asks is meant.
pub(super) fn confirm(store: &mut Store) {
    open_modes(store, Some(Mode::Full));
    if let Some(Overlay::Modes { sure, .. }) = store.focus.overlays.last_mut() {
        *sure = Some(false);
    }
}

/// Selects the next mode that begins with a letter.
pub(super) fn mode_letter(store: &mut Store, letter: char) {
    let Some(Overlay::Modes { selected, sure: None }) = store.focus.overlays.last_mut() else { return };
    let after = (1..=Mode::ALL.len()).map(|by| (*selected + by) % Mode::ALL.len());
    let begins =
        |at: &usize| Mode::ALL.get(*at).is_some_and(|mode| mode.name().starts_with(letter.to_ascii_lowercase()));
    if let Some(next) = after.into_iter().find(begins) {
        *selected = next;
    }
}

/// Enter in the list of modes.
pub(super) fn take_mode(store: &mut Store, fx: &mut Vec<Effect>) {
    let Some(Overlay::Modes { selected, sure }) = store.focus.top() else { return };
    let (mode, sure) = (Mode::ALL.get(*selected).copied().unwrap_or_default(), *sure);
    if mode == Mode::Full && sure.is_none() && !may_never_ask(store) {
        return confirm(store);
    }
    close(store, fx);
    match sure {
        Some(false) => {}
        Some(true) => {
            store.session.full_confirmed = true;
            set_mode(store, mode, fx);
        }
        None => set_mode(store, mode, fx),
    }
}

/// Takes back the selected grant; what it allowed is asked about from the next call on.
pub(super) fn revoke(store: &mut Store, fx: &mut Vec<Effect>) {
    let Some(Overlay::Permissions { selected }) = store.focus.top() else { return };
    let Some(pattern) = grants(store).get(*selected).map(Grant::pattern) else {
        store.hint = Some((Level::Info, "there is no grant to take back; rules are changed in the settings".into()));
        return;
    };
    if can(store, |caps| caps.decide, "nothing can be taken back here: this session is only watched") {
        fx.push(Effect::Send(Command::Revoke { pattern }));
    }
}
