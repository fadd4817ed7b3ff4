//! Finds files of saved sessions below a folder, and which of them belong together.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use crate::dialect::saved::{FileHead, SavedId, identify};

/// A larger file is left out.
const MAX_FILE_BYTES: u64 = 512 << 20;
/// How much of a file is looked at to find out what it is.
const HEAD_BYTES: u64 = 512 << 10;
/// Folders within folders.
const MAX_DEPTH: usize = 12;
/// Files and folders of one search.
const MAX_ENTRIES: usize = 1_000_000;
/// How often a database is read whose log begins anew meanwhile.
const MAX_DATABASE_READS: usize = 3;
/// What changes of a write-ahead log when it begins anew.
const LOG_HEADER_BYTES: usize = 32;
/// Problems that are told.
const MAX_PROBLEMS: usize = 20;

/// A file of a saved session.
#[derive(Clone, Debug)]
pub(super) struct FoundFile {
    pub(super) path: PathBuf,
    pub(super) id: SavedId,
    /// Milliseconds since 1970.
    pub(super) modified: u64,
}

/// The files of one session, its own first.
pub(super) type FoundSession = Vec<FoundFile>;

/// A search, and what it found.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// By the name of the format.
    pub(super) files: BTreeMap<&'static str, Vec<FoundFile>>,
    pub(super) other_files: u64,
    pub(super) problems: Vec<String>,
    entries: usize,
}

impl Search {
    /// Adds a file, or those below a folder. This path itself may be a link; those below are not followed.
    pub(super) fn add(&mut self, path: &Path) {
        let failed = |error: &io::Error| format!("{}: {error}", path.display());
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => self.add_folder(path, 0),
            Ok(metadata) if metadata.is_file() => {
                let others = self.other_files;
                self.add_file(path, &metadata);
                if self.other_files > others {
                    self.report(format!("{}: not a session in any known format", path.display()));
                }
            }
            Ok(_) => self.report(format!("{}: neither a file nor a folder", path.display())),
            Err(error) => self.report(failed(&error)),
        }
    }

    fn add_folder(&mut self, folder: &Path, depth: usize) {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => return self.report(format!("{}: {error}", folder.display())),
        };
        // In an order of their own, so that what is told is always the same.
        let mut entries: Vec<_> = entries.filter_map(Result::ok).collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            self.entries += 1;
            if self.entries > MAX_ENTRIES {
                return self.report(format!("{}: there are too many files; name a folder below it", folder.display()));
            }
            // That of the entry itself, so a link is neither.
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() && depth < MAX_DEPTH {
                self.add_folder(&entry.path(), depth + 1);
            } else if metadata.is_file() {
                self.add_file(&entry.path(), &metadata);
            }
        }
    }

    fn add_file(&mut self, path: &Path, metadata: &fs::Metadata) {
        if metadata.len() == 0 {
            self.other_files += 1;
            return;
        }
        let head = match read_head(path) {
            Ok(head) => head,
            Err(error) => return self.report(format!("{}: {error}", path.display())),
        };
        let Some((format, id)) = identify(&FileHead::new(&head)) else {
            self.other_files += 1;
            return;
        };
        let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let modified = modified.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or_default());
        self.files.entry(format.name).or_default().push(FoundFile { path: path.to_owned(), id, modified });
    }

    fn report(&mut self, problem: String) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(problem);
        }
    }
}

fn read_head(path: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    File::open(path)?.take(HEAD_BYTES).read_to_end(&mut head)?;
    Ok(head)
}

/// Reads a file, unless it is too large. The error is for people.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let read = |path: &Path| -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read(path).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(format!("it is larger than {} MiB", MAX_FILE_BYTES >> 20));
    }
    Ok(bytes)
}

/// Reads a file and, of a database, the log beside it. While its program moves rows from one to the other they don't
/// belong together, so both are read again if the log has begun anew.
pub(super) fn read_with_log(path: &Path) -> Result<(Vec<u8>, Option<Vec<u8>>), String> {
    let log_path = PathBuf::from(format!("{}-wal", path.display()));
    for _ in 0..MAX_DATABASE_READS {
        let log = if log_path.is_file() { Some(read_file(&log_path)?) } else { None };
        let bytes = read_file(path)?;
        if !FileHead::new(&bytes).is_database() {
            return Ok((bytes, None));
        }
        let begins_alike = |log: &Vec<u8>| {
            read_head(&log_path).is_ok_and(|now| now.get(..LOG_HEADER_BYTES) == log.get(..LOG_HEADER_BYTES))
        };
        if log.as_ref().map_or_else(|| !log_path.is_file(), begins_alike) {
            return Ok((bytes, log));
        }
    }
    Err("its program is writing to it; try again".to_owned())
}

/// Puts files together that are of one session: each with those that name it as their parent, however deep. One whose
/// parent is missing stands alone.
pub(super) fn group(files: &[FoundFile]) -> Vec<FoundSession> {
    let mut place_of: HashMap<String, usize> = HashMap::new();
    for (at, file) in files.iter().enumerate() {
        if !file.id.id.is_empty() {
            place_of.entry(file.id.id.clone()).or_insert(at);
        }
    }
    let root_of = |mut at: usize| {
        // Of parents that name each other there is no first.
        for _ in 0..MAX_DEPTH {
            let parent = files.get(at).and_then(|file| file.id.parent.as_ref());
            match parent.and_then(|parent| place_of.get(parent)) {
                Some(above) if *above != at => at = *above,
                _ => return at,
            }
        }
        at
    };
    let roots: Vec<usize> = (0..files.len()).map(root_of).collect();
    let mut sessions: BTreeMap<usize, FoundSession> = BTreeMap::new();
    for (at, file) in files.iter().enumerate() {
        let root = roots.get(at).copied().unwrap_or(at);
        let session = sessions.entry(root).or_default();
        if root == at { session.insert(0, file.clone()) } else { session.push(file.clone()) }
    }
    sessions.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(id: &str, parent: Option<&str>) -> FoundFile {
        FoundFile {
            path: id.into(),
            id: SavedId { parent: parent.map(str::to_owned), ..SavedId::new(id) },
            modified: 0,
        }
    }

    #[test]
    fn files_are_put_with_the_session_that_started_them() {
        let files = vec![
            file("c", Some("b")),
            file("a", None),
            file("b", Some("a")),
            file("x", Some("gone")),
            file("", None),
            file("", None),
            file("p", Some("q")),
            file("q", Some("p")),
        ];
        let groups: Vec<Vec<String>> = group(&files)
            .into_iter()
            .map(|session| session.into_iter().map(|file| file.path.display().to_string()).collect())
            .collect();
        assert!(groups.contains(&vec!["a".to_owned(), "c".into(), "b".into()]), "{groups:?}");
        assert!(groups.contains(&vec!["x".to_owned()]), "{groups:?}");
        assert_eq!(groups.iter().flatten().count(), 8, "{groups:?}");
    }

    #[test]
    fn links_below_a_folder_are_not_followed() {
        let place = tempfile::tempdir().unwrap();
        let (inside, outside) = (place.path().join("inside"), place.path().join("outside"));
        fs::create_dir_all(inside.join("deep")).unwrap();
        fs::create_dir_all(&outside).unwrap();
        let message = br#"[{"role":"user","content":"hi"}]"#;
        fs::write(outside.join("secret.json"), message).unwrap();
        fs::write(inside.join("deep/own.json"), message).unwrap();
        fs::write(inside.join("other.json"), b"{}").unwrap();
        std::os::unix::fs::symlink(&outside, inside.join("folder")).unwrap();
        std::os::unix::fs::symlink(outside.join("secret.json"), inside.join("file.json")).unwrap();
        std::os::unix::fs::symlink(&inside, inside.join("deep/loop")).unwrap();
        let mut search = Search::default();
        search.add(&inside);
        let found: Vec<_> = search.files.values().flatten().map(|file| file.path.clone()).collect();
        assert_eq!((found, search.other_files), (vec![inside.join("deep/own.json")], 1));
        assert_eq!(search.problems, Vec::<String>::new());
    }
}
