//! What pi keeps: `agent/sessions/FOLDER/TIME_ID.jsonl`, first a line of the type `session`, then entries with an `id`
//! and the `parentId` that they follow. Going back adds a branch to that tree.
//!
//! Source: files of pi 1.6.0.

use std::collections::HashMap;

use super::files::{JsonLines, wall_time};
use super::recorder::{Recorder, SavedCall, SavedPrompt, SavedResult};
use super::{FileHead, SavedFile, SavedFormat, SavedId, SavedPlace, SavedSession, is_true, named};
use crate::dialect::program_reply::{content_text, to_run_fault, word};
use crate::dialect::usage;
use crate::event::{
    CallOutcome, FinishReason, Json, Millis, NoticeCode, NoticeLevel, PromptImage, Seq, TurnOutcome, Usage,
};

pub(super) const FORMAT: SavedFormat = SavedFormat {
    name: "pi",
    title: "pi",
    places: &[SavedPlace {
        variable: "PI_CODING_AGENT_DIR",
        below_variable: "sessions",
        below_home: ".pi/agent/sessions",
    }],
    identify,
    read,
};

fn identify(head: &FileHead<'_>) -> Option<SavedId> {
    let first = head.lines().next()?;
    let is_one =
        word(&first, "type") == "session" && named(&first, "timestamp").is_some() && first.get("cwd").is_some();
    is_one.then(|| named(&first, "id").map(SavedId::new)).flatten()
}

fn read(files: &[SavedFile]) -> Result<Vec<SavedSession>, String> {
    let file = files.first().ok_or("there is no file")?;
    let mut recorder = Recorder::new(&FORMAT);
    // The end of the turn in which an entry stands.
    let mut turn_of: HashMap<String, usize> = HashMap::new();
    let mut turns: Vec<Option<Seq>> = Vec::new();
    let mut open: Option<usize> = None;
    for line in JsonLines::new(&file.bytes) {
        let Ok(entry) = line else {
            recorder.leave_out("unreadable lines", 1);
            continue;
        };
        let followed = named(&entry, "parentId").and_then(|parent| turn_of.get(parent).copied());
        let is_prompt = entry.pointer("/message/role").and_then(Json::as_str) == Some("user");
        recorder.set_time(wall_time(entry.get("timestamp")));
        if is_prompt || (followed.is_some() && followed != open) {
            let end = recorder.end_turn();
            if let Some(turn) = open.and_then(|at| turns.get_mut(at)) {
                *turn = Some(end);
            }
            recorder.go_on_after(followed.and_then(|at| turns.get(at).copied().flatten()));
            turns.push(None);
            open = Some(turns.len() - 1);
        }
        if let (Some(id), Some(turn)) = (named(&entry, "id"), open.or(followed)) {
            turn_of.insert(id.to_owned(), turn);
        }
        read_entry(&entry, &mut recorder);
    }
    Ok(vec![recorder.finish(&file.id.id)?])
}

fn read_entry(entry: &Json, recorder: &mut Recorder) {
    match word(entry, "type") {
        "message" => read_message(entry.get("message").unwrap_or(&Json::Null), recorder),
        "model_change" => recorder.set_model(word(entry, "modelId")),
        "session_info" => recorder.title = named(entry, "name").map(str::to_owned),
        "compaction" => {
            let text = "the program shortened the conversation here".to_owned();
            recorder.notice(NoticeLevel::Info, NoticeCode::Compacting, text);
        }
        "branch_summary" | "custom_message" => recorder.leave_out("notes of the program for its model", 1),
        _ => {}
    }
}

fn read_message(message: &Json, recorder: &mut Recorder) {
    match word(message, "role") {
        "user" => {
            let prompt = prompt_of(message, recorder);
            recorder.begin_turn(prompt);
        }
        "assistant" => read_answer(message, recorder),
        "toolResult" => {
            let outcome = if is_true(message, "isError") { CallOutcome::Failed } else { CallOutcome::Ok };
            let content = message.get("content").unwrap_or(&Json::Null);
            let images =
                content.as_array().map_or(0, |parts| parts.iter().filter(|part| word(part, "type") == "image").count());
            recorder.leave_out("images in outputs", images as u64);
            let took = message.get("durationMs").and_then(Json::as_u64).map(Millis);
            recorder
                .finish_call(word(message, "toolCallId"), SavedResult { outcome, text: content_text(content), took });
        }
        "system" => recorder.leave_out("system prompts", 1),
        "bashExecution" => recorder.leave_out("commands that the person ran", 1),
        _ => recorder.leave_out("notes of the program for its model", 1),
    }
}

fn prompt_of(message: &Json, recorder: &mut Recorder) -> SavedPrompt {
    let mut prompt = SavedPrompt::default();
    match message.get("content") {
        Some(Json::String(text)) => prompt.text.clone_from(text),
        Some(Json::Array(parts)) => {
            for part in parts {
                match word(part, "type") {
                    "text" => {
                        let gap = if prompt.text.is_empty() { "" } else { "\n\n" };
                        prompt.text.push_str(gap);
                        prompt.text.push_str(word(part, "text"));
                    }
                    "image" => match PromptImage::from_base64(word(part, "data")) {
                        Ok(image) => prompt.images.push(image),
                        Err(_) => recorder.leave_out("images that can't be read", 1),
                    },
                    _ => recorder.leave_out("parts of unknown kinds", 1),
                }
            }
        }
        _ => {}
    }
    prompt
}

fn read_answer(message: &Json, recorder: &mut Recorder) {
    recorder.close_message("");
    recorder.enter_message("", word(message, "responseId"));
    recorder.set_model(word(message, "model"));
    for block in message.get("content").and_then(Json::as_array).into_iter().flatten() {
        match word(block, "type") {
            "text" => recorder.push_text("", word(block, "text")),
            "thinking" => {
                recorder.push_reasoning("", word(block, "thinking"));
                let signed = named(block, "thinkingSignature").is_some();
                recorder.leave_out("signatures of thinking", u64::from(signed));
            }
            "toolCall" => {
                let args = block.get("arguments").map(Json::to_string).unwrap_or_default();
                let call = SavedCall { id: word(block, "id"), name: word(block, "name"), args: &args };
                recorder.push_call("", call);
            }
            _ => recorder.leave_out("parts of unknown kinds", 1),
        }
    }
    let counts = message.get("usage").filter(|counts| counts.is_object());
    recorder.set_usage("", counts.and_then(parse_usage));
    if let Some(cost) = counts.and_then(|counts| counts.pointer("/cost/total")?.as_f64()) {
        recorder.add_cost(cost);
    }
    let reason = match word(message, "stopReason") {
        "error" => return recorder.set_outcome(TurnOutcome::Failed(to_run_fault(word(message, "errorMessage"), None))),
        "aborted" => return recorder.set_outcome(TurnOutcome::Cancelled),
        "toolUse" => FinishReason::ToolCalls,
        "length" => FinishReason::Length,
        _ => FinishReason::End,
    };
    recorder.set_finish_reason("", reason);
}

fn parse_usage(counts: &Json) -> Option<Usage> {
    let reasoning_tokens = counts.get("reasoning").and_then(Json::as_u64).unwrap_or_default();
    Some(Usage { reasoning_tokens, ..usage::parse(counts)? })
}
