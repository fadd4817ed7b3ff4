//! PURE. A page of the list of saved sessions.

use serde_json::json;

use crate::event::Json;
use crate::serve::factory::SavedSession;

/// Sessions of one page.
const SESSION_PAGE_SIZE: usize = 100;

/// Returns the sessions of a folder, or of all, from the one at `first`; and where the next page begins.
pub(super) fn session_page(sessions: Vec<SavedSession>, folder: Option<&str>, first: usize) -> Json {
    let fits = |session: &SavedSession| {
        session.folder.starts_with('/') && folder.is_none_or(|folder| session.folder == folder)
    };
    let mut fitting = sessions.into_iter().filter(fits).skip(first);
    let info = |session: SavedSession| {
        let at = i64::try_from(session.modified).ok().and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
        json!({
            "sessionId": session.id, "cwd": session.folder, "title": session.title,
            "updatedAt": at.map(|at| at.to_string()),
        })
    };
    let page: Vec<Json> = fitting.by_ref().take(SESSION_PAGE_SIZE).map(info).collect();
    let mut result = json!({"sessions": page});
    if fitting.next().is_some() {
        result["nextCursor"] = (first + SESSION_PAGE_SIZE).to_string().into();
    }
    result
}
