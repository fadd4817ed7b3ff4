//! Mistral's conversations, of its models and agents: frames named after their type. A message comes in pieces under an
//! id, tools that the server runs and calls for the client are told apart, and agents hand over to others.
//!
//! Source: the event types of the Python package `mistralai` 3.7. No server of it runs outside of the vendor, so none
//! was recorded.

use serde_json::json;

use super::agent_reply::{annotate, ask_person, capped, result_text};
use super::reply_end::ReplyEnd;
use super::step_reply::{StepBlockKind, StepReply};
use super::{Decode, Dialect, Evidence, FirstFrame, SseFrame, error, surrogate};
use crate::event::{Annotation, CallOutcome, ExecutedBy, Json, ReplyEvent};

/// Also `--dialect mistral`.
pub const DIALECT: Dialect = Dialect {
    name: "mistral",
    title: "Mistral's conversations",
    decode: |_| Box::<MistralDecoder>::default(),
    evidence,
    extends: None,
    limitations: "call times, the tokens of connectors",
};

fn evidence(first: &FirstFrame<'_>) -> Option<Evidence> {
    let kind = first.kind();
    let families = ["conversation.response.", "message.output.", "tool.execution.", "function.call.", "agent.handoff."];
    let is_one = families.iter().any(|family| kind.starts_with(family));
    is_one.then(|| Evidence::name(format!("a frame is of type {kind}")))
}

/// Decodes one answer.
#[derive(Debug, Default)]
pub struct MistralDecoder {
    steps: StepReply,
    /// The calls that wait for a person. They are asked for once their arguments are whole.
    to_confirm: Vec<String>,
    end: ReplyEnd,
}

impl MistralDecoder {
    fn handle_event(&mut self, event: &Json, marked: bool, out: &mut Vec<ReplyEvent>) {
        let word = |key: &str| event.get(key).and_then(Json::as_str).unwrap_or_default();
        match word("type") {
            "message.output.delta" => match event.get("content") {
                Some(Json::String(text)) => self.push_text(word("id"), text, marked, out),
                Some(chunk) => self.handle_chunk(word("id"), chunk, marked, out),
                None => {}
            },
            "tool.execution.started" => {
                self.steps.start_call(word("id"), Some(word("name")), ExecutedBy::Server, out);
                self.push_args(word("id"), word("arguments"), marked, out);
            }
            "tool.execution.delta" => self.push_args(word("id"), word("arguments"), marked, out),
            "tool.execution.done" => {
                let mut info = event.get("info").cloned().unwrap_or_default();
                surrogate::resolve_marks_in_json(&mut info, marked);
                self.steps.start_call(word("id"), Some(word("name")), ExecutedBy::Server, out);
                self.steps.finish_call(word("id"), CallOutcome::Ok, result_text(&info), out);
                // What is said of the result is another message.
                self.steps.end_step(out);
            }
            "function.call.delta" => {
                let wire = if word("tool_call_id").is_empty() { word("id") } else { word("tool_call_id") };
                // What has to be confirmed runs there.
                let is_pending = word("confirmation_status") == "pending";
                let executed_by = if is_pending { ExecutedBy::Server } else { ExecutedBy::Client };
                self.steps.start_call(wire, Some(word("name")), executed_by, out);
                self.push_args(wire, word("arguments"), marked, out);
                if is_pending && self.to_confirm.iter().all(|known| known != wire) {
                    self.to_confirm.push(wire.to_owned());
                }
            }
            "agent.handoff.started" => {}
            "agent.handoff.done" => {
                let agent = json!({ "step": "handoff", "agent": word("next_agent_name") });
                annotate(Annotation::Progress(agent), out);
                self.steps.end_step(out);
            }
            "conversation.response.done" => {
                for wire in std::mem::take(&mut self.to_confirm) {
                    let request = json!({ "tool_call_id": wire, "confirmation_status": "pending" });
                    let question = format!("may it run {}?", self.steps.reply.calls.name(&wire).unwrap_or_default());
                    self.steps.reply.calls.ask_approval(&wire, request.clone(), None, out);
                    ask_person(&[request], &[question], out);
                }
                self.end.take_usage(event.get("usage"));
                self.end.has_ended = true;
            }
            "conversation.response.error" => self.end.fail(&error::parse_error_object(event).unwrap_or_default()),
            "conversation.response.started" => {}
            "" => match error::parse(event) {
                Some(server_error) => self.end.fail(&server_error),
                None => self.end.unknown_frames.report("an event without a type", out),
            },
            other => self.end.unknown_frames.report(other, out),
        }
    }

    fn push_text(&mut self, id: &str, text: &str, marked: bool, out: &mut Vec<ReplyEvent>) {
        if !text.is_empty() {
            let message = self.steps.block(StepBlockKind::Text, id, out);
            self.steps.reply.push_text(message, text.into(), marked, out);
        }
    }

    fn push_args(&mut self, wire: &str, piece: &str, marked: bool, out: &mut Vec<ReplyEvent>) {
        if piece.is_empty() {
            return;
        }
        if let Err(odd) = self.steps.reply.calls.push_args(wire, piece.into(), marked, out) {
            self.end.unknown_frames.report(odd, out);
        }
    }

    /// Handles a piece of a message that is more than text.
    fn handle_chunk(&mut self, id: &str, chunk: &Json, marked: bool, out: &mut Vec<ReplyEvent>) {
        let word = |key: &str| chunk.get(key).and_then(Json::as_str).unwrap_or_default();
        match word("type") {
            "text" => self.push_text(id, word("text"), marked, out),
            "thinking" => {
                for thought in chunk.get("thinking").and_then(Json::as_array).into_iter().flatten() {
                    let text = thought.get("text").and_then(Json::as_str).unwrap_or_default();
                    if !text.is_empty() {
                        let message = self.steps.block(StepBlockKind::Reasoning, id, out);
                        self.steps.reply.push_reasoning(message, text.into(), marked, out);
                    }
                }
            }
            "tool_reference" => self.end.note_source(chunk.get("title"), chunk.get("url")),
            "reference" => annotate(Annotation::Citation(capped(chunk)), out),
            "tool_file" => {
                let part =
                    json!({ "kind": "file", "mediaType": chunk.get("file_type"), "filename": chunk.get("file_name") });
                annotate(Annotation::Part(part), out);
            }
            "image_url" | "document_url" => {
                let url = chunk.get(word("type")).map(|url| url.get("url").unwrap_or(url));
                annotate(Annotation::Part(json!({ "kind": "file", "url": url })), out);
            }
            other => self.end.unknown_frames.report(if other.is_empty() { "an empty chunk" } else { other }, out),
        }
    }
}

impl Decode for MistralDecoder {
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
}
