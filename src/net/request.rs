//! PURE. A request as a value: engines describe a call, `net` makes it.

use bytes::Bytes;
use secrecy::SecretString;

use crate::dialect::{Decode, SseFrame};
use crate::event::{Json, ReplyEvent};

/// One HTTP request and how its answer is framed.
#[derive(Clone, Debug)]
pub struct HttpRequest {
    pub method: HttpMethod,
    pub url: String,
    pub headers: Vec<(String, HttpHeaderValue)>,
    pub body: Option<Bytes>,
    pub framing: Framing,
}

impl HttpRequest {
    pub fn get(url: impl Into<String>, headers: Vec<(String, HttpHeaderValue)>, framing: Framing) -> Self {
        Self { method: HttpMethod::Get, url: url.into(), headers, body: None, framing }
    }

    pub fn post(
        url: impl Into<String>,
        headers: Vec<(String, HttpHeaderValue)>,
        body: impl Into<Bytes>,
        framing: Framing,
    ) -> Self {
        Self { method: HttpMethod::Post, url: url.into(), headers, body: Some(body.into()), framing }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpMethod {
    Get,
    Post,
    Put,
    Delete,
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

/// What belongs to an answer besides its stream, and how to read it. Only a request that the answer needs may fail a
/// turn.
///
/// It is handed out together with the decoder of the stream, and acts on that decoder's state.
pub trait SideChannel: Send + Sync {
    /// Returns the request for a feed of events, which is listened to while the answer comes.
    fn feed(&self) -> Option<&HttpRequest> {
        None
    }

    /// Returns the requests that a frame of the answer calls for, to be sent one after another. The answer needs them:
    /// where one fails, the turn does.
    fn answer_frame(&mut self, _frame: &SseFrame) -> Vec<HttpRequest> {
        Vec::new()
    }

    /// Returns the requests that are sent once the answer is complete.
    fn records(&self) -> &[HttpRequest] {
        &[]
    }

    /// Decodes an event of the feed.
    fn decode_feed(&mut self, _frame: &SseFrame, _decode: &mut (dyn Decode + 'static), _out: &mut Vec<ReplyEvent>) {}

    /// Decodes the responses for the records, in the order of the requests, before [`Decode::finish`]. Returns false
    /// while this answer is missing in them, so that they are worth requesting again.
    fn decode_records(
        &mut self,
        _records: &[Option<&Json>],
        _decode: &mut (dyn Decode + 'static),
        _out: &mut Vec<ReplyEvent>,
    ) -> bool {
        true
    }

    /// Returns what to say of a feed that can't be had; none where it has been said.
    fn report_unavailable(&mut self, _why: &str) -> Option<String> {
        None
    }
}
