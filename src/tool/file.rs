//! File access for tools: regular text files, limited in size, replaced in one step.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use similar::{TextDiff, get_close_matches};

use super::checked_path::CheckedPath;
use super::truncate::size;
use super::{ToolContext, ToolProgress};
use crate::event::{AgentEvent, Annotation, AnnotationTarget, FileChange, FileVersion};

/// Files that are edited or compared are held in memory.
pub(super) const MAX_FILE_BYTES: u64 = 16 << 20;

/// Opens a regular file for reading; anything else is rejected before opening it could block.
pub(super) fn open_regular(place: &CheckedPath) -> Result<(File, u64), String> {
    let shown = &place.display_path;
    let meta = fs::metadata(&place.path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => absent_message(place),
        _ => format!("`{shown}`: {error}"),
    })?;
    if meta.is_dir() {
        return Err(format!("`{shown}` is a folder; list_dir lists it"));
    }
    if !meta.is_file() {
        return Err(format!("`{shown}` is not a regular file"));
    }
    let file = File::open(&place.path).map_err(|error| format!("`{shown}`: {error}"))?;
    Ok((file, meta.len()))
}

/// The current content of a file before it is written.
pub(super) enum ExistingContent {
    Absent,
    Text(String),
    /// Not text, or too large to compare; with the reason.
    Other(String),
}

impl ExistingContent {
    pub(super) fn read(place: &CheckedPath) -> Result<Self, String> {
        if !place.path.exists() {
            return Ok(Self::Absent);
        }
        let (file, bytes) = open_regular(place)?;
        if bytes > MAX_FILE_BYTES {
            return Ok(Self::Other(format!("a file of {}", size(bytes))));
        }
        let mut content = Vec::new();
        file.take(MAX_FILE_BYTES)
            .read_to_end(&mut content)
            .map_err(|error| format!("`{}`: {error}", place.display_path))?;
        if content.contains(&0) {
            return Ok(Self::Other(format!("a binary file of {}", size(bytes))));
        }
        Ok(String::from_utf8(content)
            .map_or_else(|_| Self::Other(format!("a file of {} that is not UTF-8", size(bytes))), Self::Text))
    }
}

/// Replaces or creates a file by renaming a new one, so that readers never see half of it. Creates missing folders,
/// keeps the mode.
/// What was there, and what will be, is kept before.
pub(super) fn replace_file(place: &CheckedPath, content: &str, ctx: &ToolContext) -> Result<(), String> {
    note_change(place, content, ctx);
    replace_bytes(place, content.as_bytes())
}

/// Keeps both versions of a file and tells of the change, where versions are kept.
fn note_change(place: &CheckedPath, content: &str, ctx: &ToolContext) {
    let (Some(keep), Some(path)) = (&ctx.keep_version, place.path.to_str()) else { return };
    let before = match fs::metadata(&place.path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => FileVersion::Absent,
        Ok(metadata) if metadata.is_file() && metadata.len() <= MAX_FILE_BYTES => {
            fs::read(&place.path).map_or(FileVersion::NotKept, |bytes| keep(&bytes))
        }
        _ => FileVersion::NotKept,
    };
    let change = FileChange { path: path.to_owned(), before, after: keep(content.as_bytes()) };
    if change.before != change.after {
        let on = AnnotationTarget::Call("".into());
        let event = AgentEvent::Annotation { on, annotation: Annotation::FileChange(change) };
        // Nobody listens any more where the call was given up.
        let _ = ctx.progress.blocking_send(ToolProgress::Event(event));
    }
}

/// The same with bytes, of which no version is kept.
pub(super) fn replace_bytes(place: &CheckedPath, content: &[u8]) -> Result<(), String> {
    static TEMP_FILE_COUNTER: AtomicU64 = AtomicU64::new(0);
    let shown = &place.display_path;
    let fault = |error: io::Error| format!("`{shown}` can't be written: {error}");
    let (Some(folder), Some(name)) = (place.path.parent(), place.path.file_name()) else {
        return Err(format!("`{shown}` is not a file name"));
    };
    let mode = match fs::metadata(&place.path) {
        Ok(meta) if !meta.is_file() => return Err(format!("`{shown}` is not a regular file")),
        Ok(meta) if meta.permissions().readonly() => return Err(format!("`{shown}` is read-only")),
        Ok(meta) => Some(meta.permissions()),
        Err(_) => None,
    };
    fs::create_dir_all(folder).map_err(fault)?;
    let unique = format!(
        ".{}.{}-{}.tmp",
        name.to_string_lossy().chars().take(60).collect::<String>(),
        std::process::id(),
        TEMP_FILE_COUNTER.fetch_add(1, Ordering::Relaxed)
    );
    let temporary = folder.join(unique);
    let written = write_new(&temporary, content, mode).and_then(|()| fs::rename(&temporary, &place.path));
    written.map_err(|error| {
        let _ = fs::remove_file(&temporary);
        fault(error)
    })
}

fn write_new(path: &Path, content: &[u8], mode: Option<fs::Permissions>) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    if let Some(mode) = mode {
        file.set_permissions(mode)?;
    }
    file.write_all(content)?;
    file.sync_all()
}

pub(super) fn count_changes(before: &str, after: &str) -> String {
    let lines = TextDiff::configure().timeout(Duration::from_millis(500)).diff_lines(before, after);
    let (mut added, mut removed) = (0, 0);
    for change in lines.iter_all_changes() {
        match change.tag() {
            similar::ChangeTag::Insert => added += 1,
            similar::ChangeTag::Delete => removed += 1,
            similar::ChangeTag::Equal => {}
        }
    }
    format!("+{added} -{removed} lines")
}

/// Reports a missing file and similar names in its folder.
fn absent_message(place: &CheckedPath) -> String {
    let missing = format!("`{}`: no such file", place.display_path);
    let (Some(folder), Some(name)) = (place.path.parent(), place.path.file_name()) else { return missing };
    let Ok(entries) = fs::read_dir(folder) else { return missing };
    let names: Vec<String> =
        entries.take(2000).filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).filter(|name| name.len() < 200).collect();
    match get_close_matches(&*name.to_string_lossy(), &names, 3, 0.6).as_slice() {
        [] => missing,
        near => format!("{missing}; there is {}", near.join(", ")),
    }
}
