//! Weather: the state of the line right now. Only the latest matters; never numbered, never logged.

use serde::{Deserialize, Serialize};

use super::{Fault, Millis, Permissions};

/// What a source can be asked to do. Footer, palette and approval pane read it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
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
    /// The request went out and nothing has come back since then: it is in the server's queue, or the model reads it.
    Waiting {
        since: Millis,
        limit: Option<Millis>,
    },
    /// The server has been loading its model since then, and is asked again until it has.
    Loading {
        since: Millis,
        limit: Option<Millis>,
    },
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
pub struct QueuedPrompt {
    pub id: u64,
    pub text: String,
}

impl QueuedPrompt {
    /// Numbers from here on are of prompts that wait on this side of a line that is down.
    pub const FIRST_LOCAL_ID: u64 = 1 << 62;

    pub fn is_local(&self) -> bool {
        self.id >= Self::FIRST_LOCAL_ID
    }
}

/// What became of a wish that another program's session did not take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UndeliveredCommand {
    /// How many there were.
    pub count: u64,
    pub reason: String,
    /// It was sent, and no answer came: it may have arrived.
    pub may_have_arrived: bool,
    /// The prompt, where it certainly did not arrive and must be given back.
    pub prompt: Option<String>,
}

/// Where a replay stands.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReplayStatus {
    pub paused: bool,
    pub speed: f32,
    pub position: Millis,
    pub length: Millis,
    /// Turn being played (1-based; 0 before the first) and how many there are.
    pub turn: u32,
    pub turns: u32,
    #[serde(rename = "squeeze")]
    pub max_idle: Option<Millis>,
}

/// Everything about now that isn't a fact.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SessionStatus {
    pub link: LinkState,
    pub queue: Vec<QueuedPrompt>,
    /// The queue is from an earlier run: it waits for a word of the person, or for the end of the next turn.
    #[serde(rename = "held")]
    pub queue_held: bool,
    /// Why new events can't be saved at the moment, if so. Shown for as long as it stands.
    #[serde(rename = "not_saved")]
    pub save_error: Option<String>,
    /// That the log kept here of another program's session was removed and written anew, in words: no fact of that
    /// session.
    #[serde(skip)]
    pub rewritten: Option<String>,
    pub replay: Option<ReplayStatus>,
    /// What is allowed and denied beside the mode; none where the source doesn't say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permissions: Option<Permissions>,
    /// Whatever the session could be asked, this client only watches.
    #[serde(skip)]
    pub read_only: bool,
    /// The last wish that did not arrive where it was sent.
    #[serde(skip)]
    pub undelivered: Option<UndeliveredCommand>,
    /// The session's clock when this was said; ticks continue from it.
    pub now: Millis,
}
