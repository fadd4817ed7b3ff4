//! PURE. The chat endpoint of an AI SDK app: the conversation as UI messages, one for all that the assistant said and did
//! between two prompts, and the decisions about its calls.
//!
//! Source: `convertToModelMessages` and the chat of the npm package `ai`, versions 6 and 7.

use serde_json::json;

use super::RemoteTarget;
use super::protocol::JsonProtocol;
use super::request_kind::RequestKind;
use crate::engine::{HistoryApproval, HistoryCall, HistoryMessage, ModelRequest};
use crate::event::{CallOutcome, Decision, Json, PromptImage};

pub(super) static CHAT: RequestKind = RequestKind {
    name: "ai-sdk",
    wanted_fields: &[&["trigger"]],
    default_path: "/api/chat",
    takes_images: true,
    protocol: Some(|_| JsonProtocol::boxed(body)),
    ..RequestKind::NEW
};

fn body(target: &RemoteTarget, request: &ModelRequest) -> Json {
    let thread = &target.thread_id;
    let mut messages: Vec<Json> = Vec::new();
    let mut add = |index: usize, role: &str, parts: Vec<Json>| match messages.last_mut() {
        _ if parts.is_empty() => {}
        Some(last) if role == "assistant" && last["role"] == role => {
            if let Some(known) = last["parts"].as_array_mut() {
                known.extend(parts);
            }
        }
        _ => messages.push(json!({"id": format!("{thread}-{index}"), "role": role, "parts": parts})),
    };
    let text_part = |text: &str| json!({"type": "text", "text": text});
    for (index, past) in request.history.iter().enumerate() {
        match past {
            HistoryMessage::User { text, images } => {
                add(index, "user", [text_part(text)].into_iter().chain(images.iter().map(file_part)).collect());
            }
            HistoryMessage::Assistant { text, calls, .. } => {
                let mut parts = Vec::new();
                parts.extend(Some(text_part(text)).filter(|_| !text.is_empty()));
                parts.extend(calls.iter().filter_map(|call| tool_part(call, request)));
                if !parts.is_empty() {
                    parts.insert(0, json!({"type": "step-start"}));
                }
                add(index, "assistant", parts);
            }
            HistoryMessage::Tool { .. } => {}
        }
    }
    json!({"id": thread, "trigger": "submit-message", "messages": messages})
}

/// Returns an image as a `FileUIPart`.
fn file_part(image: &PromptImage) -> Json {
    json!({"type": "file", "mediaType": image.media_type.media_type(), "url": image.data_url()})
}

/// Returns a call with its result or the decision about it; none for a call with neither, which a model would refuse.
fn tool_part(call: &HistoryCall, request: &ModelRequest) -> Option<Json> {
    let read = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| Json::from(text));
    let mut part = json!({
        "type": format!("tool-{}", call.name), "toolCallId": call.wire_id(), "state": "output-available",
        "input": read(&call.args),
    });
    let approval = call.approval.as_ref().and_then(approval_part);
    if let Some(approval) = &approval {
        part["approval"] = approval.clone();
    }
    let result = request.history.iter().find_map(|past| match past {
        HistoryMessage::Tool { call: of, output, outcome, .. } if *of == call.call => Some((output, outcome)),
        _ => None,
    });
    let Some((output, outcome)) = result else {
        part["state"] = "approval-responded".into();
        return approval.map(|_| part);
    };
    match outcome {
        CallOutcome::Ok => part["output"] = read(output),
        CallOutcome::Denied if approval.is_some() => part["state"] = "output-denied".into(),
        CallOutcome::Failed | CallOutcome::Denied | CallOutcome::Cancelled => {
            part["state"] = "output-error".into();
            part["errorText"] = if output.is_empty() { outcome.name().into() } else { output.as_str().into() };
        }
        CallOutcome::Requested | CallOutcome::Unknown => return None,
    }
    Some(part)
}

/// Returns the server's request with the decision, as the SDK's own client keeps it.
fn approval_part(HistoryApproval { request, decision }: &HistoryApproval) -> Option<Json> {
    let decision = decision.as_ref()?;
    let mut part = json!({"id": request.get("approvalId")?, "approved": decision.allows()});
    for (key, name) in [
        ("approvalDescriptor", "descriptor"),
        ("inputSchemaInput", "inputSchemaInput"),
        ("reason", "requestReason"),
        ("signature", "signature"),
    ] {
        if let Some(value) = request.get(key) {
            part[name] = value.clone();
        }
    }
    if let Decision::Deny(Some(reason)) = decision {
        part["reason"] = reason.as_str().into();
    }
    Some(part)
}
