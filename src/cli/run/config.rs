//! `config`: shows, checks and writes settings.

use std::fmt::Write as _;

use super::EXIT_CONFIG;
use crate::cli::ConfigCommand;
use crate::config::{ConfigFiles, ConfigSources, json_schema, load, show};
use crate::headless::output::{OutputError, print, print_error};

pub(super) fn run(command: ConfigCommand, sources: &ConfigSources<'_>) -> anyhow::Result<u8> {
    match command {
        ConfigCommand::Path => print_files(&load::config_files(sources))?,
        ConfigCommand::Show => {
            let loaded = load(sources)?;
            for warning in &loaded.warnings {
                print_error(&warning.to_string());
            }
            print(&show::to_text(&loaded))?;
        }
        ConfigCommand::Keys => {
            let (keymap, warnings) = load(sources)?.keymap();
            for warning in &warnings {
                print_error(warning);
            }
            print(&keymap.to_settings())?;
        }
        ConfigCommand::Schema => print(&json_schema())?,
        ConfigCommand::Check => return check(sources),
        ConfigCommand::Init => print(&format!("{}\n", load::init(sources)?.display()))?,
        ConfigCommand::Trust { remove: false } => {
            let project = load::trust(sources.paths, sources.folder)?;
            print(&if project.file.exists() {
                format!("{} is trusted as it is now\n", project.file.display())
            } else {
                format!("{} is trusted: the agent reads its instructions and skills\n", project.folder.display())
            })?;
        }
        ConfigCommand::Trust { remove: true } => {
            let was = load::distrust(sources.paths, sources.folder)?;
            print(if was { "no longer trusted\n" } else { "was not trusted\n" })?;
        }
    }
    Ok(0)
}

/// The keymap finds errors in keys, the settings all others.
fn check(sources: &ConfigSources<'_>) -> anyhow::Result<u8> {
    let checked = load::check(sources);
    if let Err(error) = &checked {
        print_error(&error.to_string());
    }
    // The keys can be checked even if there are errors elsewhere.
    let loaded = checked.as_ref().map_or_else(|_| load(sources).ok(), |loaded| Some(loaded.clone()));
    let about_keys = loaded.map(|loaded| loaded.keymap().1).unwrap_or_default();
    for warning in &about_keys {
        print_error(warning);
    }
    if checked.is_ok() && about_keys.is_empty() {
        print("no mistakes found\n")?;
        return Ok(0);
    }
    Ok(EXIT_CONFIG)
}

fn print_files(files: &ConfigFiles) -> Result<(), OutputError> {
    let mut text = String::new();
    let none = if files.user_exists { "" } else { "  (none yet)" };
    let _ = writeln!(text, "{}{none}", files.user.display());
    if let Some(project) = &files.project {
        let trust = if project.trusted { "" } else { "  (not trusted: only `model` and `ui` settings apply)" };
        let _ = writeln!(text, "{}{trust}", project.file.display());
    }
    print(&text)
}
