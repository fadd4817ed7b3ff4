//! Ollama's own `/api/chat`, which tells more than its OpenAI surface: reasoning apart from text, and timings.

use bytes::Bytes;
use secrecy::SecretString;
use serde_json::json;

use super::discover::{self, Survey};
use super::openai::{args, bearer, told, tool};
use super::{Engine, Past, PastCall, Reply, Request};
use crate::dialect::ollama::Ollama as Decoder;
use crate::event::Json;
use crate::net::call::{Framing, HttpCall, Method};
use crate::text::address;

/// Speaks with one Ollama server.
#[derive(Clone, Debug)]
pub struct Ollama {
    name: String,
    base: String,
    key: Option<SecretString>,
    window: Option<u64>,
}

impl Ollama {
    /// Takes a host as `OLLAMA_HOST` is written: scheme and port may be missing, and the address that a server listens
    /// on (`0.0.0.0`) means this machine.
    pub fn new(name: String, host: &str) -> Self {
        Self { name, base: address::ollama(host), key: None, window: None }
    }

    /// Sends this key with every request, as Ollama's own service and gateways in front of one want it.
    #[must_use]
    pub fn with_key(mut self, key: Option<SecretString>) -> Self {
        self.key = key;
        self
    }

    /// Asks for a context window of this many tokens in place of the server's default, which is small and silently
    /// forgets the beginning of a longer conversation.
    #[must_use]
    pub fn with_window(mut self, window: Option<u64>) -> Self {
        self.window = window;
        self
    }

    /// Returns the server's address, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.base
    }

    /// Says how to learn what a model was made for and what runs; [`discover::ollama_window`] reads the answers.
    pub fn show(&self, model: &str) -> [HttpCall; 2] {
        let body = Some(Bytes::from(json!({"model": model}).to_string()));
        [HttpCall { method: Method::Post, body, ..self.get("/api/show") }, self.get("/api/ps")]
    }

    fn get(&self, path: &str) -> HttpCall {
        let url = format!("{}{path}", self.base);
        let headers = bearer(self.key.as_ref());
        HttpCall { method: Method::Get, url, headers, body: None, framing: Framing::Ndjson }
    }

    fn body(&self, request: &Request) -> Json {
        let mut messages = Vec::new();
        if !request.system.is_empty() {
            messages.push(json!({"role": "system", "content": request.system}));
        }
        messages.extend(request.past.iter().map(message));
        let mut body = json!({"model": request.model, "messages": messages, "stream": true});
        let Some(fields) = body.as_object_mut() else { return body };
        if !request.tools.is_empty() {
            fields.insert("tools".into(), request.tools.iter().map(tool).collect());
        }
        let options = [
            request.tuning.max_output.map(|most| ("num_predict".to_owned(), Json::from(most))),
            request.tuning.temperature.map(|value| ("temperature".to_owned(), Json::from(value))),
            request.tuning.top_p.map(|value| ("top_p".to_owned(), Json::from(value))),
            self.window.map(|window| ("num_ctx".to_owned(), Json::from(window))),
        ];
        let options: serde_json::Map<_, _> = options.into_iter().flatten().collect();
        if !options.is_empty() {
            fields.insert("options".into(), options.into());
        }
        body
    }
}

impl Engine for Ollama {
    fn name(&self) -> &str {
        &self.name
    }

    fn dialect(&self) -> Option<&'static str> {
        Some("ollama")
    }

    fn reply(&self, request: &Request) -> Reply {
        let body = Some(Bytes::from(self.body(request).to_string()));
        let call = HttpCall { method: Method::Post, body, ..self.get("/api/chat") };
        Reply::Http { call, decode: Box::new(Decoder::new()) }
    }

    /// Asks for the installed models, and which of them run.
    fn survey(&self) -> Option<Survey> {
        Some(Survey {
            calls: vec![self.get("/api/tags"), self.get("/api/ps")],
            read: |answers| {
                let running = answers.get(1).copied().flatten();
                discover::ollama_models(answers.first().copied().flatten()?, running)
            },
        })
    }
}

fn message(past: &Past) -> Json {
    match past {
        Past::User { text } => json!({"role": "user", "content": text}),
        Past::Assistant { text, reasoning, calls, carry: _ } => {
            let mut message = json!({"role": "assistant", "content": text});
            // Reasoning is only of use where the model goes on with it, that is in a tool loop.
            if !calls.is_empty() {
                if !reasoning.is_empty() {
                    message["thinking"] = reasoning.as_str().into();
                }
                let call = |call: &PastCall| {
                    let id = call.call.as_str();
                    json!({"id": id, "function": {"name": call.name, "arguments": args(call)}})
                };
                message["tool_calls"] = calls.iter().map(call).collect();
            }
            message
        }
        Past::Tool { call, name, output, outcome } => {
            json!({"role": "tool", "content": told(output, *outcome), "tool_name": name, "tool_call_id": call.as_str()})
        }
    }
}

#[cfg(test)]
mod tests;
