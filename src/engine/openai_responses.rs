//! OpenAI Responses at any base URL: OpenAI itself, vLLM, LM Studio, Ollama, OpenRouter, ….
//!
//! Nothing is stored at the server: the whole conversation is sent each time, and encrypted reasoning goes back
//! unchanged, so that a model keeps its reasoning between two requests. What goes back has no ids, since the server
//! would look them up and find nothing.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, json};

use super::discover::ModelListQuery;
use super::model_details::ModelDetailsQuery;
use super::openai::{self, add_sampling_params, args_text, bearer_header, named_schema, tool_result_text};
use super::spec::EngineSpec;
use super::{Engine, HistoryCall, HistoryMessage, ModelRequest, ReplyPlan};
use crate::dialect::responses::ResponsesDecoder;
use crate::event::{CallId, Decision, Json, OutputFormat, PromptImage, ToolSpec};
use crate::net::request::{Framing, HttpHeaderValue, HttpRequest};
use crate::text::address::base_and_query;

const RESPONSES_PATH: &str = "/responses";

/// OpenAI's newer API, at the same servers with the same key.
pub const SPEC: EngineSpec = EngineSpec {
    name: "openai-responses",
    dialect: "openai-responses",
    // Those of the other API come first.
    model_prefixes: &[],
    build: |options| {
        let engine = ResponsesEngine::new(options.name, &options.base_url, options.key);
        Arc::new(engine.with_missing_key_setting(options.key_setting))
    },
    ..openai::SPEC
};

/// Client of one server's Responses API.
#[derive(Clone, Debug)]
pub struct ResponsesEngine {
    name: String,
    responses_url: String,
    models_url: String,
    key: Option<SecretString>,
    /// Name of the variable or setting that would hold a key, for a server that wants one.
    missing_key_setting: Option<String>,
}

impl ResponsesEngine {
    /// Takes a base URL in any of the forms people use: with or without scheme, `/v1`, a trailing slash or
    /// `/responses`. A query is kept.
    pub fn new(name: String, base_url: &str, key: Option<SecretString>) -> Self {
        let (base, query) = base_and_query(base_url, RESPONSES_PATH);
        let (responses, models) = (format!("{base}{RESPONSES_PATH}{query}"), format!("{base}/models{query}"));
        let key = key.filter(|key| !key.expose_secret().trim().is_empty());
        Self { name, responses_url: responses, models_url: models, key, missing_key_setting: None }
    }

    /// Sets the name of the variable or setting that would hold a key, for the message where a server refuses.
    #[must_use]
    pub fn with_missing_key_setting(self, setting: String) -> Self {
        let unset = self.key.is_none().then_some(setting);
        Self { missing_key_setting: unset, ..self }
    }

    /// Returns the URL for prompts.
    pub fn url(&self) -> &str {
        &self.responses_url
    }

    fn headers(&self) -> Vec<(String, HttpHeaderValue)> {
        let unset = self
            .missing_key_setting
            .iter()
            .map(|setting| ("authorization".to_owned(), HttpHeaderValue::Unset(setting.clone())));
        bearer_header(self.key.as_ref()).into_iter().chain(unset).collect()
    }
}

impl Engine for ResponsesEngine {
    fn name(&self) -> &str {
        &self.name
    }

    fn takes_images(&self) -> bool {
        true
    }

    fn dialect(&self) -> Option<&'static str> {
        Some(SPEC.dialect)
    }

    fn plan_reply(&self, request: &ModelRequest) -> ReplyPlan {
        let call = HttpRequest::post(&self.responses_url, self.headers(), body(request).to_string(), Framing::Sse);
        let decoder = ResponsesDecoder::for_model(&request.model).with_open_calls(&request.open_calls());
        ReplyPlan::http(call, decoder)
    }

    fn supports_required_tools(&self) -> bool {
        true
    }

    fn supports_output_format(&self, _format: &OutputFormat) -> bool {
        true
    }

    fn model_details_query(&self) -> Option<ModelDetailsQuery> {
        Some(ModelDetailsQuery::for_list_url(self.models_url.clone(), &self.headers()))
    }

    fn model_list_query(&self) -> Option<ModelListQuery> {
        Some(ModelListQuery::openai(&self.models_url, self.headers()))
    }
}

fn body(request: &ModelRequest) -> Json {
    let mut body = json!({"model": request.model, "input": input(request), "stream": true, "store": false});
    let Some(fields) = body.as_object_mut() else { return body };
    if !request.system.is_empty() {
        fields.insert("instructions".into(), request.system.as_str().into());
    }
    if !request.tools.is_empty() {
        fields.insert("tools".into(), request.tools.iter().map(tool).collect());
    }
    add_sampling_params(fields, request, "max_output_tokens");
    if let Some(format) = request.output_format.as_deref() {
        fields.insert("text".into(), json!({"format": text_format(format)}));
    }
    if let Some(effort) = request.sampling.effort {
        fields.insert("reasoning".into(), json!({"effort": effort.name()}));
    }
    if can_reason(&request.model) {
        fields.insert("include".into(), json!(["reasoning.encrypted_content"]));
    }
    body
}

fn text_format(format: &OutputFormat) -> Json {
    match format {
        OutputFormat::Json => json!({"type": "json_object"}),
        OutputFormat::Schema(schema) => {
            let mut format = named_schema(schema);
            format["type"] = "json_schema".into();
            format
        }
    }
}

/// OpenAI rejects requests for encrypted reasoning from models that have none. Other servers ignore them.
fn can_reason(model: &str) -> bool {
    let model = bare_model_name(model);
    let model = model.strip_prefix("ft:").unwrap_or(&model);
    !["gpt-3", "gpt-4", "chatgpt-"].into_iter().any(|old| model.starts_with(old)) && !model.contains("-chat")
}

/// Describes a tool. By default the server requires strict schemas, which few tools have.
fn tool(tool: &ToolSpec) -> Json {
    let ToolSpec { name, description, parameters, risk: _ } = tool;
    json!({"type": "function", "name": name, "description": description, "parameters": parameters, "strict": false})
}

fn input(request: &ModelRequest) -> Vec<Json> {
    let mut items = Vec::new();
    let mut custom: Vec<&CallId> = Vec::new();
    // Approved again, the server would run it again.
    let decided: Vec<&CallId> = request.decided_calls().map(|(call, _, _)| &call.call).collect();
    for past in &request.history {
        match past {
            HistoryMessage::User { text, images } => items.push(user_message(text, images)),
            HistoryMessage::Assistant { text, reasoning: _, calls, provider_metadata: metadata } => {
                custom.extend(calls.iter().filter(|call| is_custom(call)).map(|call| &call.call));
                push_assistant(text, calls, restored_items(metadata.as_ref(), &request.model), &decided, &mut items);
                let decided = calls.iter().filter(|call| decided.contains(&&call.call));
                items.extend(decided.filter_map(approval_response));
            }
            HistoryMessage::Tool { call, name: _, output, outcome } => {
                let kind = if custom.contains(&call) { "custom_tool_call_output" } else { "function_call_output" };
                items.push(
                    json!({"type": kind, "call_id": call.as_str(), "output": tool_result_text(output, *outcome)}),
                );
            }
        }
    }
    items
}

/// Returns the items that the decoder kept, for the model that wrote them. Another model can't read them.
fn restored_items<'a>(metadata: Option<&'a Json>, model: &str) -> &'a [Json] {
    let Some(metadata) = metadata.and_then(|metadata| metadata.get("responses")) else { return &[] };
    let theirs = metadata.get("model").and_then(Json::as_str).map(bare_model_name);
    let ours = bare_model_name(model);
    // The names in responses have dates that the requested ones need not have.
    let is_dated = |rest: &str| rest.is_empty() || rest.strip_prefix('-').is_some_and(|rest| rest.starts_with("20"));
    if theirs.is_some_and(|theirs| !theirs.strip_prefix(&ours).is_some_and(is_dated)) {
        return &[];
    }
    metadata.get("items").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The model's name in lower case, without its vendor's.
fn bare_model_name(model: &str) -> String {
    model.rsplit('/').next().unwrap_or(model).to_ascii_lowercase()
}

/// Adds the items of an assistant message: in their original order where that is known. Reasoning precedes the items it
/// led to, and is left out where those are gone.
fn push_assistant(text: &str, calls: &[HistoryCall], kept_items: &[Json], decided: &[&CallId], items: &mut Vec<Json>) {
    let mut text = Some(text).filter(|text| !text.is_empty());
    let mut left: Vec<&HistoryCall> = calls.iter().collect();
    let mut reasoning: Vec<&Json> = Vec::new();
    for entry in kept_items {
        let field = |key: &str| entry.get(key).and_then(Json::as_str);
        let item = match field("type") {
            Some("message") => text.take().map(|text| with_phase(message("assistant", text), entry.get("phase"))),
            Some("function_call" | "custom_tool_call") => {
                let at = left.iter().position(|call| field("id").is_some() && item_id(call) == field("id"));
                at.map(|at| call(left.remove(at), decided))
            }
            Some("reasoning") => {
                reasoning.push(entry);
                continue;
            }
            // The server's compaction of a conversation stands for itself.
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
    items.extend(left.into_iter().map(|left| call(left, decided)));
}

fn message(role: &str, text: &str) -> Json {
    json!({"type": "message", "role": role, "content": text})
}

fn user_message(text: &str, images: &[PromptImage]) -> Json {
    let mut message = message("user", text);
    if !images.is_empty() {
        let text = Some(json!({"type": "input_text", "text": text})).filter(|_| !text.is_empty());
        let image =
            |image: &PromptImage| json!({"type": "input_image", "detail": "auto", "image_url": image.data_url()});
        message["content"] = text.into_iter().chain(images.iter().map(image)).collect();
    }
    message
}

fn with_phase(mut message: Json, phase: Option<&Json>) -> Json {
    if let (Some(fields), Some(phase)) = (message.as_object_mut(), phase) {
        fields.insert("phase".into(), phase.clone());
    }
    message
}

/// Returns the id of the item that the call was.
fn item_id(call: &HistoryCall) -> Option<&str> {
    call.provider_metadata.as_ref()?.get("item_id")?.as_str()
}

fn is_custom(call: &HistoryCall) -> bool {
    call.provider_metadata.as_ref().and_then(|metadata| metadata.get("custom")) == Some(&Json::Bool(true))
}

/// Returns the server's request for the approval of an MCP call, as it was written.
fn mcp_request(call: &HistoryCall) -> Option<&Json> {
    let request = &call.approval.as_ref()?.request;
    (request.get("type").and_then(Json::as_str) == Some("mcp_approval_request")).then_some(request)
}

/// Returns what was decided about an MCP call, in the server's words.
fn approval_response(call: &HistoryCall) -> Option<Json> {
    let decision = call.approval.as_ref()?.decision.as_ref()?;
    let (id, approve) = (mcp_request(call)?.get("id")?, decision.allows());
    let mut item = json!({"type": "mcp_approval_response", "approval_request_id": id, "approve": approve});
    if let Decision::Deny(Some(reason)) = decision {
        item["reason"] = reason.as_str().into();
    }
    Some(item)
}

fn call(past: &HistoryCall, decided: &[&CallId]) -> Json {
    if let Some(request) = mcp_request(past).filter(|_| decided.contains(&&past.call)) {
        return request.clone();
    }
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
