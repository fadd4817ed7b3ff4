//! Plays the bytes of streams from a file: a recording with its timing, or a stream saved as it came.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::unreadable_error;
use crate::dialect::detect::can_begin_answer;
use crate::dialect::{Decode, ResponseHead, SseFrame};
use crate::event::{Fault, FaultKind, LinkState, Millis, NoticeCode, NoticeLevel, ReplyEvent, TurnOutcome};
use crate::net::RequestEvent;
use crate::net::reconnect::DecoderFactory;
use crate::net::request::Framing;
use crate::net::sse::FrameSplitter;
use crate::net::sse_lines::{FramingError, LineSplitter};
use crate::net::traffic::{RECORDING_FORMAT, RECORDING_KIND, RecordLine, TrafficRing};

/// Bytes per read.
const READ_BUFFER_BYTES: usize = 64 * 1024;
/// Longer pauses are shortened to this.
const MAX_PAUSE: Duration = Duration::from_hours(1);

/// Plays a file to its end. Each recorded response ends with one `End`.
pub(super) async fn play(
    path: &Path,
    paced: bool,
    ring: TrafficRing,
    decoders: DecoderFactory<'_>,
    out: &mpsc::Sender<RequestEvent>,
) {
    let start = Instant::now();
    let mut player = RecordingPlayer {
        decoder_factory: decoders,
        out,
        response: None,
        head: ResponseHead::default(),
        events: Vec::new(),
        start,
        paced,
        ring,
        response_number: 0,
        has_frames: false,
    };
    let mut file = match tokio::fs::File::open(path).await {
        Ok(file) => file,
        Err(error) => return player.fail(TurnOutcome::Failed(unreadable_error(path, &error))).await,
    };
    let mut buffer = vec![0; READ_BUFFER_BYTES];
    let mut lines = LineSplitter::default();
    let mut mode = RecordingFormat::Unknown(Vec::new());
    loop {
        let read = match file.read(&mut buffer).await {
            Ok(read) => read,
            Err(error) => return player.fail(TurnOutcome::Failed(unreadable_error(path, &error))).await,
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
                return player.fail(TurnOutcome::Failed(fault)).await;
            }
            mode = if is_recording(&begun) { RecordingFormat::Recording } else { RecordingFormat::Plain };
            let went_on = if matches!(mode, RecordingFormat::Recording) {
                player.feed_recording(&mut lines, &begun, read == 0).await
            } else {
                player.begin_plain_stream(path);
                player.begin_response(ResponseHead::default()).await;
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
    player.finish_response().await;
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
    decoder_factory: DecoderFactory<'a>,
    out: &'a mpsc::Sender<RequestEvent>,
    response: Option<(Box<dyn Decode>, FrameSplitter)>,
    head: ResponseHead,
    events: Vec<ReplyEvent>,
    start: Instant,
    paced: bool,
    /// Records the bytes as if they came over a network.
    ring: TrafficRing,
    /// The number of the response in the traffic ring.
    response_number: u64,
    /// Whether a frame of the response has arrived.
    has_frames: bool,
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
        self.feed_bytes(bytes).await
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
                self.notice("a line of the recording can't be read and is skipped");
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
                    self.finish_response().await;
                    let headers = [("content-type", content_type.clone())];
                    self.begin_response(ResponseHead::new(*status, headers)).await;
                    true
                }
                RecordLine::Chunk { .. } => match line.bytes() {
                    Some(bytes) => self.feed_recorded(&bytes).await,
                    None => true,
                },
                RecordLine::End { .. } => {
                    self.finish_response().await;
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
                self.fail_broken(broken).await;
                false
            }
        }
    }

    async fn feed_recorded(&mut self, bytes: &Bytes) -> bool {
        self.response.is_none() || self.feed_bytes(bytes).await
    }

    async fn begin_response(&mut self, head: ResponseHead) {
        let mut decode = (self.decoder_factory)();
        decode.begin_response(&head);
        self.response = Some((decode, FrameSplitter::for_content_type(Framing::Any, head.content_type())));
        self.head = head;
        let _ = self.out.send(RequestEvent::Link(LinkState::Live)).await;
    }

    async fn feed_bytes(&mut self, bytes: &[u8]) -> bool {
        let Some((decode, frames)) = &mut self.response else { return true };
        let mut batch: Vec<SseFrame> = Vec::new();
        let pushed = frames.push(bytes, &mut batch);
        for frame in &batch {
            self.has_frames = true;
            if decode.is_done() {
                // A trailing end mark or usage report, or what follows an error, doesn't begin a response.
                if !decode.begins_next(frame) || (decode.has_failed() && !can_begin_answer(frame)) {
                    continue;
                }
                // The stream contains another response.
                decode.finish(&mut self.events);
                *decode = (self.decoder_factory)();
                decode.begin_response(&self.head);
            }
            decode.decode_frame(frame, &mut self.events);
        }
        if let Err(broken) = pushed {
            self.fail_broken(broken).await;
            return false;
        }
        self.send_events().await
    }

    async fn fail_broken(&mut self, broken: FramingError) {
        if let Some((mut decode, _)) = self.response.take() {
            decode.finish(&mut self.events);
            if let Some(ReplyEvent::End { outcome: end }) = self.events.last_mut() {
                *end = TurnOutcome::Failed(broken.fault("the file"));
            }
        }
        self.send_events().await;
    }

    async fn finish_response(&mut self) {
        if let Some((mut decode, mut frames)) = self.response.take() {
            let mut batch = Vec::new();
            frames.finish(&mut batch);
            for frame in &batch {
                decode.decode_frame(frame, &mut self.events);
            }
            decode.finish(&mut self.events);
            let is_empty = !std::mem::take(&mut self.has_frames) && batch.is_empty();
            if let Some(ReplyEvent::End { outcome: end @ TurnOutcome::Interrupted }) = self.events.last_mut() {
                if is_empty {
                    let text = "the stream is empty: the server sent an empty response, as some do when the conversation is too long for the model; start a new session, or check the server's log";
                    *end = TurnOutcome::Failed(Fault::new(FaultKind::Protocol, text));
                } else {
                    let text = "the stream ends before the response is complete; the partial response is kept";
                    let notice =
                        ReplyEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::Cut, text: text.into() };
                    self.events.insert(self.events.len() - 1, notice);
                }
            }
            self.send_events().await;
            let _ = self.out.send(RequestEvent::Link(LinkState::Idle)).await;
        }
    }

    async fn fail(&mut self, end: TurnOutcome) {
        self.events.push(ReplyEvent::End { outcome: end });
        self.send_events().await;
    }

    fn notice(&mut self, text: &str) {
        let event = ReplyEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::Recording, text: text.to_owned() };
        if !self.events.contains(&event) {
            self.events.push(event);
        }
    }

    async fn send_events(&mut self) -> bool {
        for event in self.events.drain(..) {
            if self.out.send(RequestEvent::Event(event)).await.is_err() {
                return false;
            }
        }
        true
    }
}
