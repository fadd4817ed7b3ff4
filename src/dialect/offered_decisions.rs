//! PURE. The decisions that a client is offered for an approval, where its protocol lists them.

use crate::event::{AnswerKind, ApprovalRequest, Decision, OfferedAnswer};

/// A decision that a client may choose.
#[derive(Clone, Debug, PartialEq)]
pub struct OfferedDecision {
    pub id: String,
    pub label: String,
    pub kind: AnswerKind,
    pub decision: Decision,
}

/// Returns the decisions that are offered: the asking agent's own where it has some.
pub fn offered_decisions(request: &ApprovalRequest) -> Vec<OfferedDecision> {
    if !request.answers.is_empty() {
        let offered = |OfferedAnswer { id, label, kind }: OfferedAnswer| {
            let decision = Decision::Offered { id: id.clone(), allows: kind.allows() };
            OfferedDecision { id, label, kind, decision }
        };
        return request.answers.iter().cloned().map(offered).collect();
    }
    let option = |id: &str, label: String, kind, decision| OfferedDecision { id: id.to_owned(), label, kind, decision };
    let mut options = vec![option("once", "Allow once".to_owned(), AnswerKind::AllowOnce, Decision::Once)];
    if let Some(pattern) = &request.pattern {
        let label = format!("Always allow {pattern} in this session");
        options.push(option("pattern", label, AnswerKind::AllowAlways, Decision::Pattern(pattern.clone())));
    }
    let label = format!("Always allow {} in this session", request.tool);
    options.push(option("session", label, AnswerKind::AllowAlways, Decision::Session));
    options.push(option("deny", "Deny".to_owned(), AnswerKind::RejectOnce, Decision::Deny(None)));
    options
}
