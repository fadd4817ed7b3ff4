//! PURE. Resolves the configured address of an engine.

use super::{EngineConfig, Env};
use crate::engine::ENGINES;

impl EngineConfig {
    /// Returns the address without a trailing slash: from the settings, the environment, or the default of its kind.
    pub fn resolved_base_url(&self, env: Env<'_>) -> Option<String> {
        let given = self.base_url.as_deref().and_then(|url| match url.strip_prefix("env:") {
            Some(name) => variable(name.trim(), env),
            None => Some(url.to_owned()),
        });
        let usual = self.kind.default_address?;
        Some(given.map_or_else(|| usual.to_owned(), |url| (self.kind.base_url)(&url, self.api_key.is_some())))
    }

    /// Returns what to change to change the address: an environment variable, or the setting of the engine `name`.
    pub fn address_setting(&self, name: &str, env: Env<'_>) -> String {
        match self.base_url.as_deref().and_then(|url| url.strip_prefix("env:")).map(str::trim) {
            Some(variable) if env(variable).is_some_and(|value| !value.trim().is_empty()) => variable.to_owned(),
            Some(variable) => older_spelling(variable, env)
                .map_or_else(|| format!("engines.{name}.base_url"), |(older, _)| older.to_owned()),
            None => format!("engines.{name}.base_url"),
        }
    }
}

fn variable(name: &str, env: Env<'_>) -> Option<String> {
    non_empty(name, env).or_else(|| older_spelling(name, env).map(|(_, value)| value))
}

/// Finds the variable that is set under an older spelling, and its value.
fn older_spelling(name: &str, env: Env<'_>) -> Option<(&'static str, String)> {
    let spec = ENGINES.iter().find(|spec| spec.address_variables.first() == Some(&name))?;
    spec.address_variables.iter().skip(1).find_map(|older| Some((*older, non_empty(older, env)?)))
}

/// An empty variable counts as unset.
fn non_empty(name: &str, env: Env<'_>) -> Option<String> {
    env(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{EngineSpec, anthropic, offline, ollama, openai, openai_responses};

    fn url(kind: &'static EngineSpec, base_url: Option<&str>, value: Option<&str>) -> Option<String> {
        let engine = EngineConfig { base_url: base_url.map(str::to_owned), ..EngineConfig::new(kind) };
        engine.resolved_base_url(&|name| (name == "ADDRESS").then(|| value.map(str::to_owned)).flatten())
    }

    #[test]
    fn an_address_is_configured_or_from_the_environment_or_the_usual_one() {
        for (kind, base_url, value, expected) in [
            (&offline::SPEC, Some("http://x"), None, None),
            (&openai::SPEC, None, None, Some("https://api.openai.com/v1")),
            (&openai::SPEC, Some("env:ADDRESS"), None, Some("https://api.openai.com/v1")),
            (&openai::SPEC, Some("env:ADDRESS"), Some("  "), Some("https://api.openai.com/v1")),
            (&openai::SPEC, Some("env:ADDRESS"), Some("http://h:1/v1/"), Some("http://h:1/v1")),
            (
                &openai::SPEC,
                Some("env:ADDRESS"),
                Some("gateway.example.com/v1"),
                Some("https://gateway.example.com/v1"),
            ),
            (&openai_responses::SPEC, Some("gateway.example.com/v1"), None, Some("https://gateway.example.com/v1")),
            (&anthropic::SPEC, Some("env:ADDRESS"), Some("gateway.example.com"), Some("https://gateway.example.com")),
            (&anthropic::SPEC, Some("localhost:4000"), None, Some("http://localhost:4000")),
            (&openai::SPEC, Some("127.0.0.1:8080/v1"), None, Some("http://127.0.0.1:8080/v1")),
            (&ollama::SPEC, None, None, Some("http://127.0.0.1:11434")),
            (&ollama::SPEC, Some("env:ADDRESS"), Some("0.0.0.0"), Some("http://127.0.0.1:11434")),
            (&ollama::SPEC, Some("env:ADDRESS"), Some("box"), Some("http://box:11434")),
            (&ollama::SPEC, Some("https://gpu.example:1/ollama/"), None, Some("https://gpu.example:1/ollama")),
        ] {
            assert_eq!(url(kind, base_url, value).as_deref(), expected, "{kind:?} {base_url:?} {value:?}");
        }
    }

    #[test]
    fn an_ollama_elsewhere_that_gets_a_key_is_asked_over_tls() {
        let url = |host: &str, key: Option<&str>| {
            let mut engine = EngineConfig::new(&ollama::SPEC);
            (engine.base_url, engine.api_key) = (Some(host.to_owned()), key.map(str::to_owned));
            engine.resolved_base_url(&|_| None).unwrap()
        };
        assert_eq!(url("gpu.example.com", Some("env:KEY")), "https://gpu.example.com:443");
        assert_eq!(url("gpu.example.com", None), "http://gpu.example.com:11434");
        assert_eq!(url("http://gpu.example.com", Some("env:KEY")), "http://gpu.example.com:80");
        assert_eq!(url("localhost", Some("env:KEY")), "http://localhost:11434");
        assert_eq!(url("", Some("env:KEY")), "http://127.0.0.1:11434");
    }

    #[test]
    fn the_older_name_counts() {
        let env = |name: &str| (name == "OPENAI_API_BASE").then(|| "http://old/v1".to_owned());
        let engine = &crate::config::Config::default().engines["openai"];
        assert_eq!(engine.resolved_base_url(&env).as_deref(), Some("http://old/v1"));
        assert_eq!(engine.address_setting("openai", &env), "OPENAI_API_BASE");
        assert_eq!(engine.address_setting("openai", &|_| None), "engines.openai.base_url");
    }
}
