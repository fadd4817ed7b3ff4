//! What an agent program needs besides the conversation where it is hosted for the clients of a server: it is started
//! when it is needed, its session is known to the next run, and nothing is asked of it that is not in the log.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep_until};

use crate::agent::ApprovalSettings;
use crate::agent::ids::IdAllocator;
use crate::bridge::HubItem;
use crate::bridge::hub::Hub;
use crate::bridge::program::RunningProgram;
use crate::event::{AgentEvent, CallId, Fault, FaultKind, Millis};
use crate::net::traffic::TrafficTap;

/// A program that is started when it is needed, any number of times.
pub struct HostedProgram {
    /// What messages call it.
    pub name: String,
    pub start: Box<dyn Fn() -> io::Result<RunningProgram> + Send + Sync>,
    pub tap: TrafficTap,
}

impl HostedProgram {
    pub(super) fn start(&self) -> Result<RunningProgram, Fault> {
        (self.start)().map_err(|error| {
            Fault::new(FaultKind::Upstream, format!("{} can't be started: {error}; is it installed?", self.name))
        })
    }
}

/// What a session of a hosted program begins with.
pub struct PeerHost {
    /// Knows the ids of the session's past.
    pub past_ids: BoxFuture<'static, IdAllocator>,
    /// The session has turns of an earlier run.
    pub has_past: bool,
    /// Only a prompt or a setting starts the program.
    pub starts_late: bool,
    /// Goes before the first prompt, and is none of its words.
    pub preamble: Option<String>,
    /// Keeps the agent's own name of the session for the next run.
    pub keep_session: Option<KeepSession>,
    /// Where the session's events are published once they are in its log.
    pub hub: Hub,
}

pub type KeepSession = Box<dyn Fn(&str) + Send + Sync>;

/// Keeps the agent's name of the session, whenever it is another one.
#[derive(Default)]
pub(super) struct SessionKeeper {
    keep: Option<KeepSession>,
    kept: String,
}

impl SessionKeeper {
    pub(super) fn new(keep: Option<KeepSession>, kept: Option<String>) -> Self {
        Self { keep, kept: kept.unwrap_or_default() }
    }

    pub(super) fn keep(&mut self, session: &str) {
        if session == self.kept {
            return;
        }
        session.clone_into(&mut self.kept);
        if let Some(keep) = &self.keep {
            keep(session);
        }
    }
}

/// Returns what completes once the prompt among these events is in the log; none if there is none among them. To be
/// called before they are told.
pub(super) fn wait_until_logged(hub: &Hub, events: &[AgentEvent]) -> Option<impl Future<Output = ()> + use<>> {
    let prompt = events.iter().rev().find_map(|event| match event {
        AgentEvent::UserMessage { message, .. } => Some(message.clone()),
        _ => None,
    })?;
    let mut published = hub.subscribe(hub.last_seq());
    Some(async move {
        while let Some(item) = published.next().await {
            if let HubItem::Event(event) = item
                && matches!(&event.envelope.event, AgentEvent::UserMessage { message, .. } if *message == prompt)
            {
                return;
            }
        }
    })
}

/// When questions of the agent were asked, and how long they wait.
pub(super) struct QuestionClock {
    timeout: Option<Duration>,
    /// The session's clock at the epoch.
    epoch_time: Millis,
    asked_at: HashMap<CallId, Instant>,
}

impl QuestionClock {
    pub(super) fn new(approvals: &ApprovalSettings) -> Self {
        Self { timeout: approvals.timeout, epoch_time: approvals.epoch_time, asked_at: HashMap::new() }
    }

    /// Takes note of the questions that are open now.
    pub(super) fn follow<'a>(&mut self, open: impl Iterator<Item = &'a CallId>) {
        if self.timeout.is_none() {
            return;
        }
        let mut before = std::mem::take(&mut self.asked_at);
        let known = |call: &CallId| (call.clone(), before.remove(call).unwrap_or_else(Instant::now));
        self.asked_at = open.map(known).collect();
    }

    /// Says in a question until when it waits.
    pub(super) fn date(&self, event: &mut AgentEvent, epoch: Instant) {
        if let (AgentEvent::ApprovalRequested { request, .. }, Some(timeout)) = (event, self.timeout) {
            request.expires_at = Some(self.epoch_time.plus((epoch.elapsed() + timeout).into()));
        }
    }

    /// Returns the call whose question has waited long enough; never ready while there is none. Cancel-safe.
    pub(super) async fn next_expired(&self) -> CallId {
        let oldest = self.asked_at.iter().min_by_key(|(_, asked_at)| **asked_at);
        let Some(((call, asked_at), timeout)) = oldest.zip(self.timeout) else { return std::future::pending().await };
        sleep_until(*asked_at + timeout).await;
        call.clone()
    }
}
