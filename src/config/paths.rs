//! Paths of the program's files: the XDG folders, or one folder for all with `JARVIS_TUI_HOME`.

use std::io;
use std::path::PathBuf;

use super::{ConfigError, Env};
use crate::private;

const APP_NAME: &str = "jarvis-tui";

/// The program's folders. They may not exist yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    pub config: PathBuf,
    pub data: PathBuf,
    pub state: PathBuf,
}

impl Paths {
    /// Determines the folders from the environment.
    pub fn find(env: Env<'_>) -> Result<Self, ConfigError> {
        // The XDG standard ignores relative paths; so does this, because a program must not depend on where it starts.
        let absolute = |name: &str| env(name).map(PathBuf::from).filter(|path| path.is_absolute());
        if let Some(home) = env("JARVIS_TUI_HOME").filter(|home| !home.is_empty()) {
            let home = PathBuf::from(home);
            if !home.is_absolute() {
                return Err(ConfigError::file(home, "JARVIS_TUI_HOME must be an absolute path"));
            }
            return Ok(Self { config: home.clone(), data: home.clone(), state: home });
        }
        let home = absolute("HOME").or_else(|| etcetera::home_dir().ok());
        let folder = |name: &str, usual: &str| {
            absolute(name)
                .or_else(|| home.as_ref().map(|home| home.join(usual)))
                .map(|base| base.join(APP_NAME))
                .ok_or_else(|| ConfigError::file("~", "no home folder; set HOME or JARVIS_TUI_HOME"))
        };
        Ok(Self {
            config: folder("XDG_CONFIG_HOME", ".config")?,
            data: folder("XDG_DATA_HOME", ".local/share")?,
            state: folder("XDG_STATE_HOME", ".local/state")?,
        })
    }

    pub fn config_file(&self) -> PathBuf {
        self.config.join("config.toml")
    }

    /// Commands that the person wrote.
    pub fn commands_dir(&self) -> PathBuf {
        self.config.join("commands")
    }

    /// Themes that the person wrote.
    pub fn themes_dir(&self) -> PathBuf {
        self.config.join("themes")
    }

    /// Saved conversations.
    pub fn sessions_dir(&self) -> PathBuf {
        self.data.join("sessions")
    }

    /// Trusted projects.
    pub fn trusted_file(&self) -> PathBuf {
        self.data.join("trusted.toml")
    }

    /// Prompts typed so far.
    pub fn history_file(&self) -> PathBuf {
        self.state.join("history.jsonl")
    }

    /// Drafts, queued prompts and grants of sessions.
    pub fn session_state_dir(&self) -> PathBuf {
        self.state.join("session-state")
    }

    /// The logins at MCP servers.
    pub fn mcp_logins_dir(&self) -> PathBuf {
        self.state.join("mcp-logins")
    }

    /// Servers found on this machine that the person accepted.
    pub fn servers_file(&self) -> PathBuf {
        self.state.join("servers.json")
    }

    /// What lists of the saved sessions show, so that they need not read every log.
    pub fn session_index_file(&self) -> PathBuf {
        self.state.join("session-index.jsonl")
    }

    /// The key of the marks that stand for secrets.
    pub fn redaction_key_file(&self) -> PathBuf {
        self.state.join("redaction.key")
    }

    pub fn log_file(&self) -> PathBuf {
        self.state.join("jarvis-tui.log")
    }

    /// Creates the folders for data, sessions and state, accessible only to their owner.
    pub fn create_dirs(&self) -> io::Result<()> {
        [self.data.clone(), self.sessions_dir(), self.state.clone()]
            .iter()
            .try_for_each(|folder| private::create_dir(folder))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn find(variables: &[(&str, &str)]) -> Paths {
        let env = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Paths::find(&env).unwrap()
    }

    #[test]
    fn folders_follow_the_standard() {
        let paths = find(&[("HOME", "/h"), ("XDG_DATA_HOME", "/d"), ("XDG_STATE_HOME", "relative")]);
        assert_eq!(paths.config_file(), Path::new("/h/.config/jarvis-tui/config.toml"));
        assert_eq!(paths.sessions_dir(), Path::new("/d/jarvis-tui/sessions"));
        assert_eq!(paths.trusted_file(), Path::new("/d/jarvis-tui/trusted.toml"));
        assert_eq!(paths.history_file(), Path::new("/h/.local/state/jarvis-tui/history.jsonl"));
        assert_eq!(paths.log_file(), Path::new("/h/.local/state/jarvis-tui/jarvis-tui.log"));
    }

    #[test]
    fn one_variable_overrides_all() {
        let paths = find(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/c"), ("JARVIS_TUI_HOME", "/j")]);
        let all = [paths.config_file(), paths.sessions_dir(), paths.history_file()];
        assert_eq!(all.map(|path| path.display().to_string()), ["/j/config.toml", "/j/sessions", "/j/history.jsonl"]);
        assert!(Paths::find(&|name| (name == "JARVIS_TUI_HOME").then(|| "here".into())).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn folders_are_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let root = tempfile::tempdir().unwrap();
        let home = root.path().join("a/b").display().to_string();
        let paths = find(&[("JARVIS_TUI_HOME", &home)]);
        paths.create_dirs().unwrap();
        paths.create_dirs().unwrap();
        for folder in [paths.sessions_dir(), paths.data, root.path().join("a")] {
            assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700, "{}", folder.display());
        }
    }
}
