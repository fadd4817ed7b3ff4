//! PURE. Which stream a conversation's name stands for now, and whose tools a stream's are. What is forgotten here is
//! found in the logs.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::event::SessionId;

/// Streams that are remembered.
const MOST: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Threads {
    /// The newest last.
    known: Mutex<VecDeque<Known>>,
}

#[derive(Debug)]
struct Known {
    session: SessionId,
    thread: Option<String>,
    client_tools: bool,
}

impl Threads {
    pub(super) fn begun(&self, session: &SessionId, thread: Option<&str>, client_tools: bool) {
        let mut known = self.known();
        if known.len() >= MOST {
            known.pop_front();
        }
        known.push_back(Known { session: session.clone(), thread: thread.map(Into::into), client_tools });
    }

    /// Returns the newest stream of a conversation.
    pub(super) fn latest(&self, thread: &str) -> Option<SessionId> {
        let known = self.known();
        known.iter().rev().find(|known| known.thread.as_deref() == Some(thread)).map(|known| known.session.clone())
    }

    /// Returns whether a stream's tools are the client's.
    pub(super) fn client_tools(&self, session: &SessionId) -> Option<bool> {
        self.known().iter().rev().find(|known| known.session == *session).map(|known| known.client_tools)
    }

    fn known(&self) -> MutexGuard<'_, VecDeque<Known>> {
        // Nothing in here panics half-way, so what a poisoned lock guards is whole.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_is_its_newest_stream_and_memory_is_bounded() {
        let threads = Threads::default();
        for n in 0..2 * MOST {
            threads.begun(&SessionId::new(format!("s{n}")), Some(if n % 2 == 0 { "even" } else { "odd" }), n % 2 == 0);
        }
        assert_eq!(threads.latest("even"), Some(SessionId::new(format!("s{}", 2 * MOST - 2))));
        assert_eq!(threads.latest("other"), None);
        assert_eq!(threads.client_tools(&SessionId::new(format!("s{}", 2 * MOST - 1))), Some(false));
        assert_eq!(threads.client_tools(&"s0".into()), None, "forgotten");
        assert_eq!(threads.known().len(), MOST);
    }
}
