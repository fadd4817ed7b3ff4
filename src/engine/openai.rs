//! OpenAI chat completions at any base URL: OpenAI itself, vLLM, llama.cpp, LM Studio, SGLang, OpenRouter, Groq, ….
//!
//! Only fields that every such server takes are sent. What a decoder marked as wanted back goes back verbatim.

use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, json};

use super::describe::Questions;
use super::discover::{self, Survey};
use super::{Engine, Past, PastCall, Reply, Request};
use crate::dialect::chat::Chat;
use crate::event::{Json, Outcome, ToolSpec, Tuning};
use crate::net::call::{Framing, HttpCall, Method, Value};
use crate::text::address::{base_and_query, is_host};

const CHAT: &str = "/chat/completions";
/// What this dialect's decoder keeps for the way back. Other dialects' are of no use here.
const CARRIED: &[&str] = &["reasoning_content", "reasoning_details", "extra_content"];

/// Speaks chat completions with one server.
#[derive(Clone, Debug)]
pub struct OpenAi {
    name: String,
    chat: String,
    models: String,
    key: Option<SecretString>,
    /// What would hold a key, for a server that wants one.
    unset: Option<String>,
    /// OpenAI's own models refuse the old name of the output limit, other servers the new one.
    limit: &'static str,
}

impl OpenAi {
    /// Takes a base URL in any of the forms people use: with or without scheme, `/v1`, a slash at the end or
    /// `/chat/completions`. A query is kept.
    pub fn new(name: String, base_url: &str, key: Option<SecretString>) -> Self {
        let (base, query) = base_and_query(base_url, CHAT);
        let limit = if is_host(&base, "api.openai.com") { "max_completion_tokens" } else { "max_tokens" };
        let (chat, models) = (format!("{base}{CHAT}{query}"), format!("{base}/models{query}"));
        Self { name, chat, models, key: key.filter(|key| !key.expose_secret().trim().is_empty()), unset: None, limit }
    }

    /// Says by its name what would hold the key, a variable or a setting: a server that wants one may refuse.
    #[must_use]
    pub fn keyed_by(self, setting: String) -> Self {
        let unset = self.key.is_none().then_some(setting);
        Self { unset, ..self }
    }

    /// Returns the URL that prompts go to.
    pub fn url(&self) -> &str {
        &self.chat
    }

    fn headers(&self) -> Vec<(String, Value)> {
        let unset = self.unset.iter().map(|setting| ("authorization".to_owned(), Value::Unset(setting.clone())));
        bearer(self.key.as_ref()).into_iter().chain(unset).collect()
    }

    fn body(&self, request: &Request) -> Json {
        let mut body = json!({
            "model": request.model,
            "messages": messages(request),
            "stream": true,
            "stream_options": {"include_usage": true},
        });
        let Some(fields) = body.as_object_mut() else { return body };
        if !request.tools.is_empty() {
            fields.insert("tools".into(), request.tools.iter().map(tool).collect());
        }
        tune(fields, request, self.limit);
        body
    }
}

impl Engine for OpenAi {
    fn name(&self) -> &str {
        &self.name
    }

    fn dialect(&self) -> Option<&'static str> {
        Some("openai-chat")
    }

    fn reply(&self, request: &Request) -> Reply {
        let call = HttpCall {
            method: Method::Post,
            url: self.chat.clone(),
            headers: self.headers(),
            body: Some(Bytes::from(self.body(request).to_string())),
            framing: Framing::Sse,
        };
        Reply::Http { call, decode: Box::new(Chat::new()) }
    }

    fn can_oblige(&self) -> bool {
        true
    }

    fn questions(&self) -> Option<Questions> {
        Some(Questions::at(self.models.clone(), &self.headers()))
    }

    fn survey(&self) -> Option<Survey> {
        let (url, headers) = (self.models.clone(), self.headers());
        let call = HttpCall { method: Method::Get, url, headers, body: None, framing: Framing::Ndjson };
        Some(Survey { calls: vec![call], read: |answers| discover::openai_models(answers.first().copied().flatten()?) })
    }
}

/// Says how the answer is wanted. `limit` is what the most tokens are called there.
pub(super) fn tune(fields: &mut Map<String, Json>, request: &Request, limit: &str) {
    let Tuning { max_output, temperature, top_p, must_call } = request.tuning;
    fields.extend(max_output.map(|most| (limit.to_owned(), most.into())));
    fields.extend(temperature.map(|value| ("temperature".to_owned(), value.into())));
    fields.extend(top_p.map(|value| ("top_p".to_owned(), value.into())));
    if must_call && !request.tools.is_empty() {
        fields.insert("tool_choice".into(), "required".into());
    }
}

/// Describes a tool in the form that both families of servers take.
/// Returns the header that carries a key, if there is one.
pub(super) fn bearer(key: Option<&SecretString>) -> Vec<(String, Value)> {
    let value = |key: &SecretString| Value::Secret(format!("Bearer {}", key.expose_secret().trim()).into());
    key.map(|key| ("authorization".to_owned(), value(key))).into_iter().collect()
}

pub(super) fn tool(tool: &ToolSpec) -> Json {
    let ToolSpec { name, description, parameters, risk: _ } = tool;
    json!({"type": "function", "function": {"name": name, "description": description, "parameters": parameters}})
}

/// Returns what the model is told a call gave. The formats have no mark for failure, so words must do.
pub(super) fn told(output: &str, outcome: Outcome) -> String {
    match outcome {
        Outcome::Ok => output.to_owned(),
        Outcome::Failed if output.to_lowercase().starts_with("error") => output.to_owned(),
        Outcome::Failed => format!("error: {output}"),
        Outcome::Denied | Outcome::Cancelled | Outcome::Requested | Outcome::Unknown => {
            format!("({}) {output}", outcome.name())
        }
    }
}

/// Returns arguments as a JSON object. Servers parse them to fill their templates and fail on anything else, also in
/// messages long past.
pub(super) fn args(call: &PastCall) -> Json {
    match serde_json::from_str(&call.args) {
        Ok(Json::Object(object)) => Json::Object(object),
        _ if call.args.trim().is_empty() => Json::Object(Map::new()),
        _ => json!({"malformed_arguments": call.args}),
    }
}

fn messages(request: &Request) -> Vec<Json> {
    let system = Some(&request.system).filter(|text| !text.is_empty());
    let system = system.map(|text| json!({"role": "system", "content": text}));
    system.into_iter().chain(request.past.iter().map(message)).collect()
}

fn message(past: &Past) -> Json {
    match past {
        Past::User { text } => json!({"role": "user", "content": text}),
        Past::Assistant { text, reasoning: _, calls, carry } => {
            let content = if text.is_empty() && !calls.is_empty() { Json::Null } else { text.as_str().into() };
            let mut message = json!({"role": "assistant", "content": content});
            if !calls.is_empty() {
                message["tool_calls"] = calls.iter().map(call).collect();
            }
            merged(message, carry.as_ref())
        }
        Past::Tool { call, name: _, output, outcome } => {
            json!({"role": "tool", "tool_call_id": call.as_str(), "content": told(output, *outcome)})
        }
    }
}

/// Returns arguments as the text of a JSON object, as the model wrote it where it wrote one.
pub(super) fn args_text(past: &PastCall) -> String {
    let is_object =
        serde_json::from_str::<&serde_json::value::RawValue>(&past.args).is_ok_and(|raw| raw.get().starts_with('{'));
    if is_object { past.args.clone() } else { args(past).to_string() }
}

fn call(past: &PastCall) -> Json {
    let function = json!({"name": past.name, "arguments": args_text(past)});
    merged(json!({"id": past.call.as_str(), "type": "function", "function": function}), past.carry.as_ref())
}

/// Adds the fields that the decoder kept for the way back.
fn merged(mut object: Json, carry: Option<&Json>) -> Json {
    if let (Some(fields), Some(carry)) = (object.as_object_mut(), carry.and_then(Json::as_object)) {
        for (key, value) in carry.iter().filter(|(key, _)| CARRIED.contains(&key.as_str())) {
            fields.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    object
}

#[cfg(test)]
mod tests;
