//! A server with pending approvals, for the driver's tests.

use super::*;
use crate::event::{Json, Risk};
use crate::net::request::{Framing, HttpMethod, HttpRequest};
use crate::testkit::server::{ScriptedServer, json};

/// Parses a list of ids.
pub(in crate::agent::run) struct TestServerApprovals(pub(in crate::agent::run) String);

impl ServerApprovals for TestServerApprovals {
    fn list_request(&self) -> HttpRequest {
        HttpRequest {
            method: HttpMethod::Get,
            url: self.0.clone(),
            headers: Vec::new(),
            body: None,
            framing: Framing::Ndjson,
        }
    }

    fn parse_list(&self, answer: &Json) -> Option<Vec<ServerApproval>> {
        let wanted = |id: &Json| ServerApproval {
            id: id.as_str().unwrap().to_owned(),
            tool: "send".into(),
            risk: Risk::Write,
            subject: "a letter".into(),
            detail: String::new(),
            args: "{}".into(),
        };
        Some(answer.as_array()?.iter().map(wanted).collect())
    }

    fn decide_request(&self, wanted: &ServerApproval, allow: bool) -> HttpRequest {
        HttpRequest {
            method: HttpMethod::Post,
            url: format!("{}/{}/{allow}", self.0, wanted.id),
            ..self.list_request()
        }
    }
}

/// Starts the server. The receiver gets the method and path of each request.
pub(in crate::agent::run) async fn server() -> (String, mpsc::UnboundedReceiver<String>, ScriptedServer) {
    let (sender, requests) = mpsc::unbounded_channel();
    let server = ScriptedServer::answering(move |request| {
        let _ = sender.send(request.split(" HTTP").next().unwrap_or_default().to_owned());
        vec![json("200 OK", r#"["a1","a2","a3"]"#)]
    });
    let server = server.await;
    (server.url(), requests, server)
}
