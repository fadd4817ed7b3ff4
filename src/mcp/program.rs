//! A server that is a program: how it is started, in which environment, and how it is ended.
//!
//! It runs in a session and process group of its own: it has no terminal, and one signal reaches all that it started. Its
//! environment has what any program needs, and of the rest only what the settings give it: keys of this program never
//! reach it by accident.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use super::spec::McpServerSpec;
use crate::sandbox::{ConfinedChild, SandboxedCommand};

/// Variables that a program gets from ours.
const PASSED_VARIABLES: &[&str] = &[
    "HOME",
    "LANG",
    "LOGNAME",
    "PATH",
    "SHELL",
    "TERM",
    "TMPDIR",
    "TZ",
    "USER",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
    "XDG_STATE_HOME",
];
/// From the end of its input to the signal, and from that to the kill.
const STOP_GRACE_PERIOD: Duration = Duration::from_millis(700);
const SIGTERM: i32 = 15;

/// A program that runs. Dropping it kills it with all that it started.
pub(super) struct ServerProgram {
    pub(super) running: ConfinedChild,
}

/// Returns how a server is started, below a supervisor where there is one.
pub(super) fn server_command(
    spec: &McpServerSpec,
    words: &[String],
    values: &BTreeMap<String, SecretString>,
    supervised: Option<&SandboxedCommand>,
    variable: impl Fn(&str) -> Option<String>,
) -> Command {
    let (program, args) = words.split_first().map_or(("", &[] as &[String]), |(first, rest)| (first.as_str(), rest));
    let mut command = SandboxedCommand::or_plain(supervised, program, args);
    command.current_dir(&spec.folder).env_clear();
    for name in PASSED_VARIABLES {
        if let Some(value) = variable(name) {
            command.env(name, value);
        }
    }
    for (name, value) in values {
        command.env(name, value.expose_secret());
    }
    command
}

impl ServerProgram {
    /// Starts a command with pipes for its streams.
    pub(super) fn start(mut command: Command, is_supervised: bool) -> io::Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(Self { running: ConfinedChild::start(command, is_supervised)? })
    }

    /// Waits for the end of the program itself. Cancel-safe.
    pub(super) async fn ended(&mut self) -> String {
        end_words(self.running.child.inner_mut().wait().await)
    }

    /// Ends it: its input is closed already, which asks it to go; then it is told, then killed.
    pub(super) async fn stop(mut self) {
        if tokio::time::timeout(STOP_GRACE_PERIOD, self.ended()).await.is_err() {
            let _ = self.running.child.signal(SIGTERM);
            let _ = tokio::time::timeout(STOP_GRACE_PERIOD, self.ended()).await;
        }
    }
}

/// Tells whether there is such a program; a supervisor that doesn't find it only ends.
pub(super) fn is_there(program: &str, folder: &Path, path: &OsStr) -> bool {
    if program.contains('/') {
        return folder.join(program).exists();
    }
    std::env::split_paths(path).any(|place| folder.join(place).join(program).is_file())
}

fn end_words(status: io::Result<ExitStatus>) -> String {
    match status {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => format!("it exited with code {code}"),
            (None, Some(signal)) => format!("it was ended by signal {signal}"),
            (None, None) => "it ended".to_owned(),
        },
        Err(error) => format!("it can't be waited for: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::server::tests::spec_of;
    use super::*;

    #[test]
    fn only_harmless_variables_and_those_of_the_settings_reach_a_server() {
        let spec = spec_of(&["server", "--stdio"]);
        let values = BTreeMap::from([("TOKEN".to_owned(), SecretString::from("t"))]);
        let ours = |name: &str| Some(format!("our {name}"));
        let command = server_command(&spec, &["server".into(), "--stdio".into()], &values, None, ours);
        let given: BTreeMap<_, _> = command.get_envs().filter_map(|(name, value)| Some((name, value?))).collect();
        let names: Vec<_> = given.keys().filter_map(|name| name.to_str()).collect();
        assert_eq!(names.len(), PASSED_VARIABLES.len() + 1, "{names:?}");
        assert!(names.contains(&"TOKEN") && names.contains(&"PATH") && !names.contains(&"OPENAI_API_KEY"));
        assert_eq!(command.get_program(), "server");
        assert_eq!(command.get_args().collect::<Vec<_>>(), ["--stdio"]);
    }

    #[test]
    fn a_program_is_looked_for_where_the_server_would_find_it() {
        let folder = Path::new("/");
        assert!(is_there("sh", folder, OsStr::new("/nowhere:/bin")) && is_there("bin/sh", folder, OsStr::new("")));
        assert!(!is_there("no-such-program-here", folder, OsStr::new("/bin")));
    }
}
