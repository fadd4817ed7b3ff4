use tempfile::TempDir;

use super::*;
use crate::config::{Config, ThemeChoice};

/// A home and a repository in a temporary folder.
struct ConfigSandbox {
    root: TempDir,
    paths: Paths,
}

impl ConfigSandbox {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let home = root.path().join("home");
        fs::create_dir_all(root.path().join("repo/.git")).unwrap();
        fs::create_dir_all(root.path().join("repo/src/deep")).unwrap();
        Self { paths: Paths { config: home.join("c"), data: home.join("d"), state: home.join("s") }, root }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn write(&self, path: &str, text: &str) -> PathBuf {
        let file = self.path(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
        file
    }

    fn with<T>(
        &self,
        folder: &str,
        file: Option<&str>,
        variable: Option<&str>,
        read: impl Fn(&ConfigSources<'_>) -> T,
    ) -> T {
        let env = |name: &str| variable.filter(|_| name == "JARVIS_TUI_CONFIG").map(str::to_owned);
        let load = ConfigSources {
            paths: &self.paths,
            folder: &self.path(folder),
            file: file.map(Path::new),
            env: &env,
            flags: &Overrides::default(),
        };
        read(&load)
    }

    fn theme(&self, folder: &str) -> ThemeChoice {
        self.with(folder, None, None, load).unwrap().config.ui.theme
    }
}

#[test]
fn without_files_the_defaults_hold() {
    let place = ConfigSandbox::new();
    let loaded = place.with("repo", None, None, load).unwrap();
    assert_eq!((loaded.config, loaded.warnings), (Config::default(), vec![]));
}

#[test]
fn the_file_is_the_flags_or_the_variables_or_the_usual_one() {
    let place = ConfigSandbox::new();
    place.write("home/c/config.toml", "ui.theme = \"dark\"");
    place.write("repo/mine.toml", "ui.theme = \"light\"");
    let variable = place.write("var.toml", "ui.theme = \"mono\"").display().to_string();
    for (file, variable, expected) in [
        (None, None, ThemeChoice::Dark),
        (None, Some(&*variable), ThemeChoice::Mono),
        (Some("mine.toml"), Some(&*variable), ThemeChoice::Light),
    ] {
        assert_eq!(place.with("repo", file, variable, load).unwrap().config.ui.theme, expected);
    }
}

#[test]
fn a_file_that_was_asked_for_must_be_there() {
    let place = ConfigSandbox::new();
    let error = place.with("repo", Some("no.toml"), None, load).unwrap_err().to_string();
    assert!(error.ends_with("no.toml: no such file"), "{error}");
    let error = place.with("repo", None, Some("/no/such.toml"), load).unwrap_err().to_string();
    assert_eq!(error, "/no/such.toml: no such file");
    let error = place.with("repo", Some("src"), None, load).unwrap_err().to_string();
    assert!(error.ends_with("src: not a file"), "{error}");
}

#[test]
fn unreadable_files_say_why() {
    let place = ConfigSandbox::new();
    let file = place.write("home/c/config.toml", "");
    fs::write(&file, [0xff, 0xfe]).unwrap();
    assert!(place.with("repo", None, None, load).unwrap_err().to_string().ends_with(": not valid UTF-8"));
    fs::write(&file, "#".repeat(2_000_000)).unwrap();
    assert!(place.with("repo", None, None, load).unwrap_err().to_string().ends_with(": larger than 1 MiB"));
}

#[test]
fn the_projects_file_is_here_or_in_the_root_of_the_repository() {
    let place = ConfigSandbox::new();
    place.write("repo/.jarvis/config.toml", "ui.theme = \"dark\"");
    place.write(".jarvis/config.toml", "ui.theme = \"mono\"");
    assert_eq!(place.theme("repo"), ThemeChoice::Dark);
    assert_eq!(place.theme("repo/src/deep"), ThemeChoice::Dark);
    place.write("repo/src/deep/.jarvis/config.toml", "ui.theme = \"light\"");
    assert_eq!(place.theme("repo/src/deep"), ThemeChoice::Light);
    assert_eq!(place.theme("repo/src"), ThemeChoice::Dark);
}

#[test]
fn an_unreadable_project_is_a_warning() {
    let place = ConfigSandbox::new();
    fs::create_dir_all(place.path("repo/.jarvis/config.toml")).unwrap();
    let loaded = place.with("repo", None, None, load).unwrap();
    assert!(loaded.warnings[0].to_string().ends_with(".jarvis/config.toml: not a file"), "{:?}", loaded.warnings);
}

#[test]
fn trust_ends_when_the_text_changes() {
    let place = ConfigSandbox::new();
    place.write("repo/.jarvis/config.toml", "limits.max_rounds = 3\n");
    let rounds = || place.with("repo/src", None, None, load).unwrap().config.limits.max_rounds;
    let trusted = || place.with("repo/src", None, None, config_files).project.unwrap().trusted;
    assert_eq!((rounds(), trusted()), (25, false));
    trust(&place.paths, &place.path("repo/src")).unwrap();
    assert_eq!((rounds(), trusted()), (3, true));
    place.write("repo/.jarvis/config.toml", "limits.max_rounds = 4\n");
    assert_eq!((rounds(), trusted()), (25, false));
    trust(&place.paths, &place.path("repo")).unwrap();
    assert_eq!(rounds(), 4);
    assert_eq!(distrust(&place.paths, &place.path("repo")), Ok(true));
    assert_eq!((rounds(), distrust(&place.paths, &place.path("repo"))), (25, Ok(false)));
}

#[test]
fn a_copy_of_a_trusted_folder_is_not_trusted() {
    let place = ConfigSandbox::new();
    for folder in ["repo", "copy"] {
        place.write(&format!("{folder}/.jarvis/config.toml"), "limits.max_rounds = 3\n");
    }
    trust(&place.paths, &place.path("repo")).unwrap();
    assert_eq!(place.with("copy", None, None, load).unwrap().config.limits.max_rounds, 25);
}

#[test]
fn a_project_without_settings_is_trusted_as_one_that_has_none() {
    let place = ConfigSandbox::new();
    let project = trust(&place.paths, &place.path("repo/src")).unwrap();
    assert_eq!(project.folder, place.path("repo"));
    place.write("repo/.jarvis/config.toml", "limits.max_rounds = 3\n");
    assert_eq!(place.with("repo", None, None, load).unwrap().config.limits.max_rounds, 25);
    assert_eq!(distrust(&place.paths, &place.path("repo/src")), Ok(true));
}

#[test]
fn a_broken_list_trusts_nobody_and_is_kept() {
    let place = ConfigSandbox::new();
    place.write("repo/.jarvis/config.toml", "limits.max_rounds = 3\n");
    let list = place.write("home/d/trusted.toml", "folder = 3");
    let loaded = place.with("repo", None, None, load).unwrap();
    assert_eq!((loaded.config.limits.max_rounds, loaded.warnings.len()), (25, 2));
    assert!(trust(&place.paths, &place.path("repo")).is_err());
    assert_eq!(fs::read_to_string(list).unwrap(), "folder = 3");
}

#[test]
fn a_check_fails_on_warnings() {
    let place = ConfigSandbox::new();
    place.write("home/c/config.toml", "ui.theme = \"dark\"");
    assert!(place.with("repo", None, None, check).is_ok());
    place.write("home/c/config.toml", "ui.them = \"dark\"");
    assert!(place.with("repo", None, None, load).is_ok());
    assert_eq!(place.with("repo", None, None, check).unwrap_err().0.len(), 1);
}

#[test]
fn a_first_file_is_written_once_and_changes_nothing() {
    let place = ConfigSandbox::new();
    let file = place.with("repo", None, None, init).unwrap();
    let loaded = place.with("repo", None, None, check).unwrap();
    assert_eq!(loaded.config, Config::default());
    fs::write(&file, "ui.theme = \"dark\"").unwrap();
    assert!(place.with("repo", None, None, init).unwrap_err().to_string().contains("not changed"));
    assert_eq!(place.theme("repo"), ThemeChoice::Dark);
}

#[cfg(unix)]
#[test]
fn what_is_written_is_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = ConfigSandbox::new();
    place.write("repo/.jarvis/config.toml", "");
    trust(&place.paths, &place.path("repo")).unwrap();
    let file = place.with("repo", None, None, init).unwrap();
    for file in [place.paths.trusted_file(), file] {
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
    }
}
