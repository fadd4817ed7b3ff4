//! The streams of Mastra's agents: unnamed frames like those of the AI SDK, with everything under `payload`, and `from`
//! saying whose they are; ended by `[DONE]`. Steps, blocks and calls are those of `step_reply`. After an error
//! the stream goes on to its `finish`, which counts the whole run.
//!
//! Source: the chunk types of the npm package `@mastra/core`, and recordings of its server.

use serde_json::json;

use super::agent_reply::{annotate, ask_person, capped, result_text};
use super::finish_reason::CONTENT_FILTER_MESSAGE;
use super::reply_end::ReplyEnd;
use super::step_reply::{StepBlockKind, StepReply};
use super::{Decode, Dialect, Evidence, FirstFrame, SseFrame, error, surrogate, usage};
use crate::event::{Annotation, CallOutcome, ExecutedBy, Fault, FaultKind, Json, ReplyEvent, Usage};

/// Also `--dialect mastra`.
pub const DIALECT: Dialect = Dialect {
    name: "mastra",
    title: "Mastra",
    decode: |_| Box::<MastraDecoder>::default(),
    evidence,
    extends: None,
    limitations: "call times, the steps of workflows and networks",
};

fn evidence(first: &FirstFrame<'_>) -> Option<Evidence> {
    let is_source = matches!(first.text("from"), "AGENT" | "USER" | "SYSTEM" | "WORKFLOW" | "NETWORK");
    let is_one = is_source && first.has("payload") && first.has("runId") && !first.kind().is_empty();
    is_one.then(|| Evidence::shape(format!("a frame of type {} has a payload and a source", first.kind())))
}

/// Decodes one answer.
#[derive(Debug, Default)]
pub struct MastraDecoder {
    steps: StepReply,
    end: ReplyEnd,
    /// What the end says of all steps, whose sum is in `end`.
    usage: Option<Usage>,
    done: bool,
}

impl MastraDecoder {
    fn handle_chunk(&mut self, kind: &str, payload: &Json, marked: bool, out: &mut Vec<ReplyEvent>) {
        let text = |key: &str| payload.get(key).and_then(Json::as_str).unwrap_or_default();
        match kind {
            "text-start" | "reasoning-start" | "text-end" | "reasoning-end" => {
                let block = if kind.starts_with("text") { StepBlockKind::Text } else { StepBlockKind::Reasoning };
                if kind.ends_with("start") {
                    self.steps.start_block(block, text("id"), out);
                } else {
                    self.steps.end_block(block, text("id"));
                }
            }
            "text-delta" => {
                let message = self.steps.block(StepBlockKind::Text, text("id"), out);
                self.steps.reply.push_text(message, text("text").into(), marked, out);
            }
            "reasoning-delta" => {
                let message = self.steps.block(StepBlockKind::Reasoning, text("id"), out);
                self.steps.reply.push_reasoning(message, text("text").into(), marked, out);
            }
            "tool-call-delta" => {
                self.start_call(payload, out);
                let piece = text("argsTextDelta").into();
                if let Err(odd) = self.steps.reply.calls.push_args(text("toolCallId"), piece, marked, out) {
                    self.end.unknown_frames.report(odd, out);
                }
            }
            _ => {
                let mut payload = payload.clone();
                surrogate::resolve_marks_in_json(&mut payload, marked);
                if kind.starts_with("tool-") {
                    self.handle_tool(kind, &payload, out);
                } else {
                    self.handle_rare(kind, &payload, out);
                }
            }
        }
    }

    fn start_call(&mut self, payload: &Json, out: &mut Vec<ReplyEvent>) {
        let text = |key: &str| payload.get(key).and_then(Json::as_str).filter(|text| !text.is_empty());
        let ran_by = if payload.get("providerExecuted") == Some(&Json::Bool(true)) {
            ExecutedBy::Server
        } else {
            ExecutedBy::Client
        };
        if let Some(wire) = text("toolCallId") {
            self.steps.start_call(wire, text("toolName"), ran_by, out);
        }
    }

    fn handle_tool(&mut self, kind: &str, payload: &Json, out: &mut Vec<ReplyEvent>) {
        let text = |key: &str| payload.get(key).and_then(Json::as_str).unwrap_or_default();
        let wire = text("toolCallId");
        match kind {
            "tool-call-input-streaming-start" => self.start_call(payload, out),
            "tool-call-input-streaming-end" => {}
            "tool-call" => {
                self.start_call(payload, out);
                let args = payload.get("args").map(result_text).unwrap_or_default();
                self.steps.reply.calls.complete(wire, Some(text("toolName")), &args, out);
            }
            "tool-result" | "tool-error" => {
                let has_failed = kind == "tool-error" || payload.get("isError") == Some(&Json::Bool(true));
                let outcome = if has_failed { CallOutcome::Failed } else { CallOutcome::Ok };
                let value = payload.get("result").or_else(|| payload.get("error")).unwrap_or(&Json::Null);
                let words =
                    error::parse_error_object(value).filter(|_| kind == "tool-error").map(|error| error.message);
                self.start_call_of_result(payload, out);
                self.steps.finish_call(wire, outcome, words.unwrap_or_else(|| result_text(value)), out);
            }
            "tool-call-approval" | "tool-call-suspended" => {
                self.start_call(payload, out);
                let args = payload.get("args").map(result_text).unwrap_or_default();
                self.steps.reply.calls.complete(wire, Some(text("toolName")), &args, out);
                let about = format!("may it go on with {} ({wire})?", text("toolName"));
                ask_person(std::slice::from_ref(payload), &[about], out);
            }
            // What a tool writes while it runs, streams of other agents among it.
            "tool-output" => {}
            other => self.end.unknown_frames.report(other, out),
        }
    }

    /// Starts a call whose start was not told.
    fn start_call_of_result(&mut self, payload: &Json, out: &mut Vec<ReplyEvent>) {
        let text = |key: &str| payload.get(key).and_then(Json::as_str);
        let Some(wire) = text("toolCallId").filter(|wire| !self.steps.reply.calls.is_known(wire)) else { return };
        self.start_call(payload, out);
        let args = payload.get("args").map(result_text).unwrap_or_default();
        self.steps.reply.calls.complete(wire, text("toolName"), &args, out);
    }

    fn handle_rare(&mut self, kind: &str, payload: &Json, out: &mut Vec<ReplyEvent>) {
        let usage = || payload.pointer("/output/usage").or_else(|| payload.get("usage")).and_then(usage::parse);
        match kind {
            "start" => {}
            "step-start" => self.steps.end_step(out),
            // How it ended is told later, if it was the last one.
            "step-finish" => self.end.add_usage(usage()),
            "finish" => {
                self.end.has_ended = true;
                self.usage = usage().or(self.usage);
                let reason = payload.pointer("/stepResult/reason").or_else(|| payload.get("finishReason"));
                if let Some(word) = reason.and_then(Json::as_str).filter(|word| *word != "unknown") {
                    self.end.finish_tracker.observe(word, out);
                }
            }
            "abort" => self.end.is_aborted = true,
            "error" => {
                let server_error = error::find_error(&SseFrame::named("error", payload.to_string()));
                self.end.fail(&server_error.unwrap_or_default());
            }
            "tripwire" => {
                let words = ["tripwireReason", "reason"].iter().find_map(|key| payload.get(*key)?.as_str());
                let text = words.map_or_else(|| CONTENT_FILTER_MESSAGE.to_owned(), error::to_single_line);
                self.end.fail_with(Fault::new(FaultKind::Refused, text));
            }
            "source" => annotate(Annotation::Citation(capped(payload)), out),
            "file" => {
                let part = json!({ "kind": "file", "mediaType": payload.get("mimeType") });
                annotate(Annotation::Part(part), out);
            }
            kind if kind.starts_with("data-") || kind == "object-result" => {
                annotate(Annotation::Custom { name: kind.into(), value: capped(payload) }, out);
            }
            // Repetitions, and what only the framework's own parts tell each other.
            "reasoning-signature"
            | "redacted-reasoning"
            | "response-metadata"
            | "raw"
            | "object"
            | "watch"
            | "step-output"
            | "background-task" => {}
            kind if ["workflow-", "routing-", "agent-execution-", "network-"]
                .iter()
                .any(|own| kind.starts_with(own)) => {}
            other => self.end.unknown_frames.report(other, out),
        }
    }
}

impl Decode for MastraDecoder {
    fn decode_frame(&mut self, frame: &SseFrame, out: &mut Vec<ReplyEvent>) {
        let data = frame.data.trim();
        if self.done || data.is_empty() {
            return;
        }
        if data == "[DONE]" {
            self.done = true;
            return;
        }
        let repaired = surrogate::mark_if_lone(data);
        let json: Option<Json> = serde_json::from_str(repaired.as_deref().unwrap_or(data)).ok();
        match json.filter(Json::is_object) {
            Some(json) => {
                let kind = json.get("type").and_then(Json::as_str).unwrap_or_default();
                let payload = json.get("payload").or_else(|| json.get("data")).unwrap_or(&Json::Null);
                self.handle_chunk(kind, payload, repaired.is_some(), out);
            }
            None => self.end.report_unparsed(frame, out),
        }
    }

    fn finish(&mut self, out: &mut Vec<ReplyEvent>) {
        self.end.has_ended |= self.done;
        self.end.usage = self.usage.take().or(self.end.usage);
        self.end.finish(&mut self.steps.reply, out);
    }

    fn has_failed(&self) -> bool {
        self.end.has_failed()
    }

    fn is_done(&self) -> bool {
        self.done
    }

    fn is_complete(&self) -> bool {
        self.done || self.end.has_ended
    }
}
