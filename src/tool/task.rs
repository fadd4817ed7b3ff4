//! What a sub-agent is to do. The tool only reads and describes a call: the agent runs it, for it needs an agent.

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use serde_json::json;

use super::args::ToolArgs;
use super::{CallDescription, Tool, ToolContext, ToolResult};
use crate::event::{Json, Risk, ToolKind, ToolSpec};

pub const TASK_TOOL: &str = "task";
/// Tools that a sub-agent never has: it starts no others, and the plan is that of its agent.
pub const NOT_FOR_SUB_AGENTS: [&str; 2] = [TASK_TOOL, "todo"];

const MAX_TURNS: usize = 100;
const MAX_TOKENS: usize = 10_000_000;
const MAX_SUBJECT_CHARS: usize = 100;

pub(super) struct Task;

/// A sub-agent's work and its limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskRequest {
    pub description: String,
    pub prompt: String,
    /// Another model than the agent's.
    pub model: Option<String>,
    /// The tools that it may use; all where none is named.
    pub tools: Vec<String>,
    /// Requests to the model.
    pub max_turns: Option<u32>,
    /// Tokens of all its requests.
    pub max_tokens: Option<u64>,
}

impl TaskRequest {
    /// Reads the arguments of a call; the error is for the model.
    ///
    /// # Errors
    ///
    /// Fails where the prompt is missing, or an argument is of another kind.
    pub fn parse(args: &Json) -> Result<Self, String> {
        let args = ToolArgs::new(args)?;
        let prompt = args.string(&["prompt", "task", "instructions"])?;
        if prompt.trim().is_empty() {
            return Err("the argument `prompt` is empty".into());
        }
        let description = args.optional_string(&["description", "title", "name"])?;
        let first_line = || prompt.trim().lines().next().unwrap_or_default().to_owned();
        let limit = |name: &str, most: usize| {
            let limit = args.integer(&[name], 0, 0, most)?;
            Ok::<_, String>(Some(limit).filter(|limit| *limit > 0))
        };
        Ok(Self {
            description: description.filter(|text| !text.trim().is_empty()).unwrap_or_else(first_line),
            model: args.optional_string(&["model"])?.filter(|model| !model.trim().is_empty()),
            tools: args.strings(&["tools"])?,
            max_turns: limit("max_turns", MAX_TURNS)?.and_then(|turns| u32::try_from(turns).ok()),
            max_tokens: limit("max_tokens", MAX_TOKENS)?.map(|tokens| tokens as u64),
            prompt,
        })
    }
}

impl Tool for Task {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: TASK_TOOL.into(),
            description: "Gives a task to a sub-agent, which works on it with a context of its own and answers once. \
                          Use it for what needs much reading and a short result, and for parts that are independent: \
                          several calls in one reply run at the same time. It knows nothing of this conversation, so \
                          say all that it needs and what you want back."
                .into(),
            parameters: json!({
                "type": "object",
                "properties": {
                    "description": {"type": "string", "description": "The task in a few words, for the person."},
                    "prompt": {"type": "string", "description": "What it is to do, and what it is to answer."},
                    "tools": {
                        "type": "array",
                        "items": {"type": "string"},
                        "description": "The only tools that it may use; without it all but this one."
                    },
                    "model": {"type": "string", "description": "Another model, as engine/model."},
                    "max_turns": {"type": "integer", "description": "How many requests to the model it may make."},
                    "max_tokens": {"type": "integer", "description": "How many tokens it may use in all."}
                },
                "required": ["description", "prompt"]
            }),
            // What it calls is judged by itself.
            risk: Risk::ReadOnly,
        }
    }

    fn kind(&self) -> ToolKind {
        ToolKind::Other
    }

    fn describe<'a>(&'a self, args: &'a Json, _: &'a ToolContext) -> BoxFuture<'a, Result<CallDescription, String>> {
        let described = TaskRequest::parse(args).map(|task| CallDescription {
            detail: task.prompt,
            ..CallDescription::new(
                Risk::ReadOnly,
                task.description.chars().take(MAX_SUBJECT_CHARS).collect::<String>().replace('\n', " "),
            )
        });
        ready(described).boxed()
    }

    fn run<'a>(&'a self, _: &'a Json, _: &'a ToolContext) -> BoxFuture<'a, ToolResult> {
        ready(ToolResult::failed("there are no sub-agents here")).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_has_a_prompt_and_limits_only_where_they_are_named() {
        let task = TaskRequest::parse(&json!({"prompt": "Look.\nThen tell."})).unwrap();
        assert_eq!((task.description.as_str(), task.max_turns, task.max_tokens), ("Look.", None, None));
        let all = json!({"description": "d", "prompt": "p", "tools": "search", "model": "a/b", "max_turns": "3",
                         "max_tokens": 99_999_999});
        let task = TaskRequest::parse(&all).unwrap();
        assert_eq!((task.tools, task.max_turns), (vec!["search".to_owned()], Some(3)));
        assert_eq!(task.max_tokens, Some(MAX_TOKENS as u64));
        for args in [json!({}), json!({"prompt": " "}), json!({"prompt": "p", "max_turns": -1})] {
            TaskRequest::parse(&args).unwrap_err();
        }
    }
}
