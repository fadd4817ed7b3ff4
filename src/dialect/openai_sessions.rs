//! The events of a session of OpenAI's agents: turns of items, whose text comes in pieces, as in Responses. A turn ends
//! itself, or waits for its client.
//!
//! Source: the event types of the Python package `openai` 3.57. No such session runs outside of the vendor, so none was
//! recorded.

use serde_json::json;

use super::agent_reply::{annotate, ask_person, content_text, result_text};
use super::reply_end::ReplyEnd;
use super::step_reply::{StepBlockKind, StepReply};
use super::{Decode, Dialect, Evidence, FirstFrame, SseFrame, error, surrogate};
use crate::event::{Annotation, CallOutcome, ExecutedBy, Json, Millis, ReplyEvent};

/// Also `--dialect openai-sessions`.
pub const DIALECT: Dialect = Dialect {
    name: "openai-sessions",
    title: "a session of OpenAI's agents",
    decode: |_| Box::<OpenAiSessionDecoder>::default(),
    evidence,
    extends: None,
    limitations: "what subagents tell each other, environments, approvals in a browser",
};

fn evidence(first: &FirstFrame<'_>) -> Option<Evidence> {
    let kind = first.kind();
    let is_one = kind.starts_with("agent.session.")
        || kind.starts_with("agent.output.")
        || (kind == "error" && first.has("session_id") && first.has("event_id"));
    is_one.then(|| Evidence::name(format!("an event is of type {kind}")))
}

/// Decodes one answer.
#[derive(Debug, Default)]
pub struct OpenAiSessionDecoder {
    steps: StepReply,
    end: ReplyEnd,
}

impl OpenAiSessionDecoder {
    fn handle_event(&mut self, event: &Json, marked: bool, out: &mut Vec<ReplyEvent>) {
        let word = |key: &str| event.get(key).and_then(Json::as_str).unwrap_or_default();
        let part = |key: &str| format!("{}#{}", word("item_id"), event.get(key).and_then(Json::as_u64).unwrap_or(0));
        let kind = word("type");
        match kind.strip_prefix("agent.session.").unwrap_or(kind) {
            "turn.output_text.delta" => {
                let message = self.steps.block(StepBlockKind::Text, &part("content_index"), out);
                self.steps.reply.push_text(message, word("delta").into(), marked, out);
            }
            "turn.reasoning_summary_text.delta" => {
                let message = self.steps.block(StepBlockKind::Reasoning, &part("summary_index"), out);
                self.steps.reply.push_reasoning(message, word("delta").into(), marked, out);
            }
            name => {
                let mut event = event.clone();
                surrogate::resolve_marks_in_json(&mut event, marked);
                self.handle_rare_event(name, &event, out);
            }
        }
    }

    fn handle_rare_event(&mut self, name: &str, event: &Json, out: &mut Vec<ReplyEvent>) {
        let word = |pointer: &str| event.pointer(pointer).and_then(Json::as_str).unwrap_or_default();
        match name {
            "turn.item.added" => self.handle_item(event.get("item").unwrap_or(&Json::Null), false, out),
            "turn.item.done" => self.handle_item(event.get("item").unwrap_or(&Json::Null), true, out),
            "turn.completed" | "turn.failed" | "turn.cancelled" if word("/turn/subagent_id").is_empty() => {
                self.end.take_usage(event.get("usage"));
                self.end.has_ended = true;
                self.end.is_cancelled = name == "turn.cancelled";
                if name == "turn.failed" {
                    let told = event.pointer("/turn/error").and_then(error::parse_error_object);
                    self.end.fail(&told.unwrap_or_default());
                }
            }
            "requires_action" => {
                let actions = event.pointer("/session/required_actions").and_then(Json::as_array);
                let actions = actions.map(Vec::as_slice).unwrap_or_default();
                let what =
                    |action: &Json| Some(action.get("name").or_else(|| action.get("type"))?.as_str()?.to_owned());
                let about: Vec<String> = actions.iter().filter_map(what).collect();
                ask_person(actions, &about, out);
                self.end.has_ended = true;
            }
            "error" | "failed" => {
                let told = event.get("error").or_else(|| event.pointer("/session/error"));
                self.end.fail(&told.and_then(error::parse_error_object).unwrap_or_default());
            }
            "subagent.created" => {
                let agent = json!({ "step": "subagent", "agent": word("/subagent/name") });
                annotate(Annotation::Progress(agent), out);
            }
            // Texts as they were told, and states.
            name if ["turn.", "environment.", "subagent.", "agent.output."]
                .iter()
                .any(|family| name.starts_with(family)) => {}
            "created" | "idle" | "in_progress" => {}
            "" => match error::parse(event) {
                Some(server_error) => self.end.fail(&server_error),
                None => self.end.unknown_frames.report("an event without a type", out),
            },
            other => self.end.unknown_frames.report(other, out),
        }
    }

    fn handle_item(&mut self, item: &Json, is_done: bool, out: &mut Vec<ReplyEvent>) {
        let word = |key: &str| item.get(key).and_then(Json::as_str).unwrap_or_default();
        match word("type") {
            "message" if word("role") == "assistant" && is_done => {
                for (index, part) in item.get("content").and_then(Json::as_array).into_iter().flatten().enumerate() {
                    let text = part.get("text").and_then(Json::as_str).unwrap_or_default();
                    let message = self.steps.block(StepBlockKind::Text, &format!("{}#{index}", word("id")), out);
                    self.steps.reply.set_text(message, text, out);
                    for note in part.get("annotations").and_then(Json::as_array).into_iter().flatten() {
                        self.end.note_source(note.get("title").or_else(|| note.get("filename")), note.get("url"));
                    }
                }
            }
            "reasoning" if is_done => {
                for (index, part) in item.get("summary").and_then(Json::as_array).into_iter().flatten().enumerate() {
                    let text = part.get("text").and_then(Json::as_str).unwrap_or_default();
                    let message = self.steps.block(StepBlockKind::Reasoning, &format!("{}#{index}", word("id")), out);
                    self.steps.reply.set_reasoning(message, text, out);
                }
            }
            "function_call_output" => {
                let failed = word("error");
                let outcome = if failed.is_empty() { CallOutcome::Ok } else { CallOutcome::Failed };
                let output = item.get("output").map(content_text).filter(|text| !text.is_empty());
                self.finish_call(word("call_id"), outcome, output.unwrap_or_else(|| failed.to_owned()), item, out);
            }
            "message" | "reasoning" | "agent_message" => {}
            kind if kind.ends_with("_call") || kind == "command_execution" => {
                self.handle_call(kind, item, is_done, out);
            }
            _ => {}
        }
    }

    fn handle_call(&mut self, kind: &str, item: &Json, is_done: bool, out: &mut Vec<ReplyEvent>) {
        let word = |key: &str| item.get(key).and_then(Json::as_str).unwrap_or_default();
        let is_function = kind == "function_call";
        let wire = if is_function { word("call_id") } else { word("id") };
        let ran_by = if is_function { ExecutedBy::Client } else { ExecutedBy::Server };
        let name = if word("name").is_empty() { kind.strip_suffix("_call").unwrap_or(kind) } else { word("name") };
        if !self.steps.reply.calls.is_known(wire) {
            self.steps.start_call(wire, Some(name), ran_by, out);
        }
        if !is_done {
            return;
        }
        let keys = ["arguments", "action", "command", "content"];
        let args = keys.iter().find_map(|key| Some((*key, item.get(*key).filter(|value| !value.is_null())?)));
        let args = match args {
            Some(("arguments", args)) => result_text(args),
            Some((key, value)) => json!({ key: value }).to_string(),
            None => String::new(),
        };
        self.steps.reply.calls.complete(wire, None, &args, out);
        if !is_function {
            let failed = item.get("error").filter(|error| !error.is_null());
            let has_failed =
                failed.is_some() || item.get("exit_code").and_then(Json::as_i64).is_some_and(|code| code != 0);
            let outcome = if has_failed || word("status") == "failed" { CallOutcome::Failed } else { CallOutcome::Ok };
            let output = failed.or_else(|| item.get("output")).map(content_text).unwrap_or_default();
            self.finish_call(wire, outcome, output, item, out);
        }
    }

    fn finish_call(
        &mut self,
        wire: &str,
        outcome: CallOutcome,
        output: String,
        item: &Json,
        out: &mut Vec<ReplyEvent>,
    ) {
        let duration = item.get("duration_ms").and_then(Json::as_u64).map(Millis);
        self.steps.reply.calls.finish_after(wire, outcome, output, duration, out);
        // What is said of the result is another message.
        self.steps.end_step(out);
    }
}

impl Decode for OpenAiSessionDecoder {
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

    /// The session's own states come between turns.
    fn begins_next(&self, frame: &SseFrame) -> bool {
        let json = serde_json::from_str::<Json>(&frame.data).unwrap_or_default();
        json.get("type").and_then(Json::as_str).is_some_and(|kind| kind.starts_with("agent.session.turn."))
    }
}
