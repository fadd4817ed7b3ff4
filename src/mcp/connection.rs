//! A connection with a server that speaks, and why what goes over it fails.

use rmcp::service::{RoleClient, RunningService, ServiceError};

use super::client::Client;

pub(super) struct Connection {
    pub(super) service: RunningService<RoleClient, Client>,
}

/// Says why a call failed, for the model.
pub(super) fn failure(error: &ServiceError) -> String {
    match error {
        ServiceError::McpError(error) => format!("the server refuses: {}", error.message),
        ServiceError::TransportClosed | ServiceError::TransportSend(_) => {
            "the connection to the server ended during the call, which may have done some of its work; it was not \
             repeated"
                .to_owned()
        }
        ServiceError::UnexpectedResponse => "the server's answer is not as the protocol says".to_owned(),
        error => format!("the call failed: {error}"),
    }
}
