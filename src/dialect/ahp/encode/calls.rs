//! Calls: from their start to their end, and that somebody has to decide.

use serde_json::json;

use super::{AhpAction, AhpEncoder, AhpOrigin, BUSY_STATUS, INPUT_NEEDED_STATUS, chat_action, session_action};
use crate::dialect::offered_decisions::{OfferedDecision, offered_decisions};
use crate::event::{AgentEvent, ApprovalRequest, CallId, CallOutcome, CallOutput, DecidedBy, Decision, Json, Millis};
use crate::text::one_line;

/// Bytes of the end of what a running call printed that are sent.
const MAX_LIVE_OUTPUT_BYTES: usize = 8 * 1024;
/// Characters of what a call is about.
const MAX_TITLE_CHARS: usize = 200;
/// Keys of arguments that say what a call is about.
const SUBJECT_KEYS: [&str; 10] =
    ["path", "file_path", "filePath", "file", "command", "cmd", "url", "pattern", "query", "expression"];

/// A call as the client has it.
#[derive(Debug, Default)]
pub(super) struct ToldCall {
    name: String,
    is_announced: bool,
    /// Its input is whole.
    is_ready: bool,
    args: String,
    /// Somebody has to decide.
    is_asked: bool,
    /// It was denied, and that is its end.
    is_denied: bool,
    /// The end of what it printed.
    output: String,
}

impl AhpEncoder {
    pub(super) fn encode_call_event(
        &mut self,
        event: &AgentEvent,
        at: Millis,
        origin: Option<&AhpOrigin>,
        out: &mut Vec<AhpAction>,
    ) {
        match event {
            AgentEvent::ToolCallStarted { call, name, .. } if !self.calls.contains_key(call) => {
                self.calls.insert(call.clone(), ToldCall::default());
                if let Some(name) = name {
                    self.announce(call, name, out);
                }
            }
            AgentEvent::ToolArgsDelta { call, json } => {
                let Some(known) = self.calls.get_mut(call).filter(|known| !known.is_ready) else { return };
                known.args.push_str(json);
                if known.is_announced {
                    self.push_call(call, "chat/toolCallDelta", json!({ "content": json }), None, out);
                }
            }
            AgentEvent::ToolCallReady { call, name, args, .. } => self.make_ready(call, name, args, out),
            AgentEvent::ApprovalRequested { call, request } => self.ask(call, request, out),
            AgentEvent::ApprovalResolved { call, decision, by } => self.confirm(call, decision, *by, origin, out),
            AgentEvent::ToolOutput { call, text, .. } => {
                let Some(known) = self.calls.get_mut(call).filter(|known| known.is_ready) else { return };
                known.output.push_str(text);
                let excess = known.output.len().saturating_sub(MAX_LIVE_OUTPUT_BYTES);
                if excess > 0 {
                    known.output.drain(..known.output.ceil_char_boundary(excess));
                }
                let content = text_content(&known.output);
                self.push_call(call, "chat/toolCallContentChanged", json!({ "content": content }), None, out);
            }
            AgentEvent::ToolCallFinished { call, outcome, output, .. } => self.finish(call, *outcome, output, out),
            _ => {}
        }
        self.modified_ms = self.modified_ms.max(self.epoch_ms + at.0);
    }

    /// Returns the calls that nobody has to decide about any more, since the turn is over.
    pub(super) fn take_asked_calls(&mut self) -> Vec<CallId> {
        let asked = self.calls.iter_mut().filter_map(|(call, known)| {
            let was_asked = std::mem::take(&mut known.is_asked);
            was_asked.then(|| call.clone())
        });
        let mut asked: Vec<CallId> = asked.collect();
        asked.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
        asked
    }

    fn announce(&mut self, call: &CallId, name: &str, out: &mut Vec<AhpAction>) {
        self.tell_turn("", None, out);
        let Some(known) = self.calls.get_mut(call) else { return };
        name.clone_into(&mut known.name);
        known.is_announced = true;
        if let Some(turn) = &mut self.turn {
            turn.part = None;
        }
        let started = json!({"toolName": name, "displayName": name});
        self.push_call(call, "chat/toolCallStart", started, None, out);
    }

    fn make_ready(&mut self, call: &CallId, name: &str, args: &str, out: &mut Vec<AhpAction>) {
        let Some(known) = self.calls.get_mut(call).filter(|known| !known.is_ready) else { return };
        known.is_ready = true;
        args.clone_into(&mut known.args);
        if !known.is_announced {
            self.announce(call, name, out);
        }
        let ready = json!({"invocationMessage": call_title(name, args), "toolInput": args, "confirmed": "not-needed"});
        self.push_call(call, "chat/toolCallReady", ready, None, out);
    }

    fn ask(&mut self, call: &CallId, request: &ApprovalRequest, out: &mut Vec<AhpAction>) {
        let args = self.calls.get(call).map(|known| known.args.clone()).unwrap_or_default();
        self.make_ready(call, &request.tool, &args, out);
        let Some(known) = self.calls.get_mut(call) else { return };
        known.is_asked = true;
        let options: Vec<Json> = offered_decisions(request).iter().map(option_json).collect();
        let asked = json!({
            "invocationMessage": {"markdown": asked_markdown(request)},
            "confirmationTitle": one_line(&format!("{}: {}", request.tool, request.subject), MAX_TITLE_CHARS),
            "toolInput": args, "options": options,
        });
        let mut state = asked.clone();
        for (key, value) in [
            ("status", "pending-confirmation"),
            ("toolCallId", call.as_str()),
            ("toolName", known.name.as_str()),
            ("displayName", known.name.as_str()),
        ] {
            state[key] = value.into();
        }
        self.push_call(call, "chat/toolCallReady", asked, None, out);
        let Some(turn) = &self.turn else { return };
        let request =
            json!({"kind": "toolConfirmation", "id": call, "chat": self.chat, "turnId": turn.id, "toolCall": state});
        out.push(session_action(json!({"type": "session/inputNeededSet", "request": request}), None));
        self.set_status(INPUT_NEEDED_STATUS, out);
    }

    fn confirm(
        &mut self,
        call: &CallId,
        decision: &Decision,
        by: DecidedBy,
        origin: Option<&AhpOrigin>,
        out: &mut Vec<AhpAction>,
    ) {
        let Some(known) = self.calls.get_mut(call) else { return };
        let was_asked = std::mem::take(&mut known.is_asked);
        let approved = decision.allows();
        known.is_denied = was_asked && !approved;
        let mut confirmed = json!({ "approved": approved });
        if approved {
            let how = if by == DecidedBy::Policy { "setting" } else { "user-action" };
            confirmed["confirmed"] = how.into();
        } else {
            let why = if by == DecidedBy::Cancelled { "skipped" } else { "denied" };
            confirmed["reason"] = why.into();
        }
        if let Decision::Deny(Some(why)) = decision {
            confirmed["reasonMessage"] = why.as_str().into();
        }
        if let Some(option) = origin.and_then(|origin| origin.option.as_ref()) {
            confirmed["selectedOptionId"] = option.as_str().into();
        }
        if was_asked {
            self.push_call(call, "chat/toolCallConfirmed", confirmed, origin, out);
            out.push(session_action(json!({"type": "session/inputNeededRemoved", "id": call}), None));
            let is_asked = self.calls.values().any(|known| known.is_asked);
            self.set_status(if is_asked { INPUT_NEEDED_STATUS } else { BUSY_STATUS }, out);
        }
    }

    fn finish(&mut self, call: &CallId, outcome: CallOutcome, output: &CallOutput, out: &mut Vec<AhpAction>) {
        let Some(known) = self.calls.get(call).filter(|known| !known.is_denied) else { return };
        let (name, args) = (known.name.clone(), known.args.clone());
        // One that ended before its input was whole.
        self.make_ready(call, &name, &args, out);
        let is_ok = outcome == CallOutcome::Ok;
        let done = if is_ok { "Ran" } else { outcome.label() };
        let mut result = json!({"success": is_ok, "pastTenseMessage": format!("{done} {}", call_title(&name, &args))});
        if !output.text.is_empty() {
            result["content"] = text_content(&output.text);
        }
        if let Some(structured) = output.structured.as_ref().filter(|structured| structured.is_object()) {
            result["structuredContent"] = structured.clone();
        }
        if !is_ok {
            result["error"] = json!({"message": outcome.label()});
        }
        self.push_call(call, "chat/toolCallComplete", json!({ "result": result }), None, out);
    }

    fn push_call(
        &self,
        call: &CallId,
        kind: &str,
        mut action: Json,
        origin: Option<&AhpOrigin>,
        out: &mut Vec<AhpAction>,
    ) {
        let Some(turn) = &self.turn else { return };
        action["type"] = kind.into();
        action["turnId"] = turn.id.as_str().into();
        action["toolCallId"] = call.as_str().into();
        out.push(chat_action(action, origin));
    }
}

fn option_json(offered: &OfferedDecision) -> Json {
    let kind = if offered.kind.allows() { "approve" } else { "deny" };
    json!({"id": offered.id, "label": offered.label, "kind": kind})
}

/// What is asked, with its details as code that can't be taken for anything else.
fn asked_markdown(request: &ApprovalRequest) -> String {
    let subject = one_line(&format!("{}: {}", request.tool, request.subject), MAX_TITLE_CHARS);
    if request.detail.is_empty() {
        return fenced(&subject);
    }
    format!("{}\n\n{}", fenced(&subject), fenced(&request.detail))
}

fn fenced(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}\n{}\n{fence}", text.trim_end_matches('\n'))
}

fn call_title(name: &str, args: &str) -> String {
    let args: Json = serde_json::from_str(args).unwrap_or_default();
    let subject = SUBJECT_KEYS.iter().find_map(|key| args.get(*key)?.as_str()).filter(|word| !word.trim().is_empty());
    match subject {
        Some(subject) => one_line(&format!("{name}: {subject}"), MAX_TITLE_CHARS),
        None => name.to_owned(),
    }
}

fn text_content(text: &str) -> Json {
    json!([{"type": "text", "text": text}])
}
