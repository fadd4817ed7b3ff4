//! What is allowed without asking and what is never done, as it stands now: weather, never logged.

use serde::{Deserialize, Serialize};

use super::{DecidedBy, Pattern};

/// What decides beside the mode.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Permissions {
    /// Of the settings.
    pub rules: Vec<PermissionRule>,
    /// Given while the session runs, oldest first.
    pub grants: Vec<Grant>,
}

/// A rule of the settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PermissionRule {
    pub kind: RuleKind,
    /// As [`Pattern`] writes it.
    pub pattern: String,
    /// Where it was written, such as `config.toml:12`.
    #[serde(default)]
    pub origin: String,
    /// Calls that it decided in this run of the session.
    #[serde(default)]
    pub uses: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleKind {
    Allow,
    Deny,
}

/// What a person allowed for the rest of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    pub tool: String,
    /// Which of its calls, `*` for anything; none is every call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub glob: Option<String>,
    /// Who gave it.
    pub by: DecidedBy,
    /// It was given in an earlier run of the session.
    #[serde(rename = "earlier", default)]
    pub from_earlier_run: bool,
    /// Calls that it let through since it was given.
    #[serde(default)]
    pub uses: u64,
}

impl Grant {
    /// Returns what it allows as a pattern, which also is its name.
    pub fn pattern(&self) -> String {
        Pattern { tool: self.tool.clone(), glob: self.glob.clone() }.to_string()
    }
}
