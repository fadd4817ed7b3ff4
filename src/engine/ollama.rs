//! Ollama's own `/api/chat`, which has more than its OpenAI API: reasoning apart from text, and timings.

use std::sync::Arc;

use bytes::Bytes;
use secrecy::SecretString;
use serde_json::json;

use super::discover::{self, ModelListQuery};
use super::model_details::ModelDetails;
use super::openai::{args_object, bearer_header, tool, tool_result_text};
use super::spec::{EngineOptions, EngineSpec, ModelDescription, Pricing};
use super::{Engine, HistoryCall, HistoryMessage, ModelRequest, ReplyPlan};
use crate::dialect::ollama::OllamaDecoder as Decoder;
use crate::event::{Effort, Json, OutputFormat, PromptImage};
use crate::net::request::{Framing, HttpMethod, HttpRequest};
use crate::text::address;

/// Ollama.
pub const SPEC: EngineSpec = EngineSpec {
    name: "ollama",
    dialect: "ollama",
    address_variables: &["OLLAMA_HOST"],
    key_variable: None,
    token_variable: None,
    model_variable: None,
    default_address: Some("http://127.0.0.1:11434"),
    default_model: None,
    embedded: None,
    model_prefixes: &[],
    loads_by_name: true,
    setup_hint: "not running here: start it, or point OLLAMA_HOST to it",
    no_model_hint: "get one with `ollama pull qwen3`",
    // With a key, TLS is used unless the person writes `http://`; without one an address means what it means to Ollama.
    base_url: |address, has_key| {
        if has_key && !address.is_empty() && !address::is_local_network(address) {
            address::ollama_base_url(&address::with_scheme(address))
        } else {
            address::ollama_base_url(address)
        }
    },
    pricing: |model, is_local| match model {
        // Ollama forwards these to its own servers.
        model if model.ends_with("-cloud") || model.ends_with(":cloud") => Pricing::Unknown,
        _ if is_local => Pricing::Free,
        _ => Pricing::Listed,
    },
    // The window is requested with every prompt.
    description: Some(ModelDescription {
        requests: |options, model| OllamaEngine::from_options(options.clone()).show_requests(model).into(),
        parse: |model, answers| {
            let [show, running] = [0, 1].map(|index| answers.get(index).copied().flatten());
            ModelDetails {
                context_window: Some(discover::ollama_context_window(model, show, running)),
                supports_tools: discover::ollama_has_capability(show, "tools"),
                takes_images: discover::ollama_has_capability(show, "vision"),
                supports_thinking: discover::ollama_has_capability(show, "thinking"),
            }
        },
    }),
    build: |options| Arc::new(OllamaEngine::from_options(options)),
};

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

    fn from_options(options: EngineOptions) -> Self {
        Self::new(options.name, &options.base_url).with_key(options.key).with_context_window(options.context_window)
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
        HttpRequest::get(url, headers, Framing::Ndjson)
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
        if let Some(effort) = request.sampling.effort {
            let think = match effort {
                Effort::None => false.into(),
                Effort::On => true.into(),
                level => Json::from(level.name()),
            };
            fields.insert("think".into(), think);
        }
        match request.output_format.as_deref() {
            Some(OutputFormat::Json) => {
                fields.insert("format".into(), "json".into());
            }
            Some(OutputFormat::Schema(schema)) => {
                fields.insert("format".into(), schema.schema.clone());
            }
            None => {}
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

    fn takes_images(&self) -> bool {
        true
    }

    fn supports_output_format(&self, _format: &OutputFormat) -> bool {
        true
    }

    fn dialect(&self) -> Option<&'static str> {
        Some(SPEC.dialect)
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
        HistoryMessage::User { text, images } => {
            let mut message = json!({"role": "user", "content": text});
            if !images.is_empty() {
                message["images"] = images.iter().map(PromptImage::base64).collect();
            }
            message
        }
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
