//! Sockets: the HTTP client, server-sent events, retry. The only module that opens connections.

pub mod call;
