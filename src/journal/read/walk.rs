//! Record by record through a log, sound or damaged. The one place that decides what in a file is an event.

use std::io;

use bytes::Bytes;
use memchr::memmem;

use super::lines::{Lines, Raw};
use super::order::{self, Seen};
use super::{Cursor, Entry, Reader};
use crate::event::{AgentEvent, Envelope, Seq};
use crate::journal::Damage;
use crate::journal::line::{Head, decode, is_plausible};

/// What every record that this program wrote begins with; within a string its quotes would be escaped.
const BEGINNING: &[u8] = b"{\"seq\":";
/// A line in which more is wrong is given up.
const CUTS: u32 = 64;

pub(super) struct Walk<'a> {
    lines: Lines<'a>,
    /// Nothing behind a place that was jumped to: what is before it says nothing.
    seen: Option<Seen>,
    after: Seq,
    /// Whether the first number must be 1.
    from_one: bool,
    pub(super) damage: Damage,
    pub(super) at_end: bool,
}

/// What a record came to.
enum Found {
    Entry(Entry),
    /// Nothing to deliver: blank, noise, had before.
    Nothing,
    Beyond(Raw),
    Torn(Raw),
}

impl<'a> Walk<'a> {
    pub(super) fn new(reader: &'a Reader, cursor: Cursor) -> Self {
        Self {
            lines: Lines::new(reader, cursor.offset),
            seen: cursor.seen,
            after: cursor.after,
            from_one: reader.from_one,
            damage: Damage::default(),
            at_end: false,
        }
    }

    /// Returns the place behind what was delivered.
    pub(super) fn cursor(&self) -> Cursor {
        Cursor { offset: self.lines.offset(), after: self.after, seen: self.seen }
    }

    /// Returns the next event with a number up to `through`.
    pub(super) fn next(&mut self, through: Seq) -> io::Result<Option<Entry>> {
        while let Some(raw) = self.lines.next()? {
            match self.judge(raw, through)? {
                Found::Entry(entry) if entry.envelope.seq > self.after => {
                    self.after = entry.envelope.seq;
                    return Ok(Some(entry));
                }
                Found::Entry(_) | Found::Nothing => {}
                Found::Beyond(raw) => {
                    self.lines.put_back(raw);
                    self.at_end = true;
                    return Ok(None);
                }
                Found::Torn(raw) => {
                    self.damage.torn = Some(raw.text.len() as u64);
                    self.lines.put_back(raw);
                    break;
                }
            }
        }
        self.at_end = true;
        Ok(None)
    }

    fn judge(&mut self, raw: Raw, through: Seq) -> io::Result<Found> {
        if raw.too_long {
            self.noise();
            return Ok(Found::Nothing);
        }
        let text = if raw.start == 0 { without_mark(&raw.text) } else { raw.text.clone() };
        if text.trim_ascii().is_empty() {
            return Ok(Found::Nothing);
        }
        if self.seen.is_none() && Head::of(&text).is_some_and(|head| head.seq <= self.after) {
            return Ok(Found::Nothing);
        }
        if let Some(envelope) = decode(&text) {
            return self.place(envelope, text, raw, through);
        }
        let mut records = serde_json::Deserializer::from_slice(&text).into_iter::<Envelope>();
        if let Some(Ok(envelope)) = records.next()
            && is_plausible(envelope.seq)
            && raw.cuts < CUTS
        {
            let end = records.byte_offset();
            self.cut(&raw, &text, end);
            return self.place(envelope, text.slice(..end), raw, through);
        }
        match memmem::find(text.get(1..).unwrap_or_default(), BEGINNING) {
            Some(at) if raw.cuts < CUTS => {
                self.cut(&raw, &text, at + 1);
                self.noise();
            }
            _ if !raw.ended => return Ok(Found::Torn(raw)),
            _ => self.noise(),
        }
        Ok(Found::Nothing)
    }

    /// Lets what is left of a line behind `at` come next.
    fn cut(&mut self, raw: &Raw, text: &Bytes, at: usize) {
        let lead = raw.text.len() - text.len();
        let (start, rest) = (raw.start + (lead + at) as u64, text.slice(at..));
        self.lines.put_back(Raw { text: rest, start, ended: raw.ended, cuts: raw.cuts + 1, too_long: false });
    }

    fn place(&mut self, mut envelope: Envelope, line: Bytes, raw: Raw, through: Seq) -> io::Result<Found> {
        let head = Head { seq: envelope.seq, at: envelope.at };
        let before = self.seen;
        let seen = before.unwrap_or(Seen { seq: Seq(head.seq.0.saturating_sub(1)), at: head.at, steady: true });
        let next = self.lines.ahead(0)?;
        let Some(seq) = order::number(seen, head, next) else {
            self.damage.repeated += 1;
            self.seen = before.map(|seen| Seen { steady: false, ..seen });
            return Ok(Found::Nothing);
        };
        if seq > through {
            return Ok(Found::Beyond(raw));
        }
        let lines = &mut self.lines;
        let mut failed = None;
        let at = order::time(seen, head.at, next, || {
            lines.ahead(1).unwrap_or_else(|error| {
                failed = Some(error);
                None
            })
        });
        if let Some(error) = failed {
            return Err(error);
        }
        if before.is_some() && (seen.seq > Seq(0) || self.from_one) {
            self.damage.missing = self.damage.missing.saturating_add(seq.0 - seen.seq.0 - 1);
        }
        self.seen = Some(Seen { seq, at, steady: true });
        if matches!(envelope.event, AgentEvent::Unknown(_)) {
            self.damage.unknown += 1;
        }
        if (seq, at) == (head.seq, head.at) {
            return Ok(Found::Entry(Entry { envelope, line }));
        }
        self.damage.renumbered += 1;
        (envelope.seq, envelope.at) = (seq, at);
        let line = serde_json::to_vec(&envelope).map_err(io::Error::from)?.into();
        Ok(Found::Entry(Entry { envelope, line }))
    }

    fn noise(&mut self) {
        self.damage.unreadable += 1;
        self.seen = self.seen.map(|seen| Seen { steady: false, ..seen });
    }
}

/// Some editors begin a file with a mark of its encoding.
fn without_mark(text: &Bytes) -> Bytes {
    if text.starts_with(b"\xef\xbb\xbf") { text.slice(3..) } else { text.clone() }
}
