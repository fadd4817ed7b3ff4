//! PURE. Gemini's `streamGenerateContent`: the model is in the path, so none is named in the body.

use serde_json::json;

use super::protocol::Protocol;
use super::request_kind::RequestKind;
use super::{AnnouncingDetector, RemoteTarget};
use crate::engine::{HistoryCall, HistoryMessage, ModelRequest, ReplyPlan};
use crate::event::{Json, PromptImage};
use crate::net::request::HttpRequest;
use crate::text::address::path_and_query;

/// The end of its path, behind the model.
const METHOD_SUFFIX: &str = ":streamGenerateContent";

pub(super) static GENERATE: RequestKind = RequestKind {
    name: "gemini",
    is_at: |path, _| path.ends_with(METHOD_SUFFIX),
    supports_tools: true,
    takes_images: true,
    token_header: Some("x-goog-api-key"),
    protocol: Some(|_| Box::new(GeminiProtocol)),
    ..RequestKind::NEW
};

struct GeminiProtocol;

impl Protocol for GeminiProtocol {
    fn plan_reply(
        &self,
        target: &RemoteTarget,
        request: &ModelRequest,
        decode: AnnouncingDetector,
    ) -> Option<ReplyPlan> {
        let call = target.post(Vec::new(), &body(request));
        Some(ReplyPlan::http(HttpRequest { url: events_url(call.url), ..call }, decode))
    }
}

/// Returns the URL with the query that asks for events in place of a list.
fn events_url(url: String) -> String {
    let (_, query) = path_and_query(&url);
    if query.split('&').any(|pair| pair.starts_with("alt=")) {
        return url;
    }
    let (whole, _) = url.split_once('#').unwrap_or((&url, ""));
    format!("{whole}{}alt=sse", if query.is_empty() { "?" } else { "&" })
}

fn body(request: &ModelRequest) -> Json {
    let mut contents: Vec<Json> = Vec::new();
    let mut add = |role: &str, parts: Vec<Json>| match contents.last_mut() {
        _ if parts.is_empty() => {}
        // Results of one round belong together.
        Some(last) if last["role"] == role => {
            if let Some(known) = last["parts"].as_array_mut() {
                known.extend(parts);
            }
        }
        _ => contents.push(json!({"role": role, "parts": parts})),
    };
    for past in &request.history {
        match past {
            HistoryMessage::User { text, images } => {
                add("user", [json!({"text": text})].into_iter().chain(images.iter().map(image_part)).collect());
            }
            HistoryMessage::Assistant { text, calls, .. } => {
                let mut parts = Vec::new();
                parts.extend(Some(json!({"text": text})).filter(|_| !text.is_empty()));
                parts.extend(calls.iter().map(call_part));
                add("model", parts);
            }
            HistoryMessage::Tool { name, output, .. } => {
                let response = serde_json::from_str::<Json>(output).ok().filter(Json::is_object);
                let response = response.unwrap_or_else(|| json!({"result": output}));
                add("user", vec![json!({"functionResponse": {"name": name, "response": response}})]);
            }
        }
    }
    let mut body = json!({ "contents": contents });
    if !request.system.is_empty() {
        body["systemInstruction"] = json!({"parts": [{"text": request.system}]});
    }
    if !request.tools.is_empty() {
        let declare = |tool: &crate::event::ToolSpec| json!({"name": tool.name, "description": tool.description, "parametersJsonSchema": tool.parameters});
        let declared: Vec<Json> = request.tools.iter().map(declare).collect();
        body["tools"] = json!([{ "functionDeclarations": declared }]);
    }
    body
}

pub(super) fn image_part(image: &PromptImage) -> Json {
    json!({"inlineData": {"mimeType": image.media_type.media_type(), "data": image.base64()}})
}

/// Returns a call as the model made it, with the signature that it checks.
fn call_part(call: &HistoryCall) -> Json {
    let args = serde_json::from_str::<Json>(&call.args).ok().filter(Json::is_object).unwrap_or_else(|| json!({}));
    let mut part = json!({"functionCall": {"name": call.name, "args": args}});
    let signature = call.provider_metadata.as_ref().and_then(|metadata| metadata.get("thought_signature"));
    if let Some(signature) = signature {
        part["thoughtSignature"] = signature.clone();
    }
    part
}
