//! A server with pending approvals, for the driver's tests.

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::*;
use crate::event::{Json, Risk};
use crate::net::request::{Framing, HttpMethod, HttpRequest};

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
pub(in crate::agent::run) async fn server() -> (String, mpsc::UnboundedReceiver<String>, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, requests) = mpsc::unbounded_channel();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            let read = socket.read(&mut request).await.unwrap_or(0);
            let head = String::from_utf8_lossy(&request[..read]).into_owned();
            let _ = sender.send(head.split(" HTTP").next().unwrap_or_default().to_owned());
            let body = json!(["a1", "a2", "a3"]).to_string();
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    });
    (url, requests, tasks)
}
