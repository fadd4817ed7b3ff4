//! Finds and reads the commands that people write: the person's own, and those of a project that they trust.

use std::fs;
use std::path::{Path, PathBuf};

use super::limited_file::read_limited;
use super::load::{ConfigFiles, SettingsSource};
use crate::store::user_commands::UserCommand;
use crate::text::one_line;

/// Where a project keeps its own.
const PROJECT_FOLDER: &str = ".jarvis/commands";
/// Files that are looked at, and bytes of one.
const MAX_COMMAND_FILES: usize = 200;
const MAX_COMMAND_BYTES: u64 = 64 * 1024;
/// Cells of a file's name in a message.
const MAX_FILE_CELLS: usize = 80;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundCommands {
    /// By name.
    pub commands: Vec<UserCommand>,
    /// Why files are no commands.
    pub problems: Vec<String>,
}

impl SettingsSource {
    /// Returns the files that may be commands now.
    pub fn command_files(&self) -> Vec<PathBuf> {
        self.named_files().into_iter().map(|(file, _)| file).collect()
    }

    /// Reads the commands that there are now.
    pub fn commands(&self) -> FoundCommands {
        read_commands(&self.named_files())
    }

    fn named_files(&self) -> Vec<(PathBuf, &'static str)> {
        command_files(&self.own_commands_dir(), &self.files())
    }
}

/// Returns the files that may be commands: the person's first. A project that is not trusted has none.
fn command_files(own: &Path, files: &ConfigFiles) -> Vec<(PathBuf, &'static str)> {
    let project = files.project.as_ref().filter(|project| project.trusted);
    let project = project.map(|project| (project.folder.join(PROJECT_FOLDER), "this project"));
    let folders = [(own.to_owned(), "yours")].into_iter().chain(project);
    folders.flat_map(|(folder, whose)| markdown_files(&folder).into_iter().map(move |file| (file, whose))).collect()
}

/// Reads them. A name that stands twice is the person's own.
fn read_commands(files: &[(PathBuf, &'static str)]) -> FoundCommands {
    let mut found = FoundCommands::default();
    for (file, whose) in files {
        let shown = one_line(&file.to_string_lossy(), MAX_FILE_CELLS);
        let name = file.file_stem().map(|stem| stem.to_string_lossy().to_lowercase()).unwrap_or_default();
        let read = read_limited(file, MAX_COMMAND_BYTES).map_err(|error| error.to_string());
        match read.and_then(|text| UserCommand::parse(&name, &text, whose)) {
            Err(why) => found.problems.push(format!("{shown} is no command: {why}")),
            Ok(command) if found.commands.iter().any(|known| known.name == command.name) => {
                found.problems.push(format!("{shown} is no command: there is another /{name}"));
            }
            Ok(command) => found.commands.push(command),
        }
    }
    found.commands.sort_by(|one, other| one.name.cmp(&other.name));
    found
}

fn markdown_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let is_markdown = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "md");
    let mut files: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(is_markdown).take(MAX_COMMAND_FILES).collect();
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ConfigSources, Overrides, Paths, load};

    #[test]
    fn the_persons_and_those_of_a_trusted_project_are_read() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        let write = |path: &str, text: &str| {
            fs::create_dir_all(at(path).parent().unwrap()).unwrap();
            fs::write(at(path), text).unwrap();
        };
        write("config/commands/review.md", "Review $1.");
        write("config/commands/help.md", "no");
        write("config/commands/notes.txt", "no command");
        write("repo/.jarvis/config.toml", "");
        write("repo/.jarvis/commands/review.md", "Another.");
        write("repo/.jarvis/commands/Ship.md", "Ship it.");
        let paths = Paths { config: at("config"), data: at("data"), state: at("state") };
        let folder = at("repo");
        let source = SettingsSource::new(&ConfigSources {
            paths: &paths,
            folder: &folder,
            file: None,
            env: &|_| None,
            flags: &Overrides::default(),
        });
        let names = |found: &FoundCommands| {
            found.commands.iter().map(|known| format!("{} ({})", known.name, known.source)).collect::<Vec<_>>()
        };
        let found = source.commands();
        assert_eq!(names(&found), ["review (yours)"]);
        assert!(
            matches!(found.problems.as_slice(), [why] if why.ends_with("help.md is no command: /help is built in"))
        );
        load::trust(&paths, &folder).unwrap();
        let found = source.commands();
        assert_eq!(names(&found), ["review (yours)", "ship (this project)"]);
        assert!(found.problems.iter().any(|why| why.ends_with("there is another /review")), "{:?}", found.problems);
        assert_eq!(source.command_files().len(), 4);
    }
}
