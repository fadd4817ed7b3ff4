//! A turn as chunks of Gemini's `streamGenerateContent`, or as one response.
//!
//! | event | chunk |
//! | --- | --- |
//! | text, reasoning | a part with `text`, of a thought with `thought` |
//! | a call of one of the client's tools | a part with the whole `functionCall` |
//! | the end | an empty part with `finishReason` and the counts; or `{"error": …}` |
//!
//! Source: the REST reference of the Gemini API and the types of the Python package `google-genai`.

use serde_json::json;

use crate::dialect::model_answer::{ModelAnswer, ModelAnswerOptions, ModelDelta};
use crate::dialect::{Encode, KeepAlive, SseFrame};
use crate::event::answer::AnswerCall;
use crate::event::{Envelope, Json, Usage};

/// Encodes one answer.
#[derive(Debug)]
pub struct GeminiEncoder {
    id: String,
    answer: ModelAnswer,
    /// The whole answer comes as a list of one response: a stream that is not asked for as events.
    is_list: bool,
    /// The parts so far, those of one kind in a row as one.
    parts: Vec<Json>,
}

impl GeminiEncoder {
    /// `id` names the response.
    pub fn new(id: impl Into<String>, options: ModelAnswerOptions, is_list: bool) -> Self {
        Self { id: id.into(), answer: ModelAnswer::new(options), is_list, parts: Vec::new() }
    }

    fn chunk(&self, parts: &[Json], finish_reason: Option<&str>) -> Json {
        let mut candidate = json!({"content": {"role": "model", "parts": parts}, "index": 0});
        if let Some(reason) = finish_reason {
            candidate["finishReason"] = reason.into();
        }
        let mut chunk = json!({ "candidates": [candidate] });
        if finish_reason.is_some() {
            chunk["usageMetadata"] = usage_json(self.answer.usage());
        }
        chunk["modelVersion"] = self.answer.options.model.as_str().into();
        chunk["responseId"] = self.id.as_str().into();
        chunk
    }

    fn send_part(&mut self, part: Json, out: &mut Vec<SseFrame>) {
        out.push(SseFrame::data(self.chunk(std::slice::from_ref(&part), None).to_string()));
        let is_thought = |part: &Json| part.get("thought").is_some();
        if let (Some(last), Some(text)) = (self.parts.last_mut(), part.get("text").and_then(Json::as_str))
            && is_thought(last) == is_thought(&part)
            && let Some(Json::String(whole)) = last.get_mut("text")
        {
            return whole.push_str(text);
        }
        self.parts.push(part);
    }

    /// Returns the finish reason; none where the turn failed.
    fn finish_reason(&self) -> Option<&'static str> {
        Some(match self.answer.end_word()? {
            "length" => "MAX_TOKENS",
            "content_filter" => "SAFETY",
            _ => "STOP",
        })
    }

    fn failure(&self) -> (u16, Json) {
        let (status, fault) = self.answer.failure();
        (status, error_json(status, &fault.message))
    }

    fn send_end(&self, out: &mut Vec<SseFrame>) {
        let last = match self.finish_reason() {
            Some(reason) => self.chunk(&[empty_part()], Some(reason)),
            None => self.failure().1,
        };
        out.push(SseFrame::data(last.to_string()));
    }
}

impl Encode for GeminiEncoder {
    fn encode_event(&mut self, envelope: &Envelope, out: &mut Vec<SseFrame>) {
        let part = match self.answer.observe(envelope) {
            Some(ModelDelta::Text(text)) => json!({ "text": text }),
            Some(ModelDelta::Thought(text)) => json!({"text": text, "thought": true}),
            Some(ModelDelta::Call(at)) => match self.answer.answer.calls.get(at) {
                Some(call) => call_part(call),
                None => return,
            },
            Some(ModelDelta::End) => return self.send_end(out),
            None => return,
        };
        self.send_part(part, out);
    }

    fn finish(&mut self, out: &mut Vec<SseFrame>) {
        if self.answer.answer.mark_interrupted() {
            self.send_end(out);
        }
    }

    /// Clients parse every line, comments too.
    fn keep_alive(&self) -> KeepAlive {
        KeepAlive::Frame(SseFrame::data(self.chunk(&[empty_part()], None).to_string()))
    }

    fn full_response(&mut self) -> (u16, Json) {
        let Some(reason) = self.finish_reason() else { return self.failure() };
        let whole = self.chunk(&self.parts, Some(reason));
        (200, if self.is_list { json!([whole]) } else { whole })
    }
}

fn empty_part() -> Json {
    json!({ "text": "" })
}

fn call_part(call: &AnswerCall) -> Json {
    json!({"functionCall": {"id": call.id.as_str(), "name": call.name, "args": call.args_object()}})
}

/// Counts as the format has them: thoughts are apart from the answer.
fn usage_json(usage: Usage) -> Json {
    let mut wire = json!({
        "promptTokenCount": usage.input_tokens,
        "candidatesTokenCount": usage.output_tokens.saturating_sub(usage.reasoning_tokens),
        "totalTokenCount": usage.total(),
    });
    for (name, count) in
        [("thoughtsTokenCount", usage.reasoning_tokens), ("cachedContentTokenCount", usage.cached_tokens)]
    {
        if count > 0 {
            wire[name] = count.into();
        }
    }
    wire
}

/// Returns an error in the shape of this format.
pub fn error_json(status: u16, message: &str) -> Json {
    let name = match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        400..500 => "INVALID_ARGUMENT",
        502 | 503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        _ => "INTERNAL",
    };
    json!({"error": {"code": status, "message": message, "status": name}})
}

#[cfg(test)]
mod tests;
