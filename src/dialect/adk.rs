//! Google's Agent Development Kit: the events of `/run_sse` and `/run`, unnamed, in camel or snake case.
//!
//! An event is a part of what an `author` says. Partial events are deltas; the last of a message is not partial and
//! repeats all of it. Calls and results are parts as well, and come whole. A failure is an event with an `errorCode`, a
//! bare `{"error"}`, or both. There is no end mark: a run was cut off where a message has only partial events, or where
//! a call has no result and is not one that takes long. Usage is told per request to the model.
//!
//! Source: the `Event` model of the Python package `google-adk`, and recordings of its server.

mod fields;

use serde_json::json;

use self::fields::{code_call, field, is_partial, outcome_of, part_text, response_text, text_field};
use super::agent_reply::{AgentReply, MessageHandle, annotate, ask_person, capped, report_usage, result_text};
use super::error::ServerError;
use super::finish_reason::{CONTENT_FILTER_MESSAGE, WireFinishReason};
use super::unknown_frames::UnknownFrames;
use super::{Decode, DecodeContext, Dialect, Evidence, FirstFrame, SseFrame, error, surrogate, usage};
use crate::event::{
    Annotation, CallOutcome, ExecutedBy, Fault, FaultKind, FinishReason, Json, ReplyEvent, StepState, TurnOutcome,
    Usage,
};

/// Also `--dialect adk`.
pub const DIALECT: Dialect = Dialect {
    name: "adk",
    title: "Google ADK",
    decode: |_: &DecodeContext| Box::<AdkDecoder>::default(),
    evidence,
    extends: None,
    limitations: "call times, the state that agents share",
};

fn evidence(first: &FirstFrame<'_>) -> Option<Evidence> {
    let json = first.json.as_ref()?;
    let event = json.get(0).unwrap_or(json);
    let has_id = text_field(event, "invocationId").is_some() && text_field(event, "author").is_some();
    if has_id && first.name().is_empty() {
        return Some(Evidence::shape("an event has an author and an invocation"));
    }
    let is_error = first.has("error_details") && first.has("error");
    is_error.then(|| Evidence::shape("an error has error_details"))
}

/// Sources that are kept.
const MAX_SOURCES: usize = 256;

/// Decodes one run.
#[derive(Debug, Default)]
pub struct AdkDecoder {
    reply: AgentReply,
    /// The open message of each author; all its events were partial.
    open: Vec<(String, MessageHandle)>,
    author: String,
    /// Ids of calls that came without one, by name, in their order.
    nameless_calls: Vec<(String, String)>,
    nameless_count: usize,
    long_running_calls: Vec<String>,
    /// Usage of the requests to the model that are over, and of the one that runs.
    usage: Option<Usage>,
    running_usage: Option<Usage>,
    /// The id of the newest event that was not partial: one with an artifact is sent twice.
    last_whole_id: Option<String>,
    sources: Vec<Json>,
    finish_reason: Option<FinishReason>,
    fault: Option<Fault>,
    /// The fault is the last word of the run.
    is_over: bool,
    unknown_frames: UnknownFrames,
}

impl AdkDecoder {
    fn handle_event(&mut self, event: &Json, marked: bool, out: &mut Vec<ReplyEvent>) {
        let Some(author) = text_field(event, "author") else { return self.handle_other(event, out) };
        self.note_usage(event);
        if let Some(ids) = field(event, "longRunningToolIds").and_then(Json::as_array) {
            self.long_running_calls.extend(ids.iter().filter_map(|id| id.as_str().map(str::to_owned)));
        }
        let parts = event.pointer("/content/parts").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        let is_echo = author == "user";
        let is_other = !is_echo && author != self.author;
        if is_other && !std::mem::replace(&mut self.author, author.to_owned()).is_empty() {
            annotate(Annotation::Step { name: author.to_owned(), state: StepState::Started }, out);
        }
        if is_echo {
            // Our own words; results of calls that a client ran are its too.
        } else if is_partial(event) {
            self.handle_partial(author, parts, marked, out);
        } else if !parts.is_empty() {
            self.handle_whole(author, event, parts, out);
        } else if let Some(reason) = message_reason(event) {
            self.close(author, Some(reason), out);
        } else if let Some(value) = field(event, "output") {
            annotate(Annotation::Result { value: capped(value) }, out);
        }
        self.note_sources(event);
        self.note_error(event);
    }

    /// What is no event of an author: an error, or nothing that is known.
    fn handle_other(&mut self, event: &Json, out: &mut Vec<ReplyEvent>) {
        match error::find_error(&SseFrame::data(event.to_string())) {
            Some(server_error) => {
                self.fault.get_or_insert_with(|| error::to_fault(&server_error));
                self.is_over = true;
            }
            None => self.unknown_frames.report("an event without an author", out),
        }
    }

    fn handle_partial(&mut self, author: &str, parts: &[Json], marked: bool, out: &mut Vec<ReplyEvent>) {
        for part in parts {
            let Some((text, is_thought)) = part_text(part) else { continue };
            let message = self.message(author, out);
            if is_thought {
                self.reply.push_reasoning(message, text.into(), marked, out);
            } else {
                self.reply.push_text(message, text.into(), marked, out);
            }
        }
    }

    fn handle_whole(&mut self, author: &str, event: &Json, parts: &[Json], out: &mut Vec<ReplyEvent>) {
        let joined = |thoughts: bool| -> String {
            let texts = parts.iter().filter_map(part_text).filter(|(_, is_thought)| *is_thought == thoughts);
            texts.map(|(text, _)| text).collect()
        };
        let (thoughts, text) = (joined(true), joined(false));
        if !thoughts.is_empty() {
            let message = self.message(author, out);
            self.reply.set_reasoning(message, &thoughts, out);
        }
        if !text.is_empty() {
            let message = self.message(author, out);
            self.reply.set_text(message, &text, out);
        }
        for part in parts {
            self.handle_part(author, part, out);
        }
        // What follows a result is another message, as is what follows a message that is whole.
        self.close(author, message_reason(event), out);
    }

    fn handle_part(&mut self, author: &str, part: &Json, out: &mut Vec<ReplyEvent>) {
        if let Some(call) = field(part, "functionCall") {
            let name = call.get("name").and_then(Json::as_str).unwrap_or_default();
            let wire = self.call_id(call, name);
            let args = call.get("args").filter(|args| !args.is_null()).map(result_text).unwrap_or_default();
            if !self.reply.calls.is_running(&wire) {
                let message = self.message(author, out);
                self.reply.start_call(message, &wire, Some(name), ExecutedBy::Client, out);
                self.reply.calls.complete(&wire, None, &args, out);
            }
            if name.starts_with("adk_request_") {
                let about = call.pointer("/args/toolConfirmation/hint").and_then(Json::as_str).unwrap_or(name);
                ask_person(std::slice::from_ref(call), &[about.to_owned()], out);
            }
        } else if let Some(response) = field(part, "functionResponse") {
            let name = response.get("name").and_then(Json::as_str).unwrap_or_default();
            let wire = self.response_id(response, name);
            if !self.reply.calls.is_known(&wire) {
                let message = self.message(author, out);
                self.reply.start_call(message, &wire, Some(name), ExecutedBy::Server, out);
            }
            let value = response.get("response").unwrap_or(&Json::Null);
            self.reply.calls.finish(&wire, outcome_of(value), response_text(value), out);
        } else if let Some(code) = field(part, "executableCode") {
            self.nameless_count += 1;
            let wire = format!("code_{}", self.nameless_count);
            self.nameless_calls.push(("code".to_owned(), wire.clone()));
            let message = self.message(author, out);
            self.reply.start_call(message, &wire, Some("code_execution"), ExecutedBy::Server, out);
            self.reply.calls.complete(&wire, None, &code_call(code), out);
        } else if let Some(result) = field(part, "codeExecutionResult") {
            let at = self.nameless_calls.iter().position(|(name, _)| name == "code");
            let Some((_, wire)) = at.map(|at| self.nameless_calls.remove(at)) else { return };
            let is_ok = text_field(result, "outcome").is_none_or(|word| word.ends_with("OK"));
            let outcome = if is_ok { CallOutcome::Ok } else { CallOutcome::Failed };
            let text = result.get("output").map(result_text).unwrap_or_default();
            self.reply.calls.finish(&wire, outcome, text, out);
        } else if let Some(file) = field(part, "inlineData").or_else(|| field(part, "fileData")) {
            let mut described = json!({ "kind": "file" });
            for (key, name) in [("mimeType", "mediaType"), ("displayName", "filename"), ("fileUri", "url")] {
                if let Some(text) = text_field(file, key) {
                    described[name] = text.into();
                }
            }
            annotate(Annotation::Part(capped(&described)), out);
        }
    }

    /// Returns the id of a call, or one of our own.
    fn call_id(&mut self, call: &Json, name: &str) -> String {
        if let Some(id) = text_field(call, "id") {
            return id.to_owned();
        }
        self.nameless_count += 1;
        let wire = format!("{name}_{}", self.nameless_count);
        self.nameless_calls.push((name.to_owned(), wire.clone()));
        wire
    }

    /// Returns the id of the call that a result belongs to: without one, the first call of that name that has none.
    fn response_id(&mut self, response: &Json, name: &str) -> String {
        if let Some(id) = text_field(response, "id") {
            return id.to_owned();
        }
        match self.nameless_calls.iter().position(|(known, _)| known == name) {
            Some(at) => self.nameless_calls.remove(at).1,
            None => self.call_id(&Json::Null, name),
        }
    }

    fn message(&mut self, author: &str, out: &mut Vec<ReplyEvent>) -> MessageHandle {
        let known = self.open.iter().find(|(known, _)| known == author).map(|(_, message)| *message);
        if let Some(message) = known.filter(|message| self.reply.is_open(*message)) {
            return message;
        }
        let message = self.reply.begin(None, out);
        self.open.retain(|(known, _)| known != author);
        self.open.push((author.to_owned(), message));
        message
    }

    fn close(&mut self, author: &str, reason: Option<FinishReason>, out: &mut Vec<ReplyEvent>) {
        let known = self.open.iter().position(|(known, _)| known == author);
        if let Some((_, message)) = known.map(|at| self.open.remove(at)) {
            self.reply.close(message, reason, out);
        } else if reason.is_some() {
            self.finish_reason = reason;
        }
    }

    fn note_usage(&mut self, event: &Json) {
        let id = text_field(event, "id").filter(|_| !is_partial(event)).map(str::to_owned);
        if id.is_some() && self.last_whole_id == id {
            return;
        }
        self.last_whole_id = id.or(self.last_whole_id.take());
        if let Some(told) = field(event, "usageMetadata").and_then(usage::parse) {
            self.running_usage = usage::merge(self.running_usage, Some(told));
        }
        if !is_partial(event) {
            self.usage = add_usage(self.usage, self.running_usage.take());
        }
    }

    fn note_sources(&mut self, event: &Json) {
        let chunks = field(event, "groundingMetadata").and_then(|metadata| field(metadata, "groundingChunks"));
        for chunk in chunks.and_then(Json::as_array).into_iter().flatten() {
            let Some(web) = field(chunk, "web").or_else(|| field(chunk, "retrievedContext")) else { continue };
            let mut source = json!({});
            for (key, name) in [("title", "title"), ("uri", "url")] {
                if let Some(text) = text_field(web, key) {
                    source[name] = text.into();
                }
            }
            if self.sources.len() < MAX_SOURCES && !self.sources.contains(&source) {
                self.sources.push(source);
            }
        }
    }

    fn note_error(&mut self, event: &Json) {
        let Some(code) = text_field(event, "errorCode") else { return };
        let message = text_field(event, "errorMessage").filter(|text| !text.is_empty());
        let fault = match WireFinishReason::parse(code) {
            // The model's own reasons come in the same field.
            WireFinishReason::End | WireFinishReason::ToolCalls | WireFinishReason::Length => return,
            WireFinishReason::Filtered | WireFinishReason::Refused => {
                let words = message.map(error::to_single_line);
                Fault::new(FaultKind::Refused, words.unwrap_or_else(|| CONTENT_FILTER_MESSAGE.to_owned()))
            }
            _ => error::to_fault(&ServerError {
                message: error::to_single_line(message.unwrap_or(code)),
                code: code.to_owned(),
                status: code.parse().ok().filter(|status| *status >= 100),
            }),
        };
        self.fault.get_or_insert(fault);
    }

    /// Returns whether something that was begun has no end.
    fn is_cut_off(&self) -> bool {
        let is_long = |wire: &str| self.long_running_calls.iter().any(|known| known == wire);
        !self.open.is_empty() || self.reply.calls.unfinished().any(|wire| !is_long(wire))
    }
}

/// Returns why a message is not whole, if its event says so.
fn message_reason(event: &Json) -> Option<FinishReason> {
    let word = text_field(event, "finishReason").or_else(|| text_field(event, "errorCode"))?;
    let reason = WireFinishReason::parse(word).to_finish_reason();
    matches!(reason, FinishReason::Length | FinishReason::Refused).then_some(reason)
}

fn add_usage(sum: Option<Usage>, more: Option<Usage>) -> Option<Usage> {
    match (sum, more) {
        (Some(sum), Some(more)) => Some(sum.plus(more)),
        (sum, more) => sum.or(more),
    }
}

impl Decode for AdkDecoder {
    fn decode_frame(&mut self, frame: &SseFrame, out: &mut Vec<ReplyEvent>) {
        let data = frame.data.trim();
        if self.is_over || data.is_empty() || data == "[DONE]" {
            return;
        }
        let repaired = surrogate::mark_if_lone(data);
        let marked = repaired.is_some();
        let Ok(mut json) = serde_json::from_str::<Json>(repaired.as_deref().unwrap_or(data)) else {
            return match error::find_error_in_unparsed(frame) {
                Some(server_error) => self.fault = self.fault.take().or(Some(error::to_fault(&server_error))),
                None => self.unknown_frames.report("data that is not a JSON object", out),
            };
        };
        if !is_partial(&json) {
            surrogate::resolve_marks_in_json(&mut json, marked);
        }
        match &json {
            // `/run` answers with the list of all events.
            Json::Array(events) => {
                for event in events {
                    self.handle_event(event, false, out);
                }
            }
            event => self.handle_event(event, marked, out),
        }
    }

    fn finish(&mut self, out: &mut Vec<ReplyEvent>) {
        let outcome = match self.fault.take() {
            Some(fault) => TurnOutcome::Failed(fault),
            None if self.is_cut_off() || self.author.is_empty() => TurnOutcome::Interrupted,
            None => TurnOutcome::Completed,
        };
        let reason = if outcome == TurnOutcome::Completed { self.finish_reason } else { Some(outcome.finish_reason()) };
        self.reply.close_all(reason, out);
        if !self.sources.is_empty() {
            annotate(Annotation::Sources(std::mem::take(&mut self.sources).into()), out);
        }
        report_usage(add_usage(self.usage.take(), self.running_usage.take()), out);
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
