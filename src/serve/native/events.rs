//! A session's events as an SSE stream: each named by its type, with its number as id and the line of the log as data.
//!
//! Besides the numbered events, without an id: `caught-up` after the history, `weather` when the status changes,
//! `reset` when the client must discard its events. Nothing is ever dropped silently.

use std::collections::BTreeMap;
use std::io::Write as _;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, Query, State as Shared};
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::http::{HeaderMap, Response, StatusCode};
use serde::Deserialize;
use tokio::sync::watch;

use super::client_name::{MAX_NAMED_WATCHERS, watcher_name, watcher_names};
use super::{NativeResult, error_response};
use crate::bridge::hub::{Hub, Subscription};
use crate::bridge::{HubItem, LoggedEvent, SessionHandle};
use crate::event::{Command, Seq, SessionId, SessionStatus};
use crate::serve::access::Access;
use crate::serve::error::ApiError;
use crate::serve::oneshot::disable_buffering;
use crate::serve::running_session::{ReaderGuard, WatcherGuard};
use crate::serve::state::ServerState;
use crate::serve::stream_body::{self, BodySource, MAX_WRITE_BYTES};

/// Events taken at once; those of a client that is behind are read for it alone.
const MAX_BATCH_EVENTS: usize = 128;

#[derive(Debug, Deserialize)]
pub(super) struct EventsQuery {
    /// The first number to send.
    from: Option<String>,
}

pub(super) async fn stream_events(
    Shared(state): Shared<ServerState>,
    Extension(access): Extension<Access>,
    Path(id): Path<String>,
    Query(from): Query<EventsQuery>,
    headers: HeaderMap,
) -> NativeResult {
    let id = SessionId::from(id.as_str());
    let after = resume_seq(&from, &headers).map_err(error_response)?;
    let (live, watching) = find_session(&state, &id, access, &headers).await.map_err(error_response)?;
    let last = live.hub.last_seq();
    if live.hub.is_closed() && after == last && last > Seq(0) {
        let mut nothing = Response::new(Body::empty());
        *nothing.status_mut() = StatusCode::NO_CONTENT;
        return Ok(nothing);
    }
    // A recording starts when the first client connects.
    if state.take_first_visit(&id) {
        let _ = live.commands.try_send(Command::SetPaused { paused: false });
    }
    // A client with a greater number than exists has events of something else.
    let beyond = after > last;
    let subscription = live.hub.subscribe(if beyond { Seq(0) } else { after });
    let stream = SessionStream {
        batch: Vec::new(),
        events: subscription,
        hub: live.hub.clone(),
        status: live.status.clone(),
        is_status_open: true,
        status_changed: false,
        reset_pending: beyond,
        history_end: Some(last),
        has_ended: false,
        is_new: true,
        watched: watching,
    };
    let mut response = Response::new(stream_body::body(stream));
    let kind = HeaderValue::from_static("text/event-stream; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    disable_buffering(response.headers_mut());
    Ok(response)
}

/// Read-only clients don't reopen sessions: one that isn't running is read as it is.
async fn find_session(
    state: &ServerState,
    id: &SessionId,
    access: Access,
    headers: &HeaderMap,
) -> Result<(SessionHandle, Option<WatchedSession>), ApiError> {
    if access == Access::Read && state.find_running(id).is_none() {
        return Ok((state.read_saved(id).await?, None));
    }
    match state.get_or_reopen(id).await {
        Ok(session) => {
            let watching = WatchedSession {
                watchers: session.watchers(),
                _reading: session.add_reader(),
                _watching: session.add_watcher(watcher_name(headers)),
            };
            Ok((session.handle.clone(), Some(watching)))
        }
        Err(refused) if refused.code == "only_read" => Ok((state.read_saved(id).await?, None)),
        Err(refused) => Err(refused),
    }
}

/// A session that runs while it is watched, and who else watches it.
struct WatchedSession {
    watchers: watch::Receiver<BTreeMap<u64, String>>,
    _reading: ReaderGuard,
    _watching: WatcherGuard,
}

impl WatchedSession {
    /// Waits until others watch; never ready without a session that runs, and while so many do that telling it would be
    /// most of what is sent. Cancel-safe.
    async fn changed(watched: &mut Option<Self>) {
        let Some(watched) = watched else { return std::future::pending().await };
        while watched.watchers.changed().await.is_ok() {
            if watched.watchers.borrow().len() <= MAX_NAMED_WATCHERS {
                return;
            }
        }
        std::future::pending::<()>().await;
    }
}

/// Returns the number after which the client wants to continue.
fn resume_seq(from: &EventsQuery, headers: &HeaderMap) -> Result<Seq, ApiError> {
    let number = |name: &str, text: &str| {
        text.trim()
            .parse::<u64>()
            .map_err(|_| ApiError::bad_request(format!("{name} must be the number of an event")).with_param(name))
    };
    if let Some(id) = headers.get("last-event-id").filter(|id| !id.is_empty()) {
        return number("Last-Event-ID", id.to_str().unwrap_or_default()).map(Seq);
    }
    match &from.from {
        Some(text) => number("from", text).map(|first| Seq(first.saturating_sub(1))),
        None => Ok(Seq(0)),
    }
}

struct SessionStream {
    events: Subscription,
    batch: Vec<HubItem>,
    hub: Hub,
    status: watch::Receiver<SessionStatus>,
    is_status_open: bool,
    /// The status changed and was not sent yet.
    status_changed: bool,
    /// The client must discard its events.
    reset_pending: bool,
    /// Where the history ends; `None` once that was sent.
    history_end: Option<Seq>,
    has_ended: bool,
    is_new: bool,
    watched: Option<WatchedSession>,
}

impl BodySource for SessionStream {
    async fn ready(&mut self) {
        if self.is_new {
            return;
        }
        // Events come before status.
        tokio::select! {
            biased;
            more = self.events.next_batch(MAX_BATCH_EVENTS, &mut self.batch), if self.batch.is_empty() => self.has_ended = !more,
            // The status counts as seen from here on.
            changed = self.status.changed(), if self.is_status_open => {
                self.is_status_open = changed.is_ok();
                self.status_changed = true;
            }
            () = WatchedSession::changed(&mut self.watched) => self.status_changed = true,
        }
    }

    fn write(&mut self, out: &mut Vec<u8>) -> bool {
        self.is_new = false;
        if std::mem::take(&mut self.reset_pending) {
            self.write_control("reset", "{}", out);
        }
        loop {
            for delivery in std::mem::take(&mut self.batch) {
                match delivery {
                    HubItem::Event(event) => {
                        write_event(&event, out);
                        self.check_caught_up(event.envelope.seq, out);
                    }
                    HubItem::Reset => {
                        self.write_control("reset", "{}", out);
                        self.history_end = Some(self.hub.last_seq());
                    }
                }
            }
            if out.len() >= MAX_WRITE_BYTES || !self.events.try_next_batch(MAX_BATCH_EVENTS, &mut self.batch) {
                break;
            }
        }
        let seq = self.events.seq();
        self.check_caught_up(seq, out);
        if self.history_end.is_none() && (self.status_changed || self.status.has_changed().unwrap_or(false)) {
            self.write_status(out);
        }
        !self.has_ended
    }

    fn write_keep_alive(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b": keep-alive\n\n");
    }
}

impl SessionStream {
    fn check_caught_up(&mut self, seq: Seq, out: &mut Vec<u8>) {
        if self.history_end.is_some_and(|until| seq >= until) {
            self.history_end = None;
            self.write_status(out);
            self.write_control("caught-up", "{}", out);
        }
    }

    fn write_status(&mut self, out: &mut Vec<u8>) {
        self.status_changed = false;
        let mut status = self.status.borrow_and_update().clone();
        if let Some(watched) = &mut self.watched {
            status.watchers = watcher_names(&watched.watchers.borrow_and_update());
        }
        if let Ok(text) = serde_json::to_string(&status) {
            self.write_control("weather", &text, out);
        }
    }

    #[expect(clippy::unused_self, reason = "reads as what it does")]
    fn write_control(&self, name: &str, data: &str, out: &mut Vec<u8>) {
        // Writing into memory doesn't fail.
        let _ = write!(out, "event: {name}\ndata: {data}\n\n");
    }
}

/// JSON has no raw newlines, so a log line is one line of data.
fn write_event(event: &LoggedEvent, out: &mut Vec<u8>) {
    let kind = event.envelope.event.kind();
    let named = !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let kind = if named { kind } else { "unknown" };
    let _ = write!(out, "event: {kind}\nid: {}\ndata: ", event.envelope.seq.0);
    out.extend_from_slice(&event.line);
    out.extend_from_slice(b"\n\n");
}
