//! PURE. What the program knows about a kind of engine besides its protocol: names, variables, defaults, and how to
//! build one. The specification of each kind is beside its code; [`super::ENGINES`] lists them.

use std::fmt;
use std::sync::Arc;

use secrecy::SecretString;

use super::Engine;
use super::discover::ModelInfo;
use super::model_details::ModelDetails;
use crate::event::{Fault, Json};
use crate::net::request::HttpRequest;
use crate::text::address::{has_host, host_and_port, is_loopback, with_scheme};

/// A kind of engine.
pub struct EngineSpec {
    /// As in `kind = "…"`. The default settings have an engine of the same name.
    pub name: &'static str,
    /// The dialect of its responses.
    pub dialect: &'static str,
    /// Variables that hold the address; those after the first are older spellings.
    pub address_variables: &'static [&'static str],
    pub key_variable: Option<&'static str>,
    /// A bearer token for a gateway; used in place of the key of the engine with this name.
    pub token_variable: Option<&'static str>,
    /// The default model of the engine with this name.
    pub model_variable: Option<&'static str>,
    /// The vendor's own service, or where a server listens on this machine; `None` if it is embedded.
    pub default_address: Option<&'static str>,
    /// The default model of the vendor's own service, or of the embedded engine.
    pub default_model: Option<&'static str>,
    /// Set where models run in this program.
    pub embedded: Option<EmbeddedModels>,
    /// How the names of the vendor's models begin.
    pub model_prefixes: &'static [&'static str],
    /// Whether a server that is still loading its model must be told which model is meant.
    pub loads_by_name: bool,
    /// How to set it up, for a list of engines.
    pub setup_hint: &'static str,
    /// What to do if its server has no model.
    pub no_model_hint: &'static str,
    /// Normalizes an address as people write it.
    pub base_url: fn(address: &str, has_key: bool) -> String,
    pub pricing: fn(model: &str, is_local: bool) -> Pricing,
    /// Asked before it is built, where its requests depend on it.
    pub description: Option<ModelDescription>,
    pub build: fn(EngineOptions) -> Arc<dyn Engine>,
}

/// Looks up a variable of the environment.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The models that run in this program. Both may read files.
#[derive(Clone, Copy)]
pub struct EmbeddedModels {
    pub list: fn(Env<'_>) -> Vec<ModelInfo>,
    pub describe: fn(model: &str, Env<'_>) -> Result<ModelDetails, Fault>,
}

/// What the use of a model costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pricing {
    Free,
    /// The list price of the model.
    Listed,
    Unknown,
}

/// The requests for a server's description of a model; the responses are parsed in the same order.
pub struct ModelDescription {
    pub requests: fn(&EngineOptions, model: &str) -> Vec<HttpRequest>,
    pub parse: fn(model: &str, answers: &[Option<&Json>]) -> ModelDetails,
}

/// What an engine is built from.
#[derive(Clone, Debug, Default)]
pub struct EngineOptions {
    /// As written in `engine/model`.
    pub name: String,
    pub base_url: String,
    pub key: Option<SecretString>,
    /// Used in place of the key.
    pub token: Option<SecretString>,
    /// The variable or setting for the key, for the message where a server refuses.
    pub key_setting: String,
    pub context_window: Option<u64>,
    /// How many likely tokens are picked from, and the number that picks begin with, where the model runs here.
    pub top_k: Option<u32>,
    pub seed: Option<u64>,
    /// Factor for the delays of an engine that needs no server; 0 means none.
    pub pace: f32,
}

impl EngineSpec {
    /// Returns whether it runs on this machine unless configured otherwise.
    pub fn is_local(&self) -> bool {
        self.default_address.is_some_and(is_loopback)
    }

    /// Returns whether an address is the vendor's own service, which requires a key.
    pub fn is_vendor(&self, url: &str) -> bool {
        self.default_address.is_some_and(|own| !is_loopback(own) && has_host(url, host_and_port(own)))
    }

    /// Returns the variables whose presence selects it, the most significant first.
    pub fn variables(&self) -> impl Iterator<Item = &'static str> {
        self.key_variable.into_iter().chain(self.token_variable).chain(self.address_variables.iter().copied())
    }
}

impl EngineOptions {
    pub fn has_key(&self) -> bool {
        self.key.is_some() || self.token.is_some()
    }
}

/// The name identifies it.
impl PartialEq for EngineSpec {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for EngineSpec {}

impl fmt::Debug for EngineSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)
    }
}

/// Adds the scheme that is meant and drops a trailing slash.
pub(super) fn trim_base_url(address: &str, _has_key: bool) -> String {
    with_scheme(address.trim_end().trim_end_matches('/'))
}

/// A local server may forward requests to a paid service.
pub(super) fn price_unless_local(_model: &str, is_local: bool) -> Pricing {
    if is_local { Pricing::Unknown } else { Pricing::Listed }
}
