//! Tools that a client of the server offers to the model and runs itself.

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};

use super::source::{CallDescription, ToolContext, ToolInfo, ToolResult, ToolSource};
use crate::event::{Json, ToolKind, ToolSpec};

/// The tools of one request. Their calls are reported to the client and never run here.
pub struct ClientTools(pub Vec<ToolSpec>);

const NOT_HERE: &str = "the client runs this tool";

impl ToolSource for ClientTools {
    fn name(&self) -> &'static str {
        "client"
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<ToolInfo>, String>> {
        let info = |spec: &ToolSpec| ToolInfo { spec: spec.clone(), kind: ToolKind::Other, timeout: Duration::ZERO };
        ready(Ok(self.0.iter().map(info).collect())).boxed()
    }

    fn describe<'a>(
        &'a self,
        _: &'a str,
        _: &'a Json,
        _: &'a ToolContext,
    ) -> BoxFuture<'a, Result<CallDescription, String>> {
        ready(Err(NOT_HERE.to_owned())).boxed()
    }

    fn call<'a>(&'a self, _: &'a str, _: &'a Json, _: &'a ToolContext) -> BoxFuture<'a, ToolResult> {
        ready(ToolResult::failed(NOT_HERE)).boxed()
    }
}
