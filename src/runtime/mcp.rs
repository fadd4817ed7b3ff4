//! The MCP servers of the settings: each is described here and started when it is needed.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use futures_util::FutureExt as _;
use secrecy::SecretString;

use crate::config::{Config, McpConfig, environment, secret};
use crate::event::{McpPrompt, McpServerState, McpServerStatus, PromptContext};
use crate::mcp::{self, McpConfinement, McpConnection, McpServer, McpServerSpec, McpServerWatch, ResolveValues};
use crate::net::{self, HttpClient};
use crate::sandbox::{SandboxRules, ServiceAccess};
use crate::text::one_line;

/// The servers of a program; a clone is the same ones.
#[derive(Clone, Default)]
pub struct McpServers(Arc<[Arc<McpServer>]>);

/// Waits for changes of servers.
pub struct McpWatch(Vec<McpServerWatch>);

impl McpWatch {
    /// Waits until one of them is another than it was the last time. Cancel-safe.
    pub async fn changed(&mut self) {
        if self.0.is_empty() {
            return std::future::pending().await;
        }
        futures_util::future::select_all(self.0.iter_mut().map(|server| server.changed().boxed())).await;
    }
}

impl fmt::Debug for McpServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|server| server.name())).finish()
    }
}

impl McpServers {
    /// Describes the servers that are enabled. Nothing is started.
    pub(super) fn new(
        config: &Config,
        folder: &Path,
        logins: &Path,
        http: &HttpClient,
        sandbox: Option<&Arc<SandboxRules>>,
    ) -> Self {
        let enabled = config.mcp.iter().filter(|(_, server)| server.enabled);
        Self(
            enabled
                .filter_map(|(name, server)| {
                    Some(Arc::new(McpServer::new(spec(
                        name,
                        server,
                        folder,
                        logins,
                        http,
                        sandbox,
                        config.sandbox.enabled,
                    )?)))
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
        futures_util::future::join_all(self.0.iter().map(|server| server.refresh())).await;
        self.statuses()
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|server| server.name())
    }

    /// Returns what a mention may become that begins like this: the name of a server, and the resources of those that are
    /// known. The server that it names is started for it.
    pub async fn resource_mentions(&self, typed: &str) -> Vec<String> {
        let named = typed.split_once(':').map(|(name, _)| name);
        let mut mentions = Vec::new();
        for server in self.0.iter() {
            let name = server.name();
            if named == Some(name) {
                let _ = server.list_offers().await;
            }
            match server.known_offers() {
                Some(offers) => mentions.extend(offers.addresses().map(|address| format!("{name}:{address}"))),
                None if named.is_none() => mentions.push(format!("{name}:")),
                None => {}
            }
        }
        mentions
    }

    /// Returns the prompts that servers write, each with the name of its server, as far as they run. One that is named is
    /// started for it.
    pub async fn prompts(&self, named: Option<&str>) -> Vec<(String, McpPrompt)> {
        let mut prompts = Vec::new();
        for server in self.0.iter() {
            let name = server.name();
            let runs = matches!(server.status().state, McpServerState::Ready);
            if (runs || named == Some(name))
                && let Ok(offers) = server.list_offers().await
            {
                prompts.extend(offers.prompts().map(|prompt| (name.to_owned(), prompt)));
            }
        }
        prompts
    }

    /// Has the server write a prompt, named `server:prompt`.
    ///
    /// # Errors
    ///
    /// Fails with the reason, for the person.
    pub async fn write_prompt(&self, command: &str, words: &str) -> Result<(String, Vec<PromptContext>), String> {
        let (name, prompt) = command.split_once(':').ok_or("no prompt of a server")?;
        let server = self.find(name)?;
        let offers = server.list_offers().await?;
        let known = offers.prompts().find(|known| known.name.eq_ignore_ascii_case(prompt));
        let known = known.ok_or_else(|| format!("{name} has no prompt {}", one_line(prompt, 60)))?;
        server.write_prompt(&known.name, mcp::read_prompt_arguments(&known, words)?).await
    }

    /// Forgets the login at a server. Returns whether there was one.
    ///
    /// # Errors
    ///
    /// Fails if there is no such server, or the file can't be removed.
    pub fn forget_login(&self, name: &str) -> Result<bool, String> {
        let file = &self.find(name)?.spec().login_file;
        mcp::forget_login(file).map_err(|error| format!("{}: {error}", file.display()))
    }

    /// Returns what each program is kept from, in words. Blocks for some milliseconds the first time.
    pub fn access(&self) -> BTreeMap<String, String> {
        let support = self.0.iter().find_map(|server| Some(server.spec().confinement.as_ref()?.rules.support()));
        self.0.iter().map(|server| (server.name().to_owned(), server.spec().access_words(support))).collect()
    }

    /// Returns what waits for changes of any of them from now on.
    pub fn watch(&self) -> McpWatch {
        McpWatch(self.0.iter().map(|server| server.watch()).collect())
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
    logins: &Path,
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
        login_file: logins.join(format!("{name}.json")),
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
