//! What needs asking: the mode, and what was allowed or denied beside it.
//!
//! Not here: the lists in which they are chosen and taken back (`overlay/modes.rs`, `overlay/permissions.rs`).

use crate::event::{ApprovalMode, Command, DecidedBy, Grant, Pattern, PermissionRule, Permissions, RuleKind};

use super::Store;
use super::effect::Effect;
use super::update::support::require;

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

/// Returns the patterns that allow calls, from the settings and of the session.
pub fn allowing_patterns(store: &Store) -> Vec<Pattern> {
    store.session.status.permissions.as_ref().map(Permissions::allowing).unwrap_or_default()
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

/// Returns whether the mode that never asks was confirmed, or is the session's anyway.
pub(super) fn is_full_mode_confirmed(store: &Store) -> bool {
    store.session.is_full_mode_confirmed || store.session.mode() == ApprovalMode::Full
}
