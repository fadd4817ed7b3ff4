//! Finds and reads the settings files; no other file of this module does.
//!
//! Decides nothing: the contents go to [`merge`].

mod project_folders;

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::limited_file::read_limited;
use super::merge::{self, ConfigLayers, LoadedConfig, Overrides, ProjectText, SettingsText};
use super::paths::Paths;
use super::problem::{ConfigError, Origin, Problem, ProblemKind};
use super::themes::ThemeFolder;
use super::trust::TrustList;
use super::{Env, ThemeChoice, environment, show};
use crate::private;

pub use project_folders::{ProjectFolder, project_folders};

/// Far more than anybody writes; guards against devices and wrong files.
const MAX_FILE_BYTES: u64 = 1024 * 1024;
const PROJECT_FILE: &str = ".jarvis/config.toml";

/// Where to load settings from.
pub struct ConfigSources<'a> {
    pub paths: &'a Paths,
    /// The working folder, absolute.
    pub folder: &'a Path,
    /// `--config FILE`, instead of the person's own file.
    pub file: Option<&'a Path>,
    pub env: Env<'a>,
    pub flags: &'a Overrides,
}

/// The same places, kept to read the settings again while the program runs.
#[derive(Clone, Debug)]
pub struct SettingsSource {
    paths: Paths,
    folder: PathBuf,
    file: Option<PathBuf>,
    flags: Overrides,
}

impl SettingsSource {
    pub fn new(sources: &ConfigSources<'_>) -> Self {
        Self {
            paths: sources.paths.clone(),
            folder: sources.folder.to_owned(),
            file: sources.file.map(Path::to_owned),
            flags: sources.flags.clone(),
        }
    }

    /// Reads all layers again.
    pub fn load(&self) -> Result<LoadedConfig, ConfigError> {
        self.with_sources(load)
    }

    /// Returns which files are used now.
    pub fn files(&self) -> ConfigFiles {
        self.with_sources(config_files)
    }

    /// Returns the folder of the person's commands.
    pub(super) fn own_commands_dir(&self) -> PathBuf {
        self.paths.commands_dir()
    }

    /// Returns where the person's themes are.
    pub fn themes(&self) -> ThemeFolder {
        ThemeFolder(self.paths.themes_dir())
    }

    fn with_sources<T>(&self, use_sources: impl FnOnce(&ConfigSources<'_>) -> T) -> T {
        use_sources(&ConfigSources {
            paths: &self.paths,
            folder: &self.folder,
            file: self.file.as_deref(),
            env: &environment::variable,
            flags: &self.flags,
        })
    }
}

/// The settings files in use, for `config path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFiles {
    pub user: PathBuf,
    pub user_exists: bool,
    pub project: Option<Project>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    pub file: PathBuf,
    /// The folder that contains `.jarvis`.
    pub folder: PathBuf,
    pub trusted: bool,
}

/// Reads all layers and merges them.
pub fn load(load: &ConfigSources<'_>) -> Result<LoadedConfig, ConfigError> {
    let (user_file, demanded) = user_file(load);
    let user = match read_file(&user_file) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !demanded => None,
        Err(error) => return Err(ConfigError::file(user_file, io_reason(&error))),
    };
    let (list, mut complaints) = match load_trust_list(load.paths) {
        Ok(list) => (list, Vec::new()),
        Err(ConfigError(problems)) => (TrustList::default(), problems),
    };
    let project = find_project(load.folder).and_then(|(folder, file)| match read_file(&file) {
        Ok(text) => Some((is_trusted(&list, &folder, &text), file, text)),
        Err(error) => {
            // A file by somebody else must not keep the program from starting.
            complaints.extend(ConfigError::file(file, io_reason(&error)).0);
            None
        }
    });
    let user_name = user_file.to_string_lossy();
    let project_name = project.as_ref().map(|(_, file, _)| file.to_string_lossy()).unwrap_or_default();
    let mut loaded = merge::merge(&ConfigLayers {
        user: user.as_deref().map(|text| SettingsText { file: &user_name, text }),
        project: project.as_ref().map(|(trusted, _, text)| ProjectText {
            text: SettingsText { file: &project_name, text },
            trusted: *trusted,
        }),
        env: load.env,
        flags: load.flags,
    })?;
    loaded.warnings.extend(complaints);
    check_theme(&mut loaded, &ThemeFolder(load.paths.themes_dir()))?;
    Ok(loaded)
}

/// Tells what is wrong with the theme that is wanted; one that isn't there is as good as none, but for a flag, which was
/// typed just now.
fn check_theme(loaded: &mut LoadedConfig, folder: &ThemeFolder) -> Result<(), ConfigError> {
    let names = match &loaded.config.ui.theme {
        ThemeChoice::Named(name) => vec![name.clone()],
        ThemeChoice::Pair { dark, light } => vec![dark.clone(), light.clone()],
        _ => return Ok(()),
    };
    let origin = loaded.entries.get("ui.theme").map_or(Origin::Default, |entry| entry.origin.clone());
    for name in names.iter().filter(|name| *name != ThemeChoice::Mono.name()) {
        if let Some(found) = folder.read(name) {
            let told =
                found.problems.into_iter().map(|told| Problem::new(origin.clone(), ProblemKind::ThemeFile(told)));
            loaded.warnings.extend(told);
            continue;
        }
        let problem = Problem::new(origin.clone(), ProblemKind::MissingTheme(folder.missing(name)));
        if matches!(origin, Origin::Flag(_)) {
            return Err(ConfigError(vec![problem]));
        }
        loaded.warnings.push(problem);
        loaded.config.ui.theme = ThemeChoice::Auto;
    }
    Ok(())
}

/// Like [`load`], but warnings are errors: `config check`.
pub fn check(load: &ConfigSources<'_>) -> Result<LoadedConfig, ConfigError> {
    let loaded = self::load(load)?;
    if loaded.warnings.is_empty() { Ok(loaded) } else { Err(ConfigError(loaded.warnings)) }
}

/// Returns which files are used, without reading settings from them.
pub fn config_files(load: &ConfigSources<'_>) -> ConfigFiles {
    let (user, _) = user_file(load);
    let list = load_trust_list(load.paths).unwrap_or_default();
    let project = find_project(load.folder).map(|(folder, file)| {
        let trusted = read_file(&file).is_ok_and(|text| is_trusted(&list, &folder, &text));
        Project { file, folder, trusted }
    });
    ConfigFiles { user_exists: user.exists(), user, project }
}

/// Writes a settings file that documents everything and changes nothing; an existing one is kept. Returns its path.
pub fn init(load: &ConfigSources<'_>) -> Result<PathBuf, ConfigError> {
    let (file, _) = user_file(load);
    let write = || {
        if let Some(folder) = file.parent() {
            private::create_dir(folder)?;
        }
        private::open_options().write(true).create_new(true).open(&file)?.write_all(show::starter_file().as_bytes())
    };
    match write() {
        Ok(()) => Ok(file),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(ConfigError::file(file, "the file exists already and was not changed"))
        }
        Err(error) => Err(ConfigError::file(file, io_reason(&error))),
    }
}

/// Changes the person's file, which may be new. Returns where it is.
///
/// # Errors
///
/// Fails, and changes nothing, where `change` does or the file can't be written.
pub fn edit(
    load: &ConfigSources<'_>,
    change: impl FnOnce(&str) -> Result<String, String>,
) -> Result<PathBuf, ConfigError> {
    let (file, _) = user_file(load);
    // A file that is a link stays one.
    let file = file.canonicalize().unwrap_or(file);
    let fail = |error: &io::Error| ConfigError::file(&file, io_reason(error));
    let text = match read_file(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(fail(&error)),
    };
    let text = change(&text).map_err(|why| ConfigError::file(&file, why))?;
    if let Some(folder) = file.parent() {
        private::create_dir(folder).map_err(|error| fail(&error))?;
    }
    replace_file(&file, &text).map_err(|error| fail(&error))?;
    Ok(file)
}

/// Trusts the project: its settings in their current form, or that it has none, and its instructions.
pub fn trust(paths: &Paths, folder: &Path) -> Result<Project, ConfigError> {
    let (folder, file) = find_project(folder).unwrap_or_else(|| project_without_settings(folder));
    let text = settings_text(&file).map_err(|error| ConfigError::file(&file, io_reason(&error)))?;
    let mut list = load_trust_list(paths)?;
    list.add(&canonical(&folder)?, &text);
    save_trust_list(paths, &list)?;
    Ok(Project { file, folder, trusted: true })
}

/// Revokes [`trust`]. Returns whether the project was trusted.
pub fn distrust(paths: &Paths, folder: &Path) -> Result<bool, ConfigError> {
    let (project, _) = find_project(folder).unwrap_or_else(|| project_without_settings(folder));
    let mut list = load_trust_list(paths)?;
    // Its settings may have been there before.
    let known = list.remove(&canonical(&project)?) | list.remove(&canonical(folder)?);
    if known {
        save_trust_list(paths, &list)?;
    }
    Ok(known)
}

/// Returns the person's file and whether it was named explicitly, so that it must exist.
fn user_file(load: &ConfigSources<'_>) -> (PathBuf, bool) {
    let variable = (load.env)("JARVIS_TUI_CONFIG").filter(|file| !file.is_empty()).map(PathBuf::from);
    match load.file.map(Path::to_owned).or(variable) {
        Some(file) => (load.folder.join(file), true),
        None => (load.paths.config_file(), false),
    }
}

/// Looks in the working folder, then in the root of its repository.
fn find_project(folder: &Path) -> Option<(PathBuf, PathBuf)> {
    [Some(folder), repository_root(folder)].into_iter().flatten().find_map(|folder| {
        let file = folder.join(PROJECT_FILE);
        fs::symlink_metadata(&file).is_ok().then(|| (folder.to_owned(), file))
    })
}

fn repository_root(folder: &Path) -> Option<&Path> {
    folder.ancestors().find(|folder| folder.join(".git").exists())
}

/// Returns the folder of a project that has no settings, and where they would be.
fn project_without_settings(folder: &Path) -> (PathBuf, PathBuf) {
    let folder = repository_root(folder).unwrap_or(folder);
    (folder.to_owned(), folder.join(PROJECT_FILE))
}

/// Reads a project's settings; a project without a file has none.
fn settings_text(file: &Path) -> io::Result<String> {
    match read_file(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        read => read,
    }
}

fn is_trusted(list: &TrustList, folder: &Path, text: &str) -> bool {
    canonical(folder).is_ok_and(|path| list.trusts(&path, text))
}

fn canonical(folder: &Path) -> Result<String, ConfigError> {
    let path = folder.canonicalize().map_err(|error| ConfigError::file(folder, io_reason(&error)))?;
    path.into_os_string()
        .into_string()
        .map_err(|path| ConfigError::file(path, "a folder to trust needs a name in UTF-8"))
}

fn load_trust_list(paths: &Paths) -> Result<TrustList, ConfigError> {
    let file = paths.trusted_file();
    match read_file(&file) {
        Ok(text) => TrustList::parse(&text).map_err(|error| {
            let what = ProblemKind::File {
                path: file,
                reason: format!("{error}; fix the file; until then no project is trusted"),
            };
            ConfigError(vec![Problem::new(Origin::Default, what)])
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(TrustList::default()),
        Err(error) => Err(ConfigError::file(file, io_reason(&error))),
    }
}

/// Writes a new file and renames it, so that a crash leaves the old list.
fn save_trust_list(paths: &Paths, list: &TrustList) -> Result<(), ConfigError> {
    let file = paths.trusted_file();
    let text = list.to_text().map_err(|error| ConfigError::file(&file, error))?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(ConfigError::file(file, "the list of trusted projects is full; remove some with an editor"));
    }
    let write = || {
        private::create_dir(&paths.data)?;
        replace_file(&file, &text)
    };
    write().map_err(|error| ConfigError::file(file.clone(), io_reason(&error)))
}

/// Writes a file beside it and renames that, so that a crash leaves the old one.
fn replace_file(file: &Path, text: &str) -> io::Result<()> {
    let beside = file.with_extension("toml.new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut new = private::open_options().write(true).create_new(true).open(&beside)?;
    new.write_all(text.as_bytes())?;
    new.sync_all()?;
    fs::rename(&beside, file)
}

fn read_file(file: &Path) -> io::Result<String> {
    read_limited(file, MAX_FILE_BYTES)
}

fn io_reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        io::ErrorKind::InvalidData => "not valid UTF-8".into(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
