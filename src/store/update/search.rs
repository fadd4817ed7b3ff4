//! Wishes about finding: the search is begun, moved and left, and what it found is unfolded and asked for.
//!
//! Not for the looking itself (`search.rs`). The invariant: what was unfolded only to show a match is folded again when
//! the reader goes elsewhere, unless they stay there.

use super::support::open as open_overlay;
use crate::store::Store;
use crate::store::focus::Overlay;
use crate::store::item_source::ItemField;
use crate::store::outline::Outline;
use crate::store::pane::Pane;
use crate::store::search::Search;
use crate::store::transcript::{ItemId, ItemKind};

pub(super) fn open_search(store: &mut Store, from: Option<u64>, query: Option<String>) {
    let given = query.is_some();
    if let Some(search) = store.focus.search_mut() {
        search.is_typing = true;
        if let Some(query) = query {
            search.query = query;
            on_query_changed(store);
        }
        return;
    }
    let query = query.unwrap_or_default();
    let search = Search::new(query, !given, from.map(ItemId), &store.transcript);
    store.focus.overlays.push(Overlay::Search(Box::new(search)));
    on_query_changed(store);
}

pub(super) fn open_outline(store: &mut Store, from: Option<u64>) {
    let outline = Outline::new(from.map(ItemId), &store.transcript);
    open_overlay(store, Overlay::Outline(Box::new(outline)));
    work_slice(store);
}

/// Goes to the selected entry of the outline.
pub(super) fn jump_to_entry(store: &mut Store) {
    let Some(outline) = store.focus.outline() else { return };
    let Some((item, offset)) = outline.entry(outline.selected).map(|entry| (entry.item, entry.offset)) else { return };
    store.focus.overlays.retain(|overlay| !matches!(overlay, Overlay::Outline(_)));
    store.focus.request_place(item, ItemField::Text, offset);
    store.open_next_approval();
}

/// Looks at some more, and shows what is to be shown.
pub(super) fn work_slice(store: &mut Store) {
    let Store { focus, transcript, tool_calls: tools, .. } = store;
    if let Some(outline) = focus.outline_mut() {
        outline.step(transcript);
    }
    let moved = focus.search_mut().is_some_and(|search| search.step(transcript, tools));
    if moved {
        show_match(store);
    }
}

/// The query was written on: everything is looked at anew, a first slice of it at once.
pub(super) fn on_query_changed(store: &mut Store) {
    let Store { focus, transcript, .. } = store;
    match focus.overlays.last_mut() {
        Some(Overlay::Search(search)) => {
            search.restart(transcript);
            focus.last_query.clone_from(&search.query);
            work_slice(store);
        }
        Some(Overlay::Outline(outline)) => outline.filter(),
        _ => {}
    }
}

pub(super) fn toggle_regex(store: &mut Store) {
    if let Some(search) = store.focus.search_mut() {
        search.is_regex = !search.is_regex;
        on_query_changed(store);
    }
}

pub(super) fn older(store: &mut Store) {
    let Store { focus, transcript, .. } = store;
    if let Some(search) = focus.search_mut() {
        search.older(transcript);
        show_match(store);
    }
}

pub(super) fn newer(store: &mut Store) {
    let Store { focus, transcript, .. } = store;
    if let Some(search) = focus.search_mut() {
        search.newer(transcript);
        show_match(store);
    }
}

/// The query is written; once more, and the reader stays where they are. What is wrong with it is mended, not lost.
pub(super) fn accept(store: &mut Store) {
    let Some(search) = store.focus.search_mut() else { return };
    if search.is_typing && search.error.is_some() {
        return;
    }
    if search.is_typing && search.matcher().is_some() {
        search.is_typing = false;
        return;
    }
    let found = search.current_item();
    store.focus.overlays.retain(|overlay| !matches!(overlay, Overlay::Search(_)));
    if found.is_some() {
        store.focus.pane = Pane::Transcript;
    }
    store.open_next_approval();
}

/// Asks for the match to be shown, unfolding what hides it.
fn show_match(store: &mut Store) {
    let whole = &*store;
    let Some(search) = whole.focus.search() else { return };
    let Some(found) = search.current_location(&whole.transcript, &whole.tool_calls) else { return };
    let Some(item) = whole.transcript.item(found.item) else { return };
    let hidden = match item.kind {
        ItemKind::Thinking { .. } => true,
        ItemKind::Call { .. } => found.field != ItemField::Text,
        ItemKind::Prompt { .. } | ItemKind::Answer { .. } | ItemKind::Notice { .. } | ItemKind::TurnSummary { .. } => {
            false
        }
    };
    let (unfold, choice) = (hidden && whole.is_folded(item), item.folded);
    let elsewhere = unfolded_by_search(store).filter(|(item, _)| *item != found.item);
    if let Some((item, before)) = elsewhere {
        store.transcript.fold(item, before);
    }
    if unfold {
        store.transcript.fold(found.item, false);
    }
    if let Some(search) = store.focus.search_mut() {
        let unfolded = search.unfolded();
        if unfold {
            *unfolded = Some((found.item, choice));
        } else if elsewhere.is_some() {
            *unfolded = None;
        }
    }
    store.focus.request_place(found.item, found.field, found.range.start);
}

fn unfolded_by_search(store: &mut Store) -> Option<(ItemId, Option<bool>)> {
    store.focus.search_mut().and_then(|search| *search.unfolded())
}

/// Items were put before those that are there: what counts them counts anew.
pub(in crate::store) fn on_items_prepended(store: &mut Store) {
    let Store { focus, transcript, .. } = store;
    if let Some(search) = focus.search_mut() {
        search.restart(transcript);
    }
    if let Some(outline) = focus.outline_mut() {
        outline.restart(transcript);
    }
}
