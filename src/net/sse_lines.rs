//! PURE. Bytes to whole clean lines, and lines to the blocks that become server-sent events.
//!
//! Stands in front of the event parser, which panics on a byte-order mark, stalls on a bad byte, keeps what it is
//! given without limit and cannot be trusted with `id` and `retry`. So the parser gets whole lines of one finished
//! block; line ends, marks, bad bytes, comments, ids and caps are handled here. Linear whatever the size of the reads.

use std::fmt;

use crate::event::{Fault, FaultKind};
use crate::text::human::size_limit;

/// Bytes of one line, and of one event, that are accepted unless somebody says otherwise.
pub const MAX_FRAME_BYTES: usize = 8 * 1024 * 1024;

/// Bytes of what is no field that are kept to be shown.
const MAX_STRAY_BYTES: usize = 300;

/// Why an answer can't be cut into frames. The numbers are the bytes that would have been accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FramingError {
    LineTooLong(usize),
    EventTooLong(usize),
    BodyTooLong(usize),
    /// A web page came instead of a stream.
    WebPage,
    /// A checksum is wrong.
    Damaged,
}

impl fmt::Display for FramingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, cap) = match self {
            Self::LineTooLong(cap) => ("sent a line", cap),
            Self::EventTooLong(cap) => ("sent an event", cap),
            Self::BodyTooLong(cap) => ("sent a response in one piece", cap),
            Self::Damaged => return f.write_str("sent a damaged frame: its checksum is wrong; retry"),
            Self::WebPage => return f.write_str("returned a web page instead of a stream; check the URL"),
        };
        let cap = size_limit(*cap);
        write!(f, "{what} of more than {cap}; the response was cut there: ask for less at once")
    }
}

impl FramingError {
    /// Says it of a server.
    pub fn fault(self, place: &str) -> Fault {
        Fault::new(FaultKind::Protocol, format!("{place} {self}"))
    }
}

/// Cuts bytes into lines at LF, CR or CRLF. One byte-order mark at the very start is taken off.
#[derive(Debug)]
pub struct LineSplitter {
    max_bytes: usize,
    partial_line: Vec<u8>,
    after_cr: bool,
    started: bool,
}

impl Default for LineSplitter {
    fn default() -> Self {
        Self::with_max_bytes(MAX_FRAME_BYTES)
    }
}

impl LineSplitter {
    /// Accepts lines of so many bytes.
    pub fn with_max_bytes(cap: usize) -> Self {
        Self { max_bytes: cap, partial_line: Vec::new(), after_cr: false, started: false }
    }

    /// Hands each line that these bytes complete to `each`, without its end.
    pub fn push(
        &mut self,
        mut bytes: &[u8],
        each: &mut dyn FnMut(&str) -> Result<(), FramingError>,
    ) -> Result<(), FramingError> {
        if self.after_cr && !bytes.is_empty() {
            self.after_cr = false;
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
        }
        while let Some(at) = memchr::memchr2(b'\n', b'\r', bytes) {
            let (line, rest) = bytes.split_at(at);
            self.check_room(line.len())?;
            if self.partial_line.is_empty() {
                self.emit_line(line, each)?;
            } else {
                let mut whole = std::mem::take(&mut self.partial_line);
                whole.extend_from_slice(line);
                self.emit_line(&whole, each)?;
                whole.clear();
                whole.shrink_to(64 * 1024);
                self.partial_line = whole;
            }
            bytes = match rest.strip_prefix(b"\r") {
                Some(rest) => {
                    self.after_cr = rest.is_empty();
                    rest.strip_prefix(b"\n").unwrap_or(rest)
                }
                None => rest.get(1..).unwrap_or_default(),
            };
        }
        self.check_room(bytes.len())?;
        self.partial_line.extend_from_slice(bytes);
        Ok(())
    }

    /// Takes the line that was never ended, if there is one.
    pub fn take_partial_line(&mut self) -> Option<String> {
        let partial = std::mem::take(&mut self.partial_line);
        (!partial.is_empty()).then(|| String::from_utf8_lossy(self.strip_byte_order_mark(&partial)).into_owned())
    }

    fn check_room(&self, more: usize) -> Result<(), FramingError> {
        let fits = self.partial_line.len().saturating_add(more) <= self.max_bytes;
        if fits { Ok(()) } else { Err(FramingError::LineTooLong(self.max_bytes)) }
    }

    fn emit_line(
        &mut self,
        line: &[u8],
        each: &mut dyn FnMut(&str) -> Result<(), FramingError>,
    ) -> Result<(), FramingError> {
        let line = self.strip_byte_order_mark(line);
        // The lossy reader looks at every byte by itself; nearly all lines are right.
        match std::str::from_utf8(line) {
            Ok(line) => each(line),
            Err(_) => each(&String::from_utf8_lossy(line)),
        }
    }

    fn strip_byte_order_mark<'a>(&mut self, line: &'a [u8]) -> &'a [u8] {
        if std::mem::replace(&mut self.started, true) {
            return line;
        }
        line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line)
    }
}

/// The lines of one event, as the parser wants them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SseBlock {
    /// Each ended by LF, the last one empty.
    pub text: String,
    /// The `id` field of this block.
    pub id: Option<String>,
    /// The `retry` field of this block, in milliseconds.
    pub retry: Option<u64>,
}

/// Collects blocks of an event stream, and keeps what outlives a block.
#[derive(Debug, Default)]
pub struct SseBlockParser {
    lines: LineSplitter,
    builder: SseBlockBuilder,
}

#[derive(Debug, Default)]
struct SseBlockBuilder {
    block: SseBlock,
    size: usize,
    has_data: bool,
    last_id: String,
    retry: Option<u64>,
    comments: u64,
    /// The beginning of what is no field.
    strays: String,
}

impl SseBlockParser {
    /// Accepts lines, and events, of so many bytes.
    pub fn with_max_bytes(cap: usize) -> Self {
        Self { lines: LineSplitter::with_max_bytes(cap), builder: SseBlockBuilder::default() }
    }

    /// Adds the blocks that these bytes complete and that hold data.
    pub fn push(&mut self, bytes: &[u8], blocks: &mut Vec<SseBlock>) -> Result<(), FramingError> {
        let (open, cap) = (&mut self.builder, self.lines.max_bytes);
        self.lines.push(bytes, &mut |line| open.push_line(line, cap, blocks))
    }

    /// Returns the id to reconnect with; also of blocks that held no data. Empty if there was none.
    pub fn last_event_id(&self) -> &str {
        &self.builder.last_id
    }

    /// Returns the newest reconnection time, in milliseconds.
    pub fn retry_millis(&self) -> Option<u64> {
        self.builder.retry
    }

    /// Returns how many comments came. They say nothing but that the server is alive.
    pub fn comment_count(&self) -> u64 {
        self.builder.comments
    }

    /// Returns the beginning of what came and is no field, with the line that was never ended.
    pub fn strays(&self) -> String {
        let rest = String::from_utf8_lossy(&self.lines.partial_line);
        let rest = rest.get(..rest.floor_char_boundary(MAX_STRAY_BYTES)).unwrap_or_default();
        format!("{}{rest}", self.builder.strays).trim().to_owned()
    }

    /// Ends the stream. Returns the event that was not ended, as far as it came; its id does not count.
    pub fn finish(&mut self) -> Option<SseBlock> {
        let (mut blocks, cap) = (Vec::new(), self.lines.max_bytes);
        let last_id = self.builder.last_id.clone();
        if let Some(rest) = self.lines.take_partial_line() {
            self.builder.push_line(&rest, cap, &mut blocks).ok()?;
        }
        self.builder.push_line("", cap, &mut blocks).ok()?;
        self.builder.last_id = last_id;
        blocks.pop()
    }

    /// Returns whether the stream stopped in the middle of an event.
    pub fn is_torn(&self) -> bool {
        !self.lines.partial_line.is_empty() || self.builder.has_data
    }
}

impl SseBlockBuilder {
    /// Keeps the beginning of a line that is no field.
    fn keep_stray(&mut self, line: &str) {
        let room = MAX_STRAY_BYTES.saturating_sub(self.strays.len());
        if room > 0 {
            self.strays.push_str(line.get(..line.floor_char_boundary(room)).unwrap_or_default());
            self.strays.push(' ');
        }
    }

    fn push_line(&mut self, line: &str, cap: usize, blocks: &mut Vec<SseBlock>) -> Result<(), FramingError> {
        if line.is_empty() {
            let mut block = std::mem::take(&mut self.block);
            // An event that is cut off was never had: what comes after it would be missed.
            if let Some(id) = &block.id {
                id.clone_into(&mut self.last_id);
            }
            self.size = 0;
            if std::mem::take(&mut self.has_data) {
                block.text.push('\n');
                blocks.push(block);
            }
            return Ok(());
        }
        let (field, value) = match line.split_once(':') {
            Some((field, value)) => (field, value.strip_prefix(' ').unwrap_or(value)),
            None => (line, ""),
        };
        match field {
            "" => self.comments = self.comments.saturating_add(1),
            "id" if !value.contains('\0') => {
                self.block.id = Some(value.to_owned());
            }
            "retry" if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) => {
                if let Ok(millis) = value.parse() {
                    self.block.retry = Some(millis);
                    self.retry = Some(millis);
                }
            }
            "data" | "event" => {
                self.has_data |= field == "data";
                self.size = self.size.saturating_add(line.len());
                if self.size > cap {
                    return Err(FramingError::EventTooLong(cap));
                }
                let text = &mut self.block.text;
                // Its own end, and that of the block.
                text.reserve(line.len() + 2);
                text.push_str(line);
                text.push('\n');
            }
            // llama.cpp's own field.
            "error" => {
                self.push_line("event: error", cap, blocks)?;
                self.push_line(&format!("data: {value}"), cap, blocks)?;
            }
            // A line of JSON among the events, as errors come from gateways.
            _ if !self.has_data && line.starts_with('{') && line.ends_with('}') => {
                self.push_line(&format!("data: {line}"), cap, blocks)?;
            }
            // Anything else is to be ignored, a name that begins with a second byte-order mark included.
            _ => self.keep_stray(line),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&[u8]]) -> Vec<String> {
        let mut lines = LineSplitter::default();
        let mut seen = Vec::new();
        for chunk in chunks {
            lines
                .push(chunk, &mut |line| {
                    seen.push(line.to_owned());
                    Ok(())
                })
                .unwrap();
        }
        seen
    }

    #[test]
    fn a_line_end_split_over_reads_is_one_line_end() {
        assert_eq!(lines(&[b"a\r", b"\nb\r", b"c\n", b"\n"]), ["a", "b", "c", ""]);
    }

    #[test]
    fn a_character_split_over_reads_is_whole_and_a_bad_byte_is_replaced() {
        assert_eq!(lines(&[b"\xe2\x8f", b"\xb3\n\xff!\n"]), ["\u{23f3}", "\u{fffd}!"]);
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut guard = SseBlockParser::default();
        let chunk = vec![b'x'; 1024 * 1024];
        let mut blocks = Vec::new();
        for _ in 0..8 {
            guard.push(&chunk, &mut blocks).unwrap();
        }
        assert_eq!(guard.push(b"x", &mut blocks), Err(FramingError::LineTooLong(MAX_FRAME_BYTES)));
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut guard = SseBlockParser::default();
        let mut line = vec![b'x'; 1024 * 1024];
        line.splice(0..0, *b"data:");
        line.push(b'\n');
        let mut blocks = Vec::new();
        for _ in 0..7 {
            guard.push(&line, &mut blocks).unwrap();
        }
        assert_eq!(guard.push(&line, &mut blocks), Err(FramingError::EventTooLong(MAX_FRAME_BYTES)));
    }

    #[test]
    fn endless_comments_cost_nothing() {
        let mut guard = SseBlockParser::default();
        let mut blocks = Vec::new();
        for _ in 0..100 {
            guard.push(b": keep-alive, still working\n", &mut blocks).unwrap();
        }
        assert_eq!((guard.comment_count(), blocks.len(), guard.is_torn()), (100, 0, false));
    }
}
