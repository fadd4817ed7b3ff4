//! Tools: what the agent can do on this machine. One table, one file each.
//!
//! A tool checks its arguments, says what it is about (for approvals) and runs. It decides nothing about permission:
//! that is `agent::approval`. A failure is an ordinary result that the model should see.

mod address;
mod args;
mod calculator;
mod checked_path;
mod clock;
mod edit_file;
mod fetch;
mod file;
mod html;
mod list_dir;
mod read_file;
mod search;
mod shell;
pub mod truncate;
mod write_file;

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::event::{ApprovalRequest, CallOutcome, Json, OutputStream, Risk, ToolSpec};

/// One thing the agent can do.
pub trait Tool: Send + Sync {
    fn spec(&self) -> ToolSpec;

    /// Says what this call would do, for the person who decides: subject, detail (a diff, a command), pattern.
    /// May read files, never changes anything. An error is a text for the model: the call is not worth asking about.
    fn approval_request<'a>(
        &'a self,
        args: &'a Json,
        ctx: &'a ToolContext,
    ) -> BoxFuture<'a, Result<ApprovalRequest, String>>;

    /// Does it. Returns soon after `ctx.cancel` fires, with what there was until then and `CallOutcome::Cancelled`.
    /// Dropping the future must leave no process behind.
    fn run<'a>(&'a self, args: &'a Json, ctx: &'a ToolContext) -> BoxFuture<'a, ToolResult>;
}

/// What the rules say of something that a call leads to and that was not asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubjectPermission {
    Allowed,
    /// No rule allows it, but somebody allowed this very call: as far as it stays at the place they saw.
    AllowedNearby,
    /// Somebody would have to be asked.
    NeedsApproval,
    /// The rule or mode that denies it.
    Denied(String),
}

/// Judges a subject of the call's tool as if it had been asked about by itself.
pub type SubjectCheck = Arc<dyn Fn(&str) -> SubjectPermission + Send + Sync>;

/// What a call may use.
#[derive(Clone)]
pub struct ToolContext {
    /// The working folder, canonical. File tools stay inside it.
    pub folder: PathBuf,
    /// Further folders that file tools may use, canonical.
    pub extra_folders: Vec<PathBuf>,
    /// Variables that hold keys of engines; commands don't see them.
    pub hidden_env_vars: Arc<[String]>,
    /// Says whether the call may go on to another subject than the one that was allowed.
    pub check_subject: SubjectCheck,
    /// What a client of the server gives tools to work with, as it names it. Commands see it as
    /// `JARVIS_TOOL_RESOURCES`.
    pub resources: Option<Arc<Json>>,
    /// Live output, for tools that have it; what is sent here is logged. Dropped pieces are no error.
    pub live_output: mpsc::Sender<(OutputStream, String)>,
    pub cancel: CancellationToken,
}

/// What came of a call. `text` is everything that was kept, uncapped; the agent caps what the model gets.
/// A tool that streamed its output to `live_output` returns the same text here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolResult {
    pub outcome: CallOutcome,
    pub text: String,
    /// Bytes that were printed, where that was too much to keep.
    pub printed_bytes: Option<u64>,
}

impl ToolResult {
    pub fn ok(text: impl Into<String>) -> Self {
        Self { outcome: CallOutcome::Ok, text: text.into(), printed_bytes: None }
    }

    pub fn failed(text: impl Into<String>) -> Self {
        Self { outcome: CallOutcome::Failed, text: text.into(), printed_bytes: None }
    }

    pub fn cancelled(text: impl Into<String>) -> Self {
        Self { outcome: CallOutcome::Cancelled, text: text.into(), printed_bytes: None }
    }
}

/// Returns every tool, in the order in which models are told about them.
pub fn all() -> Vec<Arc<dyn Tool>> {
    vec![
        Arc::new(calculator::Calculator),
        Arc::new(read_file::ReadFile),
        Arc::new(list_dir::ListDir),
        Arc::new(search::SearchTool),
        Arc::new(write_file::WriteFile),
        Arc::new(edit_file::EditFile),
        Arc::new(shell::Shell),
        Arc::new(fetch::Fetch),
        Arc::new(clock::ClockTool::default()),
    ]
}

/// Builds what a person is shown, with the parts that are the same for every tool.
fn base_request(tool: &str, risk: Risk, subject: impl Into<String>, ctx: &ToolContext) -> ApprovalRequest {
    ApprovalRequest {
        tool: tool.into(),
        risk,
        subject: subject.into(),
        folder: ctx.folder.display().to_string(),
        detail: String::new(),
        pattern: None,
        expires_at: None,
    }
}

/// Does blocking work on another thread. The work watches `ctx.cancel` itself, so it is never left behind.
async fn spawn_blocking_work<T: Send + 'static>(
    args: &Json,
    ctx: &ToolContext,
    work: impl FnOnce(&Json, &ToolContext) -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let (args, ctx) = (args.clone(), ctx.clone());
    match tokio::task::spawn_blocking(move || work(&args, &ctx)).await {
        Ok(result) => result,
        Err(error) => Err(format!("the tool broke down: {error}")),
    }
}

/// Runs blocking work whose errors are texts for the model.
async fn run_blocking(
    args: &Json,
    ctx: &ToolContext,
    work: impl FnOnce(&Json, &ToolContext) -> Result<ToolResult, String> + Send + 'static,
) -> ToolResult {
    spawn_blocking_work(args, ctx, work).await.unwrap_or_else(ToolResult::failed)
}
