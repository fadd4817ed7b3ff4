//! A call of an answer.

use super::StartedCall;
use crate::event::{CallId, CallOutcome, ExecutedBy, Millis};

#[derive(Clone, Debug)]
pub struct AnswerCall {
    pub id: CallId,
    pub name: String,
    /// The arguments so far.
    pub args: String,
    /// Its name came only with the complete arguments.
    pub was_nameless: bool,
    /// The agent's own, for the client to run.
    pub is_client_call: bool,
    pub is_ready: bool,
    /// Bytes of arguments that came as deltas.
    pub(super) streamed_args_bytes: usize,
    pub outcome: Option<CallOutcome>,
    pub output: String,
    pub took: Option<Millis>,
}

impl AnswerCall {
    /// `is_own` says that it belongs to an open message of the answer.
    pub(super) fn new(started: &StartedCall<'_>, is_own: bool) -> Self {
        let name = started.name.unwrap_or_default();
        Self {
            id: started.call.clone(),
            name: name.to_owned(),
            args: String::new(),
            was_nameless: name.is_empty(),
            is_client_call: is_own && started.executed_by == ExecutedBy::Client,
            is_ready: false,
            streamed_args_bytes: 0,
            outcome: None,
            output: String::new(),
            took: None,
        }
    }

    /// The part of the complete arguments that did not come as deltas.
    pub fn unstreamed_args(&self) -> &str {
        self.args.get(self.streamed_args_bytes..).unwrap_or_default()
    }

    /// The arguments for clients that parse them as JSON: complete ones are never empty.
    pub fn parsable_args(&self) -> &str {
        if self.is_ready && self.args.trim().is_empty() { "{}" } else { &self.args }
    }
}
