//! enclava's closing frames, response object and errors.

use std::fmt::Write;

use serde_json::json;

use super::EnclavaEncoder;
use crate::event::{CallOutcome, Fault, FaultKind, FinishReason, Json, TurnOutcome};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum EnclavaOutcome {
    Completed,
    /// All rounds of tool calls were used up: completed, without a last answer.
    RoundsExhausted,
    /// It ended early, for this reason. The original has no status for that; this is the official one.
    Incomplete(&'static str),
    BudgetExceeded(String),
    Failed {
        code: &'static str,
        message: String,
    },
}

impl EnclavaOutcome {
    pub(super) fn new(outcome: &TurnOutcome, finish_reason: Option<FinishReason>, are_spent: bool) -> Self {
        let failed = |code, message: &str| Self::Failed { code, message: message.to_owned() };
        match outcome {
            TurnOutcome::Completed => match finish_reason {
                Some(FinishReason::Length) => Self::Incomplete("max_output_tokens"),
                Some(FinishReason::Refused) => Self::Incomplete("content_filter"),
                _ => Self::Completed,
            },
            TurnOutcome::Cancelled => failed("cancelled", "the response was cancelled"),
            TurnOutcome::Interrupted => failed("internal_error", "the response was cut off before its end; retry"),
            TurnOutcome::Failed(Fault { kind: FaultKind::LimitReached, .. }) if are_spent => Self::RoundsExhausted,
            TurnOutcome::Failed(Fault { kind: FaultKind::LimitReached, message, .. }) => {
                Self::BudgetExceeded(message.clone())
            }
            TurnOutcome::Failed(fault) => failed("internal_error", &fault.message),
        }
    }

    /// The error of `response.failed`; none where the answer is complete.
    pub(super) fn error(&self) -> Option<Json> {
        let (code, message) = match self {
            Self::Completed | Self::RoundsExhausted | Self::Incomplete(_) => return None,
            Self::BudgetExceeded(message) => ("budget_exceeded", message),
            Self::Failed { code, message } => (*code, message),
        };
        Some(json!({"type": code, "code": code, "message": message}))
    }

    /// The HTTP status and body of an error, instead of the response object.
    pub(super) fn error_response(&self) -> Option<(u16, Json)> {
        let (status, message) = match self {
            Self::Completed | Self::RoundsExhausted | Self::Incomplete(_) => return None,
            Self::BudgetExceeded(message) => (429, message),
            Self::Failed { message, .. } => (500, message),
        };
        Some((status, json!({"error": "HTTP_ERROR", "message": message})))
    }
}

/// Returns the output of a call as JSON text, and its status.
pub(super) fn encode_output(outcome: CallOutcome, text: &str) -> (String, &'static str) {
    let because = match outcome {
        CallOutcome::Ok => return (Json::from(text).to_string(), "completed"),
        CallOutcome::Failed => "the tool failed without an error message",
        CallOutcome::Denied => "denied",
        CallOutcome::Cancelled => "cancelled",
        CallOutcome::Requested | CallOutcome::Unknown => "the call never finished",
    };
    let because = if text.is_empty() { because } else { text };
    (json!({ "error": because }).to_string(), "failed")
}

/// Returns JSON text in ASCII: other characters occur only in strings, where they may be escaped.
pub(super) fn escape_non_ascii(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() && c != '\u{7f}' {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a string can't fail.
            let _ = write!(out, "\\u{unit:04x}");
        }
    }
    out
}

impl EnclavaEncoder {
    /// The closing frame, which repeats every item.
    pub(super) fn completed_event(&self, end: &EnclavaOutcome) -> Json {
        let mut frame = json!({"id": self.head.id, "object": "response", "status": "completed",
            "output": self.items, "output_text": self.last_text});
        mark_incomplete(&mut frame, end);
        frame
    }

    /// The response as stored so far.
    pub fn response(&self) -> Json {
        let error = self.outcome.as_ref().and_then(EnclavaOutcome::error);
        let status = match (&self.outcome, &error) {
            (None, _) => "in_progress",
            (Some(_), None) => "completed",
            (Some(_), Some(_)) => "failed",
        };
        let usage = self.head.usage(&self.answer_usage, self.kept_bytes);
        let mut response = json!({
            "id": self.head.id,
            "object": "response",
            "created_at": self.opening.created_ms() / 1000,
            "model": self.head.model(&self.opening),
            "output": self.items,
            "output_text": self.last_text,
            "status": status,
            "error": error,
            "usage": {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens,
                "total_tokens": usage.total()},
            "conversation": null,
            "previous_response_id": null,
            "metadata": {},
        });
        for (key, value) in &self.head.echo {
            response[key] = value.clone();
        }
        if let Some(end) = &self.outcome {
            mark_incomplete(&mut response, end);
        }
        response
    }
}

fn mark_incomplete(response: &mut Json, end: &EnclavaOutcome) {
    if let EnclavaOutcome::Incomplete(reason) = end {
        response["status"] = "incomplete".into();
        response["incomplete_details"] = json!({ "reason": reason });
    }
}
