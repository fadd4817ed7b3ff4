//! OpenAI chat completions at any base URL: OpenAI itself, vLLM, llama.cpp, LM Studio, SGLang, OpenRouter, Groq, ….
//!
//! Only fields that every such server accepts are sent. Provider metadata goes back verbatim.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, json};

use super::discover::ModelListQuery;
use super::model_details::ModelDetailsQuery;
use super::spec::{EngineSpec, price_unless_local, trim_base_url};
use super::{Engine, HistoryCall, HistoryMessage, ModelRequest, ReplyPlan};
use crate::dialect::chat::ChatDecoder;
use crate::event::{CallOutcome, Json, OutputFormat, OutputSchema, PromptImage, SamplingParams, ToolSpec};
use crate::net::request::{Framing, HttpHeaderValue, HttpRequest};
use crate::text::address::base_and_query;

const CHAT_COMPLETIONS_PATH: &str = "/chat/completions";
/// The provider metadata of this dialect's decoder. That of other dialects is of no use here.
const PROVIDER_METADATA_KEYS: &[&str] = &["reasoning_content", "reasoning_details", "extra_content"];

/// OpenAI's older API, which most other servers have too.
pub const SPEC: EngineSpec = EngineSpec {
    name: "openai",
    dialect: "openai-chat",
    address_variables: &["OPENAI_BASE_URL", "OPENAI_API_BASE"],
    key_variable: Some("OPENAI_API_KEY"),
    token_variable: None,
    model_variable: Some("OPENAI_MODEL"),
    default_address: Some("https://api.openai.com/v1"),
    default_model: Some("gpt-4.1-mini"),
    embedded: None,
    model_prefixes: &["gpt-", "chatgpt", "o1", "o3", "o4"],
    loads_by_name: false,
    setup_hint: "not set up: OPENAI_API_KEY, or OPENAI_BASE_URL for your own server",
    no_model_hint: "name one as ENGINE/MODEL",
    base_url: trim_base_url,
    pricing: price_unless_local,
    description: None,
    build: |options| {
        let engine = OpenAiEngine::new(options.name, &options.base_url, options.key);
        Arc::new(engine.with_missing_key_setting(options.key_setting))
    },
};

/// Client of one server's chat completions.
#[derive(Clone, Debug)]
pub struct OpenAiEngine {
    name: String,
    chat_url: String,
    models_url: String,
    key: Option<SecretString>,
    /// Name of the variable or setting that would hold a key, for a server that wants one.
    missing_key_setting: Option<String>,
    /// OpenAI's own models reject the old name of the output limit, other servers the new one.
    max_tokens_field: &'static str,
}

impl OpenAiEngine {
    /// Takes a base URL in any of the forms people use: with or without scheme, `/v1`, a trailing slash or
    /// `/chat/completions`. A query is kept.
    pub fn new(name: String, base_url: &str, key: Option<SecretString>) -> Self {
        let (base, query) = base_and_query(base_url, CHAT_COMPLETIONS_PATH);
        let limit = if SPEC.is_vendor(&base) { "max_completion_tokens" } else { "max_tokens" };
        let (chat, models) = (format!("{base}{CHAT_COMPLETIONS_PATH}{query}"), format!("{base}/models{query}"));
        Self {
            name,
            chat_url: chat,
            models_url: models,
            key: key.filter(|key| !key.expose_secret().trim().is_empty()),
            missing_key_setting: None,
            max_tokens_field: limit,
        }
    }

    /// Sets the name of the variable or setting that would hold a key, for the message where a server refuses.
    #[must_use]
    pub fn with_missing_key_setting(self, setting: String) -> Self {
        let unset = self.key.is_none().then_some(setting);
        Self { missing_key_setting: unset, ..self }
    }

    /// Returns the URL for prompts.
    pub fn url(&self) -> &str {
        &self.chat_url
    }

    fn headers(&self) -> Vec<(String, HttpHeaderValue)> {
        let unset = self
            .missing_key_setting
            .iter()
            .map(|setting| ("authorization".to_owned(), HttpHeaderValue::Unset(setting.clone())));
        bearer_header(self.key.as_ref()).into_iter().chain(unset).collect()
    }

    fn body(&self, request: &ModelRequest) -> Json {
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
        add_sampling_params(fields, request, self.max_tokens_field);
        if let Some(format) = request.output_format.as_deref() {
            fields.insert("response_format".into(), response_format(format));
        }
        if let Some(effort) = request.sampling.effort {
            fields.insert("reasoning_effort".into(), effort.name().into());
        }
        body
    }
}

impl Engine for OpenAiEngine {
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
        let call = HttpRequest::post(&self.chat_url, self.headers(), self.body(request).to_string(), Framing::Sse);
        ReplyPlan::http(call, ChatDecoder::new())
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

fn response_format(format: &OutputFormat) -> Json {
    match format {
        OutputFormat::Json => json!({"type": "json_object"}),
        OutputFormat::Schema(schema) => json!({"type": "json_schema", "json_schema": named_schema(schema)}),
    }
}

/// Returns a schema with its name and what else is known of it.
pub(super) fn named_schema(schema: &OutputSchema) -> Json {
    let mut named = json!({"name": schema.name_or_default(), "schema": schema.schema});
    if let Some(description) = &schema.description {
        named["description"] = description.as_str().into();
    }
    if let Some(strict) = schema.strict {
        named["strict"] = strict.into();
    }
    named
}

/// Adds the sampling parameters. `limit` is the server's name for the output limit.
pub(super) fn add_sampling_params(fields: &mut Map<String, Json>, request: &ModelRequest, limit: &str) {
    let SamplingParams {
        max_output_tokens: max_output,
        temperature,
        top_p,
        effort: _,
        tool_choice_required: must_call,
    } = request.sampling;
    fields.extend(max_output.map(|tokens| (limit.to_owned(), tokens.into())));
    fields.extend(temperature.map(|value| ("temperature".to_owned(), value.into())));
    fields.extend(top_p.map(|value| ("top_p".to_owned(), value.into())));
    if must_call && !request.tools.is_empty() {
        fields.insert("tool_choice".into(), "required".into());
    }
}

/// Returns the header that carries a key, if there is one.
pub(super) fn bearer_header(key: Option<&SecretString>) -> Vec<(String, HttpHeaderValue)> {
    let value = |key: &SecretString| HttpHeaderValue::Secret(format!("Bearer {}", key.expose_secret().trim()).into());
    key.map(|key| ("authorization".to_owned(), value(key))).into_iter().collect()
}

pub(super) fn tool(tool: &ToolSpec) -> Json {
    let ToolSpec { name, description, parameters, risk: _ } = tool;
    json!({"type": "function", "function": {"name": name, "description": description, "parameters": parameters}})
}

/// Returns the result of a call for the model. The formats have no field for failure, so the text must say it.
pub(super) fn tool_result_text(output: &str, outcome: CallOutcome) -> String {
    match outcome {
        CallOutcome::Ok => output.to_owned(),
        CallOutcome::Failed if output.to_lowercase().starts_with("error") => output.to_owned(),
        CallOutcome::Failed => format!("error: {output}"),
        CallOutcome::Denied | CallOutcome::Cancelled | CallOutcome::Requested | CallOutcome::Unknown => {
            format!("({}) {output}", outcome.name())
        }
    }
}

/// Returns arguments as a JSON object. Servers parse them for their templates and fail on anything else, even in old
/// messages.
pub(super) fn args_object(call: &HistoryCall) -> Json {
    match serde_json::from_str(&call.args) {
        Ok(Json::Object(object)) => Json::Object(object),
        _ if call.args.trim().is_empty() => Json::Object(Map::new()),
        _ => json!({"malformed_arguments": call.args}),
    }
}

fn messages(request: &ModelRequest) -> Vec<Json> {
    let system = Some(&request.system).filter(|text| !text.is_empty());
    let system = system.map(|text| json!({"role": "system", "content": text}));
    system.into_iter().chain(request.history.iter().map(message)).collect()
}

fn message(past: &HistoryMessage) -> Json {
    match past {
        HistoryMessage::User { text, images } => json!({"role": "user", "content": user_content(text, images)}),
        HistoryMessage::Assistant { text, reasoning: _, calls, provider_metadata: metadata } => {
            let content = if text.is_empty() && !calls.is_empty() { Json::Null } else { text.as_str().into() };
            let mut message = json!({"role": "assistant", "content": content});
            if !calls.is_empty() {
                message["tool_calls"] = calls.iter().map(call).collect();
            }
            merge_provider_metadata(message, metadata.as_ref())
        }
        HistoryMessage::Tool { call, name: _, output, outcome } => {
            json!({"role": "tool", "tool_call_id": call.as_str(), "content": tool_result_text(output, *outcome)})
        }
    }
}

/// Returns a prompt as a text, which every server takes, or as parts where images go with it.
pub(super) fn user_content(text: &str, images: &[PromptImage]) -> Json {
    if images.is_empty() {
        return text.into();
    }
    let text = Some(json!({"type": "text", "text": text})).filter(|_| !text.is_empty());
    let image = |image: &PromptImage| json!({"type": "image_url", "image_url": {"url": image.data_url()}});
    text.into_iter().chain(images.iter().map(image)).collect()
}

/// Returns arguments as the text of a JSON object, unchanged where the model wrote one.
pub(super) fn args_text(past: &HistoryCall) -> String {
    let is_object =
        serde_json::from_str::<&serde_json::value::RawValue>(&past.args).is_ok_and(|raw| raw.get().starts_with('{'));
    if is_object { past.args.clone() } else { args_object(past).to_string() }
}

fn call(past: &HistoryCall) -> Json {
    let function = json!({"name": past.name, "arguments": args_text(past)});
    merge_provider_metadata(
        json!({"id": past.call.as_str(), "type": "function", "function": function}),
        past.provider_metadata.as_ref(),
    )
}

/// Adds the fields that the decoder kept to be sent back.
fn merge_provider_metadata(mut object: Json, metadata: Option<&Json>) -> Json {
    if let (Some(fields), Some(metadata)) = (object.as_object_mut(), metadata.and_then(Json::as_object)) {
        for (key, value) in metadata.iter().filter(|(key, _)| PROVIDER_METADATA_KEYS.contains(&key.as_str())) {
            fields.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    object
}

#[cfg(test)]
mod tests;
