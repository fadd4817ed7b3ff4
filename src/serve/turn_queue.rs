//! Conversations of one-shot requests: in each runs one turn at a time, in the order in which they were asked for.
//!
//! Every turn has a session of its own, so this is what keeps two of them from running beside each other where a request
//! names the conversation that it belongs to.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedMutexGuard;

use super::running_session::RunningSession;
use crate::event::Command;

/// The conversations in which a turn runs or waits.
#[derive(Default)]
pub(super) struct TurnQueues(Mutex<HashMap<String, Arc<TurnQueue>>>);

#[derive(Default)]
struct TurnQueue {
    turn: Arc<tokio::sync::Mutex<()>>,
    /// Those that run or wait.
    count: AtomicUsize,
    /// The session of the turn that runs, if it ends with its readers.
    running: Mutex<Option<Arc<RunningSession>>>,
}

/// A place in a conversation: its turn runs until this is dropped.
pub(super) struct TurnPlace {
    place: CountedPlace,
    /// How many turns were ahead of it.
    pub(super) ahead: usize,
    _turn: OwnedMutexGuard<()>,
}

/// Counts while it runs or waits, also if its client goes meanwhile.
struct CountedPlace(Arc<TurnQueue>);

impl Drop for CountedPlace {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::Relaxed);
    }
}

impl TurnQueues {
    /// Returns whether a turn runs or waits in this conversation.
    pub(super) fn is_busy(&self, conversation: &str) -> bool {
        lock(&self.0).get(conversation).is_some_and(|queue| queue.count.load(Ordering::Relaxed) > 0)
    }

    /// Waits until no turn runs in this conversation and none waits before this one. Fair.
    pub(super) async fn wait(&self, conversation: &str) -> TurnPlace {
        let queue = {
            let mut queues = lock(&self.0);
            queues.retain(|_, queue| Arc::strong_count(queue) > 1);
            Arc::clone(queues.entry(conversation.to_owned()).or_default())
        };
        let ahead = queue.count.fetch_add(1, Ordering::Relaxed);
        let place = CountedPlace(queue);
        if ahead > 0 {
            place.0.end_unread();
        }
        let turn = Arc::clone(&place.0.turn).lock_owned().await;
        TurnPlace { place, ahead, _turn: turn }
    }
}

impl TurnQueue {
    /// Who asks again has given up on an answer that nobody reads.
    fn end_unread(&self) {
        let running = lock(&self.running).clone();
        if let Some(session) = running.filter(|session| *session.readers().borrow() == 0) {
            // A session that takes no commands is about to end.
            let _ = session.handle.commands.try_send(Command::Cancel);
        }
    }
}

impl TurnPlace {
    /// Names the session of the turn. One that nobody reads is cancelled for the next turn.
    pub(super) fn set_running(&self, session: &Arc<RunningSession>) {
        *lock(&self.place.0.running) = Some(Arc::clone(session));
    }
}

impl Drop for TurnPlace {
    fn drop(&mut self) {
        *lock(&self.place.0.running) = None;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code under these locks panics halfway, so the data behind a poisoned lock is intact.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn turns_of_a_conversation_come_one_after_another_in_their_order() {
        let queues = TurnQueues::default();
        let first = queues.wait("a").await;
        let mut second = Box::pin(queues.wait("a"));
        assert!(second.as_mut().now_or_never().is_none());
        let mut third = Box::pin(queues.wait("a"));
        assert!(third.as_mut().now_or_never().is_none());
        assert_eq!(queues.wait("b").await.ahead, 0, "another conversation");
        drop(first);
        assert!(third.as_mut().now_or_never().is_none(), "it was not the next");
        assert_eq!(second.await.ahead, 1);
        assert_eq!(third.await.ahead, 2);
        assert_eq!(queues.wait("a").await.ahead, 0, "all are over");
    }

    #[tokio::test]
    async fn who_goes_while_waiting_leaves_the_queue() {
        let queues = TurnQueues::default();
        let first = queues.wait("a").await;
        let mut second = Box::pin(queues.wait("a"));
        assert!(second.as_mut().now_or_never().is_none());
        drop(second);
        drop(first);
        assert_eq!(queues.wait("a").await.ahead, 0);
        queues.wait("b").await;
        assert_eq!(lock(&queues.0).len(), 1, "conversations that are over are forgotten");
    }
}
