//! What clients call sessions: a client chooses the URI of a session that it creates. Kept beside the logs, so that it is
//! found under that name after a restart, too.

use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::event::SessionId;
use crate::private;

/// How URIs of sessions and of chats begin.
const SESSION_SCHEME: &str = "ahp-session:/";
const CHAT_SCHEME: &str = "ahp-chat:/";
/// How many names are remembered, the newest.
const MAX_NAMES: usize = 1000;
/// Bytes of a name.
const MAX_NAME_BYTES: usize = 200;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SessionName {
    uri: String,
    session: SessionId,
}

/// The names that clients chose, the newest last.
#[derive(Debug, Default)]
pub(super) struct SessionNames(Mutex<VecDeque<SessionName>>);

impl SessionNames {
    /// Reads what was written by an earlier run.
    pub(super) fn load(&self, path: &Path) -> io::Result<()> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        // A torn line is skipped.
        let mut known: Vec<SessionName> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        known.drain(..known.len().saturating_sub(MAX_NAMES));
        self.lock().extend(known);
        Ok(())
    }

    /// Returns the line to be kept of a name that is added.
    pub(super) fn add(&self, uri: &str, session: &SessionId) -> String {
        let name = SessionName { uri: uri.to_owned(), session: session.clone() };
        let line = serde_json::to_string(&name).unwrap_or_default();
        let mut names = self.lock();
        if names.len() >= MAX_NAMES {
            names.pop_front();
        }
        names.push_back(name);
        line
    }

    /// Returns the session that a URI of a session or of a chat names, and whether it is a chat's; none for other URIs.
    pub(super) fn session_of(&self, uri: &str) -> Option<(SessionId, bool)> {
        let (rest, is_chat) = match (uri.strip_prefix(SESSION_SCHEME), uri.strip_prefix(CHAT_SCHEME)) {
            (Some(rest), _) => (rest, false),
            (_, Some(rest)) => (rest, true),
            _ => return None,
        };
        let of_session = format!("{SESSION_SCHEME}{rest}");
        let named = self.lock().iter().rev().find(|name| name.uri == of_session).map(|name| name.session.clone());
        let session = named.or_else(|| (!rest.is_empty()).then(|| SessionId::from(rest)))?;
        Some((session, is_chat))
    }

    /// Returns whether a client gave this name to a session.
    pub(super) fn is_taken(&self, uri: &str) -> bool {
        self.lock().iter().any(|name| name.uri == uri)
    }

    /// Returns the URIs of a session and of its chat.
    pub(super) fn uris_of(&self, session: &SessionId) -> (String, String) {
        let named = self.lock().iter().rev().find(|name| name.session == *session).map(|name| name.uri.clone());
        let uri = named.unwrap_or_else(|| format!("{SESSION_SCHEME}{session}"));
        let chat = format!("{CHAT_SCHEME}{}", uri.strip_prefix(SESSION_SCHEME).unwrap_or_default());
        (uri, chat)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<SessionName>> {
        // No code under this lock panics halfway, so the data behind a poisoned lock is intact.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns why a client can't call a session so.
pub(super) fn check_name(uri: &str) -> Result<(), String> {
    let rest = uri.strip_prefix(SESSION_SCHEME).unwrap_or_default();
    if rest.is_empty() || uri.len() > MAX_NAME_BYTES || uri.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(format!("channel: a URI as {SESSION_SCHEME}NAME is expected, of at most {MAX_NAME_BYTES} bytes"));
    }
    Ok(())
}

/// Writes the line of a name. Files are few and small: they are not shortened.
pub(super) fn append_line(path: &PathBuf, line: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        private::create_dir(folder)?;
    }
    let mut file = private::open_options().append(true).create(true).open(path)?;
    file.write_all(format!("{line}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_found_under_the_name_that_its_client_chose_and_under_its_own() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("deep/ahp_sessions.jsonl");
        let names = SessionNames::default();
        append_line(&path, &names.add("ahp-session:/mine", &"s1".into())).unwrap();
        append_line(&path, "{torn").unwrap();
        let read = SessionNames::default();
        read.load(&path).unwrap();
        assert_eq!(read.session_of("ahp-session:/mine"), Some(("s1".into(), false)));
        assert_eq!(read.session_of("ahp-chat:/mine"), Some(("s1".into(), true)));
        assert_eq!(read.session_of("ahp-session:/s2"), Some(("s2".into(), false)));
        assert_eq!(read.uris_of(&"s1".into()), ("ahp-session:/mine".to_owned(), "ahp-chat:/mine".to_owned()));
        assert_eq!(read.uris_of(&"s2".into()).1, "ahp-chat:/s2");
        assert!(read.is_taken("ahp-session:/mine") && !read.is_taken("ahp-session:/s2"));
        assert_eq!((read.session_of("ahp-root://"), read.session_of("ahp-session:/")), (None, None));
    }

    #[test]
    fn a_name_is_a_uri_of_a_session() {
        assert!(check_name("ahp-session:/3f2a").is_ok());
        for uri in
            ["", "ahp-session:/", "ahp-chat:/x", "ahp-session:/a b", &format!("ahp-session:/{}", "x".repeat(200))]
        {
            assert!(check_name(uri).is_err(), "{uri}");
        }
    }
}
