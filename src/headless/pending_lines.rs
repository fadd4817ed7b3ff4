//! PURE. Log lines waiting for standard output: none is printed before it is in the log.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::bridge::LoggedEvent;
use crate::event::Seq;

/// Lines that wait until the log is written.
#[derive(Debug, Default)]
pub(super) struct PendingLines(VecDeque<Arc<LoggedEvent>>);

impl PendingLines {
    pub(super) fn push(&mut self, event: Arc<LoggedEvent>) {
        self.0.push_back(event);
    }

    /// Removes the next line that may be printed. `saved` is the last number in the log; if no log is kept, nothing
    /// needs to wait.
    pub(super) fn pop_saved(&mut self, saved: Option<Seq>) -> Option<Arc<LoggedEvent>> {
        let first = self.0.front()?;
        if saved.is_some_and(|saved| first.envelope.seq > saved) {
            return None;
        }
        self.0.pop_front()
    }

    /// Returns how many lines were not printed.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::event::{Envelope, Millis};
    use crate::testkit::events::turn_started;

    fn held(seqs: impl IntoIterator<Item = u64>) -> PendingLines {
        let mut held = PendingLines::default();
        for seq in seqs {
            let event = turn_started("t");
            let envelope = Envelope { seq: Seq(seq), at: Millis(0), event };
            held.push(Arc::new(LoggedEvent { envelope, line: Bytes::new() }));
        }
        held
    }

    fn printed(held: &mut PendingLines, saved: Option<u64>) -> Vec<u64> {
        std::iter::from_fn(|| held.pop_saved(saved.map(Seq))).map(|event| event.envelope.seq.0).collect()
    }

    #[test]
    fn a_line_waits_until_the_log_has_it() {
        let mut held = held(1..=5);
        assert_eq!(printed(&mut held, Some(2)), [1, 2]);
        assert_eq!(printed(&mut held, Some(2)), [0; 0]);
        assert_eq!((printed(&mut held, Some(9)), held.len()), (vec![3, 4, 5], 0));
    }

    #[test]
    fn where_no_log_is_kept_nothing_waits() {
        assert_eq!(printed(&mut held(1..=3), None), [1, 2, 3]);
    }
}
