//! `POST /api/chat` and `GET /api/chat/{id}/stream`: an answer as the AI SDK's UI message stream, as `useChat` and its
//! transport ask for it.
//!
//! That path has other users too, so a request is taken here by what its body is, before the routes see it.
//!
//! The client sends the whole conversation. An approval ends the stream; the next request answers it, and gets the rest
//! of the same turn. Who comes back to a chat gets the stream that runs there from its beginning, or 204; who asks anew
//! ends it.

mod request;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, FromRequest as _, Path, Request, State as Shared};
use axum::http::header::{HeaderName, HeaderValue};
use axum::http::{HeaderMap, Method, Response, StatusCode};
use axum::middleware::Next;
use axum::routing::get;

use self::request::{ApprovalAnswer, UiChatRequest, UiWork};
use super::Surface;
use super::access::BodyBytes;
use super::error::{ApiError, native_error_body};
use super::oneshot::{self, Framing};
use super::running_chats::{RunningChat, RunningChats};
use super::state::ServerState;
use crate::dialect::Encode;
use crate::dialect::ai_sdk::encode::{AiSdkEncoder, UiStreamOptions};
use crate::event::SessionId;

pub(super) const SURFACE: Surface = Surface { routes, path_prefixes: &[], error_format: native_error_body };

/// Names the format of the stream, and its version.
const STREAM_HEADER: HeaderName = HeaderName::from_static("x-vercel-ai-ui-message-stream");

fn routes() -> Router<ServerState> {
    Router::new().route("/api/chat/{id}/stream", get(resume))
}

/// Answers a chat of the AI SDK, and passes everything else on.
pub(super) async fn intercept(
    Shared(state): Shared<ServerState>,
    Extension(chats): Extension<Arc<RunningChats>>,
    request: Request,
    next: Next,
) -> Response<Body> {
    if request.method() != Method::POST || request.uri().path() != "/api/chat" {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let body = match BodyBytes::from_request(Request::from_parts(parts.clone(), body), &state).await {
        Ok(BodyBytes(body)) => body,
        Err(refused) => return refused,
    };
    if !request::is_ui_chat(&body) {
        return next.run(Request::from_parts(parts, Body::from(body))).await;
    }
    answer(&state, &chats, &parts.headers, &body).await.unwrap_or_else(|refused| refused.to_response(native_error_body))
}

async fn answer(
    state: &ServerState,
    chats: &RunningChats,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response<Body>, ApiError> {
    let UiChatRequest { chat, work } = request::parse(body)?;
    match work {
        UiWork::Prompt(mut request) => {
            request.asks_client = true;
            request.keep_running |= oneshot::should_keep_running(headers);
            let answered = chats.run(state, &chat, *request, |running| encoder(running, None));
            Ok(with_stream_header(answered.await?))
        }
        UiWork::Approvals { answers, message } => {
            let Some(ApprovalAnswer { session, call, .. }) = answers.last().cloned() else {
                return Err(ApiError::bad_request("no approval was answered"));
            };
            for ApprovalAnswer { session, call, decision } in answers {
                oneshot::decide(state, &session, call, decision).await;
            }
            let running = RunningChat { session: session.clone(), client_tools: false, after: Some(call) };
            let _ = chats.set(&chat, running.clone());
            let replayed = oneshot::replay(state, &session, Framing::Sse, 0, |_| encoder(&running, Some(message)));
            Ok(with_stream_header(replayed.await?))
        }
    }
}

async fn resume(
    Shared(state): Shared<ServerState>,
    Extension(chats): Extension<Arc<RunningChats>>,
    Path(id): Path<String>,
) -> Response<Body> {
    let running = chats.get(&id).filter(|running| oneshot::is_answering(&state, &running.session));
    let Some(running) = running else {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        return response;
    };
    oneshot::replay(&state, &running.session, Framing::Sse, 0, |_| encoder(&running, None))
        .await
        .map_or_else(|refused| refused.to_response(native_error_body), with_stream_header)
}

fn encoder(running: &RunningChat, message: Option<String>) -> Box<dyn Encode> {
    Box::new(AiSdkEncoder::new(UiStreamOptions {
        message_id: message.unwrap_or_else(|| message_id(&running.session)),
        session: running.session.to_string(),
        client_tools: running.client_tools,
        after: running.after.clone(),
    }))
}

fn message_id(session: &SessionId) -> String {
    format!("msg-{session}")
}

fn with_stream_header(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(STREAM_HEADER, HeaderValue::from_static("v1"));
    response
}
