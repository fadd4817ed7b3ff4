//! Links that show one session: made and taken back by clients with full access.

use axum::body::Body;
use axum::extract::{Path, State as Shared};
use axum::http::header::HOST;
use axum::http::{HeaderMap, Response};
use serde_json::json;

use super::{NativeResult, error_response, json_response};
use crate::event::SessionId;
use crate::serve::error::ApiError;
use crate::serve::state::ServerState;

/// Makes a link to a session.
pub(super) async fn create(
    Shared(state): Shared<ServerState>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> NativeResult {
    let made = async {
        let settings = state.settings();
        let Some(lifetime) = settings.read_link_lifetime else {
            let text = "links that show a session are off: set read_link_lifetime in [server], such as \"24h\"";
            return Err(ApiError::new(409, "off", text));
        };
        if settings.tokens.full.is_none() {
            let text = "everybody who reaches this server sees its sessions: set a token before making links";
            return Err(ApiError::new(409, "no_token", text));
        }
        let id = SessionId::from(id.as_str());
        if state.find_running(&id).is_none() {
            state.read_saved(&id).await?;
        }
        let token = state.read_links().add(id.clone(), lifetime).map_err(ApiError::internal)?;
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let origin = settings.public_origin.clone().unwrap_or_else(|| format!("http://{host}"));
        let url = format!("{origin}/#token={token}&session={id}");
        Ok(json_response(201, &json!({"token": token, "url": url, "seconds": lifetime.as_secs()})))
    };
    made.await.map_err(error_response)
}

/// Takes all links to a session back.
pub(super) async fn revoke(Shared(state): Shared<ServerState>, Path(id): Path<String>) -> Response<Body> {
    let count = state.read_links().revoke(&SessionId::from(id.as_str()));
    json_response(200, &json!({ "revoked": count }))
}
