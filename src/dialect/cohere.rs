//! Cohere's chat, version 2: frames named after their type, with a message of content blocks under an index, a plan
//! before calls, and `message-end` with the reason and the counts. Version 1, whose lines have an `event_type`, is read
//! as well; its calls have no ids.
//!
//! Source: the event types of the Python package `cohere` 7.3, and recordings of a server that mocks the API.

use super::agent_reply::result_text;
use super::reply_end::ReplyEnd;
use super::step_reply::{StepBlockKind, StepReply};
use super::{Decode, Dialect, Evidence, FirstFrame, SseFrame, error, surrogate};
use crate::event::{ExecutedBy, Json, ReplyEvent};

/// Also `--dialect cohere`.
pub const DIALECT: Dialect = Dialect {
    name: "cohere",
    title: "Cohere",
    decode: |_| Box::<CohereDecoder>::default(),
    evidence,
    extends: None,
    limitations: "results of calls, the places in the text that citations are for",
};

fn evidence(first: &FirstFrame<'_>) -> Option<Evidence> {
    let kind = first.kind();
    let families = ["message-", "content-", "tool-plan-", "tool-call-", "citation-"];
    let is_family = families.iter().any(|family| kind.starts_with(family));
    if is_family && (first.has_in("delta", "message") || first.has_in("delta", "finish_reason")) {
        return Some(Evidence::shape(format!("a frame of type {kind} has a delta of a message")));
    }
    let kind = first.object().map(|_| first.text("event_type")).unwrap_or_default();
    let families = ["stream-", "text-", "citation-", "tool-calls-", "search-"];
    let is_old = families.iter().any(|family| kind.starts_with(family)) && first.has("is_finished");
    is_old.then(|| Evidence::shape(format!("a line has the event_type {kind}")))
}

/// The block of a plan, which has no index.
const PLAN_BLOCK: &str = "plan";

/// Decodes one answer.
#[derive(Debug, Default)]
pub struct CohereDecoder {
    steps: StepReply,
    /// The id of the newest call.
    call: String,
    end: ReplyEnd,
}

impl CohereDecoder {
    fn handle_event(&mut self, kind: &str, event: &Json, marked: bool, out: &mut Vec<ReplyEvent>) {
        let index = event.get("index").and_then(Json::as_u64).unwrap_or(0).to_string();
        let word = |path: &str| event.pointer(path).and_then(Json::as_str).unwrap_or_default();
        match kind {
            "content-start" | "content-delta" => {
                self.push_content(&index, word("/delta/message/content/thinking"), true, marked, out);
                self.push_content(&index, word("/delta/message/content/text"), false, marked, out);
            }
            "content-end" => {
                self.steps.end_block(StepBlockKind::Text, &index);
                self.steps.end_block(StepBlockKind::Reasoning, &index);
            }
            "tool-plan-delta" => {
                self.push_content(PLAN_BLOCK, word("/delta/message/tool_plan"), true, marked, out);
            }
            "tool-call-start" => {
                let call = event.pointer("/delta/message/tool_calls").unwrap_or(&Json::Null);
                let id = call.get("id").and_then(Json::as_str).filter(|id| !id.is_empty());
                self.call = id.map_or_else(|| format!("call_{index}"), str::to_owned);
                let name = call.pointer("/function/name").and_then(Json::as_str);
                self.steps.start_call(&self.call, name, ExecutedBy::Client, out);
                self.push_args(word("/delta/message/tool_calls/function/arguments"), marked, out);
            }
            "tool-call-delta" => self.push_args(word("/delta/message/tool_calls/function/arguments"), marked, out),
            "tool-call-end" => self.steps.reply.calls.mark_ready(&self.call, out),
            "citation-start" => {
                for source in
                    event.pointer("/delta/message/citations/sources").and_then(Json::as_array).into_iter().flatten()
                {
                    self.note_source(source.get("document").unwrap_or(source), source.get("id"));
                }
            }
            "message-end" => {
                self.end.take_usage(event.pointer("/delta/usage"));
                self.handle_end(word("/delta/finish_reason"), word("/delta/error"), out);
            }
            "message-start" | "citation-end" | "debug" => {}
            "" => match error::parse(event) {
                Some(server_error) => self.end.fail(&server_error),
                None => self.end.unknown_frames.report("a frame without a type", out),
            },
            other => self.end.unknown_frames.report(other, out),
        }
    }

    fn push_content(&mut self, block: &str, text: &str, is_reasoning: bool, marked: bool, out: &mut Vec<ReplyEvent>) {
        if text.is_empty() {
            return;
        }
        if is_reasoning {
            let message = self.steps.block(StepBlockKind::Reasoning, block, out);
            self.steps.reply.push_reasoning(message, text.into(), marked, out);
        } else {
            let message = self.steps.block(StepBlockKind::Text, block, out);
            self.steps.reply.push_text(message, text.into(), marked, out);
        }
    }

    fn push_args(&mut self, piece: &str, marked: bool, out: &mut Vec<ReplyEvent>) {
        if piece.is_empty() {
            return;
        }
        if let Err(odd) = self.steps.reply.calls.push_args(&self.call, piece.into(), marked, out) {
            self.end.unknown_frames.report(odd, out);
        }
    }

    fn note_source(&mut self, document: &Json, id: Option<&Json>) {
        let title = ["title", "name", "id"].iter().find_map(|key| document.get(*key)).or(id);
        self.end.note_source(title, document.get("url"));
    }

    fn handle_end(&mut self, reason: &str, words: &str, out: &mut Vec<ReplyEvent>) {
        self.end.has_ended = true;
        if !words.is_empty() {
            let message = error::to_single_line(words);
            self.end.fail(&error::ServerError { message, ..error::ServerError::default() });
        } else if !reason.is_empty() {
            self.end.finish_tracker.observe(reason, out);
        }
    }

    /// Handles a line of version 1.
    fn handle_old_event(&mut self, kind: &str, event: &Json, marked: bool, out: &mut Vec<ReplyEvent>) {
        let word = |key: &str| event.get(key).and_then(Json::as_str).unwrap_or_default();
        match kind {
            "text-generation" => self.push_content("", word("text"), false, marked, out),
            "tool-calls-chunk" => {
                let chunk = event.get("tool_call_delta").unwrap_or(&Json::Null);
                let part = |key: &str| chunk.get(key).and_then(Json::as_str).unwrap_or_default();
                let plan = if word("text").is_empty() { part("text") } else { word("text") };
                self.push_content(PLAN_BLOCK, plan, true, marked, out);
                if let Some(index) = chunk.get("index").and_then(Json::as_f64) {
                    self.call = format!("call_{index}");
                    self.steps.start_call(&self.call, Some(part("name")), ExecutedBy::Client, out);
                    self.push_args(part("parameters"), marked, out);
                }
            }
            "tool-calls-generation" => self.take_whole_calls(event, marked, out),
            "search-results" => {
                for document in event.get("documents").and_then(Json::as_array).into_iter().flatten() {
                    self.note_source(document, None);
                }
            }
            "stream-error" => self.handle_end(word("finish_reason"), word("err"), out),
            "stream-end" => {
                let response = event.get("response").unwrap_or(&Json::Null);
                self.end.take_usage(response.get("meta"));
                let text = response.get("text").map(result_text).filter(|text| !text.is_empty());
                if let Some(text) = text.filter(|_| !self.steps.reply.has_said_any()) {
                    self.push_content("", &text, false, marked, out);
                }
                self.take_whole_calls(response, marked, out);
                self.handle_end(word("finish_reason"), "", out);
            }
            "stream-start" | "search-queries-generation" | "citation-generation" | "debug" => {}
            other => self.end.unknown_frames.report(other, out),
        }
    }

    /// Takes all calls of a message, of which pieces may have been told.
    fn take_whole_calls(&mut self, from: &Json, marked: bool, out: &mut Vec<ReplyEvent>) {
        let mut calls = from.get("tool_calls").cloned().unwrap_or_default();
        surrogate::resolve_marks_in_json(&mut calls, marked);
        for (index, call) in calls.as_array().into_iter().flatten().enumerate() {
            let (wire, name) = (format!("call_{index}"), call.get("name").and_then(Json::as_str));
            self.steps.start_call(&wire, name, ExecutedBy::Client, out);
            let args = call.get("parameters").map(result_text).unwrap_or_default();
            self.steps.reply.calls.complete(&wire, name, &args, out);
        }
    }
}

impl Decode for CohereDecoder {
    fn decode_frame(&mut self, frame: &SseFrame, out: &mut Vec<ReplyEvent>) {
        let Some((event, marked)) = self.end.parse_object(frame, out) else { return };
        let word = |key: &str| event.get(key).and_then(Json::as_str).filter(|kind| !kind.is_empty());
        match word("event_type") {
            Some(kind) => self.handle_old_event(kind, &event, marked, out),
            None => self.handle_event(word("type").unwrap_or_default(), &event, marked, out),
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
