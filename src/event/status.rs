//! Status: the current state of the session and its connection. Only the latest value matters; never numbered, never
//! logged.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::timeline::Timeline;
use super::{AgentOption, ApprovalRequest, CallId, Fault, Millis, Permissions};

/// What a source can be asked to do. Read by footer, palette and approval pane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    pub prompt: bool,
    pub decide: bool,
    pub cancel: bool,
    pub seek: bool,
    /// Images may go with a prompt, as far as is known.
    #[serde(default, skip_serializing_if = "is_false")]
    pub images: bool,
    /// What the person says can go into a running turn.
    #[serde(default, skip_serializing_if = "is_false")]
    pub steer: bool,
    /// It can go back, and on from there on another branch.
    #[serde(default, skip_serializing_if = "is_false")]
    pub branch: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_false(value: &bool) -> bool {
    !value
}

/// The state of the connection to the model or remote. Times are on the session's clock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkState {
    /// No request is under way.
    #[default]
    Idle,
    Connecting,
    /// The request was sent and nothing has come back since: it is queued, or the model is processing it.
    Waiting {
        since: Millis,
        limit: Option<Millis>,
    },
    /// The server has been loading its model since then; the request is repeated until it is loaded.
    Loading {
        since: Millis,
        limit: Option<Millis>,
    },
    Live,
    /// No bytes since then; the connection is closed after `limit`.
    Silent {
        since: Millis,
        limit: Option<Millis>,
    },
    /// Bytes arrive (keep-alives, empty frames), but nothing usable since then.
    Unproductive {
        since: Millis,
        limit: Option<Millis>,
    },
    /// The next attempt starts at that time.
    Retrying {
        attempt: u32,
        at: Millis,
    },
    Lost(Option<Fault>),
}

/// A prompt that waits for the running turn to end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuedPrompt {
    pub id: u64,
    pub text: String,
    /// Who typed it, where that is known.
    #[serde(rename = "from", default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
}

impl QueuedPrompt {
    /// Numbers from here on belong to prompts that wait locally for a connection to come back.
    pub const FIRST_LOCAL_ID: u64 = 1 << 62;

    /// Returns one of which only the words are known.
    pub fn new(id: u64, text: impl Into<String>) -> Self {
        Self { id, text: text.into(), author: None }
    }

    pub fn is_local(&self) -> bool {
        self.id >= Self::FIRST_LOCAL_ID
    }
}

/// A command that was not delivered to the session of another program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UndeliveredCommand {
    /// How many commands were lost.
    pub count: u64,
    pub reason: String,
    /// It was sent, but not acknowledged: it may have arrived.
    pub may_have_arrived: bool,
    /// The prompt, if it certainly did not arrive and must be given back to the person.
    pub prompt: Option<String>,
}

/// The state of a replay.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReplayStatus {
    pub paused: bool,
    pub speed: f32,
    pub position: Millis,
    pub length: Millis,
    /// The turn being played (1-based; 0 before the first) and the number of turns.
    pub turn: u32,
    pub turns: u32,
    #[serde(rename = "squeeze")]
    pub max_idle: Option<Millis>,
    #[serde(rename = "loop", default, skip_serializing_if = "LoopRange::is_unset")]
    pub looped: LoopRange,
}

/// What a replay plays again and again, once both ends are set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoopRange {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Millis>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Millis>,
}

impl LoopRange {
    #[allow(clippy::trivially_copy_pass_by_ref)]
    fn is_unset(&self) -> bool {
        *self == Self::default()
    }

    /// Returns both ends, if it is whole.
    pub fn ends(self) -> Option<(Millis, Millis)> {
        self.from.zip(self.to).filter(|(from, to)| from < to)
    }

    /// Returns it as one key makes it at a time of the clock: the beginning is set, then the end, then neither.
    #[must_use]
    pub fn cycled(self, now: Millis) -> Self {
        match self {
            Self { from: Some(from), to: None } if now > from => Self { to: Some(now), ..self },
            Self { from: Some(_), to: None } | Self { from: None, .. } => Self { from: Some(now), to: None },
            Self { from: Some(_), to: Some(_) } => Self::default(),
        }
    }
}

/// The current state of a session, apart from its events.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SessionStatus {
    pub link: LinkState,
    pub queue: Vec<QueuedPrompt>,
    /// What goes into the running turn before its next request to the model.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steering: Vec<String>,
    /// The queue is from an earlier run, or the turn before it was interrupted: it waits for a command of the person, or
    /// for the end of the next turn.
    #[serde(rename = "held")]
    pub queue_held: bool,
    /// Why new events can't be saved at the moment, if so. Shown for as long as that lasts.
    #[serde(rename = "not_saved")]
    pub save_error: Option<String>,
    /// Set if the local log of a remote session was removed and rewritten, as text for people. That isn't an event of
    /// the remote session.
    #[serde(skip)]
    pub rewritten: Option<String>,
    pub replay: Option<ReplayStatus>,
    /// What stands out in what is replayed here, once that is known.
    #[serde(skip)]
    pub timeline: Option<Arc<Timeline>>,
    /// What is allowed and denied besides the mode; `None` if the source doesn't report it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permissions: Option<Permissions>,
    /// What an agent program lets its client set, as it told last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<AgentOption>,
    /// Who follows the session over the network, by their names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub watchers: Vec<String>,
    /// This client may only watch, whatever the session is capable of.
    #[serde(skip)]
    pub read_only: bool,
    /// The last command that could not be delivered.
    #[serde(skip)]
    pub undelivered: Option<UndeliveredCommand>,
    /// Asks that wait, as they are, where their events hold less: without secrets nobody could say what would run. For
    /// the screen of this program alone.
    #[serde(skip)]
    pub unredacted_asks: Vec<(CallId, ApprovalRequest)>,
    /// The session's clock when this status was published; ticks continue from it.
    pub now: Millis,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_sets_the_ends_of_a_loop_one_after_the_other_and_ends_it() {
        let at = |ms| Millis(ms);
        let begun = LoopRange::default().cycled(at(10));
        assert_eq!((begun.from, begun.to, begun.ends()), (Some(at(10)), None, None));
        assert_eq!(
            begun.cycled(at(5)),
            LoopRange { from: Some(at(5)), to: None },
            "an end before the start begins anew"
        );
        let whole = begun.cycled(at(20));
        assert_eq!(whole.ends(), Some((at(10), at(20))));
        assert_eq!(whole.cycled(at(15)), LoopRange::default());
    }
}
