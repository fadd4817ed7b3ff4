//! PURE. Maps a conversation's name to its latest stream, and remembers which streams used client tools. Entries that
//! were dropped here are recovered from the logs.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::event::SessionId;

/// How many streams are remembered.
const MAX_KNOWN_STREAMS: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct ThreadIndex {
    /// The newest last.
    streams: Mutex<VecDeque<KnownStream>>,
}

#[derive(Debug)]
struct KnownStream {
    session: SessionId,
    thread: Option<String>,
    client_tools: bool,
}

impl ThreadIndex {
    pub(super) fn add(&self, session: &SessionId, thread: Option<&str>, client_tools: bool) {
        let mut known = self.lock_streams();
        if known.len() >= MAX_KNOWN_STREAMS {
            known.pop_front();
        }
        known.push_back(KnownStream { session: session.clone(), thread: thread.map(Into::into), client_tools });
    }

    /// Returns the newest stream of a conversation.
    pub(super) fn latest(&self, thread: &str) -> Option<SessionId> {
        let known = self.lock_streams();
        known.iter().rev().find(|known| known.thread.as_deref() == Some(thread)).map(|known| known.session.clone())
    }

    /// Returns whether a stream used the client's tools.
    pub(super) fn has_client_tools(&self, session: &SessionId) -> Option<bool> {
        self.lock_streams().iter().rev().find(|known| known.session == *session).map(|known| known.client_tools)
    }

    fn lock_streams(&self) -> MutexGuard<'_, VecDeque<KnownStream>> {
        // No code under this lock panics halfway, so the data behind a poisoned lock is intact.
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_is_its_newest_stream_and_memory_is_bounded() {
        let threads = ThreadIndex::default();
        for n in 0..2 * MAX_KNOWN_STREAMS {
            threads.add(&SessionId::new(format!("s{n}")), Some(if n % 2 == 0 { "even" } else { "odd" }), n % 2 == 0);
        }
        assert_eq!(threads.latest("even"), Some(SessionId::new(format!("s{}", 2 * MAX_KNOWN_STREAMS - 2))));
        assert_eq!(threads.latest("other"), None);
        assert_eq!(threads.has_client_tools(&SessionId::new(format!("s{}", 2 * MAX_KNOWN_STREAMS - 1))), Some(false));
        assert_eq!(threads.has_client_tools(&"s0".into()), None, "forgotten");
        assert_eq!(threads.lock_streams().len(), MAX_KNOWN_STREAMS);
    }
}
