//! What was typed and sent: a prompt for whoever answers, or a command.
//!
//! Not for reading commands (`slash.rs`). The invariant: what can't be sent is given back, never lost.

use crate::event::{Command, NoticeLevel};

use super::support::require;
use crate::store::Store;
use crate::store::action::Action;
use crate::store::effect::{ComposerEdit, Effect};
use crate::store::slash::{self, SlashCommand, Submitted};
use crate::store::transcript::ItemKind;

/// Does what a text says that was typed and sent; returns what it asks for that a key can ask for too.
pub(super) fn submit(store: &mut Store, text: String, fx: &mut Vec<Effect>) -> Option<Action> {
    if text.trim().is_empty() {
        return None;
    }
    let command = match slash::parse(&text) {
        Submitted::Text(send) => {
            if require(store, |caps| caps.prompt, "this session is read-only and takes no prompts") {
                fx.push(Effect::Send(Command::Prompt { text: send }));
            } else {
                fx.push(Effect::Composer(ComposerEdit::Restore(text)));
            }
            return None;
        }
        Submitted::Invalid(why) => {
            store.toast = Some((NoticeLevel::Warn, why));
            fx.push(Effect::Composer(ComposerEdit::Restore(text)));
            return None;
        }
        Submitted::Command(command) => command,
    };
    Some(match command {
        SlashCommand::Help => Action::OpenHelp,
        SlashCommand::Model(None) => Action::OpenModels,
        SlashCommand::Model(Some(name)) => Action::SetModel(name),
        SlashCommand::Mode(None) => Action::OpenModes,
        SlashCommand::Mode(Some(mode)) => Action::SetMode(mode),
        SlashCommand::Permissions => Action::OpenPermissions,
        SlashCommand::Debug => Action::ToggleDebug,
        SlashCommand::Raw => Action::OpenRaw { item: None },
        SlashCommand::Links => Action::OpenLinks { item: None },
        SlashCommand::Code => Action::OpenCodePicker,
        SlashCommand::Outputs => Action::ToggleOutputs,
        SlashCommand::Thinking => Action::ToggleThinking,
        SlashCommand::Targets => Action::ToggleLinkTargets,
        SlashCommand::Tools => Action::ToggleToolPanel,
        SlashCommand::Approval => Action::OpenApproval,
        SlashCommand::Times(None) => Action::CycleTimestamps,
        SlashCommand::Times(Some(times)) => {
            store.timestamps = times;
            return None;
        }
        SlashCommand::Outline => Action::OpenOutline { from: None },
        SlashCommand::Copy(nth) => Action::CopyAnswer(nth),
        SlashCommand::Search(query) => Action::OpenSearch { from: None, query },
        SlashCommand::Frames(None) => Action::OpenFrames,
        SlashCommand::Frames(file) => {
            fx.push(Effect::SaveFrames(file));
            return None;
        }
        SlashCommand::Retry => Action::Retry,
        SlashCommand::New => {
            fx.push(Effect::NewSession);
            return None;
        }
        SlashCommand::Quit => Action::Quit,
    })
}

/// Sends the last prompt again. Nothing does that by itself: a remote may have begun to act on it.
pub(super) fn retry(store: &mut Store, fx: &mut Vec<Effect>) {
    if !require(store, |caps| caps.prompt, "this session is read-only and takes no prompts") {
        return;
    }
    let last = store.transcript.items().iter().rev().find_map(|item| match item.kind {
        ItemKind::Prompt { text } => Some(text.to_owned()),
        _ => None,
    });
    match last {
        _ if !store.session.phase.is_idle() => {
            store.toast = Some((NoticeLevel::Info, "the turn is still running; interrupt it first".into()));
        }
        Some(text) => fx.push(Effect::Send(Command::Prompt { text })),
        None => store.toast = Some((NoticeLevel::Info, "no prompt to send again".into())),
    }
}
