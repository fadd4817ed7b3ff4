//! Errors as data: they travel in events, logs and streams.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Millis;

/// An error in a form that programs can act on and people can read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    pub kind: FaultKind,
    /// What failed, on what, and what to try. Lower case, no full stop, never a secret.
    pub message: String,
    /// How long the server asked us to wait before retrying.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Millis>,
}

/// Decides whether to retry, which exit code to use, and what to tell the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The key is missing or was refused.
    Auth,
    RateLimited,
    /// The conversation does not fit into the model's context window.
    ContextTooLong,
    /// The server understood the request and rejected it.
    BadRequest,
    /// The host was not reached or the connection broke.
    Network,
    TimedOut,
    /// The response violates its format.
    Protocol,
    /// The model or a policy declined.
    Refused,
    Tool,
    /// The remote agent or model failed on its side.
    Upstream,
    /// A limit set by the person: rounds, tokens, time or money.
    LimitReached,
    Internal,
}

impl Fault {
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), retry_after: None }
    }

    /// Returns whether the same request may succeed when sent again a little later.
    pub fn is_transient(&self) -> bool {
        match self.kind {
            FaultKind::RateLimited | FaultKind::Network | FaultKind::TimedOut | FaultKind::Upstream => true,
            FaultKind::Auth
            | FaultKind::ContextTooLong
            | FaultKind::BadRequest
            | FaultKind::Protocol
            | FaultKind::Refused
            | FaultKind::Tool
            | FaultKind::LimitReached
            | FaultKind::Internal => false,
        }
    }
}

impl FaultKind {
    /// Returns the name used in JSON output and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::RateLimited => "rate_limited",
            Self::ContextTooLong => "context_too_long",
            Self::BadRequest => "bad_request",
            Self::Network => "network",
            Self::TimedOut => "timed_out",
            Self::Protocol => "protocol",
            Self::Refused => "refused",
            Self::Tool => "tool",
            Self::Upstream => "upstream",
            Self::LimitReached => "limit_reached",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}
