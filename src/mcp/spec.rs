//! What is known of a server before it is started.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use crate::net::HttpClient;

/// Reads the variables of a program, or the headers for an address, by name. It blocks: a value may come from a command.
pub type ResolveValues = Arc<dyn Fn() -> Result<BTreeMap<String, SecretString>, String> + Send + Sync>;

/// A server as the person set it up.
#[derive(Clone)]
pub struct McpServerSpec {
    /// The person's name for it, and the prefix of its tools.
    pub name: String,
    pub connection: McpConnection,
    pub access: McpAccess,
    /// Where a program is started, and the folder that a server is told to work in.
    pub folder: PathBuf,
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

/// What a program may do, for whoever confines it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct McpAccess {
    /// Whether it may connect to other hosts.
    pub network: bool,
    /// Folders besides the working folder that it may write to.
    pub write: Vec<PathBuf>,
}

impl fmt::Debug for McpServerSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpServerSpec").field("name", &self.name).finish_non_exhaustive()
    }
}

impl McpServerSpec {
    /// Returns the program or the address, for display.
    pub fn place(&self) -> String {
        match &self.connection {
            McpConnection::Program(words) => words.join(" "),
            McpConnection::Address(url) => crate::text::display_url::redact_login(url),
        }
    }
}
