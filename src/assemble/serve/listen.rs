//! From flags and settings to a server: where it listens, who may ask, and where it says no.

use std::sync::Arc;

use secrecy::SecretString;

use super::Served;
use crate::assemble::{House, Wrong};
use crate::cli;
use crate::config::{ServerConfig, environment, secret};
use crate::net;
use crate::serve::factory::Factory;
use crate::serve::{Limits, Settings, Tokens};
use crate::text::address::listens_locally;

/// A server that only needs its port.
pub struct Serving {
    pub factory: Arc<dyn Factory>,
    pub settings: Settings,
    pub host: String,
    pub port: u16,
    /// What is wrong with the recording that is played.
    pub warnings: Vec<String>,
}

impl House {
    /// Makes a server of this house, or says why it may not be one.
    pub async fn serving(mut self, args: &cli::Serve) -> anyhow::Result<Serving> {
        // A wrong rule is told now, not to the first client.
        let mode = self.policy()?.mode;
        let config = self.config().server.clone();
        let host = args.host.clone().unwrap_or_else(|| config.host.clone());
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let loopback = listens_locally(&host);
        let tokens = tokens(args, &config).await?;
        // Who may only watch sees what commands print.
        self.hidden.extend([&args.token_env, &args.read_token_env].into_iter().flatten().cloned());
        [&tokens.full, &tokens.read].into_iter().flatten().for_each(net::remember);
        if !loopback && tokens.full.is_none() {
            let text = format!(
                "{host} can be reached from other machines, and whoever asks can run tools here: set a token with \
                 --token-env NAME, or listen on 127.0.0.1"
            );
            return Err(Wrong(text).into());
        }
        let mut origins = config.origins.clone();
        origins.extend(args.allow_origin.iter().cloned());
        let settings = Settings {
            tokens,
            origins,
            read_only: args.read_only,
            mode,
            loopback,
            openjarvis: args.openjarvis_compat,
            limits: Limits {
                clients: config.clients,
                sessions: config.sessions,
                body: config.body,
                message: config.message,
            },
        };
        let damage = args.replay.as_ref().map(|path| self.damage_of(path)).unwrap_or_default();
        let warnings = damage.into_iter().map(|(_, text)| text).collect();
        let served = Served::new(self, config.ask_timeout);
        let served = match &args.replay {
            Some(path) => served.playing(path, args.speed as f32)?,
            None => served,
        };
        Ok(Serving { factory: Arc::new(served), settings, host, port: args.port.unwrap_or(config.port), warnings })
    }
}

/// Gets the tokens, which may come from a command that takes its time.
async fn tokens(args: &cli::Serve, config: &ServerConfig) -> anyhow::Result<Tokens> {
    let (named, read_named) = (args.token_env.clone(), args.read_token_env.clone());
    let (token, read_token) = (config.token.clone(), config.read_token.clone());
    let got = tokio::task::spawn_blocking(move || -> anyhow::Result<Tokens> {
        let full = one("--token-env", named.as_deref(), &token)?;
        let read = one("--read-token-env", read_named.as_deref(), &read_token)?;
        Ok(Tokens { full, read })
    });
    got.await?
}

fn one(flag: &str, named: Option<&str>, configured: &str) -> anyhow::Result<Option<SecretString>> {
    let env = environment::variable;
    let Some(name) = named else { return Ok(secret::secret(configured, &env)?) };
    let token = secret::secret(&format!("env:{name}"), &env)?;
    // To serve without the token that was asked for would be worse than not to serve.
    Ok(Some(token.ok_or_else(|| Wrong(format!("the variable {name} of {flag} is not set or empty")))?))
}
