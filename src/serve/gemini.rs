//! The Gemini API: `generateContent`, `streamGenerateContent` and `countTokens` of `/v1beta/models/MODEL`, and the list
//! of models.
//!
//! Tools are the client's; only under the agent's name and without `tools` are they ours.

mod request;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State as Shared};
use axum::http::{HeaderMap, Response};
use axum::routing::{get, post};
use axum::{Json as JsonBody, Router};
use serde_json::json;

use super::Surface;
use super::access::BodyBytes;
use super::error::ApiError;
use super::fields;
use super::models::{ModelFormat, find_model, list_models};
use super::oneshot::Framing;
use super::responses::json_response;
use super::state::ServerState;
use super::vendor;
use crate::dialect::gemini::encode::{GeminiEncoder, error_json};
use crate::event::Json;

pub(super) const SURFACE: Surface = Surface { routes, path_prefixes: &["/v1beta"], error_format: error_body };

type GeminiResult = Result<Response<Body>, ApiError>;

fn routes() -> Router<ServerState> {
    // Newer clients ask the stable version, whose list of models has the path of other vendors'.
    Router::new()
        .route("/v1beta/models", get(list))
        .route("/v1beta/models/{*id}", get(retrieve).post(call))
        .route("/v1/models/{*id}", post(call))
}

async fn list(Shared(state): Shared<ServerState>) -> JsonBody<Json> {
    JsonBody(ModelFormat::Gemini.list(&list_models(&state).await))
}

async fn retrieve(Shared(state): Shared<ServerState>, Path(id): Path<String>) -> Response<Body> {
    ModelFormat::Gemini.respond(&find_model(&state, &id).await)
}

async fn call(
    Shared(state): Shared<ServerState>,
    Path(call): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    BodyBytes(body): BodyBytes,
) -> Response<Body> {
    to_response(try_call(&state, &call, query.as_deref().unwrap_or_default(), &headers, &body).await)
}

async fn try_call(state: &ServerState, call: &str, query: &str, headers: &HeaderMap, body: &[u8]) -> GeminiResult {
    let (model, method) = call.rsplit_once(':').unwrap_or((call, ""));
    let fields = &fields::parse_object(body)?;
    let is_list = !query.split('&').any(|pair| pair == "alt=sse");
    let framing = match method {
        "generateContent" => Framing::Buffered,
        "streamGenerateContent" if is_list => Framing::Buffered,
        "streamGenerateContent" => Framing::Sse,
        "countTokens" => return Ok(json_response(200, &json!({ "totalTokens": request::count_tokens(fields)? }))),
        _ => return Err(ApiError::not_found(format!("models have no method {method:?} here"))),
    };
    let is_list = is_list && method == "streamGenerateContent";
    let wanted = request::parse(fields)?.with_model(Some(model));
    vendor::respond(state, headers, wanted, framing, |session, options| {
        Box::new(GeminiEncoder::new(session.as_str(), options, is_list))
    })
    .await
}

fn to_response(answer: GeminiResult) -> Response<Body> {
    answer.unwrap_or_else(|refused| refused.to_response(error_body))
}

/// An error in Gemini's format.
fn error_body(refused: &ApiError) -> Json {
    error_json(refused.status, &refused.message)
}
