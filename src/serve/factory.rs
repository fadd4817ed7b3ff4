//! What the server needs of the house: sessions made, found and listed. Serving knows nothing of agents and engines.

use std::path::PathBuf;

use futures_util::future::BoxFuture;

use super::error::ApiError;
use super::request::OneShotRequest;
use crate::bridge::SessionHandle;
use crate::event::{ApprovalMode, SessionId, ToolSpec, TurnId};

/// Makes sessions. Everything that is open when [`Factory::close`] is called is closed by it.
pub trait Factory: Send + Sync {
    /// Opens a session for one question: its log begins with the opening and the past. The prompt is not sent yet.
    fn open_one_shot<'a>(&'a self, ask: &'a OneShotRequest) -> BoxFuture<'a, Result<OneShotSession, ApiError>>;

    /// Opens a session that clients share.
    fn open(&self, opening: OpenRequest) -> BoxFuture<'_, Result<SessionHandle, ApiError>>;

    /// Goes on with a saved session.
    fn reopen<'a>(&'a self, id: &'a SessionId) -> BoxFuture<'a, Result<SessionHandle, ApiError>>;

    /// Reads a saved session as it is; its hub is closed.
    fn read<'a>(&'a self, id: &'a SessionId) -> BoxFuture<'a, Result<SessionHandle, ApiError>>;

    /// Removes a saved session for good. It must not run.
    fn remove<'a>(&'a self, id: &'a SessionId) -> BoxFuture<'a, Result<(), ApiError>> {
        Box::pin(async move { Err(ApiError::new(409, "only_read", format!("session {id} can't be removed"))) })
    }

    /// The folder for what surfaces keep beside the logs; it need not be there yet. None where nothing is kept.
    fn storage_dir(&self) -> Option<PathBuf> {
        None
    }

    /// The session that is there from the start: a recording that is played. Asked for once.
    fn initial_session(&self) -> Option<SessionHandle>;

    /// Lists saved sessions, the one used last first. Those of one question are left out.
    fn list(&self) -> BoxFuture<'_, Result<Vec<SavedSession>, ApiError>>;

    /// Lists what can be asked for; the one that answers unasked comes first.
    fn models(&self) -> BoxFuture<'_, Vec<Model>>;

    /// Lists the tools of our agent.
    fn tools(&self) -> Vec<ToolSpec>;

    /// Waits until every session has written its last line.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// A session for one question.
pub struct OneShotSession {
    pub handle: SessionHandle,
    /// The turn that answers, where that is not the first that was not told as past.
    pub turn: Option<TurnId>,
    /// The turn is played and needs no prompt.
    pub is_replayed: bool,
}

/// What a client wants a session to be; what is missing is as the server was started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenRequest {
    pub folder: Option<String>,
    pub model: Option<String>,
    pub mode: Option<ApprovalMode>,
}

/// A session in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedSession {
    pub id: SessionId,
    pub title: Option<String>,
    pub folder: String,
    /// Milliseconds since 1970, as is `modified`.
    pub started_at: u64,
    pub modified: u64,
    pub engine: String,
    pub model: String,
}

/// A model in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// As it is asked for, `engine/model`.
    pub id: String,
    pub engine: String,
    pub remark: String,
}
