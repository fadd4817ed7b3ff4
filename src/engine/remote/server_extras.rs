//! PURE. What a kind of server offers besides its answers.

use std::sync::Arc;

use super::RemoteTarget;
use crate::engine::ModelRequest;
use crate::engine::server_approvals::ServerApprovals;
use crate::net::request::SideChannel;

/// What a server offers besides its answers, for one conversation.
pub trait ServerExtras: Send + Sync {
    /// Returns what completes the answer to this request beyond its stream.
    fn side_channel(&self, request: &ModelRequest) -> Option<Box<dyn SideChannel>>;

    /// Returns access to the approvals that the server has pending outside of any turn.
    fn approvals(&self) -> Option<Arc<dyn ServerApprovals>>;
}

/// Returns what the server of a target offers; none where the address is not one of those it belongs to.
pub type FindServerExtras = fn(&RemoteTarget) -> Option<Box<dyn ServerExtras>>;
