//! Information about the server: health, readiness and tools.

use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::error;
use super::state::ServerState;
use super::{Surface, oneshot};

pub(super) const SURFACE: Surface = Surface { routes, path_prefixes: &[], error_format: error::native_error_body };

fn routes() -> Router<ServerState> {
    Router::new()
        .route("/health", get(health))
        .route("/healthz", get(health))
        .route("/readyz", get(readiness))
        .route("/v1/info", get(info))
        .route("/v1/tools", get(tools))
}

async fn health(Shared(state): Shared<ServerState>) -> Json<Value> {
    let status = if state.shutdown().is_cancelled() { "closing" } else { "ok" };
    Json(json!({ "status": status, "app": "jarvis-tui", "version": env!("CARGO_PKG_VERSION") }))
}

/// Says whether another session would be well here: 503 sends a balancer elsewhere.
async fn readiness(Shared(state): Shared<ServerState>) -> (StatusCode, Json<Value>) {
    let sessions = state.running_sessions();
    let status = if state.shutdown().is_cancelled() {
        "closing"
    } else if sessions.iter().any(|session| session.handle.status.borrow().save_error.is_some()) {
        "events can't be saved"
    } else if sessions.len() >= state.settings().limits.max_sessions
        && sessions.iter().all(|session| session.idle_since().is_none())
    {
        "full"
    } else {
        return (StatusCode::OK, Json(json!({ "status": "ok" })));
    };
    (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": status })))
}

async fn info(Shared(state): Shared<ServerState>) -> Json<Value> {
    let models = state.factory().models().await;
    let usual = models.first();
    let settings = state.settings();
    Json(json!({
        "name": "jarvis-tui",
        "version": env!("CARGO_PKG_VERSION"),
        "model": usual.map(|model| model.id.as_str()),
        "engine": usual.map(|model| model.engine.as_str()),
        "agent": "jarvis-tui",
        "read_only": settings.read_only,
        "sessions": { "running": state.running_sessions().len(), "most": settings.limits.max_sessions },
        "session_header": oneshot::SESSION_HEADER.as_str(),
    }))
}

async fn tools(Shared(state): Shared<ServerState>) -> Json<Value> {
    let tools = state.factory().tools().await;
    Json(json!({ "count": tools.len(), "tools": tools }))
}
