//! Claims the name under which a client keeps its state: several clients of one place each get a name of their own.
//!
//! A name is claimed with an advisory lock, so it is free again once its program has ended, however that happened.
//! State under a free name goes to the next client, the newest first. A local session needs no claim: the lock on its
//! log is enough.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::super::naming::safe_file_name;
use super::{StatePart, StateStore};
use crate::event::SessionId;
use crate::private;

/// Further clients of a place share a name.
const MAX_NAMES_PER_PLACE: usize = 64;

/// A name that no other client uses while this exists.
#[derive(Debug)]
pub struct NameClaim {
    session: SessionId,
    lock: Option<(File, PathBuf)>,
    /// Drafts under other names of this place that no client has open.
    other_drafts: usize,
}

impl NameClaim {
    /// Claims the name of a session whose log this program has locked.
    pub fn exclusive(session: SessionId) -> Self {
        Self { session, lock: None, other_drafts: 0 }
    }

    /// Claims a name for a place that several clients may use: one with a draft that nobody has open, else a free one.
    ///
    /// If no lock is possible, as on a full disk, the place's own name is shared.
    pub fn for_place(dir: &Path, place: &SessionId) -> Self {
        let mut drafts: Vec<(SystemTime, SessionId)> = Vec::new();
        let mut rest = Vec::new();
        for nth in 1..=MAX_NAMES_PER_PLACE {
            let name = if nth == 1 { place.clone() } else { SessionId::new(format!("{place} #{nth}")) };
            let path = StateStore::new(dir, &name).path(StatePart::Draft);
            match fs::metadata(path).and_then(|metadata| metadata.modified()) {
                Ok(changed) => drafts.push((changed, name)),
                Err(_) => rest.push(name),
            }
        }
        drafts.sort_by(|a, b| b.cmp(a));
        let mut taken = None;
        let mut left = 0;
        for (_, name) in drafts {
            let Ok(Some(lock)) = try_lock_name(dir, &name) else { continue };
            if taken.is_none() {
                taken = Some((name, lock));
            } else {
                left += 1;
                release_lock(lock);
            }
        }
        if taken.is_none() {
            taken = rest.into_iter().find_map(|name| {
                let lock = try_lock_name(dir, &name).ok()??;
                Some((name, lock))
            });
        }
        match taken {
            Some((session, lock)) => Self { session, lock: Some(lock), other_drafts: left },
            None => Self::exclusive(place.clone()),
        }
    }

    /// Returns the claimed name.
    pub fn session(&self) -> &SessionId {
        &self.session
    }

    /// Returns how many drafts of this place remain for other clients.
    pub fn other_drafts(&self) -> usize {
        self.other_drafts
    }
}

impl Drop for NameClaim {
    fn drop(&mut self) {
        if let Some(lock) = self.lock.take() {
            release_lock(lock);
        }
    }
}

/// Claims a name; `None` if another program has it.
fn try_lock_name(dir: &Path, name: &SessionId) -> io::Result<Option<(File, PathBuf)>> {
    private::create_dir(dir)?;
    let path = dir.join(format!("{}.lock", safe_file_name(name.as_str())));
    let file = private::open_options().read(true).append(true).create(true).open(&path)?;
    if file.try_lock().is_err() {
        return Ok(None);
    }
    // The previous owner may have removed the file between our opening and locking it.
    let is_same = fs::metadata(&path).is_ok_and(|there| file.metadata().is_ok_and(|ours| ours.ino() == there.ino()));
    Ok(is_same.then_some((file, path)))
}

/// The file is removed while still locked, so that nobody can have claimed it.
fn release_lock((file, path): (File, PathBuf)) {
    let _ = fs::remove_file(path);
    drop(file);
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: &str = "attach http://127.0.0.1:8000";

    fn claim(dir: &Path) -> NameClaim {
        NameClaim::for_place(dir, &PLACE.into())
    }

    fn keep(dir: &Path, claim: &NameClaim, text: &str) {
        StateStore::new(dir, claim.session()).save(StatePart::Draft, &text).unwrap();
    }

    fn kept(dir: &Path, claim: &NameClaim) -> Option<String> {
        StateStore::new(dir, claim.session()).load(StatePart::Draft).unwrap()
    }

    #[test]
    fn two_screens_on_one_place_keep_two_drafts() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (claim(dir.path()), claim(dir.path()));
        assert_ne!(one.session(), two.session());
        keep(dir.path(), &one, "one");
        keep(dir.path(), &two, "two");
        assert_eq!(kept(dir.path(), &one).as_deref(), Some("one"));
        assert_eq!(kept(dir.path(), &two).as_deref(), Some("two"));
    }

    #[test]
    fn a_draft_is_found_by_the_next_screen_whichever_kept_it() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (claim(dir.path()), claim(dir.path()));
        keep(dir.path(), &two, "two");
        drop((one, two));
        let next = claim(dir.path());
        assert_eq!((kept(dir.path(), &next).as_deref(), next.other_drafts()), (Some("two"), 0));
        let other = claim(dir.path());
        assert_eq!(kept(dir.path(), &other), None);
    }

    #[test]
    fn drafts_that_nobody_has_are_counted_and_come_one_by_one() {
        let dir = tempfile::tempdir().unwrap();
        let screens = [claim(dir.path()), claim(dir.path()), claim(dir.path())];
        for (nth, screen) in screens.iter().enumerate() {
            keep(dir.path(), screen, &nth.to_string());
        }
        drop(screens);
        let first = claim(dir.path());
        let second = claim(dir.path());
        assert_eq!((first.other_drafts(), second.other_drafts()), (2, 1));
        assert_ne!(kept(dir.path(), &first), kept(dir.path(), &second));
    }

    #[test]
    fn nothing_is_left_behind() {
        let dir = tempfile::tempdir().unwrap();
        drop((claim(dir.path()), claim(dir.path())));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
