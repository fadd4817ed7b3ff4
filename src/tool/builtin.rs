//! The built-in tools as a source.

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};

use super::source::{CallDescription, ToolContext, ToolInfo, ToolResult, ToolSource};
use super::{BUILTIN_TOOLS, Tool};
use crate::event::Json;

/// How long calls of built-in tools may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToolTimeouts {
    pub usual: Duration,
    /// For command lines.
    pub command: Duration,
}

/// The tools of the table in this program.
pub struct BuiltinTools {
    pub timeouts: ToolTimeouts,
}

fn find(name: &str) -> Option<&'static dyn Tool> {
    BUILTIN_TOOLS.iter().copied().find(|tool| tool.spec().name == name)
}

impl ToolSource for BuiltinTools {
    fn name(&self) -> &'static str {
        "jarvis-tui"
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<ToolInfo>, String>> {
        let info =
            |tool: &&dyn Tool| ToolInfo { spec: tool.spec(), kind: tool.kind(), timeout: tool.timeout(self.timeouts) };
        ready(Ok(BUILTIN_TOOLS.iter().map(info).collect())).boxed()
    }

    fn describe<'a>(
        &'a self,
        tool: &'a str,
        args: &'a Json,
        ctx: &'a ToolContext,
    ) -> BoxFuture<'a, Result<CallDescription, String>> {
        match find(tool) {
            Some(tool) => tool.describe(args, ctx),
            None => ready(Err(unknown(tool))).boxed(),
        }
    }

    fn call<'a>(&'a self, tool: &'a str, args: &'a Json, ctx: &'a ToolContext) -> BoxFuture<'a, ToolResult> {
        match find(tool) {
            Some(tool) => tool.run(args, ctx),
            None => ready(ToolResult::failed(unknown(tool))).boxed(),
        }
    }
}

fn unknown(tool: &str) -> String {
    format!("unknown tool: {tool}")
}
