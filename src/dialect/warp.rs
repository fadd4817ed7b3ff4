//! Warp blocks, one JSON object per line. In the stream, a text block is a delta and a tool block the whole state of
//! its call so far; the last line repeats everything whole, and replaces it. Other blocks are shown as Markdown: code
//! as code, the rest pretty-printed. The field `finish_reason` stands next to the blocks, and only where the answer is
//! incomplete.
//!
//! Calls are for the client, which may run them. Those of our own server have a `status`, and the server runs them:
//! text after them is another message.

mod blocks;
mod call;
pub mod encode;

use self::blocks::{block_kind, block_text, end_paragraph, to_markdown};
use self::call::WarpCall;
use super::answer::MESSAGE_SEPARATOR;
use super::arguments::{self, begins_object};
use super::borrowed_json::BorrowedJson;
use super::finish_reason::{self, FinishTracker};
use super::server_calls::{self, ServerCalls};
use super::stray::Stray;
use super::text_assembler::{SegmentKind, TextAssembler, strip_reasoning};
use super::unknown_frames::UnknownFrames;
use super::{Decode, Dialect, Evidence, FirstFrame, SseFrame, error, surrogate, usage};
use crate::event::{
    CallId, Fault, FaultKind, FinishReason, Json, MessageId, NoticeCode, NoticeLevel, ReplyEvent, Role, TextKind,
    TurnOutcome, Usage, UsageScope,
};

/// Also `--dialect warp`.
pub const DIALECT: Dialect = Dialect {
    name: "warp",
    title: "Warp blocks",
    decode: |_| Box::new(WarpDecoder::new()),
    evidence,
    extends: None,
    limitations: "reasoning and call results, except from our own server",
};

fn evidence(first: &FirstFrame<'_>) -> Option<Evidence> {
    let has_blocks = first.object()?.get("blocks").is_some_and(Json::is_array);
    has_blocks.then(|| Evidence::shape("its lines hold blocks"))
}

const MAX_CALLS: usize = 128;
/// Bytes of text, and of arguments, kept for comparison with the last line.
const MAX_COMPARED_BYTES: usize = 16 * 1024 * 1024;

/// Fields of a line for the finish reason.
const FINISH_REASON_KEYS: &[&str] = &["finish_reason", "stop_reason", "done_reason"];

/// Decodes one answer.
#[derive(Debug)]
pub struct WarpDecoder {
    message: MessageId,
    /// Messages closed so far.
    closed_messages: u32,
    /// One of them had text that the last line repeats.
    has_several_messages: bool,
    /// The server ran calls since the text before.
    after_calls: bool,
    server_calls: ServerCalls,
    open: bool,
    assembler: TextAssembler,
    /// The text so far, and whether it is all of it.
    text: String,
    is_text_truncated: bool,
    /// The previous block was not text, so the next one is a paragraph of its own.
    starts_apart: bool,
    /// There were blocks that are not text.
    has_other_blocks: bool,
    calls: Vec<WarpCall>,
    full_text: Option<String>,
    finish_tracker: FinishTracker,
    usage: Option<Usage>,
    fault: Option<Fault>,
    stray: Stray,
    /// The server says that the answer did not fail but ended early.
    early_outcome: Option<TurnOutcome>,
    done: bool,
    unknown_frames: UnknownFrames,
}

impl Default for WarpDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl WarpDecoder {
    pub fn new() -> Self {
        Self {
            message: "m1".into(),
            closed_messages: 0,
            has_several_messages: false,
            after_calls: false,
            server_calls: ServerCalls::default(),
            open: false,
            assembler: TextAssembler::default(),
            text: String::new(),
            is_text_truncated: false,
            starts_apart: false,
            has_other_blocks: false,
            calls: Vec::new(),
            full_text: None,
            finish_tracker: FinishTracker::default(),
            usage: None,
            fault: None,
            stray: Stray::default(),
            early_outcome: None,
            done: false,
            unknown_frames: UnknownFrames::default(),
        }
    }

    fn handle_line(&mut self, event: &str, line: &BorrowedJson<'_>, out: &mut Vec<ReplyEvent>) {
        let Some(BorrowedJson::Array(blocks)) = line.get("blocks") else {
            match error::find_error(&SseFrame::named(event, line.to_json().to_string())) {
                Some(server_error) => self.fault = Some(error::to_fault(&server_error)),
                None => self.unknown_frames.report("a line without blocks", out),
            }
            return;
        };
        let flag = |key: &str| line.get(key).and_then(BorrowedJson::as_bool);
        let is_last = flag("complete") == Some(true) || flag("streaming") != Some(true);
        self.usage = usage::merge(self.usage, line.get("usage").and_then(|wire| usage::parse(&wire.to_json())));
        if let Some(word) = FINISH_REASON_KEYS.iter().find_map(|key| finish_reason_word(line.get(key))) {
            self.finish_tracker.observe(word, out);
        }
        if line.get("actions").is_some_and(|actions| !actions.elements().is_empty()) {
            self.unknown_frames.report("actions beside the blocks", out);
        }
        let mut nth = 0;
        let mut tools = Vec::new();
        let mut whole = String::new();
        for block in blocks {
            match block_kind(block) {
                "tool_call" => {
                    let tool = block.get("tool").unwrap_or(block);
                    let call_state = tool.to_json();
                    if server_calls::is_server_call(&call_state) {
                        // The last line repeats the known calls, and before them the text: nothing there is new.
                        if !is_last || !self.server_calls.is_known(&call_state) {
                            tools.push(call_state);
                        }
                    } else {
                        self.handle_call(tool, nth, out);
                        nth += 1;
                    }
                }
                "error" => self.handle_error(&block.to_json(), out),
                "text" if is_last => whole.push_str(block_text(block)),
                "text" => self.push_text(block_text(block), out),
                _ if is_last => {
                    end_paragraph(&mut whole);
                    whole.push_str(&to_markdown(block));
                    whole.push_str("\n\n");
                }
                _ => {
                    let block = to_markdown(block);
                    self.show_block(&block, out);
                }
            }
        }
        if is_last {
            self.handle_last_line(&whole, flag("truncated") != Some(true), out);
        }
        for tool in tools {
            self.handle_server_call(&tool, out);
        }
    }

    /// Handles the state of a call that the server runs.
    fn handle_server_call(&mut self, tool: &Json, out: &mut Vec<ReplyEvent>) {
        self.begin_message(out);
        let (message, taken) = (self.message.clone(), &self.calls);
        let unique = |id: &str| {
            let mut id = id.to_owned();
            while taken.iter().any(|call| call.id.as_str() == id) {
                id.push_str("_2");
            }
            CallId::new(id)
        };
        if let Err(odd) = self.server_calls.observe(tool, &message, unique, out) {
            self.unknown_frames.report(odd, out);
        }
        self.after_calls = true;
    }

    fn handle_error(&mut self, block: &Json, out: &mut Vec<ReplyEvent>) {
        let server_error =
            error::parse_error_object(block).or_else(|| block.get("text").and_then(error::parse_error_object));
        let message = server_error.map_or_else(|| block.to_string(), |server_error| server_error.message);
        if block.get("recoverable").and_then(Json::as_bool) == Some(true) {
            let text = format!("the server had a problem and continues: {message}");
            out.push(ReplyEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::Recoverable, text });
            return;
        }
        let code = block.get("code").and_then(Json::as_str).unwrap_or_default();
        match code {
            "cancelled" => self.early_outcome = Some(TurnOutcome::Cancelled),
            "interrupted" => self.early_outcome = Some(TurnOutcome::Interrupted),
            _ => {}
        }
        let kind = serde_json::from_value(code.into()).unwrap_or(FaultKind::Upstream);
        self.fault.get_or_insert(Fault::new(kind, message));
    }

    fn push_text(&mut self, text: &str, out: &mut Vec<ReplyEvent>) {
        let text = if std::mem::take(&mut self.after_calls) { self.next_message(text, out) } else { text };
        if text.is_empty() {
            return;
        }
        if std::mem::take(&mut self.starts_apart) {
            self.emit_text("\n\n", out);
        }
        let mut split = Vec::new();
        self.assembler.push(text.into(), false, false, &mut split);
        self.emit_segments(split, out);
    }

    /// Ends the current message after server calls. Returns the text without the separator.
    fn next_message<'t>(&mut self, text: &'t str, out: &mut Vec<ReplyEvent>) -> &'t str {
        self.flush(out);
        self.assembler = TextAssembler::default();
        self.has_several_messages |= self.open;
        self.close_message(FinishReason::ToolCalls, None, out);
        let rest = text.strip_prefix(MESSAGE_SEPARATOR).filter(|_| !self.text.is_empty());
        if rest.is_some() {
            self.append_text(MESSAGE_SEPARATOR);
        }
        rest.unwrap_or(text)
    }

    /// Emits what was held back, when no text follows.
    fn flush(&mut self, out: &mut Vec<ReplyEvent>) {
        let mut split = Vec::new();
        self.assembler.flush(&mut split);
        self.emit_segments(split, out);
    }

    /// Closes the open message before the end; what follows is another one.
    fn close_message(&mut self, finish_reason: FinishReason, full: Option<String>, out: &mut Vec<ReplyEvent>) {
        if std::mem::take(&mut self.open) {
            self.closed_messages += 1;
            let next = MessageId::new(format!("m{}", self.closed_messages + 1));
            let message = std::mem::replace(&mut self.message, next);
            out.push(ReplyEvent::MessageFinished { message, finish_reason, full_text: full, provider_metadata: None });
        }
    }

    fn show_block(&mut self, text: &str, out: &mut Vec<ReplyEvent>) {
        self.flush(out);
        self.assembler = TextAssembler::default();
        self.has_other_blocks = true;
        if !self.text.is_empty() {
            self.emit_text("\n\n", out);
        }
        self.emit_text(text, out);
        self.starts_apart = true;
    }

    fn emit_segments(&mut self, split: Vec<(SegmentKind, String)>, out: &mut Vec<ReplyEvent>) {
        for (kind, text) in split {
            match kind {
                SegmentKind::Text => self.emit_text(&text, out),
                SegmentKind::LateReasoning if !self.open || self.has_other_blocks || !self.calls.is_empty() => {}
                SegmentKind::Reasoning | SegmentKind::LateReasoning => {
                    self.begin_message(out);
                    if !text.is_empty() {
                        out.push(ReplyEvent::ReasoningDelta { message: self.message.clone(), text });
                    }
                    // The text emitted so far was reasoning; the answer is another message.
                    if kind == SegmentKind::LateReasoning {
                        self.text = String::new();
                        self.close_message(FinishReason::End, Some(String::new()), out);
                    }
                }
            }
        }
    }

    fn emit_text(&mut self, text: &str, out: &mut Vec<ReplyEvent>) {
        self.begin_message(out);
        self.append_text(text);
        out.push(ReplyEvent::TextDelta { message: self.message.clone(), text: text.to_owned(), kind: TextKind::Text });
    }

    fn append_text(&mut self, text: &str) {
        if self.text.len().saturating_add(text.len()) <= MAX_COMPARED_BYTES {
            self.text.push_str(text);
        } else {
            self.is_text_truncated = true;
        }
    }

    fn begin_message(&mut self, out: &mut Vec<ReplyEvent>) {
        if !std::mem::replace(&mut self.open, true) {
            let role = Role::Assistant;
            out.push(ReplyEvent::MessageStarted { message: self.message.clone(), role, parent: None });
        }
    }

    /// Handles the whole answer in the last line. What was not streamed before is emitted now.
    fn handle_last_line(&mut self, whole: &str, is_all: bool, out: &mut Vec<ReplyEvent>) {
        self.done = true;
        let whole = whole.trim_end_matches('\n');
        let is_first = self.text.is_empty() && !self.is_text_truncated && !self.has_several_messages;
        if is_first || (is_all && !self.has_other_blocks && !self.has_several_messages && !self.is_text_truncated) {
            let mut split = Vec::new();
            let is_known = self.assembler.reconcile(whole, &mut split);
            self.emit_segments(split, out);
            if is_known {
                return self.flush(out);
            }
        }
        self.flush(out);
        let answer = strip_reasoning(whole);
        let differs = || self.is_text_truncated || answer.trim_end() != self.text.trim_end();
        if !answer.is_empty() && is_all && !self.has_several_messages && differs() {
            self.full_text = Some(answer);
        }
    }

    /// Handles the state of the n-th call of a line.
    fn handle_call(&mut self, tool: &BorrowedJson<'_>, nth: usize, out: &mut Vec<ReplyEvent>) {
        let text = |json: &BorrowedJson<'_>, key: &str| {
            json.get(key).and_then(BorrowedJson::as_str).unwrap_or_default().to_owned()
        };
        let function = tool.get("function").unwrap_or(tool);
        let (wire_id, name) = (text(tool, "id"), text(function, "name"));
        let args = match function.get("arguments") {
            None | Some(BorrowedJson::Null) => String::new(),
            Some(BorrowedJson::String(text)) => text.clone().into_owned(),
            Some(args) => args.to_json().to_string(),
        };
        let by_id = self.calls.iter().position(|call| !wire_id.is_empty() && call.wire_id == wire_id);
        // A call may get its id after its first state.
        let by_place = || self.calls.get(nth).filter(|call| wire_id.is_empty() || call.wire_id.is_empty()).map(|_| nth);
        let at = match by_id.or_else(by_place) {
            Some(at) => at,
            None if self.calls.len() < MAX_CALLS => self.add_call(wire_id),
            None => return self.unknown_frames.report("too many tool calls", out),
        };
        self.begin_message(out);
        let Some(call) = self.calls.get_mut(at) else { return };
        if args.len() > MAX_COMPARED_BYTES / MAX_CALLS {
            return self.unknown_frames.report("tool arguments that are too large", out);
        }
        if call.name.is_empty() {
            call.name = name;
        }
        if !call.started && !call.name.is_empty() {
            call.start(&self.message, out);
        }
        let is_piece = !args.starts_with(&call.args) && !call.args.is_empty() && !begins_object(&args);
        let args = if is_piece && call.is_open() { format!("{}{args}", call.args) } else { args };
        if args.len() >= call.args.len() {
            if call.started
                && let Some(more) = args.strip_prefix(call.args.as_str()).filter(|more| !more.is_empty())
            {
                out.push(ReplyEvent::ToolArgsDelta { call: call.id.clone(), json: more.to_owned() });
            }
            call.args = args;
        }
    }

    fn add_call(&mut self, wire_id: String) -> usize {
        let at = self.calls.len();
        let mut id = if wire_id.is_empty() { format!("call_{}", at + 1) } else { wire_id.clone() };
        while self.calls.iter().any(|call| call.id.as_str() == id) {
            id.push_str("_2");
        }
        let (name, args) = (String::new(), String::new());
        self.calls.push(WarpCall { wire_id, id: CallId::new(id), name, args, started: false });
        at
    }
}

impl Decode for WarpDecoder {
    fn decode_frame(&mut self, frame: &SseFrame, out: &mut Vec<ReplyEvent>) {
        if self.is_done() {
            return;
        }
        let Some(frame) = self.stray.parse_line(frame) else { return };
        if frame.data.trim() == "[DONE]" {
            self.done = true;
            return;
        }
        let repaired = surrogate::replace_lone(&frame.data);
        match serde_json::from_str::<BorrowedJson<'_>>(repaired.as_deref().unwrap_or(&frame.data)) {
            Ok(line) if line.is_object() => {
                self.stray.clear();
                self.handle_line(&frame.event, &line, out);
            }
            _ => {
                if let Some(server_error) = error::find_error_in_unparsed(&frame) {
                    self.fault = Some(error::to_fault(&server_error));
                } else {
                    self.stray.push(&frame.data);
                    self.unknown_frames.report("a line that is not a JSON object", out);
                }
            }
        }
    }

    fn finish(&mut self, out: &mut Vec<ReplyEvent>) {
        self.flush(out);
        self.fault = self.fault.take().or_else(|| self.finish_tracker.fault());
        let reported = self.done || self.finish_tracker.finish_reason().is_some();
        if !reported && self.early_outcome.is_none() {
            self.fault = self.fault.take().or_else(|| self.stray.fault());
        }
        let finish_reason = match (&self.early_outcome, &self.fault) {
            (Some(TurnOutcome::Cancelled), _) => FinishReason::Cancelled,
            (Some(_), _) => FinishReason::Interrupted,
            (None, Some(_)) => FinishReason::Failed,
            (None, None) if !reported => FinishReason::Interrupted,
            (None, None) => self.finish_tracker.finish_reason_with(!self.calls.is_empty()),
        };
        if finish_reason::is_worth_showing(finish_reason) && self.early_outcome.is_none() {
            self.begin_message(out);
        }
        if !matches!(finish_reason, FinishReason::Interrupted | FinishReason::Failed | FinishReason::Cancelled) {
            for call in &mut self.calls {
                if !call.started {
                    call.start(&self.message, out);
                }
                let (name, args) = (std::mem::take(&mut call.name), std::mem::take(&mut call.args));
                // Some servers repeat them.
                let args = arguments::split_calls(args).into_iter().next().unwrap_or_default();
                out.push(ReplyEvent::ToolCallReady { call: call.id.clone(), name, args, provider_metadata: None });
            }
        }
        if self.open {
            let (message, full) = (self.message.clone(), self.full_text.take());
            out.push(ReplyEvent::MessageFinished { message, finish_reason, full_text: full, provider_metadata: None });
        } else if finish_reason == FinishReason::End && self.closed_messages == 0 {
            out.push(finish_reason::empty_response_notice());
        }
        if let Some(usage) = self.usage.take() {
            out.push(ReplyEvent::UsageReported { scope: UsageScope::Request(1), usage });
        }
        let outcome = match (self.early_outcome.take(), self.fault.take(), finish_reason) {
            (Some(outcome), ..) => outcome,
            (None, Some(fault), _) => TurnOutcome::Failed(fault),
            (None, None, FinishReason::Interrupted) => TurnOutcome::Interrupted,
            (None, None, _) => TurnOutcome::Completed,
        };
        out.push(ReplyEvent::End { outcome });
    }

    fn has_failed(&self) -> bool {
        self.fault.is_some()
    }

    fn is_done(&self) -> bool {
        self.done || self.fault.is_some()
    }
}

/// Reads a finish reason.
fn finish_reason_word<'a>(word: Option<&'a BorrowedJson<'_>>) -> Option<&'a str> {
    word.and_then(BorrowedJson::as_str).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests;
