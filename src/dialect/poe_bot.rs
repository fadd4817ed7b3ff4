//! The protocol of Poe's bots, as the Python package `fastapi-poe` serves it: frames named `text`, each a piece, ended by
//! `done`. `replace_response` takes the place of all text so far. An error ends the answer, though `done` still follows.
//!
//! Not the stream of the Poe proxy, which is [`super::poe`].
//!
//! Source: the events of `fastapi_poe.base` and recordings of such bots.

use serde_json::json;

use super::agent_reply::{AgentReply, MessageHandle, annotate, capped};
use super::finish_reason::FinishTracker;
use super::unknown_frames::UnknownFrames;
use super::{Decode, Dialect, Evidence, FirstFrame, SseFrame, error, surrogate};
use crate::event::{
    Annotation, ExecutedBy, Fault, FinishReason, Json, NoticeCode, NoticeLevel, ReplyEvent, TurnOutcome,
};

/// Also `--dialect poe-bot`.
pub const DIALECT: Dialect = Dialect {
    name: "poe-bot",
    title: "the Poe bot protocol",
    decode: |_| Box::<PoeBotDecoder>::default(),
    evidence,
    extends: None,
    limitations: "usage, results, reasoning outside of the text",
};

fn evidence(first: &FirstFrame<'_>) -> Option<Evidence> {
    let has_text = || first.object().is_some_and(|json| json.get("text").is_some_and(Json::is_string));
    let is_one = match first.name() {
        // With the fields of other formats it is theirs.
        "text" => has_text() && first.object().and_then(Json::as_object).is_some_and(|json| json.len() == 1),
        "replace_response" | "suggested_reply" => has_text(),
        "meta" => first.has("content_type") && (first.has("linkify") || first.has("suggested_replies")),
        "error" => first.has("allow_retry"),
        "file" => first.has("url") && first.has("content_type"),
        "data" => first.has("metadata"),
        "done" => first.frame.data.trim() == "{}",
        _ => false,
    };
    is_one.then(|| Evidence::named(first))
}

/// Calls of one answer.
const MAX_CALLS: usize = 256;

/// Decodes one answer.
#[derive(Debug, Default)]
pub struct PoeBotDecoder {
    reply: AgentReply,
    message: Option<MessageHandle>,
    /// The ids of calls, by their index.
    calls: Vec<(u64, String)>,
    finish_tracker: FinishTracker,
    fault: Option<Fault>,
    done: bool,
    unknown_frames: UnknownFrames,
}

impl PoeBotDecoder {
    fn message(&mut self, out: &mut Vec<ReplyEvent>) -> MessageHandle {
        match self.message.filter(|message| self.reply.is_open(*message)) {
            Some(message) => message,
            None => *self.message.insert(self.reply.begin(None, out)),
        }
    }

    /// Handles a chunk in the shape of chat completions: such a bot passes on its model's calls.
    fn handle_chunk(&mut self, chunk: &Json, marked: bool, out: &mut Vec<ReplyEvent>) {
        let Some(choice) = chunk.pointer("/choices/0") else { return };
        let delta = choice.get("delta").or_else(|| choice.get("message")).unwrap_or(&Json::Null);
        let text = |json: &Json, key: &str| json.get(key).and_then(Json::as_str).unwrap_or_default().to_owned();
        let content = text(delta, "content");
        if !content.is_empty() {
            let message = self.message(out);
            self.reply.push_text(message, content.into(), marked, out);
        }
        for (nth, call) in delta.get("tool_calls").and_then(Json::as_array).into_iter().flatten().enumerate() {
            let index = call.get("index").and_then(Json::as_u64).unwrap_or(nth as u64);
            let (id, function) = (text(call, "id"), call.get("function").unwrap_or(&Json::Null));
            let known = self.calls.iter().rfind(|(at, _)| *at == index).map(|(_, wire)| wire.clone());
            let wire = match known.filter(|wire| id.is_empty() || *wire == id) {
                Some(wire) => wire,
                None if self.calls.len() >= MAX_CALLS => return self.unknown_frames.report("too many tool calls", out),
                None => {
                    let wire = if id.is_empty() { format!("call_{index}") } else { id };
                    let (message, name) = (self.message(out), text(function, "name"));
                    self.reply.start_call(message, &wire, Some(&name), ExecutedBy::Client, out);
                    self.calls.push((index, wire.clone()));
                    wire
                }
            };
            if let Err(odd) = self.reply.calls.push_args(&wire, text(function, "arguments").into(), marked, out) {
                self.unknown_frames.report(odd, out);
            }
        }
        if let Some(word) = choice.get("finish_reason").and_then(Json::as_str) {
            self.finish_tracker.observe(word, out);
        }
    }

    /// Takes why the answer failed. What the bot's own program said stands beside the words for everybody.
    fn handle_error(&mut self, data: &str, out: &mut Vec<ReplyEvent>) {
        if self.fault.is_some() {
            return;
        }
        self.fault = Some(error::to_fault(&error::parse_error_data(data)));
        let json = surrogate::parse_json(data).unwrap_or_default();
        let cause = json.get("raw_response").and_then(Json::as_str).map(error::to_single_line);
        if let Some(cause) = cause.filter(|cause| !cause.is_empty()) {
            let text = format!("the bot's own error: {cause}");
            out.push(ReplyEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::Warning, text });
        }
    }

    fn handle_frame(&mut self, name: &str, json: &Json, marked: bool, out: &mut Vec<ReplyEvent>) {
        let text = || json.get("text").and_then(Json::as_str).unwrap_or_default();
        match name {
            "text" => {
                let message = self.message(out);
                self.reply.push_text(message, text().into(), marked, out);
            }
            "replace_response" => {
                let message = self.message(out);
                let whole = surrogate::resolve_marks(text().into(), marked);
                self.reply.replace_text(message, &whole, out);
            }
            "json" => self.handle_chunk(json, marked, out),
            "suggested_reply" | "data" => {
                let mut value = if name == "data" { json.clone() } else { text().into() };
                surrogate::resolve_marks_in_json(&mut value, marked);
                annotate(Annotation::Custom { name: name.into(), value: capped(&value) }, out);
            }
            "file" => {
                let field = |key: &str| json.get(key).cloned().unwrap_or_default();
                let part = json!({
                    "kind": "file", "url": field("url"), "mediaType": field("content_type"), "filename": field("name"),
                });
                annotate(Annotation::Part(capped(&part)), out);
            }
            "done" => self.done = true,
            // How to show the text, and a sign of life.
            "meta" | "ping" => {}
            other => self.unknown_frames.report(if other.is_empty() { "a frame without a name" } else { other }, out),
        }
    }
}

impl Decode for PoeBotDecoder {
    fn decode_frame(&mut self, frame: &SseFrame, out: &mut Vec<ReplyEvent>) {
        if self.done {
            return;
        }
        let data = frame.data.trim();
        if frame.event == "error" {
            return self.handle_error(data, out);
        }
        let repaired = surrogate::mark_if_lone(data);
        let json = serde_json::from_str::<Json>(repaired.as_deref().unwrap_or(data)).ok().filter(Json::is_object);
        match (json, error::find_error_in_unparsed(frame)) {
            (Some(json), _) => self.handle_frame(&frame.event, &json, repaired.is_some(), out),
            (None, Some(server_error)) => {
                self.fault.get_or_insert_with(|| error::to_fault(&server_error));
            }
            (None, None) if data.is_empty() => self.handle_frame(&frame.event, &Json::Null, false, out),
            (None, None) => self.unknown_frames.report("data that is not a JSON object", out),
        }
    }

    fn finish(&mut self, out: &mut Vec<ReplyEvent>) {
        let outcome = match self.fault.take() {
            Some(fault) => TurnOutcome::Failed(fault),
            None if self.done => TurnOutcome::Completed,
            None => TurnOutcome::Interrupted,
        };
        let mut reason = Some(outcome.finish_reason());
        if outcome == TurnOutcome::Completed {
            for wire in self.calls.drain(..).map(|(_, wire)| wire).collect::<Vec<_>>() {
                self.reply.calls.mark_ready(&wire, out);
            }
            let told = self.finish_tracker.finish_reason();
            reason = told.filter(|told| matches!(told, FinishReason::Length | FinishReason::Refused));
        }
        self.reply.close_all(reason, out);
        out.push(ReplyEvent::End { outcome });
    }

    fn has_failed(&self) -> bool {
        self.fault.is_some()
    }

    fn is_done(&self) -> bool {
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_bot_s_own_program_said_of_its_failure_is_told_once() {
        let (mut decoder, mut out) = (PoeBotDecoder::default(), Vec::new());
        let data =
            r#"{"allow_retry": false, "text": "An unexpected issue.", "raw_response": "RuntimeError('no disk')"}"#;
        let error = SseFrame { event: "error".into(), ..SseFrame::data(data) };
        decoder.decode_frame(&error, &mut out);
        decoder.decode_frame(&error, &mut out);
        let texts: Vec<&str> = out
            .iter()
            .map(|event| match event {
                ReplyEvent::Notice { text, .. } => text.as_str(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(texts, ["the bot's own error: RuntimeError('no disk')"]);
    }
}
