//! `/acp`: the agent at an address. A client opens a WebSocket, or posts its messages and reads event streams: one of the
//! connection, and one of each session.
//!
//! The first message is `initialize`, and its response names the connection; every other is answered on a stream. A
//! client that goes ends nothing: what runs goes on, and `session/load` on another connection has the rest.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::{Body, Bytes};
use axum::extract::{Request, State as Shared};
use axum::http::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::routing::get;
use axum::{Extension, Router};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::driver::{AcpInput, AcpOutput, AcpServer, SessionOwner};
use super::replies::INVALID_REQUEST_CODE;
use super::streams::{AnswerRoute, MessageStreams, StreamOutput};
use crate::bridge::new_uuid;
use crate::event::Json;
use crate::serve::Surface;
use crate::serve::access::{Access, BodyBytes};
use crate::serve::error::{ApiError, native_error_body};
use crate::serve::oneshot::disable_buffering;
use crate::serve::state::ServerState;
use crate::serve::websocket::{self, ClientSocket};

pub(in crate::serve) const SURFACE: Surface =
    Surface { routes, path_prefixes: &["/acp"], error_format: native_error_body };

/// Names the connection of a request.
const CONNECTION_HEADER: HeaderName = HeaderName::from_static("acp-connection-id");
/// Names the session that a request is about.
const SESSION_HEADER: HeaderName = HeaderName::from_static("acp-session-id");
/// Its past is told on its own stream, and its answer follows on that of the connection.
const LOAD_METHOD: &str = "session/load";
/// Connections at once: each holds sessions.
const MAX_CONNECTIONS: usize = 256;

fn routes() -> Router<ServerState> {
    Router::new()
        .route("/acp", get(open).post(post).delete(close))
        .layer(Extension(Arc::new(AcpConnections::default())))
}

/// The connections over HTTP, by their names.
#[derive(Default)]
struct AcpConnections(Mutex<HashMap<String, AcpConnection>>);

#[derive(Clone)]
struct AcpConnection {
    input: mpsc::Sender<AcpInput>,
    streams: Arc<MessageStreams>,
    closed: CancellationToken,
}

impl AcpConnections {
    fn find(&self, headers: &HeaderMap) -> Result<AcpConnection, ApiError> {
        let id = headers.get(CONNECTION_HEADER).and_then(|id| id.to_str().ok());
        let id = id.ok_or_else(|| ApiError::bad_request("Acp-Connection-Id is missing; begin with initialize"))?;
        let found = self.lock().get(id).cloned();
        found
            .ok_or_else(|| ApiError::not_found("this Acp-Connection-Id is not known (any more); begin with initialize"))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, AcpConnection>> {
        // No code under this lock panics halfway, so the data behind a poisoned lock is intact.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn post(
    Shared(state): Shared<ServerState>,
    Extension(connections): Extension<Arc<AcpConnections>>,
    headers: HeaderMap,
    BodyBytes(body): BodyBytes,
) -> Response<Body> {
    try_post(&state, &connections, &headers, body)
        .await
        .unwrap_or_else(|refused| refused.to_response(native_error_body))
}

async fn try_post(
    state: &ServerState,
    connections: &Arc<AcpConnections>,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Response<Body>, ApiError> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
        return Err(ApiError::new(415, "unsupported_media_type", "a message is application/json"));
    }
    let message: Json = serde_json::from_slice(&body)
        .map_err(|error| ApiError::bad_request(format!("the message is no JSON: {error}")))?;
    if !message.is_object() {
        return Ok(json_response(400, &refusal("a message is one JSON object; batches are not taken")));
    }
    let method = message.get("method").and_then(Json::as_str);
    let id = message.get("id").filter(|id| !id.is_null());
    if method == Some("initialize") {
        if headers.contains_key(CONNECTION_HEADER) {
            return Err(ApiError::bad_request("this connection is initialized already"));
        }
        let id = id.ok_or_else(|| ApiError::bad_request("initialize needs an id"))?;
        return connect(state, connections, id, body).await;
    }
    let connection = connections.find(headers)?;
    let named = message.pointer("/params/sessionId").and_then(Json::as_str);
    let header = headers.get(SESSION_HEADER).and_then(|session| session.to_str().ok());
    if named.zip(header).is_some_and(|(named, header)| named != header) {
        return Err(ApiError::bad_request("Acp-Session-Id and sessionId name different sessions"));
    }
    if let (Some(method), Some(id)) = (method, id) {
        let session = named.or(header).filter(|_| method != LOAD_METHOD);
        let route = session.map_or(AnswerRoute::Connection, |session| AnswerRoute::Session(session.to_owned()));
        if !connection.streams.expect(id, route) {
            return Err(ApiError::too_many("too many requests wait for their answers", 1));
        }
    }
    if connection.input.send(AcpInput::Line(body.to_vec())).await.is_err() {
        return Err(ApiError::not_found("this connection has ended; begin with initialize"));
    }
    Ok(empty_response(StatusCode::ACCEPTED))
}

/// Begins a connection. Its first message is answered in the response.
async fn connect(
    state: &ServerState,
    connections: &Arc<AcpConnections>,
    id: &Json,
    body: Bytes,
) -> Result<Response<Body>, ApiError> {
    // Capacity 64, as for the standard streams.
    let (input, mut inbox) = mpsc::channel(64);
    let streams = Arc::new(MessageStreams::new());
    let (answer, answered) = oneshot::channel();
    streams.expect(id, AnswerRoute::Response(answer));
    let connection =
        AcpConnection { input: input.clone(), streams: Arc::clone(&streams), closed: CancellationToken::new() };
    let name = new_uuid().to_string();
    {
        let mut known = connections.lock();
        if known.len() >= MAX_CONNECTIONS {
            return Err(ApiError::too_many("too many connections are open", 5));
        }
        known.insert(name.clone(), connection.clone());
    }
    let mut server =
        AcpServer::new(state, SessionOwner::Server, StreamOutput(Arc::clone(&streams)), input.clone()).await;
    let (all, key, shutdown) = (Arc::clone(connections), name.clone(), state.shutdown().clone());
    state.spawn(async move {
        let stop = async {
            tokio::select! {
                () = connection.closed.cancelled() => {}
                () = shutdown.cancelled() => {}
                () = streams.abandoned() => {}
            }
        };
        if let Err(error) = server.serve(&mut inbox, stop).await {
            tracing::debug!("a connection ended: {error}");
        }
        server.close().await;
        streams.close();
        all.lock().remove(&key);
    });
    let ended = || ApiError::internal("the connection ended before its first message");
    input.send(AcpInput::Line(body.to_vec())).await.map_err(|_| ended())?;
    let mut response = json_response(200, &answered.await.map_err(|_| ended())?);
    if let Ok(name) = HeaderValue::from_str(&name) {
        response.headers_mut().insert(CONNECTION_HEADER, name);
    }
    Ok(response)
}

async fn open(
    Shared(state): Shared<ServerState>,
    Extension(connections): Extension<Arc<AcpConnections>>,
    Extension(access): Extension<Access>,
    request: Request,
) -> Response<Body> {
    let opened = if websocket::is_upgrade(request.headers()) {
        open_socket(&state, access, request)
    } else {
        open_stream(&connections, request.headers())
    };
    opened.unwrap_or_else(|refused| refused.to_response(native_error_body))
}

fn open_stream(connections: &AcpConnections, headers: &HeaderMap) -> Result<Response<Body>, ApiError> {
    let accepts = headers.get_all(ACCEPT).iter().filter_map(|accepted| accepted.to_str().ok());
    if !accepts.flat_map(|accepted| accepted.split(',')).any(|kind| kind.trim().starts_with("text/event-stream")) {
        return Err(ApiError::new(406, "not_acceptable", "messages come as text/event-stream"));
    }
    let connection = connections.find(headers)?;
    let session = headers.get(SESSION_HEADER).and_then(|session| session.to_str().ok()).map(str::to_owned);
    let body = connection.streams.open(session);
    let mut response =
        Response::new(body.ok_or_else(|| ApiError::too_many("this connection has too many streams", 5))?);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    disable_buffering(response.headers_mut());
    Ok(response)
}

fn open_socket(state: &ServerState, access: Access, request: Request) -> Result<Response<Body>, ApiError> {
    if access != Access::Full {
        return Err(ApiError::new(403, "read_only", "a WebSocket sends, and only watching is allowed here"));
    }
    let most = state.settings().limits.max_body_bytes;
    let server = state.clone();
    let mut response = websocket::accept(state, request, most, |socket| serve_socket(server, socket))?;
    if let Ok(name) = HeaderValue::from_str(&new_uuid().to_string()) {
        response.headers_mut().insert(CONNECTION_HEADER, name);
    }
    Ok(response)
}

async fn serve_socket(state: ServerState, mut socket: ClientSocket) {
    // Capacity 64, as for the standard streams; what is sent waits in the socket.
    let (input, mut inbox) = mpsc::channel(64);
    let (output, mut outbox) = mpsc::channel(1);
    let mut server = AcpServer::new(&state, SessionOwner::Server, SocketOutput(output), input.clone()).await;
    let served = server.serve(&mut inbox, state.shutdown().cancelled());
    let carried = async {
        loop {
            tokio::select! {
                biased;
                messages = outbox.recv() => {
                    let Some(messages): Option<Vec<Json>> = messages else { return };
                    for message in messages {
                        if socket.send(message.to_string()).await.is_err() {
                            return;
                        }
                    }
                }
                heard = next_input(&input, &mut socket) => {
                    let Some((room, heard)) = heard else { return };
                    room.send(heard);
                }
            }
        }
    };
    tokio::select! {
        served = served => {
            if let Err(error) = served {
                tracing::debug!("a connection ended: {error}");
            }
        }
        () = carried => {}
    }
    server.close().await;
    socket.close().await;
}

/// Returns what comes next, and room for it: nothing is read for which there is none. Cancel-safe.
async fn next_input<'i>(
    input: &'i mpsc::Sender<AcpInput>,
    socket: &mut ClientSocket,
) -> Option<(mpsc::Permit<'i, AcpInput>, AcpInput)> {
    let room = input.reserve().await.ok()?;
    let line = socket.next().await;
    Some((room, line.map_or(AcpInput::Gone, |line| AcpInput::Line(line.into_bytes()))))
}

struct SocketOutput(mpsc::Sender<Vec<Json>>);

impl AcpOutput for SocketOutput {
    async fn send(&mut self, messages: Vec<Json>) -> io::Result<()> {
        self.0.send(messages).await.map_err(io::Error::other)
    }
}

async fn close(Extension(connections): Extension<Arc<AcpConnections>>, headers: HeaderMap) -> Response<Body> {
    match connections.find(&headers) {
        Ok(connection) => {
            connection.closed.cancel();
            empty_response(StatusCode::ACCEPTED)
        }
        Err(refused) => refused.to_response(native_error_body),
    }
}

fn refusal(why: &str) -> Json {
    serde_json::json!({"jsonrpc": "2.0", "id": null, "error": {"code": INVALID_REQUEST_CODE, "message": why}})
}

fn json_response(status: u16, body: &Json) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn empty_response(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
