//! What Codex keeps: `sessions/YYYY/MM/DD/rollout-TIME-ID.jsonl`, a file for each sub-agent too.
//!
//! A line has a `timestamp`, a `type` and a `payload`; the oldest versions wrote the payload alone. Everything is in it
//! twice: `response_item` is what went to the model and came from it, `event_msg` what was shown. The first is read; of
//! the second only what the first lacks: how turns and commands ended, and what was taken back. Prompts stand among what
//! the program told its model unasked, and are told apart by `content_item_kinds`, in older versions by their first words.
//!
//! Source: files of Codex 0.171.0.

mod prompts;
mod results;

use std::collections::HashMap;

use self::prompts::{PromptText, prompt_of};
use self::results::{CommandEnd, command_ends, output_of};
use super::files::{JsonLines, wall_time};
use super::recorder::{Recorder, SavedCall, SavedResult};
use super::{FileHead, SavedFile, SavedFormat, SavedId, SavedPlace, SavedSession, named};
use crate::dialect::program_reply::{to_run_fault, word};
use crate::dialect::usage;
use crate::event::{CallOutcome, Json, NoticeCode, NoticeLevel, Seq, TurnOutcome};

pub(super) const FORMAT: SavedFormat = SavedFormat {
    name: "codex",
    title: "Codex",
    places: &[
        SavedPlace { variable: "CODEX_HOME", below_variable: "sessions", below_home: ".codex/sessions" },
        SavedPlace {
            variable: "CODEX_HOME",
            below_variable: "archived_sessions",
            below_home: ".codex/archived_sessions",
        },
    ],
    identify,
    read,
};

fn identify(head: &FileHead<'_>) -> Option<SavedId> {
    let first = head.lines().next()?;
    let is_old =
        first.get("type").is_none() && first.get("instructions").is_some() && named(&first, "timestamp").is_some();
    let meta = if word(&first, "type") == "session_meta" { first.get("payload")? } else { &first };
    if !is_old && word(&first, "type") != "session_meta" {
        return None;
    }
    let parent = named(meta, "parent_thread_id")
        .or_else(|| meta.pointer("/source/subagent/thread_spawn/parent_thread_id")?.as_str());
    Some(SavedId { id: named(meta, "id")?.to_owned(), parent: parent.map(str::to_owned) })
}

fn read(files: &[SavedFile]) -> Result<Vec<SavedSession>, String> {
    let [main, others @ ..] = files else { return Err("there is no file".to_owned()) };
    let mut recorder = Recorder::new(&FORMAT);
    let lines = read_lines(&main.bytes, &mut recorder);
    let agents: HashMap<&str, Vec<CodexLine>> =
        others.iter().map(|file| (file.id.id.as_str(), read_lines(&file.bytes, &mut recorder))).collect();
    let ends = command_ends(lines.iter().chain(agents.values().flatten()));
    let mut reader = CodexReader { recorder, ends, turns: Vec::new(), is_running: false, has_prompt: false };
    reader.read_threads(&lines, &agents);
    Ok(vec![reader.recorder.finish(&main.id.id)?])
}

/// A line, whichever version wrote it.
struct CodexLine {
    time: Option<u64>,
    kind: String,
    payload: Json,
}

fn read_lines(bytes: &[u8], recorder: &mut Recorder) -> Vec<CodexLine> {
    let mut lines = Vec::new();
    for line in JsonLines::new(bytes) {
        let Ok(mut line) = line else {
            recorder.leave_out("unreadable lines", 1);
            continue;
        };
        let time = wall_time(line.get("timestamp"));
        let kind = word(&line, "type").to_owned();
        match line.get_mut("payload").map(Json::take) {
            Some(payload) => lines.push(CodexLine { time, kind, payload }),
            None if kind.is_empty() => {}
            None => lines.push(CodexLine { time, kind: "response_item".to_owned(), payload: line }),
        }
    }
    lines
}

/// A sub-agent whose lines are told between those of its session.
struct OpenAgent<'a> {
    call: String,
    lines: std::collections::VecDeque<&'a CodexLine>,
}

struct CodexReader {
    recorder: Recorder,
    ends: HashMap<String, CommandEnd>,
    /// The ends of the turns of the branch.
    turns: Vec<Seq>,
    /// Whether a task was started and has not ended.
    is_running: bool,
    /// Whether the running task had a prompt.
    has_prompt: bool,
}

impl CodexReader {
    fn read_threads(&mut self, lines: &[CodexLine], agents: &HashMap<&str, Vec<CodexLine>>) {
        let mut waiting: HashMap<&str, &[CodexLine]> =
            agents.iter().map(|(id, lines)| (*id, lines.as_slice())).collect();
        let mut open: Vec<OpenAgent<'_>> = Vec::new();
        for line in lines {
            let ends_turn = matches!(word(&line.payload, "type"), "task_complete" | "turn_aborted" | "turn_complete");
            self.read_agents(&mut open, &mut waiting, if ends_turn { None } else { line.time.or(Some(0)) });
            self.read_line("", line);
            open_agent(line, &mut waiting, &mut open);
        }
        self.read_agents(&mut open, &mut waiting, None);
        self.recorder.leave_out("sub-agents of no call", waiting.len() as u64);
    }

    /// Reads what sub-agents did before a time; all of it without one.
    fn read_agents<'a>(
        &mut self,
        open: &mut Vec<OpenAgent<'a>>,
        waiting: &mut HashMap<&str, &'a [CodexLine]>,
        before: Option<u64>,
    ) {
        loop {
            open.retain(|agent| !agent.lines.is_empty());
            let time = |agent: &OpenAgent<'_>| agent.lines.front().and_then(|line| line.time).unwrap_or_default();
            let Some(agent) = open.iter_mut().min_by_key(|agent| time(agent)) else { return };
            if before.is_some_and(|before| time(agent) >= before) {
                return;
            }
            let Some(line) = agent.lines.pop_front() else { return };
            let call = agent.call.clone();
            self.read_line(&call, line);
            open_agent(line, waiting, open);
        }
    }

    fn read_line(&mut self, thread: &str, line: &CodexLine) {
        self.recorder.set_time(line.time);
        match line.kind.as_str() {
            "response_item" => self.read_item(thread, &line.payload),
            "event_msg" if thread.is_empty() => self.read_event(&line.payload),
            "turn_context" if thread.is_empty() => self.recorder.set_model(word(&line.payload, "model")),
            "token_usage_record" => {
                let counts = line.payload.get("usage").and_then(usage::parse);
                self.recorder.set_usage(thread, counts);
            }
            "compacted" if thread.is_empty() => {
                let text = "the program shortened the conversation here".to_owned();
                self.recorder.notice(NoticeLevel::Info, NoticeCode::Compacting, text);
            }
            _ => {}
        }
    }

    fn read_item(&mut self, thread: &str, item: &Json) {
        match word(item, "type") {
            "message" => self.read_message(thread, item),
            "reasoning" => {
                for key in ["summary", "content"] {
                    for part in item.get(key).and_then(Json::as_array).into_iter().flatten() {
                        self.recorder.push_reasoning(thread, word(part, "text"));
                    }
                }
                let hidden = u64::from(named(item, "encrypted_content").is_some());
                self.recorder.leave_out("thoughts that only the provider can read", hidden);
            }
            "function_call" => self.push_call(thread, item, item.get("arguments")),
            "custom_tool_call" => self.push_call(thread, item, item.get("input")),
            "local_shell_call" => self.push_call(thread, item, item.get("action")),
            "web_search_call" | "image_generation_call" => {
                let id = named(item, "id").unwrap_or(word(item, "type"));
                let args = item.get("action").map(Json::to_string).unwrap_or_default();
                self.recorder.push_call(
                    thread,
                    SavedCall { id, name: word(item, "type").trim_end_matches("_call"), args: &args },
                );
                let result = SavedResult { outcome: CallOutcome::Ok, text: String::new(), took: None };
                self.recorder.finish_call(id, result);
            }
            "function_call_output" | "custom_tool_call_output" | "local_shell_call_output" => {
                let call = word(item, "call_id");
                let result = output_of(item, self.ends.get(call), &mut self.recorder);
                self.recorder.finish_call(call, result);
            }
            "" | "ghost_snapshot" => {}
            _ => self.recorder.leave_out("items of unknown kinds", 1),
        }
    }

    fn push_call(&mut self, thread: &str, item: &Json, args: Option<&Json>) {
        let id = named(item, "call_id").unwrap_or_else(|| word(item, "id"));
        let name = named(item, "name").unwrap_or("local_shell");
        // What one tool takes is no JSON but a text of its own.
        let args = match args {
            Some(Json::String(text)) if word(item, "type") == "function_call" => text.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        };
        self.recorder.push_call(thread, SavedCall { id, name, args: &args });
    }

    fn read_message(&mut self, thread: &str, item: &Json) {
        let parts = item.get("content").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        match word(item, "role") {
            "assistant" => {
                self.recorder.enter_message(thread, word(item, "id"));
                for part in parts {
                    let text = named(part, "text").unwrap_or_else(|| word(part, "refusal"));
                    self.recorder.push_text(thread, text);
                }
            }
            "user" => match prompt_of(item, parts, &mut self.recorder) {
                // The prompt of a sub-agent is in the call that started it.
                PromptText::Prompt(_) if !thread.is_empty() => {}
                PromptText::Prompt(prompt) if self.is_running && self.has_prompt => self.recorder.push_prompt(prompt),
                PromptText::Prompt(prompt) => {
                    self.go_on();
                    self.recorder.begin_turn(prompt);
                    self.has_prompt = true;
                }
                PromptText::Interrupted if thread.is_empty() => self.recorder.set_outcome(TurnOutcome::Cancelled),
                PromptText::Interrupted => {}
                PromptText::ForModel => self.recorder.leave_out("notes of the program for its model", 1),
            },
            _ => self.recorder.leave_out("notes of the program for its model", 1),
        }
    }

    fn read_event(&mut self, event: &Json) {
        match word(event, "type") {
            "task_started" | "turn_started" => (self.is_running, self.has_prompt) = (true, false),
            "task_complete" | "turn_complete" => {
                let words = event.get("error").filter(|error| !error.is_null());
                let words = words.map(|error| named(error, "message").map_or_else(|| error.to_string(), str::to_owned));
                if let Some(words) = words {
                    let words = told_inside(&words).unwrap_or(words);
                    self.recorder.set_outcome(TurnOutcome::Failed(to_run_fault(&words, None)));
                }
                self.end_turn();
            }
            "turn_aborted" => {
                let is_cancelled = matches!(word(event, "reason"), "interrupted" | "replaced" | "");
                self.recorder.set_outcome(if is_cancelled { TurnOutcome::Cancelled } else { TurnOutcome::Interrupted });
                self.end_turn();
            }
            "thread_rolled_back" => {
                self.go_on();
                let count = event.get("num_turns").and_then(Json::as_u64).unwrap_or(1);
                let count = usize::try_from(count).unwrap_or(usize::MAX);
                self.turns.truncate(self.turns.len().saturating_sub(count));
            }
            "error" => self.recorder.set_outcome(TurnOutcome::Failed(to_run_fault(word(event, "message"), None))),
            "context_compacted" => {}
            "thread_name_updated" => self.recorder.title = named(event, "thread_name").map(str::to_owned),
            _ => {}
        }
    }

    fn end_turn(&mut self) {
        (self.is_running, self.has_prompt) = (false, false);
        self.go_on();
    }

    /// Ends the open turn; what follows goes on after the last one that was not taken back.
    fn go_on(&mut self) {
        if let Some(end) = self.recorder.end_open_turn() {
            self.turns.push(end);
        } else {
            self.recorder.go_on_after(self.turns.last().copied());
        }
    }
}

/// Has the lines of a sub-agent told from here on, if this line is the result of the call that started it.
fn open_agent<'a>(line: &CodexLine, waiting: &mut HashMap<&str, &'a [CodexLine]>, open: &mut Vec<OpenAgent<'a>>) {
    if waiting.is_empty() || word(&line.payload, "type") != "function_call_output" {
        return;
    }
    let output = word(&line.payload, "output");
    let agent =
        serde_json::from_str::<Json>(output).ok().and_then(|output| named(&output, "agent_id").map(str::to_owned));
    if let Some(lines) = agent.and_then(|agent| waiting.remove(agent.as_str())) {
        open.push(OpenAgent { call: word(&line.payload, "call_id").to_owned(), lines: lines.iter().collect() });
    }
}

/// Returns the words of an error in the body of a response.
fn told_inside(words: &str) -> Option<String> {
    let body: Json = serde_json::from_str(words).ok()?;
    Some(crate::dialect::error::parse(&body)?.message)
}
