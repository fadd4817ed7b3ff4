//! PURE. Which number of the protocol is which event: a client says how far it came by one number, and has that place in
//! every session.

use std::collections::VecDeque;

use crate::event::{Seq, SessionId};

/// Actions that are remembered of a client. One that missed more gets whole states.
const MAX_ENTRIES: usize = 16_384;

/// A place in a session: an event, and how many of its actions are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ActionPlace {
    pub(super) event: Seq,
    pub(super) actions: usize,
}

impl ActionPlace {
    /// The place behind all actions of an event.
    pub(super) fn behind(event: Seq) -> Self {
        Self { event, actions: usize::MAX }
    }
}

#[derive(Clone, Debug)]
struct LedgerEntry {
    number: u64,
    session: SessionId,
    place: ActionPlace,
}

/// What a client was sent.
#[derive(Clone, Debug, Default)]
pub(super) struct AhpLedger {
    last: u64,
    /// Entries up to this number are forgotten.
    forgotten: u64,
    entries: VecDeque<LedgerEntry>,
}

impl AhpLedger {
    /// Returns a ledger that goes on behind a number, of whose past nothing is known.
    pub(super) fn behind(number: u64) -> Self {
        Self { last: number, forgotten: number, entries: VecDeque::new() }
    }

    /// The number that was given last.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// Returns the number of the next action, which is at this place.
    pub(super) fn next(&mut self, session: &SessionId, place: ActionPlace) -> u64 {
        self.last += 1;
        self.mark(session, place);
        self.last
    }

    /// Returns the next number, for an action that is no event's.
    pub(super) fn next_unplaced(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Records that the client has a session up to this place, by its state.
    pub(super) fn mark(&mut self, session: &SessionId, place: ActionPlace) {
        if self.entries.len() >= MAX_ENTRIES
            && let Some(dropped) = self.entries.pop_front()
        {
            self.forgotten = self.forgotten.max(dropped.number);
        }
        self.entries.push_back(LedgerEntry { number: self.last, session: session.clone(), place });
    }

    /// Goes back to where a client says it is, if that is known.
    pub(super) fn go_back_to(&mut self, number: u64) -> bool {
        if number > self.last || number < self.forgotten {
            return false;
        }
        self.entries.retain(|entry| entry.number <= number);
        self.last = number;
        true
    }

    /// Returns the place that the client has of a session.
    pub(super) fn place_in(&self, session: &SessionId) -> Option<ActionPlace> {
        self.entries.iter().rev().find(|entry| entry.session == *session).map(|entry| entry.place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(event: u64, actions: usize) -> ActionPlace {
        ActionPlace { event: Seq(event), actions }
    }

    #[test]
    fn one_number_is_a_place_in_every_session() {
        let mut ledger = AhpLedger::default();
        let (a, b) = ("a".into(), "b".into());
        ledger.mark(&a, ActionPlace::behind(Seq(4)));
        assert_eq!(ledger.next(&a, place(5, 1)), 1);
        assert_eq!(ledger.next(&b, place(9, 1)), 2);
        assert_eq!(ledger.next(&a, place(5, 2)), 3);
        assert_eq!(ledger.next_unplaced(), 4);
        assert!(ledger.go_back_to(2));
        assert_eq!((ledger.place_in(&a), ledger.place_in(&b)), (Some(place(5, 1)), Some(place(9, 1))));
        assert_eq!(ledger.next(&a, place(5, 2)), 3, "numbers that nobody got are given again");
        assert!(ledger.go_back_to(0));
        assert_eq!((ledger.place_in(&a), ledger.place_in(&b)), (Some(ActionPlace::behind(Seq(4))), None));
    }

    #[test]
    fn what_is_not_known_is_said_to_be_so() {
        let mut ledger = AhpLedger::behind(7);
        assert!(!ledger.go_back_to(6) && !ledger.go_back_to(8) && ledger.go_back_to(7));
        for event in 0..=MAX_ENTRIES as u64 {
            ledger.next(&"a".into(), place(event, 1));
        }
        assert!(!ledger.go_back_to(7), "its entry is forgotten");
        assert!(ledger.go_back_to(9));
    }
}
