//! Questions that a running tool has for the person: asked as an approval is, answered with one of the offered answers.
//! The call goes on whatever the answer.

use futures_util::FutureExt as _;
use tokio::sync::{mpsc, oneshot};

use super::{Agent, RunningTurn, ToolMessage};
use crate::event::{AgentEvent, ApprovalRequest, CallId, DecidedBy, Decision, Risk, ToolKind};
use crate::tool::{AskPerson, ToolQuestion};

/// What is logged where the person chose nothing.
const NO_ANSWER: &str = "none";

/// A question that is open.
pub(super) struct OpenQuestion {
    pub(super) request: ApprovalRequest,
    /// Gets the id of the chosen answer.
    pub(super) reply: oneshot::Sender<String>,
}

/// Returns how a call asks.
pub(super) fn asker(call: &CallId, tool: &str, sender: mpsc::Sender<ToolMessage>) -> AskPerson {
    let (call, tool) = (call.clone(), tool.to_owned());
    std::sync::Arc::new(move |question: ToolQuestion| {
        let request = ApprovalRequest {
            tool: tool.clone(),
            kind: ToolKind::Other,
            // A question does nothing.
            risk: Risk::ReadOnly,
            subject: question.subject,
            folder: String::new(),
            detail: question.detail,
            pattern: None,
            expires_at: None,
            answers: question.answers,
            hunks: 0,
            sandbox: None,
        };
        let (reply, answer) = oneshot::channel();
        let (sender, call) = (sender.clone(), call.clone());
        async move {
            let question = Box::new(OpenQuestion { request, reply });
            sender.send(ToolMessage::Question { call, question }).await.ok()?;
            answer.await.ok()
        }
        .boxed()
    })
}

impl Agent {
    /// Asks, where somebody can answer. A call has one question at a time.
    pub(super) async fn ask_for_tool(&mut self, call: CallId, question: OpenQuestion, running: &mut RunningTurn) {
        if self.setup.is_unattended || running.tool_questions.contains_key(&call) {
            return;
        }
        let request = question.request.clone();
        running.tool_questions.insert(call.clone(), question);
        self.emit(AgentEvent::ApprovalRequested { call, request }).await;
    }

    /// Hands on an answer. Returns whether the call had a question.
    pub(super) async fn answer_tool(
        &mut self,
        call: &CallId,
        decision: &Decision,
        by: DecidedBy,
        running: &mut RunningTurn,
    ) -> bool {
        let Some(OpenQuestion { request, reply }) = running.tool_questions.remove(call) else { return false };
        let chosen = request.offered_answer(decision).map(|answer| match decision {
            Decision::Offered { id, .. } => id.clone(),
            _ => answer.id.clone(),
        });
        self.resolve_question(call, chosen.clone(), by).await;
        if let Some(id) = chosen {
            // A call that has ended needs no answer.
            let _ = reply.send(id);
        }
        true
    }

    /// Closes the question of a call that ends.
    pub(super) async fn drop_question(&mut self, call: &CallId, running: &mut RunningTurn) {
        if running.tool_questions.remove(call).is_some() {
            self.resolve_question(call, None, DecidedBy::Cancelled).await;
        }
    }

    async fn resolve_question(&mut self, call: &CallId, chosen: Option<String>, by: DecidedBy) {
        let id = chosen.unwrap_or_else(|| NO_ANSWER.to_owned());
        let decision = Decision::Offered { id, allows: true };
        self.emit(AgentEvent::ApprovalResolved { call: call.clone(), decision, by }).await;
    }
}
