//! Reading a log: in pages from any number on, from its end backwards, or whole.
//!
//! Numbers and times only grow along the file, so a place is found by bisection: no index is kept or built.
//! Invariant: entries come with strictly growing numbers; what isn't an envelope is skipped and counted, never fatal.
//! Not here: following a file that grows (the hub does), sealing a log that was cut (its readers do).

mod seek;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::line::{Head, decode};
use super::{FORMAT, Header};
use crate::event::{AgentEvent, Envelope, Seq};

pub use seek::{End, Survey, Tail, TurnMark};

/// How much is read at once; about 600 tokens.
const CHUNK: usize = 64 << 10;
/// A longer line is not ours: it is skipped without ever being held.
const MAX_LINE: usize = 64 << 20;

/// Why a log can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("can't open {}: {cause}", path.display())]
    // Named so because the message has it already; a `source` would be told twice.
    Io { path: PathBuf, cause: io::Error },
    #[error("{} is not a session log: its first line is no header", path.display())]
    NoHeader { path: PathBuf },
    #[error("{} has format {found}, this program reads up to {FORMAT}: a newer version wrote it", path.display())]
    Newer { path: PathBuf, found: u32 },
    #[error("{} is in use by another jarvis-tui; it can only be read", path.display())]
    InUse { path: PathBuf },
}

/// An envelope and the bytes it was read from, without the line end.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub envelope: Envelope,
    pub line: Bytes,
}

/// A place in a log. Reading moves it; it stays good while the log grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    offset: u64,
    /// Only greater numbers are delivered.
    after: Seq,
}

/// How much to read at once.
#[derive(Clone, Copy, Debug)]
pub struct Want {
    pub events: usize,
    /// Reading stops after the entry that reaches this many bytes.
    pub bytes: usize,
    /// The last number wanted.
    pub through: Seq,
}

impl Want {
    /// A page that costs about a millisecond.
    pub fn page() -> Self {
        Self { events: usize::MAX, bytes: 256 << 10, through: Seq(u64::MAX) }
    }

    pub fn everything() -> Self {
        Self { bytes: usize::MAX, ..Self::page() }
    }
}

/// What reading gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    pub entries: Vec<Entry>,
    /// Lines that are no envelopes.
    pub skipped: u64,
    /// Bytes of an unfinished last line.
    pub torn: Option<u64>,
    /// Whether nothing more is there or wanted.
    pub end: bool,
}

/// An open log. Cheap to clone; holds no position of its own.
#[derive(Clone, Debug)]
pub struct Reader {
    file: Arc<File>,
    path: Arc<Path>,
    header: Arc<Header>,
    /// Where the first envelope is.
    start: u64,
    saved: Option<Arc<AtomicU64>>,
}

impl Reader {
    /// Opens a log, or bare envelopes as `stream-json` prints them.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let file = File::open(path).map_err(|cause| OpenError::Io { path: path.to_owned(), cause })?;
        Self::of(file, path, None)
    }

    /// Reads through a handle; `saved` tells how far its writer has come.
    pub(super) fn of(file: File, path: &Path, saved: Option<Arc<AtomicU64>>) -> Result<Self, OpenError> {
        let bare = Header::new(stem(path), 0);
        let mut reader = Self { file: Arc::new(file), path: path.into(), header: Arc::new(bare), start: 0, saved };
        match reader.line_at(0) {
            Ok(Some(line)) => reader.begin(&line)?,
            Ok(None) => return Err(OpenError::NoHeader { path: path.to_owned() }),
            Err(cause) => return Err(OpenError::Io { path: path.to_owned(), cause }),
        }
        Ok(reader)
    }

    fn begin(&mut self, line: &[u8]) -> Result<(), OpenError> {
        if let Ok(header) = serde_json::from_slice::<Header>(line) {
            if header.format > FORMAT {
                return Err(OpenError::Newer { path: self.path.to_path_buf(), found: header.format });
            }
            self.header = Arc::new(header);
            self.start = line.len() as u64 + 1;
            return Ok(());
        }
        let Some(envelope) = decode(line) else { return Err(OpenError::NoHeader { path: self.path.to_path_buf() }) };
        if let AgentEvent::SessionOpened { wall, engine, model, folder, version, .. } = envelope.event {
            let started_at = wall.saturating_sub(envelope.at.0);
            let bare = Header::new(self.header.session.clone(), started_at);
            self.header = Arc::new(Header { folder, engine, model, version, ..bare });
        }
        Ok(())
    }

    pub fn header(&self) -> &Header {
        &self.header
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the size of the file now.
    pub fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    pub fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? <= self.start)
    }

    /// Returns up to which number the log is known to be in the file, where its writer is in this program.
    pub fn saved(&self) -> Option<Seq> {
        self.saved.as_ref().map(|saved| Seq(saved.load(Ordering::Acquire)))
    }

    /// Returns the place before the first event.
    pub fn first(&self) -> Cursor {
        Cursor { offset: self.start, after: Seq(0) }
    }

    /// Reads on from a place and moves it.
    pub fn read(&self, cursor: &mut Cursor, want: Want) -> io::Result<Page> {
        let mut page = Page::default();
        let mut bytes = 0;
        let mut size = CHUNK;
        loop {
            let chunk = Bytes::from(self.chunk(cursor.offset, size)?);
            let at_end = chunk.len() < size;
            let mut used = 0;
            while let Some(length) = chunk.get(used..).and_then(|rest| memchr::memchr(b'\n', rest)) {
                match Self::take(&chunk.slice(used..used + length), cursor.after, want.through) {
                    Ok(entry) => {
                        bytes += entry.line.len();
                        cursor.after = entry.envelope.seq;
                        page.entries.push(entry);
                    }
                    Err(Left::Beyond) => {
                        cursor.offset += used as u64;
                        page.end = true;
                        return Ok(page);
                    }
                    Err(Left::Passed) => {}
                    Err(Left::Noise) => page.skipped += 1,
                }
                used += length + 1;
                if page.entries.len() >= want.events || bytes >= want.bytes {
                    cursor.offset += used as u64;
                    return Ok(page);
                }
            }
            cursor.offset += used as u64;
            if at_end {
                page.end = true;
                let rest = chunk.slice(used..);
                // A whole envelope that lacks only its line end counts; the line end is an empty line later.
                match Self::take(&rest, cursor.after, want.through) {
                    Ok(entry) => {
                        cursor.offset += rest.len() as u64;
                        cursor.after = entry.envelope.seq;
                        page.entries.push(entry);
                    }
                    Err(Left::Noise) => page.torn = Some(rest.len() as u64),
                    Err(Left::Passed | Left::Beyond) => {}
                }
                return Ok(page);
            }
            if used > 0 {
                size = CHUNK;
            } else if size < MAX_LINE {
                size *= 4;
            } else {
                page.skipped += 1;
                cursor.offset = self.line_after(cursor.offset + size as u64)?;
                size = CHUNK;
            }
        }
    }

    /// Reads all that is there.
    pub fn read_all(&self) -> io::Result<Page> {
        self.read(&mut self.first(), Want::everything())
    }

    fn take(line: &Bytes, after: Seq, through: Seq) -> Result<Entry, Left> {
        if line.is_empty() {
            return Err(Left::Passed);
        }
        let Some(head) = Head::of(line) else { return Err(Left::Noise) };
        if head.seq <= after {
            return Err(Left::Passed);
        }
        if head.seq > through {
            return Err(Left::Beyond);
        }
        decode(line).map(|envelope| Entry { envelope, line: line.clone() }).ok_or(Left::Noise)
    }

    /// Reads `size` bytes, fewer only at the end of the file.
    fn chunk(&self, offset: u64, size: usize) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; size];
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        buffer.truncate(filled);
        Ok(buffer)
    }

    /// Returns where the first line begins that begins after `offset`.
    fn line_after(&self, mut offset: u64) -> io::Result<u64> {
        loop {
            let chunk = self.chunk(offset, CHUNK)?;
            if let Some(end) = memchr::memchr(b'\n', &chunk) {
                return Ok(offset + end as u64 + 1);
            }
            offset += chunk.len() as u64;
            if chunk.len() < CHUNK {
                return Ok(offset);
            }
        }
    }

    /// Returns the line at `offset` without its end, unless it is too long for us or there is none.
    fn line_at(&self, offset: u64) -> io::Result<Option<Vec<u8>>> {
        let mut size = 4 << 10;
        loop {
            let mut chunk = self.chunk(offset, size)?;
            if let Some(end) = memchr::memchr(b'\n', &chunk) {
                chunk.truncate(end);
                return Ok(Some(chunk));
            }
            if chunk.len() < size {
                return Ok((!chunk.is_empty()).then_some(chunk));
            }
            if size >= MAX_LINE {
                return Ok(None);
            }
            size *= 4;
        }
    }
}

/// Why a line is left where it is.
enum Left {
    /// Behind the place already.
    Passed,
    /// More than was wanted.
    Beyond,
    /// Not an envelope.
    Noise,
}

fn stem(path: &Path) -> crate::event::SessionId {
    path.file_stem().map_or_else(|| "log".into(), |stem| stem.to_string_lossy().as_ref().into())
}
