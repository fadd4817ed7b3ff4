//! PURE. Which keys and tokens the settings name, where each is looked for, and whether it is there: never what it is.
//!
//! Commands that print a key are not run for this.

use super::{Config, Env};

/// A place for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyStatus {
    /// The setting, such as `engines.openai.api_key`.
    pub setting: String,
    /// Where it is looked for, in words: `OPENAI_API_KEY`, or what else the setting names.
    pub source: String,
    pub state: KeyState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    Found,
    Missing,
    /// Only running the command would tell.
    NotTried,
}

impl KeyState {
    pub fn name(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Missing => "not found",
            Self::NotTried => "asked for when needed",
        }
    }
}

/// Lists what the settings name, engines first.
pub fn key_statuses(config: &Config, env: Env<'_>) -> Vec<KeyStatus> {
    let mut all = Vec::new();
    for (name, engine) in &config.engines {
        let setting = format!("engines.{name}.api_key");
        all.extend(engine.api_key.as_deref().map(|text| status(setting.clone(), text, env)));
        let token = engine.kind.token_variable.map(|variable| format!("env:{variable}"));
        all.extend(token.map(|text| status(format!("engines.{name}, as a token"), &text, env)));
    }
    for (name, remote) in &config.remotes {
        all.extend(remote.token.as_deref().map(|text| status(format!("remotes.{name}.token"), text, env)));
        for (header, text) in &remote.headers {
            all.push(status(format!("remotes.{name}.headers.{header}"), text, env));
        }
    }
    for (name, server) in &config.mcp {
        all.extend(server.token.as_deref().map(|text| status(format!("mcp.{name}.token"), text, env)));
        for (table, values) in [("env", &server.env), ("headers", &server.headers)] {
            all.extend(values.iter().map(|(key, text)| status(format!("mcp.{name}.{table}.{key}"), text, env)));
        }
    }
    let server = [("token", &config.server.token), ("read_token", &config.server.read_token)];
    all.extend(server.map(|(key, text)| status(format!("server.{key}"), text, env)));
    all.push(status("telemetry.headers".to_owned(), &config.telemetry.headers, env));
    all
}

fn status(setting: String, text: &str, env: Env<'_>) -> KeyStatus {
    let (source, state) = if let Some(variable) = text.strip_prefix("env:").map(str::trim) {
        let is_set = env(variable).is_some_and(|value| !value.trim().is_empty());
        (variable.to_owned(), if is_set { KeyState::Found } else { KeyState::Missing })
    } else if text.starts_with("cmd:") {
        ("a command".to_owned(), KeyState::NotTried)
    } else {
        ("the settings themselves".to_owned(), KeyState::Found)
    };
    KeyStatus { setting, source, state }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_told_by_where_it_is_and_never_by_its_value() {
        let mut config = Config::default();
        if let Some(ollama) = config.engines.get_mut("ollama") {
            ollama.api_key = Some("sk-literal".into());
        }
        if let Some(responses) = config.engines.get_mut("openai-responses") {
            responses.api_key = Some("cmd:echo sk-printed".into());
        }
        let env = |name: &str| (name == "OPENAI_API_KEY").then(|| "sk-secret".to_owned());
        let all = key_statuses(&config, &env);
        let of = |setting: &str| {
            let found = all.iter().find(|status| status.setting == setting).unwrap();
            (found.source.as_str(), found.state)
        };
        assert_eq!(of("engines.openai.api_key"), ("OPENAI_API_KEY", KeyState::Found));
        assert_eq!(of("engines.anthropic.api_key"), ("ANTHROPIC_API_KEY", KeyState::Missing));
        assert_eq!(of("engines.ollama.api_key"), ("the settings themselves", KeyState::Found));
        assert_eq!(of("engines.openai-responses.api_key"), ("a command", KeyState::NotTried));
        assert_eq!(of("server.token").1, KeyState::Missing);
        assert!(!format!("{all:?}").contains("sk-"));
    }
}
