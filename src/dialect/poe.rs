//! The stream of the Poe proxy: OpenAI chunks in frames named `delta`, each with a number, between an unnamed `init`
//! and a `complete` that repeats the whole answer.
//!
//! The proxy has one streamer for all its streams. Its numbers continue from stream to stream and its `complete` holds
//! the text of all of them, so the repeated text never blindly replaces the streamed one: it only adds what is missing
//! after a text that started with number 0, or stands in for an answer of which nothing was received after a resume. An
//! error that the proxy calls recoverable is a notice; any other ends the answer, whatever `complete` says. Its
//! `tool_call`s, which the proxy declares and never sends, are states of server calls where they have a `status`, as
//! from our own server: text after them is another message. Without one, they are calls for the client. Reconnecting by
//! number and dropping repeated frames belong to the transport.

pub mod encode;

use serde::Deserialize;
use serde_json::json;

use super::answer::MESSAGE_SEPARATOR;
use super::chat::ChatDecoder;
use super::lenient::{LooseList, LooseObject, LooseStr, LooseU64};
use super::server_calls::{self, ServerCalls};
use super::surrogate;
use super::unknown_frames::UnknownFrames;
use super::{Decode, DecodeContext, Dialect, Evidence, FirstFrame, SseFrame, error};
use crate::event::{
    Annotation, Fault, FinishReason, Json, NoticeCode, NoticeLevel, ReplyEvent, ReplyTarget, TurnOutcome,
};

/// Also `--dialect poe`.
pub const DIALECT: Dialect = Dialect {
    name: "poe",
    title: "the Poe proxy",
    decode: |_: &DecodeContext| Box::new(PoeDecoder::new()),
    evidence,
    extends: None,
    limitations: "usage, results and call times, except from our own server",
};

fn evidence(first: &FirstFrame<'_>) -> Option<Evidence> {
    match first.name() {
        "error" if first.has("recoverable") => {
            Some(Evidence::name("a frame named error says whether it is recoverable"))
        }
        "delta" if first.has("choices") => Some(Evidence::name("chunks come in frames named delta")),
        "complete" if first.has("content") || first.has("tool_calls") => Some(Evidence::named(first)),
        _ if first.kind() == "init" && first.has("retry") => {
            Some(Evidence::shape("its first frame says how to reconnect"))
        }
        _ => None,
    }
}

/// Bytes of streamed text that are compared with the repeated one.
const MAX_COMPARED_BYTES: usize = 16 * 1024 * 1024;

/// The fields of frames other than deltas.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PoeData<'a> {
    #[serde(borrow, rename = "type")]
    kind: LooseStr<'a>,
    error: Option<Json>,
    recoverable: Option<Json>,
    attempt: LooseU64,
    #[serde(borrow)]
    code: LooseStr<'a>,
    truncated: Option<Json>,
    #[serde(borrow)]
    content: LooseStr<'a>,
    tool_calls: LooseList<Json>,
    #[serde(borrow)]
    finish_reason: LooseStr<'a>,
    usage: Option<Json>,
    metadata: Option<Json>,
}

/// Decodes one answer.
#[derive(Debug, Default)]
pub struct PoeDecoder {
    chat: ChatDecoder,
    /// The first frame was seen, so nothing before it is missing.
    has_seen_start: bool,
    /// The number of the first frame that had one.
    first_id: Option<u64>,
    streamed_text: String,
    has_calls: bool,
    server_calls: ServerCalls,
    /// How the next text is separated, after calls that the server ran.
    separator: PendingSeparator,
    /// There is more than one message.
    has_several_messages: bool,
    /// The whole text, where `complete` confirmed or completed what was streamed.
    full_text: Option<String>,
    fault: Option<Fault>,
    /// The server says that the answer did not fail but ended early.
    early_outcome: Option<TurnOutcome>,
    complete: bool,
    unknown_frames: UnknownFrames,
}

/// How the next text is separated from the text before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum PendingSeparator {
    #[default]
    None,
    /// It is another message.
    Message,
    /// It starts with the separator between messages.
    Text,
}

impl PoeDecoder {
    pub fn new() -> Self {
        Self::default()
    }

    fn handle_delta(&mut self, frame: &SseFrame, out: &mut Vec<ReplyEvent>) {
        if self.separator != PendingSeparator::None
            && let Some(chunk) = surrogate::parse_json(&frame.data)
        {
            return self.handle_chunk_after_calls(chunk, out);
        }
        let from = out.len();
        if frame.data.trim_start().starts_with('{') {
            self.chat.decode_frame(frame, out);
        } else if let Ok(text) = serde_json::from_str::<String>(&frame.data) {
            self.chat.push_delta(&text, out);
        } else {
            // The proxy passes on chunks that are bare strings.
            self.chat.push_delta(&frame.data, out);
        }
        self.record_text(from, out);
    }

    /// Handles a chunk that may be the first one after server calls.
    fn handle_chunk_after_calls(&mut self, mut chunk: Json, out: &mut Vec<ReplyEvent>) {
        let delta = chunk.pointer_mut("/choices/0/delta").and_then(Json::as_object_mut);
        let says = delta.as_ref().is_some_and(|delta| {
            ["content", "refusal", "reasoning_content"]
                .iter()
                .any(|key| delta.get(*key).and_then(Json::as_str).is_some_and(|text| !text.is_empty()))
        });
        if says && self.separator == PendingSeparator::Message {
            let held = out.len();
            self.has_several_messages |= self.chat.next_message(out);
            self.record_text(held, out);
            self.separator = PendingSeparator::Text;
        }
        for key in ["content", "refusal"] {
            let Some(Json::String(text)) = delta.as_ref().and_then(|delta| delta.get(key)) else { continue };
            if text.is_empty() {
                continue;
            }
            self.separator = PendingSeparator::None;
            let rest =
                text.strip_prefix(MESSAGE_SEPARATOR).filter(|_| !self.streamed_text.is_empty()).map(ToOwned::to_owned);
            if let (Some(rest), Some(delta)) = (rest, delta) {
                self.streamed_text.push_str(MESSAGE_SEPARATOR);
                delta.insert(key.into(), rest.into());
            }
            break;
        }
        let from = out.len();
        self.chat.decode_frame(&SseFrame::data(chunk.to_string()), out);
        self.record_text(from, out);
    }

    /// Records the text that was emitted.
    fn record_text(&mut self, from: usize, out: &[ReplyEvent]) {
        for event in out.iter().skip(from) {
            match event {
                ReplyEvent::TextDelta { text, .. } if self.streamed_text.len() <= MAX_COMPARED_BYTES => {
                    self.streamed_text.push_str(text);
                }
                ReplyEvent::ToolCallStarted { .. } => self.has_calls = true,
                _ => {}
            }
        }
    }

    fn handle_error(&mut self, data: &PoeData<'_>, marked: bool, out: &mut Vec<ReplyEvent>) {
        let mut error = data.error.clone().unwrap_or_else(|| "no reason given".into());
        surrogate::resolve_marks_in_json(&mut error, marked);
        let server_error = error::parse_error_object(&error).unwrap_or_else(|| error::ServerError {
            message: error::to_single_line(&error.to_string()),
            ..error::ServerError::default()
        });
        if data.recoverable == Some(Json::Bool(true)) {
            let attempt = data.attempt.0.map_or_else(String::new, |n| format!(" (attempt {n})"));
            let text = format!("the server had a problem{attempt} and continues: {}", server_error.message);
            out.push(ReplyEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::Recoverable, text });
            return;
        }
        let mut fault = error::to_fault(&server_error);
        match data.code.non_empty() {
            Some("cancelled") => self.early_outcome = Some(TurnOutcome::Cancelled),
            Some("interrupted") => self.early_outcome = Some(TurnOutcome::Interrupted),
            Some(code) => fault.kind = serde_json::from_value(code.into()).unwrap_or(fault.kind),
            None => {}
        }
        self.fault.get_or_insert(fault);
    }

    fn handle_complete(&mut self, data: PoeData<'_>, marked: bool, out: &mut Vec<ReplyEvent>) {
        self.complete = true;
        let metadata = data.metadata.as_ref();
        let metadata_reason = || metadata.and_then(|metadata| metadata.get("finish_reason")?.as_str());
        if let Some(word) = data.finish_reason.non_empty().or_else(metadata_reason) {
            self.chat.set_finish_reason(word, out);
        }
        let usage = data.usage.as_ref().or_else(|| metadata?.get("usage")).cloned();
        let content = surrogate::resolve_marks(data.content.0.unwrap_or_default(), marked);
        let held = out.len();
        self.chat.flush_channels(out);
        self.record_text(held, out);
        let from = out.len();
        let is_ours = self.first_id.is_none_or(|first| first == 0);
        let may_add = is_ours || (!self.has_seen_start && self.streamed_text.is_empty());
        let is_whole = data.truncated != Some(Json::Bool(true));
        let missing = content
            .strip_prefix(self.streamed_text.as_str())
            .filter(|_| self.streamed_text.len() <= MAX_COMPARED_BYTES && (is_whole || self.streamed_text.is_empty()));
        if let Some(missing) = missing.filter(|missing| may_add || missing.is_empty()) {
            if !missing.is_empty() {
                self.chat.push_new_text(missing, out);
                self.record_text(from, out);
            }
            self.full_text =
                Some(content.to_string()).filter(|full| !full.is_empty() && is_whole && !self.has_several_messages);
        }
        if !is_whole && may_add && self.streamed_text.len() <= content.len() {
            let text = "the response was too long for the server to repeat in full; part of it is missing".to_owned();
            out.push(ReplyEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::Truncated, text });
        }
        if may_add && !self.has_calls && !data.tool_calls.0.is_empty() {
            let (ran, wished): (Vec<_>, Vec<_>) = data.tool_calls.0.into_iter().partition(server_calls::is_server_call);
            for call in ran.iter().filter(|call| !self.server_calls.is_known(call)).collect::<Vec<_>>() {
                self.handle_server_call(call, out);
            }
            if !wished.is_empty() {
                self.push_call_fragments(&wished, out);
            }
        }
        self.chat.finish_stream(usage.as_ref());
        let [id, model] = ["id", "model"].map(|key| {
            let word = data.metadata.as_ref()?.get(key)?.as_str()?;
            Some(surrogate::resolve_marks(word.into(), marked).into_owned())
        });
        if id.is_some() || model.is_some() {
            let (on, annotation) = (ReplyTarget::Reply, Annotation::ServedBy { id, model });
            out.push(ReplyEvent::Annotation { on, annotation });
        }
    }

    /// Handles fragments of calls outside a chunk.
    fn push_call_fragments(&mut self, calls: &[Json], out: &mut Vec<ReplyEvent>) {
        let chunk = json!({"choices": [{"index": 0, "delta": {"tool_calls": calls}}]});
        let from = out.len();
        self.chat.decode_frame(&SseFrame::data(chunk.to_string()), out);
        self.record_text(from, out);
    }

    fn handle_other(&mut self, frame: &SseFrame, out: &mut Vec<ReplyEvent>) {
        let data = frame.data.trim();
        let repaired = surrogate::mark_if_lone(data);
        let marked = repaired.is_some();
        // The slow path accepts repeated keys.
        let json: Option<Json> = serde_json::from_str(repaired.as_deref().unwrap_or(data)).ok();
        let read = json.as_ref().and_then(|json| LooseObject::<PoeData<'_>>::deserialize(json).ok()?.0);
        match (frame.event.as_str(), read) {
            ("error", Some(read)) => self.handle_error(&read, marked, out),
            ("error", None) => {
                let server_error =
                    error::ServerError { message: error::to_single_line(data), ..error::ServerError::default() };
                self.fault.get_or_insert_with(|| error::to_fault(&server_error));
            }
            ("complete", Some(read)) => self.handle_complete(read, marked, out),
            ("complete", None) => self.complete = true,
            ("ping", _) => {}
            ("tool_call", Some(_)) => self.handle_tool_call(json.as_ref(), out),
            ("" | "message", Some(read)) if read.kind.non_empty() == Some("init") => self.has_seen_start = true,
            (_, Some(_)) if data.contains("\"choices\"") => self.handle_delta(frame, out),
            ("" | "message", Some(read)) => {
                self.unknown_frames.report(read.kind.non_empty().unwrap_or("a frame without a name"), out);
            }
            ("" | "message", None) => self.unknown_frames.report("data that is not a JSON object", out),
            (name, _) => self.unknown_frames.report(name, out),
        }
    }

    /// Handles the state of a call that the server runs.
    fn handle_server_call(&mut self, call: &Json, out: &mut Vec<ReplyEvent>) {
        self.chat.begin_message(out);
        let message = self.chat.message().clone();
        if let Err(odd) = self.server_calls.observe(call, &message, |id| self.chat.reserve(id), out) {
            self.unknown_frames.report(odd, out);
        }
        self.separator = PendingSeparator::Message;
    }

    /// Handles a frame that the proxy declares and never sends: a state, a fragment as in a chunk, or a flat one.
    fn handle_tool_call(&mut self, json: Option<&Json>, out: &mut Vec<ReplyEvent>) {
        let Some(json) = json else { return };
        if server_calls::is_server_call(json) {
            return self.handle_server_call(json, out);
        }
        if json.get("function").is_some_and(Json::is_object) {
            return self.push_call_fragments(std::slice::from_ref(json), out);
        }
        let arguments = json.get("arguments").or_else(|| json.get("input"));
        let call = json!({
            "id": json.get("id"),
            "function": {"name": json.get("name"), "arguments": arguments},
        });
        self.push_call_fragments(&[call], out);
    }
}

impl Decode for PoeDecoder {
    fn decode_frame(&mut self, frame: &SseFrame, out: &mut Vec<ReplyEvent>) {
        if self.complete {
            return;
        }
        let number = frame.id.as_deref().and_then(|id| id.trim().parse().ok());
        self.first_id = self.first_id.or(number);
        if frame.event == "delta" { self.handle_delta(frame, out) } else { self.handle_other(frame, out) }
    }

    fn finish(&mut self, out: &mut Vec<ReplyEvent>) {
        if let Some(fault) = self.fault.take() {
            self.chat.set_fault(fault);
        }
        if self.complete {
            self.chat.finish_stream(None);
        }
        let from = out.len();
        self.chat.finish(out);
        for event in out.iter_mut().skip(from) {
            match (event, &self.early_outcome) {
                (ReplyEvent::MessageFinished { full_text: full, finish_reason, .. }, unended) => {
                    *full = self.full_text.take();
                    match unended {
                        Some(TurnOutcome::Cancelled) => *finish_reason = FinishReason::Cancelled,
                        Some(_) => *finish_reason = FinishReason::Interrupted,
                        None => {}
                    }
                }
                (ReplyEvent::End { outcome }, Some(unended)) => *outcome = unended.clone(),
                _ => {}
            }
        }
    }

    fn has_failed(&self) -> bool {
        self.fault.is_some()
    }

    fn is_done(&self) -> bool {
        self.complete
    }

    fn is_complete(&self) -> bool {
        self.complete || self.fault.is_some() || self.chat.is_complete()
    }
}

#[cfg(test)]
mod tests;
