//! The agent's plan: a call tells all of it, and the person sees it while the work goes on.

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use serde_json::json;

use super::args::ToolArgs;
use super::{CallDescription, Tool, ToolContext, ToolResult};
use crate::event::{AgentEvent, Annotation, AnnotationTarget, Json, PlanEntry, PlanState, Risk, ToolKind, ToolSpec};

pub(super) struct Todo;

const MAX_ENTRIES: usize = 100;
/// Bytes of an entry.
const MAX_ENTRY_BYTES: usize = 1000;

impl Tool for Todo {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: "todo".into(),
            description: "Keeps your plan, which the person sees. Use it for work of three steps or more. Every call \
                          tells the whole plan; set a step to in_progress before you begin it, one at a time, and to \
                          completed as soon as it is done."
                .into(),
            parameters: json!({
                "type": "object",
                "properties": {"todos": {
                    "type": "array",
                    "description": "All steps, in their order.",
                    "items": {
                        "type": "object",
                        "properties": {
                            "content": {"type": "string", "description": "What is to be done, in a few words."},
                            "status": {"type": "string", "enum": ["pending", "in_progress", "completed"]}
                        },
                        "required": ["content", "status"]
                    }
                }},
                "required": ["todos"]
            }),
            risk: Risk::ReadOnly,
        }
    }

    fn kind(&self) -> ToolKind {
        ToolKind::Other
    }

    fn describe<'a>(&'a self, args: &'a Json, _: &'a ToolContext) -> BoxFuture<'a, Result<CallDescription, String>> {
        ready(parse_plan(args).map(|plan| CallDescription::new(Risk::ReadOnly, progress(&plan)))).boxed()
    }

    fn run<'a>(&'a self, args: &'a Json, _: &'a ToolContext) -> BoxFuture<'a, ToolResult> {
        let result = match parse_plan(args) {
            Ok(plan) => {
                let text = progress(&plan);
                // The agent puts it on its turn.
                let on = AnnotationTarget::Session;
                let event = AgentEvent::Annotation { on, annotation: Annotation::Plan(plan) };
                ToolResult { events: vec![event], ..ToolResult::ok(text) }
            }
            Err(why) => ToolResult::failed(why),
        };
        ready(result).boxed()
    }
}

fn progress(plan: &[PlanEntry]) -> String {
    let done = plan.iter().filter(|entry| entry.state == PlanState::Done).count();
    format!("{done} of {} done", plan.len())
}

fn parse_plan(args: &Json) -> Result<Vec<PlanEntry>, String> {
    // Checks that it is an object.
    ToolArgs::new(args)?;
    let list = ["todos", "plan", "items"].into_iter().find_map(|key| args.get(key)?.as_array());
    let list = list.ok_or("the argument `todos` must be a list of steps, each with `content` and `status`")?;
    if list.len() > MAX_ENTRIES {
        return Err(format!("the argument `todos` has {} steps; at most {MAX_ENTRIES} are kept", list.len()));
    }
    let mut plan = Vec::new();
    for entry in list {
        let text = ["content", "text", "step"].into_iter().find_map(|key| entry.get(key)?.as_str()).unwrap_or_default();
        let state = match entry.get("status").and_then(Json::as_str) {
            Some("completed" | "done") => PlanState::Done,
            Some("in_progress") => PlanState::InProgress,
            Some("cancelled") => continue,
            Some("pending") | None => PlanState::Pending,
            Some(other) => {
                return Err(format!("the status `{other}` is none of pending, in_progress and completed"));
            }
        };
        let text = text.trim();
        if text.is_empty() {
            return Err("a step of `todos` has no `content`".into());
        }
        let text = text.get(..text.floor_char_boundary(MAX_ENTRY_BYTES)).unwrap_or_default().to_owned();
        plan.push(PlanEntry { text, state });
    }
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::super::checked_path::tests::ctx;
    use super::*;

    #[tokio::test]
    async fn a_call_tells_the_whole_plan_and_what_is_no_step_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let ctx = ctx(folder.path());
        let args = json!({"todos": [
            {"content": "look", "status": "completed"},
            {"content": " write ", "status": "in_progress"},
            {"content": "check", "status": "pending"},
            {"content": "gone", "status": "cancelled"},
        ]});
        let done = Todo.run(&args, &ctx).await;
        assert_eq!(done.text, "1 of 3 done");
        let [AgentEvent::Annotation { annotation: Annotation::Plan(plan), .. }] = &done.events[..] else { panic!() };
        let told: Vec<_> = plan.iter().map(|entry| (entry.text.as_str(), entry.state)).collect();
        assert_eq!(told, [("look", PlanState::Done), ("write", PlanState::InProgress), ("check", PlanState::Pending)]);
        for (args, word) in [
            (json!({}), "`todos`"),
            (json!({"todos": "x"}), "`todos`"),
            (json!({"todos": [{"status": "pending"}]}), "`content`"),
            (json!({"todos": [{"content": "x", "status": "soon"}]}), "`soon`"),
            (json!({"todos": vec![json!({"content": "x"}); 101]}), "101"),
        ] {
            let why = Todo.describe(&args, &ctx).await.unwrap_err();
            assert!(why.contains(word), "{why}");
        }
    }
}
