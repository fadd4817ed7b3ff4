//! What Gemini CLI keeps: `tmp/PROJECT/chats/session-TIME-ID.jsonl`, a journal of changes; older versions wrote
//! `session-TIME-ID.json`, the same messages in one object.
//!
//! A line is a message, which replaces an earlier one of its id, or `$set` with a list of messages that replaces all. When
//! a session is resumed everything is written again, without counts and with new times, and results of calls are then
//! messages of their own; so of each message what was told first and most is kept.
//!
//! Source: files of Gemini CLI 0.61.0.

use std::collections::HashMap;

use super::files::{JsonLines, wall_time};
use super::recorder::{Recorder, SavedCall, SavedPrompt, SavedResult};
use super::{FileHead, SavedFile, SavedFormat, SavedId, SavedPlace, SavedSession, named};
use crate::dialect::program_reply::{to_run_fault, word};
use crate::dialect::surrogate;
use crate::event::{CallOutcome, Json, PromptImage, TurnOutcome, Usage};

pub(super) const FORMAT: SavedFormat = SavedFormat {
    name: "gemini-cli",
    title: "Gemini CLI",
    places: &[SavedPlace { variable: "GEMINI_CLI_HOME", below_variable: ".gemini/tmp", below_home: ".gemini/tmp" }],
    identify,
    read,
};

/// What the program tells its model before the first prompt.
const SESSION_CONTEXT: &str = "<session_context>";
/// Where the program puts in what a prompt mentions.
const REFERENCED: &str = "\n--- Content from referenced files ---";
const REFERENCED_END: &str = "\n--- End of content ---";

fn identify(head: &FileHead<'_>) -> Option<SavedId> {
    let members = head.members()?;
    members.get("projectHash")?;
    members.get("startTime")?;
    Some(SavedId::new(members.get("sessionId")?.as_str()?))
}

fn read(files: &[SavedFile]) -> Result<Vec<SavedSession>, String> {
    let file = files.first().ok_or("there is no file")?;
    let mut recorder = Recorder::new(&FORMAT);
    let journal = GeminiJournal::read(&file.bytes, &mut recorder);
    recorder.title = journal.summary;
    for message in &journal.messages {
        read_message(message, &mut recorder);
    }
    Ok(vec![recorder.finish(&file.id.id)?])
}

/// The messages as they were in the end, each with what was told of it first.
#[derive(Default)]
struct GeminiJournal {
    messages: Vec<Json>,
    summary: Option<String>,
    /// Of each message: its first time, and its richest form.
    known: HashMap<String, Json>,
}

impl GeminiJournal {
    fn read(bytes: &[u8], recorder: &mut Recorder) -> Self {
        let mut journal = Self::default();
        let whole = std::str::from_utf8(bytes).ok().and_then(surrogate::parse_json);
        if let Some(whole) = whole.filter(|whole| whole.get("messages").is_some()) {
            journal.set(&whole);
            return journal;
        }
        for line in JsonLines::new(bytes) {
            match line {
                Ok(line) => journal.change(line),
                Err(_) => recorder.leave_out("unreadable lines", 1),
            }
        }
        journal
    }

    fn change(&mut self, line: Json) {
        if let Some(set) = line.get("$set") {
            self.set(set);
        } else if let Some(rewind) = named(&line, "$rewindTo") {
            // What follows that message is taken back.
            if let Some(at) = self.messages.iter().position(|message| word(message, "id") == rewind) {
                self.messages.truncate(at);
            }
        } else if named(&line, "id").is_some() && named(&line, "type").is_some() {
            let message = self.enrich(line);
            match self.messages.iter_mut().rev().find(|known| word(known, "id") == word(&message, "id")) {
                Some(known) => *known = message,
                None => self.messages.push(message),
            }
        }
    }

    fn set(&mut self, set: &Json) {
        if let Some(summary) = named(set, "summary") {
            self.summary = Some(summary.to_owned());
        }
        if let Some(messages) = set.get("messages").and_then(Json::as_array) {
            self.messages = messages.iter().map(|message| self.enrich(message.clone())).collect();
        }
    }

    /// Returns the form of a message that tells most, with the time that was told first.
    fn enrich(&mut self, message: Json) -> Json {
        let id = word(&message, "id").to_owned();
        let Some(known) = self.known.get_mut(&id) else {
            self.known.insert(id, message.clone());
            return message;
        };
        let has_more = message.get("tokens").is_some() || known.get("tokens").is_none();
        if has_more {
            let first_time = known.get("timestamp").cloned();
            *known = message;
            if let (Some(time), Some(known)) = (first_time, known.as_object_mut()) {
                known.insert("timestamp".to_owned(), time);
            }
        }
        known.clone()
    }
}

fn read_message(message: &Json, recorder: &mut Recorder) {
    recorder.set_time(wall_time(message.get("timestamp")));
    match word(message, "type") {
        "user" => read_user(message, recorder),
        "gemini" => read_answer(message, recorder),
        "error" => {
            let words = parts_of(message).iter().map(text_of).collect::<String>();
            recorder.set_outcome(TurnOutcome::Failed(to_run_fault(&words, None)));
        }
        "info" | "warning" => recorder.leave_out("notes of the program", 1),
        _ => recorder.leave_out("messages of unknown kinds", 1),
    }
}

/// Returns the parts of a content, which may be a text.
fn parts_of(message: &Json) -> &[Json] {
    match message.get("content") {
        Some(Json::Array(parts)) => parts,
        Some(text @ Json::String(_)) => std::slice::from_ref(text),
        _ => &[],
    }
}

fn text_of(part: &Json) -> &str {
    part.as_str().unwrap_or_else(|| word(part, "text"))
}

fn read_user(message: &Json, recorder: &mut Recorder) {
    let (mut prompt, mut has_prompt, mut is_referenced) = (SavedPrompt::default(), false, false);
    for part in parts_of(message) {
        if let Some(response) = part.get("functionResponse") {
            finish_call(response, recorder);
        } else if let Some(data) = part.get("inlineData") {
            has_prompt = true;
            match PromptImage::from_base64(word(data, "data")) {
                Ok(image) => prompt.images.push(image),
                Err(_) => recorder.leave_out("files that went with prompts and are no images", 1),
            }
        } else {
            let text = text_of(part);
            if prompt.text.is_empty() && text.starts_with(SESSION_CONTEXT) {
                return recorder.leave_out("notes of the program for its model", 1);
            }
            is_referenced = (is_referenced || text == REFERENCED) && text != REFERENCED_END;
            if text == REFERENCED || text == REFERENCED_END || text.is_empty() {
                continue;
            }
            has_prompt = true;
            // What it mentions stays in the prompt, as the model got it.
            prompt.text.push_str(if prompt.text.is_empty() || is_referenced { "" } else { "\n\n" });
            prompt.text.push_str(text);
        }
    }
    if has_prompt {
        recorder.begin_turn(prompt);
    }
}

fn finish_call(response: &Json, recorder: &mut Recorder) {
    let id = named(response, "id").unwrap_or_else(|| word(response, "name"));
    if recorder.is_finished(id) {
        return;
    }
    let (text, has_failed) = told(response);
    let outcome = if has_failed { CallOutcome::Failed } else { CallOutcome::Ok };
    recorder.finish_call(id, SavedResult { outcome, text, took: None });
}

/// Returns what a function answered, and whether that is an error.
fn told(response: &Json) -> (String, bool) {
    let inside = response.get("response").unwrap_or(&Json::Null);
    match (inside.get("output"), inside.get("error")) {
        (_, Some(error)) => (error.as_str().map_or_else(|| error.to_string(), str::to_owned), true),
        (Some(Json::String(text)), None) => (text.clone(), false),
        (Some(other), None) => (other.to_string(), false),
        (None, None) => (if inside.is_null() { String::new() } else { inside.to_string() }, false),
    }
}

fn read_answer(message: &Json, recorder: &mut Recorder) {
    recorder.close_message("");
    recorder.enter_message("", word(message, "id"));
    recorder.set_model(word(message, "model"));
    for thought in message.get("thoughts").and_then(Json::as_array).into_iter().flatten() {
        let (subject, about) = (word(thought, "subject"), word(thought, "description"));
        recorder.push_reasoning("", &format!("**{subject}**\n{about}\n"));
    }
    let mut inside = Vec::new();
    for part in parts_of(message) {
        match part.get("functionCall") {
            Some(call) => inside.push(call),
            None if super::is_true(part, "thought") => recorder.push_reasoning("", text_of(part)),
            None => recorder.push_text("", text_of(part)),
        }
    }
    recorder.set_usage("", message.get("tokens").map(parse_tokens));
    let calls = message.get("toolCalls").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
    for call in inside.into_iter().chain(calls) {
        let args = call.get("args").map(Json::to_string).unwrap_or_default();
        let id = named(call, "id").unwrap_or_else(|| word(call, "name"));
        recorder.push_call("", SavedCall { id, name: word(call, "name"), args: &args });
    }
    for call in calls {
        read_result(call, recorder);
    }
}

fn read_result(call: &Json, recorder: &mut Recorder) {
    let outcome = match word(call, "status") {
        "success" => CallOutcome::Ok,
        "cancelled" => CallOutcome::Cancelled,
        "error" => CallOutcome::Failed,
        // It was still running.
        _ => return,
    };
    recorder.set_time(wall_time(call.get("timestamp")));
    let responses = call.get("result").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
    let texts: Vec<String> =
        responses.iter().filter_map(|part| part.get("functionResponse")).map(|response| told(response).0).collect();
    let id = named(call, "id").unwrap_or_else(|| word(call, "name"));
    recorder.finish_call(id, SavedResult { outcome, text: texts.join("\n"), took: None });
}

fn parse_tokens(tokens: &Json) -> Usage {
    let count = |key: &str| tokens.get(key).and_then(Json::as_u64).unwrap_or_default();
    Usage {
        input_tokens: count("input"),
        output_tokens: count("output").saturating_add(count("thoughts")),
        cached_tokens: count("cached"),
        reasoning_tokens: count("thoughts"),
        estimated: false,
    }
}
