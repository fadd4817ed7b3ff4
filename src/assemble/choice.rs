//! Which engine answers, and why: flag, then config, then environment, then a server found on this machine, then the
//! embedded one.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use crate::agent::EngineChoice;
use crate::config::address::is_loopback;
use crate::config::{Config, EngineConfig, EngineKind, Loaded, Origin};
use crate::engine::Engine;
use crate::engine::anthropic::{Anthropic, Pass};
use crate::engine::discover::{self, Found, Kind, ModelInfo};
use crate::engine::offline::{self, Offline};
use crate::engine::ollama::Ollama;
use crate::engine::openai::OpenAi;
use crate::engine::openai_responses::OpenAiResponses;
use crate::event::{Fault, FaultKind};
use crate::net::{Http, probe};
use crate::store::msg::ModelChoice;

/// How long looking around on this machine may take.
const LOOK_AROUND: Duration = Duration::from_millis(150);
/// How long a server may take to list its models.
const LIST: Duration = Duration::from_secs(5);
/// How long an Ollama may take to describe a model.
const DESCRIBE: Duration = Duration::from_millis(500);
/// What OpenAI's own service is asked for when nobody named a model.
const OPENAI_MODEL: &str = "gpt-4.1-mini";

/// What Anthropic's own service is asked for when nobody named a model.
const ANTHROPIC_MODEL: &str = "claude-sonnet-4-5";
/// A bearer token for a gateway; it stands for the key of the engine called `anthropic`.
const ANTHROPIC_TOKEN: &str = "ANTHROPIC_AUTH_TOKEN";

type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Everything that choosing needs. Cheap to clone into a task.
#[derive(Clone)]
pub struct Chooser {
    pub loaded: Arc<Loaded>,
    pub http: Http,
    /// The embedded engine's pauses are left out where nobody watches.
    pub pace: f32,
}

/// What was asked for before anyone looked around.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    Named { engine: String, model: Option<String>, why: String },
    Nothing,
}

/// One engine as `doctor` and `models` show it.
pub struct Listed {
    pub engine: String,
    pub base_url: Option<String>,
    pub models: Result<Vec<ModelInfo>, Fault>,
    /// Found by looking around rather than configured.
    pub found: bool,
}

impl Chooser {
    /// Chooses the engine to begin with.
    pub async fn choose(self) -> Result<EngineChoice, Fault> {
        match self.wanted(&env) {
            Wanted::Named { engine, model, why } => self.named(&engine, model, why).await,
            Wanted::Nothing => Ok(self.look_around().await),
        }
    }

    /// Finds the engine for a name written `engine/model`, `engine` or, where that is clear, just a model.
    pub async fn switch(self, name: String) -> Result<EngineChoice, String> {
        self.find(&name, "chosen with /model").await.map_err(|fault| fault.message)
    }

    /// Likewise; `why` is what is said of the choice.
    pub(super) async fn find(&self, name: &str, why: &str) -> Result<EngineChoice, Fault> {
        let (engine, model) = Config::model_parts(name);
        self.named(engine, model.map(str::to_owned), why.to_owned()).await
    }

    fn config(&self) -> &Config {
        &self.loaded.config
    }

    fn wanted(&self, env: Env<'_>) -> Wanted {
        if let Some(name) = &self.config().model {
            let (engine, model) = Config::model_parts(name);
            let why = match self.loaded.entries.get("model").map(|entry| &entry.origin) {
                Some(Origin::Flag(flag)) => format!("flag {flag}"),
                Some(Origin::Environment(name)) => (*name).to_owned(),
                Some(Origin::Project { .. }) => "the project's config".to_owned(),
                Some(Origin::User { .. } | Origin::Default) | None => "config".to_owned(),
            };
            return Wanted::Named { engine: engine.to_owned(), model: model.map(str::to_owned), why };
        }
        let set = |name: &str| env(name).is_some_and(|value| !value.trim().is_empty());
        for (name, engine) in [
            ("OPENAI_API_KEY", "openai"),
            ("OPENAI_BASE_URL", "openai"),
            ("OPENAI_API_BASE", "openai"),
            ("ANTHROPIC_API_KEY", "anthropic"),
            (ANTHROPIC_TOKEN, "anthropic"),
            ("ANTHROPIC_BASE_URL", "anthropic"),
            ("OLLAMA_HOST", "ollama"),
        ] {
            if set(name) {
                return Wanted::Named { engine: engine.to_owned(), model: None, why: name.to_owned() };
            }
        }
        Wanted::Nothing
    }

    async fn named(&self, name: &str, model: Option<String>, why: String) -> Result<EngineChoice, Fault> {
        let found;
        let config = if let Some(config) = self.config().engines.get(name) {
            config
        } else if let Some(here) = self.found_here(name).await {
            found = here;
            &found
        } else if let (None, Some((engine, model))) = (&model, self.only_model(name).await) {
            return Box::pin(self.named(&engine, Some(model), why)).await;
        } else {
            return Err(self.unknown(name));
        };
        let model = match model {
            Some(model) => model,
            None => self.usual_model(name, config).await?,
        };
        let window = match config.kind {
            EngineKind::Ollama => self.ollama_window(config, &model).await,
            EngineKind::OpenAi | EngineKind::OpenAiResponses | EngineKind::Anthropic | EngineKind::Offline => None,
        };
        self.build(name, config, model, why, window).await
    }

    fn unknown(&self, name: &str) -> Fault {
        let known: Vec<&str> = self.config().engines.keys().map(String::as_str).collect();
        let text = format!(
            "no engine is called {name:?}; write ENGINE/MODEL with one of {} (or define it under [engines.{name}])",
            known.join(", ")
        );
        Fault::new(FaultKind::BadRequest, text)
    }

    /// Returns the settings of a server on this machine that goes by this name.
    async fn found_here(&self, name: &str) -> Option<EngineConfig> {
        let found = self.probe().await;
        found.iter().find(|found| local_name(found.kind) == name).map(config_of)
    }

    /// Returns engine and model where just one engine has a model that is called so, its tag left out or not.
    async fn only_model(&self, name: &str) -> Option<(String, String)> {
        let listed = self.list_all().await;
        let models = listed
            .iter()
            .flat_map(|listed| listed.models.iter().flatten().map(|model| (listed.engine.clone(), model.id.clone())));
        only_named(&models.collect::<Vec<_>>(), name)
    }

    async fn probe(&self) -> Vec<Found> {
        let candidates = discover::candidates();
        let calls: Vec<_> = candidates.iter().map(discover::Candidate::call).collect();
        discover::found(&candidates, &probe::gather(&self.http, &calls, LOOK_AROUND).await)
    }

    /// Picks a model where none was named: the environment's, the service's usual one, or the first that is there.
    async fn usual_model(&self, name: &str, config: &EngineConfig) -> Result<String, Fault> {
        match config.kind {
            EngineKind::Offline => return Ok(offline::MODEL.to_owned()),
            EngineKind::OpenAi | EngineKind::OpenAiResponses => {
                // The variable speaks of the engines that take their address from the environment as well.
                let is_usual = name == config.kind.name();
                if let Some(model) = env("OPENAI_MODEL").filter(|model| !model.is_empty() && is_usual) {
                    return Ok(model);
                }
                let url = config.resolved_base_url(&env).unwrap_or_default();
                if url.contains("//api.openai.com") {
                    return Ok(OPENAI_MODEL.to_owned());
                }
            }
            EngineKind::Anthropic => {
                if let Some(model) = env("ANTHROPIC_MODEL").filter(|model| !model.is_empty() && name == "anthropic") {
                    return Ok(model);
                }
                let url = config.resolved_base_url(&env).unwrap_or_default();
                if url.contains("//api.anthropic.com") {
                    return Ok(ANTHROPIC_MODEL.to_owned());
                }
            }
            EngineKind::Ollama => {}
        }
        let models = self.list(name, config).await?;
        models.into_iter().next().map(|model| model.id).ok_or_else(|| {
            let hint = match config.kind {
                EngineKind::Ollama => "get one with `ollama pull qwen3`",
                EngineKind::OpenAi | EngineKind::OpenAiResponses | EngineKind::Anthropic | EngineKind::Offline => {
                    "name one as ENGINE/MODEL"
                }
            };
            Fault::new(FaultKind::BadRequest, format!("{name} has no model; {hint}"))
        })
    }

    /// Finds the window to ask for; a slow answer must not hold up the chat.
    async fn ollama_window(&self, config: &EngineConfig, model: &str) -> Option<u64> {
        if let Some(window) = self.config().own_window(model) {
            return Some(window);
        }
        let engine = Ollama::new(String::new(), &config.resolved_base_url(&env)?);
        let answers = probe::gather(&self.http, &engine.show(model), DESCRIBE).await;
        let [show, running] = [0, 1].map(|index| answers.get(index).and_then(|answer| answer.as_ref().ok()));
        Some(discover::ollama_window(model, show, running))
    }

    async fn build(
        &self,
        name: &str,
        config: &EngineConfig,
        model: String,
        why: String,
        window: Option<u64>,
    ) -> Result<EngineChoice, Fault> {
        let url = config.resolved_base_url(&env).unwrap_or_default();
        // Ollama's is what it is asked for, whatever the model could take.
        let window = match config.kind {
            EngineKind::Ollama => window,
            _ => self.config().window(&model).or(window),
        };
        let engine: Arc<dyn Engine> = match config.kind {
            EngineKind::Offline => Arc::new(Offline { pace: self.pace }),
            EngineKind::OpenAi => {
                Arc::new(OpenAi::new(name.to_owned(), &url, self.openai_key(name, config, &url).await?))
            }
            EngineKind::OpenAiResponses => {
                Arc::new(OpenAiResponses::new(name.to_owned(), &url, self.openai_key(name, config, &url).await?))
            }
            EngineKind::Anthropic => {
                Arc::new(Anthropic::new(name.to_owned(), &url, self.anthropic_pass(name, config).await?))
            }
            EngineKind::Ollama => Arc::new(Ollama::new(name.to_owned(), &url).with_window(window)),
        };
        Ok(EngineChoice {
            engine,
            why,
            window,
            price: self.config().price_at(name, &model, &env),
            model,
            first_byte: config.first_byte_timeout,
            idle: config.idle_timeout,
            no_output: config.no_output_timeout,
            retries: config.retries,
            resend: true,
        })
    }

    /// Gets the key and misses it where nothing goes without one.
    async fn openai_key(&self, name: &str, config: &EngineConfig, url: &str) -> Result<Option<SecretString>, Fault> {
        let key = self.key(config).await?;
        if key.is_none() && needs_key(url) { Err(keyless(name, config)) } else { Ok(key) }
    }

    /// A key may come from a command, which may take its time.
    async fn key(&self, config: &EngineConfig) -> Result<Option<SecretString>, Fault> {
        let config = config.clone();
        tokio::task::spawn_blocking(move || config.resolved_api_key(&env))
            .await
            .map_err(|error| Fault::new(FaultKind::Internal, error.to_string()))?
            .map_err(Fault::from)
    }

    /// A token in the environment counts before the key of the engine that the environment speaks of, but not before
    /// one that the person wrote down.
    async fn anthropic_pass(&self, name: &str, config: &EngineConfig) -> Result<Pass, Fault> {
        let usual = config.api_key.as_deref().is_none_or(|key| key == "env:ANTHROPIC_API_KEY");
        if let Some(token) =
            env(ANTHROPIC_TOKEN).filter(|token| name == "anthropic" && usual && !token.trim().is_empty())
        {
            return Ok(Pass::Token(token.into()));
        }
        Ok(self.key(config).await?.map_or(Pass::None, Pass::Key))
    }

    /// Takes the first server found on this machine that has a model, else the embedded engine.
    async fn look_around(&self) -> EngineChoice {
        for found in self.probe().await {
            let Some(model) = found.models.first() else { continue };
            let why = format!("found on {}", address(&found.base_url));
            let config = config_of(&found);
            let name = local_name(found.kind);
            let window = match found.kind {
                Kind::Ollama => self.ollama_window(&config, &model.id).await,
                _ => model.window,
            };
            if let Ok(choice) = self.build(name, &config, model.id.clone(), why, window).await {
                return choice;
            }
        }
        self.offline("no model is set up or running here")
    }

    fn offline(&self, why: &str) -> EngineChoice {
        EngineChoice {
            engine: Arc::new(Offline { pace: self.pace }),
            model: offline::MODEL.to_owned(),
            why: why.to_owned(),
            window: None,
            price: Some((0.0, 0.0)),
            first_byte: Duration::ZERO,
            idle: Duration::ZERO,
            no_output: Duration::ZERO,
            retries: 0,
            resend: true,
        }
    }

    async fn list(&self, name: &str, config: &EngineConfig) -> Result<Vec<ModelInfo>, Fault> {
        let url = config.resolved_base_url(&env).unwrap_or_default();
        let survey = match config.kind {
            EngineKind::Offline => {
                return Ok(vec![ModelInfo {
                    id: offline::MODEL.to_owned(),
                    remark: "embedded, not a language model".to_owned(),
                    window: None,
                }]);
            }
            EngineKind::OpenAi => OpenAi::new(name.to_owned(), &url, self.key(config).await?).survey(),
            EngineKind::OpenAiResponses => {
                OpenAiResponses::new(name.to_owned(), &url, self.key(config).await?).survey()
            }
            EngineKind::Anthropic => {
                Anthropic::new(name.to_owned(), &url, self.anthropic_pass(name, config).await?).survey()
            }
            EngineKind::Ollama => Ollama::new(name.to_owned(), &url).survey(),
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
            })
        });
        let (listed, found) = tokio::join!(futures_util::future::join_all(configured), self.probe());
        let mut listed: Vec<Listed> = listed.into_iter().flatten().collect();
        for found in found {
            let known =
                |listed: &Listed| listed.base_url.as_deref().is_some_and(|url| same_place(url, &found.base_url));
            if !listed.iter().any(known) {
                listed.push(Listed {
                    engine: local_name(found.kind).to_owned(),
                    base_url: Some(found.base_url),
                    models: Ok(found.models),
                    found: true,
                });
            }
        }
        listed
    }

    async fn is_set_up(&self, name: &str, config: &EngineConfig) -> bool {
        let url = config.resolved_base_url(&env).unwrap_or_default();
        match config.kind {
            EngineKind::Offline => true,
            EngineKind::OpenAi | EngineKind::OpenAiResponses => {
                !url.contains("//api.openai.com") || matches!(self.key(config).await, Ok(Some(_)))
            }
            EngineKind::Anthropic => {
                let keyed =
                    || async { matches!(self.anthropic_pass(name, config).await, Ok(Pass::Key(_) | Pass::Token(_))) };
                !url.contains("//api.anthropic.com") || keyed().await
            }
            EngineKind::Ollama => env("OLLAMA_HOST").is_some() || !is_loopback(&url),
        }
    }

    /// Returns what `/model` can offer.
    pub async fn choices(self) -> Vec<ModelChoice> {
        let mut out = Vec::new();
        for listed in self.list_all().await {
            for model in listed.models.unwrap_or_default() {
                out.push(ModelChoice { name: format!("{}/{}", listed.engine, model.id), remark: model.remark });
            }
        }
        out
    }
}

/// OpenAI's own service answers nobody without a key; of other servers nobody knows.
fn needs_key(url: &str) -> bool {
    url.is_empty() || address(url).split(':').next() == Some("api.openai.com")
}

/// Says what to set, before a request goes out that can only fail.
fn keyless(name: &str, config: &EngineConfig) -> Fault {
    let wanted = match config.api_key.as_deref().and_then(|key| key.strip_prefix("env:")) {
        Some(variable) => format!("set {}", variable.trim()),
        None => format!("set engines.{name}.api_key"),
    };
    let text = format!("there is no API key for {name}: {wanted}, or choose another engine with -m or /model");
    Fault::new(FaultKind::Auth, text)
}

/// Returns the one that is called so: wholly, or but for its tag, where that is clear.
fn only_named(models: &[(String, String)], name: &str) -> Option<(String, String)> {
    let by = |fits: &dyn Fn(&str) -> bool| {
        let mut fitting = models.iter().filter(|(_, model)| fits(model));
        fitting.next().filter(|_| fitting.next().is_none()).cloned()
    };
    by(&|model| model == name).or_else(|| by(&|model| model.split(':').next() == Some(name)))
}

/// Returns the settings of a server that was found.
fn config_of(found: &Found) -> EngineConfig {
    let kind = if found.kind == Kind::Ollama { EngineKind::Ollama } else { EngineKind::OpenAi };
    EngineConfig { base_url: Some(found.base_url.clone()), ..EngineConfig::new(kind) }
}

/// Returns the engine name that a server found on this machine goes by.
fn local_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Ollama => "ollama",
        Kind::LlamaCpp => "llamacpp",
        Kind::LmStudio => "lmstudio",
        Kind::Vllm => "vllm",
        Kind::Compatible => "local",
    }
}

fn address(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

fn same_place(one: &str, other: &str) -> bool {
    let norm = |url: &str| address(url).replace("localhost", "127.0.0.1");
    norm(one) == norm(other)
}

pub(super) fn env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[cfg(test)]
mod tests;
