//! What a host of agents says in the Agent Host Protocol, version 1: JSON-RPC 2.0 whose `action` notifications change the
//! state of a channel. A turn is the `chat/…` actions of a chat from `chat/turnStarted` to its end.
//!
//! Text and reasoning go to parts, which an action makes before others append to them; a part may begin with text. A
//! call's input is whole when it is ready, and one that is ready without being confirmed waits for somebody to decide.
//! Usage is that of the turn so far. Of an earlier turn, and of one that is joined, the state holds the same parts whole.
//!
//! Not here: what the other side says, and which session and chat it is about (`bridge/peer`).
//!
//! Source: microsoft.github.io/agent-host-protocol, and the types of its repository at 1.0.

pub mod chat_state;
pub mod encode;
mod tool_call;

use std::collections::HashMap;

use super::acp::PermissionRequest;
use super::program_reply::{CallStart, DecodeLines, MAIN_THREAD, ProgramReply, to_run_fault, word};
use super::{DecodeContext, Dialect, Evidence, FirstFrame, SseFrame};
use crate::event::{
    Annotation, CallOutcome, Json, NoticeCode, NoticeLevel, ReplyEvent, ReplyTarget, TurnOutcome, Usage, UsageScope,
};
pub use tool_call::{APPROVE_ANSWER, DENY_ANSWER};
use tool_call::{AhpCall, content_text, markdown};

/// Calls whose fields are kept.
const MAX_OPEN_CALLS: usize = 4096;
/// Parts whose kind is kept.
const MAX_PARTS: usize = 20_000;

/// Also `--dialect ahp`.
pub const DIALECT: Dialect = Dialect {
    name: "ahp",
    title: "the Agent Host Protocol",
    decode: |_: &DecodeContext| Box::new(AhpDecoder::default()),
    evidence,
    extends: None,
    limitations: "the prompt, other chats, forms to fill in, terminals, file contents, what was decided about a call",
};

fn evidence(first: &FirstFrame<'_>) -> Option<Evidence> {
    let json = first.object()?;
    if word(json, "jsonrpc") != "2.0" {
        return None;
    }
    let kind = json.pointer("/params/action/type").and_then(Json::as_str).unwrap_or_default();
    if word(json, "method") == "action" && kind.contains('/') {
        return Some(Evidence::shape(format!("a line notifies of the action {kind}")));
    }
    let result = json.get("result")?;
    let is_initialized =
        result.get("serverSeq").is_some_and(Json::is_u64) && result.get("protocolVersion").is_some_and(Json::is_string);
    is_initialized.then(|| Evidence::shape("a line answers initialize with a serverSeq"))
}

/// Decodes turns, one after another.
#[derive(Debug, Default)]
pub struct AhpDecoder {
    reply: ProgramReply,
    /// Whether each part is text; the others are reasoning.
    parts: HashMap<String, bool>,
    calls: HashMap<String, AhpCall>,
    usage: Option<Usage>,
    outcome: Option<TurnOutcome>,
}

impl AhpDecoder {
    /// Parses a line; none for one that is no message, which is told as it is.
    pub fn parse_line(&mut self, line: &str, out: &mut Vec<ReplyEvent>) -> Option<Json> {
        self.reply.parse_line(&SseFrame::data(line), out)
    }

    /// Handles an action of a chat. Returns what somebody has to decide, if that is so.
    pub fn handle_action(&mut self, action: &Json, out: &mut Vec<ReplyEvent>) -> Option<PermissionRequest> {
        let id = word(action, "toolCallId");
        match word(action, "type") {
            "chat/responsePart" => return self.handle_part(action.get("part").unwrap_or(&Json::Null), out),
            "chat/delta" => self.append(word(action, "partId"), true, word(action, "content"), out),
            "chat/reasoning" => self.append(word(action, "partId"), false, word(action, "content"), out),
            "chat/toolCallStart" => {
                self.merge_call(action, out);
            }
            "chat/toolCallDelta" => self.reply.push_args(id, word(action, "content"), out),
            "chat/toolCallReady" => return self.handle_ready(action, out),
            "chat/toolCallContentChanged" => {
                let text = content_text(action.get("content").unwrap_or(&Json::Null));
                self.reply.set_output(id, &text, out);
            }
            "chat/toolCallConfirmed" if action.get("approved") == Some(&Json::Bool(false)) => {
                let why = action.get("reasonMessage").map(markdown).unwrap_or_default();
                self.reply.finish_call(id, CallOutcome::Denied, why, None, out);
            }
            "chat/toolCallComplete" => return self.handle_complete(action, out),
            "chat/toolCallResultConfirmed" => self.handle_result_confirmed(action, out),
            "chat/usage" => self.usage = action.get("usage").and_then(parse_usage).or(self.usage),
            "chat/turnComplete" => self.outcome = Some(TurnOutcome::Completed),
            "chat/turnCancelled" => self.outcome = Some(TurnOutcome::Cancelled),
            "chat/error" => self.fail(action.pointer("/part/error").or_else(|| action.get("error"))),
            "chat/inputRequested" => Self::tell_input_request(action.get("request").unwrap_or(&Json::Null), out),
            // What is decided, typed or shown elsewhere.
            _ => {}
        }
        None
    }

    /// Handles a turn of a state: one that is over, or one that goes on. Returns what somebody has to decide.
    pub fn handle_turn(&mut self, turn: &Json, out: &mut Vec<ReplyEvent>) -> Vec<PermissionRequest> {
        let parts = turn.get("responseParts").and_then(Json::as_array).into_iter().flatten();
        let asked: Vec<PermissionRequest> = parts.filter_map(|part| self.handle_part(part, out)).collect();
        self.usage = turn.get("usage").and_then(parse_usage);
        match word(turn, "state") {
            "complete" => self.outcome = Some(TurnOutcome::Completed),
            "cancelled" => self.outcome = Some(TurnOutcome::Cancelled),
            "error" if self.outcome.is_none() => self.fail(turn.get("error")),
            _ => {}
        }
        asked
    }

    /// Fails the turn, for what a host says of an error.
    pub fn fail(&mut self, error: Option<&Json>) {
        let error = error.unwrap_or(&Json::Null);
        let words = if word(error, "message").is_empty() { word(error, "errorType") } else { word(error, "message") };
        self.outcome = Some(TurnOutcome::Failed(to_run_fault(words, None)));
    }

    fn handle_part(&mut self, part: &Json, out: &mut Vec<ReplyEvent>) -> Option<PermissionRequest> {
        let (id, content) = (word(part, "id"), word(part, "content"));
        match word(part, "kind") {
            "markdown" => self.append(id, true, content, out),
            "reasoning" => self.append(id, false, content, out),
            "toolCall" => return self.handle_call_state(part.get("toolCall").unwrap_or(&Json::Null), out),
            "error" => self.fail(part.get("error")),
            "systemNotification" => {
                let text = part.get("content").map(markdown).unwrap_or_default();
                out.push(ReplyEvent::Notice { level: NoticeLevel::Info, code: NoticeCode::Warning, text });
            }
            "inputRequest" if part.get("response").is_none() => {
                Self::tell_input_request(part.get("request").unwrap_or(&Json::Null), out);
            }
            "inputRequest" => {}
            "contentRef" => {
                let annotation = Annotation::Part(part.clone());
                out.push(ReplyEvent::Annotation { on: ReplyTarget::Reply, annotation });
            }
            other => self.reply.unknown_frames.report(other, out),
        }
        None
    }

    fn append(&mut self, part: &str, is_text: bool, text: &str, out: &mut Vec<ReplyEvent>) {
        let is_known = self.parts.contains_key(part);
        if !is_known && self.parts.len() < MAX_PARTS {
            self.parts.insert(part.to_owned(), is_text);
        }
        let is_text = self.parts.get(part).copied().unwrap_or(is_text);
        self.reply.enter_message(MAIN_THREAD, part, out);
        if is_text {
            self.reply.push_text(MAIN_THREAD, text, out);
        } else {
            self.reply.push_reasoning(MAIN_THREAD, text, out);
        }
    }

    /// Takes over what is said of a call, and starts it unless it is known. Returns its id.
    fn merge_call(&mut self, told: &Json, out: &mut Vec<ReplyEvent>) -> Option<String> {
        let id = word(told, "toolCallId").to_owned();
        if id.is_empty() || (self.calls.len() >= MAX_OPEN_CALLS && !self.calls.contains_key(&id)) {
            self.reply.unknown_frames.report("a call without an id, or too many", out);
            return None;
        }
        let call = self.calls.entry(id.clone()).or_default();
        call.merge(told);
        let start = CallStart { thread: MAIN_THREAD, id: &id, name: &call.name };
        self.reply.start_call(start, out).then_some(id)
    }

    fn make_ready(&mut self, id: &str, out: &mut Vec<ReplyEvent>) {
        let args = self.calls.get(id).and_then(AhpCall::args);
        self.reply.make_ready(id, args.as_ref(), out);
    }

    fn handle_ready(&mut self, told: &Json, out: &mut Vec<ReplyEvent>) -> Option<PermissionRequest> {
        let id = self.merge_call(told, out)?;
        self.make_ready(&id, out);
        if told.get("confirmed").is_some_and(|confirmed| !confirmed.is_null()) || self.reply.is_call_finished(&id) {
            return None;
        }
        self.calls.get(&id).map(|call| call.permission_request(&id, None))
    }

    fn handle_complete(&mut self, told: &Json, out: &mut Vec<ReplyEvent>) -> Option<PermissionRequest> {
        let id = self.merge_call(told, out)?;
        self.make_ready(&id, out);
        let result = told.get("result").unwrap_or(&Json::Null);
        let call = self.calls.get_mut(&id)?;
        call.take_result(result);
        if told.get("requiresResultConfirmation") == Some(&Json::Bool(true)) {
            return Some(call.permission_request(&id, Some(result)));
        }
        self.finish_call(&id, out);
        None
    }

    fn handle_result_confirmed(&mut self, told: &Json, out: &mut Vec<ReplyEvent>) {
        let id = word(told, "toolCallId");
        if told.get("approved") == Some(&Json::Bool(false)) {
            return self.reply.finish_call(id, CallOutcome::Denied, "", None, out);
        }
        self.finish_call(id, out);
    }

    fn finish_call(&mut self, id: &str, out: &mut Vec<ReplyEvent>) {
        if let Some((outcome, output)) = self.calls.get_mut(id).and_then(|call| call.result.take()) {
            self.reply.finish_call(id, outcome, output, None, out);
        }
    }

    /// Handles a call of a state, in whatever stage it is.
    fn handle_call_state(&mut self, call: &Json, out: &mut Vec<ReplyEvent>) -> Option<PermissionRequest> {
        let id = self.merge_call(call, out)?;
        match word(call, "status") {
            "streaming" => self.reply.push_args(&id, word(call, "partialInput"), out),
            "pending-confirmation" => {
                self.make_ready(&id, out);
                return self.calls.get(&id).map(|known| known.permission_request(&id, None));
            }
            "pending-result-confirmation" => {
                self.make_ready(&id, out);
                let known = self.calls.get_mut(&id)?;
                known.take_result(call);
                return Some(known.permission_request(&id, Some(call)));
            }
            "completed" => {
                self.make_ready(&id, out);
                if let Some(known) = self.calls.get_mut(&id) {
                    known.take_result(call);
                }
                self.finish_call(&id, out);
            }
            "cancelled" => {
                self.make_ready(&id, out);
                let why = call.get("reasonMessage").map(markdown).unwrap_or_default();
                self.reply.finish_call(&id, CallOutcome::Denied, why, None, out);
            }
            _ => {
                self.make_ready(&id, out);
                let text = content_text(call.get("content").unwrap_or(&Json::Null));
                self.reply.set_output(&id, &text, out);
            }
        }
        None
    }

    fn tell_input_request(request: &Json, out: &mut Vec<ReplyEvent>) {
        let questions = request.get("questions").and_then(Json::as_array).into_iter().flatten();
        let asked = [word(request, "message")].into_iter().chain(questions.map(|question| word(question, "message")));
        let asked: Vec<&str> = asked.filter(|text| !text.is_empty()).collect();
        let text = format!("the agent asks what can't be answered here: {}", asked.join("; "));
        out.push(ReplyEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::InputRequired, text });
    }
}

/// What was read from the cache is a part of the input.
fn parse_usage(usage: &Json) -> Option<Usage> {
    let count = |key: &str| usage.get(key).and_then(Json::as_u64).unwrap_or_default();
    let (input, cached) = (count("inputTokens"), count("cacheReadTokens"));
    let counted = Usage {
        input_tokens: if cached > input { input.saturating_add(cached) } else { input },
        output_tokens: count("outputTokens"),
        cached_tokens: cached,
        ..Usage::default()
    };
    (counted.total() > 0).then_some(counted)
}

impl DecodeLines for AhpDecoder {
    fn reply(&mut self) -> &mut ProgramReply {
        &mut self.reply
    }

    fn handle_line(&mut self, line: &Json, out: &mut Vec<ReplyEvent>) {
        let Some(action) = line.pointer("/params/action").filter(|_| word(line, "method") == "action") else { return };
        if line.pointer("/params/rejectionReason").is_none_or(Json::is_null) {
            self.handle_action(action, out);
        }
    }

    fn outcome(&self) -> Option<&TurnOutcome> {
        self.outcome.as_ref()
    }

    fn finish_run(&mut self, out: &mut Vec<ReplyEvent>) -> TurnOutcome {
        if let Some(usage) = self.usage.take() {
            out.push(ReplyEvent::UsageReported { scope: UsageScope::Turn, usage });
        }
        self.outcome.take().unwrap_or(TurnOutcome::Interrupted)
    }

    fn begins_run(&self, line: &Json) -> bool {
        let kind = line.pointer("/params/action/type").and_then(Json::as_str);
        kind.is_some_and(|kind| kind.starts_with("chat/") && !matches!(kind, "chat/usage" | "chat/activityChanged"))
    }
}

#[cfg(test)]
mod tests;
