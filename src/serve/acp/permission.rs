//! PURE. Approvals as permission requests: the options of one, and the decision that an answer comes to.

use serde_json::json;

use crate::event::{AnswerKind, ApprovalRequest, CallId, Command, Decision, Json, OfferedAnswer, SessionId};

/// An option of a permission request.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PermissionOption {
    id: String,
    label: String,
    kind: AnswerKind,
    decision: Decision,
}

/// What the client was asked.
#[derive(Clone, Debug)]
pub(super) struct AskedApproval {
    pub(super) session: SessionId,
    pub(super) call: CallId,
    pub(super) offered: Vec<PermissionOption>,
}

impl AskedApproval {
    /// Returns the decision that the client's answer comes to. Whatever is no option of the request denies.
    pub(super) fn decide(self, answer: Result<&Json, &Json>) -> (SessionId, Command) {
        let decision = match answer {
            Ok(result) => {
                let chosen = result.pointer("/outcome/optionId").and_then(Json::as_str);
                let known = self.offered.into_iter().find(|option| chosen == Some(&option.id));
                known.map_or(Decision::Deny(None), |option| option.decision)
            }
            Err(_) => Decision::Deny(Some("the client could not ask".to_owned())),
        };
        (self.session, Command::Decide { call: self.call, decision })
    }
}

/// Returns the decisions that are offered: the asking agent's own where it has some.
pub(super) fn offered_decisions(request: &ApprovalRequest) -> Vec<PermissionOption> {
    if !request.answers.is_empty() {
        let offered = |OfferedAnswer { id, label, kind }: OfferedAnswer| {
            let decision = Decision::Offered { id: id.clone(), allows: kind.allows() };
            PermissionOption { id, label, kind, decision }
        };
        return request.answers.iter().cloned().map(offered).collect();
    }
    let option =
        |id: &str, label: String, kind, decision| PermissionOption { id: id.to_owned(), label, kind, decision };
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

/// Returns the options as the protocol writes them.
pub(super) fn permission_options(offered: &[PermissionOption]) -> Vec<Json> {
    let option = |PermissionOption { id, label, kind, .. }: &PermissionOption| json!({"optionId": id, "name": label, "kind": answer_word(*kind)});
    offered.iter().map(option).collect()
}

fn answer_word(kind: AnswerKind) -> &'static str {
    match kind {
        AnswerKind::AllowOnce => "allow_once",
        AnswerKind::AllowAlways => "allow_always",
        AnswerKind::RejectOnce => "reject_once",
        AnswerKind::RejectAlways => "reject_always",
    }
}
