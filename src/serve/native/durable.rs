//! A session's events as a durable stream, the read side of that protocol: `GET /v1/sessions/{id}/stream` catches up,
//! waits (`live=long-poll`) or follows (`live=sse`) from an offset on, `HEAD` tells where the stream ends.
//!
//! The stream is of JSON; a message is a line of the log. An offset is the number of the event before it. The stream of
//! a one-shot session closes with its turn; the others may always go on. Nobody writes to it but the session.

mod query;

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, Query, State as Shared};
use axum::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, Response, StatusCode};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use self::query::{LiveMode, StreamOffset, StreamQuery, cursor, is_same_tag, offset_after};
use super::error_response;
use crate::bridge::hub::{Hub, Subscription};
use crate::bridge::{HubItem, LoggedEvent, new_uuid};
use crate::event::{Command, Seq, SessionId};
use crate::serve::access::Access;
use crate::serve::error::ApiError;
use crate::serve::running_session::{ReaderGuard, RunningSession, SessionKind};
use crate::serve::state::ServerState;
use crate::serve::stream_body::{self, BodySource, MAX_WRITE_BYTES};

const NEXT_OFFSET: HeaderName = HeaderName::from_static("stream-next-offset");
const UP_TO_DATE: HeaderName = HeaderName::from_static("stream-up-to-date");
const CURSOR: HeaderName = HeaderName::from_static("stream-cursor");
const CLOSED: HeaderName = HeaderName::from_static("stream-closed");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const TRUE: HeaderValue = HeaderValue::from_static("true");

/// Events taken at once.
const MAX_BATCH_EVENTS: usize = 512;
/// Approximate limit of the events of a response, or of one message of a stream.
const MAX_CHUNK_BYTES: usize = 256 << 10;
/// How long a long poll waits for an event.
const LONG_POLL_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a reader follows before it has to come back.
const MAX_SSE_DURATION: Duration = Duration::from_mins(1);

/// A stream as a reader finds it.
struct OpenStream {
    hub: Hub,
    /// It closes with its session.
    is_one_shot: bool,
    _reading: Option<ReaderGuard>,
}

/// Events in a row.
struct StreamChunk {
    events: Vec<Arc<LoggedEvent>>,
    next: Seq,
    is_tail: bool,
    /// Nothing will ever follow.
    is_closed: bool,
}

pub(super) async fn read_stream(
    Shared(state): Shared<ServerState>,
    Extension(access): Extension<Access>,
    Path(id): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Response<Body> {
    let id = SessionId::from(id.as_str());
    let read = async {
        let query = StreamQuery::parse(&query)?;
        match query.live {
            LiveMode::CatchUp => catch_up(&state, &id, access, query, &headers).await,
            LiveMode::LongPoll => long_poll(&state, &id, access, query).await,
            LiveMode::Sse => follow(&state, &id, access, query).await,
        }
    };
    secured(read.await.unwrap_or_else(error_response))
}

pub(super) async fn describe_stream(
    Shared(state): Shared<ServerState>,
    Extension(access): Extension<Access>,
    Path(id): Path<String>,
) -> Response<Body> {
    let id = SessionId::from(id.as_str());
    let described = open(&state, &id, access, false).await.map(|stream| {
        let last = stream.hub.last_seq();
        let is_closed = stream.is_one_shot && stream.hub.is_closed();
        let mut response = json_response(Body::empty(), last);
        mark_end(response.headers_mut(), false, is_closed);
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        insert_tag(response.headers_mut(), &entity_tag(&id, Seq(0), last, is_closed));
        response
    });
    secured(described.unwrap_or_else(error_response))
}

/// Refuses to write.
pub(super) async fn refuse_write() -> Response<Body> {
    let text = "this stream is written by its session only: send commands to /v1/sessions/ID/commands, open sessions \
                with POST /v1/sessions";
    let mut response = error_response(ApiError::new(405, "method_not_allowed", text));
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    secured(response)
}

async fn catch_up(
    state: &ServerState,
    id: &SessionId,
    access: Access,
    query: StreamQuery,
    headers: &HeaderMap,
) -> Result<Response<Body>, ApiError> {
    let stream = open(state, id, access, false).await?;
    let StreamOffset::After(after) = query.offset else {
        let last = stream.hub.last_seq();
        let mut response = json_response(Body::from("[]"), last);
        mark_end(response.headers_mut(), true, stream.is_one_shot && stream.hub.is_closed());
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        return Ok(response);
    };
    let mut events = stream.subscribe(after)?;
    let chunk = stream.take_chunk(&mut events);
    let tag = entity_tag(id, after, chunk.next, chunk.is_closed);
    let known = headers.get(IF_NONE_MATCH).and_then(|known| known.to_str().ok());
    let mut response = if known.is_some_and(|known| is_same_tag(known, &tag)) {
        let mut response = json_response(Body::empty(), chunk.next);
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        json_response(Body::from(chunk.to_json()), chunk.next)
    };
    // More may follow on the last one.
    let caching = if chunk.is_tail && !chunk.is_closed {
        "private, no-cache"
    } else {
        "private, max-age=60, stale-while-revalidate=300"
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(caching));
    mark_end(headers, chunk.is_tail, chunk.is_closed);
    insert_tag(headers, &tag);
    Ok(response)
}

async fn long_poll(
    state: &ServerState,
    id: &SessionId,
    access: Access,
    query: StreamQuery,
) -> Result<Response<Body>, ApiError> {
    let stream = open(state, id, access, true).await?;
    let after = stream.start(query.offset);
    let mut events = stream.subscribe(after)?;
    let mut chunk = stream.take_chunk(&mut events);
    if chunk.events.is_empty() && !chunk.is_closed {
        let until = Instant::now() + LONG_POLL_TIMEOUT;
        let mut batch = Vec::new();
        let waited = tokio::select! {
            waited = timeout_at(until, events.next_batch(MAX_BATCH_EVENTS, &mut batch)) => waited,
            () = state.shutdown().cancelled() => Ok(false),
        };
        if waited == Ok(false) && !stream.is_one_shot {
            // It is read as it is, or was released: a client that asks again at once would never rest.
            tokio::select! {
                () = sleep_until(until) => {}
                () = state.shutdown().cancelled() => {}
            }
        }
        chunk = stream.chunk_of(batch, chunk.next, &mut events);
    }
    let mut response = json_response(Body::empty(), chunk.next);
    if chunk.events.is_empty() {
        *response.status_mut() = StatusCode::NO_CONTENT;
        response.headers_mut().remove(CONTENT_TYPE);
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    } else {
        *response.body_mut() = Body::from(chunk.to_json());
        let caching = HeaderValue::from_static("private, max-age=60, stale-while-revalidate=300");
        response.headers_mut().insert(CACHE_CONTROL, caching);
        insert_tag(response.headers_mut(), &entity_tag(id, after, chunk.next, chunk.is_closed));
    }
    mark_end(response.headers_mut(), chunk.is_tail, chunk.is_closed);
    response.headers_mut().insert(CURSOR, HeaderValue::from(next_cursor(query.cursor)));
    Ok(response)
}

async fn follow(
    state: &ServerState,
    id: &SessionId,
    access: Access,
    query: StreamQuery,
) -> Result<Response<Body>, ApiError> {
    let stream = open(state, id, access, true).await?;
    let after = stream.start(query.offset);
    let events = stream.subscribe(after)?;
    let following = DurableFollower {
        stream,
        events,
        batch: Vec::new(),
        next: after,
        cursor: query.cursor,
        until: Instant::now() + MAX_SSE_DURATION,
        shutdown: state.shutdown().clone(),
        is_new: true,
        is_hub_over: false,
        has_ended: false,
    };
    let mut response = Response::new(stream_body::body(following));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    crate::serve::oneshot::disable_buffering(headers);
    Ok(response)
}

/// Finds a session. Who follows one that can go on has it reopened.
async fn open(state: &ServerState, id: &SessionId, access: Access, is_live: bool) -> Result<OpenStream, ApiError> {
    let of_running = |session: &RunningSession| OpenStream {
        hub: session.handle.hub.clone(),
        is_one_shot: matches!(session.kind, SessionKind::OneShot { .. }),
        _reading: Some(session.add_reader()),
    };
    if let Some(session) = state.find_running(id) {
        // A recording starts when the first client connects.
        if is_live && state.take_first_visit(id) {
            let _ = session.handle.commands.try_send(Command::SetPaused { paused: false });
        }
        return Ok(of_running(&session));
    }
    let is_one_shot = state.factory().is_one_shot(id).await;
    if is_live && access == Access::Full && !is_one_shot {
        match state.get_or_reopen(id).await {
            Ok(session) => return Ok(of_running(&session)),
            Err(refused) if refused.code == "only_read" => {}
            Err(refused) => return Err(refused),
        }
    }
    let saved = state.read_saved(id).await?;
    Ok(OpenStream { hub: saved.hub, is_one_shot, _reading: None })
}

impl OpenStream {
    fn start(&self, offset: StreamOffset) -> Seq {
        match offset {
            StreamOffset::After(seq) => seq,
            StreamOffset::Now => self.hub.last_seq(),
        }
    }

    fn subscribe(&self, after: Seq) -> Result<Subscription, ApiError> {
        let last = self.hub.last_seq();
        if after > last {
            let text = format!("this stream ends at {}: start again from -1", offset_after(last));
            return Err(ApiError::new(410, "offset_gone", text).with_param("offset"));
        }
        Ok(self.hub.subscribe(after))
    }

    /// Takes what there is, up to a size.
    fn take_chunk(&self, events: &mut Subscription) -> StreamChunk {
        let next = events.seq();
        self.chunk_of(Vec::new(), next, events)
    }

    /// Makes a chunk of a batch and what follows it.
    fn chunk_of(&self, mut batch: Vec<HubItem>, next: Seq, events: &mut Subscription) -> StreamChunk {
        // Before the rest is taken: what a closed one has is all there.
        let is_over = self.is_one_shot && self.hub.is_closed();
        let mut chunk = StreamChunk { events: Vec::new(), next, is_tail: false, is_closed: false };
        let mut bytes = 0;
        loop {
            for item in batch.drain(..) {
                // A recording that goes back to its start tells the same again.
                if let HubItem::Event(event) = item
                    && event.envelope.seq > chunk.next
                {
                    bytes += event.line.len();
                    chunk.next = event.envelope.seq;
                    chunk.events.push(event);
                }
            }
            if bytes >= MAX_CHUNK_BYTES || !events.try_next_batch(MAX_BATCH_EVENTS, &mut batch) {
                break;
            }
        }
        chunk.is_tail = chunk.next >= self.hub.last_seq();
        chunk.is_closed = is_over && chunk.is_tail;
        chunk
    }
}

impl StreamChunk {
    fn to_json(&self) -> Vec<u8> {
        let mut out = vec![b'['];
        for (nth, event) in self.events.iter().enumerate() {
            if nth > 0 {
                out.push(b',');
            }
            out.extend_from_slice(&event.line);
        }
        out.push(b']');
        out
    }
}

/// A reader that follows.
struct DurableFollower {
    stream: OpenStream,
    events: Subscription,
    batch: Vec<HubItem>,
    next: Seq,
    cursor: Option<u64>,
    until: Instant,
    shutdown: CancellationToken,
    is_new: bool,
    /// No event follows, though the session may be opened again.
    is_hub_over: bool,
    has_ended: bool,
}

impl BodySource for DurableFollower {
    async fn ready(&mut self) {
        if self.is_new {
            return;
        }
        tokio::select! {
            biased;
            more = self.events.next_batch(MAX_BATCH_EVENTS, &mut self.batch), if self.batch.is_empty() && !self.is_hub_over => {
                self.is_hub_over = !more;
                self.has_ended = !more && self.stream.is_one_shot;
            }
            () = sleep_until(self.until) => self.has_ended = true,
            () = self.shutdown.cancelled(), if self.is_hub_over => self.has_ended = true,
        }
    }

    fn write(&mut self, out: &mut Vec<u8>) -> bool {
        let is_first = std::mem::take(&mut self.is_new);
        while out.len() < MAX_WRITE_BYTES {
            let chunk = self.stream.chunk_of(std::mem::take(&mut self.batch), self.next, &mut self.events);
            self.next = chunk.next;
            let is_told = out.is_empty() && is_first;
            if !chunk.events.is_empty() {
                // JSON has no raw newlines, so the messages are one line of data.
                out.extend_from_slice(b"event: data\ndata:");
                out.extend_from_slice(&chunk.to_json());
                out.extend_from_slice(b"\n\n");
            } else if !is_told && !chunk.is_closed {
                break;
            }
            self.write_control(&chunk, out);
            if chunk.is_closed {
                return false;
            }
            if chunk.is_tail {
                break;
            }
        }
        !self.has_ended
    }

    fn write_keep_alive(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b": keep-alive\n\n");
    }
}

impl DurableFollower {
    fn write_control(&mut self, chunk: &StreamChunk, out: &mut Vec<u8>) {
        let mut control = serde_json::json!({"streamNextOffset": offset_after(chunk.next)});
        if chunk.is_closed {
            control["streamClosed"] = true.into();
        } else {
            let cursor = next_cursor(self.cursor);
            self.cursor = Some(cursor);
            control["streamCursor"] = cursor.to_string().into();
        }
        if chunk.is_tail {
            control["upToDate"] = true.into();
        }
        // Writing into memory doesn't fail.
        let _ = write!(out, "event: control\ndata:{control}\n\n");
    }
}

fn next_cursor(client: Option<u64>) -> u64 {
    // The first 48 bits are the time in milliseconds, the last are random.
    let stamp = new_uuid().as_u128();
    cursor(
        u64::try_from(stamp >> 80).unwrap_or_default(),
        u64::try_from(stamp & 0xffff_ffff).unwrap_or_default(),
        client,
    )
}

fn entity_tag(id: &SessionId, from: Seq, to: Seq, is_closed: bool) -> String {
    format!("\"{id}:{}:{}{}\"", from.0, to.0, if is_closed { ":c" } else { "" })
}

fn insert_tag(headers: &mut HeaderMap, tag: &str) {
    if let Ok(tag) = HeaderValue::from_str(tag) {
        headers.insert(ETAG, tag);
    }
}

fn mark_end(headers: &mut HeaderMap, is_tail: bool, is_closed: bool) {
    if is_tail {
        headers.insert(UP_TO_DATE, TRUE);
    }
    if is_closed {
        headers.insert(CLOSED, TRUE);
    }
}

fn json_response(body: Body, next: Seq) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Ok(offset) = HeaderValue::from_str(&offset_after(next)) {
        response.headers_mut().insert(NEXT_OFFSET, offset);
    }
    response
}

/// No browser is to take what is here for something else.
fn secured(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    response
}
