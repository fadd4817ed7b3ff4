//! The folders of a project, and whether what is written there for agents may be followed.

use std::path::{Path, PathBuf};

use super::{PROJECT_FILE, canonical, load_trust_list, repository_root, settings_text};
use crate::config::paths::Paths;
use crate::config::trust::TrustList;

/// A folder of the project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectFolder {
    pub path: PathBuf,
    /// It, or one above it in the project, was trusted, and the settings there are what they were then.
    pub is_trusted: bool,
}

/// Returns the working folder and those above it, up to the root of its repository; without one only the folder.
pub fn project_folders(paths: &Paths, folder: &Path) -> Vec<ProjectFolder> {
    let list = load_trust_list(paths).unwrap_or_default();
    let root = repository_root(folder).unwrap_or(folder);
    let mut is_trusted = false;
    let downwards: Vec<&Path> = folder.ancestors().take_while(|path| path.starts_with(root)).collect();
    let mut folders: Vec<ProjectFolder> = (downwards.into_iter().rev())
        .map(|path| {
            is_trusted |= is_folder_trusted(&list, path);
            ProjectFolder { path: path.to_owned(), is_trusted }
        })
        .collect();
    folders.reverse();
    folders
}

fn is_folder_trusted(list: &TrustList, folder: &Path) -> bool {
    let Ok(text) = settings_text(&folder.join(PROJECT_FILE)) else { return false };
    canonical(folder).is_ok_and(|path| list.trusts(&path, &text))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::load::{distrust, trust};

    #[test]
    fn trust_holds_below_a_folder_until_its_settings_change() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        fs::create_dir_all(at("repo/.git")).unwrap();
        fs::create_dir_all(at("repo/a/b")).unwrap();
        let paths = Paths { config: at("c"), data: at("d"), state: at("s") };
        let trusted = |folder: &str| -> Vec<(String, bool)> {
            let folders = project_folders(&paths, &at(folder)).into_iter();
            let name = |folder: ProjectFolder| folder.path.file_name().unwrap().to_string_lossy().into_owned();
            folders.map(|folder| (name(folder.clone()), folder.is_trusted)).collect()
        };
        let of = |names: [&str; 3], is_trusted| names.map(|name| (name.to_owned(), is_trusted)).to_vec();
        let names = ["b", "a", "repo"];
        assert_eq!(trusted("repo/a/b"), of(names, false));
        trust(&paths, &at("repo/a")).unwrap();
        assert_eq!(trusted("repo/a/b"), of(names, true), "the whole repository is meant");
        fs::create_dir_all(at("repo/.jarvis")).unwrap();
        fs::write(at("repo/.jarvis/config.toml"), "limits.max_rounds = 3").unwrap();
        assert_eq!(trusted("repo/a/b"), of(names, false), "there were no settings");
        trust(&paths, &at("repo/a")).unwrap();
        assert_eq!(trusted("repo/a/b"), of(names, true));
        assert_eq!((distrust(&paths, &at("repo/a")), trusted("repo/a/b")), (Ok(true), of(names, false)));
        trust(&paths, &at("repo")).unwrap();
        fs::create_dir_all(at("repo/a/b/.git")).unwrap();
        assert_eq!(trusted("repo/a/b"), [("b".to_owned(), false)], "another repository in it");
        fs::create_dir_all(at("alone/x")).unwrap();
        assert_eq!(trusted("alone/x"), [("x".to_owned(), false)]);
    }
}
