//! The event stream of a conversation on gptme's server (its API version 2): unnamed events of generations and tools.
//! The tools run there, each after its approval, and what they give goes on in another generation; a turn is over when
//! a step is complete and no tool runs or waits.
//!
//! Calls stand in the text as well, which is shown as it is.
//!
//! Source: the event types of the Python package `gptme` 0.35, and recordings of its server.

use serde_json::json;

use super::agent_reply::{AgentReply, MessageHandle, annotate, ask_person, capped, result_text};
use super::reply_end::ReplyEnd;
use super::{Decode, Dialect, Evidence, FirstFrame, SseFrame, error, surrogate, usage};
use crate::event::{Annotation, CallOutcome, ExecutedBy, Json, Millis, ReplyEvent};

/// Also `--dialect gptme`.
pub const DIALECT: Dialect = Dialect {
    name: "gptme",
    title: "gptme",
    decode: |_| Box::<GptmeDecoder>::default(),
    evidence,
    extends: None,
    limitations: "reasoning outside of the text, which tool a message of an older server is from",
};

fn evidence(first: &FirstFrame<'_>) -> Option<Evidence> {
    let is_one = match first.kind() {
        "connected" => first.has("session_id"),
        "generation_progress" => first.has("token"),
        "generation_started" | "step_complete" => {
            first.object().and_then(Json::as_object).is_some_and(|json| json.len() == 1)
        }
        "generation_complete" | "message_added" => first.has_in("message", "role"),
        "tool_pending" => first.has("tool_id") && first.has("tooluse"),
        "tool_executing" | "tool_output" | "tool_complete" => first.has("tool_id"),
        _ => false,
    };
    is_one.then(|| Evidence::shape(format!("an event is of type {}", first.kind())))
}

/// Calls that wait.
const MAX_WAITING_CALLS: usize = 256;

/// Decodes one answer.
#[derive(Debug, Default)]
pub struct GptmeDecoder {
    reply: AgentReply,
    message: Option<MessageHandle>,
    session: String,
    /// The calls that wait for their turn, and those of them that wait for the person.
    waiting: Vec<String>,
    asked: Vec<String>,
    /// The call that runs, and what it gave so far.
    running: Option<String>,
    output: String,
    is_generating: bool,
    end: ReplyEnd,
}

impl GptmeDecoder {
    fn handle_event(&mut self, event: &Json, marked: bool, out: &mut Vec<ReplyEvent>) {
        let word = |key: &str| event.get(key).and_then(Json::as_str).unwrap_or_default();
        match word("type") {
            "generation_progress" => {
                let message = self.message(out);
                self.is_generating = true;
                self.reply.push_text(message, word("token").into(), marked, out);
            }
            "ping" => {}
            _ => {
                let mut event = event.clone();
                surrogate::resolve_marks_in_json(&mut event, marked);
                self.handle_rare_event(&event, out);
            }
        }
    }

    fn handle_rare_event(&mut self, event: &Json, out: &mut Vec<ReplyEvent>) {
        let word = |key: &str| event.get(key).and_then(Json::as_str).unwrap_or_default();
        match word("type") {
            "connected" => {
                word("session_id").clone_into(&mut self.session);
                self.is_generating = event.get("generating") == Some(&Json::Bool(true));
                for tool in event.get("pending_tools").and_then(Json::as_array).into_iter().flatten() {
                    self.handle_pending(tool, out);
                }
            }
            "generation_started" => {
                self.finish_running(CallOutcome::Ok, None, out);
                self.close_message(out);
                self.is_generating = true;
            }
            "generation_complete" => self.handle_complete(event.get("message").unwrap_or(&Json::Null), out),
            "tool_pending" => self.handle_pending(event, out),
            "tool_executing" => {
                self.finish_running(CallOutcome::Ok, None, out);
                self.waiting.retain(|wire| wire != word("tool_id"));
                self.asked.retain(|wire| wire != word("tool_id"));
                self.running = Some(word("tool_id").to_owned());
            }
            "tool_output" => self.push_output(word("output")),
            "message_added" => {
                let text = event.pointer("/message/content").and_then(Json::as_str).unwrap_or_default();
                let is_result = event.pointer("/message/role").and_then(Json::as_str) == Some("system");
                if is_result && self.running.is_some() && self.output.is_empty() {
                    self.push_output(text);
                }
            }
            "tool_complete" => {
                let has_failed = event.get("success") == Some(&Json::Bool(false));
                let millis = event.get("duration_ms").and_then(Json::as_f64).filter(|millis| *millis >= 0.0);
                let outcome = if has_failed { CallOutcome::Failed } else { CallOutcome::Ok };
                self.finish_running(outcome, millis.map(|millis| Millis(millis.round() as u64)), out);
            }
            "step_complete" => {
                self.is_generating = false;
                self.finish_turn(out);
            }
            "elicit_pending" => ask_person(std::slice::from_ref(event), &[word("prompt").to_owned()], out),
            "interrupted" => self.end.is_cancelled = true,
            "error" => self.end.fail(&error::find_error(&SseFrame::data(event.to_string())).unwrap_or_default()),
            "watch_event" => annotate(Annotation::Custom { name: "watch_event".into(), value: capped(event) }, out),
            "config_changed" | "conversation_edited" => {}
            "" => self.end.unknown_frames.report("an event without a type", out),
            other => self.end.unknown_frames.report(other, out),
        }
    }

    fn message(&mut self, out: &mut Vec<ReplyEvent>) -> MessageHandle {
        match self.message.filter(|message| self.reply.is_open(*message)) {
            Some(message) => message,
            None => *self.message.insert(self.reply.begin(None, out)),
        }
    }

    fn close_message(&mut self, out: &mut Vec<ReplyEvent>) {
        if let Some(message) = self.message.take() {
            self.reply.close(message, None, out);
        }
    }

    /// Takes a whole message of the model, whose text was told before unless it was not streamed.
    fn handle_complete(&mut self, whole: &Json, out: &mut Vec<ReplyEvent>) {
        if let Some(text) = whole.get("content").and_then(Json::as_str) {
            let message = self.message(out);
            self.reply.set_text(message, text, out);
        }
        self.end.add_usage(whole.pointer("/metadata/usage").and_then(usage::parse));
        self.is_generating = false;
    }

    fn handle_pending(&mut self, tool: &Json, out: &mut Vec<ReplyEvent>) {
        let word = |pointer: &str| tool.pointer(pointer).and_then(Json::as_str).unwrap_or_default();
        let wire = word("/tool_id");
        if wire.is_empty() || self.waiting.len() >= MAX_WAITING_CALLS {
            return self.end.unknown_frames.report("a call without an id, or one too many", out);
        }
        let use_of = tool.get("tooluse").unwrap_or(&Json::Null);
        let field = |key: &str| use_of.get(key).filter(|value| !value.is_null());
        let message = self.message(out);
        self.reply.start_call(message, wire, Some(word("/tooluse/tool")), ExecutedBy::Client, out);
        let args = json!({ "args": field("args"), "content": field("content") });
        self.reply.calls.complete(wire, None, &args.to_string(), out);
        self.waiting.push(wire.to_owned());
        if tool.get("auto_confirm") != Some(&Json::Bool(true)) {
            self.asked.push(wire.to_owned());
            // One that waits from before this stream was asked about then.
            if tool.get("type").is_some() {
                let content = field("content").map(result_text).unwrap_or_default();
                let about = format!("may it run {}: {content}", word("/tooluse/tool"));
                ask_person(std::slice::from_ref(tool), &[about], out);
            }
        }
        self.tell_follow_up();
    }

    /// Says what the next prompt may answer.
    fn tell_follow_up(&mut self) {
        if !self.asked.is_empty() {
            self.reply.set_follow_up(json!({ "session_id": self.session, "pending_tools": self.asked }));
        }
    }

    fn push_output(&mut self, text: &str) {
        if !self.output.is_empty() {
            self.output.push('\n');
        }
        self.output.push_str(text);
    }

    fn finish_running(&mut self, outcome: CallOutcome, duration: Option<Millis>, out: &mut Vec<ReplyEvent>) {
        let output = std::mem::take(&mut self.output);
        let Some(wire) = self.running.take() else { return };
        // One that was announced before this stream began.
        if !self.reply.calls.is_known(&wire) {
            let message = self.message(out);
            self.reply.start_call(message, &wire, None, ExecutedBy::Server, out);
        }
        self.reply.calls.finish_after(&wire, outcome, output, duration, out);
        self.close_message(out);
    }

    /// Ends the turn, unless a tool is to go on by itself.
    fn finish_turn(&mut self, out: &mut Vec<ReplyEvent>) {
        if self.running.is_none() && self.waiting.len() == self.asked.len() {
            self.end.has_ended = true;
            self.close_message(out);
        }
    }
}

impl Decode for GptmeDecoder {
    fn decode_frame(&mut self, frame: &SseFrame, out: &mut Vec<ReplyEvent>) {
        if let Some((event, marked)) = self.end.parse_object(frame, out) {
            self.handle_event(&event, marked, out);
        }
    }

    fn finish(&mut self, out: &mut Vec<ReplyEvent>) {
        self.finish_running(CallOutcome::Unknown, None, out);
        self.end.finish(&mut self.reply, out);
    }

    fn has_failed(&self) -> bool {
        self.end.has_failed()
    }

    fn is_done(&self) -> bool {
        self.end.has_ended || self.end.is_cancelled || self.end.has_failed()
    }

    /// Between turns come pings, and what the person says.
    fn begins_next(&self, frame: &SseFrame) -> bool {
        let json = serde_json::from_str::<Json>(&frame.data).unwrap_or_default();
        matches!(
            json.get("type").and_then(Json::as_str),
            Some("generation_started" | "generation_progress" | "tool_executing" | "tool_pending")
        )
    }
}
