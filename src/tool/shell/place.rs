//! Where a command runs: inside the sandbox, or as it is.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::event::SandboxNote;
use crate::sandbox::{SandboxPolicy, SandboxRules, SandboxSupport, SandboxedCommand, explain_refusal};
use crate::tool::ToolContext;

pub(super) enum CommandPlace {
    /// There are no rules.
    Open,
    /// The rules don't count for this command, because that is asked for.
    Outside,
    /// As far as the machine can.
    Inside { rules: Arc<SandboxRules>, policy: SandboxPolicy, support: &'static SandboxSupport },
}

impl CommandPlace {
    /// Returns the place of a command in the folder of the context.
    pub(super) async fn of(ctx: &ToolContext, leaves: bool) -> Self {
        let Some(rules) = ctx.sandbox.clone() else { return Self::Open };
        let support = rules.ask_support().await;
        // Who can't go in need not ask to go out.
        if leaves && support.holds() {
            return Self::Outside;
        }
        let policy = rules.policy(&ctx.folder, &ctx.extra_folders, Duration::ZERO);
        Self::Inside { rules, policy, support }
    }

    pub(super) fn note(&self, reason: Option<&str>) -> Option<Box<SandboxNote>> {
        match self {
            Self::Open => None,
            Self::Outside => Some(Box::new(SandboxPolicy::note_outside(reason))),
            Self::Inside { policy, support, .. } => Some(Box::new(policy.note(support))),
        }
    }

    /// Returns how a shell is started below a supervisor, if it is.
    pub(super) fn supervised(&self, shell: &str, command: &str) -> Option<SandboxedCommand> {
        let Self::Inside { rules, policy, .. } = self else { return None };
        let shell = if is_on_path(shell) { shell } else { "sh" };
        rules.command(policy, shell, ["-c", command])
    }

    pub(super) fn hidden_variables(&self) -> Vec<String> {
        match self {
            Self::Inside { rules, support, .. } if support.holds() => rules.hidden_variables(),
            _ => Vec::new(),
        }
    }

    /// Says what the sandbox refused, if a command failed for it.
    pub(super) fn refusal(&self, output: &str) -> Option<String> {
        let Self::Inside { policy, support, .. } = self else { return None };
        if support.holds() { explain_refusal(output, policy.network) } else { None }
    }
}

fn is_on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| Path::new(&folder).join(program).is_file())
}
