//! PURE. Gemini's Interactions: the conversation as steps in each request, so that nothing depends on what the server
//! keeps. A model whose name begins with `agents/` is an agent.

use serde_json::json;

use super::RemoteTarget;
use super::protocol::JsonProtocol;
use super::request_kind::RequestKind;
use crate::engine::{HistoryCall, HistoryMessage, ModelRequest};
use crate::event::{CallOutcome, Json, ToolSpec};

pub(super) static CREATE: RequestKind = RequestKind {
    name: "gemini-interactions",
    default_path: "/v1beta/interactions",
    is_at: |path, _| path.ends_with("/interactions"),
    needs_model: true,
    supports_tools: true,
    takes_images: true,
    token_header: Some("x-goog-api-key"),
    // Without it some servers still tell the first version of the events.
    protocol: Some(|_| Box::new(JsonProtocol { body, headers: &[("api-revision", "2026-05-20")] })),
    ..RequestKind::NEW
};

fn body(_: &RemoteTarget, request: &ModelRequest) -> Json {
    let steps: Vec<Json> = request.history.iter().flat_map(steps).collect();
    let mut body = json!({ "input": steps, "stream": true });
    match request.model.strip_prefix("agents/") {
        Some(agent) => body["agent"] = agent.into(),
        None => body["model"] = request.model.as_str().into(),
    }
    if !request.system.is_empty() {
        body["system_instruction"] = request.system.as_str().into();
    }
    if !request.tools.is_empty() {
        let declare = |tool: &ToolSpec| {
            let ToolSpec { name, description, parameters, risk: _ } = tool;
            json!({"type": "function", "name": name, "description": description, "parameters": parameters})
        };
        body["tools"] = request.tools.iter().map(declare).collect();
    }
    body
}

fn steps(past: &HistoryMessage) -> Vec<Json> {
    let said = |kind: &str, text: &str| json!({"type": kind, "content": [{"type": "text", "text": text}]});
    match past {
        HistoryMessage::User { text, images } => {
            let mut input = said("user_input", text);
            if let Some(content) = input["content"].as_array_mut() {
                content.extend(images.iter().map(|image| {
                    json!({"type": "image", "data": image.base64(), "mime_type": image.media_type.media_type()})
                }));
            }
            vec![input]
        }
        HistoryMessage::Assistant { text, calls, .. } => {
            let mut steps = Vec::new();
            steps.extend(Some(said("model_output", text)).filter(|_| !text.is_empty()));
            steps.extend(calls.iter().flat_map(call_steps));
            steps
        }
        HistoryMessage::Tool { call, name, output, outcome } => vec![json!({
            "type": "function_result", "call_id": call, "name": name, "result": output,
            "is_error": *outcome != CallOutcome::Ok,
        })],
    }
}

/// Returns a call, behind the thought whose signature the model checks.
fn call_steps(call: &HistoryCall) -> Vec<Json> {
    let args = serde_json::from_str::<Json>(&call.args).ok().filter(Json::is_object).unwrap_or_else(|| json!({}));
    let signature = call.provider_metadata.as_ref().and_then(|metadata| metadata.get("thought_signature"));
    let thought = signature.map(|signature| json!({"type": "thought", "signature": signature}));
    let own = json!({"type": "function_call", "id": call.call, "name": call.name, "arguments": args});
    thought.into_iter().chain([own]).collect()
}
