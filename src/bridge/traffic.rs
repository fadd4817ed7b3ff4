//! Raw frames for inspection: the recorded bytes, cut into frames with their times.
//!
//! Costs nothing until it is used: the bytes are cut on demand. Not for decoding, which happens where the stream is
//! received. A stream whose beginning was dropped is joined at its next whole frame.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io;
use std::path::Path;

use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::watch;

use crate::dialect::SseFrame;
use crate::event::Millis;
use crate::net::request::Framing;
use crate::net::sse;
use crate::net::traffic::{RecordLine, RingEntry, TrafficRing, WEBSOCKET_CONTENT_TYPE, save};

/// Bytes cut at once; the next batch continues from there.
const MAX_BATCH_BYTES: usize = 512 * 1024;

/// A reader of the frames. Clones read independently.
pub struct TrafficReader {
    ring: TrafficRing,
    changes: watch::Receiver<()>,
    next_entry: u64,
    responses: HashMap<u64, ResponseFramer>,
}

/// An item of a stream and when it came.
#[derive(Clone, Debug, PartialEq)]
pub struct TrafficItem {
    /// Since the program started.
    pub at: Millis,
    /// Since the response began.
    pub since_response: Millis,
    pub kind: TrafficItemKind,
}

#[derive(Clone, Debug, PartialEq)]
pub enum TrafficItemKind {
    /// A response began: the request, its status and content type.
    ResponseStarted {
        request: String,
        status: u16,
        content_type: String,
    },
    /// Named after its event or, if it has none, after the `type` or `kind` in its data.
    Frame {
        name: String,
        frame: SseFrame,
    },
    ResponseEnded(String),
}

/// What arrived since the last batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrafficBatch {
    pub items: Vec<TrafficItem>,
    /// Total bytes that were dropped before they could be read.
    pub dropped_bytes: u64,
}

struct ResponseFramer {
    frames: sse::FrameSplitter,
    started_at: Millis,
    /// While set, bytes are skipped up to the next frame end, which is this delimiter.
    resync_delimiter: Option<&'static [u8]>,
    is_broken: bool,
}

impl Clone for TrafficReader {
    fn clone(&self) -> Self {
        Self::new(self.ring.clone())
    }
}

impl TrafficReader {
    pub fn new(ring: TrafficRing) -> Self {
        let news = ring.subscribe();
        Self { ring, changes: news, next_entry: 0, responses: HashMap::new() }
    }

    /// Waits for traffic and returns it; the first calls return what was recorded before, batch by batch. Cancel-safe.
    pub async fn next_batch(&mut self) -> TrafficBatch {
        loop {
            self.changes.mark_unchanged();
            let taken = self.ring.read_from(self.next_entry, MAX_BATCH_BYTES);
            if !taken.entries.is_empty() {
                self.next_entry = taken.next;
                let mut cuts = Vec::new();
                for kept in taken.entries {
                    self.split_entry(kept, &mut cuts);
                }
                return TrafficBatch { items: cuts, dropped_bytes: taken.dropped_bytes };
            }
            if self.changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Writes the recorded traffic into a new recording file.
    pub async fn save(self, path: &Path) -> io::Result<()> {
        let lines = self.ring.recording_lines();
        if lines.is_empty() {
            return Err(io::Error::other("no frames yet"));
        }
        save(path, &lines).await
    }

    fn split_entry(&mut self, RingEntry { response: number, line }: RingEntry, out: &mut Vec<TrafficItem>) {
        let at = line.at();
        if let RecordLine::Response { method, url, status, content_type, .. } = line {
            let asked = format!("{method} {url}");
            self.responses.insert(number, ResponseFramer::new(at, &content_type));
            return out.push(TrafficItem {
                at,
                since_response: Millis(0),
                kind: TrafficItemKind::ResponseStarted { request: asked, status, content_type },
            });
        }
        let ring = &self.ring;
        let answer =
            self.responses.entry(number).or_insert_with(|| ResponseFramer::resynced(ring.response_head(number), at));
        let since = at.since(answer.started_at);
        let mut batch = Vec::new();
        let end = match &line {
            RecordLine::End { end, .. } => {
                answer.frames.finish(&mut batch);
                Some(end.clone())
            }
            piece => answer.push(&piece.bytes().unwrap_or_default(), &mut batch),
        };
        for mut frame in batch {
            ring.redact(number, &mut frame.data);
            out.push(TrafficItem {
                at,
                since_response: since,
                kind: TrafficItemKind::Frame { name: frame_name(&frame), frame },
            });
        }
        out.extend(end.map(|why| TrafficItem { at, since_response: since, kind: TrafficItemKind::ResponseEnded(why) }));
        if matches!(line, RecordLine::End { .. }) {
            self.responses.remove(&number);
        }
    }
}

impl ResponseFramer {
    fn new(began: Millis, content_type: &str) -> Self {
        let framing = if content_type == WEBSOCKET_CONTENT_TYPE { Framing::Ndjson } else { Framing::Any };
        Self {
            frames: sse::FrameSplitter::for_content_type(framing, content_type),
            started_at: began,
            resync_delimiter: None,
            is_broken: false,
        }
    }

    /// Creates a stream whose beginning was dropped.
    fn resynced(head: Option<RecordLine>, at: Millis) -> Self {
        let (began, content_type) = match head {
            Some(RecordLine::Response { at, content_type, .. }) => (at, content_type),
            _ => (at, String::new()),
        };
        let lines = ["ndjson", "jsonl", "jsonlines", "stream+json", WEBSOCKET_CONTENT_TYPE]
            .iter()
            .any(|kind| content_type.contains(kind));
        let joining: &[u8] = if lines { b"\n" } else { b"\n\n" };
        Self { resync_delimiter: Some(joining), ..Self::new(began, &content_type) }
    }

    /// Cuts `bytes` into frames. Returns, once, the reason why nothing more can be cut.
    fn push(&mut self, bytes: &[u8], out: &mut Vec<SseFrame>) -> Option<String> {
        if self.is_broken {
            return None;
        }
        let mut bytes = bytes;
        if let Some(end) = self.resync_delimiter {
            let at = bytes.windows(end.len()).position(|window| window == end)?;
            bytes = bytes.get(at + end.len()..).unwrap_or_default();
            self.resync_delimiter = None;
        }
        let broken = self.frames.push(bytes, out).err()?;
        self.is_broken = true;
        Some(format!("the server {broken}"))
    }
}

fn frame_name(frame: &SseFrame) -> String {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct FrameNameFields<'a> {
        #[serde(borrow, rename = "type")]
        type_name: Option<Cow<'a, str>>,
        #[serde(borrow)]
        event: Option<&'a RawValue>,
        #[serde(borrow)]
        result: Option<&'a RawValue>,
        #[serde(borrow, rename = "kind")]
        kind_name: Option<Cow<'a, str>>,
    }
    fn name_in(data: &str, depth: usize) -> Option<String> {
        let named: FrameNameFields<'_> = serde_json::from_str(data).ok()?;
        let own = named.type_name.or(named.kind_name).filter(|name| !name.is_empty());
        // Native envelopes and JSON-RPC messages are named after what they wrap.
        let inner = || named.event.or(named.result).filter(|_| depth > 0);
        own.map(Cow::into_owned).or_else(|| name_in(inner()?.get(), depth - 1))
    }
    let named = Some(frame.event.clone()).filter(|event| !event.is_empty());
    named.or_else(|| name_in(&frame.data, 1)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::traffic::{ATTACHED_RING_BYTES, RECORDING_FORMAT, RECORDING_KIND};

    fn head(content_type: &str) -> RecordLine {
        RecordLine::Response {
            kind: RECORDING_KIND.into(),
            format: RECORDING_FORMAT,
            at: Millis(5),
            method: "GET".into(),
            url: "http://h/x".into(),
            status: 200,
            content_type: content_type.into(),
        }
    }

    fn piece(at: u64, text: &str) -> RecordLine {
        RecordLine::Chunk { at: Millis(at), bytes: text.into(), encoding: None }
    }

    fn frame(at: u64, data: &str) -> TrafficItem {
        let what = TrafficItemKind::Frame { name: String::new(), frame: SseFrame::data(data) };
        TrafficItem { at: Millis(at), since_response: Millis(at - 5), kind: what }
    }

    #[tokio::test]
    async fn pieces_become_frames_with_the_time_of_their_last_byte() {
        let ring = TrafficRing::default();
        let mut frames = TrafficReader::new(ring.clone());
        let answer = ring.begin_response();
        ring.push(answer, head("text/event-stream"));
        ring.push(answer, piece(10, "data: a\n\ndata: "));
        ring.push(answer, piece(30, "b\n\n"));
        ring.push(answer, RecordLine::End { at: Millis(40), end: "eof".into() });
        let look = frames.next_batch().await;
        let began = TrafficItemKind::ResponseStarted {
            request: "GET http://h/x".into(),
            status: 200,
            content_type: "text/event-stream".into(),
        };
        let at = |at: u64, what| TrafficItem { at: Millis(at), since_response: Millis(at - 5), kind: what };
        assert_eq!(
            look.items,
            [at(5, began), frame(10, "a"), frame(30, "b"), at(40, TrafficItemKind::ResponseEnded("eof".into()))]
        );
    }

    #[tokio::test]
    async fn a_feed_of_messages_has_a_frame_a_message() {
        let ring = TrafficRing::default();
        let answer = ring.begin_response();
        ring.push(answer, head(WEBSOCKET_CONTENT_TYPE));
        ring.push(answer, piece(10, "{\"type\":\"tool_call_start\",\"data\":{}}\nno json\n"));
        let cuts = TrafficReader::new(ring).next_batch().await.items;
        let names = |cut: &TrafficItem| match &cut.kind {
            TrafficItemKind::Frame { name, frame } => Some((name.clone(), frame.data.clone())),
            _ => None,
        };
        let expected = [("tool_call_start", "{\"type\":\"tool_call_start\",\"data\":{}}"), ("", "no json")];
        assert_eq!(
            cuts.iter().filter_map(names).collect::<Vec<_>>(),
            expected.map(|(name, data)| (name.to_owned(), data.to_owned()))
        );
    }

    #[tokio::test]
    async fn two_streams_at_once_are_not_mixed_up() {
        let ring = TrafficRing::default();
        let (one, two) = (ring.begin_response(), ring.begin_response());
        for (answer, line) in [
            (one, head("text/event-stream")),
            (two, head("text/event-stream")),
            (one, piece(10, "data: a")),
            (two, piece(11, "data: x\n\n")),
            (one, piece(12, "b\n\n")),
        ] {
            ring.push(answer, line);
        }
        let look = TrafficReader::new(ring).next_batch().await;
        assert_eq!(look.items[2..], [frame(11, "x"), frame(12, "ab")]);
    }

    #[tokio::test]
    async fn a_stream_whose_start_fell_out_is_joined_at_a_whole_frame() {
        let ring = TrafficRing::default();
        ring.set_capacity(ATTACHED_RING_BYTES);
        let answer = ring.begin_response();
        ring.push(answer, head("text/event-stream"));
        ring.push(answer, piece(6, &"x".repeat(3_000_000)));
        ring.push(answer, piece(7, &format!("{}\n\ndata: a\n\n", "x".repeat(2_000_000))));
        ring.push(answer, piece(8, "data: b\n\n"));
        let mut frames = TrafficReader::new(ring);
        let mut cuts = frames.next_batch().await.items;
        cuts.extend(frames.next_batch().await.items);
        assert_eq!(cuts, [frame(7, "a"), frame(8, "b")]);
    }

    #[tokio::test]
    async fn what_was_kept_is_saved_as_a_recording() {
        let ring = TrafficRing::default();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("saved.jsonl");
        assert!(TrafficReader::new(ring.clone()).save(&path).await.is_err(), "there is nothing to save");
        ring.push(1, head("text/event-stream"));
        ring.push(1, piece(10, "data: a\n\n"));
        TrafficReader::new(ring.clone()).save(&path).await.unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
        assert!(TrafficReader::new(ring).save(&path).await.is_err(), "no file is written over");
    }
}
