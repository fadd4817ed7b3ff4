//! An answer's bytes to frames: server-sent events, or one JSON value a line.
//!
//! The event parser is given one finished block at a time, one whole line per item, so it keeps nothing between
//! events. A server that answers a request for a stream with one JSON object is understood too: that is one frame.

use std::convert::Infallible;

use eventsource_stream::EventStream;
use futures_util::{FutureExt, StreamExt, stream};
use serde_json::value::RawValue;

use super::call::Framing;
use super::guard::{Block, Broken, CAP, Guard, Lines};
use crate::dialect::{SseFrame, error};

/// Cuts the bytes of one answer into frames, whatever the size of the reads.
#[derive(Debug)]
pub struct Frames {
    cap: usize,
    body: Body,
    /// Whether the first byte that means anything was seen.
    decided: bool,
    strays: String,
}

#[derive(Debug)]
enum Body {
    Events {
        guard: Guard,
        blocks: Vec<Block>,
    },
    Lines(Lines),
    /// One JSON value where a stream was asked for.
    Whole(Vec<u8>),
    /// Not enough to tell lines from events.
    Open(Vec<u8>),
}

impl Frames {
    pub fn new(framing: Framing) -> Self {
        Self::of(framing, "")
    }

    /// Cuts an answer of this content type, which counts where the framing was left open.
    pub fn of(framing: Framing, content_type: &str) -> Self {
        Self::capped(framing, content_type, CAP)
    }

    /// The same with lines and events of so many bytes accepted.
    pub fn capped(framing: Framing, content_type: &str, cap: usize) -> Self {
        let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let body = match (framing, kind.as_str()) {
            (Framing::Sse, _) | (Framing::Any, "text/event-stream") => Body::events(cap),
            (Framing::Ndjson, _)
            | (
                Framing::Any,
                "application/x-ndjson"
                | "application/ndjson"
                | "application/jsonl"
                | "application/x-jsonlines"
                | "application/jsonlines"
                | "application/stream+json",
            ) => Body::Lines(Lines::capped(cap)),
            (Framing::Any, "application/json") => Body::Whole(Vec::new()),
            (Framing::Any, _) => Body::Open(Vec::new()),
        };
        Self { cap, body, decided: false, strays: String::new() }
    }

    /// Adds the frames that these bytes complete.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<SseFrame>) -> Result<(), Broken> {
        if !self.decided {
            self.decide(bytes)?;
        }
        let mut held = Vec::new();
        let mut bytes = bytes;
        if let Body::Open(begun) = &mut self.body {
            begun.extend_from_slice(bytes);
            let Some(body) = guess(begun, self.cap) else { return Ok(()) };
            held.append(begun);
            bytes = &held;
            self.body = body;
        }
        match &mut self.body {
            Body::Events { guard, blocks } => {
                let pushed = guard.push(bytes, blocks);
                out.extend(blocks.drain(..).filter_map(event));
                pushed
            }
            Body::Lines(lines) => lines.push(bytes, &mut |line| {
                if !line.trim().is_empty() {
                    out.push(SseFrame::data(line));
                }
                Ok(())
            }),
            Body::Open(_) => Ok(()),
            Body::Whole(body) if body.len().saturating_add(bytes.len()) > self.cap => Err(Broken::LongBody(self.cap)),
            Body::Whole(body) => {
                body.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// Ends the answer. An event that was not ended is dropped, as its standard says, unless it is an error; a last line
    /// without its end is still a line. Returns whether something was cut off.
    pub fn finish(&mut self, out: &mut Vec<SseFrame>) -> bool {
        match &mut self.body {
            Body::Events { guard, .. } => {
                let is_torn = guard.is_torn();
                self.strays = guard.strays();
                let last = is_torn.then(|| guard.finish()).flatten().and_then(event);
                let is_error = |frame: &SseFrame| is_whole_value(&frame.data) && error::reported(frame).is_some();
                out.extend(last.filter(is_error));
                is_torn
            }
            Body::Lines(lines) => {
                out.extend(lines.rest().filter(|line| !line.trim().is_empty()).map(SseFrame::data));
                false
            }
            Body::Whole(body) | Body::Open(body) => {
                let body = std::mem::take(body);
                let text = String::from_utf8_lossy(&body);
                let text = text.trim_start_matches('\u{feff}').trim();
                // Some servers call lines of JSON by the name of one.
                let is_one = !text.contains('\n') || is_whole_value(text);
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
    pub fn is_whole(&self) -> bool {
        matches!(self.body, Body::Whole(_))
    }

    /// Returns the beginning of what came in an ended stream of events and is none.
    pub fn strays(&self) -> &str {
        &self.strays
    }

    /// Returns the id to reconnect with, if the server sent one.
    pub fn last_id(&self) -> Option<&str> {
        match &self.body {
            Body::Events { guard, .. } => Some(guard.last_id()).filter(|id| !id.is_empty()),
            Body::Lines(_) | Body::Whole(_) | Body::Open(_) => None,
        }
    }

    /// Returns the pause the server wants before a reconnect, in milliseconds.
    pub fn retry(&self) -> Option<u64> {
        match &self.body {
            Body::Events { guard, .. } => guard.retry(),
            Body::Lines(_) | Body::Whole(_) | Body::Open(_) => None,
        }
    }

    /// No field of an event stream begins with a brace, and no stream at all with an angle bracket.
    fn decide(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        let first = bytes.iter().find(|b| !b.is_ascii_whitespace() && !matches!(b, 0xef | 0xbb | 0xbf));
        self.decided = first.is_some();
        match (first, &self.body) {
            (Some(b'<'), _) => Err(Broken::Page),
            (Some(b'{' | b'['), Body::Events { .. }) => {
                self.body = Body::Whole(Vec::new());
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Body {
    fn events(cap: usize) -> Self {
        Self::Events { guard: Guard::capped(cap), blocks: Vec::new() }
    }
}

/// Tells events from lines by how the first line begins; none as long as it could be either.
fn guess(begun: &[u8], cap: usize) -> Option<Body> {
    const MARK: &[u8] = b"\xef\xbb\xbf";
    if MARK.starts_with(begun) {
        return None;
    }
    let begun = begun.strip_prefix(MARK).unwrap_or(begun).trim_ascii_start();
    let end = begun.iter().position(|b| matches!(b, b':' | b'\n' | b'\r'));
    let name = begun.get(..end.unwrap_or(begun.len())).unwrap_or_default();
    let fields = [&b"data"[..], b"event", b"id", b"retry", b""];
    if end.is_none() && fields.iter().any(|field| field.starts_with(name)) {
        return None;
    }
    Some(if end.is_some() && fields.contains(&name) { Body::events(cap) } else { Body::Lines(Lines::capped(cap)) })
}

fn is_whole_value(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok()
}

fn event(block: Block) -> Option<SseFrame> {
    let lines = block.text.split_inclusive('\n').map(Ok::<_, Infallible>);
    let mut events = EventStream::new(stream::iter(lines));
    // All lines are there, so this never waits; the guard lets nothing through that the parser refuses.
    let event = events.next().now_or_never()??.ok()?;
    let name = if event.event == "message" { String::new() } else { event.event };
    Some(SseFrame { event: name, id: block.id, retry: block.retry, data: event.data })
}

#[cfg(test)]
mod tests;
