//! What was typed and sent: a prompt for whoever answers, or a command.
//!
//! Not for reading commands (`slash.rs`). The invariant: what can't be sent is given back, never lost.

use crate::event::{Command, Level};

use super::Store;
use super::action::Action;
use super::effect::Effect;
use super::slash::{self, Slash, Submitted};
use super::transcript::Kind;
use super::wishes::{act, can};

/// Does what a text says that was typed and sent.
pub(super) fn submit(store: &mut Store, text: String, fx: &mut Vec<Effect>) {
    if text.trim().is_empty() {
        return;
    }
    match slash::read(&text) {
        Submitted::Text(send) => {
            if can(store, |caps| caps.prompt, "nobody answers here: this session can only be watched") {
                fx.push(Effect::Send(Command::Prompt { text: send }));
            } else {
                store.taken_back = Some(text);
            }
        }
        Submitted::Wrong(why) => {
            store.hint = Some((Level::Warn, why));
            store.taken_back = Some(text);
        }
        Submitted::Command(Slash::Help) => act(store, Action::OpenHelp, fx),
        Submitted::Command(Slash::Model(None)) => act(store, Action::OpenModels, fx),
        Submitted::Command(Slash::Model(Some(name))) => act(store, Action::SetModel(name), fx),
        Submitted::Command(Slash::Mode(None)) => act(store, Action::OpenModes, fx),
        Submitted::Command(Slash::Mode(Some(mode))) => act(store, Action::SetMode(mode), fx),
        Submitted::Command(Slash::Permissions) => act(store, Action::OpenPermissions, fx),
        Submitted::Command(Slash::Debug) => act(store, Action::ToggleDebug, fx),
        Submitted::Command(Slash::Raw) => act(store, Action::OpenRaw { item: None }, fx),
        Submitted::Command(Slash::Links) => act(store, Action::OpenLinks { item: None }, fx),
        Submitted::Command(Slash::Code) => act(store, Action::OpenBlocks, fx),
        Submitted::Command(Slash::Outputs) => act(store, Action::ToggleOutputs, fx),
        Submitted::Command(Slash::Thinking) => act(store, Action::ToggleThinking, fx),
        Submitted::Command(Slash::Targets) => act(store, Action::ToggleTargets, fx),
        Submitted::Command(Slash::Tools) => act(store, Action::ToggleToolPanel, fx),
        Submitted::Command(Slash::Approval) => act(store, Action::OpenApproval, fx),
        Submitted::Command(Slash::Times(None)) => act(store, Action::CycleTimestamps, fx),
        Submitted::Command(Slash::Times(Some(times))) => store.timestamps = times,
        Submitted::Command(Slash::Outline) => act(store, Action::OpenOutline { from: None }, fx),
        Submitted::Command(Slash::Copy(nth)) => act(store, Action::CopyAnswer(nth), fx),
        Submitted::Command(Slash::Search(query)) => act(store, Action::OpenSearch { from: None, query }, fx),
        Submitted::Command(Slash::Frames(None)) => act(store, Action::OpenFrames, fx),
        Submitted::Command(Slash::Frames(file)) => fx.push(Effect::SaveFrames(file)),
        Submitted::Command(Slash::Retry) => act(store, Action::Retry, fx),
        Submitted::Command(Slash::New) => fx.push(Effect::NewSession),
        Submitted::Command(Slash::Quit) => fx.push(Effect::Quit),
    }
}

/// Sends the last prompt again. Nothing does that by itself: a remote may have begun to act on it.
pub(super) fn retry(store: &mut Store, fx: &mut Vec<Effect>) {
    if !can(store, |caps| caps.prompt, "nobody answers here: this session can only be watched") {
        return;
    }
    let last = store.transcript.items().iter().rev().find_map(|item| match &item.kind {
        Kind::Prompt { text } => Some(text.clone()),
        _ => None,
    });
    match last {
        _ if !store.session.phase.is_idle() => {
            store.hint = Some((Level::Info, "the answer is still coming; stop it first".into()));
        }
        Some(text) => fx.push(Effect::Send(Command::Prompt { text })),
        None => store.hint = Some((Level::Info, "nothing was asked yet".into())),
    }
}
