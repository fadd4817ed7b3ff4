//! Decodes an answer: finds the item that each event is about, and how the answer ended.

use std::borrow::Cow;

use serde::Deserialize;

use super::emitter::{ResponsesEmitter, parse_shell_delta};
use super::items::{self, ResponsesItemKind, TextChannel};
use super::{ResponsesEvent, list_at, text_at, whole_items};
use crate::dialect::finish_reason::{self, WireFinishReason};
use crate::dialect::lenient::{LooseJson, LooseObject, LooseStr, LooseU64};
use crate::dialect::repeated_frame::RepeatedFrame;
use crate::dialect::unknown_frames::UnknownFrames;
use crate::dialect::{Decode, OpenCall, SseFrame, error, surrogate, usage};
use crate::event::{
    Annotation, CallOutcome, ExecutedBy, Fault, FaultKind, FinishReason, Json, NoticeCode, NoticeLevel, ReplyEvent,
    ReplyTarget, TurnOutcome, Usage, UsageScope,
};

/// How the answer ended, according to the server.
#[derive(Debug)]
enum ResponsesEnd {
    Completed,
    Length,
    ContentFiltered,
    Cut,
    Failed(Fault),
}

/// What a server may change with every delta, and nothing here reads.
const UNREAD_KEYS: [&str; 2] = ["sequence_number", "obfuscation"];

/// Where the text of a delta belongs.
#[derive(Debug)]
struct DeltaPlace {
    channel: TextChannel,
    /// The number of the part.
    part: u64,
    item_id: Option<String>,
    output_index: LooseU64,
}

/// Decodes one answer.
#[derive(Debug, Default)]
pub struct ResponsesDecoder {
    emitter: ResponsesEmitter,
    is_named: bool,
    /// The model as requested, else the one that the server names.
    model: Option<String>,
    usage: Option<Usage>,
    end: Option<ResponsesEnd>,
    unknown_frames: UnknownFrames,
    /// The last delta of a text.
    last_delta: RepeatedFrame<DeltaPlace>,
}

impl ResponsesDecoder {
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns a decoder whose metadata names the requested model, so that it is not sent to another one.
    pub fn for_model(model: &str) -> Self {
        Self { model: Some(model.to_owned()), ..Self::default() }
    }

    /// Says which calls of earlier replies were decided since: this one may tell their results.
    #[must_use]
    pub fn with_open_calls(mut self, open_calls: &[OpenCall]) -> Self {
        self.emitter.adopt(open_calls);
        self
    }

    fn handle_event(
        &mut self,
        frame: &SseFrame,
        mut event: ResponsesEvent<'_>,
        marked: bool,
        out: &mut Vec<ReplyEvent>,
    ) {
        if marked {
            event.resolve_surrogates();
        }
        let kind = event.kind.non_empty().unwrap_or_default();
        let name = event_name(frame, &event);
        match name.strip_prefix("response.") {
            Some(short) => self.handle_response_event(short, &event, &frame.data, marked, out),
            None if name == "error" => self.fail(&error::parse_error_data(&frame.data)),
            None if matches!(name, "ping" | "keepalive") || matches!(kind, "ping" | "keepalive") => {}
            None if event.object.as_ref().and_then(Json::as_str) == Some("response") => {
                // A whole response instead of a stream.
                self.handle_lifecycle("", &event, &frame.data, out);
            }
            None => match error::find_error(frame) {
                Some(server_error) => self.fail(&server_error),
                None if name.is_empty() && kind.is_empty() => {
                    self.unknown_frames.report("an object without a type", out);
                }
                None => self.unknown_frames.report(if name.is_empty() { kind } else { name }, out),
            },
        }
    }

    fn handle_response_event(
        &mut self,
        short: &str,
        event: &ResponsesEvent<'_>,
        data: &str,
        marked: bool,
        out: &mut Vec<ReplyEvent>,
    ) {
        if let Some((channel, part)) = delta_part(short, event) {
            return self.handle_delta(event, channel, part, marked, out);
        }
        let (content, summary) = (event.content_index.0.unwrap_or(0), event.summary_index.0.unwrap_or(0));
        let text = || event.text.non_empty().unwrap_or_default();
        match short {
            "output_text.done" => self.handle_full_text(event, TextChannel::Text, content, text(), out),
            "refusal.done" => self.handle_full_text(
                event,
                TextChannel::Refusal,
                content,
                event.refusal.non_empty().unwrap_or(text()),
                out,
            ),
            "reasoning_text.done" | "reasoning.done" => {
                self.handle_full_text(event, TextChannel::Reasoning, content, text(), out);
            }
            "reasoning_summary_text.done" | "reasoning_summary.done" => {
                self.handle_full_text(event, TextChannel::Summary, summary, text(), out);
            }
            "content_part.done" | "reasoning_summary_part.done" | "reasoning_part.done" => {
                self.handle_part(short, event, out);
            }
            "function_call_arguments.delta" => self.handle_args(event, "function_call", marked, out),
            "mcp_call_arguments.delta" | "mcp_call.arguments.delta" => self.handle_args(event, "mcp_call", marked, out),
            "custom_tool_call_input.delta" => self.handle_args(event, "custom_tool_call", marked, out),
            "code_interpreter_call_code.delta" | "code_interpreter_call.code.delta" => {
                self.handle_args(event, "code_interpreter_call", marked, out);
            }
            "function_call_arguments.done" => self.handle_full_args(event, "function_call", out),
            "mcp_call_arguments.done" | "mcp_call.arguments.done" => self.handle_full_args(event, "mcp_call", out),
            "custom_tool_call_input.done" => self.handle_full_args(event, "custom_tool_call", out),
            "code_interpreter_call_code.done" | "code_interpreter_call.code.done" => {
                self.handle_full_args(event, "code_interpreter_call", out);
            }
            "shell_call_output_content.delta" => self.handle_shell_output(event, marked, out),
            "output_item.added" | "output_item.done" => match &event.item {
                Some(item) => whole_items::reconcile_item(
                    &mut self.emitter,
                    &mut self.unknown_frames,
                    item,
                    event.output_index.0,
                    short == "output_item.done",
                    None,
                    out,
                ),
                None => self.unknown_frames.report("an item without content", out),
            },
            "output_text.annotation.added" => self.handle_annotation(event, content, out),
            "created" | "queued" | "in_progress" | "completed" | "done" | "incomplete" | "failed" | "cancelled" => {
                self.handle_lifecycle(short, event, data, out);
            }
            "compaction.compacting" => {
                let text = "the server is compacting the conversation".to_owned();
                out.push(ReplyEvent::Notice { level: NoticeLevel::Info, code: NoticeCode::Compacting, text });
            }
            "error" => self.fail(&error::parse_error_data(data)),
            "audio.delta" => self.unknown_frames.report("sound", out),
            // Announcements without content of their own.
            "content_part.added" | "reasoning_summary_part.added" | "reasoning_part.added" => {}
            "audio.done" | "audio.transcript.done" => {}
            "shell_call_command.added" | "shell_call_command.delta" | "shell_call_command.done" => {}
            "shell_call_output_content.done" => {}
            _ => self.handle_progress(short, event, out),
        }
    }

    /// Handles the steps of the server's tools, such as `web_search_call.searching`.
    fn handle_progress(&mut self, short: &str, event: &ResponsesEvent<'_>, out: &mut Vec<ReplyEvent>) {
        let Some((tool, step)) = short.rsplit_once('.') else {
            return self.unknown_frames.report(&format!("response.{short}"), out);
        };
        let steps = ["in_progress", "searching", "generating", "interpreting", "partial_image", "completed", "failed"];
        if ResponsesItemKind::parse(tool) != Some(ResponsesItemKind::Call) || !steps.contains(&step) {
            return self.unknown_frames.report(&format!("response.{short}"), out);
        }
        let ended = match step {
            "completed" => Some(true),
            "failed" => Some(false),
            _ => return,
        };
        let at = self.emitter.items.find(event.item_id.non_empty(), event.output_index.0, ResponsesItemKind::Call);
        if let Some(call) = at.and_then(|at| self.emitter.items.call(at)).filter(|call| call.tool == tool) {
            call.reported_success = ended;
        }
    }

    /// Finds the item that an event is about, adding it where its announcement was lost.
    fn find_item(
        &mut self,
        event: &ResponsesEvent<'_>,
        kind: ResponsesItemKind,
        tool: &str,
        out: &mut Vec<ReplyEvent>,
    ) -> Option<usize> {
        let (id, index) = (event.item_id.non_empty(), event.output_index.0);
        let items = &mut self.emitter.items;
        let by_call = if kind == ResponsesItemKind::Call {
            event.call_id.non_empty().and_then(|id| items.find_call(id))
        } else {
            None
        };
        if let Some(at) = by_call.or_else(|| items.find(id, index, kind)) {
            return Some(at);
        }
        let added = items.add(id, index, kind, tool);
        match added.and_then(|at| items.call(at)) {
            Some(call) => call.wire_id = event.call_id.non_empty().map(Into::into),
            None if added.is_none() => self.unknown_frames.report("too many output items", out),
            None => {}
        }
        added
    }

    fn handle_delta(
        &mut self,
        event: &ResponsesEvent<'_>,
        channel: TextChannel,
        index: u64,
        marked: bool,
        out: &mut Vec<ReplyEvent>,
    ) {
        let Some(piece) = event.delta.0.as_deref().filter(|piece| !piece.is_empty()) else { return };
        if let Some(at) = self.find_item(event, item_kind(channel), "", out) {
            self.emitter.push_delta(at, channel, index, Cow::Borrowed(piece), marked, out);
        }
    }

    fn handle_full_text(
        &mut self,
        event: &ResponsesEvent<'_>,
        channel: TextChannel,
        index: u64,
        text: &str,
        out: &mut Vec<ReplyEvent>,
    ) {
        if text.is_empty() {
            return;
        }
        if let Some(at) = self.find_item(event, item_kind(channel), "", out) {
            self.emitter.reconcile_text(at, channel, index, text, out);
        }
    }

    /// Handles a complete part, which repeats its text.
    fn handle_part(&mut self, short: &str, event: &ResponsesEvent<'_>, out: &mut Vec<ReplyEvent>) {
        let Some(part) = &event.part else { return };
        let is_summary = short == "reasoning_summary_part.done";
        let index = if is_summary { event.summary_index.0 } else { event.content_index.0 };
        if let Some((channel, text)) = whole_items::part_text(part, is_summary) {
            self.handle_full_text(event, channel, index.unwrap_or(0), text, out);
        }
    }

    fn handle_args(&mut self, event: &ResponsesEvent<'_>, tool: &str, marked: bool, out: &mut Vec<ReplyEvent>) {
        let Some(piece) = event.delta.0.as_deref().filter(|piece| !piece.is_empty()) else { return };
        let Some(at) = self.find_item(event, ResponsesItemKind::Call, tool, out) else { return };
        if self.emitter.push_args(at, Cow::Borrowed(piece), marked, out).is_err() {
            self.unknown_frames.report("tool arguments that are too large", out);
        }
    }

    /// Handles the complete arguments; only the item shows whether the call is complete.
    fn handle_full_args(&mut self, event: &ResponsesEvent<'_>, tool: &str, out: &mut Vec<ReplyEvent>) {
        let Some(at) = self.find_item(event, ResponsesItemKind::Call, tool, out) else { return };
        let text = event.input.non_empty().or(event.code.non_empty());
        let whole = match items::text_key(tool) {
            Some(key) => text.map(|text| serde_json::json!({ key: text }).to_string()),
            None => event.arguments.0.as_deref().filter(|args| !args.is_empty()).map(Into::into),
        };
        if let Some(whole) = whole {
            self.emitter.reconcile_args(at, whole, out);
        }
        if let Some((call, name)) = self.emitter.items.call(at).zip(event.name.non_empty())
            && call.name.is_empty()
        {
            name.clone_into(&mut call.name);
        }
    }

    fn handle_shell_output(&mut self, event: &ResponsesEvent<'_>, marked: bool, out: &mut Vec<ReplyEvent>) {
        let at = self.emitter.items.find(event.item_id.non_empty(), event.output_index.0, ResponsesItemKind::Output);
        let target = at.and_then(|at| self.emitter.items.get(at)?.output_of);
        let Some((target, delta)) = target.zip(event.delta.0.as_deref()) else { return };
        for (stream, text) in parse_shell_delta(delta, marked) {
            self.emitter.emit_output(target, stream, &text, out);
        }
    }

    fn handle_annotation(&mut self, event: &ResponsesEvent<'_>, content: u64, out: &mut Vec<ReplyEvent>) {
        let Some(annotation) = &event.annotation else { return };
        let Some(at) = self.find_item(event, ResponsesItemKind::Message, "", out) else { return };
        if let Some(part) = self.emitter.items.get(at).and_then(|item| item.part(TextChannel::Text, content)) {
            part.is_cited = true;
        }
        self.emitter.emit_citation(at, annotation, out);
    }

    fn handle_lifecycle(&mut self, short: &str, event: &ResponsesEvent<'_>, data: &str, out: &mut Vec<ReplyEvent>) {
        let flat: Option<Json> = match &event.response {
            Some(Json::Object(_)) => None,
            _ => surrogate::mark_lone(data).map_or_else(
                || serde_json::from_str(data).ok(),
                |repaired| {
                    let mut json = serde_json::from_str(&repaired).ok()?;
                    surrogate::resolve_marks_in_json(&mut json, true);
                    Some(json)
                },
            ),
        };
        let Some(response) = flat.as_ref().or(event.response.as_ref()) else { return };
        self.annotate_response(response, out);
        self.usage = usage::merge(self.usage, response.get("usage").and_then(usage::parse));
        let status = text_at(response, "status").unwrap_or_default();
        let word = match (short, status) {
            ("created" | "queued" | "in_progress", _) => return,
            ("" | "done", "") => "completed",
            ("" | "done", status) => status,
            // The status of the object counts where the two differ.
            ("completed", "incomplete" | "failed" | "cancelled") | ("incomplete", "cancelled") => status,
            (short, _) => short,
        };
        let items = list_at(response, "output");
        let mut kinds: Vec<ResponsesItemKind> = Vec::new();
        for (position, item) in items.iter().enumerate().take(whole_items::MAX_LISTED) {
            let kind = text_at(item, "type").and_then(ResponsesItemKind::parse);
            let nth = kind.map(|kind| kinds.iter().filter(|known| **known == kind).count());
            kinds.extend(kind);
            // A failed response also lists what it had started.
            let done = word != "failed" || text_at(item, "status") == Some("completed");
            whole_items::reconcile_item(
                &mut self.emitter,
                &mut self.unknown_frames,
                item,
                Some(position as u64),
                done,
                nth,
                out,
            );
        }
        self.end = Some(match word {
            "failed" => ResponsesEnd::Failed(parse_failure(response)),
            "cancelled" => ResponsesEnd::Cut,
            "incomplete" => match response.pointer("/incomplete_details/reason").and_then(Json::as_str) {
                None => ResponsesEnd::Length,
                Some(word) => match WireFinishReason::parse(word) {
                    WireFinishReason::Filtered | WireFinishReason::Refused => ResponsesEnd::ContentFiltered,
                    WireFinishReason::Length => ResponsesEnd::Length,
                    _ if word.contains("max") || word.contains("length") => ResponsesEnd::Length,
                    _ => ResponsesEnd::Cut,
                },
            },
            "in_progress" | "queued" => ResponsesEnd::Cut,
            _ => ResponsesEnd::Completed,
        });
    }

    /// Annotates the response id, once.
    fn annotate_response(&mut self, response: &Json, out: &mut Vec<ReplyEvent>) {
        let [id, model] = ["id", "model"].map(|key| text_at(response, key).map(str::to_owned));
        self.model = self.model.take().or_else(|| model.clone());
        if (id.is_some() || model.is_some()) && !std::mem::replace(&mut self.is_named, true) {
            let (on, annotation) = (ReplyTarget::Reply, Annotation::ServedBy { id, model });
            out.push(ReplyEvent::Annotation { on, annotation });
        }
    }

    fn fail(&mut self, server_error: &error::ServerError) {
        self.end = Some(ResponsesEnd::Failed(error::to_fault(server_error)));
    }

    /// Ends the calls that the stream left open, where the answer completed.
    fn finish_open_calls(&mut self, out: &mut Vec<ReplyEvent>) {
        for at in 0..self.emitter.items.list.len() {
            let Some(call) = self.emitter.items.call(at).filter(|call| !call.is_finished) else { continue };
            let (ran_by, ended, is_ready, is_shell) =
                (call.ran_by(), call.reported_success, call.is_ready, call.tool == "shell_call");
            let is_done = self.emitter.items.get(at).is_some_and(|item| item.is_done);
            if ran_by == ExecutedBy::Client {
                // Its item never came; the closing event says that the answer is complete all the same.
                if !is_done && matches!(self.end, Some(ResponsesEnd::Completed)) {
                    self.emitter.mark_ready(at, None, out);
                }
            } else if let Some(ended) = ended {
                self.emitter.finish_call(
                    at,
                    if ended { CallOutcome::Ok } else { CallOutcome::Failed },
                    String::new(),
                    out,
                );
            } else if is_shell && is_ready {
                // A shell on the client's side, which this program does not offer.
                self.emitter.finish_call(at, CallOutcome::Requested, String::new(), out);
            }
        }
    }
}

impl Decode for ResponsesDecoder {
    fn decode_frame(&mut self, frame: &SseFrame, out: &mut Vec<ReplyEvent>) {
        if self.end.is_some() {
            return;
        }
        let data = frame.data.trim();
        if data == "[DONE]" {
            self.end = Some(ResponsesEnd::Completed);
            return;
        }
        if let Some((place, text)) = self.last_delta.take_matching(frame) {
            let event = ResponsesEvent {
                item_id: LooseStr(place.item_id.as_deref().map(Cow::Borrowed)),
                output_index: place.output_index,
                delta: LooseJson(Some(Cow::Borrowed(text))),
                ..ResponsesEvent::default()
            };
            self.handle_delta(&event, place.channel, place.part, false, out);
            return self.last_delta.put_back(place);
        }
        if let Ok(LooseObject(Some(event))) = serde_json::from_str(data) {
            if let Some((place, text)) = delta_text(frame, &event) {
                self.last_delta.learn(frame, text, &UNREAD_KEYS, place);
            }
            return self.handle_event(frame, event, false, out);
        }
        // The slow path accepts lone surrogates and repeated keys.
        let repaired = surrogate::mark_lone(data);
        let json: Option<Json> = serde_json::from_str(repaired.as_deref().unwrap_or(data)).ok();
        match json.as_ref().filter(|json| json.is_object()).and_then(|json| ResponsesEvent::deserialize(json).ok()) {
            Some(event) => self.handle_event(frame, event, repaired.is_some(), out),
            None if frame.event == "error" => self.fail(&error::parse_error_data(data)),
            None if data.is_empty() => {}
            None => match error::find_error_in_unparsed(frame) {
                Some(server_error) => self.fail(&server_error),
                None => self.unknown_frames.report("data that is not a JSON object", out),
            },
        }
    }

    fn finish(&mut self, out: &mut Vec<ReplyEvent>) {
        if matches!(self.end, Some(ResponsesEnd::Completed | ResponsesEnd::Length)) {
            self.finish_open_calls(out);
        }
        self.emitter.close_others(out);
        let (finish_reason, outcome) = match self.end.take() {
            Some(ResponsesEnd::Completed) => (self.emitter.finish_reason(), TurnOutcome::Completed),
            Some(ResponsesEnd::Length) => (FinishReason::Length, TurnOutcome::Completed),
            Some(ResponsesEnd::ContentFiltered) => (
                FinishReason::Refused,
                TurnOutcome::Failed(Fault::new(FaultKind::Refused, finish_reason::CONTENT_FILTER_MESSAGE)),
            ),
            Some(ResponsesEnd::Failed(fault)) => (FinishReason::Failed, TurnOutcome::Failed(fault)),
            Some(ResponsesEnd::Cut) | None => (FinishReason::Interrupted, TurnOutcome::Interrupted),
        };
        if self.emitter.is_empty() && finish_reason == FinishReason::End {
            out.push(finish_reason::empty_response_notice());
        }
        // An answer with an abnormal end is a message even if it is empty.
        if self.emitter.is_empty() && matches!(finish_reason, FinishReason::Length | FinishReason::Refused) {
            self.emitter.begin_message(out);
        }
        self.emitter.close(Some(finish_reason), self.model.as_deref(), out);
        if let Some(usage) = self.usage.take() {
            out.push(ReplyEvent::UsageReported { scope: UsageScope::Request(1), usage });
        }
        out.push(ReplyEvent::End { outcome });
    }

    fn has_failed(&self) -> bool {
        matches!(self.end, Some(ResponsesEnd::Failed(_)))
    }

    fn is_done(&self) -> bool {
        self.end.is_some()
    }
}

fn event_name<'a>(frame: &'a SseFrame, event: &'a ResponsesEvent<'_>) -> &'a str {
    let kind = event.kind.non_empty().unwrap_or_default();
    // enclava's `type` is a short name; then the event name is the better one.
    let is_name = |name: &str| name.starts_with("response.") || name == "error";
    if is_name(&frame.event) || !is_name(kind) { &frame.event } else { kind }
}

/// Returns which text an event goes on with, and in which part of its item.
fn delta_part(short: &str, event: &ResponsesEvent<'_>) -> Option<(TextChannel, u64)> {
    let (content, summary) = (event.content_index.0.unwrap_or(0), event.summary_index.0.unwrap_or(0));
    match short {
        "output_text.delta" | "audio.transcript.delta" => Some((TextChannel::Text, content)),
        "refusal.delta" => Some((TextChannel::Refusal, content)),
        "reasoning_text.delta" | "reasoning.delta" => Some((TextChannel::Reasoning, content)),
        "reasoning_summary_text.delta" | "reasoning_summary.delta" => Some((TextChannel::Summary, summary)),
        _ => None,
    }
}

/// Returns the text of a delta, if it stands in the frame as it is, and where it belongs.
fn delta_text<'a>(frame: &SseFrame, event: &ResponsesEvent<'a>) -> Option<(DeltaPlace, &'a str)> {
    let (channel, part) = delta_part(event_name(frame, event).strip_prefix("response.")?, event)?;
    let Some(Cow::Borrowed(text)) = event.delta.0 else { return None };
    let item_id = event.item_id.0.as_deref().map(str::to_owned);
    Some((DeltaPlace { channel, part, item_id, output_index: event.output_index }, text))
}

fn item_kind(channel: TextChannel) -> ResponsesItemKind {
    match channel {
        TextChannel::Text | TextChannel::Refusal => ResponsesItemKind::Message,
        TextChannel::Summary | TextChannel::Reasoning => ResponsesItemKind::Reasoning,
    }
}

fn parse_failure(response: &Json) -> Fault {
    match response.get("error").and_then(error::parse_error_object) {
        Some(server_error) => error::to_fault(&server_error),
        None => Fault::new(FaultKind::Upstream, "the server aborted its response without giving a reason; retry"),
    }
}

#[cfg(test)]
mod tests;
