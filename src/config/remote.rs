//! PURE. Named remotes: their address, request format, credentials and headers.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::secret;
use crate::engine::remote::{REQUEST_KINDS, RequestKind};
use crate::text::address::redact_login;

/// Returns the names of the request formats that `--request` and the settings accept.
pub fn request_names() -> Vec<&'static str> {
    REQUEST_KINDS.iter().map(|kind| kind.name).collect()
}

/// A named remote agent to attach to. Missing values are detected.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RemoteConfig {
    pub url: String,
    pub dialect: Option<String>,
    pub request: Option<&'static RequestKind>,
    /// `env:NAME`, `cmd:COMMAND` or the token itself.
    pub token: Option<String>,
    /// Sent with each request; values in the same form as `token`.
    pub headers: BTreeMap<String, String>,
    /// Its tool calls are run here.
    pub local_tools: bool,
    /// Gives up if nothing arrives for so long; `None` waits forever.
    pub idle_timeout: Option<Duration>,
    pub model: Option<String>,
}

/// Hides secrets, because debug output ends up in logs.
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
