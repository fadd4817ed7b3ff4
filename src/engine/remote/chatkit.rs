//! PURE. A ChatKit server, whose one address takes every request. It makes a thread with the first prompt and keeps it.

use serde_json::json;

use super::RemoteTarget;
use super::protocol::{JsonProtocol, flatten_history, last_prompt};
use super::request_kind::RequestKind;
use crate::engine::{HistoryMessage, ModelRequest};
use crate::event::Json;

pub(super) static THREADS: RequestKind = RequestKind {
    name: "chatkit",
    default_path: "/chatkit",
    is_at: |path, _| path.ends_with("/chatkit"),
    // The results of calls that its agent makes of this side are taken.
    supports_tools: true,
    protocol: Some(|_| JsonProtocol::boxed(body)),
    ..RequestKind::NEW
};

fn body(_: &RemoteTarget, request: &ModelRequest) -> Json {
    let thread = request.history.iter().rev().find_map(|past| match past {
        HistoryMessage::Assistant { provider_metadata: Some(kept), .. } => kept.get("thread_id")?.as_str(),
        _ => None,
    });
    let input = |text: &str| {
        let content = json!([{"type": "input_text", "text": text}]);
        json!({"content": content, "attachments": [], "inference_options": {}})
    };
    match (thread, request.history.last()) {
        (None, _) => json!({"type": "threads.create", "params": {"input": input(&flatten_history(request))}}),
        (Some(id), Some(HistoryMessage::Tool { output, .. })) => {
            let result = serde_json::from_str::<Json>(output).unwrap_or_else(|_| output.as_str().into());
            json!({"type": "threads.add_client_tool_output", "params": {"thread_id": id, "result": result}})
        }
        (Some(id), _) => {
            let input = input(last_prompt(request).unwrap_or_default());
            json!({"type": "threads.add_user_message", "params": {"thread_id": id, "input": input}})
        }
    }
}
