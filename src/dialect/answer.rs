//! The answer ([`Answer`]) in the words and shapes that formats share, as one text of several messages
//! ([`JoinedText`]), and in words at a pace.

mod joined_text;

use serde_json::json;

pub(super) use self::joined_text::{JoinedText, MESSAGE_SEPARATOR, MessageGap, WORD_DELAY_MS, split_words};
use crate::event::answer::{Answer, AnswerCall};
use crate::event::{CallOutcome, Fault, FaultKind, FinishReason, Json, TurnOutcome};

impl Answer {
    /// Returns the finish reason in the words of OpenAI's chunks.
    pub(super) fn finish_word(&self, requests_calls: bool) -> &'static str {
        match self.finish_reason {
            Some(FinishReason::Length) => "length",
            Some(FinishReason::Refused) if !self.is_refusal => "content_filter",
            _ if requests_calls => "tool_calls",
            _ => "stop",
        }
    }

    /// Returns the finish reason of an answer that did not fail; none where it did. One that a content filter stopped has
    /// a reason and did not fail.
    pub(super) fn end_word(&self, requests_calls: bool) -> Option<&'static str> {
        let is_filtered = matches!(&self.outcome, Some(TurnOutcome::Failed(fault)) if fault.kind == FaultKind::Refused)
            && self.finish_reason.is_some();
        if is_filtered {
            return Some("content_filter");
        }
        (self.outcome == Some(TurnOutcome::Completed)).then(|| self.finish_word(requests_calls))
    }

    /// Returns why the answer is incomplete, for formats that have no word for it.
    pub(super) fn incomplete_word(&self) -> Option<&'static str> {
        Some(self.finish_word(false)).filter(|reason| *reason != "stop")
    }
}

impl AnswerCall {
    /// Its state: `started`, `running`, or its outcome.
    pub(super) fn status(&self) -> &'static str {
        match self.outcome {
            Some(CallOutcome::Ok) => "completed",
            Some(outcome) => outcome.name(),
            None if self.is_ready => "running",
            None => "started",
        }
    }

    /// Returns the complete call in the shape of OpenAI's chunks.
    pub(super) fn to_json(&self) -> Json {
        self.to_json_with_args(&self.args)
    }

    /// The same with these arguments.
    pub(super) fn to_json_with_args(&self, args: &str) -> Json {
        json!({
            "id": self.id.as_str(), "type": "function", "function": {"name": self.name, "arguments": args},
        })
    }

    /// Returns the arguments as an object, for formats that have them parsed. What is no object comes in one.
    pub(super) fn args_object(&self) -> Json {
        match serde_json::from_str(self.parsable_args()) {
            Ok(Json::Object(object)) => Json::Object(object),
            _ => json!({ "malformed_arguments": self.args }),
        }
    }

    /// Returns the call with its state and, where it ended, its output.
    pub(super) fn to_json_with_status(&self) -> Json {
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

/// Returns the message and the code of an outcome that is not a success.
pub(super) fn failure_message(outcome: &TurnOutcome) -> Option<(&str, &'static str)> {
    match outcome {
        TurnOutcome::Completed => None,
        TurnOutcome::Cancelled => Some(("the turn was cancelled", "cancelled")),
        TurnOutcome::Interrupted => Some(("the response was cut off before its end", "interrupted")),
        TurnOutcome::Failed(Fault { message, kind, .. }) => Some((message, kind.name())),
    }
}

#[cfg(test)]
mod tests;
