//! PURE. Servers of the Model Context Protocol: how each is started or reached, and what it may do.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::setting::{address, boolean, duration, folders, optional, secret, settings, texts};
use crate::text::secrets::is_secret_name;

settings! {
    /// A server with tools, by the person's name for it. A project that is not trusted can't set one.
    pub struct McpConfig {
        /// The program and its arguments.
        command: Vec<String> = Vec::new(), texts("a list of words such as [\"npx\", \"-y\", \"@scope/server\"]");
        /// In place of a program.
        url: Option<String> = None, optional(address("an address such as \"https://mcp.example/mcp\""));
        /// Sent to the address as a bearer token.
        token: Option<String> = None, optional(secret("the token"));
        /// Whether it is used.
        enabled: bool = true, boolean();
        /// Whether the program runs in the sandbox, where the machine has one.
        sandbox: bool = true, boolean();
        /// Whether it may connect to other hosts there.
        network: bool = true, boolean();
        /// Where it writes there, besides temporary files; without it the working folder and the packages of what starts
        /// it.
        write: Option<Vec<PathBuf>> = None, optional(folders("a list of folders such as [\".\", \"~/notes\"]"));
        /// How long a call may run.
        timeout: Duration = Duration::from_mins(5), duration();
        /// How long it may take until its tools are known.
        start_timeout: Duration = Duration::from_secs(30), duration();
    }
    with {
        /// Variables of the program; values in the same form as `token`.
        env: BTreeMap<String, String>,
        /// Sent with each request to the address; likewise.
        headers: BTreeMap<String, String>,
    }
}

impl McpConfig {
    /// Returns the values that are secrets: all headers, and the variables that are named like one.
    pub(super) fn secret_values(&self) -> impl Iterator<Item = &String> {
        let variables = self.env.iter().filter(|(name, value)| {
            let source = value.strip_prefix("env:").unwrap_or(name);
            is_secret_name(source.trim()) || is_secret_name(name)
        });
        self.token.iter().chain(self.headers.values()).chain(variables.map(|(_, value)| value))
    }
}
