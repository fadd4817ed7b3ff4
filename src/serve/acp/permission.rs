//! PURE. Approvals as permission requests: the options of one, and the decision that an answer comes to.

use serde_json::json;

use crate::dialect::offered_decisions::OfferedDecision;
use crate::event::{AnswerKind, CallId, Command, Decision, Json, SessionId};

/// What the client was asked.
#[derive(Clone, Debug)]
pub(super) struct AskedApproval {
    pub(super) session: SessionId,
    pub(super) call: CallId,
    pub(super) offered: Vec<OfferedDecision>,
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

/// Returns the options as the protocol writes them.
pub(super) fn permission_options(offered: &[OfferedDecision]) -> Vec<Json> {
    let option = |OfferedDecision { id, label, kind, .. }: &OfferedDecision| json!({"optionId": id, "name": label, "kind": answer_word(*kind)});
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
