//! PURE. The embedded engine: answers without a model, a server or a network.
//!
//! It is not a language model and says so. A prompt that has one of a few forms becomes tool calls, results are reported
//! in Markdown, and questions about this program are answered from its manual. It goes through the same agent loop as any model:
//! everything it knows is in the [`ModelRequest`], and the same request always gives the same answer.

mod answers;
mod demo;
mod manual;
mod report;
mod script;
mod syntax;

use std::sync::Arc;

use serde_json::Value;

use super::discover::ModelInfo;
use super::model_details::ModelDetails;
use super::spec::{EmbeddedModels, EngineSpec, Pricing};
use super::{Engine, HistoryMessage, ModelRequest, ReplyPlan, ScriptedEvent};
use crate::event::{CallOutcome, ToolSpec, estimate_tokens, without_context};
use answers::AnswerContext;
use demo::DemoKind;
use report::FinishedCall;
use script::{PacingMode, ScriptBuilder};
use syntax::{PlanStep, PromptPlan};

/// Its only model.
pub const MODEL_NAME: &str = "guide";

/// The embedded engine.
pub const SPEC: EngineSpec = EngineSpec {
    name: "offline",
    dialect: "native",
    address_variables: &[],
    key_variable: None,
    token_variable: None,
    model_variable: None,
    default_address: None,
    default_model: Some(MODEL_NAME),
    embedded: Some(EmbeddedModels { list: |_| vec![guide()], describe: |_, _| Ok(ModelDetails::default()) }),
    model_prefixes: &[],
    loads_by_name: false,
    setup_hint: "embedded",
    no_model_hint: "it has one",
    base_url: |_, _| String::new(),
    pricing: |_, _| Pricing::Free,
    description: None,
    build: |options| Arc::new(OfflineEngine { pace: options.pace }),
};

fn guide() -> ModelInfo {
    ModelInfo { id: MODEL_NAME.into(), remark: "embedded, not a language model".into(), context_window: None }
}

/// Calls that one prompt may lead to.
const MAX_CALLS_PER_PROMPT: usize = 16;

/// The embedded engine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OfflineEngine {
    /// Factor for the delays between words: 1 is natural, 0 means none (tests, output to a pipe).
    pub pace: f32,
}

impl Default for OfflineEngine {
    fn default() -> Self {
        Self { pace: 1.0 }
    }
}

impl Engine for OfflineEngine {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn dialect(&self) -> Option<&'static str> {
        Some(SPEC.dialect)
    }

    fn writes_summaries(&self) -> bool {
        false
    }

    fn plan_reply(&self, request: &ModelRequest) -> ReplyPlan {
        ReplyPlan::Scripted(self.script(request))
    }
}

impl OfflineEngine {
    fn script(self, request: &ModelRequest) -> Vec<ScriptedEvent> {
        let turn = OfflineTurn::of(request);
        let mut script = ScriptBuilder::new(self.pace);
        match demo::requested_demo(turn.prompt) {
            Some(DemoKind::Stream(word_count)) => {
                let (reasoning, text) = demo::stream_texts(word_count);
                script.push_reasoning(&reasoning, PacingMode::LargerPieces);
                script.push_text(&text, PacingMode::ShorterPauses);
            }
            Some(DemoKind::Guided) => {
                let steps: Vec<PlanStep> =
                    demo::guided_steps().into_iter().filter(|step| turn.context.has_tool(step.tool)).collect();
                if turn.rounds == 0 && !steps.is_empty() {
                    script.push_reasoning(demo::THOUGHTS, PacingMode::LargerPieces);
                    script
                        .push_text("Let me show you. First a few tools that change nothing:", PacingMode::LargerPieces);
                    push_calls(&mut script, &steps);
                } else {
                    script.push_reasoning(demo::AFTERTHOUGHTS, PacingMode::LargerPieces);
                    script.push_text(&demo::guided_answer(&turn.results), PacingMode::LargerPieces);
                }
            }
            None => continue_plan(&turn, &mut script),
        }
        script.finish(input_tokens(request))
    }
}

/// Continues a plan: the next round of calls, or the report when there is none.
fn continue_plan(turn: &OfflineTurn<'_>, script: &mut ScriptBuilder) {
    let mut plan = syntax::parse(turn.prompt);
    let too_many = plan.steps.len().saturating_sub(MAX_CALLS_PER_PROMPT);
    plan.steps.truncate(MAX_CALLS_PER_PROMPT);
    let (steps, missing): (Vec<PlanStep>, Vec<PlanStep>) =
        plan.steps.into_iter().partition(|step| turn.context.has_tool(step.tool));
    let rounds = PromptPlan::rounds(&steps);
    let stopped = turn.results.iter().any(|result| result.outcome != CallOutcome::Ok);
    if let Some(round) = rounds.get(turn.rounds).filter(|_| !stopped) {
        if let Some(word_count) = announcement(round) {
            script.push_text(&word_count, PacingMode::LargerPieces);
        }
        return push_calls(script, round);
    }
    let mut parts = Vec::new();
    if !turn.results.is_empty() {
        parts.push(report::report(&turn.results));
    }
    let undone: Vec<&PlanStep> = rounds.iter().skip(turn.rounds).flatten().collect();
    if stopped && !undone.is_empty() {
        let list: Vec<String> = undone.iter().map(|step| report::subject(step.tool, &step.args)).collect();
        parts.push(format!("I stopped there. **Not done:** {}.\n", list.join("; ")));
    }
    let mut named: Vec<&str> = missing.iter().map(|step| step.tool).collect();
    named.sort_unstable();
    named.dedup();
    parts.extend(named.into_iter().map(answers::unavailable));
    if too_many > 0 {
        parts.push(format!("That was more than I do at once; I left out the last {too_many}.\n"));
    }
    let alone = parts.is_empty();
    parts.extend(plan.unmatched.iter().take(3).map(|rest| {
        if alone { answers::answer(rest, &turn.context) } else { answers::answer_part(rest, &turn.context) }
    }));
    script.push_text(
        &parts.iter().map(|part| part.trim_end()).collect::<Vec<_>>().join("\n\n"),
        PacingMode::LargerPieces,
    );
}

fn push_calls(script: &mut ScriptBuilder, steps: &[PlanStep]) {
    for step in steps {
        script.push_call(step.tool, &step.args.to_string());
    }
}

/// Returns an introduction where the person will be asked for approval, or where it may take a while. Reading needs
/// none.
fn announcement(steps: &[PlanStep]) -> Option<String> {
    let announcements: Vec<String> = steps
        .iter()
        .filter_map(|step| {
            let arg = |name: &str| step.args.get(name).and_then(Value::as_str).unwrap_or_default();
            match step.tool {
                "shell" => Some(format!("run {}", report::inline_code(arg("command")))),
                "write_file" => Some(format!("write {}", report::inline_code(arg("path")))),
                "edit_file" => Some(format!("change {}", report::inline_code(arg("path")))),
                "fetch" => Some(format!("fetch {}", report::inline_code(arg("url")))),
                _ => None,
            }
        })
        .collect();
    let (last, before) = announcements.split_last()?;
    let list = if before.is_empty() { last.clone() } else { format!("{} and {last}", before.join(", ")) };
    Some(format!("I'll {list}."))
}

/// The last prompt and its results so far. Nothing earlier counts.
struct OfflineTurn<'a> {
    prompt: &'a str,
    results: Vec<FinishedCall>,
    /// Rounds of calls for this prompt.
    rounds: usize,
    context: AnswerContext<'a>,
}

impl<'a> OfflineTurn<'a> {
    fn of(request: &'a ModelRequest) -> Self {
        let last = request.history.iter().rposition(|past| matches!(past, HistoryMessage::User { .. }));
        let prompt = match last.and_then(|at| request.history.get(at)) {
            // What goes with a prompt asks for nothing.
            Some(HistoryMessage::User { text, .. }) => without_context(text),
            _ => "",
        };
        let after = last.map_or(&[][..], |at| request.history.get(at + 1..).unwrap_or_default());
        let (mut rounds, mut calls, mut finished) = (0, Vec::new(), Vec::new());
        for past in after {
            match past {
                HistoryMessage::Assistant { calls: made, .. } => {
                    rounds += usize::from(!made.is_empty());
                    calls.extend(made);
                }
                HistoryMessage::Tool { call, name, output, outcome } => {
                    let args = calls.iter().rev().find(|made| made.call == *call).map(|made| made.args.as_str());
                    let args = args.and_then(|args| serde_json::from_str(args).ok()).unwrap_or_default();
                    finished.push(FinishedCall { tool: name.clone(), args, output: output.clone(), outcome: *outcome });
                }
                HistoryMessage::User { .. } => {}
            }
        }
        let tools = request.tools.iter().map(|tool: &ToolSpec| tool.name.as_str()).collect();
        Self { prompt, results: finished, rounds, context: AnswerContext { tools } }
    }
}

/// Estimates the tokens that a model would have received.
fn input_tokens(request: &ModelRequest) -> u64 {
    let past = request.history.iter().map(|past| match past {
        HistoryMessage::User { text, .. } => estimate_tokens(text),
        HistoryMessage::Assistant { text, calls, .. } => {
            estimate_tokens(text) + calls.iter().map(|call| estimate_tokens(&call.args) + 4).sum::<u64>()
        }
        HistoryMessage::Tool { output, .. } => estimate_tokens(output),
    });
    let tools = request.tools.iter().map(|tool| estimate_tokens(&tool.description) + estimate_tokens(&tool.name));
    estimate_tokens(&request.system) + past.sum::<u64>() + tools.sum::<u64>()
}

#[cfg(test)]
mod tests;
