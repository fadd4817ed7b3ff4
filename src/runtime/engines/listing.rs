//! Lists what can be chosen: the models of every configured engine and of discovered local servers.

use super::local_servers;
use super::{EngineResolver, LIST_MODELS_TIMEOUT, env_variable, key_setting};
use crate::config::{EngineConfig, EngineKind};
use crate::engine::Engine as _;
use crate::engine::anthropic::{AnthropicAuth, AnthropicEngine};
use crate::engine::discover::{self, ModelInfo, Readiness};
use crate::engine::offline;
use crate::engine::ollama::OllamaEngine;
use crate::engine::openai::OpenAiEngine;
use crate::engine::openai_responses::ResponsesEngine;
use crate::event::{Fault, FaultKind};
use crate::net::probe;
use crate::store::models::ModelChoice;
use crate::text::address::{has_host, is_loopback, is_same_server};

/// An engine as `doctor` and `models` show it.
pub struct EngineListing {
    pub engine: String,
    pub base_url: Option<String>,
    pub models: Result<Vec<ModelInfo>, Fault>,
    /// Discovered rather than configured.
    pub is_discovered: bool,
    /// Discovered, and accepted by the person before.
    pub is_accepted: bool,
    /// It is loading its model.
    pub is_loading: bool,
}

impl EngineResolver {
    pub(super) async fn list_models(&self, name: &str, config: &EngineConfig) -> Result<Vec<ModelInfo>, Fault> {
        let url = config.resolved_base_url(&env_variable).unwrap_or_default();
        let query = match config.kind {
            EngineKind::Offline => {
                return Ok(vec![ModelInfo {
                    id: offline::MODEL_NAME.to_owned(),
                    remark: "embedded, not a language model".to_owned(),
                    context_window: None,
                }]);
            }
            EngineKind::OpenAi => OpenAiEngine::new(name.to_owned(), &url, self.api_key(config).await?)
                .with_missing_key_setting(key_setting(name, config))
                .model_list_query(),
            EngineKind::OpenAiResponses => {
                let engine = ResponsesEngine::new(name.to_owned(), &url, self.api_key(config).await?);
                engine.with_missing_key_setting(key_setting(name, config)).model_list_query()
            }
            EngineKind::Anthropic => {
                let engine = AnthropicEngine::new(name.to_owned(), &url, self.anthropic_auth(name, config).await?);
                engine.with_missing_key_setting(key_setting(name, config)).model_list_query()
            }
            EngineKind::Ollama => {
                OllamaEngine::new(name.to_owned(), &url).with_key(self.api_key(config).await?).model_list_query()
            }
        };
        let Some(query) = query else { return Ok(Vec::new()) };
        let answers = probe::join_json(&self.http, &query.requests, LIST_MODELS_TIMEOUT).await;
        query.parse_answers(&answers).map_err(|fault| Fault { message: format!("{name}: {}", fault.message), ..fault })
    }

    /// Queries every configured engine and every discovered server for its models, in parallel.
    pub async fn list_all(&self) -> Vec<EngineListing> {
        let configured = self.config().engines.iter().map(|(name, config)| async move {
            // OpenAI without a key, or an Ollama that isn't configured, would only list errors.
            if !self.is_configured(name, config).await {
                return None;
            }
            Some(EngineListing {
                engine: name.clone(),
                base_url: config.resolved_base_url(&env_variable),
                models: self.list_models(name, config).await,
                is_discovered: false,
                is_accepted: false,
                is_loading: false,
            })
        });
        let (listed, found) = tokio::join!(futures_util::future::join_all(configured), self.probe_local_servers());
        let mut listed: Vec<EngineListing> = listed.into_iter().flatten().collect();
        for (found, name) in found.iter().zip(discover::engine_names(&found)) {
            let known = |listed: &EngineListing| {
                listed.base_url.as_deref().is_some_and(|url| is_same_server(url, &found.base_url))
            };
            if listed.iter().any(known) {
                continue;
            }
            let models = match found.readiness {
                Readiness::Ready => Ok(found.models.clone()),
                Readiness::Loading | Readiness::NeedsKey => {
                    Err(Fault::new(FaultKind::Upstream, local_servers::offer_text(found)))
                }
            };
            let agreed = self.accepted.contains(found);
            let loading = found.readiness == Readiness::Loading;
            listed.push(EngineListing {
                engine: name,
                base_url: Some(found.base_url.clone()),
                models,
                is_discovered: true,
                is_accepted: agreed,
                is_loading: loading,
            });
        }
        listed
    }

    /// Returns whether this is Ollama at its default address without any configuration.
    pub(super) fn is_unset_ollama(&self, name: &str) -> bool {
        self.config().engines.get(name).is_some_and(|config| {
            config.kind == EngineKind::Ollama
                && env_variable("OLLAMA_HOST").is_none()
                && config.resolved_base_url(&env_variable).is_some_and(|url| is_loopback(&url))
        })
    }

    async fn is_configured(&self, name: &str, config: &EngineConfig) -> bool {
        let url = config.resolved_base_url(&env_variable).unwrap_or_default();
        match config.kind {
            EngineKind::Offline => true,
            EngineKind::OpenAi | EngineKind::OpenAiResponses => {
                !has_host(&url, "api.openai.com") || matches!(self.api_key(config).await, Ok(Some(_)))
            }
            EngineKind::Anthropic => {
                let keyed = || async {
                    matches!(
                        self.anthropic_auth(name, config).await,
                        Ok(AnthropicAuth::ApiKey(_) | AnthropicAuth::BearerToken(_))
                    )
                };
                !has_host(&url, "api.anthropic.com") || keyed().await
            }
            EngineKind::Ollama => env_variable("OLLAMA_HOST").is_some() || !is_loopback(&url),
        }
    }

    /// Returns what `/model` can offer, discovered servers first: choosing one accepts it.
    pub async fn model_choices(self) -> Vec<ModelChoice> {
        let mut listed = self.list_all().await;
        listed.sort_by_key(|listed| !listed.is_discovered);
        let mut out = Vec::new();
        for listed in listed {
            let found = if listed.is_discovered && !listed.is_accepted { "found here" } else { "" };
            if listed.is_loading {
                out.push(ModelChoice { name: listed.engine, remark: "is loading its model".to_owned() });
                continue;
            }
            if listed.is_discovered && listed.models.is_err() {
                out.push(ModelChoice { name: listed.engine, remark: "needs a key".to_owned() });
                continue;
            }
            for model in listed.models.unwrap_or_default() {
                let name = format!("{}/{}", listed.engine, model.id);
                let remark = [found, &model.remark].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>();
                out.push(ModelChoice { name, remark: remark.join(" · ") });
            }
        }
        out
    }
}
