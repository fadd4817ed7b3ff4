//! The log as a replay sees it: events in order from any place, turns, length, and an end that is whole.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::super::Published;
use super::super::session::notice;
use crate::event::grammar::Sealer;
use crate::event::{AgentEvent, Envelope, Level, Millis, Seq, TurnEnd};
use crate::journal::{Cursor, Reader, Survey, TurnMark, Want};

/// Events read ahead at once.
const AHEAD: usize = 256;

/// Among so many events and in this time a run of the program opens the session.
const OPENING: usize = 64;
const STARTING: Millis = Millis(1_000);

pub(super) struct Tape {
    reader: Reader,
    survey: Survey,
    /// What closes a log that was cut, numbered on from its end.
    added: Vec<Arc<Published>>,
    cursor: Cursor,
    ahead: VecDeque<Arc<Published>>,
    /// Everything up to here was taken or skipped.
    taken: Seq,
}

impl Tape {
    /// Goes through the log once, without parsing what it needn't.
    pub(super) fn new(reader: Reader) -> io::Result<Self> {
        let survey = reader.survey()?;
        let added = added(&reader, &survey)?;
        let cursor = reader.first();
        Ok(Self { reader, survey, added, cursor, ahead: VecDeque::new(), taken: Seq(0) })
    }

    pub(super) fn peek(&mut self) -> Option<&Arc<Published>> {
        if self.ahead.is_empty() {
            self.fill();
        }
        self.ahead.front()
    }

    pub(super) fn take(&mut self) -> Option<Arc<Published>> {
        self.peek()?;
        let fact = self.ahead.pop_front()?;
        self.taken = fact.envelope.seq;
        Some(fact)
    }

    /// Returns whether a run of the program begins here: it opens the session, after closing what a cut left open.
    pub(super) fn begins_run(&mut self) -> bool {
        if self.ahead.len() < OPENING {
            self.fill();
        }
        let Some(first) = self.ahead.front() else { return false };
        let until = first.envelope.at.plus(STARTING);
        let mut near = self.ahead.iter().take(OPENING).take_while(|fact| fact.envelope.at <= until);
        near.any(|fact| matches!(fact.envelope.event, AgentEvent::SessionOpened { .. }))
    }

    /// Goes to behind a number.
    pub(super) fn seek(&mut self, last: Seq) {
        self.ahead.clear();
        self.taken = last;
        self.cursor = self.after(last);
    }

    /// Returns the additions up to a number.
    pub(super) fn added(&self, last: Seq) -> Vec<Arc<Published>> {
        self.added.iter().filter(|fact| fact.envelope.seq <= last).cloned().collect()
    }

    /// Returns the last number in the file.
    pub(super) fn recorded(&self) -> Seq {
        self.survey.end.last
    }

    /// Returns the last number, additions included.
    pub(super) fn last(&self) -> Seq {
        self.added.last().map_or(self.recorded(), |fact| fact.envelope.seq)
    }

    pub(super) fn length(&self) -> Millis {
        self.survey.end.at
    }

    pub(super) fn turns(&self) -> &[TurnMark] {
        &self.survey.turns
    }

    /// Returns which turn an event belongs to, from 1; 0 before the first.
    pub(super) fn turn_of(&self, seq: Seq) -> u32 {
        u32::try_from(self.survey.turns.partition_point(|mark| mark.seq <= seq)).unwrap_or(u32::MAX)
    }

    /// Returns the last number up to a time.
    pub(super) fn seq_at(&self, at: Millis) -> Seq {
        if at >= self.length() {
            return self.last();
        }
        self.reader.seq_at(at).map_or_else(
            |error| {
                tracing::warn!(%error, "the log can't be read");
                Seq(0)
            },
            |seq| seq.min(self.recorded()),
        )
    }

    /// Returns the time of an event; 0 where there is none.
    pub(super) fn at_of(&self, seq: Seq) -> Millis {
        if seq > self.recorded() {
            return self.length();
        }
        let mut cursor = self.after(Seq(seq.0.saturating_sub(1)));
        let one = Want { events: 1, through: seq, ..Want::page() };
        let page = self.reader.read(&mut cursor, one).unwrap_or_default();
        page.entries.first().map_or(Millis(0), |entry| entry.envelope.at)
    }

    fn after(&self, seq: Seq) -> Cursor {
        if seq == Seq(0) {
            return self.reader.first();
        }
        self.reader.after(seq).unwrap_or_else(|error| {
            tracing::warn!(%error, "the log can't be read");
            self.reader.first()
        })
    }

    fn fill(&mut self) {
        if self.taken < self.recorded() {
            let want = Want { events: AHEAD, through: self.recorded(), ..Want::page() };
            match self.reader.read(&mut self.cursor, want) {
                Ok(page) => self.ahead.extend(
                    page.entries
                        .into_iter()
                        .map(|entry| Arc::new(Published { envelope: entry.envelope, line: entry.line })),
                ),
                Err(error) => tracing::warn!(%error, "the log can't be read"),
            }
        }
        if self.ahead.is_empty() {
            let taken = self.taken;
            self.ahead.extend(self.added.iter().filter(|fact| fact.envelope.seq > taken).cloned());
        }
    }
}

/// Says what is wrong with a log and closes what it left open.
fn added(reader: &Reader, survey: &Survey) -> io::Result<Vec<Arc<Published>>> {
    let mut events: Vec<AgentEvent> = Vec::new();
    events.extend(survey.damage.notices().into_iter().map(|(code, text)| notice(Level::Warn, code, text)));
    // Before the last turn everything is closed, or a later run of the program closed it.
    let before = survey.turns.last().map_or(Seq(0), |mark| Seq(mark.seq.0.saturating_sub(1)));
    let mut cursor = reader.after(before)?;
    let mut sealer = Sealer::new();
    loop {
        let page = reader.read(&mut cursor, Want { through: survey.end.last, ..Want::page() })?;
        for entry in &page.entries {
            // What may not stand there is for tests to find; a viewer shows what there is.
            let _ = sealer.observe(&entry.envelope.event);
        }
        if page.end {
            break;
        }
    }
    events.extend(sealer.seal(TurnEnd::Interrupted));
    let mut seq = survey.end.last;
    let mut added = Vec::new();
    for event in events {
        seq = seq.next();
        let envelope = Envelope { seq, at: survey.end.at, event };
        let line = Bytes::from(serde_json::to_vec(&envelope)?);
        added.push(Arc::new(Published { envelope, line }));
    }
    Ok(added)
}
