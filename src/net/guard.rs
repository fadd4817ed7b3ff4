//! PURE. Bytes to whole clean lines, and lines to the blocks that become server-sent events.
//!
//! Stands in front of the event parser, which panics on a byte-order mark, stalls on a bad byte, keeps what it is
//! given without limit and cannot be trusted with `id` and `retry`. So the parser gets whole lines of one finished
//! block; line ends, marks, bad bytes, comments, ids and caps are handled here. Linear whatever the size of the reads.

use std::fmt;

use crate::event::{Fault, FaultKind};

/// Bytes of one line, and of one event, that are accepted unless somebody says otherwise.
pub const CAP: usize = 8 * 1024 * 1024;

/// Bytes of what is no field that are kept to be shown.
const MOST_STRAYS: usize = 300;

/// Why an answer can't be cut into frames. The numbers are the bytes that would have been accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    LongLine(usize),
    LongEvent(usize),
    LongBody(usize),
    /// A web page came instead of a stream.
    Page,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, cap) = match self {
            Self::LongLine(cap) => ("sent a line", cap),
            Self::LongEvent(cap) => ("sent an event", cap),
            Self::LongBody(cap) => ("sent an answer in one piece", cap),
            Self::Page => return f.write_str("answered with a web page instead of a stream; check the URL"),
        };
        let cap = cap / (1024 * 1024);
        write!(f, "{what} of more than {cap} MiB; the answer was cut there: ask for less at once")
    }
}

impl Broken {
    /// Says it of a server.
    pub fn fault(self, place: &str) -> Fault {
        Fault::new(FaultKind::Protocol, format!("{place} {self}"))
    }
}

/// Cuts bytes into lines at LF, CR or CRLF. One byte-order mark at the very start is taken off.
#[derive(Debug)]
pub struct Lines {
    cap: usize,
    partial: Vec<u8>,
    after_cr: bool,
    started: bool,
}

impl Default for Lines {
    fn default() -> Self {
        Self::capped(CAP)
    }
}

impl Lines {
    /// Accepts lines of so many bytes.
    pub fn capped(cap: usize) -> Self {
        Self { cap, partial: Vec::new(), after_cr: false, started: false }
    }

    /// Hands each line that these bytes complete to `each`, without its end.
    pub fn push(&mut self, mut bytes: &[u8], each: &mut dyn FnMut(&str) -> Result<(), Broken>) -> Result<(), Broken> {
        if self.after_cr && !bytes.is_empty() {
            self.after_cr = false;
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
        }
        while let Some(at) = memchr::memchr2(b'\n', b'\r', bytes) {
            let (line, rest) = bytes.split_at(at);
            self.room_for(line.len())?;
            if self.partial.is_empty() {
                self.line(line, each)?;
            } else {
                let mut whole = std::mem::take(&mut self.partial);
                whole.extend_from_slice(line);
                self.line(&whole, each)?;
                whole.clear();
                whole.shrink_to(64 * 1024);
                self.partial = whole;
            }
            bytes = match rest.strip_prefix(b"\r") {
                Some(rest) => {
                    self.after_cr = rest.is_empty();
                    rest.strip_prefix(b"\n").unwrap_or(rest)
                }
                None => rest.get(1..).unwrap_or_default(),
            };
        }
        self.room_for(bytes.len())?;
        self.partial.extend_from_slice(bytes);
        Ok(())
    }

    /// Takes the line that was never ended, if there is one.
    pub fn rest(&mut self) -> Option<String> {
        let partial = std::mem::take(&mut self.partial);
        (!partial.is_empty()).then(|| String::from_utf8_lossy(self.unmarked(&partial)).into_owned())
    }

    fn room_for(&self, more: usize) -> Result<(), Broken> {
        let fits = self.partial.len().saturating_add(more) <= self.cap;
        if fits { Ok(()) } else { Err(Broken::LongLine(self.cap)) }
    }

    fn line(&mut self, line: &[u8], each: &mut dyn FnMut(&str) -> Result<(), Broken>) -> Result<(), Broken> {
        let line = self.unmarked(line);
        each(&String::from_utf8_lossy(line))
    }

    fn unmarked<'a>(&mut self, line: &'a [u8]) -> &'a [u8] {
        if std::mem::replace(&mut self.started, true) {
            return line;
        }
        line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line)
    }
}

/// The lines of one event, as the parser wants them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// Each ended by LF, the last one empty.
    pub text: String,
    /// The `id` field of this block.
    pub id: Option<String>,
    /// The `retry` field of this block, in milliseconds.
    pub retry: Option<u64>,
}

/// Collects blocks of an event stream, and keeps what outlives a block.
#[derive(Debug, Default)]
pub struct Guard {
    lines: Lines,
    open: Open,
}

#[derive(Debug, Default)]
struct Open {
    block: Block,
    size: usize,
    has_data: bool,
    last_id: String,
    retry: Option<u64>,
    comments: u64,
    /// The beginning of what is no field.
    strays: String,
}

impl Guard {
    /// Accepts lines, and events, of so many bytes.
    pub fn capped(cap: usize) -> Self {
        Self { lines: Lines::capped(cap), open: Open::default() }
    }

    /// Adds the blocks that these bytes complete and that hold data.
    pub fn push(&mut self, bytes: &[u8], blocks: &mut Vec<Block>) -> Result<(), Broken> {
        let (open, cap) = (&mut self.open, self.lines.cap);
        self.lines.push(bytes, &mut |line| open.line(line, cap, blocks))
    }

    /// Returns the id to reconnect with; also of blocks that held no data. Empty if there was none.
    pub fn last_id(&self) -> &str {
        &self.open.last_id
    }

    /// Returns the newest reconnection time, in milliseconds.
    pub fn retry(&self) -> Option<u64> {
        self.open.retry
    }

    /// Returns how many comments came. They say nothing but that the server is alive.
    pub fn comments(&self) -> u64 {
        self.open.comments
    }

    /// Returns the beginning of what came and is no field, with the line that was never ended.
    pub fn strays(&self) -> String {
        let rest = String::from_utf8_lossy(&self.lines.partial);
        let rest = rest.get(..rest.floor_char_boundary(MOST_STRAYS)).unwrap_or_default();
        format!("{}{rest}", self.open.strays).trim().to_owned()
    }

    /// Ends the stream. Returns the event that was not ended, as far as it came; its id does not count.
    pub fn finish(&mut self) -> Option<Block> {
        let (mut blocks, cap) = (Vec::new(), self.lines.cap);
        let last_id = self.open.last_id.clone();
        if let Some(rest) = self.lines.rest() {
            self.open.line(&rest, cap, &mut blocks).ok()?;
        }
        self.open.line("", cap, &mut blocks).ok()?;
        self.open.last_id = last_id;
        blocks.pop()
    }

    /// Returns whether the stream stopped in the middle of an event.
    pub fn is_torn(&self) -> bool {
        !self.lines.partial.is_empty() || self.open.has_data
    }
}

impl Open {
    /// Keeps the beginning of a line that is no field.
    fn stray(&mut self, line: &str) {
        let room = MOST_STRAYS.saturating_sub(self.strays.len());
        if room > 0 {
            self.strays.push_str(line.get(..line.floor_char_boundary(room)).unwrap_or_default());
            self.strays.push(' ');
        }
    }

    fn line(&mut self, line: &str, cap: usize, blocks: &mut Vec<Block>) -> Result<(), Broken> {
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
                    return Err(Broken::LongEvent(cap));
                }
                let text = &mut self.block.text;
                // Its own end, and that of the block.
                text.reserve(line.len() + 2);
                text.push_str(line);
                text.push('\n');
            }
            // llama.cpp's own field.
            "error" => {
                self.line("event: error", cap, blocks)?;
                self.line(&format!("data: {value}"), cap, blocks)?;
            }
            // A line of JSON among the events, as errors come from gateways.
            _ if !self.has_data && line.starts_with('{') && line.ends_with('}') => {
                self.line(&format!("data: {line}"), cap, blocks)?;
            }
            // Anything else is to be ignored, a name that begins with a second byte-order mark included.
            _ => self.stray(line),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::default();
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
        let mut guard = Guard::default();
        let chunk = vec![b'x'; 1024 * 1024];
        let mut blocks = Vec::new();
        for _ in 0..8 {
            guard.push(&chunk, &mut blocks).unwrap();
        }
        assert_eq!(guard.push(b"x", &mut blocks), Err(Broken::LongLine(CAP)));
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut guard = Guard::default();
        let mut line = vec![b'x'; 1024 * 1024];
        line.splice(0..0, *b"data:");
        line.push(b'\n');
        let mut blocks = Vec::new();
        for _ in 0..7 {
            guard.push(&line, &mut blocks).unwrap();
        }
        assert_eq!(guard.push(&line, &mut blocks), Err(Broken::LongEvent(CAP)));
    }

    #[test]
    fn endless_comments_cost_nothing() {
        let mut guard = Guard::default();
        let mut blocks = Vec::new();
        for _ in 0..100 {
            guard.push(b": keep-alive, still working\n", &mut blocks).unwrap();
        }
        assert_eq!((guard.comments(), blocks.len(), guard.is_torn()), (100, 0, false));
    }
}
