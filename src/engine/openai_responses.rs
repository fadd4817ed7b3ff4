//! OpenAI Responses at any base URL: OpenAI itself, vLLM, LM Studio, Ollama, OpenRouter, ….
//!
//! Nothing is stored at the server: the whole conversation is sent each time, and reasoning comes encrypted and goes
//! back as it came, so that a model does not lose its thread between two calls. What goes back has no ids, for the
//! server would look them up and find nothing.

use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, json};

use super::describe::Questions;
use super::discover::{self, Survey};
use super::openai::{args_text, bearer, told, tune};
use super::{Engine, Past, PastCall, Reply, Request};
use crate::dialect::responses::Responses;
use crate::event::{CallId, Json, ToolSpec};
use crate::net::call::{Framing, HttpCall, Method, Value};
use crate::text::address::base_and_query;

const RESPONSES: &str = "/responses";

/// Speaks Responses with one server.
#[derive(Clone, Debug)]
pub struct OpenAiResponses {
    name: String,
    responses: String,
    models: String,
    key: Option<SecretString>,
    /// What would hold a key, for a server that wants one.
    unset: Option<String>,
}

impl OpenAiResponses {
    /// Takes a base URL in any of the forms people use: with or without scheme, `/v1`, a slash at the end or
    /// `/responses`. A query is kept.
    pub fn new(name: String, base_url: &str, key: Option<SecretString>) -> Self {
        let (base, query) = base_and_query(base_url, RESPONSES);
        let (responses, models) = (format!("{base}{RESPONSES}{query}"), format!("{base}/models{query}"));
        let key = key.filter(|key| !key.expose_secret().trim().is_empty());
        Self { name, responses, models, key, unset: None }
    }

    /// Says by its name what would hold the key, a variable or a setting: a server that wants one may refuse.
    #[must_use]
    pub fn keyed_by(self, setting: String) -> Self {
        let unset = self.key.is_none().then_some(setting);
        Self { unset, ..self }
    }

    /// Returns the URL that prompts go to.
    pub fn url(&self) -> &str {
        &self.responses
    }

    fn headers(&self) -> Vec<(String, Value)> {
        let unset = self.unset.iter().map(|setting| ("authorization".to_owned(), Value::Unset(setting.clone())));
        bearer(self.key.as_ref()).into_iter().chain(unset).collect()
    }
}

impl Engine for OpenAiResponses {
    fn name(&self) -> &str {
        &self.name
    }

    fn dialect(&self) -> Option<&'static str> {
        Some("openai-responses")
    }

    fn reply(&self, request: &Request) -> Reply {
        let call = HttpCall {
            method: Method::Post,
            url: self.responses.clone(),
            headers: self.headers(),
            body: Some(Bytes::from(body(request).to_string())),
            framing: Framing::Sse,
        };
        Reply::Http { call, decode: Box::new(Responses::of(&request.model)) }
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

fn body(request: &Request) -> Json {
    let mut body = json!({"model": request.model, "input": input(request), "stream": true, "store": false});
    let Some(fields) = body.as_object_mut() else { return body };
    if !request.system.is_empty() {
        fields.insert("instructions".into(), request.system.as_str().into());
    }
    if !request.tools.is_empty() {
        fields.insert("tools".into(), request.tools.iter().map(tool).collect());
    }
    tune(fields, request, "max_output_tokens");
    if may_reason(&request.model) {
        fields.insert("include".into(), json!(["reasoning.encrypted_content"]));
    }
    body
}

/// OpenAI refuses to encrypt the reasoning of models that have none. Other servers ignore the wish.
fn may_reason(model: &str) -> bool {
    let model = bare(model);
    let model = model.strip_prefix("ft:").unwrap_or(&model);
    !["gpt-3", "gpt-4", "chatgpt-"].into_iter().any(|old| model.starts_with(old)) && !model.contains("-chat")
}

/// Describes a tool. Unless told otherwise, the server demands schemas of a form that few tools have.
fn tool(tool: &ToolSpec) -> Json {
    let ToolSpec { name, description, parameters, risk: _ } = tool;
    json!({"type": "function", "name": name, "description": description, "parameters": parameters, "strict": false})
}

fn input(request: &Request) -> Vec<Json> {
    let mut items = Vec::new();
    let mut custom: Vec<&CallId> = Vec::new();
    for past in &request.past {
        match past {
            Past::User { text } => items.push(message("user", text)),
            Past::Assistant { text, reasoning: _, calls, carry } => {
                custom.extend(calls.iter().filter(|call| is_custom(call)).map(|call| &call.call));
                assistant(text, calls, carried(carry.as_ref(), &request.model), &mut items);
            }
            Past::Tool { call, name: _, output, outcome } => {
                let kind = if custom.contains(&call) { "custom_tool_call_output" } else { "function_call_output" };
                items.push(json!({"type": kind, "call_id": call.as_str(), "output": told(output, *outcome)}));
            }
        }
    }
    items
}

/// Returns what the decoder kept of a message for the model that said it. Another cannot read it.
fn carried<'a>(carry: Option<&'a Json>, model: &str) -> &'a [Json] {
    let Some(carry) = carry.and_then(|carry| carry.get("responses")) else { return &[] };
    let theirs = carry.get("model").and_then(Json::as_str).map(bare);
    let ours = bare(model);
    // The wire's names have dates that those asked for need not have.
    let is_dated = |rest: &str| rest.is_empty() || rest.strip_prefix('-').is_some_and(|rest| rest.starts_with("20"));
    if theirs.is_some_and(|theirs| !theirs.strip_prefix(&ours).is_some_and(is_dated)) {
        return &[];
    }
    carry.get("items").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The model's name in lower case, without its maker's.
fn bare(model: &str) -> String {
    model.rsplit('/').next().unwrap_or(model).to_ascii_lowercase()
}

/// Tells what the assistant said: in the order it came where that is known. Reasoning stands before what it led to, and
/// is left out where that is gone.
fn assistant(text: &str, calls: &[PastCall], carried: &[Json], items: &mut Vec<Json>) {
    let mut text = Some(text).filter(|text| !text.is_empty());
    let mut left: Vec<&PastCall> = calls.iter().collect();
    let mut reasoning: Vec<&Json> = Vec::new();
    for entry in carried {
        let field = |key: &str| entry.get(key).and_then(Json::as_str);
        let item = match field("type") {
            Some("message") => text.take().map(|text| phased(message("assistant", text), entry.get("phase"))),
            Some("function_call" | "custom_tool_call") => {
                let at = left.iter().position(|call| field("id").is_some() && item_id(call) == field("id"));
                at.map(|at| call(left.remove(at)))
            }
            Some("reasoning") => {
                reasoning.push(entry);
                continue;
            }
            // A conversation that the server made shorter stands for itself.
            _ => Some(entry.clone()),
        };
        match item {
            Some(item) => {
                items.extend(reasoning.drain(..).cloned());
                items.push(item);
            }
            None => reasoning.clear(),
        }
    }
    items.extend(text.map(|text| message("assistant", text)));
    items.extend(left.into_iter().map(call));
}

fn message(role: &str, text: &str) -> Json {
    json!({"type": "message", "role": role, "content": text})
}

fn phased(mut message: Json, phase: Option<&Json>) -> Json {
    if let (Some(fields), Some(phase)) = (message.as_object_mut(), phase) {
        fields.insert("phase".into(), phase.clone());
    }
    message
}

/// Returns the id of the item that the call was.
fn item_id(call: &PastCall) -> Option<&str> {
    call.carry.as_ref()?.get("item_id")?.as_str()
}

fn is_custom(call: &PastCall) -> bool {
    call.carry.as_ref().and_then(|carry| carry.get("custom")) == Some(&Json::Bool(true))
}

fn call(past: &PastCall) -> Json {
    let (call_id, name) = (past.call.as_str(), &past.name);
    if is_custom(past) {
        let args: Map<String, Json> = serde_json::from_str(&past.args).unwrap_or_default();
        let input = args.get("input").and_then(Json::as_str).unwrap_or_default();
        return json!({"type": "custom_tool_call", "call_id": call_id, "name": name, "input": input});
    }
    json!({"type": "function_call", "call_id": call_id, "name": name, "arguments": args_text(past)})
}

#[cfg(test)]
mod tests;
