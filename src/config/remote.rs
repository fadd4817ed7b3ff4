//! PURE. Remotes that were given a name: where they are, how they are asked, and what they are told.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::secret;
use crate::text::address::redact_login;

/// How a turn can be asked for, as `--request` and the settings name it.
pub const REQUEST_KINDS: [&str; 13] = [
    "chat",
    "openjarvis-bridge",
    "openjarvis-managed",
    "openjarvis-research",
    "responses",
    "enclava",
    "poe",
    "anthropic",
    "ollama",
    "ag-ui",
    "a2a",
    "a2a-1.0",
    "get",
];

/// A remote agent that can be attached to by name. Whatever is missing is found out.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RemoteConfig {
    pub url: String,
    pub dialect: Option<String>,
    /// One of [`REQUEST_KINDS`].
    pub request: Option<String>,
    /// `env:NAME`, `cmd:COMMAND` or the token itself.
    pub token: Option<String>,
    /// Sent with each request; values as in `token`.
    pub headers: BTreeMap<String, String>,
    /// Calls that it asks for are run here.
    pub local_tools: bool,
    /// Gives up when nothing at all came for so long; none waits for ever.
    pub idle_timeout: Option<Duration>,
    pub model: Option<String>,
}

/// Shows no secret, for this ends in logs.
impl fmt::Debug for RemoteConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteConfig")
            .field("url", &redact_login(&self.url))
            .field("dialect", &self.dialect)
            .field("request", &self.request)
            .field("token", &self.token.as_deref().map(secret::mask))
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("local_tools", &self.local_tools)
            .field("idle_timeout", &self.idle_timeout)
            .field("model", &self.model)
            .finish()
    }
}
