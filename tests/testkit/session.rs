//! Sessions whose source is the test: it sends the events and gets the commands.

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use jarvis_tui::bridge::SessionHandle;
use jarvis_tui::bridge::hub::{Backlog, DEFAULT_RING_BYTES, Hub};
use jarvis_tui::bridge::session::{self, PriorSession, ResumePoint, SessionSetup, SourceHandle};
use jarvis_tui::event::{AgentEvent, Capabilities, Command, LinkState, SessionId};

/// The other end of a session.
pub(crate) struct TestSource {
    pub(crate) events: mpsc::Sender<AgentEvent>,
    pub(crate) commands: mpsc::Receiver<Command>,
    _link: watch::Sender<LinkState>,
}

/// A new session in memory, without anything saved.
pub(crate) fn session_setup(session: SessionId) -> SessionSetup {
    SessionSetup {
        session,
        hub: Hub::new(Backlog::Memory, DEFAULT_RING_BYTES),
        writer: None,
        save_error: None,
        shared_log: None,
        resume_point: ResumePoint::default(),
        state_store: None,
        queued_prompts: Vec::new(),
        saved_grants: Vec::new(),
        save_listener: None,
        prior: Box::pin(async { PriorSession::default() }),
        notices: Vec::new(),
        epoch: Instant::now(),
    }
}

pub(crate) fn start_session(
    setup: SessionSetup,
    capabilities: Capabilities,
    tasks: &mut JoinSet<()>,
) -> (SessionHandle, TestSource) {
    let (events, from_source) = mpsc::channel(256);
    let (commands, to_source) = mpsc::channel(16);
    let (link, watch) = watch::channel(LinkState::Idle);
    let feed =
        SourceHandle { events: from_source, link: watch, permissions: None, options: None, commands, capabilities };
    let handle = session::start(setup, feed, tasks);
    (handle, TestSource { events, commands: to_source, _link: link })
}

impl TestSource {
    /// Sends events and lets all tasks take them before the next.
    pub(crate) async fn send(&self, events: impl IntoIterator<Item = AgentEvent>) {
        for event in events {
            self.events.send(event).await.unwrap();
        }
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
}
