//! Approvals that a server has pending outside of any turn: autonomous agents there request them.

use crate::event::{Json, Risk};
use crate::net::request::HttpRequest;

/// One pending approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerApproval {
    /// The server's id for it.
    pub id: String,
    pub tool: String,
    pub risk: Risk,
    /// Its subject, in one line.
    pub subject: String,
    /// All known details.
    pub detail: String,
    /// JSON text.
    pub args: String,
}

/// A server's approvals. Returns requests; the caller sends them.
pub trait ServerApprovals: Send + Sync {
    /// Requests the pending approvals.
    fn list_request(&self) -> HttpRequest;

    /// Parses the response; none where the server has no approvals.
    fn parse_list(&self, answer: &Json) -> Option<Vec<ServerApproval>>;

    /// Sends the decision.
    fn decide_request(&self, approval: &ServerApproval, allow: bool) -> HttpRequest;
}
