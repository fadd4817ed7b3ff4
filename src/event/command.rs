//! Wishes: what a client asks of a session. Never numbered, never logged.

use serde::{Deserialize, Serialize};

use super::{ApprovalMode, CallId, Decision, Millis};

/// A wish in the imperative. What comes of it is told by the events that follow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Command {
    /// Answer this; waits in the session's queue while a turn runs.
    Prompt {
        text: String,
    },
    /// A prompt is being written: what it would wait for may begin. Nothing depends on it.
    #[serde(rename = "prepare")]
    WarmUp,
    /// Answer what was said so far, without a new message. Does nothing while a turn runs.
    #[serde(rename = "go_on")]
    Continue,
    /// Take a queued prompt back, by its number in [`super::QueuedPrompt`].
    #[serde(rename = "unqueue")]
    DequeuePrompt {
        id: u64,
    },
    /// Send the first prompt of a queue that is held. Does nothing while a turn runs.
    SendQueued,
    /// Answer an ask. The first answer wins.
    Decide {
        call: CallId,
        decision: Decision,
    },
    /// End the running turn. Twice is the same as once, but a tool that lingers is killed at once.
    Cancel,
    /// Use another model from the next request on, written `engine/model`.
    SetModel {
        model: String,
    },
    SetMode {
        mode: ApprovalMode,
    },
    /// Take back a grant of the session, named by its pattern. Holds from the next call on.
    #[serde(rename = "revoke")]
    RevokeGrant {
        pattern: String,
    },
    Seek {
        to: SeekTarget,
    },
    /// Replay speed; 1.0 is the original timing.
    #[serde(rename = "speed")]
    SetSpeed {
        factor: f32,
    },
    #[serde(rename = "pause")]
    SetPaused {
        paused: bool,
    },
    /// Replay: play this many events and pause; negative steps go back.
    Step {
        events: i64,
    },
    /// Replay: squeeze pauses longer than this many milliseconds; none plays them as they were.
    #[serde(rename = "squeeze_idle")]
    CapIdle {
        max: Option<Millis>,
    },
}

/// Where a replay should go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeekTarget {
    Start,
    End,
    At(Millis),
    /// Relative, in milliseconds.
    By(i64),
    /// That many turns on; negative goes back.
    Turns(i64),
    /// Hundredths of the whole length, 0 to 10000.
    Fraction(u16),
}
