//! Finds positions in a log: by number, by time, from the end, and all turns at once.

use std::io;
use std::sync::atomic::Ordering;

use memchr::memmem;

use super::lines::LogLines;
use super::walk::LogWalker;
use super::{CHUNK_BYTES, Cursor, LogEntry, LogPage, ReadLimits, Reader};
use crate::event::grammar::Sealer;
use crate::event::{AgentEvent, Envelope, Millis, Seq};
use crate::journal::Damage;
use crate::journal::line::{LineHead, decode};

/// Occurs in every line that begins a turn; lines that contain it by chance are ruled out by parsing.
const TURN_MARKER: &[u8] = b"turn_started";

/// The end of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogEnd {
    /// The last number; 0 in an empty log.
    pub last_seq: Seq,
    pub at: Millis,
    /// Bytes of an unfinished last line.
    pub torn: Option<u64>,
    /// Whether the file ends in a newline, so that a line can be appended as it is.
    pub ends_with_newline: bool,
}

/// The last turns of a log.
#[derive(Clone, Debug, PartialEq)]
pub struct LogTail {
    /// The log's first event, which describes the session.
    pub opened: Option<LogEntry>,
    /// Begins with a `TurnStarted`.
    pub page: LogPage,
    /// Whether only `opened` precedes the page.
    pub is_whole: bool,
}

/// The beginning of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TurnMark {
    pub seq: Seq,
    pub at: Millis,
}

/// The contents of a log and its damage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogIndex {
    pub turns: Vec<TurnMark>,
    pub events: u64,
    pub damage: Damage,
    pub end: LogEnd,
}

impl Reader {
    /// Returns the position after a number.
    pub fn cursor_after(&self, seq: Seq) -> io::Result<Cursor> {
        if !self.is_ordered() {
            return Ok(Cursor { after: seq, ..self.start_cursor() });
        }
        Ok(Cursor { offset: self.bisect(|head| head.seq <= seq)?, after: seq, preceding: None })
    }

    /// Returns the last number recorded up to `at`; 0 if there is none.
    pub fn seq_at(&self, at: Millis) -> io::Result<Seq> {
        let mut cursor = self.start_cursor();
        if self.is_ordered() {
            cursor = Cursor { offset: self.bisect(|head| head.at <= at)?, after: Seq(0), preceding: None };
        }
        let mut last = Seq(0);
        loop {
            let page = self.read(&mut cursor, ReadLimits::one_page())?;
            for entry in page.entries {
                if entry.envelope.at > at {
                    return Ok(last);
                }
                last = entry.envelope.seq;
            }
            if page.at_end {
                return Ok(last);
            }
        }
    }

    /// Returns the start of a line such that the lines for which `before` holds end at most a chunk after it.
    fn bisect(&self, before: impl Fn(LineHead) -> bool) -> io::Result<u64> {
        let (mut low, mut high) = (self.start, self.len()?);
        while high.saturating_sub(low) > CHUNK_BYTES as u64 {
            let middle = low + (high - low) / 2;
            match self.head_after(middle, high)? {
                Some((offset, head)) if before(head) => low = offset,
                Some(_) | None => high = middle,
            }
        }
        Ok(low)
    }

    /// Returns the first line in `offset..limit` that has a head.
    fn head_after(&self, offset: u64, limit: u64) -> io::Result<Option<(u64, LineHead)>> {
        let mut offset = self.line_after(offset)?;
        while offset < limit {
            if let Some(head) = self.line_at(offset)?.and_then(|line| LineHead::parse(&line)) {
                return Ok(Some((offset, head)));
            }
            offset = self.line_after(offset)?;
        }
        Ok(None)
    }

    pub(super) fn is_ordered(&self) -> bool {
        self.is_known_ordered.load(Ordering::Relaxed)
    }

    /// Returns the end of the log. Checks the number of every line, because new numbers must be greater than all of
    /// them.
    pub fn find_end(&self) -> io::Result<LogEnd> {
        let mut lines = LogLines::new(self, self.start);
        let mut end = LogEnd { ends_with_newline: true, ..LogEnd::default() };
        while let Some(line) = lines.next()? {
            if !line.text.ends_with(b"}") || line.is_too_long {
                end.ends_with_newline = line.has_newline;
                if line.has_newline || line.text.is_empty() {
                    continue;
                }
                // The torn line may contain a whole record.
                return Ok(self.build_index()?.end);
            }
            let Some(head) = LineHead::parse(&line.text) else { continue };
            if head.seq <= end.last_seq || head.at < end.at || (!line.has_newline && decode(&line.text).is_none()) {
                return Ok(self.build_index()?.end);
            }
            (end.last_seq, end.at, end.ends_with_newline) = (head.seq, head.at, line.has_newline);
        }
        self.is_known_ordered.store(true, Ordering::Relaxed);
        Ok(end)
    }

    /// Returns an offset behind an event, and at most one event farther.
    fn offset_behind(&self, seq: Seq) -> io::Result<u64> {
        let mut cursor = self.cursor_after(seq)?;
        self.read(&mut cursor, ReadLimits { max_events: 1, ..ReadLimits::one_page() })?;
        Ok(cursor.offset)
    }

    /// Reads the last `turns` turns, looking back at most `budget` bytes.
    ///
    /// Returns `None` if no turn begins that close to the end; the log is then read from its first line.
    pub fn tail(&self, turns: usize, budget: u64) -> io::Result<Option<LogTail>> {
        self.tail_through(Seq(u64::MAX), turns, budget)
    }

    /// The same as if the log ended with event `through`.
    pub fn tail_through(&self, through: Seq, turns: usize, budget: u64) -> io::Result<Option<LogTail>> {
        if !self.is_ordered() {
            return Ok(None);
        }
        let is_end = through == Seq(u64::MAX) || through >= self.find_end()?.last_seq;
        let length = if is_end { self.len()? } else { self.offset_behind(through)? };
        let floor = length.saturating_sub(budget).max(self.start);
        let mut found = Vec::new();
        let mut high = length;
        while high > floor && found.len() < turns {
            let low = high.saturating_sub(CHUNK_BYTES as u64 * 4).max(floor);
            // The overlap finds a marker that crosses two chunks.
            let size = (high - low) as usize + TURN_MARKER.len() - 1;
            let block = self.read_chunk(low, size)?;
            for hit in memmem::rfind_iter(&block, TURN_MARKER) {
                if let Some(offset) = self.find_turn_start(low + hit as u64, floor)?
                    && found.last().is_none_or(|known| offset < *known)
                {
                    found.push(offset);
                    if found.len() == turns {
                        break;
                    }
                }
            }
            high = low;
        }
        let Some(offset) = found.last().copied() else { return Ok(None) };
        let wanted = ReadLimits { through, ..ReadLimits::unlimited() };
        let page = self.read(&mut Cursor { offset, after: Seq(0), preceding: None }, wanted)?;
        let mut first = self.start_cursor();
        let opened = self.read(&mut first, ReadLimits { max_events: 1, ..ReadLimits::one_page() })?.entries.pop();
        let opened = opened.filter(|entry| matches!(entry.envelope.event, AgentEvent::SessionOpened { .. }));
        let whole = if opened.is_some() { offset <= first.offset } else { offset == self.start };
        Ok(Some(LogTail { opened, page, is_whole: whole }))
    }

    /// Returns the start of the line around `offset`, if that line begins a turn.
    fn find_turn_start(&self, offset: u64, floor: u64) -> io::Result<Option<u64>> {
        // Such a line is short; a longer one has the marker in its text.
        let low = offset.saturating_sub(1 << 10).max(self.start);
        let before = self.read_chunk(low, (offset - low) as usize)?;
        let start = match memchr::memrchr(b'\n', &before) {
            Some(end) => low + end as u64 + 1,
            None if low == self.start => low,
            None => return Ok(None),
        };
        if start < floor {
            return Ok(None);
        }
        let line = self.line_at(start)?;
        Ok(line.filter(|line| turn_mark(line).is_some()).map(|_| start))
    }

    /// Scans the whole log and finds all damage.
    pub fn build_index(&self) -> io::Result<LogIndex> {
        let mut index = LogIndex {
            end: LogEnd { ends_with_newline: self.ends_with_newline()?, ..LogEnd::default() },
            ..LogIndex::default()
        };
        (index.damage, _) = self.for_each_event(|Envelope { seq, at, event }| {
            if matches!(event, AgentEvent::TurnStarted { .. }) {
                index.turns.push(TurnMark { seq: *seq, at: *at });
            }
            index.events += 1;
            (index.end.last_seq, index.end.at) = (*seq, *at);
        })?;
        index.end.torn = index.damage.torn;
        Ok(index)
    }

    /// Calls `tell` with every event; returns the damage, and what is open at the end.
    pub fn for_each_event(&self, mut tell: impl FnMut(&Envelope)) -> io::Result<(Damage, Sealer)> {
        let mut walk = LogWalker::new(self, self.start_cursor());
        let mut sealer = Sealer::new();
        let mut misplaced = 0;
        while let Some(LogEntry { envelope, .. }) = walk.next(Seq(u64::MAX))? {
            if let Err(violation) = sealer.observe(&envelope.event) {
                tracing::debug!("in the log: {violation}");
                misplaced += 1;
            }
            tell(&envelope);
        }
        let mut damage = walk.damage;
        self.is_known_ordered.store(damage.renumbered == 0 && damage.repeated == 0, Ordering::Relaxed);
        // A log that begins in the middle may begin inside a turn or message.
        damage.misplaced = if self.starts_at_one { misplaced } else { 0 };
        damage.headerless = self.is_headerless;
        Ok((damage, sealer))
    }

    fn ends_with_newline(&self) -> io::Result<bool> {
        let length = self.len()?;
        Ok(length <= self.start || self.read_chunk(length - 1, 1)? == b"\n")
    }
}

fn turn_mark(line: &[u8]) -> Option<TurnMark> {
    let envelope = decode(line)?;
    matches!(envelope.event, AgentEvent::TurnStarted { .. }).then_some(TurnMark { seq: envelope.seq, at: envelope.at })
}
