//! The Poe stream as we serve it: the proxy's frames without its faults.
//!
//! Every stream counts from 0 and aggregates for itself. Numbered are the deltas, our `tool_call`s and `complete`;
//! other frames (`init`, errors, pings) have no number. Calls that we run are sent in `tool_call` frames, in OpenAI's
//! shape and with their state; those of the client's own tools are fragments in deltas, for the client to run. Retries
//! before the first token are `error` frames that are `recoverable`; an abnormal end is one that isn't.

use serde_json::json;

use super::super::answer::{JoinedText, MessageGap, failure_message};
use super::super::chat::chunk::{ChatUsage, ChunkHead, UsageField};
use super::super::{Encode, KeepAlive, SseFrame};
use crate::event::answer::{Answer, AnswerDelta, AnswerLimits};
use crate::event::{AgentEvent, Envelope, FinishReason, Json, TextKind, TurnOutcome};

const RETRY_DELAY_MS: u64 = 3000;
/// Retries reported to clients; the proxy's fourth error is the last.
const MAX_ATTEMPTS: u32 = 3;

/// Encodes one answer.
#[derive(Debug)]
pub struct PoeEncoder {
    /// Its id is that of the stream, by which clients resume.
    head: ChunkHead,
    /// Whether the end repeats the whole answer.
    aggregates: bool,
    /// Whether the client runs the calls.
    client_tools: bool,
    next_id: u64,
    answer: Answer,
    text: JoinedText,
}

impl PoeEncoder {
    pub fn new(id: impl Into<String>, aggregates: bool, client_tools: bool) -> Self {
        Self {
            head: ChunkHead { id: id.into(), created: 0, model: String::new() },
            aggregates,
            client_tools,
            next_id: 0,
            answer: Answer::new(AnswerLimits::ONE_FRAME),
            text: JoinedText::new(MessageGap::Separator, AnswerLimits::ONE_FRAME.bytes),
        }
    }

    fn send_numbered(&mut self, event: &str, data: String, out: &mut Vec<SseFrame>) {
        let id = Some(self.next_id.to_string());
        self.next_id += 1;
        out.push(SseFrame { event: event.into(), id, retry: None, data });
    }

    fn send_delta(&mut self, delta: &Json, finish: Option<&'static str>, out: &mut Vec<SseFrame>) {
        let chunk = self.head.chunk(delta, finish, UsageField::Absent);
        self.send_numbered("delta", chunk, out);
    }

    fn send_fragment(&mut self, fragment: &Json, out: &mut Vec<SseFrame>) {
        self.send_delta(&json!({"content": null, "tool_calls": [fragment]}), None, out);
    }

    /// Sends the state of one of our calls, once it has a name.
    fn send_call_state(&mut self, at: usize, out: &mut Vec<SseFrame>) {
        let Some(call) = self.answer.calls.get(at).filter(|call| !call.name.is_empty()) else { return };
        let mut state = call.to_json_with_status();
        state["index"] = at.into();
        self.send_numbered("tool_call", state.to_string(), out);
    }

    fn encode_delta(&mut self, change: &AnswerDelta<'_>, out: &mut Vec<SseFrame>) {
        match *change {
            AnswerDelta::Nothing => {}
            AnswerDelta::Text { message, text, kind, is_first: _ } => {
                let text = self.text.push(message, text);
                let delta = match kind {
                    TextKind::Text => json!({"content": text, "tool_calls": null}),
                    TextKind::Refusal => json!({"content": null, "refusal": text, "tool_calls": null}),
                };
                self.send_delta(&delta, None, out);
            }
            AnswerDelta::Corrected { message, text } => self.text.replace(message, text),
            AnswerDelta::Reasoning { text, .. } => {
                self.send_delta(&json!({"content": null, "reasoning_content": text, "tool_calls": null}), None, out);
            }
            AnswerDelta::CallStarted(at) if self.client_tools => {
                let Some(call) = self.answer.calls.get(at) else { return };
                let mut fragment = call.to_json();
                fragment["index"] = at.into();
                self.send_fragment(&fragment, out);
            }
            AnswerDelta::CallArgs(at, piece) if self.client_tools => {
                self.send_fragment(&json!({"index": at, "function": {"arguments": piece}}), out);
            }
            AnswerDelta::CallReady(at, _) if self.client_tools => {
                let Some(call) = self.answer.calls.get(at) else { return };
                let missing = call.unstreamed_args().to_owned();
                if call.was_nameless {
                    let function = json!({"name": call.name, "arguments": missing});
                    self.send_fragment(&json!({"index": at, "function": function}), out);
                } else if !missing.is_empty() {
                    self.send_fragment(&json!({"index": at, "function": {"arguments": missing}}), out);
                }
                self.answer.drop_large_args(at);
            }
            AnswerDelta::CallStarted(at) | AnswerDelta::CallFinished(at) if !self.client_tools => {
                self.send_call_state(at, out);
            }
            AnswerDelta::CallReady(at, _) => {
                self.send_call_state(at, out);
                self.answer.drop_large_args(at);
            }
            AnswerDelta::CallStarted(_) | AnswerDelta::CallArgs(..) | AnswerDelta::CallFinished(_) => {}
            AnswerDelta::Retry(attempt, why) => {
                if attempt <= MAX_ATTEMPTS {
                    let data = json!({"error": why, "recoverable": true, "attempt": attempt});
                    out.push(SseFrame::named("error", data.to_string()));
                }
            }
            AnswerDelta::End(end) => self.send_end(end, out),
        }
    }

    fn send_end(&mut self, outcome: &TurnOutcome, out: &mut Vec<SseFrame>) {
        if let Some((why, code)) = failure_message(outcome) {
            let data = json!({"error": why, "recoverable": false, "code": code});
            out.push(SseFrame::named("error", data.to_string()));
        } else {
            let requests_calls = self.client_tools && self.answer.finish_reason == Some(FinishReason::ToolCalls);
            let reason = self.answer.finish_word(requests_calls);
            self.send_delta(&json!({"content": null, "tool_calls": null}), Some(reason), out);
        }
        if let Some(usage) = self.answer.usage() {
            let chunk = self.head.usage_chunk(usage.into());
            self.send_numbered("delta", chunk, out);
        }
    }

    /// The answer in the shape of the proxy's aggregator, its calls merged.
    fn complete_response(&self) -> Json {
        let calls: Vec<Json> = self
            .answer
            .calls
            .iter()
            .enumerate()
            .map(|(at, call)| {
                let mut wire = call.to_json();
                wire["index"] = at.into();
                if !self.client_tools {
                    wire["status"] = call.status().into();
                }
                wire
            })
            .collect();
        let metadata = json!({"id": self.head.id, "model": self.head.model});
        let mut whole = json!({"content": self.text.text, "tool_calls": calls, "metadata": metadata});
        if self.answer.are_calls_truncated || self.text.is_truncated {
            whole["truncated"] = true.into();
        }
        if let Some(reason) = self.answer.incomplete_word() {
            whole["finish_reason"] = reason.into();
        }
        whole
    }
}

impl Encode for PoeEncoder {
    fn start(&mut self, out: &mut Vec<SseFrame>) {
        let data = json!({"type": "init", "retry": RETRY_DELAY_MS, "id": self.head.id});
        out.push(SseFrame { retry: Some(RETRY_DELAY_MS), ..SseFrame::data(data.to_string()) });
    }

    fn encode_event(&mut self, envelope: &Envelope, out: &mut Vec<SseFrame>) {
        if let AgentEvent::SessionOpened { wall_ms: wall, model, .. } = &envelope.event {
            model.clone_into(&mut self.head.model);
            self.head.created = wall / 1000;
        } else if self.answer.outcome.is_none() {
            let change = self.answer.observe(&envelope.event);
            self.encode_delta(&change, out);
        }
    }

    fn finish(&mut self, out: &mut Vec<SseFrame>) {
        if self.answer.outcome.is_none() {
            self.answer.outcome = Some(TurnOutcome::Interrupted);
            self.send_end(&TurnOutcome::Interrupted, out);
        }
        if self.aggregates {
            let whole = self.complete_response();
            self.send_numbered("complete", whole.to_string(), out);
        }
    }

    fn keep_alive(&self) -> KeepAlive {
        KeepAlive::Frame(SseFrame::named("ping", r#"{"type":"ping"}"#))
    }

    fn full_response(&mut self) -> (u16, Json) {
        let mut whole = self.complete_response();
        if let Some(usage) = self.answer.usage() {
            whole["usage"] = json!(ChatUsage::from(usage));
        }
        let Some((why, code)) = self.answer.outcome.as_ref().and_then(failure_message) else { return (200, whole) };
        whole["error"] = why.into();
        whole["code"] = code.into();
        (502, whole)
    }
}
