//! The database of opencode, `opencode.db`: the same objects that its exports have, as rows.
//!
//! Source: the database of opencode 1.18.33: `session` with columns, `message` and `part` with `data` in JSON.

use std::collections::{BTreeMap, HashMap};

use serde_json::json;

use super::super::sqlite::{SqliteFile, SqliteRow, SqliteValue};
use super::super::{SavedFile, SavedSession};
use super::read_session;
use crate::dialect::surrogate;
use crate::event::Json;

/// What is in the beginning of such a database.
const TABLES: [&[u8]; 2] = [b"CREATE TABLE `session`", b"CREATE TABLE `part`"];
/// Sub-agents within sub-agents.
const MAX_DEPTH: usize = 16;

pub(super) fn is_beginning(head: &[u8]) -> bool {
    TABLES.iter().all(|table| memchr::memmem::find(head, table).is_some())
}

/// Reads all its sessions.
pub(super) fn read(file: &SavedFile) -> Result<Vec<SavedSession>, String> {
    let database = SqliteFile::new(&file.bytes, file.log.as_deref())?;
    let table =
        |name: &str| database.rows(name).ok_or_else(|| format!("it has no table {name}; is it another version?"));
    let mut parts: HashMap<String, BTreeMap<String, Json>> = HashMap::new();
    for row in table("part")? {
        if let Some((id, data)) = object(&row) {
            parts.entry(text(&row, "message_id")).or_default().insert(id, data);
        }
    }
    let mut messages: HashMap<String, BTreeMap<(i64, String), Json>> = HashMap::new();
    for row in table("message")? {
        if let Some((id, data)) = object(&row) {
            let parts: Vec<Json> = parts.remove(&id).unwrap_or_default().into_values().collect();
            let message = json!({ "info": data, "parts": parts });
            messages.entry(text(&row, "session_id")).or_default().insert((integer(&row, "time_created"), id), message);
        }
    }
    let mut sessions = BTreeMap::new();
    for row in table("session")? {
        let id = text(&row, "id");
        let messages: Vec<Json> = messages.remove(&id).unwrap_or_default().into_values().collect();
        let parent = text(&row, "parent_id");
        let info = json!({ "id": id, "parentID": parent, "title": text(&row, "title") });
        sessions.insert(id, (parent, json!({ "info": info, "messages": messages })));
    }
    let read: Vec<SavedSession> =
        group(sessions).into_iter().filter_map(|(own, agents)| read_session(&own, agents).ok()).collect();
    if read.is_empty() { Err("there is no session in it".to_owned()) } else { Ok(read) }
}

/// Puts sessions of sub-agents with those that started them.
fn group(mut sessions: BTreeMap<String, (String, Json)>) -> Vec<(Json, HashMap<String, Json>)> {
    let root_of = |id: &str| {
        let mut at = id.to_owned();
        for _ in 0..MAX_DEPTH {
            match sessions.get(&at) {
                Some((parent, _)) if sessions.contains_key(parent) => at.clone_from(parent),
                _ => break,
            }
        }
        at
    };
    let roots: Vec<(String, String)> = sessions.keys().map(|id| (id.clone(), root_of(id))).collect();
    let mut groups: BTreeMap<String, (Json, HashMap<String, Json>)> = BTreeMap::new();
    for (id, root) in roots {
        let Some((_, session)) = sessions.remove(&id) else { continue };
        let (own, agents) = groups.entry(root.clone()).or_default();
        if id == root {
            *own = session;
        } else {
            agents.insert(id, session);
        }
    }
    groups.into_values().collect()
}

/// Returns the id of a row and its object, which gets the id.
fn object(row: &SqliteRow) -> Option<(String, Json)> {
    let id = text(row, "id");
    let mut data = surrogate::parse_json(&text(row, "data"))?;
    data.as_object_mut()?.insert("id".to_owned(), id.as_str().into());
    Some((id, data))
}

fn text(row: &SqliteRow, column: &str) -> String {
    match row.get(column) {
        Some(SqliteValue::Text(text)) => text.clone(),
        _ => String::new(),
    }
}

fn integer(row: &SqliteRow, column: &str) -> i64 {
    match row.get(column) {
        Some(SqliteValue::Integer(number)) => *number,
        Some(SqliteValue::Real(number)) => *number as i64,
        _ => 0,
    }
}
