//! Weather: the state of the line right now. Only the latest matters; never numbered, never logged.

use serde::{Deserialize, Serialize};

use super::{Fault, Millis, Permissions};

/// What a source can be asked to do. Footer, palette and approval pane read it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caps {
    pub prompt: bool,
    pub decide: bool,
    pub cancel: bool,
    pub seek: bool,
}

/// How the connection to the model or remote is. Times are on the session's clock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkState {
    /// Nothing is under way.
    #[default]
    Idle,
    Connecting,
    Live,
    /// No byte since then; cut once that has lasted for `limit`.
    Silent {
        since: Millis,
        limit: Option<Millis>,
    },
    /// Bytes come (keep-alives, empty frames), but nothing usable since then.
    Unproductive {
        since: Millis,
        limit: Option<Millis>,
    },
    /// The next try starts at that time.
    Retrying {
        attempt: u32,
        at: Millis,
    },
    Lost(Option<Fault>),
}

/// A prompt that waits for the running turn to end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queued {
    pub id: u64,
    pub text: String,
}

/// Where a replay stands.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReplayState {
    pub paused: bool,
    pub speed: f32,
    pub position: Millis,
    pub length: Millis,
    /// Turn being played (1-based; 0 before the first) and how many there are.
    pub turn: u32,
    pub turns: u32,
    pub squeeze: Option<Millis>,
}

/// Everything about now that isn't a fact.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Weather {
    pub link: LinkState,
    pub queue: Vec<Queued>,
    /// Why new events can't be saved at the moment, if so. Shown for as long as it stands.
    pub not_saved: Option<String>,
    pub replay: Option<ReplayState>,
    /// What is allowed and denied beside the mode; none where the source doesn't say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permissions: Option<Permissions>,
    /// Whatever the session could be asked, this client only watches.
    #[serde(skip)]
    pub watch_only: bool,
    /// How many wishes did not arrive where they were sent, and what became of the last.
    #[serde(skip)]
    pub undelivered: Option<(u64, String)>,
    /// The session's clock when this was said; ticks continue from it.
    pub now: Millis,
}
