//! Tools: what the agent can do. They come from sources, and the registry names them.
//!
//! The built-in tools are one source: the table below, one file each. A tool checks its arguments, describes its call
//! and runs it. It doesn't decide about permission: that is `agent::approval`. A failure is an ordinary result that the
//! model should see.

mod address;
mod args;
mod background;
mod builtin;
pub mod by_request;
mod calculator;
mod checked_path;
mod client;
mod clock;
mod edit_file;
mod fetch;
mod file;
mod hooks;
mod html;
mod hunks;
mod list_dir;
pub mod mention;
mod read_file;
mod registry;
pub mod restore;
mod search;
mod shell;
mod skill;
mod source;
mod task;
mod task_output;
mod todo;
pub mod truncate;
mod write_file;

use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::event::{Json, ToolKind, ToolSpec};

pub use background::{BackgroundCommands, BackgroundState, SessionBackground};
pub use builtin::{BuiltinTools, ToolTimeouts};
pub use checked_path::expand_home;
#[cfg(test)]
pub(crate) use checked_path::tests::ctx as tests_ctx;
pub use client::ClientTools;
pub use hooks::{HookResult, Hooks};
pub use hunks::ApprovedHunks;
#[cfg(test)]
pub(crate) use registry::tests::FakeSource;
pub use registry::{RegisteredTool, Registry};
pub use shell::run_for_person;
pub use skill::{Skill, SkillTools};
pub use source::{
    AskPerson, CallDescription, KeepVersion, SubjectCheck, SubjectPermission, ToolContext, ToolInfo, ToolProgress,
    ToolQuestion, ToolResult, ToolSource,
};
pub use task::{NOT_FOR_SUB_AGENTS, TASK_TOOL, TaskRequest};

/// The built-in tools that work in a folder, in the order in which models see them.
static BUILTIN_TOOLS: &[&dyn Tool] = &[
    &calculator::Calculator,
    &read_file::ReadFile,
    &list_dir::ListDir,
    &search::SearchTool,
    &write_file::WriteFile,
    &edit_file::EditFile,
    &shell::Shell,
    &fetch::Fetch,
    &clock::ClockTool::SYSTEM,
];

/// Those by which the agent works; what needs the agent itself is done there.
static AGENT_TOOLS: &[&dyn Tool] = &[&todo::Todo, &task::Task, &task_output::TaskOutput];

/// A built-in tool. The methods are those of [`ToolSource`] for one tool.
trait Tool: Send + Sync {
    fn spec(&self) -> ToolSpec;

    fn kind(&self) -> ToolKind;

    fn timeout(&self, timeouts: ToolTimeouts) -> Duration {
        timeouts.usual
    }

    fn describe<'a>(&'a self, args: &'a Json, ctx: &'a ToolContext) -> BoxFuture<'a, Result<CallDescription, String>>;

    fn run<'a>(&'a self, args: &'a Json, ctx: &'a ToolContext) -> BoxFuture<'a, ToolResult>;
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
