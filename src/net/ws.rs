//! A WebSocket: one that is only listened to, the feed of events that a server has beside its chat, and in
//! [`duplex`] one that carries a conversation.
//!
//! The connection is the HTTP client's, so certificates, addresses and refusals are as everywhere; after the server's
//! consent only the framing differs. None reconnects: a socket that ended has ended, whoever needs it opens another.
//! Pings are answered while it is read.

pub mod duplex;

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use reqwest::header::{HeaderMap, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::failure::RequestFailure;
use super::http::HttpClient;
use super::request::{HttpHeaderValue, HttpRequest};
use super::sse_lines::MAX_FRAME_BYTES;
use super::traffic::SideChannelTap;
use crate::dialect::SseFrame;
use crate::dialect::error::to_single_line;
use crate::event::{Fault, FaultKind};
use crate::text::address::http_form;
use crate::text::display_url::origin;
use crate::text::human::{size_limit, time_limit};

/// How long a server may take to consent.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(15);

/// What a socket is for.
#[derive(Clone, Copy, Debug)]
struct SocketUse {
    /// What faults call it.
    noun: &'static str,
    /// Bytes of a message that are accepted.
    max_bytes: usize,
}

const FEED: SocketUse = SocketUse { noun: "event feed", max_bytes: MAX_FRAME_BYTES };

/// Text messages as they come. Ends with the connection; a fault is its last item.
pub struct EventSocket {
    socket: WebSocketStream<reqwest::Upgraded>,
    origin: String,
    used_as: SocketUse,
    /// Shows the messages to whoever looks at the frames.
    tap: Option<SideChannelTap>,
    is_closed: bool,
}

/// Opens the feed that a request describes, at an address that begins with `ws`, `wss`, `http` or `https`. Subprotocols
/// are offered by the header for them.
pub async fn open(http: &HttpClient, request: &HttpRequest) -> Result<EventSocket, Fault> {
    let tap = http.tap_side_channel(&handshake_request(request, ""));
    let socket = connect(http, request, FEED).await.map_err(|failure| failure.fault)?;
    Ok(EventSocket { tap, ..socket })
}

/// Opens a socket at an address as [`open`] takes it.
async fn connect(http: &HttpClient, request: &HttpRequest, used_as: SocketUse) -> Result<EventSocket, RequestFailure> {
    let key = generate_key();
    let call = handshake_request(request, &key);
    let place = origin(&call.url);
    let Ok(consent) = tokio::time::timeout(HANDSHAKE_TIMEOUT, http.upgrade(&call)).await else {
        let text = format!("{place} did not open its {} within {}", used_as.noun, time_limit(HANDSHAKE_TIMEOUT));
        return Err(RequestFailure::transient(FaultKind::TimedOut, text));
    };
    let (headers, connection) = consent?;
    verify_handshake(&headers, &key, request, &place)?;
    let limit = Some(used_as.max_bytes);
    let config = WebSocketConfig::default().max_message_size(limit).max_frame_size(limit);
    let socket = WebSocketStream::from_raw_socket(connection, Role::Client, Some(config)).await;
    Ok(EventSocket { socket, origin: place, used_as, tap: None, is_closed: false })
}

/// PURE. Turns one message of the feed, `{type, timestamp, data}`, into the frame that the same event is on a stream.
pub fn parse_frame(message: &str) -> Option<SseFrame> {
    #[derive(Deserialize)]
    struct WebSocketMessage<'a> {
        #[serde(rename = "type")]
        kind: String,
        #[serde(borrow)]
        data: Option<&'a RawValue>,
    }
    let envelope: WebSocketMessage<'_> = serde_json::from_str(message).ok()?;
    // Not parsed: what is odd about it is for the decoder to forgive.
    let data = envelope.data.map_or("{}", RawValue::get);
    Some(SseFrame { event: envelope.kind, ..SseFrame::data(data) })
}

impl Stream for EventSocket {
    type Item = Result<String, Fault>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        while !self.is_closed {
            let next = ready!(self.socket.poll_next_unpin(context));
            let fault = match next {
                Some(Ok(Message::Text(text))) => {
                    if let Some(tap) = &self.tap {
                        tap.record_message(text.as_str());
                    }
                    return Poll::Ready(Some(Ok(text.as_str().to_owned())));
                }
                Some(Ok(Message::Close(Some(close))))
                    if close.code != CloseCode::Normal && close.code != CloseCode::Away =>
                {
                    Some(close_fault(&self.origin, self.used_as, close.code, close.reason.as_str()))
                }
                Some(Ok(Message::Close(_))) | None => None,
                // Pings are answered by the socket; nobody here sends bytes that are no text.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_))) => continue,
                Some(Err(error)) => error_fault(&self.origin, self.used_as, &error),
            };
            self.is_closed = true;
            if let Some(tap) = &mut self.tap {
                tap.record_end(fault.as_ref().map_or("eof", |fault| fault.message.as_str()));
            }
            return Poll::Ready(fault.map(Err));
        }
        Poll::Ready(None)
    }
}

fn handshake_request(request: &HttpRequest, key: &str) -> HttpRequest {
    let url = http_form(&request.url);
    let plain = |name: &str, value: &str| (name.to_owned(), HttpHeaderValue::Plain(value.to_owned()));
    let mut headers = vec![
        plain("connection", "Upgrade"),
        plain("upgrade", "websocket"),
        plain("sec-websocket-version", "13"),
        plain("sec-websocket-key", key),
    ];
    headers.extend(request.headers.iter().cloned());
    HttpRequest::get(url, headers, request.framing)
}

fn offers_subprotocol(request: &HttpRequest, chosen: &str) -> bool {
    request.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(SEC_WEBSOCKET_PROTOCOL.as_str())).any(
        |(_, value)| {
            let offered = match value {
                HttpHeaderValue::Plain(offered) => offered,
                HttpHeaderValue::Secret(offered) => offered.expose_secret(),
                HttpHeaderValue::Unset(_) => return false,
            };
            offered.split(',').any(|offered| offered.trim() == chosen)
        },
    )
}

/// RFC 6455, 4.1: a server that does not prove it read the request is not a WebSocket, and it may only choose a protocol
/// that was offered.
fn verify_handshake(headers: &HeaderMap, key: &str, request: &HttpRequest, place: &str) -> Result<(), Fault> {
    let broken = |what: &str| Err(Fault::new(FaultKind::Protocol, format!("{place} {what}")));
    let proof = headers.get(SEC_WEBSOCKET_ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if proof.trim() != derive_accept_key(key.as_bytes()) {
        return broken("accepted a WebSocket without a valid handshake");
    }
    match headers.get(SEC_WEBSOCKET_PROTOCOL).map(|value| value.to_str().unwrap_or_default()) {
        None => Ok(()),
        Some(chosen) if offers_subprotocol(request, chosen.trim()) => Ok(()),
        Some(_) => broken("chose a WebSocket protocol that was not offered"),
    }
}

fn close_fault(place: &str, SocketUse { noun, .. }: SocketUse, code: CloseCode, reason: &str) -> Fault {
    let why = if reason.is_empty() { format!("code {code}") } else { to_single_line(reason) };
    match code {
        CloseCode::Policy => Fault::new(FaultKind::Auth, format!("{place} refused its {noun}: {why}; check the key")),
        _ => Fault::new(FaultKind::Upstream, format!("{place} closed its {noun}: {why}")),
    }
}

/// Returns what is wrong about an end; nothing about an orderly one.
fn error_fault(place: &str, SocketUse { noun, max_bytes }: SocketUse, error: &Error) -> Option<Fault> {
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed => None,
        Error::Capacity(_) => {
            let text = format!("{place} sent a message of more than {} on its {noun}", size_limit(max_bytes));
            Some(Fault::new(FaultKind::Protocol, text))
        }
        Error::Protocol(_) | Error::Utf8(_) => Some(Fault::new(
            FaultKind::Protocol,
            format!("{place} sent an invalid WebSocket message: {}", to_single_line(&error.to_string())),
        )),
        _ => {
            let text = format!("the {noun} of {place} was lost: {}", to_single_line(&error.to_string()));
            Some(Fault::new(FaultKind::Network, text))
        }
    }
}

#[cfg(test)]
mod tests;
