//! A server's sessions, all of which are fed by the test.

use std::sync::Mutex;

use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::events::LIVE;
use super::session::{TestSource, session_setup, start_session};
use jarvis_tui::bridge::SessionHandle;
use jarvis_tui::event::{AgentEvent, SessionId, ToolSpec};
use jarvis_tui::serve::error::ApiError;
use jarvis_tui::serve::factory::{Factory, Model, OneShotSession, OpenRequest, SavedSession};
use jarvis_tui::serve::request::OneShotRequest;

/// Plays the agent of a one-shot session, or refuses to open it.
pub(crate) type TestAgent = fn(OneShotRequest, TestSource) -> Result<BoxFuture<'static, ()>, ApiError>;

/// Creates sessions `s1`, `s2` … in memory. Sessions that ended can be read.
#[derive(Default)]
pub(crate) struct TestFactory {
    /// Without one, the test takes each [`TestFactory::source`] itself.
    agent: Option<TestAgent>,
    models: Vec<Model>,
    opens_slowly: bool,
    /// The session that exists from the start.
    pub(crate) initial: Mutex<Option<SessionHandle>>,
    pub(crate) tasks: Mutex<JoinSet<()>>,
    requests: Mutex<Vec<OneShotRequest>>,
    sources: Mutex<Vec<TestSource>>,
    started: Mutex<Vec<SessionHandle>>,
}

impl TestFactory {
    pub(crate) fn with_agent(agent: TestAgent, models: Vec<Model>) -> Self {
        Self { agent: Some(agent), models, ..Self::default() }
    }

    /// Its one-shot sessions open after everything else that can go on has done so.
    pub(crate) fn that_opens_slowly() -> Self {
        Self { opens_slowly: true, ..Self::default() }
    }

    /// Returns the source of the session that was opened last.
    pub(crate) fn source(&self) -> TestSource {
        self.sources.lock().unwrap().pop().expect("a session was opened")
    }

    pub(crate) fn last_request(&self) -> OneShotRequest {
        self.requests.lock().unwrap().last().expect("a one-shot session was opened").clone()
    }

    pub(crate) fn start(&self, notices: Vec<AgentEvent>) -> (SessionHandle, TestSource) {
        let mut started = self.started.lock().unwrap();
        let mut setup = session_setup(SessionId::new(format!("s{}", started.len() + 1)));
        setup.notices = notices;
        let (handle, source) = start_session(setup, LIVE, &mut self.tasks.lock().unwrap());
        // Kept without its commands, which would keep the session.
        started.push(SessionHandle { commands: mpsc::channel(1).0, ..handle.clone() });
        (handle, source)
    }

    fn open_shared(&self) -> SessionHandle {
        let (handle, source) = self.start(Vec::new());
        self.sources.lock().unwrap().push(source);
        handle
    }

    fn start_one_shot(&self, request: &OneShotRequest) -> Result<OneShotSession, ApiError> {
        self.requests.lock().unwrap().push(request.clone());
        let (handle, source) = match self.agent {
            None => self.start(request.history.clone()),
            // An agent sends the history itself.
            Some(_) => self.start(Vec::new()),
        };
        match self.agent {
            None => self.sources.lock().unwrap().push(source),
            Some(agent) => {
                let agent = agent(request.clone(), source)?;
                self.tasks.lock().unwrap().spawn(agent);
            }
        }
        Ok(OneShotSession { handle, turn: None, is_replayed: false })
    }
}

impl Factory for TestFactory {
    fn open_one_shot<'a>(&'a self, request: &'a OneShotRequest) -> BoxFuture<'a, Result<OneShotSession, ApiError>> {
        Box::pin(async {
            if self.opens_slowly {
                tokio::task::yield_now().await;
            }
            self.start_one_shot(request)
        })
    }

    fn open(&self, _: OpenRequest) -> BoxFuture<'_, Result<SessionHandle, ApiError>> {
        Box::pin(async { Ok(self.open_shared()) })
    }

    fn reopen<'a>(&'a self, id: &'a SessionId) -> BoxFuture<'a, Result<SessionHandle, ApiError>> {
        Box::pin(async { Err(ApiError::not_found(id.as_str())) })
    }

    fn read<'a>(&'a self, id: &'a SessionId) -> BoxFuture<'a, Result<SessionHandle, ApiError>> {
        let known = self.started.lock().unwrap().iter().find(|handle| handle.session == *id).cloned();
        Box::pin(async { known.ok_or_else(|| ApiError::not_found(id.as_str())) })
    }

    fn initial_session(&self) -> Option<SessionHandle> {
        self.initial.lock().unwrap().take()
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<SavedSession>, ApiError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn models(&self) -> BoxFuture<'_, Vec<Model>> {
        Box::pin(async { self.models.clone() })
    }

    fn tools(&self) -> BoxFuture<'_, Vec<ToolSpec>> {
        Box::pin(async { Vec::new() })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}
