//! What is currently allowed and denied without approval: status, never logged.

use serde::{Deserialize, Serialize};

use super::{DecidedBy, Pattern};

/// What decides about calls besides the mode.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Permissions {
    /// From the settings.
    pub rules: Vec<PermissionRule>,
    /// Granted while the session runs, oldest first.
    pub grants: Vec<Grant>,
}

/// A rule from the settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PermissionRule {
    pub kind: RuleKind,
    /// In the syntax of [`Pattern`].
    pub pattern: String,
    /// Where it was written, such as `config.toml:12`.
    #[serde(default)]
    pub origin: String,
    /// How many calls it has decided in this run of the session.
    #[serde(default)]
    pub uses: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleKind {
    Allow,
    Deny,
}

/// A permission that lasts for the rest of the session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    pub tool: String,
    /// Which calls of the tool, `*` for anything; `None` means every call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub glob: Option<String>,
    /// Where the decision came from.
    pub by: DecidedBy,
    /// It was granted in an earlier run of the session.
    #[serde(rename = "earlier", default)]
    pub from_earlier_run: bool,
    /// How many calls it has allowed since it was granted.
    #[serde(default)]
    pub uses: u64,
}

impl Permissions {
    /// Returns the patterns that allow.
    pub fn allowing(&self) -> Vec<Pattern> {
        let rules = self.rules.iter().filter(|rule| rule.kind == RuleKind::Allow);
        let rules = rules.filter_map(|rule| Pattern::parse(&rule.pattern).ok());
        let grants = self.grants.iter().map(|grant| Pattern { tool: grant.tool.clone(), glob: grant.glob.clone() });
        rules.chain(grants).collect()
    }
}

impl Grant {
    /// Returns what it allows as a pattern, which is also its name.
    pub fn pattern(&self) -> String {
        Pattern { tool: self.tool.clone(), glob: self.glob.clone() }.to_string()
    }
}
