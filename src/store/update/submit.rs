//! What was typed and sent: a prompt for whoever answers, or a command.
//!
//! Not for reading commands (`slash.rs`). The invariant: what can't be sent is given back, never lost.

use crate::event::{Command, NoticeLevel};

use super::support::require;
use crate::store::Store;
use crate::store::action::Action;
use crate::store::effect::{ComposerEdit, Effect};
use crate::store::slash::{self, Submitted};
use crate::store::transcript::ItemKind;

/// Does what a text says that was typed and sent; returns what it asks for that a key can ask for too.
pub(super) fn submit(store: &mut Store, text: String, fx: &mut Vec<Effect>) -> Option<Action> {
    if text.trim().is_empty() {
        return None;
    }
    match slash::parse(&text) {
        Submitted::Text(send) => {
            if require(store, |caps| caps.prompt, "this session is read-only and takes no prompts") {
                fx.push(Effect::Send(Command::Prompt { text: send }));
            } else {
                fx.push(Effect::Composer(ComposerEdit::Restore(text)));
            }
            None
        }
        Submitted::Invalid(why) => {
            store.toast = Some((NoticeLevel::Warn, why));
            fx.push(Effect::Composer(ComposerEdit::Restore(text)));
            None
        }
        Submitted::Command(action) => Some(action),
    }
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
