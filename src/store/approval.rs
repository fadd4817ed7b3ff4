//! What can be answered to an ask, and the patterns that an answer may allow.
//!
//! Not here: the ask on the screen (`overlay/approval.rs`).

use crate::event::{ApprovalRequest, Pattern};

/// What one can choose over an ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApprovalChoice {
    Once,
    /// This tool, for the rest of the session.
    Session,
    /// What looks like this call; the pattern can be edited first.
    Pattern,
    Deny,
    DenyWithReason,
    /// To see the whole of it: the one choice that answers nothing.
    ShowAll,
}

impl ApprovalChoice {
    pub const ALL: [Self; 6] =
        [Self::Once, Self::Session, Self::Pattern, Self::Deny, Self::DenyWithReason, Self::ShowAll];

    /// Tells whether this ask offers it.
    pub fn is_offered(self, ask: &ApprovalRequest) -> bool {
        self != Self::Pattern || ask.pattern.is_some()
    }
}

/// Reads a pattern that is about this call.
pub fn parse_pattern(ask: &ApprovalRequest, pattern: &str) -> Result<Pattern, String> {
    let pattern = Pattern::parse_for(&ask.tool, pattern)?;
    if pattern.allows(&ask.tool, ask.kind, &ask.subject) {
        Ok(pattern)
    } else {
        Err(format!("`{pattern}` would not allow this very call: {}", ask.subject))
    }
}
