//! Appends to a log: one write per batch, and nothing is buffered unless the disk refuses.
//!
//! Lines that can't be written wait in order and are written before anything newer, from the exact byte where the disk
//! stopped; so a full disk leaves neither a gap nor a torn line. Only when too much waits are the newest lines lost,
//! counted and reported. A log that was removed while in use is rewritten from the file that is still open. One writer
//! per log: an advisory lock keeps others out.

mod queue;
#[cfg(test)]
mod tests;

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bytes::Bytes;

use super::read::LogFile;
use super::{LogEnd, LogHeader, OpenError, Reader, log_path, overflow_path};
use crate::event::{CallId, Seq};
use crate::private;
use queue::WriteQueue;

/// How often to retry a lock that another process holds, and the pause between attempts; 100 ms in all.
const MAX_LOCK_ATTEMPTS: u32 = 6;
const LOCK_RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// A log opened for appending. Dropping it releases the log.
#[derive(Debug)]
pub struct Writer {
    queue: WriteQueue<File>,
    /// The last number written, shared with readers in this program.
    last_saved: Arc<AtomicU64>,
    path: PathBuf,
    /// Reads the log through a file handle of its own.
    reader: Reader,
    /// Whether the file system counts links, so that a removed file can be detected.
    counts_links: bool,
    /// How often the log was removed and rewritten.
    rewrites: u32,
    /// The error of the last failed rewrite.
    rewrite_error: Option<String>,
}

impl Writer {
    /// Creates a log in `dir`, which is created if needed. Log and folder are accessible only to the owner.
    pub fn create(dir: &Path, header: &LogHeader) -> Result<Self, OpenError> {
        let path = log_path(dir, &header.session);
        let failed = |cause| OpenError::Io { path: path.clone(), cause };
        private::create_dir(dir).map_err(failed)?;
        let mut options = private::open_options();
        let file = options.read(true).append(true).create_new(true).open(&path).map_err(failed)?;
        lock(&file, &path)?;
        let begun = serde_json::to_vec(header).map_err(io::Error::from).and_then(|mut line| {
            line.push(b'\n');
            (&file).write_all(&line)
        });
        if let Err(error) = begun {
            // A log without a header is useless.
            let _ = std::fs::remove_file(&path);
            return Err(failed(error));
        }
        let reader = open_reader(&path)?;
        reader.find_end().map_err(failed)?;
        Ok(Self::with_reader(file, path, reader, Seq(0)))
    }

    /// Opens a log to append to it. A torn last line is terminated, so that it never becomes part of an envelope.
    ///
    /// The [`LogEnd`] holds the last number and time, and the length of the torn line.
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
        let counts_names = file.metadata().is_ok_and(|metadata| metadata.nlink() > 0);
        let queue = WriteQueue::new(file, Arc::clone(&saved));
        Self { queue, last_saved: saved, path, reader, counts_links: counts_names, rewrites: 0, rewrite_error: None }
    }

    /// Appends lines, given without newlines. After an error they wait for the next call.
    pub fn append(&mut self, lines: &[Bytes]) -> io::Result<()> {
        let written = self.queue.append(lines);
        self.rewrite_if_removed().and(written)
    }

    /// Tries again to write the waiting lines.
    pub fn retry(&mut self) -> io::Result<()> {
        self.append(&[])
    }

    /// Flushes written data to the disk.
    pub fn sync(&mut self) -> io::Result<()> {
        self.queue.sync(File::sync_data)
    }

    /// Returns why the log is currently incomplete, if it is.
    pub fn save_error(&self) -> Option<String> {
        self.rewrite_error.clone().or_else(|| self.queue.save_error())
    }

    /// Returns how often the log was removed while in use and rewritten.
    pub fn rewrites(&self) -> u32 {
        self.rewrites
    }

    fn rewrite_if_removed(&mut self) -> io::Result<()> {
        if !self.counts_links || self.queue.sink().metadata()?.nlink() > 0 {
            return Ok(());
        }
        let outcome = self.rewrite();
        let why = |error: &io::Error| format!("the log was removed and can't be rewritten: {error}");
        self.rewrite_error = outcome.as_ref().err().map(why);
        outcome
    }

    /// Writes the log to its path again: the removed file exists as long as it is open.
    fn rewrite(&mut self) -> io::Result<()> {
        private::create_dir(self.path.parent().unwrap_or(Path::new(".")))?;
        let file = private::open_options().read(true).append(true).create_new(true).open(&self.path)?;
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

    /// Returns the current size of the file.
    pub fn len(&self) -> io::Result<u64> {
        Ok(self.queue.sink().metadata()?.len())
    }

    pub fn is_empty(&self) -> bool {
        self.last_saved() == Seq(0)
    }

    /// Returns the last number in the file.
    pub fn last_saved(&self) -> Seq {
        Seq(self.last_saved.load(std::sync::atomic::Ordering::Acquire))
    }

    pub fn header(&self) -> &LogHeader {
        self.reader.header()
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns a reader that knows the last number written: the hub's backlog.
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// Returns the path of the file for a call's whole output if that is too long for the log.
    pub fn overflow_path(&self, call: &CallId) -> PathBuf {
        overflow_path(self.path.parent().unwrap_or(Path::new(".")), &self.header().session, call)
    }
}

/// Opens a locked log for reading.
///
/// Needs a handle of its own: one shared with the writer would hold the lock while somebody reads.
fn open_reader(path: &Path) -> Result<Reader, OpenError> {
    let file = File::open(path).map_err(|cause| OpenError::Io { path: path.to_owned(), cause })?;
    Reader::from_file(LogFile::new(file), path)
}

/// Locks the log for this program; released with the last handle.
///
/// While a program starts a child process, both hold its open files for an instant, so a lock that isn't free is
/// retried.
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
                tracing::warn!(path = %path.display(), "this file system does not support locks");
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
