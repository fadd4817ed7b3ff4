//! PURE. A bot of Poe's protocol: the conversation in its roles, as Poe itself would put it.

use serde_json::json;

use super::RemoteTarget;
use super::protocol::JsonProtocol;
use super::request_kind::RequestKind;
use crate::engine::{HistoryMessage, ModelRequest};
use crate::event::Json;

/// The version of the protocol.
const PROTOCOL_VERSION: &str = "1.2";

pub(super) static QUERY: RequestKind = RequestKind {
    name: "poe-bot",
    // A bot that was made without a key still wants some.
    protocol: Some(|_| Box::new(JsonProtocol { body, headers: &[("authorization", "Bearer none")] })),
    ..RequestKind::NEW
};

fn body(target: &RemoteTarget, request: &ModelRequest) -> Json {
    let thread = &target.thread_id;
    let message = |id: String, role: &str, text: &str| {
        json!({
            "role": role, "content": text, "content_type": "text/markdown", "timestamp": 0, "message_id": id,
            "feedback": [], "attachments": [],
        })
    };
    let mut query = Vec::new();
    if !request.system.is_empty() {
        query.push(message(format!("{thread}-s"), "system", &request.system));
    }
    query.extend(request.history.iter().enumerate().filter_map(|(index, past)| match past {
        HistoryMessage::User { text, .. } => Some(message(format!("{thread}-{index}"), "user", text)),
        HistoryMessage::Assistant { text, .. } if !text.is_empty() => {
            Some(message(format!("{thread}-{index}"), "bot", text))
        }
        HistoryMessage::Assistant { .. } | HistoryMessage::Tool { .. } => None,
    }));
    json!({
        "version": PROTOCOL_VERSION, "type": "query", "query": query, "user_id": thread, "conversation_id": thread,
        "message_id": format!("{thread}-{}", request.history.len()), "metadata": "",
    })
}
