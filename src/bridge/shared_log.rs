//! Logs that several servers share, so that any of them can go on with a session whose owner is gone.
//!
//! The file here is then a copy: an event is stored with the others first, and nobody is shown it before. One server owns
//! a session's log at a time; what another would write is refused where the log is, whatever either of them believes.

#[cfg(feature = "nats")]
pub mod nats;

use std::io;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::LoggedEvent;
use crate::event::SessionId;
use crate::journal::{LogHeader, OpenError};

/// Where shared logs are.
pub trait SharedStore: Send + Sync {
    /// Begins the log of a new session. Nothing is stored before its first event.
    fn begin(&self, header: &LogHeader) -> Box<dyn SharedLog>;

    /// Makes this server the owner of a session, and brings the copy here up to date.
    fn claim<'a>(&'a self, session: &'a SessionId) -> BoxFuture<'a, Result<Box<dyn SharedLog>, ClaimError>>;

    /// Brings the copy of a session up to date that doesn't run here.
    fn refresh<'a>(&'a self, session: &'a SessionId) -> BoxFuture<'a, Result<(), ClaimError>>;

    /// Brings the copies of the newest sessions up to date.
    fn refresh_all(&self) -> BoxFuture<'_, Result<(), ClaimError>>;

    /// Deletes a session that nobody else owns.
    fn remove<'a>(&'a self, session: &'a SessionId) -> BoxFuture<'a, Result<(), ClaimError>>;
}

/// The log of one session, owned by this server.
pub trait SharedLog: Send {
    /// Resolves once the events are stored. Asked again with the same events it goes on where it stopped.
    fn append<'a>(&'a mut self, events: &'a [Arc<LoggedEvent>]) -> BoxFuture<'a, Result<(), AppendError>>;

    /// Resolves to the reason once this server owns the log no longer.
    fn lost(&self) -> BoxFuture<'static, String>;

    /// Lets another server own the log at once.
    fn release(self: Box<Self>) -> BoxFuture<'static, ()>;
}

/// Why events are not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppendError {
    /// It may work later.
    Unreachable(String),
    /// Another server owns the log.
    Lost(String),
}

/// Why a session can't be had.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    #[error("unknown session")]
    Unknown,
    /// Another server has it open; it can be tried again after so many seconds.
    #[error("server {owner} has this session open")]
    Owned { owner: String, retry_after: u32 },
    #[error("the shared logs can't be reached: {0}")]
    Unreachable(String),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("the copy of the log can't be written: {0}")]
    Copy(#[from] io::Error),
}
