//! The bridge: sources feed one session, the session numbers and logs, the hub tells everyone.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};

use crate::event::{Capabilities, Command, Envelope, SessionId, SessionStatus};
pub use crate::journal::new_uuid;

/// A numbered fact with its one serialisation, made once for log, ring and streams.
#[derive(Clone, Debug, PartialEq)]
pub struct LoggedEvent {
    pub envelope: Envelope,
    /// The envelope as JSON without the line end: byte for byte the line in the log.
    pub line: Bytes,
}

/// What a subscriber gets.
#[derive(Clone, Debug, PartialEq)]
pub enum HubItem {
    Event(Arc<LoggedEvent>),
    /// A replay moved backwards: forget everything, facts follow from the first.
    Reset,
}

/// What every client holds of a running session, be it fed by the local agent, a remote or a replay.
#[derive(Clone)]
pub struct SessionHandle {
    pub session: SessionId,
    pub capabilities: Capabilities,
    pub hub: hub::Hub,
    /// Capacity 64: a person's wishes; a full queue means the session is gone or stuck.
    pub commands: mpsc::Sender<Command>,
    pub status: watch::Receiver<SessionStatus>,
}

pub mod hub;
pub mod local;
pub mod mirror;
pub mod remote;
pub mod replay;
pub mod session;
pub mod traffic;
