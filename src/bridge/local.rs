//! The in-process agent as an event source.

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::agent::{Agent, AgentSetup};
use crate::event::{LinkState, Permissions};

use super::session::SourceHandle;

/// Starts the agent on `tasks` and returns its channels for the session.
pub fn start(mut setup: AgentSetup, tasks: &mut JoinSet<()>) -> SourceHandle {
    // Capacity 256: a fast model is slowed down at its socket; more would only delay a cancel.
    let (events, from_agent) = mpsc::channel(256);
    // Capacity 16: the session forwards commands one at a time.
    let (commands, to_agent) = mpsc::channel(16);
    let (link, watch) = watch::channel(LinkState::Idle);
    let capabilities = setup.capabilities();
    let (allowed, permissions) = watch::channel(Permissions::default());
    let (settable, options) = watch::channel(Vec::new());
    setup.options = Some(settable);
    tasks.spawn(Agent::run(setup, to_agent, events, link, allowed));
    SourceHandle {
        events: from_agent,
        link: watch,
        permissions: Some(permissions),
        options: Some(options),
        commands,
        capabilities,
    }
}
