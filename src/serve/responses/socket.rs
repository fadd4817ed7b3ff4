//! Responses over a WebSocket: every message `response.create` is a request, and its events come back as messages.
//!
//! Requests are answered one after another. A response that is not to be stored can be continued on its socket, until
//! the next one or the end. One that generates nothing (`generate: false`) only brings its input early: the next request
//! continues it.

use std::collections::VecDeque;

use axum::body::Body;
use axum::extract::{Request, State as Shared};
use axum::http::{HeaderMap, Response};
use futures_util::StreamExt as _;
use serde_json::json;

use super::super::error::{ApiError, openai_error_body};
use super::super::fields::{self, Fields};
use super::super::state::ServerState;
use super::super::websocket::{self, ClientSocket};
use super::stored_response::remove_when_ended;
use super::{Created, to_response};
use crate::bridge::new_uuid;
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
        ResponsesSocket { state: socket_state, headers, waiting: VecDeque::new(), unstored: None, early: None }
            .serve(socket)
            .await;
    }))
}

struct ResponsesSocket {
    state: ServerState,
    headers: HeaderMap,
    waiting: VecDeque<String>,
    /// The last response, if it is not to be stored.
    unstored: Option<SessionId>,
    /// The last request that generated nothing.
    early: Option<EarlyInput>,
}

/// What a request that generates nothing brings.
struct EarlyInput {
    /// Names its response.
    id: String,
    previous: Option<Json>,
    input: Vec<Json>,
}

/// What answers a request.
enum SocketAnswer {
    Stream(Response<Body>),
    Messages([Json; 2]),
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
                Ok(SocketAnswer::Stream(response)) => self.forward(response, &mut socket).await,
                Ok(SocketAnswer::Messages([created, completed])) => {
                    socket.send(created.to_string()).await.is_ok() && socket.send(completed.to_string()).await.is_ok()
                }
                Err(refused) => socket.send(error_message(&refused)).await.is_ok(),
            };
            if !is_there {
                break;
            }
        }
        self.forget();
        socket.close().await;
    }

    async fn create(&mut self, message: &str) -> Result<SocketAnswer, ApiError> {
        let mut fields = fields::parse_object(message.as_bytes())?;
        let kind = fields.remove("type");
        if kind.as_ref().and_then(Json::as_str) != Some("response.create") {
            let text = "only messages of the type response.create are taken";
            return Err(ApiError::new(400, "unsupported_event", text).with_param("type"));
        }
        fields.insert("stream".into(), true.into());
        self.continue_early(&mut fields);
        if fields.remove("generate") == Some(false.into()) {
            return Ok(self.keep_early(fields));
        }
        let body = Json::Object(fields).to_string();
        let Created { response, session, is_stored, .. } =
            super::create_response(&self.state, &self.headers, body.as_bytes(), true, None).await?;
        // The one before was the history of this one.
        self.forget();
        self.unstored = session.filter(|_| !is_stored);
        Ok(SocketAnswer::Stream(response))
    }

    /// Puts the input that came early in front of that of a request which continues it.
    fn continue_early(&mut self, fields: &mut Fields) {
        let continued = fields.get("previous_response_id").and_then(Json::as_str);
        let Some(early) = self.early.take_if(|early| continued == Some(&early.id)) else { return };
        let mut input = early.input;
        input.extend(input_items(fields.remove("input")));
        fields.insert("input".into(), input.into());
        match early.previous {
            Some(previous) => fields.insert("previous_response_id".into(), previous),
            None => fields.remove("previous_response_id"),
        };
    }

    fn keep_early(&mut self, mut fields: Fields) -> SocketAnswer {
        let id = format!("resp_{}", new_uuid().simple());
        let input = input_items(fields.remove("input"));
        let response = |status: &str| {
            json!({
                "id": id, "object": "response", "status": status, "output": [], "model": fields.get("model"),
                "usage": {"input_tokens": 0, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 0,
                    "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 0},
            })
        };
        let messages = [
            json!({"type": "response.created", "sequence_number": 0, "response": response("in_progress")}),
            json!({"type": "response.completed", "sequence_number": 1, "response": response("completed")}),
        ];
        let previous = fields.remove("previous_response_id").filter(|previous| !previous.is_null());
        self.early = Some(EarlyInput { id, previous, input });
        SocketAnswer::Messages(messages)
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

/// Returns the items of an input; a text is a message of the user.
fn input_items(input: Option<Json>) -> Vec<Json> {
    match input {
        Some(Json::Array(items)) => items,
        Some(Json::String(text)) => vec![json!({"role": "user", "content": text})],
        _ => Vec::new(),
    }
}

fn error_message(refused: &ApiError) -> String {
    let mut message = openai_error_body(refused);
    message["type"] = "error".into();
    message["status"] = json!(refused.status);
    message.to_string()
}
