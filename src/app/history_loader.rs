//! The turns before those on the screen: folded behind it, in slices, until they can take their place.
//!
//! A long session is opened at its end: its last turns are folded and drawn at once, and everything from the first fact
//! on is folded here while nothing else is to be done. Not for drawing. The invariant: nobody notices but by what there
//! is to scroll to.

use std::sync::Arc;

use crate::bridge::HubItem;
use crate::bridge::hub::{Hub, Subscription};
use crate::event::Seq;
use crate::store::msg::Msg;
use crate::store::{Store, StoreOptions};

/// A shorter session is folded before its first frame.
const MIN_BACKGROUND_LOAD_EVENTS: u64 = 4_000;
/// Turns that are looked for at the end, and how far back: enough for a tall screen.
const TAIL_TURNS: usize = 40;
const TAIL_BUDGETS_BYTES: [u64; 2] = [1 << 20, 16 << 20];
/// Facts folded at a time.
const MAX_EVENTS_PER_STEP: usize = 512;

pub struct HistoryLoader {
    store: Store,
    events: Subscription,
    items: Vec<HubItem>,
    end: Seq,
}

impl HistoryLoader {
    /// Folds the end of a long session into an empty store. Returns where that store goes on, and who folds the rest.
    pub fn open(hub: &Hub, store: &mut Store, options: StoreOptions) -> Option<(Subscription, Self)> {
        let until = hub.last_seq();
        if until.0 < MIN_BACKGROUND_LOAD_EVENTS || store.last_seq() != Seq(0) {
            return None;
        }
        let tail = TAIL_BUDGETS_BYTES.iter().find_map(|budget| hub.tail(TAIL_TURNS, *budget))?;
        let (first, last) = (tail.events.first()?.seq, tail.events.last()?.seq);
        let path = store.branches.path().clone();
        // A branch that begins within goes on after what is not there.
        if !path.ranges().iter().any(|(from, through)| *from <= first && last <= *through) {
            return None;
        }
        let mut effects = Vec::new();
        if let Some(opened) = tail.opened {
            store.update(Msg::Event(opened), &mut effects);
        }
        store.start_at(Seq(first.0.saturating_sub(1)));
        for fact in tail.events {
            store.update(Msg::Event(fact), &mut effects);
        }
        let mut whole = Store::new(options);
        whole.tool_calls = store.tool_calls.emptied();
        whole.branches = store.branches.unfolded();
        let behind = Self { store: whole, events: hub.subscribe(Seq(0)), items: Vec::new(), end: until };
        Some((hub.subscribe(last), behind))
    }

    /// Folds some more; false when that makes no sense any more, for everything began anew.
    pub fn step(&mut self) -> bool {
        let mut effects = Vec::new();
        self.events.try_next_batch(MAX_EVENTS_PER_STEP, &mut self.items);
        for delivery in self.items.drain(..) {
            match delivery {
                HubItem::Event(fact) => {
                    self.store.update(Msg::Event(Arc::unwrap_or_clone(fact).envelope), &mut effects);
                }
                HubItem::Reset => return false,
            }
            effects.clear();
        }
        true
    }

    pub fn seq(&self) -> Seq {
        self.events.seq()
    }

    /// Returns how much was folded, in percent.
    pub fn percent(&self) -> u8 {
        (self.events.seq().0.min(self.end.0) * 100 / self.end.0.max(1)) as u8
    }

    pub fn into_store(self) -> Store {
        self.store
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use ratatui::buffer::Buffer;
    use ratatui::layout::Rect;

    use super::*;
    use crate::bridge::hub::Backlog;
    use crate::event::{Envelope, Millis};
    use crate::journal::Reader;
    use crate::store::action::Action;
    use crate::store::transcript::ItemKind;
    use crate::testkit::events::user_message;
    use crate::ui::panes::transcript::{self, TranscriptView};
    use crate::ui::theme::Theme;

    /// A session of that many turns, each a prompt, a call and an answer.
    fn hub(turns: usize, folder: &tempfile::TempDir) -> Hub {
        let mut log = String::from("{\"format\":1,\"session\":\"long\",\"started_at\":0}\n");
        let mut seq = 0;
        let mut line = |event: String| {
            seq += 1;
            writeln!(log, "{{\"seq\":{seq},\"at\":{seq},\"event\":{event}}}").unwrap();
        };
        for n in 0..turns {
            line(format!(r#"{{"type":"turn_started","turn":"t{n}"}}"#));
            line(format!(r#"{{"type":"user_message","message":"u{n}","text":"prompt {n}"}}"#));
            line(format!(r#"{{"type":"tool_call_ready","call":"c{n}","name":"shell","args":"{{}}"}}"#));
            line(format!(r#"{{"type":"tool_call_finished","call":"c{n}","outcome":"ok","output":{{"text":"{n}"}}}}"#));
            line(format!(r#"{{"type":"message_started","message":"m{n}","role":"assistant"}}"#));
            line(format!(r#"{{"type":"text_delta","message":"m{n}","text":"answer {n}"}}"#));
            line(format!(r#"{{"type":"message_finished","message":"m{n}","stop":"end"}}"#));
            line(format!(r#"{{"type":"turn_finished","turn":"t{n}","end":"completed"}}"#));
        }
        let path = folder.path().join("long.jsonl");
        std::fs::write(&path, log).unwrap();
        Hub::new(Backlog::Journal(Reader::open(&path).unwrap()), 1 << 20)
    }

    fn frame(store: &Store, view: &mut TranscriptView) -> String {
        let area = Rect::new(0, 0, 60, 20);
        let mut buf = Buffer::empty(area);
        transcript::draw(store, view, &Theme::default(), true, area, &mut buf);
        // Without the scroll bar, which knows more afterwards.
        (0..20).map(|y| (0..59).map(|x| buf[(x, y)].symbol()).collect::<String>() + "\n").collect()
    }

    #[test]
    fn the_end_is_shown_at_once_and_what_comes_before_it_changes_no_cell() {
        let folder = tempfile::tempdir().unwrap();
        let hub = hub(2000, &folder);
        let mut store = Store::default();
        let (facts, mut behind) = HistoryLoader::open(&hub, &mut store, StoreOptions::default()).unwrap();
        assert_eq!(facts.seq(), Seq(16_000));
        assert_eq!(store.transcript.items().len(), TAIL_TURNS * 4);
        let mut view = TranscriptView::new();
        let shown = frame(&store, &mut view);
        assert!(shown.contains("answer 1999"));
        view.page(-3);
        view.select_up();
        frame(&store, &mut view);
        let selected = view.selected().unwrap();
        store.update(Msg::Action(Action::ToggleFold(selected.0)), &mut Vec::new());
        // Something happens meanwhile.
        let event = user_message("u", "new");
        let new = Envelope { seq: Seq(16_001), at: Millis(16_001), event };
        store.update(Msg::Event(new.clone()), &mut Vec::new());
        let before = frame(&store, &mut view);
        while behind.seq() < Seq(16_000) {
            assert!(behind.step());
        }
        let mut whole = behind.into_store();
        whole.update(Msg::Event(new), &mut Vec::new());
        let expected = whole.clone();
        store.adopt_full_history(whole);
        let kinds =
            |store: &Store| format!("{:?}", store.transcript.items().iter().map(|item| item.kind).collect::<Vec<_>>());
        assert_eq!(kinds(&store), kinds(&expected));
        assert_eq!(frame(&store, &mut view), before);
        assert_eq!(view.selected(), Some(selected));
        assert!(store.transcript.item(selected).unwrap().folded.is_some());
        let call = store.tool_calls.calls().last().unwrap();
        assert_eq!(store.transcript.item(call.item).unwrap().kind, ItemKind::Call { call: &call.id });
        view.to_start();
        assert!(frame(&store, &mut view).contains("prompt 0"));
        view.to_end();
        assert!(frame(&store, &mut view).contains("new"));
    }

    #[test]
    fn after_a_seek_only_the_turns_before_the_new_place_are_folded_until_it_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let hub = hub(2000, &folder);
        for (place, answer) in [(8_000, "answer 999"), (15_995, "prompt 1999"), (16_000, "answer 1999")] {
            hub.rewind(Seq(place));
            let mut store = Store::default();
            let (facts, behind) = HistoryLoader::open(&hub, &mut store, StoreOptions::default()).unwrap();
            assert_eq!((facts.seq(), behind.seq()), (Seq(place), Seq(0)));
            let items = store.transcript.items().len();
            assert!(((TAIL_TURNS - 1) * 4..=TAIL_TURNS * 4).contains(&items), "{items}");
            let shown = frame(&store, &mut TranscriptView::new());
            assert!(shown.contains(answer) && !shown.contains("answer 1000"), "{shown}");
        }
        hub.rewind(Seq(100));
        assert!(
            HistoryLoader::open(&hub, &mut Store::default(), StoreOptions::default()).is_none(),
            "few are soon folded"
        );
    }

    #[test]
    fn a_short_session_needs_none_of_this() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::default();
        assert!(HistoryLoader::open(&hub(10, &folder), &mut store, StoreOptions::default()).is_none());
        assert_eq!(store, Store::default());
    }
}
