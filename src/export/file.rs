//! Where an export goes: under its name in one step, so that no unfinished file is ever there, and over no other file
//! unless that was named.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::event::ExportFormat;
use crate::text::clean;

/// Characters of a title in a file's name.
const MAX_NAME_CHARS: usize = 60;
/// How many names are tried.
const MAX_NUMBER: u32 = 10_000;

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub path: PathBuf,
    /// There was another before.
    pub is_replaced: bool,
}

/// Returns a name after the title, of letters that every file system takes; after the session where there is none.
pub fn default_name(title: Option<&str>, session: &str, format: ExportFormat) -> String {
    let mut name = slug(title.unwrap_or_default());
    if name.is_empty() {
        name = slug(session);
    }
    if name.is_empty() {
        name.push_str("session");
    }
    format!("{name}.{}", format.name())
}

fn slug(text: &str) -> String {
    let mut name = String::new();
    for c in clean(text).chars().flat_map(char::to_lowercase).take(MAX_NAME_CHARS * 4) {
        if c.is_alphanumeric() {
            name.push(c);
        } else if !name.is_empty() && !name.ends_with('-') {
            name.push('-');
        }
        if name.chars().count() >= MAX_NAME_CHARS {
            break;
        }
    }
    name.trim_end_matches('-').to_owned()
}

/// Writes a file of that name, in place of an older one. What is no plain file, such as a pipe, is written to.
pub fn write_over(path: &Path, bytes: &[u8]) -> io::Result<Written> {
    let known = fs::metadata(path).ok();
    if known.as_ref().is_some_and(|known| !known.is_file() && !known.is_dir()) {
        OpenOptions::new().write(true).open(path)?.write_all(bytes)?;
        return Ok(Written { path: path.to_owned(), is_replaced: false });
    }
    // What a link leads to is replaced, and not the link.
    let target = if known.is_some() { path.canonicalize()? } else { path.to_owned() };
    let whole = UnfinishedFile::write(&target, bytes)?;
    fs::rename(&whole.0, &target)?;
    std::mem::forget(whole);
    Ok(Written { path: path.to_owned(), is_replaced: known.is_some() })
}

/// Writes a file of that name, or of that name with a number where there is one already.
pub fn write_beside(path: &Path, bytes: &[u8]) -> io::Result<Written> {
    let whole = UnfinishedFile::write(path, bytes)?;
    for number in 1..MAX_NUMBER {
        let target = if number == 1 { path.to_owned() } else { numbered(path, number) };
        match place(&whole.0, &target) {
            Ok(()) => return Ok(Written { path: target, is_replaced: false }),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Gives a file another name, if that is free.
fn place(file: &Path, target: &Path) -> io::Result<()> {
    match fs::hard_link(file, target) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            // Not every file system has links.
            OpenOptions::new().write(true).create_new(true).open(target)?;
            fs::rename(file, target)
        }
        done => done,
    }
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let end = path.extension().map_or_else(String::new, |end| format!(".{}", end.to_string_lossy()));
    path.with_file_name(format!("{stem}-{number}{end}"))
}

/// A whole file under a name of its own, which goes with it.
struct UnfinishedFile(PathBuf);

impl UnfinishedFile {
    fn write(target: &Path, bytes: &[u8]) -> io::Result<Self> {
        let name = target.file_name().ok_or(io::ErrorKind::IsADirectory)?.to_string_lossy();
        let short: String = name.chars().take(MAX_NAME_CHARS).collect();
        let file = Self(target.with_file_name(format!(".{short}.{}.part", std::process::id())));
        let mut open = File::create(&file.0)?;
        open.write_all(bytes)?;
        open.sync_all()?;
        Ok(file)
    }
}

impl Drop for UnfinishedFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_name_is_made_of_the_title() {
        let name = |title| default_name(title, "20261130-1", ExportFormat::Markdown);
        assert_eq!(name(Some("Fix the *parser*, please!")), "fix-the-parser-please.md");
        assert_eq!(name(Some("../../etc/passwd")), "etc-passwd.md");
        assert_eq!(name(Some("Überprüfe 漢字")), "überprüfe-漢字.md");
        assert_eq!(name(Some("…")), "20261130-1.md");
        assert_eq!(name(None), "20261130-1.md");
        assert!(name(Some(&"long ".repeat(100))).len() <= MAX_NAME_CHARS + 3);
    }

    #[test]
    fn another_file_is_never_written_over_unless_it_was_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.md");
        for expected in ["a.md", "a-2.md", "a-3.md"] {
            assert_eq!(write_beside(&path, b"x").unwrap().path, folder.path().join(expected));
        }
        assert_eq!(write_over(&path, b"y").unwrap(), Written { path: path.clone(), is_replaced: true });
        assert_eq!(fs::read(&path).unwrap(), b"y");
        assert_eq!(fs::read(folder.path().join("a-2.md")).unwrap(), b"x");
        assert_eq!(names(folder.path()), ["a-2.md", "a-3.md", "a.md"], "and nothing else is left");
    }

    #[test]
    fn what_could_not_be_written_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("a.md")).unwrap();
        assert!(write_over(&folder.path().join("a.md"), b"x").is_err());
        assert!(write_over(&folder.path().join("none/a.md"), b"x").is_err());
        assert_eq!(names(folder.path()), ["a.md"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_and_what_it_leads_to_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write_over(&link, b"new").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }
}
