//! PURE. Requests that are answered once the sessions that they name are open.

use std::collections::{BTreeSet, HashMap};

use crate::event::{Json, SessionId};
use crate::serve::error::ApiError;

/// What a request waits for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Awaited {
    /// The models that the root channel lists.
    Root,
    Session(SessionId),
}

/// Which request it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ChannelRequest {
    Initialize {
        version: String,
    },
    Subscribe,
    Reconnect {
        /// What was missed is known.
        is_replay: bool,
    },
}

/// A request for channels.
#[derive(Debug)]
pub(super) struct PendingChannels {
    /// Its id.
    pub(super) request: Json,
    pub(super) kind: ChannelRequest,
    pub(super) channels: Vec<String>,
    pub(super) awaited: BTreeSet<Awaited>,
    pub(super) failed: HashMap<SessionId, ApiError>,
}

impl PendingChannels {
    /// Records that something came, or that it can't be had.
    pub(super) fn settle(&mut self, awaited: &Awaited, failure: Option<&ApiError>) {
        if self.awaited.remove(awaited)
            && let (Awaited::Session(session), Some(error)) = (awaited, failure)
        {
            self.failed.insert(session.clone(), error.clone());
        }
    }

    pub(super) fn waits_for_replay_of(&self, session: &SessionId) -> bool {
        matches!(self.kind, ChannelRequest::Reconnect { .. })
            && self.awaited.contains(&Awaited::Session(session.clone()))
    }
}
