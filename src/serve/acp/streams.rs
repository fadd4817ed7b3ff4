//! The event streams of a connection over HTTP: one of the connection and one of each session. A message waits in the
//! stream that it belongs to until the client reads it; who asks for a stream again takes it over.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep, timeout};

use super::driver::AcpOutput;
use crate::event::Json;
use crate::serve::stream_body::{self, BodySource, MAX_WRITE_BYTES};

/// Bytes that may wait for the client; more holds up the sessions of this connection.
const MAX_WAITING_BYTES: usize = 8 << 20;
/// How long they may wait for a client that reads nothing.
const STALL_TIMEOUT: Duration = Duration::from_mins(1);
/// How long a connection lives without its stream.
const ABANDONED_TIMEOUT: Duration = Duration::from_mins(1);
/// Requests whose answers are on their way.
const MAX_OPEN_REQUESTS: usize = 1000;
/// Streams of sessions in one connection.
const MAX_SESSION_STREAMS: usize = 256;

/// The streams of one connection.
pub(super) struct MessageStreams {
    table: Mutex<StreamTable>,
    /// Notified whenever something may be read, or was.
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct StreamTable {
    /// What waits in the connection's own stream, and in those of sessions by their names.
    own: WaitingMessages,
    sessions: HashMap<String, WaitingMessages>,
    waiting_bytes: usize,
    /// Where the answer of each request of the client goes, by its id.
    routes: HashMap<String, AnswerRoute>,
    is_closed: bool,
}

#[derive(Default)]
struct WaitingMessages {
    messages: VecDeque<String>,
    /// The number of who reads it; zero for nobody.
    reader: u64,
    reader_count: u64,
}

/// Where an answer goes.
pub(super) enum AnswerRoute {
    /// Back with the response of its request.
    Response(oneshot::Sender<Json>),
    Connection,
    Session(String),
}

impl MessageStreams {
    pub(super) fn new() -> Self {
        Self { table: Mutex::default(), changed: watch::Sender::new(()) }
    }

    /// Notes where the answer of a request goes. Returns false if too many wait.
    pub(super) fn expect(&self, id: &Json, route: AnswerRoute) -> bool {
        let mut table = self.lock();
        let has_room = table.routes.len() < MAX_OPEN_REQUESTS;
        if has_room {
            table.routes.insert(id.to_string(), route);
        }
        has_room
    }

    /// Returns the body of a stream: the connection's own, or that of a session. None once it is closed, or if there are
    /// too many.
    pub(super) fn open(self: &Arc<Self>, session: Option<String>) -> Option<Body> {
        let mut table = self.lock();
        let is_new = session.as_ref().is_some_and(|session| !table.sessions.contains_key(session));
        if table.is_closed || (is_new && table.sessions.len() >= MAX_SESSION_STREAMS) {
            return None;
        }
        let waiting = match &session {
            Some(session) => table.sessions.entry(session.clone()).or_default(),
            None => &mut table.own,
        };
        waiting.reader_count += 1;
        waiting.reader = waiting.reader_count;
        let reader = waiting.reader;
        drop(table);
        self.changed.send_replace(());
        let changed = self.changed.subscribe();
        Some(stream_body::body(StreamReader { streams: Arc::clone(self), session, reader, changed, has_opened: false }))
    }

    /// Ends every stream.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.send_replace(());
    }

    /// Waits until nobody has read the connection's stream for a while.
    pub(super) async fn abandoned(&self) {
        let mut changed = self.changed.subscribe();
        let is_read = || self.lock().own.reader != 0;
        loop {
            if is_read() {
                let _ = changed.changed().await;
                continue;
            }
            let read_again = async {
                while !is_read() {
                    let _ = changed.changed().await;
                }
            };
            if timeout(ABANDONED_TIMEOUT, read_again).await.is_err() {
                return;
            }
        }
    }

    fn push(&self, message: &Json) {
        let mut table = self.lock();
        let is_request = message.get("method").is_some();
        let route = if is_request {
            let session = message.pointer("/params/sessionId").and_then(Json::as_str);
            session.map_or(AnswerRoute::Connection, |session| AnswerRoute::Session(session.to_owned()))
        } else {
            let id = message.get("id").map(Json::to_string).unwrap_or_default();
            table.routes.remove(&id).unwrap_or(AnswerRoute::Connection)
        };
        let text = message.to_string();
        let bytes = text.len();
        match route {
            AnswerRoute::Response(answer) => {
                // Its client may have gone.
                let _ = answer.send(message.clone());
                return;
            }
            AnswerRoute::Connection => table.own.messages.push_back(text),
            AnswerRoute::Session(session) => table.sessions.entry(session).or_default().messages.push_back(text),
        }
        table.waiting_bytes += bytes;
    }

    fn has_room(&self) -> bool {
        let table = self.lock();
        table.is_closed || table.waiting_bytes < MAX_WAITING_BYTES
    }

    fn lock(&self) -> MutexGuard<'_, StreamTable> {
        // No code under this lock panics halfway, so the data behind a poisoned lock is intact.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StreamTable {
    fn waiting(&mut self, session: Option<&str>) -> Option<&mut WaitingMessages> {
        match session {
            Some(session) => self.sessions.get_mut(session),
            None => Some(&mut self.own),
        }
    }
}

/// Puts messages into the streams.
pub(super) struct StreamOutput(pub(super) Arc<MessageStreams>);

impl AcpOutput for StreamOutput {
    async fn send(&mut self, messages: Vec<Json>) -> io::Result<()> {
        let mut changed = self.0.changed.subscribe();
        for message in &messages {
            self.0.push(message);
        }
        self.0.changed.send_replace(());
        let room = async {
            while !self.0.has_room() {
                let _ = changed.changed().await;
            }
        };
        let stalled = |_| io::Error::new(io::ErrorKind::TimedOut, "the client does not read its streams");
        timeout(STALL_TIMEOUT, room).await.map_err(stalled)
    }
}

/// Who reads a stream.
struct StreamReader {
    streams: Arc<MessageStreams>,
    session: Option<String>,
    reader: u64,
    changed: watch::Receiver<()>,
    /// Something was sent: a client may wait for its stream to be open.
    has_opened: bool,
}

impl BodySource for StreamReader {
    async fn ready(&mut self) {
        while self.has_opened && self.is_quiet() {
            if self.changed.changed().await.is_err() {
                return sleep(STALL_TIMEOUT).await;
            }
        }
    }

    fn write(&mut self, out: &mut Vec<u8>) -> bool {
        self.changed.mark_unchanged();
        let mut table = self.streams.lock();
        let is_closed = table.is_closed;
        let Some(waiting) = table.waiting(self.session.as_deref()).filter(|waiting| waiting.reader == self.reader)
        else {
            return false;
        };
        let mut taken = 0;
        if !std::mem::replace(&mut self.has_opened, true) {
            out.extend_from_slice(b": open\n\n");
        }
        while out.len() < MAX_WRITE_BYTES
            && let Some(message) = waiting.messages.pop_front()
        {
            taken += message.len();
            out.extend_from_slice(b"data: ");
            out.extend_from_slice(message.as_bytes());
            out.extend_from_slice(b"\n\n");
        }
        let is_empty = waiting.messages.is_empty();
        table.waiting_bytes = table.waiting_bytes.saturating_sub(taken);
        drop(table);
        self.streams.changed.send_replace(());
        !(is_closed && is_empty)
    }

    fn write_keep_alive(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b": keep-alive\n\n");
    }
}

impl StreamReader {
    /// Returns whether there is nothing to write, and will be.
    fn is_quiet(&self) -> bool {
        let mut table = self.streams.lock();
        let is_closed = table.is_closed;
        let waiting = table.waiting(self.session.as_deref());
        !is_closed && waiting.is_some_and(|waiting| waiting.reader == self.reader && waiting.messages.is_empty())
    }
}

impl Drop for StreamReader {
    fn drop(&mut self) {
        let mut table = self.streams.lock();
        if let Some(waiting) = table.waiting(self.session.as_deref()).filter(|waiting| waiting.reader == self.reader) {
            waiting.reader = 0;
        }
        drop(table);
        self.streams.changed.send_replace(());
    }
}
