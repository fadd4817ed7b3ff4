//! OpenAI's `/v1/responses` and `/v1/conversations`.
//!
//! If the client sends no tools, our agent uses its own, which the response shows as `mcp_call` items; otherwise the
//! model's calls go back to the client, which sends their outputs with `previous_response_id` or with all items. A
//! response is stored as the log of its session: it can be retrieved, streamed from any event on, continued and
//! deleted, also after a restart. One that was not to be stored is deleted once it is over. A WebSocket takes one request
//! after another.

pub(super) mod conversation_builder;
pub(super) mod conversations;
pub(super) mod input;
mod queued;
mod request;
mod socket;
pub(super) mod stored_response;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State as Shared};
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::routing::{get, post};
use serde_json::json;

use self::conversation_builder::ConversationBuilder;
use self::input::ItemPage;
use self::stored_response::{RequestRecord, StoredResponse};
use super::Surface;
use super::access::BodyBytes;
use super::error::{ApiError, openai_error_body};
use super::oneshot::{self, Framing};
use super::request::OneShotRequest;
use super::state::ServerState;
use crate::dialect::responses::encode::ResponsesEncoder;
use crate::dialect::{Encode, KeepAlive, SseFrame};
use crate::event::{Envelope, Json, SessionId};

pub(super) const SURFACE: Surface =
    Surface { routes, path_prefixes: &["/v1/responses", "/v1/conversations"], error_format: openai_error_body };

type ResponsesResult = Result<Response<Body>, ApiError>;
type QueryPairs = Query<Vec<(String, String)>>;

fn routes() -> Router<ServerState> {
    Router::new()
        .route("/v1/responses", post(create).get(socket::connect))
        .route("/v1/responses/{id}", get(retrieve).delete(delete))
        .route("/v1/responses/{id}/cancel", post(cancel))
        .route("/v1/responses/{id}/input_items", get(input_items))
        .merge(conversations::openai_routes())
}

async fn create(Shared(state): Shared<ServerState>, headers: HeaderMap, BodyBytes(body): BodyBytes) -> Response<Body> {
    to_response(try_create(&state, &headers, &body).await)
}

async fn try_create(state: &ServerState, headers: &HeaderMap, body: &[u8]) -> ResponsesResult {
    let wanted = request::parse(body)?;
    if wanted.background
        && !wanted.stream
        && queued::has_to_wait(state, &wanted).await?
        && let Some(session) = state.factory().new_session_id()
    {
        return queued::queue(state, headers, body, &wanted, session);
    }
    let Created { response, returns_at_once, .. } = create_response(state, headers, body, false, None).await?;
    if returns_at_once { first_response_object(response).await } else { Ok(response) }
}

/// A response that was created.
struct Created {
    response: Response<Body>,
    session: Option<SessionId>,
    is_stored: bool,
    /// The client wants its first state only.
    returns_at_once: bool,
}

/// Creates a response, in a session of this name if it has one already. One that is not to be stored is deleted once it is over, unless the caller keeps it.
async fn create_response(
    state: &ServerState,
    headers: &HeaderMap,
    body: &[u8],
    keeps_unstored: bool,
    session: Option<SessionId>,
) -> Result<Created, ApiError> {
    let wanted = request::parse(body)?;
    let mut builder = ConversationBuilder::default();
    if let Some(instructions) = &wanted.instructions {
        builder.add_system(instructions);
    }
    if let Some(previous) = &wanted.previous_response {
        queued::wait_until_begun(state, previous).await;
        let kept = StoredResponse::find_finished(state, previous).await?;
        let kept = kept.ok_or_else(|| previous_not_found(previous))?;
        // Provider metadata can be read only by the model that produced it.
        let carries = wanted.model.is_some() && wanted.model == kept.record.model;
        builder.replay(kept.all_events(), carries);
    }
    let mut place = None;
    if let Some(conversation) = &wanted.conversation {
        place = Some(state.turn_in("conversation", conversation).await);
        conversations::replay_into(state, conversation, &mut builder).await?;
    }
    let own = builder.flush_and_count();
    builder.add_input(&wanted.input, "input")?;
    let talked = builder.build("input")?;
    let record = RequestRecord {
        surface: "openai".into(),
        echo: wanted.echo,
        model: wanted.model.clone(),
        client_tools: false,
        prompt_tokens: talked.prompt_tokens,
        store: wanted.store || keeps_unstored,
        rounds: None,
    };
    let mut request = OneShotRequest {
        session,
        history: talked.history,
        prompt: talked.prompt,
        images: talked.images,
        system_prompt: talked.system_prompt,
        model: wanted.model,
        client_tools: wanted.client_tools,
        max_rounds: None,
        max_calls: wanted.max_calls,
        sampling: wanted.sampling,
        output_format: wanted.output_format,
        resources: None,
        keep_running: wanted.background || oneshot::should_keep_running(headers),
        ends_with_client: !wanted.store,
        left_out: wanted.left_out,
        ..OneShotRequest::default()
    };
    request.choose_by_name();
    let record = RequestRecord { client_tools: request.client_tools.is_some(), ..record };
    record.insert_into(&mut request.history, own);
    let framing = if wanted.stream || wanted.background { Framing::Sse } else { Framing::Buffered };
    let (is_stored, returns_at_once) = (wanted.store, wanted.background && !wanted.stream);
    let mut named = None;
    let response = oneshot::run_in(state, place, request, framing, |session| {
        named = Some(session.clone());
        if let Some(conversation) = wanted.conversation.filter(|_| is_stored) {
            let response = stored_response::response_id(session);
            state.spawn(conversations::add_response(state.clone(), conversation, response));
        }
        if !record.store {
            state.spawn(stored_response::remove_when_ended(state.clone(), session.clone()));
        }
        Box::new(record.openai_encoder(session))
    })
    .await?;
    Ok(Created { response, session: named, is_stored, returns_at_once })
}

/// Responds with the first state of the response; the rest can be retrieved later.
async fn first_response_object(response: Response<Body>) -> ResponsesResult {
    let session = response.headers().get(oneshot::SESSION_HEADER).cloned();
    let first = oneshot::first_frame(response).await;
    if let Some(begun) = first.as_ref().and_then(|event| event.get("response")) {
        let mut response = json_response(200, begun);
        if let Some(session) = session {
            response.headers_mut().insert(oneshot::SESSION_HEADER, session);
        }
        return Ok(response);
    }
    Err(ApiError::internal("the session ended before it started"))
}

async fn retrieve(
    Shared(state): Shared<ServerState>,
    Path(id): Path<String>,
    Query(query): QueryPairs,
) -> Response<Body> {
    let answer = async {
        if let Some(queued) = queued::find(&state, &id) {
            return Ok(json_response(200, &queued));
        }
        let kept = find_response(&state, &id).await?;
        let value = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        if !matches!(value("stream"), Some("true" | "1" | "True")) {
            return Ok(json_response(200, &kept.openai_response()));
        }
        let skip = match value("starting_after").map(str::parse::<usize>) {
            None => 0,
            Some(Ok(after)) => after.saturating_add(1),
            Some(Err(_)) => return Err(super::fields::wrong_type("starting_after", "the number of an event")),
        };
        oneshot::replay(&state, &kept.session, Framing::Sse, skip, |session| {
            Box::new(kept.record.openai_encoder(session))
        })
        .await
    };
    to_response(answer.await)
}

async fn delete(Shared(state): Shared<ServerState>, Path(id): Path<String>) -> Response<Body> {
    let answer = async {
        if queued::remove(&state, &id) {
            return Ok(json_response(200, &json!({"id": id, "object": "response", "deleted": true})));
        }
        let kept = find_response(&state, &id).await?;
        oneshot::cancel(&state, &kept.session).await?;
        stored_response::remove_response(&state, &kept.session).await?;
        Ok(json_response(200, &json!({"id": id, "object": "response", "deleted": true})))
    };
    to_response(answer.await)
}

async fn cancel(Shared(state): Shared<ServerState>, Path(id): Path<String>) -> Response<Body> {
    let answer = async {
        if let Some(queued) = queued::cancel(&state, &id) {
            return Ok(json_response(200, &queued));
        }
        let kept = find_response(&state, &id).await?;
        oneshot::cancel(&state, &kept.session).await?;
        let encoder = |session: &_| -> Box<dyn Encode> { Box::new(StoredEncoder(kept.record.openai_encoder(session))) };
        oneshot::replay(&state, &kept.session, Framing::Buffered, 0, encoder).await
    };
    to_response(answer.await)
}

async fn input_items(
    Shared(state): Shared<ServerState>,
    Path(id): Path<String>,
    Query(query): QueryPairs,
) -> Response<Body> {
    let answer = async {
        let (kept, page) = (find_response(&state, &id).await?, ItemPage::read(&query)?);
        let key = id.strip_prefix("resp_").unwrap_or(&id);
        Ok(json_response(200, &page.list_object(input::request_items(kept.own_events(), key))))
    };
    to_response(answer.await)
}

async fn find_response(state: &ServerState, id: &str) -> Result<StoredResponse, ApiError> {
    StoredResponse::find(state, id)
        .await?
        .ok_or_else(|| ApiError::not_found(format!("response with id {id:?} not found")))
}

fn previous_not_found(id: &str) -> ApiError {
    let text = format!("previous response with id {id:?} not found");
    ApiError::new(400, "previous_response_not_found", text).with_param("previous_response_id")
}

/// Converts to a response in OpenAI's format.
pub(super) fn to_response(answer: ResponsesResult) -> Response<Body> {
    answer.unwrap_or_else(|refused| refused.to_response(openai_error_body))
}

pub(super) fn json_response(status: u16, body: &Json) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Encodes the response however it ended: for the retrieval of a stored one, a failed turn is not an error.
struct StoredEncoder(ResponsesEncoder);

impl Encode for StoredEncoder {
    fn start(&mut self, out: &mut Vec<SseFrame>) {
        self.0.start(out);
    }

    fn encode_event(&mut self, envelope: &Envelope, out: &mut Vec<SseFrame>) {
        self.0.encode_event(envelope, out);
    }

    fn finish(&mut self, out: &mut Vec<SseFrame>) {
        self.0.finish(out);
    }

    fn keep_alive(&self) -> KeepAlive {
        self.0.keep_alive()
    }

    fn full_response(&mut self) -> (u16, Json) {
        (200, self.0.response())
    }
}
