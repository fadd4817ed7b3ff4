//! The log as a replay reads it: events in order from any position, turns, length, and a properly closed end.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::super::LoggedEvent;
use super::super::session::notice;
use crate::event::grammar::Sealer;
use crate::event::{AgentEvent, Envelope, Millis, NoticeLevel, Seq, TurnOutcome};
use crate::journal::{Cursor, LogIndex, ReadLimits, Reader, TurnMark};

/// Events read ahead at once.
const READ_AHEAD_EVENTS: usize = 256;

/// A run of the program opens the session within so many events and this time.
const MAX_RUN_START_EVENTS: usize = 64;
const MAX_RUN_START_DURATION: Millis = Millis(1_000);

pub(super) struct ReplayLog {
    reader: Reader,
    index: LogIndex,
    /// Events that close a log that was cut, numbered on from its end.
    closing_events: Vec<Arc<LoggedEvent>>,
    cursor: Cursor,
    read_ahead: VecDeque<Arc<LoggedEvent>>,
    /// Everything up to here was read or skipped.
    position: Seq,
}

impl ReplayLog {
    /// Scans the log once, parsing only what is needed.
    pub(super) fn new(reader: Reader) -> io::Result<Self> {
        let index = reader.build_index()?;
        let closing_events = build_closing_events(&reader, &index)?;
        let cursor = reader.start_cursor();
        Ok(Self { reader, index, closing_events, cursor, read_ahead: VecDeque::new(), position: Seq(0) })
    }

    pub(super) fn reader(&self) -> &Reader {
        &self.reader
    }

    pub(super) fn peek(&mut self) -> Option<&Arc<LoggedEvent>> {
        if self.read_ahead.is_empty() {
            self.read_more();
        }
        self.read_ahead.front()
    }

    pub(super) fn take(&mut self) -> Option<Arc<LoggedEvent>> {
        self.peek()?;
        let event = self.read_ahead.pop_front()?;
        self.position = event.envelope.seq;
        Some(event)
    }

    /// Returns whether a run of the program begins here: it opens the session, after closing what a cut left open.
    pub(super) fn is_run_start(&mut self) -> bool {
        if self.read_ahead.len() < MAX_RUN_START_EVENTS {
            self.read_more();
        }
        let Some(first) = self.read_ahead.front() else { return false };
        let until = first.envelope.at.plus(MAX_RUN_START_DURATION);
        let mut near = self.read_ahead.iter().take(MAX_RUN_START_EVENTS).take_while(|event| event.envelope.at <= until);
        near.any(|event| matches!(event.envelope.event, AgentEvent::SessionOpened { .. }))
    }

    /// Moves to behind `last`.
    pub(super) fn seek(&mut self, last: Seq) {
        self.read_ahead.clear();
        self.position = last;
        self.cursor = self.after(last);
    }

    /// Returns the closing events up to `last`.
    pub(super) fn closing_events_up_to(&self, last: Seq) -> Vec<Arc<LoggedEvent>> {
        self.closing_events.iter().filter(|event| event.envelope.seq <= last).cloned().collect()
    }

    /// Returns the last number in the file.
    pub(super) fn last_recorded(&self) -> Seq {
        self.index.end.last_seq
    }

    /// Returns the last number, closing events included.
    pub(super) fn last_seq(&self) -> Seq {
        self.closing_events.last().map_or(self.last_recorded(), |event| event.envelope.seq)
    }

    pub(super) fn length(&self) -> Millis {
        self.index.end.at
    }

    pub(super) fn turns(&self) -> &[TurnMark] {
        &self.index.turns
    }

    /// Returns which turn an event belongs to, from 1; 0 before the first.
    pub(super) fn turn_of(&self, seq: Seq) -> u32 {
        u32::try_from(self.index.turns.partition_point(|mark| mark.seq <= seq)).unwrap_or(u32::MAX)
    }

    /// Returns the number of the last event recorded up to `at`.
    pub(super) fn seq_at(&self, at: Millis) -> Seq {
        if at >= self.length() {
            return self.last_seq();
        }
        self.reader.seq_at(at).map_or_else(
            |error| {
                tracing::warn!(%error, "the log can't be read");
                Seq(0)
            },
            |seq| seq.min(self.last_recorded()),
        )
    }

    /// Returns the time of an event; 0 where there is none.
    pub(super) fn time_of(&self, seq: Seq) -> Millis {
        if seq > self.last_recorded() {
            return self.length();
        }
        self.reader.time_of(seq).unwrap_or_default()
    }

    fn after(&self, seq: Seq) -> Cursor {
        if seq == Seq(0) {
            return self.reader.start_cursor();
        }
        self.reader.cursor_after(seq).unwrap_or_else(|error| {
            tracing::warn!(%error, "the log can't be read");
            self.reader.start_cursor()
        })
    }

    fn read_more(&mut self) {
        if self.position < self.last_recorded() {
            let want =
                ReadLimits { max_events: READ_AHEAD_EVENTS, through: self.last_recorded(), ..ReadLimits::one_page() };
            match self.reader.read(&mut self.cursor, want) {
                Ok(page) => self.read_ahead.extend(
                    page.entries
                        .into_iter()
                        .map(|entry| Arc::new(LoggedEvent { envelope: entry.envelope, line: entry.line })),
                ),
                Err(error) => tracing::warn!(%error, "the log can't be read"),
            }
        }
        if self.read_ahead.is_empty() {
            let taken = self.position;
            self.read_ahead.extend(self.closing_events.iter().filter(|event| event.envelope.seq > taken).cloned());
        }
    }
}

/// Reports what is wrong with a log and closes what it left open.
fn build_closing_events(reader: &Reader, index: &LogIndex) -> io::Result<Vec<Arc<LoggedEvent>>> {
    let mut events: Vec<AgentEvent> = Vec::new();
    events.extend(index.damage.notices().into_iter().map(|(code, text)| notice(NoticeLevel::Warn, code, text)));
    // Everything before the last turn is closed, by itself or by a later run of the program.
    let before = index.turns.last().map_or(Seq(0), |mark| Seq(mark.seq.0.saturating_sub(1)));
    let mut cursor = reader.cursor_after(before)?;
    let mut sealer = Sealer::new();
    loop {
        let page = reader.read(&mut cursor, ReadLimits { through: index.end.last_seq, ..ReadLimits::one_page() })?;
        for entry in &page.entries {
            // Illegal events are a matter for tests; a viewer shows what there is.
            let _ = sealer.observe(&entry.envelope.event);
        }
        if page.at_end {
            break;
        }
    }
    events.extend(sealer.seal(TurnOutcome::Interrupted));
    let mut seq = index.end.last_seq;
    let mut closing_events = Vec::new();
    for event in events {
        seq = seq.next();
        let envelope = Envelope { seq, at: index.end.at, event };
        let line = Bytes::from(serde_json::to_vec(&envelope)?);
        closing_events.push(Arc::new(LoggedEvent { envelope, line }));
    }
    Ok(closing_events)
}
