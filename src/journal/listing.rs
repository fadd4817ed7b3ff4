//! Lists sessions: what their logs say, as far as the index doesn't know it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::index::SessionIndex;
use super::pieces::in_pieces;
use super::summary::{FileStamp, ReadDepth, SessionSummary, is_in_use};
use super::write::lock;
use super::{Damage, ONE_SHOT_KIND, OpenError, Reader, Writer};
use crate::event::{AgentEvent, Annotation, AnnotationTarget, Envelope, Millis, Seq, SessionId};

/// The sessions in a folder.
#[derive(Debug, Default)]
pub struct SessionListing {
    /// The most recently used one comes first.
    pub sessions: Vec<SessionSummary>,
    /// Files that look like logs and can't be read.
    pub unreadable: Vec<OpenError>,
    /// How many logs were opened for it.
    pub logs_read: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum FindError {
    #[error("unknown session {wanted:?}; `sessions list` shows the sessions")]
    None { wanted: String },
    #[error("{wanted:?} could be {}", join_ids(matches))]
    Ambiguous { wanted: String, matches: Vec<SessionId> },
    #[error(transparent)]
    Open(#[from] OpenError),
}

#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    #[error(transparent)]
    Find(#[from] FindError),
    #[error("session {id} is in use; close it first")]
    InUse { id: SessionId },
    #[error("can't remove {}: {cause}", path.display())]
    Io { path: PathBuf, cause: io::Error },
}

/// The bytes of the newest logs that a listing reads whole, and with that scans for damage.
const MAX_SCANNED_BYTES: u64 = 16 << 20;
/// The bytes of the newest logs of which it looks for every turn. Of those beyond it reads the ends.
const MAX_COUNTED_BYTES: u64 = 256 << 20;

/// A log in the folder, and how it was found.
struct LogFile {
    stem: String,
    path: PathBuf,
    stamp: FileStamp,
}

/// Why a session can't be annotated.
#[derive(Debug, thiserror::Error)]
pub enum AnnotateError {
    #[error(transparent)]
    Find(#[from] FindError),
    #[error("session {id} is in use; close it first, or do it there")]
    InUse { id: SessionId },
    #[error("session {id} is a copy of a remote one, whose events it numbers as they are there")]
    Mirror { id: SessionId },
    #[error("session {id} is empty")]
    Empty { id: SessionId },
    #[error("can't write {}: {cause}", path.display())]
    Io { path: PathBuf, cause: io::Error },
}

/// Lists a folder; one that doesn't exist is empty. A log that is as it was when the index was written is not opened;
/// the index is brought up to date.
///
/// Listing thousands of sessions has to stay fast: only the newest are read whole, so `damage` and `turns` may be `None`
/// for others. A log that another program has open may briefly end in half a line; that doesn't count as damage.
pub fn list(dir: &Path, index_file: Option<&Path>) -> Result<SessionListing, OpenError> {
    let logs = newest_first(dir)?;
    let mut index = index_file.map_or_else(SessionIndex::default, |file| SessionIndex::load(file, dir));
    let depths = wanted_depths(&logs);
    let unknown: Vec<_> = logs
        .iter()
        .zip(depths)
        .enumerate()
        .filter(|(_, (log, depth))| !index.knows(&log.stem, &log.stamp, *depth))
        .map(|(nth, (_, depth))| (nth, depth))
        .collect();
    let mut listing = SessionListing { logs_read: unknown.len(), ..SessionListing::default() };
    for (nth, (depth, read)) in read_logs(&logs, &unknown) {
        let log = &logs[nth];
        match read {
            // Nobody may ever end that line: next time it is looked at again.
            Ok(mut summary) if summary.damage.is_some_and(|damage| damage.torn.is_some()) && is_in_use(&log.path) => {
                if let Some(damage) = &mut summary.damage {
                    damage.torn = None;
                }
                index.forget(&log.stem);
                listing.sessions.push(summary);
            }
            Ok(summary) => index.insert(&log.stem, log.stamp, depth, summary),
            Err(error) => {
                index.forget(&log.stem);
                listing.unreadable.push(error);
            }
        }
    }
    for log in &logs {
        listing.sessions.extend(index.summary(&log.stem, &log.path, &log.stamp));
    }
    index.save(&logs.iter().map(|log| log.stem.as_str()).collect());
    listing.sessions.sort_by(|a, b| b.modified.cmp(&a.modified).then_with(|| b.id.cmp(&a.id)));
    Ok(listing)
}

fn wanted_depths(logs: &[LogFile]) -> impl Iterator<Item = ReadDepth> {
    let mut bytes: u64 = 0;
    logs.iter().map(move |log| {
        bytes = bytes.saturating_add(log.stamp.bytes);
        if bytes <= MAX_SCANNED_BYTES {
            ReadDepth::Whole
        } else if bytes <= MAX_COUNTED_BYTES {
            ReadDepth::Landmarks
        } else {
            ReadDepth::Ends
        }
    })
}

type ReadLog = (usize, (ReadDepth, Result<SessionSummary, OpenError>));

/// Reads some of the logs, several at a time.
fn read_logs(logs: &[LogFile], wanted: &[(usize, ReadDepth)]) -> Vec<ReadLog> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(wanted.len());
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::with_capacity(wanted.len()));
    let work = || {
        while let Some((nth, depth)) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
            let Some(log) = logs.get(*nth) else { continue };
            let read = SessionSummary::read(&log.path, &log.stamp, *depth);
            found.lock().unwrap_or_else(PoisonError::into_inner).push((*nth, (*depth, read)));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..workers {
            scope.spawn(work);
        }
        work();
    });
    found.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Scans one log for damage. O(log). An IO error counts as damage at that position.
pub fn scan_log_damage(path: &Path) -> Damage {
    let unreadable = || Damage { unreadable: 1, ..Damage::default() };
    let Ok(reader) = Reader::open(path) else { return unreadable() };
    let mut damage = reader.build_index().map_or_else(|_| unreadable(), |index| index.damage);
    if damage.torn.is_some() && is_in_use(path) {
        damage.torn = None;
    }
    damage
}

/// Finds the only session whose name is `wanted`, or begins or ends with it.
pub fn find(dir: &Path, wanted: &str) -> Result<SessionSummary, FindError> {
    let logs = log_files(dir)?;
    let path = match logs.iter().find(|(id, _)| id == wanted) {
        Some((_, path)) => path,
        None => find_unique(&logs, wanted)?,
    };
    Ok(read_ends(path)?)
}

fn find_unique<'a>(logs: &'a [(String, PathBuf)], wanted: &str) -> Result<&'a PathBuf, FindError> {
    let fits = |id: &str| !wanted.is_empty() && (id.starts_with(wanted) || id.ends_with(wanted));
    let mut matches: Vec<_> = logs.iter().filter(|(id, _)| fits(id)).collect();
    matches.sort();
    match matches.as_slice() {
        [] => Err(FindError::None { wanted: wanted.to_owned() }),
        [(_, path)] => Ok(path),
        several => Err(FindError::Ambiguous {
            wanted: wanted.to_owned(),
            matches: several.iter().map(|(id, _)| SessionId::from(id.as_str())).collect(),
        }),
    }
}

/// How many of the newest logs are looked into before the index is.
const MAX_READ_FIRST: usize = 16;

/// Returns the most recently used session, of one working folder or of all; one-shot and archived sessions don't count. A
/// session without a prompt counts only if there is no other, or if it is `unfinished`. Reads no further than to that
/// session, for there may be thousands; newer logs that can't be read are added to `passed`. The index only rules out:
/// what is returned was read from its log.
pub fn find_newest(
    dir: &Path,
    index_file: Option<&Path>,
    folder: Option<&str>,
    unfinished: &dyn Fn(&SessionId) -> bool,
    passed: &mut Vec<OpenError>,
) -> Result<Option<SessionSummary>, OpenError> {
    let counts = |session: &SessionSummary| {
        session.kind != ONE_SHOT_KIND && !session.is_archived && folder.is_none_or(|folder| session.folder == folder)
    };
    let mut index = None;
    let mut silent = None;
    for (nth, log) in newest_first(dir)?.into_iter().enumerate() {
        if nth >= MAX_READ_FIRST {
            let index = index.get_or_insert_with(|| {
                index_file.map_or_else(SessionIndex::default, |file| SessionIndex::load(file, dir))
            });
            let known = index.summary(&log.stem, &log.path, &log.stamp);
            if known.is_some_and(|known| !counts(&known)) {
                continue;
            }
        }
        let session = match SessionSummary::read(&log.path, &log.stamp, ReadDepth::Ends) {
            Ok(session) => session,
            Err(error) => {
                passed.push(error);
                continue;
            }
        };
        if !counts(&session) {
            continue;
        }
        if session.title.is_some() || unfinished(&session.id) {
            return Ok(Some(session));
        }
        silent = silent.or(Some(session));
    }
    Ok(silent)
}

/// Removes a session's log and the files beside it, unless it is in use.
pub fn remove(dir: &Path, wanted: &str) -> Result<SessionSummary, RemoveError> {
    let summary = find(dir, wanted)?;
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |cause| RemoveError::Io { path, cause }
    };
    let file = File::open(&summary.path).map_err(failed(&summary.path))?;
    match lock(&file, &summary.path) {
        Ok(()) => {}
        Err(OpenError::InUse { .. }) => return Err(RemoveError::InUse { id: summary.id }),
        Err(error) => return Err(FindError::from(error).into()),
    }
    for path in overflow_files(dir, &summary.path).map_err(failed(dir))? {
        fs::remove_file(&path).map_err(failed(&path))?;
    }
    fs::remove_file(&summary.path).map_err(failed(&summary.path))?;
    Ok(summary)
}

/// Appends what a person says of a session to its log, unless that is in use. When the session was last used stays as it
/// was. `now` is in milliseconds since 1970.
pub fn annotate(dir: &Path, wanted: &str, annotation: Annotation, now: u64) -> Result<SessionId, AnnotateError> {
    let session = find(dir, wanted)?;
    let failed = |cause| AnnotateError::Io { path: session.path.clone(), cause };
    let used = fs::metadata(&session.path).and_then(|metadata| metadata.modified()).map_err(failed)?;
    if session.mirror_of.is_some() {
        return Err(AnnotateError::Mirror { id: session.id });
    }
    let (mut writer, end) = match Writer::open(&session.path) {
        Ok(opened) => opened,
        Err(OpenError::InUse { .. }) => return Err(AnnotateError::InUse { id: session.id }),
        Err(error) => return Err(FindError::from(error).into()),
    };
    // A log begins with the opening of the session.
    if end.last_seq == Seq(0) {
        return Err(AnnotateError::Empty { id: session.id });
    }
    let event = AgentEvent::Annotation { on: AnnotationTarget::Session, annotation };
    let at = end.at.max(Millis(now.saturating_sub(writer.header().started_at)));
    let envelope = Envelope { seq: end.last_seq.next(), at, event };
    let line = serde_json::to_vec(&envelope).map_err(io::Error::from).map_err(failed)?;
    writer.append(&[line.into()]).and_then(|()| writer.sync()).map_err(failed)?;
    drop(writer);
    let restored = File::options().append(true).open(&session.path).and_then(|file| file.set_modified(used));
    if let Err(error) = restored {
        tracing::debug!("the time of the log can't be kept: {error}");
    }
    Ok(session.id)
}

/// Returns the files with whole outputs of a log's calls.
fn overflow_files(dir: &Path, log: &Path) -> io::Result<Vec<PathBuf>> {
    let stem = log.file_stem().unwrap_or_default().to_string_lossy().into_owned() + ".";
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let call = name.strip_prefix(&stem).and_then(|rest| rest.strip_suffix(".out"));
        if call.is_some_and(|call| !call.contains('.')) {
            paths.push(entry.path());
        }
    }
    Ok(paths)
}

fn log_files(dir: &Path) -> Result<Vec<(String, PathBuf)>, OpenError> {
    let failed = |cause| OpenError::Io { path: dir.to_owned(), cause };
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut logs = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        // What the folder says of it costs nothing.
        let is_file = || match entry.file_type() {
            Ok(kind) if !kind.is_symlink() => kind.is_file(),
            _ => path.is_file(),
        };
        if path.extension().is_some_and(|extension| extension == "jsonl")
            && is_file()
            && let Some(stem) = path.file_stem()
        {
            logs.push((stem.to_string_lossy().into_owned(), path));
        }
    }
    Ok(logs)
}

/// Returns the logs of a folder, the most recently written one first.
fn newest_first(dir: &Path) -> Result<Vec<LogFile>, OpenError> {
    let mut logs = with_stamps(&log_files(dir)?);
    logs.sort_by(|a, b| b.stamp.modified().cmp(&a.stamp.modified()).then_with(|| b.stem.cmp(&a.stem)));
    Ok(logs)
}

/// Looks at each file.
fn with_stamps(files: &[(String, PathBuf)]) -> Vec<LogFile> {
    // Otherwise it was removed just now.
    let stamp = |(stem, path): &(String, PathBuf)| {
        let stamp = FileStamp::new(&fs::metadata(path).ok()?);
        Some(LogFile { stem: stem.clone(), path: path.clone(), stamp })
    };
    in_pieces(files, |files| files.iter().filter_map(stamp).collect())
}

fn read_ends(path: &Path) -> Result<SessionSummary, OpenError> {
    let metadata = fs::metadata(path).map_err(|cause| OpenError::Io { path: path.to_owned(), cause })?;
    SessionSummary::read(path, &FileStamp::new(&metadata), ReadDepth::Ends)
}

fn join_ids(ids: &[SessionId]) -> String {
    let mut names: Vec<_> = ids.iter().take(5).map(SessionId::as_str).collect();
    if ids.len() > names.len() {
        names.push("…");
    }
    names.join(", ")
}
