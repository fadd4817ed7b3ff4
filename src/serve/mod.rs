//! The HTTP server: offers the in-process agent in the dialects of others and in our own.
//!
//! Every request is answered from a session: the one-shot surfaces open one of their own ([`request::OneShotRequest`],
//! run by `oneshot`), the native surface shares one among any number of clients. Sessions are known only as
//! [`crate::bridge::SessionHandle`]; the caller creates them ([`factory::Factory`]).
//!
//! A surface is one file: its routes, how it parses a request, how it formats an error. To add one, write the file and
//! a row in `SURFACES`. A handler takes [`ServerState`] and the body as `access::BodyBytes`, builds a
//! [`request::OneShotRequest`], and ends in `oneshot::run(&state, request, framing, |session| encoder)`, whose error it
//! converts to its own format. Other helpers: `oneshot::replay` (sends a stream again, without the frames that the
//! client has; also from the log of an earlier run), `oneshot::session_events` (all events of a session),
//! `oneshot::cancel`, `oneshot::should_keep_running` (the client's keep-running header).
//!
//! One client over the standard streams, in place of many over HTTP, is [`acp`]'s, too.

pub mod acp;
pub mod error;
pub mod factory;
pub mod model_names;
pub mod request;

mod a2a;
mod access;
mod ag_ui;
mod ahp;
mod approval_links;
mod chat;
mod client_tools;
mod connection_slots;
mod enclava;
mod fields;
mod gemini;
mod image_parts;
mod info;
mod link_table;
mod listener;
mod logins;
mod messages;
mod metrics;
mod models;
mod native;
mod ollama;
mod oneshot;
mod openjarvis;
mod output_formats;
mod page;
mod queued_responses;
mod read_links;
mod request_counts;
mod responses;
mod run;
mod running_chats;
mod running_session;
mod session_counts;
mod state;
mod stream;
mod stream_body;
mod turn_queue;
mod ui_stream;
mod vendor;
mod websocket;

pub use link_table::ApprovalLinkSettings;
pub use listener::{ServerListener, SocketFile};
pub use run::run;
pub use state::{Limits, ServerState, Settings, Tokens};

use std::sync::Arc;

use axum::Router;

use error::ErrorFormat;

/// A group of routes that share a format.
struct Surface {
    routes: fn() -> Router<ServerState>,
    /// Errors below these paths are in its format.
    path_prefixes: &'static [&'static str],
    error_format: ErrorFormat,
}

const SURFACES: &[Surface] = &[
    page::SURFACE,
    info::SURFACE,
    metrics::SURFACE,
    models::SURFACE,
    native::SURFACE,
    chat::SURFACE,
    responses::SURFACE,
    messages::SURFACE,
    ollama::SURFACE,
    gemini::SURFACE,
    enclava::SURFACE,
    stream::SURFACE,
    ui_stream::SURFACE,
    ag_ui::SURFACE,
    a2a::SURFACE,
    acp::SURFACE,
    ahp::SURFACE,
    approval_links::SURFACE,
];

/// Combines all surfaces, behind the checks that each request must pass.
pub fn routes(state: ServerState) -> Router {
    if state.settings().approval_links.is_some() {
        state.set_session_watcher(approval_links::watch);
    }
    let mut all = Router::new();
    for surface in SURFACES {
        all = all.merge((surface.routes)());
    }
    all.fallback(access::not_found)
        .method_not_allowed_fallback(access::method_not_allowed)
        .layer(axum::middleware::from_fn_with_state(state.clone(), ui_stream::intercept))
        .layer(axum::Extension(Arc::new(running_chats::RunningChats::default())))
        .layer(axum::Extension(Arc::new(ag_ui::RunningThreads::default())))
        .layer(axum::middleware::from_fn_with_state(state.clone(), access::check))
        .layer(axum::middleware::from_fn_with_state(state.clone(), metrics::count_requests))
        .with_state(state)
}

/// Returns the error format for a path.
fn error_format_for(path: &str) -> ErrorFormat {
    let fits = |under: &&&str| path.strip_prefix(**under).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let surfaces = SURFACES
        .iter()
        .flat_map(|surface| surface.path_prefixes.iter().map(move |under| (under, surface.error_format)));
    let fitting = surfaces.filter(|(under, _)| fits(under));
    fitting.max_by_key(|(under, _)| under.len()).map_or(error::native_error_body, |(_, shape)| shape)
}
