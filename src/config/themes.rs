//! Finds themes by name: the person's own files, beside their settings, then those that are built in.
//!
//! A project's folder is never looked into: what a theme shows is what a person reads before they allow something.

use std::fs;
use std::path::{Path, PathBuf};

use super::limited_file::read_limited;
use super::theme_file::{BUILT_IN_THEMES, ThemeBase, ThemeColors, ThemeText, is_theme_name};
use crate::store::command_argument::THEMES;
use crate::text::one_line;
use crate::text::suggestion::suggest;

/// Files that are listed, and bytes of one.
const MAX_THEME_FILES: usize = 100;
const MAX_THEME_BYTES: u64 = 64 * 1024;
/// Themes that one may inherit from, each from the next.
const MAX_INHERITED_THEMES: usize = 8;
/// Cells of a file's name in a message.
const MAX_FILE_CELLS: usize = 200;

/// The person's folder of themes, which may not exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThemeFolder(pub PathBuf);

/// A theme, and what is wrong with the files that say it, each with file and line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundTheme {
    pub colors: ThemeColors,
    pub problems: Vec<String>,
}

impl ThemeFolder {
    /// Returns the names of the person's own themes, but for those that stand for one that is built in.
    pub fn own_names(&self) -> Vec<String> {
        let names = self.own_files().into_iter().filter_map(|file| Some(file.file_stem()?.to_str()?.to_owned()));
        names.filter(|name| THEMES.iter().all(|(known, _)| known != name)).collect()
    }

    /// Returns the person's files, by name.
    pub fn own_files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        let is_theme = |path: &PathBuf| {
            let name = path.file_stem().and_then(|name| name.to_str());
            path.extension().is_some_and(|end| end == "toml") && name.is_some_and(is_theme_name)
        };
        let mut files: Vec<PathBuf> =
            entries.map(|entry| entry.path()).filter(is_theme).take(MAX_THEME_FILES).collect();
        files.sort();
        files
    }

    /// Reads the theme of that name.
    pub fn read(&self, name: &str) -> Option<FoundTheme> {
        let mut problems = Vec::new();
        let colors = self.resolve(name, &mut Vec::new(), &mut problems)?;
        Some(FoundTheme { colors, problems })
    }

    /// Tells that there is no theme of that name, and what is like it.
    pub fn missing(&self, name: &str) -> String {
        let own = self.own_names();
        let known = THEMES.iter().map(|(name, _)| *name).chain(own.iter().map(String::as_str));
        let hint = suggest(name, known).map(|near| format!(", did you mean `{near}`?")).unwrap_or_default();
        format!("no theme is called `{name}`{hint}; your own are looked for in {}", shown(&self.0))
    }

    fn resolve(&self, name: &str, seen: &mut Vec<String>, problems: &mut Vec<String>) -> Option<ThemeColors> {
        match name {
            "dark" => return Some(ThemeColors::plain(ThemeBase::Dark)),
            "light" => return Some(ThemeColors::plain(ThemeBase::Light)),
            _ if !is_theme_name(name) || seen.len() >= MAX_INHERITED_THEMES => return None,
            _ => {}
        }
        let path = self.0.join(format!("{name}.toml"));
        let own = if seen.iter().any(|seen| seen == name) { None } else { own_text(&path, problems) };
        let (file, text) = match own {
            Some(text) => (shown(&path), text),
            None => (name.to_owned(), built_in(name)?.to_owned()),
        };
        seen.push(name.to_owned());
        let mut said = ThemeText::parse(&file, &text);
        let below = said.inherits.clone().and_then(|(name, line)| {
            let below = self.resolve(&name, seen, problems);
            if below.is_none() {
                said.tell(&file, line, &format!("`inherits`: no other theme is called `{name}`"));
            }
            below
        });
        problems.append(&mut said.problems);
        Some(said.over(below))
    }
}

fn built_in(name: &str) -> Option<&'static str> {
    BUILT_IN_THEMES.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// Reads a file of the person; one that is there and can't be read is told.
fn own_text(path: &Path, problems: &mut Vec<String>) -> Option<String> {
    match read_limited(path, MAX_THEME_BYTES) {
        Ok(text) => Some(text),
        Err(error) => {
            if error.kind() != std::io::ErrorKind::NotFound {
                problems.push(format!("{}: {error}", shown(path)));
            }
            None
        }
    }
}

fn shown(path: &Path) -> String {
    one_line(&path.to_string_lossy(), MAX_FILE_CELLS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::theme_file::{COLOR_KEYS, ThemeColor};

    fn folder(files: &[(&str, &str)]) -> (tempfile::TempDir, ThemeFolder) {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let folder = ThemeFolder(dir.path().to_owned());
        (dir, folder)
    }

    fn color(theme: &FoundTheme, key: &str) -> Option<ThemeColor> {
        theme.colors.colors[COLOR_KEYS.iter().position(|known| *known == key).unwrap()]
    }

    #[test]
    fn every_theme_that_is_offered_is_there() {
        let (_dir, folder) = folder(&[]);
        for (name, _) in THEMES.iter().filter(|(name, _)| !matches!(*name, "auto" | "mono")) {
            let found = folder.read(name).unwrap_or_else(|| panic!("{name}"));
            assert_eq!(found.problems, [""; 0], "{name}");
        }
        let offered = THEMES.iter().map(|(name, _)| *name).filter(|name| built_in(name).is_some());
        assert!(offered.eq(BUILT_IN_THEMES.iter().map(|(name, _)| *name)));
    }

    #[test]
    fn own_themes_inherit_and_stand_for_built_in_ones() {
        let (_dir, folder) = folder(&[
            ("mine.toml", "inherits = \"gruvbox-dark\"\naccent = 5\nnope = 1\n"),
            ("gruvbox-dark.toml", "inherits = \"gruvbox-dark\"\nok = 7\n"),
            ("a.toml", "inherits = \"b\"\nok = 1"),
            ("b.toml", "inherits = \"a\"\nwarn = 2"),
            ("light.toml", "ok = 9"),
            ("No Name.toml", ""),
            ("notes.txt", ""),
        ]);
        assert_eq!(folder.own_names(), ["a", "b", "mine"]);
        let mine = folder.read("mine").unwrap();
        assert_eq!(color(&mine, "accent"), Some(ThemeColor::Index(5)));
        assert_eq!(color(&mine, "ok"), Some(ThemeColor::Index(7)), "the person's own of that name");
        assert!(
            matches!(color(&mine, "background"), Some(ThemeColor::TrueColor(0x28, 0x28, 0x28))),
            "and what that stands for"
        );
        assert!(matches!(mine.problems.as_slice(), [one] if one.contains("mine.toml:3: unknown key `nope`")));
        let circle = folder.read("a").unwrap();
        assert_eq!(
            (color(&circle, "ok"), color(&circle, "warn")),
            (Some(ThemeColor::Index(1)), Some(ThemeColor::Index(2)))
        );
        assert!(circle.problems.iter().any(|told| told.contains("b.toml:1: `inherits`: no other theme")));
        assert_eq!(folder.read("light").unwrap().colors, ThemeColors::plain(ThemeBase::Light));
        assert!(folder.read("../mine").is_none() && folder.read("grubox-dark").is_none());
        assert!(folder.missing("grubox-dark").contains("did you mean `gruvbox-dark`?"));
    }
}
