//! Gemini's Interactions, its models' and its agents': unnamed events with an `event_type`, of steps under an index. A
//! step is a thought, an output of the model, a call or the result of one that the server ran; `interaction.completed`
//! has the status and the counts.
//!
//! The first version told the same with `content.start`, `content.delta` and `interaction.complete`.
//!
//! Source: the event types of the Python package `google-genai` 3.6, and recordings of a server that mocks the API.

use serde_json::json;

use super::agent_reply::{annotate, content_text};
use super::reply_end::ReplyEnd;
use super::step_reply::{StepBlockKind, StepReply};
use super::{Decode, Dialect, Evidence, FirstFrame, SseFrame, error, surrogate};
use crate::event::{Annotation, CallOutcome, ExecutedBy, Fault, FaultKind, Json, ReplyEvent};

/// Also `--dialect gemini-interactions`.
pub const DIALECT: Dialect = Dialect {
    name: "gemini-interactions",
    title: "Gemini Interactions",
    decode: |_| Box::<GeminiInteractionsDecoder>::default(),
    evidence,
    extends: None,
    limitations: "call times, the content of media",
};

fn evidence(first: &FirstFrame<'_>) -> Option<Evidence> {
    let kind = first.object().map(|_| first.text("event_type")).unwrap_or_default();
    let is_one = ["interaction.", "step.", "content."].iter().any(|family| kind.starts_with(family))
        || (kind == "error" && first.has("error"));
    is_one.then(|| Evidence::shape(format!("a frame has the event_type {kind}")))
}

/// Steps that are open at a time; the oldest is forgotten.
const MAX_OPEN_STEPS: usize = 64;

/// A step that was started.
#[derive(Debug)]
struct InteractionStep {
    index: u64,
    kind: String,
    /// The call that the step is or has the result of; empty for others.
    call: String,
    /// Its media were told.
    has_part: bool,
}

/// Decodes one answer.
#[derive(Debug, Default)]
pub struct GeminiInteractionsDecoder {
    steps: StepReply,
    open: Vec<InteractionStep>,
    has_steps: bool,
    /// What the model signed, which must go back with its next call.
    signature: Option<Json>,
    end: ReplyEnd,
}

impl GeminiInteractionsDecoder {
    fn handle_event(&mut self, event: &Json, marked: bool, out: &mut Vec<ReplyEvent>) {
        let index = event.get("index").and_then(Json::as_u64).unwrap_or(0);
        let kind = event.get("event_type").and_then(Json::as_str).unwrap_or_default();
        match kind {
            "step.delta" | "content.delta" => {
                self.end.take_usage(event.pointer("/metadata/total_usage"));
                if let Some(delta) = event.get("delta") {
                    self.handle_delta(index, delta, marked, out);
                }
            }
            "step.start" | "content.start" => {
                let mut step = event.get("step").or_else(|| event.get("content")).cloned().unwrap_or_default();
                surrogate::resolve_marks_in_json(&mut step, marked);
                self.start_step(index, &step, out);
            }
            "step.stop" | "content.stop" => self.stop_step(index, out),
            "interaction.status_update" => {
                self.end.take_usage(event.get("usage"));
                self.take_status(event.get("status"), out);
            }
            "interaction.completed" | "interaction.complete" => {
                let interaction = event.get("interaction").unwrap_or(&Json::Null);
                self.end.take_usage(interaction.get("usage"));
                self.take_status(interaction.get("status"), out);
                self.end.has_ended = true;
                if !self.has_steps {
                    self.take_whole_steps(interaction, marked, out);
                }
            }
            "error" => {
                let told = event.get("error").and_then(error::parse_error_object);
                self.end.fail(&told.unwrap_or_default());
            }
            "interaction.created" | "interaction.start" => {}
            other => {
                self.end.unknown_frames.report(if other.is_empty() { "an event without a type" } else { other }, out);
            }
        }
    }

    fn take_status(&mut self, status: Option<&Json>, out: &mut Vec<ReplyEvent>) {
        match status.and_then(Json::as_str).unwrap_or_default() {
            "failed" => {
                self.end.fail_with(Fault::new(FaultKind::Upstream, "the server reports that the interaction failed"));
            }
            "cancelled" => self.end.is_cancelled = true,
            "budget_exceeded" => {
                let text = "the interaction's budget was used up before its end";
                self.end.fail_with(Fault::new(FaultKind::LimitReached, text));
            }
            "incomplete" | "requires_continuation" => self.end.finish_tracker.observe("incomplete", out),
            "completed" => self.end.finish_tracker.observe("completed", out),
            _ => {}
        }
    }

    /// Takes the steps of an interaction that were not streamed.
    fn take_whole_steps(&mut self, interaction: &Json, marked: bool, out: &mut Vec<ReplyEvent>) {
        let mut steps = interaction.get("steps").or_else(|| interaction.get("outputs")).cloned().unwrap_or_default();
        surrogate::resolve_marks_in_json(&mut steps, marked);
        for (index, step) in steps.as_array().into_iter().flatten().enumerate() {
            self.start_step(index as u64, step, out);
            self.stop_step(index as u64, out);
        }
    }

    fn start_step(&mut self, index: u64, step: &Json, out: &mut Vec<ReplyEvent>) {
        let word = |key: &str| step.get(key).and_then(Json::as_str).unwrap_or_default();
        self.has_steps = true;
        self.open.retain(|open| open.index != index);
        if self.open.len() >= MAX_OPEN_STEPS {
            self.open.remove(0);
        }
        let kind = word("type").to_owned();
        let call = if kind.ends_with("_call") { word("id") } else { word("call_id") };
        self.open.push(InteractionStep { index, kind: kind.clone(), call: call.to_owned(), has_part: false });
        match kind.as_str() {
            "thought" => {
                for part in step.get("summary").and_then(Json::as_array).into_iter().flatten() {
                    self.handle_delta(index, &json!({ "type": "thought_summary", "content": part }), false, out);
                }
                self.keep_signature(step);
            }
            "model_output" => {
                for part in step.get("content").and_then(Json::as_array).into_iter().flatten() {
                    self.handle_delta(index, part, false, out);
                }
                if let Some(failed) = step.get("error").and_then(error::parse_error_object) {
                    self.end.fail(&failed);
                }
            }
            // Its text is that of the delta, in the first version.
            "text" if !word("text").is_empty() => self.handle_delta(index, step, false, out),
            kind if kind.ends_with("_call") && !call.is_empty() => self.start_call(index, step, out),
            kind if kind.ends_with("_result") => self.take_result(index, step, out),
            _ => {}
        }
    }

    fn stop_step(&mut self, index: u64, out: &mut Vec<ReplyEvent>) {
        let Some(at) = self.open.iter().rposition(|open| open.index == index) else { return };
        let step = self.open.remove(at);
        let id = index.to_string();
        self.steps.end_block(StepBlockKind::Text, &id);
        self.steps.end_block(StepBlockKind::Reasoning, &id);
        if step.kind.ends_with("_call") {
            self.steps.reply.calls.mark_ready(&step.call, out);
        }
    }

    fn handle_delta(&mut self, index: u64, delta: &Json, marked: bool, out: &mut Vec<ReplyEvent>) {
        let word = |key: &str| delta.get(key).and_then(Json::as_str).unwrap_or_default();
        let id = || index.to_string();
        match word("type") {
            "text" => {
                if !word("text").is_empty() {
                    let message = self.steps.block(StepBlockKind::Text, &id(), out);
                    self.steps.reply.push_text(message, word("text").into(), marked, out);
                }
                self.note_sources(delta);
            }
            "thought_summary" | "thought" => {
                let text = delta.pointer("/content/text").and_then(Json::as_str).unwrap_or_else(|| word("thought"));
                if !text.is_empty() {
                    let message = self.steps.block(StepBlockKind::Reasoning, &id(), out);
                    self.steps.reply.push_reasoning(message, text.into(), marked, out);
                }
            }
            "thought_signature" => self.keep_signature(delta),
            "arguments_delta" => {
                let call = self.open.iter().rfind(|open| open.index == index).map(|open| open.call.clone());
                let pushed =
                    self.steps.reply.calls.push_args(&call.unwrap_or_default(), word("arguments").into(), marked, out);
                if let Err(odd) = pushed {
                    self.end.unknown_frames.report(odd, out);
                }
            }
            "text_annotation_delta" | "text_annotation" => self.note_sources(delta),
            _ => {
                let mut delta = delta.clone();
                surrogate::resolve_marks_in_json(&mut delta, marked);
                self.handle_rare_delta(index, &delta, out);
            }
        }
    }

    fn handle_rare_delta(&mut self, index: u64, delta: &Json, out: &mut Vec<ReplyEvent>) {
        let kind = delta.get("type").and_then(Json::as_str).unwrap_or_default();
        match kind {
            kind if kind.ends_with("_call") => self.start_call(index, delta, out),
            kind if kind.ends_with("_result") => self.take_result(index, delta, out),
            "image" | "audio" | "video" | "document" => {
                let step = self.open.iter_mut().rfind(|open| open.index == index);
                if !step.is_some_and(|step| std::mem::replace(&mut step.has_part, true)) {
                    let (kind, url) = (delta.get("mime_type"), delta.get("uri"));
                    annotate(Annotation::Part(json!({ "kind": "file", "mediaType": kind, "url": url })), out);
                }
            }
            other => {
                self.end.unknown_frames.report(if other.is_empty() { "a delta without a type" } else { other }, out);
            }
        }
    }

    /// Starts the call of a step, or takes its arguments. All but functions are run by the server.
    fn start_call(&mut self, index: u64, call: &Json, out: &mut Vec<ReplyEvent>) {
        let word = |key: &str| call.get(key).and_then(Json::as_str).filter(|text| !text.is_empty());
        let kind = word("type").unwrap_or_default();
        let known = self.open.iter().rfind(|open| open.index == index).map(|open| open.call.clone());
        let wire = word("id").map(str::to_owned).or(known.filter(|id| !id.is_empty()));
        let wire = wire.unwrap_or_else(|| format!("step_{index}"));
        if let Some(step) = self.open.iter_mut().rfind(|open| open.index == index) {
            step.call.clone_from(&wire);
        }
        let ran_by = if kind == "function_call" { ExecutedBy::Client } else { ExecutedBy::Server };
        let name = word("name").or_else(|| kind.strip_suffix("_call"));
        self.steps.start_call(&wire, name, ran_by, out);
        if let Some(signature) = self.signature.take() {
            self.steps.reply.calls.keep_metadata(&wire, json!({ "thought_signature": signature }));
        }
        // An empty object holds the place of arguments that are still to come.
        let args = call.get("arguments").filter(|args| args.as_object().is_some_and(|args| !args.is_empty()));
        if let Some(args) = args {
            self.steps.reply.calls.complete(&wire, name, &args.to_string(), out);
        }
    }

    fn take_result(&mut self, index: u64, result: &Json, out: &mut Vec<ReplyEvent>) {
        let Some(value) = result.get("result").filter(|value| !value.is_null()) else { return };
        let step = self.open.iter().rfind(|open| open.index == index).map(|open| open.call.as_str());
        let own = result.get("call_id").and_then(Json::as_str);
        let Some(wire) = own.or(step).filter(|wire| !wire.is_empty()).map(str::to_owned) else { return };
        let has_failed = result.get("is_error") == Some(&Json::Bool(true));
        let outcome = if has_failed { CallOutcome::Failed } else { CallOutcome::Ok };
        self.steps.finish_call(&wire, outcome, content_text(value), out);
        // What the model says of the result is another message.
        self.steps.end_step(out);
    }

    fn keep_signature(&mut self, from: &Json) {
        if let Some(signature) = from.get("signature").filter(|signature| signature.is_string()) {
            self.signature = Some(signature.clone());
        }
    }

    fn note_sources(&mut self, delta: &Json) {
        for note in delta.get("annotations").and_then(Json::as_array).into_iter().flatten() {
            let url = note.get("url").or_else(|| note.get("document_uri")).or_else(|| note.get("source"));
            let title = note.get("title").or_else(|| note.get("name")).or_else(|| note.get("file_name"));
            self.end.note_source(title, url);
        }
    }
}

impl Decode for GeminiInteractionsDecoder {
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
        self.end.has_ended
    }
}
