//! An answer's bytes to frames: server-sent events, one JSON value a line, AWS's binary event streams, or the pieces of a
//! plain text.
//!
//! The event parser is given one finished block at a time, one whole line per item, so it keeps nothing between
//! events. A server that answers a request for a stream with one JSON object is understood too: that is one frame.

use std::convert::Infallible;

use eventsource_stream::EventStream;
use futures_util::{FutureExt, StreamExt, stream};
use serde_json::value::RawValue;

use super::durable_stream::DurableStream;
use super::event_stream::{self, EventStreamSplitter};
use super::request::Framing;
use super::sse_lines::{FramingError, LineSplitter, MAX_FRAME_BYTES, SseBlock, SseBlockParser};
use super::text_body::TextSplitter;
use crate::dialect::{SseFrame, error};

/// How the text of a block ends: the end of its last line, and the empty line.
const BLOCK_END: &str = "\n\n";
/// Bytes of a first line that is waited for, to tell a line of JSON from a text that begins like one.
const MAX_UNDECIDED_BYTES: usize = 64 * 1024;

/// Cuts the bytes of one answer into frames, whatever the size of the reads.
#[derive(Debug)]
pub struct FrameSplitter {
    max_bytes: usize,
    body: BodyParser,
    /// Whether the first byte that means anything was seen.
    is_decided: bool,
    strays: String,
    durable: DurableStream,
}

#[derive(Debug)]
enum BodyParser {
    Events {
        parser: SseBlockParser,
        blocks: Vec<SseBlock>,
    },
    Lines(LineSplitter),
    /// A text without frames: a frame is what came at once.
    Text(TextSplitter),
    /// Frames of bytes.
    Binary(EventStreamSplitter),
    /// One JSON value where a stream was asked for.
    SingleJson(Vec<u8>),
    /// Not enough to tell lines from events, or in what is called a text, either from text.
    Undecided {
        begun: Vec<u8>,
        is_text: bool,
    },
}

impl FrameSplitter {
    pub fn new(framing: Framing) -> Self {
        Self::for_content_type(framing, "")
    }

    /// Cuts an answer of this content type, which counts where the framing was left open.
    pub fn for_content_type(framing: Framing, content_type: &str) -> Self {
        Self::with_max_bytes(framing, content_type, MAX_FRAME_BYTES)
    }

    /// The same with lines and events of so many bytes accepted.
    pub fn with_max_bytes(framing: Framing, content_type: &str, cap: usize) -> Self {
        let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let body = match (framing, kind.as_str()) {
            (Framing::Sse, _) | (Framing::Any, "text/event-stream") => BodyParser::events(cap),
            (Framing::Ndjson, _)
            | (
                Framing::Any,
                "application/x-ndjson"
                | "application/ndjson"
                | "application/jsonl"
                | "application/x-jsonlines"
                | "application/jsonlines"
                | "application/stream+json",
            ) => BodyParser::Lines(LineSplitter::with_max_bytes(cap)),
            (Framing::Any, event_stream::CONTENT_TYPE) => BodyParser::Binary(EventStreamSplitter::with_max_bytes(cap)),
            (Framing::Any, "application/json") => BodyParser::SingleJson(Vec::new()),
            (Framing::Any, kind) => BodyParser::Undecided { begun: Vec::new(), is_text: kind == "text/plain" },
        };
        Self { max_bytes: cap, body, is_decided: false, strays: String::new(), durable: DurableStream::default() }
    }

    /// Adds the frames that these bytes complete.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<SseFrame>) -> Result<(), FramingError> {
        if !self.is_decided {
            self.check_first_byte(bytes)?;
        }
        let mut held = Vec::new();
        let mut bytes = bytes;
        if let BodyParser::Undecided { begun, is_text } = &mut self.body {
            begun.extend_from_slice(bytes);
            let detect = if *is_text { detect_text } else { detect_framing };
            let Some(body) = detect(begun, self.max_bytes) else { return Ok(()) };
            held.append(begun);
            bytes = &held;
            self.body = body;
        }
        match &mut self.body {
            BodyParser::Events { parser: guard, blocks } => {
                let pushed = guard.push(bytes, blocks);
                for frame in blocks.drain(..).filter_map(parse_event) {
                    self.durable.unwrap_frame(frame, out);
                }
                pushed
            }
            BodyParser::Lines(lines) => lines.push(bytes, &mut |line| {
                if !line.trim().is_empty() {
                    out.push(SseFrame::data(line));
                }
                Ok(())
            }),
            BodyParser::Text(text) => {
                text.push(bytes, out);
                Ok(())
            }
            BodyParser::Binary(events) => events.push(bytes, out),
            BodyParser::Undecided { .. } => Ok(()),
            BodyParser::SingleJson(body) if body.len().saturating_add(bytes.len()) > self.max_bytes => {
                Err(FramingError::BodyTooLong(self.max_bytes))
            }
            BodyParser::SingleJson(body) => {
                body.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// Ends the answer. An event that was not ended is dropped, as its standard says, unless it is an error; a last line
    /// without its end is still a line. Returns whether something was cut off.
    pub fn finish(&mut self, out: &mut Vec<SseFrame>) -> bool {
        match &mut self.body {
            BodyParser::Events { parser: guard, .. } => {
                let is_torn = guard.is_torn();
                self.strays = guard.strays();
                let last = is_torn.then(|| guard.finish()).flatten().and_then(parse_event);
                let is_error = |frame: &SseFrame| is_json_value(&frame.data) && error::find_error(frame).is_some();
                out.extend(last.filter(is_error));
                is_torn
            }
            BodyParser::Lines(lines) => {
                out.extend(lines.take_partial_line().filter(|line| !line.trim().is_empty()).map(SseFrame::data));
                false
            }
            BodyParser::Text(text) => {
                text.finish(out);
                false
            }
            BodyParser::Binary(events) => events.is_torn(),
            BodyParser::Undecided { begun, is_text: true } if !is_json_bytes(begun) => {
                let mut text = TextSplitter::default();
                text.push(begun, out);
                text.finish(out);
                false
            }
            BodyParser::SingleJson(body) | BodyParser::Undecided { begun: body, .. } => {
                let body = std::mem::take(body);
                let text = String::from_utf8_lossy(&body);
                let text = text.trim_start_matches('\u{feff}').trim();
                // Some servers call lines of JSON by the name of one.
                let is_one = !text.contains('\n') || is_json_value(text);
                if is_one {
                    out.extend(Some(text).filter(|text| !text.is_empty()).map(SseFrame::data));
                } else {
                    out.extend(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(SseFrame::data));
                }
                false
            }
        }
    }

    /// Returns whether one JSON value came in place of the stream that was asked for.
    pub fn is_single_json(&self) -> bool {
        matches!(self.body, BodyParser::SingleJson(_))
    }

    /// Returns the beginning of what came in an ended stream of events and is none.
    pub fn strays(&self) -> &str {
        &self.strays
    }

    /// Goes on with a stream behind the frame with this id.
    pub(super) fn resume_at(&mut self, id: &str) {
        self.durable.resume_at(id);
    }

    /// Returns the durable stream that the events tell, where they tell one.
    pub(super) fn durable_stream(&self) -> Option<&DurableStream> {
        Some(&self.durable).filter(|stream| stream.is_durable())
    }

    /// Returns the id to reconnect with, if the server sent one.
    pub fn last_event_id(&self) -> Option<&str> {
        match &self.body {
            BodyParser::Events { parser: guard, .. } => Some(guard.last_event_id()).filter(|id| !id.is_empty()),
            _ => None,
        }
    }

    /// Returns the pause the server wants before a reconnect, in milliseconds.
    pub fn retry_millis(&self) -> Option<u64> {
        match &self.body {
            BodyParser::Events { parser: guard, .. } => guard.retry_millis(),
            _ => None,
        }
    }

    /// No field of an event stream begins with a brace, and no stream but a text with an angle bracket.
    fn check_first_byte(&mut self, bytes: &[u8]) -> Result<(), FramingError> {
        if matches!(self.body, BodyParser::Undecided { is_text: true, .. }) {
            self.is_decided = true;
            return Ok(());
        }
        let first = bytes.iter().find(|b| !b.is_ascii_whitespace() && !matches!(b, 0xef | 0xbb | 0xbf));
        self.is_decided = first.is_some();
        match (first, &self.body) {
            (Some(b'<'), _) => Err(FramingError::WebPage),
            (Some(b'{' | b'['), BodyParser::Events { .. }) => {
                self.body = BodyParser::SingleJson(Vec::new());
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl BodyParser {
    fn events(cap: usize) -> Self {
        Self::Events { parser: SseBlockParser::with_max_bytes(cap), blocks: Vec::new() }
    }
}

/// Tells events from lines by how the first line begins; none as long as it could be either.
fn detect_framing(begun: &[u8], cap: usize) -> Option<BodyParser> {
    const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
    if BYTE_ORDER_MARK.starts_with(begun) {
        return None;
    }
    if event_stream::is_event_stream(begun)? {
        return Some(BodyParser::Binary(EventStreamSplitter::with_max_bytes(cap)));
    }
    let begun = begun.strip_prefix(BYTE_ORDER_MARK).unwrap_or(begun).trim_ascii_start();
    let end = begun.iter().position(|b| matches!(b, b':' | b'\n' | b'\r'));
    let name = begun.get(..end.unwrap_or(begun.len())).unwrap_or_default();
    let fields = [&b"data"[..], b"event", b"id", b"retry", b""];
    if end.is_none() && fields.iter().any(|field| field.starts_with(name)) {
        return None;
    }
    Some(if end.is_some() && fields.contains(&name) {
        BodyParser::events(cap)
    } else {
        BodyParser::Lines(LineSplitter::with_max_bytes(cap))
    })
}

/// As [`detect_framing`], for what its server calls a text: some call any stream so.
fn detect_text(begun: &[u8], cap: usize) -> Option<BodyParser> {
    let text = begun.trim_ascii_start();
    let fields = [&b"data:"[..], b"event:", b"id:", b"retry:"];
    if fields.iter().any(|field| text.starts_with(field)) {
        return Some(BodyParser::events(cap));
    }
    if begins_json(text) && text.len() <= MAX_UNDECIDED_BYTES {
        let (line, _) = text.split_at(text.iter().position(|b| *b == b'\n')?);
        if is_json_bytes(line) {
            return Some(BodyParser::Lines(LineSplitter::with_max_bytes(cap)));
        }
    } else if fields.iter().any(|field| field.starts_with(text)) {
        return None;
    }
    Some(BodyParser::Text(TextSplitter::default()))
}

fn is_json_bytes(text: &[u8]) -> bool {
    begins_json(text) && serde_json::from_slice::<&RawValue>(text).is_ok()
}

fn begins_json(text: &[u8]) -> bool {
    matches!(text.trim_ascii_start().first(), Some(b'{' | b'['))
}

fn is_json_value(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok()
}

/// Reads a block. One line of data is most of them, and needs no parser.
fn parse_event(mut block: SseBlock) -> Option<SseFrame> {
    if let Some(start) = only_data(&block.text) {
        let mut data = std::mem::take(&mut block.text);
        data.truncate(data.len() - BLOCK_END.len());
        data.drain(..start);
        return Some(SseFrame { event: String::new(), id: block.id, retry: block.retry, data });
    }
    parse_with_names(block)
}

/// Returns where the data begins in a block that is one line of it.
fn only_data(block: &str) -> Option<usize> {
    let line = block.strip_suffix(BLOCK_END)?;
    let value = line.strip_prefix("data:")?;
    let value = value.strip_prefix(' ').unwrap_or(value);
    memchr::memchr(b'\n', value.as_bytes()).is_none().then(|| line.len() - value.len())
}

fn parse_with_names(block: SseBlock) -> Option<SseFrame> {
    let lines = block.text.split_inclusive('\n').map(Ok::<_, Infallible>);
    let mut events = EventStream::new(stream::iter(lines));
    // All lines are there, so this never waits; the guard lets nothing through that the parser refuses.
    let event = events.next().now_or_never()??.ok()?;
    let name = if event.event == "message" { String::new() } else { event.event };
    Some(SseFrame { event: name, id: block.id, retry: block.retry, data: event.data })
}

#[cfg(test)]
mod tests;
