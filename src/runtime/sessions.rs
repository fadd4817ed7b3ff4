//! Sessions on disk: listing, lookup, and their state besides the logs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::anyhow;
use serde::de::DeserializeOwned;

use super::{Frontend, Runtime, StartMode};
use crate::agent::approval::ApprovalPolicy;
use crate::bridge::session::{UnsentPrompt, title_annotation};
use crate::config::Origin;
use crate::event::{AgentEvent, Annotation, ApprovalMode, Grant, NoticeCode, SessionId, who_answers};
use crate::journal::{self, NameClaim, Reader, SessionListing, SessionSettings, StatePart, StateStore};
use crate::store::sessions::{PreviewMessage, SessionChoice, preview_messages};
use crate::text::address::with_scheme;
use crate::text::display_url::redact_credentials;
use crate::text::{human, one_line};

/// How much of the end of a log a preview reads.
const PREVIEW_BYTES: u64 = 256 << 10;

/// Which saved sessions are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListScope {
    /// Also those of other folders.
    pub all_folders: bool,
    /// Those that are archived, instead of the others.
    pub archived: bool,
}

/// Where sessions are saved, and the folder that a person works in.
#[derive(Clone, Debug)]
pub struct SavedSessions {
    pub(super) logs: PathBuf,
    pub(super) index: PathBuf,
    state: PathBuf,
    pub(super) folder: String,
}

impl SavedSessions {
    /// Lists saved sessions, of this folder or of all, those in use or those that are archived; those without a turn are
    /// left out.
    pub fn list(&self, scope: ListScope) -> anyhow::Result<SessionListing> {
        let mut listing = journal::list(&self.logs, Some(&self.index))?;
        let wanted = |session: &journal::SessionSummary| {
            // The turns may be what can't be read.
            let has_content = || session.title.is_some() || has_draft(&self.state, &session.id) || is_damaged(session);
            session.kind != journal::ONE_SHOT_KIND && has_content()
        };
        listing.sessions.retain(|session| {
            session.is_archived == scope.archived
                && (scope.all_folders || session.folder == self.folder)
                && wanted(session)
        });
        Ok(listing)
    }

    /// Lists them for a person to choose from, the newest first.
    pub fn choices(&self, scope: ListScope) -> anyhow::Result<Vec<SessionChoice>> {
        let now = super::wall_clock();
        let choice = |session: journal::SessionSummary| SessionChoice {
            age: human::age(Duration::from_millis(now.saturating_sub(session.modified))),
            engine: who_answers(&session.engine, &session.model),
            title: session.title.map(|title| redact_credentials(&title).into_owned()),
            folder: place_or_origin(session.folder, session.imported_from.as_deref()),
            turns: session.turns,
            id: session.id,
        };
        Ok(self.list(scope)?.sessions.into_iter().map(choice).collect())
    }

    /// Names a session, after its first prompt if `title` is empty; returns its full name.
    pub fn rename(&self, wanted: &str, title: &str) -> anyhow::Result<SessionId> {
        let AgentEvent::Annotation { annotation, .. } = title_annotation(title) else {
            return Err(anyhow!("no title"));
        };
        Ok(journal::annotate(&self.logs, wanted, annotation, super::wall_clock())?)
    }

    /// Leaves a session out of lists, or no longer; returns its full name.
    pub fn set_archived(&self, wanted: &str, is_archived: bool) -> anyhow::Result<SessionId> {
        Ok(journal::annotate(&self.logs, wanted, Annotation::Archived(is_archived), super::wall_clock())?)
    }

    /// Returns what was said last in a session, the oldest first. Reads no more than the end of its log.
    pub fn preview(&self, id: &SessionId) -> anyhow::Result<Vec<PreviewMessage>> {
        let reader = Reader::open(&journal::log_path(&self.logs, id))?;
        let page = reader.read_end(PREVIEW_BYTES)?;
        Ok(preview_messages(page.entries.into_iter().map(|entry| entry.envelope.event)))
    }

    /// Returns where a session's log is, if it is kept here.
    pub fn log_of(&self, session: &SessionId) -> Option<PathBuf> {
        Some(journal::log_path(&self.logs, session)).filter(|log| log.exists())
    }

    /// Deletes a session and returns its full name.
    pub fn remove(&self, wanted: &str) -> anyhow::Result<SessionId> {
        let id = journal::remove(&self.logs, wanted)?.id;
        StateStore::new(&self.state, &id).remove()?;
        match std::fs::remove_file(self.texts_folder().join(id.as_str())) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(id),
        }
    }
}

/// Returns where a session was held, or who kept it: an import has no folder.
pub fn place_or_origin(folder: String, imported_from: Option<&str>) -> String {
    match imported_from {
        Some(program) if folder.is_empty() => format!("from {program}"),
        _ => folder,
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
    pub fn session_path(&self, wanted: impl AsRef<Path>) -> anyhow::Result<PathBuf> {
        let path = wanted.as_ref();
        // What is no name of a session is told as a file that isn't there.
        let is_name = || path.components().count() == 1 && path.extension().is_none_or(|kind| kind != "jsonl");
        if path.is_file() || !is_name() {
            return Ok(path.to_owned());
        }
        Ok(journal::find(&self.paths.sessions_dir(), &path.to_string_lossy())?.path)
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
    pub(super) fn load_state<T: DeserializeOwned + Default>(
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

    /// Returns the model and the mode of an earlier run; the mode is that of this run if none was kept.
    pub(super) fn load_settings(&self, session: &SessionId, notes: &mut Vec<String>) -> SessionSettings {
        let kept: Option<SessionSettings> = self.load_state(session, StatePart::Settings, notes);
        let mode = self.config().approvals.mode;
        kept.unwrap_or(SessionSettings { mode, ..SessionSettings::default() })
    }

    /// Goes on with the mode in which the session was left, unless a flag says otherwise or it would allow more than the
    /// settings do now. Returns what to tell of it.
    pub(super) fn restore_mode(&self, policy: &mut ApprovalPolicy, kept: ApprovalMode) -> Option<String> {
        let origin = self.loaded.entries.get("approvals.mode").map(|entry| &entry.origin);
        let is_asked_for = matches!(origin, Some(Origin::Flag(_)));
        if is_asked_for || kept == policy.mode || kept.is_more_permissive_than(policy.mode) {
            return None;
        }
        policy.mode = kept;
        Some(format!("the mode is {}, as this session was left", kept.name()))
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
    use crate::config::{self, ConfigSources, Overrides, Paths};

    fn runtime(dir: &Path, settings: &str, flags: &Overrides) -> Runtime {
        let file = dir.join("settings.toml");
        std::fs::write(&file, settings).unwrap();
        let paths = Paths { config: dir.to_owned(), data: dir.to_owned(), state: dir.to_owned() };
        let sources = ConfigSources { paths: &paths, folder: dir, file: Some(&file), env: &|_| None, flags };
        let loaded = config::load(&sources).unwrap();
        Runtime::new(loaded, paths, dir.to_owned(), Frontend::Tui, None)
    }

    #[test]
    fn the_mode_of_a_session_comes_back_unless_it_allows_more_than_this_start() {
        use ApprovalMode::{Ask, AutoEdit, Full, Plan};
        let dir = tempfile::tempdir().unwrap();
        let flag = Overrides { mode: Some(AutoEdit), ..Overrides::default() };
        let none = Overrides::default();
        for (settings, flags, kept, expected) in [
            ("ask", &none, Plan, Plan),
            ("ask", &none, Full, Ask),
            ("ask", &none, AutoEdit, Ask),
            ("auto-edit", &none, Ask, Ask),
            ("full", &none, Ask, Ask),
            ("full", &none, Full, Full),
            ("ask", &flag, Plan, AutoEdit),
        ] {
            let runtime = runtime(dir.path(), &format!("[approvals]\nmode = \"{settings}\""), flags);
            let mut policy = runtime.approval_policy().unwrap();
            let before = policy.mode;
            let said = runtime.restore_mode(&mut policy, kept);
            assert_eq!(policy.mode, expected, "{settings}, {kept:?}");
            assert_eq!(said.is_some(), policy.mode != before, "what is changed is said");
        }
    }

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
