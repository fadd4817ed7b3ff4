//! Ollama's own `/api/chat`, which has more than its OpenAI API: reasoning apart from text, and timings.

use bytes::Bytes;
use secrecy::SecretString;
use serde_json::json;

use super::discover::{self, ModelListQuery};
use super::openai::{args_object, bearer_header, tool, tool_result_text};
use super::{Engine, HistoryCall, HistoryMessage, ModelRequest, ReplyPlan};
use crate::dialect::ollama::OllamaDecoder as Decoder;
use crate::event::Json;
use crate::net::request::{Framing, HttpMethod, HttpRequest};
use crate::text::address;

/// Client of one Ollama server.
#[derive(Clone, Debug)]
pub struct OllamaEngine {
    name: String,
    base_url: String,
    key: Option<SecretString>,
    context_window: Option<u64>,
}

impl OllamaEngine {
    /// Takes a host in the form of `OLLAMA_HOST`: scheme and port may be missing, and the address that a server listens
    /// on (`0.0.0.0`) means this machine.
    pub fn new(name: String, host: &str) -> Self {
        Self { name, base_url: address::ollama_base_url(host), key: None, context_window: None }
    }

    /// Sends this key with every request, as Ollama's own service and gateways in front of one require.
    #[must_use]
    pub fn with_key(mut self, key: Option<SecretString>) -> Self {
        self.key = key;
        self
    }

    /// Requests a context window of this many tokens instead of the server's default, which is small and silently drops
    /// the start of a longer conversation.
    #[must_use]
    pub fn with_context_window(mut self, window: Option<u64>) -> Self {
        self.context_window = window;
        self
    }

    /// Returns the server's address, without a trailing slash.
    pub fn url(&self) -> &str {
        &self.base_url
    }

    /// Returns the requests for the model's maximum and for the running models; [`discover::ollama_context_window`]
    /// parses the responses.
    pub fn show_requests(&self, model: &str) -> [HttpRequest; 2] {
        let body = Some(Bytes::from(json!({"model": model}).to_string()));
        [HttpRequest { method: HttpMethod::Post, body, ..self.get("/api/show") }, self.get("/api/ps")]
    }

    fn get(&self, path: &str) -> HttpRequest {
        let url = format!("{}{path}", self.base_url);
        let headers = bearer_header(self.key.as_ref());
        HttpRequest { method: HttpMethod::Get, url, headers, body: None, framing: Framing::Ndjson }
    }

    fn body(&self, request: &ModelRequest) -> Json {
        let mut messages = Vec::new();
        if !request.system.is_empty() {
            messages.push(json!({"role": "system", "content": request.system}));
        }
        messages.extend(request.history.iter().map(message));
        let mut body = json!({"model": request.model, "messages": messages, "stream": true});
        let Some(fields) = body.as_object_mut() else { return body };
        if !request.tools.is_empty() {
            fields.insert("tools".into(), request.tools.iter().map(tool).collect());
        }
        let options = [
            request.sampling.max_output_tokens.map(|tokens| ("num_predict".to_owned(), Json::from(tokens))),
            request.sampling.temperature.map(|value| ("temperature".to_owned(), Json::from(value))),
            request.sampling.top_p.map(|value| ("top_p".to_owned(), Json::from(value))),
            self.context_window.map(|window| ("num_ctx".to_owned(), Json::from(window))),
        ];
        let options: serde_json::Map<_, _> = options.into_iter().flatten().collect();
        if !options.is_empty() {
            fields.insert("options".into(), options.into());
        }
        body
    }
}

impl Engine for OllamaEngine {
    fn name(&self) -> &str {
        &self.name
    }

    fn dialect(&self) -> Option<&'static str> {
        Some("ollama")
    }

    fn plan_reply(&self, request: &ModelRequest) -> ReplyPlan {
        let body = Some(Bytes::from(self.body(request).to_string()));
        let call = HttpRequest { method: HttpMethod::Post, body, ..self.get("/api/chat") };
        ReplyPlan::http(call, Decoder::new())
    }

    /// Requests the installed models, and which of them are running.
    fn model_list_query(&self) -> Option<ModelListQuery> {
        Some(ModelListQuery {
            requests: vec![self.get("/api/tags"), self.get("/api/ps")],
            parse: |answers| {
                let running = answers.get(1).copied().flatten();
                discover::ollama_models(answers.first().copied().flatten()?, running)
            },
        })
    }
}

fn message(past: &HistoryMessage) -> Json {
    match past {
        HistoryMessage::User { text } => json!({"role": "user", "content": text}),
        HistoryMessage::Assistant { text, reasoning, calls, provider_metadata: _ } => {
            let mut message = json!({"role": "assistant", "content": text});
            // Reasoning is only useful where the model continues it, that is in a tool loop.
            if !calls.is_empty() {
                if !reasoning.is_empty() {
                    message["thinking"] = reasoning.as_str().into();
                }
                let call = |call: &HistoryCall| {
                    let id = call.call.as_str();
                    json!({"id": id, "function": {"name": call.name, "arguments": args_object(call)}})
                };
                message["tool_calls"] = calls.iter().map(call).collect();
            }
            message
        }
        HistoryMessage::Tool { call, name, output, outcome } => {
            json!({"role": "tool", "content": tool_result_text(output, *outcome), "tool_name": name, "tool_call_id": call.as_str()})
        }
    }
}

#[cfg(test)]
mod tests;
