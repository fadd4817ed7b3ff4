//! PURE. A host of the Poe proxy: a prompt, and the messages before it.

use serde_json::json;

use super::RemoteTarget;
use super::protocol::{JsonProtocol, flatten_history};
use super::request_kind::RequestKind;
use crate::engine::{HistoryMessage, ModelRequest};
use crate::event::Json;

pub(super) static STREAM: RequestKind = RequestKind {
    name: "poe",
    default_path: "/v1/stream",
    is_at: |path, _| path.ends_with("/v1/stream"),
    protocol: Some(|_| JsonProtocol::boxed(body)),
    ..RequestKind::NEW
};

/// In the shape of its tools (`bot`, `prompt`) and of its upstream (`model`, `messages`): a host reads one or the
/// other. Both have the whole conversation, so no `session_id` is sent: a host that knew it would get everything twice.
fn body(_: &RemoteTarget, request: &ModelRequest) -> Json {
    let mut messages = Vec::new();
    if !request.system.is_empty() {
        messages.push(json!({"role": "system", "content": request.system}));
    }
    messages.extend(request.history.iter().filter_map(|past| match past {
        HistoryMessage::User { text, .. } => Some(json!({"role": "user", "content": text})),
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
