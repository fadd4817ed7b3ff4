//! PURE. Decides which calls run without approval.
//!
//! Rules and grants are patterns (see [`Pattern`]). Their decisions are counted, so that a person sees which rules are
//! useful.

use crate::event::command_line::CommandLine;
use crate::event::{
    ApprovalMode, ApprovalRequest, DecidedBy, Decision, Grant, Pattern, PermissionRule, Permissions, Risk, RuleKind,
    ToolKind, allow_line,
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
        if self.may_deny(tool, kind, subject) {
            return ApprovalVerdict::Ask;
        }
        if needs_no_rule {
            return ApprovalVerdict::Allow;
        }
        let rules = self.allow.iter_mut().map(|rule| (&rule.pattern, &mut rule.uses));
        let grants = self.grants.iter_mut().map(|grant| (&grant.pattern, &mut grant.uses));
        let (patterns, mut uses): (Vec<&Pattern>, Vec<&mut u64>) = rules.chain(grants).unzip();
        let Some(decided) = allowing(&patterns, tool, kind, subject) else { return ApprovalVerdict::Ask };
        for place in decided {
            *uses[place] = uses[place].saturating_add(1);
        }
        ApprovalVerdict::Allow
    }

    /// Decides about a request. To leave the sandbox is always asked: whatever is allowed is allowed inside.
    pub fn judge_request(&mut self, request: &ApprovalRequest) -> ApprovalVerdict {
        match self.judge(&request.tool, request.kind, request.risk, &request.subject) {
            ApprovalVerdict::Allow if request.leaves_sandbox() => ApprovalVerdict::Ask,
            verdict => verdict,
        }
    }

    /// Returns whether rules deny some calls of the tool, and nobody can say whether a call is one of them.
    fn may_deny(&self, tool: &str, kind: ToolKind, subject: &str) -> bool {
        kind == ToolKind::Execute
            && self.deny.iter().any(|rule| rule.pattern.tool == tool)
            && CommandLine::read(subject).unread.is_some()
    }

    /// Takes those of the offered patterns out of a request that it needs no more: others allow their parts already.
    pub fn narrow_offer(&self, request: &mut ApprovalRequest) {
        let Some(offered) = &request.pattern else { return };
        let Ok(mut patterns) = Pattern::parse_list_for(&request.tool, offered) else { return };
        let known: Vec<&Pattern> =
            self.allow.iter().map(|rule| &rule.pattern).chain(self.grants.iter().map(|grant| &grant.pattern)).collect();
        for place in (0..patterns.len()).rev().filter(|_| request.kind == ToolKind::Execute) {
            let others = patterns.iter().enumerate().filter(|(other, _)| *other != place).map(|(_, pattern)| pattern);
            let all: Vec<&Pattern> = others.chain(known.iter().copied()).collect();
            if allow_line(&all, &request.tool, &request.subject).is_some() {
                patterns.remove(place);
            }
        }
        request.pattern = Some(Pattern::write_list(&patterns)).filter(|list| !list.is_empty());
    }

    /// Adds what a decision about a call of `tool` allows from now on. "This session" allows the whole tool, even one
    /// that runs commands: that is what people take it to mean, and a pattern exists for less. An invalid pattern, or one for another
    /// tool, is an error.
    pub fn grant(&mut self, tool: &str, decision: &Decision, by: DecidedBy) -> Result<(), String> {
        let patterns = match decision {
            Decision::Once | Decision::Hunks(_) | Decision::Deny(_) | Decision::Offered { .. } => return Ok(()),
            Decision::Session => vec![Pattern { tool: tool.into(), glob: None }],
            Decision::Pattern(patterns) => Pattern::parse_list_for(tool, patterns)?,
        };
        for pattern in patterns {
            self.add_grant(PolicyGrant { pattern, by, from_earlier_run: false, uses: 0 });
        }
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

/// Returns the places of the patterns that allow a call: one, or for a command line one for each of its parts.
fn allowing(patterns: &[&Pattern], tool: &str, kind: ToolKind, subject: &str) -> Option<Vec<usize>> {
    if kind == ToolKind::Execute {
        return allow_line(patterns, tool, subject);
    }
    patterns.iter().position(|pattern| pattern.allows(tool, kind, subject)).map(|place| vec![place])
}

#[cfg(test)]
mod tests;
