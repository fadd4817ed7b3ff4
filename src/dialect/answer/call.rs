//! A call of an answer.

use serde_json::json;

use super::StartedCall;
use crate::event::{CallId, CallOutcome, ExecutedBy, Json, Millis};

#[derive(Debug)]
pub(in crate::dialect) struct AnswerCall {
    pub(in crate::dialect) id: CallId,
    pub(in crate::dialect) name: String,
    /// The arguments so far.
    pub(in crate::dialect) args: String,
    /// Its name came only with the complete arguments.
    pub(in crate::dialect) was_nameless: bool,
    /// The agent's own, for the client to run.
    pub(in crate::dialect) is_client_call: bool,
    pub(in crate::dialect) is_ready: bool,
    /// Bytes of arguments that came as deltas.
    pub(super) streamed_args_bytes: usize,
    pub(in crate::dialect) outcome: Option<CallOutcome>,
    pub(in crate::dialect) output: String,
    pub(in crate::dialect) took: Option<Millis>,
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

    /// Its state: `started`, `running`, or its outcome.
    pub(in crate::dialect) fn status(&self) -> &'static str {
        match self.outcome {
            Some(CallOutcome::Ok) => "completed",
            Some(outcome) => outcome.name(),
            None if self.is_ready => "running",
            None => "started",
        }
    }

    /// The part of the complete arguments that did not come as deltas.
    pub(in crate::dialect) fn unstreamed_args(&self) -> &str {
        self.args.get(self.streamed_args_bytes..).unwrap_or_default()
    }

    /// The arguments for clients that parse them as JSON: complete ones are never empty.
    pub(in crate::dialect) fn parsable_args(&self) -> &str {
        if self.is_ready && self.args.trim().is_empty() { "{}" } else { &self.args }
    }

    /// Returns the complete call in the shape of OpenAI's chunks.
    pub(in crate::dialect) fn to_json(&self) -> Json {
        self.to_json_with_args(&self.args)
    }

    /// The same with these arguments.
    pub(in crate::dialect) fn to_json_with_args(&self, args: &str) -> Json {
        json!({
            "id": self.id.as_str(), "type": "function", "function": {"name": self.name, "arguments": args},
        })
    }

    /// Returns the call with its state and, where it ended, its output.
    pub(in crate::dialect) fn to_json_with_status(&self) -> Json {
        let mut wire = self.to_json();
        wire["status"] = self.status().into();
        if self.outcome.is_some() {
            wire["output"] = self.output.as_str().into();
        }
        if let Some(took) = self.took {
            wire["latency_ms"] = took.0.into();
        }
        wire
    }
}
