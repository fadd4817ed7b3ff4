//! Hooks: what the person has told of each call and of the end of a turn.

use serde_json::json;

use super::{Agent, RunningTurn};
use crate::event::{AgentEvent, CallOutcome, Json, NoticeCode, NoticeLevel, TurnOutcome};
use crate::tool::truncate::truncate_middle;
use crate::tool::{Hooks, ToolContext, ToolProgress, ToolResult};

/// Bytes of an output that a hook is told.
const MAX_TOLD_BYTES: usize = 64 * 1024;

fn notice(text: String) -> AgentEvent {
    AgentEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::Hook, text }
}

async fn tell_problems(problems: Vec<String>, ctx: &ToolContext) {
    for text in problems {
        let _ = ctx.progress.send(ToolProgress::Event(notice(text))).await;
    }
}

/// Asks the hooks before a call; returns its result if one denies it.
pub(super) async fn before_call(hooks: &Hooks, tool: &str, args: &Json, ctx: &ToolContext) -> Option<ToolResult> {
    if hooks.before_call.is_empty() {
        return None;
    }
    let told = json!({"event": "before_call", "folder": ctx.folder.display().to_string(), "tool": tool, "args": args});
    let result = tokio::select! {
        result = hooks.run_before_call(&told, &ctx.folder) => result,
        () = ctx.cancel.cancelled() => return Some(ToolResult::cancelled("cancelled before it started")),
    };
    tell_problems(result.problems, ctx).await;
    let why = result.objection?;
    Some(ToolResult { outcome: CallOutcome::Denied, ..ToolResult::failed(format!("denied by a hook: {why}")) })
}

/// Tells the hooks how a call ended; what one objects to goes to the model.
pub(super) async fn after_call(hooks: &Hooks, tool: &str, args: &Json, done: &mut ToolResult, ctx: &ToolContext) {
    if hooks.after_call.is_empty() {
        return;
    }
    let told = json!({
        "event": "after_call",
        "folder": ctx.folder.display().to_string(),
        "tool": tool,
        "args": args,
        "outcome": done.outcome.name(),
        "output": truncate_middle(&done.text, MAX_TOLD_BYTES).0,
    });
    let result = tokio::select! {
        result = hooks.run_after_call(&told, &ctx.folder) => result,
        () = ctx.cancel.cancelled() => return,
    };
    tell_problems(result.problems, ctx).await;
    if let Some(why) = result.objection {
        done.text = format!("{}\n[a hook says: {why}]", done.text.trim_end());
    }
}

impl Agent {
    /// Tells the hooks that a turn has ended; what goes wrong is told when it has.
    pub(super) fn tell_turn_end(&mut self, running: &RunningTurn) {
        let hooks = self.setup.hooks.clone();
        if hooks.turn_end.is_empty() {
            return;
        }
        let folder = self.setup.folder.clone();
        let (outcome, why) = match &running.outcome {
            Some(TurnOutcome::Completed) => ("completed", None),
            Some(TurnOutcome::Cancelled) => ("cancelled", None),
            Some(TurnOutcome::Failed(fault)) => ("failed", Some(fault.message.clone())),
            Some(TurnOutcome::Interrupted) | None => ("interrupted", None),
        };
        let turn = running.machine.turn().to_string();
        let mut told =
            json!({"event": "turn_end", "folder": folder.display().to_string(), "turn": turn, "outcome": outcome});
        if let Some(why) = why {
            told["message"] = why.into();
        }
        self.ending_hooks.spawn(async move { hooks.run_turn_end(&told, &folder).await.problems });
    }

    pub(super) async fn tell_hook_problems(&mut self, problems: Vec<String>) {
        for text in problems {
            self.emit(notice(text)).await;
        }
    }
}
