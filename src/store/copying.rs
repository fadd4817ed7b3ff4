//! Wishes about copying: which source text is meant.
//!
//! Not for the ways to a clipboard (`app`). The invariant: what is copied is what was said or printed, whole.

use crate::event::Level;

use super::Store;
use super::effect::{Copy, Effect};
use super::source::whole;
use super::transcript::{ItemId, Kind};

/// Copies an answer, counted from the newest.
pub(super) fn answer(store: &mut Store, nth: usize, fx: &mut Vec<Effect>) {
    let mut answers = store.transcript.items().iter().rev().filter_map(|item| match &item.kind {
        Kind::Answer { text, .. } if !text.trim().is_empty() => Some(text),
        _ => None,
    });
    let found = nth.checked_sub(1).and_then(|before| answers.nth(before)).cloned();
    match found {
        Some(text) if nth == 1 => copy(store, "the last answer", text, fx),
        Some(text) => copy(store, &format!("answer {nth} from the end"), text, fx),
        None if nth <= 1 => store.hint = Some((Level::Info, "there is no answer to copy".into())),
        None => store.hint = Some((Level::Info, "there are not as many answers".into())),
    }
}

/// Copies the source of an item.
pub(super) fn item(store: &mut Store, id: u64, fx: &mut Vec<Effect>) {
    let Some(item) = store.transcript.item(ItemId(id)) else { return };
    let what = match item.kind {
        Kind::Prompt { .. } => "the prompt",
        Kind::Answer { .. } => "the answer",
        Kind::Thinking { .. } => "the thinking",
        Kind::Call { .. } => "the call",
        Kind::Notice { .. } | Kind::Ended { .. } => "the notice",
    };
    let text = whole(item, &store.tools).into_owned();
    copy(store, what, text, fx);
}

pub(super) fn copy(store: &mut Store, what: &str, text: String, fx: &mut Vec<Effect>) {
    if text.trim().is_empty() {
        store.hint = Some((Level::Info, "there is nothing to copy".into()));
        return;
    }
    fx.push(Effect::Copy(Copy { what: what.to_owned(), text }));
}
