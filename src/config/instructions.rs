//! Finds and reads the files in which people instruct agents: `AGENTS.md`, and in folders without one what stands there
//! for another agent.
//!
//! A project's files count only where the project is trusted, and nothing counts that another user owns or that a link
//! leads to from outside. The nearest file comes first, the person's own last.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::unistd::geteuid;

use super::load::ProjectFolder;
use super::paths::Paths;
use crate::store::overlay::memory::MemoryFile;
use crate::text::{clean, size};

/// Names of such files; of a folder the first that is there counts.
const NAMES: [&str; 3] = ["AGENTS.md", "CLAUDE.md", "GEMINI.md"];
/// What is told of a file that is not read for lack of trust.
pub const NOT_TRUSTED: &str = "not read: this project is not trusted";

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundInstructions {
    /// For the model; empty where there is nothing to tell it.
    pub text: String,
    /// Every file that is there, and what became of it.
    pub files: Vec<MemoryFile>,
}

/// Reads the files of these folders, the nearest first, and the person's own, up to so many bytes in all.
pub fn read_instructions(paths: &Paths, project: &[ProjectFolder], max_bytes: usize) -> FoundInstructions {
    let mut reading = Reading { found: FoundInstructions::default(), room: max_bytes };
    if max_bytes == 0 {
        return reading.found;
    }
    let root = project.last().map(|folder| folder.path.as_path());
    let nearest = project.first().map(|folder| folder.path.as_path());
    for folder in project.iter().filter(|folder| folder.path != paths.config) {
        reading.read_folder(&folder.path, root, nearest, folder.is_trusted);
    }
    reading.read_folder(&paths.config, None, nearest, true);
    reading.found
}

struct Reading {
    found: FoundInstructions,
    /// Bytes that may still be told.
    room: usize,
}

impl Reading {
    fn read_folder(&mut self, folder: &Path, root: Option<&Path>, nearest: Option<&Path>, is_trusted: bool) {
        let there = NAMES.into_iter().filter(|name| fs::symlink_metadata(folder.join(name)).is_ok());
        let mut first = None;
        for name in there {
            let file = folder.join(name);
            let shown = nearest.and_then(|nearest| file.strip_prefix(nearest).ok()).unwrap_or(&file);
            let path = shown.display().to_string();
            let note = match first {
                Some(first) => format!("not read: {first} stands beside it"),
                None if !is_trusted => NOT_TRUSTED.to_owned(),
                None => self.read_file(&file, &path, root),
            };
            first = first.or(Some(name));
            self.found.files.push(MemoryFile { path, note });
        }
    }

    /// Reads a file; returns what is told of that.
    fn read_file(&mut self, file: &Path, path: &str, root: Option<&Path>) -> String {
        let ReadText { text, bytes, is_cut } = match read_own(file, root, self.room) {
            Ok(read) => read,
            Err(why) => return format!("not read: {why}"),
        };
        if self.room == 0 {
            return "not read: those before it take all the room that limits.instructions leaves".into();
        }
        let kept = clean(&text);
        self.room = self.room.saturating_sub(text.len());
        if !kept.trim().is_empty() {
            let rest = if is_cut { "\n[the rest of the file is left out]" } else { "" };
            let _ = write!(self.found.text, "\n\n<file path=\"{path}\">\n{}{rest}\n</file>", kept.trim());
        }
        if is_cut {
            format!("the first {} of {}, as limits.instructions says", size(text.len() as u64), size(bytes))
        } else {
            size(bytes)
        }
    }
}

/// The beginning of a text file.
pub(super) struct ReadText {
    pub(super) text: String,
    /// The length of the file.
    pub(super) bytes: u64,
    pub(super) is_cut: bool,
}

/// Reads so many bytes of a text file that is the person's own and, with a `root`, lies in it.
pub(super) fn read_own(file: &Path, root: Option<&Path>, max_bytes: usize) -> Result<ReadText, String> {
    let place = file.canonicalize().map_err(|error| error.to_string())?;
    if let Some(root) = root
        && !root.canonicalize().is_ok_and(|root| place.starts_with(root))
    {
        return Err("it is a link that leads out of the project".into());
    }
    let user = geteuid().as_raw();
    let folder = place.parent().and_then(|folder| fs::metadata(folder).ok());
    if folder.is_none_or(|folder| folder.uid() != user) {
        return Err("its folder belongs to another user".into());
    }
    // Checked before opening: opening a pipe would block forever.
    if !fs::metadata(&place).is_ok_and(|data| data.is_file()) {
        return Err("it is not a file".into());
    }
    let opened = File::open(&place).map_err(|error| error.to_string())?;
    let data = opened.metadata().map_err(|error| error.to_string())?;
    if data.uid() != user {
        return Err("it belongs to another user".into());
    }
    let mut bytes = Vec::new();
    opened.take(max_bytes as u64).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    let whole = match std::str::from_utf8(&bytes) {
        Ok(text) => text.len(),
        // Cut in the middle of a character.
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        Err(_) => return Err("it is not UTF-8 text".into()),
    };
    bytes.truncate(whole);
    let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())?;
    let is_cut = (text.len() as u64) < data.len();
    Ok(ReadText { text, bytes: data.len(), is_cut })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    use super::*;

    struct InstructionPlace(tempfile::TempDir);

    impl InstructionPlace {
        fn at(&self, path: &str) -> PathBuf {
            self.0.path().join(path)
        }

        fn write(&self, path: &str, text: impl AsRef<[u8]>) {
            fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
            fs::write(self.at(path), text).unwrap();
        }

        fn read(&self, folders: &[(&str, bool)], max_bytes: usize) -> FoundInstructions {
            let project: Vec<ProjectFolder> = folders
                .iter()
                .map(|(path, is_trusted)| ProjectFolder { path: self.at(path), is_trusted: *is_trusted })
                .collect();
            let paths = Paths { config: self.at("c"), data: self.at("d"), state: self.at("s") };
            read_instructions(&paths, &project, max_bytes)
        }
    }

    fn place() -> InstructionPlace {
        let place = InstructionPlace(tempfile::tempdir().unwrap());
        place.write("c/AGENTS.md", "mine");
        place.write("repo/AGENTS.md", "of the root");
        place.write("repo/CLAUDE.md", "unused");
        place.write("repo/a/GEMINI.md", "of a\u{202e}");
        place
    }

    fn notes(found: &FoundInstructions) -> Vec<String> {
        found.files.iter().map(|file| file.note.clone()).collect()
    }

    #[test]
    fn the_nearest_comes_first_and_one_file_of_a_folder_counts() {
        let found = place().read(&[("repo/a", true), ("repo", true)], 1000);
        let order: Vec<usize> = ["of a\n", "of the root", "mine"].map(|text| found.text.find(text).unwrap()).into();
        assert!(order.is_sorted() && !found.text.contains("unused"), "{}", found.text);
        let expected = ["7 bytes", "11 bytes", "not read: AGENTS.md stands beside it", "4 bytes"];
        assert_eq!(notes(&found), expected);
        assert_eq!(found.files[0].path, "GEMINI.md");
    }

    #[test]
    fn without_trust_only_the_persons_own_is_read() {
        let found = place().read(&[("repo/a", false), ("repo", false)], 1000);
        assert!(found.text.contains("mine") && !found.text.contains("of "), "{}", found.text);
        assert_eq!(notes(&found)[..2], [NOT_TRUSTED, NOT_TRUSTED]);
        assert_eq!(place().read(&[("repo", true)], 0), FoundInstructions::default());
    }

    #[test]
    fn what_is_too_long_is_cut_and_says_so() {
        let place = place();
        place.write("repo/AGENTS.md", "é".repeat(600));
        let found = place.read(&[("repo", true)], 1001);
        assert!(found.text.contains(&format!("{}\n[the rest", "é".repeat(500))), "{}", found.text);
        let expected = ["the first 1.0 kB of 1.2 kB, as limits.instructions says"];
        assert_eq!(notes(&found)[..1], expected);
    }

    #[test]
    fn what_is_no_text_of_the_project_is_left_out() {
        let place = place();
        place.write("secret", "hunter2");
        for folder in ["link", "binary", "dir"] {
            fs::create_dir_all(place.at(folder)).unwrap();
        }
        symlink(place.at("secret"), place.at("link/AGENTS.md")).unwrap();
        place.write("binary/AGENTS.md", [b'a', 0xff, b'b']);
        fs::create_dir_all(place.at("dir/AGENTS.md")).unwrap();
        for (folder, why) in [
            ("link", "it is a link that leads out of the project"),
            ("binary", "it is not UTF-8 text"),
            ("dir", "it is not a file"),
        ] {
            let found = place.read(&[(folder, true)], 1000);
            assert_eq!(notes(&found)[0], format!("not read: {why}"));
            assert!(!found.text.contains("hunter2"), "{}", found.text);
        }
        symlink("CLAUDE.md", place.at("repo/b")).unwrap();
        fs::remove_file(place.at("repo/AGENTS.md")).unwrap();
        symlink("CLAUDE.md", place.at("repo/AGENTS.md")).unwrap();
        assert!(place.read(&[("repo", true)], 1000).text.contains("unused"), "a link inside is fine");
    }
}
