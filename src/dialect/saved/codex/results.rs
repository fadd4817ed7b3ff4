//! How calls ended: the output as the model got it, and what else the file says of commands.

use std::collections::HashMap;

use super::super::named;
use super::super::recorder::{Recorder, SavedResult};
use super::CodexLine;
use crate::dialect::program_reply::{content_text, word};
use crate::event::{CallOutcome, Json, Millis};

/// What the program says of a call that the person stopped.
const ABORT_WORDS: [&str; 2] = ["aborted by user", "aborted"];

/// How a command ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct CommandEnd {
    has_failed: bool,
    took: Option<Millis>,
}

/// Returns how commands ended, by the ids of their calls.
pub(super) fn command_ends<'a>(lines: impl Iterator<Item = &'a CodexLine>) -> HashMap<String, CommandEnd> {
    let events = lines.filter(|line| line.kind == "event_msg").map(|line| &line.payload);
    events.filter_map(command_end).collect()
}

fn command_end(event: &Json) -> Option<(String, CommandEnd)> {
    let (about, id) = match word(event, "type") {
        "item_completed" => (event.get("item")?, named(event.get("item")?, "id")?),
        "exec_command_end" | "mcp_tool_call_end" | "patch_apply_end" => (event, named(event, "call_id")?),
        _ => return None,
    };
    let has_failed = about.get("exit_code").and_then(Json::as_i64).is_some_and(|code| code != 0)
        || about.get("success").and_then(Json::as_bool) == Some(false)
        || matches!(word(about, "status"), "failed" | "declined");
    let took = about.get("duration").and_then(|took| {
        let part = |key: &str| took.get(key).and_then(Json::as_u64);
        Some(Millis(part("secs")?.saturating_mul(1000).saturating_add(part("nanos").unwrap_or_default() / 1_000_000)))
    });
    Some((id.to_owned(), CommandEnd { has_failed, took }))
}

/// Returns the result of a call.
pub(super) fn output_of(item: &Json, end: Option<&CommandEnd>, recorder: &mut Recorder) -> SavedResult {
    let output = item.get("output").unwrap_or(&Json::Null);
    let (mut text, mut has_failed) = (content_text(output), end.is_some_and(|end| end.has_failed));
    if let Json::Array(parts) = output {
        let images = parts.iter().filter(|part| word(part, "type") == "input_image").count();
        recorder.leave_out("images in outputs", images as u64);
    }
    if let Json::Object(_) = output {
        text = output.get("content").map(content_text).unwrap_or(text);
        has_failed |= output.get("success").and_then(Json::as_bool) == Some(false);
    } else if let Some(inner) = serde_json::from_str::<Json>(&text).ok().filter(|inner| inner.get("metadata").is_some())
        && let Some(told) = inner.get("output").and_then(Json::as_str)
    {
        has_failed |= inner.pointer("/metadata/exit_code").and_then(Json::as_i64).is_some_and(|code| code != 0);
        text = String::from(told);
    }
    let is_aborted = ABORT_WORDS.iter().any(|words| text.trim_end().ends_with(words)) && text.len() < 200;
    let outcome = match (is_aborted, has_failed) {
        (true, _) => CallOutcome::Cancelled,
        (false, true) => CallOutcome::Failed,
        (false, false) => CallOutcome::Ok,
    };
    SavedResult { outcome, text, took: end.and_then(|end| end.took) }
}
