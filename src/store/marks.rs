//! What a person marked in a session, to come back to it.
//!
//! Marks are events: they are in the log, so every client and every replay has them. Not for notes, which have words.

use std::collections::BTreeSet;

use crate::event::{AgentEvent, Annotation, Command, NoticeLevel, Seq};

use super::Store;
use super::effect::{CopyRequest, Effect};
use super::transcript::{ItemId, ItemKind, Transcript, TranscriptItem};

/// The marked items, by the event that each began with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    marked: BTreeSet<Seq>,
    /// What the person asked for and the log does not have yet.
    asked: Option<(Seq, bool)>,
    /// Where the person wants to be as soon as that part of the session is there.
    wanted: Option<Seq>,
}

impl Marks {
    pub fn contains(&self, item: TranscriptItem<'_>) -> bool {
        !self.marked.is_empty() && item.kind.can_be_marked() && self.marked.contains(&item.seq)
    }

    /// Takes an event; returns what to tell if it is what the person asked for.
    pub(super) fn on_event(
        &mut self,
        event: &AgentEvent,
        items: &Transcript,
        is_shown: impl Fn(Seq) -> bool,
    ) -> Option<&'static str> {
        let AgentEvent::Annotation { annotation: Annotation::Mark { seq, set }, .. } = event else { return None };
        if !is_shown(*seq) {
            return None;
        }
        let began = items.item_of_event(*seq).map_or(*seq, |item| item.seq);
        if *set {
            self.marked.insert(began);
        } else {
            self.marked.remove(&began);
        }
        self.asked.take_if(|asked| *asked == (*seq, *set))?;
        Some(if *set { "marked; /marks lists what is" } else { "no longer marked" })
    }

    /// Takes the marks of the whole session, of which these were the end.
    pub(super) fn adopt(&mut self, whole: Self) {
        self.marked = whole.marked;
    }

    /// Wants what an event went into to be shown.
    pub(super) fn go_to(&mut self, seq: Seq) {
        self.wanted = Some(seq);
    }

    pub(super) fn wanted(&self) -> Option<Seq> {
        self.wanted
    }

    /// Returns the wanted event if all up to `last` is known; it is wanted no more then.
    pub(super) fn take_wanted(&mut self, last: Seq) -> Option<Seq> {
        self.wanted.take_if(|wanted| *wanted <= last)
    }
}

/// Marks an item, or takes its mark off; without one, the last answer.
pub(super) fn toggle_mark(store: &mut Store, item: Option<u64>, fx: &mut Vec<Effect>) {
    let why_not = match item_or_last_answer(store, item) {
        _ if store.session.capabilities().seek => "a replay keeps no marks",
        Some(item) if item.kind.can_be_marked() => {
            let (seq, set) = (item.seq, !store.marks.contains(item));
            store.marks.asked = Some((seq, set));
            fx.push(Effect::Send(Command::Mark { seq, set }));
            return;
        }
        Some(_) => "only prompts, answers, thinking and calls can be marked",
        None => "nothing to mark yet",
    };
    store.toast = Some((NoticeLevel::Warn, why_not.into()));
}

/// Copies the command that opens the session at an item; without one, at the last answer.
pub(super) fn copy_link(store: &mut Store, item: Option<u64>, fx: &mut Vec<Effect>) {
    let item = item_or_last_answer(store, item).map(|item| item.seq);
    let told = match item {
        _ if store.workplace.session_log.is_none() => "only a saved session has links",
        None | Some(Seq(0)) => "nothing to link to yet",
        Some(seq) => {
            let text = format!("jarvis-tui -r {} --seq {}", store.workplace.session, seq.0);
            fx.push(Effect::Copy(CopyRequest { label: "the command that opens this place".into(), text }));
            return;
        }
    };
    store.toast = Some((NoticeLevel::Info, told.into()));
}

fn item_or_last_answer(store: &Store, item: Option<u64>) -> Option<TranscriptItem<'_>> {
    let mut newest = store.transcript.items().iter().rev();
    item.map_or_else(
        || newest.find(|item| matches!(item.kind, ItemKind::Answer { .. })),
        |id| store.transcript.item(ItemId(id)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{AnnotationTarget, FinishReason, TurnOutcome};
    use crate::store::action::Action;
    use crate::store::msg::Msg;
    use crate::store::outline::{Outline, OutlineSubject};
    use crate::testkit::events::{
        call_ready, message_finished, message_started, opened, text_delta, turn_finished, turn_started, user_message,
    };
    use crate::testkit::store::fold;

    const OPEN_MARKS: Action = Action::OpenOutline { subject: OutlineSubject::Marks, from: None };

    /// Prompt (event 3), answer (5), call (6), end.
    fn one_turn() -> Store {
        let mut store = Store::default();
        let turn = [opened(), turn_started("t1"), user_message("u1", "mend it"), message_started("m1")];
        fold(&mut store, turn);
        fold(&mut store, [text_delta("m1", "I look"), call_ready("c1", "shell", r#"{"command":"ls"}"#)]);
        fold(&mut store, [message_finished("m1", FinishReason::End), turn_finished("t1", TurnOutcome::Completed)]);
        store
    }

    fn mark(seq: u64, set: bool) -> AgentEvent {
        let annotation = Annotation::Mark { seq: Seq(seq), set };
        AgentEvent::Annotation { on: AnnotationTarget::Session, annotation }
    }

    fn act(store: &mut Store, action: Action) -> Vec<Effect> {
        let mut fx = Vec::new();
        store.update(Msg::Action(action), &mut fx);
        fx
    }

    fn marked(store: &Store) -> Vec<u64> {
        store.transcript.items().iter().filter(|item| store.marks.contains(*item)).map(|item| item.seq.0).collect()
    }

    #[test]
    fn a_mark_is_asked_for_and_stands_once_the_log_has_it() {
        let mut store = one_turn();
        let asked = act(&mut store, Action::ToggleMark { item: None });
        assert_eq!(asked, [Effect::Send(Command::Mark { seq: Seq(5), set: true })], "the last answer");
        assert!(marked(&store).is_empty() && store.toast.is_none(), "it may be refused");
        fold(&mut store, [mark(5, true)]);
        assert_eq!(marked(&store), [5]);
        assert_eq!(store.toast.take().unwrap().1, "marked; /marks lists what is");
        fold(&mut store, [mark(3, true), mark(3, false)]);
        assert_eq!(store.toast, None, "somebody else's");
        let asked = act(&mut store, Action::ToggleMark { item: None });
        assert_eq!(asked, [Effect::Send(Command::Mark { seq: Seq(5), set: false })]);
        fold(&mut store, [mark(5, false)]);
        assert!(marked(&store).is_empty());
    }

    #[test]
    fn an_event_in_the_middle_marks_what_it_went_into_and_none_marks_the_end_of_a_turn() {
        let mut store = one_turn();
        fold(&mut store, [mark(4, true), mark(7, true), mark(8, true), mark(9999, true)]);
        assert_eq!(marked(&store), [3, 6]);
        let end = store.transcript.items().last().unwrap().id.0;
        assert!(act(&mut store, Action::ToggleMark { item: Some(end) }).is_empty());
        assert!(store.toast.is_some());
    }

    #[test]
    fn marks_are_listed_with_what_was_said_or_called() {
        let mut store = one_turn();
        act(&mut store, OPEN_MARKS);
        assert!(store.focus.overlays.is_empty() && store.toast.is_some(), "there are none");
        fold(&mut store, [mark(3, true), mark(6, true)]);
        act(&mut store, OPEN_MARKS);
        let outline = store.focus.find::<Outline>().unwrap();
        let texts: Vec<&str> = (0..outline.len()).filter_map(|nth| outline.entry(nth)).map(|e| &*e.text).collect();
        assert_eq!(texts, [r#"shell {"command":"ls"}"#, "mend it"]);
    }

    #[test]
    fn a_link_names_the_saved_session_and_the_event() {
        let mut store = one_turn();
        assert!(act(&mut store, Action::CopyLink { item: None }).is_empty(), "nothing is saved");
        store.workplace.session = "20261130-1".into();
        store.workplace.session_log = Some("20261130-1.jsonl".into());
        let fx = act(&mut store, Action::CopyLink { item: None });
        let [Effect::Copy(copied)] = &*fx else { unreachable!("{fx:?}") };
        assert_eq!(copied.text, "jarvis-tui -r 20261130-1 --seq 5");
    }

    #[test]
    fn a_place_that_was_asked_for_is_shown_when_it_comes() {
        let mut store = Store::default();
        store.go_to_event(Seq(5));
        fold(&mut store, [opened(), turn_started("t1"), user_message("u1", "mend it"), message_started("m1")]);
        assert_eq!(store.focus.requested_place.item, None);
        fold(&mut store, [text_delta("m1", "I look")]);
        let answer = store.transcript.items().last().unwrap().id;
        assert_eq!(store.focus.requested_place.item, Some(answer));
        let serial = store.focus.requested_place.serial;
        fold(&mut store, [text_delta("m1", " again")]);
        assert_eq!(store.focus.requested_place.serial, serial, "once");
    }

    #[test]
    fn a_place_before_what_is_shown_first_waits_for_the_whole_session() {
        let mut store = Store::default();
        store.start_at(Seq(20));
        store.go_to_event(Seq(5));
        fold(&mut store, [turn_started("t9"), user_message("u9", "later"), mark(5, true)]);
        assert_eq!((store.focus.requested_place.item, marked(&store)), (None, vec![]));
        let mut whole = one_turn();
        while whole.last_seq() < Seq(20) {
            fold(&mut whole, [message_started("m0")]);
        }
        fold(&mut whole, [turn_started("t9"), user_message("u9", "later"), mark(5, true)]);
        store.adopt_full_history(whole);
        let shown = store.focus.requested_place.item.and_then(|item| store.transcript.item(item)).unwrap();
        assert_eq!((shown.kind.text(), marked(&store)), ("I look", vec![5]));
    }
}
