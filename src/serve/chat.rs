//! `POST /v1/chat/completions`: OpenAI's chat completions, and OpenJarvis's agent bridge.
//!
//! | the request has | tools offered to the model | the response is |
//! | --- | --- | --- |
//! | no `tools`, and the agent's name or none | ours, which run here | chunks of text |
//! | no `tools`, and a model's name | none | chunks of text |
//! | tools | the client's | chunks of text and of calls, which the client runs |
//! | `X-Jarvis-Events: agent` or `?events=agent` | ours | chunks and the agent's named events |
//! | tools, and the server was started with `--openjarvis-compat` | ours | the same |
//!
//! Named events are sent only on request: the official client parses every frame as a chunk. `X-Jarvis-Session` names
//! the session of the response; with `X-Jarvis-Stay: 1` a broken stream is resumed there, else the turn ends with it.

pub(super) mod request;

use axum::Router;
use axum::body::Body;
use axum::extract::{RawQuery, State as Shared};
use axum::http::{HeaderMap, Response};
use axum::routing::post;

use self::request::{ChatRequest, ToolOwner};
use super::Surface;
use super::access::BodyBytes;
use super::error::{ApiError, openai_error_body};
use super::oneshot::{self, Framing};
use super::openjarvis;
use super::state::ServerState;
use crate::dialect::Encode;
use crate::dialect::chat::chunk::ChunkHead;
use crate::dialect::chat::encode::{ChatEncoder, ChatEncoderOptions};
use crate::event::SessionId;

pub(super) const SURFACE: Surface = Surface { routes, path_prefixes: &["/v1/chat"], error_format: openai_error_body };

fn routes() -> Router<ServerState> {
    Router::new().route("/v1/chat/completions", post(complete))
}

async fn complete(
    Shared(state): Shared<ServerState>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    BodyBytes(body): BodyBytes,
) -> Response<Body> {
    let asked = openjarvis::asks_for_events(&headers, query.as_deref());
    try_complete(&state, asked, &headers, &body)
        .await
        .unwrap_or_else(|refused| refused.to_response(if asked { openjarvis::error_body } else { openai_error_body }))
}

async fn try_complete(
    state: &ServerState,
    asked: bool,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response<Body>, ApiError> {
    let has_events = |has_tools: bool| openjarvis::has_events(state.settings(), asked, has_tools);
    let owner = |has_tools: bool| if has_events(has_tools) { ToolOwner::Server } else { ToolOwner::Client };
    let mut wanted = request::parse(body, owner)?;
    let named = has_events(wanted.has_tools);
    wanted.one_shot.keep_running = oneshot::should_keep_running(headers);
    wanted.one_shot.ends_with_client = !named;
    if !named {
        wanted.one_shot.choose_by_name();
    }
    let model = wanted.one_shot.model.clone().unwrap_or_default();
    let framing = if wanted.stream { Framing::Sse } else { Framing::Buffered };
    let ChatRequest { one_shot: request, include_usage, message_count: messages, prompt_tokens: tokens, .. } = wanted;
    let wants = ChatEncoderOptions { include_usage, client_tools: request.client_tools.is_some() };
    oneshot::run(state, request, framing, |session| -> Box<dyn Encode> {
        let head = ChunkHead { id: completion_id(session), created: 0, model };
        if named {
            openjarvis::encoder(head, tokens, messages)
        } else {
            Box::new(ChatEncoder::new(head, wants, tokens))
        }
    })
    .await
}

/// Creates the id of a response: `chatcmpl-` and 12 hexadecimal digits derived from the session (FNV-1a, 64 bits).
fn completion_id(session: &SessionId) -> String {
    let hash = session
        .as_str()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("chatcmpl-{:012x}", (hash ^ (hash >> 48)) & 0xffff_ffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_named_after_its_session() {
        let name = completion_id(&SessionId::from("20261120-195114-7bbb"));
        assert_eq!(name.len(), "chatcmpl-".len() + 12);
        assert!(name.trim_start_matches("chatcmpl-").bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_eq!(name, completion_id(&SessionId::from("20261120-195114-7bbb")));
        assert_ne!(name, completion_id(&SessionId::from("20261120-195114-7bbc")));
    }
}
