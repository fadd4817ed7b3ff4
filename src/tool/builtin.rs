//! The tools of this program as sources: those that work in a folder, and those by which the agent works.

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};

use super::source::{CallDescription, ToolContext, ToolInfo, ToolResult, ToolSource};
use super::{AGENT_TOOLS, BUILTIN_TOOLS, Tool};
use crate::event::Json;

/// How long calls of built-in tools may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToolTimeouts {
    pub usual: Duration,
    /// For command lines.
    pub command: Duration,
}

/// The tools of a table in this program.
pub struct BuiltinTools {
    name: &'static str,
    tools: &'static [&'static dyn Tool],
    timeouts: ToolTimeouts,
}

impl BuiltinTools {
    /// Returns those that work in a folder and need no agent.
    pub fn new(timeouts: ToolTimeouts) -> Self {
        Self { name: "jarvis-tui", tools: BUILTIN_TOOLS, timeouts }
    }

    /// Returns those by which the agent plans and has others work.
    pub fn for_agent(timeouts: ToolTimeouts) -> Self {
        Self { name: "agent", tools: AGENT_TOOLS, timeouts }
    }

    fn find(&self, name: &str) -> Option<&'static dyn Tool> {
        self.tools.iter().copied().find(|tool| tool.spec().name == name)
    }
}

impl ToolSource for BuiltinTools {
    fn name(&self) -> &'static str {
        self.name
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<ToolInfo>, String>> {
        let info =
            |tool: &&dyn Tool| ToolInfo { spec: tool.spec(), kind: tool.kind(), timeout: tool.timeout(self.timeouts) };
        ready(Ok(self.tools.iter().map(info).collect())).boxed()
    }

    fn describe<'a>(
        &'a self,
        tool: &'a str,
        args: &'a Json,
        ctx: &'a ToolContext,
    ) -> BoxFuture<'a, Result<CallDescription, String>> {
        match self.find(tool) {
            Some(tool) => tool.describe(args, ctx),
            None => ready(Err(unknown(tool))).boxed(),
        }
    }

    fn call<'a>(&'a self, tool: &'a str, args: &'a Json, ctx: &'a ToolContext) -> BoxFuture<'a, ToolResult> {
        match self.find(tool) {
            Some(tool) => tool.run(args, ctx),
            None => ready(ToolResult::failed(unknown(tool))).boxed(),
        }
    }
}

fn unknown(tool: &str) -> String {
    format!("unknown tool: {tool}")
}
