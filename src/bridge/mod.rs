//! The bridge: a source feeds one session, the session numbers and logs the events, the hub delivers them.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};

use crate::event::{Capabilities, Command, Envelope, SessionId, SessionStatus};
pub use crate::journal::new_uuid;

/// A numbered event with its serialization, made once for log, ring and streams.
#[derive(Clone, Debug, PartialEq)]
pub struct LoggedEvent {
    pub envelope: Envelope,
    /// The envelope as JSON without the newline: byte for byte the line in the log.
    pub line: Bytes,
}

/// An item delivered to a subscriber.
#[derive(Clone, Debug, PartialEq)]
pub enum HubItem {
    Event(Arc<LoggedEvent>),
    /// A replay moved backwards: forget everything; events follow from the first.
    Reset,
}

/// A client's handle to a running session, whether the local agent, a remote or a replay feeds it.
#[derive(Clone)]
pub struct SessionHandle {
    pub session: SessionId,
    pub capabilities: Capabilities,
    pub hub: hub::Hub,
    /// Capacity 64: commands come from people; a full queue means the session is gone or stuck.
    pub commands: mpsc::Sender<Command>,
    pub status: watch::Receiver<SessionStatus>,
}

pub mod hub;
pub mod local;
pub mod mirror;
pub mod peer;
pub mod program;
pub mod remote;
pub mod replay;
pub mod session;
pub mod shared_log;
pub mod traffic;
