//! Information about models besides their answers: the server's description, and suggestions of other servers.

use futures_util::StreamExt;

use super::Agent;
use crate::agent::setup::{EngineChoice, ServerSuggestions};
use crate::engine::model_details::ModelDetails;
use crate::event::{AgentEvent, NoticeCode, NoticeLevel};

/// Returns the next suggestion; waits forever if there are none.
pub(super) async fn next_suggestion(offers: &mut Option<ServerSuggestions>) -> Option<String> {
    match offers {
        Some(offers) => offers.next().await,
        None => std::future::pending().await,
    }
}

impl Agent {
    /// Reports warnings about a newly chosen model. Its server is queried only when a prompt is begun: an idle program
    /// connects to nothing.
    pub(super) async fn announce_model(&mut self) {
        self.describing = None;
        self.is_warmed_up = false;
        for (code, text) in std::mem::take(&mut self.engine_choice.warnings) {
            self.emit(AgentEvent::Notice { level: NoticeLevel::Warn, code, text }).await;
        }
        self.warn_no_tools().await;
        self.announce_effort().await;
    }

    /// Starts what the next prompt would have to wait for.
    pub(super) fn warm_up(&mut self) {
        if !std::mem::replace(&mut self.is_warmed_up, true) {
            self.describe_model();
        }
    }

    /// Starts querying the server about its model, unless that is already known.
    pub(super) fn describe_model(&mut self) {
        if self.describing.is_none() {
            self.describing = self.engine_choice.describe.as_ref().map(|describe| describe());
        }
    }

    pub(super) async fn apply_description(&mut self, description: Option<ModelDetails>) {
        self.describing = None;
        // A server that is loading or slow is queried again after the next turn.
        let Some(description) = description else { return };
        self.engine_choice.describe = None;
        let told = |choice: &EngineChoice| (choice.context_window, choice.takes_images());
        let (before, took_tools) = (told(&self.engine_choice), self.engine_choice.supports_tools);
        self.engine_choice.apply_description(description);
        if told(&self.engine_choice) != before {
            self.emit_session_opened().await;
        }
        if took_tools {
            self.warn_no_tools().await;
        }
    }

    /// Some chat templates silently drop tools, so the model would never see them.
    async fn warn_no_tools(&mut self) {
        if self.engine_choice.supports_tools || self.setup.tools.specs().next().is_none() {
            return;
        }
        let text = format!(
            "{} doesn't support tools (its chat template has no place for them), so none are offered",
            self.engine_choice.model
        );
        self.emit(AgentEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::NoTools, text }).await;
    }

    pub(super) async fn emit_suggestion(&mut self, offer: Option<String>) {
        let Some(text) = offer else {
            self.suggestions = None;
            return;
        };
        // Each has its own code: notices with the same code are merged.
        self.suggestion_count += 1;
        let code = NoticeCode::Offer(self.suggestion_count);
        self.emit(AgentEvent::Notice { level: NoticeLevel::Info, code, text }).await;
    }

    /// A rejected prompt would make every later one fail as well.
    pub(super) async fn notify_prompt_dropped(&mut self) {
        if self.history.take_prompt_dropped() {
            let text = "that prompt was refused, so later requests leave it out";
            self.emit(AgentEvent::Notice {
                level: NoticeLevel::Info,
                code: NoticeCode::PromptLeftOut,
                text: text.into(),
            })
            .await;
        }
    }
}
