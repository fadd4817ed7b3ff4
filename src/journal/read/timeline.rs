//! Finds what stands out in a log.

use std::io;

use super::lines::LogLines;
use super::{ReadLimits, Reader};
use crate::event::timeline::{TIMELINE_KINDS, Timeline, TimelineBuilder};
use crate::event::{Millis, Seq};
use crate::journal::line::{LineHead, decode, event_kind, is_prompt_context};

impl Reader {
    /// Returns what a timeline shows. O(log), parsing only the events that may stand out.
    pub fn timeline(&self) -> io::Result<Timeline> {
        let mut lines = LogLines::new(self, self.start);
        let mut builder = TimelineBuilder::default();
        let mut last = Seq(0);
        while let Some(line) = lines.next()? {
            let Some(head) = LineHead::parse(&line.text).filter(|head| head.seq > last) else { continue };
            last = head.seq;
            builder.pass(head.seq, head.at);
            if may_stand_out(&line.text)
                && let Some(envelope) = decode(&line.text)
            {
                builder.observe(&envelope);
            }
        }
        Ok(builder.finish(|seq| self.time_of(seq)))
    }

    /// Returns when an event was; none where there is none of that number.
    pub fn time_of(&self, seq: Seq) -> Option<Millis> {
        let mut cursor = self.cursor_after(Seq(seq.0.checked_sub(1)?)).ok()?;
        let one = ReadLimits { max_events: 1, through: seq, ..ReadLimits::one_page() };
        let entry = self.read(&mut cursor, one).ok()?.entries.pop()?;
        (entry.envelope.seq == seq).then_some(entry.envelope.at)
    }
}

/// Returns whether a line has to be parsed. A line that is laid out as by another program always has.
fn may_stand_out(line: &[u8]) -> bool {
    let is_of_kind = |kind: &[u8]| TIMELINE_KINDS.iter().any(|known| known.as_bytes() == kind);
    event_kind(line).is_none_or(is_of_kind) && !is_prompt_context(line)
}
