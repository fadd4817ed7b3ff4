//! What there is to choose from: every configured engine's models, and those of the servers found here.

use super::around;
use super::{Chooser, LIST, env, key_setting};
use crate::config::{EngineConfig, EngineKind};
use crate::engine::Engine as _;
use crate::engine::anthropic::{Anthropic, Pass};
use crate::engine::discover::{self, ModelInfo, Readiness};
use crate::engine::offline;
use crate::engine::ollama::Ollama;
use crate::engine::openai::OpenAi;
use crate::engine::openai_responses::OpenAiResponses;
use crate::event::{Fault, FaultKind};
use crate::net::probe;
use crate::store::msg::ModelChoice;
use crate::text::address::{is_host, is_loopback, is_same_server};

/// One engine as `doctor` and `models` show it.
pub struct Listed {
    pub engine: String,
    pub base_url: Option<String>,
    pub models: Result<Vec<ModelInfo>, Fault>,
    /// Found by looking around rather than configured.
    pub found: bool,
    /// Found, and the person said yes to it before.
    pub agreed: bool,
    /// It is loading its model.
    pub loading: bool,
}

impl Chooser {
    pub(super) async fn list(&self, name: &str, config: &EngineConfig) -> Result<Vec<ModelInfo>, Fault> {
        let url = config.resolved_base_url(&env).unwrap_or_default();
        let survey = match config.kind {
            EngineKind::Offline => {
                return Ok(vec![ModelInfo {
                    id: offline::MODEL.to_owned(),
                    remark: "embedded, not a language model".to_owned(),
                    window: None,
                }]);
            }
            EngineKind::OpenAi => {
                OpenAi::new(name.to_owned(), &url, self.key(config).await?).keyed_by(key_setting(name, config)).survey()
            }
            EngineKind::OpenAiResponses => {
                let engine = OpenAiResponses::new(name.to_owned(), &url, self.key(config).await?);
                engine.keyed_by(key_setting(name, config)).survey()
            }
            EngineKind::Anthropic => {
                let engine = Anthropic::new(name.to_owned(), &url, self.anthropic_pass(name, config).await?);
                engine.keyed_by(key_setting(name, config)).survey()
            }
            EngineKind::Ollama => Ollama::new(name.to_owned(), &url).with_key(self.key(config).await?).survey(),
        };
        let Some(survey) = survey else { return Ok(Vec::new()) };
        let answers = probe::gather(&self.http, &survey.calls, LIST).await;
        survey.read(&answers).map_err(|fault| Fault { message: format!("{name}: {}", fault.message), ..fault })
    }

    /// Asks every configured engine and every server found here for its models, side by side.
    pub async fn list_all(&self) -> Vec<Listed> {
        let configured = self.config().engines.iter().map(|(name, config)| async move {
            // Asking OpenAI's service without a key, or an Ollama nobody pointed to, would only list errors.
            if !self.is_set_up(name, config).await {
                return None;
            }
            Some(Listed {
                engine: name.clone(),
                base_url: config.resolved_base_url(&env),
                models: self.list(name, config).await,
                found: false,
                agreed: false,
                loading: false,
            })
        });
        let (listed, found) = tokio::join!(futures_util::future::join_all(configured), self.probe());
        let mut listed: Vec<Listed> = listed.into_iter().flatten().collect();
        for (found, name) in found.iter().zip(discover::names(&found)) {
            let known =
                |listed: &Listed| listed.base_url.as_deref().is_some_and(|url| is_same_server(url, &found.base_url));
            if listed.iter().any(known) {
                continue;
            }
            let models = match found.readiness {
                Readiness::Ready => Ok(found.models.clone()),
                Readiness::Loading | Readiness::WantsKey => Err(Fault::new(FaultKind::Upstream, around::offer(found))),
            };
            let agreed = self.agreed.holds(found);
            let loading = found.readiness == Readiness::Loading;
            listed.push(Listed {
                engine: name,
                base_url: Some(found.base_url.clone()),
                models,
                found: true,
                agreed,
                loading,
            });
        }
        listed
    }

    /// Whether this is the Ollama of the usual place, to which nobody pointed.
    pub(super) fn is_unset_ollama(&self, name: &str) -> bool {
        self.config().engines.get(name).is_some_and(|config| {
            config.kind == EngineKind::Ollama
                && env("OLLAMA_HOST").is_none()
                && config.resolved_base_url(&env).is_some_and(|url| is_loopback(&url))
        })
    }

    async fn is_set_up(&self, name: &str, config: &EngineConfig) -> bool {
        let url = config.resolved_base_url(&env).unwrap_or_default();
        match config.kind {
            EngineKind::Offline => true,
            EngineKind::OpenAi | EngineKind::OpenAiResponses => {
                !is_host(&url, "api.openai.com") || matches!(self.key(config).await, Ok(Some(_)))
            }
            EngineKind::Anthropic => {
                let keyed =
                    || async { matches!(self.anthropic_pass(name, config).await, Ok(Pass::Key(_) | Pass::Token(_))) };
                !is_host(&url, "api.anthropic.com") || keyed().await
            }
            EngineKind::Ollama => env("OLLAMA_HOST").is_some() || !is_loopback(&url),
        }
    }

    /// Returns what `/model` can offer, what was found here first: to choose it there is to say yes.
    pub async fn choices(self) -> Vec<ModelChoice> {
        let mut listed = self.list_all().await;
        listed.sort_by_key(|listed| !listed.found);
        let mut out = Vec::new();
        for listed in listed {
            let found = if listed.found && !listed.agreed { "found here" } else { "" };
            if listed.loading {
                out.push(ModelChoice { name: listed.engine, remark: "is loading its model".to_owned() });
                continue;
            }
            if listed.found && listed.models.is_err() {
                out.push(ModelChoice { name: listed.engine, remark: "wants a key".to_owned() });
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
