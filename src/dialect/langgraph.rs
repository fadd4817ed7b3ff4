//! The streams of the LangGraph Agent Server, of both generations.
//!
//! The older one has named frames, each of a mode, and a stream may have several modes: `messages` (deltas, in a tuple
//! with metadata), `messages/partial` (the whole text so far), `messages/complete`, `updates` and `values` (whole
//! messages, `values` with the whole conversation before them), `error`. So a message is known by its id and told once,
//! whatever modes repeat it. There is no end mark in the newer servers: a stream that ends in order is whole, unless a
//! message in it lacks the mark of its last piece. The newer generation has unnamed envelopes, each with a `seq`, a
//! `method` and `params.data`, and says how the run ended.
//!
//! Source: the npm package `@langchain/langgraph-api`, the Python packages `langgraph-api` and `langchain-protocol`, and
//! recordings of both servers.

mod approvals;
mod content;
mod envelope;
mod messages;

use self::envelope::EnvelopeState;
use self::messages::{MessageForm, RunMessages};
use super::agent_reply::{annotate, ask_person, capped, report_usage, result_text};
use super::unknown_frames::UnknownFrames;
use super::{Decode, DecodeContext, Dialect, Evidence, FirstFrame, SseFrame, error, surrogate};
use crate::event::{Annotation, Fault, Json, ReplyEvent, TurnOutcome};

/// Also `--dialect langgraph`.
pub const DIALECT: Dialect = Dialect {
    name: "langgraph",
    title: "LangGraph",
    decode: |context: &DecodeContext| Box::new(LangGraphDecoder::new(context)),
    evidence,
    extends: None,
    limitations: "call times, checkpoints, tasks, the state of graphs besides their messages",
};

/// The modes of the older generation.
const MODES: &[&str] = &[
    "metadata",
    "values",
    "updates",
    "messages",
    "messages/metadata",
    "messages/partial",
    "messages/complete",
    "custom",
    "events",
    "debug",
    "tasks",
    "checkpoints",
    "feedback",
    "error",
    "end",
];

fn evidence(first: &FirstFrame<'_>) -> Option<Evidence> {
    let name = mode(first.name());
    let location = first.context.response.header("content-location").unwrap_or_default();
    if MODES.contains(&name) && location.contains("/runs/") {
        return Some(Evidence::header("the response is located at a run"));
    }
    if first.kind() == "event" && first.has("method") && first.has_in("params", "namespace") {
        return Some(Evidence::shape("an event has a method and a namespace"));
    }
    let is_message = |json: &Json| json.get("type").is_some() || json.get("content").is_some();
    let is_one = match name {
        "metadata" => first.has("run_id"),
        "messages/metadata" | "messages/partial" | "messages/complete" => true,
        "messages" => first.json.as_ref().and_then(Json::as_array).is_some_and(|tuple| {
            tuple.len() == 2 && tuple.first().is_some_and(is_message) && tuple.get(1).is_some_and(Json::is_object)
        }),
        "values" => first.has("messages"),
        "updates" => {
            let nodes = first.object().and_then(Json::as_object)?;
            nodes.values().any(|update| update.get("messages").is_some()) || nodes.contains_key("__interrupt__")
        }
        _ => false,
    };
    is_one.then(|| Evidence::named(first))
}

/// Returns the mode that a frame is named after; a subgraph adds its namespace.
fn mode(name: &str) -> &str {
    name.split('|').next().unwrap_or_default()
}

/// Decodes one run.
#[derive(Debug, Default)]
pub struct LangGraphDecoder {
    messages: RunMessages,
    /// Interrupts that were reported, by their ids or values.
    interrupts: Vec<String>,
    /// The newest state without messages.
    state: Option<Json>,
    fault: Option<Fault>,
    /// A message failed, which may not be the end.
    message_fault: Option<Fault>,
    envelopes: EnvelopeState,
    /// The run said that it is over.
    is_over: bool,
    unknown_frames: UnknownFrames,
}

impl LangGraphDecoder {
    fn new(context: &DecodeContext) -> Self {
        let mut decoder = Self::default();
        decoder.messages.reply.calls.adopt(&context.open_calls);
        decoder
    }

    fn handle_mode(&mut self, name: &str, data: &mut Json, marked: bool, out: &mut Vec<ReplyEvent>) {
        let is_delta = matches!(name, "messages" | "events");
        if !is_delta {
            surrogate::resolve_marks_in_json(data, marked);
        }
        match name {
            "messages" => match data.as_array().map(Vec::as_slice) {
                Some([message, metadata]) if metadata.get("content").is_none() => {
                    let place = ["langgraph_checkpoint_ns", "checkpoint_ns"].iter().find_map(|key| metadata.get(*key));
                    let place = place.and_then(Json::as_str).unwrap_or_default();
                    self.messages.take(message, MessageForm::Piece, place, marked, out);
                }
                Some(list) => list.iter().for_each(|one| self.messages.take(one, MessageForm::Whole, "", marked, out)),
                None => self.unknown_frames.report("messages that are not a list", out),
            },
            "messages/partial" => self.take_list(data, MessageForm::SoFar, out),
            "messages/complete" => self.take_list(data, MessageForm::Whole, out),
            "values" => self.take_values(data, out),
            "updates" => self.take_updates(data, out),
            "events" => self.take_run_event(data, marked, out),
            "custom" => annotate(Annotation::Custom { name: "custom".into(), value: capped(data) }, out),
            "error" => {
                let server_error = error::parse_error_data(&data.to_string());
                self.fault.get_or_insert_with(|| error::to_fault(&server_error));
            }
            "end" => self.is_over = true,
            "metadata" | "messages/metadata" | "debug" | "tasks" | "checkpoints" | "feedback" | "heartbeat" => {}
            other => match error::find_error(&SseFrame::named(other, data.to_string())) {
                Some(server_error) => {
                    self.fault.get_or_insert_with(|| error::to_fault(&server_error));
                }
                None => {
                    self.unknown_frames.report(if other.is_empty() { "a frame without a name" } else { other }, out);
                }
            },
        }
    }

    fn take_list(&mut self, list: &Json, form: MessageForm, out: &mut Vec<ReplyEvent>) {
        for message in list.as_array().into_iter().flatten() {
            self.messages.take(message, form, "", false, out);
        }
    }

    /// Takes a state: the whole conversation. What stands before the last prompt is of earlier runs.
    fn take_values(&mut self, state: &Json, out: &mut Vec<ReplyEvent>) {
        self.take_interrupts(state.get("__interrupt__"), out);
        match state.get("messages").and_then(Json::as_array) {
            Some(list) => self.messages.take_conversation(list, out),
            None if state
                .as_object()
                .is_some_and(|state| !state.is_empty() && !state.contains_key("__interrupt__")) =>
            {
                self.state = Some(capped(state));
            }
            None => {}
        }
    }

    /// Takes what nodes added to the state.
    fn take_updates(&mut self, updates: &Json, out: &mut Vec<ReplyEvent>) {
        self.take_interrupts(updates.get("__interrupt__"), out);
        // In an envelope, a node's name and its values stand side by side.
        if let Some(values) = updates.get("values").filter(|_| updates.get("node").is_some()) {
            return self.take_update(values, out);
        }
        for (_, update) in updates.as_object().into_iter().flatten().filter(|(node, _)| *node != "__interrupt__") {
            match update {
                // A node that ran several times.
                Json::Array(several) => several.iter().for_each(|update| self.take_update(update, out)),
                update => self.take_update(update, out),
            }
        }
    }

    fn take_update(&mut self, update: &Json, out: &mut Vec<ReplyEvent>) {
        match update.get("messages") {
            Some(Json::Array(list)) => self.messages.take_conversation(list, out),
            Some(message @ Json::Object(_)) => self.messages.take(message, MessageForm::Whole, "", false, out),
            _ => {}
        }
    }

    /// Takes an event of a run's parts, as LangChain itself tells them.
    fn take_run_event(&mut self, event: &Json, marked: bool, out: &mut Vec<ReplyEvent>) {
        let place = event.get("run_id").and_then(Json::as_str).unwrap_or_default();
        match event.get("event").and_then(Json::as_str).unwrap_or_default() {
            "on_chat_model_stream" => {
                if let Some(chunk) = event.pointer("/data/chunk") {
                    self.messages.take(chunk, MessageForm::Piece, place, marked, out);
                }
            }
            "on_chat_model_end" | "on_tool_end" => {
                let mut output = event.pointer("/data/output").cloned().unwrap_or_default();
                surrogate::resolve_marks_in_json(&mut output, marked);
                if output.is_object() {
                    self.messages.take(&output, MessageForm::Whole, place, false, out);
                }
            }
            _ => {}
        }
    }

    fn take_interrupts(&mut self, interrupts: Option<&Json>, out: &mut Vec<ReplyEvent>) {
        for interrupt in interrupts.and_then(Json::as_array).into_iter().flatten() {
            self.take_interrupt(interrupt, out);
        }
    }

    /// Reports an interrupt once.
    fn take_interrupt(&mut self, interrupt: &Json, out: &mut Vec<ReplyEvent>) {
        let id = ["id", "interrupt_id"].iter().find_map(|key| interrupt.get(*key)?.as_str());
        let value = interrupt.get("value").or_else(|| interrupt.get("payload")).unwrap_or(interrupt);
        let key = id.map_or_else(|| value.to_string(), str::to_owned);
        if self.interrupts.contains(&key) || self.interrupts.len() >= 64 {
            return;
        }
        self.interrupts.push(key);
        self.ask_approvals(id, value, out);
        let keys = ["question", "message", "description", "query", "text"];
        let first = value.get("action_requests").unwrap_or(value);
        let first = first.as_array().and_then(|list| list.first()).unwrap_or(first);
        let about = keys.iter().find_map(|key| first.get(*key)?.as_str()).map(str::to_owned);
        ask_person(std::slice::from_ref(interrupt), &[about.unwrap_or_else(|| result_text(value))], out);
    }

    fn outcome(&mut self) -> TurnOutcome {
        if let Some(fault) = self.fault.take() {
            return TurnOutcome::Failed(fault);
        }
        let has_said_any = self.messages.has_said_any() || self.state.is_some() || !self.interrupts.is_empty();
        if self.is_over || (!self.envelopes.has_any && has_said_any && !self.messages.is_cut_off()) {
            TurnOutcome::Completed
        } else {
            self.message_fault.take().map_or(TurnOutcome::Interrupted, TurnOutcome::Failed)
        }
    }
}

impl Decode for LangGraphDecoder {
    fn decode_frame(&mut self, frame: &SseFrame, out: &mut Vec<ReplyEvent>) {
        let data = frame.data.trim();
        if self.is_over || data == "[DONE]" {
            return;
        }
        let name = mode(&frame.event);
        let repaired = surrogate::mark_if_lone(data);
        let json: Option<Json> = serde_json::from_str(repaired.as_deref().unwrap_or(data)).ok();
        let marked = repaired.is_some();
        match json {
            Some(mut json) if json.get("method").is_some() && json.get("params").is_some() => {
                self.handle_envelope(&mut json, marked, out);
            }
            Some(mut json) => self.handle_mode(name, &mut json, marked, out),
            None if name == "end" || data.is_empty() => self.handle_mode(name, &mut Json::Null, false, out),
            None => match error::find_error_in_unparsed(frame) {
                Some(server_error) => {
                    self.fault.get_or_insert_with(|| error::to_fault(&server_error));
                }
                None => self.unknown_frames.report("data that is not JSON", out),
            },
        }
    }

    fn finish(&mut self, out: &mut Vec<ReplyEvent>) {
        let outcome = self.outcome();
        let reason = if outcome == TurnOutcome::Completed { None } else { Some(outcome.finish_reason()) };
        self.messages.finish(reason, out);
        if let Some(value) = self.state.take().filter(|_| !self.messages.has_said_any()) {
            annotate(Annotation::Result { value }, out);
        }
        report_usage(self.messages.usage(), out);
        out.push(ReplyEvent::End { outcome });
    }

    fn has_failed(&self) -> bool {
        self.fault.is_some()
    }

    fn is_done(&self) -> bool {
        self.is_over
    }
}

#[cfg(test)]
mod tests;
