//! What happens in a session of ours as `session/update`s, and how a turn ends as the answer of its prompt.
//!
//! | event | update |
//! | --- | --- |
//! | a prompt, in a history | `user_message_chunk`, with what went along |
//! | text, reasoning | `agent_message_chunk`, `agent_thought_chunk` |
//! | a call and its arguments | `tool_call`, then `tool_call_update` with `rawInput`, places and the change of a file |
//! | that it may run, its output | `tool_call_update` |
//! | a plan, a title, the mode | `plan`, `session_info_update`, `current_mode_update` |
//! | usage | `usage_update`, where the size of the context is known |
//!
//! The last update of an event has its number in `_meta`: whoever has that has all before it. What a sub-agent says is
//! output of the call that it works for; text that was corrected at the end is said again, since nothing that was sent can be withdrawn.

mod sub_agent_texts;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::json;

use self::sub_agent_texts::SubAgentTexts;
use crate::event::answer::{Answer, AnswerDelta, AnswerLimits};
use crate::event::{
    AgentEvent, Annotation, AnnotationTarget, ApprovalMode, ApprovalRequest, CallId, CallOutcome, CallOutput, Envelope,
    FaultKind, FinishReason, Json, MessageId, PlanEntry, PlanState, PromptContext, PromptContextKind, ToolKind,
    TurnOutcome, Usage, UsageScope,
};
use crate::text::one_line;

/// The key below `_meta` for what is our own.
pub const META_KEY: &str = "jarvis-tui";
/// Characters of a title of a call.
const MAX_TITLE_CHARS: usize = 200;
/// Bytes of the end of what a running call printed that are sent.
const MAX_LIVE_OUTPUT_BYTES: usize = 8 * 1024;
/// Keys of arguments that say what a call is about, the path of a file first.
const PATH_KEYS: [&str; 4] = ["path", "file_path", "filePath", "file"];
const SUBJECT_KEYS: [&str; 6] = ["command", "cmd", "url", "pattern", "query", "expression"];
/// By JSON-RPC, the request was understood and could not be carried out.
const INTERNAL_ERROR_CODE: i64 = -32603;

/// Encodes a session, from its first event.
#[derive(Debug)]
pub struct AcpEncoder {
    /// What each tool of our own does.
    kinds: Arc<HashMap<String, ToolKind>>,
    folder: String,
    mode: Option<ApprovalMode>,
    context_window: Option<u64>,
    /// Tokens in the context, and what the session has cost, in US dollars.
    context_tokens: Option<u64>,
    cost: f64,
    sub_agents: SubAgentTexts,
    calls: HashMap<CallId, SentCall>,
    answer: Answer,
}

#[derive(Debug, Default)]
struct SentCall {
    name: String,
    kind: ToolKind,
    is_announced: bool,
    args: Option<Json>,
    /// It has been said that it runs.
    is_running: bool,
    /// The end of what it printed.
    output: String,
}

impl AcpEncoder {
    pub fn new(kinds: Arc<HashMap<String, ToolKind>>) -> Self {
        Self {
            kinds,
            folder: String::new(),
            mode: None,
            context_window: None,
            context_tokens: None,
            cost: 0.0,
            sub_agents: SubAgentTexts::default(),
            calls: HashMap::new(),
            answer: Answer::new(AnswerLimits::ONE_FRAME),
        }
    }

    /// The mode as it was told last.
    pub fn mode(&self) -> Option<ApprovalMode> {
        self.mode
    }

    /// Encodes an event; of a history also what the client would otherwise know.
    pub fn encode(&mut self, envelope: &Envelope, is_history: bool) -> Vec<Json> {
        let mut out = Vec::new();
        self.encode_event(&envelope.event, is_history, &mut out);
        if let Some(last) = out.last_mut() {
            last["_meta"][META_KEY] = json!({"seq": envelope.seq});
        }
        out
    }

    /// Returns what a permission request says of its call.
    pub fn asked_call(&self, call: &CallId, request: &ApprovalRequest) -> Json {
        let known = self.calls.get(call);
        let args = known.and_then(|known| known.args.as_ref());
        let mut asked = json!({
            "toolCallId": call, "title": asked_title(request), "kind": kind_word(request.kind), "status": "pending",
        });
        let change = args.and_then(|args| self.change_of_file(request.kind, args));
        let mut content = match change {
            Some(change) => vec![change],
            None if request.detail.is_empty() => Vec::new(),
            None => vec![text_content(&request.detail)],
        };
        content.extend(request.sandbox.iter().map(|note| text_content(&format!("sandbox: {}", note.text))));
        asked["content"] = content.into();
        asked["locations"] = self.locations(args).into();
        if let Some(args) = args {
            asked["rawInput"] = args.clone();
        }
        asked
    }

    /// Returns the answer of the prompt whose turn ended: its result, or the code and the message of its error.
    pub fn prompt_answer(&self) -> Result<Json, (i64, String)> {
        let reason = match self.answer.outcome.as_ref() {
            Some(TurnOutcome::Completed) => match self.answer.finish_reason {
                Some(FinishReason::Length) => "max_tokens",
                Some(FinishReason::Refused) => "refusal",
                _ => "end_turn",
            },
            Some(TurnOutcome::Cancelled) => "cancelled",
            Some(TurnOutcome::Failed(fault)) if fault.kind == FaultKind::LimitReached => "max_turn_requests",
            Some(TurnOutcome::Failed(fault)) if fault.kind == FaultKind::Refused => "refusal",
            Some(TurnOutcome::Failed(fault)) => return Err((INTERNAL_ERROR_CODE, fault.message.clone())),
            Some(TurnOutcome::Interrupted) | None => {
                return Err((INTERNAL_ERROR_CODE, "the answer was cut short".to_owned()));
            }
        };
        let mut result = json!({"stopReason": reason});
        if let Some(usage) = self.answer.usage() {
            result["usage"] = usage_json(&usage);
        }
        Ok(result)
    }

    fn encode_event(&mut self, event: &AgentEvent, is_history: bool, out: &mut Vec<Json>) {
        if let Some((call, text)) = self.sub_agents.observe(event) {
            self.encode_live_output(&call, &text, out);
        }
        match event {
            AgentEvent::SessionOpened { mode, folder, context_window, .. } => {
                folder.clone_into(&mut self.folder);
                self.context_window = *context_window;
                let told = self.mode.replace(*mode);
                if !is_history && told.is_some_and(|told| told != *mode) {
                    out.push(json!({"sessionUpdate": "current_mode_update", "currentModeId": mode.name()}));
                }
            }
            AgentEvent::TurnStarted { .. } => {
                self.answer = Answer::new(AnswerLimits::ONE_FRAME);
                self.calls.clear();
            }
            AgentEvent::UserMessage { message, text } if is_history => {
                out.push(chunk("user_message_chunk", message, &text_block(text)));
            }
            AgentEvent::Annotation {
                on: AnnotationTarget::Message(message),
                annotation: Annotation::PromptContext(parts),
            } if is_history => {
                let blocks = parts.iter().map(|part| context_block(&self.folder, part));
                out.extend(blocks.map(|block| chunk("user_message_chunk", message, &block)));
            }
            AgentEvent::ToolCallStarted { call, name, message, .. }
                if !self.sub_agents.said(message) && !self.calls.contains_key(call) =>
            {
                self.calls.insert(call.clone(), SentCall::default());
                if let Some(name) = name {
                    self.announce(call, name, out);
                }
            }
            AgentEvent::ToolCallReady { call, name, args, .. } => self.encode_arguments(call, name, args, out),
            AgentEvent::ApprovalRequested { call, request } => {
                if let Some(known) = self.calls.get_mut(call) {
                    known.kind = request.kind;
                }
            }
            AgentEvent::ApprovalResolved { call, decision, .. } if decision.allows() => self.note_running(call, out),
            AgentEvent::ToolOutput { call, text, .. } => self.encode_live_output(call, text, out),
            AgentEvent::ToolCallFinished { call, outcome, output, .. } => {
                self.encode_outcome(call, *outcome, output, out);
            }
            AgentEvent::Annotation { annotation: Annotation::Plan(entries), .. } => {
                let entries: Vec<Json> = entries.iter().map(plan_entry).collect();
                out.push(json!({"sessionUpdate": "plan", "entries": entries}));
            }
            AgentEvent::Annotation { annotation: Annotation::Title(title), .. } => {
                out.push(json!({"sessionUpdate": "session_info_update", "title": title}));
            }
            AgentEvent::Annotation { annotation: Annotation::Cost { usd }, .. } if usd.is_finite() => {
                self.cost += usd;
                self.encode_usage(out);
            }
            AgentEvent::UsageReported { scope: UsageScope::Request(_), usage } => {
                self.context_tokens = Some(usage.total());
                self.encode_usage(out);
            }
            _ => {}
        }
        self.encode_text(event, out);
    }

    fn encode_text(&mut self, event: &AgentEvent, out: &mut Vec<Json>) {
        match self.answer.observe(event) {
            AnswerDelta::Text { message, text, .. } => {
                out.push(chunk("agent_message_chunk", message, &text_block(text)));
            }
            AnswerDelta::Corrected { message, text } if !text.is_empty() => {
                out.push(chunk("agent_message_chunk", message, &text_block(&format!("\n\n{text}"))));
            }
            AnswerDelta::Reasoning { message, text } => {
                out.push(chunk("agent_thought_chunk", message, &text_block(text)));
            }
            _ => {}
        }
    }

    fn announce(&mut self, call: &CallId, name: &str, out: &mut Vec<Json>) {
        let kind = self.kinds.get(name).copied().unwrap_or_default();
        let Some(known) = self.calls.get_mut(call) else { return };
        name.clone_into(&mut known.name);
        known.kind = kind;
        known.is_announced = true;
        out.push(json!({
            "sessionUpdate": "tool_call", "toolCallId": call, "title": name, "name": name, "kind": kind_word(kind),
            "status": "pending",
        }));
    }

    fn encode_arguments(&mut self, call: &CallId, name: &str, args: &str, out: &mut Vec<Json>) {
        let Some(known) = self.calls.get_mut(call) else { return };
        if !known.is_announced {
            self.announce(call, name, out);
        }
        let args = match args.trim() {
            "" => json!({}),
            args => serde_json::from_str(args).unwrap_or_else(|_| args.into()),
        };
        let kind = self.calls.get(call).map(|known| known.kind).unwrap_or_default();
        let mut update = json!({
            "sessionUpdate": "tool_call_update", "toolCallId": call, "title": call_title(name, &args),
            "rawInput": args, "locations": self.locations(Some(&args)),
        });
        if let Some(change) = self.change_of_file(kind, &args) {
            update["content"] = json!([change]);
        }
        out.push(update);
        if let Some(known) = self.calls.get_mut(call) {
            known.args = Some(args);
        }
    }

    fn note_running(&mut self, call: &CallId, out: &mut Vec<Json>) {
        let Some(known) = self.calls.get_mut(call).filter(|known| known.is_announced && !known.is_running) else {
            return;
        };
        known.is_running = true;
        out.push(json!({"sessionUpdate": "tool_call_update", "toolCallId": call, "status": "in_progress"}));
    }

    fn encode_live_output(&mut self, call: &CallId, text: &str, out: &mut Vec<Json>) {
        let Some(known) = self.calls.get_mut(call).filter(|known| known.is_announced) else { return };
        known.is_running = true;
        known.output.push_str(text);
        let excess = known.output.len().saturating_sub(MAX_LIVE_OUTPUT_BYTES);
        if excess > 0 {
            known.output.drain(..known.output.ceil_char_boundary(excess));
        }
        out.push(json!({
            "sessionUpdate": "tool_call_update", "toolCallId": call, "status": "in_progress",
            "content": [text_content(&known.output)],
        }));
    }

    fn encode_outcome(&mut self, call: &CallId, outcome: CallOutcome, output: &CallOutput, out: &mut Vec<Json>) {
        let Some(known) = self.calls.get(call).filter(|known| known.is_announced) else { return };
        let is_ok = outcome == CallOutcome::Ok;
        let mut update = json!({
            "sessionUpdate": "tool_call_update", "toolCallId": call,
            "status": if is_ok { "completed" } else { "failed" },
        });
        let change = known.args.as_ref().filter(|_| is_ok).and_then(|args| self.change_of_file(known.kind, args));
        match change {
            Some(change) => update["content"] = json!([change]),
            None if output.text.is_empty() => update["content"] = json!([text_content(outcome.label())]),
            None => update["content"] = json!([text_content(&output.text)]),
        }
        if let Some(structured) = &output.structured {
            update["rawOutput"] = structured.clone();
        } else if is_ok && !output.text.is_empty() {
            update["rawOutput"] = output.text.as_str().into();
        }
        out.push(update);
    }

    fn encode_usage(&self, out: &mut Vec<Json>) {
        let (Some(used), Some(size)) = (self.context_tokens, self.context_window) else { return };
        let mut update = json!({"sessionUpdate": "usage_update", "used": used, "size": size});
        if self.cost > 0.0 {
            update["cost"] = json!({"amount": self.cost, "currency": "USD"});
        }
        out.push(update);
    }

    fn locations(&self, args: Option<&Json>) -> Vec<Json> {
        let Some((path, args)) = args.and_then(|args| Some((word_of(args, &PATH_KEYS)?, args))) else {
            return Vec::new();
        };
        let mut location = json!({"path": absolute(&self.folder, path)});
        let first_line = ["first_line", "start_line", "line", "offset"].iter().find_map(|key| args.get(key)?.as_u64());
        if let Some(line) = first_line.filter(|line| (1..=u64::from(u32::MAX)).contains(line)) {
            location["line"] = line.into();
        }
        vec![location]
    }

    /// The change that a call makes to a file, where its arguments are the texts.
    fn change_of_file(&self, kind: ToolKind, args: &Json) -> Option<Json> {
        if kind != ToolKind::Edit {
            return None;
        }
        let path = absolute(&self.folder, word_of(args, &PATH_KEYS)?);
        let text = |keys: &[&str]| keys.iter().find_map(|key| args.get(*key)?.as_str());
        let (old, new) = (text(&["old", "old_string", "old_text"]), text(&["new", "new_string", "new_text"]));
        match (old, new, text(&["content"])) {
            (Some(old), Some(new), _) => Some(json!({"type": "diff", "path": path, "oldText": old, "newText": new})),
            (_, _, Some(content)) => Some(json!({"type": "diff", "path": path, "newText": content})),
            _ => None,
        }
    }
}

/// Returns the word that a kind of tool has in the protocol.
fn kind_word(kind: ToolKind) -> &'static str {
    match kind {
        ToolKind::Read => "read",
        ToolKind::Edit => "edit",
        ToolKind::Execute => "execute",
        ToolKind::Fetch => "fetch",
        ToolKind::Search => "search",
        ToolKind::Other => "other",
    }
}

fn chunk(kind: &str, message: &MessageId, content: &Json) -> Json {
    json!({"sessionUpdate": kind, "messageId": message, "content": content})
}

fn text_block(text: &str) -> Json {
    json!({"type": "text", "text": text})
}

fn text_content(text: &str) -> Json {
    json!({"type": "content", "content": text_block(text)})
}

/// What went with a prompt, as a block.
fn context_block(folder: &str, part: &PromptContext) -> Json {
    if let Some(image) = part.image() {
        return json!({"type": "image", "data": image.base64(), "mimeType": image.media_type.media_type()});
    }
    let uri = match part.kind {
        PromptContextKind::Command => format!("command:{}", percent_encoded(&part.name)),
        _ if part.name.contains("://") => part.name.clone(),
        _ => format!("file://{}", percent_encoded(&absolute(folder, &part.name))),
    };
    json!({"type": "resource", "resource": {"uri": uri, "text": part.text, "mimeType": "text/plain"}})
}

fn plan_entry(entry: &PlanEntry) -> Json {
    let status = match entry.state {
        PlanState::Pending => "pending",
        PlanState::InProgress => "in_progress",
        PlanState::Done => "completed",
    };
    json!({"content": entry.text, "priority": "medium", "status": status})
}

fn usage_json(usage: &Usage) -> Json {
    json!({
        "inputTokens": usage.input_tokens, "outputTokens": usage.output_tokens, "totalTokens": usage.total(),
        "cachedReadTokens": usage.cached_tokens, "thoughtTokens": usage.reasoning_tokens,
    })
}

fn word_of<'a>(args: &'a Json, keys: &[&str]) -> Option<&'a str> {
    keys.iter().find_map(|key| args.get(*key)?.as_str()).filter(|word| !word.trim().is_empty())
}

fn call_title(name: &str, args: &Json) -> String {
    match word_of(args, &PATH_KEYS).or_else(|| word_of(args, &SUBJECT_KEYS)) {
        Some(subject) => one_line(&format!("{name}: {subject}"), MAX_TITLE_CHARS),
        None => name.to_owned(),
    }
}

fn asked_title(request: &ApprovalRequest) -> String {
    one_line(&format!("{}: {}", request.tool, request.subject), MAX_TITLE_CHARS)
}

/// Paths in the protocol are absolute.
fn absolute(folder: &str, path: &str) -> String {
    if path.starts_with('/') || folder.is_empty() {
        return path.to_owned();
    }
    let path = path.strip_prefix("./").unwrap_or(path);
    format!("{}/{path}", folder.trim_end_matches('/'))
}

/// A path as it stands in a URI (RFC 3986).
fn percent_encoded(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string doesn't fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests;
