//! A connection with an agent: lines to it and from it, whatever carries them.

use super::link_event::LinkEvent;
use super::program_link::ProgramLink;
use super::remote_link::RemoteLink;
use super::{PeerConnection, RemotePeer};

/// What carries the lines.
pub(super) enum AgentLink {
    Program(Box<ProgramLink>),
    Remote(Box<RemoteLink>),
}

impl AgentLink {
    /// Connects; returns also how to do it again, where that is possible.
    pub(super) async fn new(connection: PeerConnection) -> (Self, Option<RemotePeer>) {
        match connection {
            PeerConnection::Program { program, tap } => {
                (Self::Program(Box::new(ProgramLink::new(program, tap).await)), None)
            }
            PeerConnection::Remote(remote) => (Self::remote(&remote).await, Some(remote)),
        }
    }

    pub(super) async fn remote(remote: &RemotePeer) -> Self {
        Self::Remote(Box::new(RemoteLink::new(remote).await))
    }

    /// Queues a line.
    pub(super) fn send(&mut self, line: &str) {
        match self {
            Self::Program(link) => link.send(line),
            Self::Remote(link) => link.send(line),
        }
    }

    /// Ends the connection: what was queued is sent, and nothing more.
    pub(super) fn close(&mut self) {
        match self {
            Self::Program(link) => link.close(),
            Self::Remote(link) => link.close(),
        }
    }

    /// Returns the next thing that happens. Cancel-safe.
    pub(super) async fn next(&mut self) -> LinkEvent {
        match self {
            Self::Program(link) => link.next().await,
            Self::Remote(link) => link.next().await,
        }
    }
}
