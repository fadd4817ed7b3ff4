//! Serving: the in-process agent behind HTTP, in the dialects that others speak and in our own.
//!
//! Every request is answered from a session: the one-shot surfaces open one of their own ([`ask::Ask`], run by
//! `oneshot`), the native surface shares one among any number of clients. Knows sessions only as
//! [`crate::bridge::Live`]; who makes them is the house's business ([`factory::Factory`]).
//!
//! A surface is one file: its routes, what it makes of a request, how it refuses one. To add one, write the file and
//! a row in `SURFACES`. A handler takes [`State`] and the body as `guard::Whole`, makes an [`ask::Ask`] of it, and
//! ends in `oneshot::run(&state, ask, framing, |session| encoder)`, whose refusal it gives its own shape. Other hands:
//! `oneshot::again` (a stream once more, without the frames that the client has; also from the log of an earlier run),
//! `oneshot::told` (all facts of a session), `oneshot::cancel`, `oneshot::stays` (what the client says of staying).

pub mod ask;
pub mod factory;
pub mod refuse;

mod chat;
mod enclava;
mod fields;
mod flow;
mod guard;
mod info;
mod native;
mod offered;
mod oneshot;
mod responses;
mod room;
mod run;
mod seats;
mod state;
mod stream;

pub use run::run;
pub use state::{Limits, Settings, State, Tokens};

use axum::Router;

use refuse::Shape;

/// A group of routes that speak alike.
struct Surface {
    routes: fn() -> Router<State>,
    /// The paths below which it refuses in its own shape.
    under: &'static [&'static str],
    shape: Shape,
}

const SURFACES: &[Surface] =
    &[info::SURFACE, native::SURFACE, chat::SURFACE, responses::SURFACE, enclava::SURFACE, stream::SURFACE];

/// Puts all surfaces together, behind the checks that each request must pass.
pub fn routes(state: State) -> Router {
    let mut all = Router::new();
    for surface in SURFACES {
        all = all.merge((surface.routes)());
    }
    all.fallback(guard::nowhere)
        .method_not_allowed_fallback(guard::not_so)
        .layer(axum::middleware::from_fn_with_state(state.clone(), guard::check))
        .with_state(state)
}

/// Returns how requests of a path are refused.
fn shape_of(path: &str) -> Shape {
    let fits = |under: &&&str| path.strip_prefix(**under).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let surfaces = SURFACES.iter().flat_map(|surface| surface.under.iter().map(move |under| (under, surface.shape)));
    let fitting = surfaces.filter(|(under, _)| fits(under));
    fitting.max_by_key(|(under, _)| under.len()).map_or(refuse::plain, |(_, shape)| shape)
}
