//! Serves a session that runs on a screen, on loopback, for as long as the person wants it.
//!
//! It is that session and no other: clients follow it, and with the token they prompt and decide as its person does.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::bridge::{SessionHandle, new_uuid};
use crate::event::{ApprovalMode, SessionId, ToolSpec};
use crate::net;
use crate::serve::error::ApiError;
use crate::serve::factory::{Factory, Model, OneShotSession, OpenRequest, SavedSession};
use crate::serve::request::OneShotRequest;
use crate::serve::{self, Limits, ServerState, Settings, Tokens};

/// A server of one session; it ends when this is dropped.
pub struct SharedServer {
    /// Address of the session, for `jarvis-tui attach`.
    pub url: String,
    /// Gives access; made for this server.
    pub token: String,
    state: ServerState,
    _tasks: JoinSet<()>,
}

impl SharedServer {
    /// Begins to serve a session; clients get no more than `mode` allows without asking.
    ///
    /// # Errors
    ///
    /// Fails if there is no port to listen on.
    pub async fn start(handle: SessionHandle, mode: ApprovalMode) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}/v1/sessions/{}", listener.local_addr()?, handle.session);
        let token = format!("{}{}", new_uuid(), new_uuid()).replace('-', "");
        let secret = token.clone().into();
        net::register_secret(&secret);
        let settings = Settings {
            tokens: Tokens { full: Some(secret), read: None },
            origins: Vec::new(),
            read_only: false,
            mode,
            loopback: true,
            public_origin: None,
            openjarvis_compat: false,
            read_link_lifetime: None,
            approval_links: None,
            limits: Limits::default(),
        };
        let state = ServerState::new(Arc::new(SharedSession(handle)), settings);
        let mut tasks = JoinSet::new();
        tasks.spawn(serve::run(listener, state.clone(), std::future::pending()));
        Ok(Self { url, token, state, _tasks: tasks })
    }

    /// Returns how many clients follow it.
    pub fn reader_count(&self) -> usize {
        self.state.reader_count()
    }
}

struct SharedSession(SessionHandle);

fn only_this<T>() -> BoxFuture<'static, Result<T, ApiError>> {
    Box::pin(async { Err(ApiError::new(409, "only_this", "here is one session, which runs on a screen")) })
}

impl Factory for SharedSession {
    fn open_one_shot<'a>(&'a self, _request: &'a OneShotRequest) -> BoxFuture<'a, Result<OneShotSession, ApiError>> {
        only_this()
    }

    fn open(&self, _opening: OpenRequest) -> BoxFuture<'_, Result<SessionHandle, ApiError>> {
        only_this()
    }

    fn reopen<'a>(&'a self, _id: &'a SessionId) -> BoxFuture<'a, Result<SessionHandle, ApiError>> {
        only_this()
    }

    fn read<'a>(&'a self, _id: &'a SessionId) -> BoxFuture<'a, Result<SessionHandle, ApiError>> {
        only_this()
    }

    fn initial_session(&self) -> Option<SessionHandle> {
        Some(self.0.clone())
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<SavedSession>, ApiError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn models(&self) -> BoxFuture<'_, Vec<Model>> {
        Box::pin(async { Vec::new() })
    }

    fn tools(&self) -> BoxFuture<'_, Vec<ToolSpec>> {
        Box::pin(async { Vec::new() })
    }

    /// The screen goes on with it.
    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;
    use tokio::sync::watch;

    use super::*;
    use crate::bridge::hub::{Backlog, DEFAULT_RING_BYTES, Hub};
    use crate::event::{Capabilities, Command, SessionStatus};
    use crate::net::HttpClient;
    use crate::net::request::{Framing, HttpHeaderValue, HttpMethod, HttpRequest};

    #[tokio::test]
    async fn who_has_the_token_prompts_the_session_of_the_screen_and_nobody_else_does() {
        let (commands, mut wishes) = mpsc::channel(4);
        let (_status, status) = watch::channel(SessionStatus::default());
        let handle = SessionHandle {
            session: "s1".into(),
            capabilities: Capabilities { prompt: true, ..Capabilities::default() },
            hub: Hub::new(Backlog::Memory, DEFAULT_RING_BYTES),
            commands,
            status,
        };
        let server = SharedServer::start(handle, ApprovalMode::Ask).await.unwrap();
        let post = |token: &str| HttpRequest {
            method: HttpMethod::Post,
            url: format!("{}/commands", server.url),
            headers: vec![("authorization".into(), HttpHeaderValue::Secret(format!("Bearer {token}").into()))],
            body: Some(serde_json::to_vec(&Command::prompt("hi")).unwrap().into()),
            framing: Framing::Ndjson,
        };
        let http = HttpClient::default();
        let time = std::time::Duration::from_secs(10);
        assert!(http.send_expecting_success(&post("wrong"), time).await.is_err());
        http.send_expecting_success(&post(&server.token), time).await.map_err(|failure| failure.fault).unwrap();
        assert_eq!(wishes.recv().await, Some(Command::prompt("hi")));
        assert_eq!(server.reader_count(), 0);
    }
}
