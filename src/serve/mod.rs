//! Serving: the in-process agent behind HTTP, in the dialects that others speak and in our own.
//!
//! Every request is answered from a session: the one-shot surfaces open one of their own ([`request::OneShotRequest`],
//! run by `oneshot`), the native surface shares one among any number of clients. Knows sessions only as
//! [`crate::bridge::SessionHandle`]; who makes them is the house's business ([`factory::Factory`]).
//!
//! A surface is one file: its routes, what it makes of a request, how it refuses one. To add one, write the file and
//! a row in `SURFACES`. A handler takes [`ServerState`] and the body as `access::BodyBytes`, makes a
//! [`request::OneShotRequest`] of it, and ends in `oneshot::run(&state, ask, framing, |session| encoder)`, whose
//! refusal it gives its own shape. Other hands: `oneshot::replay` (a stream once more, without the frames that the
//! client has; also from the log of an earlier run), `oneshot::session_events` (all facts of a session),
//! `oneshot::cancel`, `oneshot::should_keep_running` (what the client says of staying).

pub mod error;
pub mod factory;
pub mod request;

mod access;
mod chat;
mod client_tools;
mod connection_slots;
mod enclava;
mod fields;
mod info;
mod native;
mod oneshot;
mod responses;
mod run;
mod running_session;
mod state;
mod stream;
mod stream_body;

pub use run::run;
pub use state::{Limits, ServerState, Settings, Tokens};

use axum::Router;

use error::ErrorFormat;

/// A group of routes that speak alike.
struct Surface {
    routes: fn() -> Router<ServerState>,
    /// The paths below which it refuses in its own shape.
    path_prefixes: &'static [&'static str],
    error_format: ErrorFormat,
}

const SURFACES: &[Surface] =
    &[info::SURFACE, native::SURFACE, chat::SURFACE, responses::SURFACE, enclava::SURFACE, stream::SURFACE];

/// Puts all surfaces together, behind the checks that each request must pass.
pub fn routes(state: ServerState) -> Router {
    let mut all = Router::new();
    for surface in SURFACES {
        all = all.merge((surface.routes)());
    }
    all.fallback(access::not_found)
        .method_not_allowed_fallback(access::method_not_allowed)
        .layer(axum::middleware::from_fn_with_state(state.clone(), access::check))
        .with_state(state)
}

/// Returns how requests of a path are refused.
fn error_format_for(path: &str) -> ErrorFormat {
    let fits = |under: &&&str| path.strip_prefix(**under).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let surfaces = SURFACES
        .iter()
        .flat_map(|surface| surface.path_prefixes.iter().map(move |under| (under, surface.error_format)));
    let fitting = surfaces.filter(|(under, _)| fits(under));
    fitting.max_by_key(|(under, _)| under.len()).map_or(error::native_error_body, |(_, shape)| shape)
}
