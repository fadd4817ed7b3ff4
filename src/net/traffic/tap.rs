//! What hears the bytes of every stream on their way, for a file, for the ring, or for both.

use std::io;
use std::path::Path;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, stream};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::file;
use super::line::{RECORDING_FORMAT, RECORDING_KIND, RecordLine, WEBSOCKET_CONTENT_TYPE, redact_url};
use super::ring::TrafficRing;
use crate::dialect::ResponseHead;
use crate::event::Millis;
use crate::net::failure::RequestFailure;
use crate::net::redact::Redactor;
use crate::net::redact::bytes::ByteRedactor;
use crate::net::request::{HttpMethod, HttpRequest};

/// Hears the bytes of every stream. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TrafficTap {
    lines: Option<mpsc::Sender<RecordLine>>,
    ring: Option<TrafficRing>,
    started_at: Instant,
}

impl TrafficTap {
    /// Returns a tap and what it hears; a reader that waits makes the stream wait.
    pub fn new() -> (Self, mpsc::Receiver<RecordLine>) {
        // Capacity 64: reads of a few kB that wait for the disk.
        let (lines, heard) = mpsc::channel(64);
        (Self { lines: Some(lines), ring: None, started_at: Instant::now() }, heard)
    }

    /// Lets a reel keep the newest bytes.
    pub fn to_ring(reel: TrafficRing) -> Self {
        Self { lines: None, ring: Some(reel), started_at: Instant::now() }
    }

    /// Lets a reel keep the newest bytes, too.
    #[must_use]
    pub fn with_ring(self, reel: TrafficRing) -> Self {
        Self { ring: Some(reel), ..self }
    }

    /// Begins a recording in a file, which is made or replaced and is the owner's alone. It is written by the future.
    pub async fn to_file(path: &Path) -> io::Result<(Self, BoxFuture<'static, ()>)> {
        let file = file::create(path).await?;
        let (tap, heard) = Self::new();
        let path = path.display().to_string();
        let writing = async move {
            if let Err(error) = file::write(file, heard).await {
                tracing::error!("the recording {path} is incomplete: {error}");
            }
        };
        Ok((tap, Box::pin(writing)))
    }

    /// What only memory keeps is shown to the person as it came, but for the secrets that we sent.
    fn byte_redactor(&self, secrets: &Redactor) -> ByteRedactor {
        if self.lines.is_some() { secrets.file_redactor() } else { secrets.byte_redactor() }
    }

    fn now(&self) -> Millis {
        self.started_at.elapsed().into()
    }

    /// Says that an answer began, and returns its bytes, heard on the way.
    pub(in crate::net) async fn record(
        self,
        call: &HttpRequest,
        head: &ResponseHead,
        body: BoxStream<'static, Result<Bytes, RequestFailure>>,
    ) -> BoxStream<'static, Result<Bytes, RequestFailure>> {
        let answer = RecordLine::Response {
            kind: RECORDING_KIND.to_owned(),
            format: RECORDING_FORMAT,
            at: self.now(),
            method: if call.method == HttpMethod::Get { "GET" } else { "POST" }.to_owned(),
            url: redact_url(&call.url),
            status: head.status().unwrap_or_default(),
            content_type: head.header("content-type").unwrap_or_default().to_owned(),
        };
        let number = self.ring.as_ref().map_or(0, |reel| reel.begin_response_to(call));
        self.emit(number, answer).await;
        let secrets = Redactor::for_request(call);
        let pieces = self.byte_redactor(&secrets);
        // In a box, since it is moved with every piece.
        stream::unfold(Some(Box::new((self, body, secrets, pieces))), move |state| async move {
            let mut state = state?;
            let (tap, body, secrets, pieces) = &mut *state;
            let next = body.next().await;
            let kept = match &next {
                Some(Ok(bytes)) => pieces.push(tap.now(), bytes),
                Some(Err(_)) | None => pieces.finish(),
            };
            for (at, bytes) in kept {
                tap.emit(number, RecordLine::from_bytes_redacted(at, bytes, secrets)).await;
            }
            let end = match &next {
                Some(Ok(_)) => None,
                Some(Err(failure)) => Some(failure.fault.message.clone()),
                None => Some("eof".to_owned()),
            };
            let is_last = end.is_some();
            if let Some(end) = end {
                tap.emit(number, RecordLine::End { at: tap.now(), end }).await;
            }
            next.map(|next| (next, (!is_last).then_some(state)))
        })
        .boxed()
    }

    /// Begins to hear a feed that runs beside the streams. It is there to be looked at: a recording can't hold two at
    /// once. None where nobody could look.
    pub(in crate::net) fn open_side_channel(&self, call: &HttpRequest) -> Option<SideChannelTap> {
        let reel = self.ring.clone()?;
        let number = reel.begin_side_channel(call);
        let answer = RecordLine::Response {
            kind: RECORDING_KIND.to_owned(),
            format: RECORDING_FORMAT,
            at: self.now(),
            method: "GET".to_owned(),
            url: redact_url(&call.url).replacen("http", "ws", 1),
            status: 101,
            content_type: WEBSOCKET_CONTENT_TYPE.to_owned(),
        };
        reel.push(number, answer);
        Some(SideChannelTap {
            ring: reel,
            response: number,
            started_at: self.started_at,
            redactor: Redactor::for_request(call),
            is_closed: false,
        })
    }

    /// Begins to hear what no server sends: `method` says how it comes, `place` from where.
    pub async fn begin_local(&self, method: &str, place: &str) -> LocalTap {
        let head = RecordLine::Response {
            kind: RECORDING_KIND.to_owned(),
            format: RECORDING_FORMAT,
            at: self.now(),
            method: method.to_owned(),
            url: place.to_owned(),
            status: 200,
            content_type: String::new(),
        };
        let response = self.ring.as_ref().map_or(0, TrafficRing::begin_response);
        self.emit(response, head).await;
        let redactor = Redactor::for_registered();
        LocalTap { tap: self.clone(), response, pieces: self.byte_redactor(&redactor), redactor }
    }

    async fn emit(&self, answer: u64, line: RecordLine) {
        match (&self.lines, &self.ring) {
            (Some(lines), reel) => {
                if let Some(reel) = reel {
                    reel.push(answer, line.clone());
                }
                // Nobody listens any more: the recording broke, the conversation goes on.
                let _ = lines.send(line).await;
            }
            (None, Some(reel)) => reel.push(answer, line),
            (None, None) => {}
        }
    }
}

/// Hears bytes that come from this machine.
pub struct LocalTap {
    tap: TrafficTap,
    response: u64,
    redactor: Redactor,
    pieces: ByteRedactor,
}

impl LocalTap {
    pub async fn push(&mut self, bytes: &[u8]) {
        let kept = self.pieces.push(self.tap.now(), &Bytes::copy_from_slice(bytes));
        self.emit(kept).await;
    }

    /// Records the end: `eof`, or why nothing more was read.
    pub async fn end(mut self, why: &str) {
        let kept = self.pieces.finish();
        self.emit(kept).await;
        self.tap.emit(self.response, RecordLine::End { at: self.tap.now(), end: why.to_owned() }).await;
    }

    async fn emit(&self, pieces: Vec<(Millis, Vec<u8>)>) {
        for (at, bytes) in pieces {
            self.tap.emit(self.response, RecordLine::from_bytes_redacted(at, bytes, &self.redactor)).await;
        }
    }
}

/// Hears a feed of messages.
#[derive(Debug)]
pub(in crate::net) struct SideChannelTap {
    ring: TrafficRing,
    response: u64,
    started_at: Instant,
    redactor: Redactor,
    is_closed: bool,
}

impl SideChannelTap {
    /// Keeps a message as a line of its own; what breaks lines in it is only white space to JSON.
    pub(in crate::net) fn record_message(&self, text: &str) {
        let line = format!("{}\n", text.replace(['\n', '\r'], " "));
        self.ring.push(
            self.response,
            RecordLine::from_bytes_redacted(self.started_at.elapsed().into(), line.into_bytes(), &self.redactor),
        );
    }

    pub(in crate::net) fn record_end(&mut self, why: &str) {
        if !std::mem::replace(&mut self.is_closed, true) {
            self.ring
                .push(self.response, RecordLine::End { at: self.started_at.elapsed().into(), end: why.to_owned() });
        }
    }
}

impl Drop for SideChannelTap {
    fn drop(&mut self) {
        self.record_end("no longer listened to");
    }
}
