//! Finds where branches begin, without parsing the rest of a log.

use std::io;

use memchr::memmem;

use super::{CHUNK_BYTES, Reader};
use crate::event::branches::BranchStarts;
use crate::event::{AgentEvent, Seq};
use crate::journal::line::decode;

/// Occurs in every line that begins a branch; lines that contain it by chance are ruled out by parsing.
const BRANCH_MARKER: &[u8] = b"branch_started";
/// A line that begins a branch is short; a longer one has the marker in its text.
const MAX_LINE_HEAD_BYTES: u64 = 256;

impl Reader {
    /// Returns where branches begin, up to a number. O(log), at the speed of finding a word.
    pub fn branch_starts(&self, through: Seq) -> io::Result<BranchStarts> {
        let mut starts = BranchStarts::default();
        if !self.is_ordered() {
            self.for_each_event(|envelope| {
                if envelope.seq <= through {
                    starts.observe(envelope.seq, &envelope.event);
                }
            })?;
            return Ok(starts);
        }
        let mut offset = self.start;
        loop {
            let chunk = self.read_chunk(offset, CHUNK_BYTES * 4)?;
            for hit in memmem::find_iter(&chunk, BRANCH_MARKER) {
                let Some(line) = self.line_around(offset + hit as u64)? else { continue };
                if let Some(envelope) = decode(&line)
                    && envelope.seq <= through
                    && let AgentEvent::BranchStarted { after } = envelope.event
                {
                    starts.add(envelope.seq, after);
                }
            }
            if chunk.len() < CHUNK_BYTES * 4 {
                return Ok(starts);
            }
            // The overlap finds a marker that crosses two chunks; a start that is found twice counts once.
            offset += (chunk.len() - BRANCH_MARKER.len()) as u64;
        }
    }

    /// Returns the line around an offset, if it begins not far before it.
    fn line_around(&self, offset: u64) -> io::Result<Option<Vec<u8>>> {
        let low = offset.saturating_sub(MAX_LINE_HEAD_BYTES).max(self.start);
        let before = self.read_chunk(low, (offset - low) as usize)?;
        let start = match memchr::memrchr(b'\n', &before) {
            Some(end) => low + end as u64 + 1,
            None if low == self.start => low,
            None => return Ok(None),
        };
        self.line_at(start)
    }
}
