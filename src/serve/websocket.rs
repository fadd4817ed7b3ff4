//! A WebSocket that a client opens in place of a request: the handshake (RFC 6455), and text messages both ways.

use std::future::Future;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header::{
    CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::{HeaderMap, Response, StatusCode};
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::connection_slots::SlotHold;
use super::error::ApiError;
use super::state::ServerState;

/// How long it may take until a client has taken a message.
const SEND_TIMEOUT: Duration = Duration::from_mins(1);
/// After this silence the client is asked whether it is there; proxies close a quiet connection.
const PING_INTERVAL: Duration = Duration::from_secs(25);
/// Silence after which it is gone.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(90);

/// A socket that is open.
pub(super) struct ClientSocket {
    socket: WebSocketStream<TokioIo<Upgraded>>,
    heard_at: Instant,
    ping_at: Instant,
    /// While it is open, its connection counts.
    _slot: Option<SlotHold>,
}

/// Returns whether a request wants to become a WebSocket.
pub(super) fn is_upgrade(headers: &HeaderMap) -> bool {
    has_word(headers, &UPGRADE, "websocket") && has_word(headers, &CONNECTION, "upgrade")
}

/// Accepts the handshake; `serve` gets the socket once it is open. The caller has checked who the client is.
pub(super) fn accept<F>(
    state: &ServerState,
    mut request: Request,
    max_message_bytes: usize,
    serve: impl FnOnce(ClientSocket) -> F + Send + 'static,
) -> Result<Response<Body>, ApiError>
where
    F: Future<Output = ()> + Send + 'static,
{
    let headers = request.headers();
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(ApiError::new(426, "upgrade_required", "only version 13 of WebSocket is spoken here"));
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).filter(|key| key.len() == 24);
    let key = key.ok_or_else(|| ApiError::bad_request("Sec-WebSocket-Key is missing or too short"))?;
    let accepted = HeaderValue::from_str(&derive_accept_key(key.as_bytes()))
        .map_err(|error| ApiError::internal(error.to_string()))?;
    let slot = request.extensions().get::<SlotHold>().cloned();
    let upgrade = hyper::upgrade::on(&mut request);
    state.spawn(async move {
        match upgrade.await {
            Ok(upgraded) => serve(ClientSocket::new(upgraded, max_message_bytes, slot).await).await,
            Err(error) => tracing::debug!("a connection did not become a WebSocket: {error}"),
        }
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accepted);
    Ok(response)
}

impl ClientSocket {
    async fn new(upgraded: Upgraded, max_message_bytes: usize, slot: Option<SlotHold>) -> Self {
        let config = WebSocketConfig::default()
            .max_message_size(Some(max_message_bytes))
            .max_frame_size(Some(max_message_bytes));
        let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
        if let Some(slot) = &slot {
            slot.set_answering();
        }
        let now = Instant::now();
        Self { socket, heard_at: now, ping_at: now + PING_INTERVAL, _slot: slot }
    }

    /// Returns the next text of the client; none once it is gone. Other messages are skipped. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<String> {
        loop {
            let message = tokio::select! {
                biased;
                message = self.socket.next() => message?,
                () = sleep_until(self.ping_at) => {
                    if self.heard_at.elapsed() >= SILENCE_TIMEOUT {
                        return None;
                    }
                    self.ping_at = Instant::now() + PING_INTERVAL;
                    self.put(Message::Ping(Bytes::new())).await.ok()?;
                    continue;
                }
            };
            self.heard_at = Instant::now();
            match message {
                Ok(Message::Text(text)) => return Some(text.to_string()),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// Sends a text. Fails if the client is gone, or does not read.
    pub(super) async fn send(&mut self, text: String) -> std::io::Result<()> {
        self.put(Message::text(text)).await
    }

    /// Tells the client that this is the end.
    pub(super) async fn close(mut self) {
        let _ = timeout(Duration::from_secs(1), self.socket.close(None)).await;
    }

    async fn put(&mut self, message: Message) -> std::io::Result<()> {
        match timeout(SEND_TIMEOUT, self.socket.send(message)).await {
            Ok(sent) => sent.map_err(std::io::Error::other),
            Err(_) => Err(std::io::Error::new(std::io::ErrorKind::TimedOut, "the client does not read")),
        }
    }
}

fn has_word(headers: &HeaderMap, name: &axum::http::HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case(word))
}
