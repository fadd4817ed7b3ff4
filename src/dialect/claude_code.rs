//! What Claude Code prints with `-p --output-format stream-json --verbose`, and the programs that took its form over:
//! Qwen Code, and Grok Build as `streaming-messages-json`.
//!
//! A line is an object with a `type` and the `session_id`: `system` (`init` comes first), `assistant` with one block or
//! more of a message, `user` with the results of calls, and `result` at the end, whose keys come in any order. With
//! `--include-partial-messages` a `stream_event` wraps each event of Anthropic Messages, and the `assistant` line repeats
//! what they said. `parent_tool_use_id` names the call whose sub-agent a line is from.
//!
//! An error is told twice, as the words of a message and in the result; only the result counts. What it costs and uses
//! is in the result as well: after a resumed session the cost is that of all its runs. Qwen Code counts cached tokens as
//! input, numbers the blocks of each kind anew, and gives each its own message id.
//!
//! Source: recordings of Claude Code 2.1.332 and 2.1.197 and of Qwen Code 0.24.4.

mod result;
mod streamed;

use std::collections::HashMap;

use self::result::RunResult;
use self::streamed::{BlockKind, StreamedBlocks};
use super::program_reply::{CallStart, DecodeLines, MAIN_THREAD, ProgramReply, content_text, to_run_fault, word};
use super::usage;
use super::{DecodeContext, Dialect, Evidence, FirstFrame};
use crate::event::{
    Annotation, CallId, CallOutcome, FinishReason, Json, NoticeCode, NoticeLevel, ReplyEvent, ReplyTarget, TurnOutcome,
    UsageScope,
};

/// Also `--dialect claude-code`.
pub const DIALECT: Dialect = Dialect {
    name: "claude-code",
    title: "Claude Code's stream-json",
    decode: |_: &DecodeContext| Box::new(ClaudeCodeDecoder::default()),
    evidence,
    extends: None,
    limitations: "the prompt, times of calls, approvals",
};

fn evidence(first: &FirstFrame<'_>) -> Option<Evidence> {
    let (kind, subtype) = (first.kind(), first.text("subtype"));
    if first.text("session_id").is_empty() {
        return None;
    }
    let is_one = match kind {
        "system" => !subtype.is_empty(),
        "assistant" | "user" => first.has_in("message", "content"),
        "stream_event" => first.has_in("event", "type"),
        "result" => !subtype.is_empty() && first.has("is_error"),
        _ => false,
    };
    let what = if subtype.is_empty() { kind.to_owned() } else { format!("{kind}/{subtype}") };
    is_one.then(|| Evidence::shape(format!("a line of its session is {what}")))
}

/// What Claude Code writes where the person interrupted it.
const INTERRUPT_MARK: &str = "[Request interrupted by user";
/// How the words of an error begin that a program prints as its answer.
const ERROR_WORDS: &str = "[API Error: ";
/// Outputs of failed calls that are kept until the result says which were denied.
const MAX_FAILED_CALLS: usize = 512;

/// Decodes one run.
#[derive(Debug, Default)]
pub struct ClaudeCodeDecoder {
    reply: ProgramReply,
    /// What streams, by thread.
    streamed: HashMap<String, StreamedBlocks>,
    /// Outputs of failed calls.
    failed_calls: HashMap<String, String>,
    /// Text that is an error if the result says so: its thread and the words.
    doubtful_text: Option<(String, String)>,
    /// The words of an error that came as a message.
    error_words: Option<String>,
    was_interrupted: bool,
    request_count: u32,
    /// A failure that is the run's if nothing follows.
    doubtful_result: Option<RunResult>,
    result: Option<RunResult>,
}

impl ClaudeCodeDecoder {
    fn handle_system(&mut self, line: &Json, out: &mut Vec<ReplyEvent>) {
        let notice = |code, text: String| ReplyEvent::Notice { level: NoticeLevel::Info, code, text };
        match word(line, "subtype") {
            "init" => self.reply.tell_server(Some(word(line, "session_id")), Some(word(line, "model")), out),
            "api_retry" => {
                let number = |key: &str| line.get(key).and_then(Json::as_u64).unwrap_or_default();
                let (attempt, status) = (number("attempt"), number("error_status"));
                let why = if status > 0 { format!("status {status}") } else { word(line, "error").to_owned() };
                out.push(notice(NoticeCode::Recoverable, format!("the program tries again ({attempt}): {why}")));
            }
            "compact_boundary" => {
                out.push(notice(NoticeCode::Compacting, "the program shortened the conversation".to_owned()));
            }
            "task_progress" | "task_notification" if self.reply.knows_call(word(line, "tool_use_id")) => {
                let tokens = line.pointer("/usage/total_tokens").and_then(Json::as_u64);
                let is_running = word(line, "subtype") == "task_progress";
                let doing = Some(word(line, "description").to_owned()).filter(|text| is_running && !text.is_empty());
                let on = ReplyTarget::Call(CallId::new(word(line, "tool_use_id")));
                out.push(ReplyEvent::Annotation { on, annotation: Annotation::SubAgent { tokens, doing } });
            }
            // What sub-agents, hooks and the interface do besides.
            _ => {}
        }
    }

    fn handle_assistant(&mut self, line: &Json, thread: &str, out: &mut Vec<ReplyEvent>) {
        self.doubtful_result = None;
        let Some(message) = line.get("message") else { return };
        let blocks = message.get("content").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        let is_error = line.get("is_api_error_message").and_then(Json::as_bool) == Some(true)
            || line.get("isApiErrorMessage").and_then(Json::as_bool) == Some(true)
            || (word(message, "model") == "<synthetic>" && line.get("error").is_some_and(|error| !error.is_null()));
        if is_error {
            self.error_words = Some(blocks.iter().map(|block| word(block, "text")).collect());
            return;
        }
        self.reply.tell_server(None, Some(word(message, "model")).filter(|model| *model != "<synthetic>"), out);
        for block in blocks {
            if !self.take_streamed(block, thread, out) {
                self.tell_doubtful_text(None, out);
                if word(block, "type") == "text" {
                    self.withdraw_unfinished_text(thread, out);
                }
                self.reply.enter_message(thread, word(message, "id"), out);
                self.handle_block(block, thread, out);
            }
        }
        self.observe_stop_reason(message, thread);
    }

    /// Returns whether the block was streamed before; what was missing of it is told.
    fn take_streamed(&mut self, block: &Json, thread: &str, out: &mut Vec<ReplyEvent>) -> bool {
        match word(block, "type") {
            "tool_use" | "server_tool_use" | "mcp_tool_use" => {
                let id = word(block, "id");
                if !self.reply.knows_call(id) {
                    return false;
                }
                self.reply.make_ready(id, block.get("input"), out);
                true
            }
            kind @ ("text" | "thinking") => {
                let kind = if kind == "text" { BlockKind::Text } else { BlockKind::Thinking };
                let key = if kind == BlockKind::Text { "text" } else { "thinking" };
                let Some(streamed) = self.streamed.get_mut(thread) else { return false };
                let Some(rest) = streamed.confirm(&kind, word(block, key)) else { return false };
                let rest = rest.to_owned();
                self.push_block_text(&kind, &rest, thread, out);
                true
            }
            _ => false,
        }
    }

    fn push_block_text(&mut self, kind: &BlockKind, text: &str, thread: &str, out: &mut Vec<ReplyEvent>) {
        match kind {
            BlockKind::Thinking => self.reply.push_reasoning(thread, text, out),
            _ => self.push_text(text, thread, out),
        }
    }

    fn handle_block(&mut self, block: &Json, thread: &str, out: &mut Vec<ReplyEvent>) {
        match word(block, "type") {
            "text" => self.push_text(word(block, "text"), thread, out),
            "thinking" => self.reply.push_reasoning(thread, word(block, "thinking"), out),
            "tool_use" | "server_tool_use" | "mcp_tool_use" => {
                let start = CallStart { thread, id: word(block, "id"), name: word(block, "name") };
                self.reply.start_whole_call(start, block.get("input"), out);
            }
            kind if kind.ends_with("_tool_result") => self.finish_call(block, &Json::Null, out),
            "redacted_thinking" | "compaction" => {}
            other => self.reply.unknown_frames.report(other, out),
        }
    }

    /// Tells a text; its end may be an error that only the result shows to be one.
    fn push_text(&mut self, text: &str, thread: &str, out: &mut Vec<ReplyEvent>) {
        if let Some((of, doubtful)) = &mut self.doubtful_text
            && of == thread
        {
            return doubtful.push_str(text);
        }
        let (sure, doubtful) = text.split_at(text.rfind(ERROR_WORDS).unwrap_or(text.len()));
        self.reply.push_text(thread, sure, out);
        if !doubtful.is_empty() {
            self.doubtful_text = Some((thread.to_owned(), doubtful.to_owned()));
        }
    }

    /// Tells the text that was held back, unless it is this error.
    fn tell_doubtful_text(&mut self, error: Option<&str>, out: &mut Vec<ReplyEvent>) {
        let Some((thread, text)) = self.doubtful_text.take() else { return };
        // A hint may follow the error in one place and not in the other.
        let first_words = |text: &str| text.split_whitespace().take(4).collect::<Vec<_>>().join(" ");
        if error.is_none_or(|error| !error.contains(first_words(&text).trim_end_matches(']'))) {
            self.reply.push_text(&thread, &text, out);
        }
    }

    fn handle_user(&mut self, line: &Json, thread: &str, out: &mut Vec<ReplyEvent>) {
        let content = line.get("message").and_then(|message| message.get("content"));
        let blocks = match content {
            Some(Json::Array(blocks)) => blocks.as_slice(),
            Some(Json::String(text)) => {
                self.was_interrupted |= thread.is_empty() && text.starts_with(INTERRUPT_MARK);
                return;
            }
            _ => return,
        };
        for block in blocks {
            match word(block, "type") {
                "tool_result" => self.finish_call(block, line, out),
                // A prompt, perhaps of a sub-agent, or a mark of the program.
                "text" => {
                    self.was_interrupted |= thread.is_empty() && word(block, "text").starts_with(INTERRUPT_MARK);
                }
                _ => {}
            }
        }
    }

    fn finish_call(&mut self, block: &Json, line: &Json, out: &mut Vec<ReplyEvent>) {
        self.tell_doubtful_text(None, out);
        let id = word(block, "tool_use_id");
        let text = content_text(block.get("content").unwrap_or(&Json::Null));
        let has_failed = block.get("is_error").and_then(Json::as_bool) == Some(true);
        let outcome = match has_failed {
            true if is_denied(line, id) => CallOutcome::Denied,
            true => CallOutcome::Failed,
            false => CallOutcome::Ok,
        };
        if outcome == CallOutcome::Failed && self.failed_calls.len() < MAX_FAILED_CALLS {
            self.failed_calls.insert(id.to_owned(), text.clone());
        }
        self.streamed.remove(id);
        self.reply.finish_call(id, outcome, text, None, out);
    }

    fn handle_stream_event(&mut self, event: &Json, thread: &str, out: &mut Vec<ReplyEvent>) {
        let index = event.get("index").and_then(Json::as_u64).unwrap_or_default();
        let kind = word(event, "type");
        if matches!(kind, "message_start" | "content_block_start") {
            self.tell_doubtful_text(None, out);
        }
        match kind {
            "message_start" => {
                let message = event.get("message").unwrap_or(&Json::Null);
                self.reply.tell_server(None, Some(word(message, "model")), out);
                self.reply.enter_message(thread, word(message, "id"), out);
                self.streamed.insert(thread.to_owned(), StreamedBlocks::default());
            }
            "content_block_start" => {
                let block = event.get("content_block").unwrap_or(&Json::Null);
                let kind = BlockKind::of(block);
                self.streamed.entry(thread.to_owned()).or_default().start(index, kind.clone());
                if let BlockKind::Call(id) = &kind {
                    self.reply.start_call(CallStart { thread, id, name: word(block, "name") }, out);
                } else {
                    let key = if kind == BlockKind::Thinking { "thinking" } else { "text" };
                    self.push_streamed(index, &kind, word(block, key), thread, out);
                }
            }
            "content_block_delta" => {
                let delta = event.get("delta").unwrap_or(&Json::Null);
                match word(delta, "type") {
                    "text_delta" => self.push_streamed(index, &BlockKind::Text, word(delta, "text"), thread, out),
                    "thinking_delta" => {
                        self.push_streamed(index, &BlockKind::Thinking, word(delta, "thinking"), thread, out);
                    }
                    "input_json_delta" => {
                        let streamed = self.streamed.entry(thread.to_owned()).or_default();
                        if let Some(id) = streamed.call(index).map(str::to_owned) {
                            self.reply.push_args(&id, word(delta, "partial_json"), out);
                        }
                    }
                    _ => {}
                }
            }
            "content_block_stop" => {
                let streamed = self.streamed.entry(thread.to_owned()).or_default();
                if let Some(id) = streamed.stop(index) {
                    self.reply.make_ready(&id, None, out);
                }
            }
            "message_delta" => {
                self.observe_stop_reason(event.get("delta").unwrap_or(&Json::Null), thread);
                self.report_request(event.get("usage"), thread, out);
            }
            "message_stop" => {
                let from = event.get("abandoned_blocks").and_then(|blocks| blocks.get("from_block_index")?.as_u64());
                if let Some(from) = from {
                    self.withdraw(from, thread, out);
                }
            }
            // Qwen Code's goals, and what newer versions add.
            _ => {}
        }
    }

    fn push_streamed(&mut self, index: u64, kind: &BlockKind, text: &str, thread: &str, out: &mut Vec<ReplyEvent>) {
        if text.is_empty() {
            return;
        }
        self.streamed.entry(thread.to_owned()).or_default().push(index, kind, text);
        if *kind == BlockKind::Text {
            self.push_text(text, thread, out);
        } else {
            self.push_block_text(kind, text, thread, out);
        }
    }

    /// Takes back a text that still streams where another one is told whole: its stream broke, and the program asked again.
    fn withdraw_unfinished_text(&mut self, thread: &str, out: &mut Vec<ReplyEvent>) {
        if let Some(from) = self.streamed.get(thread).and_then(StreamedBlocks::first_unfinished_text) {
            self.withdraw(from, thread, out);
        }
    }

    /// Takes back what was streamed from a block on: the program asks again.
    fn withdraw(&mut self, from: u64, thread: &str, out: &mut Vec<ReplyEvent>) {
        let Some(streamed) = self.streamed.remove(thread) else { return };
        for id in streamed.calls_from(from) {
            if !self.reply.is_call_finished(id) {
                self.reply.finish_call(id, CallOutcome::Cancelled, "the program asked again", None, out);
            }
        }
        if streamed.has_text_from(from) {
            self.reply.finish_message_as(thread, Some(streamed.text_before(from)), out);
        }
    }

    fn observe_stop_reason(&mut self, message: &Json, thread: &str) {
        if let Some(reason) = result::finish_reason(word(message, "stop_reason")) {
            self.reply.set_finish_reason(thread, reason);
        }
    }

    /// Reports what a request used, which only streams tell. Requests of sub-agents are in no sum of the program.
    fn report_request(&mut self, counts: Option<&Json>, thread: &str, out: &mut Vec<ReplyEvent>) {
        if let Some(usage) = counts.and_then(usage::parse).filter(|_| thread.is_empty()) {
            self.request_count = self.request_count.saturating_add(1);
            out.push(ReplyEvent::UsageReported { scope: UsageScope::Request(self.request_count), usage });
        }
    }

    fn handle_result(&mut self, line: &Json, out: &mut Vec<ReplyEvent>) {
        let result = RunResult::parse(line, self.was_interrupted, self.error_words.take());
        // Qwen Code tells so that a sub-agent failed, without saying which; the run goes on.
        if let (TurnOutcome::Failed(fault), true) = (&result.outcome, RunResult::took_no_time(line)) {
            let text = format!("a sub-agent failed: {}", fault.message);
            out.push(ReplyEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::Warning, text });
            self.doubtful_result = Some(result);
            return;
        }
        let error = match &result.outcome {
            TurnOutcome::Failed(fault) => Some(fault.message.clone()),
            _ => None,
        };
        self.tell_doubtful_text(error.as_deref(), out);
        for id in RunResult::denied_calls(line) {
            if let Some(text) = self.failed_calls.remove(id) {
                self.reply.finish_call(id, CallOutcome::Denied, text, None, out);
            }
        }
        if result.finish_reason == Some(FinishReason::Length) || result.finish_reason == Some(FinishReason::Refused) {
            result.finish_reason.into_iter().for_each(|reason| self.reply.set_finish_reason(MAIN_THREAD, reason));
        }
        self.result = Some(result);
    }
}

/// Returns whether a line says that a call was not permitted.
fn is_denied(line: &Json, id: &str) -> bool {
    let results = line.get("tool_result_meta").and_then(Json::as_array).into_iter().flatten();
    let decisions = results.filter(|meta| word(meta, "id") == id).filter_map(|meta| meta.get("permission_decision"));
    decisions.into_iter().any(|decision| matches!(word(decision, "decision"), "deny" | "reject"))
}

impl DecodeLines for ClaudeCodeDecoder {
    fn reply(&mut self) -> &mut ProgramReply {
        &mut self.reply
    }

    fn handle_line(&mut self, line: &Json, out: &mut Vec<ReplyEvent>) {
        let thread = word(line, "parent_tool_use_id");
        match word(line, "type") {
            "system" => self.handle_system(line, out),
            "assistant" => self.handle_assistant(line, thread, out),
            "user" => self.handle_user(line, thread, out),
            "stream_event" => {
                if let Some(event) = line.get("event") {
                    self.handle_stream_event(event, thread, out);
                }
            }
            "result" => self.handle_result(line, out),
            // Progress, limits and control messages, which say nothing of the answer.
            "control_request"
            | "control_response"
            | "control_cancel_request"
            | "keep_alive"
            | "rate_limit_event"
            | "tool_progress"
            | "tool_use_summary"
            | "auth_status"
            | "prompt_suggestion" => {}
            other => self.reply.unknown_frames.report(other, out),
        }
    }

    fn outcome(&self) -> Option<&TurnOutcome> {
        self.result.as_ref().map(|result| &result.outcome)
    }

    fn finish_run(&mut self, out: &mut Vec<ReplyEvent>) -> TurnOutcome {
        self.tell_doubtful_text(None, out);
        match self.result.take().or(self.doubtful_result.take()) {
            Some(result) => {
                result.report(out);
                result.outcome
            }
            None => match self.error_words.take() {
                Some(words) => TurnOutcome::Failed(to_run_fault(&words, None)),
                None => TurnOutcome::Interrupted,
            },
        }
    }

    fn begins_run(&self, line: &Json) -> bool {
        match word(line, "type") {
            "assistant" | "user" | "result" => true,
            "system" => word(line, "subtype") == "init",
            "stream_event" => line.get("event").is_some_and(|event| word(event, "type") == "message_start"),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
