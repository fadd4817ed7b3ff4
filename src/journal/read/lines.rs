//! The lines of a log from an offset on, read in chunks, with lookahead.

use std::io;

use bytes::Bytes;

use super::{CHUNK_BYTES, MAX_LINE_BYTES, Reader};
use crate::journal::line::LineHead;

/// How far to look ahead for the numbers of later lines.
const MAX_LOOKAHEAD_BYTES: usize = 4 << 20;

/// A line, or the rest of one that holds several records.
pub(super) struct RawLine {
    /// Without newline and surrounding white space.
    pub(super) text: Bytes,
    pub(super) start: u64,
    /// Whether it ends in a newline.
    pub(super) has_newline: bool,
    /// How often it was split already.
    pub(super) splits: u32,
    /// Too long to be ours; its text was not read.
    pub(super) is_too_long: bool,
}

pub(super) struct LogLines<'a> {
    reader: &'a Reader,
    buffer: Bytes,
    /// The offset of the buffer in the file, and how much of it was consumed.
    base: u64,
    consumed: usize,
    at_end: bool,
    pushed_back: Option<RawLine>,
}

impl<'a> LogLines<'a> {
    pub(super) fn new(reader: &'a Reader, offset: u64) -> Self {
        Self { reader, buffer: Bytes::new(), base: offset, consumed: 0, at_end: false, pushed_back: None }
    }

    /// Returns the offset of the next line.
    pub(super) fn offset(&self) -> u64 {
        self.pushed_back.as_ref().map_or(self.base + self.consumed as u64, |held| held.start)
    }

    /// Puts back what was not used; it is returned next.
    pub(super) fn push_back(&mut self, raw: RawLine) {
        self.pushed_back = Some(raw);
    }

    pub(super) fn next(&mut self) -> io::Result<Option<RawLine>> {
        if let Some(held) = self.pushed_back.take() {
            return Ok(Some(held));
        }
        loop {
            let rest = self.buffer.get(self.consumed..).unwrap_or_default();
            let start = self.base + self.consumed as u64;
            if let Some(length) = memchr::memchr(b'\n', rest) {
                let line = self.buffer.slice(self.consumed..self.consumed + length);
                self.consumed += length + 1;
                return Ok(Some(RawLine::new(&line, start, true)));
            }
            if self.at_end {
                if rest.is_empty() {
                    return Ok(None);
                }
                let line = self.buffer.slice(self.consumed..);
                self.consumed = self.buffer.len();
                return Ok(Some(RawLine::new(&line, start, false)));
            }
            if rest.len() >= MAX_LINE_BYTES {
                let next = self.reader.line_after(start + rest.len() as u64)?;
                *self = Self::new(self.reader, next);
                return Ok(Some(RawLine {
                    text: Bytes::new(),
                    start,
                    has_newline: true,
                    splits: 0,
                    is_too_long: true,
                }));
            }
            self.fill()?;
        }
    }

    /// Returns the head of the `nth` later line that has one.
    pub(super) fn peek_head(&mut self, nth: usize) -> io::Result<Option<LineHead>> {
        loop {
            let mut left = nth;
            let mut at = self.consumed;
            let mut found = |line: &[u8]| match LineHead::parse(line) {
                Some(head) if left == 0 => Some(head),
                Some(_) => {
                    left -= 1;
                    None
                }
                None => None,
            };
            if let Some(head) = self.pushed_back.as_ref().and_then(|held| found(&held.text)) {
                return Ok(Some(head));
            }
            while let Some(length) = self.buffer.get(at..).and_then(|rest| memchr::memchr(b'\n', rest)) {
                if let Some(head) = found(self.buffer.get(at..at + length).unwrap_or_default().trim_ascii()) {
                    return Ok(Some(head));
                }
                at += length + 1;
            }
            if self.at_end {
                return Ok(found(self.buffer.get(at..).unwrap_or_default()));
            }
            if self.buffer.len() - self.consumed > MAX_LOOKAHEAD_BYTES {
                return Ok(None);
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        let rest = self.buffer.slice(self.consumed..);
        let size = if rest.len() < CHUNK_BYTES / 2 { CHUNK_BYTES } else { rest.len().saturating_mul(3) };
        let more = self.reader.read_chunk(self.base + self.buffer.len() as u64, size)?;
        self.at_end = more.len() < size;
        self.base += self.consumed as u64;
        self.consumed = 0;
        self.buffer = if rest.is_empty() {
            Bytes::from(more)
        } else {
            let mut joined = Vec::with_capacity(rest.len() + more.len());
            joined.extend_from_slice(&rest);
            joined.extend_from_slice(&more);
            Bytes::from(joined)
        };
        Ok(())
    }
}

impl RawLine {
    /// Trims white space at both ends: lines that went through another system may end in a carriage return.
    fn new(line: &Bytes, start: u64, ended: bool) -> Self {
        let lead = line.len() - line.trim_ascii_start().len();
        let text = line.trim_ascii();
        let text = if text.len() == line.len() { line.clone() } else { line.slice_ref(text) };
        Self { text, start: start + lead as u64, has_newline: ended, splits: 0, is_too_long: false }
    }
}
