//! What several actions share: an overlay opens or closes, and the source can do something or can't.

use crate::event::{Capabilities, NoticeLevel};
use crate::store::Store;
use crate::store::approval;
use crate::store::effect::Effect;
use crate::store::focus::Overlay;
use crate::store::frames::FrameList;

/// Leaves what is on top.
pub(in crate::store) fn close(store: &mut Store, fx: &mut Vec<Effect>) {
    match store.focus.top() {
        Some(Overlay::Approval(_)) => return approval::close(store, fx),
        Some(Overlay::Search(_)) => leave_search(store),
        Some(Overlay::Frames) if store.frames.opened_scroll.is_some() => return store.frames.toggle_opened(),
        Some(Overlay::Frames) => store.frames = FrameList::default(),
        _ => {}
    }
    store.focus.overlays.pop();
    store.open_next_approval();
}

/// The search is left for where the reader was: what it unfolded is folded again.
fn leave_search(store: &mut Store) {
    if let Some((item, before)) = store.focus.search_mut().and_then(|search| search.unfolded().take()) {
        store.transcript.fold(item, before);
    }
}

/// Opens an overlay unless its like is on top already.
pub(in crate::store) fn open(store: &mut Store, overlay: Overlay) {
    let same = |top: &Overlay| std::mem::discriminant(top) == std::mem::discriminant(&overlay);
    if !store.focus.top().is_some_and(same) {
        store.focus.overlays.push(overlay);
    }
}

/// Returns whether the source can do it; says why not otherwise.
pub(in crate::store) fn require(store: &mut Store, what: impl FnOnce(Capabilities) -> bool, why_not: &str) -> bool {
    let able = what(store.session.capabilities());
    if !able {
        store.toast = Some((NoticeLevel::Warn, why_not.into()));
    }
    able
}
