//! What agent programs keep of their sessions, read into events of ours: a file a format, and [`SAVED_FORMATS`] lists
//! them.
//!
//! Sans-IO: a reader gets the bytes of the files of one session and returns what was said in it, with the times that the
//! files tell. What is read is finished history: a call in it is never run, and nothing in it is asked, granted or
//! trusted. No mode, folder or address is taken over. A line that can't be read is counted and never fatal; what has no
//! place in our log is counted as well, so that it can be told.

mod claude_code;
mod codex;
mod files;
mod gemini;
pub mod handoff;
mod openai;
mod opencode;
mod pi;
mod recorder;
mod sqlite;

pub use files::{FileHead, SavedFile, SavedId};

use std::collections::BTreeMap;

use crate::event::{AgentEvent, Json};

/// A format in which sessions are kept: a row of [`SAVED_FORMATS`], in the file of the format.
#[derive(Clone, Copy, Debug)]
pub struct SavedFormat {
    /// As in origins and in JSON output.
    pub name: &'static str,
    /// As people write it.
    pub title: &'static str,
    /// Where its program keeps sessions of its own accord; empty where that is nowhere.
    pub places: &'static [SavedPlace],
    /// Returns which session a file belongs to, if its beginning is of this format. Names of files decide nothing.
    pub identify: fn(&FileHead<'_>) -> Option<SavedId>,
    /// Reads sessions from files that belong together: first the one that has no parent, then those of its sub-agents.
    /// The error says why there is nothing in them.
    pub read: fn(&[SavedFile]) -> Result<Vec<SavedSession>, String>,
}

/// A folder where a program keeps its sessions.
#[derive(Clone, Copy, Debug)]
pub struct SavedPlace {
    /// The variable that moves the program's folder, and where below it the sessions are then.
    pub variable: &'static str,
    pub below_variable: &'static str,
    /// Where the sessions are below the home folder otherwise.
    pub below_home: &'static str,
}

/// Every format that can be read. Of two that claim a file the first is taken.
pub static SAVED_FORMATS: &[SavedFormat] =
    &[claude_code::FORMAT, codex::FORMAT, gemini::FORMAT, opencode::FORMAT, pi::FORMAT, openai::FORMAT];

/// A session as it was kept. All texts are raw.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedSession {
    /// What its program calls it.
    pub id: String,
    pub title: Option<String>,
    /// Wall time of its first event, in milliseconds since 1970; 0 if the file tells no times.
    pub started_at: u64,
    pub model: String,
    /// In their order; times never go back. The first opens the session.
    pub events: Vec<SavedEvent>,
    /// What could not be taken over, by what it is, and how often.
    pub left_out: BTreeMap<&'static str, u64>,
    pub turns: u64,
    pub calls: u64,
}

/// An event with the wall time that its file tells, in milliseconds since 1970.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedEvent {
    pub wall_ms: u64,
    pub event: AgentEvent,
}

/// Finds the format of a file by its beginning, and the session that it belongs to.
pub fn identify(head: &FileHead<'_>) -> Option<(&'static SavedFormat, SavedId)> {
    SAVED_FORMATS.iter().find_map(|format| Some((format, (format.identify)(head)?)))
}

/// Writes what was left out for people: `images in outputs (3), …`; empty if that is nothing.
pub fn describe_left_out(left_out: &BTreeMap<&'static str, u64>) -> String {
    let counted = left_out.iter().map(|(what, count)| format!("{what} ({count})"));
    counted.collect::<Vec<_>>().join(", ")
}

/// Returns a string at a key, none where it is missing or empty.
fn named<'a>(json: &'a Json, key: &str) -> Option<&'a str> {
    json.get(key).and_then(Json::as_str).filter(|text| !text.is_empty())
}

fn is_true(json: &Json, key: &str) -> bool {
    json.get(key).and_then(Json::as_bool) == Some(true)
}

#[cfg(test)]
mod tests;
