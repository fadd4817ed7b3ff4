//! `POST /v1/stream`: an answer as the Poe proxy streams it, or as Warp blocks (`?format=warp`).
//!
//! What is asked comes as the proxy's tools take it (`{bot, prompt, session_id?}`) or as a chat completion has it
//! (`{model, messages, tools?}`). `session_id` names a conversation: that of an earlier stream, or any name the client
//! likes. `?aggregate=0` leaves the `complete` at the end out.
//!
//! `GET /v1/stream/{id}` tells a stream again, from memory or from its log, behind the frame that `Last-Event-ID`
//! names. It wants the same `format`; lines of blocks are counted from 0, those without blocks are not. A stream of
//! which the client has everything is answered by 204, which tells it not to come again.

mod asked;
mod past;
mod resume;
mod threads;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Path, RawQuery, State as Shared};
use axum::http::header::{CONTENT_LOCATION, HeaderValue};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::routing::{get, post};
use serde_json::json;

use self::asked::{Asked, How};
use self::resume::{After, Coming};
use self::threads::Threads;
use super::Surface;
use super::guard::Whole;
use super::oneshot::{self, Framing};
use super::refuse::Refused;
use super::state::State;
use crate::dialect::{Encode, poe, warp};
use crate::event::{AgentEvent, Json, SessionId};

pub(super) const SURFACE: Surface = Surface { routes, under: &["/v1/stream"], shape };

/// Names the last frame that a client has.
const LAST: &str = "last-event-id";

fn routes() -> Router<State> {
    Router::new()
        .route("/v1/stream", post(ask))
        .route("/v1/stream/{id}", get(again))
        .layer(Extension(Arc::new(Threads::default())))
}

async fn ask(
    Shared(state): Shared<State>,
    Extension(threads): Extension<Arc<Threads>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    Whole(body): Whole,
) -> Response<Body> {
    answer(&state, &threads, query.as_deref(), &headers, &body).await.unwrap_or_else(|refused| refused.response(shape))
}

async fn answer(
    state: &State,
    threads: &Threads,
    query: Option<&str>,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response<Body>, Refused> {
    let how = How::read(query)?;
    let Asked { mut ask, streams, thread } = asked::read(body)?;
    ask.stays = oneshot::stays(headers);
    if let Some(thread) = thread.as_deref().filter(|_| ask.past.is_empty()) {
        ask.past = said_before(state, threads, thread).await?;
    }
    let client_tools = ask.client_tools.is_some();
    let framing = if streams { how.framing() } else { Framing::Whole };
    let mut named = None;
    let mut response = oneshot::run(state, ask, framing, |session| {
        named = Some(session.clone());
        threads.begun(session, thread.as_deref(), client_tools);
        how.encoder(session, client_tools)
    })
    .await?;
    let place = named.map(|session| how.place(&session));
    if let Some(place) = place.and_then(|place| HeaderValue::from_str(&place).ok()) {
        response.headers_mut().insert(CONTENT_LOCATION, place);
    }
    Ok(response)
}

/// Returns what was said in a conversation so far; nothing where it is a new one.
async fn said_before(state: &State, threads: &Threads, thread: &str) -> Result<Vec<AgentEvent>, Refused> {
    let session = threads.latest(thread).unwrap_or_else(|| SessionId::from(thread));
    if state.running(&session).is_some() {
        let text = format!("the conversation {thread} still has a question that is being answered");
        return Err(Refused::new(409, "busy", text).about("session_id"));
    }
    match oneshot::told(state, &session).await {
        Ok(facts) => Ok(past::of(&facts)),
        Err(refused) if refused.status == 404 => Ok(Vec::new()),
        // A recording that is played knows by itself what was said.
        Err(refused) if refused.status == 409 => Ok(Vec::new()),
        Err(refused) => Err(refused),
    }
}

async fn again(
    Shared(state): Shared<State>,
    Extension(threads): Extension<Arc<Threads>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response<Body> {
    let last = headers.get(LAST).map(|last| last.to_str().unwrap_or_default().trim().to_owned());
    resume(&state, &threads, &SessionId::from(id.as_str()), query.as_deref(), last)
        .await
        .unwrap_or_else(|refused| refused.response(shape))
}

async fn resume(
    state: &State,
    threads: &Threads,
    session: &SessionId,
    query: Option<&str>,
    last: Option<String>,
) -> Result<Response<Body>, Refused> {
    let how = How::read(query)?;
    let last = match last.filter(|last| !last.is_empty()) {
        None => None,
        Some(last) => Some(last.parse::<u64>().map_err(|_| {
            Refused::bad("Last-Event-ID must be the number of a frame of this stream").about("Last-Event-ID")
        })?),
    };
    let running = state.running(session).is_some();
    let known = threads.client_tools(session).filter(|_| running);
    let mut client_tools = known.unwrap_or_default();
    if known.is_none() {
        let facts = oneshot::told(state, session).await?;
        client_tools = past::has_wishes(&facts);
        if let Some(last) = last.filter(|_| !running) {
            match resume::coming(&mut *how.encoder(session, client_tools), &facts, last) {
                Coming::More => {}
                Coming::Nothing => {
                    let mut response = Response::new(Body::empty());
                    *response.status_mut() = StatusCode::NO_CONTENT;
                    return Ok(response);
                }
                Coming::Never => {
                    let text = format!("this stream has no frame {last}");
                    return Err(Refused::bad(text).about("Last-Event-ID"));
                }
            }
        }
    }
    oneshot::again(state, session, how.framing(), 0, |session| {
        let encoder = how.encoder(session, client_tools);
        match last {
            Some(last) => Box::new(After::new(encoder, last)),
            None => encoder,
        }
    })
    .await
}

impl How {
    fn framing(self) -> Framing {
        if self.warp { Framing::Ndjson } else { Framing::Sse }
    }

    fn encoder(self, session: &SessionId, client_tools: bool) -> Box<dyn Encode> {
        if self.warp {
            Box::new(warp::encode::Encoder::new(client_tools))
        } else {
            Box::new(poe::encode::Encoder::new(session.as_str(), self.aggregates, client_tools))
        }
    }

    /// Returns where the stream can be had again.
    fn place(self, session: &SessionId) -> String {
        let query = match (self.warp, self.aggregates) {
            (true, _) => "?format=warp",
            (false, false) => "?aggregate=0",
            (false, true) => "",
        };
        format!("/v1/stream/{session}{query}")
    }
}

/// An error as the stream has them.
fn shape(refused: &Refused) -> Json {
    let mut body = json!({"error": refused.message, "recoverable": refused.retry_after.is_some()});
    body["code"] = refused.code.into();
    if let Some(param) = &refused.param {
        body["param"] = param.as_str().into();
    }
    body
}
