//! PURE. Bedrock, with an API key as the bearer token: `ConverseStream`, and `InvokeModelWithResponseStream` of
//! Anthropic's models. The model is in the path, so none is named in the body.

use serde_json::json;

use super::RemoteTarget;
use super::protocol::{EngineProtocol, JsonProtocol};
use super::request_kind::RequestKind;
use crate::engine::anthropic::{AnthropicAuth, AnthropicEngine};
use crate::engine::{HistoryCall, HistoryMessage, ModelRequest};
use crate::event::{CallOutcome, Json, PromptImage, ToolSpec};

/// The version of Anthropic's API that Bedrock wants named.
const ANTHROPIC_VERSION: &str = "bedrock-2023-05-31";

pub(super) static CONVERSE: RequestKind = RequestKind {
    name: "bedrock",
    is_at: |path, _| path.ends_with("/converse-stream"),
    supports_tools: true,
    takes_images: true,
    protocol: Some(|_| JsonProtocol::boxed(converse_body)),
    ..RequestKind::NEW
};

pub(super) static INVOKE: RequestKind = RequestKind {
    name: "bedrock-invoke",
    is_at: |path, _| path.ends_with("/invoke-with-response-stream"),
    supports_tools: true,
    takes_images: true,
    protocol: Some(|target| {
        let writer = Box::new(AnthropicEngine::new(target.name.clone(), &target.url, AnthropicAuth::None));
        Box::new(EngineProtocol { writer, adjust: move_to_bedrock })
    }),
    ..RequestKind::NEW
};

/// Makes a body of Anthropic's own API one of Bedrock's.
fn move_to_bedrock(body: &mut Json) {
    if let Some(fields) = body.as_object_mut() {
        fields.retain(|name, _| name != "model" && name != "stream");
        fields.insert("anthropic_version".to_owned(), ANTHROPIC_VERSION.into());
    }
}

fn converse_body(_: &RemoteTarget, request: &ModelRequest) -> Json {
    let mut messages: Vec<Json> = Vec::new();
    let mut add = |role: &str, blocks: Vec<Json>| match messages.last_mut() {
        _ if blocks.is_empty() => {}
        // Roles take turns, and the results of one round belong together.
        Some(last) if last["role"] == role => {
            if let Some(known) = last["content"].as_array_mut() {
                known.extend(blocks);
            }
        }
        _ => messages.push(json!({"role": role, "content": blocks})),
    };
    for past in &request.history {
        match past {
            HistoryMessage::User { text, images } => {
                add("user", images.iter().map(image_block).chain([json!({"text": text})]).collect());
            }
            HistoryMessage::Assistant { text, calls, .. } => {
                let own = Some(json!({"text": text})).filter(|_| !text.is_empty());
                add("assistant", own.into_iter().chain(calls.iter().map(call_block)).collect());
            }
            HistoryMessage::Tool { call, output, outcome, .. } => {
                let status = if *outcome == CallOutcome::Ok { "success" } else { "error" };
                let result = json!({"toolUseId": call, "content": [{"text": output}], "status": status});
                add("user", vec![json!({"toolResult": result})]);
            }
        }
    }
    let mut body = json!({ "messages": messages });
    if !request.system.is_empty() {
        body["system"] = json!([{"text": request.system}]);
    }
    if !request.tools.is_empty() {
        let declare = |tool: &ToolSpec| {
            let schema = json!({"json": tool.parameters});
            json!({"toolSpec": {"name": tool.name, "description": tool.description, "inputSchema": schema}})
        };
        body["toolConfig"] = json!({ "tools": request.tools.iter().map(declare).collect::<Vec<_>>() });
    }
    body
}

fn image_block(image: &PromptImage) -> Json {
    let format = image.media_type.name().to_lowercase();
    json!({"image": {"format": format, "source": {"bytes": image.base64()}}})
}

fn call_block(call: &HistoryCall) -> Json {
    let input = serde_json::from_str::<Json>(&call.args).ok().filter(Json::is_object).unwrap_or_else(|| json!({}));
    json!({"toolUse": {"toolUseId": call.call, "name": call.name, "input": input}})
}
