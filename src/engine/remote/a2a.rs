//! PURE. A2A over JSON-RPC: the newest prompt, and which context and task it belongs to.

use serde_json::json;

use super::RemoteTarget;
use super::probe::{ProbeAnswers, ProbedServer};
use super::protocol::{JsonProtocol, last_prompt};
use super::request_kind::RequestKind;
use crate::engine::{HistoryMessage, ModelRequest};
use crate::event::Json;
use crate::text::address::path_and_query;

/// A2A 0.3.
pub(super) static V0_3: RequestKind =
    RequestKind { name: "a2a", protocol: Some(|_| JsonProtocol::boxed(body)), ..RequestKind::NEW };

/// A2A 1.0.
pub(super) static V1: RequestKind = RequestKind {
    name: "a2a-1.0",
    is_at: |path, _| path.ends_with("/message:stream"),
    protocol: Some(|_| Box::new(JsonProtocol { body: body_v1, headers: &[("a2a-version", "1.0")] })),
    ..RequestKind::NEW
};

fn body(target: &RemoteTarget, request: &ModelRequest) -> Json {
    let parts = json!([{"kind": "text", "text": last_prompt(request).unwrap_or_default()}]);
    let id = message_id(target, request);
    let message = json!({"kind": "message", "role": "user", "parts": parts, "messageId": id});
    call("message/stream", &id, message, request)
}

fn body_v1(target: &RemoteTarget, request: &ModelRequest) -> Json {
    let parts = json!([{"text": last_prompt(request).unwrap_or_default()}]);
    let id = message_id(target, request);
    let message = json!({"role": "ROLE_USER", "parts": parts, "messageId": id});
    call("SendStreamingMessage", &id, message, request)
}

fn call(method: &str, id: &str, mut message: Json, request: &ModelRequest) -> Json {
    add_context_ids(&mut message, request);
    json!({
        "jsonrpc": "2.0", "id": id, "method": method,
        "params": {"message": message, "configuration": {"acceptedOutputModes": ["text/plain"]}},
    })
}

/// Adds the ids of the context, and of the task that waits for an answer, from the agent's last message.
fn add_context_ids(message: &mut Json, request: &ModelRequest) {
    let metadata = request.history.iter().rev().find_map(|past| match past {
        HistoryMessage::Assistant { provider_metadata: Some(metadata), .. } => Some(metadata),
        _ => None,
    });
    for key in ["contextId", "taskId"] {
        if let Some(value) = metadata.and_then(|metadata| metadata.get(key)).filter(|value| value.is_string()) {
            message[key] = value.clone();
        }
    }
}

fn message_id(target: &RemoteTarget, request: &ModelRequest) -> String {
    format!("{}-{}", target.thread_id, request.history.len())
}

/// Identifies an agent by its card.
pub(super) fn identify(answers: &ProbeAnswers<'_>) -> Option<ProbedServer> {
    let (path, card) = ["/.well-known/agent-card.json", "/.well-known/agent.json"]
        .into_iter()
        .filter_map(|path| Some((path, answers.get(path)?)))
        .find(|(_, card)| card.get("name").is_some() && card.get("skills").is_some())?;
    let name = card.get("name").and_then(Json::as_str).unwrap_or_default();
    let (kind, url) = access(card);
    Some(ProbedServer {
        description: format!("the A2A agent {name:?}"),
        evidence: format!("{path} is an agent card"),
        ..answers.server(kind, &url)
    })
}

/// Returns kind and path of an agent from its card. The URL in the card may only resolve on the agent's own machine.
fn access(card: &Json) -> (&'static RequestKind, String) {
    let version = card.get("protocolVersion").and_then(Json::as_str).unwrap_or_default();
    let interfaces = card.get("supportedInterfaces").or_else(|| card.get("interfaces")).and_then(Json::as_array);
    let one = interfaces.into_iter().flatten().find(|interface| {
        let binding = interface.get("protocolBinding").or_else(|| interface.get("transport")).and_then(Json::as_str);
        binding.is_none_or(|binding| binding.eq_ignore_ascii_case("jsonrpc"))
    });
    let newer = |interface: &Json| {
        interface.get("protocolVersion").and_then(Json::as_str).is_none_or(|version| version.starts_with('1'))
    };
    let is_one = version.starts_with('1') || (version.is_empty() && one.is_some_and(newer));
    let url = card.get("url").or_else(|| one?.get("url")).and_then(Json::as_str).unwrap_or_default();
    let path = match path_and_query(url).0 {
        "" => "/",
        path => path,
    };
    (if is_one { &V1 } else { &V0_3 }, path.to_owned())
}
