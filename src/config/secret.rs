//! Keys and tokens: read when needed, and held in a type that can't be printed.
//!
//! Nothing else in the settings starts a process. The merge accepts commands only from the person's own layers.

use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use secrecy::SecretString;

use super::environment::without_keys;
use super::setting::secrets_of;
use super::{Config, EngineConfig, Env, RemoteConfig, ServerConfig, TelemetryConfig};
use crate::engine::ENGINES;
use crate::event::{Fault, FaultKind};
use crate::text::display_url::{has_login, redact_credentials};

/// A password manager may first have to prompt the person.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);
/// No key is longer.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// Why a key couldn't be read. Never contains the command or its output.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    #[error("the command for the key did not start: {0}")]
    NotStarted(String),
    #[error("the command for the key exited with {0}")]
    Failed(String),
    #[error("the command for the key printed nothing within {} s", .0.as_secs())]
    TimedOut(Duration),
    #[error("the command for the key printed no usable text")]
    NoText,
}

impl From<SecretError> for Fault {
    fn from(error: SecretError) -> Self {
        Self::new(FaultKind::Auth, error.to_string())
    }
}

impl EngineConfig {
    /// Returns the key, if there is one. Blocks while a command runs, so call it off the event loop.
    pub fn resolved_api_key(&self, env: Env<'_>) -> Result<Option<SecretString>, SecretError> {
        self.api_key.as_deref().map_or(Ok(None), |text| resolve_secret(text, env))
    }
}

impl Config {
    /// Returns the variables that hold keys and tokens, so that they can be hidden from other programs: those named in
    /// the settings, the usual ones whether named or not, and addresses that contain a password or key.
    pub fn key_variables(&self, env: Env<'_>) -> Vec<String> {
        // The default settings' variables still hold keys if the settings name others.
        let keys = [self.secret_settings(), Self::default().secret_settings()].concat();
        let keys = keys.iter().filter_map(|text| text.strip_prefix("env:"));
        let has_password =
            |name: &&str| env(name).is_some_and(|url| has_login(&url) || redact_credentials(&url) != url);
        let addresses = self.engines.values().filter_map(|engine| engine.base_url.as_deref()?.strip_prefix("env:"));
        let usual_addresses = ENGINES.iter().flat_map(|spec| spec.address_variables.iter().copied());
        let addresses = addresses.chain(usual_addresses).map(str::trim).filter(has_password);
        let mut names: Vec<String> = keys
            .chain(ENGINES.iter().filter_map(|spec| spec.token_variable))
            .map(str::trim)
            .chain(addresses)
            .filter(|name| !name.is_empty() && !name.contains(['=', '\0']))
            .map(str::to_owned)
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// Returns the variables that hold the tokens of our own server: those named in the settings, and the usual ones.
    pub fn server_token_variables(&self) -> Vec<String> {
        let named = secrets_of(&self.server, &ServerConfig::fields());
        let usual = secrets_of(&ServerConfig::default(), &ServerConfig::fields());
        named
            .iter()
            .chain(&usual)
            .filter_map(|text| text.strip_prefix("env:"))
            .map(|name| name.trim().to_owned())
            .collect()
    }

    /// Returns the keys written in the settings themselves.
    pub fn literal_keys(&self) -> Vec<SecretString> {
        let is_literal = |text: &&String| !text.starts_with("env:") && !text.starts_with("cmd:");
        self.secret_settings().iter().filter(is_literal).filter_map(|text| non_empty(text)).collect()
    }

    fn secret_settings(&self) -> Vec<String> {
        let mut secrets = secrets_of(&self.server, &ServerConfig::fields());
        secrets.extend(secrets_of(&self.telemetry, &TelemetryConfig::fields()));
        for engine in self.engines.values() {
            secrets.extend(secrets_of(engine, &EngineConfig::fields()));
        }
        for remote in self.remotes.values() {
            secrets.extend(secrets_of(remote, &RemoteConfig::fields()));
            secrets.extend(remote.headers.values().cloned());
        }
        for server in self.mcp.values() {
            secrets.extend(server.secret_values().cloned());
        }
        secrets
    }
}

/// Resolves `env:NAME`, `cmd:COMMAND` or the secret itself; an unset or empty variable is `None`.
pub fn resolve_secret(text: &str, env: Env<'_>) -> Result<Option<SecretString>, SecretError> {
    if let Some(name) = text.strip_prefix("env:") {
        return Ok(env(name.trim()).and_then(|value| non_empty(&value)));
    }
    if let Some(command) = text.strip_prefix("cmd:") {
        return run_command(command.trim(), COMMAND_TIMEOUT);
    }
    Ok(non_empty(text))
}

fn non_empty(text: &str) -> Option<SecretString> {
    let text = text.trim();
    (!text.is_empty()).then(|| SecretString::from(text))
}

fn run_command(command: &str, limit: Duration) -> Result<Option<SecretString>, SecretError> {
    let mut child = without_keys(Command::new("sh").args(["-c", command]))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| SecretError::NotStarted(error.to_string()))?;
    let Some(out) = child.stdout.take() else { return Err(SecretError::NoText) };
    let (send, receive) = mpsc::channel();
    // Reads on another thread, because a pipe has no read timeout; it ends with the pipe, at the latest when the child
    // is gone.
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = out.take(MAX_SECRET_BYTES + 1).read_to_end(&mut bytes);
        let _ = send.send(read.map(|_| bytes));
    });
    let begun = Instant::now();
    let read = receive.recv_timeout(limit);
    let bytes = match read {
        Ok(Ok(bytes)) if bytes.len() as u64 <= MAX_SECRET_BYTES => bytes,
        Ok(_) => return Err(kill_and_fail(&mut child, SecretError::NoText)),
        Err(_) => return Err(kill_and_fail(&mut child, SecretError::TimedOut(limit))),
    };
    // The command may close its output and go on; that counts against the same time limit.
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if begun.elapsed() < limit => thread::park_timeout(Duration::from_millis(5)),
            Ok(None) => return Err(kill_and_fail(&mut child, SecretError::TimedOut(limit))),
            Err(error) => return Err(kill_and_fail(&mut child, SecretError::Failed(error.to_string()))),
        }
    };
    if !status.success() {
        return Err(SecretError::Failed(status.to_string()));
    }
    let text = String::from_utf8(bytes).map_err(|_| SecretError::NoText)?;
    // Password managers print the secret first and notes below it.
    non_empty(text.trim_start().lines().next().unwrap_or_default()).map(Some).ok_or(SecretError::NoText)
}

fn kill_and_fail(child: &mut Child, why: SecretError) -> SecretError {
    let _ = child.kill();
    let _ = child.wait();
    why
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn get(text: &str) -> Result<Option<String>, SecretError> {
        let env = |name: &str| match name {
            "KEY" => Some("from-env\n".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        resolve_secret(text, &env).map(|key| key.map(|key| key.expose_secret().to_owned()))
    }

    #[test]
    fn the_variables_that_hold_keys_are_known() {
        let mut config = Config::default();
        config.engines.insert("work".into(), EngineConfig::new(&crate::engine::openai::SPEC));
        for (engine, key) in config.engines.values_mut().zip(["env: B", "cmd:x", "sk-literal", "env:A", "env:B"]) {
            engine.api_key = Some(key.into());
        }
        config.remotes.insert("r".into(), RemoteConfig { token: Some("env:C".into()), ..Default::default() });
        let env = |name: &str| match name {
            "OPENAI_BASE_URL" => Some("http://me:pw@gateway/v1".to_owned()),
            "ANTHROPIC_BASE_URL" => Some("http://gateway/v1?api_key=abc".to_owned()),
            "OLLAMA_HOST" => Some("127.0.0.1:11434".to_owned()),
            _ => None,
        };
        let names = config.key_variables(&env);
        assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "{names:?}");
        assert!(names.contains(&"B".to_owned()) && !names.iter().any(|name| name.contains("sk-")), "{names:?}");
        for name in ["C", "JARVIS_TUI_SERVER_TOKEN", "JARVIS_TUI_READ_TOKEN", "ANTHROPIC_AUTH_TOKEN", "OPENAI_BASE_URL"]
        {
            assert!(names.contains(&name.to_owned()), "{name}");
        }
        assert!(names.contains(&"ANTHROPIC_BASE_URL".to_owned()), "a key in its query");
        assert!(!names.contains(&"OLLAMA_HOST".to_owned()), "commands may want it, and it holds no key");
        assert!(Config::default().key_variables(&env).contains(&"OPENAI_API_KEY".to_owned()));
        let mut other = Config::default();
        other.engines.clear();
        other.server.token = "env:MINE".into();
        let names = other.key_variables(&env);
        for name in ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "JARVIS_TUI_SERVER_TOKEN", "MINE"] {
            assert!(names.contains(&name.to_owned()), "{name}");
        }
        let literal: Vec<_> = config.literal_keys().iter().map(|key| key.expose_secret().to_owned()).collect();
        assert!(
            literal.contains(&"sk-literal".to_owned()) && literal.iter().all(|key| !key.contains(':')),
            "{literal:?}"
        );
    }

    #[test]
    fn keys_come_from_variables_commands_and_themselves() {
        for (text, expected) in [
            ("env:KEY", Ok(Some("from-env"))),
            ("env: KEY", Ok(Some("from-env"))),
            ("env:EMPTY", Ok(None)),
            ("env:OTHER", Ok(None)),
            ("sk-literal", Ok(Some("sk-literal"))),
            ("cmd:printf 'a key\\nuser: me\\n'", Ok(Some("a key"))),
            ("cmd:true", Err(SecretError::NoText)),
            ("cmd:exit 3", Err(SecretError::Failed("exit status: 3".into()))),
            ("cmd:printf '\\377'", Err(SecretError::NoText)),
            ("cmd:head -c 100000 /dev/zero", Err(SecretError::NoText)),
        ] {
            assert_eq!(get(text), expected.map(|key| key.map(str::to_owned)), "{text}");
        }
    }

    #[test]
    fn a_hanging_command_is_given_up() {
        let limit = Duration::from_millis(50);
        for command in ["exec sleep 600", "echo key; exec sleep 600 >&-"] {
            assert_eq!(run_command(command, limit).map(drop), Err(SecretError::TimedOut(limit)), "{command}");
        }
    }

    #[test]
    fn nothing_prints_a_secret() {
        let key = resolve_secret("sk-123", &|_| None).unwrap().unwrap();
        assert!(!format!("{key:?}").contains("sk-123"));
        let error = run_command("echo sk-123 >&2; exit 1", COMMAND_TIMEOUT).unwrap_err();
        assert!(!format!("{error:?}{error}{:?}", Fault::from(error.clone())).contains("sk-123"));
    }
}
