//! Chooses the engine: from flag, settings, environment, a local server that the person accepted, or the embedded one,
//! in this order.

mod accepted;
mod listing;
mod local_servers;
mod lookup;

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use crate::agent::{DescribeModel, EngineChoice};
use crate::config::{Config, EngineConfig, Env, LoadedConfig, Origin};
use crate::engine::discover::{self, DiscoveredServer, Readiness, ServerKind};
use crate::engine::model_details::ModelDetails;
use crate::engine::offline::{self, OfflineEngine};
use crate::engine::spec::{EmbeddedModels, EngineOptions, ModelDescription};
use crate::engine::{ENGINES, Engine, EngineSpec, ollama, openai};
use crate::event::{Effort, Fault, FaultKind, NoticeCode};
use crate::net::failure::is_loading;
use crate::net::{HttpClient, probe, register_secret};
use crate::text::address::is_cleartext_remote;
use crate::text::display_url::{has_login, origin};
pub(super) use accepted::AcceptedServers;
pub use listing::EngineListing;
use lookup::{KnownModel, find_unique};

/// Time limit for listing a server's models.
const LIST_MODELS_TIMEOUT: Duration = Duration::from_secs(5);
/// Time limit of each query for a model's description, of which there may be two. The first prompt waits for it.
const DESCRIBE_MODEL_TIMEOUT: Duration = Duration::from_millis(1500);

/// Everything needed to choose an engine. Cheap to clone into a task.
#[derive(Clone)]
pub struct EngineResolver {
    pub loaded: Arc<LoadedConfig>,
    pub http: HttpClient,
    /// Servers that the person accepted.
    pub(super) accepted: AcceptedServers,
    /// Nobody can be prompted.
    pub(super) is_unattended: bool,
    /// The embedded engine's pauses are skipped if nobody watches.
    pub offline_pace: f32,
}

/// The origin of a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RequestedBy {
    Person,
    /// The settings of a folder, which may be written by somebody else.
    Project,
}

/// The explicit choice, before any probing.
#[derive(Clone, Debug, PartialEq, Eq)]
enum RequestedEngine {
    Named { engine: String, model: Option<String>, why: String, by: RequestedBy },
    Unspecified,
}

impl EngineResolver {
    /// Resolves as for an interactive client.
    #[must_use]
    pub fn interactive(self) -> Self {
        Self { is_unattended: false, ..self }
    }

    /// Chooses the engine to begin with.
    pub async fn resolve(self) -> Result<EngineChoice, Fault> {
        match self.requested(&env_variable) {
            RequestedEngine::Named { engine, model, why, by } => {
                self.check_allowed(&engine, by).await?;
                self.resolve_engine(&engine, model, why).await
            }
            RequestedEngine::Unspecified => self.resolve_unspecified().await,
        }
    }

    /// Chooses the engine that a session had when it was left, unless a flag or a variable names another. Where it can't
    /// be had any more, the usual choice answers, and a warning says so.
    pub(super) async fn resolve_kept(self, kept: String) -> Result<EngineChoice, Fault> {
        let origin = self.loaded.entries.get("model").map(|entry| &entry.origin);
        let (engine, model) = Config::model_parts(&kept);
        // Nobody chooses the embedded engine to stay with it: it answers while there is no other.
        if matches!(origin, Some(Origin::Flag(_) | Origin::Environment(_))) || engine == offline::SPEC.name {
            return self.resolve().await;
        }
        let had = match self.check_allowed(engine, RequestedBy::Project).await {
            Ok(()) => {
                self.resolve_engine(engine, model.map(str::to_owned), "as this session was left".to_owned()).await
            }
            Err(fault) => Err(fault),
        };
        match had {
            Ok(choice) => Ok(choice),
            Err(fault) => {
                let mut choice = self.resolve().await?;
                let text = format!("{kept}, which this session had, can't be used: {}", fault.message);
                choice.warnings.push((NoticeCode::Model, text));
                Ok(choice)
            }
        }
    }

    /// Creates the engine for a name written `engine/model`, `engine` or, if unambiguous, just a model. Choosing a
    /// discovered server accepts it.
    pub async fn switch_to(self, name: String) -> Result<EngineChoice, String> {
        let mut choice = self.resolve_name(&name, "chosen with /model").await.map_err(|fault| fault.message)?;
        let engine = choice.engine.name();
        let is_found = !self.config().engines.contains_key(engine) || self.is_unset_local(engine);
        if is_found && let Some(found) = self.find_local_server(engine).await {
            choice
                .warnings
                .extend(self.accept_server(&found, &choice.model).map(|text| (NoticeCode::NotRemembered, text)));
        }
        Ok(choice)
    }

    /// The same; `why` is the reason shown for the choice.
    pub(super) async fn resolve_name(&self, name: &str, why: &str) -> Result<EngineChoice, Fault> {
        let (engine, model) = Config::model_parts(name);
        self.resolve_engine(engine, model.map(str::to_owned), why.to_owned()).await
    }

    fn config(&self) -> &Config {
        &self.loaded.config
    }

    fn requested(&self, env: Env<'_>) -> RequestedEngine {
        if let Some(name) = &self.config().model {
            let (engine, model) = Config::model_parts(name);
            let why = match self.loaded.entries.get("model").map(|entry| &entry.origin) {
                Some(Origin::Flag(flag)) => format!("flag {flag}"),
                Some(Origin::Environment(name)) => (*name).to_owned(),
                Some(Origin::Project { .. }) => "the project's config".to_owned(),
                Some(Origin::User { .. } | Origin::Default) | None => "config".to_owned(),
            };
            let project =
                matches!(self.loaded.entries.get("model").map(|entry| &entry.origin), Some(Origin::Project { .. }));
            let by = if project { RequestedBy::Project } else { RequestedBy::Person };
            return RequestedEngine::Named { engine: engine.to_owned(), model: model.map(str::to_owned), why, by };
        }
        let set = |name: &str| env(name).is_some_and(|value| !value.trim().is_empty());
        let named = ENGINES.iter().find_map(|spec| Some((spec, spec.variables().find(|name| set(name))?)));
        named.map_or(RequestedEngine::Unspecified, |(spec, variable)| RequestedEngine::Named {
            engine: spec.name.to_owned(),
            model: None,
            why: variable.to_owned(),
            by: RequestedBy::Person,
        })
    }

    async fn resolve_engine(&self, name: &str, model: Option<String>, why: String) -> Result<EngineChoice, Fault> {
        if let Some(config) = self.config().engines.get(name) {
            let model = match model {
                Some(model) => model,
                None => self.default_model(name, config).await?,
            };
            return self.describe_and_build(name, config, model, why).await;
        }
        if let Some(found) = self.find_local_server(name).await {
            let config = discovered_config(&found);
            let model = match (model, found.models.first(), found.readiness) {
                (Some(model), _, _) => model,
                (None, Some(first), _) => first.id.clone(),
                (None, None, Readiness::Loading) => local_servers::PLACEHOLDER_MODEL.to_owned(),
                (None, None, _) => return Err(Fault::new(FaultKind::BadRequest, local_servers::offer_text(&found))),
            };
            return self.describe_and_build(name, &config, model, why).await;
        }
        let whole = model.map_or_else(|| name.to_owned(), |model| format!("{name}/{model}"));
        let models = KnownModel::from_listings(&self.list_all().await);
        if let Some(KnownModel { engine, model, .. }) = find_unique(&models, &whole)? {
            return Box::pin(self.resolve_engine(engine, Some(model.clone()), why)).await;
        }
        if let Some(absent) = discover::not_found_fault(name) {
            return Err(absent);
        }
        let engines: Vec<&str> = self.config().engines.keys().map(String::as_str).collect();
        Err(lookup::unknown_model_fault(&whole, &engines, &models))
    }

    /// Picks the default model: from the environment, the vendor's default, or the first one available.
    async fn default_model(&self, name: &str, config: &EngineConfig) -> Result<String, Fault> {
        let spec = config.kind;
        // The variable does not apply to other engines that take their address from the environment.
        let variable = spec.model_variable.filter(|_| name == spec.name);
        if let Some(model) = variable.and_then(env_variable).filter(|model| !model.is_empty()) {
            return Ok(model);
        }
        let url = config.resolved_base_url(&env_variable);
        if let Some(model) = spec.default_model
            && url.is_none_or(|url| spec.is_vendor(&url))
        {
            return Ok(model.to_owned());
        }
        let models = match self.list_models(name, config).await {
            Err(fault) if is_loading(&fault) && !spec.loads_by_name => {
                return Ok(local_servers::PLACEHOLDER_MODEL.to_owned());
            }
            listed => listed?,
        };
        models
            .into_iter()
            .next()
            .map(|model| model.id)
            .ok_or_else(|| Fault::new(FaultKind::BadRequest, format!("{name} has no model; {}", spec.no_model_hint)))
    }

    /// Returns the query for the server's description of its model, unless the settings have everything.
    fn description_fetcher(&self, engine: &Arc<dyn Engine>, model: &str) -> Option<DescribeModel> {
        let questions = engine.model_details_query()?;
        let (http, model, own) = (self.http.clone(), model.to_owned(), self.config().configured_window(model));
        Some(Arc::new(move || {
            let (http, questions, model) = (http.clone(), questions.clone(), model.clone());
            Box::pin(async move {
                let list = probe::join_json(&http, &[questions.list_request], DESCRIBE_MODEL_TIMEOUT).await;
                let (details, more) = match list.first() {
                    Some(Ok(list)) => ModelDetails::from_list(&model, list),
                    // A server without such a list may have the information elsewhere; one that is loading or slow will
                    // have it later.
                    Some(Err(fault)) if fault.kind == FaultKind::BadRequest => (ModelDetails::default(), true),
                    Some(Err(_)) | None => return None,
                };
                let details = if more {
                    let answers = probe::join_json(&http, &questions.detail_requests, DESCRIBE_MODEL_TIMEOUT).await;
                    let answers: Vec<_> = answers.iter().map(|answer| answer.as_ref().ok()).collect();
                    details.with_answers(&model, &answers)
                } else {
                    details
                };
                // Settings win.
                Some(ModelDetails { context_window: details.context_window.filter(|_| own.is_none()), ..details })
            })
        }))
    }

    /// Builds the choice of a known engine and model.
    async fn describe_and_build(
        &self,
        name: &str,
        config: &EngineConfig,
        model: String,
        why: String,
    ) -> Result<EngineChoice, Fault> {
        let spec = config.kind;
        let mut options = self.options(name, config).await?;
        if spec.is_vendor(&options.base_url) && !options.has_key() {
            return Err(missing_key_fault(name, config));
        }
        let details = match (&spec.description, spec.embedded) {
            (Some(description), _) => self.describe(description, &options, &model).await,
            (None, Some(EmbeddedModels { describe, .. })) => {
                let name = model.clone();
                let details = tokio::task::spawn_blocking(move || describe(&name, &env_variable)).await;
                let details = details.map_err(|error| Fault::new(FaultKind::Internal, error.to_string()))??;
                ModelDetails { context_window: self.config().window(&model).or(details.context_window), ..details }
            }
            (None, None) => ModelDetails {
                context_window: self.config().window(&model),
                takes_images: self.config().takes_images(&model),
                ..ModelDetails::default()
            },
        };
        options.context_window = details.context_window;
        let warning = cleartext_warning(name, config, &options);
        let is_vendor = spec.is_vendor(&options.base_url);
        let engine = (spec.build)(options);
        Ok(EngineChoice {
            supports_tools: details.supports_tools != Some(false),
            is_text_only: details.takes_images == Some(false),
            warnings: warning.map(|text| (NoticeCode::Exposed, text)).into_iter().collect(),
            // The vendors' own services report nothing that isn't known here.
            describe: if is_vendor { None } else { self.description_fetcher(&engine, &model) },
            context_window: details.context_window,
            price: self.config().price_at(name, &model, &env_variable),
            efforts: self.efforts(spec, &model, details),
            first_byte_timeout: config.first_byte_timeout,
            idle_timeout: config.idle_timeout,
            no_output_timeout: config.no_output_timeout,
            max_retries: config.retries,
            ..EngineChoice::new(engine, model, why)
        })
    }

    /// Returns the levels of thinking that a model takes; none where that isn't known.
    fn efforts(&self, spec: &EngineSpec, model: &str, details: ModelDetails) -> Vec<Effort> {
        if spec.embedded.is_some() {
            let is_thinker = details.supports_thinking == Some(true);
            return if is_thinker { vec![Effort::None, Effort::On] } else { Vec::new() };
        }
        let known = self.config().abilities(model).1;
        match (details.supports_thinking, spec.name == ollama::SPEC.name) {
            // It has levels only for models that are made for them.
            (Some(true), true) if known.is_empty() => vec![Effort::None, Effort::On],
            (Some(false), _) => Vec::new(),
            _ => known,
        }
    }

    /// Queries what an engine must know before it is built; a slow response must not delay the chat.
    async fn describe(&self, description: &ModelDescription, options: &EngineOptions, model: &str) -> ModelDetails {
        let requests = (description.requests)(options, model);
        let answers = probe::join_json(&self.http, &requests, DESCRIBE_MODEL_TIMEOUT).await;
        let answers: Vec<_> = answers.iter().map(|answer| answer.as_ref().ok()).collect();
        let details = (description.parse)(model, &answers);
        // Settings win.
        let window = self.config().configured_window(model).or(details.context_window);
        ModelDetails { context_window: window, ..details }
    }

    /// Gathers what an engine is built from, with the key in every place where it may be.
    async fn options(&self, name: &str, config: &EngineConfig) -> Result<EngineOptions, Fault> {
        let token = token(name, config, &env_variable);
        token.iter().for_each(register_secret);
        Ok(EngineOptions {
            name: name.to_owned(),
            base_url: config.resolved_base_url(&env_variable).unwrap_or_default(),
            key: if token.is_some() { None } else { self.api_key(config).await? },
            token,
            key_setting: key_setting(name, config),
            context_window: None,
            top_k: config.top_k,
            seed: config.seed.map(u64::from),
            pace: self.offline_pace,
        })
    }

    /// A key may come from a slow command.
    async fn api_key(&self, config: &EngineConfig) -> Result<Option<SecretString>, Fault> {
        let config = config.clone();
        let key = tokio::task::spawn_blocking(move || config.resolved_api_key(&env_variable))
            .await
            .map_err(|error| Fault::new(FaultKind::Internal, error.to_string()))??;
        key.iter().for_each(register_secret);
        Ok(key)
    }

    fn offline_choice(&self, why: &str) -> EngineChoice {
        let engine = Arc::new(OfflineEngine { pace: self.offline_pace });
        EngineChoice {
            price: Some((0.0, 0.0)),
            ..EngineChoice::new(engine, offline::MODEL_NAME.to_owned(), why.to_owned())
        }
    }
}

/// Returns the token from the environment, which wins over the key in the environment, but not over one in the
/// settings.
fn token(name: &str, config: &EngineConfig, env: Env<'_>) -> Option<SecretString> {
    let spec = config.kind;
    let key = config.api_key.as_deref();
    let is_usual = key.is_none_or(|key| key.strip_prefix("env:").map(str::trim) == spec.key_variable);
    let variable = spec.token_variable.filter(|_| name == spec.name && is_usual)?;
    env(variable).map(|token| token.trim().to_owned()).filter(|token| !token.is_empty()).map(SecretString::from)
}

/// Warns once about an unencrypted connection.
fn cleartext_warning(name: &str, config: &EngineConfig, options: &EngineOptions) -> Option<String> {
    let url = &options.base_url;
    if !is_cleartext_remote(url) {
        return None;
    }
    let what = match options {
        options if options.has_key() => "the API key and the whole conversation go",
        _ if has_login(url) => "the login and the whole conversation go",
        _ => return None,
    };
    let setting = config.address_setting(name, &env_variable);
    Some(format!("{what} to {} unencrypted; if that server supports HTTPS, write https:// in {setting}", origin(url)))
}

/// Says what to set, before sending a request that can only fail.
fn missing_key_fault(name: &str, config: &EngineConfig) -> Fault {
    let wanted = key_setting(name, config);
    let text = format!("no API key for {name}; set {wanted}, or choose another engine with -m or /model");
    Fault::new(FaultKind::Auth, text)
}

/// Returns where an engine's key is configured: a variable or a setting.
fn key_setting(name: &str, config: &EngineConfig) -> String {
    match config.api_key.as_deref().and_then(|key| key.strip_prefix("env:")) {
        Some(variable) => variable.trim().to_owned(),
        None => format!("engines.{name}.api_key"),
    }
}

/// Returns the settings of a discovered server.
fn discovered_config(found: &DiscoveredServer) -> EngineConfig {
    let kind = if found.kind == ServerKind::Ollama { &ollama::SPEC } else { &openai::SPEC };
    EngineConfig { base_url: Some(found.base_url.clone()), ..EngineConfig::new(kind) }
}

pub(super) fn env_variable(name: &str) -> Option<String> {
    crate::config::environment::variable(name)
}

#[cfg(test)]
mod tests;
