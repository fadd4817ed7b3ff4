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

use super::chunk::{self, ChunkHead, UsageField};
use super::chunk_stream::ChunkStream;
use crate::dialect::{Encode, SseFrame};
use crate::event::answer::{AnswerCall, AnswerDelta};
use crate::event::{Envelope, Json, Millis, TextKind};

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
    stream: ChunkStream,
    options: ChatEncoderOptions,
    /// The calls of the client's tools.
    calls: Vec<SentCall>,
}

#[derive(Debug)]
struct SentCall {
    /// The call's index in the answer.
    at: usize,
    /// Its first fragment, which waits for the name, was sent.
    is_sent: bool,
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
        Self { stream: ChunkStream::new(head, prompt), options, calls: Vec::new() }
    }

    fn send_role_chunk(&mut self, out: &mut Vec<SseFrame>) {
        if self.stream.take_start() {
            self.send_delta(&ChunkDelta { role: Some("assistant"), content: Some(""), ..ChunkDelta::default() }, out);
        }
    }

    fn send_delta(&self, delta: &ChunkDelta<'_>, out: &mut Vec<SseFrame>) {
        self.send_chunk(delta, None, out);
    }

    fn send_chunk(&self, delta: &ChunkDelta<'_>, finish_reason: Option<&'static str>, out: &mut Vec<SseFrame>) {
        let usage = if self.options.include_usage { UsageField::Null } else { UsageField::Absent };
        out.push(SseFrame::data(self.stream.head.chunk(delta, finish_reason, usage)));
    }

    fn send_text(&mut self, text: &str, kind: TextKind, is_first: bool, out: &mut Vec<SseFrame>) {
        if kind == TextKind::Refusal {
            return self.send_delta(&ChunkDelta { refusal: Some(text), ..ChunkDelta::default() }, out);
        }
        for piece in self.stream.pieces(text, is_first) {
            self.send_delta(&ChunkDelta { content: Some(piece), ..ChunkDelta::default() }, out);
        }
    }

    fn encode_delta(&mut self, delta: AnswerDelta<'_>, out: &mut Vec<SseFrame>) {
        match delta {
            AnswerDelta::Text { message, text, kind, is_first } => {
                let text = self.stream.push_text(message, text, kind);
                self.send_text(&text, kind, is_first, out);
            }
            AnswerDelta::Reasoning { message, text } => {
                let text = self.stream.reasoning.push(message, text);
                self.send_delta(&ChunkDelta { reasoning_content: Some(&text), ..ChunkDelta::default() }, out);
            }
            AnswerDelta::CallStarted(at) if self.options.client_tools => {
                let Some(call) = self.stream.answer.calls.get(at).filter(|call| call.is_client_call) else { return };
                let is_named = !call.was_nameless;
                self.calls.push(SentCall { at, is_sent: false });
                if is_named {
                    self.start_call(self.calls.len() - 1, out);
                }
            }
            AnswerDelta::CallArgs(at, piece) => {
                if let Some(index) = self.call_index(at).filter(|index| self.is_sent(*index)) {
                    self.send_args(index, piece, out);
                }
            }
            AnswerDelta::CallReady(at, streamed) => {
                let Some(index) = self.call_index(at) else { return };
                let is_sent = self.is_sent(index);
                if !is_sent {
                    self.start_call(index, out);
                }
                let Some(call) = self.stream.answer.calls.get(at) else { return };
                let args = call.parsable_args();
                let rest = if is_sent { args.strip_prefix(streamed.as_str()) } else { Some(args) };
                if let Some(rest) = rest.filter(|rest| !rest.is_empty()) {
                    self.send_args(index, rest, out);
                }
            }
            AnswerDelta::Nothing
            | AnswerDelta::Corrected { .. }
            | AnswerDelta::CallStarted(_)
            | AnswerDelta::CallFinished(_)
            | AnswerDelta::Retry(..) => {}
            AnswerDelta::End(_) => self.send_end(out),
        }
    }

    /// Returns the index in the stream of a call of the answer.
    fn call_index(&self, at: usize) -> Option<usize> {
        self.calls.iter().rposition(|call| call.at == at)
    }

    fn is_sent(&self, index: usize) -> bool {
        self.calls.get(index).is_some_and(|call| call.is_sent)
    }

    fn start_call(&mut self, index: usize, out: &mut Vec<SseFrame>) {
        let Some(sent) = self.calls.get_mut(index) else { return };
        sent.is_sent = true;
        let Some(call) = self.stream.answer.calls.get(sent.at) else { return };
        let function = ChunkFunction { name: Some(&call.name), arguments: "" };
        let fragment = ChunkCallFragment { index, id: Some(call.id.as_str()), kind: Some("function"), function };
        self.send_delta(&ChunkDelta { tool_calls: Some([fragment]), ..ChunkDelta::default() }, out);
    }

    fn send_args(&self, index: usize, arguments: &str, out: &mut Vec<SseFrame>) {
        let function = ChunkFunction { name: None, arguments };
        let fragment = ChunkCallFragment { index, id: None, kind: None, function };
        self.send_delta(&ChunkDelta { tool_calls: Some([fragment]), ..ChunkDelta::default() }, out);
    }

    /// Calls that were sent; one that never got a name was not.
    fn sent_calls(&self) -> impl Iterator<Item = &AnswerCall> {
        self.calls.iter().filter(|call| call.is_sent).filter_map(|call| self.stream.answer.calls.get(call.at))
    }

    /// Returns the finish reason; none where the turn failed.
    fn finish_reason(&self) -> Option<&'static str> {
        self.stream.answer.end_word(self.sent_calls().next().is_some())
    }

    fn send_end(&self, out: &mut Vec<SseFrame>) {
        match (self.finish_reason(), self.stream.answer.fault()) {
            (Some(reason), _) if self.options.include_usage => {
                self.send_chunk(&ChunkDelta::default(), Some(reason), out);
                out.push(SseFrame::data(self.stream.head.usage_chunk(self.stream.usage())));
            }
            (Some(reason), _) => {
                let usage = UsageField::Present(self.stream.usage());
                out.push(SseFrame::data(self.stream.head.chunk(&ChunkDelta::default(), Some(reason), usage)));
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
        if self.stream.head.is_known() {
            self.send_role_chunk(out);
        }
    }

    fn encode_event(&mut self, envelope: &Envelope, out: &mut Vec<SseFrame>) {
        if let Some(delta) = self.stream.observe(envelope) {
            self.send_role_chunk(out);
            self.encode_delta(delta, out);
        }
    }

    fn finish(&mut self, out: &mut Vec<SseFrame>) {
        self.send_role_chunk(out);
        if self.stream.answer.mark_interrupted() {
            self.send_end(out);
        }
        out.push(SseFrame::data("[DONE]"));
    }

    fn pacing_delay(&self) -> Option<Millis> {
        self.stream.pacing_delay
    }

    fn full_response(&mut self) -> (u16, Json) {
        let Some(finish_reason) = self.finish_reason() else {
            return self.stream.answer.fault().map_or((500, Json::Null), |fault| chunk::error_response(&fault));
        };
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let ChunkStream { text, refusal, reasoning, .. } = &self.stream;
        let (text, refusal, reasoning) = (&text.text, &refusal.text, &reasoning.text);
        let calls: Vec<Json> = self.sent_calls().map(|call| call.to_json_with_args(call.parsable_args())).collect();
        let content = some(text).or_else(|| (calls.is_empty() && refusal.is_empty()).then(String::new));
        let mut message = json!({"role": "assistant", "content": content, "refusal": some(refusal)});
        if let Some(fields) = message.as_object_mut() {
            fields.extend(some(reasoning).map(|reasoning| ("reasoning_content".to_owned(), reasoning.into())));
            if !calls.is_empty() {
                fields.insert("tool_calls".into(), calls.into());
            }
        }
        (200, self.stream.head.completion(&message, finish_reason, self.stream.usage()))
    }
}

#[cfg(test)]
mod tests;
