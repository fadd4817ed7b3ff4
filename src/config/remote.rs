//! PURE. Named remotes: their address, request format, credentials and headers.

use std::collections::BTreeMap;
use std::time::Duration;

use super::setting::{SettingType, address, boolean, duration, optional, secret, settings, text, texts};
use super::value::SettingValue;
use crate::engine;
use crate::engine::remote::{REQUEST_KINDS, RequestKind};

/// Returns the names of the request formats that `--request` and the settings accept.
pub fn request_names() -> Vec<&'static str> {
    REQUEST_KINDS.iter().map(|kind| kind.name).collect()
}

/// Returns what `--dialect` and the settings accept.
pub fn dialect_names() -> Vec<&'static str> {
    std::iter::once("auto").chain(engine::remote::dialect_names()).collect()
}

settings! {
    /// A named remote agent to attach to. Missing values are detected.
    pub struct RemoteConfig {
        url: String = String::new(), address("an address such as \"http://127.0.0.1:8000\"");
        dialect: Option<String> = None, dialect();
        request: Option<&'static RequestKind> = None, optional(request());
        token: Option<String> = None, optional(secret("the token"));
        model: Option<String> = None, optional(text("the name of a model"));
        /// Its tool calls are run here.
        local_tools: bool = false, boolean();
        /// Gives up if nothing arrives for so long; `None` waits forever.
        idle_timeout: Option<Duration> = None, optional(duration());
    }
    with {
        /// Sent with each request; values in the same form as `token`.
        headers: BTreeMap<String, String>,
    }
}

settings! {
    /// An agent program that `attach acp:NAME` starts. A project can't set one.
    pub struct AgentProgramConfig {
        command: Vec<String> = Vec::new(), texts("a list of words such as [\"opencode\", \"acp\"]");
        /// What it speaks; none where the command shows it.
        request: Option<&'static RequestKind> = None, optional(request());
    }
}

fn dialect() -> SettingType<Option<String>> {
    SettingType::new(
        "the name of a dialect such as \"openjarvis\", or \"auto\"",
        |value| Some(Some(value.as_text()?.to_owned()).filter(|name| name != "auto")),
        |name| Some(SettingValue::string(name.as_ref()?)),
    )
}

fn request() -> SettingType<&'static RequestKind> {
    SettingType::new(
        "a request format such as \"chat\", \"responses\", \"ag-ui\" or \"get\"",
        |value| RequestKind::find(value.as_text()?),
        |kind| Some(SettingValue::string(kind.name)),
    )
}
