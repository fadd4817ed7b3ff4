//! Our agent in the Agent Client Protocol, version 1, for editors that start it and talk over its standard streams.
//!
//! `machine` decides what is answered and knows no IO, `prompt` reads blocks of content, `session` follows one session,
//! and `stdio` has the streams, the sessions and their events. What an event looks like is `dialect::acp`'s.
//!
//! Beyond the protocol: `_meta.jarvis-tui.seq` of an update is the number of the last event that is whole with it, and
//! `session/load` with `_meta.jarvis-tui.after` sends only what follows that number.
//!
//! Source: agentclientprotocol.com, schema 1.20.

mod listing;
mod machine;
mod permission;
mod prompt;
mod replies;
mod session;
mod stdio;

pub use stdio::run;
