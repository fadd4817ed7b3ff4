//! The turns before those on the screen: folded behind it, in slices, until they can take their place.
//!
//! A long session is opened at its end: its last turns are folded and drawn at once, and everything from the first fact
//! on is folded here while nothing else is to be done. Not for drawing. The invariant: nobody notices but by what there
//! is to scroll to.

use crate::bridge::Delivery;
use crate::bridge::hub::{Hub, Subscription};
use crate::event::Seq;
use crate::store::msg::Msg;
use crate::store::{Options, Store};

/// A shorter session is folded before its first frame.
const LONG: u64 = 4_000;
/// Turns that are looked for at the end, and how far back: enough for a tall screen.
const TURNS: usize = 40;
const BUDGETS: [u64; 2] = [1 << 20, 16 << 20];
/// Facts folded at a time.
const SLICE: usize = 512;

pub struct Behind {
    store: Store,
    facts: Subscription,
    deliveries: Vec<Delivery>,
    until: Seq,
}

impl Behind {
    /// Folds the end of a long session into an empty store. Returns where that store goes on, and who folds the rest.
    pub fn open(hub: &Hub, store: &mut Store, options: Options) -> Option<(Subscription, Self)> {
        let until = hub.last();
        if until.0 < LONG || store.last_seq() != Seq(0) {
            return None;
        }
        let tail = BUDGETS.iter().find_map(|budget| hub.tail(TURNS, *budget))?;
        let (first, last) = (tail.facts.first()?.seq, tail.facts.last()?.seq);
        let mut effects = Vec::new();
        if let Some(opened) = tail.opened {
            store.update(Msg::Event(opened), &mut effects);
        }
        store.begin_after(Seq(first.0.saturating_sub(1)));
        for fact in tail.facts {
            store.update(Msg::Event(fact), &mut effects);
        }
        let behind = Self { store: Store::new(options), facts: hub.subscribe(Seq(0)), deliveries: Vec::new(), until };
        Some((hub.subscribe(last), behind))
    }

    /// Folds some more; false when that makes no sense any more, for everything began anew.
    pub fn step(&mut self) -> bool {
        let mut effects = Vec::new();
        self.facts.try_batch(SLICE, &mut self.deliveries);
        for delivery in self.deliveries.drain(..) {
            match delivery {
                Delivery::Fact(fact) => self.store.update(Msg::Event(fact.envelope.clone()), &mut effects),
                Delivery::Reset => return false,
            }
            effects.clear();
        }
        true
    }

    pub fn seq(&self) -> Seq {
        self.facts.seq()
    }

    /// Returns how much was folded, in percent.
    pub fn percent(&self) -> u8 {
        (self.facts.seq().0.min(self.until.0) * 100 / self.until.0.max(1)) as u8
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
    use crate::event::{AgentEvent, Envelope, MessageId, Millis};
    use crate::journal::Reader;
    use crate::store::action::Action;
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
        let (facts, mut behind) = Behind::open(&hub, &mut store, Options::default()).unwrap();
        assert_eq!(facts.seq(), Seq(16_000));
        assert_eq!(store.transcript.items().len(), TURNS * 4);
        let mut view = TranscriptView::new();
        let shown = frame(&store, &mut view);
        assert!(shown.contains("answer 1999"));
        view.page(-3);
        view.select_up();
        frame(&store, &mut view);
        let selected = view.selected().unwrap();
        store.update(Msg::Do(Action::ToggleFold(selected.0)), &mut Vec::new());
        // Something happens meanwhile.
        let event = AgentEvent::UserMessage { message: MessageId::new("u"), text: "new".into() };
        let new = Envelope { seq: Seq(16_001), at: Millis(16_001), event };
        store.update(Msg::Event(new.clone()), &mut Vec::new());
        let before = frame(&store, &mut view);
        while behind.seq() < Seq(16_000) {
            assert!(behind.step());
        }
        let mut whole = behind.into_store();
        whole.update(Msg::Event(new), &mut Vec::new());
        let expected: Vec<_> = whole.transcript.items().iter().map(|item| item.kind.clone()).collect();
        store.take_over(whole);
        let kinds: Vec<_> = store.transcript.items().iter().map(|item| item.kind.clone()).collect();
        assert_eq!(kinds, expected);
        assert_eq!(frame(&store, &mut view), before);
        assert_eq!(view.selected(), Some(selected));
        assert!(store.transcript.item(selected).unwrap().folded.is_some());
        let call = store.tools.calls().last().unwrap();
        assert_eq!(store.transcript.item_of(&call.id), Some(call.item));
        view.to_start();
        assert!(frame(&store, &mut view).contains("prompt 0"));
        view.to_end();
        assert!(frame(&store, &mut view).contains("new"));
    }

    #[test]
    fn a_short_session_needs_none_of_this() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::default();
        assert!(Behind::open(&hub(10, &folder), &mut store, Options::default()).is_none());
        assert_eq!(store, Store::default());
    }
}
