//! PURE. Resolves the configured address of an engine.

use super::{EngineConfig, EngineKind, Env};
use crate::text::address::{is_local_network, ollama_base_url, with_scheme};

impl EngineConfig {
    /// Returns the address without a trailing slash: from the settings, the environment, or the default of its kind.
    pub fn resolved_base_url(&self, env: Env<'_>) -> Option<String> {
        let given = self.base_url.as_deref().and_then(|url| match url.strip_prefix("env:") {
            Some(name) => variable(name.trim(), env),
            None => Some(url.to_owned()),
        });
        match self.kind {
            EngineKind::Offline => None,
            EngineKind::OpenAi | EngineKind::OpenAiResponses => {
                Some(given.map_or("https://api.openai.com/v1".into(), |url| trim_base_url(&url)))
            }
            EngineKind::Anthropic => Some(given.map_or("https://api.anthropic.com".into(), |url| trim_base_url(&url))),
            // With a key, TLS is used unless the person writes `http://`; without one an address means what it means to
            // Ollama.
            EngineKind::Ollama => Some(ollama_base_url(&match given.unwrap_or_default() {
                host if self.api_key.is_some() && !host.is_empty() && !is_local_network(&host) => with_scheme(&host),
                host => host,
            })),
        }
    }

    /// Returns what to change to change the address: an environment variable, or the setting of the engine `name`.
    pub fn address_setting(&self, name: &str, env: Env<'_>) -> String {
        match self.base_url.as_deref().and_then(|url| url.strip_prefix("env:")).map(str::trim) {
            Some(variable) if env(variable).is_some_and(|value| !value.trim().is_empty()) => variable.to_owned(),
            Some("OPENAI_BASE_URL") if variable("OPENAI_BASE_URL", env).is_some() => "OPENAI_API_BASE".to_owned(),
            Some(_) | None => format!("engines.{name}.base_url"),
        }
    }
}

fn trim_base_url(url: &str) -> String {
    with_scheme(url.trim_end().trim_end_matches('/'))
}

/// An empty variable counts as unset. One variable has an older spelling too.
fn variable(name: &str, env: Env<'_>) -> Option<String> {
    let get = |name: &str| env(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    get(name).or_else(|| if name == "OPENAI_BASE_URL" { get("OPENAI_API_BASE") } else { None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(kind: EngineKind, base_url: Option<&str>, value: Option<&str>) -> Option<String> {
        let engine = EngineConfig { base_url: base_url.map(str::to_owned), ..EngineConfig::new(kind) };
        engine.resolved_base_url(&|name| (name == "ADDRESS").then(|| value.map(str::to_owned)).flatten())
    }

    #[test]
    fn an_address_is_configured_or_from_the_environment_or_the_usual_one() {
        use EngineKind::{Anthropic, Offline, Ollama, OpenAi, OpenAiResponses};
        for (kind, base_url, value, expected) in [
            (Offline, Some("http://x"), None, None),
            (OpenAi, None, None, Some("https://api.openai.com/v1")),
            (OpenAi, Some("env:ADDRESS"), None, Some("https://api.openai.com/v1")),
            (OpenAi, Some("env:ADDRESS"), Some("  "), Some("https://api.openai.com/v1")),
            (OpenAi, Some("env:ADDRESS"), Some("http://h:1/v1/"), Some("http://h:1/v1")),
            (OpenAi, Some("env:ADDRESS"), Some("gateway.example.com/v1"), Some("https://gateway.example.com/v1")),
            (OpenAiResponses, Some("gateway.example.com/v1"), None, Some("https://gateway.example.com/v1")),
            (Anthropic, Some("env:ADDRESS"), Some("gateway.example.com"), Some("https://gateway.example.com")),
            (Anthropic, Some("localhost:4000"), None, Some("http://localhost:4000")),
            (OpenAi, Some("127.0.0.1:8080/v1"), None, Some("http://127.0.0.1:8080/v1")),
            (Ollama, None, None, Some("http://127.0.0.1:11434")),
            (Ollama, Some("env:ADDRESS"), Some("0.0.0.0"), Some("http://127.0.0.1:11434")),
            (Ollama, Some("env:ADDRESS"), Some("box"), Some("http://box:11434")),
            (Ollama, Some("https://gpu.example:1/ollama/"), None, Some("https://gpu.example:1/ollama")),
        ] {
            assert_eq!(url(kind, base_url, value).as_deref(), expected, "{kind:?} {base_url:?} {value:?}");
        }
    }

    #[test]
    fn an_ollama_elsewhere_that_gets_a_key_is_asked_over_tls() {
        let url = |host: &str, key: Option<&str>| {
            let mut engine = EngineConfig::new(EngineKind::Ollama);
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
