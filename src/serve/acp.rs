//! Our agent in the Agent Client Protocol, version 1, for editors that start it and talk over its standard streams, and
//! for clients of the server at `/acp`.
//!
//! `machine` decides what is answered and knows no IO, `prompt` reads blocks of content, `session` follows one session,
//! `driver` has the sessions and their events, and `stdio` and `remote` carry the messages. What an event looks like is
//! `dialect::acp`'s.
//!
//! Beyond the protocol: `_meta.jarvis-tui.seq` of an update is the number of the last event that is whole with it, and
//! `session/load` with `_meta.jarvis-tui.after` sends only what follows that number.
//!
//! Source: agentclientprotocol.com, schema 1.20, and its RFD about a transport over HTTP and WebSocket.

mod driver;
mod listing;
mod machine;
mod options;
mod permission;
mod prompt;
mod remote;
mod replies;
mod session;
mod stdio;
mod streams;

pub(super) use remote::SURFACE;
pub use stdio::run;
