//! A turn as lines of Ollama's `/api/chat` or `/api/generate`, or as one object.
//!
//! | event | line |
//! | --- | --- |
//! | text, reasoning | `content` (`response` of a completion), `thinking` |
//! | a call of one of the client's tools | `tool_calls` with the whole call |
//! | the end | `done` with its reason, durations and counts; or `{"error": …}` |
//!
//! Durations are those between the events: until the first content the prompt was processed, then the answer was made.
//!
//! Source: Ollama's API reference (`docs/api.md`) and the types of its Python client.

use serde_json::{Map, json};

use crate::dialect::model_answer::{ModelAnswer, ModelAnswerOptions, ModelDelta};
use crate::dialect::wall_time::rfc3339;
use crate::dialect::{Encode, KeepAlive, SseFrame};
use crate::event::answer::AnswerCall;
use crate::event::{Envelope, Json, Millis};

/// Which of the two ways to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OllamaApi {
    Chat,
    Generate,
}

/// Encodes one answer.
#[derive(Debug)]
pub struct OllamaEncoder {
    api: OllamaApi,
    answer: ModelAnswer,
}

impl OllamaEncoder {
    pub fn new(api: OllamaApi, options: ModelAnswerOptions) -> Self {
        Self { api, answer: ModelAnswer::new(options) }
    }

    /// Returns a line with this content.
    fn line(&self, text: &str, thinking: &str, calls: &[Json]) -> Map<String, Json> {
        let mut line = Map::new();
        line.insert("model".into(), self.answer.options.model.as_str().into());
        line.insert("created_at".into(), rfc3339(self.answer.wall_ms()).into());
        let mut content = Map::new();
        let text_field = match self.api {
            OllamaApi::Chat => {
                content.insert("role".into(), "assistant".into());
                "content"
            }
            OllamaApi::Generate => "response",
        };
        content.insert(text_field.into(), text.into());
        if !thinking.is_empty() {
            content.insert("thinking".into(), thinking.into());
        }
        if !calls.is_empty() {
            content.insert("tool_calls".into(), calls.into());
        }
        match self.api {
            OllamaApi::Chat => {
                line.insert("message".into(), Json::Object(content));
            }
            OllamaApi::Generate => line.extend(content),
        }
        line.insert("done".into(), false.into());
        line
    }

    fn send(&self, text: &str, thinking: &str, calls: &[Json], out: &mut Vec<SseFrame>) {
        out.push(SseFrame::data(Json::Object(self.line(text, thinking, calls)).to_string()));
    }

    /// Returns the calls that were sent, from the n-th on.
    fn calls(&self, from: usize) -> Vec<Json> {
        let call = |(index, call): (usize, &AnswerCall)| {
            let function = json!({"index": index, "name": call.name, "arguments": call.args_object()});
            json!({"id": call.id.as_str(), "function": function})
        };
        self.answer.calls().enumerate().skip(from).map(call).collect()
    }

    /// Completes a line to the last one.
    fn end(&self, mut line: Map<String, Json>, reason: &str) -> Json {
        let usage = self.answer.usage();
        let (total, prompt, answer) = self.answer.durations();
        line.insert("done".into(), true.into());
        line.insert("done_reason".into(), if reason == "tool_calls" { "stop" } else { reason }.into());
        for (name, count) in [
            ("total_duration", nanoseconds(total)),
            ("load_duration", 0),
            ("prompt_eval_count", usage.input_tokens),
            ("prompt_eval_duration", nanoseconds(prompt)),
            ("eval_count", usage.output_tokens),
            ("eval_duration", nanoseconds(answer)),
        ] {
            line.insert(name.into(), count.into());
        }
        Json::Object(line)
    }

    fn send_end(&self, out: &mut Vec<SseFrame>) {
        let last = match self.answer.end_word() {
            Some(reason) => self.end(self.line("", "", &[]), reason),
            None => error_json(&self.answer.failure().1.message),
        };
        out.push(SseFrame::data(last.to_string()));
    }
}

impl Encode for OllamaEncoder {
    fn encode_event(&mut self, envelope: &Envelope, out: &mut Vec<SseFrame>) {
        match self.answer.observe(envelope) {
            Some(ModelDelta::Text(text)) => self.send(&text, "", &[], out),
            Some(ModelDelta::Thought(text)) => self.send("", &text, &[], out),
            Some(ModelDelta::Call(_)) => self.send("", "", &self.calls(self.answer.call_count() - 1), out),
            Some(ModelDelta::End) => self.send_end(out),
            None => {}
        }
    }

    fn finish(&mut self, out: &mut Vec<SseFrame>) {
        if self.answer.answer.mark_interrupted() {
            self.send_end(out);
        }
    }

    /// Clients parse every line.
    fn keep_alive(&self) -> KeepAlive {
        KeepAlive::Frame(SseFrame::data(Json::Object(self.line("", "", &[])).to_string()))
    }

    fn full_response(&mut self) -> (u16, Json) {
        let Some(reason) = self.answer.end_word() else {
            let (status, fault) = self.answer.failure();
            return (status, error_json(&fault.message));
        };
        let line = self.line(&self.answer.text.text, &self.answer.thoughts.text, &self.calls(0));
        (200, self.end(line, reason))
    }
}

fn nanoseconds(time: Millis) -> u64 {
    time.0.saturating_mul(1_000_000)
}

/// Returns an error in the shape of this format.
pub fn error_json(message: &str) -> Json {
    json!({ "error": message })
}

#[cfg(test)]
mod tests;
