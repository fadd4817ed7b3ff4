//! Warp blocks as we serve them, one JSON object per line.
//!
//! A text block is a delta of the text, a tool block the state of one call so far; calls that ended are repeated only
//! in the last line, which holds everything whole and replaces all lines before. Calls that we run have a state
//! (`status`, `output`); those of the client's own tools don't. An error has a block of its own: in a line of its own
//! where the model is retried, in the last line where the answer ended abnormally.
//!
//! Lines are numbered from 0 so that clients can resume, though the numbers are not in them. Reasoning is left out.

use serde_json::json;

use super::super::answer::{JoinedText, MessageGap, failure_message};
use super::super::chat::chunk::ChatUsage;
use super::super::{Encode, KeepAlive, SseFrame};
use crate::event::answer::{Answer, AnswerDelta, AnswerLimits};
use crate::event::{Envelope, Json, TurnOutcome};

/// Bytes of open calls that are repeated with each change.
const MAX_REPEATED_ARGS_BYTES: usize = 16 * 1024;

/// Encodes one answer.
#[derive(Debug)]
pub struct WarpEncoder {
    client_tools: bool,
    next_id: u64,
    answer: Answer,
    text: JoinedText,
    /// Bytes of arguments when their call was last sent, by index.
    sent_args_bytes: Vec<usize>,
}

impl WarpEncoder {
    pub fn new(client_tools: bool) -> Self {
        Self {
            client_tools,
            next_id: 0,
            answer: Answer::new(AnswerLimits::ONE_FRAME),
            text: JoinedText::new(MessageGap::Separator, AnswerLimits::ONE_FRAME.bytes),
            sent_args_bytes: Vec::new(),
        }
    }

    fn send_line(&mut self, line: &Json, out: &mut Vec<SseFrame>) {
        let id = Some(self.next_id.to_string());
        self.next_id += 1;
        out.push(SseFrame { id, ..SseFrame::data(line.to_string()) });
    }

    fn tool_block(&self, at: usize, streaming: bool) -> Option<Json> {
        let call = self.answer.calls.get(at).filter(|call| !call.name.is_empty())?;
        let tool = if self.client_tools { call.to_json() } else { call.to_json_with_status() };
        Some(json!({"type": "tool_call", "tool": tool, "streaming": streaming}))
    }

    /// Sends the state of the changed call, and of the other open calls, unless that is much.
    fn send_call_state(&mut self, changed: usize, out: &mut Vec<SseFrame>) {
        if let Some(call) = self.answer.calls.get(changed) {
            self.sent_args_bytes.resize(self.sent_args_bytes.len().max(changed + 1), 0);
            if let Some(sent_bytes) = self.sent_args_bytes.get_mut(changed) {
                *sent_bytes = call.args.len();
            }
        }
        let open = |at: &usize| self.answer.calls.get(*at).is_some_and(|call| call.outcome.is_none());
        let size = |at: usize| self.answer.calls.get(at).map_or(0, |call| call.args.len() + 128);
        let is_much = (0..self.answer.calls.len()).filter(open).map(size).sum::<usize>() > MAX_REPEATED_ARGS_BYTES;
        let open = |at: &usize| !is_much && open(at);
        let blocks: Vec<Json> = (0..self.answer.calls.len())
            .filter(|at| *at == changed || open(at))
            .filter_map(|at| self.tool_block(at, true))
            .collect();
        if !blocks.is_empty() {
            self.send_line(&json!({"blocks": blocks, "streaming": true}), out);
        }
    }

    /// Arguments are repeated from their start each time: so they are sent only when they have grown a good deal.
    fn has_grown(&self, at: usize) -> bool {
        let sent_bytes = self.sent_args_bytes.get(at).copied().unwrap_or_default();
        self.answer.calls.get(at).is_some_and(|call| call.args.len() > sent_bytes + sent_bytes / 2 + 16)
    }

    fn send_last_line(&mut self, outcome: &TurnOutcome, out: &mut Vec<SseFrame>) {
        let line = self.full_body(outcome);
        self.send_line(&line, out);
    }

    fn full_body(&self, outcome: &TurnOutcome) -> Json {
        let mut blocks = vec![json!({"type": "text", "text": self.text.text, "streaming": false})];
        blocks.extend((0..self.answer.calls.len()).filter_map(|at| self.tool_block(at, false)));
        if let Some((why, code)) = failure_message(outcome) {
            blocks.push(json!({"type": "error", "error": why, "code": code, "streaming": false}));
        }
        let mut line = json!({"blocks": blocks, "streaming": false, "complete": true});
        if self.answer.are_calls_truncated || self.text.is_truncated {
            line["truncated"] = true.into();
        }
        if let Some(reason) = self.answer.incomplete_word() {
            line["finish_reason"] = reason.into();
        }
        if let Some(usage) = self.answer.usage() {
            line["usage"] = json!(ChatUsage::from(usage));
        }
        line
    }
}

impl Encode for WarpEncoder {
    fn encode_event(&mut self, envelope: &Envelope, out: &mut Vec<SseFrame>) {
        if self.answer.outcome.is_some() {
            return;
        }
        match self.answer.observe(&envelope.event) {
            AnswerDelta::Text { message, text, .. } => {
                let text = self.text.push(message, text);
                let block = json!({"type": "text", "text": text, "streaming": true});
                self.send_line(&json!({"blocks": [block], "streaming": true}), out);
            }
            AnswerDelta::CallStarted(at) | AnswerDelta::CallFinished(at) => self.send_call_state(at, out),
            AnswerDelta::CallArgs(at, _) if self.has_grown(at) => self.send_call_state(at, out),
            AnswerDelta::CallReady(at, _) => {
                self.send_call_state(at, out);
                self.answer.drop_large_args(at);
            }
            AnswerDelta::Retry(attempt, why) => {
                let block =
                    json!({"type": "error", "error": why, "recoverable": true, "attempt": attempt, "streaming": true});
                self.send_line(&json!({"blocks": [block], "streaming": true}), out);
            }
            AnswerDelta::Corrected { message, text } => self.text.replace(message, text),
            AnswerDelta::Nothing | AnswerDelta::CallArgs(..) | AnswerDelta::Reasoning { .. } | AnswerDelta::End(_) => {}
        }
    }

    fn finish(&mut self, out: &mut Vec<SseFrame>) {
        let end = self.answer.outcome.get_or_insert(TurnOutcome::Interrupted).clone();
        self.send_last_line(&end, out);
    }

    /// A line without blocks: an empty line is not JSON.
    fn keep_alive(&self) -> KeepAlive {
        KeepAlive::Frame(SseFrame::data(r#"{"blocks":[],"streaming":true}"#))
    }

    fn full_response(&mut self) -> (u16, Json) {
        let end = self.answer.outcome.clone().unwrap_or(TurnOutcome::Interrupted);
        (if end == TurnOutcome::Completed { 200 } else { 502 }, self.full_body(&end))
    }
}
