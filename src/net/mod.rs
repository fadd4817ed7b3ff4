//! Sockets: the HTTP client, framing, retry. The only module that opens connections.
//!
//! `call` says what to ask, `http` asks, `sse` cuts the answer's bytes into frames (behind `guard`), `perform` drives
//! one call from the first try to its last event, `reconnect` watches a stream for as long as it lasts; both wait by
//! `vigil`. `probe` asks several servers at once, `record` keeps the bytes in a file and `reel` the newest of them in
//! memory, `redact` keeps a call's secrets out of what comes back, and `ws` listens to a server's events.

pub mod backoff;
pub mod call;
mod gather;
pub mod guard;
pub mod http;
pub mod perform;
pub mod probe;
pub mod reconnect;
pub mod record;
mod redact;
pub mod reel;
pub mod sse;
pub mod status;
mod vigil;
pub mod ws;

pub use http::Http;
pub use perform::{Heard, Patience, perform, perform_beside};
pub use redact::remember;
