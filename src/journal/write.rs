//! Appending to a log: one write per batch, nothing buffered behind the caller's back unless the disk refuses.
//!
//! What can't be written waits in order and goes before anything newer, from the very byte where the disk stopped;
//! so a disk that was full leaves neither a hole nor a torn line. Only when far too much waits is the newest lost,
//! counted and told. A log that was removed under the program is written anew, from what the open file still has.
//! One writer per log: a second opener is refused by an advisory lock.

mod queue;
#[cfg(test)]
mod tests;

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bytes::Bytes;

use super::read::LogFile;
use super::{LogEnd, LogHeader, OpenError, Reader, log_path, overflow_path};
use crate::event::{CallId, Seq};
use queue::WriteQueue;

/// How often a lock that another holds is looked at, and the pause between; 100 ms in all.
const MAX_LOCK_ATTEMPTS: u32 = 6;
const LOCK_RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// A log opened for appending. Dropping it releases the log.
#[derive(Debug)]
pub struct Writer {
    queue: WriteQueue<File>,
    /// What the queue has written, for readers in this program.
    last_saved: Arc<AtomicU64>,
    path: PathBuf,
    /// Reads what was written, through a handle of its own.
    reader: Reader,
    /// The file system counts names, so that a removed file is known.
    counts_links: bool,
    /// How often the log was removed and written anew.
    rewrites: u32,
    /// Why it couldn't be.
    rewrite_error: Option<String>,
}

impl Writer {
    /// Begins a log in `dir`, which is made if need be. Log and folder are the owner's alone.
    pub fn create(dir: &Path, header: &LogHeader) -> Result<Self, OpenError> {
        let path = log_path(dir, &header.session);
        let failed = |cause| OpenError::Io { path: path.clone(), cause };
        create_private_dir(dir).map_err(failed)?;
        let mut options = private_options();
        let file = options.read(true).append(true).create_new(true).open(&path).map_err(failed)?;
        lock(&file, &path)?;
        let begun = serde_json::to_vec(header).map_err(io::Error::from).and_then(|mut line| {
            line.push(b'\n');
            (&file).write_all(&line)
        });
        if let Err(error) = begun {
            // A log without a header is no log.
            let _ = std::fs::remove_file(&path);
            return Err(failed(error));
        }
        let reader = open_reader(&path)?;
        reader.find_end().map_err(failed)?;
        Ok(Self::with_reader(file, path, reader, Seq(0)))
    }

    /// Opens a log to go on with it. A torn last line is ended, so that it stays what it is: not an envelope.
    ///
    /// The [`LogEnd`] tells the last number and time, and how long the torn line was.
    pub fn open(path: &Path) -> Result<(Self, LogEnd), OpenError> {
        let failed = |cause| OpenError::Io { path: path.to_owned(), cause };
        let file = OpenOptions::new().read(true).append(true).open(path).map_err(failed)?;
        lock(&file, path)?;
        let reader = open_reader(path)?;
        let end = reader.find_end().map_err(failed)?;
        if !end.ends_with_newline {
            (&file).write_all(b"\n").map_err(failed)?;
        }
        Ok((Self::with_reader(file, path.to_owned(), reader, end.last_seq), end))
    }

    fn with_reader(file: File, path: PathBuf, reader: Reader, last: Seq) -> Self {
        let saved = Arc::new(AtomicU64::new(last.0));
        let reader = reader.with_last_saved(Arc::clone(&saved));
        let counts_names = file.metadata().is_ok_and(|facts| facts.nlink() > 0);
        let queue = WriteQueue::new(file, Arc::clone(&saved));
        Self { queue, last_saved: saved, path, reader, counts_links: counts_names, rewrites: 0, rewrite_error: None }
    }

    /// Appends lines, given without line ends. After an error they wait and go with the next call.
    pub fn append(&mut self, lines: &[Bytes]) -> io::Result<()> {
        let written = self.queue.append(lines);
        self.rewrite_if_removed().and(written)
    }

    /// Tries again to write what waits.
    pub fn retry(&mut self) -> io::Result<()> {
        self.append(&[])
    }

    /// Makes sure that the disk has what was written.
    pub fn sync(&mut self) -> io::Result<()> {
        self.queue.sync(File::sync_data)
    }

    /// Returns why the log isn't complete at the moment, if so.
    pub fn save_error(&self) -> Option<String> {
        self.rewrite_error.clone().or_else(|| self.queue.save_error())
    }

    /// Returns how often the log was removed under this program and written anew.
    pub fn rewrites(&self) -> u32 {
        self.rewrites
    }

    fn rewrite_if_removed(&mut self) -> io::Result<()> {
        if !self.counts_links || self.queue.sink().metadata()?.nlink() > 0 {
            return Ok(());
        }
        let outcome = self.rewrite();
        let why = |error: &io::Error| format!("the log was removed and can't be written anew: {error}");
        self.rewrite_error = outcome.as_ref().err().map(why);
        outcome
    }

    /// Writes the log to its place once more: the removed file is there for as long as it is open.
    fn rewrite(&mut self) -> io::Result<()> {
        create_private_dir(self.path.parent().unwrap_or(Path::new(".")))?;
        let file = private_options().read(true).append(true).create_new(true).open(&self.path)?;
        let copied = self.reader.copy_to(&file).and_then(|()| file.sync_data()).and_then(|()| File::open(&self.path));
        let reading = match (lock(&file, &self.path), copied) {
            (Ok(()), Ok(reading)) => reading,
            (locked, copied) => {
                let _ = std::fs::remove_file(&self.path);
                locked.map_err(io::Error::other)?;
                copied?;
                return Ok(());
            }
        };
        self.reader.switch_file(reading);
        self.queue.switch_sink(file);
        self.rewrites += 1;
        Ok(())
    }

    /// Returns the size of the log in the file.
    pub fn len(&self) -> io::Result<u64> {
        Ok(self.queue.sink().metadata()?.len())
    }

    pub fn is_empty(&self) -> bool {
        self.last_saved() == Seq(0)
    }

    /// Returns the last number that is in the file.
    pub fn last_saved(&self) -> Seq {
        Seq(self.last_saved.load(std::sync::atomic::Ordering::Acquire))
    }

    pub fn header(&self) -> &LogHeader {
        self.reader.header()
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns a reader that knows how far this writer has come: the hub's backlog.
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// Returns where the whole output of a call goes that is too long for the log.
    pub fn overflow_path(&self, call: &CallId) -> PathBuf {
        overflow_path(self.path.parent().unwrap_or(Path::new(".")), &self.header().session, call)
    }
}

/// Opens a log that was locked already, to read it.
///
/// A handle of its own: one that shares the writer's would hold the lock as long as somebody reads.
fn open_reader(path: &Path) -> Result<Reader, OpenError> {
    let file = File::open(path).map_err(|cause| OpenError::Io { path: path.to_owned(), cause })?;
    Reader::from_file(LogFile::new(file), path)
}

/// Makes a file that only its owner may read.
pub fn create_private(path: &Path) -> io::Result<File> {
    private_options().write(true).create(true).truncate(true).open(path)
}

/// Makes a folder that only its owner may enter, and those above it; one that is there stays as it is.
pub fn create_private_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

fn private_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

/// Takes the log for this program; it is released with the last handle.
///
/// A program that is just starting another holds what it has open twice for an instant, so a lock that is not free is
/// looked at again before it counts.
pub(super) fn lock(file: &File, path: &Path) -> Result<(), OpenError> {
    let mut looks = 0;
    loop {
        looks += 1;
        return match file.try_lock() {
            Ok(()) => Ok(()),
            Err(TryLockError::WouldBlock) if looks < MAX_LOCK_ATTEMPTS => {
                wait_for_lock();
                continue;
            }
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                tracing::warn!(path = %path.display(), "this file system knows no locks");
                Ok(())
            }
            Err(TryLockError::Error(cause)) => Err(OpenError::Io { path: path.to_owned(), cause }),
        };
    }
}

#[expect(clippy::disallowed_methods, reason = "opening a log is not async, and no event says that a lock is free")]
fn wait_for_lock() {
    std::thread::sleep(LOCK_RETRY_INTERVAL);
}
