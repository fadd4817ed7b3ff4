//! Wishes about copying: which source text is meant.
//!
//! Not for the ways to a clipboard (`app`). The invariant: what is copied is what was said or printed, whole.

use crate::event::NoticeLevel;

use crate::store::Store;
use crate::store::effect::{CopyRequest, Effect};
use crate::store::item_source::full_text;
use crate::store::transcript::{ItemId, ItemKind, TranscriptItem};

/// Copies an answer, counted from the newest.
pub(super) fn copy_answer(store: &mut Store, nth: usize, fx: &mut Vec<Effect>) {
    let is_answer =
        |item: &TranscriptItem<'_>| matches!(item.kind, ItemKind::Answer { text, .. } if !text.trim().is_empty());
    let items = store.transcript.items();
    let found = nth.checked_sub(1).and_then(|before| items.iter().rev().filter(is_answer).nth(before));
    let found = found.map(|item| item.kind.text().to_owned());
    match found {
        Some(text) if nth == 1 => copy_text(store, "the last answer", text, fx),
        Some(text) => copy_text(store, &format!("answer {nth} from the end"), text, fx),
        None if nth <= 1 => store.toast = Some((NoticeLevel::Info, "no answer to copy".into())),
        None => store.toast = Some((NoticeLevel::Info, format!("there are fewer than {nth} answers"))),
    }
}

/// Copies the source of an item.
pub(in crate::store) fn copy_item(store: &mut Store, id: u64, fx: &mut Vec<Effect>) {
    let Some(item) = store.transcript.item(ItemId(id)) else { return };
    let what = match item.kind {
        ItemKind::Prompt { .. } => "the prompt",
        ItemKind::Answer { .. } => "the answer",
        ItemKind::Thinking { .. } => "the thinking",
        ItemKind::Call { .. } => "the call",
        ItemKind::Compaction { .. } => "the summary",
        ItemKind::Notice { .. } | ItemKind::TurnSummary { .. } => "the notice",
    };
    let text = full_text(item, &store.tool_calls).into_owned();
    copy_text(store, what, text, fx);
}

pub(in crate::store) fn copy_text(store: &mut Store, what: &str, text: String, fx: &mut Vec<Effect>) {
    if text.trim().is_empty() {
        store.toast = Some((NoticeLevel::Info, "nothing to copy".into()));
        return;
    }
    fx.push(Effect::Copy(CopyRequest { label: what.to_owned(), text }));
}
