//! The native surface: sessions as they are, numbered events out, commands in.
//!
//! `POST /v1/sessions` opens one, `GET` lists them, `GET …/{id}` returns its state, `GET …/{id}/events` streams its
//! events, `POST …/{id}/links` makes a link that shows it to others, `GET …/{id}/stream` is the same as a durable stream, `POST …/{id}/commands` takes a command. Any number of clients share a session; the first decision on an
//! approval counts. A client that disconnects ends nothing.

mod client_name;
mod commands;
mod durable;
mod events;
mod links;

use axum::body::Body;
use axum::extract::{Path, State as Shared};
use axum::http::Response;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::routing::{MethodRouter, get, post};
use axum::{Extension, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use self::client_name::watcher_names;
use super::Surface;
use super::access::{Access, BodyBytes};
use super::error::{self, ApiError};
use super::factory::{OpenRequest, SavedSession};
use super::read_links::OnlySession;
use super::running_session::{RunningSession, SessionKind};
use super::state::ServerState;
use crate::event::{ApprovalMode, SessionId};

pub(super) const SURFACE: Surface =
    Surface { routes, path_prefixes: &["/v1/sessions"], error_format: error::native_error_body };

type NativeResult = Result<Response<Body>, Response<Body>>;

fn routes() -> Router<ServerState> {
    Router::new()
        .route("/v1/sessions", get(list_sessions).post(create_session))
        .route("/v1/sessions/{id}", get(show_session))
        .route("/v1/sessions/{id}/events", get(events::stream_events))
        .route("/v1/sessions/{id}/stream", durable_routes())
        .route("/v1/sessions/{id}/links", post(links::create).delete(links::revoke))
        .route("/v1/sessions/{id}/commands", post(commands::post_command))
}

fn durable_routes() -> MethodRouter<ServerState> {
    get(durable::read_stream)
        .head(durable::describe_stream)
        .put(durable::refuse_write)
        .post(durable::refuse_write)
        .patch(durable::refuse_write)
        .delete(durable::refuse_write)
}

/// The options of a session that a client opens.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct CreateSessionBody {
    folder: Option<String>,
    model: Option<String>,
    mode: Option<ApprovalMode>,
}

async fn create_session(Shared(state): Shared<ServerState>, BodyBytes(body): BodyBytes) -> NativeResult {
    let wanted: CreateSessionBody = if body.is_empty() {
        CreateSessionBody::default()
    } else {
        serde_json::from_slice(&body).map_err(|error| {
            error_response(ApiError::bad_request(format!("a session takes folder, model and mode: {error}")))
        })?
    };
    let opening = OpenRequest { folder: wanted.folder, model: wanted.model, mode: wanted.mode };
    let session = state.open_shared(opening).await.map_err(error_response)?;
    Ok(json_response(201, &json!({ "id": session.id() })))
}

async fn list_sessions(
    Shared(state): Shared<ServerState>,
    Extension(access): Extension<Access>,
    only: Option<Extension<OnlySession>>,
) -> NativeResult {
    let saved = state.factory().list().await.map_err(error_response)?;
    let shared: Vec<_> =
        state.running_sessions().into_iter().filter(|session| session.kind == SessionKind::Shared).collect();
    // A session without a turn would only clutter the list of running ones.
    let mut sessions: Vec<Value> = Vec::new();
    for session in shared.iter().filter(|session| saved.iter().all(|saved| saved.id != *session.id())) {
        sessions.push(session_json(session, None));
    }
    for saved in &saved {
        let running = shared.iter().find(|session| *session.id() == saved.id);
        match running {
            Some(session) => sessions.push(session_json(session, Some(saved))),
            None if saved.title.is_some() => sessions.push(saved_session_json(saved)),
            None => {}
        }
    }
    if let Some(Extension(OnlySession(id))) = only {
        sessions.retain(|session| session["id"] == id.as_str());
    }
    Ok(json_response(200, &json!({ "sessions": sessions, "access": access.name() })))
}

async fn show_session(
    Shared(state): Shared<ServerState>,
    Extension(access): Extension<Access>,
    Path(id): Path<String>,
) -> NativeResult {
    let id = SessionId::from(id.as_str());
    let may = access.name();
    if let Some(session) = state.find_running(&id) {
        let mut about = running_session_json(&session);
        if let Some(fields) = about.as_object_mut() {
            fields.insert("access".into(), may.into());
        }
        return Ok(json_response(200, &about));
    }
    let live = state.read_saved(&id).await.map_err(error_response)?;
    let known = state.factory().list().await.unwrap_or_default().into_iter().find(|saved| saved.id == id);
    let mut about = known.as_ref().map_or_else(|| json!({ "id": id, "running": false }), saved_session_json);
    if let Some(fields) = about.as_object_mut() {
        fields.insert("last".into(), live.hub.last_seq().0.into());
        fields.insert("access".into(), may.into());
    }
    Ok(json_response(200, &about))
}

fn saved_session_json(saved: &SavedSession) -> Value {
    json!({
        "id": saved.id, "running": false, "title": saved.title, "folder": saved.folder,
        "engine": saved.engine, "model": saved.model, "started_at": saved.started_at, "modified": saved.modified,
    })
}

fn session_json(session: &RunningSession, saved: Option<&SavedSession>) -> Value {
    let mut row = running_session_json(session);
    if let (Some(fields), Some(saved)) = (row.as_object_mut(), saved) {
        fields.insert("title".into(), saved.title.as_deref().into());
        fields.insert("started_at".into(), saved.started_at.into());
        fields.insert("modified".into(), saved.modified.into());
    }
    row
}

/// The state of a running session as JSON.
fn running_session_json(session: &RunningSession) -> Value {
    let now = session.snapshot();
    let mut status = session.handle.status.borrow().clone();
    status.watchers = watcher_names(&session.watchers().borrow());
    let requests: Vec<Value> =
        now.pending_approvals.iter().map(|(call, request)| json!({ "call": call, "ask": request })).collect();
    let opened = now.info.as_ref();
    json!({
        "id": session.id(),
        "running": true,
        "engine": opened.map(|opened| opened.engine.as_str()),
        "model": opened.map(|opened| opened.model.as_str()),
        "mode": opened.map(|opened| opened.mode),
        "folder": opened.map(|opened| opened.folder.as_str()),
        "busy": now.turn.is_some(),
        "turn": now.turn,
        "asks": requests,
        "last": session.handle.hub.last_seq(),
        "caps": session.handle.capabilities,
        "readers": *session.readers().borrow(),
        "weather": status,
    })
}

fn json_response(status: u16, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = axum::http::StatusCode::from_u16(status).unwrap_or_default();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` hands over")]
fn error_response(refused: ApiError) -> Response<Body> {
    refused.to_response(error::native_error_body)
}
