//! What the session keeps for its next run besides the log: grants, model and mode, prompts that are not in the log.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::task::{JoinError, JoinSet};

use super::{SessionActor, SessionSettings, notice};
use crate::event::{Grant, NoticeCode, NoticeLevel};
use crate::journal::{StatePart, StateStore};
use crate::net::redact::redact_secrets;

impl SessionActor {
    /// Saves the grants that last for the session, for its next run.
    pub(super) fn save_grants(&mut self, grants: &[Grant]) {
        // A grant that holds a secret is not kept: the next run asks again.
        let grants: Vec<&Grant> = grants.iter().filter(|grant| !redact_secrets(&mut grant.pattern())).collect();
        let patterns: Vec<String> = grants.iter().map(|grant| grant.pattern()).collect();
        let Some(state) = self.state_store.as_ref().filter(|_| patterns != self.saved_grants) else { return };
        let saved =
            if grants.is_empty() { state.clear(StatePart::Grants) } else { state.save(StatePart::Grants, &grants) };
        match saved {
            Ok(()) => self.saved_grants = patterns,
            Err(error) => self.report_state_error(format!("the grants of this session can't be saved: {error}")),
        }
    }

    /// Saves model and mode for the next run, if they changed. A session without a turn leaves nothing behind. A prompt
    /// is on its way, so another thread does all of it.
    pub(super) fn save_settings(&mut self) {
        let (Some(state), Some((settings, is_saved @ false))) = (&self.state_store, &mut self.settings) else { return };
        *is_saved = true;
        *lock(&self.unsaved_settings) = Some(settings.clone());
        let (state, unsaved) = (state.clone(), Arc::clone(&self.unsaved_settings));
        self.state_syncs.spawn_blocking(move || {
            // Held until they are saved, so that no older ones come after them.
            let mut unsaved = lock(&unsaved);
            let saved = unsaved.take().map_or(Ok(()), |settings| state.save(StatePart::Settings, &settings));
            saved.map_err(|error| format!("the model and the mode of this session can't be saved: {error}"))
        });
    }

    /// Saves the prompts that are not in the log, for the next run.
    pub(super) fn save_queue(&mut self) {
        let Some(state) = &self.state_store else { return };
        let unsent = self.queue.unlogged_prompts();
        let saved = if unsent.is_empty() {
            state.clear(StatePart::Queue)
        } else {
            save_soon(state, StatePart::Queue, &unsent, &mut self.state_syncs)
        };
        if let Err(error) = saved {
            self.report_state_error(format!("the queued prompts can't be saved: {error}"));
        }
    }

    /// Reports once that the next run of the session will lack something.
    fn report_state_error(&mut self, text: String) {
        if !std::mem::replace(&mut self.has_reported_state_error, true) {
            self.publish_when_open(notice(NoticeLevel::Warn, NoticeCode::NotKept, text));
        }
    }

    /// What is kept is on the disk too, or can't get there.
    pub(super) fn note_state_synced(&mut self, synced: Result<Result<(), String>, JoinError>) {
        if let Ok(Err(why)) = synced {
            self.report_state_error(why);
        }
    }
}

/// Saves a part of the state. A prompt is on its way meanwhile, so nobody waits for the disk.
fn save_soon<T: Serialize>(
    state: &StateStore,
    part: StatePart,
    value: &T,
    syncs: &mut JoinSet<Result<(), String>>,
) -> io::Result<()> {
    let file = state.save_unsynced(part, value)?;
    syncs.spawn_blocking(move || {
        file.sync_data().map_err(|error| format!("what this session keeps may be lost in a power cut: {error}"))
    });
    Ok(())
}

fn lock(settings: &Mutex<Option<SessionSettings>>) -> MutexGuard<'_, Option<SessionSettings>> {
    settings.lock().unwrap_or_else(PoisonError::into_inner)
}
