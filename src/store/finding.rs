//! Wishes about finding: the search is begun, moved and left, and what it found is unfolded and asked for.
//!
//! Not for the looking itself (`search.rs`). The invariant: what was unfolded only to show a match is folded again when
//! the reader goes elsewhere, unless they stay there.

use super::Store;
use super::focus::{Overlay, Pane};
use super::outline::Outline;
use super::search::Search;
use super::source::Field;
use super::transcript::{ItemId, Kind};
use super::wishes::open as open_overlay;

pub(super) fn open(store: &mut Store, from: Option<u64>, query: Option<String>) {
    let given = query.is_some();
    if let Some(search) = store.focus.search_mut() {
        search.typing = true;
        if let Some(query) = query {
            search.query = query;
            edited(store);
        }
        return;
    }
    let query = query.unwrap_or_default();
    let search = Search::new(query, !given, from.map(ItemId), &store.transcript);
    store.focus.overlays.push(Overlay::Search(Box::new(search)));
    edited(store);
}

pub(super) fn open_outline(store: &mut Store, from: Option<u64>) {
    let outline = Outline::new(from.map(ItemId), &store.transcript);
    open_overlay(store, Overlay::Outline(Box::new(outline)));
    work(store);
}

/// Goes to the selected entry of the outline.
pub(super) fn choose(store: &mut Store) {
    let Some(outline) = store.focus.outline() else { return };
    let Some((item, offset)) = outline.entry(outline.selected).map(|entry| (entry.item, entry.offset)) else { return };
    store.focus.overlays.retain(|overlay| !matches!(overlay, Overlay::Outline(_)));
    store.focus.show(item, Field::Text, offset);
    store.offer_approval();
}

/// Looks at some more, and shows what is to be shown.
pub(super) fn work(store: &mut Store) {
    let Store { focus, transcript, tools, .. } = store;
    if let Some(outline) = focus.outline_mut() {
        outline.step(transcript);
    }
    let moved = focus.search_mut().is_some_and(|search| search.step(transcript, tools));
    if moved {
        show(store);
    }
}

/// The query was written on: everything is looked at anew, a first slice of it at once.
pub(super) fn edited(store: &mut Store) {
    let Store { focus, transcript, .. } = store;
    match focus.overlays.last_mut() {
        Some(Overlay::Search(search)) => {
            search.restart(transcript);
            focus.last_query.clone_from(&search.query);
            work(store);
        }
        Some(Overlay::Outline(outline)) => outline.filter(),
        _ => {}
    }
}

pub(super) fn regex(store: &mut Store) {
    if let Some(search) = store.focus.search_mut() {
        search.regex = !search.regex;
        edited(store);
    }
}

pub(super) fn older(store: &mut Store) {
    let Store { focus, transcript, .. } = store;
    if let Some(search) = focus.search_mut() {
        search.older(transcript);
        show(store);
    }
}

pub(super) fn newer(store: &mut Store) {
    let Store { focus, transcript, .. } = store;
    if let Some(search) = focus.search_mut() {
        search.newer(transcript);
        show(store);
    }
}

/// The query is written; once more, and the reader stays where they are. What is wrong with it is mended, not lost.
pub(super) fn accept(store: &mut Store) {
    let Some(search) = store.focus.search_mut() else { return };
    if search.typing && search.wrong.is_some() {
        return;
    }
    if search.typing && search.matcher().is_some() {
        search.typing = false;
        return;
    }
    let found = search.current_item();
    store.focus.overlays.retain(|overlay| !matches!(overlay, Overlay::Search(_)));
    if found.is_some() {
        store.focus.pane = Pane::Transcript;
    }
    store.offer_approval();
}

/// The search is left for where the reader was: what it unfolded is folded again.
pub(super) fn leave(store: &mut Store) {
    if let Some((item, before)) = store.focus.search_mut().and_then(|search| search.unfolded().take()) {
        store.transcript.fold(item, before);
    }
}

/// Asks for the match to be shown, unfolding what hides it.
fn show(store: &mut Store) {
    let whole = &*store;
    let Some(search) = whole.focus.search() else { return };
    let Some(found) = search.found(&whole.transcript, &whole.tools) else { return };
    let Some(item) = whole.transcript.item(found.item) else { return };
    let hidden = match &item.kind {
        Kind::Thinking { .. } => true,
        Kind::Call { .. } => found.field != Field::Text,
        Kind::Prompt { .. } | Kind::Answer { .. } | Kind::Notice { .. } | Kind::Ended { .. } => false,
    };
    let (unfold, choice) = (hidden && whole.is_folded(item), item.folded);
    let elsewhere = search_unfolded(store).filter(|(item, _)| *item != found.item);
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
    store.focus.show(found.item, found.field, found.range.start);
}

fn search_unfolded(store: &mut Store) -> Option<(ItemId, Option<bool>)> {
    store.focus.search_mut().and_then(|search| *search.unfolded())
}

/// Items were put before those that are there: what counts them counts anew.
pub(super) fn grown_before(store: &mut Store) {
    let Store { focus, transcript, .. } = store;
    if let Some(search) = focus.search_mut() {
        search.restart(transcript);
    }
    if let Some(outline) = focus.outline_mut() {
        outline.restart(transcript);
    }
}
