//! The events of a session of Anthropic's managed agents: messages, calls and results come whole, and where the client
//! asks for them, pieces of a message before it. A turn is over when the session is idle, which says why.
//!
//! Source: the event types of the Python package `anthropic` 2.14. No such session runs outside of the vendor, so none
//! was recorded.

use serde_json::json;

use super::agent_reply::{annotate, ask_person, capped, content_text};
use super::reply_end::ReplyEnd;
use super::step_reply::{StepBlockKind, StepReply};
use super::{Decode, Dialect, Evidence, FirstFrame, SseFrame, error, surrogate, usage};
use crate::event::{
    Annotation, CallOutcome, ExecutedBy, Fault, FaultKind, Json, NoticeCode, NoticeLevel, ReplyEvent, StepState,
};

/// Also `--dialect anthropic-sessions`.
pub const DIALECT: Dialect = Dialect {
    name: "anthropic-sessions",
    title: "a session of Anthropic's agents",
    decode: |_| Box::<AnthropicSessionDecoder>::default(),
    evidence,
    extends: None,
    limitations: "the text of thoughts, what agents tell each other, costs",
};

fn evidence(first: &FirstFrame<'_>) -> Option<Evidence> {
    let kind = first.kind();
    let families = ["agent.", "session.status_", "session.thread_", "span.", "user.", "workflow_run."];
    let is_event = families.iter().any(|family| kind.starts_with(family)) && !kind.starts_with("agent.session.");
    let is_one = match kind {
        "event_start" => first.has_in("event", "id"),
        "event_delta" => first.has("event_id"),
        "session.error" => first.has("processed_at"),
        _ => is_event && first.has("id"),
    };
    is_one.then(|| Evidence::shape(format!("an event is of type {kind}")))
}

/// Decodes one answer.
#[derive(Debug, Default)]
pub struct AnthropicSessionDecoder {
    steps: StepReply,
    end: ReplyEnd,
}

impl AnthropicSessionDecoder {
    fn handle_event(&mut self, event: &Json, marked: bool, out: &mut Vec<ReplyEvent>) {
        let word = |pointer: &str| event.pointer(pointer).and_then(Json::as_str).unwrap_or_default();
        if word("/type") == "event_delta" {
            let text = word("/delta/content/text");
            if !text.is_empty() {
                let message = self.steps.block(StepBlockKind::Text, word("/event_id"), out);
                self.steps.reply.push_text(message, text.into(), marked, out);
            }
            return;
        }
        let mut event = event.clone();
        surrogate::resolve_marks_in_json(&mut event, marked);
        self.handle_whole_event(&event, out);
    }

    fn handle_whole_event(&mut self, event: &Json, out: &mut Vec<ReplyEvent>) {
        let word = |key: &str| event.get(key).and_then(Json::as_str).unwrap_or_default();
        match word("type") {
            "agent.message" => {
                let text = content_text(event.get("content").unwrap_or(&Json::Null));
                if !text.is_empty() {
                    let message = self.steps.block(StepBlockKind::Text, word("id"), out);
                    self.steps.reply.set_text(message, &text, out);
                }
                self.steps.end_block(StepBlockKind::Text, word("id"));
            }
            "agent.tool_use" | "agent.mcp_tool_use" | "agent.custom_tool_use" => self.start_call(event, out),
            "agent.tool_result" => self.take_result(word("tool_use_id"), event, out),
            "agent.mcp_tool_result" => self.take_result(word("mcp_tool_use_id"), event, out),
            "user.custom_tool_result" => self.take_result(word("custom_tool_use_id"), event, out),
            "span.model_request_end" => {
                let more = event.get("model_usage").and_then(usage::parse);
                self.end.add_usage(more);
                self.steps.end_step(out);
            }
            "session.status_idle" => self.handle_idle(event, out),
            "session.error" => self.handle_error(event, out),
            "session.status_rescheduled" => {
                notify(NoticeCode::Recoverable, "the session is scheduled again after an error", out);
            }
            "session.status_terminated" | "session.deleted" => {
                self.end.fail_with(Fault::new(FaultKind::Upstream, "the server ended the session"));
            }
            "session.thread_created" => {
                annotate(Annotation::Progress(json!({ "step": "subagent", "agent": word("agent_name") })), out);
            }
            "agent.thread_context_compacted" => {
                notify(NoticeCode::Compacting, "the server shortens the conversation", out);
            }
            "agent.thread_message_received" | "agent.thread_message_sent" => {
                annotate(Annotation::Activity(capped(event)), out);
            }
            other => self.handle_rare_event(other, event, out),
        }
    }

    fn handle_rare_event(&mut self, kind: &str, event: &Json, out: &mut Vec<ReplyEvent>) {
        let word = |key: &str| event.get(key).and_then(Json::as_str).unwrap_or_default();
        match kind {
            "workflow_run.created" => {
                annotate(Annotation::Step { name: word("name").to_owned(), state: StepState::Started }, out);
            }
            "workflow_run.error" => {
                let told = event.get("error").and_then(error::parse_error_object).unwrap_or_default();
                notify(NoticeCode::Warning, &format!("a workflow failed: {}", told.message), out);
            }
            "event_start" | "ping" => {}
            kind if ["agent.thinking", "session.", "span.", "user.", "system.", "workflow_run."]
                .iter()
                .any(|family| kind.starts_with(family)) => {}
            "" => match error::parse(event) {
                Some(server_error) => self.end.fail(&server_error),
                None => self.end.unknown_frames.report("an event without a type", out),
            },
            "error" => self.end.fail(&event.get("error").and_then(error::parse_error_object).unwrap_or_default()),
            other => self.end.unknown_frames.report(other, out),
        }
    }

    fn start_call(&mut self, event: &Json, out: &mut Vec<ReplyEvent>) {
        let word = |key: &str| event.get(key).and_then(Json::as_str).unwrap_or_default();
        let is_custom = word("type") == "agent.custom_tool_use";
        let ran_by = if is_custom { ExecutedBy::Client } else { ExecutedBy::Server };
        self.steps.start_call(word("id"), Some(word("name")), ran_by, out);
        let args = event.get("input").map(Json::to_string).unwrap_or_default();
        self.steps.reply.calls.complete(word("id"), None, &args, out);
    }

    fn take_result(&mut self, wire: &str, event: &Json, out: &mut Vec<ReplyEvent>) {
        let has_failed = event.get("is_error") == Some(&Json::Bool(true));
        let outcome = if has_failed { CallOutcome::Failed } else { CallOutcome::Ok };
        let output = content_text(event.get("content").unwrap_or(&Json::Null));
        self.steps.finish_call(wire, outcome, output, out);
    }

    fn handle_idle(&mut self, event: &Json, out: &mut Vec<ReplyEvent>) {
        self.end.has_ended = true;
        match event.pointer("/stop_reason/type").and_then(Json::as_str).unwrap_or_default() {
            "requires_action" => {
                let ids = event.pointer("/stop_reason/event_ids").and_then(Json::as_array);
                let ids = ids.map(Vec::as_slice).unwrap_or_default();
                let name =
                    |id: &Json| Some(format!("may it go on with {}?", self.steps.reply.calls.name(id.as_str()?)?));
                let about: Vec<String> = ids.iter().filter_map(name).collect();
                ask_person(ids, &about, out);
            }
            "refusal" => self.end.finish_tracker.observe("refusal", out),
            "budget_reached" => {
                let text = "the session's budget was used up before its end";
                self.end.fail_with(Fault::new(FaultKind::LimitReached, text));
            }
            "retries_exhausted" => {
                let text = "the server gave up after several tries";
                self.end.fail_with(Fault::new(FaultKind::Upstream, text));
            }
            _ => {}
        }
    }

    /// Handles an error, after which the server may try again itself.
    fn handle_error(&mut self, event: &Json, out: &mut Vec<ReplyEvent>) {
        let told = event.get("error").and_then(error::parse_error_object).unwrap_or_default();
        if event.pointer("/error/retry_status/type").and_then(Json::as_str) == Some("retrying") {
            return notify(NoticeCode::Recoverable, &format!("{}; the server tries again", told.message), out);
        }
        self.end.fail(&told);
    }
}

fn notify(code: NoticeCode, text: &str, out: &mut Vec<ReplyEvent>) {
    out.push(ReplyEvent::Notice { level: NoticeLevel::Warn, code, text: text.to_owned() });
}

impl Decode for AnthropicSessionDecoder {
    fn decode_frame(&mut self, frame: &SseFrame, out: &mut Vec<ReplyEvent>) {
        if let Some((event, marked)) = self.end.parse_object(frame, out) {
            self.handle_event(&event, marked, out);
        }
    }

    fn finish(&mut self, out: &mut Vec<ReplyEvent>) {
        self.end.finish(&mut self.steps.reply, out);
    }

    fn has_failed(&self) -> bool {
        self.end.has_failed()
    }

    fn is_done(&self) -> bool {
        self.end.has_ended || self.end.has_failed()
    }

    /// What the person says and what is counted begins nothing.
    fn begins_next(&self, frame: &SseFrame) -> bool {
        let json = serde_json::from_str::<Json>(&frame.data).unwrap_or_default();
        let kind = json.get("type").and_then(Json::as_str).unwrap_or_default();
        kind.starts_with("agent.") || matches!(kind, "session.status_running" | "event_start" | "session.error")
    }
}
