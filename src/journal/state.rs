//! The state of a session that outlives the program besides its log: draft, queued prompts, grants, model and mode.
//!
//! One small JSON file each in the state folder, readable only by its owner and always replaced as a whole. Never in
//! the log: that may come from somebody else and isn't trusted. A file that can't be read is set aside and reported.

mod claim;

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::naming::safe_file_name;
use crate::event::{ApprovalMode, SessionId};
use crate::private;

pub use claim::NameClaim;

/// The format of these files.
const STATE_FORMAT: u32 = 1;
/// A longer file is not ours.
const MAX_STATE_FILE_BYTES: u64 = 64 << 20;

/// The kinds of state files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatePart {
    /// The text in the composer: a string.
    Draft,
    /// The queued prompts, the next one first: a list of strings.
    Queue,
    /// The grants that last until the session ends.
    Grants,
    /// Model, mode and effort: [`SessionSettings`].
    Settings,
    /// What a hosted agent program calls the session: [`AgentSession`].
    AgentSession,
}

const ALL_PARTS: [StatePart; 5] =
    [StatePart::Draft, StatePart::Queue, StatePart::Grants, StatePart::Settings, StatePart::AgentSession];

/// A session as the agent program that works in it knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentSession {
    pub agent: String,
    pub session: String,
}

/// Returns where the versions of files are kept that a session changed. They go with its state.
pub fn snapshots_dir(dir: &Path, session: &SessionId) -> PathBuf {
    dir.join(format!("{}.snapshots", safe_file_name(session.as_str())))
}

/// What the session was last set to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionSettings {
    /// Written `engine/model`; empty if unknown.
    pub model: String,
    pub mode: ApprovalMode,
    /// How much the model is to think, if not as it does of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effort: Option<String>,
}

/// Stores a session's state. Cheap to clone.
#[derive(Clone, Debug)]
pub struct StateStore {
    dir: PathBuf,
    session: SessionId,
}

/// Why a state file was not read.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error("can't read {}: {cause}", path.display())]
    Io { path: PathBuf, cause: io::Error },
    #[error("{} can't be parsed; it was moved to {}", path.display(), aside.display())]
    Broken { path: PathBuf, aside: PathBuf },
    #[error("{} is writable by other users, so it is ignored", path.display())]
    Foreign { path: PathBuf },
}

#[derive(Serialize)]
struct StateFile<'a, T> {
    format: u32,
    session: &'a SessionId,
    value: &'a T,
}

#[derive(Deserialize)]
struct LoadedStateFile<T> {
    format: u32,
    session: SessionId,
    value: T,
}

impl StatePart {
    fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Queue => "queue",
            Self::Grants => "grants",
            Self::Settings => "settings",
            Self::AgentSession => "agent_session",
        }
    }
}

impl StateStore {
    /// Creates the store of a session; `dir` is created when something is saved.
    pub fn new(dir: &Path, session: &SessionId) -> Self {
        Self { dir: dir.to_owned(), session: session.clone() }
    }

    pub fn path(&self, part: StatePart) -> PathBuf {
        self.dir.join(format!("{}.{}.json", safe_file_name(self.session.as_str()), part.name()))
    }

    pub fn has(&self, part: StatePart) -> bool {
        self.path(part).exists()
    }

    /// Reads the saved value, if there is one. A file that can't be parsed is set aside, so that this is reported once.
    pub fn load<T: DeserializeOwned>(&self, part: StatePart) -> Result<Option<T>, StateError> {
        let path = self.path(part);
        let failed = |cause| StateError::Io { path: path.clone(), cause };
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            // Opening a pipe would block until somebody writes into it.
            Ok(found) if !found.is_file() => return Err(StateError::Foreign { path }),
            found => found.map_err(failed)?,
        };
        let file = File::open(&path).map_err(failed)?;
        if !is_of(nix::unistd::geteuid().as_raw(), &file, &path).map_err(failed)? {
            return Err(StateError::Foreign { path });
        }
        let mut bytes = Vec::new();
        file.take(MAX_STATE_FILE_BYTES).read_to_end(&mut bytes).map_err(failed)?;
        match serde_json::from_slice::<LoadedStateFile<T>>(&bytes) {
            Ok(loaded) if loaded.format == STATE_FORMAT && loaded.session == self.session => Ok(Some(loaded.value)),
            _ => {
                let aside = path.with_extension("unreadable");
                fs::rename(&path, &aside).map_err(failed)?;
                Err(StateError::Broken { path, aside })
            }
        }
    }

    /// Saves a value in place of the old one.
    pub fn save<T: Serialize>(&self, part: StatePart, value: &T) -> io::Result<()> {
        let (file, new) = self.write_new(part, value)?;
        // Otherwise the file may be empty after a power cut.
        file.sync_data()?;
        fs::rename(new, self.path(part))
    }

    /// Saves a value in place of the old one; a power cut may empty it until the file that is returned was synced.
    pub fn save_unsynced<T: Serialize>(&self, part: StatePart, value: &T) -> io::Result<File> {
        let (file, new) = self.write_new(part, value)?;
        fs::rename(new, self.path(part))?;
        Ok(file)
    }

    fn write_new<T: Serialize>(&self, part: StatePart, value: &T) -> io::Result<(File, PathBuf)> {
        let path = self.path(part);
        let bytes = serde_json::to_vec(&StateFile { format: STATE_FORMAT, session: &self.session, value })?;
        private::create_dir(&self.dir)?;
        // Only one program holds the session or the claim, so a fixed temporary name is safe.
        let new = path.with_extension("new");
        let _ = fs::remove_file(&new);
        let mut file = private::create_file(&new)?;
        file.write_all(&bytes)?;
        Ok((file, new))
    }

    /// Removes the saved value, if there is one.
    pub fn clear(&self, part: StatePart) -> io::Result<()> {
        match fs::remove_file(self.path(part)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes all state of the session, including files that were set aside.
    pub fn remove(&self) -> io::Result<()> {
        for part in ALL_PARTS {
            self.clear(part)?;
            for extension in ["unreadable", "new"] {
                match fs::remove_file(self.path(part).with_extension(extension)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
        match fs::remove_dir_all(snapshots_dir(&self.dir, &self.session)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// Returns whether only this user could have written the file: grants must be the person's own.
pub(super) fn is_of(user: u32, file: &File, path: &Path) -> io::Result<bool> {
    let folder = path.parent().map(fs::metadata).transpose()?;
    let link = fs::symlink_metadata(path)?;
    let file = file.metadata()?;
    let is_closed = |metadata: &Metadata| is_closed_to_others(user, metadata);
    Ok(file.is_file() && !link.is_symlink() && is_closed(&file) && folder.as_ref().is_none_or(is_closed))
}

/// Returns whether a file or folder is this user's and nobody else may write there.
pub(super) fn is_closed_to_others(user: u32, found: &Metadata) -> bool {
    found.uid() == user && found.mode() & 0o022 == 0
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn state(dir: &Path) -> StateStore {
        StateStore::new(&dir.join("deep/state"), &"s1".into())
    }

    #[test]
    fn what_is_saved_is_found_again_and_the_owners_alone() {
        let dir = tempfile::tempdir().unwrap();
        let state = state(dir.path());
        assert_eq!(state.load::<String>(StatePart::Draft).unwrap(), None);
        state.save(StatePart::Draft, &"half a \u{1b} thought").unwrap();
        state.save(StatePart::Queue, &["old"]).unwrap();
        state.save_unsynced(StatePart::Queue, &["a", "b"]).unwrap().sync_data().unwrap();
        assert_eq!(state.load::<String>(StatePart::Draft).unwrap().unwrap(), "half a \u{1b} thought");
        assert_eq!(state.load::<Vec<String>>(StatePart::Queue).unwrap().unwrap(), ["a", "b"]);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&state.path(StatePart::Draft)), mode(&dir.path().join("deep/state"))), (0o600, 0o700));
        state.clear(StatePart::Draft).unwrap();
        assert!(!state.has(StatePart::Draft) && state.has(StatePart::Queue));
        state.remove().unwrap();
        assert_eq!(fs::read_dir(dir.path().join("deep/state")).unwrap().count(), 0);
    }

    #[test]
    fn a_file_that_is_broken_is_set_aside_and_told_once() {
        for bytes in [&b""[..], b"{\"format\":1", b"\0\0\0", b"{\"format\":2,\"session\":\"s1\",\"value\":\"x\"}"] {
            let dir = tempfile::tempdir().unwrap();
            let state = state(dir.path());
            state.save(StatePart::Draft, &"x").unwrap();
            fs::write(state.path(StatePart::Draft), bytes).unwrap();
            let error = state.load::<String>(StatePart::Draft).unwrap_err().to_string();
            assert!(error.contains("moved to") && error.contains("s1.draft.unreadable"), "{error}");
            assert_eq!(state.load::<String>(StatePart::Draft).unwrap(), None);
            assert_eq!(fs::read(state.path(StatePart::Draft).with_extension("unreadable")).unwrap(), bytes);
        }
    }

    #[test]
    fn what_belongs_to_another_user_does_not_count_though_the_folder_is_theirs_too() {
        let dir = tempfile::tempdir().unwrap();
        let state = state(dir.path());
        state.save(StatePart::Grants, &["shell"]).unwrap();
        let path = state.path(StatePart::Grants);
        let file = File::open(&path).unwrap();
        let owner = file.metadata().unwrap().uid();
        assert!(is_of(owner, &file, &path).unwrap());
        assert!(!is_of(owner + 1, &file, &path).unwrap());
        assert_eq!(owner, nix::unistd::geteuid().as_raw(), "what this program saves is its user's");
    }

    #[test]
    fn what_belongs_to_another_session_or_others_could_have_written_does_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (state(dir.path()), StateStore::new(&dir.path().join("deep/state"), &"s2".into()));
        one.save(StatePart::Grants, &["shell"]).unwrap();
        fs::copy(one.path(StatePart::Grants), two.path(StatePart::Grants)).unwrap();
        assert!(matches!(two.load::<Vec<String>>(StatePart::Grants), Err(StateError::Broken { .. })));
        fs::set_permissions(one.path(StatePart::Grants), fs::Permissions::from_mode(0o666)).unwrap();
        assert!(matches!(one.load::<Vec<String>>(StatePart::Grants), Err(StateError::Foreign { .. })));
        two.save(StatePart::Grants, &["shell"]).unwrap();
        fs::remove_file(one.path(StatePart::Grants)).unwrap();
        std::os::unix::fs::symlink(two.path(StatePart::Grants), one.path(StatePart::Grants)).unwrap();
        assert!(matches!(one.load::<Vec<String>>(StatePart::Grants), Err(StateError::Foreign { .. })));
        fs::remove_file(one.path(StatePart::Grants)).unwrap();
        let pipe = std::process::Command::new("mkfifo").arg(one.path(StatePart::Grants)).status();
        if pipe.is_ok_and(|made| made.success()) {
            let error = one.load::<Vec<String>>(StatePart::Grants);
            assert!(matches!(error, Err(StateError::Foreign { .. })), "nobody writes into it, so nobody waits for it");
        }
    }
}
