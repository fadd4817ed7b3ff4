//! PURE. Mistral's conversations: the whole conversation as entries in each request, of which the server keeps nothing.
//! A model whose name begins with `agents/` is an agent. What a person decided about a call of its connectors stands at
//! that call, as `confirmation_status` of the SDK's `FunctionCallEntry`.

use serde_json::json;

use super::RemoteTarget;
use super::protocol::JsonProtocol;
use super::request_kind::{ModelListPath, RequestKind};
use crate::engine::openai::{self, args_text, tool_result_text};
use crate::engine::{HistoryCall, HistoryMessage, ModelRequest};
use crate::event::{CallId, CallOutcome, Json, PromptImage};

const PATH: &str = "/conversations";

pub(super) static CONVERSATIONS: RequestKind = RequestKind {
    name: "mistral",
    default_path: "/v1/conversations",
    is_at: |path, _| path.ends_with("/v1/conversations"),
    needs_model: true,
    supports_tools: true,
    takes_images: true,
    model_list: Some(ModelListPath::openai(PATH)),
    protocol: Some(|_| JsonProtocol::boxed(body)),
    ..RequestKind::NEW
};

fn body(_: &RemoteTarget, request: &ModelRequest) -> Json {
    let inputs: Vec<Json> = request.history.iter().flat_map(|past| entries(past, request)).collect();
    let mut body = json!({ "inputs": inputs, "stream": true, "store": false });
    if let Some(agent) = request.model.strip_prefix("agents/") {
        // It has a model, instructions and tools of its own.
        body["agent_id"] = agent.into();
        return body;
    }
    body["model"] = request.model.as_str().into();
    if !request.system.is_empty() {
        body["instructions"] = request.system.as_str().into();
    }
    if !request.tools.is_empty() {
        body["tools"] = request.tools.iter().map(openai::tool).collect();
    }
    body
}

/// Returns a call with the decision about it.
fn function_call(call: &HistoryCall) -> Json {
    let mut entry = json!({
        "type": "function.call", "tool_call_id": call.wire_id(), "name": call.name, "arguments": args_text(call),
    });
    if let Some(approval) = &call.approval {
        let status = match &approval.decision {
            Some(decision) if decision.allows() => "allowed",
            Some(_) => "denied",
            None => "pending",
        };
        entry["confirmation_status"] = status.into();
    }
    entry
}

/// Returns whether the server runs a call, or doesn't, and so knows its result.
fn is_of_server(call: &CallId, request: &ModelRequest) -> bool {
    let calls = request.history.iter().filter_map(|past| match past {
        HistoryMessage::Assistant { calls, .. } => Some(calls),
        HistoryMessage::User { .. } | HistoryMessage::Tool { .. } => None,
    });
    calls.flatten().any(|known| known.call == *call && known.approval.is_some())
}

fn entries(past: &HistoryMessage, request: &ModelRequest) -> Vec<Json> {
    let said = |kind: &str, role: &str, text: &str| json!({"type": kind, "role": role, "content": text});
    match past {
        HistoryMessage::User { text, images } => {
            let mut input = said("message.input", "user", text);
            if !images.is_empty() {
                let chunk = |image: &PromptImage| json!({"type": "image_url", "image_url": image.data_url()});
                let text = json!({"type": "text", "text": text});
                input["content"] = [text].into_iter().chain(images.iter().map(chunk)).collect();
            }
            vec![input]
        }
        HistoryMessage::Assistant { text, calls, .. } => {
            let own = Some(said("message.output", "assistant", text)).filter(|_| !text.is_empty());
            own.into_iter().chain(calls.iter().map(function_call)).collect()
        }
        HistoryMessage::Tool { call, outcome: CallOutcome::Denied | CallOutcome::Requested, .. }
            if is_of_server(call, request) =>
        {
            Vec::new()
        }
        HistoryMessage::Tool { call, output, outcome, .. } => {
            let result = tool_result_text(output, *outcome);
            vec![json!({"type": "function.result", "tool_call_id": call, "result": result})]
        }
    }
}
