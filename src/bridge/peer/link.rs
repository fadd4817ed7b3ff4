//! A connection with an agent: lines to it and from it, whatever carries them.

use super::host::HostedProgram;
use super::link_event::{LinkEnd, LinkEvent};
use super::program_link::ProgramLink;
use super::remote_link::RemoteLink;
use super::{PeerConnection, RemotePeer};

/// What carries the lines.
pub(super) enum AgentLink {
    /// Nothing does: it is not needed yet, or was ended.
    None,
    /// It could not be made.
    Failed(Option<Box<LinkEnd>>),
    Program(Box<ProgramLink>),
    Remote(Box<RemoteLink>),
}

/// How a connection is made again.
pub(super) enum LinkOrigin {
    Program(HostedProgram),
    Remote(RemotePeer),
}

impl LinkOrigin {
    pub(super) async fn connect(&self) -> AgentLink {
        match self {
            Self::Program(hosted) => match hosted.start() {
                Ok(program) => AgentLink::Program(Box::new(ProgramLink::new(program, hosted.tap.clone()).await)),
                Err(fault) => AgentLink::Failed(Some(Box::new(LinkEnd::of(fault)))),
            },
            Self::Remote(remote) => AgentLink::Remote(Box::new(RemoteLink::new(remote).await)),
        }
    }
}

impl AgentLink {
    /// Connects, but to a program that is hosted; returns also how to do it again, where that is possible.
    pub(super) async fn new(connection: PeerConnection) -> (Self, Option<LinkOrigin>) {
        match connection {
            PeerConnection::Program { program, tap } => {
                (Self::Program(Box::new(ProgramLink::new(program, tap).await)), None)
            }
            PeerConnection::Hosted(hosted) => (Self::None, Some(LinkOrigin::Program(hosted))),
            PeerConnection::Remote(remote) => {
                let origin = LinkOrigin::Remote(remote);
                (origin.connect().await, Some(origin))
            }
        }
    }

    /// Returns whether anything may come of it.
    pub(super) fn is_open(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// Queues a line.
    pub(super) fn send(&mut self, line: &str) {
        match self {
            Self::None | Self::Failed(_) => {}
            Self::Program(link) => link.send(line),
            Self::Remote(link) => link.send(line),
        }
    }

    /// Ends the connection: what was queued is sent, and nothing more.
    pub(super) fn close(&mut self) {
        match self {
            Self::None | Self::Failed(_) => {}
            Self::Program(link) => link.close(),
            Self::Remote(link) => link.close(),
        }
    }

    /// Returns the next thing that happens. Cancel-safe.
    pub(super) async fn next(&mut self) -> LinkEvent {
        match self {
            Self::None => std::future::pending().await,
            Self::Failed(end) => match end.take() {
                Some(end) => LinkEvent::Closed(*end),
                None => std::future::pending().await,
            },
            Self::Program(link) => link.next().await,
            Self::Remote(link) => link.next().await,
        }
    }
}
