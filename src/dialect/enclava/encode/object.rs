//! enclava's closing frames, its response object and its errors.

use std::fmt::Write;

use serde_json::json;

use super::Encoder;
use crate::event::{Fault, FaultKind, Json, Outcome, Stop, TurnEnd, Usage};

/// How an answer ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum End {
    Completed,
    /// All rounds of tool calls were used up: completed there, without a last answer.
    Spent,
    /// It ended well and is not whole, for this reason. The original has no word for that; this is the official one.
    CutShort(&'static str),
    Budget(String),
    Failed {
        code: &'static str,
        message: String,
    },
}

impl End {
    pub(super) fn of(end: &TurnEnd, stop: Option<Stop>, are_spent: bool) -> Self {
        let failed = |code, message: &str| Self::Failed { code, message: message.to_owned() };
        match end {
            TurnEnd::Completed => match stop {
                Some(Stop::Length) => Self::CutShort("max_output_tokens"),
                Some(Stop::Refused) => Self::CutShort("content_filter"),
                _ => Self::Completed,
            },
            TurnEnd::Cancelled => failed("cancelled", "the answer was cancelled"),
            TurnEnd::Interrupted => failed("internal_error", "the answer was cut off before its end; ask again"),
            TurnEnd::Failed(Fault { kind: FaultKind::LimitReached, .. }) if are_spent => Self::Spent,
            TurnEnd::Failed(Fault { kind: FaultKind::LimitReached, message, .. }) => Self::Budget(message.clone()),
            TurnEnd::Failed(fault) => failed("internal_error", &fault.message),
        }
    }

    /// The error of `response.failed`; none where the answer is complete.
    pub(super) fn error(&self) -> Option<Json> {
        let (code, message) = match self {
            Self::Completed | Self::Spent | Self::CutShort(_) => return None,
            Self::Budget(message) => ("budget_exceeded", message),
            Self::Failed { code, message } => (*code, message),
        };
        Some(json!({"type": code, "code": code, "message": message}))
    }

    /// What is answered in place of the object where there was to be no stream.
    pub(super) fn refusal(&self) -> Option<(u16, Json)> {
        let (status, message) = match self {
            Self::Completed | Self::Spent | Self::CutShort(_) => return None,
            Self::Budget(message) => (429, message),
            Self::Failed { message, .. } => (500, message),
        };
        Some((status, json!({"error": "HTTP_ERROR", "message": message})))
    }
}

/// The output of a call as JSON text, and its status.
pub(super) fn output(outcome: Outcome, text: &str) -> (String, &'static str) {
    let because = match outcome {
        Outcome::Ok => return (Json::from(text).to_string(), "completed"),
        Outcome::Failed => "the tool failed without a word",
        Outcome::Denied => "denied",
        Outcome::Cancelled => "cancelled",
        Outcome::Requested | Outcome::Unknown => "the end of the call never came",
    };
    let because = if text.is_empty() { because } else { text };
    (json!({ "error": because }).to_string(), "failed")
}

/// Writes JSON text in ASCII: other characters can only stand in strings, where they may be escaped.
pub(super) fn ascii(json: &str) -> String {
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

impl Encoder {
    /// The closing frame, which repeats every item.
    pub(super) fn completed(&self, end: &End) -> Json {
        let mut frame = json!({"id": self.heading.id, "object": "response", "status": "completed",
            "output": self.items, "output_text": self.last_text});
        mark_cut_short(&mut frame, end);
        frame
    }

    /// The stored response as it stands.
    pub fn response(&self) -> Json {
        let error = self.end.as_ref().and_then(End::error);
        let status = match (&self.end, &error) {
            (None, _) => "in_progress",
            (Some(_), None) => "completed",
            (Some(_), Some(_)) => "failed",
        };
        let usage = self.cost.total().unwrap_or_else(|| Usage {
            input_tokens: self.heading.asked,
            output_tokens: (self.kept as u64 / 4).max(1),
            ..Usage::default()
        });
        let mut response = json!({
            "id": self.heading.id,
            "object": "response",
            "created_at": self.opening.created() / 1000,
            "model": self.heading.model(&self.opening),
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
        for (key, value) in &self.heading.echo {
            response[key] = value.clone();
        }
        if let Some(end) = &self.end {
            mark_cut_short(&mut response, end);
        }
        response
    }
}

fn mark_cut_short(response: &mut Json, end: &End) {
    if let End::CutShort(reason) = end {
        response["status"] = "incomplete".into();
        response["incomplete_details"] = json!({ "reason": reason });
    }
}
