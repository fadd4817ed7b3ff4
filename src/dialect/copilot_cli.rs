//! What GitHub Copilot CLI prints with `--output-format json`: the events of its session, each with `type`, `id`,
//! `timestamp` and its `data`, and a `result` with the exit code at the end.
//!
//! Deltas are marked `ephemeral`; the whole message repeats them. A call that was not permitted is a failed one with the
//! code `denied`, and the run goes on. No tokens are told but those that messages report of themselves.
//!
//! Source: the documentation and reports of version 1.0.81; no recording was at hand.

use std::collections::HashMap;

use super::program_reply::{CallStart, DecodeLines, ProgramReply, content_text, to_run_fault, word};
use super::{DecodeContext, Dialect, Evidence, FirstFrame};
use crate::event::{CallOutcome, Fault, Json, NoticeCode, NoticeLevel, ReplyEvent, TurnOutcome};

/// Also `--dialect copilot-cli`.
pub const DIALECT: Dialect = Dialect {
    name: "copilot-cli",
    title: "the events of Copilot CLI",
    decode: |_: &DecodeContext| Box::new(CopilotCliDecoder::default()),
    evidence,
    extends: None,
    limitations: "tokens, cost in dollars, the prompt, approvals",
};

fn evidence(first: &FirstFrame<'_>) -> Option<Evidence> {
    let kind = first.kind();
    let has_data = first.object()?.get("data").is_some_and(Json::is_object);
    let is_event = ["session.", "assistant.", "user.", "tool.", "system.", "hook.", "subagent.", "model."]
        .iter()
        .any(|family| kind.starts_with(family));
    let is_one = is_event && has_data && first.has("timestamp") && first.has("id");
    let is_result = kind == "result" && first.has("exitCode") && first.has("sessionId");
    (is_one || is_result).then(|| Evidence::shape(format!("a line with data has the type {kind}")))
}

/// Messages whose streamed text is remembered.
const MAX_STREAMED_MESSAGES: usize = 1024;

/// Decodes one run.
#[derive(Debug, Default)]
pub struct CopilotCliDecoder {
    reply: ProgramReply,
    /// What streamed of messages and of thoughts, by their ids.
    streamed: HashMap<String, String>,
    fault: Option<Fault>,
    was_aborted: bool,
    outcome: Option<TurnOutcome>,
}

impl CopilotCliDecoder {
    fn push_delta(&mut self, data: &Json, key: &str, is_thought: bool, out: &mut Vec<ReplyEvent>) {
        let (id, piece) = (word(data, key), word(data, "deltaContent"));
        let thread = word(data, "parentToolCallId");
        if self.streamed.len() < MAX_STREAMED_MESSAGES || self.streamed.contains_key(id) {
            self.streamed.entry(id.to_owned()).or_default().push_str(piece);
        }
        if is_thought {
            return self.reply.push_reasoning(thread, piece, out);
        }
        self.reply.enter_message(thread, id, out);
        self.reply.push_text(thread, piece, out);
    }

    /// Tells of a whole text what did not stream.
    fn push_rest(&mut self, data: &Json, key: &str, is_thought: bool, out: &mut Vec<ReplyEvent>) {
        let (id, whole) = (word(data, key), word(data, "content"));
        let streamed = self.streamed.remove(id).unwrap_or_default();
        let rest = whole.strip_prefix(streamed.as_str()).unwrap_or_default();
        let thread = word(data, "parentToolCallId");
        if is_thought {
            self.reply.push_reasoning(thread, rest, out);
        } else {
            self.reply.push_text(thread, rest, out);
        }
    }

    fn handle_message(&mut self, data: &Json, out: &mut Vec<ReplyEvent>) {
        let thread = word(data, "parentToolCallId");
        self.reply.tell_server(None, Some(word(data, "model")), out);
        self.reply.enter_message(thread, word(data, "messageId"), out);
        self.push_rest(data, "messageId", false, out);
        for request in data.get("toolRequests").and_then(Json::as_array).into_iter().flatten() {
            let start = CallStart { thread, id: word(request, "toolCallId"), name: word(request, "name") };
            self.reply.start_whole_call(start, request.get("arguments"), out);
        }
    }

    fn finish_call(&mut self, data: &Json, out: &mut Vec<ReplyEvent>) {
        let error = data.get("error").unwrap_or(&Json::Null);
        let outcome = match data.get("success").and_then(Json::as_bool) {
            Some(true) => CallOutcome::Ok,
            _ if word(error, "code") == "denied" => CallOutcome::Denied,
            _ => CallOutcome::Failed,
        };
        let result = data.get("result").map(|result| content_text(result.get("content").unwrap_or(result)));
        let text = result.filter(|text| !text.is_empty()).unwrap_or_else(|| word(error, "message").to_owned());
        self.reply.finish_call(word(data, "toolCallId"), outcome, text, None, out);
    }

    fn handle_result(&mut self, line: &Json, out: &mut Vec<ReplyEvent>) {
        self.reply.tell_server(Some(word(line, "sessionId")), None, out);
        let exit_code = line.get("exitCode").and_then(Json::as_i64).unwrap_or_default();
        self.outcome = Some(match self.fault.take() {
            _ if self.was_aborted => TurnOutcome::Interrupted,
            None if exit_code == 0 => TurnOutcome::Completed,
            Some(fault) => TurnOutcome::Failed(fault),
            None => TurnOutcome::Failed(to_run_fault(&format!("the run ended with exit code {exit_code}"), None)),
        });
    }
}

impl DecodeLines for CopilotCliDecoder {
    fn reply(&mut self) -> &mut ProgramReply {
        &mut self.reply
    }

    fn handle_line(&mut self, line: &Json, out: &mut Vec<ReplyEvent>) {
        let data = line.get("data").unwrap_or(&Json::Null);
        match word(line, "type") {
            "session.start" | "session.resume" => {
                self.reply.tell_server(Some(word(data, "sessionId")), Some(word(data, "selectedModel")), out);
            }
            "session.model_change" => self.reply.tell_server(None, Some(word(data, "newModel")), out),
            "assistant.message_delta" => self.push_delta(data, "messageId", false, out),
            "assistant.reasoning_delta" => self.push_delta(data, "reasoningId", true, out),
            "assistant.message" => self.handle_message(data, out),
            "assistant.reasoning" => self.push_rest(data, "reasoningId", true, out),
            "tool.execution_start" => {
                let (id, name) = (word(data, "toolCallId"), word(data, "toolName"));
                let thread = word(data, "parentToolCallId");
                self.reply.start_whole_call(CallStart { thread, id, name }, data.get("arguments"), out);
            }
            "tool.execution_complete" => self.finish_call(data, out),
            "session.error" => {
                let status = data.get("statusCode").and_then(Json::as_u64);
                self.fault = Some(to_run_fault(word(data, "message"), status));
            }
            "session.warning" => {
                let text = word(data, "message").to_owned();
                out.push(ReplyEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::Warning, text });
            }
            "abort" | "session.abort" => self.was_aborted = true,
            "result" => self.handle_result(line, out),
            // What it is busy with, told for screens.
            _ => {}
        }
    }

    fn outcome(&self) -> Option<&TurnOutcome> {
        self.outcome.as_ref()
    }

    fn finish_run(&mut self, _out: &mut Vec<ReplyEvent>) -> TurnOutcome {
        match (self.outcome.take(), self.fault.take()) {
            (Some(ended), _) => ended,
            (None, Some(fault)) => TurnOutcome::Failed(fault),
            (None, None) => TurnOutcome::Interrupted,
        }
    }

    fn begins_run(&self, line: &Json) -> bool {
        matches!(word(line, "type"), "session.start" | "user.message" | "assistant.turn_start")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::{Decode as _, SseFrame};

    #[test]
    fn a_message_that_streamed_is_told_once() {
        let lines = [
            r#"{"type":"assistant.message_delta","data":{"messageId":"m","deltaContent":"Hel"},"ephemeral":true}"#,
            r#"{"type":"assistant.message","data":{"messageId":"m","content":"Hello","toolRequests":[]}}"#,
            r#"{"type":"result","sessionId":"s","exitCode":0}"#,
        ];
        let (mut decoder, mut out) = (CopilotCliDecoder::default(), Vec::new());
        for line in lines {
            decoder.decode_frame(&SseFrame::data(line), &mut out);
        }
        decoder.finish(&mut out);
        let text: String = out
            .iter()
            .filter_map(|event| match event {
                ReplyEvent::TextDelta { text, .. } => Some(text.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(text, "Hello");
        assert_eq!(out.last(), Some(&ReplyEvent::End { outcome: TurnOutcome::Completed }));
    }
}
