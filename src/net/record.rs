//! The raw bytes of streams with their arrival times: kept in a file, and read back.
//!
//! A recording is JSONL. Each answer begins with a line that says what was asked (never with a secret: of an address
//! the values of its query and the password are left out, of headers everything) and how it was answered; then one
//! line for each piece of bytes as it came, and one that says how it ended. Whoever listens is slowed by a slow disk
//! rather than given holes.

use std::io;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::failure::RequestFailure;
use super::redact::Redactor;
use super::request::{HttpMethod, HttpRequest};
use super::traffic::TrafficRing;
use crate::event::Millis;
use crate::text::address::{origin, path_and_query};

/// What the first field of a recording's first line says.
pub const RECORDING_KIND: &str = "recording";
/// What stands for the content type of a feed of messages; each is a line.
pub const WEBSOCKET_CONTENT_TYPE: &str = "websocket";
/// The format this program writes.
pub const RECORDING_FORMAT: u32 = 1;

/// One line of a recording. Times count from the first request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RecordLine {
    Response {
        kind: String,
        format: u32,
        at: Millis,
        method: String,
        url: String,
        status: u16,
        content_type: String,
    },
    Chunk {
        at: Millis,
        bytes: String,
        /// `base64`, where the bytes are no text by themselves.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        encoding: Option<String>,
    },
    End {
        at: Millis,
        /// `eof`, or why the connection broke.
        end: String,
    },
}

impl RecordLine {
    fn from_bytes_redacted(at: Millis, bytes: Vec<u8>, secrets: &Redactor) -> Self {
        let mut piece = Self::from_bytes(at, bytes);
        if let Self::Chunk { bytes, encoding: None, .. } = &mut piece {
            secrets.redact(bytes);
        }
        piece
    }

    /// A piece of what no secret was sent for.
    pub fn from_bytes(at: Millis, bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(bytes) => Self::Chunk { at, bytes, encoding: None },
            Err(other) => {
                let bytes = STANDARD.encode(other.as_bytes());
                Self::Chunk { at, bytes, encoding: Some("base64".to_owned()) }
            }
        }
    }

    /// Returns the bytes of a piece; none if they can't be read.
    pub fn bytes(&self) -> Option<Bytes> {
        match self {
            Self::Chunk { bytes, encoding: None, .. } => Some(Bytes::from(bytes.clone())),
            Self::Chunk { bytes, encoding: Some(name), .. } if name == "base64" => {
                STANDARD.decode(bytes).ok().map(Bytes::from)
            }
            _ => None,
        }
    }

    /// Returns it as it stands in a file.
    fn to_jsonl(&self) -> io::Result<Vec<u8>> {
        let mut text = serde_json::to_vec(self).map_err(io::Error::from)?;
        text.push(b'\n');
        Ok(text)
    }

    /// Counts its time from another moment.
    fn relative_to(mut self, began: Millis) -> Self {
        let (Self::Response { at, .. } | Self::Chunk { at, .. } | Self::End { at, .. }) = &mut self;
        *at = at.since(began);
        self
    }

    pub fn at(&self) -> Millis {
        match self {
            Self::Response { at, .. } | Self::Chunk { at, .. } | Self::End { at, .. } => *at,
        }
    }
}

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

    /// Begins a recording in a file, which is made or replaced and is the owner's alone.
    pub async fn to_file(path: &Path, tasks: &mut JoinSet<()>) -> io::Result<Self> {
        let mut options = tokio::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        options.mode(0o600);
        let file = options.open(path).await?;
        let (tap, heard) = Self::new();
        let path = path.display().to_string();
        tasks.spawn(async move {
            if let Err(error) = write(file, heard).await {
                tracing::error!("the recording {path} is cut: {error}");
            }
        });
        Ok(tap)
    }

    fn now(&self) -> Millis {
        self.started_at.elapsed().into()
    }

    /// Says that an answer began, and returns its bytes, heard on the way.
    pub(super) async fn record(
        self,
        call: &HttpRequest,
        status: u16,
        content_type: &str,
        body: BoxStream<'static, Result<Bytes, RequestFailure>>,
    ) -> BoxStream<'static, Result<Bytes, RequestFailure>> {
        let answer = RecordLine::Response {
            kind: RECORDING_KIND.to_owned(),
            format: RECORDING_FORMAT,
            at: self.now(),
            method: if call.method == HttpMethod::Get { "GET" } else { "POST" }.to_owned(),
            url: redact_url(&call.url),
            status,
            content_type: content_type.to_owned(),
        };
        let number = self.ring.as_ref().map_or(0, |reel| reel.begin_response_to(call));
        self.emit(number, answer).await;
        let secrets = Redactor::for_request(call);
        let pieces = secrets.byte_redactor();
        stream::unfold(Some((self, body, secrets, pieces)), move |state| async move {
            let (tap, mut body, secrets, mut pieces) = state?;
            let next = body.next().await;
            let kept = match &next {
                Some(Ok(bytes)) => pieces.push(tap.now(), bytes),
                Some(Err(_)) | None => pieces.finish(),
            };
            for (at, bytes) in kept {
                tap.emit(number, RecordLine::from_bytes_redacted(at, bytes, &secrets)).await;
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
            next.map(|next| (next, (!is_last).then_some((tap, body, secrets, pieces))))
        })
        .boxed()
    }

    /// Begins to hear a feed that runs beside the streams. It is there to be looked at: a recording can't hold two at
    /// once. None where nobody could look.
    pub(super) fn open_side_channel(&self, call: &HttpRequest) -> Option<SideChannelTap> {
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

/// Hears a feed of messages.
#[derive(Debug)]
pub(super) struct SideChannelTap {
    ring: TrafficRing,
    response: u64,
    started_at: Instant,
    redactor: Redactor,
    is_closed: bool,
}

impl SideChannelTap {
    /// Keeps a message as a line of its own; what breaks lines in it is only white space to JSON.
    pub(super) fn record_message(&self, text: &str) {
        let line = format!("{}\n", text.replace(['\n', '\r'], " "));
        self.ring.push(
            self.response,
            RecordLine::from_bytes_redacted(self.started_at.elapsed().into(), line.into_bytes(), &self.redactor),
        );
    }

    pub(super) fn record_end(&mut self, why: &str) {
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

/// Writes lines as a recording that begins with the first of them into a file that must not exist yet; the owner's alone.
pub async fn save(path: &Path, lines: &[RecordLine]) -> io::Result<()> {
    let mut options = tokio::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    options.mode(0o600);
    let mut file = tokio::io::BufWriter::new(options.open(path).await?);
    let began = lines.first().map_or(Millis(0), RecordLine::at);
    for line in lines {
        file.write_all(&line.clone().relative_to(began).to_jsonl()?).await?;
    }
    file.flush().await
}

async fn write(file: tokio::fs::File, mut heard: mpsc::Receiver<RecordLine>) -> io::Result<()> {
    let mut file = tokio::io::BufWriter::new(file);
    let mut batch = Vec::new();
    while heard.recv_many(&mut batch, 64).await > 0 {
        for line in batch.drain(..) {
            file.write_all(&line.to_jsonl()?).await?;
        }
        // A program that is killed leaves a recording all the same.
        file.flush().await?;
    }
    Ok(())
}

/// Returns an address without password and without the values of its query, which may be keys.
pub fn redact_url(url: &str) -> String {
    let (whole, _) = url.split_once('#').unwrap_or((url, ""));
    let (path, query) = match whole.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (whole, None),
    };
    let names: Vec<&str> = query
        .into_iter()
        .flat_map(|query| query.split('&'))
        .map(|pair| pair.split('=').next().unwrap_or_default())
        .collect();
    let query = if names.is_empty() { String::new() } else { format!("?{}", names.join("&")) };
    format!("{}{}{query}", origin(path), path_and_query(path).0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_what_may_be_secret() {
        assert_eq!(redact_url("https://me:pw@h:1/a/b?api_key=s3&stream=true#x"), "https://h:1/a/b?api_key&stream");
        assert_eq!(redact_url("http://h"), "http://h");
    }

    #[test]
    fn any_bytes_come_back_as_they_were() {
        let none = Redactor::for_request(&HttpRequest {
            method: HttpMethod::Get,
            url: String::new(),
            headers: Vec::new(),
            body: None,
            framing: crate::net::request::Framing::Any,
        });
        for bytes in [&b"data: \xf0\x9f\x98\x80\n\n"[..], b"\xf0\x9f", b"\xff\xfe\0", b"", b"\"\\\n"] {
            let line = RecordLine::from_bytes_redacted(Millis(7), bytes.to_vec(), &none);
            let again: RecordLine = serde_json::from_str(&serde_json::to_string(&line).unwrap()).unwrap();
            assert_eq!(again, line);
            assert_eq!(again.bytes().unwrap(), bytes);
        }
        let text = r#"{"at":3,"bytes":"!","encoding":"base64"}"#;
        assert_eq!(serde_json::from_str::<RecordLine>(text).unwrap().bytes(), None);
    }
}
