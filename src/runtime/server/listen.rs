//! From flags and settings to a server: its address, access rules and limits.

use std::sync::Arc;

use secrecy::SecretString;

use super::SessionFactory;
use crate::cli;
use crate::config::{ServerConfig, environment, secret};
use crate::net;
use crate::runtime::{HostedAgent, Runtime, UsageError};
use crate::serve::factory::Factory;
use crate::serve::{ApprovalLinkSettings, Limits, Settings, Tokens};
use crate::text::address::{listens_locally, parse_http_url, with_scheme};

/// A server that is ready to listen.
pub struct ServerPlan {
    pub factory: Arc<dyn Factory>,
    pub settings: Settings,
    pub host: String,
    pub port: u16,
    /// Damage in the recording that is played, and tools that can't be had.
    pub warnings: Vec<String>,
}

impl Runtime {
    /// Prepares a server, or returns why that isn't possible. It tells its warnings by `warn`.
    pub async fn plan_server(mut self, args: &cli::ServeArgs, warn: fn(&str)) -> anyhow::Result<ServerPlan> {
        // An invalid rule is reported now, not to the first client.
        let mode = self.approval_policy()?.mode;
        let config = self.config().server.clone();
        // A socket is on this machine, whatever the settings say of the port.
        let host = match &args.socket {
            Some(_) => "127.0.0.1".to_owned(),
            None => args.host.clone().unwrap_or_else(|| config.host.clone()),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let loopback = listens_locally(&host);
        let tokens = resolve_tokens(args, &config).await?;
        // Clients with the read token see what commands print.
        self.hidden_variables.extend([&args.token_env, &args.read_token_env].into_iter().flatten().cloned());
        [&tokens.full, &tokens.read].into_iter().flatten().for_each(net::register_secret);
        if !loopback && tokens.full.is_none() {
            let text = format!(
                "{host} is reachable from other machines, and any client can run tools here: set a token with \
                 --token-env NAME, or listen on 127.0.0.1"
            );
            return Err(UsageError(text).into());
        }
        let public_url = args.public_url.as_ref().or(config.public_url.as_ref());
        let public_origin = public_url.map(|url| public_origin(url, &tokens)).transpose()?;
        let approval_links = approval_links(&config, public_origin.as_deref(), &self.hidden_variables)?;
        let mut origins = config.origins.clone();
        origins.extend(args.allow_origin.iter().cloned());
        let settings = Settings {
            tokens,
            origins,
            read_only: args.read_only,
            mode,
            loopback,
            public_origin,
            openjarvis_compat: args.openjarvis_compat,
            read_link_lifetime: Some(config.read_link_lifetime).filter(|lifetime| !lifetime.is_zero()),
            approval_links,
            limits: Limits {
                max_clients: config.max_clients,
                max_sessions: config.max_sessions,
                max_body_bytes: config.max_body_bytes,
                max_prompt_bytes: config.max_prompt_bytes,
            },
        };
        let hosted = HostedAgent::resolve(args, self.config())?;
        let recording = args.replay.as_ref().map(|wanted| self.session_path(wanted)).transpose()?;
        let store_warnings = match &recording {
            Some(_) => Vec::new(),
            None => self.open_shared_store(args.store.as_deref()).await?,
        };
        // Once for all sessions, which share the list.
        let unlisted = self.tools.refresh().await;
        let damage = recording.as_ref().map(|path| self.find_log_damage(path)).unwrap_or_default();
        let warnings = damage.into_iter().map(|(_, text)| text).chain(unlisted).chain(store_warnings).collect();
        let served = SessionFactory::new(Arc::new(self), config.approval_timeout).with_warnings(warn).hosting(hosted);
        let served = match &recording {
            Some(path) => served.with_recording(path, args.speed as f32)?,
            None => served,
        };
        Ok(ServerPlan { factory: Arc::new(served), settings, host, port: args.port.unwrap_or(config.port), warnings })
    }
}

/// Returns the origin of the address under which a proxy offers the server.
fn public_origin(url: &str, tokens: &Tokens) -> Result<String, UsageError> {
    let parsed = parse_http_url(&with_scheme(url))
        .map_err(|why| UsageError(format!("{url} of --public-url is no address of a server: {why}")))?;
    if tokens.full.is_none() {
        let text = "a server behind a proxy is reachable from other machines: set a token with --token-env NAME beside \
                    --public-url";
        return Err(UsageError(text.into()));
    }
    Ok(parsed.origin().ascii_serialization())
}

/// Returns how links for approvals are made, where a program is named that gets them.
fn approval_links(
    config: &ServerConfig,
    origin: Option<&str>,
    hidden_variables: &[String],
) -> Result<Option<ApprovalLinkSettings>, UsageError> {
    if config.approval_link_command.is_empty() {
        return Ok(None);
    }
    let Some(origin) = origin else {
        let text = "links for approvals lead to the address of the server: set public_url in [server], or --public-url, \
                    beside approval_link_command";
        return Err(UsageError(text.into()));
    };
    Ok(Some(ApprovalLinkSettings {
        origin: origin.to_owned(),
        lifetime: config.approval_link_lifetime.min(config.approval_timeout),
        command: config.approval_link_command.clone().into(),
        hidden_variables: hidden_variables.into(),
    }))
}

/// A server for the program that started this one.
pub struct ChildServerPlan {
    pub factory: Arc<dyn Factory>,
    pub settings: Settings,
}

impl Runtime {
    /// Prepares a server for the program that started this one, or returns why that isn't possible.
    pub fn plan_child_server(self) -> anyhow::Result<ChildServerPlan> {
        let mode = self.approval_policy()?.mode;
        let config = self.config().server.clone();
        let limits = Limits {
            max_sessions: config.max_sessions,
            max_prompt_bytes: config.max_prompt_bytes,
            ..Limits::default()
        };
        let settings = Settings { mode, limits, ..Settings::default() };
        let served = SessionFactory::new(Arc::new(self), config.approval_timeout).for_parent_program();
        Ok(ChildServerPlan { factory: Arc::new(served), settings })
    }
}

/// Resolves the tokens, which may come from a slow command.
async fn resolve_tokens(args: &cli::ServeArgs, config: &ServerConfig) -> anyhow::Result<Tokens> {
    let (named, read_named) = (args.token_env.clone(), args.read_token_env.clone());
    let (token, read_token) = (config.token.clone(), config.read_token.clone());
    let got = tokio::task::spawn_blocking(move || -> anyhow::Result<Tokens> {
        let full = resolve_token("--token-env", named.as_deref(), &token)?;
        let read = resolve_token("--read-token-env", read_named.as_deref(), &read_token)?;
        Ok(Tokens { full, read })
    });
    got.await?
}

fn resolve_token(flag: &str, named: Option<&str>, configured: &str) -> anyhow::Result<Option<SecretString>> {
    let env = environment::variable;
    let Some(name) = named else { return Ok(secret::resolve_secret(configured, &env)?) };
    let token = secret::resolve_secret(&format!("env:{name}"), &env)?;
    // Running without the requested token would be worse than not running.
    Ok(Some(token.ok_or_else(|| UsageError(format!("the variable {name} of {flag} is not set or empty")))?))
}
