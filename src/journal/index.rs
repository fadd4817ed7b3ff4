//! The index of the saved sessions: what a listing knows of each log that is still as it was.
//!
//! A cache and nothing else: one file of JSON lines beside the state, first a header, then a line a log. An entry counts
//! while size, time and number of its log's file are those that it was made from; one that is missing, damaged or wrong
//! is made anew, and the file as a whole is ignored where another user could have written it. It is replaced as a whole,
//! so of two programs the later wins, and where it can't be written nothing is said. What matters (which log is deleted
//! or gone on with) is read from the log itself.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::naming::new_uuid;
use super::pieces::in_pieces;
use super::state::is_of;
use super::summary::{FileStamp, ReadDepth, SessionSummary};
use crate::private;

/// The format of the index. One of another format is made anew.
const INDEX_FORMAT: u32 = 1;
/// A larger file is not ours.
const MAX_INDEX_BYTES: u64 = 64 << 20;
/// A longer line is not ours either, and none is written.
const MAX_ENTRY_BYTES: usize = 16 << 10;

#[derive(Debug, Default)]
pub(super) struct SessionIndex {
    /// `None` if it is not kept.
    file: Option<PathBuf>,
    /// The folder of the logs.
    dir: String,
    entries: HashMap<String, IndexEntry>,
    is_changed: bool,
}

#[derive(Serialize, Deserialize)]
struct IndexHeader {
    format: u32,
    folder: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct IndexEntry {
    /// The stem of its file.
    log: String,
    stamp: FileStamp,
    depth: ReadDepth,
    session: SessionSummary,
}

impl SessionIndex {
    /// Reads the index of a folder of logs; what is not right in it is left out.
    pub(super) fn load(file: &Path, dir: &Path) -> Self {
        let mut index =
            Self { file: Some(file.to_owned()), dir: dir.to_string_lossy().into_owned(), ..Self::default() };
        match read_file(file) {
            Ok(bytes) => index.read_lines(&bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::debug!("the index of the sessions is not used: {error}"),
        }
        index
    }

    fn read_lines(&mut self, bytes: &[u8]) {
        let mut lines = bytes.split(|byte| *byte == b'\n');
        let header = lines.next().and_then(|line| serde_json::from_slice::<IndexHeader>(line).ok());
        if header.is_none_or(|header| header.format != INDEX_FORMAT || header.folder != self.dir) {
            return;
        }
        let lines: Vec<_> = lines.filter(|line| !line.is_empty() && line.len() <= MAX_ENTRY_BYTES).collect();
        let entries = in_pieces(&lines, read_entries);
        self.entries.extend(entries.into_iter().map(|entry| (entry.log.clone(), entry)));
    }

    /// Returns whether a log is as it was, and was read that far.
    pub(super) fn knows(&self, log: &str, stamp: &FileStamp, depth: ReadDepth) -> bool {
        self.entries.get(log).is_some_and(|entry| entry.stamp == *stamp && entry.depth >= depth)
    }

    /// Returns what is known of a log that is as it was.
    pub(super) fn summary(&self, log: &str, path: &Path, stamp: &FileStamp) -> Option<SessionSummary> {
        let entry = self.entries.get(log).filter(|entry| entry.stamp == *stamp)?;
        let mut summary = entry.session.clone();
        summary.place(path, stamp);
        Some(summary)
    }

    pub(super) fn insert(&mut self, log: &str, stamp: FileStamp, depth: ReadDepth, session: SessionSummary) {
        let entry = IndexEntry { log: log.to_owned(), stamp, depth, session };
        self.entries.insert(log.to_owned(), entry);
        self.is_changed = true;
    }

    pub(super) fn forget(&mut self, log: &str) {
        self.is_changed |= self.entries.remove(log).is_some();
    }

    /// Writes the entries of the logs that there are, if there is something new.
    pub(super) fn save(mut self, logs: &HashSet<&str>) {
        let Some(file) = self.file.take() else { return };
        let known = self.entries.len();
        self.entries.retain(|log, _| logs.contains(log.as_str()));
        if !self.is_changed && self.entries.len() == known {
            return;
        }
        if let Err(error) = self.lines().and_then(|lines| replace_file(&file, &lines)) {
            tracing::debug!("the index of the sessions can't be written: {error}");
        }
    }

    fn lines(&self) -> io::Result<Vec<u8>> {
        let mut lines = serde_json::to_vec(&IndexHeader { format: INDEX_FORMAT, folder: self.dir.clone() })?;
        lines.push(b'\n');
        for entry in self.entries.values() {
            let line = serde_json::to_vec(entry)?;
            if line.len() <= MAX_ENTRY_BYTES && (lines.len() + line.len()) as u64 <= MAX_INDEX_BYTES {
                lines.extend_from_slice(&line);
                lines.push(b'\n');
            }
        }
        Ok(lines)
    }
}

fn read_entries(lines: &[&[u8]]) -> Vec<IndexEntry> {
    let read = |line: &&[u8]| {
        let told = |error: &_| tracing::debug!("a line of the index of the sessions is skipped: {error}");
        serde_json::from_slice::<IndexEntry>(line).inspect_err(told).ok()
    };
    lines.iter().filter_map(read).collect()
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    // Opening a pipe would block until somebody writes into it.
    if !fs::symlink_metadata(path)?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let file = File::open(path)?;
    if !is_of(nix::unistd::geteuid().as_raw(), &file, path)? {
        return Err(io::Error::other("another user could have written it"));
    }
    let size = file.metadata()?.len();
    if size > MAX_INDEX_BYTES {
        return Err(io::Error::other("it is too large"));
    }
    let mut bytes = Vec::with_capacity(size as usize);
    file.take(MAX_INDEX_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    private::create_dir(path.parent().unwrap_or(Path::new(".")))?;
    // Two programs may write at once.
    let new = path.with_extension(format!("{}.new", new_uuid()));
    let written = private::open_options()
        .write(true)
        .create_new(true)
        .open(&new)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written
}
