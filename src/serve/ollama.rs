//! Ollama's API: `/api/chat`, `/api/generate` and what its clients ask before: `/api/version`, `/api/tags`, `/api/ps`
//! and `/api/show`.
//!
//! Tools are the client's; only under the agent's name and without `tools` are they ours. Sizes and digests of files
//! are made up, since there are no files. Models can't be pulled, made or removed.

mod request;

use std::fmt::Write as _;

use axum::body::Body;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, Response};
use axum::routing::{get, post};
use axum::{Json as JsonBody, Router};
use serde_json::json;

use self::request::OllamaRequest;
use super::Surface;
use super::access::BodyBytes;
use super::error::ApiError;
use super::factory::Model;
use super::fields;
use super::models::{find_model, list_models};
use super::oneshot::Framing;
use super::responses::json_response;
use super::state::ServerState;
use super::vendor;
use crate::dialect::ollama::encode::{OllamaApi, OllamaEncoder, error_json};
use crate::dialect::wall_time::rfc3339;
use crate::event::Json;

pub(super) const SURFACE: Surface = Surface { routes, path_prefixes: &["/api"], error_format: error_body };

/// The version whose API this is: clients compare it with what they need.
const OLLAMA_VERSION: &str = "0.13.0";

type OllamaResult = Result<Response<Body>, ApiError>;

fn routes() -> Router<ServerState> {
    Router::new()
        .route("/api/version", get(async || JsonBody(json!({ "version": OLLAMA_VERSION }))))
        .route("/api/tags", get(tags))
        .route("/api/ps", get(running))
        .route("/api/show", post(show))
        .route("/api/chat", post(chat))
        .route("/api/generate", post(generate))
}

async fn tags(Shared(state): Shared<ServerState>) -> JsonBody<Json> {
    let models = list_models(&state).await;
    JsonBody(json!({ "models": models.iter().map(row).collect::<Vec<_>>() }))
}

/// The agent and the model behind it need no loading.
async fn running(Shared(state): Shared<ServerState>) -> JsonBody<Json> {
    let loaded = |model: &Model| {
        let mut row = row(model);
        row["expires_at"] = "9999-12-31T00:00:00Z".into();
        row["size_vram"] = 0.into();
        row
    };
    let models = list_models(&state).await;
    JsonBody(json!({ "models": models.iter().take(2).map(loaded).collect::<Vec<_>>() }))
}

async fn show(Shared(state): Shared<ServerState>, BodyBytes(body): BodyBytes) -> Response<Body> {
    let answer = async {
        let fields = fields::parse_object(&body)?;
        let name = fields::get_string(&fields, "model", "")?.or(fields::get_string(&fields, "name", "")?);
        let name = name.ok_or_else(|| fields::missing_field("model"))?;
        let model = find_model(&state, name)
            .await
            .map_err(|refused| ApiError { message: format!("model '{name}' not found"), ..refused })?;
        Ok(json_response(200, &details(&model)))
    };
    to_response(answer.await)
}

async fn chat(Shared(state): Shared<ServerState>, headers: HeaderMap, BodyBytes(body): BodyBytes) -> Response<Body> {
    to_response(answer(&state, &headers, &body, OllamaApi::Chat).await)
}

async fn generate(
    Shared(state): Shared<ServerState>,
    headers: HeaderMap,
    BodyBytes(body): BodyBytes,
) -> Response<Body> {
    to_response(answer(&state, &headers, &body, OllamaApi::Generate).await)
}

async fn answer(state: &ServerState, headers: &HeaderMap, body: &[u8], api: OllamaApi) -> OllamaResult {
    let fields = &fields::parse_object(body)?;
    let wanted = match api {
        OllamaApi::Chat => request::parse_chat(fields)?,
        OllamaApi::Generate => request::parse_generate(fields)?,
    };
    match wanted {
        OllamaRequest::Load { model } => Ok(json_response(200, &loaded(&model, api))),
        OllamaRequest::Ask(wanted) => {
            let framing = if wanted.stream { Framing::Ndjson } else { Framing::Buffered };
            vendor::respond(state, headers, *wanted, framing, |_, options| Box::new(OllamaEncoder::new(api, options)))
                .await
        }
    }
}

/// The answer to a request that only loads or unloads a model.
fn loaded(model: &str, api: OllamaApi) -> Json {
    let mut line = json!({"model": model, "created_at": rfc3339(0), "done": true, "done_reason": "load"});
    match api {
        OllamaApi::Chat => line["message"] = json!({"role": "assistant", "content": ""}),
        OllamaApi::Generate => line["response"] = "".into(),
    }
    line
}

fn row(model: &Model) -> Json {
    json!({
        "name": model.id,
        "model": model.id,
        "modified_at": rfc3339(0),
        "size": 0,
        "digest": digest(&model.id),
        "details": model_details(model),
    })
}

fn details(model: &Model) -> Json {
    json!({
        "modelfile": "",
        "parameters": "",
        "template": "",
        "details": model_details(model),
        "model_info": {"general.architecture": model.engine, "general.basename": model.id},
        "capabilities": ["completion", "tools", "thinking", "vision"],
        "modified_at": rfc3339(0),
    })
}

fn model_details(model: &Model) -> Json {
    json!({
        "parent_model": "",
        "format": "",
        "family": model.engine,
        "families": [model.engine],
        "parameter_size": "",
        "quantization_level": "",
    })
}

/// Returns a digest of the usual length (FNV-1a, 64 bits, of the name with each of four numbers).
fn digest(name: &str) -> String {
    let hash = |part: u8| {
        name.bytes()
            .chain([part])
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    };
    let mut digest = String::with_capacity(64);
    for part in 0..4 {
        // Writing to a string can't fail.
        let _ = write!(digest, "{:016x}", hash(part));
    }
    digest
}

fn to_response(answer: OllamaResult) -> Response<Body> {
    answer.unwrap_or_else(|refused| refused.to_response(error_body))
}

/// An error in Ollama's format.
fn error_body(refused: &ApiError) -> Json {
    error_json(&refused.message)
}
