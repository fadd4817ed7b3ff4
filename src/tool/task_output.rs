//! What a background command printed, and stopping it.

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use serde_json::json;

use super::args::ToolArgs;
use super::{CallDescription, SessionBackground, Tool, ToolContext, ToolResult, ToolTimeouts};
use crate::event::{Json, Risk, ToolKind, ToolSpec};

pub(super) struct TaskOutput;

const MAX_WAIT_SECONDS: usize = 300;
/// For a command that was stopped to end.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);

impl Tool for TaskOutput {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: "task_output".into(),
            description:
                "Tells how a background command of shell is and what it printed last. Can wait for its end, or \
                          stop it."
                    .into(),
            parameters: json!({
                "type": "object",
                "properties": {
                    "id": {"type": "string", "description": "What shell called it."},
                    "wait": {"type": "integer", "description": "Seconds to wait for its end; 0 without it."},
                    "stop": {"type": "boolean", "description": "Stop it."}
                },
                "required": ["id"]
            }),
            // It ends only what was started here.
            risk: Risk::ReadOnly,
        }
    }

    fn kind(&self) -> ToolKind {
        ToolKind::Other
    }

    fn timeout(&self, timeouts: ToolTimeouts) -> Duration {
        timeouts.usual.max(Duration::from_secs(MAX_WAIT_SECONDS as u64 + 10))
    }

    fn describe<'a>(&'a self, args: &'a Json, _: &'a ToolContext) -> BoxFuture<'a, Result<CallDescription, String>> {
        let id = ToolArgs::new(args).and_then(|args| args.string(&["id", "task_id"]));
        ready(id.map(|id| CallDescription::new(Risk::ReadOnly, id))).boxed()
    }

    fn run<'a>(&'a self, args: &'a Json, ctx: &'a ToolContext) -> BoxFuture<'a, ToolResult> {
        Box::pin(async move {
            let Some(background) = &ctx.background else {
                return ToolResult::failed("nothing runs in the background here");
            };
            tokio::select! {
                result = look(args, background) => result.map_or_else(ToolResult::failed, ToolResult::ok),
                () = ctx.cancel.cancelled() => ToolResult::cancelled("no longer waited for; it goes on"),
            }
        })
    }
}

async fn look(args: &Json, background: &SessionBackground) -> Result<String, String> {
    let args = ToolArgs::new(args)?;
    let id = args.string(&["id", "task_id"])?;
    let wait = args.integer(&["wait", "timeout"], 0, 0, MAX_WAIT_SECONDS)?;
    let mut at_most = Duration::from_secs(wait as u64);
    if args.boolean(&["stop", "kill"])? && background.stop(&id) {
        at_most = STOP_TIMEOUT;
    }
    let state = background.wait(&id, at_most).await.ok_or_else(|| match background.ids().as_slice() {
        [] => format!("there is no background command {id}, and no other"),
        ids => format!("there is no background command {id}; there are: {}", ids.join(", ")),
    })?;
    let how = match &state.end {
        Some(end) => format!("ended: {end}"),
        None => format!("running for {} s", state.age.as_secs()),
    };
    Ok(if state.output.is_empty() {
        format!("[{how}; it printed nothing]")
    } else {
        format!("[{how}]\n{}", state.output)
    })
}

#[cfg(test)]
mod tests {
    use super::super::BackgroundCommands;
    use super::super::checked_path::tests::ctx;
    use super::super::shell::Shell;
    use super::*;

    #[tokio::test]
    async fn output_comes_later_and_a_command_can_be_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let mut ctx = ctx(folder.path());
        let args = json!({"command": "echo begun; read line < fifo; echo got $line", "background": true});
        assert!(Shell.run(&args, &ctx).await.text.contains("nothing can run in the background here"));
        ctx.background = Some(BackgroundCommands::default().for_session("s").0);
        let started = Shell.run(&json!({"command": "mkfifo fifo"}), &ctx).await;
        assert_eq!(started.text, "(no output)");
        let started = Shell.run(&args, &ctx).await;
        assert!(started.text.contains("background command 1"), "{}", started.text);
        let look = async |args: Json| TaskOutput.run(&args, &ctx).await.text;
        assert!(look(json!({"id": "1"})).await.starts_with("[running for 0 s"));
        let feed = async {
            Shell.run(&json!({"command": "echo hello > fifo"}), &ctx).await;
        };
        let (told, ()) = tokio::join!(look(json!({"id": "1", "wait": 60})), feed);
        assert_eq!(told, "[ended: exit status 0]\nbegun\ngot hello\n");
        Shell.run(&json!({"command": "sleep 600", "background": "yes"}), &ctx).await;
        assert_eq!(look(json!({"id": 2, "stop": true})).await, "[ended: stopped; it printed nothing]");
        assert_eq!(look(json!({"id": "7"})).await, "there is no background command 7; there are: 2, 1");
    }
}
