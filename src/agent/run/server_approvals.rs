//! Approvals that an engine's server requests: polled now and then, shown as approval requests, decided there.
//!
//! Each becomes a turn of its own, without a prompt. If that is cancelled, the approval stays undecided on the server
//! and is not shown again. The model never sees it. During another turn only a notice is shown, and the approval is
//! requested as soon as that turn is over. Unattended sessions don't poll.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::mpsc;

use super::Agent;
use crate::engine::server_approvals::{ServerApproval, ServerApprovals};
use crate::event::{
    AgentEvent, ApprovalRequest, CallId, CallOutcome, CallOutput, Command, DecidedBy, Decision, ExecutedBy, NoticeCode,
    NoticeLevel, ToolKind, TurnId, TurnOutcome,
};
use crate::net::failure::RequestFailure;

/// How often a server is polled.
const POLL_INTERVAL: Duration = Duration::from_secs(15);
/// Time limit of a poll.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// How many approvals are remembered as shown.
const MAX_REMEMBERED_APPROVALS: usize = 1024;

/// What is known of a server's approvals.
#[derive(Default)]
pub(super) struct ServerApprovalPoll {
    pub(super) request: Option<BoxFuture<'static, Option<Vec<ServerApproval>>>>,
    shown_ids: HashSet<String>,
    /// Approvals that were announced during a turn.
    announced_ids: HashSet<String>,
}

impl Agent {
    /// Starts a poll, if the engine's server has approvals.
    pub(super) fn poll_server_approvals(&mut self, first: bool) {
        if self.setup.is_unattended {
            return;
        }
        let Some(server_approvals) = self.engine_choice.server_approvals.clone() else { return };
        let http = self.setup.http.clone();
        self.server_approvals.request = Some(Box::pin(async move {
            if !first {
                tokio::time::sleep(POLL_INTERVAL).await;
            }
            match http.request_json(&server_approvals.list_request(), REQUEST_TIMEOUT).await {
                Ok(answer) => server_approvals.parse_list(&answer),
                // The server may be away for a while; one that does not support approvals won't later.
                Err(fault) => fault.is_transient().then(Vec::new),
            }
        }));
    }

    /// Shows the pending approvals, one after another.
    pub(super) async fn show_server_approvals(
        &mut self,
        found: Option<Vec<ServerApproval>>,
        commands: &mut mpsc::Receiver<Command>,
    ) {
        self.server_approvals.request = None;
        let (Some(found), Some(server_approvals)) = (found, self.engine_choice.server_approvals.clone()) else {
            return;
        };
        for wanted in found {
            if self.server_approvals.shown_ids.len() < MAX_REMEMBERED_APPROVALS
                && self.server_approvals.shown_ids.insert(wanted.id.clone())
            {
                self.run_server_approval(&*server_approvals, &wanted, commands).await;
            }
        }
        self.poll_server_approvals(false);
    }

    /// Announces pending approvals while a turn runs.
    pub(super) async fn announce_server_approvals(&mut self, found: Option<Vec<ServerApproval>>) {
        self.server_approvals.request = None;
        let Some(found) = found else { return };
        for wanted in found {
            let known = self.server_approvals.shown_ids.contains(&wanted.id)
                || self.server_approvals.announced_ids.len() >= MAX_REMEMBERED_APPROVALS;
            if !known && self.server_approvals.announced_ids.insert(wanted.id) {
                let text =
                    format!("the server requests an approval; you can answer after this turn: {}", wanted.subject);
                self.send_unrecorded(AgentEvent::Notice { level: NoticeLevel::Info, code: NoticeCode::Approval, text })
                    .await;
            }
        }
        self.poll_server_approvals(false);
    }

    /// After a turn, requests approvals that were announced during it.
    pub(super) fn poll_announced_approvals(&mut self) {
        if !std::mem::take(&mut self.server_approvals.announced_ids).is_empty() {
            self.poll_server_approvals(true);
        }
    }

    async fn run_server_approval(
        &mut self,
        server_approvals: &dyn ServerApprovals,
        wanted: &ServerApproval,
        commands: &mut mpsc::Receiver<Command>,
    ) {
        let turn = self.ids.new_turn();
        let call = self.ids.new_call(&CallId::new(wanted.id.as_str()));
        self.emit_server_approval(&turn, &call, wanted).await;
        let (decision, by) = loop {
            match commands.recv().await {
                Some(Command::Decide { call: decided, decision }) if decided == call => {
                    break (decision.about_whole(), self.setup.approvals.decided_by);
                }
                Some(Command::DecideByLink { call: decided, decision }) if decided == call => {
                    break (decision.about_whole(), DecidedBy::Link);
                }
                Some(Command::Cancel) | None => break (Decision::Deny(None), DecidedBy::Cancelled),
                Some(other) => self.handle_idle_command(other).await,
            }
        };
        self.send_unrecorded(AgentEvent::ApprovalResolved { call: call.clone(), decision: decision.clone(), by }).await;
        let (outcome, text, end) = if by == DecidedBy::Cancelled {
            (CallOutcome::Cancelled, String::new(), TurnOutcome::Cancelled)
        } else {
            let allows = decision.allows();
            match self
                .setup
                .http
                .send_expecting_success(&server_approvals.decide_request(wanted, allows), REQUEST_TIMEOUT)
                .await
            {
                Ok(()) if allows => {
                    (CallOutcome::Ok, "approved; the server continues".to_owned(), TurnOutcome::Completed)
                }
                Ok(()) => (CallOutcome::Denied, "denied".to_owned(), TurnOutcome::Completed),
                Err(RequestFailure { fault, .. }) => {
                    let text = format!("the decision was not delivered to the server: {}", fault.message);
                    let notice = AgentEvent::Notice {
                        level: NoticeLevel::Error,
                        code: NoticeCode::Approval,
                        text: text.clone(),
                    };
                    self.send_unrecorded(notice).await;
                    (CallOutcome::Failed, text, TurnOutcome::Failed(fault))
                }
            }
        };
        self.send_unrecorded(AgentEvent::ToolCallFinished {
            call,
            outcome,
            output: CallOutput::from_text(text),
            duration: None,
        })
        .await;
        self.send_unrecorded(AgentEvent::TurnFinished { turn, outcome: end }).await;
    }

    async fn emit_server_approval(&mut self, turn: &TurnId, call: &CallId, wanted: &ServerApproval) {
        let message = self.ids.new_message();
        self.send_unrecorded(AgentEvent::TurnStarted { turn: turn.clone(), parent: None }).await;
        let started = AgentEvent::ToolCallStarted {
            call: call.clone(),
            message,
            name: Some(wanted.tool.clone()),
            parent: None,
            executed_by: ExecutedBy::Server,
        };
        self.send_unrecorded(started).await;
        let (name, args) = (wanted.tool.clone(), wanted.args.clone());
        self.send_unrecorded(AgentEvent::ToolCallReady { call: call.clone(), name, args, provider_metadata: None })
            .await;
        let request = ApprovalRequest {
            tool: wanted.tool.clone(),
            kind: ToolKind::Other,
            risk: wanted.risk,
            subject: wanted.subject.clone(),
            folder: String::new(),
            detail: wanted.detail.clone(),
            pattern: None,
            expires_at: None,
            answers: Vec::new(),
            hunks: 0,
            sandbox: None,
        };
        self.send_unrecorded(AgentEvent::ApprovalRequested { call: call.clone(), request }).await;
    }

    /// Sends an event that is not part of the conversation.
    async fn send_unrecorded(&mut self, event: AgentEvent) {
        // A closed channel means that the session is shutting down.
        let _ = self.events.send(event).await;
    }
}

#[cfg(test)]
pub(super) mod tests;
