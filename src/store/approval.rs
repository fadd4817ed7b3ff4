//! What can be answered to an ask, and the patterns that an answer may allow.
//!
//! Not here: the ask on the screen (`overlay/approval.rs`).

use crate::event::{AnswerKind, ApprovalRequest, Pattern};

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
    /// An answer that the asking agent offers, by its place.
    Offered(usize),
    /// To decide about each hunk of the diff; answers nothing by itself.
    Hunks,
    /// To see the whole of it; answers nothing.
    ShowAll,
}

impl ApprovalChoice {
    /// Those of an ask that has no answers of its own.
    const USUAL: [Self; 7] =
        [Self::Once, Self::Session, Self::Pattern, Self::Deny, Self::DenyWithReason, Self::Hunks, Self::ShowAll];

    /// Returns what this ask offers, in its order.
    pub fn all_for(ask: &ApprovalRequest) -> Vec<Self> {
        if ask.answers.is_empty() {
            return Self::USUAL
                .into_iter()
                .filter(|choice| *choice != Self::Pattern || ask.pattern.is_some())
                .filter(|choice| *choice != Self::Hunks || ask.hunks > 1)
                .collect();
        }
        (0..ask.answers.len()).map(Self::Offered).chain([Self::ShowAll]).collect()
    }

    /// Returns what a key that stands for this choice selects in an ask; none where the ask has nothing like it.
    pub fn find_in(self, ask: &ApprovalRequest) -> Option<Self> {
        let kind = match self {
            Self::Once => AnswerKind::AllowOnce,
            Self::Session => AnswerKind::AllowAlways,
            Self::Deny => AnswerKind::RejectOnce,
            Self::DenyWithReason => AnswerKind::RejectAlways,
            Self::Pattern | Self::Hunks | Self::Offered(_) | Self::ShowAll => return self.offered_by(ask),
        };
        if ask.answers.is_empty() {
            return self.offered_by(ask);
        }
        ask.answers.iter().position(|answer| answer.kind == kind).map(Self::Offered)
    }

    fn offered_by(self, ask: &ApprovalRequest) -> Option<Self> {
        Self::all_for(ask).contains(&self).then_some(self)
    }
}

/// A step of the decision about the hunks of a diff.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HunkStep {
    Next,
    Previous,
    /// Applies it.
    Take,
    /// Leaves it out.
    Leave,
    /// Takes all that are open.
    TakeRest,
    /// Leaves out all that are open.
    LeaveRest,
    /// Goes to the field of its note.
    Note,
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
