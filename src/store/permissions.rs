//! What needs asking: the mode, and what was allowed or denied beside it.
//!
//! The mode that never asks is confirmed once a session, and no single key leads to it. A mode that would answer an ask
//! that waits is chosen from the list, never by the key that goes through them.

use crate::event::{ApprovalMode, Command, DecidedBy, Grant, NoticeLevel, PermissionRule, Permissions, RuleKind};

use super::Store;
use super::effect::Effect;
use super::focus::Overlay;
use super::update::support::{close, open, require};

/// Returns what a mode does, in one line.
pub fn mode_description(mode: ApprovalMode) -> &'static str {
    match mode {
        ApprovalMode::Ask => "reads here; asks before writing, running a program or contacting another host",
        ApprovalMode::AutoEdit => {
            "reads and changes files here; asks before running a program or contacting another host"
        }
        ApprovalMode::Plan => "only reads; everything else is denied",
        ApprovalMode::Full => "never asks: runs any program and changes any file",
    }
}

/// Something that is allowed or denied without asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PermissionEntry {
    pub is_allowed: bool,
    /// The pattern, or what it is about in words.
    pub subject: String,
    /// How far and how long it holds.
    pub scope: &'static str,
    pub origin: String,
    /// Calls that it decided, where that is counted.
    pub uses: Option<u64>,
}

/// Returns everything that decides about a call without asking: the grants first, in the order of [`grants`], then the
/// rules of the settings, then what the mode and the program itself say.
pub fn entries(store: &Store) -> Vec<PermissionEntry> {
    let granted = |grant: &Grant| {
        let who = if grant.by == DecidedBy::Remote { "a client" } else { "you" };
        PermissionEntry {
            is_allowed: true,
            subject: grant.pattern(),
            scope: if grant.glob.is_some() { "matches, this session" } else { "every call, this session" },
            origin: format!("{who}{}", if grant.from_earlier_run { ", in an earlier run" } else { "" }),
            uses: Some(grant.uses),
        }
    };
    let rule = |rule: &PermissionRule| PermissionEntry {
        is_allowed: rule.kind == RuleKind::Allow,
        subject: rule.pattern.clone(),
        scope: "always",
        origin: rule.origin.clone(),
        uses: Some(rule.uses),
    };
    let rules = store.session.status.permissions.as_ref().map_or(&[][..], |told| &told.rules);
    let mut entries: Vec<PermissionEntry> = grants(store).iter().map(granted).chain(rules.iter().map(rule)).collect();
    if store.session.status.permissions.is_some() {
        let mode = store.session.mode();
        let built_in = |allowed, what: &str, origin: &str| PermissionEntry {
            is_allowed: allowed,
            subject: what.to_owned(),
            scope: "always",
            origin: origin.to_owned(),
            uses: None,
        };
        let by_mode = |allowed, what| PermissionEntry { scope: "in this mode", ..built_in(allowed, what, mode.name()) };
        entries.push(built_in(true, "reading in the working folder", "built in"));
        match mode {
            ApprovalMode::Ask => {}
            ApprovalMode::AutoEdit => entries.push(by_mode(true, "changing files in the working folder")),
            ApprovalMode::Plan => entries.push(by_mode(false, "everything but reading")),
            ApprovalMode::Full => entries.push(by_mode(true, "everything that no rule denies")),
        }
    }
    entries
}

/// Returns the grants of the session, oldest first.
pub fn grants(store: &Store) -> &[Grant] {
    store.session.status.permissions.as_ref().map_or(&[], |told: &Permissions| &told.grants)
}

pub(super) fn set_mode(store: &mut Store, mode: ApprovalMode, fx: &mut Vec<Effect>) {
    if require(store, |caps| caps.prompt, "the mode can't be changed here") {
        store.session.requested_mode = Some(mode);
        fx.push(Effect::Send(Command::SetMode { mode }));
    }
}

/// Goes to the next mode, but for the one that never asks.
pub(super) fn cycle_mode(store: &mut Store, fx: &mut Vec<Effect>) {
    let mode = store.session.requested_mode.unwrap_or(store.session.mode()).next_in_cycle();
    if store.session.capabilities().decide && store.tool_calls.pending().next().is_some() {
        open_modes(store, Some(mode));
    } else {
        set_mode(store, mode, fx);
    }
}

/// Returns whether the mode that never asks was confirmed, or is the session's anyway.
pub(super) fn is_full_mode_confirmed(store: &Store) -> bool {
    store.session.is_full_mode_confirmed || store.session.mode() == ApprovalMode::Full
}

pub(super) fn open_modes(store: &mut Store, selected: Option<ApprovalMode>) {
    if require(store, |caps| caps.prompt, "the mode can't be changed here") {
        let selected = selected.or(store.session.requested_mode).unwrap_or(store.session.mode());
        let selected = ApprovalMode::ALL.iter().position(|mode| *mode == selected).unwrap_or(0);
        open(store, Overlay::Modes { selected, full_mode_confirm: None });
    }
}

/// Asks whether the mode that never asks is meant.
pub(super) fn confirm_full_mode(store: &mut Store) {
    open_modes(store, Some(ApprovalMode::Full));
    if let Some(Overlay::Modes { full_mode_confirm: sure, .. }) = store.focus.overlays.last_mut() {
        *sure = Some(false);
    }
}

/// Selects the next mode that begins with a letter.
pub(super) fn select_mode_by_letter(store: &mut Store, letter: char) {
    let Some(Overlay::Modes { selected, full_mode_confirm: None }) = store.focus.overlays.last_mut() else { return };
    let after = (1..=ApprovalMode::ALL.len()).map(|by| (*selected + by) % ApprovalMode::ALL.len());
    let begins = |at: &usize| {
        ApprovalMode::ALL.get(*at).is_some_and(|mode| mode.name().starts_with(letter.to_ascii_lowercase()))
    };
    if let Some(next) = after.into_iter().find(begins) {
        *selected = next;
    }
}

/// Enter in the list of modes.
pub(super) fn accept_mode(store: &mut Store, fx: &mut Vec<Effect>) {
    let Some(Overlay::Modes { selected, full_mode_confirm: sure }) = store.focus.top() else { return };
    let (mode, sure) = (ApprovalMode::ALL.get(*selected).copied().unwrap_or_default(), *sure);
    if mode == ApprovalMode::Full && sure.is_none() && !is_full_mode_confirmed(store) {
        return confirm_full_mode(store);
    }
    close(store, fx);
    match sure {
        Some(false) => {}
        Some(true) => {
            store.session.is_full_mode_confirmed = true;
            set_mode(store, mode, fx);
        }
        None => set_mode(store, mode, fx),
    }
}

/// Takes back the selected grant; what it allowed is asked about from the next call on.
pub(super) fn revoke_selected(store: &mut Store, fx: &mut Vec<Effect>) {
    let Some(Overlay::Permissions { selected }) = store.focus.top() else { return };
    let Some(pattern) = grants(store).get(*selected).map(Grant::pattern) else {
        store.toast = Some((NoticeLevel::Info, "no grant to take back; change rules in the settings".into()));
        return;
    };
    if require(store, |caps| caps.decide, "nothing can be taken back here: this session is read-only") {
        fx.push(Effect::Send(Command::RevokeGrant { pattern }));
    }
}
