//! What a server wants decided by a person outside of any turn: agents that work there by themselves ask for it.

use crate::event::{Json, Risk};
use crate::net::request::HttpRequest;

/// One thing to be decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerApproval {
    /// The server's own name for it.
    pub id: String,
    pub tool: String,
    pub risk: Risk,
    /// What it is about, in one line.
    pub subject: String,
    /// All that is known of it.
    pub detail: String,
    /// JSON text.
    pub args: String,
}

/// Where a server keeps such things. It describes calls; somebody else makes them.
pub trait ServerApprovals: Send + Sync {
    /// Asks for what waits.
    fn list_request(&self) -> HttpRequest;

    /// Reads the answer; none where the server knows nothing of the kind.
    fn parse_list(&self, answer: &Json) -> Option<Vec<ServerApproval>>;

    /// Tells the server.
    fn decide_request(&self, wanted: &ServerApproval, allow: bool) -> HttpRequest;
}
