//! A connection with an agent at an address: a WebSocket, or messages over HTTP.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::link_event::{LinkEnd, LinkEvent};
use super::{PeerAddress, PeerTransport, RemotePeer};
use crate::event::{Fault, FaultKind};
use crate::net::HttpClient;
use crate::net::failure::RequestFailure;
use crate::net::message_streams::MessageStreams;
use crate::net::traffic::LocalTap;
use crate::net::ws::duplex::MessageSocket;

/// How long the other side may take to agree to the end.
const END_GRACE_PERIOD: Duration = Duration::from_secs(1);

/// What carries the messages.
enum MessageChannel {
    Socket(Box<MessageSocket>),
    Streams(Box<MessageStreams>),
}

pub(super) struct RemoteLink {
    http: HttpClient,
    name: String,
    /// Where else the agent may be.
    others: VecDeque<PeerAddress>,
    channel: MessageChannel,
    /// What was sent before anything was heard, for another address.
    unheard: Vec<String>,
    has_heard: bool,
    /// Why the first address was none.
    refusal: Option<Fault>,
    received: VecDeque<String>,
    heard: LocalTap,
    end_at: Option<Instant>,
}

impl RemoteLink {
    pub(super) async fn new(remote: &RemotePeer) -> Self {
        let RemotePeer { name, place, http, tap, address, others } = remote;
        Self {
            heard: tap.begin_local(address.transport.method(), place).await,
            channel: MessageChannel::open(http, address),
            http: http.clone(),
            name: name.clone(),
            others: others.iter().cloned().collect(),
            unheard: Vec::new(),
            has_heard: false,
            refusal: None,
            received: VecDeque::new(),
            end_at: None,
        }
    }

    pub(super) fn send(&mut self, line: &str) {
        if !self.has_heard {
            self.unheard.push(line.to_owned());
        }
        self.channel.send(line.to_owned());
    }

    pub(super) fn close(&mut self) {
        if self.end_at.is_none() {
            self.end_at = Some(Instant::now() + END_GRACE_PERIOD);
            self.channel.close();
        }
    }

    pub(super) async fn next(&mut self) -> LinkEvent {
        loop {
            if let Some(line) = self.received.pop_front() {
                return LinkEvent::Lines(vec![line]);
            }
            let next = tokio::select! {
                biased;
                next = self.channel.next() => next,
                () = sleep_until(self.end_at.unwrap_or_else(Instant::now)), if self.end_at.is_some() => None,
            };
            match next {
                Some(Ok(line)) => {
                    self.has_heard = true;
                    self.unheard = Vec::new();
                    let recorded = format!("{line}\n");
                    // Kept first: a recording that waits must not lose it.
                    self.received.push_back(line);
                    self.heard.push(recorded.as_bytes()).await;
                }
                Some(Err(RequestFailure { fault, .. })) if self.tries_another(&fault) => {}
                Some(Err(failure)) => return self.closed(failure.fault),
                None => {
                    let text = format!("{} closed the connection", self.name);
                    return self.closed(Fault::new(FaultKind::Network, text));
                }
            }
        }
    }

    /// Goes on to another address where this one is none of an agent.
    fn tries_another(&mut self, fault: &Fault) -> bool {
        let is_none = !self.has_heard && matches!(fault.kind, FaultKind::BadRequest | FaultKind::Protocol);
        let Some(address) = is_none.then(|| self.others.pop_front()).flatten() else { return false };
        self.refusal.get_or_insert_with(|| fault.clone());
        self.channel = MessageChannel::open(&self.http, &address);
        for line in &self.unheard {
            self.channel.send(line.clone());
        }
        true
    }

    fn closed(&mut self, fault: Fault) -> LinkEvent {
        let fault = self.refusal.take().filter(|_| !self.has_heard).unwrap_or(fault);
        LinkEvent::Closed(LinkEnd { is_lost: self.has_heard, ..LinkEnd::of(fault) })
    }
}

impl MessageChannel {
    fn open(http: &HttpClient, address: &PeerAddress) -> Self {
        match address.transport {
            PeerTransport::WebSocket => Self::Socket(Box::new(MessageSocket::open(http, &address.request))),
            PeerTransport::Http => Self::Streams(Box::new(MessageStreams::open(http, &address.request))),
        }
    }

    fn send(&mut self, text: String) {
        match self {
            Self::Socket(socket) => socket.send(text),
            Self::Streams(streams) => streams.send(text),
        }
    }

    fn close(&mut self) {
        match self {
            Self::Socket(socket) => socket.close(),
            Self::Streams(streams) => streams.close(),
        }
    }

    async fn next(&mut self) -> Option<Result<String, RequestFailure>> {
        match self {
            Self::Socket(socket) => socket.next().await,
            Self::Streams(streams) => streams.next().await,
        }
    }
}
