//! Responses over a WebSocket: every message `response.create` is a request, and its events come back as messages.
//!
//! Requests are answered one after another. A response that is not to be stored can be continued on its socket, until
//! the next one or the end.

use std::collections::VecDeque;

use axum::body::Body;
use axum::extract::{Request, State as Shared};
use axum::http::{HeaderMap, Response};
use futures_util::StreamExt as _;
use serde_json::json;

use super::super::error::{ApiError, openai_error_body};
use super::super::fields;
use super::super::state::ServerState;
use super::super::websocket::{self, ClientSocket};
use super::stored_response::remove_when_ended;
use super::{Created, to_response};
use crate::event::{Json, SessionId};

/// Messages that wait while a response is sent.
const MAX_WAITING: usize = 16;

pub(super) async fn connect(Shared(state): Shared<ServerState>, request: Request) -> Response<Body> {
    if !websocket::is_upgrade(request.headers()) {
        let text = "GET /v1/responses is for WebSockets; POST asks for one response";
        return to_response(Err(ApiError::new(405, "method_not_allowed", text)));
    }
    let headers = request.headers().clone();
    let most = state.settings().limits.max_body_bytes;
    let socket_state = state.clone();
    to_response(websocket::accept(&state, request, most, move |socket| async move {
        ResponsesSocket { state: socket_state, headers, waiting: VecDeque::new(), unstored: None }.serve(socket).await;
    }))
}

struct ResponsesSocket {
    state: ServerState,
    headers: HeaderMap,
    waiting: VecDeque<String>,
    /// The last response, if it is not to be stored.
    unstored: Option<SessionId>,
}

impl ResponsesSocket {
    async fn serve(mut self, mut socket: ClientSocket) {
        loop {
            let message = if let Some(message) = self.waiting.pop_front() {
                Some(message)
            } else {
                tokio::select! {
                    message = socket.next() => message,
                    () = self.state.shutdown().cancelled() => None,
                }
            };
            let Some(message) = message else { break };
            let is_there = match self.create(&message).await {
                Ok(response) => self.forward(response, &mut socket).await,
                Err(refused) => socket.send(error_message(&refused)).await.is_ok(),
            };
            if !is_there {
                break;
            }
        }
        self.forget();
        socket.close().await;
    }

    async fn create(&mut self, message: &str) -> Result<Response<Body>, ApiError> {
        let mut fields = fields::parse_object(message.as_bytes())?;
        let kind = fields.remove("type");
        if kind.as_ref().and_then(Json::as_str) != Some("response.create") {
            let text = "only messages of the type response.create are taken";
            return Err(ApiError::new(400, "unsupported_event", text).with_param("type"));
        }
        fields.insert("stream".into(), true.into());
        let body = Json::Object(fields).to_string();
        let Created { response, session, is_stored, .. } =
            super::create_response(&self.state, &self.headers, body.as_bytes(), true).await?;
        // The one before was the history of this one.
        self.forget();
        self.unstored = session.filter(|_| !is_stored);
        Ok(response)
    }

    /// Sends the events of a response; false once the client is gone.
    async fn forward(&mut self, response: Response<Body>, socket: &mut ClientSocket) -> bool {
        let mut pieces = response.into_body().into_data_stream();
        let mut text = Vec::new();
        loop {
            let piece = tokio::select! {
                piece = pieces.next() => piece,
                message = socket.next(), if self.waiting.len() < MAX_WAITING => match message {
                    Some(message) => {
                        self.waiting.push_back(message);
                        continue;
                    }
                    None => return false,
                },
            };
            let Some(Ok(piece)) = piece else { return true };
            text.extend_from_slice(&piece);
            while let Some(end) = text.windows(2).position(|bytes| bytes == b"\n\n") {
                let frame: Vec<u8> = text.drain(..end + 2).collect();
                let frame = String::from_utf8_lossy(&frame);
                let data = frame.lines().find_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
                if let Some(data) = data
                    && socket.send(data.to_owned()).await.is_err()
                {
                    return false;
                }
            }
        }
    }

    fn forget(&mut self) {
        if let Some(session) = self.unstored.take() {
            self.state.spawn(remove_when_ended(self.state.clone(), session));
        }
    }
}

fn error_message(refused: &ApiError) -> String {
    let mut message = openai_error_body(refused);
    message["type"] = "error".into();
    message["status"] = json!(refused.status);
    message.to_string()
}
