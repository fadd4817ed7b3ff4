//! Names of sessions and of their files. Names from outside are never used as paths unchanged.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use uuid::{NoContext, Uuid};

use crate::event::{CallId, SessionId};
use crate::local_time::to_local;

/// Creates an id such as `20261120-183805-7f3a`: sorts by time, is unique, and its end is quick to type.
pub fn new_session_id(now_ms: u64) -> SessionId {
    let stamp = i64::try_from(now_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or_default();
    let time = to_local(stamp).strftime("%Y%m%d-%H%M%S");
    let [.., high, low] = *new_uuid().as_bytes();
    SessionId::new(format!("{time}-{high:02x}{low:02x}"))
}

/// Returns the id of a session that another program kept: always the same for the same session. `started_at` is in
/// milliseconds since 1970; without it the id has no time.
pub fn imported_session_id(program: &str, session: &str, started_at: Option<u64>) -> SessionId {
    // The zone here may change; the id must not.
    let stamp = started_at.and_then(|ms| Timestamp::from_millisecond(i64::try_from(ms).ok()?).ok());
    let begin = stamp.map_or_else(|| program.to_owned(), |stamp| stamp.strftime("%Y%m%d-%H%M%S").to_string());
    let sum = stable_hash([program, "\0", session].into_iter().flat_map(str::bytes));
    SessionId::new(format!("{begin}-{:08x}", (sum >> 32) ^ (sum & 0xffff_ffff)))
}

/// Creates a globally unique id that sorts by time. A clock before 1970 counts as 1970.
#[expect(clippy::disallowed_methods, reason = "the wall clock orders the names and decides nothing")]
pub fn new_uuid() -> Uuid {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, since.as_secs(), since.subsec_nanos()))
}

/// Returns the path of a session's log.
pub fn log_path(dir: &Path, session: &SessionId) -> PathBuf {
    dir.join(format!("{}.jsonl", safe_file_name(session.as_str())))
}

/// Returns the path of the file for a call's whole output if that is too long for the log.
pub fn overflow_path(dir: &Path, session: &SessionId, call: &CallId) -> PathBuf {
    dir.join(format!("{}.{}.out", safe_file_name(session.as_str()), safe_file_name(call.as_str())))
}

/// Keeps letters, digits, `-` and `_`; a name with other characters gets a hash of the original, so that different
/// names stay different.
pub(super) fn safe_file_name(name: &str) -> String {
    let kept: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' })
        .take(80)
        .collect();
    if kept == name && !kept.is_empty() {
        return kept;
    }
    format!("{kept}-{:016x}", stable_hash(name.bytes()))
}

/// FNV-1a: stable across versions, which `std`'s hasher does not promise.
fn stable_hash(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_time_and_four_characters() {
        let id = new_session_id(1_795_000_000_000);
        let parts: Vec<_> = id.as_str().split('-').map(str::len).collect();
        assert_eq!(parts, [8, 6, 4], "{id}");
        assert_eq!(safe_file_name(id.as_str()), id.as_str());
    }

    #[test]
    fn an_imported_session_always_has_the_same_name() {
        let id = imported_session_id("codex", "01a2", Some(1_796_070_781_533));
        assert_eq!(id.as_str(), "20261130-203301-5462aee1");
        assert_eq!(id, imported_session_id("codex", "01a2", Some(1_796_070_781_999)));
        assert_ne!(id, imported_session_id("pi", "01a2", Some(1_796_070_781_533)));
        let id = imported_session_id("openai", "/a/b.json", None);
        assert!(id.as_str().starts_with("openai-") && safe_file_name(id.as_str()) == id.as_str(), "{id}");
    }

    #[test]
    fn no_name_leaves_the_folder_and_two_stay_two() {
        let dir = Path::new("/d");
        let path = |call: &str| overflow_path(dir, &"s1".into(), &call.into());
        assert_eq!(path("call_1"), Path::new("/d/s1.call_1.out"));
        for hostile in ["../../etc/passwd", "a/b", "", "\0", ".", "a.b", &"x".repeat(5_000)] {
            assert_eq!(path(hostile).parent(), Some(dir), "{hostile:?}");
            assert!(path(hostile).file_name().unwrap().len() < 120);
        }
        assert_ne!(path("a/b"), path("a:b"));
    }
}
