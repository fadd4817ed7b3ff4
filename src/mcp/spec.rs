//! What is known of a server before it is started.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use crate::net::HttpClient;
use crate::sandbox::{SandboxPolicy, SandboxRules, SandboxSupport, SandboxedCommand, ServiceAccess, explain_refusal};

/// Reads the variables of a program, or the headers for an address, by name. It blocks: a value may come from a command.
pub type ResolveValues = Arc<dyn Fn() -> Result<BTreeMap<String, SecretString>, String> + Send + Sync>;

/// A server as the person set it up.
#[derive(Clone)]
pub struct McpServerSpec {
    /// The person's name for it, and the prefix of its tools.
    pub name: String,
    pub connection: McpConnection,
    /// What a program is kept from; none where nothing confines it.
    pub confinement: Option<McpConfinement>,
    /// Where a program is started, and the folder that a server is told to work in.
    pub folder: PathBuf,
    /// Where the login at an address is kept.
    pub login_file: PathBuf,
    /// How long a call may run.
    pub call_timeout: Duration,
    /// How long it may take until its tools are known.
    pub start_timeout: Duration,
    /// Variables or headers.
    pub values: ResolveValues,
    /// Asks addresses.
    pub http: HttpClient,
}

/// How a server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum McpConnection {
    /// A program and its arguments; messages go over its standard streams.
    Program(Vec<String>),
    /// An address that speaks Streamable HTTP.
    Address(String),
}

/// What a program may do, and who confines it.
#[derive(Clone, Debug)]
pub struct McpConfinement {
    pub rules: Arc<SandboxRules>,
    pub access: ServiceAccess,
}

impl fmt::Debug for McpServerSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpServerSpec").field("name", &self.name).finish_non_exhaustive()
    }
}

impl McpServerSpec {
    /// Returns what a program may do; none for an address, and where nothing confines it.
    fn policy(&self) -> Option<(&McpConfinement, SandboxPolicy)> {
        let McpConnection::Program(words) = &self.connection else { return None };
        let confinement = self.confinement.as_ref()?;
        let program = words.first().map_or("", String::as_str);
        Some((confinement, confinement.rules.service_policy(&self.folder, program, &confinement.access)))
    }

    /// Returns how the program is started below a supervisor. Blocks for some milliseconds the first time.
    pub(super) fn supervised(&self) -> Option<SandboxedCommand> {
        let McpConnection::Program(words) = &self.connection else { return None };
        let (program, arguments) = words.split_first()?;
        let (confinement, policy) = self.policy()?;
        confinement.rules.service_command(&policy, program, arguments)
    }

    /// Says what a program is kept from, as far as that is known; nothing for an address.
    pub fn access_words(&self, support: Option<&SandboxSupport>) -> String {
        match (&self.connection, self.policy(), support) {
            (McpConnection::Address(_), ..) | (_, Some(_), None) => String::new(),
            (_, Some((confinement, policy)), Some(support)) => confinement.rules.describe_service(&policy, support),
            (_, None, _) => "no sandbox here: it can do what you can".to_owned(),
        }
    }

    /// Says what the sandbox refused, if what a program said tells that, and what opens it.
    pub(super) fn refusal(&self, said: &str) -> Option<String> {
        let (_, policy) = self.policy()?;
        if policy.is_open || !SandboxSupport::known()?.holds() {
            return None;
        }
        let refused = explain_refusal(said, policy.network)?;
        let name = &self.name;
        Some(format!("{refused}; mcp.{name}.write and mcp.{name}.network open more, mcp.{name}.sandbox = false all"))
    }

    /// Returns the program or the address, for display.
    pub fn place(&self) -> String {
        match &self.connection {
            McpConnection::Program(words) => words.join(" "),
            McpConnection::Address(url) => crate::text::display_url::redact_login(url),
        }
    }
}
