//! PURE. Mistral's conversations: the whole conversation as entries in each request, of which the server keeps nothing.
//! A model whose name begins with `agents/` is an agent.

use serde_json::json;

use super::RemoteTarget;
use super::protocol::JsonProtocol;
use super::request_kind::{ModelListPath, RequestKind};
use crate::engine::openai::{self, args_text, tool_result_text};
use crate::engine::{HistoryCall, HistoryMessage, ModelRequest};
use crate::event::{Json, PromptImage};

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
    let inputs: Vec<Json> = request.history.iter().flat_map(entries).collect();
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

fn entries(past: &HistoryMessage) -> Vec<Json> {
    let said = |kind: &str, role: &str, text: &str| json!({"type": kind, "role": role, "content": text});
    let called = |call: &HistoryCall| json!({"type": "function.call", "tool_call_id": call.call, "name": call.name, "arguments": args_text(call)});
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
            own.into_iter().chain(calls.iter().map(called)).collect()
        }
        HistoryMessage::Tool { call, output, outcome, .. } => {
            let result = tool_result_text(output, *outcome);
            vec![json!({"type": "function.result", "tool_call_id": call, "result": result})]
        }
    }
}
