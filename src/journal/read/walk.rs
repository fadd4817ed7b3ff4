//! Reads a log record by record, intact or damaged. The only place that decides what counts as an event.

use std::io;

use bytes::Bytes;
use memchr::memmem;

use super::lines::{LogLines, RawLine};
use super::order::{self, PrecedingLine};
use super::{Cursor, LogEntry, Reader};
use crate::event::{AgentEvent, Envelope, Seq};
use crate::journal::Damage;
use crate::journal::line::{LineDecoder, LineHead, is_plausible};

/// The start of every record that this program writes; inside a JSON string its quotes would be escaped.
const RECORD_PREFIX: &[u8] = b"{\"seq\":";
/// A line that needs more splits is given up.
const MAX_SPLITS_PER_LINE: u32 = 64;

pub(super) struct LogWalker<'a> {
    lines: LogLines<'a>,
    decoder: LineDecoder,
    /// `None` right after a jump: the line before is unknown.
    preceding: Option<PrecedingLine>,
    after: Seq,
    /// Whether the first number must be 1.
    starts_at_one: bool,
    pub(super) damage: Damage,
    pub(super) at_end: bool,
}

/// The result of reading a record.
enum WalkResult {
    Entry(LogEntry),
    /// Nothing to deliver: blank, garbage or a repetition.
    Nothing,
    PastLimit(RawLine),
    Torn(RawLine),
}

impl<'a> LogWalker<'a> {
    pub(super) fn new(reader: &'a Reader, cursor: Cursor) -> Self {
        Self {
            lines: LogLines::new(reader, cursor.offset),
            decoder: LineDecoder::default(),
            preceding: cursor.preceding,
            after: cursor.after,
            starts_at_one: reader.starts_at_one,
            damage: Damage::default(),
            at_end: false,
        }
    }

    /// Returns the position after the last delivered event.
    pub(super) fn cursor(&self) -> Cursor {
        Cursor { offset: self.lines.offset(), after: self.after, preceding: self.preceding }
    }

    /// Returns the next event with a number up to `through`.
    pub(super) fn next(&mut self, through: Seq) -> io::Result<Option<LogEntry>> {
        while let Some(raw) = self.lines.next()? {
            match self.read_record(raw, through)? {
                WalkResult::Entry(entry) if entry.envelope.seq > self.after => {
                    self.after = entry.envelope.seq;
                    return Ok(Some(entry));
                }
                WalkResult::Entry(_) | WalkResult::Nothing => {}
                WalkResult::PastLimit(raw) => {
                    self.lines.push_back(raw);
                    self.at_end = true;
                    return Ok(None);
                }
                WalkResult::Torn(raw) => {
                    self.damage.torn = Some(raw.text.len() as u64);
                    self.lines.push_back(raw);
                    break;
                }
            }
        }
        self.at_end = true;
        Ok(None)
    }

    fn read_record(&mut self, raw: RawLine, through: Seq) -> io::Result<WalkResult> {
        if raw.is_too_long {
            self.skip_unreadable();
            return Ok(WalkResult::Nothing);
        }
        let text = if raw.start == 0 { strip_bom(&raw.text) } else { raw.text.clone() };
        if text.trim_ascii().is_empty() {
            return Ok(WalkResult::Nothing);
        }
        if self.preceding.is_none() && LineHead::parse(&text).is_some_and(|head| head.seq <= self.after) {
            return Ok(WalkResult::Nothing);
        }
        if let Some(envelope) = self.decoder.decode(&text) {
            return self.accept(envelope, text, raw, through);
        }
        let mut records = serde_json::Deserializer::from_slice(&text).into_iter::<Envelope>();
        if let Some(Ok(envelope)) = records.next()
            && is_plausible(envelope.seq)
            && raw.splits < MAX_SPLITS_PER_LINE
        {
            let end = records.byte_offset();
            self.push_back_rest(&raw, &text, end);
            return self.accept(envelope, text.slice(..end), raw, through);
        }
        match memmem::find(text.get(1..).unwrap_or_default(), RECORD_PREFIX) {
            Some(at) if raw.splits < MAX_SPLITS_PER_LINE => {
                self.push_back_rest(&raw, &text, at + 1);
                self.skip_unreadable();
            }
            _ if !raw.has_newline => return Ok(WalkResult::Torn(raw)),
            _ => self.skip_unreadable(),
        }
        Ok(WalkResult::Nothing)
    }

    /// Puts back the rest of a line from `at` on.
    fn push_back_rest(&mut self, raw: &RawLine, text: &Bytes, at: usize) {
        let lead = raw.text.len() - text.len();
        let (start, rest) = (raw.start + (lead + at) as u64, text.slice(at..));
        self.lines.push_back(RawLine {
            text: rest,
            start,
            has_newline: raw.has_newline,
            splits: raw.splits + 1,
            is_too_long: false,
        });
    }

    fn accept(&mut self, mut envelope: Envelope, line: Bytes, raw: RawLine, through: Seq) -> io::Result<WalkResult> {
        let head = LineHead { seq: envelope.seq, at: envelope.at };
        let before = self.preceding;
        let seen =
            before.unwrap_or(PrecedingLine { seq: Seq(head.seq.0.saturating_sub(1)), at: head.at, is_reliable: true });
        let next = self.lines.peek_head(0)?;
        let Some(seq) = order::resolve_seq(seen, head, next) else {
            self.damage.repeated += 1;
            self.preceding = before.map(|seen| PrecedingLine { is_reliable: false, ..seen });
            return Ok(WalkResult::Nothing);
        };
        if seq > through {
            return Ok(WalkResult::PastLimit(raw));
        }
        let lines = &mut self.lines;
        let mut failed = None;
        let at = order::resolve_time(seen, head.at, next, || {
            lines.peek_head(1).unwrap_or_else(|error| {
                failed = Some(error);
                None
            })
        });
        if let Some(error) = failed {
            return Err(error);
        }
        if before.is_some() && (seen.seq > Seq(0) || self.starts_at_one) {
            self.damage.missing = self.damage.missing.saturating_add(seq.0 - seen.seq.0 - 1);
        }
        self.preceding = Some(PrecedingLine { seq, at, is_reliable: true });
        if matches!(envelope.event, AgentEvent::Unknown(_)) {
            self.damage.unknown += 1;
        }
        if (seq, at) == (head.seq, head.at) {
            return Ok(WalkResult::Entry(LogEntry { envelope, line }));
        }
        self.damage.renumbered += 1;
        (envelope.seq, envelope.at) = (seq, at);
        let line = serde_json::to_vec(&envelope).map_err(io::Error::from)?.into();
        Ok(WalkResult::Entry(LogEntry { envelope, line }))
    }

    fn skip_unreadable(&mut self) {
        self.damage.unreadable += 1;
        self.preceding = self.preceding.map(|seen| PrecedingLine { is_reliable: false, ..seen });
    }
}

/// Some editors write a byte order mark at the start of a file.
fn strip_bom(text: &Bytes) -> Bytes {
    if text.starts_with(b"\xef\xbb\xbf") { text.slice(3..) } else { text.clone() }
}
