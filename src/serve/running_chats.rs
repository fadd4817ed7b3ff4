//! Which session answers in which chat of a client, as far as that is remembered.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::event::{CallId, SessionId};

/// Chats that are remembered; the oldest is forgotten first.
const MAX_KNOWN_CHATS: usize = 1000;

/// The stream that a chat got last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RunningChat {
    pub(super) session: SessionId,
    pub(super) client_tools: bool,
    /// It began after the approval of this call.
    pub(super) after: Option<CallId>,
}

#[derive(Debug, Default)]
pub(super) struct RunningChats(Mutex<VecDeque<(String, RunningChat)>>);

impl RunningChats {
    /// A chat without an id is not remembered: it may be anyone's.
    pub(super) fn set(&self, chat: &str, running: RunningChat) {
        if chat.is_empty() {
            return;
        }
        let mut chats = self.lock();
        chats.retain(|(known, _)| known != chat);
        if chats.len() >= MAX_KNOWN_CHATS {
            chats.pop_front();
        }
        chats.push_back((chat.to_owned(), running));
    }

    pub(super) fn get(&self, chat: &str) -> Option<RunningChat> {
        self.lock().iter().find(|(known, _)| known == chat).map(|(_, running)| running.clone())
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(String, RunningChat)>> {
        // No code under this lock panics halfway, so the data behind a poisoned lock is intact.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chat_has_its_newest_stream_and_the_oldest_chat_is_forgotten() {
        let chats = RunningChats::default();
        let running = |session: usize| RunningChat {
            session: SessionId::new(format!("s{session}")),
            client_tools: false,
            after: None,
        };
        for nth in 0..=MAX_KNOWN_CHATS {
            chats.set(&format!("c{nth}"), running(nth));
        }
        chats.set("c1", running(5));
        assert_eq!((chats.get("c0"), chats.get("c1")), (None, Some(running(5))));
        assert_eq!(chats.lock().len(), MAX_KNOWN_CHATS);
    }
}
