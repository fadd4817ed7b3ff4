//! What the model is told besides the system prompt: read before the first request of a turn, which waits for it.

use std::borrow::Cow;

use super::Agent;
use crate::agent::setup::Instructions;
use crate::event::{AgentEvent, NoticeCode, NoticeLevel};

impl Agent {
    /// Starts to read the instructions as they are now.
    pub(super) fn read_instructions(&mut self) {
        if let Some(read) = self.setup.instructions.clone()
            && self.reading_instructions.is_none()
        {
            self.reading_instructions =
                Some(Box::pin(async { tokio::task::spawn_blocking(move || read()).await.unwrap_or_default() }));
        }
    }

    pub(super) async fn use_instructions(&mut self, Instructions { text, notice }: Instructions) {
        self.reading_instructions = None;
        self.instructions = text;
        if let Some(text) = notice {
            self.emit(AgentEvent::Notice { level: NoticeLevel::Info, code: NoticeCode::Instructions, text }).await;
        }
    }

    /// Returns everything that the model is told before the conversation.
    pub(super) fn told_first(&self) -> Cow<'_, str> {
        if self.instructions.is_empty() {
            return Cow::Borrowed(&self.setup.system_prompt);
        }
        Cow::Owned(format!("{}{}", self.setup.system_prompt, self.instructions).trim_start().to_owned())
    }
}
