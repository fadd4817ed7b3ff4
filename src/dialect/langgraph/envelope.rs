//! The newer generation: an envelope names a channel as its `method`, the graph by its `namespace`, and holds the data.
//!
//! A message is written in blocks by index. The channels of tools, updates and values repeat what messages told.

use super::super::agent_reply::{annotate, capped, result_text};
use super::super::error::{self, ServerError};
use super::super::{surrogate, usage};
use super::content;
use super::{LangGraphDecoder, MessageForm};
use crate::event::{Annotation, CallOutcome, Json, ReplyEvent};

/// Messages that are written at a time; the oldest is forgotten.
const MAX_ACTIVE_MESSAGES: usize = 64;

/// What the envelopes of a run left open.
#[derive(Debug, Default)]
pub(super) struct EnvelopeState {
    pub(super) has_any: bool,
    active: Vec<ActiveMessage>,
    message_count: usize,
}

/// A message that is being written.
#[derive(Debug)]
struct ActiveMessage {
    /// The graph and the node that write it.
    place: String,
    /// Its index among the run's messages; none where it is not the assistant's.
    at: Option<usize>,
    /// Blocks of which a piece came.
    told_blocks: Vec<Json>,
}

impl LangGraphDecoder {
    pub(super) fn handle_envelope(&mut self, envelope: &mut Json, marked: bool, out: &mut Vec<ReplyEvent>) {
        self.envelopes.has_any = true;
        let method = envelope.get("method").and_then(Json::as_str).unwrap_or_default().to_owned();
        let Some(params) = envelope.get_mut("params") else { return };
        let mut data = params.get_mut("data").map(Json::take).unwrap_or_default();
        let is_delta = data.get("event").and_then(Json::as_str) == Some("content-block-delta");
        if !is_delta {
            surrogate::resolve_marks_in_json(&mut data, marked);
        }
        let place =
            format!("{}/{}", params.get("namespace").unwrap_or(&Json::Null), params.get("node").unwrap_or(&Json::Null));
        let is_root = params.get("namespace").and_then(Json::as_array).is_none_or(Vec::is_empty);
        match method.as_str() {
            "messages" => self.handle_message_event(&place, &data, marked, out),
            "tools" => self.handle_tool_event(&data, out),
            "values" => self.take_values(&data, out),
            "updates" => self.take_updates(&data, out),
            "lifecycle" if is_root => self.handle_lifecycle(&data),
            "input" | "input.requested" => self.take_interrupt(&data, out),
            "custom" => {
                let name = data.get("name").cloned().unwrap_or_else(|| "custom".into());
                let value = capped(data.get("payload").unwrap_or(&data));
                annotate(Annotation::Custom { name, value }, out);
            }
            "lifecycle" | "checkpoints" | "tasks" | "state" | "debug" => {}
            other => self.unknown_frames.report(other, out),
        }
    }

    fn handle_lifecycle(&mut self, data: &Json) {
        let word = |key: &str| data.get(key).and_then(Json::as_str);
        match word("event").unwrap_or_default() {
            "completed" | "interrupted" => self.is_over = true,
            "failed" => {
                self.is_over = true;
                let told = word("error")
                    .map(|text| ServerError { message: error::to_single_line(text), ..ServerError::default() });
                let known = self.message_fault.take();
                let server_error = told.unwrap_or_else(|| error::parse_error_data(&data.to_string()));
                self.fault.get_or_insert_with(|| known.unwrap_or_else(|| error::to_fault(&server_error)));
            }
            _ => {}
        }
    }

    fn handle_message_event(&mut self, place: &str, data: &Json, marked: bool, out: &mut Vec<ReplyEvent>) {
        // A tuple with metadata, as inside of a process.
        let data = data.get(0).unwrap_or(data);
        let word = |key: &str| data.get(key).and_then(Json::as_str);
        match word("event").unwrap_or_default() {
            "message-start" => {
                let role = word("role").unwrap_or("ai");
                self.start_message(place, word("id"), matches!(role, "ai" | "assistant"), out);
            }
            "content-block-start" | "content-block-delta" => self.handle_block(place, data, marked, out),
            "content-block-finish" => self.finish_block(place, data, out),
            "message-finish" => {
                let active = self.envelopes.active.iter().rposition(|active| active.place == place);
                let Some(at) = active.map(|nth| self.envelopes.active.remove(nth)).and_then(|active| active.at) else {
                    return;
                };
                self.messages.note_usage(at, data.get("usage").and_then(usage::parse));
                let reason = word("reason").or_else(|| data.pointer("/metadata/finish_reason")?.as_str());
                self.messages.note_reason(at, reason.and_then(content::parse_early_reason));
                self.messages.end(at, out);
            }
            "error" => {
                let message = word("message").unwrap_or("no reason given");
                let code = word("code").unwrap_or_default().to_owned();
                let server_error = ServerError { message: error::to_single_line(message), code, status: None };
                self.message_fault = Some(error::to_fault(&server_error));
            }
            // A whole message, as the older generation has it.
            "" => self.messages.take(data, MessageForm::Piece, place, marked, out),
            other => self.unknown_frames.report(other, out),
        }
    }

    fn start_message(&mut self, place: &str, id: Option<&str>, is_assistant: bool, out: &mut Vec<ReplyEvent>) {
        self.envelopes.active.retain(|active| active.place != place);
        if self.envelopes.active.len() >= MAX_ACTIVE_MESSAGES {
            self.envelopes.active.remove(0);
        }
        self.envelopes.message_count += 1;
        let id = id
            .map_or_else(|| format!("{place}#{}", self.envelopes.message_count), |id| content::bare_id(id).to_owned());
        let at = is_assistant.then(|| self.messages.begin(&id, out));
        self.envelopes.active.push(ActiveMessage { place: place.to_owned(), at, told_blocks: Vec::new() });
    }

    /// Returns the message that is written at a place; the start of one may be missing.
    fn active(&mut self, place: &str, out: &mut Vec<ReplyEvent>) -> Option<&mut ActiveMessage> {
        if self.envelopes.active.iter().all(|active| active.place != place) {
            self.start_message(place, None, true, out);
        }
        self.envelopes.active.iter_mut().rfind(|active| active.place == place)
    }

    fn handle_block(&mut self, place: &str, data: &Json, marked: bool, out: &mut Vec<ReplyEvent>) {
        let index = data.get("index").cloned().unwrap_or_default();
        let block = ["delta", "content", "contentBlock"].iter().find_map(|key| data.get(*key)).unwrap_or(&Json::Null);
        let word = |key: &str| block.get(key).and_then(Json::as_str).filter(|text| !text.is_empty());
        let Some(active) = self.active(place, out) else { return };
        let Some(at) = active.at else { return };
        if (word("text").is_some() || word("reasoning").is_some()) && !active.told_blocks.contains(&index) {
            active.told_blocks.push(index.clone());
        }
        let Some(handle) = self.messages.handle(at) else { return };
        match word("type").unwrap_or_default() {
            "text-delta" | "text" => {
                self.messages.reply.push_text(handle, word("text").unwrap_or_default().into(), marked, out);
            }
            "reasoning-delta" | "reasoning" => {
                self.messages.reply.push_reasoning(handle, word("reasoning").unwrap_or_default().into(), marked, out);
            }
            "tool-call-delta" => {
                let piece = word("args").unwrap_or_default().into();
                self.messages.push_call_args(at, &index, piece, marked, out);
            }
            "block-delta" => {
                let fields = block.get("fields").unwrap_or(&Json::Null);
                self.messages.note_call(at, &index, fields, out);
            }
            "tool_call_chunk" | "tool_call" | "server_tool_call" | "server_tool_call_chunk" => {
                self.messages.note_call(at, &index, block, out);
            }
            _ => {}
        }
    }

    fn finish_block(&mut self, place: &str, data: &Json, out: &mut Vec<ReplyEvent>) {
        let index = data.get("index").cloned().unwrap_or_default();
        let block = data.get("content").or_else(|| data.get("contentBlock")).unwrap_or(&Json::Null);
        let word = |key: &str| block.get(key).and_then(Json::as_str).filter(|text| !text.is_empty());
        let Some(active) = self.active(place, out) else { return };
        let Some(at) = active.at else { return };
        let is_told = active.told_blocks.contains(&index);
        let Some(handle) = self.messages.handle(at) else { return };
        let args = || block.get("args").filter(|args| !args.is_null()).map(result_text).unwrap_or_default();
        match word("type").unwrap_or_default() {
            "text" if !is_told => {
                self.messages.reply.push_text(handle, word("text").unwrap_or_default().into(), false, out);
            }
            "reasoning" if !is_told => {
                self.messages.reply.push_reasoning(handle, word("reasoning").unwrap_or_default().into(), false, out);
            }
            "tool_call" | "invalid_tool_call" | "server_tool_call" => {
                self.messages.complete_call(at, &index, block, &args(), out);
            }
            "server_tool_result" => {
                let failed = word("status") == Some("error");
                let outcome = if failed { CallOutcome::Failed } else { CallOutcome::Ok };
                let text = block.get("output").map(result_text).unwrap_or_default();
                if let Some(wire) = word("tool_call_id") {
                    self.messages.reply.calls.finish(wire, outcome, text, out);
                }
            }
            _ => {}
        }
    }

    fn handle_tool_event(&mut self, data: &Json, out: &mut Vec<ReplyEvent>) {
        let word = |key: &str| data.get(key).and_then(Json::as_str).filter(|text| !text.is_empty());
        let Some(wire) = word("tool_call_id") else { return };
        match word("event").unwrap_or_default() {
            "tool-started" => {
                let args = data.get("input").filter(|input| !input.is_null()).map(result_text).unwrap_or_default();
                self.messages.note_running(wire, word("tool_name"), &args, out);
            }
            "tool-finished" => {
                let output = data.get("output").unwrap_or(&Json::Null);
                let message = content::fields(output);
                let (outcome, text) = if message.get("content").is_some() {
                    (content::tool_outcome(message), content::tool_text(message))
                } else {
                    (CallOutcome::Ok, result_text(output))
                };
                self.messages.finish_call(wire, word("tool_name"), outcome, text, out);
            }
            "tool-error" => {
                let text = word("message").unwrap_or_default().to_owned();
                self.messages.finish_call(wire, word("tool_name"), CallOutcome::Failed, text, out);
            }
            // What a tool writes while it runs.
            _ => {}
        }
    }
}
