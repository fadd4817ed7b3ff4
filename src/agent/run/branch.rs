//! Goes back in the conversation: what is sent from here on is what was said on that branch.

use crate::agent::history::BranchPast;
use crate::event::{AgentEvent, NoticeCode, NoticeLevel, Seq};

use super::Agent;

impl Agent {
    /// Goes on after an event. The branch begins once its past is known: if that can't be read, nothing changes.
    pub(super) async fn start_branch(&mut self, after: Seq) {
        let read = self.setup.read_branch.clone().filter(|_| self.setup.runs_tools);
        let Some(read) = read else {
            let text = if self.setup.runs_tools {
                "the session is not saved, so it can't go back"
            } else {
                "the agent keeps the conversation elsewhere, so it can't go back"
            };
            return self.refuse_branch(NoticeLevel::Warn, text.to_owned()).await;
        };
        match tokio::task::spawn_blocking(move || read(after)).await.map_err(std::io::Error::other).flatten() {
            Ok(BranchPast { history, opened }) => {
                self.history = history;
                self.restoring = None;
                self.emit(AgentEvent::BranchStarted { after }).await;
                if opened.is_none_or(|opened| !self.is_as_opened(&opened)) {
                    self.emit_session_opened().await;
                }
            }
            Err(error) => {
                let text = format!("the log can't be read, so the session stays where it is: {error}");
                self.refuse_branch(NoticeLevel::Error, text).await;
            }
        }
    }

    async fn refuse_branch(&mut self, level: NoticeLevel, text: String) {
        self.emit(AgentEvent::Notice { level, code: NoticeCode::Branch, text }).await;
    }

    /// Returns whether who answers, and how, is what that opening says.
    fn is_as_opened(&self, opened: &AgentEvent) -> bool {
        matches!(opened, AgentEvent::SessionOpened { engine, model, mode, context_window, price, .. }
            if engine == self.engine_choice.engine.name()
                && *model == self.engine_choice.model
                && *mode == self.setup.policy.mode
                && *context_window == self.engine_choice.context_window
                && *price == self.engine_choice.price)
    }
}
