//! What `pi --mode json` prints: `session`, then events of the agent. Messages start, are updated and end; the last says
//! all of it once more, and so do `turn_end` and `agent_end`.
//!
//! The program exits with 0 whatever the model did: how it went stands in `stopReason` and `errorMessage` of the last
//! message. An `agent_end` need not be the end, with `willRetry` it is none: `agent_settled` is. What a running tool has
//! given so far is told anew each time.
//!
//! Source: recordings of pi 1.6.0 and its documentation.

use super::finish_reason::WireFinishReason;
use super::program_reply::{CallStart, MAIN_THREAD, ProgramReply, content_text, cost_event, to_run_fault, word};
use super::{Decode, DecodeContext, Dialect, Evidence, FirstFrame, SseFrame, surrogate, usage};
use crate::event::{
    CallOutcome, Fault, Json, Millis, NoticeCode, NoticeLevel, ReplyEvent, TurnOutcome, Usage, UsageScope,
};

/// Also `--dialect pi`.
pub const DIALECT: Dialect = Dialect {
    name: "pi",
    title: "the events of pi",
    decode: |_: &DecodeContext| Box::new(PiDecoder::default()),
    evidence,
    extends: None,
    limitations: "prompts, approvals",
};

fn evidence(first: &FirstFrame<'_>) -> Option<Evidence> {
    let kind = first.kind();
    let is_bare = first.object().and_then(Json::as_object).is_some_and(|object| object.len() == 1);
    let is_one = match kind {
        "session" => first.has("version") && first.has("id") && first.has("cwd"),
        "agent_start" | "turn_start" => is_bare,
        "message_start" | "message_end" => first.has_in("message", "role") && first.has_in("message", "content"),
        "message_update" => first.has_in("assistantMessageEvent", "type"),
        "tool_execution_start" | "tool_execution_update" | "tool_execution_end" => first.has("toolCallId"),
        "turn_end" => first.has("toolResults"),
        "agent_end" => first.has("messages"),
        _ => false,
    };
    is_one.then(|| Evidence::shape(format!("a line has the type {kind}")))
}

/// Bytes of a streamed text that are compared with the repeated one.
const MAX_COMPARED_BYTES: usize = 16 * 1024 * 1024;

/// Decodes one run.
#[derive(Debug, Default)]
pub struct PiDecoder {
    reply: ProgramReply,
    message_count: u64,
    /// The texts and thoughts of the open message so far, as they streamed.
    text: String,
    thoughts: String,
    /// The call whose arguments stream, by the number of its block.
    streaming_call: Option<(Option<u64>, String)>,
    request_count: u32,
    cost_usd: Option<f64>,
    /// How the last message ended, where that is an end of the run.
    fault: Option<Fault>,
    was_aborted: bool,
    is_over: bool,
    /// Nothing goes on by itself any more.
    is_settled: bool,
}

impl PiDecoder {
    fn handle_line(&mut self, line: &Json, out: &mut Vec<ReplyEvent>) {
        let message = line.get("message").unwrap_or(&Json::Null);
        match word(line, "type") {
            "session" => self.reply.tell_server(Some(word(line, "id")), None, out),
            "message_start" if word(message, "role") == "assistant" => self.start_message(message, out),
            "message_update" => {
                if let Some(event) = line.get("assistantMessageEvent") {
                    self.handle_update(event, out);
                }
            }
            "message_end" => match word(message, "role") {
                "assistant" => self.finish_message(message, out),
                "toolResult" => self.finish_call(message, message, out),
                _ => {}
            },
            "tool_execution_start" => {
                let (id, name) = (word(line, "toolCallId"), word(line, "toolName"));
                self.reply.start_whole_call(CallStart { thread: MAIN_THREAD, id, name }, line.get("args"), out);
            }
            "tool_execution_update" => {
                let text = line.pointer("/partialResult/content").map(content_text).unwrap_or_default();
                self.reply.set_output(word(line, "toolCallId"), &text, out);
            }
            "tool_execution_end" => {
                if let Some(result) = line.get("result") {
                    self.finish_call(line, result, out);
                }
            }
            "agent_start" => self.is_over = false,
            "agent_end" => {
                let will_retry = line.get("willRetry").and_then(Json::as_bool) == Some(true);
                self.is_over = !will_retry;
                if will_retry {
                    self.tell_retry(out);
                }
            }
            "agent_settled" => {
                self.was_aborted |= line.get("aborted").and_then(Json::as_bool) == Some(true);
                (self.is_over, self.is_settled) = (true, true);
            }
            "auto_retry_start" => self.tell_retry(out),
            "compaction_start" | "auto_compaction_start" => out.push(ReplyEvent::Notice {
                level: NoticeLevel::Info,
                code: NoticeCode::Compacting,
                text: "the program shortens the conversation".to_owned(),
            }),
            "turn_start"
            | "turn_end"
            | "message_start"
            | "queue_update"
            | "auto_retry_end"
            | "compaction_end"
            | "auto_compaction_end"
            | "entry_appended"
            | "thinking_level_changed"
            | "session_info_changed"
            | "bash_execution_update" => {}
            kind if kind.starts_with("summarization_") => {}
            other => self.reply.unknown_frames.report(other, out),
        }
    }

    /// Says why a request is made again; it was no failure then, and what it gave is taken out of the conversation.
    fn tell_retry(&mut self, out: &mut Vec<ReplyEvent>) {
        if let Some(fault) = self.fault.take() {
            let withdrawn = (!self.text.is_empty()).then(String::new);
            self.reply.finish_message_as(MAIN_THREAD, withdrawn, out);
            let text = format!("the program tries again: {}", fault.message);
            out.push(ReplyEvent::Notice { level: NoticeLevel::Info, code: NoticeCode::Recoverable, text });
        }
    }

    fn start_message(&mut self, message: &Json, out: &mut Vec<ReplyEvent>) {
        self.reply.tell_server(None, Some(word(message, "model")), out);
        self.message_count += 1;
        self.reply.finish_message(MAIN_THREAD, out);
        self.reply.enter_message(MAIN_THREAD, &self.message_count.to_string(), out);
        (self.text, self.thoughts) = (String::new(), String::new());
        (self.fault, self.was_aborted) = (None, false);
    }

    fn handle_update(&mut self, event: &Json, out: &mut Vec<ReplyEvent>) {
        let delta = word(event, "delta");
        match word(event, "type") {
            "text_delta" => {
                append(&mut self.text, delta);
                self.reply.push_text(MAIN_THREAD, delta, out);
            }
            "thinking_delta" => {
                append(&mut self.thoughts, delta);
                self.reply.push_reasoning(MAIN_THREAD, delta, out);
            }
            "toolcall_start" => {
                let (id, name) = (word(event, "id"), word(event, "toolName"));
                if !id.is_empty() {
                    self.reply.start_call(CallStart { thread: MAIN_THREAD, id, name }, out);
                    self.streaming_call = Some((event.get("contentIndex").and_then(Json::as_u64), id.to_owned()));
                }
            }
            "toolcall_delta" => {
                let index = event.get("contentIndex").and_then(Json::as_u64);
                if let Some((_, id)) = self.streaming_call.as_ref().filter(|(known, _)| *known == index) {
                    self.reply.push_args(id, delta, out);
                }
            }
            "toolcall_end" => self.handle_call(event.get("toolCall").unwrap_or(&Json::Null), out),
            _ => {}
        }
    }

    fn handle_call(&mut self, call: &Json, out: &mut Vec<ReplyEvent>) {
        let (id, name) = (word(call, "id"), word(call, "name"));
        if id.is_empty() {
            return;
        }
        self.reply.start_whole_call(CallStart { thread: MAIN_THREAD, id, name }, call.get("arguments"), out);
    }

    fn finish_message(&mut self, message: &Json, out: &mut Vec<ReplyEvent>) {
        let blocks = message.get("content").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        let joined = |kind: &str, key: &str| -> String {
            blocks.iter().filter(|block| word(block, "type") == kind).map(|block| word(block, key)).collect()
        };
        let (text, thoughts) = (joined("text", "text"), joined("thinking", "thinking"));
        if let Some(rest) = thoughts.strip_prefix(self.thoughts.as_str()) {
            self.reply.push_reasoning(MAIN_THREAD, rest, out);
        }
        let rest = text.strip_prefix(self.text.as_str());
        if let Some(rest) = rest {
            self.reply.push_text(MAIN_THREAD, rest, out);
        }
        for call in blocks.iter().filter(|block| word(block, "type") == "toolCall") {
            self.handle_call(call, out);
        }
        self.report_usage(message, out);
        match WireFinishReason::parse(&snake_case(word(message, "stopReason"))) {
            WireFinishReason::Failed => self.fault = Some(to_run_fault(word(message, "errorMessage"), None)),
            WireFinishReason::Interrupted => self.was_aborted = true,
            WireFinishReason::Unknown => {}
            reason => self.reply.set_finish_reason(MAIN_THREAD, reason.to_finish_reason()),
        }
        if rest.is_none() && self.text.len() <= MAX_COMPARED_BYTES {
            self.reply.finish_message_as(MAIN_THREAD, Some(text.clone()), out);
        }
        self.text = text;
    }

    fn report_usage(&mut self, message: &Json, out: &mut Vec<ReplyEvent>) {
        let Some(counts) = message.get("usage").filter(|counts| counts.is_object()) else { return };
        self.request_count = self.request_count.saturating_add(1);
        let reasoning_tokens = counts.get("reasoning").and_then(Json::as_u64).unwrap_or_default();
        let usage = Usage { reasoning_tokens, ..usage::parse(counts).unwrap_or_default() };
        out.push(ReplyEvent::UsageReported { scope: UsageScope::Request(self.request_count), usage });
        if let Some(cost) = counts.pointer("/cost/total").and_then(Json::as_f64) {
            let sum = self.cost_usd.unwrap_or_default() + cost;
            self.cost_usd = Some(sum);
            out.push(cost_event(sum));
        }
    }

    /// Finishes a call; its end is told by an event and once more by a message.
    fn finish_call(&mut self, about: &Json, result: &Json, out: &mut Vec<ReplyEvent>) {
        let id = word(about, "toolCallId");
        if self.reply.is_call_finished(id) {
            return;
        }
        let has_failed = about.get("isError").and_then(Json::as_bool) == Some(true);
        let outcome = if has_failed { CallOutcome::Failed } else { CallOutcome::Ok };
        let text = result.get("content").map(content_text).unwrap_or_default();
        let duration = about.get("durationMs").and_then(Json::as_u64).map(Millis);
        self.reply.finish_call(id, outcome, text, duration, out);
    }
}

/// Writes `toolUse` as `tool_use`.
fn snake_case(word: &str) -> String {
    let mut out = String::new();
    for c in word.chars() {
        if c.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

fn append(known: &mut String, piece: &str) {
    if known.len() <= MAX_COMPARED_BYTES {
        known.push_str(piece);
    }
}

impl Decode for PiDecoder {
    fn decode_frame(&mut self, frame: &SseFrame, out: &mut Vec<ReplyEvent>) {
        if self.is_done() {
            return;
        }
        if let Some(line) = self.reply.parse_line(frame, out) {
            self.handle_line(&line, out);
        }
    }

    fn finish(&mut self, out: &mut Vec<ReplyEvent>) {
        let outcome = match self.fault.take() {
            Some(fault) if self.is_over => TurnOutcome::Failed(fault),
            None if self.is_over && !self.was_aborted => TurnOutcome::Completed,
            _ => TurnOutcome::Interrupted,
        };
        self.reply.end(outcome, out);
    }

    fn has_failed(&self) -> bool {
        self.is_over && self.fault.is_some()
    }

    /// Older versions never say that they are settled: their end is the end of the stream.
    fn is_done(&self) -> bool {
        self.is_settled
    }

    fn is_complete(&self) -> bool {
        self.is_over
    }

    fn begins_next(&self, frame: &SseFrame) -> bool {
        let line = surrogate::parse_json(frame.data.trim());
        line.is_some_and(|line| matches!(word(&line, "type"), "session" | "agent_start" | "turn_start"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_is_tried_again_has_not_failed() {
        let failed = r#"{"type":"message_end","message":{"role":"assistant","content":[{"type":"text","text":"Half"}],"stopReason":"error","errorMessage":"529 busy"}}"#;
        let start = r#"{"type":"message_start","message":{"role":"assistant","content":[]}}"#;
        let answer = r#"{"type":"message_end","message":{"role":"assistant","content":[{"type":"text","text":"Hi"}],"stopReason":"stop"}}"#;
        let end = |will_retry: bool| format!(r#"{{"type":"agent_end","messages":[],"willRetry":{will_retry}}}"#);
        let (mut decoder, mut out) = (PiDecoder::default(), Vec::new());
        for line in [start, failed, &end(true), start, answer, &end(false)] {
            decoder.decode_frame(&SseFrame::data(line), &mut out);
        }
        decoder.finish(&mut out);
        assert!(out.iter().any(|event| matches!(event, ReplyEvent::Notice { code: NoticeCode::Recoverable, .. })));
        let withdrawn = |event: &&ReplyEvent| matches!(event, ReplyEvent::MessageFinished { full_text: Some(text), .. } if text.is_empty());
        assert_eq!(out.iter().filter(withdrawn).count(), 1, "{out:?}");
        assert_eq!(out.last(), Some(&ReplyEvent::End { outcome: TurnOutcome::Completed }));
    }

    #[test]
    fn what_a_tool_gives_is_told_once_though_it_is_repeated() {
        let update = |text: &str| {
            format!(
                r#"{{"type":"tool_execution_update","toolCallId":"c","toolName":"bash","partialResult":{{"content":[{{"type":"text","text":"{text}"}}]}}}}"#
            )
        };
        let start = r#"{"type":"tool_execution_start","toolCallId":"c","toolName":"bash","args":{}}"#.to_owned();
        let (mut decoder, mut out) = (PiDecoder::default(), Vec::new());
        for line in [start, update("a"), update("ab"), update("xyz")] {
            decoder.decode_frame(&SseFrame::data(line), &mut out);
        }
        let told: String = out
            .iter()
            .filter_map(|event| match event {
                ReplyEvent::ToolOutput { text, .. } => Some(text.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(told, "ab");
    }
}
