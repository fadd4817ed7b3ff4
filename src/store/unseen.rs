//! What came of a session while nobody looked at it, and where in the transcript that begins.

use crate::event::{AgentEvent, TurnOutcome};

use super::transcript::ItemId;

/// How the last turn ended that nobody saw the end of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnseenEnd {
    Done,
    Failed,
}

/// Whether the session is looked at, and what is new otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unseen {
    is_away: bool,
    end: Option<UnseenEnd>,
    /// The last item when the person looked away; none if there was none.
    last_seen: Option<ItemId>,
    /// The first that came since then, until the person has seen it.
    first_new: Option<ItemId>,
}

impl Unseen {
    pub fn end(self) -> Option<UnseenEnd> {
        self.end
    }

    /// Returns the item before which a line stands: what the person has not seen begins there.
    pub fn first_new(self) -> Option<ItemId> {
        self.first_new
    }

    /// The person looks elsewhere from now on; `last` is what they have seen last.
    pub(super) fn look_away(&mut self, last: Option<ItemId>) {
        if !std::mem::replace(&mut self.is_away, true) {
            self.last_seen = last;
        }
    }

    /// The person looks at the session from now on; `new_after` finds the first item after one.
    pub(super) fn look_back(&mut self, new_after: impl FnOnce(ItemId) -> Option<ItemId>) {
        if std::mem::take(&mut self.is_away) {
            self.end = None;
            self.first_new = self.last_seen.and_then(new_after).or(self.first_new);
        }
    }

    /// What was new has been seen.
    pub(super) fn forget_new(&mut self) {
        self.first_new = None;
    }

    /// Everything begins anew.
    pub(super) fn reset(&mut self) {
        *self = Self { is_away: self.is_away, ..Self::default() };
    }

    pub(super) fn on_event(&mut self, event: &AgentEvent) {
        if let (true, AgentEvent::TurnFinished { outcome, .. }) = (self.is_away, event) {
            self.end = Some(match outcome {
                TurnOutcome::Completed | TurnOutcome::Cancelled => UnseenEnd::Done,
                TurnOutcome::Interrupted | TurnOutcome::Failed(_) => UnseenEnd::Failed,
            });
        }
    }

    pub(super) fn on_session_end(&mut self) {
        if self.is_away {
            self.end = Some(UnseenEnd::Failed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Command, Envelope, Millis};
    use crate::store::Store;
    use crate::store::effect::Effect;
    use crate::store::msg::Msg;
    use crate::testkit::events::{opened, turn_finished, turn_started, user_message};

    fn turn(store: &mut Store, turn: &str) {
        for event in [turn_started(turn), user_message(turn, "go"), turn_finished(turn, TurnOutcome::Completed)] {
            let seq = store.last_seq().next();
            store.update(Msg::Event(Envelope { seq, at: Millis(seq.0), event }), &mut Vec::new());
        }
    }

    fn look(store: &mut Store, is_looking: bool) -> Option<usize> {
        store.update(Msg::Looking(is_looking), &mut Vec::new());
        store.unseen.first_new().and_then(|item| store.transcript.index_of(item))
    }

    #[test]
    fn what_is_new_begins_behind_what_was_seen_last() {
        let mut store = Store::default();
        store.update(
            Msg::Event(Envelope { seq: store.last_seq().next(), at: Millis(0), event: opened() }),
            &mut Vec::new(),
        );
        look(&mut store, false);
        turn(&mut store, "t1");
        assert_eq!(look(&mut store, true), None, "nothing was seen before it");
        let seen = store.transcript.items().len();
        turn(&mut store, "t2");
        assert_eq!(look(&mut store, true), None, "somebody looked all the time");
        look(&mut store, false);
        assert_eq!(look(&mut store, true), None, "nothing came");
        let seen = store.transcript.items().len().max(seen);
        look(&mut store, false);
        turn(&mut store, "t3");
        look(&mut store, false);
        assert_eq!(look(&mut store, true), Some(seen), "looking away twice is once");
        look(&mut store, false);
        assert_eq!(look(&mut store, true), Some(seen), "nothing came since, and it may not have been read");
        store.update(Msg::NewSeen, &mut Vec::new());
        assert_eq!(look(&mut store, true), None);
    }

    #[test]
    fn a_prompt_shows_that_it_was_seen() {
        let mut store = Store::default();
        turn(&mut store, "t1");
        look(&mut store, false);
        turn(&mut store, "t2");
        assert!(look(&mut store, true).is_some());
        let mut fx = Vec::new();
        store.update(Msg::Action(crate::store::action::Action::Submit("and now?".into())), &mut fx);
        assert_eq!(fx, [Effect::Send(Command::prompt("and now?"))]);
        assert_eq!(store.unseen.first_new(), None);
    }
}
