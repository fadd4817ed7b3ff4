//! PURE. The list of sessions, and the state of the host itself.

use serde_json::json;

use super::names::SessionNames;
use super::session::{PROVIDER, folder_uri};
use crate::dialect::ahp::encode::IDLE_STATUS;
use crate::dialect::wall_time::rfc3339;
use crate::event::Json;
use crate::serve::factory::{Model, SavedSession};

/// Sessions of one page, at most.
const MAX_PAGE_SIZE: usize = 100;

/// Returns a page of the sessions from the one at `first` on.
pub(super) fn session_page(sessions: &[SavedSession], names: &SessionNames, first: usize, limit: Option<u64>) -> Json {
    let size = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(MAX_PAGE_SIZE).clamp(1, MAX_PAGE_SIZE);
    let page: Vec<Json> =
        sessions.iter().skip(first).take(size).map(|session| session_summary(session, names)).collect();
    let next = first.saturating_add(page.len());
    let mut result = json!({ "items": page });
    if next < sessions.len() {
        result["nextCursor"] = next.to_string().into();
    }
    result
}

/// Returns what lists say of a session.
pub(super) fn session_summary(session: &SavedSession, names: &SessionNames) -> Json {
    let (uri, chat) = names.uris_of(&session.id);
    let title = session.title.as_deref().unwrap_or_default();
    json!({
        "resource": uri, "provider": PROVIDER, "title": title, "status": IDLE_STATUS,
        "createdAt": rfc3339(session.started_at), "modifiedAt": rfc3339(session.modified),
        "workingDirectories": [folder_uri(&session.folder)],
        "chats": [{"resource": chat, "title": title}], "defaultChat": chat,
    })
}

/// Returns the state of the root channel.
pub(super) fn root_state(models: &[Model]) -> Json {
    let model = |model: &Model| json!({"id": model.id, "provider": PROVIDER, "name": model.id});
    json!({"agents": [{
        "provider": PROVIDER, "displayName": "jarvis-tui",
        "description": "Works with files, commands and the web on the machine where it runs, and asks before it changes anything.",
        "models": models.iter().map(model).collect::<Vec<_>>(),
    }]})
}
