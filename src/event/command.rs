//! Commands: what a client asks of a session. Never numbered, never logged.

use serde::{Deserialize, Serialize};

use super::{ApprovalMode, CallId, Decision, LoopRange, Millis, PersonRun, PromptContext, Seq, TurnId};

/// A command to a session. Its effects are reported by the events that follow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Command {
    /// Answer this prompt; it waits in the session's queue while a turn runs.
    Prompt {
        text: String,
        /// What goes with it and is none of its words.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        context: Vec<PromptContext>,
        /// Who typed it, where several may.
        #[serde(rename = "from", default, skip_serializing_if = "Option::is_none")]
        author: Option<String>,
    },
    /// Put this into the running turn, before the next request to the model. Where no turn runs, or it ends before that,
    /// it is a prompt.
    Steer {
        text: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        context: Vec<PromptContext>,
    },
    /// Keep in the log what the person ran, for people.
    KeepRun {
        call: CallId,
        run: PersonRun,
    },
    /// Keep a note in the log, for people. No model sees it.
    Note {
        text: String,
    },
    /// Mark what began with the event of that number, or take its mark off.
    Mark {
        seq: Seq,
        set: bool,
    },
    /// Go on after that event, on a branch of its own; what came after it stays in the log ([`super::branches`]). Refused
    /// while a turn runs, in the middle of a turn, and where the conversation is kept elsewhere.
    Branch {
        after: Seq,
    },
    /// A prompt is being typed: slow preparations may start. Nothing depends on it.
    #[serde(rename = "prepare")]
    WarmUp,
    /// Answer the conversation so far, without a new message. Does nothing while a turn runs.
    #[serde(rename = "go_on")]
    Continue,
    /// Have the model sum up earlier turns, which are not sent any more then. Does nothing while a turn runs.
    Compact {
        /// What the summary is to keep above all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        instructions: Option<String>,
    },
    /// Send the turns again that a compaction covers; without a turn that of the last one.
    UndoCompaction {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        through: Option<TurnId>,
    },
    /// Remove a queued prompt, by its number in [`super::QueuedPrompt`].
    #[serde(rename = "unqueue")]
    DequeuePrompt {
        id: u64,
    },
    /// Send the first prompt of a held queue. Does nothing while a turn runs.
    SendQueued,
    /// Decide an approval. The first decision wins.
    Decide {
        call: CallId,
        decision: Decision,
    },
    /// Decide an approval by a one-time link, which no client can claim.
    #[serde(skip)]
    DecideByLink {
        call: CallId,
        decision: Decision,
    },
    /// Cancel the running turn. A second cancel kills tools that are still stopping.
    Cancel,
    /// Where the link waits before it tries again, try now. Nothing else is changed.
    Reconnect,
    /// Use another model from the next request on, written `engine/model`.
    SetModel {
        model: String,
    },
    SetMode {
        mode: ApprovalMode,
    },
    /// Name the session; an empty title names it after its first prompt again.
    #[serde(rename = "rename")]
    SetTitle {
        title: String,
    },
    /// Set one of the agent's own settings, by its id in [`super::AgentOption`].
    SetOption {
        option: String,
        value: String,
    },
    /// Revoke a grant of the session, named by its pattern. Takes effect with the next call.
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
    /// Replay: play a part again and again.
    #[serde(rename = "loop")]
    SetLoop {
        range: LoopRange,
    },
    /// Replay: shorten pauses longer than this many milliseconds; `None` plays them in full.
    #[serde(rename = "squeeze_idle")]
    CapIdle {
        max: Option<Millis>,
    },
}

impl Command {
    /// Returns a prompt with which nothing goes.
    pub fn prompt(text: impl Into<String>) -> Self {
        Self::Prompt { text: text.into(), context: Vec::new(), author: None }
    }
}

/// Where to seek in a replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeekTarget {
    Start,
    End,
    At(Millis),
    /// Relative, in milliseconds.
    By(i64),
    /// Relative, in turns; negative goes back.
    Turns(i64),
    /// Relative, in calls, errors, marks or waits; negative goes back. Nothing happens where there is none.
    Tools(i64),
    Errors(i64),
    Marks(i64),
    Waits(i64),
    /// Hundredths of a percent of the whole length, 0 to 10000.
    Fraction(u16),
}
