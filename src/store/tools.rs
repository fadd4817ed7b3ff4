//! The call board: every tool call with its arguments, approval, output, outcome and timing.

use crate::event::{Ask, CallId, DecidedBy, Decision, Millis, Outcome, RanBy};

use super::transcript::ItemId;

#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub id: CallId,
    /// The transcript item that shows it.
    pub item: ItemId,
    pub name: String,
    /// The arguments so far, as the model writes them.
    pub args: String,
    pub state: CallState,
    pub ran_by: RanBy,
    /// The ask, once there was one; kept after the answer.
    pub ask: Option<Ask>,
    pub decision: Option<(Decision, DecidedBy)>,
    /// Live output, then the final one; head and tail when long (the log has all of it).
    pub output: String,
    /// Bytes of the whole output.
    pub output_bytes: u64,
    /// File beside the log with all of it, if any.
    pub output_file: Option<String>,
    /// When the model began to write it.
    pub at: Millis,
    /// When its running began.
    pub ran_at: Option<Millis>,
    pub took: Option<Millis>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallState {
    /// The model is still writing the arguments.
    Writing,
    /// A person has to decide.
    Waiting,
    Running,
    Done(Outcome),
}
