//! PURE. An agent, a team or a workflow of Agno's AgentOS, which keeps sessions itself: a form with the newest prompt.

use std::fmt::Write as _;

use bytes::Bytes;

use super::probe::{ProbeAnswers, ProbedServer, is_path_segment};
use super::protocol::Protocol;
use super::request_kind::RequestKind;
use super::server_thread::ServerThread;
use super::{AnnouncingDetector, RemoteTarget};
use crate::engine::{ModelRequest, ReplyPlan};
use crate::event::Json;
use crate::net::request::{HttpHeaderValue, HttpRequest};

pub(super) static RUN: RequestKind = RequestKind {
    name: "agno",
    wanted_fields: &[&["message"]],
    is_at: |path, _| {
        path.ends_with("/runs") && ["/agents/", "/teams/", "/workflows/"].iter().any(|kind| path.contains(kind))
    },
    protocol: Some(|_| Box::<AgnoProtocol>::default()),
    ..RequestKind::NEW
};

/// Identifies a server by its list of agents, of which the first is asked.
pub(super) fn identify(answers: &ProbeAnswers<'_>) -> Option<ProbedServer> {
    let agents = answers.get("/agents")?.as_array()?;
    let is_agent = |agent: &&Json| agent.get("model").is_some() || agent.get("db_id").is_some();
    let id = agents.iter().find(is_agent)?.get("id").and_then(Json::as_str).filter(|id| is_path_segment(id))?;
    let others = if agents.len() > 1 { format!(", and {} more", agents.len() - 1) } else { String::new() };
    Some(ProbedServer {
        description: format!("Agno's agent {id:?}"),
        evidence: format!("/agents lists it{others}"),
        ..answers.server(&RUN, &format!("/agents/{id}/runs"))
    })
}

#[derive(Default)]
struct AgnoProtocol(ServerThread);

impl Protocol for AgnoProtocol {
    fn plan_reply(
        &self,
        target: &RemoteTarget,
        request: &ModelRequest,
        decode: AnnouncingDetector,
    ) -> Option<ReplyPlan> {
        let (session, text) = self.0.next_named(request, &target.thread_id);
        let form = form_body(&[("message", &text), ("stream", "true"), ("session_id", &session)]);
        let kind = "application/x-www-form-urlencoded".to_owned();
        let call = target.post(vec![("content-type".to_owned(), HttpHeaderValue::Plain(kind))], &Json::Null);
        Some(ReplyPlan::http(HttpRequest { body: Some(Bytes::from(form)), ..call }, decode))
    }
}

/// Writes fields as `application/x-www-form-urlencoded` (WHATWG URL, 5.2).
fn form_body(fields: &[(&str, &str)]) -> String {
    let mut body = String::new();
    for (name, value) in fields {
        if !body.is_empty() {
            body.push('&');
        }
        body.push_str(name);
        body.push('=');
        for byte in value.bytes() {
            match byte {
                b' ' => body.push('+'),
                byte if byte.is_ascii_alphanumeric() || b"*-._".contains(&byte) => body.push(char::from(byte)),
                byte => {
                    // Writing to a string doesn't fail.
                    let _ = write!(body, "%{byte:02X}");
                }
            }
        }
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_can_hold_any_text() {
        let fields = [("message", "a b&c=d+é\n%"), ("stream", "true")];
        assert_eq!(form_body(&fields), "message=a+b%26c%3Dd%2B%C3%A9%0A%25&stream=true");
    }
}
