//! Arrays of messages as the OpenAI chat API takes them, `[{role, content, tool_calls}]` or `{"messages": […]}`, one in a
//! file or one a line; also with blocks of content as the Anthropic API has them.
//!
//! No program keeps these in a place of its own. They tell neither times nor names unless somebody put them in, so the
//! caller names them, and they get the time of their file.

use super::files::{JsonLines, wall_time};
use super::recorder::{Recorder, SavedCall, SavedPrompt, SavedResult};
use super::{FileHead, SavedFile, SavedFormat, SavedId, SavedSession, is_true, named};
use crate::dialect::program_reply::{content_text, word};
use crate::dialect::{surrogate, usage};
use crate::event::{CallOutcome, FinishReason, Json, PromptImage};

pub(super) const FORMAT: SavedFormat =
    SavedFormat { name: "openai", title: "an array of messages", places: &[], identify, read };

/// Of a file, one conversation a line.
const MAX_CONVERSATIONS: usize = 100_000;

fn identify(head: &FileHead<'_>) -> Option<SavedId> {
    if head.first_element().is_some_and(|first| is_message(&first)) {
        return Some(SavedId::new(""));
    }
    let members = head.members()?;
    let is_one = match members.get("messages")? {
        Json::Array(messages) => messages.first().is_some_and(is_message),
        // It is longer than the beginning.
        Json::Null => true,
        _ => false,
    };
    is_one.then(|| SavedId::new(members.get("id").and_then(Json::as_str).unwrap_or_default()))
}

fn is_message(json: &Json) -> bool {
    named(json, "role").is_some() && (json.get("content").is_some() || json.get("tool_calls").is_some())
}

fn read(files: &[SavedFile]) -> Result<Vec<SavedSession>, String> {
    let file = files.first().ok_or("there is no file")?;
    let bytes = file.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&file.bytes);
    let whole = std::str::from_utf8(bytes).ok().and_then(surrogate::parse_json);
    if let Some(whole) = whole {
        return Ok(vec![read_conversation(&whole, file, 0)?]);
    }
    let (mut sessions, mut bad) = (Vec::new(), 0);
    for line in JsonLines::new(bytes).take(MAX_CONVERSATIONS) {
        match line {
            Ok(line) => sessions.extend(read_conversation(&line, file, bad)),
            Err(_) => bad += 1,
        }
    }
    match sessions.first_mut() {
        Some(_) => Ok(sessions),
        None => Err("it is no whole JSON".to_owned()),
    }
}

fn read_conversation(json: &Json, file: &SavedFile, bad_lines: u64) -> Result<SavedSession, String> {
    let messages = json.as_array().or_else(|| json.get("messages")?.as_array());
    let messages = messages.ok_or("it has no array of messages")?;
    let mut recorder = Recorder::new(&FORMAT);
    recorder.leave_out("unreadable lines", bad_lines);
    let created = ["created", "created_at", "timestamp"].into_iter().find_map(|key| wall_time(json.get(key)));
    recorder.set_time(created.or(Some(file.modified)));
    recorder.title = named(json, "title").map(str::to_owned);
    recorder.set_model(word(json, "model"));
    for message in messages {
        recorder.set_time(["timestamp", "created_at"].into_iter().find_map(|key| wall_time(message.get(key))));
        read_message(message, &mut recorder);
    }
    recorder.finish(word(json, "id"))
}

fn read_message(message: &Json, recorder: &mut Recorder) {
    match word(message, "role") {
        "user" => read_user(message, recorder),
        "assistant" => read_answer(message, recorder),
        "tool" | "function" => {
            let key = named(message, "tool_call_id").unwrap_or_else(|| word(message, "name"));
            finish_call(key, message, recorder);
        }
        "system" | "developer" => recorder.leave_out("system prompts", 1),
        _ => recorder.leave_out("messages of unknown roles", 1),
    }
}

fn read_user(message: &Json, recorder: &mut Recorder) {
    let mut prompt = SavedPrompt::default();
    let mut has_prompt = false;
    match message.get("content") {
        Some(Json::String(text)) => (prompt.text, has_prompt) = (text.clone(), true),
        Some(Json::Array(parts)) => {
            for part in parts {
                has_prompt |= read_part(part, &mut prompt, recorder);
            }
        }
        _ => recorder.leave_out("messages without content", 1),
    }
    if has_prompt {
        recorder.begin_turn(prompt);
    }
}

/// Adds a part to a prompt; returns whether it is one of a prompt.
fn read_part(part: &Json, prompt: &mut SavedPrompt, recorder: &mut Recorder) -> bool {
    match word(part, "type") {
        "text" | "input_text" => {
            if !prompt.text.is_empty() {
                prompt.text.push_str("\n\n");
            }
            prompt.text.push_str(word(part, "text"));
        }
        "image_url" | "input_image" | "image" => {
            let url = part.pointer("/image_url/url").or_else(|| part.get("image_url")).and_then(Json::as_str);
            let data = part.pointer("/source/data").and_then(Json::as_str);
            let image = match (data, url) {
                (Some(data), _) => PromptImage::from_base64(data),
                (None, url) => PromptImage::from_data_url(url.unwrap_or_default()),
            };
            match image {
                Ok(image) => prompt.images.push(image),
                // One at an address is not fetched.
                Err(_) => recorder.leave_out("images that are not in the file or can't be read", 1),
            }
        }
        "tool_result" => {
            finish_call(word(part, "tool_use_id"), part, recorder);
            return false;
        }
        _ => recorder.leave_out("parts of unknown kinds", 1),
    }
    true
}

fn finish_call(key: &str, result: &Json, recorder: &mut Recorder) {
    let outcome = if is_true(result, "is_error") { CallOutcome::Failed } else { CallOutcome::Ok };
    let text = result.get("content").map(content_text).unwrap_or_default();
    recorder.finish_call(key, SavedResult { outcome, text, took: None });
}

fn read_answer(message: &Json, recorder: &mut Recorder) {
    // Each is one message.
    recorder.close_message("");
    recorder.enter_message("", word(message, "id"));
    recorder.set_model(word(message, "model"));
    for key in ["reasoning_content", "reasoning"] {
        if let Some(thoughts) = named(message, key) {
            recorder.push_reasoning("", thoughts);
            break;
        }
    }
    match message.get("content") {
        Some(Json::String(text)) => recorder.push_text("", text),
        Some(Json::Array(blocks)) => blocks.iter().for_each(|block| read_block(block, recorder)),
        _ => {}
    }
    recorder.push_text("", word(message, "refusal"));
    for call in message.get("tool_calls").and_then(Json::as_array).into_iter().flatten() {
        let function = call.get("function").or_else(|| call.get("custom")).unwrap_or(call);
        read_call(word(call, "id"), function, &["arguments", "input"], recorder);
    }
    if let Some(function) = message.get("function_call").filter(|function| function.is_object()) {
        read_call(word(function, "name"), function, &["arguments"], recorder);
    }
    recorder.set_usage("", message.get("usage").and_then(usage::parse));
    if named(message, "refusal").is_some() {
        recorder.set_finish_reason("", FinishReason::Refused);
    }
}

fn read_block(block: &Json, recorder: &mut Recorder) {
    match word(block, "type") {
        "text" | "output_text" => recorder.push_text("", word(block, "text")),
        "refusal" => recorder.push_text("", word(block, "refusal")),
        "thinking" => {
            recorder.push_reasoning("", word(block, "thinking"));
            recorder.leave_out("signatures of thinking", u64::from(named(block, "signature").is_some()));
        }
        "redacted_thinking" => recorder.leave_out("thoughts that only the provider can read", 1),
        "tool_use" => read_call(word(block, "id"), block, &["input"], recorder),
        _ => recorder.leave_out("parts of unknown kinds", 1),
    }
}

fn read_call(id: &str, function: &Json, args_keys: &[&str], recorder: &mut Recorder) {
    let args = args_keys.iter().find_map(|key| function.get(*key));
    let args = match args {
        Some(Json::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    recorder.push_call("", SavedCall { id, name: word(function, "name"), args: &args });
}
