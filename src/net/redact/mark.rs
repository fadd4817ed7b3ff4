//! What stands for a secret: `[redacted:KIND:MAC]`.
//!
//! The MAC is the same for the same value on this machine, so that a log stays readable, and tells nothing to whoever
//! has not got the key, not even about values that are easily guessed. The key is made when it is first needed.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::private;

const KEY_BYTES: usize = 32;
/// Bytes of the MAC that are shown: enough to tell the secrets of a log apart.
const SHOWN_MAC_BYTES: usize = 4;

static KEY_FILE: OnceLock<PathBuf> = OnceLock::new();
static KEY: OnceLock<hmac::Key> = OnceLock::new();

/// Says where the key is kept. The first one counts; without any the key lives as long as the program.
pub fn set_key_file(path: PathBuf) {
    let _ = KEY_FILE.set(path);
}

/// Returns what stands for a secret.
pub fn secret_mark(kind: &str, value: &str) -> String {
    mark_with(KEY.get_or_init(local_key), kind, value)
}

fn mark_with(key: &hmac::Key, kind: &str, value: &str) -> String {
    let mac = hmac::sign(key, value.as_bytes());
    let mut mark = format!("[redacted:{kind}:");
    for byte in mac.as_ref().iter().take(SHOWN_MAC_BYTES) {
        let _ = write!(mark, "{byte:02x}");
    }
    mark.push(']');
    mark
}

fn local_key() -> hmac::Key {
    let kept = KEY_FILE.get().map(|path| load_or_create(path));
    let bytes = match kept {
        Some(Ok(bytes)) => Ok(bytes),
        Some(Err(error)) => {
            let path = KEY_FILE.get().map(|path| path.display().to_string()).unwrap_or_default();
            tracing::warn!("marks of secrets are of this run alone: the key in {path} can't be used: {error}");
            random_key()
        }
        None => random_key(),
    };
    hmac::Key::new(hmac::HMAC_SHA256, &bytes.unwrap_or_default())
}

fn random_key() -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; KEY_BYTES];
    SystemRandom::new().fill(&mut bytes).map_err(|_| io::Error::other("the system has no random numbers"))?;
    Ok(bytes)
}

/// Reads the key, or makes it. Of two programs that make it at once, both use that of the first.
fn load_or_create(path: &Path) -> io::Result<Vec<u8>> {
    match read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        read => return read,
    }
    if let Some(folder) = path.parent() {
        private::create_dir(folder)?;
    }
    let bytes = random_key()?;
    let draft = path.with_extension(format!("new-{}", std::process::id()));
    let mut file = private::create_file(&draft)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    // A link is made whole or not at all, and never in place of another.
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match linked {
        Ok(()) => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read(path),
        Err(error) => Err(error),
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let bytes = fs::read(path)?;
    if bytes.len() == KEY_BYTES {
        return Ok(bytes);
    }
    let why = format!("it has {} bytes instead of {KEY_BYTES}; remove it to have another made", bytes.len());
    Err(io::Error::new(io::ErrorKind::InvalidData, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_value_has_the_same_mark_and_another_key_another() {
        let key = |byte| hmac::Key::new(hmac::HMAC_SHA256, &[byte; KEY_BYTES]);
        let mark = mark_with(&key(1), "token", "a value");
        assert_eq!(mark, mark_with(&key(1), "token", "a value"));
        assert_ne!(mark, mark_with(&key(1), "token", "a valuf"));
        assert_ne!(mark, mark_with(&key(2), "token", "a value"));
        assert_eq!((mark.len(), mark.starts_with("[redacted:token:")), ("[redacted:token:]".len() + 8, true));
    }

    #[test]
    fn the_key_is_made_once_for_its_owner_alone_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/redaction.key");
        let first = load_or_create(&path).unwrap();
        assert_eq!(first, load_or_create(&path).unwrap());
        assert_ne!(first, vec![0; KEY_BYTES]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn a_key_of_another_length_is_told_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("redaction.key");
        fs::write(&path, "short").unwrap();
        let error = load_or_create(&path).unwrap_err().to_string();
        assert!(error.contains("5 bytes instead of 32"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"short");
    }
}
