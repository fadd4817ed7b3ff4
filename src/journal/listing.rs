//! Lists sessions. Reads names, headers and first pages; only [`scan_damage`] reads whole logs.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use super::write::lock;
use super::{Damage, ONE_SHOT_KIND, OpenError, ReadLimits, Reader};
use crate::event::{AgentEvent, SessionId};

/// A session as lists show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSummary {
    pub id: SessionId,
    pub path: PathBuf,
    /// From the header, as is `mirror_of`.
    pub kind: String,
    pub mirror_of: Option<String>,
    /// Milliseconds since 1970, as is `modified`.
    pub started_at: u64,
    pub modified: u64,
    pub folder: String,
    /// The given title or the first line of the first prompt, raw; `None` before the first prompt.
    pub title: Option<String>,
    pub engine: String,
    pub model: String,
    pub bytes: u64,
}

/// The sessions in a folder.
#[derive(Debug, Default)]
pub struct SessionListing {
    /// The most recently used one comes first.
    pub sessions: Vec<SessionSummary>,
    /// Files that look like logs and can't be read.
    pub unreadable: Vec<OpenError>,
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

/// Lists a folder; one that doesn't exist is empty.
pub fn list(dir: &Path) -> Result<SessionListing, OpenError> {
    let mut listing = SessionListing::default();
    for (_, path) in log_files(dir)? {
        match summary(&path) {
            Ok(summary) => listing.sessions.push(summary),
            Err(error) => listing.unreadable.push(error),
        }
    }
    listing.sessions.sort_by(|a, b| b.modified.cmp(&a.modified).then_with(|| b.id.cmp(&a.id)));
    Ok(listing)
}

/// How many bytes of logs a listing scans for damage, so that listing thousands of sessions stays fast.
const MAX_SCANNED_BYTES: u64 = 16 << 20;

/// Scans the logs of the first sessions for damage, several at a time. `None` for those beyond the first 16 MiB in
/// total.
///
/// A log that another program has open may briefly end in half a line; that doesn't count as damage.
pub fn scan_damage(sessions: &[SessionSummary]) -> Vec<Option<Damage>> {
    let mut bytes: u64 = 0;
    let looked = sessions.iter().take_while(|session| {
        bytes = bytes.saturating_add(session.bytes);
        bytes <= MAX_SCANNED_BYTES
    });
    let looked = looked.count();
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(looked);
    let next = AtomicUsize::new(0);
    let found = Mutex::new(vec![None; sessions.len()]);
    let work = || {
        while let Some((nth, session)) = {
            let nth = next.fetch_add(1, Ordering::Relaxed);
            sessions.get(..looked).and_then(|sessions| sessions.get(nth)).map(|session| (nth, session))
        } {
            let damage = scan_log_damage(&session.path);
            if let Some(place) = found.lock().unwrap_or_else(PoisonError::into_inner).get_mut(nth) {
                *place = Some(damage);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(work);
        }
    });
    found.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Scans one log for damage. O(log). An IO error counts as damage at that position.
pub fn scan_log_damage(path: &Path) -> Damage {
    let unreadable = || Damage { unreadable: 1, ..Damage::default() };
    let Ok(reader) = Reader::open(path) else { return unreadable() };
    let mut damage = reader.build_index().map_or_else(|_| unreadable(), |index| index.damage);
    let in_use = || File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)));
    if damage.torn.is_some() && in_use() {
        damage.torn = None;
    }
    damage
}

/// Finds the only session whose name is `wanted`, or begins or ends with it.
pub fn find(dir: &Path, wanted: &str) -> Result<SessionSummary, FindError> {
    let logs = log_files(dir)?;
    if let Some((_, path)) = logs.iter().find(|(id, _)| id == wanted) {
        return Ok(summary(path)?);
    }
    let fits = |id: &str| !wanted.is_empty() && (id.starts_with(wanted) || id.ends_with(wanted));
    let mut matches: Vec<_> = logs.iter().filter(|(id, _)| fits(id)).collect();
    matches.sort();
    match matches.as_slice() {
        [] => Err(FindError::None { wanted: wanted.to_owned() }),
        [(_, path)] => Ok(summary(path)?),
        several => Err(FindError::Ambiguous {
            wanted: wanted.to_owned(),
            matches: several.iter().map(|(id, _)| SessionId::from(id.as_str())).collect(),
        }),
    }
}

/// Returns the most recently used session, of one working folder or of all; one-shot sessions don't count. A session
/// without a prompt counts only if there is no other, or if it is `unfinished`. Reads no further than to that session,
/// for there may be thousands; newer logs that can't be read are added to `passed`.
pub fn find_newest(
    dir: &Path,
    folder: Option<&str>,
    unfinished: &dyn Fn(&SessionId) -> bool,
    passed: &mut Vec<OpenError>,
) -> Result<Option<SessionSummary>, OpenError> {
    let mut logs: Vec<_> = log_files(dir)?.into_iter().map(|(id, path)| (modified(&path), id, path)).collect();
    logs.sort_by(|a, b| (b.0, &b.1).cmp(&(a.0, &a.1)));
    let mut silent = None;
    for (_, _, path) in logs {
        let session = match summary(&path) {
            Ok(session) => session,
            Err(error) => {
                passed.push(error);
                continue;
            }
        };
        if session.kind == ONE_SHOT_KIND || folder.is_some_and(|folder| session.folder != folder) {
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
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "jsonl")
            && path.is_file()
            && let Some(stem) = path.file_stem()
        {
            logs.push((stem.to_string_lossy().into_owned(), path));
        }
    }
    Ok(logs)
}

fn summary(path: &Path) -> Result<SessionSummary, OpenError> {
    let failed = |cause| OpenError::Io { path: path.to_owned(), cause };
    let reader = Reader::open(path)?;
    let metadata = fs::metadata(path).map_err(failed)?;
    let mut header = reader.header().clone();
    let first_page = ReadLimits { max_events: 64, ..ReadLimits::one_page() };
    for entry in reader.read(&mut reader.start_cursor(), first_page).map_err(failed)?.entries {
        match entry.envelope.event {
            // A log begins before an engine is chosen.
            AgentEvent::SessionOpened { engine, model, .. } if header.engine.is_empty() => {
                (header.engine, header.model) = (engine, model);
            }
            AgentEvent::UserMessage { text, .. } if header.title.is_none() => header.title = Some(first_line(&text)),
            _ => {}
        }
    }
    Ok(SessionSummary {
        id: path.file_stem().map_or(header.session, |stem| stem.to_string_lossy().as_ref().into()),
        path: path.to_owned(),
        kind: header.kind,
        mirror_of: header.mirror_of,
        started_at: header.started_at,
        modified: modified(path),
        folder: header.folder,
        title: header.title,
        engine: header.engine,
        model: header.model,
        bytes: metadata.len(),
    })
}

/// Milliseconds since 1970; 0 if unknown.
fn modified(path: &Path) -> u64 {
    let time = fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let since = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn first_line(text: &str) -> String {
    text.trim_start().lines().next().unwrap_or_default().trim_end().chars().take(200).collect()
}

fn join_ids(ids: &[SessionId]) -> String {
    let mut names: Vec<_> = ids.iter().take(5).map(SessionId::as_str).collect();
    if ids.len() > names.len() {
        names.push("…");
    }
    names.join(", ")
}
