//! PURE. The bodies of requests that no other engine writes, one function each.

use serde_json::{Value as Json, json};

use super::last_prompt;
use crate::engine::{HistoryMessage, ModelRequest};

/// Some servers need a string where others allow null.
pub(super) fn replace_null_content(body: &mut Json) {
    let messages = body.get_mut("messages").and_then(Json::as_array_mut);
    for message in messages.into_iter().flatten() {
        if let Some(content @ Json::Null) = message.get_mut("content") {
            *content = Json::from("");
        }
    }
}

/// The contents don't matter, only that there is a tool.
pub(super) fn add_dummy_tool(body: &mut Json) {
    let parameters = json!({"type": "object", "properties": {}});
    let function = json!({"name": "show_events", "description": "Does nothing.", "parameters": parameters});
    body["tools"] = json!([{"type": "function", "function": function}]);
}

/// The server keeps the conversation.
pub(super) fn managed(request: &ModelRequest) -> Json {
    json!({"content": last_prompt(request).unwrap_or_default(), "mode": "immediate", "stream": true})
}

pub(super) fn research(request: &ModelRequest) -> Json {
    let mut body = json!({"query": last_prompt(request).unwrap_or_default()});
    with_model(&mut body, request);
    body
}

/// The server's current version fails on lists of items, so the conversation goes as one text. Where the server keeps
/// the conversation, only what is new is sent. Nothing else is to be stored.
pub(super) fn enclava(request: &ModelRequest, conversation: Option<&str>) -> Json {
    let mut body = json!({"model": request.model, "stream": true, "store": false});
    match conversation {
        Some(id) => {
            body["conversation"] = Json::from(id);
            body["input"] = Json::from(last_prompt(request).unwrap_or_default());
        }
        None => body["input"] = Json::from(flatten_history(request)),
    }
    if !request.system.is_empty() {
        body["instructions"] = Json::from(request.system.as_str());
    }
    body
}

/// In the shape of its tools (`bot`, `prompt`) and of its upstream (`model`, `messages`): a host reads one or the
/// other. Both have the whole conversation, so no `session_id` is sent: a host that knew it would get everything twice.
pub(super) fn poe(request: &ModelRequest) -> Json {
    let mut messages = Vec::new();
    if !request.system.is_empty() {
        messages.push(json!({"role": "system", "content": request.system}));
    }
    messages.extend(request.history.iter().filter_map(|past| match past {
        HistoryMessage::User { text } => Some(json!({"role": "user", "content": text})),
        HistoryMessage::Assistant { text, .. } if !text.is_empty() => {
            Some(json!({"role": "assistant", "content": text}))
        }
        HistoryMessage::Assistant { .. } | HistoryMessage::Tool { .. } => None,
    }));
    let mut body = json!({"prompt": flatten_history(request), "messages": messages, "stream": true});
    if !request.model.is_empty() {
        body["bot"] = Json::from(request.model.as_str());
        body["model"] = Json::from(request.model.as_str());
    }
    body
}

/// Sends messages and tools in the protocol's camel case.
pub(super) fn ag_ui(request: &ModelRequest, thread: &str) -> Json {
    let mut messages = Vec::new();
    if !request.system.is_empty() {
        messages.push(json!({"id": format!("{thread}-s"), "role": "system", "content": request.system}));
    }
    for (index, past) in request.history.iter().enumerate() {
        let id = format!("{thread}-{index}");
        messages.push(match past {
            HistoryMessage::User { text } => json!({"id": id, "role": "user", "content": text}),
            HistoryMessage::Assistant { text, calls, .. } => {
                let mut message = json!({"id": id, "role": "assistant", "content": text});
                if !calls.is_empty() {
                    let call = |call: &crate::engine::HistoryCall| {
                        let function = json!({"name": call.name, "arguments": call.args});
                        json!({"id": call.call.as_str(), "type": "function", "function": function})
                    };
                    message["toolCalls"] = calls.iter().map(call).collect();
                }
                message
            }
            HistoryMessage::Tool { call, output, .. } => {
                json!({"id": id, "role": "tool", "toolCallId": call.as_str(), "content": output})
            }
        });
    }
    let tools: Vec<Json> = request
        .tools
        .iter()
        .map(|tool| json!({"name": tool.name, "description": tool.description, "parameters": tool.parameters}))
        .collect();
    let run = format!("{thread}-run-{}", request.history.len());
    json!({
        "threadId": thread, "runId": run, "state": {}, "messages": messages, "tools": tools, "context": [],
        "forwardedProps": {},
    })
}

pub(super) fn a2a(request: &ModelRequest, thread: &str) -> Json {
    let parts = json!([{"kind": "text", "text": last_prompt(request).unwrap_or_default()}]);
    let mut message =
        json!({"kind": "message", "role": "user", "parts": parts, "messageId": message_id(request, thread)});
    add_context_ids(&mut message, request);
    json!({
        "jsonrpc": "2.0", "id": message_id(request, thread), "method": "message/stream",
        "params": {"message": message, "configuration": {"acceptedOutputModes": ["text/plain"]}},
    })
}

pub(super) fn a2a_v1(request: &ModelRequest, thread: &str) -> Json {
    let parts = json!([{"text": last_prompt(request).unwrap_or_default()}]);
    let mut message = json!({"role": "ROLE_USER", "parts": parts, "messageId": message_id(request, thread)});
    add_context_ids(&mut message, request);
    json!({
        "jsonrpc": "2.0", "id": message_id(request, thread), "method": "SendStreamingMessage",
        "params": {"message": message, "configuration": {"acceptedOutputModes": ["text/plain"]}},
    })
}

/// Adds the ids of the context, and of the task that waits for an answer, from the agent's last message.
fn add_context_ids(message: &mut Json, request: &ModelRequest) {
    let metadata = request.history.iter().rev().find_map(|past| match past {
        HistoryMessage::Assistant { provider_metadata: Some(metadata), .. } => Some(metadata),
        _ => None,
    });
    for key in ["contextId", "taskId"] {
        if let Some(value) = metadata.and_then(|metadata| metadata.get(key)).filter(|value| value.is_string()) {
            message[key] = value.clone();
        }
    }
}

fn message_id(request: &ModelRequest, thread: &str) -> String {
    format!("{thread}-{}", request.history.len())
}

fn with_model(body: &mut Json, request: &ModelRequest) {
    if !request.model.is_empty() {
        body["model"] = Json::from(request.model.as_str());
    }
}

/// Writes the conversation as one text, for servers that take nothing else and keep nothing.
pub(super) fn flatten_history(request: &ModelRequest) -> String {
    let mut lines = Vec::new();
    for past in &request.history {
        match past {
            HistoryMessage::User { text } => lines.push(format!("User: {text}")),
            HistoryMessage::Assistant { text, .. } if !text.is_empty() => lines.push(format!("Assistant: {text}")),
            HistoryMessage::Assistant { .. } | HistoryMessage::Tool { .. } => {}
        }
    }
    match (lines.as_slice(), last_prompt(request)) {
        ([_], Some(only)) => only.to_owned(),
        (lines, _) => lines.join("\n\n"),
    }
}
