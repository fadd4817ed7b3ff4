//! What Claude Code keeps: `projects/FOLDER/SESSION.jsonl`, and its sub-agents in `SESSION/subagents/agent-ID.jsonl`;
//! older versions have them among the lines of the session (`isSidechain`) or beside its file.
//!
//! A line has a `uuid` and the `parentUuid` that it follows: a tree, to which going back in a conversation adds a branch.
//! It can't be walked from its last line alone: results of calls that ran side by side follow each its own call, and only
//! one of them is on the way to what comes next. So lines are put together by turns: a line belongs to the turn of what it
//! follows, and a prompt begins one. A message comes in a line a block, each with the usage of the whole.
//!
//! Source: files of Claude Code 2.1.332 and 2.1.197.

mod sub_agents;
mod turns;

use self::sub_agents::{SubAgents, Threads};
use self::turns::{LineKind, TurnTree, line_kind, prompt_of};
use super::files::JsonLines;
use super::recorder::{Recorder, SavedCall, SavedPrompt, SavedResult};
use super::{FileHead, SavedFile, SavedFormat, SavedId, SavedPlace, SavedSession, files::wall_time, is_true, named};
use crate::dialect::program_reply::{content_text, to_run_fault, word};
use crate::dialect::usage;
use crate::event::{CallOutcome, FinishReason, Json, Millis, NoticeCode, NoticeLevel, Seq, TurnOutcome};

pub(super) const FORMAT: SavedFormat = SavedFormat {
    name: "claude-code",
    title: "Claude Code",
    places: &[SavedPlace { variable: "CLAUDE_CONFIG_DIR", below_variable: "projects", below_home: ".claude/projects" }],
    identify,
    read,
};

/// What the program answers itself where it needs no answer.
const NO_ANSWER: &str = "No response requested.";

fn identify(head: &FileHead<'_>) -> Option<SavedId> {
    let lines: Vec<Json> = head.lines().collect();
    let session = lines.iter().find_map(|line| named(line, "sessionId"))?;
    let said = lines.iter().find(|line| line.get("parentUuid").is_some() && named(line, "uuid").is_some())?;
    let agent = named(said, "agentId").filter(|_| is_true(said, "isSidechain"));
    Some(match agent {
        Some(agent) => SavedId { id: agent.to_owned(), parent: Some(session.to_owned()) },
        None => SavedId::new(session),
    })
}

fn read(files: &[SavedFile]) -> Result<Vec<SavedSession>, String> {
    let [main, others @ ..] = files else { return Err("there is no file".to_owned()) };
    let mut recorder = Recorder::new(&FORMAT);
    let mut lines = read_lines(&main.bytes, &mut recorder);
    if main.id.parent.is_some() {
        // The session that it is of is gone.
        lines.iter_mut().filter_map(Json::as_object_mut).for_each(|line| _ = line.remove("isSidechain"));
    }
    let (lines, mut agents) = SubAgents::split(lines);
    for other in others {
        agents.add(&other.id.id, read_lines(&other.bytes, &mut recorder));
    }
    recorder.title = title(&lines);
    agents.link(&lines);
    recorder.leave_out("sub-agents of no call", agents.unlinked());
    let mut reader = ClaudeCodeReader { recorder, cost_usd: None };
    reader.read_turns(&TurnTree::new(&lines), &agents);
    Ok(vec![reader.recorder.finish(&main.id.id)?])
}

fn read_lines(bytes: &[u8], recorder: &mut Recorder) -> Vec<Json> {
    let mut lines = Vec::new();
    for line in JsonLines::new(bytes) {
        match line {
            // What was sent to the model, as a whole, with every request.
            Ok(line) if word(&line, "type").starts_with("api-request") => {}
            Ok(line) => lines.push(line),
            Err(_) => recorder.leave_out("unreadable lines", 1),
        }
    }
    lines
}

/// Returns what the session is called: by the person, by the program, or by its older versions.
fn title(lines: &[Json]) -> Option<String> {
    let newest = |kind: &str, key: &str| {
        let line = lines.iter().rev().find(|line| word(line, "type") == kind)?;
        named(line, key).map(str::to_owned)
    };
    newest("custom-title", "customTitle")
        .or_else(|| newest("ai-title", "aiTitle"))
        .or_else(|| newest("summary", "summary"))
}

struct ClaudeCodeReader {
    recorder: Recorder,
    /// What the session cost so far.
    cost_usd: Option<f64>,
}

impl ClaudeCodeReader {
    fn read_turns(&mut self, tree: &TurnTree<'_>, agents: &SubAgents) {
        let mut threads = Threads::new(agents);
        let mut ends: Vec<Option<Seq>> = Vec::with_capacity(tree.turns.len());
        for turn in &tree.turns {
            let before = turn.parent.and_then(|parent| ends.get(parent).copied().flatten());
            if turn.is_idle_command() {
                self.recorder.leave_out("commands of the program", 1);
                ends.push(before);
                continue;
            }
            self.recorder.go_on_after(before);
            threads.begin_turn(&turn.lines);
            while let Some((thread, line)) = threads.next() {
                self.read_line(thread, line);
            }
            ends.push(Some(self.recorder.end_turn()));
        }
    }

    fn read_line(&mut self, thread: &str, line: &Json) {
        self.recorder.set_time(wall_time(line.get("timestamp")));
        match line_kind(line) {
            LineKind::Prompt if thread.is_empty() => {
                let prompt = prompt_of(line, &mut self.recorder);
                self.recorder.begin_turn(prompt);
            }
            // The prompt of a sub-agent is in the call that started it.
            LineKind::Prompt => {}
            LineKind::Steering(text) if thread.is_empty() => {
                let prompt = SavedPrompt { text: text.to_owned(), images: Vec::new() };
                self.recorder.push_prompt(prompt);
            }
            LineKind::Interrupted if thread.is_empty() => self.recorder.set_outcome(TurnOutcome::Cancelled),
            LineKind::Results => self.read_results(line),
            LineKind::Answer => self.read_answer(thread, line),
            LineKind::Compacted => self.recorder.notice(
                NoticeLevel::Info,
                NoticeCode::Compacting,
                "the program shortened the conversation here".to_owned(),
            ),
            LineKind::Cost(total) => {
                let spent = total - self.cost_usd.unwrap_or_default();
                self.cost_usd = Some(total);
                self.recorder.add_cost(spent);
            }
            LineKind::ForModel => self.recorder.leave_out("notes of the program for its model", 1),
            LineKind::Steering(_) | LineKind::Interrupted | LineKind::Bookkeeping => {}
        }
    }

    fn read_answer(&mut self, thread: &str, line: &Json) {
        let Some(message) = line.get("message") else { return };
        let blocks = message.get("content").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        let is_synthetic = word(message, "model") == "<synthetic>";
        let words = || blocks.iter().map(|block| word(block, "text")).collect::<String>();
        if is_true(line, "isApiErrorMessage")
            || (is_synthetic && line.get("error").is_some_and(|error| !error.is_null()))
        {
            if thread.is_empty() {
                self.recorder.set_outcome(TurnOutcome::Failed(to_run_fault(&words(), None)));
            }
            return;
        }
        if is_synthetic && words() == NO_ANSWER {
            return;
        }
        self.recorder.enter_message(thread, word(message, "id"));
        if !is_synthetic && thread.is_empty() {
            self.recorder.set_model(word(message, "model"));
        }
        for block in blocks {
            self.read_block(thread, block);
        }
        self.recorder.set_usage(thread, message.get("usage").and_then(usage::parse));
        let reason = match word(message, "stop_reason") {
            "end_turn" | "stop_sequence" => FinishReason::End,
            "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
            "refusal" => FinishReason::Refused,
            "tool_use" | "pause_turn" => FinishReason::ToolCalls,
            _ => return,
        };
        self.recorder.set_finish_reason(thread, reason);
    }

    fn read_block(&mut self, thread: &str, block: &Json) {
        match word(block, "type") {
            "text" => self.recorder.push_text(thread, word(block, "text")),
            "thinking" => {
                self.recorder.push_reasoning(thread, word(block, "thinking"));
                self.recorder.leave_out("signatures of thinking", u64::from(named(block, "signature").is_some()));
            }
            "redacted_thinking" => self.recorder.leave_out("thoughts that only the provider can read", 1),
            "tool_use" | "server_tool_use" | "mcp_tool_use" => {
                let args = block.get("input").map(Json::to_string).unwrap_or_default();
                let call = SavedCall { id: word(block, "id"), name: word(block, "name"), args: &args };
                self.recorder.push_call(thread, call);
            }
            kind if kind.ends_with("_tool_result") => self.finish_call(block, &Json::Null),
            _ => self.recorder.leave_out("blocks of unknown kinds", 1),
        }
    }

    fn read_results(&mut self, line: &Json) {
        let blocks = line.pointer("/message/content").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        for block in blocks {
            match word(block, "type") {
                "tool_result" => self.finish_call(block, line),
                _ => self.recorder.leave_out("notes of the program for its model", 1),
            }
        }
    }

    fn finish_call(&mut self, block: &Json, line: &Json) {
        let outcome = if named(line, "toolDenialKind").is_some() {
            CallOutcome::Denied
        } else if is_true(block, "is_error") {
            CallOutcome::Failed
        } else {
            CallOutcome::Ok
        };
        let content = block.get("content").unwrap_or(&Json::Null);
        let is_image = |part: &&Json| word(part, "type") == "image";
        let images = content.as_array().map_or(0, |parts| parts.iter().filter(is_image).count());
        self.recorder.leave_out("images in outputs", images as u64);
        let took = line.pointer("/toolUseResult/totalDurationMs").and_then(Json::as_u64).map(Millis);
        let result = SavedResult { outcome, text: content_text(content), took };
        self.recorder.finish_call(word(block, "tool_use_id"), result);
    }
}
