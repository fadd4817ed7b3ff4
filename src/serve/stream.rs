//! `POST /v1/stream`: an answer in the format of the Poe proxy, or in Warp blocks (`?format=warp`).
//!
//! The request has the format of the proxy's tools (`{bot, prompt, session_id?}`) or of a chat completion (`{model,
//! messages, tools?}`). `session_id` names a conversation: the id of an earlier stream, or any name the client chooses.
//! `?aggregate=0` omits the `complete` at the end.
//!
//! `GET /v1/stream/{id}` sends a stream again, from memory or from its log, starting after the frame in
//! `Last-Event-ID`. It needs the same `format`; lines of blocks are counted from 0, lines outside blocks are not. If
//! the client has everything, the response is 204, which tells it not to reconnect.

mod history;
mod request;
mod resume;
mod thread_index;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Path, RawQuery, State as Shared};
use axum::http::header::{CONTENT_LOCATION, HeaderValue};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::routing::{get, post};
use serde_json::json;

use self::request::{StreamFormat, StreamRequest};
use self::resume::{ResumeOutcome, ResumedEncoder};
use self::thread_index::ThreadIndex;
use super::Surface;
use super::access::BodyBytes;
use super::error::ApiError;
use super::oneshot::{self, Framing};
use super::state::ServerState;
use crate::dialect::{Encode, poe, warp};
use crate::event::{AgentEvent, Json, SessionId};

pub(super) const SURFACE: Surface = Surface { routes, path_prefixes: &["/v1/stream"], error_format: error_body };

/// Names the last frame that a client has.
const LAST_EVENT_ID_HEADER: &str = "last-event-id";

fn routes() -> Router<ServerState> {
    Router::new()
        .route("/v1/stream", post(create))
        .route("/v1/stream/{id}", get(retrieve))
        .layer(Extension(Arc::new(ThreadIndex::default())))
}

async fn create(
    Shared(state): Shared<ServerState>,
    Extension(threads): Extension<Arc<ThreadIndex>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    BodyBytes(body): BodyBytes,
) -> Response<Body> {
    try_create(&state, &threads, query.as_deref(), &headers, &body)
        .await
        .unwrap_or_else(|refused| refused.to_response(error_body))
}

async fn try_create(
    state: &ServerState,
    threads: &ThreadIndex,
    query: Option<&str>,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response<Body>, ApiError> {
    let how = StreamFormat::read(query)?;
    let StreamRequest { one_shot: mut request, is_streamed: streams, thread } = request::parse(body)?;
    request.keep_running = oneshot::should_keep_running(headers);
    let mut place = None;
    if let Some(thread) = thread.as_deref() {
        place = Some(state.turn_in("stream", thread).await);
    }
    if let Some(thread) = thread.as_deref().filter(|_| request.history.is_empty()) {
        request.history = load_history(state, threads, thread).await?;
    }
    let client_tools = request.client_tools.is_some();
    let framing = if streams { how.framing() } else { Framing::Buffered };
    let mut named = None;
    let mut response = oneshot::run_in(state, place, request, framing, |session| {
        named = Some(session.clone());
        threads.add(session, thread.as_deref(), client_tools);
        how.encoder(session, client_tools)
    })
    .await?;
    let place = named.map(|session| how.location(&session));
    if let Some(place) = place.and_then(|place| HeaderValue::from_str(&place).ok()) {
        response.headers_mut().insert(CONTENT_LOCATION, place);
    }
    Ok(response)
}

/// Returns the history of a conversation; empty for a new one.
async fn load_history(state: &ServerState, threads: &ThreadIndex, thread: &str) -> Result<Vec<AgentEvent>, ApiError> {
    let session = threads.latest(thread).unwrap_or_else(|| SessionId::from(thread));
    // It may have been begun without a name.
    state.wait_until_ended(&session).await;
    match oneshot::session_events(state, &session).await {
        Ok(events) => Ok(history::history_of(&events)),
        Err(refused) if refused.status == 404 => Ok(Vec::new()),
        // A recording has its own history.
        Err(refused) if refused.status == 409 => Ok(Vec::new()),
        Err(refused) => Err(refused),
    }
}

async fn retrieve(
    Shared(state): Shared<ServerState>,
    Extension(threads): Extension<Arc<ThreadIndex>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response<Body> {
    let last = headers.get(LAST_EVENT_ID_HEADER).map(|last| last.to_str().unwrap_or_default().trim().to_owned());
    try_retrieve(&state, &threads, &SessionId::from(id.as_str()), query.as_deref(), last)
        .await
        .unwrap_or_else(|refused| refused.to_response(error_body))
}

async fn try_retrieve(
    state: &ServerState,
    threads: &ThreadIndex,
    session: &SessionId,
    query: Option<&str>,
    last: Option<String>,
) -> Result<Response<Body>, ApiError> {
    let how = StreamFormat::read(query)?;
    let last = match last.filter(|last| !last.is_empty()) {
        None => None,
        Some(last) => Some(last.parse::<u64>().map_err(|_| {
            ApiError::bad_request("Last-Event-ID must be the number of a frame of this stream")
                .with_param("Last-Event-ID")
        })?),
    };
    let running = state.find_running(session).is_some();
    let known = threads.has_client_tools(session).filter(|_| running);
    let mut client_tools = known.unwrap_or_default();
    if known.is_none() {
        let events = oneshot::session_events(state, session).await?;
        client_tools = history::has_client_calls(&events);
        if let Some(last) = last.filter(|_| !running) {
            match resume::resume_outcome(&mut *how.encoder(session, client_tools), &events, last) {
                ResumeOutcome::More => {}
                ResumeOutcome::UpToDate => {
                    let mut response = Response::new(Body::empty());
                    *response.status_mut() = StatusCode::NO_CONTENT;
                    return Ok(response);
                }
                ResumeOutcome::UnknownFrame => {
                    let text = format!("this stream has no frame {last}");
                    return Err(ApiError::bad_request(text).with_param("Last-Event-ID"));
                }
            }
        }
    }
    oneshot::replay(state, session, how.framing(), 0, |session| {
        let encoder = how.encoder(session, client_tools);
        match last {
            Some(last) => Box::new(ResumedEncoder::new(encoder, last)),
            None => encoder,
        }
    })
    .await
}

impl StreamFormat {
    fn framing(self) -> Framing {
        if self.is_warp { Framing::Ndjson } else { Framing::Sse }
    }

    fn encoder(self, session: &SessionId, client_tools: bool) -> Box<dyn Encode> {
        if self.is_warp {
            Box::new(warp::encode::WarpEncoder::new(client_tools))
        } else {
            Box::new(poe::encode::PoeEncoder::new(session.as_str(), self.sends_aggregate, client_tools))
        }
    }

    /// Returns the path under which the stream can be fetched again.
    fn location(self, session: &SessionId) -> String {
        let query = match (self.is_warp, self.sends_aggregate) {
            (true, _) => "?format=warp",
            (false, false) => "?aggregate=0",
            (false, true) => "",
        };
        format!("/v1/stream/{session}{query}")
    }
}

/// An error in the stream's format.
fn error_body(refused: &ApiError) -> Json {
    let mut body = json!({"error": refused.message, "recoverable": refused.retry_after.is_some()});
    body["code"] = refused.code.into();
    if let Some(param) = &refused.param {
        body["param"] = param.as_str().into();
    }
    body
}
