//! Reads what a summary of a session is made of, without parsing the rest, or only the end of a log.

use std::io;

use super::lines::LogLines;
use super::{Cursor, LogPage, ReadLimits, Reader};
use crate::event::{Envelope, Seq};
use crate::journal::line::{decode, event_kind, is_prompt_context};

/// The kinds of events that say what a session is about.
const LANDMARK_KINDS: [&[u8]; 5] =
    [b"session_opened", b"turn_started", b"user_message", b"annotated", b"branch_started"];

impl Reader {
    /// Calls `tell` with the openings, turns, prompts, annotations and branches of the log, in the order of its lines, but for what
    /// went with prompts; events that other programs laid out differently are told whatever they are. O(log), at the speed of finding line ends.
    pub fn for_each_landmark(&self, mut tell: impl FnMut(&Envelope)) -> io::Result<()> {
        let mut lines = LogLines::new(self, self.start);
        while let Some(line) = lines.next()? {
            if event_kind(&line.text).is_none_or(|kind| LANDMARK_KINDS.contains(&kind))
                && !is_prompt_context(&line.text)
                && let Some(envelope) = decode(&line.text)
            {
                tell(&envelope);
            }
        }
        Ok(())
    }

    /// Reads the events whose lines begin in the last `bytes` of the log.
    pub fn read_end(&self, bytes: u64) -> io::Result<LogPage> {
        let offset = self.len()?.saturating_sub(bytes);
        let mut cursor = if offset <= self.start {
            self.start_cursor()
        } else {
            Cursor { offset: self.line_after(offset - 1)?, after: Seq(0), preceding: None }
        };
        self.read(&mut cursor, ReadLimits::unlimited())
    }
}
