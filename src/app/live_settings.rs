//! Keys, looks and own commands hold at once when the settings change: whether their files did is looked at when the
//! person comes back or presses a key, so that an idle program sleeps.
//!
//! Not here: what else the settings say, which holds from the next start on.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use crate::config::user_commands::FoundCommands;
use crate::config::{LoadedConfig, SettingsSource};
use crate::text::one_line;

/// Between two looks at the files.
const MIN_LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// Cells of what is wrong with the settings.
const MAX_PROBLEM_CELLS: usize = 300;

/// What the files were like: time and size of each, and none for one that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FilesStamp(Vec<(PathBuf, Option<(SystemTime, u64)>)>);

/// Notices that the settings changed.
#[derive(Debug)]
pub struct SettingsWatch {
    source: Option<SettingsSource>,
    stamp: Option<FilesStamp>,
    /// When the settings were read that hold.
    began: SystemTime,
    looked_at: Instant,
}

/// What a look at the files found.
#[derive(Debug)]
pub struct SettingsLook {
    stamp: FilesStamp,
    /// The settings, if they were read again; the error is for the person.
    pub loaded: Option<Result<Box<LoadedConfig>, String>>,
    /// The commands that the person wrote, if they were read again.
    pub commands: Option<FoundCommands>,
}

impl SettingsWatch {
    /// Watches nothing where there is no source. The first look is not taken at once: the settings were just read.
    #[expect(clippy::disallowed_methods, reason = "the times of files are of the wall clock")]
    pub fn new(source: Option<SettingsSource>, now: Instant) -> Self {
        Self { source, stamp: None, began: SystemTime::now(), looked_at: now }
    }

    /// Returns the look to be taken now, off the loop; none if one was taken just now.
    pub fn look(&mut self, now: Instant) -> Option<impl FnOnce() -> SettingsLook + Send + 'static> {
        if now.saturating_duration_since(self.looked_at) < MIN_LOOK_INTERVAL {
            return None;
        }
        self.looked_at = now;
        let (source, known, began) = (self.source.clone()?, self.stamp.clone(), self.began);
        Some(move || {
            let stamp = FilesStamp::take(&source);
            let is_changed = known.map_or_else(|| stamp.is_newer_than(began), |known| known != stamp);
            SettingsLook {
                loaded: is_changed.then(|| load(&source)),
                commands: is_changed.then(|| source.commands()),
                stamp,
            }
        })
    }

    /// Returns a look that reads the settings in any case.
    pub fn look_again(&self) -> Option<impl FnOnce() -> SettingsLook + Send + 'static> {
        let source = self.source.clone()?;
        Some(move || SettingsLook {
            stamp: FilesStamp::take(&source),
            loaded: Some(load(&source)),
            commands: Some(source.commands()),
        })
    }

    /// Remembers what a look found.
    pub fn remember(&mut self, look: &SettingsLook) {
        self.stamp = Some(look.stamp.clone());
    }
}

fn load(source: &SettingsSource) -> Result<Box<LoadedConfig>, String> {
    source.load().map(Box::new).map_err(|error| {
        let text = error.to_string();
        let more = text.lines().count().saturating_sub(1);
        let first = one_line(text.lines().next().unwrap_or_default(), MAX_PROBLEM_CELLS);
        if more == 0 { first } else { format!("{first} (and {more} more)") }
    })
}

impl FilesStamp {
    fn take(source: &SettingsSource) -> Self {
        let files = source.files();
        let settings = [Some(files.user), files.project.map(|project| project.file)];
        let paths = settings.into_iter().flatten().chain(source.command_files()).chain(source.themes().own_files());
        let stamp = |path: PathBuf| {
            let facts = fs::metadata(&path).ok();
            (path, facts.and_then(|facts| Some((facts.modified().ok()?, facts.len()))))
        };
        Self(paths.map(stamp).collect())
    }

    fn is_newer_than(&self, time: SystemTime) -> bool {
        self.0.iter().any(|(_, facts)| facts.is_some_and(|(modified, _)| modified > time))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ConfigSources, Overrides, Paths, ThemeChoice};

    #[test]
    fn a_file_that_changed_is_read_again_and_a_faulty_one_is_told() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        let paths = Paths { config: at("c"), data: at("d"), state: at("s") };
        let source = SettingsSource::new(&ConfigSources {
            paths: &paths,
            folder: home.path(),
            file: None,
            env: &|_| None,
            flags: &Overrides::default(),
        });
        let began = Instant::now();
        let mut watch = SettingsWatch::new(Some(source.clone()), began);
        let look = |watch: &mut SettingsWatch, seconds: u64| {
            let look = watch.look(began + Duration::from_secs(seconds)).map(|look| look())?;
            watch.remember(&look);
            look.loaded
        };
        assert!(look(&mut watch, 5).is_none(), "there is none");
        fs::create_dir_all(at("c")).unwrap();
        fs::write(paths.config_file(), "[ui]\ntheme = \"light\"\n").unwrap();
        assert!(look(&mut watch, 9).is_none(), "too soon");
        let loaded = look(&mut watch, 10).unwrap().unwrap();
        assert_eq!(loaded.config.ui.theme, ThemeChoice::Light);
        assert!(look(&mut watch, 15).is_none(), "nothing changed");
        fs::write(paths.config_file(), "[ui]\ntheme = 1\n").unwrap();
        let why = look(&mut watch, 20).unwrap().unwrap_err();
        assert!(why.contains("config.toml:2") && why.contains("ui.theme"), "{why}");
        assert!(watch.look_again().is_some_and(|look| look().loaded.is_some()));
        assert!(SettingsWatch::new(None, began).look(began + MIN_LOOK_INTERVAL).is_none());
        let mut watch = SettingsWatch::new(Some(source), began);
        watch.began = SystemTime::UNIX_EPOCH;
        assert!(look(&mut watch, 5).is_some(), "it changed between the start and the first look");
    }
}
