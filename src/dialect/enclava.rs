//! enclava's `/responses`: six flat events under names of OpenAI's. The server runs the tools.
//!
//! `output_item.added` comes after the item's deltas and means "finished"; argument deltas have only the call id, the
//! tool's name comes with the item. One message per round: text and calls, then the outputs of its calls, then the next
//! round. `response.completed` repeats everything, so only what was missing is emitted. A call id is free again after
//! its output: seen once more, it is another call. There is no usage and no keep-alive.

pub mod encode;
mod outcome;
mod round;

use serde::Deserialize;

use self::outcome::{parse_call_outcome, parse_fault, parse_usage};
use self::round::Round;
use super::arguments;
use super::finish_reason::{self, WireFinishReason};
use super::lenient::{LooseJson, LooseObject, LooseStr};
use super::responses::{event_name, is_official_event, is_official_response};
use super::surrogate::{self, SurrogateJoiner};
use super::unknown_frames::UnknownFrames;
use super::{Decode, Dialect, Evidence, FirstFrame, SseFrame, error};
use crate::event::{
    Annotation, CallId, CallOutcome, CallOutput, ExecutedBy, Fault, FinishReason, Json, ReplyEvent, ReplyTarget,
    TurnOutcome, Usage, UsageScope,
};

/// Calls and messages of one answer.
const MAX_CALLS_AND_MESSAGES: usize = 512;
/// Items of the closing frame that are read.
const MAX_ITEMS: usize = 4096;
/// Bytes of arguments kept for all calls.
const MAX_ARGS_BYTES: usize = 16 * 1024 * 1024;

/// Also `--dialect enclava`.
pub const DIALECT: Dialect = Dialect {
    name: "enclava",
    title: "enclava's Responses",
    decode: |_| Box::new(EnclavaDecoder::new()),
    evidence,
    extends: None,
    limitations: "usage, durations, and why a tool failed without raising: the format lacks them",
};

/// Its events are flat and have no number; a whole response repeats its text, and no settings.
fn evidence(first: &FirstFrame<'_>) -> Option<Evidence> {
    if let Some((event, is_name)) = event_name(first).filter(|_| !is_official_event(first)) {
        let because = format!("a frame of {event} is flat and has no number");
        return Some(if is_name { Evidence::name(because) } else { Evidence::shape(because) });
    }
    if first.text("object") == "response" && !is_official_response(first) {
        return Some(Evidence::shape("it is a whole response that repeats its text"));
    }
    None
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct EnclavaDelta<'a> {
    #[serde(borrow)]
    delta: LooseStr<'a>,
    #[serde(borrow)]
    item_id: LooseStr<'a>,
    #[serde(borrow)]
    call_id: LooseStr<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct EnclavaItem<'a> {
    #[serde(borrow, rename = "type")]
    kind: LooseStr<'a>,
    #[serde(borrow)]
    id: LooseStr<'a>,
    #[serde(borrow)]
    call_id: LooseStr<'a>,
    #[serde(borrow)]
    name: LooseStr<'a>,
    #[serde(borrow)]
    arguments: LooseJson<'a>,
    #[serde(borrow)]
    content: LooseStr<'a>,
    output: Option<Json>,
    #[serde(borrow)]
    status: LooseStr<'a>,
}

#[derive(Debug)]
struct EnclavaCall {
    wire_id: String,
    id: CallId,
    args: String,
    /// Where pieces of the arguments start that may repeat everything before them.
    restart_offsets: Vec<usize>,
    surrogates: SurrogateJoiner,
    is_ready: bool,
    has_output: bool,
    /// The server reports the call itself as completed, which it does only where nobody runs it.
    has_completed_status: bool,
}

/// Decodes one answer.
#[derive(Debug, Default)]
pub struct EnclavaDecoder {
    message_count: usize,
    open_round: Option<Round>,
    /// Ids of closed messages in the stream.
    closed: Vec<String>,
    calls: Vec<EnclavaCall>,
    args_bytes: usize,
    is_named: bool,
    usage: Option<Usage>,
    completed: bool,
    /// Why a completed answer is incomplete, in an extension of our own server.
    early_finish_reason: Option<FinishReason>,
    fault: Option<Fault>,
    unknown_frames: UnknownFrames,
}

impl EnclavaDecoder {
    pub fn new() -> Self {
        Self::default()
    }

    fn handle_event(&mut self, name: &str, data: &str, marked: bool, out: &mut Vec<ReplyEvent>) {
        match name {
            "response.output_text.delta" | "response.function_call_arguments.delta" => {
                let Ok(LooseObject(Some(delta))) = serde_json::from_str::<LooseObject<EnclavaDelta<'_>>>(data) else {
                    return self.unknown_frames.report("data that is not a JSON object", out);
                };
                if name == "response.output_text.delta" {
                    self.handle_text(&delta, marked, out);
                } else {
                    self.handle_args(&delta, marked, out);
                }
            }
            _ => {
                let Ok(mut json) = serde_json::from_str::<Json>(data) else {
                    if let Some(server_error) = error::find_error_in_unparsed(&SseFrame::named(name, data)) {
                        self.fault = Some(parse_fault(&server_error));
                        return;
                    }
                    return self.unknown_frames.report("data that is not a JSON object", out);
                };
                if marked {
                    surrogate::resolve_marks_in_json(&mut json, true);
                }
                self.handle_full_event(name, &json, out);
            }
        }
    }

    fn handle_full_event(&mut self, name: &str, json: &Json, out: &mut Vec<ReplyEvent>) {
        match name {
            "response.created" | "response.in_progress" => self.annotate_response(json, out),
            // The second name is OpenAI's.
            "response.output_item.added" | "response.output_item.done" => match json.get("item") {
                Some(item) if item.is_object() => self.handle_item(item, out),
                _ => self.unknown_frames.report("an item without content", out),
            },
            // The second name is OpenAI's.
            "response.completed" | "response.incomplete" => self.handle_completed(json, out),
            "response.failed" => self.fail(json),
            // Without an end event, the answer counts as interrupted.
            "response.cancelled" => {}
            // A whole response instead of a stream.
            "" if json.get("object").and_then(Json::as_str) == Some("response") => {
                self.annotate_response(json, out);
                self.usage = parse_usage(json);
                match json.get("status").and_then(Json::as_str) {
                    Some("failed") => self.fail(json),
                    _ => self.handle_completed(json, out),
                }
            }
            "" | "message" | "error" => match error::find_error(&SseFrame::named(name, json.to_string())) {
                Some(server_error) => self.fault = Some(parse_fault(&server_error)),
                None => {
                    self.unknown_frames
                        .report(json.get("type").and_then(Json::as_str).unwrap_or("an object without a name"), out);
                }
            },
            _ => self.unknown_frames.report(name, out),
        }
    }

    /// Annotates the response id, once.
    fn annotate_response(&mut self, json: &Json, out: &mut Vec<ReplyEvent>) {
        let text = |key: &str| json.get(key).and_then(Json::as_str).map(str::to_owned);
        let (id, model) = (text("id"), text("model"));
        if (id.is_some() || model.is_some()) && !std::mem::replace(&mut self.is_named, true) {
            let (on, annotation) = (ReplyTarget::Reply, Annotation::ServedBy { id, model });
            out.push(ReplyEvent::Annotation { on, annotation });
        }
    }

    fn handle_text(&mut self, delta: &EnclavaDelta<'_>, marked: bool, out: &mut Vec<ReplyEvent>) {
        let Some(piece) = &delta.delta.0 else { return };
        self.open_message(delta.item_id.non_empty(), out);
        if let Some(open) = &mut self.open_round {
            open.push_text(piece.as_ref().into(), marked, &mut self.message_count, out);
        }
    }

    fn handle_args(&mut self, delta: &EnclavaDelta<'_>, marked: bool, out: &mut Vec<ReplyEvent>) {
        let piece = delta.delta.0.as_deref().unwrap_or_default();
        let Some(at) = self.open_call(delta.call_id.non_empty().unwrap_or_default(), None, out) else { return };
        let Some(call) = self.calls.get_mut(at).filter(|call| !call.is_ready) else { return };
        let piece = call.surrogates.push(piece.into(), marked);
        if piece.is_empty() {
            return;
        }
        self.args_bytes = self.args_bytes.saturating_add(piece.len());
        if self.args_bytes > MAX_ARGS_BYTES {
            return self.unknown_frames.report("tool arguments that are too large", out);
        }
        arguments::note_restart(&mut call.restart_offsets, call.args.len(), &piece);
        call.args.push_str(&piece);
        out.push(ReplyEvent::ToolArgsDelta { call: call.id.clone(), json: piece.into_owned() });
    }

    fn handle_item(&mut self, json: &Json, out: &mut Vec<ReplyEvent>) {
        let Ok(item) = EnclavaItem::deserialize(json) else {
            return self.unknown_frames.report("an item of unknown shape", out);
        };
        let call_id = item.call_id.non_empty().or(item.id.non_empty()).unwrap_or_default();
        match item.kind.non_empty() {
            Some("message") => self.handle_message_item(&item, out),
            Some("function_call") => {
                if let Some(at) = self.open_call(call_id, item.name.non_empty(), out) {
                    self.mark_ready(at, &item, out);
                }
            }
            Some("function_call_output") => {
                // Outputs come in the order of the calls.
                let waiting = self.calls.iter().position(|call| call.wire_id == call_id && !call.has_output);
                let at = match waiting {
                    Some(at) => Some(at),
                    None if self.calls.iter().any(|call| call.wire_id == call_id) => None,
                    None => self.open_call(call_id, None, out),
                };
                if let Some(at) = at {
                    self.finish_call(at, &item, out);
                }
            }
            kind => self.unknown_frames.report(kind.unwrap_or("an item without a type"), out),
        }
    }

    fn handle_message_item(&mut self, item: &EnclavaItem<'_>, out: &mut Vec<ReplyEvent>) {
        let Some(text) = &item.content.0 else { return };
        if item.id.non_empty().is_some_and(|id| self.closed.iter().any(|closed| closed == id)) {
            return;
        }
        // Repeated after the calls of its round, it is the same message.
        let is_known =
            item.id.non_empty().is_some() && self.open_round.as_ref().and_then(Round::wire_id) == item.id.non_empty();
        if !is_known {
            self.open_message(item.id.non_empty(), out);
        }
        if let Some(open) = &mut self.open_round {
            open.reconcile(text, &mut self.message_count, out);
        }
    }

    /// Returns the index of the call with this id that has no output yet, adding it where needed.
    fn open_call(&mut self, wire_id: &str, name: Option<&str>, out: &mut Vec<ReplyEvent>) -> Option<usize> {
        if let Some(at) = self.calls.iter().rposition(|call| call.wire_id == wire_id && !call.has_output) {
            return Some(at);
        }
        if self.calls.len() >= MAX_CALLS_AND_MESSAGES {
            self.unknown_frames.report("too many tool calls", out);
            return None;
        }
        let call_id = self.unique_id(wire_id);
        let open = self.open_message(None, out)?;
        open.has_calls = true;
        out.push(ReplyEvent::ToolCallStarted {
            call: call_id.clone(),
            message: open.message.clone(),
            name: name.map(Into::into),
            parent: None,
            executed_by: ExecutedBy::Server,
        });
        self.calls.push(EnclavaCall {
            wire_id: wire_id.to_owned(),
            id: call_id,
            args: String::new(),
            restart_offsets: Vec::new(),
            surrogates: SurrogateJoiner::default(),
            is_ready: false,
            has_output: false,
            has_completed_status: false,
        });
        Some(self.calls.len() - 1)
    }

    fn unique_id(&self, wire_id: &str) -> CallId {
        let base = if wire_id.is_empty() { "call" } else { wire_id };
        let copies = self.calls.iter().filter(|call| call.wire_id == wire_id).count();
        let mut id = if copies == 0 { base.to_owned() } else { format!("{base}_{}", copies + 1) };
        while self.calls.iter().any(|call| call.id.as_str() == id) {
            id.push('_');
        }
        CallId::new(id)
    }

    fn mark_ready(&mut self, at: usize, item: &EnclavaItem<'_>, out: &mut Vec<ReplyEvent>) {
        let Some(call) = self.calls.get_mut(at) else { return };
        call.has_completed_status |= item.status.non_empty() == Some("completed");
        if std::mem::replace(&mut call.is_ready, true) {
            return;
        }
        let streamed =
            arguments::split_calls_from(std::mem::take(&mut call.args), std::mem::take(&mut call.restart_offsets));
        let streamed = streamed.into_iter().next().unwrap_or_default();
        let args = item.arguments.0.as_deref().map_or(streamed, ToOwned::to_owned);
        let name = item.name.non_empty().unwrap_or_default().to_owned();
        out.push(ReplyEvent::ToolCallReady { call: call.id.clone(), name, args, provider_metadata: None });
    }

    fn finish_call(&mut self, at: usize, item: &EnclavaItem<'_>, out: &mut Vec<ReplyEvent>) {
        let Some(call) = self.calls.get_mut(at) else { return };
        call.has_output = true;
        // It is too late for a name that was lost.
        call.is_ready = true;
        let (outcome, text) = parse_call_outcome(item.output.as_ref(), item.status.non_empty());
        let output = CallOutput::from_text(text);
        out.push(ReplyEvent::ToolCallFinished { call: call.id.clone(), outcome, output, duration: None });
        if let Some(open) = &mut self.open_round {
            open.is_over = true;
        }
    }

    /// Returns the message for this content, starting one where it is not the current one.
    fn open_message(&mut self, wire_id: Option<&str>, out: &mut Vec<ReplyEvent>) -> Option<&mut Round> {
        let fits = self.open_round.as_ref().is_some_and(|open| {
            let same = wire_id.is_none() || open.wire_id().is_none() || open.wire_id() == wire_id;
            same && !open.is_over
        });
        if !fits {
            self.close(None, out);
            self.open_round = Some(Round::begin(&mut self.message_count, out));
        }
        let open = self.open_round.as_mut()?;
        open.set_wire_id(wire_id);
        Some(open)
    }

    /// Closes the open message, with the finish reason of its round or the given one.
    fn close(&mut self, finish_reason: Option<FinishReason>, out: &mut Vec<ReplyEvent>) {
        let Some(open) = self.open_round.take() else { return };
        let wire_id = open.close(finish_reason, &mut self.message_count, out);
        if self.closed.len() < MAX_CALLS_AND_MESSAGES {
            self.closed.extend(wire_id);
        }
    }

    /// Handles the closing frame, which repeats all items: the n-th call with an id is the n-th that was seen.
    fn handle_completed(&mut self, json: &Json, out: &mut Vec<ReplyEvent>) {
        self.completed = true;
        self.usage = parse_usage(json).or(self.usage);
        let why = json.pointer("/incomplete_details/reason").and_then(Json::as_str);
        self.early_finish_reason = match why.map(WireFinishReason::parse) {
            Some(WireFinishReason::Filtered | WireFinishReason::Refused) => Some(FinishReason::Refused),
            Some(_) => Some(FinishReason::Length),
            None if json.get("status").and_then(Json::as_str) == Some("incomplete") => Some(FinishReason::Length),
            None => None,
        };
        let items = json.get("output").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        let mut seen: Vec<(String, bool)> = Vec::new();
        for value in items.iter().take(MAX_ITEMS) {
            let Ok(item) = EnclavaItem::deserialize(value) else { continue };
            let is_output = item.kind.non_empty() == Some("function_call_output");
            if !is_output && item.kind.non_empty() != Some("function_call") {
                self.handle_item(value, out);
                continue;
            }
            let wire_id = item.call_id.non_empty().or(item.id.non_empty()).unwrap_or_default();
            let nth = seen.iter().filter(|(id, output)| id == wire_id && *output == is_output).count();
            seen.push((wire_id.to_owned(), is_output));
            let known = self.calls.iter().enumerate().filter(|(_, call)| call.wire_id == wire_id).nth(nth);
            match known.map(|(at, call)| (at, call.has_output)) {
                Some((_, true)) if is_output => {}
                Some((at, false)) if is_output => self.finish_call(at, &item, out),
                Some((at, _)) => self.mark_ready(at, &item, out),
                None => self.handle_item(value, out),
            }
        }
        let text = json.get("output_text").and_then(Json::as_str).unwrap_or_default();
        if self.message_count == 0 && !text.is_empty() {
            self.open_message(None, out);
            if let Some(open) = &mut self.open_round {
                open.push_text(text.into(), false, &mut self.message_count, out);
            }
        }
    }

    fn fail(&mut self, json: &Json) {
        let server_error = json.get("error").and_then(error::parse_error_object).or_else(|| error::parse(json));
        let server_error = server_error.unwrap_or_else(|| error::ServerError {
            message: "no reason given".into(),
            ..error::ServerError::default()
        });
        self.fault = Some(parse_fault(&server_error));
    }
}

impl Decode for EnclavaDecoder {
    fn decode_frame(&mut self, frame: &SseFrame, out: &mut Vec<ReplyEvent>) {
        let data = frame.data.trim();
        // Outputs may follow the end where somebody else runs the calls.
        if self.fault.is_some() || data == "[DONE]" || frame.event == "ping" {
            return;
        }
        if data.is_empty() || frame.event == "error" {
            if frame.event == "error" {
                self.fault = Some(parse_fault(&error::parse_error_data(data)));
            }
            return;
        }
        match surrogate::mark_lone(data) {
            Some(repaired) => self.handle_event(&frame.event, &repaired, true, out),
            None => self.handle_event(&frame.event, data, false, out),
        }
    }

    fn finish(&mut self, out: &mut Vec<ReplyEvent>) {
        let fault = self.fault.take();
        let finish_reason = match (&fault, self.completed) {
            (Some(_), _) => Some(FinishReason::Failed),
            (None, false) => Some(FinishReason::Interrupted),
            (None, true) => self.early_finish_reason,
        };
        if self.completed && fault.is_none() && self.message_count == 0 {
            out.push(finish_reason::empty_response_notice());
        }
        // An answer cut off before its first text still has a message, which holds the finish reason.
        if finish_reason.is_some_and(|finish_reason| self.early_finish_reason == Some(finish_reason))
            && self.open_round.is_none()
        {
            self.open_message(None, out);
        }
        self.close(finish_reason, out);
        for call in self.calls.iter().filter(|call| self.completed && call.has_completed_status && !call.has_output) {
            let (call, outcome, output) = (call.id.clone(), CallOutcome::Requested, CallOutput::default());
            out.push(ReplyEvent::ToolCallFinished { call, outcome, output, duration: None });
        }
        if let Some(usage) = self.usage.take() {
            out.push(ReplyEvent::UsageReported { scope: UsageScope::Turn, usage });
        }
        let end = match (fault, self.completed) {
            (Some(fault), _) => TurnOutcome::Failed(fault),
            (None, true) => TurnOutcome::Completed,
            (None, false) => TurnOutcome::Interrupted,
        };
        out.push(ReplyEvent::End { outcome: end });
    }

    fn has_failed(&self) -> bool {
        self.fault.is_some()
    }

    fn is_done(&self) -> bool {
        self.fault.is_some() || (self.completed && self.calls.iter().all(|call| call.has_output))
    }

    fn is_complete(&self) -> bool {
        self.fault.is_some() || self.completed
    }
}

#[cfg(test)]
mod tests;
