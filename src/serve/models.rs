//! `GET /v1/models` and `/v1/models/ID`, in OpenAI's format, or in that of the vendor whose headers a request has.
//!
//! The agent is listed under a name of its own before the models alone.

use axum::body::Body;
use axum::extract::{Path, State as Shared};
use axum::http::{HeaderMap, Response};
use axum::routing::get;
use axum::{Json as JsonBody, Router};
use serde_json::json;

use super::Surface;
use super::error::{ApiError, openai_error_body};
use super::factory::Model;
use super::model_names::{AGENT_MODEL, NamedModel};
use super::responses::json_response;
use super::state::ServerState;
use crate::dialect::{anthropic, gemini};
use crate::event::Json;

pub(super) const SURFACE: Surface = Surface { routes, path_prefixes: &["/v1/models"], error_format: openai_error_body };

fn routes() -> Router<ServerState> {
    Router::new().route("/v1/models", get(list)).route("/v1/models/{*id}", get(retrieve))
}

async fn list(Shared(state): Shared<ServerState>, headers: HeaderMap) -> JsonBody<Json> {
    JsonBody(ModelFormat::of(&headers).list(&list_models(&state).await))
}

async fn retrieve(Shared(state): Shared<ServerState>, headers: HeaderMap, Path(id): Path<String>) -> Response<Body> {
    ModelFormat::of(&headers).respond(&find_model(&state, &id).await)
}

/// Whose format models are told in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ModelFormat {
    OpenAi,
    Anthropic,
    Gemini,
}

impl ModelFormat {
    /// Returns that of the vendor whose clients send these headers.
    fn of(headers: &HeaderMap) -> Self {
        if headers.contains_key("anthropic-version") {
            Self::Anthropic
        } else if headers.contains_key("x-goog-api-client") || headers.contains_key("x-goog-api-key") {
            Self::Gemini
        } else {
            Self::OpenAi
        }
    }

    pub(super) fn list(self, models: &[Model]) -> Json {
        let rows: Vec<Json> = models.iter().map(|model| self.row(model)).collect();
        let id = |model: Option<&Model>| model.map(|model| model.id.clone());
        match self {
            Self::OpenAi => json!({"object": "list", "data": rows}),
            Self::Anthropic => {
                json!({"data": rows, "has_more": false, "first_id": id(models.first()), "last_id": id(models.last())})
            }
            Self::Gemini => json!({ "models": rows }),
        }
    }

    /// Responds with a model, or with why there is none.
    pub(super) fn respond(self, found: &Result<Model, ApiError>) -> Response<Body> {
        match found {
            Ok(model) => json_response(200, &self.row(model)),
            Err(refused) => refused.to_response(match self {
                Self::OpenAi => openai_error_body,
                Self::Anthropic => |refused| anthropic::encode::error_json(refused.status, &refused.message),
                Self::Gemini => |refused| gemini::encode::error_json(refused.status, &refused.message),
            }),
        }
    }

    fn row(self, model: &Model) -> Json {
        let id = model.id.as_str();
        match self {
            Self::OpenAi => json!({
                "id": id, "object": "model", "created": 0, "owned_by": model.engine, "remark": model.remark,
            }),
            Self::Anthropic => {
                json!({"type": "model", "id": id, "display_name": id, "created_at": "1970-01-01T00:00:00Z"})
            }
            Self::Gemini => json!({
                "name": format!("models/{id}"),
                "version": "1",
                "displayName": id,
                "description": model.remark,
                "supportedGenerationMethods": ["generateContent", "countTokens"],
            }),
        }
    }
}

/// Lists the agent and the models.
pub(super) async fn list_models(state: &ServerState) -> Vec<Model> {
    let models = state.factory().models().await;
    let usual = models.first();
    let agent = Model {
        id: AGENT_MODEL.into(),
        engine: usual.map_or_else(|| AGENT_MODEL.into(), |usual| usual.engine.clone()),
        remark: usual.map_or_else(String::new, |usual| format!("the agent with its own tools, on {}", usual.id)),
    };
    std::iter::once(agent).chain(models).collect()
}

/// Finds a model by the name that the list has.
pub(super) async fn find_model(state: &ServerState, id: &str) -> Result<Model, ApiError> {
    let models = list_models(state).await;
    let is_agent = NamedModel::parse(id) == NamedModel::parse(AGENT_MODEL);
    let found = models.into_iter().find(|model| model.id == id || (is_agent && model.id == AGENT_MODEL));
    found.ok_or_else(|| ApiError::new(404, "model_not_found", format!("unknown model {id:?}")).with_param("model"))
}
