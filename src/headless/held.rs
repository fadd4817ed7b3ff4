//! PURE. Lines of the log on their way to standard output: none is printed before the log has it.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::bridge::Published;
use crate::event::Seq;

/// Lines that wait for a log that can't be written.
#[derive(Debug, Default)]
pub(super) struct Held(VecDeque<Arc<Published>>);

impl Held {
    pub(super) fn push(&mut self, fact: Arc<Published>) {
        self.0.push_back(fact);
    }

    /// Takes out the next line that may be printed. `saved` is the last number that is in the log; where no log is kept
    /// there is nothing to wait for.
    pub(super) fn next(&mut self, saved: Option<Seq>) -> Option<Arc<Published>> {
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
    use crate::event::{AgentEvent, Envelope, Millis};

    fn held(seqs: impl IntoIterator<Item = u64>) -> Held {
        let mut held = Held::default();
        for seq in seqs {
            let event = AgentEvent::TurnStarted { turn: "t".into(), parent: None };
            let envelope = Envelope { seq: Seq(seq), at: Millis(0), event };
            held.push(Arc::new(Published { envelope, line: Bytes::new() }));
        }
        held
    }

    fn printed(held: &mut Held, saved: Option<u64>) -> Vec<u64> {
        std::iter::from_fn(|| held.next(saved.map(Seq))).map(|fact| fact.envelope.seq.0).collect()
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
