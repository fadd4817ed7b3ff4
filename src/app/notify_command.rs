//! The person's own program that calls them, told what happened by its arguments and its environment.
//!
//! Not here: when it is started (`chat_loop`). Invariant: no shell reads a text of the session, and no argument of ours
//! begins with a dash.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::config::environment::without_keys;
use crate::store::notification::Notification;
use crate::text::one_line;

/// A program that still runs is ended.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);
const TITLE: &str = "jarvis-tui";

pub struct NotifyCommand {
    words: Vec<String>,
    variables: [(&'static str, String); 5],
}

impl NotifyCommand {
    /// `command` is the program and its first arguments.
    pub fn new(command: &[String], told: &Notification, session: &str, folder: &str) -> Self {
        let mut words = command.to_vec();
        words.extend([TITLE.to_owned(), told.text.clone()]);
        let plain = |text: &str| text.replace('\0', "");
        let variables = [
            ("JARVIS_TUI_EVENT", told.kind.name().to_owned()),
            ("JARVIS_TUI_TITLE", TITLE.to_owned()),
            ("JARVIS_TUI_TEXT", told.text.clone()),
            ("JARVIS_TUI_SESSION", plain(session)),
            ("JARVIS_TUI_FOLDER", plain(folder)),
        ];
        Self { words, variables }
    }

    /// Runs it to its end. The error is for the person.
    pub async fn run(self) -> Result<(), String> {
        let Some((program, arguments)) = self.words.split_first() else { return Ok(()) };
        let mut command = Command::new(program);
        without_keys(command.as_std_mut());
        let mut child = command
            .args(arguments)
            .envs(self.variables)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{}: {error}", one_line(program, 60)))?;
        match tokio::time::timeout(COMMAND_TIMEOUT, child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(format!("{}: {status}", one_line(program, 60))),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("{} did not end within 30 s", one_line(program, 60))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::notification::NotificationKind;

    fn command(words: &[&str], text: &str) -> NotifyCommand {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let told = Notification { kind: NotificationKind::TurnEnd, text: text.into() };
        NotifyCommand::new(&words, &told, "s1", "/work")
    }

    #[tokio::test]
    async fn it_gets_the_facts_and_no_shell_reads_them() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("told");
        let script = format!(
            "printf '%s|%s|%s|%s' \"$1\" \"$2\" \"$JARVIS_TUI_EVENT\" \"$JARVIS_TUI_SESSION\" > {}",
            file.display()
        );
        command(&["sh", "-c", &script, "sh"], "Done: $(touch pwned) `id`").run().await.unwrap();
        assert_eq!(std::fs::read_to_string(file).unwrap(), "jarvis-tui|Done: $(touch pwned) `id`|turn|s1");
    }

    #[tokio::test]
    async fn what_fails_is_told() {
        assert!(command(&["no-such-program-here"], "x").run().await.unwrap_err().contains("no-such-program-here"));
        assert!(command(&["false"], "x").run().await.unwrap_err().contains("exit status: 1"));
    }
}
