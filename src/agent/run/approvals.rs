//! Approvals during a turn: what a decision grants, and what becomes of the calls that wait.

use std::time::Duration;

use tokio::task::JoinError;
use tokio::time::Instant;

use super::{Agent, RunningTurn};
use crate::agent::approval::ApprovalVerdict;
use crate::agent::turn::{TurnEffect, TurnInput};
use crate::event::{
    AgentEvent, ApprovalRequest, CallId, DecidedBy, Decision, Fault, Json, Millis, NoticeCode, NoticeLevel, ReplyEvent,
    TurnOutcome,
};
use crate::tool::ApprovedHunks;

/// Time limit of a decision on its way to a server that waits for it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

impl Agent {
    /// Adds the grant of a decision that covers more than one call. Only a pending approval can grant. A pattern that
    /// can't be parsed allows nothing and decides nothing, since its meaning is unknown.
    pub(super) fn grant(
        &mut self,
        call: &CallId,
        decision: &Decision,
        waiting: &[(CallId, String, ApprovalRequest)],
    ) -> Result<(), String> {
        let Some((_, name, _)) = waiting.iter().find(|(waiting, _, _)| waiting == call) else { return Ok(()) };
        self.setup.policy.grant(name, decision, self.setup.approvals.decided_by)?;
        self.publish_permissions();
        Ok(())
    }

    /// Publishes the permissions if they have changed.
    pub(super) fn publish_permissions(&self) {
        let now = self.setup.policy.permissions();
        self.permissions.send_if_modified(|current| {
            *current != now && {
                *current = now;
                true
            }
        });
    }

    /// Running calls continue; the next one needs approval.
    pub(super) async fn revoke(&mut self, pattern: &str) {
        if !self.setup.policy.revoke(pattern) {
            return;
        }
        self.publish_permissions();
        let text = format!("grant taken back: {pattern} needs approval again");
        self.emit(AgentEvent::Notice { level: NoticeLevel::Info, code: NoticeCode::Revoked, text }).await;
    }

    /// A grant or another mode may decide approvals that are still pending.
    pub(super) async fn judge_waiting_calls(&mut self, running: &mut RunningTurn) {
        let waiting = std::mem::take(&mut running.awaiting_approval);
        for (call, name, request) in waiting {
            let decision = match self.setup.policy.judge_request(&request) {
                ApprovalVerdict::Ask => {
                    running.awaiting_approval.push((call, name, request));
                    continue;
                }
                ApprovalVerdict::Allow => Decision::Once,
                ApprovalVerdict::Deny(reason) => Decision::Deny(Some(reason)),
            };
            let input = TurnInput::Decided { call, decision, by: DecidedBy::Policy };
            let steps = running.machine.handle(input, &mut self.ids);
            self.apply_effects(steps, running).await;
        }
        self.judge_nested_asks(running);
        self.publish_permissions();
    }

    /// Sends a decision that the server waits for while its reply goes on.
    pub(super) fn answer_server(&self, request: &Json, decision: &Decision, running: &mut RunningTurn) {
        if let Some(call) = self.engine_choice.engine.answer_request(request, decision) {
            let http = self.setup.http.clone();
            let send = async move { http.send_expecting_success(&call, ANSWER_TIMEOUT).await };
            running.answering.spawn(async move { send.await.map_err(|failure| failure.fault) });
        }
    }

    /// Ends the turn where a decision could not be delivered: its server would wait for ever.
    pub(super) async fn note_answer_sent(
        &mut self,
        sent: Result<Result<(), Fault>, JoinError>,
        running: &mut RunningTurn,
    ) {
        let Ok(Err(fault)) = sent else { return };
        let text = format!("the decision was not delivered to the server: {}", fault.message);
        let outcome = TurnOutcome::Failed(Fault { message: text, ..fault });
        let mut steps = vec![TurnEffect::DropResponse];
        steps.extend(running.machine.handle(TurnInput::Reply(ReplyEvent::End { outcome }), &mut self.ids));
        self.apply_effects(steps, running).await;
    }

    /// Denies approvals that nobody decided in time.
    pub(super) async fn expire_approvals(&mut self, running: &mut RunningTurn) {
        let now = self.setup.approvals.epoch_time.plus(self.setup.epoch.elapsed().into());
        let late = |request: &ApprovalRequest| request.expires_at.is_some_and(|expires| expires <= now);
        let (over, waiting) =
            std::mem::take(&mut running.awaiting_approval).into_iter().partition(|(_, _, request)| late(request));
        running.awaiting_approval = waiting;
        for (call, _, _) in over {
            let input = TurnInput::Decided { call, decision: Decision::Deny(None), by: DecidedBy::TimedOut };
            let steps = running.machine.handle(input, &mut self.ids);
            self.apply_effects(steps, running).await;
        }
    }
}

/// Returns what a decision about hunks comes to for the call that was shown: none taken is a denial with the notes as its
/// reason, all without a note is the whole call, and what doesn't fit what was shown is no permission.
pub(super) fn about_hunks(decision: Decision, shown: Option<&ApprovalRequest>) -> Decision {
    let Decision::Hunks(hunks) = decision else { return decision };
    let Some(shown) = shown.filter(|shown| hunks.fits(shown.hunks)) else { return Decision::Deny(None) };
    if hunks.taken.is_empty() {
        return Decision::Deny(ApprovedHunks { diff: shown.detail.clone(), decision: hunks }.notes());
    }
    if hunks.notes.is_empty() && hunks.left_out(shown.hunks).is_empty() {
        return Decision::Once;
    }
    Decision::Hunks(hunks)
}

/// Waits until the first approval expires, or forever.
pub(super) async fn first_expiry(waiting: &[(CallId, String, ApprovalRequest)], epoch: Instant, base: Millis) {
    match waiting.iter().filter_map(|(_, _, request)| request.expires_at).min() {
        Some(first) => tokio::time::sleep_until(epoch + first.since(base).into()).await,
        None => std::future::pending().await,
    }
}
