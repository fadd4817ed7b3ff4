//! What is learnt of a model beside its answers: what its server tells of it, and which others there are.

use futures_util::StreamExt;

use super::Agent;
use crate::agent::setup::Offers;
use crate::engine::describe::Description;
use crate::event::{AgentEvent, Level};

/// Returns the next offer; waits for ever where there is none to come.
pub(super) async fn next(offers: &mut Option<Offers>) -> Option<String> {
    match offers {
        Some(offers) => offers.next().await,
        None => std::future::pending().await,
    }
}

impl Agent {
    /// Says what the person should know of a model that was just chosen. Its server is asked about it when a prompt is
    /// begun: a program that only stands open connects to nobody.
    pub(super) async fn meet_model(&mut self) {
        self.describing = None;
        self.is_prepared = false;
        for (code, text) in std::mem::take(&mut self.choice.warnings) {
            self.emit(AgentEvent::Noticed { level: Level::Warn, code: code.into(), text }).await;
        }
        self.say_no_tools().await;
    }

    /// Begins what the next prompt would wait for.
    pub(super) fn prepare(&mut self) {
        if !std::mem::replace(&mut self.is_prepared, true) {
            self.describe_model();
        }
    }

    /// Begins to ask the server about its model, unless it told already.
    pub(super) fn describe_model(&mut self) {
        if self.describing.is_none() {
            self.describing = self.choice.describe.as_ref().map(|describe| describe());
        }
    }

    pub(super) async fn described(&mut self, told: Option<Description>) {
        self.describing = None;
        // One that is loading, or slow, is asked again after the next turn.
        let Some(told) = told else { return };
        self.choice.describe = None;
        let (window, took_tools) = (self.choice.window, self.choice.takes_tools);
        self.choice.learn(told);
        if self.choice.window != window {
            self.say_opened().await;
        }
        if took_tools {
            self.say_no_tools().await;
        }
    }

    /// Tools that a template drops without a word would only be promised.
    async fn say_no_tools(&mut self) {
        if self.choice.takes_tools || self.specs.is_empty() {
            return;
        }
        let text = format!(
            "{} can't be given tools (its chat template has no place for them), so none are offered: it can only talk",
            self.choice.model
        );
        self.emit(AgentEvent::Noticed { level: Level::Warn, code: "no_tools".into(), text }).await;
    }

    pub(super) async fn offered(&mut self, offer: Option<String>) {
        let Some(text) = offer else {
            self.offers = None;
            return;
        };
        // Each stands for itself: notices of one code are counted as one.
        self.offered += 1;
        let code = format!("offer_{}", self.offered);
        self.emit(AgentEvent::Noticed { level: Level::Info, code, text }).await;
    }

    /// A prompt that was refused would make every later one fail as well.
    pub(super) async fn say_left_out(&mut self) {
        if self.history.take_left_out() {
            let text = "that prompt was refused, so it is not sent again with the next one";
            self.emit(AgentEvent::Noticed { level: Level::Info, code: "prompt_left_out".into(), text: text.into() })
                .await;
        }
    }
}
