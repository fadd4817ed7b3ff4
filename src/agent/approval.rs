//! PURE. Decides which calls run without approval.
//!
//! Rules and grants are patterns (see [`Pattern`]). Their decisions are counted, so that a person sees which rules are
//! useful.

use crate::event::{
    ApprovalMode, DecidedBy, Decision, Grant, Pattern, PermissionRule, Permissions, Risk, RuleKind, ToolKind,
};

/// The policy's decision about a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApprovalVerdict {
    Allow,
    Ask,
    /// The reason, for the model and the person.
    Deny(String),
}

/// Everything that decides about a call, the session's grants included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApprovalPolicy {
    pub mode: ApprovalMode,
    allow: Vec<PolicyRule>,
    deny: Vec<PolicyRule>,
    /// Granted by the person while the session runs.
    grants: Vec<PolicyGrant>,
}

/// A pattern from the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PolicyRule {
    pattern: Pattern,
    origin: String,
    uses: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct PolicyGrant {
    pattern: Pattern,
    by: DecidedBy,
    from_earlier_run: bool,
    uses: u64,
}

impl ApprovalPolicy {
    /// Parses the configured patterns. The error names all invalid ones, one per line: ignoring a denying one would be
    /// unsafe.
    pub fn new(mode: ApprovalMode, allow: &[String], deny: &[String]) -> Result<Self, String> {
        let mut wrong = Vec::new();
        let mut read = |patterns: &[String]| -> Vec<PolicyRule> {
            let rules = patterns.iter().map(|pattern| Pattern::parse(pattern));
            let rule = |pattern| PolicyRule { pattern, origin: String::new(), uses: 0 };
            rules.filter_map(|read| read.map_err(|error| wrong.push(error)).ok()).map(rule).collect()
        };
        let (allow, deny) = (read(allow), read(deny));
        if wrong.is_empty() { Ok(Self { mode, allow, deny, grants: Vec::new() }) } else { Err(wrong.join("\n")) }
    }

    /// Sets where each rule was written, for display.
    #[must_use]
    pub fn with_origins(mut self, of: impl Fn(RuleKind, &str) -> String) -> Self {
        for (kind, rules) in [(RuleKind::Allow, &mut self.allow), (RuleKind::Deny, &mut self.deny)] {
            for rule in rules {
                rule.origin = of(kind, &rule.pattern.to_string());
            }
        }
        self
    }

    /// Decides about a call of a tool by the kind, risk and subject of its approval request; counts the rule or grant
    /// that decided.
    pub fn judge(&mut self, tool: &str, kind: ToolKind, risk: Risk, subject: &str) -> ApprovalVerdict {
        if let Some(rule) = self.deny.iter_mut().find(|rule| rule.pattern.denies(tool, kind, subject)) {
            rule.uses = rule.uses.saturating_add(1);
            return ApprovalVerdict::Deny(format!("denied by the rule `{}`", rule.pattern));
        }
        if self.mode == ApprovalMode::Plan {
            return match risk {
                Risk::ReadOnly => ApprovalVerdict::Allow,
                _ => ApprovalVerdict::Deny(format!(
                    "`{tool}` is denied in plan mode, which only reads; describe what you would do instead"
                )),
            };
        }
        let needs_no_rule = self.mode == ApprovalMode::Full
            || risk == Risk::ReadOnly
            || (self.mode == ApprovalMode::AutoEdit && risk == Risk::Write);
        if needs_no_rule {
            return ApprovalVerdict::Allow;
        }
        let rules = self.allow.iter_mut().map(|rule| (&rule.pattern, &mut rule.uses));
        let grants = self.grants.iter_mut().map(|grant| (&grant.pattern, &mut grant.uses));
        match rules.chain(grants).find(|(pattern, _)| pattern.allows(tool, kind, subject)) {
            Some((_, uses)) => {
                *uses = uses.saturating_add(1);
                ApprovalVerdict::Allow
            }
            None => ApprovalVerdict::Ask,
        }
    }

    /// Adds what a decision about a call of `tool` allows from now on. "This session" allows the whole tool, even one
    /// that runs commands: that is what people take it to mean, and a pattern exists for less. An invalid pattern, or one for another
    /// tool, is an error.
    pub fn grant(&mut self, tool: &str, decision: &Decision, by: DecidedBy) -> Result<(), String> {
        let pattern = match decision {
            Decision::Once | Decision::Hunks(_) | Decision::Deny(_) | Decision::Offered { .. } => return Ok(()),
            Decision::Session => Pattern { tool: tool.into(), glob: None },
            Decision::Pattern(pattern) => Pattern::parse_for(tool, pattern)?,
        };
        self.add_grant(PolicyGrant { pattern, by, from_earlier_run: false, uses: 0 });
        Ok(())
    }

    /// Restores grants of an earlier run of the session; those that aren't valid patterns are skipped.
    pub fn restore_grants(&mut self, grants: Vec<Grant>) {
        for grant in grants {
            if let Ok(pattern) = Pattern::parse(&grant.pattern()) {
                self.add_grant(PolicyGrant { pattern, by: grant.by, from_earlier_run: true, uses: grant.uses });
            }
        }
    }

    /// Revokes a grant, named by its pattern; returns whether it existed.
    pub fn revoke(&mut self, pattern: &str) -> bool {
        let before = self.grants.len();
        self.grants.retain(|grant| grant.pattern.to_string() != pattern);
        self.grants.len() < before
    }

    /// Returns everything that is allowed or denied whatever the mode, with the number of decisions so far.
    pub fn permissions(&self) -> Permissions {
        let rules = |kind, rules: &[PolicyRule]| -> Vec<PermissionRule> {
            let to_permission = |rule: &PolicyRule| {
                let (pattern, origin) = (rule.pattern.to_string(), rule.origin.clone());
                PermissionRule { kind, pattern, origin, uses: rule.uses }
            };
            rules.iter().map(to_permission).collect()
        };
        let granted = |granted: &PolicyGrant| {
            let PolicyGrant { pattern: Pattern { tool, glob }, by, from_earlier_run: earlier, uses } = granted.clone();
            Grant { tool, glob, by, from_earlier_run: earlier, uses }
        };
        Permissions {
            rules: [rules(RuleKind::Allow, &self.allow), rules(RuleKind::Deny, &self.deny)].concat(),
            grants: self.grants.iter().map(granted).collect(),
        }
    }

    fn add_grant(&mut self, granted: PolicyGrant) {
        if !self.grants.iter().any(|known| known.pattern == granted.pattern) {
            self.grants.push(granted);
        }
    }
}

#[cfg(test)]
mod tests;
