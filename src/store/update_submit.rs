//! What was typed and sent: a prompt for whoever answers, or a command.
//!
//! Not for reading commands (`slash.rs`). The invariant: what can't be sent is given back, never lost.

use crate::event::{Command, NoticeLevel};

use super::Store;
use super::action::Action;
use super::effect::Effect;
use super::slash::{self, SlashCommand, Submitted};
use super::transcript::ItemKind;
use super::update_actions::{apply, require};

/// Does what a text says that was typed and sent.
pub(super) fn submit(store: &mut Store, text: String, fx: &mut Vec<Effect>) {
    if text.trim().is_empty() {
        return;
    }
    match slash::parse(&text) {
        Submitted::Text(send) => {
            if require(store, |caps| caps.prompt, "nobody answers here: this session can only be watched") {
                fx.push(Effect::Send(Command::Prompt { text: send }));
            } else {
                store.composer_restore = Some(text);
            }
        }
        Submitted::Invalid(why) => {
            store.toast = Some((NoticeLevel::Warn, why));
            store.composer_restore = Some(text);
        }
        Submitted::Command(SlashCommand::Help) => apply(store, Action::OpenHelp, fx),
        Submitted::Command(SlashCommand::Model(None)) => apply(store, Action::OpenModels, fx),
        Submitted::Command(SlashCommand::Model(Some(name))) => apply(store, Action::SetModel(name), fx),
        Submitted::Command(SlashCommand::Mode(None)) => apply(store, Action::OpenModes, fx),
        Submitted::Command(SlashCommand::Mode(Some(mode))) => apply(store, Action::SetMode(mode), fx),
        Submitted::Command(SlashCommand::Permissions) => apply(store, Action::OpenPermissions, fx),
        Submitted::Command(SlashCommand::Debug) => apply(store, Action::ToggleDebug, fx),
        Submitted::Command(SlashCommand::Raw) => apply(store, Action::OpenRaw { item: None }, fx),
        Submitted::Command(SlashCommand::Links) => apply(store, Action::OpenLinks { item: None }, fx),
        Submitted::Command(SlashCommand::Code) => apply(store, Action::OpenCodePicker, fx),
        Submitted::Command(SlashCommand::Outputs) => apply(store, Action::ToggleOutputs, fx),
        Submitted::Command(SlashCommand::Thinking) => apply(store, Action::ToggleThinking, fx),
        Submitted::Command(SlashCommand::Targets) => apply(store, Action::ToggleLinkTargets, fx),
        Submitted::Command(SlashCommand::Tools) => apply(store, Action::ToggleToolPanel, fx),
        Submitted::Command(SlashCommand::Approval) => apply(store, Action::OpenApproval, fx),
        Submitted::Command(SlashCommand::Times(None)) => apply(store, Action::CycleTimestamps, fx),
        Submitted::Command(SlashCommand::Times(Some(times))) => store.timestamps = times,
        Submitted::Command(SlashCommand::Outline) => apply(store, Action::OpenOutline { from: None }, fx),
        Submitted::Command(SlashCommand::Copy(nth)) => apply(store, Action::CopyAnswer(nth), fx),
        Submitted::Command(SlashCommand::Search(query)) => apply(store, Action::OpenSearch { from: None, query }, fx),
        Submitted::Command(SlashCommand::Frames(None)) => apply(store, Action::OpenFrames, fx),
        Submitted::Command(SlashCommand::Frames(file)) => fx.push(Effect::SaveFrames(file)),
        Submitted::Command(SlashCommand::Retry) => apply(store, Action::Retry, fx),
        Submitted::Command(SlashCommand::New) => fx.push(Effect::NewSession),
        Submitted::Command(SlashCommand::Quit) => fx.push(Effect::Quit),
    }
}

/// Sends the last prompt again. Nothing does that by itself: a remote may have begun to act on it.
pub(super) fn retry(store: &mut Store, fx: &mut Vec<Effect>) {
    if !require(store, |caps| caps.prompt, "nobody answers here: this session can only be watched") {
        return;
    }
    let last = store.transcript.items().iter().rev().find_map(|item| match &item.kind {
        ItemKind::Prompt { text } => Some(text.clone()),
        _ => None,
    });
    match last {
        _ if !store.session.phase.is_idle() => {
            store.toast = Some((NoticeLevel::Info, "the answer is still coming; stop it first".into()));
        }
        Some(text) => fx.push(Effect::Send(Command::Prompt { text })),
        None => store.toast = Some((NoticeLevel::Info, "nothing was asked yet".into())),
    }
}
