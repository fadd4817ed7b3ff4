//! The person's own program that brings them a link. No shell reads anything, and the link comes on standard input, so
//! that it is in no list of processes.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::event::{ApprovalRequest, SessionId};
use crate::serve::access::LINK_PATH;
use crate::serve::link_table::ApprovalLinkSettings;
use crate::text::{one_line, visible::visible_line};

/// A program that still runs is ended.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);
/// Characters of what is asked.
const MAX_SUBJECT_CHARS: usize = 200;

impl ApprovalLinkSettings {
    /// Hands a link to the program. What goes wrong is told without the link.
    pub(super) async fn deliver(&self, secret: &str, session: &SessionId, request: &ApprovalRequest) {
        let told = self.message(secret, session, request);
        if let Err(why) = self.run(told).await {
            tracing::warn!("the command for approval links failed: {why}");
        }
    }

    /// The link, how long it is good, and what it is about: a line each.
    fn message(&self, secret: &str, session: &SessionId, request: &ApprovalRequest) -> String {
        let asked = one_line(&format!("{}: {}", request.tool, request.subject), MAX_SUBJECT_CHARS);
        format!(
            "{}{LINK_PATH}/{secret}\ngood once, for {} min\n{}\nsession {session}\n",
            self.origin,
            self.lifetime.as_secs().div_ceil(60),
            visible_line(&asked),
        )
    }

    async fn run(&self, told: String) -> Result<(), String> {
        let Some((program, arguments)) = self.command.split_first() else { return Ok(()) };
        let mut command = Command::new(program);
        for variable in self.hidden_variables.iter() {
            command.env_remove(variable);
        }
        let name = one_line(program, 60);
        let mut child = command
            .args(arguments)
            .stdin(Stdio::piped())
            // It may repeat the link.
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{name}: {error}"))?;
        let stdin = child.stdin.take();
        let finished = async {
            if let Some(mut stdin) = stdin {
                // One that does not read it says so by its exit code, or has no need to.
                let _ = stdin.write_all(told.as_bytes()).await;
            }
            child.wait().await
        };
        match tokio::time::timeout(COMMAND_TIMEOUT, finished).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(format!("{name}: {status}")),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("{name} did not end within {} s", COMMAND_TIMEOUT.as_secs())),
        }
    }
}
