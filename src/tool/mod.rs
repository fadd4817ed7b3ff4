//! Tools: what the agent can do on this machine. One table, one file each.
//!
//! A tool checks its arguments, builds its approval request and runs. It doesn't decide about permission: that is
//! `agent::approval`. A failure is an ordinary result that the model should see.

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

/// A tool that the agent can call.
pub trait Tool: Send + Sync {
    fn spec(&self) -> ToolSpec;

    /// Describes what this call would do, for the person who decides: subject, detail (a diff, a command), pattern. May
    /// read files, never changes anything. An error is a message for the model: the call isn't worth an approval.
    fn approval_request<'a>(
        &'a self,
        args: &'a Json,
        ctx: &'a ToolContext,
    ) -> BoxFuture<'a, Result<ApprovalRequest, String>>;

    /// Runs the call. Returns soon after `ctx.cancel` fires, with the output so far and `CallOutcome::Cancelled`.
    /// Dropping the future must leave no process behind.
    fn run<'a>(&'a self, args: &'a Json, ctx: &'a ToolContext) -> BoxFuture<'a, ToolResult>;
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

/// What a call may use.
#[derive(Clone)]
pub struct ToolContext {
    /// The working folder, canonical. File tools stay inside it.
    pub folder: PathBuf,
    /// Further folders that file tools may use, canonical.
    pub extra_folders: Vec<PathBuf>,
    /// Environment variables with keys of engines; hidden from commands.
    pub hidden_env_vars: Arc<[String]>,
    /// Checks whether the call may continue to a subject other than the approved one.
    pub check_subject: SubjectCheck,
    /// Resources that a client of the server gives to tools, in its own format. Commands find them in
    /// `JARVIS_TOOL_RESOURCES`.
    pub resources: Option<Arc<Json>>,
    /// Live output, for tools that have it; it is logged. Losing a piece is not an error.
    pub live_output: mpsc::Sender<(OutputStream, String)>,
    pub cancel: CancellationToken,
}

/// The result of a call. `text` is all output that was kept, untruncated; the agent truncates it for the model. A tool
/// that streamed its output to `live_output` returns the same text here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolResult {
    pub outcome: CallOutcome,
    pub text: String,
    /// Bytes that were printed, if that was too much to keep.
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

/// Returns every tool, in the order in which models see them.
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

/// Builds an approval request with the fields that are the same for every tool.
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

/// Runs blocking work on another thread. The work watches `ctx.cancel` itself, so it is never left behind.
async fn spawn_blocking_work<T: Send + 'static>(
    args: &Json,
    ctx: &ToolContext,
    work: impl FnOnce(&Json, &ToolContext) -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let (args, ctx) = (args.clone(), ctx.clone());
    match tokio::task::spawn_blocking(move || work(&args, &ctx)).await {
        Ok(result) => result,
        Err(error) => Err(format!("the tool crashed: {error}")),
    }
}

/// Runs blocking work whose errors are messages for the model.
async fn run_blocking(
    args: &Json,
    ctx: &ToolContext,
    work: impl FnOnce(&Json, &ToolContext) -> Result<ToolResult, String> + Send + 'static,
) -> ToolResult {
    spawn_blocking_work(args, ctx, work).await.unwrap_or_else(ToolResult::failed)
}
