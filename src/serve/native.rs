//! Our own surface: sessions as they are, numbered events out, wishes in.
//!
//! `POST /v1/sessions` opens one, `GET` lists them, `GET …/{id}` says how it stands, `GET …/{id}/events` streams its
//! facts, `POST …/{id}/commands` takes a wish. Any number of clients share a session; of two answers to one ask the
//! first counts. A client that goes away ends nothing.

mod commands;
mod events;

use axum::body::Body;
use axum::extract::{Path, State as Shared};
use axum::http::Response;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::routing::{get, post};
use axum::{Extension, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Surface;
use super::factory::{Opening, Saved};
use super::guard::{Access, Whole};
use super::refuse::{self, Refused};
use super::room::{Kind, Room};
use super::state::State;
use crate::event::{Mode, SessionId};

pub(super) const SURFACE: Surface = Surface { routes, under: &["/v1/sessions"], shape: refuse::plain };

type Answer = Result<Response<Body>, Response<Body>>;

fn routes() -> Router<State> {
    Router::new()
        .route("/v1/sessions", get(list).post(open))
        .route("/v1/sessions/{id}", get(stand))
        .route("/v1/sessions/{id}/events", get(events::watch))
        .route("/v1/sessions/{id}/commands", post(commands::wish))
}

/// What a client says of the session it wants.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Wanted {
    folder: Option<String>,
    model: Option<String>,
    mode: Option<Mode>,
}

async fn open(Shared(state): Shared<State>, Whole(body): Whole) -> Answer {
    let wanted: Wanted = if body.is_empty() {
        Wanted::default()
    } else {
        serde_json::from_slice(&body)
            .map_err(|error| refuse(Refused::bad(format!("a session takes folder, model and mode: {error}"))))?
    };
    let opening = Opening { folder: wanted.folder, model: wanted.model, mode: wanted.mode };
    let room = state.open(opening).await.map_err(refuse)?;
    Ok(answer(201, &json!({ "id": room.id() })))
}

async fn list(Shared(state): Shared<State>) -> Answer {
    let saved = state.factory().list().await.map_err(refuse)?;
    let shared: Vec<_> = state.all().into_iter().filter(|room| room.kind == Kind::Shared).collect();
    // A session that nothing was said in yet is in no one's way in the list of those that run.
    let mut sessions: Vec<Value> = Vec::new();
    for room in shared.iter().filter(|room| saved.iter().all(|saved| saved.id != *room.id())) {
        sessions.push(row(room, None));
    }
    for saved in &saved {
        let running = shared.iter().find(|room| *room.id() == saved.id);
        match running {
            Some(room) => sessions.push(row(room, Some(saved))),
            None if saved.title.is_some() => sessions.push(resting(saved)),
            None => {}
        }
    }
    Ok(answer(200, &json!({ "sessions": sessions })))
}

async fn stand(Shared(state): Shared<State>, Extension(access): Extension<Access>, Path(id): Path<String>) -> Answer {
    let id = SessionId::from(id.as_str());
    let may = if access == Access::Full { "full" } else { "read" };
    if let Some(room) = state.running(&id) {
        let mut about = standing(&room);
        if let Some(fields) = about.as_object_mut() {
            fields.insert("access".into(), may.into());
        }
        return Ok(answer(200, &about));
    }
    let live = state.saved(&id).await.map_err(refuse)?;
    let known = state.factory().list().await.unwrap_or_default().into_iter().find(|saved| saved.id == id);
    let mut about = known.as_ref().map_or_else(|| json!({ "id": id, "running": false }), resting);
    if let Some(fields) = about.as_object_mut() {
        fields.insert("last".into(), live.hub.last().0.into());
        fields.insert("access".into(), may.into());
    }
    Ok(answer(200, &about))
}

fn resting(saved: &Saved) -> Value {
    json!({
        "id": saved.id, "running": false, "title": saved.title, "folder": saved.folder,
        "engine": saved.engine, "model": saved.model, "started_at": saved.started_at, "modified": saved.modified,
    })
}

fn row(room: &Room, saved: Option<&Saved>) -> Value {
    let mut row = standing(room);
    if let (Some(fields), Some(saved)) = (row.as_object_mut(), saved) {
        fields.insert("title".into(), saved.title.as_deref().into());
        fields.insert("started_at".into(), saved.started_at.into());
        fields.insert("modified".into(), saved.modified.into());
    }
    row
}

/// Says how a running session stands.
fn standing(room: &Room) -> Value {
    let now = room.now();
    let weather = room.live.weather.borrow().clone();
    let asks: Vec<Value> = now.asks.iter().map(|(call, ask)| json!({ "call": call, "ask": ask })).collect();
    let opened = now.opened.as_ref();
    json!({
        "id": room.id(),
        "running": true,
        "engine": opened.map(|opened| opened.engine.as_str()),
        "model": opened.map(|opened| opened.model.as_str()),
        "mode": opened.map(|opened| opened.mode),
        "folder": opened.map(|opened| opened.folder.as_str()),
        "busy": now.turn.is_some(),
        "turn": now.turn,
        "asks": asks,
        "last": room.live.hub.last(),
        "caps": room.live.caps,
        "readers": *room.readers().borrow(),
        "weather": weather,
    })
}

fn answer(status: u16, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = axum::http::StatusCode::from_u16(status).unwrap_or_default();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` hands over")]
fn refuse(refused: Refused) -> Response<Body> {
    refused.response(refuse::plain)
}
