//! Sockets: the HTTP client, framing, retry. The only module that opens connections.
//!
//! `request` says what to ask, `http` asks, `sse` cuts the answer's bytes into frames (behind `sse_lines` and `text_body`), `perform`
//! drives one call from the first try to its last event, `reconnect` watches a stream for as long as it lasts; both
//! wait by `watchdog`. `probe` asks several servers at once, `traffic` keeps the bytes in a file and the newest of
//! them in memory, `redact` keeps a call's secrets out of what comes back, `ws` listens to a server's
//! events or holds a conversation, and `message_streams` holds one over HTTP. A `cassette` records
//! what servers answer, or answers in their place.

pub mod backoff;
mod batch_reader;
pub mod cassette;
pub(crate) mod durable_stream;
mod error_text;
mod event_stream;
pub mod failure;
pub mod http;
pub mod message_streams;
pub mod perform;
pub mod probe;
pub mod reconnect;
pub mod redact;
pub mod request;
pub mod retry;
pub mod sse;
pub mod sse_lines;
mod text_body;
pub mod timeouts;
pub mod traffic;
mod watchdog;
pub mod ws;

pub use http::HttpClient;
pub use perform::{perform, perform_with_side_channel};
pub use redact::{EventRedactor, redact_registered, register_secret, register_secrets_of, registered_event_redactor};
pub use timeouts::RequestPolicy;
pub use watchdog::RequestEvent;
