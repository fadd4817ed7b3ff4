//! Anthropic Messages at any base URL: Anthropic itself, and servers and gateways with the same API.
//!
//! The results of one round of calls are one user message, in the order of the calls; adjacent messages of one role are
//! merged. Provider metadata goes back verbatim. A call is only sent together with its result, and a call of the
//! server's own tools only with the server's own blocks.

mod messages;

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::discover::{ModelInfo, ModelListQuery};
use super::spec::{EngineSpec, price_unless_local, trim_base_url};
use super::{Engine, ModelRequest, ReplyPlan};
use crate::dialect::anthropic::AnthropicDecoder as Decoder;
use crate::event::{Effort, Json, OutputFormat, SamplingParams, ToolSpec};
use crate::net::request::{Framing, HttpHeaderValue, HttpRequest};
use crate::text::address::base_and_query;

const API_VERSION: &str = "2023-06-01";
const MESSAGES_PATH: &str = "/messages";
/// Models listed of one server.
const MAX_MODELS: usize = 2000;

/// What may be thought where a model takes a limit of tokens; the least is the server's.
const MIN_THINKING_TOKENS: u64 = 1024;
const LOW_THINKING_TOKENS: u64 = 4096;
const MEDIUM_THINKING_TOKENS: u64 = 10_000;
const HIGH_THINKING_TOKENS: u64 = 16_000;

/// Anthropic's API.
pub const SPEC: EngineSpec = EngineSpec {
    name: "anthropic",
    dialect: "anthropic",
    address_variables: &["ANTHROPIC_BASE_URL"],
    key_variable: Some("ANTHROPIC_API_KEY"),
    token_variable: Some("ANTHROPIC_AUTH_TOKEN"),
    model_variable: Some("ANTHROPIC_MODEL"),
    default_address: Some("https://api.anthropic.com"),
    default_model: Some("claude-sonnet-4-5"),
    embedded: None,
    model_prefixes: &["claude"],
    loads_by_name: false,
    setup_hint: "not set up: ANTHROPIC_API_KEY, or ANTHROPIC_BASE_URL for your own gateway",
    no_model_hint: "name one as ENGINE/MODEL",
    base_url: trim_base_url,
    pricing: price_unless_local,
    description: None,
    build: |options| {
        let auth = match (options.token, options.key) {
            (Some(token), _) => AnthropicAuth::BearerToken(token),
            (None, Some(key)) => AnthropicAuth::ApiKey(key),
            (None, None) => AnthropicAuth::None,
        };
        let engine = AnthropicEngine::new(options.name, &options.base_url, auth);
        Arc::new(engine.with_missing_key_setting(options.key_setting))
    },
};

/// Credentials for the server.
#[derive(Clone, Debug)]
pub enum AnthropicAuth {
    None,
    /// Sent as `x-api-key`.
    ApiKey(SecretString),
    /// Sent as a bearer token, for gateways.
    BearerToken(SecretString),
}

/// Client of one server's Messages API.
#[derive(Clone, Debug)]
pub struct AnthropicEngine {
    name: String,
    messages_url: String,
    models_url: String,
    auth: AnthropicAuth,
    /// Name of the variable or setting that would hold a key, for a server that wants one.
    missing_key_setting: Option<String>,
    /// Only Anthropic itself is known to accept `cache_control`.
    supports_cache_control: bool,
}

impl AnthropicEngine {
    /// Takes a base URL in any of the forms people use: with or without `/v1`, a trailing slash or `/v1/messages`. A
    /// query is kept.
    pub fn new(name: String, base_url: &str, auth: AnthropicAuth) -> Self {
        let (base, query) = base_and_query(base_url, MESSAGES_PATH);
        let base = base.strip_suffix("/v1").unwrap_or(&base);
        let is_blank = |secret: &SecretString| secret.expose_secret().trim().is_empty();
        let auth = match auth {
            AnthropicAuth::ApiKey(secret) | AnthropicAuth::BearerToken(secret) if is_blank(&secret) => {
                AnthropicAuth::None
            }
            auth => auth,
        };
        Self {
            name,
            messages_url: format!("{base}/v1{MESSAGES_PATH}{query}"),
            models_url: if query.is_empty() {
                format!("{base}/v1/models?limit=1000")
            } else {
                format!("{base}/v1/models{query}")
            },
            auth,
            missing_key_setting: None,
            supports_cache_control: SPEC.is_vendor(base),
        }
    }

    /// Sets the name of the variable or setting that would hold a key, for the message where a server refuses.
    #[must_use]
    pub fn with_missing_key_setting(self, setting: String) -> Self {
        Self { missing_key_setting: Some(setting), ..self }
    }

    /// Returns the URL for prompts.
    pub fn url(&self) -> &str {
        &self.messages_url
    }

    fn headers(&self) -> Vec<(String, HttpHeaderValue)> {
        let mut headers = vec![("anthropic-version".to_owned(), HttpHeaderValue::Plain(API_VERSION.to_owned()))];
        match &self.auth {
            AnthropicAuth::None => {
                headers.extend(
                    self.missing_key_setting
                        .iter()
                        .map(|name| ("x-api-key".to_owned(), HttpHeaderValue::Unset(name.clone()))),
                );
            }
            AnthropicAuth::ApiKey(key) => {
                headers.push((
                    "x-api-key".to_owned(),
                    HttpHeaderValue::Secret(key.expose_secret().trim().to_owned().into()),
                ));
            }
            AnthropicAuth::BearerToken(token) => {
                let bearer = format!("Bearer {}", token.expose_secret().trim());
                headers.push(("authorization".to_owned(), HttpHeaderValue::Secret(bearer.into())));
            }
        }
        headers
    }

    fn body(&self, request: &ModelRequest) -> Json {
        let mut body = json!({
            "model": request.model,
            "max_tokens": request.sampling.max_output_tokens.unwrap_or_else(|| default_max_tokens(&request.model)),
            "messages": messages::messages(&request.history, self.supports_cache_control),
            "stream": true,
        });
        let Some(fields) = body.as_object_mut() else { return body };
        if !request.system.is_empty() {
            fields.insert("system".into(), request.system.as_str().into());
        }
        if !request.tools.is_empty() {
            fields.insert("tools".into(), request.tools.iter().map(tool).collect());
            if request.sampling.tool_choice_required {
                fields.insert("tool_choice".into(), json!({"type": "any"}));
            }
        }
        let SamplingParams { temperature, top_p, .. } = request.sampling;
        fields.extend(temperature.map(|value| ("temperature".to_owned(), json!(value))));
        fields.extend(top_p.map(|value| ("top_p".to_owned(), json!(value))));
        add_effort(fields, request);
        if let Some(OutputFormat::Schema(schema)) = request.output_format.as_deref() {
            let format = json!({"type": "json_schema", "schema": schema.schema});
            let config = fields.entry("output_config").or_insert_with(|| json!({}));
            config["format"] = format;
        }
        body
    }
}

/// Adds how much the model is to think: newer models take a level, older ones a limit of tokens, with which neither the
/// temperature nor the choice of a tool may be set.
fn add_effort(fields: &mut serde_json::Map<String, Json>, request: &ModelRequest) {
    let Some(effort) = request.sampling.effort else { return };
    if !thinks_to_a_limit(&request.model) {
        fields.insert("output_config".into(), json!({"effort": effort.name()}));
        return;
    }
    let max_tokens = fields.get("max_tokens").and_then(Json::as_u64).unwrap_or(0);
    let budget = match effort {
        Effort::None => return,
        Effort::On | Effort::Minimal | Effort::Low => LOW_THINKING_TOKENS,
        Effort::Medium => MEDIUM_THINKING_TOKENS,
        Effort::High | Effort::Xhigh | Effort::Max => HIGH_THINKING_TOKENS,
    };
    // Half of the answer's limit at most is thought.
    let budget = budget.min(max_tokens / 2);
    let is_fixed = ["temperature", "top_p", "tool_choice"].iter().any(|name| fields.contains_key(*name));
    if budget >= MIN_THINKING_TOKENS && !is_fixed {
        fields.insert("thinking".into(), json!({"type": "enabled", "budget_tokens": budget}));
    }
}

/// Whether it is of those before `output_config.effort`.
fn thinks_to_a_limit(model: &str) -> bool {
    const NAMES: [&str; 9] = [
        "claude-3-",
        "claude-opus-4-0",
        "claude-opus-4-1",
        "claude-opus-4-2",
        "claude-sonnet-4-0",
        "claude-sonnet-4-2",
        "claude-sonnet-4-5",
        "claude-haiku-4-5",
        "claude-haiku-3",
    ];
    let model = model.to_ascii_lowercase();
    let model = model.rsplit(['/', '.']).find(|part| part.starts_with("claude-")).unwrap_or_default();
    NAMES.iter().any(|name| model.starts_with(name))
}

impl Engine for AnthropicEngine {
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
        let call = HttpRequest::post(&self.messages_url, self.headers(), self.body(request).to_string(), Framing::Sse);
        ReplyPlan::http(call, Decoder::new())
    }

    fn supports_required_tools(&self) -> bool {
        true
    }

    /// Only of a schema: there is no word for any JSON.
    fn supports_output_format(&self, format: &OutputFormat) -> bool {
        matches!(format, OutputFormat::Schema(_))
    }

    fn model_list_query(&self) -> Option<ModelListQuery> {
        let call = HttpRequest::get(&self.models_url, self.headers(), Framing::Ndjson);
        Some(ModelListQuery { requests: vec![call], parse: |answers| models(answers.first().copied().flatten()?) })
    }
}

/// Parses the list of models. None if it is something else.
fn models(answer: &Json) -> Option<Vec<ModelInfo>> {
    let mut models = Vec::new();
    for entry in answer.get("data")?.as_array()?.iter().take(MAX_MODELS) {
        let id = entry.get("id")?.as_str()?.to_owned();
        let name = entry.get("display_name").and_then(Json::as_str).filter(|name| *name != id);
        let window = entry.get("max_input_tokens").and_then(Json::as_u64).filter(|n| *n > 0);
        models.push(ModelInfo { remark: name.unwrap_or_default().to_owned(), id, context_window: window });
    }
    Some(models)
}

/// Returns the output limit to send where none is set: the field is required, and a limit beyond the model's is
/// rejected.
fn default_max_tokens(model: &str) -> u32 {
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
