//! Anthropic Messages at any base URL: Anthropic itself, and the servers and gateways that speak its language.
//!
//! Results of one round of calls are one message of the person, in the order of the calls; neighbours of one role
//! become one message. What the decoder marked as wanted back goes back verbatim. A call is only sent together with
//! its result, and a call of the server's own tools only with the server's own blocks.

mod messages;

use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::discover::{ModelInfo, Survey};
use super::{Engine, Reply, Request};
use crate::dialect::anthropic::Anthropic as Decoder;
use crate::event::{Json, ToolSpec, Tuning};
use crate::net::call::{Framing, HttpCall, Method, Value};
use crate::text::address::{base_and_query, is_host};

const VERSION: &str = "2023-06-01";
const MESSAGES: &str = "/messages";
/// Models of a server that are listed.
const MOST_MODELS: usize = 2000;

/// What lets us in.
#[derive(Clone, Debug)]
pub enum Pass {
    None,
    /// Sent as `x-api-key`.
    Key(SecretString),
    /// Sent as a bearer token, as gateways want it.
    Token(SecretString),
}

/// Speaks Messages with one server.
#[derive(Clone, Debug)]
pub struct Anthropic {
    name: String,
    messages: String,
    models: String,
    pass: Pass,
    /// What would hold a key, for a server that wants one.
    unset: Option<String>,
    /// Only the service itself is known to take marks for its cache.
    caches: bool,
}

impl Anthropic {
    /// Takes a base URL in any of the forms people use: with or without `/v1`, a slash at the end or `/v1/messages`.
    /// A query is kept.
    pub fn new(name: String, base_url: &str, pass: Pass) -> Self {
        let (base, query) = base_and_query(base_url, MESSAGES);
        let base = base.strip_suffix("/v1").unwrap_or(&base);
        let is_blank = |secret: &SecretString| secret.expose_secret().trim().is_empty();
        let pass = match pass {
            Pass::Key(secret) | Pass::Token(secret) if is_blank(&secret) => Pass::None,
            pass => pass,
        };
        Self {
            name,
            messages: format!("{base}/v1{MESSAGES}{query}"),
            models: if query.is_empty() {
                format!("{base}/v1/models?limit=1000")
            } else {
                format!("{base}/v1/models{query}")
            },
            pass,
            unset: None,
            caches: is_host(base, "api.anthropic.com"),
        }
    }

    /// Says by its name what would hold the key, a variable or a setting: a server that wants one may refuse.
    #[must_use]
    pub fn keyed_by(self, setting: String) -> Self {
        Self { unset: Some(setting), ..self }
    }

    /// Returns the URL that prompts go to.
    pub fn url(&self) -> &str {
        &self.messages
    }

    fn headers(&self) -> Vec<(String, Value)> {
        let mut headers = vec![("anthropic-version".to_owned(), Value::Plain(VERSION.to_owned()))];
        match &self.pass {
            Pass::None => {
                headers.extend(self.unset.iter().map(|name| ("x-api-key".to_owned(), Value::Unset(name.clone()))));
            }
            Pass::Key(key) => {
                headers.push(("x-api-key".to_owned(), Value::Secret(key.expose_secret().trim().to_owned().into())));
            }
            Pass::Token(token) => {
                let bearer = format!("Bearer {}", token.expose_secret().trim());
                headers.push(("authorization".to_owned(), Value::Secret(bearer.into())));
            }
        }
        headers
    }

    fn body(&self, request: &Request) -> Json {
        let mut body = json!({
            "model": request.model,
            "max_tokens": request.tuning.max_output.unwrap_or_else(|| usual_limit(&request.model)),
            "messages": messages::messages(&request.past, self.caches),
            "stream": true,
        });
        let Some(fields) = body.as_object_mut() else { return body };
        if !request.system.is_empty() {
            fields.insert("system".into(), request.system.as_str().into());
        }
        if !request.tools.is_empty() {
            fields.insert("tools".into(), request.tools.iter().map(tool).collect());
            if request.tuning.must_call {
                fields.insert("tool_choice".into(), json!({"type": "any"}));
            }
        }
        let Tuning { temperature, top_p, .. } = request.tuning;
        fields.extend(temperature.map(|value| ("temperature".to_owned(), json!(value))));
        fields.extend(top_p.map(|value| ("top_p".to_owned(), json!(value))));
        body
    }
}

impl Engine for Anthropic {
    fn name(&self) -> &str {
        &self.name
    }

    fn dialect(&self) -> Option<&'static str> {
        Some("anthropic")
    }

    fn reply(&self, request: &Request) -> Reply {
        let call = HttpCall {
            method: Method::Post,
            url: self.messages.clone(),
            headers: self.headers(),
            body: Some(Bytes::from(self.body(request).to_string())),
            framing: Framing::Sse,
        };
        Reply::Http { call, decode: Box::new(Decoder::new()) }
    }

    fn can_oblige(&self) -> bool {
        true
    }

    fn survey(&self) -> Option<Survey> {
        let (url, headers) = (self.models.clone(), self.headers());
        let call = HttpCall { method: Method::Get, url, headers, body: None, framing: Framing::Ndjson };
        Some(Survey { calls: vec![call], read: |answers| models(answers.first().copied().flatten()?) })
    }
}

/// Reads the list of models. None if it is something else.
fn models(answer: &Json) -> Option<Vec<ModelInfo>> {
    let mut models = Vec::new();
    for entry in answer.get("data")?.as_array()?.iter().take(MOST_MODELS) {
        let id = entry.get("id")?.as_str()?.to_owned();
        let name = entry.get("display_name").and_then(Json::as_str).filter(|name| *name != id);
        let window = entry.get("max_input_tokens").and_then(Json::as_u64).filter(|n| *n > 0);
        models.push(ModelInfo { remark: name.unwrap_or_default().to_owned(), id, window });
    }
    Some(models)
}

/// Returns the output limit to ask for where nobody set one: it must be sent, and beyond what a model can give the
/// request is refused.
fn usual_limit(model: &str) -> u32 {
    let model = model.to_ascii_lowercase();
    let model = model.rsplit(['/', '.']).find(|part| part.starts_with("claude-")).unwrap_or_default();
    let begins = |names: &[&str]| names.iter().any(|name| model.starts_with(name));
    if begins(&["claude-3-haiku", "claude-3-opus", "claude-3-sonnet", "claude-2", "claude-instant"]) {
        4096
    } else if begins(&["claude-opus-", "claude-sonnet-", "claude-haiku-", "claude-3-7"]) {
        32_000
    } else {
        8192
    }
}

fn tool(tool: &ToolSpec) -> Json {
    let ToolSpec { name, description, parameters, risk: _ } = tool;
    json!({"name": name, "description": description, "input_schema": parameters})
}

#[cfg(test)]
mod tests;
