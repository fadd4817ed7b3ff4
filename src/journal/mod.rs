//! The journal: one JSONL file per session, first a header, then one envelope per line.
//!
//! The log is the only truth: resume, replay, the hub's backlog and listings are all readers of the same file.
//! Invariant: a line once written is never changed; numbers grow and none means two things.
//! Not here: which events exist (`event`), when to write or sync (`bridge::session`).

mod damage;
mod line;
mod listing;
mod naming;
mod read;
mod state;
mod write;

pub use damage::Damage;
pub use listing::{
    FindError, RemoveError, SessionListing, SessionSummary, find, find_newest, list, remove, scan_damage,
    scan_log_damage,
};
pub use naming::{log_path, new_session_id, new_uuid, overflow_path};
pub use read::{Cursor, LogEnd, LogEntry, LogIndex, LogPage, LogTail, OpenError, ReadLimits, Reader, TurnMark};
pub use state::{NameClaim, StateError, StatePart, StateStore};
pub use write::{Writer, create_private, create_private_dir};

use serde::{Deserialize, Serialize};

use crate::event::SessionId;

/// The format this program writes. Unknown fields and variants do not raise it; a change of meaning does.
pub const LOG_FORMAT: u32 = 1;

/// The kind of a session that was opened for one question. It is read, never gone on with.
pub const ONE_SHOT_KIND: &str = "answer";

/// First line of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogHeader {
    pub format: u32,
    /// What the log holds: `session`, or [`ONE_SHOT_KIND`].
    #[serde(default = "session_kind")]
    pub kind: String,
    pub session: SessionId,
    /// Wall time of the session's zero, milliseconds since 1970.
    pub started_at: u64,
    #[serde(default)]
    pub folder: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(default)]
    pub engine: String,
    #[serde(default)]
    pub model: String,
    /// The session elsewhere that this log is a copy of, as its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror_of: Option<String>,
    /// Version of the program that began the log.
    #[serde(default)]
    pub version: String,
}

impl LogHeader {
    /// Returns a header of this format, with nothing known beyond name and time.
    pub fn new(session: SessionId, started_at: u64) -> Self {
        Self {
            format: LOG_FORMAT,
            kind: session_kind(),
            session,
            started_at,
            folder: String::new(),
            title: None,
            engine: String::new(),
            model: String::new(),
            mirror_of: None,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

fn session_kind() -> String {
    "session".to_owned()
}
