//! PURE. A request as a value: engines describe a call, `net` makes it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use secrecy::SecretString;

/// One HTTP request and how its answer is framed.
#[derive(Clone, Debug)]
pub struct HttpRequest {
    pub method: HttpMethod,
    pub url: String,
    pub headers: Vec<(String, HttpHeaderValue)>,
    pub body: Option<Bytes>,
    pub framing: Framing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpMethod {
    Get,
    Post,
}

/// A header's value. Secrets print as dots and are marked sensitive on the wire.
#[derive(Clone, Debug)]
pub enum HttpHeaderValue {
    Plain(String),
    Secret(SecretString),
    /// A secret that is not set, by the name of what would hold it. Nothing is sent; a refusal says what to set.
    Unset(String),
}

/// How the answer's bytes are cut into frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    Sse,
    Ndjson,
    /// Whatever comes: the content type says, or the first bytes.
    Any,
}

/// What tells of an answer besides its stream. None of it may fail a turn.
#[derive(Clone, Debug)]
pub struct SideChannel {
    /// A feed of events, listened to while the answer comes.
    pub feed: HttpRequest,
    /// Asked once the answer is complete; the decoder gets the answers in this order.
    pub records: Vec<HttpRequest>,
    /// Whether it was said that the feed can't be had.
    pub has_reported_failure: Arc<AtomicBool>,
}
