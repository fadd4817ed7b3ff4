//! Finding places in a log: by number, by time, from the end, and all turns at once.

use std::io;

use memchr::memmem;

use super::{CHUNK, Cursor, Entry, MAX_LINE, Page, Reader, Want};
use crate::event::{AgentEvent, Millis, Seq};
use crate::journal::line::{Head, decode};

/// Stands in every line that begins a turn; a line that has it by chance is told apart by parsing.
const TURN: &[u8] = b"turn_started";

/// Where a log ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct End {
    /// The last number; 0 in an empty log.
    pub last: Seq,
    pub at: Millis,
    /// Bytes of an unfinished last line.
    pub torn: Option<u64>,
    /// Whether the file ends in a line end, so that a line may be appended as it is.
    pub closed: bool,
}

/// The last turns of a log.
#[derive(Clone, Debug, PartialEq)]
pub struct Tail {
    /// The log's first event, which says what the session is.
    pub opened: Option<Entry>,
    /// From a `TurnStarted` on.
    pub page: Page,
    /// Whether there is nothing but `opened` before.
    pub whole: bool,
}

/// Where a turn begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TurnMark {
    pub seq: Seq,
    pub at: Millis,
}

/// The length of a log and the beginnings of its turns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    pub turns: Vec<TurnMark>,
    /// Lines that look like envelopes.
    pub events: u64,
    /// Lines that do not.
    pub skipped: u64,
    pub end: End,
}

impl Reader {
    /// Returns the place behind a number.
    pub fn after(&self, seq: Seq) -> io::Result<Cursor> {
        Ok(Cursor { offset: self.bisect(|head| head.seq <= seq)?, after: seq })
    }

    /// Returns the last number that was recorded up to a time; 0 if none was.
    pub fn seq_at(&self, at: Millis) -> io::Result<Seq> {
        let mut cursor = Cursor { offset: self.bisect(|head| head.at <= at)?, after: Seq(0) };
        let mut last = Seq(0);
        loop {
            let page = self.read(&mut cursor, Want::page())?;
            for entry in page.entries {
                if entry.envelope.at > at {
                    return Ok(last);
                }
                last = entry.envelope.seq;
            }
            if page.end {
                return Ok(last);
            }
        }
    }

    /// Returns a line's beginning so that what `before` holds for ends at most a chunk behind it.
    fn bisect(&self, before: impl Fn(Head) -> bool) -> io::Result<u64> {
        let (mut low, mut high) = (self.start, self.len()?);
        while high.saturating_sub(low) > CHUNK as u64 {
            let middle = low + (high - low) / 2;
            match self.head_after(middle, high)? {
                Some((offset, head)) if before(head) => low = offset,
                Some(_) | None => high = middle,
            }
        }
        Ok(low)
    }

    /// Returns the first line that begins in `offset..limit` and has a head.
    fn head_after(&self, offset: u64, limit: u64) -> io::Result<Option<(u64, Head)>> {
        let mut offset = self.line_after(offset)?;
        while offset < limit {
            if let Some(head) = self.line_at(offset)?.and_then(|line| Head::of(&line)) {
                return Ok(Some((offset, head)));
            }
            offset = self.line_after(offset)?;
        }
        Ok(None)
    }

    /// Returns where the log ends, reading only its last lines.
    pub fn end(&self) -> io::Result<End> {
        let length = self.len()?;
        let mut size = CHUNK;
        loop {
            let start = length.saturating_sub(size as u64).max(self.start);
            let chunk = self.chunk(start, usize::try_from(length.saturating_sub(start)).unwrap_or(MAX_LINE))?;
            let mut end = End { closed: chunk.last().is_none_or(|byte| *byte == b'\n'), ..End::default() };
            let mut lines = chunk.split(|byte| *byte == b'\n').rev().enumerate().peekable();
            while let Some((number, line)) = lines.next() {
                // The first piece of a chunk may be the rest of a line.
                if lines.peek().is_none() && start > self.start {
                    break;
                }
                if line.is_empty() {
                    continue;
                }
                if let Some(envelope) = decode(line) {
                    return Ok(End { last: envelope.seq, at: envelope.at, ..end });
                }
                if number == 0 {
                    end.torn = Some(line.len() as u64);
                }
            }
            if start == self.start {
                return Ok(end);
            }
            if size >= MAX_LINE {
                return Ok(self.survey()?.end);
            }
            size *= 4;
        }
    }

    /// Reads the last `turns` turns, looking back at most `budget` bytes.
    ///
    /// Returns nothing where no turn begins that near to the end; the log then is read from its first line.
    pub fn tail(&self, turns: usize, budget: u64) -> io::Result<Option<Tail>> {
        let length = self.len()?;
        let floor = length.saturating_sub(budget).max(self.start);
        let mut found = Vec::new();
        let mut high = length;
        while high > floor && found.len() < turns {
            let low = high.saturating_sub(CHUNK as u64 * 4).max(floor);
            // The overlap catches a word that lies across two blocks.
            let size = (high - low) as usize + TURN.len() - 1;
            let block = self.chunk(low, size)?;
            for hit in memmem::rfind_iter(&block, TURN) {
                if let Some(offset) = self.turn_around(low + hit as u64, floor)?
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
        let page = self.read(&mut Cursor { offset, after: Seq(0) }, Want::everything())?;
        let mut first = self.first();
        let opened = self.read(&mut first, Want { events: 1, ..Want::page() })?.entries.pop();
        let opened = opened.filter(|entry| matches!(entry.envelope.event, AgentEvent::SessionOpened { .. }));
        let whole = if opened.is_some() { offset <= first.offset } else { offset == self.start };
        Ok(Some(Tail { opened, page, whole }))
    }

    /// Returns the beginning of the line around `offset`, if that line begins a turn.
    fn turn_around(&self, offset: u64, floor: u64) -> io::Result<Option<u64>> {
        // Such a line is short; one that isn't has the word in somebody's text.
        let low = offset.saturating_sub(1 << 10).max(self.start);
        let before = self.chunk(low, (offset - low) as usize)?;
        let start = match memchr::memrchr(b'\n', &before) {
            Some(end) => low + end as u64 + 1,
            None if low == self.start => low,
            None => return Ok(None),
        };
        if start < floor {
            return Ok(None);
        }
        let line = self.line_at(start)?;
        Ok(line.filter(|line| mark(line).is_some()).map(|_| start))
    }

    /// Goes through the whole log without parsing more than it must: about a second for a gigabyte.
    pub fn survey(&self) -> io::Result<Survey> {
        let mut survey = Survey { end: End { closed: true, ..End::default() }, ..Survey::default() };
        let turn = memmem::Finder::new(TURN);
        let mut offset = self.start;
        let mut size = CHUNK * 4;
        loop {
            let chunk = self.chunk(offset, size)?;
            let at_end = chunk.len() < size;
            let mut used = 0;
            while let Some(rest) = chunk.get(used..) {
                let Some(length) = memchr::memchr(b'\n', rest) else { break };
                survey.line(rest.get(..length).unwrap_or_default(), &turn);
                used += length + 1;
            }
            offset += used as u64;
            if at_end {
                let rest = chunk.get(used..).unwrap_or_default();
                survey.end.closed = rest.is_empty();
                if decode(rest).is_some() {
                    survey.line(rest, &turn);
                } else if !rest.is_empty() {
                    survey.end.torn = Some(rest.len() as u64);
                }
                return Ok(survey);
            }
            if used == 0 && size >= MAX_LINE {
                survey.skipped += 1;
                offset = self.line_after(offset + size as u64)?;
                size = CHUNK * 4;
            } else if used == 0 {
                size *= 4;
            }
        }
    }
}

impl Survey {
    fn line(&mut self, line: &[u8], turn: &memmem::Finder<'_>) {
        if line.is_empty() {
            return;
        }
        // A torn line that was ended later has a head but no end.
        let head = Head::of(line).filter(|head| head.seq > self.end.last && line.trim_ascii_end().ends_with(b"}"));
        let Some(head) = head else {
            self.skipped += 1;
            return;
        };
        if turn.find(line).is_some()
            && let Some(mark) = mark(line)
        {
            self.turns.push(mark);
        }
        self.events += 1;
        self.end.last = head.seq;
        self.end.at = self.end.at.max(head.at);
    }
}

fn mark(line: &[u8]) -> Option<TurnMark> {
    let envelope = decode(line)?;
    matches!(envelope.event, AgentEvent::TurnStarted { .. }).then_some(TurnMark { seq: envelope.seq, at: envelope.at })
}
