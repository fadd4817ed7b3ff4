//! Sessions on disk: listing, lookup, and their state besides the logs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::anyhow;
use serde::de::DeserializeOwned;

use super::{Frontend, Runtime, StartMode};
use crate::bridge::session::UnsentPrompt;
use crate::event::{Grant, NoticeCode, SessionId, who_answers};
use crate::journal::{self, NameClaim, SessionListing, StatePart, StateStore};
use crate::store::sessions::SessionChoice;
use crate::text::address::with_scheme;
use crate::text::display_url::redact_credentials;
use crate::text::{human, one_line};

/// Where sessions are saved, and the folder that a person works in.
#[derive(Clone, Debug)]
pub struct SavedSessions {
    logs: PathBuf,
    index: PathBuf,
    state: PathBuf,
    folder: String,
}

impl SavedSessions {
    /// Lists saved sessions, of this folder or of all; those without a turn are left out.
    pub fn list(&self, all: bool) -> anyhow::Result<SessionListing> {
        let mut listing = journal::list(&self.logs, Some(&self.index))?;
        let wanted = |session: &journal::SessionSummary| {
            // The turns may be what can't be read.
            let has_content = || session.title.is_some() || has_draft(&self.state, &session.id) || is_damaged(session);
            session.kind != journal::ONE_SHOT_KIND && has_content()
        };
        listing.sessions.retain(|session| (all || session.folder == self.folder) && wanted(session));
        Ok(listing)
    }

    /// Lists them for a person to choose from, the newest first.
    pub fn choices(&self, all: bool) -> anyhow::Result<Vec<SessionChoice>> {
        let now = super::wall_clock();
        let choice = |session: journal::SessionSummary| SessionChoice {
            age: human::age(Duration::from_millis(now.saturating_sub(session.modified))),
            engine: who_answers(&session.engine, &session.model),
            title: session.title.map(|title| redact_credentials(&title).into_owned()),
            folder: session.folder,
            id: session.id,
        };
        Ok(self.list(all)?.sessions.into_iter().map(choice).collect())
    }

    /// Returns where a session's log is, if it is kept here.
    pub fn log_of(&self, session: &SessionId) -> Option<PathBuf> {
        Some(journal::log_path(&self.logs, session)).filter(|log| log.exists())
    }

    /// Deletes a session and returns its full name.
    pub fn remove(&self, wanted: &str) -> anyhow::Result<SessionId> {
        let id = journal::remove(&self.logs, wanted)?.id;
        StateStore::new(&self.state, &id).remove()?;
        Ok(id)
    }
}

impl Runtime {
    pub fn saved_sessions(&self) -> SavedSessions {
        SavedSessions {
            logs: self.paths.sessions_dir(),
            index: self.paths.session_index_file(),
            state: self.paths.session_state_dir(),
            folder: self.folder.display().to_string(),
        }
    }

    /// Scans a log and returns its damage, as texts with stable codes.
    pub fn find_log_damage(&self, path: &Path) -> Vec<(NoticeCode, String)> {
        journal::scan_log_damage(path).notices()
    }

    /// Returns the log of a session, by its name or a prefix of it, or by the path of a log.
    pub fn session_path(&self, wanted: &str) -> anyhow::Result<PathBuf> {
        let path = Path::new(wanted);
        if path.is_file() {
            return Ok(path.to_owned());
        }
        Ok(journal::find(&self.paths.sessions_dir(), wanted)?.path)
    }

    /// Returns the log of the session that is to go on, and notes which newer ones were skipped.
    pub(super) fn resolve_log(&self, start: &StartMode, notes: &mut Vec<String>) -> anyhow::Result<PathBuf> {
        let dir = self.paths.sessions_dir();
        let folder = self.folder.display().to_string();
        let state = self.paths.session_state_dir();
        let unfinished = |session: &SessionId| has_draft(&state, session);
        let (folder, none) = match start {
            StartMode::Resume(Some(wanted)) => return Ok(journal::find(&dir, wanted)?.path),
            StartMode::Continue => {
                let none = "yet; `jarvis-tui sessions list --all` shows others";
                (Some(folder.as_str()), format!("no saved sessions in {folder} {none}"))
            }
            StartMode::Resume(None) | StartMode::New => (None, "no saved sessions yet".to_owned()),
        };
        let mut passed = Vec::new();
        let found =
            journal::find_newest(&dir, Some(&self.paths.session_index_file()), folder, &unfinished, &mut passed)?;
        match (found, passed.first()) {
            (None, None) => Err(anyhow!(none)),
            (None, Some(error)) => Err(anyhow!("{none}: {error}")),
            (Some(session), _) => {
                notes.extend(passed.iter().map(|error| format!("a newer log was skipped: {error}")));
                Ok(session.path)
            }
        }
    }

    /// Returns the state store of a session; `None` for clients that don't restore state.
    pub fn session_state(&self, session: &SessionId) -> Option<StateStore> {
        (self.frontend != Frontend::Headless).then(|| StateStore::new(&self.paths.session_state_dir(), session))
    }

    /// Reads a session's state; files that can't be read become notes.
    fn load_state<T: DeserializeOwned + Default>(
        &self,
        session: &SessionId,
        part: StatePart,
        notes: &mut Vec<String>,
    ) -> T {
        let Some(state) = self.session_state(session) else { return T::default() };
        state
            .load(part)
            .unwrap_or_else(|error| {
                notes.push(error.to_string());
                None
            })
            .unwrap_or_default()
    }

    /// Returns the prompts that an earlier run did not send, and notes how many.
    pub(super) fn load_queued_prompts(&self, session: &SessionId, notes: &mut Vec<String>) -> Vec<UnsentPrompt> {
        let waiting: Vec<UnsentPrompt> = self.load_state(session, StatePart::Queue, notes);
        match waiting.len() {
            0 => {}
            1 => notes.push("1 prompt was waiting; Enter sends it, or your next prompt goes first".to_owned()),
            many => {
                notes.push(format!("{many} prompts were waiting; Enter sends them, or your next prompt goes first"));
            }
        }
        waiting
    }

    /// Returns the grants of an earlier run, and notes them.
    pub(super) fn load_grants(&self, session: &SessionId, notes: &mut Vec<String>) -> Vec<Grant> {
        let grants: Vec<Grant> = self.load_state(session, StatePart::Grants, notes);
        let patterns: Vec<_> = grants.iter().map(|grant| one_line(&grant.pattern(), 60)).collect();
        match grants.len() {
            0 => {}
            1 => notes.push(format!("1 grant of this session still holds: {}", patterns.join(", "))),
            many => {
                notes.push(format!("{many} grants of this session still hold: {}", patterns.join(", ")));
            }
        }
        grants
    }

    /// Claims a name for the draft of a client attached to `place`: there may be several.
    pub fn claim_draft(&self, place: &str) -> NameClaim {
        NameClaim::for_place(&self.paths.session_state_dir(), &draft_id(place))
    }

    /// Returns the saved draft of the composer, and notes it.
    pub fn load_draft(&self, claim: &NameClaim, notes: &mut Vec<String>) -> Option<String> {
        let draft: String = self.load_state(claim.session(), StatePart::Draft, notes);
        if draft.trim().is_empty() {
            return None;
        }
        notes.push(match claim.other_drafts() {
            0 => "draft restored".to_owned(),
            1 => "draft restored; 1 more is kept for the next screen attached here".to_owned(),
            more => format!("draft restored; {more} more are kept for the next screens attached here"),
        });
        Some(draft)
    }
}

/// Returns the id for drafts at an attached target. It becomes a file name, so it contains no password.
fn draft_id(target: &str) -> SessionId {
    SessionId::new(format!("attach {}", redact_credentials(&with_scheme(target))))
}

/// Returns whether a session has an unsent draft.
pub(super) fn has_draft(state: &Path, session: &SessionId) -> bool {
    let state = StateStore::new(state, session);
    state.has(StatePart::Draft) || state.has(StatePart::Queue)
}

fn is_damaged(session: &journal::SessionSummary) -> bool {
    !session.damage.unwrap_or_else(|| journal::scan_log_damage(&session.path)).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_named_without_its_password() {
        for target in ["http://me:s3cret@host:1/a?key=k3y", "me:s3cret@host/a?key=k3y#token=k3y"] {
            let name = draft_id(target).to_string();
            assert!(name.contains("host") && !name.contains("s3cret") && !name.contains("k3y"), "{name}");
        }
        assert_eq!(draft_id("localhost:8000"), draft_id("http://localhost:8000"));
        assert_ne!(draft_id("office"), draft_id("home"));
    }
}
