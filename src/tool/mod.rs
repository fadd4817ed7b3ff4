//! Tools: what the agent can do on this machine. One table, one file each.
//!
//! A tool checks its arguments, says what it is about (for approvals) and runs. It decides nothing about permission:
//! that is `agent::approval`. A failure is an ordinary result that the model should see.

use std::path::PathBuf;

use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::event::{Ask, Json, Outcome, OutputStream, ToolSpec};

/// One thing the agent can do.
pub trait Tool: Send + Sync {
    fn spec(&self) -> ToolSpec;

    /// Says what this call would do, for the person who decides: subject, detail (a diff, a command), pattern.
    /// May read files, never changes anything. An error is a text for the model: the call is not worth asking about.
    fn ask<'a>(&'a self, args: &'a Json, ctx: &'a ToolCtx) -> BoxFuture<'a, Result<Ask, String>>;

    /// Does it. Returns soon after `ctx.cancel` fires, with what there was until then and `Outcome::Cancelled`.
    /// Dropping the future must leave no process behind.
    fn run<'a>(&'a self, args: &'a Json, ctx: &'a ToolCtx) -> BoxFuture<'a, Done>;
}

/// What a call may use.
#[derive(Clone)]
pub struct ToolCtx {
    /// The working folder, canonical. File tools stay inside it.
    pub folder: PathBuf,
    /// Further folders that file tools may use, canonical.
    pub also: Vec<PathBuf>,
    /// Live output, for tools that have it; what is sent here is logged. Dropped pieces are no error.
    pub live: mpsc::Sender<(OutputStream, String)>,
    pub cancel: CancellationToken,
}

/// What came of a call. `text` is everything, uncapped; the agent caps what the model gets.
/// A tool that streamed its output to `live` returns the same text here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    pub outcome: Outcome,
    pub text: String,
}
