//! Wishes: what a client asks of a session. Never numbered, never logged.

use serde::{Deserialize, Serialize};

use super::{CallId, Decision, Millis, Mode};

/// A wish in the imperative. What comes of it is told by the events that follow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Command {
    /// Answer this; waits in the session's queue while a turn runs.
    Prompt {
        text: String,
    },
    /// A prompt is being written: what it would wait for may begin. Nothing depends on it.
    Prepare,
    /// Answer what was said so far, without a new message. Does nothing while a turn runs.
    GoOn,
    /// Take a queued prompt back, by its number in [`super::Queued`].
    Unqueue {
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
        mode: Mode,
    },
    /// Take back a grant of the session, named by its pattern. Holds from the next call on.
    Revoke {
        pattern: String,
    },
    Seek {
        to: Target,
    },
    /// Replay speed; 1.0 is the original timing.
    Speed {
        factor: f32,
    },
    Pause {
        paused: bool,
    },
    /// Replay: play this many events and pause; negative steps go back.
    Step {
        events: i64,
    },
    /// Replay: squeeze pauses longer than this many milliseconds; none plays them as they were.
    SqueezeIdle {
        max: Option<Millis>,
    },
}

/// Where a replay should go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
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
