//! An answer's bytes to frames: server-sent events, or one JSON value a line.
//!
//! The event parser is given one finished block at a time, one whole line per item, so it keeps nothing between
//! events. A server that answers a request for a stream with one JSON object is understood too: that is one frame.

use std::convert::Infallible;

use eventsource_stream::EventStream;
use futures_util::{FutureExt, StreamExt, stream};

use super::call::Framing;
use super::guard::{Block, Broken, CAP, Guard, Lines};
use crate::dialect::SseFrame;

/// Cuts the bytes of one answer into frames, whatever the size of the reads.
#[derive(Debug)]
pub struct Frames {
    body: Body,
    /// Whether the first byte that means anything was seen.
    decided: bool,
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
}

impl Frames {
    pub fn new(framing: Framing) -> Self {
        let body = match framing {
            Framing::Sse => Body::Events { guard: Guard::default(), blocks: Vec::new() },
            Framing::Ndjson => Body::Lines(Lines::default()),
        };
        Self { body, decided: false }
    }

    /// Adds the frames that these bytes complete.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<SseFrame>) -> Result<(), Broken> {
        if !self.decided {
            self.decide(bytes)?;
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
            Body::Whole(body) if body.len().saturating_add(bytes.len()) > CAP => Err(Broken::LongBody),
            Body::Whole(body) => {
                body.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// Ends the answer. An event that was not ended is dropped, as its standard says; a last line without its end is
    /// still a line. Returns whether something was cut off.
    pub fn finish(&mut self, out: &mut Vec<SseFrame>) -> bool {
        match &mut self.body {
            Body::Events { guard, .. } => guard.is_torn(),
            Body::Lines(lines) => {
                out.extend(lines.rest().filter(|line| !line.trim().is_empty()).map(SseFrame::data));
                false
            }
            Body::Whole(body) => {
                out.push(SseFrame::data(String::from_utf8_lossy(body).trim()));
                body.clear();
                false
            }
        }
    }

    /// Returns whether one JSON value came in place of the stream that was asked for.
    pub fn is_whole(&self) -> bool {
        matches!(self.body, Body::Whole(_))
    }

    /// Returns the id to reconnect with, if the server sent one.
    pub fn last_id(&self) -> Option<&str> {
        match &self.body {
            Body::Events { guard, .. } => Some(guard.last_id()).filter(|id| !id.is_empty()),
            Body::Lines(_) | Body::Whole(_) => None,
        }
    }

    /// Returns the pause the server wants before a reconnect, in milliseconds.
    pub fn retry(&self) -> Option<u64> {
        match &self.body {
            Body::Events { guard, .. } => guard.retry(),
            Body::Lines(_) | Body::Whole(_) => None,
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

fn event(block: Block) -> Option<SseFrame> {
    let mut events = EventStream::new(stream::iter(block.lines.into_iter().map(Ok::<_, Infallible>)));
    // All lines are there, so this never waits; the guard lets nothing through that the parser refuses.
    let event = events.next().now_or_never()??.ok()?;
    let name = if event.event == "message" { String::new() } else { event.event };
    Some(SseFrame { event: name, id: block.id, retry: block.retry, data: event.data })
}

#[cfg(test)]
mod tests;
