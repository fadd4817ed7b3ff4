//! The MCP servers of the settings: each is described here and started when it is needed.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use futures_util::FutureExt as _;
use secrecy::SecretString;

use crate::config::{Config, McpConfig, environment, secret};
use crate::event::McpServerStatus;
use crate::mcp::{McpConfinement, McpConnection, McpServer, McpServerSpec, ResolveValues};
use crate::net::{self, HttpClient};
use crate::sandbox::{SandboxRules, ServiceAccess};
use crate::text::one_line;

/// The servers of a program; a clone is the same ones.
#[derive(Clone, Default)]
pub struct McpServers(Arc<[Arc<McpServer>]>);

impl fmt::Debug for McpServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|server| server.name())).finish()
    }
}

impl McpServers {
    /// Describes the servers that are enabled. Nothing is started.
    pub(super) fn new(config: &Config, folder: &Path, http: &HttpClient, sandbox: Option<&Arc<SandboxRules>>) -> Self {
        let enabled = config.mcp.iter().filter(|(_, server)| server.enabled);
        Self(
            enabled
                .filter_map(|(name, server)| {
                    Some(Arc::new(McpServer::new(spec(name, server, folder, http, sandbox, config.sandbox.enabled)?)))
                })
                .collect(),
        )
    }

    pub fn all(&self) -> &[Arc<McpServer>] {
        &self.0
    }

    pub fn statuses(&self) -> Vec<McpServerStatus> {
        self.0.iter().map(|server| server.status()).collect()
    }

    /// Returns their states with what each is kept from, which may have to be found out.
    pub async fn told_statuses(&self) -> Vec<McpServerStatus> {
        if let Some(confinement) = self.0.iter().find_map(|server| server.spec().confinement.as_ref()) {
            confinement.rules.ask_support().await;
        }
        self.statuses()
    }

    /// Returns what each program is kept from, in words. Blocks for some milliseconds the first time.
    pub fn access(&self) -> BTreeMap<String, String> {
        let support = self.0.iter().find_map(|server| Some(server.spec().confinement.as_ref()?.rules.support()));
        self.0.iter().map(|server| (server.name().to_owned(), server.spec().access_words(support))).collect()
    }

    /// Waits until one of them is another than it was when this was called first. Cancel-safe.
    pub async fn changed(&self) {
        let changes: Vec<_> = self.0.iter().map(|server| server.status_changes().boxed()).collect();
        if changes.is_empty() {
            return std::future::pending().await;
        }
        futures_util::future::select_all(changes).await;
    }

    /// Returns the one of that name.
    ///
    /// # Errors
    ///
    /// Fails if there is none; the error names those that there are.
    pub fn find(&self, name: &str) -> Result<&Arc<McpServer>, String> {
        self.0.iter().find(|server| server.name() == name).ok_or_else(|| {
            let known: Vec<&str> = self.0.iter().map(|server| server.name()).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            format!("no MCP server {}; there are: {known}", one_line(name, 60))
        })
    }

    /// Starts one again, and waits until it speaks or fails; which, its status tells.
    ///
    /// # Errors
    ///
    /// Fails if there is none of that name.
    pub async fn restart(&self, name: &str) -> Result<(), String> {
        let server = self.find(name)?;
        server.restart();
        // How that went stands in its status.
        let _ = server.list_tools().await;
        Ok(())
    }

    pub(super) async fn close(&self) {
        futures_util::future::join_all(self.0.iter().map(|server| server.close())).await;
    }
}

/// Describes a server; `None` where the settings say neither what to start nor where it is.
fn spec(
    name: &str,
    config: &McpConfig,
    folder: &Path,
    http: &HttpClient,
    sandbox: Option<&Arc<SandboxRules>>,
    is_sandboxed: bool,
) -> Option<McpServerSpec> {
    let connection = match (&config.url, config.command.is_empty()) {
        (_, false) => McpConnection::Program(config.command.clone()),
        (Some(url), true) => McpConnection::Address(url.clone()),
        (None, true) => return None,
    };
    Some(McpServerSpec {
        name: name.to_owned(),
        values: resolver(name, config, &connection),
        connection,
        confinement: confinement(config, sandbox, is_sandboxed),
        folder: folder.to_owned(),
        call_timeout: config.timeout,
        start_timeout: config.start_timeout,
        http: http.for_attached_remote(),
    })
}

/// Returns what a program is kept from, by a supervisor that ends it in any case.
fn confinement(
    config: &McpConfig,
    supervisor: Option<&Arc<SandboxRules>>,
    is_sandboxed: bool,
) -> Option<McpConfinement> {
    let access = ServiceAccess {
        is_confined: config.sandbox && is_sandboxed,
        network: config.network,
        write: config.write.clone(),
    };
    Some(McpConfinement { rules: Arc::clone(supervisor?), access })
}

/// Returns what reads the variables or headers of a server. Secrets among them are known from then on.
fn resolver(name: &str, config: &McpConfig, connection: &McpConnection) -> ResolveValues {
    let name = name.to_owned();
    let (table, mut texts) = match connection {
        McpConnection::Program(_) => ("env", config.env.clone()),
        McpConnection::Address(_) => ("headers", config.headers.clone()),
    };
    if let (McpConnection::Address(_), Some(token)) = (connection, &config.token) {
        texts.insert(TOKEN.to_owned(), token.clone());
    }
    Arc::new(move || {
        let mut values = BTreeMap::new();
        for (key, text) in &texts {
            let value = secret::resolve_secret(text, &environment::variable)
                .map_err(|error| format!("mcp.{name}.{table}.{key}: {error}"))?;
            let value = value.ok_or_else(|| format!("mcp.{name}.{table}.{key} is not set: {}", source(text)))?;
            if text.starts_with("cmd:") {
                net::register_secret(&value);
            }
            if key == TOKEN {
                let bearer = format!("Bearer {}", secrecy::ExposeSecret::expose_secret(&value));
                values.insert("authorization".to_owned(), SecretString::from(bearer));
            } else {
                values.insert(key.clone(), value);
            }
        }
        Ok(values)
    })
}

/// Stands for the header that the token becomes.
const TOKEN: &str = "token";

fn source(text: &str) -> String {
    match text.strip_prefix("env:") {
        Some(variable) => format!("set the variable {}", variable.trim()),
        None => "it is empty".to_owned(),
    }
}
