//! What Gemini CLI prints with `--output-format stream-json`: `init`, `message` with the prompt and with pieces of the
//! answer, `tool_use`, `tool_result`, `error` for warnings, and `result` with the counts.
//!
//! Pieces name no message: it ends where a call or the result comes. Thoughts are not printed, nor is what a read gave,
//! and a second try after a broken stream goes on in the same text. Without its last line the run was interrupted,
//! whatever the exit code.
//!
//! Source: recordings of Gemini CLI 0.61.0.

use super::program_reply::{CallStart, DecodeLines, MAIN_THREAD, ProgramReply, content_text, to_run_fault, word};
use super::{DecodeContext, Dialect, Evidence, FirstFrame};
use crate::event::{CallOutcome, Json, NoticeCode, NoticeLevel, ReplyEvent, TurnOutcome, Usage, UsageScope};

/// Also `--dialect gemini-cli`.
pub const DIALECT: Dialect = Dialect {
    name: "gemini-cli",
    title: "Gemini CLI's stream-json",
    decode: |_: &DecodeContext| Box::new(GeminiCliDecoder::default()),
    evidence,
    extends: None,
    limitations: "thoughts, the prompt, times of calls, approvals, cost",
};

fn evidence(first: &FirstFrame<'_>) -> Option<Evidence> {
    let kind = first.kind();
    if first.text("timestamp").is_empty() {
        return None;
    }
    let is_one = match kind {
        "init" => first.has("session_id") && first.has("model"),
        "message" => !first.text("role").is_empty() && first.json.as_ref().is_some_and(has_string_content),
        "tool_use" => first.has("tool_id") && first.has("tool_name"),
        "tool_result" => first.has("tool_id") && first.has("status"),
        "error" => first.has("severity") && first.has("message"),
        "result" => first.has("status") && first.has("stats"),
        _ => false,
    };
    is_one.then(|| Evidence::shape(format!("a line with a time has the type {kind}")))
}

fn has_string_content(json: &Json) -> bool {
    json.get("content").is_some_and(Json::is_string)
}

/// Decodes one run.
#[derive(Debug, Default)]
pub struct GeminiCliDecoder {
    reply: ProgramReply,
    usage: Option<Usage>,
    outcome: Option<TurnOutcome>,
    /// The words of the last error that is no mere warning; some results leave them out.
    error_words: String,
}

impl GeminiCliDecoder {
    fn handle_result(&mut self, line: &Json) {
        self.usage = line.get("stats").map(parse_stats);
        self.outcome = Some(if word(line, "status") == "success" {
            TurnOutcome::Completed
        } else {
            let error = line.get("error").unwrap_or(&Json::Null);
            let words = error.as_str().unwrap_or_else(|| word(error, "message"));
            let words = if words.is_empty() { self.error_words.as_str() } else { words };
            TurnOutcome::Failed(to_run_fault(words, None))
        });
    }
}

fn parse_stats(stats: &Json) -> Usage {
    let count = |key: &str| stats.get(key).and_then(Json::as_u64).unwrap_or_default();
    Usage {
        input_tokens: count("input_tokens"),
        output_tokens: count("output_tokens"),
        cached_tokens: count("cached"),
        ..Usage::default()
    }
}

impl DecodeLines for GeminiCliDecoder {
    fn reply(&mut self) -> &mut ProgramReply {
        &mut self.reply
    }

    fn handle_line(&mut self, line: &Json, out: &mut Vec<ReplyEvent>) {
        match word(line, "type") {
            "init" => self.reply.tell_server(Some(word(line, "session_id")), Some(word(line, "model")), out),
            "message" if word(line, "role") == "assistant" => {
                let is_piece = line.get("delta").and_then(Json::as_bool) == Some(true);
                if !is_piece || self.reply.has_calls(MAIN_THREAD) {
                    self.reply.finish_message(MAIN_THREAD, out);
                }
                self.reply.push_text(MAIN_THREAD, word(line, "content"), out);
            }
            "message" => {}
            "tool_use" => {
                let (id, name) = (word(line, "tool_id"), word(line, "tool_name"));
                self.reply.start_whole_call(CallStart { thread: MAIN_THREAD, id, name }, line.get("parameters"), out);
            }
            "tool_result" => {
                let error = line.get("error").map_or("", |error| word(error, "message"));
                let output = line.get("output").map(content_text).filter(|text| !text.is_empty());
                let outcome = match word(line, "status") {
                    "success" => CallOutcome::Ok,
                    "cancelled" | "canceled" => CallOutcome::Cancelled,
                    _ => CallOutcome::Failed,
                };
                let text = output.unwrap_or_else(|| error.to_owned());
                self.reply.finish_call(word(line, "tool_id"), outcome, text, None, out);
            }
            "error" => {
                let text = word(line, "message").to_owned();
                if word(line, "severity") == "error" {
                    self.error_words.clone_from(&text);
                }
                out.push(ReplyEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::Warning, text });
            }
            "result" => self.handle_result(line),
            other => self.reply.unknown_frames.report(other, out),
        }
    }

    fn outcome(&self) -> Option<&TurnOutcome> {
        self.outcome.as_ref()
    }

    fn finish_run(&mut self, out: &mut Vec<ReplyEvent>) -> TurnOutcome {
        if let Some(usage) = self.usage.take() {
            out.push(ReplyEvent::UsageReported { scope: UsageScope::Turn, usage });
        }
        self.outcome.take().unwrap_or(TurnOutcome::Interrupted)
    }

    fn begins_run(&self, line: &Json) -> bool {
        word(line, "type") == "init"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::{Decode as _, SseFrame};

    #[test]
    fn the_words_of_an_error_are_the_reason_where_the_result_has_none() {
        let (mut decoder, mut out) = (GeminiCliDecoder::default(), Vec::new());
        for line in [
            r#"{"type":"error","severity":"warning","message":"Loop detected"}"#,
            r#"{"type":"error","severity":"error","message":"The stream ended early."}"#,
            r#"{"type":"result","status":"error","stats":{}}"#,
        ] {
            decoder.decode_frame(&SseFrame::data(line), &mut out);
        }
        decoder.finish(&mut out);
        let Some(ReplyEvent::End { outcome: TurnOutcome::Failed(fault) }) = out.last() else { panic!("{out:?}") };
        assert_eq!(fault.message, "The stream ended early");
    }
}
