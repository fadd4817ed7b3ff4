//! What `codex app-server` says: lines of JSON-RPC without the version, of notifications about a thread, its turns and
//! their items. A turn ends with `turn/completed`, whose status says how.
//!
//! Text comes in deltas under the id of its item and whole at its end. An `error` that will be retried is no end. The
//! token counts are those of the whole thread, so a turn used what they grew by.
//!
//! Not here: what the other side says (`bridge/peer`).
//!
//! Source: the schema that the program generates, and recordings of Codex 0.171.0.

use std::collections::HashMap;

use serde_json::json;

use super::acp::{PermissionRequest, to_rpc_fault};
use super::program_reply::{CallStart, DecodeLines, MAIN_THREAD, ProgramReply, content_text, tell_raw_error, word};
use super::{DecodeContext, Dialect, Evidence, FirstFrame, SseFrame, plan};
use crate::event::{
    AnswerKind, ApprovalRequest, CallId, CallOutcome, Json, Millis, NoticeCode, NoticeLevel, OfferedAnswer, ReplyEvent,
    Risk, ToolKind, TurnOutcome, Usage, UsageScope,
};

/// Items that are kept until somebody may have to decide about them.
const MAX_KEPT_ITEMS: usize = 1000;
/// Bytes of what is shown to who decides.
const MAX_DETAIL_BYTES: usize = 256 * 1024;
/// Answers that are taken where a request names none.
const USUAL_DECISIONS: [&str; 3] = ["accept", "acceptForSession", "decline"];
/// What of an item is no argument: it is known only at its end, or names it.
const NOT_ARGUMENTS: [&str; 14] = [
    "id",
    "type",
    "status",
    "aggregatedOutput",
    "exitCode",
    "durationMs",
    "startedAtMs",
    "completedAtMs",
    "processId",
    "commandActions",
    "source",
    "result",
    "error",
    "pluginId",
];

/// Also `--dialect codex-app-server`.
pub const DIALECT: Dialect = Dialect {
    name: "codex-app-server",
    title: "Codex's app-server",
    decode: |_: &DecodeContext| Box::new(CodexAppDecoder::default()),
    evidence,
    extends: None,
    limitations: "the prompt, diffs of a whole turn, other threads, what was decided about an approval, cost",
};

fn evidence(first: &FirstFrame<'_>) -> Option<Evidence> {
    let json = first.object()?;
    let method = word(json, "method");
    let is_one = !first.has("jsonrpc")
        && method.contains('/')
        && (first.has_in("params", "threadId") || first.has_in("params", "thread"));
    is_one.then(|| Evidence::shape(format!("a line without a version of JSON-RPC notifies of {method}")))
}

/// Decodes turns, one after another.
#[derive(Debug, Default)]
pub struct CodexAppDecoder {
    reply: ProgramReply,
    /// Items that are no messages, as they were started.
    items: HashMap<String, Json>,
    /// The message whose text came in pieces.
    streamed: String,
    /// What the thread used, now and before this turn.
    used: (Usage, Usage),
    outcome: Option<TurnOutcome>,
}

impl CodexAppDecoder {
    /// Returns the decoder of the turn after this one.
    #[must_use]
    pub fn next_turn(&self) -> Self {
        Self { used: (self.used.0, self.used.0), reply: self.reply.following(), ..Self::default() }
    }

    /// Parses a line; none for one that is no message, which is told as it is.
    pub fn parse_line(&mut self, line: &str, out: &mut Vec<ReplyEvent>) -> Option<Json> {
        self.reply.parse_line(&SseFrame::data(line), out)
    }

    /// Handles a notification.
    pub fn handle_notification(&mut self, method: &str, params: &Json, out: &mut Vec<ReplyEvent>) {
        let (id, delta) = (word(params, "itemId"), word(params, "delta"));
        match method {
            "thread/started" => {
                let thread = params.get("thread").unwrap_or(&Json::Null);
                self.reply.tell_server(Some(word(thread, "id")), Some(word(thread, "model")), out);
            }
            "item/started" | "item/completed" => {
                self.handle_item(params.get("item").unwrap_or(&Json::Null), method == "item/completed", out);
            }
            "item/agentMessage/delta" => {
                self.enter(id, out);
                self.reply.push_text(MAIN_THREAD, delta, out);
            }
            "item/reasoning/textDelta" | "item/reasoning/summaryTextDelta" => {
                self.enter(id, out);
                self.reply.push_reasoning(MAIN_THREAD, delta, out);
            }
            "item/reasoning/summaryPartAdded" if self.streamed == id => {
                self.reply.push_reasoning(MAIN_THREAD, "\n\n", out);
            }
            "item/commandExecution/outputDelta" => self.reply.push_output(id, delta, out),
            "turn/plan/updated" => {
                let list = params.get("plan").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
                self.reply.plan.tell(plan::entries(list), out);
            }
            "thread/tokenUsage/updated" => {
                if let Some(total) = params.pointer("/tokenUsage/total") {
                    self.used.0 = parse_usage(total);
                }
            }
            "error" => {
                let text = to_rpc_fault(params.get("error").unwrap_or(&Json::Null)).message;
                if params.get("willRetry").and_then(Json::as_bool) == Some(true) {
                    out.push(ReplyEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::Recoverable, text });
                }
            }
            "warning" | "configWarning" | "deprecationNotice" | "guardianWarning" => {
                let text = [word(params, "message"), word(params, "summary")].concat();
                out.push(ReplyEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::Warning, text });
            }
            "thread/compacted" => {
                let text = "the agent shortened the conversation".to_owned();
                out.push(ReplyEvent::Notice { level: NoticeLevel::Info, code: NoticeCode::Compacting, text });
            }
            "turn/completed" => self.handle_completed(params.get("turn").unwrap_or(&Json::Null), out),
            // The program tells much that is not about the answer.
            _ => {}
        }
    }

    /// Handles an item of an earlier turn.
    pub fn handle_past_item(&mut self, item: &Json, out: &mut Vec<ReplyEvent>) {
        self.handle_item(item, true, out);
    }

    /// Fails the turn that could not be started.
    pub fn fail(&mut self, error: &Json) {
        self.outcome = Some(TurnOutcome::Failed(to_rpc_fault(error)));
    }

    /// Returns what a request for an approval asks; none for another request.
    pub fn handle_approval(
        &mut self,
        method: &str,
        params: &Json,
        out: &mut Vec<ReplyEvent>,
    ) -> Option<PermissionRequest> {
        let (kind, risk) = match method {
            "item/commandExecution/requestApproval" => (ToolKind::Execute, Risk::Execute),
            "item/fileChange/requestApproval" => (ToolKind::Edit, Risk::Write),
            _ => return None,
        };
        let id = word(params, "itemId");
        if id.is_empty() || self.reply.is_call_finished(id) {
            return None;
        }
        let item_kind = if kind == ToolKind::Edit { "fileChange" } else { "commandExecution" };
        let item = self.items.get(id).cloned().unwrap_or_else(
            || json!({"id": id, "type": item_kind, "command": params.get("command"), "cwd": params.get("cwd")}),
        );
        self.handle_item(&item, false, out);
        let paths = changed_paths(&item, params);
        let subject = match kind {
            ToolKind::Edit => paths.join(", "),
            _ => plain_command(params),
        };
        let request = ApprovalRequest {
            tool: item_kind.to_owned(),
            kind,
            risk,
            detail: detail(&item, params, &subject),
            subject,
            folder: String::new(),
            pattern: None,
            expires_at: None,
            answers: offered_answers(params),
            hunks: 0,
            sandbox: None,
        };
        Some(PermissionRequest { call: CallId::new(id), request, paths, new_texts: Vec::new() })
    }

    /// Has what follows belong to the message of this item.
    fn enter(&mut self, id: &str, out: &mut Vec<ReplyEvent>) {
        self.reply.enter_message(MAIN_THREAD, id, out);
        id.clone_into(&mut self.streamed);
    }

    fn handle_item(&mut self, item: &Json, is_complete: bool, out: &mut Vec<ReplyEvent>) {
        let (id, kind) = (word(item, "id"), word(item, "type"));
        let was_streamed = self.streamed == id;
        match kind {
            "" | "userMessage" | "hookPrompt" | "functionCallOutput" => {}
            "agentMessage" | "plan" if is_complete && !was_streamed => {
                self.enter(id, out);
                self.reply.push_text(MAIN_THREAD, word(item, "text"), out);
            }
            "reasoning" if is_complete && !was_streamed => {
                let parts = ["summary", "content"].into_iter().filter_map(|key| item.get(key)?.as_array());
                let text = parts.flatten().filter_map(Json::as_str).collect::<Vec<_>>().join("\n\n");
                if !text.is_empty() {
                    self.enter(id, out);
                    self.reply.push_reasoning(MAIN_THREAD, &text, out);
                }
            }
            "agentMessage" | "plan" | "reasoning" => {}
            "contextCompaction" | "enteredReviewMode" | "exitedReviewMode" | "sleep" => {}
            _ => self.handle_work(item, id, kind, is_complete, out),
        }
    }

    /// Handles an item that is work: a command, a change of files, a call of a tool, a search.
    fn handle_work(&mut self, item: &Json, id: &str, kind: &str, is_complete: bool, out: &mut Vec<ReplyEvent>) {
        let (name, args) = describe(item, kind);
        self.reply.start_whole_call(CallStart { thread: MAIN_THREAD, id, name: &name }, Some(&args), out);
        if !is_complete {
            if self.items.len() < MAX_KEPT_ITEMS {
                self.items.insert(id.to_owned(), item.clone());
            }
            return;
        }
        self.items.remove(id);
        let exit_code = item.get("exitCode").and_then(Json::as_i64).unwrap_or_default();
        let outcome = match word(item, "status") {
            "declined" => CallOutcome::Denied,
            "failed" => CallOutcome::Failed,
            _ if exit_code != 0 || item.get("success").and_then(Json::as_bool) == Some(false) => CallOutcome::Failed,
            "inProgress" => CallOutcome::Unknown,
            _ => CallOutcome::Ok,
        };
        let duration = item.get("durationMs").and_then(Json::as_u64).map(Millis);
        self.reply.finish_call(id, outcome, output_of(item), duration, out);
    }

    fn handle_completed(&mut self, turn: &Json, out: &mut Vec<ReplyEvent>) {
        let error = turn.get("error").filter(|error| !error.is_null());
        // Its message may be the body of a response, whose words are shown.
        if let Some(error) = error.filter(|error| word(error, "message").trim_start().starts_with('{')) {
            tell_raw_error(error, out);
        }
        self.outcome = Some(match word(turn, "status") {
            "interrupted" => TurnOutcome::Cancelled,
            "failed" => TurnOutcome::Failed(to_rpc_fault(error.unwrap_or(&Json::Null))),
            _ => TurnOutcome::Completed,
        });
    }
}

/// Returns what an item is called as a call, and its arguments: what it holds before it is done.
fn describe(item: &Json, kind: &str) -> (String, Json) {
    let name = match (word(item, "server"), word(item, "tool")) {
        ("", "") => kind.to_owned(),
        ("", tool) => tool.to_owned(),
        (server, tool) => format!("{server}.{tool}"),
    };
    if let Some(args) = item.get("arguments").filter(|args| args.is_object()) {
        return (name, args.clone());
    }
    let fields = item.as_object().into_iter().flatten();
    let fields = fields.filter(|(key, value)| !NOT_ARGUMENTS.contains(&key.as_str()) && !value.is_null());
    (name, fields.map(|(key, value)| (key.clone(), value.clone())).collect())
}

fn output_of(item: &Json) -> String {
    if let Some(error) = item.get("error").filter(|error| !error.is_null()) {
        let message = word(error, "message");
        return if message.is_empty() { content_text(error) } else { message.to_owned() };
    }
    match ["result", "contentItems", "results"]
        .into_iter()
        .find_map(|key| item.get(key).filter(|value| !value.is_null()))
    {
        Some(result) => content_text(result.get("content").unwrap_or(result)),
        None => word(item, "aggregatedOutput").to_owned(),
    }
}

/// The command without the shell that runs it, where that is nothing but its wrapper.
fn plain_command(params: &Json) -> String {
    let command = word(params, "command");
    let actions = params.get("commandActions").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
    let inner = match actions {
        [action] => word(action, "command"),
        _ => "",
    };
    let is_wrapped = ["bash", "zsh", "sh"].iter().any(|shell| {
        let wraps = |quoted: &str| command == format!("/bin/{shell} -lc {quoted}");
        !inner.contains('\'') && wraps(&format!("'{inner}'")) || !inner.contains(' ') && wraps(inner)
    });
    match (is_wrapped && !inner.is_empty(), command) {
        (true, _) => inner.to_owned(),
        (false, "") => "another kind of access".to_owned(),
        (false, command) => command.to_owned(),
    }
}

fn changed_paths(item: &Json, params: &Json) -> Vec<String> {
    let changes = item.get("changes").and_then(Json::as_array).into_iter().flatten();
    let changed = changes.map(|change| word(change, "path").to_owned());
    changed.chain([word(params, "grantRoot").to_owned()]).filter(|path| !path.is_empty()).collect()
}

fn detail(item: &Json, params: &Json, subject: &str) -> String {
    let changes = item.get("changes").and_then(Json::as_array).into_iter().flatten();
    let diffs = changes.map(|change| format!("--- {0}\n+++ {0}\n{1}", word(change, "path"), word(change, "diff")));
    let told = |name: &str, key: &str| match word(params, key) {
        "" => String::new(),
        text => format!("{name}: {text}"),
    };
    let command = Some(word(params, "command")).filter(|command| *command != subject).unwrap_or_default().to_owned();
    let network = params.get("networkApprovalContext").filter(|context| !context.is_null());
    let parts = [told("reason", "reason"), command, told("in", "cwd"), told("grants", "grantRoot")];
    let parts = parts.into_iter().chain(network.map(Json::to_string)).chain(diffs).filter(|part| !part.is_empty());
    let mut detail = parts.collect::<Vec<_>>().join("\n");
    if detail.len() > MAX_DETAIL_BYTES {
        detail.truncate(detail.floor_char_boundary(MAX_DETAIL_BYTES));
        detail.push_str("\n[… cut]");
    }
    detail
}

/// The answers that a request takes: words, or objects with what they change. To decline always works, though it is
/// not always named.
fn offered_answers(params: &Json) -> Vec<OfferedAnswer> {
    let usual = json!(USUAL_DECISIONS);
    let named = params.get("availableDecisions").filter(|decisions| decisions.is_array()).unwrap_or(&usual);
    let decisions: Vec<&Json> = named.as_array().into_iter().flatten().collect();
    let decline = json!("decline");
    let (ends, others): (Vec<&Json>, Vec<&Json>) = decisions.iter().partition(|decision| **decision == "cancel");
    let is_named = others.contains(&&decline);
    let all = others.into_iter().chain((!is_named).then_some(&decline)).chain(ends);
    all.filter_map(offered_answer).collect()
}

fn offered_answer(decision: &Json) -> Option<OfferedAnswer> {
    let (kind, label) = match decision.as_str() {
        Some("accept") => (AnswerKind::AllowOnce, "yes".to_owned()),
        Some("acceptForSession") => (AnswerKind::AllowAlways, "yes, for this session".to_owned()),
        Some("decline") => (AnswerKind::RejectOnce, "no".to_owned()),
        Some("cancel") => (AnswerKind::RejectOnce, "no, and stop".to_owned()),
        Some(_) => return None,
        None => amendment(decision)?,
    };
    let id = decision.as_str().map_or_else(|| decision.to_string(), str::to_owned);
    Some(OfferedAnswer { id, label, kind })
}

/// A decision that changes what the agent asks about later.
fn amendment(decision: &Json) -> Option<(AnswerKind, String)> {
    if let Some(words) = decision.pointer("/acceptWithExecpolicyAmendment/execpolicy_amendment") {
        let words: Vec<&str> = words.as_array()?.iter().filter_map(Json::as_str).collect();
        return Some((AnswerKind::AllowAlways, format!("yes, always for {} …", words.join(" "))));
    }
    let rule = decision.pointer("/applyNetworkPolicyAmendment/network_policy_amendment")?;
    let (host, allows) = (word(rule, "host"), word(rule, "action") == "allow");
    let kind = if allows { AnswerKind::AllowAlways } else { AnswerKind::RejectAlways };
    Some((kind, format!("{} {host}", if allows { "yes, always for" } else { "no, never for" })))
}

fn parse_usage(total: &Json) -> Usage {
    let count = |key: &str| total.get(key).and_then(Json::as_u64).unwrap_or_default();
    Usage {
        input_tokens: count("inputTokens"),
        output_tokens: count("outputTokens"),
        cached_tokens: count("cachedInputTokens"),
        reasoning_tokens: count("reasoningOutputTokens"),
        ..Usage::default()
    }
}

impl DecodeLines for CodexAppDecoder {
    fn reply(&mut self) -> &mut ProgramReply {
        &mut self.reply
    }

    fn handle_line(&mut self, line: &Json, out: &mut Vec<ReplyEvent>) {
        let params = line.get("params").unwrap_or(&Json::Null);
        match (word(line, "method"), line.get("id"), line.get("error")) {
            ("", _, Some(error)) => self.fail(error),
            ("", ..) => {}
            (method, Some(_), _) => {
                self.handle_approval(method, params, out);
            }
            (method, None, _) => self.handle_notification(method, params, out),
        }
    }

    fn outcome(&self) -> Option<&TurnOutcome> {
        self.outcome.as_ref()
    }

    fn finish_run(&mut self, out: &mut Vec<ReplyEvent>) -> TurnOutcome {
        let (now, before) = self.used;
        let usage = Usage {
            input_tokens: now.input_tokens.saturating_sub(before.input_tokens),
            output_tokens: now.output_tokens.saturating_sub(before.output_tokens),
            cached_tokens: now.cached_tokens.saturating_sub(before.cached_tokens),
            reasoning_tokens: now.reasoning_tokens.saturating_sub(before.reasoning_tokens),
            ..Usage::default()
        };
        if usage.total() > 0 {
            out.push(ReplyEvent::UsageReported { scope: UsageScope::Turn, usage });
        }
        self.outcome.take().unwrap_or(TurnOutcome::Interrupted)
    }

    fn begins_run(&self, line: &Json) -> bool {
        word(line, "method") == "turn/started"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn approval(decisions: &Json) -> ApprovalRequest {
        let params = json!({
            "itemId": "c", "command": "/bin/bash -lc 'touch made.txt'", "reason": "to make a file", "cwd": "/p",
            "commandActions": [{"type": "unknown", "command": "touch made.txt"}], "availableDecisions": decisions,
        });
        let mut decoder = CodexAppDecoder::default();
        let asked = decoder.handle_approval("item/commandExecution/requestApproval", &params, &mut Vec::new());
        asked.unwrap().request
    }

    #[test]
    fn decisions_are_words_and_objects_and_declining_is_always_one() {
        let amendment = json!({"acceptWithExecpolicyAmendment": {"execpolicy_amendment": ["touch", "made.txt"]}});
        let request = approval(&json!(["accept", amendment, "cancel", "newer"]));
        let answers: Vec<_> = request.answers.iter().map(|answer| (answer.label.as_str(), answer.kind)).collect();
        assert_eq!(
            answers,
            [
                ("yes", AnswerKind::AllowOnce),
                ("yes, always for touch made.txt …", AnswerKind::AllowAlways),
                ("no", AnswerKind::RejectOnce),
                ("no, and stop", AnswerKind::RejectOnce),
            ]
        );
        assert_eq!(serde_json::from_str::<Json>(&request.answers[1].id).unwrap(), amendment);
        assert_eq!(approval(&Json::Null).answers.len(), 3);
    }

    #[test]
    fn the_shell_around_a_command_is_left_out_where_it_is_only_that() {
        let request = approval(&Json::Null);
        assert_eq!(request.subject, "touch made.txt");
        assert!(request.detail.contains("to make a file") && request.detail.contains("/bin/bash -lc"));
        for (command, action) in [("/bin/bash -lc 'a' 'b'", "a"), ("/bin/bash -lc 'it'\\''s'", "it's"), ("rm x", "ls")]
        {
            let params = json!({"command": command, "commandActions": [{"command": action}]});
            assert_eq!(plain_command(&params), command);
        }
    }

    #[test]
    fn a_turn_used_what_the_thread_used_more() {
        let used = |decoder: &mut CodexAppDecoder, input: u64| {
            let total = json!({"inputTokens": input, "outputTokens": 1, "totalTokens": input + 1});
            let params = json!({"tokenUsage": {"total": total}});
            decoder.handle_notification("thread/tokenUsage/updated", &params, &mut Vec::new());
            let mut out = Vec::new();
            decoder.finish_run(&mut out);
            out.iter().find_map(|event| match event {
                ReplyEvent::UsageReported { usage, .. } => Some(usage.input_tokens),
                _ => None,
            })
        };
        let mut decoder = CodexAppDecoder::default();
        assert_eq!(used(&mut decoder, 10), Some(10));
        assert_eq!(used(&mut decoder.next_turn(), 25), Some(15));
    }
}
