//! Stores that have seen something.

use jarvis_tui::event::{AgentEvent, Envelope, Millis};
use jarvis_tui::store::Store;
use jarvis_tui::store::msg::Msg;

/// Gives a store events with the next numbers, a millisecond apart.
pub(crate) fn fold(store: &mut Store, events: impl IntoIterator<Item = AgentEvent>) {
    for event in events {
        let seq = store.last_seq().next();
        store.update(Msg::Event(Envelope { seq, at: Millis(seq.0), event }), &mut Vec::new());
    }
}
