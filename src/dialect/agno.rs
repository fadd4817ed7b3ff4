//! The event streams of Agno's AgentOS, of its agents, teams and workflows: frames named after their event, which the
//! data names too. A member of a team has a run of its own inside of the team's; it is shown under the call that gave it
//! its task. The last event of a run repeats all its text without a gap.
//!
//! Source: the event classes of the Python package `agno`, and recordings of its server.

use serde_json::json;

use super::agent_reply::{AgentReply, MessageHandle, annotate, ask_person, capped, report_usage, result_text};
use super::unknown_frames::UnknownFrames;
use super::{Decode, Dialect, Evidence, FirstFrame, SseFrame, error, surrogate, usage};
use crate::event::{
    Annotation, CallId, CallOutcome, ExecutedBy, Fault, Json, Millis, NoticeCode, NoticeLevel, ReplyEvent, StepState,
    TurnOutcome, Usage,
};

/// Also `--dialect agno`.
pub const DIALECT: Dialect = Dialect {
    name: "agno",
    title: "Agno",
    decode: |_| Box::<AgnoDecoder>::default(),
    evidence,
    extends: None,
    limitations: "memories, hooks and other events of the framework itself",
};

fn evidence(first: &FirstFrame<'_>) -> Option<Evidence> {
    let kind = first.object().map(|_| first.text("event")).unwrap_or_default();
    let is_camel =
        kind.starts_with(|c: char| c.is_ascii_uppercase()) && kind.bytes().all(|b| b.is_ascii_alphanumeric());
    let is_known = ["Run", "Team", "Workflow", "Step", "Tool", "Model", "Reasoning", "Memory", "PreHook"]
        .iter()
        .any(|word| kind.starts_with(word));
    let is_one = is_camel && is_known && (first.has("run_id") || first.has("workflow_id") || kind == "RunError");
    is_one.then(|| Evidence::name(format!("an event is named {kind}")))
}

/// Runs that are remembered.
const MAX_RUNS: usize = 1024;

/// A run of an agent, a team or a workflow.
#[derive(Debug)]
struct AgnoRun {
    id: String,
    /// The call that gave it its task.
    parent: Option<CallId>,
    message: Option<MessageHandle>,
    /// Its newest call, by its id in the stream.
    last_call: Option<String>,
    has_text: bool,
    /// All its reasoning so far.
    reasoning: String,
}

/// Decodes one answer.
#[derive(Debug, Default)]
pub struct AgnoDecoder {
    reply: AgentReply,
    /// The first one is the answer's.
    runs: Vec<AgnoRun>,
    /// The sum of all requests to models, and what the end says of them.
    request_usage: Option<Usage>,
    usage: Option<Usage>,
    outcome: Option<TurnOutcome>,
    unknown_frames: UnknownFrames,
}

impl AgnoDecoder {
    fn handle_event(&mut self, event: &Json, marked: bool, out: &mut Vec<ReplyEvent>) {
        let word = |key: &str| event.get(key).and_then(Json::as_str).unwrap_or_default();
        let name = word("event");
        let kind = name.strip_prefix("Team").filter(|rest| !rest.is_empty()).unwrap_or(name);
        let at = self.run(word("run_id"), word("parent_run_id"), out);
        match kind {
            "RunContent" => self.handle_content(at, event, marked, out),
            "ReasoningContentDelta" => self.add_reasoning(at, word("reasoning_content"), marked, out),
            "ReasoningStep" => {
                let told = self.runs.get(at).map(|run| run.reasoning.clone()).unwrap_or_default();
                if let Some(more) = word("reasoning_content").strip_prefix(told.as_str()).map(str::to_owned) {
                    self.add_reasoning(at, &more, marked, out);
                }
            }
            "ModelRequestStarted" => self.close(at, out),
            "ModelRequestCompleted" => {
                if let Some(more) = usage::parse(event) {
                    self.request_usage = Some(self.request_usage.map_or(more, |sum| sum.plus(more)));
                }
            }
            "ToolCallStarted" | "ToolCallCompleted" | "ToolCallError" => {
                let mut event = event.clone();
                surrogate::resolve_marks_in_json(&mut event, marked);
                self.handle_tool(at, kind, &event, out);
            }
            "RunCompleted" | "WorkflowCompleted" => self.handle_end(at, event, out),
            "RunError" | "WorkflowError" => self.handle_error(at, event, out),
            "RunCancelled" | "WorkflowCancelled" if at == 0 => self.outcome = Some(TurnOutcome::Cancelled),
            "RunPaused" | "WorkflowPaused" | "StepPaused" => self.handle_pause(at, event, out),
            "StepStarted" | "StepCompleted" => {
                let state = if kind == "StepStarted" { StepState::Started } else { StepState::Finished };
                annotate(Annotation::Step { name: word("step_name").to_owned(), state }, out);
            }
            "CustomEvent" => {
                annotate(Annotation::Custom { name: name.into(), value: capped(event) }, out);
            }
            other => {
                let is_known = ["Started", "Completed", "Continued", "Cancelled", "Progress", "Created", "Updated"];
                let is_known = is_known.iter().any(|end| other.ends_with(end));
                if !is_known && !matches!(other, "RunIntermediateContent" | "StepOutput" | "StepError") {
                    self.unknown_frames.report(if other.is_empty() { "an event without a name" } else { other }, out);
                }
            }
        }
    }

    /// Returns the index of a run. One inside of another is the work of that one's newest call.
    fn run(&mut self, id: &str, parent_id: &str, out: &mut Vec<ReplyEvent>) -> usize {
        let known = self.runs.iter().rposition(|run| run.id == id);
        if let Some(at) = known.or_else(|| (id.is_empty() && !self.runs.is_empty()).then_some(0)) {
            return at;
        }
        if self.runs.len() >= MAX_RUNS {
            // The first one stays.
            let forgotten: Vec<AgnoRun> = self.runs.drain(1..MAX_RUNS / 4).collect();
            for message in forgotten.into_iter().filter_map(|run| run.message) {
                self.reply.close(message, None, out);
            }
        }
        let parent = self.runs.iter().find(|run| !parent_id.is_empty() && run.id == parent_id);
        let call = parent.and_then(|run| run.last_call.as_deref()).and_then(|wire| self.reply.calls.id(wire));
        self.runs.push(AgnoRun {
            id: id.to_owned(),
            parent: call,
            message: None,
            last_call: None,
            has_text: false,
            reasoning: String::new(),
        });
        self.runs.len() - 1
    }

    fn message(&mut self, at: usize, out: &mut Vec<ReplyEvent>) -> Option<MessageHandle> {
        let run = self.runs.get_mut(at)?;
        match run.message.filter(|message| self.reply.is_open(*message)) {
            Some(message) => Some(message),
            None => Some(*run.message.insert(self.reply.begin(run.parent.clone(), out))),
        }
    }

    /// Closes the message of a run: what it says next is another one.
    fn close(&mut self, at: usize, out: &mut Vec<ReplyEvent>) {
        if let Some(message) = self.runs.get_mut(at).and_then(|run| run.message.take()) {
            self.reply.close(message, None, out);
        }
    }

    fn handle_content(&mut self, at: usize, event: &Json, marked: bool, out: &mut Vec<ReplyEvent>) {
        if self.runs.get(at).and_then(|run| run.message).is_some_and(|message| self.reply.has_calls(message)) {
            self.close(at, out);
        }
        if let Some(thought) = event.get("reasoning_content").and_then(Json::as_str) {
            self.add_reasoning(at, thought, marked, out);
        }
        let text = match event.get("content") {
            Some(Json::String(text)) if !text.is_empty() => text.clone(),
            None | Some(Json::Null | Json::String(_)) => return,
            Some(data) => data.to_string(),
        };
        let Some(message) = self.message(at, out) else { return };
        if let Some(run) = self.runs.get_mut(at) {
            run.has_text = true;
        }
        self.reply.push_text(message, text.into(), marked, out);
    }

    fn add_reasoning(&mut self, at: usize, piece: &str, marked: bool, out: &mut Vec<ReplyEvent>) {
        if piece.is_empty() {
            return;
        }
        // Thoughts after a text belong to the next one.
        if self.runs.get(at).and_then(|run| run.message).is_some_and(|message| self.reply.has_spoken(message)) {
            self.close(at, out);
        }
        let Some(message) = self.message(at, out) else { return };
        if let Some(run) = self.runs.get_mut(at) {
            run.reasoning.push_str(piece);
        }
        self.reply.push_reasoning(message, piece.to_owned().into(), marked, out);
    }

    fn handle_tool(&mut self, at: usize, kind: &str, event: &Json, out: &mut Vec<ReplyEvent>) {
        let Some(tool) = event.get("tool") else { return };
        let Some(wire) = self.start_call(at, tool, ExecutedBy::Server, out) else {
            return self.unknown_frames.report("a call without an id", out);
        };
        if kind == "ToolCallStarted" {
            return;
        }
        let has_failed = kind == "ToolCallError" || tool.get("tool_call_error") == Some(&Json::Bool(true));
        let outcome = if has_failed { CallOutcome::Failed } else { CallOutcome::Ok };
        let result = tool.get("result").filter(|result| !result.is_null()).or_else(|| event.get("error"));
        let seconds = tool.pointer("/metrics/duration").and_then(Json::as_f64).filter(|seconds| *seconds >= 0.0);
        let duration = seconds.map(|seconds| Millis((seconds * 1000.0).round() as u64));
        self.reply.calls.finish_after(&wire, outcome, result.map(result_text).unwrap_or_default(), duration, out);
    }

    /// Starts a call unless it runs. Returns its id in the stream.
    fn start_call(&mut self, at: usize, tool: &Json, ran_by: ExecutedBy, out: &mut Vec<ReplyEvent>) -> Option<String> {
        let word = |key: &str| tool.get(key).and_then(Json::as_str).filter(|text| !text.is_empty());
        let wire = word("tool_call_id")?.to_owned();
        if !self.reply.calls.is_running(&wire) {
            let message = self.message(at, out)?;
            self.reply.start_call(message, &wire, word("tool_name"), ran_by, out);
            let args = tool.get("tool_args").filter(|args| !args.is_null()).map(result_text).unwrap_or_default();
            self.reply.calls.complete(&wire, None, &args, out);
        }
        if let Some(run) = self.runs.get_mut(at) {
            run.last_call = Some(wire.clone());
        }
        Some(wire)
    }

    /// Ends a run. Its whole text counts only where none came before.
    fn handle_end(&mut self, at: usize, event: &Json, out: &mut Vec<ReplyEvent>) {
        let has_text = self.runs.get(at).is_some_and(|run| run.has_text);
        let is_told = has_text || (at == 0 && self.runs.iter().any(|run| run.has_text && run.parent.is_none()));
        let content = event.get("content").map(result_text).filter(|text| !text.is_empty() && !is_told);
        if let Some(text) = content
            && let Some(message) = self.message(at, out)
        {
            self.reply.set_text(message, &text, out);
        }
        self.close(at, out);
        if at == 0 {
            let told = event.get("metrics").and_then(usage::parse);
            self.usage = told.or(self.usage);
            self.outcome.get_or_insert(TurnOutcome::Completed);
            let urls = event.pointer("/citations/urls").and_then(Json::as_array);
            let source = |url: &Json| json!({ "title": url.get("title"), "url": url.get("url") });
            let sources: Vec<Json> = urls.into_iter().flatten().take(256).map(source).collect();
            if !sources.is_empty() {
                annotate(Annotation::Sources(sources.into()), out);
            }
        }
    }

    fn handle_error(&mut self, at: usize, event: &Json, out: &mut Vec<ReplyEvent>) {
        let word = |key: &str| event.get(key).and_then(Json::as_str).unwrap_or_default();
        let words = [word("content"), word("error")].into_iter().find(|text| !text.is_empty());
        let server_error = error::ServerError {
            message: error::to_single_line(words.unwrap_or("no reason given")),
            code: word("error_type").to_owned(),
            status: None,
        };
        if at == 0 {
            self.outcome = Some(TurnOutcome::Failed(error::to_fault(&server_error)));
        } else {
            // Its team goes on without it.
            let text = format!("a subagent failed: {}", server_error.message);
            out.push(ReplyEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::Subagent, text });
            self.close(at, out);
        }
    }

    /// Handles a run that waits for its person: for calls to be confirmed, answered or run elsewhere.
    fn handle_pause(&mut self, at: usize, event: &Json, out: &mut Vec<ReplyEvent>) {
        let tools = event.get("tools").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        let is_set = |tool: &Json, key: &str| tool.get(key) == Some(&Json::Bool(true));
        let keys = ["requires_confirmation", "requires_user_input", "external_execution_required"];
        let is_open =
            |tool: &&Json| tool.get("result").is_none_or(Json::is_null) && keys.iter().any(|key| is_set(tool, key));
        let mut about = Vec::new();
        let waiting: Vec<Json> = tools.iter().filter(is_open).cloned().collect();
        for tool in &waiting {
            self.start_call(at, tool, ExecutedBy::Client, out);
            about.push(format!("may it go on with {}?", tool.get("tool_name").map(result_text).unwrap_or_default()));
        }
        let requests = if waiting.is_empty() { vec![json!({ "event": event.get("event") })] } else { waiting };
        ask_person(&requests, &about, out);
        if at == 0 {
            self.outcome = Some(TurnOutcome::Completed);
        }
    }
}

impl Decode for AgnoDecoder {
    fn decode_frame(&mut self, frame: &SseFrame, out: &mut Vec<ReplyEvent>) {
        let data = frame.data.trim();
        if self.is_done() || data.is_empty() || data == "[DONE]" {
            return;
        }
        let repaired = surrogate::mark_if_lone(data);
        let json = serde_json::from_str::<Json>(repaired.as_deref().unwrap_or(data)).ok();
        match json.filter(|json| json.get("event").is_some_and(Json::is_string)) {
            Some(event) => self.handle_event(&event, repaired.is_some(), out),
            None => match error::find_error_in_unparsed(frame) {
                Some(server_error) => self.outcome = Some(TurnOutcome::Failed(error::to_fault(&server_error))),
                None => self.unknown_frames.report("data that is not an event", out),
            },
        }
    }

    fn finish(&mut self, out: &mut Vec<ReplyEvent>) {
        let outcome = self.outcome.take().unwrap_or(TurnOutcome::Interrupted);
        let reason = if outcome == TurnOutcome::Completed { None } else { Some(outcome.finish_reason()) };
        self.reply.close_all(reason, out);
        report_usage(self.usage.take().or(self.request_usage.take()), out);
        out.push(ReplyEvent::End { outcome });
    }

    fn has_failed(&self) -> bool {
        matches!(self.outcome, Some(TurnOutcome::Failed(Fault { .. })))
    }

    fn is_done(&self) -> bool {
        self.has_failed()
    }

    /// Events of the framework may follow.
    fn is_complete(&self) -> bool {
        self.outcome.is_some()
    }
}
