//! PURE. The card that tells agents what is here, for both versions.

use serde_json::json;

use crate::event::Json;

/// Returns the card of the agent at this address.
pub(super) fn agent_card(url: &str, needs_token: bool) -> Json {
    let interface =
        |binding: &str, version: &str| json!({"url": url, "protocolBinding": binding, "protocolVersion": version});
    let mut card = json!({
        "name": "jarvis-tui",
        "description": "An agent that works with files, commands and the web on the machine where it runs.",
        "version": env!("CARGO_PKG_VERSION"),
        "supportedInterfaces": [
            interface("JSONRPC", "1.0"), interface("HTTP+JSON", "1.0"), interface("JSONRPC", "0.3"),
        ],
        "capabilities": {"streaming": true, "pushNotifications": false, "extendedAgentCard": false},
        "defaultInputModes": ["text/plain", "application/json", "image/png", "image/jpeg"],
        "defaultOutputModes": ["text/plain", "application/json"],
        "skills": [{
            "id": "agent", "name": "Work on a task",
            "description": "Answers questions, reads and changes files and runs commands, and asks before it changes \
                            anything.",
            "tags": ["agent", "coding", "files", "shell"],
        }],
        // What version 0.3 looks for.
        "url": url, "preferredTransport": "JSONRPC", "protocolVersion": "0.3.0",
    });
    if needs_token {
        let scheme = json!({"httpAuthSecurityScheme": {"scheme": "Bearer"}, "type": "http", "scheme": "Bearer"});
        card["securitySchemes"] = json!({ "token": scheme });
        card["securityRequirements"] = json!([{"schemes": {"token": {"list": []}}}]);
        card["security"] = json!([{"token": []}]);
    }
    card
}
