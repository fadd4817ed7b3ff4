//! What a source of tools is: it lists tools, describes what a call would do, and runs it.
//!
//! A source knows its tools by their own names; what models and rules call them is up to the registry. Nothing here
//! decides about permission.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::background::SessionBackground;
use super::hunks::ApprovedHunks;
use crate::event::{
    AgentEvent, CallOutcome, FileVersion, Json, OfferedAnswer, OutputStream, Risk, SandboxNote, ToolKind, ToolSpec,
};
use crate::sandbox::SandboxRules;

/// Where tools come from: this program, a client, a server, a sub-agent.
pub trait ToolSource: Send + Sync {
    /// For messages, and the prefix where names are prefixed.
    fn name(&self) -> &str;

    /// Whether its tools are called `source__tool`. A source whose names aren't chosen here should ask for that.
    fn prefixes_names(&self) -> bool {
        false
    }

    /// Whether listing starts a program or asks a server: then it waits for the first request to a model.
    fn is_costly_to_list(&self) -> bool {
        false
    }

    /// Lists the tools. May take as long as it needs: a request to the model waits a limited time for it, and a source
    /// that is late gives a change notice once it can list.
    fn list(&self) -> BoxFuture<'_, Result<Vec<ToolInfo>, String>>;

    /// The change notice: marked as changed whenever the list is another one. `None` if it never changes.
    fn changes(&self) -> Option<watch::Receiver<()>> {
        None
    }

    /// Describes what this call would do, for the person who decides. May read, never changes anything. An error is a
    /// message for the model: the call isn't worth an approval.
    fn describe<'a>(
        &'a self,
        tool: &'a str,
        args: &'a Json,
        ctx: &'a ToolContext,
    ) -> BoxFuture<'a, Result<CallDescription, String>>;

    /// Runs the call. Returns soon after `ctx.cancel` fires, with the output so far and `CallOutcome::Cancelled`.
    /// Dropping the future must leave nothing behind that runs.
    fn call<'a>(&'a self, tool: &'a str, args: &'a Json, ctx: &'a ToolContext) -> BoxFuture<'a, ToolResult>;
}

/// A tool in the list of its source.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolInfo {
    /// With the tool's own name.
    pub spec: ToolSpec,
    pub kind: ToolKind,
    /// How long a call may run.
    pub timeout: Duration,
}

/// What a call would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallDescription {
    /// The risk of this call, which may differ from the tool's.
    pub risk: Risk,
    /// The subject, in one line: the command, path or URL. Rules match it.
    pub subject: String,
    /// A diff, a command, the formatted arguments; may have many lines.
    pub detail: String,
    /// What to offer for "allow calls like this one": a subject with `*`, or one for each part of a command line.
    pub similar: Vec<String>,
    /// How many hunks of the diff in `detail` the tool can apply one by one; 0 if it does all or nothing.
    pub hunks: u32,
    /// Where a command would run.
    pub sandbox: Option<Box<SandboxNote>>,
}

impl CallDescription {
    pub fn new(risk: Risk, subject: impl Into<String>) -> Self {
        Self { risk, subject: subject.into(), detail: String::new(), similar: Vec::new(), hunks: 0, sandbox: None }
    }
}

/// What the rules say about a further subject that a call leads to and that was not in its approval request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubjectPermission {
    Allowed,
    /// No rule allows it, but the call itself was approved: allowed as long as it stays on the approved origin.
    AllowedNearby,
    /// It needs an approval of its own.
    NeedsApproval,
    /// Denied; with the rule or mode.
    Denied(String),
}

/// Checks a subject as if the call's tool had requested it.
pub type SubjectCheck = Arc<dyn Fn(&str) -> SubjectPermission + Send + Sync>;

/// Keeps the bytes of a file, and returns how they are found again. It blocks.
pub type KeepVersion = Arc<dyn Fn(&[u8]) -> FileVersion + Send + Sync>;

/// Asks the person, and returns the id of the chosen answer; none if there is none.
pub type AskPerson = Arc<dyn Fn(ToolQuestion) -> BoxFuture<'static, Option<String>> + Send + Sync>;

/// What only the person can answer while a call runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolQuestion {
    /// In one line.
    pub subject: String,
    /// All of it; may have many lines.
    pub detail: String,
    pub answers: Vec<OfferedAnswer>,
}

/// What a call may use.
#[derive(Clone)]
pub struct ToolContext {
    /// The working folder, canonical. File tools stay inside it.
    pub folder: PathBuf,
    /// Further folders that file tools may use, canonical.
    pub extra_folders: Vec<PathBuf>,
    /// Environment variables with keys of engines; hidden from commands.
    pub hidden_env_vars: Arc<[String]>,
    /// What commands are kept from; none where they run as they are.
    pub sandbox: Option<Arc<SandboxRules>>,
    /// Checks whether the call may continue to a subject other than the approved one.
    pub check_subject: SubjectCheck,
    /// Resources that a client of the server gives to tools, in its own format. Commands find them in
    /// `JARVIS_TOOL_RESOURCES`.
    pub resources: Option<Arc<Json>>,
    /// What of its diff the call may apply, where the person decided about each hunk.
    pub approved_hunks: Option<Arc<ApprovedHunks>>,
    /// Keeps a version of a file that the call changes; none where that is of no use.
    pub keep_version: Option<KeepVersion>,
    /// Runs commands that go on after their call; none where that can't be.
    pub background: Option<SessionBackground>,
    /// Asks the person something while the call runs; none where nobody can be asked.
    pub ask: Option<AskPerson>,
    /// What happens while the call runs; it is logged. Losing a piece is not an error.
    pub progress: mpsc::Sender<ToolProgress>,
    pub cancel: CancellationToken,
}

/// What a running call reports.
#[derive(Clone, Debug, PartialEq)]
pub enum ToolProgress {
    Output(OutputStream, String),
    /// A line that is no part of the result, such as how far the call is.
    Note(String),
    /// An event as in [`ToolResult::events`].
    Event(AgentEvent),
}

/// The result of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolResult {
    pub outcome: CallOutcome,
    /// All output that was kept, untruncated; the agent truncates it for the model. A tool that reported its output
    /// while it ran returns the same text here.
    pub text: String,
    /// The result as data, for programs.
    pub structured: Option<Json>,
    /// Annotations of the call, and the messages and calls of a sub-agent. Other events are dropped, and ids are the
    /// call's own: the log gets unique ones.
    pub events: Vec<AgentEvent>,
    /// Bytes that were printed, if that was too much to keep.
    pub printed_bytes: Option<u64>,
}

impl ToolResult {
    pub fn ok(text: impl Into<String>) -> Self {
        Self::new(CallOutcome::Ok, text)
    }

    pub fn failed(text: impl Into<String>) -> Self {
        Self::new(CallOutcome::Failed, text)
    }

    pub fn cancelled(text: impl Into<String>) -> Self {
        Self::new(CallOutcome::Cancelled, text)
    }

    fn new(outcome: CallOutcome, text: impl Into<String>) -> Self {
        Self { outcome, text: text.into(), structured: None, events: Vec::new(), printed_bytes: None }
    }
}
