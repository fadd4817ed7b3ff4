//! Enclava's `/api/v1/responses` and `/api/v1/conversations`.
//!
//! Streaming is requested in the query, or in the body, which enclava itself ignores. Our agent uses its own tools: the
//! client's are parsed and not offered, as in enclava, but `tool_resources` is passed to every tool. A response ends
//! after `max_tool_calls` rounds of tools, five by default. Unlike in enclava, a streamed response is stored and added
//! to its conversation.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State as Shared};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::routing::{get, post};
use serde_json::{Map, json};

use super::Surface;
use super::access::BodyBytes;
use super::error::ApiError;
use super::fields::{self, Fields, get_value};
use super::oneshot::{self, Framing};
use super::request::OneShotRequest;
use super::responses::conversation_builder::ConversationBuilder;
use super::responses::conversations::{self, Conversation};
use super::responses::input::ItemPage;
use super::responses::json_response;
use super::responses::stored_response::{self, RequestRecord, StoredResponse};
use super::state::ServerState;
use crate::dialect::enclava::encode::EnclavaEncoder;
use crate::event::{Json, SessionId};

pub(super) const SURFACE: Surface = Surface { routes, path_prefixes: &["/api/v1"], error_format: error_body };

/// Rounds of tools if the request sets no limit.
const DEFAULT_MAX_ROUNDS: u32 = 5;

type EnclavaResult = Result<Response<Body>, ApiError>;
type QueryPairs = Query<Vec<(String, String)>>;

fn routes() -> Router<ServerState> {
    Router::new()
        .route("/api/v1/responses", post(create))
        .route("/api/v1/responses/{id}", get(retrieve))
        .route("/api/v1/conversations", get(list_conversations).post(create_conversation))
        .route("/api/v1/conversations/{id}", get(retrieve_conversation).delete(delete_conversation))
        .route("/api/v1/conversations/{id}/items", get(list_items).post(add_items))
}

async fn create(
    Shared(state): Shared<ServerState>,
    Query(query): QueryPairs,
    headers: HeaderMap,
    BodyBytes(body): BodyBytes,
) -> Response<Body> {
    to_response(try_create(&state, &query, &headers, &body).await)
}

async fn try_create(
    state: &ServerState,
    query: &[(String, String)],
    headers: &HeaderMap,
    body: &[u8],
) -> EnclavaResult {
    let fields = &fields::parse_object(body)?;
    let text = |name: &str| fields::get_string(fields, name, "");
    let streamed = query.iter().any(|(name, value)| name == "stream" && matches!(value.as_str(), "true" | "1"));
    let streamed = fields::get_bool(fields, "stream")?.unwrap_or(false) || streamed;
    let model = text("model")?.map(str::trim).filter(|model| !model.is_empty());
    let input = get_value(fields, "input").ok_or_else(|| fields::missing_field("input"))?;
    if get_value(fields, "prompt").is_some() {
        let text = "agent configurations are not supported; send instructions";
        return Err(ApiError::new(400, "unsupported_parameter", text).with_param("prompt"));
    }
    fields::get_array(fields, "tools", "")?;
    let rounds = fields::get_positive(fields, "max_tool_calls")?.unwrap_or(DEFAULT_MAX_ROUNDS);
    let (previous, conversation) = (text("previous_response_id")?, text("conversation")?);
    let store = fields::get_bool(fields, "store")?.unwrap_or(true);
    let mut builder = ConversationBuilder::default();
    if let Some(instructions) = text("instructions")? {
        builder.add_system(instructions);
    }
    let mut place = None;
    if let Some(conversation) = conversation {
        place = Some(state.turn_in("conversation", conversation).await);
        conversations::replay_into(state, conversation, &mut builder).await?;
    }
    // As in enclava, an unknown response is no context.
    if let Some(previous) = previous
        && let Some(kept) = StoredResponse::find_finished(state, previous).await?
    {
        builder.replay(kept.all_events(), model.is_some() && model == kept.record.model.as_deref());
    }
    let own = builder.flush_and_count();
    builder.add_input(input, "input")?;
    let talked = builder.build("input")?;
    let mut echo = Map::new();
    echo.insert("conversation".into(), conversation.map_or(Json::Null, |id| json!({ "id": id })));
    echo.insert("previous_response_id".into(), json!(previous));
    echo.insert("metadata".into(), json!(fields::get_object(fields, "metadata")?.cloned().unwrap_or_default()));
    let record = RequestRecord {
        surface: "enclava".into(),
        echo,
        model: model.map(Into::into),
        client_tools: false,
        prompt_tokens: talked.prompt_tokens,
        store,
        rounds: Some(rounds),
    };
    let mut past = talked.history;
    record.insert_into(&mut past, own);
    let request = OneShotRequest {
        history: past,
        prompt: talked.prompt,
        images: talked.images,
        system_prompt: talked.system_prompt,
        model: record.model.clone(),
        client_tools: None,
        // In enclava the final answer doesn't get a request of its own.
        max_rounds: Some(rounds.saturating_sub(1)),
        max_calls: None,
        sampling: fields::get_sampling_params(fields, &["max_tokens"])?,
        resources: get_value(fields, "tool_resources").cloned(),
        keep_running: oneshot::should_keep_running(headers),
        ..OneShotRequest::default()
    };
    let framing = if streamed { Framing::Sse } else { Framing::Buffered };
    oneshot::run_in(state, place, request, framing, |session| {
        if let Some(conversation) = conversation.filter(|_| store) {
            let (conversation, response) = (conversation.to_owned(), stored_response::response_id(session));
            state.spawn(conversations::add_response(state.clone(), conversation, response));
        }
        if !store {
            state.spawn(stored_response::remove_when_ended(state.clone(), session.clone()));
        }
        Box::new(encoder(&record, session))
    })
    .await
}

async fn retrieve(Shared(state): Shared<ServerState>, Path(id): Path<String>) -> Response<Body> {
    let kept = StoredResponse::find(&state, &id).await;
    let kept = kept.and_then(|kept| kept.ok_or_else(|| ApiError::not_found("response not found")));
    to_response(kept.map(|kept| json_response(200, &response_json(&kept))))
}

async fn create_conversation(Shared(state): Shared<ServerState>, BodyBytes(body): BodyBytes) -> Response<Body> {
    let answer = async {
        let fields = if body.is_empty() { Fields::new() } else { fields::parse_object(&body)? };
        let conversation = conversations::start_conversation(&state, &fields).await?;
        Ok(json_response(201, &conversation_json(&state, &conversation).await?))
    };
    to_response(answer.await)
}

async fn list_conversations(Shared(state): Shared<ServerState>, Query(query): QueryPairs) -> Response<Body> {
    let answer = async {
        let page = ItemPage::read(&query)?;
        let mut ids = conversations::list_ids(&state).await?;
        // The page is sorted separately, newest first as well.
        ids.reverse();
        let mut list = page.list_object(ids.into_iter().map(|id| json!({ "id": id })).collect());
        if let Some(rows) = list.get_mut("data").and_then(Json::as_array_mut) {
            for row in rows {
                let id = row.get("id").and_then(Json::as_str).unwrap_or_default().to_owned();
                if let Ok(conversation) = conversations::load_conversation(&state, &id).await {
                    *row = conversation_json(&state, &conversation).await?;
                }
            }
        }
        Ok(json_response(200, &list))
    };
    to_response(answer.await)
}

async fn retrieve_conversation(Shared(state): Shared<ServerState>, Path(id): Path<String>) -> Response<Body> {
    let answer = async {
        let conversation = conversations::load_conversation(&state, &id).await?;
        Ok(json_response(200, &conversation_json(&state, &conversation).await?))
    };
    to_response(answer.await)
}

async fn delete_conversation(Shared(state): Shared<ServerState>, Path(id): Path<String>) -> Response<Body> {
    to_response(conversations::remove(&state, &id).await.map(|()| {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        response
    }))
}

async fn list_items(Shared(state): Shared<ServerState>, Path(id): Path<String>) -> Response<Body> {
    let answer = async {
        let conversation = conversations::load_conversation(&state, &id).await?;
        Ok(json_response(200, &json!({ "items": conversations::load_items(&state, &conversation).await? })))
    };
    to_response(answer.await)
}

async fn add_items(
    Shared(state): Shared<ServerState>,
    Path(id): Path<String>,
    BodyBytes(body): BodyBytes,
) -> Response<Body> {
    let answer = async {
        let items = conversations::append_items(&state, &id, &fields::parse_object(&body)?).await?;
        Ok(json_response(200, &json!({ "items": items })))
    };
    to_response(answer.await)
}

/// Returns an encoder of a request's response.
fn encoder(record: &RequestRecord, session: &SessionId) -> EnclavaEncoder {
    EnclavaEncoder::new(record.head(session), record.rounds)
}

/// A stored response in enclava's format.
fn response_json(kept: &StoredResponse) -> Json {
    let mut encoder = encoder(&kept.record, &kept.session);
    kept.feed(&mut encoder);
    encoder.response()
}

/// A conversation in enclava's format.
async fn conversation_json(state: &ServerState, conversation: &Conversation) -> Result<Json, ApiError> {
    Ok(json!({
        "id": conversation.id,
        "object": "conversation",
        "items": conversations::load_items(state, conversation).await?,
        "metadata": conversation.metadata,
        "created_at": conversation.created / 1000,
        "updated_at": conversation.updated / 1000,
    }))
}

/// Unprocessable requests are 422 in enclava.
fn to_response(answer: EnclavaResult) -> Response<Body> {
    answer.unwrap_or_else(|refused| {
        let status = if refused.status == 400 { 422 } else { refused.status };
        ApiError { status, ..refused }.to_response(error_body)
    })
}

/// An error in enclava's format.
fn error_body(refused: &ApiError) -> Json {
    if !matches!(refused.status, 400 | 422) {
        return json!({"error": "HTTP_ERROR", "message": refused.message});
    }
    let location: Vec<&str> = std::iter::once("body").chain(refused.param.as_deref()).collect();
    let detail = json!({"type": refused.code, "location": location, "message": refused.message, "input": null});
    json!({"error": "VALIDATION_ERROR", "message": "Invalid request data", "details": [detail]})
}
