//! What the server needs of the house: sessions made, found and listed. Serving knows nothing of agents and engines.

use std::path::PathBuf;

use futures_util::future::BoxFuture;

use super::ask::Ask;
use super::refuse::Refused;
use crate::bridge::Live;
use crate::event::{Mode, SessionId, ToolSpec, TurnId};

/// Makes sessions. Everything that is open when [`Factory::close`] is called is closed by it.
pub trait Factory: Send + Sync {
    /// Opens a session for one question: its log begins with the opening and the past. The prompt is not sent yet.
    fn ask<'a>(&'a self, ask: &'a Ask) -> BoxFuture<'a, Result<Answering, Refused>>;

    /// Opens a session that clients share.
    fn open(&self, opening: Opening) -> BoxFuture<'_, Result<Live, Refused>>;

    /// Goes on with a saved session.
    fn reopen<'a>(&'a self, id: &'a SessionId) -> BoxFuture<'a, Result<Live, Refused>>;

    /// Reads a saved session as it is; its hub is closed.
    fn read<'a>(&'a self, id: &'a SessionId) -> BoxFuture<'a, Result<Live, Refused>>;

    /// Removes a saved session for good. It must not run.
    fn remove<'a>(&'a self, id: &'a SessionId) -> BoxFuture<'a, Result<(), Refused>> {
        Box::pin(async move { Err(Refused::new(409, "only_read", format!("session {id} can't be removed"))) })
    }

    /// The folder for what surfaces keep beside the logs; it need not be there yet. None where nothing is kept.
    fn shelf(&self) -> Option<PathBuf> {
        None
    }

    /// The session that is there from the start: a recording that is played. Asked for once.
    fn given(&self) -> Option<Live>;

    /// Lists saved sessions, the one used last first. Those of one question are left out.
    fn list(&self) -> BoxFuture<'_, Result<Vec<Saved>, Refused>>;

    /// Lists what can be asked for; the one that answers unasked comes first.
    fn models(&self) -> BoxFuture<'_, Vec<Model>>;

    /// Lists the tools of our agent.
    fn tools(&self) -> Vec<ToolSpec>;

    /// Waits until every session has written its last line.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// A session for one question.
pub struct Answering {
    pub live: Live,
    /// The turn that answers, where that is not the first that was not told as past.
    pub turn: Option<TurnId>,
    /// The turn is played and needs no prompt.
    pub played: bool,
}

/// What a client wants a session to be; what is missing is as the server was started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opening {
    pub folder: Option<String>,
    pub model: Option<String>,
    pub mode: Option<Mode>,
}

/// A session in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
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
