//! A WebSocket that carries a conversation: text messages both ways.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::mem;
use std::task::{Context, Poll, ready};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::{EventSocket, SocketUse, connect, error_fault};
use crate::event::{Fault, FaultKind};
use crate::net::failure::RequestFailure;
use crate::net::http::HttpClient;
use crate::net::message_streams::MAX_MESSAGE_BYTES;
use crate::net::request::HttpRequest;

const CONVERSATION: SocketUse = SocketUse { noun: "connection", max_bytes: MAX_MESSAGE_BYTES };

/// A connection that opens itself. It is driven by [`MessageSocket::next`] alone.
pub struct MessageSocket {
    state: SocketState,
    unsent: VecDeque<Message>,
    unsent_bytes: usize,
}

enum SocketState {
    Opening(BoxFuture<'static, Result<EventSocket, RequestFailure>>),
    Open(Box<EventSocket>),
    Ended,
}

impl MessageSocket {
    /// Begins to open a connection at an address that begins with `ws`, `wss`, `http` or `https`.
    pub fn open(http: &HttpClient, request: &HttpRequest) -> Self {
        let (http, request) = (http.clone(), request.clone());
        let opening = async move { connect(&http, &request, CONVERSATION).await }.boxed();
        Self { state: SocketState::Opening(opening), unsent: VecDeque::new(), unsent_bytes: 0 }
    }

    /// Queues a message.
    pub fn send(&mut self, text: String) {
        self.unsent_bytes += text.len();
        self.unsent.push_back(Message::text(text));
    }

    /// Has the connection end once everything is sent.
    pub fn close(&mut self) {
        if matches!(self.state, SocketState::Opening(_)) {
            self.state = SocketState::Ended;
        }
        self.unsent.push_back(Message::Close(None));
    }

    /// Returns the next message. None is an orderly end, and after a failure comes nothing. Cancel-safe.
    pub async fn next(&mut self) -> Option<Result<String, RequestFailure>> {
        poll_fn(|context| self.poll_message(context)).await
    }

    fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<String, RequestFailure>>> {
        loop {
            match &mut self.state {
                SocketState::Opening(opening) => match ready!(opening.poll_unpin(context)) {
                    Ok(socket) => self.state = SocketState::Open(Box::new(socket)),
                    Err(failure) => return self.end(Some(failure)),
                },
                SocketState::Open(socket) if self.unsent_bytes > MAX_MESSAGE_BYTES => {
                    let text = format!("{} does not read what it is sent", socket.origin);
                    return self.end(Some(Fault::new(FaultKind::Network, text).into()));
                }
                SocketState::Open(socket) => {
                    let sent = poll_sent(socket, &mut self.unsent, context);
                    if sent.is_ready() {
                        self.unsent_bytes = 0;
                    }
                    // Why nothing more can be sent may be in what has come.
                    return match (socket.poll_next_unpin(context), sent) {
                        (Poll::Ready(Some(Ok(text))), _) => Poll::Ready(Some(Ok(text))),
                        (Poll::Ready(Some(Err(fault))), _) => self.end(Some(fault.into())),
                        (Poll::Ready(None), _) => self.end(None),
                        (Poll::Pending, Poll::Ready(Err(error))) => {
                            let fault = error_fault(&socket.origin, CONVERSATION, &error);
                            self.end(fault.map(RequestFailure::from))
                        }
                        (Poll::Pending, _) => Poll::Pending,
                    };
                }
                SocketState::Ended => return Poll::Ready(None),
            }
        }
    }

    fn end(&mut self, failure: Option<RequestFailure>) -> Poll<Option<Result<String, RequestFailure>>> {
        drop(mem::replace(&mut self.state, SocketState::Ended));
        Poll::Ready(failure.map(Err))
    }
}

fn poll_sent(
    socket: &mut EventSocket,
    unsent: &mut VecDeque<Message>,
    context: &mut Context<'_>,
) -> Poll<Result<(), Error>> {
    while !unsent.is_empty() {
        ready!(socket.socket.poll_ready_unpin(context))?;
        if let Some(message) = unsent.pop_front() {
            socket.socket.start_send_unpin(message)?;
        }
    }
    socket.socket.poll_flush_unpin(context)
}

#[cfg(test)]
mod tests;
