//! The journal: one JSONL file per session, first a header, then one envelope per line.
//!
//! The log is the only source of truth: resume, replay and the hub's backlog read the same file, and the index of the
//! listings is a cache of it.
//! Invariant: a written line never changes; numbers grow and are never reused. Not here: which events exist (`event`),
//! when to write or sync (`bridge::session`).

mod damage;
mod imported;
mod index;
mod line;
mod listing;
mod naming;
mod pieces;
mod read;
mod state;
mod summary;
mod texts;
mod write;

pub use damage::Damage;
pub use imported::{ImportError, ImportOrigin, Imported, keep_import};
pub use listing::{
    AnnotateError, FindError, RemoveError, SessionListing, annotate, find, find_newest, list, remove, scan_log_damage,
};
pub use naming::{imported_session_id, log_path, new_session_id, new_uuid, overflow_path};
pub use read::{Cursor, LogEnd, LogEntry, LogIndex, LogPage, LogTail, OpenError, ReadLimits, Reader, TurnMark};
pub use state::{AgentSession, NameClaim, SessionSettings, StateError, StatePart, StateStore, snapshots_dir};
pub use summary::SessionSummary;
pub use texts::{SessionText, SessionTextKind, SessionTexts, TextsFolder};
pub use write::Writer;

use serde::{Deserialize, Serialize};

use crate::event::SessionId;

/// The format version that this program writes. New fields and variants do not raise it; a change of meaning does.
pub const LOG_FORMAT: u32 = 1;

/// The kind of a session that was opened for a single prompt. It can be read, but not resumed.
pub const ONE_SHOT_KIND: &str = "answer";

/// The first line of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogHeader {
    pub format: u32,
    /// What the log contains: `session`, or [`ONE_SHOT_KIND`].
    #[serde(default = "session_kind")]
    pub kind: String,
    pub session: SessionId,
    /// Wall time at the session's time zero, in milliseconds since 1970.
    pub started_at: u64,
    #[serde(default)]
    pub folder: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(default)]
    pub engine: String,
    #[serde(default)]
    pub model: String,
    /// The address of the remote session that this log is a copy of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror_of: Option<String>,
    /// The session of another program that this log was made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported_from: Option<ImportOrigin>,
    /// Version of the program that created the log.
    #[serde(default)]
    pub version: String,
}

impl LogHeader {
    /// Returns a header of the current format with only id and time set.
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
            imported_from: None,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

fn session_kind() -> String {
    "session".to_owned()
}
