//! Reading a log: in pages from any number on, from its end backwards, or whole.
//!
//! Numbers and times only grow along the file, so a place is found by bisection: no index is kept or built. A log in
//! which they don't is damaged and gone through from its first line, where [`order`] says which line is wrong.
//! Invariant: entries come with strictly growing numbers; what isn't an envelope is skipped and counted, never fatal.
//! Not here: following a file that grows (the hub does), sealing a log that was cut (its readers do).

#[cfg(test)]
mod damaged;
mod lines;
mod order;
mod seek;
#[cfg(test)]
mod tests;
mod walk;

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;

use super::line::decode;
use super::{Damage, FORMAT, Header};
use crate::event::{AgentEvent, Envelope, Seq};
use order::Seen;
use walk::Walk;

pub use seek::{End, Survey, Tail, TurnMark};

/// How much is read at once; about 600 tokens.
const CHUNK: usize = 64 << 10;
/// A longer line is not ours: it is skipped without ever being held.
const MAX_LINE: usize = 64 << 20;
/// So many lines may stand before the first event of a log whose header can't be read.
const BROKEN: u64 = 16;

/// Why a log can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("can't open {}: {cause}", path.display())]
    // Named so because the message has it already; a `source` would be told twice.
    Io { path: PathBuf, cause: io::Error },
    #[error("{} is not a session log: its first line is no header", path.display())]
    NoHeader { path: PathBuf },
    #[error("{} is empty", path.display())]
    Empty { path: PathBuf },
    #[error("{} has format {found}, this program reads up to {FORMAT}: a newer version wrote it", path.display())]
    Newer { path: PathBuf, found: u32 },
    #[error(
        "session {} is in use by another jarvis-tui: go on with it once it is closed there, begin a new one, or read it \
         with `jarvis-tui replay {}`",
        path.file_stem().unwrap_or_default().to_string_lossy(),
        path.display()
    )]
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
    /// Nothing where the place was jumped to.
    seen: Option<Seen>,
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
    /// What could not be taken as it stands, between these.
    pub damage: Damage,
    /// Whether nothing more is there or wanted.
    pub end: bool,
}

/// An open log. Cheap to clone; holds no position of its own.
#[derive(Clone, Debug)]
pub struct Reader {
    source: Source,
    path: Arc<Path>,
    header: Arc<Header>,
    /// Where the first envelope is.
    start: u64,
    /// The first event must have the number 1.
    from_one: bool,
    /// It begins with an event.
    headerless: bool,
    /// Somebody went through the log and found that numbers and times only grow.
    ordered: Arc<AtomicBool>,
    saved: Option<Arc<AtomicU64>>,
}

/// The file of a log, which its writer may have to make anew; all clones read the same.
#[derive(Clone, Debug)]
pub(super) struct Source(Arc<RwLock<Arc<File>>>);

impl Source {
    pub(super) fn new(file: File) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(file))))
    }

    fn file(&self) -> Arc<File> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads on in another file, which has the same bytes up to here.
    fn replace(&self, file: File) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(file);
    }
}

impl Reader {
    /// Opens a log, or bare envelopes as `stream-json` prints them.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let file = File::open(path).map_err(|cause| OpenError::Io { path: path.to_owned(), cause })?;
        Self::of(Source::new(file), path)
    }

    /// Reads through a handle.
    pub(super) fn of(source: Source, path: &Path) -> Result<Self, OpenError> {
        let mut reader = Self {
            source,
            path: path.into(),
            header: Arc::new(Header::new(stem(path), 0)),
            start: 0,
            from_one: false,
            headerless: false,
            ordered: Arc::default(),
            saved: None,
        };
        match reader.line_at(0) {
            Ok(Some(line)) => reader.begin(&line)?,
            Ok(None) if reader.len().is_ok_and(|length| length == 0) => {
                return Err(OpenError::Empty { path: path.to_owned() });
            }
            Ok(None) => return Err(OpenError::NoHeader { path: path.to_owned() }),
            Err(cause) => return Err(OpenError::Io { path: path.to_owned(), cause }),
        }
        Ok(reader)
    }

    /// Makes this the reader of a writer; `saved` tells how far that has come.
    pub(super) fn of_writer(self, saved: Arc<AtomicU64>) -> Self {
        Self { saved: Some(saved), ..self }
    }

    /// Writes all bytes of the log to another file.
    pub(super) fn copy_to(&self, mut file: &File) -> io::Result<()> {
        let mut offset = 0;
        loop {
            let chunk = self.chunk(offset, CHUNK * 4)?;
            file.write_all(&chunk)?;
            offset += chunk.len() as u64;
            if chunk.len() < CHUNK * 4 {
                return Ok(());
            }
        }
    }

    /// Goes on in another file, which has the same bytes up to here.
    pub(super) fn go_on_in(&self, file: File) {
        self.source.replace(file);
    }

    fn begin(&mut self, line: &[u8]) -> Result<(), OpenError> {
        let mark = if line.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        let text = line.get(mark..).unwrap_or_default();
        let mut values = serde_json::Deserializer::from_slice(text).into_iter::<Header>();
        if let Some(Ok(header)) = values.next() {
            if header.format > FORMAT {
                return Err(OpenError::Newer { path: self.path.to_path_buf(), found: header.format });
            }
            // Where a line end was lost, the first event stands in the same line.
            let end = mark + values.byte_offset();
            let rest = line.get(end..).unwrap_or_default();
            self.start = if rest.trim_ascii().is_empty() { line.len() as u64 + 1 } else { end as u64 };
            self.from_one = header.mirror_of.is_none();
            self.header = Arc::new(header);
            return Ok(());
        }
        self.headerless = decode(text).is_some();
        self.begin_bare()
    }

    /// Begins a log that has no header, or none that can be read.
    fn begin_bare(&mut self) -> Result<(), OpenError> {
        let first = {
            let mut walk = Walk::new(self, self.first());
            walk.next(Seq(u64::MAX)).map(|entry| entry.filter(|_| walk.damage.unreadable < BROKEN))
        };
        let none = || OpenError::NoHeader { path: self.path.to_path_buf() };
        let first = first.map_err(|cause| OpenError::Io { path: self.path.to_path_buf(), cause })?;
        let envelope = first.ok_or_else(none)?.envelope;
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
        Ok(self.source.file().metadata()?.len())
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
        Cursor { offset: self.start, after: Seq(0), seen: Some(Seen { steady: true, ..Seen::default() }) }
    }

    /// Reads on from a place and moves it.
    pub fn read(&self, cursor: &mut Cursor, want: Want) -> io::Result<Page> {
        let mut page = Page::default();
        let mut bytes = 0;
        let mut walk = Walk::new(self, *cursor);
        while page.entries.len() < want.events && bytes < want.bytes {
            let Some(entry) = walk.next(want.through)? else { break };
            bytes += entry.line.len();
            page.entries.push(entry);
        }
        *cursor = walk.cursor();
        (page.damage, page.end) = (walk.damage, walk.at_end);
        Ok(page)
    }

    /// Reads all that is there.
    pub fn read_all(&self) -> io::Result<Page> {
        self.read(&mut self.first(), Want::everything())
    }

    /// Reads `size` bytes, fewer only at the end of the file.
    fn chunk(&self, offset: u64, size: usize) -> io::Result<Vec<u8>> {
        let file = self.source.file();
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

fn stem(path: &Path) -> crate::event::SessionId {
    path.file_stem().map_or_else(|| "log".into(), |stem| stem.to_string_lossy().as_ref().into())
}
