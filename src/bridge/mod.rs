//! The bridge: sources feed one session, the session numbers and logs, the hub tells everyone.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};

use crate::event::{Caps, Command, Envelope, SessionId, Weather};
pub use crate::journal::unique;

/// A numbered fact with its one serialisation, made once for log, ring and streams.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    pub envelope: Envelope,
    /// The envelope as JSON without the line end: byte for byte the line in the log.
    pub line: Bytes,
}

/// What a subscriber gets.
#[derive(Clone, Debug, PartialEq)]
pub enum Delivery {
    Fact(Arc<Published>),
    /// A replay moved backwards: forget everything, facts follow from the first.
    Reset,
}

/// What every client holds of a running session, be it fed by the local agent, a remote or a replay.
#[derive(Clone)]
pub struct Live {
    pub session: SessionId,
    pub caps: Caps,
    pub hub: hub::Hub,
    /// Capacity 64: a person's wishes; a full queue means the session is gone or stuck.
    pub commands: mpsc::Sender<Command>,
    pub weather: watch::Receiver<Weather>,
}

pub mod frames;
pub mod hub;
pub mod local;
pub mod mirror;
pub mod remote;
pub mod replay;
pub mod session;
