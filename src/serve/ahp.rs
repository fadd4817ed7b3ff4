//! The Agent Host Protocol, version 1, as a host, at `/ahp` over WebSocket: editors that keep agents elsewhere open, watch
//! and drive our sessions.
//!
//! `machine` decides what is answered and knows no IO, `channels` what a subscriber gets, `dispatch` what a client may do, `session` holds one session,
//! `ledger` remembers which number of the protocol is which event, `origins` who caused an event, `names` what clients
//! call sessions; `host` is what connections share, and `driver` carries messages and has the sessions. What an event
//! looks like is `dialect::ahp`'s.
//!
//! The protocol numbers all that a client is sent in one row, our logs number each session. The ledger of a client maps
//! one to the other and outlives its connection: `reconnect` gets what was missed out of the logs, or, where the server
//! was started anew meanwhile, whole states.
//!
//! A session has one chat. Not here: chats beside it, tools of clients, files, terminals, changesets, automations.
//!
//! Source: microsoft.github.io/agent-host-protocol, and the types of its repository at 1.0.

mod channels;
mod dispatch;
mod driver;
mod host;
mod ledger;
mod listing;
mod machine;
mod names;
mod origins;
mod pending;
mod session;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State as Shared};
use axum::http::Response;
use axum::routing::get;
use axum::{Extension, Router};

use self::host::AhpHost;
use super::Surface;
use super::access::Access;
use super::error::{ApiError, native_error_body};
use super::state::ServerState;
use super::websocket;

pub(super) const SURFACE: Surface = Surface { routes, path_prefixes: &["/ahp"], error_format: native_error_body };

fn routes() -> Router<ServerState> {
    Router::new().route("/ahp", get(open)).layer(Extension(Arc::new(AhpHost::default())))
}

async fn open(
    Shared(state): Shared<ServerState>,
    Extension(host): Extension<Arc<AhpHost>>,
    Extension(access): Extension<Access>,
    request: Request,
) -> Response<Body> {
    open_socket(&state, host, access, request).unwrap_or_else(|refused| refused.to_response(native_error_body))
}

fn open_socket(
    state: &ServerState,
    host: Arc<AhpHost>,
    access: Access,
    request: Request,
) -> Result<Response<Body>, ApiError> {
    if !websocket::is_upgrade(request.headers()) {
        return Err(ApiError::new(426, "upgrade_required", "the Agent Host Protocol is spoken over a WebSocket"));
    }
    if access != Access::Full {
        return Err(ApiError::new(403, "read_only", "a WebSocket sends, and only watching is allowed here"));
    }
    let most = state.settings().limits.max_body_bytes;
    let server = state.clone();
    websocket::accept(state, request, most, |socket| driver::serve(server, host, socket))
}
