//! The tools of a server as a source.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use super::call::call_tool;
use super::server::McpServer;
use super::tool_list::{claims, risk, tool_infos};
use crate::event::{Json, Risk};
use crate::tool::{CallDescription, ToolContext, ToolInfo, ToolResult, ToolSource};

/// The tools of one server.
pub struct McpTools(pub Arc<McpServer>);

impl ToolSource for McpTools {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn prefixes_names(&self) -> bool {
        true
    }

    fn is_costly_to_list(&self) -> bool {
        true
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<ToolInfo>, String>> {
        async move { Ok(tool_infos(&self.0.list_tools().await?, self.0.spec().call_timeout)) }.boxed()
    }

    fn changes(&self) -> Option<watch::Receiver<()>> {
        Some(self.0.changes())
    }

    fn describe<'a>(
        &'a self,
        tool: &'a str,
        args: &'a Json,
        _: &'a ToolContext,
    ) -> BoxFuture<'a, Result<CallDescription, String>> {
        async move {
            let known = self.0.known_tool(tool);
            let risk = known.as_ref().map_or(Risk::Execute, risk);
            let pretty = serde_json::to_string_pretty(args).unwrap_or_default();
            let claims = known.as_ref().map_or_else(|| "the server no longer has this tool".to_owned(), claims);
            let detail = format!("{pretty}\n\n{claims}");
            Ok(CallDescription { detail, ..CallDescription::new(risk, args.to_string()) })
        }
        .boxed()
    }

    fn call<'a>(&'a self, tool: &'a str, args: &'a Json, ctx: &'a ToolContext) -> BoxFuture<'a, ToolResult> {
        async move {
            let connection = tokio::select! {
                biased;
                connection = self.0.connection() => connection,
                () = ctx.cancel.cancelled() => return ToolResult::cancelled("cancelled before it started"),
            };
            match connection {
                Ok(connection) => call_tool(&connection, tool, args, ctx).await,
                Err(why) => ToolResult::failed(why),
            }
        }
        .boxed()
    }
}
