//! What an agent says in the Agent Client Protocol, version 1: lines of JSON-RPC 2.0. A turn is the `session/update`
//! notifications between a prompt and its answer, which says why the agent stopped.
//!
//! Pieces of a message may name it by `messageId`; without that it ends where a call begins. A call's arguments are
//! whole once it runs, ends, or permission for it is asked, and permission may be asked for one that was never
//! announced. Content of a call is always the whole so far. What the tokens count is the agent's to say: some tell the
//! whole turn, some the last request.
//!
//! What an agent of ours says is `encode`'s. Not here: who answers permission requests (`bridge/peer`), and requests to an
//! agent of ours (`serve/acp`).
//!
//! Source: agentclientprotocol.com, schema 1.20; recordings of opencode 1.18.33, Gemini CLI 0.61.0, Copilot CLI 1.0.102
//! and the adapters of Claude Code 0.101.0 and Codex 2.6.0.

mod client_work;
mod diff;
mod encode;
mod tool_call;

use std::collections::HashMap;

use super::error::{fault_kind, parse_error_object};
use super::program_reply::{CallStart, DecodeLines, MAIN_THREAD, ProgramReply, cost_event, to_run_fault, word};
use super::{DecodeContext, Dialect, Evidence, FirstFrame, SseFrame, plan, usage};
use crate::event::{
    AnswerKind, ApprovalRequest, CallId, CallOutcome, Fault, FaultKind, FinishReason, Json, NoticeCode, NoticeLevel,
    OfferedAnswer, ReplyEvent, TurnOutcome, Usage, UsageScope,
};
use client_work::ClientTerminals;
pub use client_work::ClientWork;
pub use encode::{AcpEncoder, META_KEY};
use tool_call::{ToolCallFields, block_text};

/// Calls whose fields are kept.
const MAX_OPEN_CALLS: usize = 4096;
/// Answers that a permission request may offer.
const MAX_OFFERED_ANSWERS: usize = 16;

/// Also `--dialect acp`.
pub const DIALECT: Dialect = Dialect {
    name: "acp",
    title: "the Agent Client Protocol",
    decode: |_: &DecodeContext| Box::new(AcpDecoder::default()),
    evidence,
    extends: None,
    limitations: "the prompt, times of calls, content that is no text, what was decided about a permission request",
};

fn evidence(first: &FirstFrame<'_>) -> Option<Evidence> {
    let json = first.object()?;
    if word(json, "jsonrpc") != "2.0" {
        return None;
    }
    let is_update = json.pointer("/params/update/sessionUpdate").is_some_and(Json::is_string);
    if word(json, "method") == "session/update" && is_update {
        return Some(Evidence::shape("a line notifies of session/update"));
    }
    let result = json.get("result")?;
    let is_initialized =
        result.get("protocolVersion").is_some_and(Json::is_u64) && first.has_in("result", "agentCapabilities");
    if is_initialized {
        return Some(Evidence::shape("a line answers initialize with agentCapabilities"));
    }
    (!word(result, "stopReason").is_empty()).then(|| Evidence::shape("a line answers a prompt with a stopReason"))
}

/// Decodes turns, one after another.
#[derive(Debug, Default)]
pub struct AcpDecoder {
    reply: ProgramReply,
    calls: HashMap<String, ToolCallFields>,
    terminals: ClientTerminals,
    usage: Option<Usage>,
    /// The sum of what was told of each request to the model, as Qwen Code does.
    request_usage: Option<Usage>,
    /// What the session has cost, now and before this turn, in US dollars.
    cost: (f64, f64),
    outcome: Option<TurnOutcome>,
}

/// A call for which the agent asks permission.
#[derive(Clone, Debug, PartialEq)]
pub struct PermissionRequest {
    /// As the agent calls it.
    pub call: CallId,
    /// Without a folder and a time limit.
    pub request: ApprovalRequest,
    /// The files that it names.
    pub paths: Vec<String>,
    /// Files with the text, or a part of it, that they are to have, where it shows that.
    pub new_texts: Vec<(String, String)>,
}

impl AcpDecoder {
    /// Returns the decoder of the turn after this one.
    #[must_use]
    pub fn next_turn(&self) -> Self {
        Self { cost: (self.cost.0, self.cost.0), reply: self.reply.following(), ..Self::default() }
    }

    /// Parses a line of the agent; none for one that is no message, which is told as it is.
    pub fn parse_line(&mut self, line: &str, out: &mut Vec<ReplyEvent>) -> Option<Json> {
        let message = self.reply.parse_line(&SseFrame::data(line), out);
        if message.is_none() && line.trim_start().starts_with('{') {
            self.reply.unknown_frames.report("a line that is no JSON", out);
        }
        message
    }

    /// Returns whether an update is a part of an answer, rather than something about the session.
    pub fn is_content(update: &Json) -> bool {
        let kind = word(update, "sessionUpdate");
        matches!(kind, "agent_message_chunk" | "agent_thought_chunk" | "tool_call" | "tool_call_update" | "plan")
    }

    /// Handles the `update` of a notification.
    pub fn handle_update(&mut self, update: &Json, out: &mut Vec<ReplyEvent>) {
        let thread = update.pointer("/_meta/claudeCode/parentToolUseId").and_then(Json::as_str);
        let thread = thread.filter(|call| self.reply.knows_call(call)).unwrap_or(MAIN_THREAD).to_owned();
        if let Some(usage) = update.pointer("/_meta/usage").and_then(parse_usage) {
            self.request_usage = Some(self.request_usage.map_or(usage, |sum| sum.plus(usage)));
        }
        match word(update, "sessionUpdate") {
            "agent_message_chunk" if is_remark(update) => push_remark(update, out),
            "agent_message_chunk" => {
                self.enter_message(&thread, update, out);
                self.reply.push_text(&thread, &chunk_text(update), out);
            }
            "agent_thought_chunk" => {
                self.enter_message(&thread, update, out);
                self.reply.push_reasoning(&thread, &chunk_text(update), out);
            }
            "tool_call" | "tool_call_update" => self.handle_call(&thread, update, out),
            "plan" => {
                let list = update.get("entries").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
                self.reply.plan.tell(plan::entries(list), out);
            }
            "usage_update" => self.handle_usage_update(update),
            "notice" => push_notice(update, out),
            "current_mode_update" => {
                let text = format!("the agent's mode is now {}", word(update, "currentModeId"));
                out.push(ReplyEvent::Notice { level: NoticeLevel::Info, code: NoticeCode::Mode, text });
            }
            "compaction_update" => {
                let text = "the agent shortens the conversation".to_owned();
                out.push(ReplyEvent::Notice { level: NoticeLevel::Info, code: NoticeCode::Compacting, text });
            }
            // The prompt, and what a client may offer to choose from.
            "user_message_chunk"
            | "available_commands_update"
            | "config_option_update"
            | "session_info_update"
            | "compaction_summary_chunk"
            | "plan_update"
            | "plan_removed" => {}
            other => self.reply.unknown_frames.report(other, out),
        }
    }

    /// Returns the id of a call that permission is asked for. One that has ended is another call of the same name.
    fn announce_asked(&mut self, call: &Json, out: &mut Vec<ReplyEvent>) -> Option<String> {
        let id = word(call, "toolCallId");
        let mut copy = 2;
        let mut free = id.to_owned();
        while self.reply.is_call_finished(&free) {
            free = format!("{id}_{copy}");
            copy += 1;
        }
        let mut call = call.clone();
        call["toolCallId"] = free.into();
        self.announce(MAIN_THREAD, &call, out)
    }

    /// Returns what a permission request asks; the call is announced if it wasn't. None if it names no answers.
    pub fn handle_permission_request(&mut self, params: &Json, out: &mut Vec<ReplyEvent>) -> Option<PermissionRequest> {
        let options = params.get("options")?.as_array()?;
        let answers: Vec<OfferedAnswer> = options.iter().take(MAX_OFFERED_ANSWERS).filter_map(offered_answer).collect();
        let id = self.announce_asked(params.get("toolCall").filter(|call| call.is_object())?, out)?;
        self.make_ready(&id, out);
        let fields = self.calls.get_mut(&id)?;
        fields.may_run = true;
        let request = ApprovalRequest {
            tool: fields.name.clone(),
            kind: fields.tool_kind(),
            risk: fields.risk(),
            subject: fields.subject(),
            folder: String::new(),
            detail: fields.detail(&self.terminals),
            pattern: None,
            expires_at: None,
            answers,
            hunks: 0,
            sandbox: None,
        };
        (!request.answers.is_empty()).then(|| PermissionRequest {
            call: CallId::new(id),
            request,
            paths: fields.paths(),
            new_texts: fields.new_texts(),
        })
    }

    /// Notes that a call may not run: that it fails then is no failure, and some agents never say so.
    pub fn reject(&mut self, call: &CallId) {
        if let Some(fields) = self.calls.get_mut(call.as_str()) {
            fields.was_rejected = true;
        }
    }

    /// Handles the answer of a prompt: its `result`, or its `error`.
    pub fn handle_answer(&mut self, answer: Result<&Json, &Json>, out: &mut Vec<ReplyEvent>) {
        let result = match answer {
            Ok(result) => result,
            Err(error) => return self.outcome = Some(TurnOutcome::Failed(to_rpc_fault(error))),
        };
        // Gemini CLI and Grok tell it elsewhere.
        let of_quota = || result.pointer("/_meta/quota/token_count").and_then(usage::parse);
        let elsewhere = || result.pointer("/_meta/usage").and_then(parse_usage).or_else(of_quota);
        self.usage = result.get("usage").and_then(parse_usage).or_else(elsewhere);
        self.outcome = Some(match word(result, "stopReason") {
            "end_turn" => TurnOutcome::Completed,
            "cancelled" => TurnOutcome::Cancelled,
            "max_tokens" => self.end_incomplete(FinishReason::Length, out),
            "refusal" => self.end_incomplete(FinishReason::Refused, out),
            "max_turn_requests" => {
                let text = "the agent reached its limit of requests to the model in one turn";
                TurnOutcome::Failed(Fault::new(FaultKind::LimitReached, text))
            }
            other => {
                let text = format!("the agent stopped for a reason that is not known here: {other:?}");
                out.push(ReplyEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::UnknownStop, text });
                TurnOutcome::Completed
            }
        });
    }

    fn end_incomplete(&mut self, reason: FinishReason, out: &mut Vec<ReplyEvent>) -> TurnOutcome {
        // A message that says nothing says at least why.
        self.reply.begin_message(MAIN_THREAD, out);
        self.reply.set_finish_reason(MAIN_THREAD, reason);
        TurnOutcome::Completed
    }

    fn enter_message(&mut self, thread: &str, update: &Json, out: &mut Vec<ReplyEvent>) {
        match word(update, "messageId") {
            "" if self.reply.has_calls(thread) => self.reply.finish_message(thread, out),
            "" => {}
            message => self.reply.enter_message(thread, message, out),
        }
    }

    /// Starts a call unless it is known, and returns its id.
    fn announce(&mut self, thread: &str, update: &Json, out: &mut Vec<ReplyEvent>) -> Option<String> {
        let id = word(update, "toolCallId").to_owned();
        if id.is_empty() || (self.calls.len() >= MAX_OPEN_CALLS && !self.calls.contains_key(&id)) {
            self.reply.unknown_frames.report("a call without an id, or too many", out);
            return None;
        }
        let fields = self.calls.entry(id.clone()).or_default();
        fields.merge(update);
        let start = CallStart { thread, id: &id, name: &fields.name };
        self.reply.start_call(start, out).then_some(id)
    }

    fn make_ready(&mut self, id: &str, out: &mut Vec<ReplyEvent>) {
        let args = self.calls.get(id).map(ToolCallFields::args);
        self.reply.make_ready(id, args.as_ref(), out);
    }

    fn handle_call(&mut self, thread: &str, update: &Json, out: &mut Vec<ReplyEvent>) {
        let Some(id) = self.announce(thread, update, out) else { return };
        let status = word(update, "status");
        let has_content = update.get("content").and_then(Json::as_array).is_some_and(|blocks| !blocks.is_empty());
        if matches!(status, "in_progress" | "completed" | "failed" | "cancelled") {
            self.make_ready(&id, out);
            if let Some(fields) = self.calls.get_mut(&id) {
                fields.may_run = true;
            }
        }
        if let Some(piece) = told_output(update) {
            if let Some(fields) = self.calls.get_mut(&id) {
                fields.push_told_output(piece);
            }
            self.reply.push_output(&id, piece, out);
        }
        let Some(fields) = self.calls.get(&id) else { return };
        let raw = update.get("rawOutput");
        let outcome = match status {
            "completed" if exit_code(raw) != 0 || fields.has_failed_terminal(&self.terminals) => CallOutcome::Failed,
            "completed" => CallOutcome::Ok,
            "failed" if fields.was_rejected => CallOutcome::Denied,
            "failed" => CallOutcome::Failed,
            "cancelled" => CallOutcome::Cancelled,
            "in_progress" | "" if has_content && fields.may_run => {
                let text = fields.content_text(&self.terminals);
                return self.reply.set_output(&id, &text, out);
            }
            _ => return,
        };
        let output = fields.output(raw, &self.terminals);
        self.reply.finish_call(&id, outcome, output, None, out);
    }

    fn handle_usage_update(&mut self, update: &Json) {
        let cost = update.get("cost").filter(|cost| word(cost, "currency") == "USD");
        let amount = cost.and_then(|cost| cost.get("amount")?.as_f64()).filter(|amount| amount.is_finite());
        if let Some(amount) = amount {
            self.cost.0 = amount;
        }
    }
}

/// Returns the model that a session has, from the answer that opened it.
pub fn current_model(result: &Json) -> Option<&str> {
    let options = result.get("configOptions").and_then(Json::as_array).into_iter().flatten();
    let mut models = options.filter(|option| word(option, "category") == "model" || word(option, "id") == "model");
    let of_options = models.find_map(|option| option.get("currentValue")?.as_str());
    of_options.or_else(|| result.pointer("/models/currentModelId")?.as_str()).filter(|model| !model.is_empty())
}

/// Returns the fault of an error in an answer.
pub fn to_rpc_fault(error: &Json) -> Fault {
    let code = error.get("code").and_then(Json::as_i64);
    // The words may be JSON, and the data may hold the better ones.
    let told = parse_error_object(error);
    let detail = error.get("data").and_then(|data| {
        data.as_str().map(str::to_owned).or_else(|| {
            ["details", "message", "error"].into_iter().find_map(|key| Some(data.get(key)?.as_str()?.to_owned()))
        })
    });
    match (code, told, detail) {
        (Some(-32000), told, _) => {
            let words = told.map_or_else(|| "authentication required".to_owned(), |told| told.message);
            Fault::new(FaultKind::Auth, format!("{words}; log in with the agent's own command first"))
        }
        (_, Some(told), Some(detail)) if told.message != detail => Fault {
            message: format!("{}: {}", told.message, super::error::to_single_line(&detail)),
            ..to_run_fault(&detail, told.status.map(u64::from))
        },
        (_, Some(told), _) => Fault::new(fault_kind(None, &told), told.message),
        (_, None, detail) => to_run_fault(&detail.unwrap_or_default(), None),
    }
}

fn chunk_text(update: &Json) -> String {
    update.get("content").map(block_text).unwrap_or_default()
}

fn push_notice(update: &Json, out: &mut Vec<ReplyEvent>) {
    let level = match word(update, "severity") {
        "error" => NoticeLevel::Error,
        "warning" => NoticeLevel::Warn,
        _ => NoticeLevel::Info,
    };
    let text = match (word(update, "title"), word(update, "description")) {
        (title, "") => title.to_owned(),
        (title, more) => format!("{title}: {more}"),
    };
    out.push(ReplyEvent::Notice { level, code: NoticeCode::Warning, text });
}

fn offered_answer(option: &Json) -> Option<OfferedAnswer> {
    let kind = match word(option, "kind") {
        "allow_once" => AnswerKind::AllowOnce,
        "allow_always" => AnswerKind::AllowAlways,
        "reject_once" => AnswerKind::RejectOnce,
        "reject_always" => AnswerKind::RejectAlways,
        _ => return None,
    };
    let (id, name) = (word(option, "optionId"), word(option, "name"));
    let label = if name.trim().is_empty() { id } else { name };
    (!id.is_empty()).then(|| OfferedAnswer { id: id.to_owned(), label: label.to_owned(), kind })
}

/// The exit code of a command, where only the raw output tells it.
fn exit_code(raw: Option<&Json>) -> i64 {
    let places = ["/metadata/exit", "/exitCode", "/exit_code", "/contents/0/exitCode"];
    raw.and_then(|raw| places.iter().find_map(|place| raw.pointer(place)?.as_i64())).unwrap_or_default()
}

/// What a command has printed since the last update, as adapters of Claude Code and Codex tell it.
fn told_output(update: &Json) -> Option<&str> {
    let places = ["/_meta/terminal_output_delta/data", "/_meta/terminal_output/data"];
    places.iter().find_map(|place| update.pointer(place)?.as_str()).filter(|text| !text.is_empty())
}

/// Returns whether a piece of text is the adapter's own, as that of Claude Code marks it.
fn is_remark(update: &Json) -> bool {
    update.pointer("/_meta/claudeCode/kind").and_then(Json::as_str) == Some("informational")
}

fn push_remark(update: &Json, out: &mut Vec<ReplyEvent>) {
    let level = match update.pointer("/_meta/claudeCode/level").and_then(Json::as_str) {
        Some("error") => NoticeLevel::Error,
        Some("warning" | "warn") => NoticeLevel::Warn,
        _ => NoticeLevel::Info,
    };
    out.push(ReplyEvent::Notice { level, code: NoticeCode::Warning, text: chunk_text(update) });
}

/// Cached tokens are a part of the input; some agents count them beside it, which their total shows.
fn parse_usage(usage: &Json) -> Option<Usage> {
    let count = |key: &str| usage.get(key).and_then(Json::as_u64).unwrap_or_default();
    let (input, output, total) = (count("inputTokens"), count("outputTokens"), count("totalTokens"));
    let (cached, written) = (count("cachedReadTokens"), count("cachedWriteTokens"));
    let beside = cached.saturating_add(written);
    let apart = input.saturating_add(output).saturating_add(beside) <= total;
    let counted = Usage {
        input_tokens: if apart { input.saturating_add(beside) } else { input },
        output_tokens: output,
        cached_tokens: cached,
        reasoning_tokens: count("thoughtTokens"),
        ..Usage::default()
    };
    (counted.total() > 0).then_some(counted)
}

impl DecodeLines for AcpDecoder {
    fn reply(&mut self) -> &mut ProgramReply {
        &mut self.reply
    }

    fn handle_line(&mut self, line: &Json, out: &mut Vec<ReplyEvent>) {
        let params = line.get("params").unwrap_or(&Json::Null);
        match (word(line, "method"), line.get("result"), line.get("error")) {
            ("session/update", ..) => self.handle_update(params.get("update").unwrap_or(&Json::Null), out),
            ("session/request_permission", ..) => {
                self.handle_permission_request(params, out);
            }
            ("", Some(result), _) if !word(result, "stopReason").is_empty() => self.handle_answer(Ok(result), out),
            ("", Some(result), _) => {
                let (session, model) = (word(result, "sessionId"), current_model(result));
                self.reply.tell_server(Some(session), model, out);
            }
            ("", None, Some(error)) => self.handle_answer(Err(error), out),
            _ => {}
        }
    }

    fn outcome(&self) -> Option<&TurnOutcome> {
        self.outcome.as_ref()
    }

    fn finish_run(&mut self, out: &mut Vec<ReplyEvent>) -> TurnOutcome {
        let mut rejected: Vec<String> =
            self.calls.iter().filter(|(_, call)| call.was_rejected).map(|(id, _)| id.clone()).collect();
        rejected.retain(|id| !self.reply.is_call_finished(id));
        rejected.sort_unstable();
        for id in rejected {
            self.reply.finish_call(&id, CallOutcome::Denied, "", None, out);
        }
        let request_usage = self.request_usage.take();
        if let Some(usage) = self.usage.take().or(request_usage) {
            out.push(ReplyEvent::UsageReported { scope: UsageScope::Turn, usage });
        }
        let spent = self.cost.0 - self.cost.1;
        if spent > 0.0 {
            out.push(cost_event(spent));
        }
        self.outcome.take().unwrap_or(TurnOutcome::Interrupted)
    }

    fn begins_run(&self, line: &Json) -> bool {
        line.pointer("/params/update").is_some_and(Self::is_content)
            || line.get("error").is_some()
            || word(line, "method") == "session/request_permission"
            || line.pointer("/result/stopReason").is_some()
    }
}

#[cfg(test)]
mod tests;
