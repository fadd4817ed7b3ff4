//! Lists what can be chosen: the models of every configured engine and of discovered local servers.

use super::local_servers;
use super::{EngineResolver, LIST_MODELS_TIMEOUT, env_variable};
use crate::config::EngineConfig;
use crate::engine::discover::{self, ModelInfo, Readiness};
use crate::engine::spec::EmbeddedModels;
use crate::event::{Fault, FaultKind};
use crate::net::probe;
use crate::store::models::{ModelChoice, ModelFacts};
use crate::text::address::{is_loopback, is_same_server};
use crate::text::display_url;

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
        if let Some(EmbeddedModels { list, .. }) = config.kind.embedded {
            let listed = tokio::task::spawn_blocking(move || list(&env_variable)).await;
            return listed.map_err(|error| Fault::new(FaultKind::Internal, error.to_string()));
        }
        let query = (config.kind.build)(self.options(name, config).await?).model_list_query();
        let Some(query) = query else { return Ok(Vec::new()) };
        let answers = probe::join_json(&self.http, &query.requests, LIST_MODELS_TIMEOUT).await;
        query.parse_answers(&answers).map_err(|fault| Fault { message: format!("{name}: {}", fault.message), ..fault })
    }

    /// Queries every configured engine and every discovered server for its models, in parallel.
    pub async fn list_all(&self) -> Vec<EngineListing> {
        let configured = self.config().engines.iter().map(|(name, config)| async move {
            // A vendor without a key, or a local server that isn't configured, would only list errors.
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

    /// Returns whether this is a server of this machine that is at its default address without any configuration.
    pub(super) fn is_unset_local(&self, name: &str) -> bool {
        self.config().engines.get(name).is_some_and(is_unset_local)
    }

    async fn is_configured(&self, name: &str, config: &EngineConfig) -> bool {
        let url = config.resolved_base_url(&env_variable).unwrap_or_default();
        let is_keyed = || async { self.options(name, config).await.is_ok_and(|options| options.has_key()) };
        !is_unset_local(config) && (!config.kind.is_vendor(&url) || is_keyed().await)
    }

    /// Returns what `/model` can offer, discovered servers first: choosing one accepts it.
    pub async fn model_choices(self) -> Vec<ModelChoice> {
        let mut listed = self.list_all().await;
        listed.sort_by_key(|listed| !listed.is_discovered);
        let mut out = Vec::new();
        for listed in listed {
            let found = if listed.is_discovered && !listed.is_accepted { "found here" } else { "" };
            if listed.is_loading {
                out.push(ModelChoice::new(listed.engine, "is loading its model"));
                continue;
            }
            if listed.is_discovered && listed.models.is_err() {
                out.push(ModelChoice::new(listed.engine, "needs a key"));
                continue;
            }
            let origin = listed.base_url.as_deref().map_or_else(|| "built in".to_owned(), display_url::origin);
            let models = match listed.models {
                Ok(models) => models,
                Err(fault) => {
                    let facts = ModelFacts { origin, trouble: fault.message, ..ModelFacts::default() };
                    out.push(ModelChoice { facts, ..ModelChoice::new(listed.engine, "no answer") });
                    continue;
                }
            };
            for model in models {
                let name = format!("{}/{}", listed.engine, model.id);
                let remark = [found, &model.remark].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>();
                let facts = self.model_facts(&listed.engine, &model, &origin);
                out.push(ModelChoice { facts, ..ModelChoice::new(name, remark.join(" · ")) });
            }
        }
        out
    }

    /// Returns what the server says of a model, and what is known of one of that name.
    fn model_facts(&self, engine: &str, model: &ModelInfo, origin: &str) -> ModelFacts {
        let config = self.config();
        let (abilities, efforts) = config.abilities(&model.id);
        ModelFacts {
            window: config.configured_window(&model.id).or(model.context_window).or_else(|| config.window(&model.id)),
            price: config.price_at(engine, &model.id, &env_variable),
            origin: origin.to_owned(),
            abilities,
            efforts: efforts.into_iter().map(|effort| effort.name().to_owned()).collect(),
            trouble: String::new(),
        }
    }
}

fn is_unset_local(config: &EngineConfig) -> bool {
    let is_set = config.kind.address_variables.iter().any(|name| env_variable(name).is_some());
    config.kind.is_local() && !is_set && config.resolved_base_url(&env_variable).is_some_and(|url| is_loopback(&url))
}
