//! A turn as events of Anthropic Messages, or as one message.
//!
//! | event | frames |
//! | --- | --- |
//! | the start | `message_start` |
//! | text, reasoning | blocks of `text` and `thinking`: start, deltas, stop |
//! | a call of one of the client's tools | a block of `tool_use`: start, its arguments in one delta, stop |
//! | the end | `message_delta` with the stop reason and the usage, `message_stop`; or `error` |
//!
//! Blocks are never open beside each other: clients rely on their order. Thinking has an empty signature, since it
//! comes from any model; it is not asked for again.
//!
//! Source: the reference of Anthropic's Messages API and the types of its Python SDK.

use serde_json::json;

use crate::dialect::model_answer::{ModelAnswer, ModelAnswerOptions, ModelDelta};
use crate::dialect::{Encode, KeepAlive, SseFrame};
use crate::event::{Envelope, Fault, FaultKind, Json, Usage};

/// Encodes one answer.
#[derive(Debug)]
pub struct AnthropicEncoder {
    id: String,
    answer: ModelAnswer,
    has_started: bool,
    /// The blocks so far, as the whole message has them; the last one may be open.
    blocks: Vec<Json>,
    open: Option<OpenBlockKind>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OpenBlockKind {
    Text,
    Thinking,
}

impl AnthropicEncoder {
    /// `id` names the message.
    pub fn new(id: impl Into<String>, options: ModelAnswerOptions) -> Self {
        Self { id: id.into(), answer: ModelAnswer::new(options), has_started: false, blocks: Vec::new(), open: None }
    }

    fn send(data: &Json, out: &mut Vec<SseFrame>) {
        let name = data.get("type").and_then(Json::as_str).unwrap_or_default();
        out.push(SseFrame::named(name, data.to_string()));
    }

    fn send_start(&mut self, out: &mut Vec<SseFrame>) {
        if std::mem::replace(&mut self.has_started, true) {
            return;
        }
        // The counts at the end replace these.
        let usage = Usage { input_tokens: self.answer.options.prompt_tokens, ..Usage::default() };
        let message = self.message(&[], None, usage);
        Self::send(&json!({"type": "message_start", "message": message}), out);
    }

    fn message(&self, content: &[Json], stop_reason: Option<&str>, usage: Usage) -> Json {
        json!({
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.answer.options.model,
            "content": content,
            "stop_reason": stop_reason,
            "stop_sequence": null,
            "usage": usage_json(usage),
        })
    }

    /// Returns the index of the last block.
    fn index(&self) -> usize {
        self.blocks.len().saturating_sub(1)
    }

    fn start_block(&mut self, block: Json, out: &mut Vec<SseFrame>) {
        let index = self.blocks.len();
        Self::send(&json!({"type": "content_block_start", "index": index, "content_block": block}), out);
        self.blocks.push(block);
    }

    fn send_block_delta(&self, delta: &Json, out: &mut Vec<SseFrame>) {
        Self::send(&json!({"type": "content_block_delta", "index": self.index(), "delta": delta}), out);
    }

    fn stop_block(&self, out: &mut Vec<SseFrame>) {
        Self::send(&json!({"type": "content_block_stop", "index": self.index()}), out);
    }

    fn close_open_block(&mut self, out: &mut Vec<SseFrame>) {
        if self.open.take().is_some() {
            self.stop_block(out);
        }
    }

    fn send_text(&mut self, kind: OpenBlockKind, text: &str, out: &mut Vec<SseFrame>) {
        let field = match kind {
            OpenBlockKind::Text => "text",
            OpenBlockKind::Thinking => "thinking",
        };
        if self.open != Some(kind) {
            self.close_open_block(out);
            self.open = Some(kind);
            let block = match kind {
                OpenBlockKind::Text => json!({"type": "text", "text": ""}),
                OpenBlockKind::Thinking => json!({"type": "thinking", "thinking": "", "signature": ""}),
            };
            self.start_block(block, out);
        }
        if let Some(Json::String(whole)) = self.blocks.last_mut().and_then(|block| block.get_mut(field)) {
            whole.push_str(text);
        }
        let mut delta = json!({"type": format!("{field}_delta")});
        delta[field] = text.into();
        self.send_block_delta(&delta, out);
    }

    fn send_call(&mut self, at: usize, out: &mut Vec<SseFrame>) {
        self.close_open_block(out);
        let Some(call) = self.answer.answer.calls.get(at) else { return };
        let mut block = json!({"type": "tool_use", "id": call.id.as_str(), "name": call.name, "input": {}});
        let (whole, input) = (call.parsable_args().to_owned(), call.args_object());
        self.start_block(block.clone(), out);
        self.send_block_delta(&json!({"type": "input_json_delta", "partial_json": whole}), out);
        self.stop_block(out);
        block["input"] = input;
        if let Some(last) = self.blocks.last_mut() {
            *last = block;
        }
    }

    /// Returns the stop reason; none where the turn failed.
    fn stop_reason(&self) -> Option<&'static str> {
        Some(match self.answer.end_word()? {
            "length" => "max_tokens",
            "tool_calls" => "tool_use",
            "content_filter" => "refusal",
            _ if self.answer.answer.is_refusal => "refusal",
            _ => "end_turn",
        })
    }

    fn send_end(&mut self, out: &mut Vec<SseFrame>) {
        self.close_open_block(out);
        let Some(reason) = self.stop_reason() else {
            let (status, fault) = self.answer.failure();
            return Self::send(&fault_json(status, &fault), out);
        };
        let delta = json!({"stop_reason": reason, "stop_sequence": null});
        let usage = usage_json(self.answer.usage());
        Self::send(&json!({"type": "message_delta", "delta": delta, "usage": usage}), out);
        Self::send(&json!({"type": "message_stop"}), out);
    }
}

impl Encode for AnthropicEncoder {
    fn start(&mut self, out: &mut Vec<SseFrame>) {
        if !self.answer.options.model.is_empty() {
            self.send_start(out);
        }
    }

    fn encode_event(&mut self, envelope: &Envelope, out: &mut Vec<SseFrame>) {
        let Some(delta) = self.answer.observe(envelope) else { return };
        self.send_start(out);
        match delta {
            ModelDelta::Text(text) => self.send_text(OpenBlockKind::Text, &text, out),
            ModelDelta::Thought(text) => self.send_text(OpenBlockKind::Thinking, &text, out),
            ModelDelta::Call(at) => self.send_call(at, out),
            ModelDelta::End => self.send_end(out),
        }
    }

    fn finish(&mut self, out: &mut Vec<SseFrame>) {
        self.send_start(out);
        if self.answer.answer.mark_interrupted() {
            self.send_end(out);
        }
    }

    fn keep_alive(&self) -> KeepAlive {
        KeepAlive::Frame(SseFrame::named("ping", r#"{"type":"ping"}"#))
    }

    fn full_response(&mut self) -> (u16, Json) {
        let Some(reason) = self.stop_reason() else {
            let (status, fault) = self.answer.failure();
            return (status, fault_json(status, &fault));
        };
        (200, self.message(&self.blocks, Some(reason), self.answer.usage()))
    }
}

/// Counts as the format has them: what came from a cache is apart from the input.
fn usage_json(usage: Usage) -> Json {
    let mut wire = json!({
        "input_tokens": usage.input_tokens.saturating_sub(usage.cached_tokens),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens,
    });
    if usage.reasoning_tokens > 0 {
        wire["output_tokens_details"] = json!({ "thinking_tokens": usage.reasoning_tokens });
    }
    wire
}

fn fault_json(status: u16, fault: &Fault) -> Json {
    // Clients know by these words that they have to shorten the conversation.
    let is_too_long = fault.kind == FaultKind::ContextTooLong;
    let prefix = if is_too_long { "prompt is too long: " } else { "" };
    error_json(status, &format!("{prefix}{}", fault.message))
}

/// Returns an error in the shape of this format.
pub fn error_json(status: u16, message: &str) -> Json {
    let kind = match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        400..500 => "invalid_request_error",
        504 => "timeout_error",
        503 | 529 => "overloaded_error",
        _ => "api_error",
    };
    json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": null})
}

#[cfg(test)]
mod tests;
