//! Sessions on disk: which there are, which one is meant, and what of them outlives the program besides their logs.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use serde::de::DeserializeOwned;

use super::{Audience, House, Start};
use crate::event::{Grant, SessionId};
use crate::journal::{self, Claim, Listing, Part, SessionState};
use crate::text::address::{with_scheme, without_credentials};
use crate::text::one_line;

impl House {
    /// Lists saved sessions, of this folder or of all; those in which nothing was said are left out.
    pub fn sessions(&self, all: bool) -> anyhow::Result<Listing> {
        let mut listing = journal::list(&self.paths.sessions())?;
        let folder = self.folder.display().to_string();
        let state = self.paths.session_state();
        let wanted = |session: &journal::Summary| {
            // What was said may be what can't be read.
            let said = || session.title.is_some() || is_unfinished(&state, &session.id) || is_damaged(session);
            session.kind != journal::ANSWER && said()
        };
        listing.sessions.retain(|session| wanted(session) && (all || session.folder == folder));
        Ok(listing)
    }

    /// Goes through the logs of the newest sessions and returns what is wrong with each, in words with stable codes; none
    /// for those that were not looked through.
    pub fn damage(&self, listing: &Listing) -> Vec<Option<Vec<(&'static str, String)>>> {
        journal::damage(&listing.sessions).iter().map(|damage| damage.as_ref().map(journal::Damage::notices)).collect()
    }

    /// Goes through a log and returns what is wrong with it, likewise.
    pub fn damage_of(&self, path: &Path) -> Vec<(&'static str, String)> {
        journal::damage_of(path).notices()
    }

    /// Returns the log of a session, by its name or the beginning of it, or by the path of a log.
    pub fn session_path(&self, wanted: &str) -> anyhow::Result<PathBuf> {
        let path = Path::new(wanted);
        if path.is_file() {
            return Ok(path.to_owned());
        }
        Ok(journal::find(&self.paths.sessions(), wanted)?.path)
    }

    /// Removes a session for good, and returns its whole name.
    pub fn remove_session(&self, wanted: &str) -> anyhow::Result<SessionId> {
        let id = journal::remove(&self.paths.sessions(), wanted)?.id;
        SessionState::new(&self.paths.session_state(), &id).remove()?;
        Ok(id)
    }

    pub(super) fn find(&mut self, start: &Start) -> anyhow::Result<PathBuf> {
        let dir = self.paths.sessions();
        let folder = self.folder.display().to_string();
        let state = self.paths.session_state();
        let unfinished = |session: &SessionId| is_unfinished(&state, session);
        let (folder, none) = match start {
            Start::Resume(Some(wanted)) => return Ok(journal::find(&dir, wanted)?.path),
            Start::Continue => {
                let none = "is saved yet; `jarvis-tui sessions list --all` shows others";
                (Some(folder.as_str()), format!("no session of {folder} {none}"))
            }
            Start::Resume(None) | Start::New => (None, "no session is saved yet".to_owned()),
        };
        let mut passed = Vec::new();
        let found = journal::newest_of(&dir, folder, &unfinished, &mut passed)?;
        match (found, passed.first()) {
            (None, None) => Err(anyhow!(none)),
            (None, Some(error)) => Err(anyhow!("{none}: {error}")),
            (Some(session), _) => {
                self.told.extend(passed.iter().map(|error| format!("a newer log was passed over: {error}")));
                Ok(session.path)
            }
        }
    }

    /// Returns where a session's state is kept; nothing where nobody comes back for it.
    pub fn state_of(&self, session: &SessionId) -> Option<SessionState> {
        (self.audience != Audience::Pipe).then(|| SessionState::new(&self.paths.session_state(), session))
    }

    /// Reads what a session's state has; what can't be read is told.
    fn recall<T: DeserializeOwned + Default>(&mut self, session: &SessionId, part: Part) -> T {
        let Some(state) = self.state_of(session) else { return T::default() };
        state
            .load(part)
            .unwrap_or_else(|error| {
                self.told.push(error.to_string());
                None
            })
            .unwrap_or_default()
    }

    /// Returns the prompts that an earlier run did not get to send.
    pub(super) fn waiting(&mut self, session: &SessionId) -> Vec<String> {
        let waiting: Vec<String> = self.recall(session, Part::Queue);
        match waiting.len() {
            0 => {}
            1 => self.told.push("1 prompt was waiting; Enter sends it, or your next prompt goes first".to_owned()),
            many => {
                self.told
                    .push(format!("{many} prompts were waiting; Enter sends them, or your next prompt goes first"));
            }
        }
        waiting
    }

    /// Returns what an earlier run was allowed.
    pub(super) fn grants(&mut self, session: &SessionId) -> Vec<Grant> {
        let grants: Vec<Grant> = self.recall(session, Part::Grants);
        let patterns: Vec<_> = grants.iter().map(|grant| one_line(&grant.pattern(), 60)).collect();
        match grants.len() {
            0 => {}
            1 => self.told.push(format!("1 grant of this session still holds: {}", patterns.join(", "))),
            many => self.told.push(format!("{many} grants of this session still hold: {}", patterns.join(", "))),
        }
        grants
    }

    /// Takes a name for what is typed on a screen that is attached there: others may be as well.
    pub fn claim(&self, place: &str) -> Claim {
        Claim::of_place(&self.paths.session_state(), &place_name(place))
    }

    /// Returns what stood in the composer when it was left.
    pub fn draft(&mut self, claim: &Claim) -> Option<String> {
        let draft: String = self.recall(claim.session(), Part::Draft);
        if draft.trim().is_empty() {
            return None;
        }
        self.told.push(match claim.left() {
            0 => "draft restored".to_owned(),
            1 => "draft restored; 1 more waits for the next screen that is attached here".to_owned(),
            more => format!("draft restored; {more} more wait for the next screens that are attached here"),
        });
        Some(draft)
    }

    /// Takes what a person should know about what was restored.
    pub fn take_told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.told)
    }
}

/// Names what is typed on a screen that is attached somewhere. The name is seen in a folder, so no password is in it.
fn place_name(target: &str) -> SessionId {
    SessionId::new(format!("attach {}", without_credentials(&with_scheme(target))))
}

/// Returns whether something was typed in a session and never sent.
pub(super) fn is_unfinished(state: &Path, session: &SessionId) -> bool {
    let state = SessionState::new(state, session);
    state.has(Part::Draft) || state.has(Part::Queue)
}

fn is_damaged(session: &journal::Summary) -> bool {
    !journal::damage_of(&session.path).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_named_without_its_password() {
        for target in ["http://me:s3cret@host:1/a?key=k3y", "me:s3cret@host/a?key=k3y#token=k3y"] {
            let name = place_name(target).to_string();
            assert!(name.contains("host") && !name.contains("s3cret") && !name.contains("k3y"), "{name}");
        }
        assert_eq!(place_name("localhost:8000"), place_name("http://localhost:8000"));
        assert_ne!(place_name("office"), place_name("home"));
    }
}
