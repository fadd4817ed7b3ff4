//! Anthropic Messages: `POST /v1/messages` and `/v1/messages/count_tokens`, and the greeting that its clients ask for.
//!
//! Tools are the client's; only under the agent's name and without `tools` are they ours. A client that loses its
//! stream asks again with the whole conversation, so that its turn ends with it.

mod request;

use axum::body::Body;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, Response};
use axum::routing::{get, post};
use axum::{Json as JsonBody, Router};
use serde_json::json;

use super::Surface;
use super::access::BodyBytes;
use super::error::ApiError;
use super::fields;
use super::oneshot::Framing;
use super::responses::json_response;
use super::state::ServerState;
use super::vendor;
use crate::dialect::anthropic::encode::{AnthropicEncoder, error_json};
use crate::event::{Json, SessionId};

pub(super) const SURFACE: Surface =
    Surface { routes, path_prefixes: &["/v1/messages", "/api/hello"], error_format: error_body };

fn routes() -> Router<ServerState> {
    Router::new()
        .route("/v1/messages", post(create))
        .route("/v1/messages/count_tokens", post(count_tokens))
        .route("/api/hello", get(hello))
}

async fn create(Shared(state): Shared<ServerState>, headers: HeaderMap, BodyBytes(body): BodyBytes) -> Response<Body> {
    try_create(&state, &headers, &body).await.unwrap_or_else(|refused| refused.to_response(error_body))
}

async fn try_create(state: &ServerState, headers: &HeaderMap, body: &[u8]) -> Result<Response<Body>, ApiError> {
    let wanted = request::parse(&fields::parse_object(body)?)?;
    let framing = if wanted.stream { Framing::Sse } else { Framing::Buffered };
    vendor::respond(state, headers, wanted, framing, |session, options| {
        Box::new(AnthropicEncoder::new(message_id(session), options))
    })
    .await
}

async fn count_tokens(BodyBytes(body): BodyBytes) -> Response<Body> {
    let wanted = fields::parse_object(&body).and_then(|fields| request::parse(&fields));
    match wanted {
        Ok(wanted) => json_response(200, &json!({ "input_tokens": wanted.prompt_tokens })),
        Err(refused) => refused.to_response(error_body),
    }
}

/// Clients look whether the server is there.
async fn hello() -> JsonBody<Json> {
    JsonBody(json!({ "message": "hello" }))
}

fn message_id(session: &SessionId) -> String {
    let letters: String = session.as_str().chars().filter(char::is_ascii_alphanumeric).collect();
    format!("msg_{letters}")
}

/// An error in Anthropic's format.
fn error_body(refused: &ApiError) -> Json {
    let mut body = error_json(refused.status, &refused.message);
    if refused.code == request::THREAD_UNSUPPORTED_CODE {
        body["error"]["details"] = json!({"error_code": refused.code, "unsupported": ["thread"]});
    }
    body
}
