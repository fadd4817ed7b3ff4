//! Which model answers for a name that a client gives, and which names there are. What was found is kept for a while:
//! looking for it may ask other servers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::check_open;
use crate::agent::EngineChoice;
use crate::event::NoticeCode;
use crate::runtime::{EngineResolver, Runtime};
use crate::serve::error::ApiError;
use crate::serve::factory::Model;
use crate::serve::model_names::NamedModel;

/// How long the engine found for a name is reused.
const CACHE_TTL: Duration = Duration::from_mins(1);
/// Limit of cached names.
const MAX_CACHED_CHOICES: usize = 64;
/// Characters of a model's name that are remembered.
pub(super) const MAX_NAME_CHARS: usize = 200;
/// Limit of names that are known to be nobody's.
const MAX_ABSENT_MODELS: usize = 256;

/// The models that clients may name.
pub(super) struct ModelChoices {
    runtime: Arc<Runtime>,
    /// The choice for each name, and when it was made.
    cached: Mutex<HashMap<String, (Instant, EngineChoice)>>,
    cached_list: Mutex<Option<(Instant, Vec<Model>)>>,
    /// Names of models that nobody has, and when that was found last.
    absent_models: Mutex<HashMap<String, Instant>>,
    /// Tells the person who runs the server.
    pub(super) warn: fn(&str),
}

impl ModelChoices {
    pub(super) fn new(runtime: Arc<Runtime>) -> Self {
        Self {
            runtime,
            cached: Mutex::default(),
            cached_list: Mutex::default(),
            absent_models: Mutex::default(),
            warn: |text| tracing::warn!("{text}"),
        }
    }

    /// Finds what answers for a name; without one, what usually does.
    pub(super) async fn resolve(&self, wanted: Option<&str>) -> Result<EngineChoice, ApiError> {
        let usual = self.cached_choice("").await?;
        let wanted = NamedModel::parse(wanted.unwrap_or_default()).model;
        let is_usual = wanted.is_empty()
            || wanted == usual.model
            || wanted.strip_prefix(usual.engine.name()).and_then(|rest| rest.strip_prefix('/')) == Some(&usual.model);
        if is_usual { Ok(usual) } else { self.cached_choice(wanted).await }
    }

    /// Finds the same for a client that may only know its vendor's names: the server's model answers for one that nobody has.
    pub(super) async fn resolve_or_substitute(&self, wanted: Option<&str>) -> Result<EngineChoice, ApiError> {
        if !check_open(&self.runtime)?.config().server.any_model {
            return self.resolve(wanted).await;
        }
        let name: String = NamedModel::parse(wanted.unwrap_or_default()).model.chars().take(MAX_NAME_CHARS).collect();
        // Looking for it takes time.
        if !self.was_absent(&name) {
            match self.resolve(wanted).await {
                Err(refused) if refused.status == 404 => {}
                choice => return choice,
            }
        }
        let mut usual = self.resolve(None).await?;
        let text = format!("no model is called {name:?}; {}/{} answers for it", usual.engine.name(), usual.model);
        self.record_absent(name, &text);
        usual.warnings.push((NoticeCode::Model, text));
        Ok(usual)
    }

    fn was_absent(&self, name: &str) -> bool {
        let absent = self.absent_models.lock().unwrap_or_else(PoisonError::into_inner);
        absent.get(name).is_some_and(|at| at.elapsed() < CACHE_TTL)
    }

    /// Records that nobody has this model, and warns of it the first time.
    pub(super) fn record_absent(&self, name: String, warning: &str) {
        let mut absent = self.absent_models.lock().unwrap_or_else(PoisonError::into_inner);
        if absent.len() >= MAX_ABSENT_MODELS {
            absent.clear();
        }
        match absent.get_mut(&name) {
            Some(at) if at.elapsed() < CACHE_TTL => {}
            Some(at) => *at = Instant::now(),
            None => {
                absent.insert(name, Instant::now());
                (self.warn)(warning);
            }
        }
    }

    async fn cached_choice(&self, name: &str) -> Result<EngineChoice, ApiError> {
        let known = self.cached.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        if let Some((at, choice)) = known
            && at.elapsed() < CACHE_TTL
        {
            return Ok(choice);
        }
        let resolver = check_open(&self.runtime)?.engine_resolver();
        let choice = if name.is_empty() { resolver.resolve().await } else { resolver.resolve_for_client(name).await }?;
        let choice = choice.with_description().await;
        let mut found = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        if found.len() >= MAX_CACHED_CHOICES {
            found.clear();
        }
        found.insert(name.to_owned(), (Instant::now(), choice.clone()));
        Ok(choice)
    }

    /// Lists the models, the usual one first.
    pub(super) async fn list(&self) -> Vec<Model> {
        let known = self.cached_list.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((at, models)) = known
            && at.elapsed() < CACHE_TTL
        {
            return models;
        }
        let Ok(resolver) = check_open(&self.runtime).map(Runtime::engine_resolver) else { return Vec::new() };
        let mut models = Vec::new();
        if let Ok(usual) = self.resolve(None).await {
            let engine = usual.engine.name().to_owned();
            models.push(Model { id: format!("{engine}/{}", usual.model), engine, remark: usual.reason });
        }
        for choice in EngineResolver::model_choices(resolver).await {
            if !choice.facts.trouble.is_empty() {
                continue;
            }
            let engine = choice.name.split('/').next().unwrap_or_default().to_owned();
            if models.iter().all(|known| known.id != choice.name) {
                models.push(Model { id: choice.name, engine, remark: choice.remark });
            }
        }
        *self.cached_list.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), models.clone()));
        models
    }
}

impl EngineResolver {
    /// Creates the engine for a model that a client named.
    async fn resolve_for_client(self, name: &str) -> Result<EngineChoice, crate::event::Fault> {
        self.resolve_name(name, "requested by the client").await
    }
}
