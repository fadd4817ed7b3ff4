//! Which engine answers, and why: flag, then config, then environment, then a server of this machine that the person said
//! yes to, then the embedded one.

mod agreed;
mod around;
mod listing;
mod lookup;

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use crate::agent::{Describe, EngineChoice};
use crate::config::{Config, EngineConfig, EngineKind, Loaded, Origin};
use crate::engine::Engine;
use crate::engine::anthropic::{Anthropic, Pass};
use crate::engine::describe::Description;
use crate::engine::discover::{self, Found, Kind, Readiness};
use crate::engine::offline::{self, Offline};
use crate::engine::ollama::Ollama;
use crate::engine::openai::OpenAi;
use crate::engine::openai_responses::OpenAiResponses;
use crate::event::{Fault, FaultKind};
use crate::net::status::is_loading;
use crate::net::{Http, probe, remember};
use crate::text::address::{has_login, is_exposed, is_host, origin};
pub(super) use agreed::Agreed;
pub use listing::Listed;
use lookup::{Known, only_named};

/// How long a server may take to list its models.
const LIST: Duration = Duration::from_secs(5);
/// How long a server may take to describe a model, twice where it is asked twice. The first prompt waits for it.
const DESCRIBE: Duration = Duration::from_millis(1500);
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
    /// Servers that the person said yes to.
    pub(super) agreed: Agreed,
    /// Nobody can be asked.
    pub(super) unattended: bool,
    /// The embedded engine's pauses are left out where nobody watches.
    pub pace: f32,
}

/// Whose word a choice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Person,
    /// The settings of a folder, which somebody else may have written.
    Project,
}

/// What was asked for before anyone looked around.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    Named { engine: String, model: Option<String>, why: String, by: By },
    Nothing,
}

impl Chooser {
    /// Chooses as for somebody who can be asked.
    #[must_use]
    pub fn attended(self) -> Self {
        Self { unattended: false, ..self }
    }

    /// Chooses the engine to begin with.
    pub async fn choose(self) -> Result<EngineChoice, Fault> {
        match self.wanted(&env) {
            Wanted::Named { engine, model, why, by } => {
                self.may_use(&engine, by).await?;
                self.named(&engine, model, why).await
            }
            Wanted::Nothing => self.unnamed().await,
        }
    }

    /// Says whether the model that was named can be meant at all, before anything is opened for it. Asks servers only
    /// where the name is no engine's.
    pub async fn check(&self) -> Result<(), Fault> {
        let Wanted::Named { engine, model, why, by } = self.wanted(&env) else { return Ok(()) };
        if self.config().engines.contains_key(&engine) {
            return Ok(());
        }
        self.may_use(&engine, by).await?;
        self.named(&engine, model, why).await.map(drop)
    }

    /// Finds the engine for a name written `engine/model`, `engine` or, where that is clear, just a model. To choose a
    /// server that was found on this machine is to say yes to it.
    pub async fn switch(self, name: String) -> Result<EngineChoice, String> {
        let mut choice = self.find(&name, "chosen with /model").await.map_err(|fault| fault.message)?;
        let engine = choice.engine.name();
        let is_found = !self.config().engines.contains_key(engine) || self.is_unset_ollama(engine);
        if is_found && let Some(found) = self.found_here(engine).await {
            choice.warnings.extend(self.agree(&found, &choice.model).map(|text| ("not_remembered", text)));
        }
        Ok(choice)
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
            let project =
                matches!(self.loaded.entries.get("model").map(|entry| &entry.origin), Some(Origin::Project { .. }));
            let by = if project { By::Project } else { By::Person };
            return Wanted::Named { engine: engine.to_owned(), model: model.map(str::to_owned), why, by };
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
                let (engine, why) = (engine.to_owned(), name.to_owned());
                return Wanted::Named { engine, model: None, why, by: By::Person };
            }
        }
        Wanted::Nothing
    }

    async fn named(&self, name: &str, model: Option<String>, why: String) -> Result<EngineChoice, Fault> {
        if let Some(config) = self.config().engines.get(name) {
            let model = match model {
                Some(model) => model,
                None => self.usual_model(name, config).await?,
            };
            return self.chosen(name, config, model, why).await;
        }
        if let Some(found) = self.found_here(name).await {
            let config = config_of(&found);
            let model = match (model, found.models.first(), found.readiness) {
                (Some(model), _, _) => model,
                (None, Some(first), _) => first.id.clone(),
                (None, None, Readiness::Loading) => around::ANY_MODEL.to_owned(),
                (None, None, _) => return Err(Fault::new(FaultKind::BadRequest, around::offer(&found))),
            };
            return self.chosen(name, &config, model, why).await;
        }
        let whole = model.map_or_else(|| name.to_owned(), |model| format!("{name}/{model}"));
        let models = Known::all(&self.list_all().await);
        if let Some(Known { engine, model, .. }) = only_named(&models, &whole)? {
            return Box::pin(self.named(engine, Some(model.clone()), why)).await;
        }
        if let Some(absent) = discover::absent(name) {
            return Err(absent);
        }
        let engines: Vec<&str> = self.config().engines.keys().map(String::as_str).collect();
        Err(lookup::unknown(&whole, &engines, &models))
    }

    /// Makes the choice of an engine and a model that are known.
    async fn chosen(
        &self,
        name: &str,
        config: &EngineConfig,
        model: String,
        why: String,
    ) -> Result<EngineChoice, Fault> {
        let told = match config.kind {
            EngineKind::Ollama => self.describe_ollama(config, &model).await,
            EngineKind::OpenAi | EngineKind::OpenAiResponses | EngineKind::Anthropic | EngineKind::Offline => {
                Description::default()
            }
        };
        self.build(name, config, model, why, told).await
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
                if is_host(&url, "api.openai.com") {
                    return Ok(OPENAI_MODEL.to_owned());
                }
            }
            EngineKind::Anthropic => {
                if let Some(model) = env("ANTHROPIC_MODEL").filter(|model| !model.is_empty() && name == "anthropic") {
                    return Ok(model);
                }
                let url = config.resolved_base_url(&env).unwrap_or_default();
                if is_host(&url, "api.anthropic.com") {
                    return Ok(ANTHROPIC_MODEL.to_owned());
                }
            }
            EngineKind::Ollama => {}
        }
        let models = match self.list(name, config).await {
            Err(fault) if is_loading(&fault) && config.kind != EngineKind::Ollama => {
                return Ok(around::ANY_MODEL.to_owned());
            }
            listed => listed?,
        };
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

    /// Finds the window to ask for, and whether tools can be; a slow answer must not hold up the chat.
    async fn describe_ollama(&self, config: &EngineConfig, model: &str) -> Description {
        let Some(url) = config.resolved_base_url(&env) else { return Description::default() };
        let key = self.key(config).await.ok().flatten();
        let engine = Ollama::new(String::new(), &url).with_key(key);
        let answers = probe::gather(&self.http, &engine.show(model), DESCRIBE).await;
        let [show, running] = [0, 1].map(|index| answers.get(index).and_then(|answer| answer.as_ref().ok()));
        let window = self.config().own_window(model).unwrap_or_else(|| discover::ollama_window(model, show, running));
        Description { window: Some(window), takes_tools: discover::ollama_takes_tools(show) }
    }

    /// Makes what asks the server about its model, unless the person said all.
    fn describing(&self, engine: &Arc<dyn Engine>, model: &str) -> Option<Describe> {
        let questions = engine.questions()?;
        let (http, model, own) = (self.http.clone(), model.to_owned(), self.config().own_window(model));
        Some(Arc::new(move || {
            let (http, questions, model) = (http.clone(), questions.clone(), model.clone());
            Box::pin(async move {
                let list = probe::gather(&http, &[questions.list], DESCRIBE).await;
                let (told, more) = match list.first() {
                    Some(Ok(list)) => Description::of_list(&model, list),
                    // A server without such a list may tell elsewhere; one that is loading or slow will later.
                    Some(Err(fault)) if fault.kind == FaultKind::BadRequest => (Description::default(), true),
                    Some(Err(_)) | None => return None,
                };
                let told = if more {
                    let answers = probe::gather(&http, &questions.more, DESCRIBE).await;
                    let answers: Vec<_> = answers.iter().map(|answer| answer.as_ref().ok()).collect();
                    told.read(&model, &answers)
                } else {
                    told
                };
                // What the person wrote down counts.
                Some(Description { window: told.window.filter(|_| own.is_none()), ..told })
            })
        }))
    }

    /// Says once what can be read on the way.
    async fn exposed(&self, name: &str, config: &EngineConfig, url: &str) -> Option<String> {
        if !is_exposed(url) {
            return None;
        }
        let what = match self.key(config).await {
            Ok(Some(_)) => "the API key and the whole conversation go",
            _ if has_login(url) => "the login and the whole conversation go",
            _ => return None,
        };
        let setting = config.address_setting(name, &env);
        Some(format!(
            "{what} to {} unencrypted; if that server supports HTTPS, write https:// in {setting}",
            origin(url)
        ))
    }

    async fn build(
        &self,
        name: &str,
        config: &EngineConfig,
        model: String,
        why: String,
        told: Description,
    ) -> Result<EngineChoice, Fault> {
        let url = config.resolved_base_url(&env).unwrap_or_default();
        // Ollama's is what it is asked for, whatever the model could take.
        let window = match config.kind {
            EngineKind::Ollama => told.window,
            _ => self.config().window(&model).or(told.window),
        };
        let engine: Arc<dyn Engine> = match config.kind {
            EngineKind::Offline => Arc::new(Offline { pace: self.pace }),
            EngineKind::OpenAi => {
                let key = self.openai_key(name, config, &url).await?;
                Arc::new(OpenAi::new(name.to_owned(), &url, key).keyed_by(key_setting(name, config)))
            }
            EngineKind::OpenAiResponses => {
                let key = self.openai_key(name, config, &url).await?;
                Arc::new(OpenAiResponses::new(name.to_owned(), &url, key).keyed_by(key_setting(name, config)))
            }
            EngineKind::Anthropic => {
                let pass = self.anthropic_pass(name, config).await?;
                Arc::new(Anthropic::new(name.to_owned(), &url, pass).keyed_by(key_setting(name, config)))
            }
            EngineKind::Ollama => {
                let key = self.key(config).await?;
                Arc::new(Ollama::new(name.to_owned(), &url).with_key(key).with_window(window))
            }
        };
        // The makers' own services say nothing that isn't known here.
        let is_known = is_host(&url, "api.openai.com");
        Ok(EngineChoice {
            takes_tools: told.takes_tools != Some(false),
            warnings: self.exposed(name, config, &url).await.map(|text| ("exposed", text)).into_iter().collect(),
            describe: if is_known { None } else { self.describing(&engine, &model) },
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
        let key = tokio::task::spawn_blocking(move || config.resolved_api_key(&env))
            .await
            .map_err(|error| Fault::new(FaultKind::Internal, error.to_string()))??;
        key.iter().for_each(remember);
        Ok(key)
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
            takes_tools: true,
            warnings: Vec::new(),
            describe: None,
        }
    }
}

/// OpenAI's own service answers nobody without a key; of other servers nobody knows.
fn needs_key(url: &str) -> bool {
    url.is_empty() || is_host(url, "api.openai.com")
}

/// Says what to set, before a request goes out that can only fail.
fn keyless(name: &str, config: &EngineConfig) -> Fault {
    let wanted = key_setting(name, config);
    let text = format!("there is no API key for {name}; set {wanted}, or choose another engine with -m or /model");
    Fault::new(FaultKind::Auth, text)
}

/// Returns the name of what holds an engine's key, or would: a variable or a setting.
fn key_setting(name: &str, config: &EngineConfig) -> String {
    match config.api_key.as_deref().and_then(|key| key.strip_prefix("env:")) {
        Some(variable) => variable.trim().to_owned(),
        None => format!("engines.{name}.api_key"),
    }
}

/// Returns the settings of a server that was found.
fn config_of(found: &Found) -> EngineConfig {
    let kind = if found.kind == Kind::Ollama { EngineKind::Ollama } else { EngineKind::OpenAi };
    EngineConfig { base_url: Some(found.base_url.clone()), ..EngineConfig::new(kind) }
}

pub(super) fn env(name: &str) -> Option<String> {
    crate::config::environment::variable(name)
}

#[cfg(test)]
mod tests;
