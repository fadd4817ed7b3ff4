//! PURE. AG-UI: messages and tools in the protocol's camel case.

use serde_json::json;

use super::RemoteTarget;
use super::protocol::JsonProtocol;
use super::request_kind::RequestKind;
use crate::engine::{HistoryCall, HistoryMessage, ModelRequest};
use crate::event::Json;

pub(super) static RUN: RequestKind = RequestKind {
    name: "ag-ui",
    wanted_fields: &[&["threadId", "runId"], &["thread_id", "run_id"]],
    supports_tools: true,
    protocol: Some(|_| JsonProtocol::boxed(body)),
    ..RequestKind::NEW
};

fn body(target: &RemoteTarget, request: &ModelRequest) -> Json {
    let thread = &target.thread_id;
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
                    let call = |call: &HistoryCall| {
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
