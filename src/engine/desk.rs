//! What a server wants decided by a person outside of any turn: agents that work there by themselves ask for it.

use crate::event::{Json, Risk};
use crate::net::call::HttpCall;

/// One thing to be decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
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
pub trait Desk: Send + Sync {
    /// Asks for what waits.
    fn list(&self) -> HttpCall;

    /// Reads the answer; none where the server knows nothing of the kind.
    fn read(&self, answer: &Json) -> Option<Vec<Wanted>>;

    /// Tells the server.
    fn decide(&self, wanted: &Wanted, allow: bool) -> HttpCall;
}
