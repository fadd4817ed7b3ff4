//! What a screen does itself in the working folder: it finds and reads what a prompt mentions, and
//! runs what the person asks for.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{FileRestorer, InstructionReader, McpServers, Runtime};
use crate::event::{Millis, PromptContext, SessionId};
use crate::net::redact_registered;
use crate::sandbox::SandboxRules;
use crate::store::overlay::tasks::TaskRow;
use crate::store::person_runs::RunResult;
use crate::text::clean;
use crate::text::mention::file_mentions;
pub use crate::tool::ToolProgress;
pub use crate::tool::mention::{MentionScope, MentionedFiles};
use crate::tool::restore::RestoreScope;
use crate::tool::truncate::truncate_middle;
use crate::tool::{BackgroundCommands, BackgroundState};
use crate::tool::{mention, run_for_person};

/// Resources that are read of one prompt.
const MAX_RESOURCES: usize = 20;
/// Kept of what a command printed, as much as four files: it goes with a prompt and into the log.
const MAX_KEPT_OUTPUT_BYTES: usize = 64_000;

/// The working folder of a screen. What the session's agent may do is none of its business.
#[derive(Clone, Debug, Default)]
pub struct Workspace {
    pub folder: PathBuf,
    /// Further folders that file tools may use.
    extra_folders: Vec<PathBuf>,
    /// Where the versions of files are kept that sessions changed, by session.
    state_dir: PathBuf,
    /// Variables with keys, hidden from commands.
    hidden_env_vars: Arc<[String]>,
    /// Reads what the agent is told here.
    pub instructions: InstructionReader,
    /// The commands of all sessions that go on after their calls.
    background: BackgroundCommands,
    /// What commands are kept from; none where they run as they are.
    sandbox: Option<Arc<SandboxRules>>,
    mcp: McpServers,
}

impl Workspace {
    /// `hidden_env_vars` are the variables with keys, hidden from commands.
    pub fn new(folder: PathBuf, hidden_env_vars: Arc<[String]>) -> Self {
        Self { folder, hidden_env_vars, ..Self::default() }
    }

    /// Returns what puts the files back that a session changed here.
    pub fn file_restorer(&self, session: &SessionId) -> FileRestorer {
        let scope = RestoreScope { folder: self.folder.clone(), extra_folders: self.extra_folders.clone() };
        FileRestorer::new(&self.state_dir, session, scope)
    }

    /// Returns the background commands of a session, the newest first.
    pub fn background_commands(&self, session: &SessionId) -> Vec<TaskRow> {
        let row = |state: BackgroundState| {
            let (is_running, age) = (state.end.is_none(), Millis::from(state.age));
            let mut output = state.output;
            redact_registered(&mut output);
            TaskRow {
                id: state.id,
                command: state.command,
                is_running,
                age,
                end: state.end.unwrap_or_default(),
                output,
            }
        };
        self.background.list(session.as_str()).into_iter().map(row).collect()
    }

    /// Stops one of them.
    pub fn stop_background_command(&self, session: &SessionId, id: &str) -> bool {
        self.background.stop(session.as_str(), id)
    }

    pub fn mcp_servers(&self) -> &McpServers {
        &self.mcp
    }

    /// Returns the paths that a mention may name that begins like this. Blocks.
    pub fn list_paths(&self, typed: &str) -> Vec<String> {
        mention::list_paths(&self.folder, typed)
    }

    /// Reads what a prompt mentions, without the secrets of this program. Blocks.
    pub fn read_mentions(&self, prompt: &str, scope: MentionScope) -> MentionedFiles {
        let servers: Vec<&str> = self.mcp.names().collect();
        let mut read = mention::read_mentions(&self.folder, prompt, scope, &servers);
        read.context.iter_mut().for_each(|part| redact_registered(&mut part.text));
        read
    }

    /// Reads the resources of servers that a prompt mentions, starting these if need be.
    pub async fn read_resources(&self, prompt: &str) -> MentionedFiles {
        let mut read = MentionedFiles::default();
        let mut seen = HashSet::new();
        for mention in file_mentions(prompt).into_iter().take(MAX_RESOURCES) {
            let Some((name, address)) = mention.resource() else { continue };
            let Ok(server) = self.mcp.find(name) else { continue };
            let whole = format!("{name}:{address}");
            if !seen.insert(whole.clone()) {
                continue;
            }
            match server.read_resource(&address, &whole).await {
                Ok(parts) => read.context.extend(parts),
                Err(why) => read.problems.push(format!("@{whole}: {why}")),
            }
        }
        read.context.iter_mut().for_each(|part| redact_registered(&mut part.text));
        read
    }

    /// Reads a file that is to go with a prompt, if it is an image; of any other file only whether it is there is looked
    /// at. Blocks, for as long as five megabytes take.
    pub fn read_attachment(&self, path: &str) -> Result<Option<PromptContext>, String> {
        mention::read_attachment(&self.folder, path)
    }

    /// Runs a command line of the person in the folder, with the environment of the shell tool; what it prints is told
    /// as it comes.
    pub async fn run_command(
        &self,
        command: &str,
        output: mpsc::Sender<ToolProgress>,
        cancel: CancellationToken,
    ) -> RunResult {
        let done =
            run_for_person(command, &self.folder, &self.hidden_env_vars, self.sandbox.clone(), output, cancel).await;
        let mut text = clean(&done.text).into_owned();
        redact_registered(&mut text);
        RunResult { outcome: done.outcome, output: truncate_middle(&text, MAX_KEPT_OUTPUT_BYTES).0 }
    }
}

impl Runtime {
    pub fn workspace(&self) -> Workspace {
        Workspace {
            extra_folders: self.tool_folders(),
            state_dir: self.paths.session_state_dir(),
            instructions: self.instruction_reader(),
            background: self.background.clone(),
            sandbox: self.sandbox.clone(),
            mcp: self.mcp.clone(),
            ..Workspace::new(self.folder.clone(), self.hidden_variables.clone().into())
        }
    }
}
