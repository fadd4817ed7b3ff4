//! PURE. An agent on a Mastra server: the conversation as messages. The agent has its own model, so none is named.

use serde_json::json;

use super::RemoteTarget;
use super::probe::{ProbeAnswers, ProbedServer, is_path_segment};
use super::protocol::JsonProtocol;
use super::request_kind::RequestKind;
use crate::engine::{HistoryMessage, ModelRequest};
use crate::event::Json;

pub(super) static STREAM: RequestKind = RequestKind {
    name: "mastra",
    is_at: |path, _| path.contains("/agents/") && path.ends_with("/stream"),
    protocol: Some(|_| JsonProtocol::boxed(body)),
    ..RequestKind::NEW
};

/// Identifies a server by its agents, of which the first is asked.
pub(super) fn identify(answers: &ProbeAnswers<'_>) -> Option<ProbedServer> {
    let agents = answers.get("/api/agents")?.as_object()?;
    let is_agent = |agent: &Json| agent.get("name").is_some() && agent.get("instructions").is_some();
    let (id, _) = agents.iter().find(|(id, agent)| is_agent(agent) && is_path_segment(id))?;
    let others = if agents.len() > 1 { format!(", and {} more", agents.len() - 1) } else { String::new() };
    Some(ProbedServer {
        description: format!("Mastra's agent {id:?}"),
        evidence: format!("/api/agents lists it{others}"),
        ..answers.server(&STREAM, &format!("/api/agents/{id}/stream"))
    })
}

fn body(_: &RemoteTarget, request: &ModelRequest) -> Json {
    let messages: Vec<Json> = request
        .history
        .iter()
        .filter_map(|past| match past {
            HistoryMessage::User { text, .. } => Some(json!({"role": "user", "content": text})),
            HistoryMessage::Assistant { text, .. } if !text.is_empty() => {
                Some(json!({"role": "assistant", "content": text}))
            }
            HistoryMessage::Assistant { .. } | HistoryMessage::Tool { .. } => None,
        })
        .collect();
    json!({ "messages": messages })
}
