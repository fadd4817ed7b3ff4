//! What opencode keeps: a database ([`database`]), and what `opencode export` writes of it: `{info, messages: [{info,
//! parts}]}`. opencode itself keeps sessions in a database.
//!
//! A session of a sub-agent has a `parentID`; the call that started it names it in its metadata. Prompts that came from
//! the command line are kept with its quotes.
//!
//! Source: exports of opencode 1.18.33.

mod database;

use std::collections::HashMap;

use super::files::wall_time;
use super::recorder::{Recorder, SavedCall, SavedPrompt, SavedResult};
use super::{FileHead, SavedFile, SavedFormat, SavedId, SavedPlace, SavedSession, is_true, named};
use crate::dialect::program_reply::{to_run_fault, word};
use crate::dialect::{surrogate, usage};
use crate::event::{CallOutcome, FinishReason, Json, Millis, NoticeCode, NoticeLevel, PromptImage, TurnOutcome};

pub(super) const FORMAT: SavedFormat = SavedFormat {
    name: "opencode",
    title: "opencode",
    places: &[SavedPlace {
        variable: "XDG_DATA_HOME",
        below_variable: "opencode/opencode.db",
        below_home: ".local/share/opencode/opencode.db",
    }],
    identify,
    read,
};

/// Sub-agents within sub-agents.
const MAX_DEPTH: usize = 16;

fn identify(head: &FileHead<'_>) -> Option<SavedId> {
    if head.is_database() {
        return database::is_beginning(head.bytes()).then(|| SavedId::new(""));
    }
    let members = head.members()?;
    members.get("messages")?;
    let info = members.get("info")?;
    info.get("projectID")?;
    let parent = named(info, "parentID").map(str::to_owned);
    Some(SavedId { id: named(info, "id")?.to_owned(), parent })
}

fn read(files: &[SavedFile]) -> Result<Vec<SavedSession>, String> {
    let parse = |file: &SavedFile| std::str::from_utf8(&file.bytes).ok().and_then(surrogate::parse_json);
    let [main, others @ ..] = files else { return Err("there is no file".to_owned()) };
    if FileHead::new(&main.bytes).is_database() {
        return database::read(main);
    }
    let session = parse(main).ok_or("it is no whole JSON; was the export cut?")?;
    let agents: HashMap<String, Json> =
        others.iter().filter_map(|file| Some((file.id.id.clone(), parse(file)?))).collect();
    let unreadable = others.len() - agents.len();
    let mut read = read_session(&session, agents)?;
    if unreadable > 0 {
        *read.left_out.entry("unreadable files").or_default() += unreadable as u64;
    }
    Ok(vec![read])
}

/// Reads a session and those of its sub-agents, by their ids.
pub(super) fn read_session(session: &Json, agents: HashMap<String, Json>) -> Result<SavedSession, String> {
    let info = session.get("info").ok_or("it tells nothing of the session")?;
    let mut reader = OpencodeReader { recorder: Recorder::new(&FORMAT), agents };
    reader.recorder.title = named(info, "title").map(str::to_owned);
    reader.read_messages("", session, 0);
    let left = reader.agents.len() as u64;
    reader.recorder.leave_out("sub-agents of no call", left);
    reader.recorder.finish(word(info, "id"))
}

struct OpencodeReader {
    recorder: Recorder,
    /// Those that no call was found for yet.
    agents: HashMap<String, Json>,
}

impl OpencodeReader {
    fn read_messages(&mut self, thread: &str, session: &Json, depth: usize) {
        for message in session.get("messages").and_then(Json::as_array).into_iter().flatten() {
            let info = message.get("info").unwrap_or(&Json::Null);
            let parts = message.get("parts").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
            self.recorder.set_time(wall_time(info.pointer("/time/created")));
            match word(info, "role") {
                "user" if thread.is_empty() => {
                    let prompt = self.prompt_of(parts);
                    self.recorder.begin_turn(prompt);
                }
                // The prompt of a sub-agent is in the call that started it.
                "user" => {}
                _ => self.read_answer(thread, info, parts, depth),
            }
        }
    }

    fn prompt_of(&mut self, parts: &[Json]) -> SavedPrompt {
        let mut prompt = SavedPrompt::default();
        for part in parts {
            match word(part, "type") {
                "text" if is_true(part, "synthetic") => {
                    self.recorder.leave_out("notes of the program for its model", 1);
                }
                "text" => {
                    let gap = if prompt.text.is_empty() { "" } else { "\n\n" };
                    prompt.text.push_str(gap);
                    prompt.text.push_str(word(part, "text"));
                }
                "file" => match PromptImage::from_data_url(word(part, "url")) {
                    Ok(image) => prompt.images.push(image),
                    // One at an address is not fetched.
                    Err(_) => self.recorder.leave_out("files that went with prompts and are no images", 1),
                },
                "compaction" => self.recorder.notice(
                    NoticeLevel::Info,
                    NoticeCode::Compacting,
                    "the program shortened the conversation here".to_owned(),
                ),
                _ => self.recorder.leave_out("parts of unknown kinds", 1),
            }
        }
        prompt
    }

    fn read_answer(&mut self, thread: &str, info: &Json, parts: &[Json], depth: usize) {
        self.recorder.close_message(thread);
        self.recorder.enter_message(thread, word(info, "id"));
        if thread.is_empty() {
            self.recorder.set_model(word(info, "modelID"));
            self.recorder.add_cost(info.get("cost").and_then(Json::as_f64).unwrap_or_default());
        }
        self.recorder.set_usage(thread, info.get("tokens").and_then(usage::parse));
        let reason = match word(info, "finish") {
            "tool-calls" => Some(FinishReason::ToolCalls),
            "stop" => Some(FinishReason::End),
            "length" => Some(FinishReason::Length),
            "content-filter" => Some(FinishReason::Refused),
            // It broke off.
            _ if info.pointer("/time/completed").is_none() => Some(FinishReason::Interrupted),
            _ => None,
        };
        if let Some(reason) = reason {
            self.recorder.set_finish_reason(thread, reason);
        }
        // Calls run once the message is complete.
        for part in parts {
            self.read_part(thread, part);
        }
        for part in parts.iter().filter(|part| word(part, "type") == "tool") {
            self.read_result(part, depth);
        }
        self.recorder.set_time(wall_time(info.pointer("/time/completed")));
        if let Some(error) = info.get("error").filter(|error| !error.is_null() && thread.is_empty()) {
            let words = error.pointer("/data/message").and_then(Json::as_str).unwrap_or_else(|| word(error, "name"));
            let outcome = match word(error, "name") {
                "MessageAbortedError" => TurnOutcome::Cancelled,
                _ => TurnOutcome::Failed(to_run_fault(words, error.pointer("/data/statusCode").and_then(Json::as_u64))),
            };
            self.recorder.set_outcome(outcome);
        }
    }

    fn read_part(&mut self, thread: &str, part: &Json) {
        self.recorder.set_time(wall_time(part.pointer("/time/start")));
        match word(part, "type") {
            "text" => self.recorder.push_text(thread, word(part, "text")),
            "reasoning" => self.recorder.push_reasoning(thread, word(part, "text")),
            "tool" => {
                self.recorder.set_time(wall_time(part.pointer("/state/time/start")));
                let args = part.pointer("/state/input").map(Json::to_string).unwrap_or_default();
                let call = SavedCall { id: word(part, "callID"), name: word(part, "tool"), args: &args };
                self.recorder.push_call(thread, call);
            }
            "step-start" | "step-finish" | "snapshot" | "patch" => {}
            _ => self.recorder.leave_out("parts of unknown kinds", 1),
        }
    }

    fn read_result(&mut self, part: &Json, depth: usize) {
        let (state, call) = (part.get("state").unwrap_or(&Json::Null), word(part, "callID"));
        let agent = state.pointer("/metadata/sessionId").and_then(Json::as_str);
        if let Some(agent) = agent.and_then(|agent| self.agents.remove(agent)).filter(|_| depth < MAX_DEPTH) {
            self.read_messages(call, &agent, depth + 1);
        }
        let outcome = match word(state, "status") {
            "completed" => CallOutcome::Ok,
            "error" => CallOutcome::Failed,
            // It was running.
            _ => return,
        };
        // A command that failed is completed as well.
        let exit = state.pointer("/metadata/exit").and_then(Json::as_i64);
        let outcome = if exit.is_some_and(|exit| exit != 0) { CallOutcome::Failed } else { outcome };
        let (start, end) = (wall_time(state.pointer("/time/start")), wall_time(state.pointer("/time/end")));
        self.recorder.set_time(end);
        let took = start.zip(end).map(|(start, end)| Millis(end.saturating_sub(start)));
        let text = named(state, "output").unwrap_or_else(|| word(state, "error")).to_owned();
        self.recorder.finish_call(call, SavedResult { outcome, text, took });
    }
}
