//! The interface to the rest of the program: sessions are created, found and listed through it. The server itself knows
//! nothing about agents and engines.

use std::collections::HashMap;
use std::path::PathBuf;

use futures_util::future::BoxFuture;

use super::error::ApiError;
use super::request::OneShotRequest;
use crate::bridge::SessionHandle;
use crate::event::{ApprovalMode, SessionId, ToolKind, ToolSpec, TurnId};

/// Creates sessions. [`Factory::close`] closes everything that is open.
pub trait Factory: Send + Sync {
    /// Opens a session for a single prompt: its log begins with the opening event and the history. The prompt is not
    /// sent yet.
    fn open_one_shot<'a>(&'a self, request: &'a OneShotRequest) -> BoxFuture<'a, Result<OneShotSession, ApiError>>;

    /// Returns a name for a session of a single prompt that is opened later; none if names can't be chosen.
    fn new_session_id(&self) -> Option<SessionId> {
        None
    }

    /// Opens a session that clients share.
    fn open(&self, opening: OpenRequest) -> BoxFuture<'_, Result<SessionHandle, ApiError>>;

    /// Resumes a saved session.
    fn reopen<'a>(&'a self, id: &'a SessionId) -> BoxFuture<'a, Result<SessionHandle, ApiError>>;

    /// Resumes a saved session whose tools are to work in this folder; without one, where they worked before.
    fn reopen_in<'a>(
        &'a self,
        id: &'a SessionId,
        _folder: Option<&'a str>,
    ) -> BoxFuture<'a, Result<SessionHandle, ApiError>> {
        self.reopen(id)
    }

    /// Reads a saved session as it is; its hub is closed.
    fn read<'a>(&'a self, id: &'a SessionId) -> BoxFuture<'a, Result<SessionHandle, ApiError>>;

    /// Returns whether a saved session was for a single prompt: nothing will follow in it.
    fn is_one_shot<'a>(&'a self, _id: &'a SessionId) -> BoxFuture<'a, bool> {
        Box::pin(async { false })
    }

    /// Deletes a saved session, which must not be running.
    fn remove<'a>(&'a self, id: &'a SessionId) -> BoxFuture<'a, Result<(), ApiError>> {
        Box::pin(async move { Err(ApiError::new(409, "only_read", format!("session {id} can't be removed"))) })
    }

    /// The folder for files that surfaces store beside the logs; it may not exist yet. `None` if nothing is stored.
    fn storage_dir(&self) -> Option<PathBuf> {
        None
    }

    /// The session that exists from the start: a recording being played. Called once.
    fn initial_session(&self) -> Option<SessionHandle>;

    /// Lists saved sessions, most recently used first, without one-shot sessions.
    fn list(&self) -> BoxFuture<'_, Result<Vec<SavedSession>, ApiError>>;

    /// Lists the available models; the default comes first.
    fn models(&self) -> BoxFuture<'_, Vec<Model>>;

    /// Lists the tools of our agent.
    fn tools(&self) -> BoxFuture<'_, Vec<ToolSpec>>;

    /// Returns what each tool of our agent does, by its name.
    fn tool_kinds(&self) -> BoxFuture<'_, HashMap<String, ToolKind>> {
        Box::pin(async { HashMap::new() })
    }

    /// Waits until every session has written its last line.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// A session for a single prompt.
pub struct OneShotSession {
    pub handle: SessionHandle,
    /// The turn that answers, if it isn't the first one after the history.
    pub turn: Option<TurnId>,
    /// Whether the turn is played from a recording and needs no prompt.
    pub is_replayed: bool,
}

/// Options of a session that a client opens; missing ones are as the server was started.
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
    /// In the form `engine/model`.
    pub id: String,
    pub engine: String,
    pub remark: String,
}
