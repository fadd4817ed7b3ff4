//! Versions of files as they were before and after the agent changed them, beside the session and readable only by its
//! owner. They are the session's own: no version control of the person's knows of them.
//!
//! A version is named by the SHA-256 of its bytes, so that it is kept once, and what is read back is what was kept.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use ring::digest::{SHA256, digest};

use crate::event::FileVersion;
use crate::private;

/// A larger version is not kept.
const MAX_VERSION_BYTES: usize = 16 << 20;
/// What the versions of a session may have together; later ones are not kept.
const MAX_SESSION_BYTES: u64 = 512 << 20;

/// Keeps the versions of one session.
#[derive(Debug)]
pub struct SnapshotStore {
    folder: PathBuf,
    /// What is kept so far; `u64::MAX` until that was counted.
    used: AtomicU64,
}

impl SnapshotStore {
    /// The folder is created when something is kept.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), used: AtomicU64::new(u64::MAX) }
    }

    /// Keeps a version. Blocks until it is on the disk; one that can't be kept is told as such.
    pub fn keep(&self, content: &[u8]) -> FileVersion {
        if content.len() > MAX_VERSION_BYTES {
            return FileVersion::NotKept;
        }
        let id = version_id(content);
        match self.write(&id, content) {
            Ok(true) => FileVersion::Kept(id),
            Ok(false) => FileVersion::NotKept,
            Err(error) => {
                tracing::warn!(%error, "a version of a file can't be kept");
                FileVersion::NotKept
            }
        }
    }

    /// Returns false where there is no room.
    fn write(&self, id: &str, content: &[u8]) -> io::Result<bool> {
        static TEMP_FILE_COUNTER: AtomicU64 = AtomicU64::new(0);
        let path = self.folder.join(id);
        if path.exists() {
            return Ok(true);
        }
        private::create_dir(&self.folder)?;
        let used = match self.used.load(Ordering::Relaxed) {
            u64::MAX => count_bytes(&self.folder)?,
            used => used,
        };
        let total = used.saturating_add(content.len() as u64);
        if total > MAX_SESSION_BYTES {
            self.used.store(used, Ordering::Relaxed);
            return Ok(false);
        }
        // Two calls may keep the same bytes at once: each writes its own file, and either takes the place.
        let number = TEMP_FILE_COUNTER.fetch_add(1, Ordering::Relaxed);
        let temporary = self.folder.join(format!("{id}.{}-{number}.new", std::process::id()));
        let written = private::create_file(&temporary)
            .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&temporary, &path));
        if let Err(error) = written {
            let _ = fs::remove_file(&temporary);
            return Err(error);
        }
        self.used.store(total, Ordering::Relaxed);
        Ok(true)
    }

    /// Reads a version back.
    ///
    /// # Errors
    ///
    /// Fails if it isn't there, or isn't what was kept.
    pub fn read(&self, id: &str) -> io::Result<Vec<u8>> {
        // The id comes from a log, which may be somebody else's.
        if id.len() != 64 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "that is no version"));
        }
        let mut content = Vec::new();
        fs::File::open(self.folder.join(id))?.take(MAX_VERSION_BYTES as u64 + 1).read_to_end(&mut content)?;
        if version_id(&content) != id {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the kept version is damaged"));
        }
        Ok(content)
    }
}

/// Returns what names a version of these bytes.
pub fn version_id(content: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut id = String::with_capacity(64);
    for byte in digest(&SHA256, content).as_ref() {
        let _ = write!(id, "{byte:02x}");
    }
    id
}

fn count_bytes(folder: &Path) -> io::Result<u64> {
    let mut total = 0_u64;
    for entry in fs::read_dir(folder)? {
        total = total.saturating_add(entry?.metadata()?.len());
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_version_is_kept_once_for_its_owner_and_comes_back() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("deep/s1.snapshots");
        let store = SnapshotStore::new(&folder);
        let FileVersion::Kept(id) = store.keep(b"one") else { panic!() };
        assert_eq!(store.keep(b"one"), FileVersion::Kept(id.clone()));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        assert_eq!(store.read(&id).unwrap(), b"one");
        assert_eq!(fs::metadata(folder.join(&id)).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(id, "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed");
    }

    #[test]
    fn what_is_damaged_or_elsewhere_is_not_read() {
        let place = tempfile::tempdir().unwrap();
        let store = SnapshotStore::new(place.path());
        let FileVersion::Kept(id) = store.keep(b"one") else { panic!() };
        fs::write(place.path().join(&id), "two").unwrap();
        fs::write(place.path().join("x"), "three").unwrap();
        for wrong in [id.as_str(), "x", "../x", &"0".repeat(64)] {
            assert!(store.read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_too_large_is_not_kept() {
        let place = tempfile::tempdir().unwrap();
        let store = SnapshotStore::new(place.path());
        assert_eq!(store.keep(&vec![0; MAX_VERSION_BYTES + 1]), FileVersion::NotKept);
        let full = SnapshotStore { folder: place.path().to_owned(), used: AtomicU64::new(MAX_SESSION_BYTES) };
        assert_eq!(full.keep(b"one"), FileVersion::NotKept);
    }
}
