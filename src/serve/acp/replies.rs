//! PURE. What several parts of the agent send: codes of errors, and updates that are of no event.

use serde_json::json;

use crate::event::Json;

/// By JSON-RPC, a line that is no JSON.
pub(super) const PARSE_ERROR_CODE: i64 = -32700;
/// By JSON-RPC, what can't be done now.
pub(super) const INVALID_REQUEST_CODE: i64 = -32600;
/// By JSON-RPC, a method that is not there.
pub(super) const METHOD_NOT_FOUND_CODE: i64 = -32601;
/// By JSON-RPC, parameters that are not understood.
pub(super) const INVALID_PARAMS_CODE: i64 = -32602;
/// By JSON-RPC, the request was understood and could not be carried out.
pub(super) const INTERNAL_ERROR_CODE: i64 = -32603;
/// Of the protocol: no such session.
pub(super) const NOT_FOUND_CODE: i64 = -32002;

/// Returns a message of the agent that no model wrote.
pub(super) fn message_update(text: &str) -> Json {
    json!({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}})
}

/// The commands that a prompt may begin with.
pub(super) fn available_commands() -> Json {
    let command = |name: &str, description: &str, hint: &str| json!({"name": name, "description": description, "input": {"hint": hint}});
    json!({"sessionUpdate": "available_commands_update", "availableCommands": [
        command("model", "Use another model from the next prompt on", "ENGINE/MODEL"),
        command("title", "Name this session", "TITLE"),
    ]})
}
