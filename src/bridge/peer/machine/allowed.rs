//! PURE. What was decided about a call of the agent, as far as it holds for what the agent has us do for that call.

use crate::dialect::acp::{ClientWork, PermissionRequest};
use crate::event::{DecidedBy, Decision, ToolKind};

/// What an agent is told of a request that came too late.
pub(super) const CANCELLED_REASON: &str = "the turn was cancelled";

/// What somebody allowed the agent for a call of its own.
pub(super) struct AllowedCall {
    kind: ToolKind,
    subject: String,
    paths: Vec<String>,
    new_texts: Vec<(String, String)>,
}

impl AllowedCall {
    pub(super) fn of(asked: &PermissionRequest) -> Self {
        let PermissionRequest { request, paths, new_texts, .. } = asked;
        Self {
            kind: request.kind,
            subject: request.subject.clone(),
            paths: paths.iter().cloned().chain([request.subject.clone()]).collect(),
            new_texts: new_texts.clone(),
        }
    }

    /// Returns whether a request does no more than what was allowed.
    pub(super) fn covers(&self, work: &ClientWork) -> bool {
        match work {
            ClientWork::WriteFile { path, content } => {
                let is_named = |named: &String| {
                    named == path || path.strip_suffix(named.as_str()).is_some_and(|folder| folder.ends_with('/'))
                };
                self.kind == ToolKind::Edit
                    && self.paths.iter().any(is_named)
                    && self.new_texts.iter().all(|(named, text)| !is_named(named) || content.contains(text.as_str()))
            }
            ClientWork::StartTerminal { command, .. } => {
                self.kind == ToolKind::Execute && self.subject.trim() == command.trim()
            }
            _ => false,
        }
    }
}

/// What the agent is told of a decision against its request.
pub(super) fn denial_words(decision: &Decision, by: DecidedBy) -> String {
    match (decision, by) {
        (_, DecidedBy::Cancelled) => CANCELLED_REASON.to_owned(),
        (_, DecidedBy::TimedOut) => "nobody decided in time".to_owned(),
        (Decision::Deny(Some(why)), DecidedBy::Policy) => why.clone(),
        (Decision::Deny(Some(why)), _) => format!("the person denied it: {why}"),
        _ => "the person denied it".to_owned(),
    }
}
