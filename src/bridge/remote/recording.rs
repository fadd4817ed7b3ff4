//! Plays the bytes of streams from a file: a recording with its timing, or a stream saved as it came.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::response_feeder::{ResponseFeeder, SourceWords};
use super::{READ_BUFFER_BYTES, unreadable_error};
use crate::dialect::ResponseHead;
use crate::event::{Fault, FaultKind, Millis, NoticeCode, NoticeLevel, TurnOutcome};
use crate::net::RequestEvent;
use crate::net::reconnect::DecoderFactory;
use crate::net::sse_lines::LineSplitter;
use crate::net::traffic::{RECORDING_FORMAT, RECORDING_KIND, RecordLine, TrafficRing};

/// Longer pauses are shortened to this.
const MAX_PAUSE: Duration = Duration::from_hours(1);

const EMPTY_RESPONSE: &str = "the stream is empty: the server sent an empty response, as some do when the conversation is too long for the model; start a new session, or check the server's log";

/// Plays a file to its end. Each recorded response ends with one `End`.
pub(super) async fn play(
    path: &Path,
    paced: bool,
    ring: TrafficRing,
    decoders: DecoderFactory<'_>,
    out: &mpsc::Sender<RequestEvent>,
) {
    let start = Instant::now();
    let words = SourceWords { place: "the file".to_owned(), empty: EMPTY_RESPONSE.to_owned() };
    let feeder = ResponseFeeder::new(decoders, out, words);
    let mut player = RecordingPlayer { feeder, out, start, paced, ring, response_number: 0, has_skipped: false };
    let mut file = match tokio::fs::File::open(path).await {
        Ok(file) => file,
        Err(error) => return player.feeder.fail(TurnOutcome::Failed(unreadable_error(path, &error))).await,
    };
    let mut buffer = vec![0; READ_BUFFER_BYTES];
    let mut lines = LineSplitter::default();
    let mut mode = RecordingFormat::Unknown(Vec::new());
    loop {
        let read = match file.read(&mut buffer).await {
            Ok(read) => read,
            Err(error) => return player.feeder.fail(TurnOutcome::Failed(unreadable_error(path, &error))).await,
        };
        let bytes = buffer.get(..read).unwrap_or_default();
        if let RecordingFormat::Unknown(begun) = &mut mode {
            begun.extend_from_slice(bytes);
            if read > 0 && begun.len() < READ_BUFFER_BYTES && !begun.contains(&b'\n') {
                continue;
            }
            let begun = std::mem::take(begun);
            if begun.is_empty() {
                let fault = Fault::new(FaultKind::Internal, format!("{} is empty", path.display()));
                return player.feeder.fail(TurnOutcome::Failed(fault)).await;
            }
            mode = if is_recording(&begun) { RecordingFormat::Recording } else { RecordingFormat::Plain };
            let went_on = if matches!(mode, RecordingFormat::Recording) {
                player.feed_recording(&mut lines, &begun, read == 0).await
            } else {
                player.begin_plain_stream(path);
                player.feeder.begin_response(ResponseHead::default()).await;
                player.feed_plain(&begun).await
            };
            if !went_on {
                return;
            }
        } else {
            let went_on = match mode {
                RecordingFormat::Recording => player.feed_recording(&mut lines, bytes, read == 0).await,
                _ => player.feed_plain(bytes).await,
            };
            if !went_on {
                return;
            }
        }
        if read == 0 {
            break;
        }
    }
    player.feeder.finish_response().await;
}

enum RecordingFormat {
    Unknown(Vec<u8>),
    Recording,
    Plain,
}

fn is_recording(begun: &[u8]) -> bool {
    let line = begun.split(|byte| *byte == b'\n').next().unwrap_or_default();
    matches!(serde_json::from_slice(line), Ok(RecordLine::Response { kind, .. }) if kind == RECORDING_KIND)
}

struct RecordingPlayer<'a> {
    feeder: ResponseFeeder<'a>,
    out: &'a mpsc::Sender<RequestEvent>,
    start: Instant,
    paced: bool,
    /// Records the bytes as if they came over a network.
    ring: TrafficRing,
    /// The number of the response in the traffic ring.
    response_number: u64,
    /// Whether the person was told that lines are skipped.
    has_skipped: bool,
}

impl RecordingPlayer<'_> {
    /// Begins a stream that was saved without timing.
    fn begin_plain_stream(&mut self, path: &Path) {
        self.response_number = self.ring.begin_response();
        let line = RecordLine::Response {
            kind: RECORDING_KIND.to_owned(),
            format: RECORDING_FORMAT,
            at: Millis(0),
            method: "FILE".to_owned(),
            url: path.display().to_string(),
            status: 200,
            content_type: String::new(),
        };
        self.ring.push(self.response_number, line);
    }

    /// Feeds bytes of a stream that was saved without timing.
    async fn feed_plain(&mut self, bytes: &[u8]) -> bool {
        if !bytes.is_empty() {
            self.ring.push(self.response_number, RecordLine::from_bytes(self.start.elapsed().into(), bytes.to_vec()));
        }
        self.feeder.feed(bytes).await
    }

    /// Feeds the lines of a recording. Returns false if the receiver is gone or the file is broken.
    async fn feed_recording(&mut self, lines: &mut LineSplitter, bytes: &[u8], is_last: bool) -> bool {
        let mut whole = Vec::new();
        let pushed = lines.push(bytes, &mut |line| {
            whole.push(line.to_owned());
            Ok(())
        });
        if is_last {
            whole.extend(lines.take_partial_line());
        }
        for line in whole {
            if line.trim().is_empty() {
                continue;
            }
            let Ok(line) = serde_json::from_str::<RecordLine>(&line) else {
                if !std::mem::replace(&mut self.has_skipped, true) {
                    let text = "a line of the recording can't be read and is skipped";
                    self.feeder.notify(NoticeLevel::Warn, NoticeCode::Recording, text).await;
                }
                continue;
            };
            if self.paced {
                let at = Duration::from(line.at()).min(MAX_PAUSE.saturating_mul(24));
                tokio::select! {
                    () = self.out.closed() => return false,
                    () = sleep_until(self.start + at) => {}
                }
            }
            if matches!(line, RecordLine::Response { .. }) {
                self.response_number = self.ring.begin_response();
            }
            self.ring.push(self.response_number, line.clone());
            let went_on = match &line {
                RecordLine::Response { status, content_type, .. } => {
                    self.feeder.finish_response().await;
                    let headers = [("content-type", content_type.clone())];
                    self.feeder.begin_response(ResponseHead::new(*status, headers)).await;
                    true
                }
                RecordLine::Chunk { .. } => match line.bytes() {
                    Some(bytes) => self.feed_recorded(&bytes).await,
                    None => true,
                },
                RecordLine::End { .. } => {
                    self.feeder.finish_response().await;
                    true
                }
            };
            if !went_on {
                return false;
            }
        }
        match pushed {
            Ok(()) => true,
            Err(broken) => {
                self.feeder.fail_broken(broken).await;
                false
            }
        }
    }

    async fn feed_recorded(&mut self, bytes: &Bytes) -> bool {
        !self.feeder.is_in_response() || self.feeder.feed(bytes).await
    }
}
