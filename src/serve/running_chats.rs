//! Which session answers in which chat of a client, as far as that is remembered. In a chat one turn runs at a time.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::body::Body;
use axum::http::Response;

use super::error::ApiError;
use super::oneshot::{self, Framing};
use super::request::OneShotRequest;
use super::state::ServerState;
use crate::dialect::Encode;
use crate::event::{CallId, SessionId};

/// Chats that are remembered; the oldest is forgotten first.
const MAX_KNOWN_CHATS: usize = 1000;

/// The stream that a chat got last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RunningChat {
    pub(super) session: SessionId,
    pub(super) client_tools: bool,
    /// It began after the approval of this call.
    pub(super) after: Option<CallId>,
}

#[derive(Debug, Default)]
pub(super) struct RunningChats(Mutex<VecDeque<(String, RunningChat)>>);

impl RunningChats {
    /// Returns what the chat got before. A chat without an id is not remembered: it may be anyone's.
    pub(super) fn set(&self, chat: &str, running: RunningChat) -> Option<RunningChat> {
        if chat.is_empty() {
            return None;
        }
        let mut chats = self.lock();
        let known = chats.iter().position(|(known, _)| known == chat);
        let before = known.and_then(|known| chats.remove(known));
        if chats.len() >= MAX_KNOWN_CHATS {
            chats.pop_front();
        }
        chats.push_back((chat.to_owned(), running));
        before.map(|(_, before)| before)
    }

    /// Answers a prompt in a chat with a stream. What still runs there ends first; of two prompts that come together the
    /// later one counts.
    pub(super) async fn run(
        &self,
        state: &ServerState,
        chat: &str,
        request: OneShotRequest,
        encoder: impl FnOnce(&RunningChat) -> Box<dyn Encode>,
    ) -> Result<Response<Body>, ApiError> {
        let client_tools = request.client_tools.is_some();
        let before = self.get(chat);
        if let Some(running) = &before {
            oneshot::supersede(state, &running.session).await;
        }
        let mut at_once = None;
        let response = oneshot::run(state, request, Framing::Sse, |session| {
            let running = RunningChat { session: session.clone(), client_tools, after: None };
            at_once = self.set(chat, running.clone());
            encoder(&running)
        })
        .await?;
        if let Some(running) = at_once.filter(|running| Some(running) != before.as_ref()) {
            oneshot::supersede(state, &running.session).await;
        }
        Ok(response)
    }

    pub(super) fn get(&self, chat: &str) -> Option<RunningChat> {
        self.lock().iter().find(|(known, _)| known == chat).map(|(_, running)| running.clone())
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(String, RunningChat)>> {
        // No code under this lock panics halfway, so the data behind a poisoned lock is intact.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::dialect::agui::encode::{AgUiEncoder, AgUiRun};
    use crate::event::Command;
    use crate::serve::Settings;
    use crate::testkit::factory::TestFactory;
    use crate::testkit::session::TestSource;

    #[test]
    fn a_chat_has_its_newest_stream_and_the_oldest_chat_is_forgotten() {
        let chats = RunningChats::default();
        let running = |session: usize| RunningChat {
            session: SessionId::new(format!("s{session}")),
            client_tools: false,
            after: None,
        };
        for nth in 0..=MAX_KNOWN_CHATS {
            assert_eq!(chats.set(&format!("c{nth}"), running(nth)), None);
        }
        assert_eq!(chats.set("c1", running(5)), Some(running(1)));
        assert_eq!((chats.get("c0"), chats.get("c1")), (None, Some(running(5))));
        assert_eq!((chats.set("", running(6)), chats.get("")), (None, None), "nobody's");
        assert_eq!(chats.lock().len(), MAX_KNOWN_CHATS);
    }

    #[tokio::test(start_paused = true)]
    async fn of_prompts_that_come_together_in_a_chat_the_later_one_counts() {
        let factory = Arc::new(TestFactory::that_opens_slowly());
        let state = ServerState::new(factory.clone(), Settings::default());
        let chats = RunningChats::default();
        let prompt = || OneShotRequest { prompt: Some("hi".into()), ..OneShotRequest::default() };
        let encoder = |_: &RunningChat| -> Box<dyn Encode> { Box::new(AgUiEncoder::new(AgUiRun::default())) };
        let run = || chats.run(&state, "chat", prompt(), encoder);
        let responses = tokio::join!(run(), run());
        assert!(responses.0.is_ok() && responses.1.is_ok());
        let (mut later, mut earlier) = (factory.source(), factory.source());
        later.send([]).await;
        let asked = |source: &mut TestSource| -> Vec<Command> {
            std::iter::from_fn(|| source.commands.try_recv().ok()).collect()
        };
        assert_eq!(asked(&mut earlier), [Command::prompt("hi"), Command::Cancel]);
        assert_eq!(asked(&mut later), [Command::prompt("hi")]);
    }
}
