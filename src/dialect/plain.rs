//! Streams of no known dialect, shown as they came: JSON pretty-printed in a code block, text as text, so that people
//! can at least see what a server sends. Bounded: a long frame is truncated, and past a total the frames are only
//! counted.
//!
//! The only end mark is `[DONE]`, so a stream that ended without one is complete; unless it reported an error without a
//! later success, or said that it was aborted. All formats share a few names for the finish reason: where the last one
//! means that the answer is incomplete, that is reported.

use super::finish_reason::{self, FinishTracker, WireFinishReason};
use super::{Decode, Dialect, Evidence, FirstFrame, SseFrame, error, surrogate};
use crate::event::{
    Fault, FaultKind, FinishReason, Json, MessageId, NoticeCode, NoticeLevel, ReplyEvent, Role, TextKind, TurnOutcome,
};

/// Also `--dialect plain`.
pub const DIALECT: Dialect = Dialect {
    name: "plain",
    title: "plain frames",
    decode: |_| Box::new(PlainDecoder::new()),
    evidence,
    extends: None,
    limitations: "everything but the bytes",
};

/// Formats that are known by sight and not read: a name, the field that names an event, some of its values, and a field
/// beside it.
struct SeenFormat {
    name: &'static str,
    key: &'static str,
    values: &'static [&'static str],
    beside: &'static [&'static str],
}

/// Sources: the documentation of Dify, Letta, goose and OpenHands.
static SEEN_FORMATS: [SeenFormat; 4] = [
    SeenFormat {
        name: "Dify",
        key: "event",
        values: &[
            "message",
            "agent_message",
            "agent_thought",
            "message_file",
            "message_end",
            "message_replace",
            "tts_message",
            "tts_message_end",
            "workflow_started",
            "workflow_finished",
            "node_started",
            "node_finished",
            "text_chunk",
            "error",
        ],
        beside: &["task_id", "conversation_id", "workflow_run_id"],
    },
    SeenFormat {
        name: "Letta",
        key: "message_type",
        values: &[
            "system_message",
            "user_message",
            "assistant_message",
            "reasoning_message",
            "hidden_reasoning_message",
            "tool_call_message",
            "tool_return_message",
            "approval_request_message",
            "stop_reason",
            "usage_statistics",
        ],
        beside: &["id", "content", "stop_reason", "total_tokens"],
    },
    SeenFormat {
        name: "goose",
        key: "type",
        values: &["Message", "Finish", "Error", "ModelChange", "Notification", "UpdateConversation", "Ping"],
        beside: &["message", "token_state", "error", "model", "request_id", "conversation"],
    },
    SeenFormat {
        name: "OpenHands",
        key: "source",
        values: &["agent", "user", "environment"],
        beside: &["observation", "action", "llm_message", "tool_call_id"],
    },
];

/// Not JSON, so no other decoder's, or a format that is only known by sight: shown as it came.
fn evidence(first: &FirstFrame<'_>) -> Option<Evidence> {
    let seen = SEEN_FORMATS.iter().find(|format| {
        format.values.contains(&first.text(format.key)) && format.beside.iter().any(|key| first.has(key))
    });
    if let Some(SeenFormat { name, .. }) = seen {
        return Some(Evidence::weak(format!("its frames are those of {name}, which are not read here")));
    }
    let is_dict = first.json.is_none() && first.frame.data.trim().starts_with("{'");
    is_dict.then(|| Evidence::shape("its data is Python dicts, as enclava's tool calling writes them"))
}

/// Bytes of one frame that are shown.
const MAX_FRAME_BYTES: usize = 16 * 1024;
/// Bytes that are shown in total.
const MAX_SHOWN_BYTES: usize = 1024 * 1024;

/// Decodes one answer.
#[derive(Debug)]
pub struct PlainDecoder {
    message: MessageId,
    open: bool,
    shown_bytes: usize,
    hidden_frames: u64,
    fault: Option<Fault>,
    /// The fault's message is only a name.
    is_fault_name_only: bool,
    finish_tracker: FinishTracker,
    /// The stream said that it was aborted.
    aborted: bool,
    done: bool,
}

impl Default for PlainDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl PlainDecoder {
    pub fn new() -> Self {
        Self {
            message: "m1".into(),
            open: false,
            shown_bytes: 0,
            hidden_frames: 0,
            fault: None,
            is_fault_name_only: false,
            finish_tracker: FinishTracker::default(),
            aborted: false,
            done: false,
        }
    }

    fn show(&mut self, text: String, out: &mut Vec<ReplyEvent>) {
        let message = self.message.clone();
        if !std::mem::replace(&mut self.open, true) {
            let role = Role::Assistant;
            out.push(ReplyEvent::MessageStarted { message: message.clone(), role, parent: None });
        }
        self.shown_bytes = self.shown_bytes.saturating_add(text.len());
        out.push(ReplyEvent::TextDelta { message, text, kind: TextKind::Text });
    }
}

impl Decode for PlainDecoder {
    fn decode_frame(&mut self, frame: &SseFrame, out: &mut Vec<ReplyEvent>) {
        let data = frame.data.trim_end();
        if data == "[DONE]" {
            self.done = true;
        }
        if self.done || (data.is_empty() && frame.event.is_empty()) {
            return;
        }
        if let Some(server_error) = error::find_error(frame) {
            // A message says more than the mere name of an earlier error.
            if self.fault.is_none() || (self.is_fault_name_only && server_error.message.contains(' ')) {
                self.is_fault_name_only = !server_error.message.contains(' ');
                self.fault = Some(error::to_fault(&server_error));
            }
        } else if self.fault.is_some() && error::is_success(frame) {
            self.fault = None;
        }
        let json = parse_composite(data);
        let kind = json.as_ref().and_then(|json| json.get("type")?.as_str()).unwrap_or(&frame.event);
        self.aborted |= WireFinishReason::parse(kind) == WireFinishReason::Interrupted;
        if let Some(word) = json.as_ref().and_then(|json| finish_reason_word(json, 0))
            && !matches!(WireFinishReason::parse(word), WireFinishReason::Unknown | WireFinishReason::Failed)
        {
            self.finish_tracker = FinishTracker::default();
            self.finish_tracker.observe(word, out);
        }
        if self.shown_bytes >= MAX_SHOWN_BYTES {
            self.hidden_frames = self.hidden_frames.saturating_add(1);
            return;
        }
        let name = if frame.event.is_empty() { String::new() } else { format!("event: {}\n", frame.event) };
        let text = match json {
            Some(json) => format!("{name}{}\n", code_block("json", &to_pretty_json(&json))),
            None => format!("{name}{}\n", truncate(data)),
        };
        self.show(text, out);
    }

    fn finish(&mut self, out: &mut Vec<ReplyEvent>) {
        if self.hidden_frames > 0 {
            let text = format!("{} more frames of this stream are hidden", self.hidden_frames);
            out.push(ReplyEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::LeftOut, text });
        }
        let has_output = self.open || self.done;
        if self.open {
            let finish_reason = match self.fault {
                Some(_) => FinishReason::Failed,
                None if self.aborted => FinishReason::Interrupted,
                None => self.finish_tracker.finish_reason_with(false),
            };
            let message = self.message.clone();
            out.push(ReplyEvent::MessageFinished { message, finish_reason, full_text: None, provider_metadata: None });
        }
        let outcome = match self.fault.take() {
            Some(fault) => TurnOutcome::Failed(fault),
            None if self.finish_tracker.is_filtered() => {
                TurnOutcome::Failed(Fault::new(FaultKind::Refused, finish_reason::CONTENT_FILTER_MESSAGE))
            }
            None if has_output
                && !self.aborted
                && self.finish_tracker.finish_reason() != Some(FinishReason::Interrupted) =>
            {
                TurnOutcome::Completed
            }
            None => TurnOutcome::Interrupted,
        };
        out.push(ReplyEvent::End { outcome });
    }

    fn has_failed(&self) -> bool {
        self.fault.is_some()
    }

    fn is_done(&self) -> bool {
        self.done
    }
}

/// Finds the finish reason, at most two levels deep.
fn finish_reason_word(json: &Json, depth: usize) -> Option<&str> {
    let object = json.as_object()?;
    let names = ["finish_reason", "finishReason", "stop_reason", "stopReason", "done_reason"];
    let reason = names.iter().find_map(|name| object.get(*name)?.as_str());
    reason.or_else(|| object.values().filter(|_| depth < 2).find_map(|inside| finish_reason_word(inside, depth + 1)))
}

/// Parses an object or a list; a number or a string is shown as text.
fn parse_composite(data: &str) -> Option<Json> {
    surrogate::parse_json(data).filter(|json| json.is_object() || json.is_array())
}

fn to_pretty_json(json: &Json) -> String {
    let text = serde_json::to_string_pretty(json).unwrap_or_default();
    truncate(&text)
}

fn truncate(text: &str) -> String {
    if text.len() <= MAX_FRAME_BYTES {
        return text.to_owned();
    }
    let head = text.get(..text.floor_char_boundary(MAX_FRAME_BYTES)).unwrap_or_default();
    format!("{head}\n… {} more bytes", text.len() - head.len())
}

/// Returns a Markdown code block that its content can't end.
pub(super) fn code_block(language: &str, text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(3.max(longest + 1));
    format!("{fence}{language}\n{text}\n{fence}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(frames: &[SseFrame]) -> (String, Vec<ReplyEvent>) {
        let mut decoder = PlainDecoder::new();
        let mut out = Vec::new();
        for frame in frames {
            decoder.decode_frame(frame, &mut out);
        }
        decoder.finish(&mut out);
        let text = |event: &ReplyEvent| match event {
            ReplyEvent::TextDelta { text, .. } => Some(text.clone()),
            _ => None,
        };
        (out.iter().filter_map(text).collect(), out)
    }

    #[test]
    fn json_is_laid_out_in_a_block_that_its_content_cannot_end() {
        let (text, _) = shown(&[SseFrame::data(r#"{"a":"```"}"#)]);
        assert_eq!(text, "````json\n{\n  \"a\": \"```\"\n}\n````\n");
    }

    #[test]
    fn an_error_that_is_reported_is_shown_and_fails_the_turn() {
        let end = |frames: &[&str]| {
            let frames: Vec<SseFrame> = frames.iter().map(|data| SseFrame::data(*data)).collect();
            shown(&frames).1.last().cloned()
        };
        let error = r#"{"type":"error","errorText":"boom"}"#;
        let failed = end(&[r#"{"text":"Half an "}"#, error, r#"{"type":"finish"}"#]);
        assert!(
            matches!(&failed, Some(ReplyEvent::End { outcome: TurnOutcome::Failed(fault) }) if fault.message.ends_with("boom")),
            "{failed:?}"
        );
        // It succeeded after all.
        let ended = end(&[error, r#"{"text":"whole"}"#, r#"{"type":"turn.completed"}"#]);
        assert_eq!(ended, Some(ReplyEvent::End { outcome: TurnOutcome::Completed }));
    }

    #[test]
    fn an_end_that_is_not_whole_is_told_by_whatever_name_it_goes() {
        let outcome = |frames: &[&str]| {
            let frames: Vec<SseFrame> = frames.iter().map(|data| SseFrame::data(*data)).collect();
            let events = shown(&frames).1;
            let finish_reason = events.iter().find_map(|event| match event {
                ReplyEvent::MessageFinished { finish_reason, .. } => Some(*finish_reason),
                _ => None,
            });
            (finish_reason.unwrap(), events.last().cloned().unwrap())
        };
        let turn = |outcome| ReplyEvent::End { outcome };
        for data in [
            r#"{"type":"finish","finishReason":"length"}"#,
            r#"{"type":"message_end","message":{"stopReason":"max_tokens"}}"#,
            r#"{"data":{"delta":{"stop_reason":"MAX_TOKENS"}}}"#,
        ] {
            assert_eq!(outcome(&[data]), (FinishReason::Length, turn(TurnOutcome::Completed)), "{data}");
        }
        // It continued after that step.
        let later = [r#"{"finishReason":"length"}"#, r#"{"type":"finish","finishReason":"stop"}"#];
        assert_eq!(outcome(&later), (FinishReason::End, turn(TurnOutcome::Completed)));
        assert_eq!(outcome(&[r#"{"type":"abort"}"#]), (FinishReason::Interrupted, turn(TurnOutcome::Interrupted)));
        let (finish_reason, filtered) = outcome(&[r#"{"type":"finish","finishReason":"content-filter"}"#]);
        assert!(
            matches!(filtered, ReplyEvent::End { outcome: TurnOutcome::Failed(_) })
                && finish_reason == FinishReason::Refused
        );
    }

    #[test]
    fn a_flood_is_counted_and_not_shown() {
        let frames: Vec<SseFrame> = (0..100).map(|_| SseFrame::data("x".repeat(100_000))).collect();
        let (text, events) = shown(&frames);
        assert!(text.len() < MAX_SHOWN_BYTES + 2 * MAX_FRAME_BYTES, "{}", text.len());
        assert!(events.iter().any(|event| matches!(event, ReplyEvent::Notice { code: NoticeCode::LeftOut, .. })));
    }
}
