//! Background responses that have no session yet, by the names that theirs will have. Kept in memory until they begin;
//! from then on their sessions have them.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::error::ApiError;
use crate::event::{Json, SessionId};

/// Responses that wait, or could not begin.
const MAX_QUEUED: usize = 256;

/// The responses that have no session yet.
#[derive(Default)]
pub(super) struct QueuedResponses {
    table: Mutex<BTreeMap<SessionId, QueuedResponse>>,
    changed: watch::Sender<()>,
}

struct QueuedResponse {
    object: Json,
    cancel: CancellationToken,
}

impl QueuedResponses {
    /// Returns the response as it is, if it has not begun.
    pub(super) fn find(&self, session: &SessionId) -> Option<Json> {
        self.lock().get(session).map(|queued| queued.object.clone())
    }

    /// Takes a response out of the queue. Returns it if it was there.
    pub(super) fn cancel(&self, session: &SessionId) -> Option<Json> {
        let mut table = self.lock();
        let queued = table.get_mut(session)?;
        queued.cancel.cancel();
        if queued.object["status"] == "queued" {
            queued.object["status"] = "cancelled".into();
        }
        Some(queued.object.clone())
    }

    pub(super) fn remove(&self, session: &SessionId) -> bool {
        let removed = self.lock().remove(session);
        self.changed.send_replace(());
        removed.map(|queued| queued.cancel.cancel()).is_some()
    }

    /// Waits until a response has begun, or can't.
    pub(super) async fn wait_until_begun(&self, session: &SessionId) {
        let mut changed = self.changed.subscribe();
        while self.find(session).is_some_and(|object| object["status"] == "queued") {
            let _ = changed.changed().await;
        }
    }

    pub(super) fn add(&self, session: &SessionId, object: Json) -> Result<CancellationToken, ApiError> {
        let mut table = self.lock();
        if table.len() >= MAX_QUEUED {
            // Those that are over make room; their names begin with their time.
            let over = table.iter().find(|(_, queued)| queued.object["status"] != "queued");
            let Some(over) = over.map(|(session, _)| session.clone()) else {
                return Err(ApiError::too_many(format!("{MAX_QUEUED} background responses wait already"), 5));
            };
            table.remove(&over);
        }
        let cancel = CancellationToken::new();
        table.insert(session.clone(), QueuedResponse { object, cancel: cancel.clone() });
        Ok(cancel)
    }

    /// Ends the wait: with its session the response begins, with an error it failed.
    pub(super) fn settle(&self, session: &SessionId, outcome: Result<(), &ApiError>) {
        let mut table = self.lock();
        match outcome {
            Ok(()) => drop(table.remove(session)),
            Err(refused) => {
                if let Some(queued) = table.get_mut(session) {
                    queued.object["status"] = "failed".into();
                    queued.object["error"] = json!({"code": refused.code, "message": refused.message});
                }
            }
        }
        drop(table);
        self.changed.send_replace(());
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SessionId, QueuedResponse>> {
        // Every change is one step, so the data behind a poisoned lock is intact.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
