//! Reads a log: in pages from any number on, backwards from its end, or whole.
//!
//! Numbers and times only grow along the file, so positions are found by bisection: no index is kept or built. A log
//! where they don't is damaged and read from its first line, where [`order`] says which line is wrong. Invariant:
//! entries come with strictly growing numbers; what isn't an envelope is skipped and counted, never fatal. Not here:
//! following a growing file (the hub does), sealing a log that was cut (its readers do).

mod branch_starts;
mod landmarks;
mod lines;
mod order;
mod seek;
#[cfg(test)]
mod tests;
mod timeline;
mod walk;

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;

use super::line::decode;
use super::{Damage, LOG_FORMAT, LogHeader};
use crate::event::{AgentEvent, Envelope, Seq};
use order::PrecedingLine;
use walk::LogWalker;

pub use seek::{LogEnd, LogIndex, LogTail, TurnMark};

/// Bytes per read; about 600 tokens.
const CHUNK_BYTES: usize = 64 << 10;
/// A longer line is not ours: it is skipped without being held in memory.
const MAX_LINE_BYTES: usize = 64 << 20;
/// How many unreadable lines may precede the first event of a log without a readable header.
const MAX_UNREADABLE_START_LINES: u64 = 16;

/// Why a log can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("can't open {}: {cause}", path.display())]
    // Not called `source`, which error reports would print a second time: the message already contains it.
    Io { path: PathBuf, cause: io::Error },
    #[error("{} is not a session log: its first line is not a header", path.display())]
    NoHeader { path: PathBuf },
    #[error("{} is empty", path.display())]
    Empty { path: PathBuf },
    #[error("{} has format {found}, this version reads up to {LOG_FORMAT}: a newer version wrote it", path.display())]
    Newer { path: PathBuf, found: u32 },
    #[error(
        "session {} is in use by another jarvis-tui: continue it once it is closed there, start a new one, or read it with `jarvis-tui replay {}`",
        path.file_stem().unwrap_or_default().to_string_lossy(),
        path.display()
    )]
    InUse { path: PathBuf },
}

/// An envelope and the bytes it was parsed from, without the newline.
#[derive(Clone, Debug, PartialEq)]
pub struct LogEntry {
    pub envelope: Envelope,
    pub line: Bytes,
}

/// A position in a log. Reading moves it; it stays valid while the log grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    offset: u64,
    /// Only greater numbers are delivered.
    after: Seq,
    /// `None` right after a jump.
    preceding: Option<PrecedingLine>,
}

impl Cursor {
    /// Returns the position behind an event whose line ends there, such as an earlier [`Cursor::offset`].
    pub(super) fn behind(offset: u64, after: Seq) -> Self {
        Self { offset, after, preceding: None }
    }

    /// Returns where in the file it is.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns the number of the event before it.
    pub(super) fn after(&self) -> Seq {
        self.after
    }
}

/// Limits of one read.
#[derive(Clone, Copy, Debug)]
pub struct ReadLimits {
    pub max_events: usize,
    /// Reading stops after the entry that reaches this many bytes.
    pub max_bytes: usize,
    /// The last number to read.
    pub through: Seq,
}

impl ReadLimits {
    /// A page that takes about a millisecond to read.
    pub fn one_page() -> Self {
        Self { max_events: usize::MAX, max_bytes: 256 << 10, through: Seq(u64::MAX) }
    }

    pub fn unlimited() -> Self {
        Self { max_bytes: usize::MAX, ..Self::one_page() }
    }
}

/// The result of a read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogPage {
    pub entries: Vec<LogEntry>,
    /// Damage found between these entries.
    pub damage: Damage,
    /// Whether nothing more is available or wanted.
    pub at_end: bool,
}

/// An open log. Cheap to clone; has no position of its own.
#[derive(Clone, Debug)]
pub struct Reader {
    file: LogFile,
    path: Arc<Path>,
    header: Arc<LogHeader>,
    /// The offset of the first envelope.
    start: u64,
    /// Whether the first event must have the number 1.
    starts_at_one: bool,
    /// Whether the log begins with an event.
    is_headerless: bool,
    /// Set once a scan has shown that numbers and times only grow.
    is_known_ordered: Arc<AtomicBool>,
    last_saved: Option<Arc<AtomicU64>>,
}

/// The file of a log, which its writer may have to replace; all clones read the same one.
#[derive(Clone, Debug)]
pub(super) struct LogFile(Arc<RwLock<Arc<File>>>);

impl LogFile {
    pub(super) fn new(file: File) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(file))))
    }

    fn file(&self) -> Arc<File> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Continues with another file that has the same bytes up to here.
    fn replace(&self, file: File) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(file);
    }
}

impl Reader {
    /// Opens a log, or bare envelopes as `stream-json` prints them.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let file = File::open(path).map_err(|cause| OpenError::Io { path: path.to_owned(), cause })?;
        Self::from_file(LogFile::new(file), path)
    }

    /// Creates a reader of an open file.
    pub(super) fn from_file(source: LogFile, path: &Path) -> Result<Self, OpenError> {
        let mut reader = Self {
            file: source,
            path: path.into(),
            header: Arc::new(LogHeader::new(session_id_of(path), 0)),
            start: 0,
            starts_at_one: false,
            is_headerless: false,
            is_known_ordered: Arc::default(),
            last_saved: None,
        };
        match reader.line_at(0) {
            Ok(Some(line)) => reader.read_header(&line)?,
            Ok(None) if reader.len().is_ok_and(|length| length == 0) => {
                return Err(OpenError::Empty { path: path.to_owned() });
            }
            Ok(None) => return Err(OpenError::NoHeader { path: path.to_owned() }),
            Err(cause) => return Err(OpenError::Io { path: path.to_owned(), cause }),
        }
        Ok(reader)
    }

    /// Makes this the reader of a writer; `saved` holds the last number written.
    pub(super) fn with_last_saved(self, saved: Arc<AtomicU64>) -> Self {
        Self { last_saved: Some(saved), ..self }
    }

    /// Writes all bytes of the log to another file.
    pub(super) fn copy_to(&self, mut file: &File) -> io::Result<()> {
        let mut offset = 0;
        loop {
            let chunk = self.read_chunk(offset, CHUNK_BYTES * 4)?;
            file.write_all(&chunk)?;
            offset += chunk.len() as u64;
            if chunk.len() < CHUNK_BYTES * 4 {
                return Ok(());
            }
        }
    }

    /// Continues with another file that has the same bytes up to here.
    pub(super) fn switch_file(&self, file: File) {
        self.file.replace(file);
    }

    fn read_header(&mut self, line: &[u8]) -> Result<(), OpenError> {
        let mark = if line.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        let text = line.get(mark..).unwrap_or_default();
        let mut values = serde_json::Deserializer::from_slice(text).into_iter::<LogHeader>();
        if let Some(Ok(header)) = values.next() {
            if header.format > LOG_FORMAT {
                return Err(OpenError::Newer { path: self.path.to_path_buf(), found: header.format });
            }
            // If a newline was lost, the first event is on the same line.
            let end = mark + values.byte_offset();
            let rest = line.get(end..).unwrap_or_default();
            self.start = if rest.trim_ascii().is_empty() { line.len() as u64 + 1 } else { end as u64 };
            self.starts_at_one = header.mirror_of.is_none();
            self.header = Arc::new(header);
            return Ok(());
        }
        self.is_headerless = decode(text).is_some();
        self.infer_header()
    }

    /// Sets the start of a log that has no header, or no readable one.
    fn infer_header(&mut self) -> Result<(), OpenError> {
        let first = {
            let mut walk = LogWalker::new(self, self.start_cursor());
            walk.next(Seq(u64::MAX)).map(|entry| entry.filter(|_| walk.damage.unreadable < MAX_UNREADABLE_START_LINES))
        };
        let none = || OpenError::NoHeader { path: self.path.to_path_buf() };
        let first = first.map_err(|cause| OpenError::Io { path: self.path.to_path_buf(), cause })?;
        let envelope = first.ok_or_else(none)?.envelope;
        if let AgentEvent::SessionOpened { wall_ms: wall, engine, model, folder, version, .. } = envelope.event {
            let started_at = wall.saturating_sub(envelope.at.0);
            let bare = LogHeader::new(self.header.session.clone(), started_at);
            self.header = Arc::new(LogHeader { folder, engine, model, version, ..bare });
        }
        Ok(())
    }

    pub fn header(&self) -> &LogHeader {
        &self.header
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the current size of the file.
    pub fn len(&self) -> io::Result<u64> {
        Ok(self.file.file().metadata()?.len())
    }

    pub fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? <= self.start)
    }

    /// Returns the last number known to be in the file; `None` unless its writer is in this program.
    pub fn last_saved(&self) -> Option<Seq> {
        self.last_saved.as_ref().map(|saved| Seq(saved.load(Ordering::Acquire)))
    }

    /// Returns the position before the first event.
    pub fn start_cursor(&self) -> Cursor {
        Cursor {
            offset: self.start,
            after: Seq(0),
            preceding: Some(PrecedingLine { is_reliable: true, ..PrecedingLine::default() }),
        }
    }

    /// Reads on from a position and moves it.
    pub fn read(&self, cursor: &mut Cursor, want: ReadLimits) -> io::Result<LogPage> {
        let mut page = LogPage::default();
        let mut bytes = 0;
        let mut walk = LogWalker::new(self, *cursor);
        while page.entries.len() < want.max_events && bytes < want.max_bytes {
            let Some(entry) = walk.next(want.through)? else { break };
            bytes += entry.line.len();
            page.entries.push(entry);
        }
        *cursor = walk.cursor();
        (page.damage, page.at_end) = (walk.damage, walk.at_end);
        Ok(page)
    }

    /// Calls `tell` with every event behind a position, and with the position behind it.
    pub(super) fn walk_from(&self, cursor: Cursor, mut tell: impl FnMut(&Envelope, Cursor)) -> io::Result<()> {
        let mut walk = LogWalker::new(self, cursor);
        while let Some(LogEntry { envelope, .. }) = walk.next(Seq(u64::MAX))? {
            tell(&envelope, walk.cursor());
        }
        Ok(())
    }

    /// Reads the whole log.
    pub fn read_all(&self) -> io::Result<LogPage> {
        self.read(&mut self.start_cursor(), ReadLimits::unlimited())
    }

    /// Reads `size` bytes; fewer only at the end of the file.
    fn read_chunk(&self, offset: u64, size: usize) -> io::Result<Vec<u8>> {
        let file = self.file.file();
        let mut buffer = vec![0; size];
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match file.read_at(rest, offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        buffer.truncate(filled);
        Ok(buffer)
    }

    /// Returns the offset of the first line that begins after `offset`.
    fn line_after(&self, mut offset: u64) -> io::Result<u64> {
        loop {
            let chunk = self.read_chunk(offset, CHUNK_BYTES)?;
            if let Some(end) = memchr::memchr(b'\n', &chunk) {
                return Ok(offset + end as u64 + 1);
            }
            offset += chunk.len() as u64;
            if chunk.len() < CHUNK_BYTES {
                return Ok(offset);
            }
        }
    }

    /// Returns the line at `offset` without its newline; `None` if it is too long or doesn't exist.
    fn line_at(&self, offset: u64) -> io::Result<Option<Vec<u8>>> {
        let mut size = 4 << 10;
        loop {
            let mut chunk = self.read_chunk(offset, size)?;
            if let Some(end) = memchr::memchr(b'\n', &chunk) {
                chunk.truncate(end);
                return Ok(Some(chunk));
            }
            if chunk.len() < size {
                return Ok((!chunk.is_empty()).then_some(chunk));
            }
            if size >= MAX_LINE_BYTES {
                return Ok(None);
            }
            size *= 4;
        }
    }
}

fn session_id_of(path: &Path) -> crate::event::SessionId {
    path.file_stem().map_or_else(|| "log".into(), |stem| stem.to_string_lossy().as_ref().into())
}
