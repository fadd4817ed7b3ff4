//! A turn as chat completion chunks, or as one completion.
//!
//! | event | frame |
//! | --- | --- |
//! | the start | a chunk with the role |
//! | text, refusal, reasoning | `content`, `refusal`, `reasoning_content` |
//! | a call of one of the client's tools | `tool_calls`: index, id, type and name first, then the arguments in pieces |
//! | the end | a chunk with the finish reason and the usage, or `{"error": …}` |
//!
//! Calls that run here, sub-agents, notices and annotations are left out; the texts of all rounds are sent, separated
//! by blank lines. Frames have neither names nor ids: the official client takes any named frame for a chunk. Empty
//! arguments are sent as `{}`, for clients that parse them as JSON.

use serde::Serialize;
use serde_json::json;

use super::answer_text::{self, AnswerText, AnswerTextDelta};
use super::chunk::{self, ChatUsage, ChunkHead, UsageField};
use crate::dialect::{Encode, KeepAlive, SseFrame};
use crate::event::{AgentEvent, CallId, Envelope, ExecutedBy, FaultKind, FinishReason, Json, Millis, TurnOutcome};

/// Options of the client's request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChatEncoderOptions {
    /// The usage comes in a chunk of its own, and all other chunks have `"usage": null`.
    pub include_usage: bool,
    /// The tools are the client's: it runs the calls.
    pub client_tools: bool,
}

/// Encodes one answer.
#[derive(Debug)]
pub struct ChatEncoder {
    head: ChunkHead,
    options: ChatEncoderOptions,
    /// Estimated tokens of the prompt, where no server counts them.
    prompt_tokens: u64,
    answer: AnswerText,
    calls: Vec<EncodedChatCall>,
    /// The first chunk was sent.
    has_started: bool,
    pacing_delay: Option<Millis>,
}

#[derive(Debug)]
struct EncodedChatCall {
    id: CallId,
    /// Sent with the first fragment, which waits for it.
    name: Option<String>,
    args: String,
}

#[derive(Default, Serialize)]
struct ChunkDelta<'d> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[ChunkCallFragment<'d>; 1]>,
}

#[derive(Serialize)]
struct ChunkCallFragment<'d> {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'d str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    function: ChunkFunction<'d>,
}

#[derive(Serialize)]
struct ChunkFunction<'d> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'d str>,
    arguments: &'d str,
}

impl ChatEncoder {
    /// Fields missing in the head are filled from the session.
    pub fn new(head: ChunkHead, options: ChatEncoderOptions, prompt: u64) -> Self {
        Self {
            head,
            options,
            prompt_tokens: prompt,
            answer: AnswerText::default(),
            calls: Vec::new(),
            has_started: false,
            pacing_delay: None,
        }
    }

    fn send_role_chunk(&mut self, out: &mut Vec<SseFrame>) {
        if !std::mem::replace(&mut self.has_started, true) {
            self.send_delta(&ChunkDelta { role: Some("assistant"), content: Some(""), ..ChunkDelta::default() }, out);
        }
    }

    fn send_delta(&self, delta: &ChunkDelta<'_>, out: &mut Vec<SseFrame>) {
        self.send_chunk(delta, None, out);
    }

    fn send_chunk(&self, delta: &ChunkDelta<'_>, finish_reason: Option<&'static str>, out: &mut Vec<SseFrame>) {
        let usage = if self.options.include_usage { UsageField::Null } else { UsageField::Absent };
        out.push(SseFrame::data(self.head.chunk(delta, finish_reason, usage)));
    }

    fn send_text(&mut self, piece: &AnswerTextDelta, first: bool, out: &mut Vec<SseFrame>) {
        match piece {
            AnswerTextDelta::Text(text) => {
                let words = if first { answer_text::split_words(text) } else { vec![text.as_str()] };
                self.pacing_delay = (words.len() > 1).then_some(Millis(answer_text::WORD_DELAY_MS));
                for word in words {
                    self.send_delta(&ChunkDelta { content: Some(word), ..ChunkDelta::default() }, out);
                }
            }
            AnswerTextDelta::Refusal(text) => {
                self.send_delta(&ChunkDelta { refusal: Some(text), ..ChunkDelta::default() }, out);
            }
            AnswerTextDelta::Reasoning(text) => {
                self.send_delta(&ChunkDelta { reasoning_content: Some(text), ..ChunkDelta::default() }, out);
            }
        }
    }

    fn encode_call(&mut self, event: &AgentEvent, out: &mut Vec<SseFrame>) {
        match event {
            AgentEvent::ToolCallStarted { call, name, parent: None, executed_by: ExecutedBy::Client, message }
                if self.answer.is_open(message) =>
            {
                self.calls.push(EncodedChatCall { id: call.clone(), name: None, args: String::new() });
                if let Some(name) = name {
                    self.start_call(self.calls.len() - 1, name, out);
                }
            }
            AgentEvent::ToolArgsDelta { call, json } => {
                let Some(at) = self.call_index(call) else { return };
                if let Some(call) = self.calls.get_mut(at) {
                    call.args.push_str(json);
                    if call.name.is_some() {
                        self.send_args(at, json, out);
                    }
                }
            }
            AgentEvent::ToolCallReady { call, name, args, .. } => {
                let Some(at) = self.call_index(call) else { return };
                let args = if args.trim().is_empty() { "{}" } else { args };
                let Some(call) = self.calls.get_mut(at) else { return };
                let rest = if call.name.is_some() { args.strip_prefix(call.args.as_str()) } else { Some(args) };
                let is_started = call.name.is_some();
                args.clone_into(&mut call.args);
                if !is_started {
                    self.start_call(at, name, out);
                }
                if let Some(rest) = rest.filter(|rest| !rest.is_empty()) {
                    self.send_args(at, rest, out);
                }
            }
            _ => {}
        }
    }

    fn call_index(&self, id: &CallId) -> Option<usize> {
        self.calls.iter().rposition(|call| call.id == *id)
    }

    fn start_call(&mut self, at: usize, name: &str, out: &mut Vec<SseFrame>) {
        let Some(call) = self.calls.get_mut(at) else { return };
        call.name = Some(name.to_owned());
        let id = call.id.clone();
        let function = ChunkFunction { name: Some(name), arguments: "" };
        let fragment = ChunkCallFragment { index: at, id: Some(id.as_str()), kind: Some("function"), function };
        self.send_delta(&ChunkDelta { tool_calls: Some([fragment]), ..ChunkDelta::default() }, out);
    }

    fn send_args(&self, at: usize, arguments: &str, out: &mut Vec<SseFrame>) {
        let function = ChunkFunction { name: None, arguments };
        let fragment = ChunkCallFragment { index: at, id: None, kind: None, function };
        self.send_delta(&ChunkDelta { tool_calls: Some([fragment]), ..ChunkDelta::default() }, out);
    }

    /// Calls that were sent; one that never got a name was not.
    fn sent_calls(&self) -> impl Iterator<Item = &EncodedChatCall> {
        self.calls.iter().filter(|call| call.name.is_some())
    }

    fn usage(&self) -> ChatUsage {
        self.answer.usage().unwrap_or_else(|| chunk::estimate_usage(self.prompt_tokens, &self.answer.text)).into()
    }

    /// Returns the finish reason; none where the turn failed. An answer stopped by a content filter has a reason and
    /// did not fail.
    fn finish_reason(&self) -> Option<&'static str> {
        let filtered = matches!(&self.answer.outcome, Some(TurnOutcome::Failed(fault)) if fault.kind == FaultKind::Refused)
            && self.answer.finish_reason.is_some();
        if filtered {
            return Some("content_filter");
        }
        (self.answer.outcome == Some(TurnOutcome::Completed)).then_some(match self.answer.finish_reason {
            Some(FinishReason::Length) => "length",
            Some(FinishReason::Refused) if self.answer.refusal.is_empty() => "content_filter",
            _ if self.sent_calls().next().is_some() => "tool_calls",
            _ => "stop",
        })
    }

    fn send_end(&self, out: &mut Vec<SseFrame>) {
        match (self.finish_reason(), self.answer.fault()) {
            (Some(reason), _) if self.options.include_usage => {
                self.send_chunk(&ChunkDelta::default(), Some(reason), out);
                out.push(SseFrame::data(self.head.usage_chunk(self.usage())));
            }
            (Some(reason), _) => {
                let usage = UsageField::Present(self.usage());
                out.push(SseFrame::data(self.head.chunk(&ChunkDelta::default(), Some(reason), usage)));
            }
            (None, fault) => {
                let error = fault.map(|fault| chunk::error_response(&fault).1);
                out.push(SseFrame::data(error.unwrap_or_default().to_string()));
            }
        }
    }
}

impl Encode for ChatEncoder {
    fn start(&mut self, out: &mut Vec<SseFrame>) {
        if self.head.is_known() {
            self.send_role_chunk(out);
        }
    }

    fn encode_event(&mut self, envelope: &Envelope, out: &mut Vec<SseFrame>) {
        self.pacing_delay = None;
        if self.answer.outcome.is_some() {
            return;
        }
        self.head.fill_from(&envelope.event);
        self.send_role_chunk(out);
        if let Some((piece, first)) = self.answer.observe(&envelope.event) {
            self.send_text(&piece, first, out);
        }
        if self.options.client_tools {
            self.encode_call(&envelope.event, out);
        }
        if self.answer.outcome.is_some() {
            self.send_end(out);
        }
    }

    fn finish(&mut self, out: &mut Vec<SseFrame>) {
        self.send_role_chunk(out);
        if self.answer.mark_interrupted() {
            self.send_end(out);
        }
        out.push(SseFrame::data("[DONE]"));
    }

    fn keep_alive(&self) -> KeepAlive {
        KeepAlive::Comment
    }

    fn pacing_delay(&self) -> Option<Millis> {
        self.pacing_delay
    }

    fn full_response(&mut self) -> (u16, Json) {
        let Some(finish_reason) = self.finish_reason() else {
            return self.answer.fault().map_or((500, Json::Null), |fault| chunk::error_response(&fault));
        };
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let AnswerText { text, refusal, reasoning, .. } = &self.answer;
        let call = |call: &EncodedChatCall| {
            let function = json!({"name": call.name, "arguments": call.args});
            json!({"id": call.id, "type": "function", "function": function})
        };
        let calls: Vec<Json> = self.sent_calls().map(call).collect();
        let content = some(text).or_else(|| (calls.is_empty() && refusal.is_empty()).then(String::new));
        let mut message = json!({"role": "assistant", "content": content, "refusal": some(refusal)});
        if let Some(fields) = message.as_object_mut() {
            fields.extend(some(reasoning).map(|reasoning| ("reasoning_content".to_owned(), reasoning.into())));
            if !calls.is_empty() {
                fields.insert("tool_calls".into(), calls.into());
            }
        }
        (200, self.head.completion(&message, finish_reason, self.usage()))
    }
}

#[cfg(test)]
mod tests;
