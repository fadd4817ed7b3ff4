//! Messages of an MCP server, a server of tools: it answers no prompts.
//!
//! Source: the schema of the Model Context Protocol, revisions 2024-11-05 to 2026-07-28.

use crate::event::Json;

/// What is told of such a server.
pub(super) const SERVER_MESSAGE: &str = "this is an MCP server, which offers tools and answers no prompts; give the \
                                         URL of a chat endpoint, or name it as a server of tools in the settings";

/// Methods that a server calls, or their prefixes.
const METHODS: &[&str] =
    &["notifications/", "sampling/", "roots/", "elicitation/", "ping", "tools/", "resources/", "prompts/", "server/"];

/// Keys of results that no other protocol with JSON-RPC has, each with another that stands beside it.
const RESULT_KEYS: &[(&str, &str)] = &[
    ("protocolVersion", "capabilities"),
    ("protocolVersion", "serverInfo"),
    ("supportedVersions", "capabilities"),
    ("content", "content"),
    ("structuredContent", "content"),
    ("tools", "tools"),
    ("resources", "resources"),
    ("prompts", "prompts"),
    ("resourceTemplates", "resourceTemplates"),
    ("resultType", "resultType"),
];

/// Words of its refusals.
const REFUSAL_WORDS: &[&str] =
    &["client must accept", "session id", "mcp-session-id", "server not initialized", "mcp-protocol-version"];

/// Returns whether an object is a message of an MCP server.
pub(super) fn is_message(json: &Json) -> bool {
    if json.get("jsonrpc").is_none() {
        return false;
    }
    if let Some(method) = json.get("method").and_then(Json::as_str) {
        return METHODS.iter().any(|name| method == *name || (name.ends_with('/') && method.starts_with(name)));
    }
    if let Some(result) = json.get("result") {
        // A host of agents counts what it says.
        let has = |key: &str| result.get(key).is_some();
        return !has("serverSeq") && RESULT_KEYS.iter().any(|(one, other)| has(one) && has(other));
    }
    let words = json.pointer("/error/message").and_then(Json::as_str).unwrap_or_default().to_lowercase();
    REFUSAL_WORDS.iter().any(|phrase| words.contains(phrase))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn messages_of_a_server_of_tools_are_told_from_those_of_agents() {
        for message in [
            json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {}}),
            json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}),
            json!({"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": "2025-11-25", "capabilities": {}}}),
            json!({"jsonrpc": "2.0", "id": 1, "result": {"content": [], "isError": false}}),
            json!({"jsonrpc": "2.0", "id": 1, "result": {"tools": []}}),
            json!({"jsonrpc": "2.0", "id": "server-error", "error": {"code": -32600, "message":
                "Not Acceptable: Client must accept both application/json and text/event-stream"}}),
        ] {
            assert!(is_message(&message), "{message}");
        }
        for message in [
            json!({"jsonrpc": "2.0", "id": 1, "result": {"kind": "task", "id": "t", "status": {}}}),
            json!({"jsonrpc": "2.0", "id": 1, "result": {"task": {}}}),
            json!({"jsonrpc": "2.0", "method": "session/update", "params": {}}),
            json!({"jsonrpc": "2.0", "id": 1, "error": {"code": -32001, "message": "Task not found"}}),
            json!({"result": {"tools": []}}),
        ] {
            assert!(!is_message(&message), "{message}");
        }
    }
}
