//! What several actions share: an overlay opens or does something, and the source can do something or can't.

use crate::event::{Capabilities, NoticeLevel};
use crate::store::Store;
use crate::store::action::Action;
use crate::store::overlay::{Overlay, OverlayKind, OverlayOutcome, OverlayState};

/// Opens an overlay unless its like is on top already.
pub(in crate::store) fn open<T: OverlayKind>(store: &mut Store, state: T) {
    if store.focus.top_as::<T>().is_none() {
        store.focus.push(state);
    }
}

/// Lets the overlay on top do something; returns what it asks for as it closes.
pub(in crate::store) fn on_top(
    store: &mut Store,
    act: impl FnOnce(&mut dyn OverlayState, &mut Store) -> OverlayOutcome,
) -> Option<Action> {
    let mut stack = std::mem::take(&mut store.focus.overlays);
    let outcome = stack.last_mut().map_or(OverlayOutcome::Stay, |top| act(top.state_mut(), store));
    let asked = match outcome {
        OverlayOutcome::Stay => None,
        OverlayOutcome::Close => stack.pop().and(None),
        OverlayOutcome::Then(action) => stack.pop().and(Some(action)),
    };
    put_back(store, stack);
    asked
}

/// Lets every overlay do something.
pub(in crate::store) fn on_each(store: &mut Store, mut act: impl FnMut(&mut dyn OverlayState, &mut Store)) {
    let mut stack = std::mem::take(&mut store.focus.overlays);
    for overlay in &mut stack {
        act(overlay.state_mut(), store);
    }
    put_back(store, stack);
}

/// Lets an overlay of that kind do something, wherever it is in the stack.
pub(in crate::store) fn with<T: OverlayKind, R>(
    store: &mut Store,
    act: impl FnOnce(&mut T, &mut Store) -> R,
) -> Option<R> {
    let mut stack = std::mem::take(&mut store.focus.overlays);
    let done = stack.iter_mut().find_map(T::of_mut).map(|state| act(state, store));
    put_back(store, stack);
    done
}

/// What was opened meanwhile lies on top.
fn put_back(store: &mut Store, mut stack: Vec<Overlay>) {
    stack.append(&mut store.focus.overlays);
    store.focus.overlays = stack;
}

/// Returns whether the source can do it; says why not otherwise.
pub(in crate::store) fn require(store: &mut Store, what: impl FnOnce(Capabilities) -> bool, why_not: &str) -> bool {
    let able = what(store.session.capabilities());
    if !able {
        store.toast = Some((NoticeLevel::Warn, why_not.into()));
    }
    able
}
